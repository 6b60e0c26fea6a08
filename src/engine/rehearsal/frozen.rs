//! What it takes to go on with a rehearsal, frozen in its folder beside the plan: who says what the outside says, and what
//! is to go wrong. The journal names the digests, so that nobody goes on with other sources than it began with.
//!
//! No path of the machine is in it, but where reads are done for real: the same rehearsal has the same bytes elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::{Fact, State};
use crate::engine::launch::{self, LaunchError};
use crate::journal::{Entry, Hash, Journal};
use crate::plan::Plan;

/// Names below `plan/`.
pub const FROZEN: &str = "rehearsal.json";
pub const SCENARIO: &str = "scenario.yaml";
pub const ANSWERS: &str = "answers.yaml";

/// What the names of fixtures begin with.
const FIXTURE: &str = "fixture-";

/// The name of a fixture, the first of which is asked first.
pub fn fixture(nth: usize, file: &Path) -> String {
    let form = file.extension().map_or_else(|| "yaml".into(), |form| form.to_string_lossy());
    format!("{FIXTURE}{nth:04}.{form}")
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    pub seed: u64,
    /// `STEP=KIND`.
    pub faults: Vec<String>,
    /// The real run whose answers are used.
    pub past: Option<FrozenRun>,
    /// Reads are done for real: where relative paths begin.
    pub reads: Option<PathBuf>,
}

/// A real run, and the head of its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRun {
    pub run: String,
    pub lines: u64,
    pub root: String,
}

impl FrozenRun {
    /// # Errors
    /// The journal in that folder cannot be read.
    pub fn of(dir: &Path, run: &str) -> Result<Self, LaunchError> {
        let chain = Journal::read_all(dir)?.chain;
        let tree = chain.tree();
        Ok(Self { run: run.to_owned(), lines: tree.size() as u64, root: tree.root().to_string() })
    }
}

impl Frozen {
    /// The bytes that are frozen.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// A rehearsal as its folder has it.
pub struct Begun {
    pub plan: Plan,
    pub state: State,
    pub frozen: Frozen,
    /// Of the files below `plan/`.
    digests: BTreeMap<String, String>,
    folder: PathBuf,
}

/// Whether what is in the folder says how to go on.
pub fn is_frozen(dir: &Path) -> bool {
    dir.join("plan").join(FROZEN).is_file()
}

impl Begun {
    /// # Errors
    /// It cannot be read, or has nothing by which to go on.
    pub fn read(dir: &Path) -> Result<Self, LaunchError> {
        let entries = Journal::read(dir)?;
        let (plan, _, state) = launch::fold(dir, &entries)?;
        let (digests, folder) = (digests(&entries), dir.join("plan"));
        let mut this = Self {
            plan,
            state,
            digests,
            folder,
            frozen: Frozen { seed: 0, faults: Vec::new(), past: None, reads: None },
        };
        let Some(path) = this.file(FROZEN)? else { return Err(LaunchError::Rehearsal(this.state.run.id)) };
        let bytes = std::fs::read(&path).map_err(|source| LaunchError::File {
            verb: "read",
            path: path.clone(),
            source,
        })?;
        this.frozen = serde_json::from_slice(&bytes)
            .map_err(|error| LaunchError::Corrupt { path, what: error.to_string() })?;
        Ok(this)
    }

    /// The fixtures, in the order in which they are asked.
    ///
    /// # Errors
    /// One is not the one that the journal names.
    pub fn fixtures(&self) -> Result<Vec<PathBuf>, LaunchError> {
        let names = self.digests.keys().filter(|name| name.starts_with(FIXTURE));
        Ok(names.map(|name| self.file(name)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// A frozen file; none if it has none of that name.
    ///
    /// # Errors
    /// It is not the one that the journal names.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>, LaunchError> {
        let Some(expected) = self.digests.get(name) else { return Ok(None) };
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).map_err(|source| LaunchError::File {
            verb: "read",
            path: path.clone(),
            source,
        })?;
        let found = Hash::of(&bytes).to_string();
        if *expected != found {
            let what = format!("not the file that the journal names: its SHA-256 is {found}");
            return Err(LaunchError::Corrupt { path, what });
        }
        Ok(Some(path))
    }
}

/// The digests of the files of a plan, as the first entry has them.
pub(super) fn digests(entries: &[Entry]) -> BTreeMap<String, String> {
    let events = entries.iter().take(1).flat_map(|entry| &entry.events);
    let mut plan = events.filter_map(|event| match &event.fact {
        Fact::RunStarted { plan, .. } => Some(plan.clone()),
        _ => None,
    });
    plan.next().unwrap_or_default()
}
