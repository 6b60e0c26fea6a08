//! The ledger of a home directory: one line at the start and one at the end of every run, one for each target that
//! was taken away from a run, and one for each review of a gate that was opened alone, chained.
//!
//! A run that was deleted, or whose end was cut off, still stands here; the last line's hash, kept elsewhere, makes
//! the ledger itself answer for its own end. Appended under a lock; half a line left by a crash is moved aside.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::note::TreeHead;
use super::place::Malformed;
use crate::clock::Timestamp;
use crate::journal::{Hash, JournalError, canonical, file::lines_of, files, leaf_hash, parse_canonical};
use crate::plan::Mode;

pub const LEDGER: &str = "ledger.jsonl";
const TORN: &str = "ledger.torn";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    Start,
    End,
    /// A target was taken away from the run.
    Unlocked,
    /// Somebody has looked at a gate that was opened alone.
    Reviewed,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    v: u32,
    pub seq: u64,
    /// Leaf hash of the line before.
    prev: String,
    pub at: Timestamp,
    pub moment: Moment,
    pub run: String,
    pub runbook: String,
    pub mode: Mode,
    /// Directory of the run.
    pub dir: PathBuf,
    /// Size and root of the run's journal then.
    pub size: u64,
    pub root: String,
    /// At the end: how it ended.
    pub status: Option<String>,
    /// For a target that was taken away: which, by whom, why. For a review: of which gate, by whom, what and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is to be said about a run.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub moment: Moment,
    pub runbook: &'a str,
    pub mode: Mode,
    pub dir: &'a Path,
    pub status: Option<&'a str>,
    pub note: Option<&'a str>,
}

/// Something that the ledger and the runs do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discord {
    /// A run that has no directory any more.
    Gone { run: String, dir: PathBuf },
    /// A run that has started and not ended.
    Open { run: String, dir: PathBuf },
}

#[derive(Debug, Clone)]
pub struct Ledger {
    home: PathBuf,
}

impl Ledger {
    pub fn of(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.home.join(LEDGER)
    }

    /// Appends a line; start and end of a run are said once.
    ///
    /// # Errors
    /// The ledger is damaged, or cannot be written.
    pub fn append(
        &self,
        at: Timestamp,
        run: &str,
        head: &TreeHead,
        about: About<'_>,
    ) -> Result<(), JournalError> {
        files::make_dir(&self.home)?;
        let path = self.path();
        let mut out = files::append_to(&path)?;
        flock(&out, FlockOperation::LockExclusive).map_err(|e| JournalError::io("lock", &path)(e.into()))?;
        let bytes = files::read_at_most(&path, usize::MAX).map_err(JournalError::io("read", &path))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            let mut torn = files::append_to(&self.home.join(TORN))?;
            let kept = torn.write_all(&bytes[whole..]).and_then(|()| torn.sync_all());
            kept.and_then(|()| out.set_len(whole as u64)).map_err(JournalError::io("cut", &path))?;
        }
        let (lines, prev) = self.parse(&bytes[..whole])?;
        let once = matches!(about.moment, Moment::Start | Moment::End);
        if once && lines.iter().any(|line| line.run == run && line.moment == about.moment) {
            return Ok(());
        }
        let line = Line {
            v: 1,
            seq: lines.len() as u64,
            prev: prev.to_string(),
            at,
            moment: about.moment,
            run: run.to_owned(),
            runbook: about.runbook.to_owned(),
            mode: about.mode,
            dir: about.dir.to_owned(),
            size: head.size,
            root: head.root_base64(),
            status: about.status.map(str::to_owned),
            note: about.note.map(str::to_owned),
        };
        let text = canonical(&line)? + "\n";
        let written = out.write_all(text.as_bytes()).and_then(|()| out.sync_all());
        written.map_err(JournalError::io("write", &path))?;
        files::sync_dir(&self.home)
    }

    /// All lines; half a line at the end is passed over.
    ///
    /// # Errors
    /// The ledger is damaged.
    pub fn lines(&self) -> Result<Vec<Line>, JournalError> {
        let bytes = files::read_if_there(&self.path())?.unwrap_or_default();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        Ok(self.parse(&bytes[..whole])?.0)
    }

    /// Reads the chain and looks for every run.
    ///
    /// # Errors
    /// The ledger is damaged.
    pub fn check(&self) -> Result<Vec<Discord>, JournalError> {
        let mut runs: BTreeMap<String, (PathBuf, bool)> = BTreeMap::new();
        for line in self.lines()? {
            let known = runs.entry(line.run).or_insert((line.dir, false));
            known.1 |= line.moment == Moment::End;
        }
        let mut found = Vec::new();
        for (run, (dir, ended)) in runs {
            if !dir.exists() {
                found.push(Discord::Gone { run, dir });
            } else if !ended {
                found.push(Discord::Open { run, dir });
            }
        }
        Ok(found)
    }

    fn parse(&self, bytes: &[u8]) -> Result<(Vec<Line>, Hash), JournalError> {
        let (mut lines, mut prev) = (Vec::new(), Hash::ZERO);
        for (number, (offset, bytes)) in lines_of(bytes).enumerate() {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let damaged = |what: String, at: usize| {
                JournalError::damaged(&self.path(), Malformed { line: number + 1, offset: offset + at, what })
            };
            let value = parse_canonical(bytes).map_err(|e| damaged(e.what.to_string(), e.offset))?;
            let line: Line = serde_json::from_value(value)
                .map_err(|e| damaged(format!("not a line of a ledger: {e}"), 0))?;
            if line.v != 1 {
                return Err(damaged(format!("a line of version {}, expected 1", line.v), 0));
            }
            if line.seq != number as u64 || line.prev != prev.to_string() {
                return Err(damaged("it does not follow the line before".to_owned(), 0));
            }
            prev = leaf_hash(bytes);
            lines.push(line);
        }
        Ok((lines, prev))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(ledger: &Ledger, run: &str, moment: Moment) {
        let dir = ledger.home.join("runs").join(run);
        let head = TreeHead { origin: "x".into(), size: 1, root: Hash::ZERO };
        let about = About { moment, runbook: "leak", mode: Mode::Live, dir: &dir, status: None, note: None };
        ledger.append(Timestamp::default(), run, &head, about).unwrap();
    }

    #[test]
    fn a_deleted_run_is_missed() {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(home.path());
        for run in ["r1", "r2", "r3"] {
            std::fs::create_dir_all(home.path().join("runs").join(run)).unwrap();
            say(&ledger, run, Moment::Start);
        }
        say(&ledger, "r1", Moment::End);
        say(&ledger, "r1", Moment::End);
        assert_eq!(ledger.lines().unwrap().len(), 4, "the same moment is said once");
        std::fs::remove_dir(home.path().join("runs/r2")).unwrap();
        let dir = |run: &str| home.path().join("runs").join(run);
        assert_eq!(
            ledger.check().unwrap(),
            [
                Discord::Gone { run: "r2".into(), dir: dir("r2") },
                Discord::Open { run: "r3".into(), dir: dir("r3") }
            ]
        );
    }

    #[test]
    fn half_a_line_is_moved_aside_and_any_other_change_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(home.path());
        say(&ledger, "r1", Moment::Start);
        say(&ledger, "r2", Moment::Start);
        let path = home.path().join(LEDGER);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&good[..], b"{\"at\":"].concat()).unwrap();
        assert_eq!(ledger.lines().unwrap().len(), 2);
        say(&ledger, "r3", Moment::Start);
        assert_eq!(ledger.lines().unwrap().len(), 3);
        assert_eq!(std::fs::read(home.path().join(TORN)).unwrap(), b"{\"at\":");
        for at in 0..good.len() / 2 {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(
                ledger.lines().unwrap_err().to_string().contains("ledger.jsonl is damaged: line "),
                "byte {at}"
            );
        }
        let first = good.iter().position(|b| *b == b'\n').unwrap() + 1;
        std::fs::write(&path, &good[first..]).unwrap();
        assert!(ledger.lines().unwrap_err().to_string().contains("does not follow"));
    }
}
