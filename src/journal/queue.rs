//! The queue in front of targets: which runs wait for which of them, in which order.
//!
//! A waiting run is a file below `$CONSIGNE_HOME/queue`, called `NUMBER.RUN`. The process that waits holds a `flock` on
//! it from before the file has its name until it leaves, so a file that can be locked belongs to nobody alive and is
//! taken away by whoever comes across it. Owns the order and nothing else: taking a target is `lock`'s.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::files;
use super::lock::LockError;
use crate::ownership;

/// A run that has not begun: what it waits for, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    pub run: String,
    pub runbook: String,
    pub starter: String,
    pub since: String,
    pub pid: u32,
    pub targets: Vec<String>,
}

impl Waiting {
    /// The first target that both want.
    pub fn shares(&self, targets: &[String]) -> Option<&String> {
        self.targets.iter().find(|target| targets.contains(target))
    }
}

/// A place in the queue, for as long as it is kept.
#[derive(Debug)]
pub struct Ticket {
    pub number: u64,
    path: PathBuf,
    _held: File,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whoever finds it later sees that nobody holds it.
        let _best_effort = files::remove(&self.path);
    }
}

/// The queue of one home directory.
#[derive(Debug, Clone)]
pub struct Queue {
    dir: PathBuf,
}

impl Queue {
    pub fn of(home: &Path) -> Self {
        Self { dir: home.join("queue") }
    }

    /// Where the places are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The last place.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn enter(&self, waiting: &Waiting) -> Result<Ticket, LockError> {
        files::make_dir(&self.dir)?;
        // Two that come at once are numbered one after the other; the folder itself is what they meet at.
        let gate = File::open(&self.dir).map_err(LockError::io("open", &self.dir))?;
        flock(&gate, FlockOperation::LockExclusive)
            .map_err(|e| LockError::io("lock", &self.dir)(e.into()))?;
        let number = self.numbers()?.last().map_or(1, |(last, _)| last + 1);
        let path = self.dir.join(format!("{number:08}.{}", waiting.run));
        let fail = LockError::io("write", &path);
        let text = serde_json::json!(waiting).to_string();
        let written = || -> io::Result<File> {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
            ownership::hand_over(file.as_file(), &self.dir)?;
            file.write_all(text.as_bytes())?;
            flock(file.as_file(), FlockOperation::NonBlockingLockExclusive)?;
            file.persist_noclobber(&path).map_err(|e| e.error)
        };
        let held = written().map_err(fail)?;
        Ok(Ticket { number, path, _held: held })
    }

    /// Who waits, first come first.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn all(&self) -> Result<Vec<(u64, Waiting)>, LockError> {
        let mut all = Vec::new();
        for (number, path) in self.numbers()? {
            let Some(file) = opened(&path)? else { continue };
            if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                // Nobody holds it any more. Somebody who may only look leaves it.
                let _best_effort = files::remove(&path);
                continue;
            }
            let Some(bytes) = files::read_if_there(&path)? else { continue };
            let waiting =
                serde_json::from_slice(&bytes).map_err(|e| LockError::io("read", &path)(e.into()))?;
            all.push((number, waiting));
        }
        Ok(all)
    }

    /// Those with a place before `number` who want one of `targets`.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn ahead(&self, targets: &[String], number: u64) -> Result<Vec<Waiting>, LockError> {
        let mut ahead = self.all()?;
        ahead.retain(|(other, waiting)| *other < number && waiting.shares(targets).is_some());
        Ok(ahead.into_iter().map(|(_, waiting)| waiting).collect())
    }

    fn numbers(&self) -> Result<Vec<(u64, PathBuf)>, LockError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(LockError::io("list", &self.dir)(e)),
        };
        let numbered = |path: PathBuf| {
            let number = path.file_name()?.to_str()?.split_once('.')?.0.parse().ok()?;
            Some((number, path))
        };
        let mut all: Vec<_> = entries.flatten().filter_map(|entry| numbered(entry.path())).collect();
        all.sort();
        Ok(all)
    }
}

/// None if it has gone.
fn opened(path: &Path) -> Result<Option<File>, LockError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(LockError::io("open", path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(run: &str, targets: &[&str]) -> Waiting {
        Waiting {
            run: run.to_owned(),
            runbook: "r".to_owned(),
            starter: "alice".to_owned(),
            since: "1970-01-01T00:00:00.000Z".to_owned(),
            pid: 1,
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        }
    }

    #[test]
    fn a_place_is_kept_as_long_as_its_ticket() {
        let home = tempfile::tempdir().unwrap();
        let queue = Queue::of(home.path());
        assert_eq!(queue.all().unwrap(), []);
        let first = queue.enter(&waiting("one", &["a", "b"])).unwrap();
        let second = queue.enter(&waiting("two", &["c"])).unwrap();
        let third = queue.enter(&waiting("three", &["b", "c"])).unwrap();
        let runs = |list: Vec<Waiting>| list.into_iter().map(|one| one.run).collect::<Vec<_>>();
        assert_eq!(
            runs(queue.ahead(&["b".to_owned(), "c".to_owned()], third.number).unwrap()),
            ["one", "two"]
        );
        assert_eq!(runs(queue.ahead(&["c".to_owned()], second.number).unwrap()), [""; 0]);
        drop(second);
        assert_eq!(runs(queue.ahead(&["b".to_owned(), "c".to_owned()], third.number).unwrap()), ["one"]);
        drop(first);
        let order: Vec<u64> = queue.all().unwrap().into_iter().map(|(number, _)| number).collect();
        assert_eq!(order, [third.number]);
    }

    #[test]
    fn what_nobody_holds_is_taken_away() {
        let home = tempfile::tempdir().unwrap();
        let queue = Queue::of(home.path());
        let _living = queue.enter(&waiting("two", &["a"])).unwrap();
        // As a process leaves it that was killed.
        let left = queue.dir().join("00000000.one");
        std::fs::write(&left, serde_json::json!(waiting("one", &["a"])).to_string()).unwrap();
        assert_eq!(queue.all().unwrap().len(), 1);
        assert!(!left.exists());
    }
}
