//! Verifying a record: offline, without the runbook, trusting nothing in the directory but what the reader's own keys
//! vouch for.
//!
//! Owns the verdicts. INTEGRITY: these are the bytes that were signed, and they tell a legal history. COMPLETENESS: the
//! history has its end. AUTHORISATION: the keys are trusted, and who opened a gate was entitled to. One never hides
//! another, and every finding names its file, line and byte where it has them. It repairs nothing.

mod certificate;
mod files;
mod gates;
mod limits;
mod lines;
mod seal;
mod simulated;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::history::History;
use super::layout;
use super::place::Malformed;
use super::trust::Trust;
use crate::core::RunStatus;
use crate::journal::JournalError;
use crate::plan::Mode;

/// What the reader expects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Absent: whatever the record says it is.
    pub expected: Option<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    Integrity,
    Completeness,
    Authorisation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    Intact,
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// Sealed, and nothing is missing.
    Complete,
    /// It has no end: it could have been cut short.
    Unfinished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authorisation {
    /// No gate needed anybody.
    NotNeeded,
    /// Everybody signed with a key of their own.
    Personal,
    /// For some decisions the executor alone vouches.
    AttestedByExecutor,
    /// Some approval texts are held back.
    Withheld,
    /// The history could not be read.
    NotChecked,
    Failed,
}

/// Whether the report was made again and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportCheck {
    Same,
    /// Made by another version of the templates, or there is none.
    NotCompared,
    Differs,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub aspect: Aspect,
    /// Otherwise it is only worth knowing.
    pub failure: bool,
    pub file: String,
    pub line: Option<usize>,
    pub offset: Option<usize>,
    pub what: String,
}

/// What was found out about a record.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    pub run: String,
    pub runbook: String,
    pub mode: Option<Mode>,
    pub status: Option<RunStatus>,
    pub lines: u64,
    /// Root over all lines, in base64, for comparing with a copy kept elsewhere.
    pub root: String,
    pub integrity: Integrity,
    pub completeness: Completeness,
    pub authorisation: Authorisation,
    pub report: ReportCheck,
    /// Times that a torn end of the journal was set aside.
    pub recoveries: usize,
    pub hidden: usize,
    pub disclosed: usize,
    /// Names of fields that are not disclosed, and how many of each.
    pub withheld: BTreeMap<String, usize>,
    pub findings: Vec<Finding>,
}

/// All verdicts in one word: what an exit code is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overall {
    Verified,
    /// Intact as far as it goes.
    Unfinished,
    Failed,
}

impl Verification {
    pub fn overall(&self) -> Overall {
        if self.integrity == Integrity::Broken || self.findings.iter().any(|f| f.failure) {
            Overall::Failed
        } else if self.completeness == Completeness::Unfinished {
            Overall::Unfinished
        } else {
            Overall::Verified
        }
    }

    pub fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.failure)
    }
}

/// `file, line 3, byte 71: what`
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Verifies the record, or the unfinished run, in `dir`.
///
/// # Errors
/// The directory holds no journal, or a file in it cannot be read.
pub fn verify(dir: &Path, trust: &Trust, options: Options) -> Result<Verification, JournalError> {
    let mut checker = Checker { dir, trust, findings: Vec::new() };
    let read = lines::read(&mut checker)?;
    let story = lines::fold(&mut checker, &read)?;
    let heads = lines::heads(&mut checker, &read)?;
    let names = heads.names();
    let authorisation = match &story {
        Some(story) => gates::check(&mut checker, &read, story, &heads)?,
        None => Authorisation::NotChecked,
    };
    let report = seal::check(&mut checker, &read, story.as_ref().map(|s| &s.public), &heads)?;
    files::check(&mut checker, &read, story.as_ref().map(|s| &s.public))?;
    if let Some(story) = &story {
        certificate::check(&mut checker, &story.public, names)?;
        simulated::check(&mut checker, &story.public);
    }
    let mode = story.as_ref().map(|story| story.public.graph().mode);
    if mode == Some(Mode::Rehearsal) {
        let what = "the key of rehearsals is no secret: this shows that the files belong together, not who made them";
        checker.note(Aspect::Authorisation, layout::SEAL, what);
    }
    if let (Some(expected), Some(mode)) = (options.expected, mode)
        && expected != mode
    {
        let what = format!("this is a {} record, expected a {} one", mode.name(), expected.name());
        checker.fail(Aspect::Authorisation, crate::journal::file::EVENTS, Some(1), what);
    }
    let completeness = lines::completeness(&mut checker, &read, story.as_ref(), &heads)?;
    if names.is_none() && !read.entries.is_empty() {
        checker.note(Aspect::Completeness, layout::HEADS, "no tree head: nobody has signed any of this");
    }
    Ok(conclude(checker, &read, story.as_ref().map(|s| &s.public), (completeness, authorisation, report)))
}

fn conclude(
    checker: Checker<'_>,
    read: &lines::Read,
    history: Option<&History>,
    (completeness, authorisation, report): (Completeness, Authorisation, ReportCheck),
) -> Verification {
    let failed = |aspect| checker.findings.iter().any(|f: &Finding| f.failure && f.aspect == aspect);
    let mut withheld = BTreeMap::new();
    for commitment in read.commitments.iter().filter(|c| !read.opened.contains(&c.digest)) {
        *withheld.entry(commitment.name.clone()).or_default() += 1;
    }
    Verification {
        run: read.chain.run().to_owned(),
        runbook: history.map(|h| h.graph().runbook.clone()).unwrap_or_default(),
        mode: history.map(|h| h.graph().mode),
        status: history.map(|h| h.state.status()),
        lines: read.chain.size(),
        root: super::encoding::base64(read.chain.tree().root().as_bytes()),
        integrity: if failed(Aspect::Integrity) { Integrity::Broken } else { Integrity::Intact },
        completeness,
        authorisation: if failed(Aspect::Authorisation) { Authorisation::Failed } else { authorisation },
        report,
        recoveries: history.map_or(0, History::recoveries),
        hidden: read.commitments.len(),
        disclosed: read.opened.len(),
        withheld,
        findings: checker.findings,
    }
}

/// Collects findings while the directory is read.
struct Checker<'a> {
    dir: &'a Path,
    trust: &'a Trust,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    /// A file of the record; none if it is not there. What is no plain file is not read: a pipe has no end, and a link
    /// leads out of the record.
    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let path = self.dir.join(name);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => {
                self.broken(name, "neither a file nor missing, expected a plain file");
                Ok(None)
            }
            _ => crate::journal::files::read_if_there(&path),
        }
    }

    fn fail(&mut self, aspect: Aspect, file: &str, line: Option<usize>, what: impl Into<String>) {
        let (file, what) = (file.to_owned(), what.into());
        self.findings.push(Finding { aspect, failure: true, file, line, offset: None, what });
    }

    fn broken(&mut self, file: &str, what: impl Into<String>) {
        self.fail(Aspect::Integrity, file, None, what);
    }

    fn malformed(&mut self, file: &str, malformed: Malformed) {
        let Malformed { line, offset, what } = malformed;
        self.findings.push(Finding {
            aspect: Aspect::Integrity,
            failure: true,
            file: file.to_owned(),
            line: Some(line),
            offset: Some(offset),
            what,
        });
    }

    fn note(&mut self, aspect: Aspect, file: &str, what: impl Into<String>) {
        let (file, what) = (file.to_owned(), what.into());
        self.findings.push(Finding { aspect, failure: false, file, line: None, offset: None, what });
    }
}
