//! Which steps of a runbook are written as they were when a run was made.
//!
//! Two versions are the same if all their files are. Else a step counts as unchanged where the text of it in its file is
//! the same, byte for byte but for the comments behind it; a group changes with whatever stands in it; a step of a used
//! runbook is unchanged if the step that uses it is, and the file of every runbook around it. What stands elsewhere
//! (variables, defaults, inputs) is not compared: it may change what a step sends, not which ways there are.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::plan::Graph;
use crate::record::layout;
use crate::runbook::lists;
use crate::runbook::load::{self, Document};
use crate::runbook::used::parent_of;

/// The name under which a run freezes its runbook.
const RUNBOOK: &str = "runbook.yaml";

/// A runbook as it was written.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// SHA-256 of the file of the runbook; none where it is not known.
    file: Option<String>,
    /// By the step that uses it: SHA-256 of the file of a runbook.
    used: BTreeMap<String, String>,
    /// By step or guard of the file itself: SHA-256 of its text.
    texts: Arc<BTreeMap<String, String>>,
}

impl Version {
    /// The one that is there now.
    pub fn of(document: &Document, graph: &Graph) -> Self {
        Self {
            file: Some(sha256(document.source.text())),
            used: used(graph),
            texts: Arc::new(texts(document)),
        }
    }

    /// The one of which a run was made, as its folder has it frozen. `digests`: of its files, as its journal names them.
    pub(super) fn of_run(dir: &Path, graph: &Graph, digests: &BTreeMap<String, String>) -> Self {
        let Some(file) = digests.get(RUNBOOK) else { return Self::default() };
        let path = dir.join(layout::PLAN).join(RUNBOOK);
        // A file that is gone or another one says nothing of single steps.
        let source = load::source(&path).ok().filter(|source| sha256(source.text()) == *file);
        let document = source.and_then(|source| load::alone(&source).0);
        let texts = document.map(|document| texts(&document)).unwrap_or_default();
        Self { file: Some(file.clone()), used: used(graph), texts: Arc::new(texts) }
    }

    /// Every file of it is the same.
    pub fn is(&self, other: &Self) -> bool {
        self.file.is_some() && self.file == other.file && self.used == other.used
    }

    /// A step of this one is written as it is in the other.
    pub fn has_unchanged(&self, other: &Self, step: &str) -> bool {
        let mut around = step;
        while let Some(parent) = parent_of(around) {
            if self.used.get(parent).is_none_or(|file| other.used.get(parent) != Some(file)) {
                return false;
            }
            around = parent;
        }
        self.texts.get(around).is_some_and(|text| other.texts.get(around) == Some(text))
    }
}

fn used(graph: &Graph) -> BTreeMap<String, String> {
    let used =
        graph.steps.iter().filter_map(|step| Some((step.id.clone(), step.used.as_ref()?.digest.clone())));
    used.collect()
}

fn texts(document: &Document) -> BTreeMap<String, String> {
    let source = &document.source;
    let steps = lists::steps(&document.runbook).filter_map(|step| Some((step.id.as_ref()?, step.span)));
    let guards = document.runbook.guards.iter().flatten().map(|guard| (&guard.id, guard.span));
    let own =
        steps.chain(guards).filter(|(id, span)| parent_of(&id.value).is_none() && !source.is_used(*span));
    own.map(|(id, span)| (id.value.clone(), sha256(&body(source.slice(span))))).collect()
}

/// Without the comments and empty lines behind it, which belong to what comes next.
fn body(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let is_nothing = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    while lines.last().is_some_and(is_nothing) {
        lines.pop();
    }
    lines.join("\n").trim_end().to_owned()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
