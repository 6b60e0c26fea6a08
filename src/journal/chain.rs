//! The chain: lines that follow each other, all of one run, each with the hash of the one before.
//!
//! Owns where a journal stands (how many lines, the last hash, the tree) and what may come next. Writer, reader and
//! verifier use the same one.

use super::entry::{Disclosed, Encoded, Entry, Parsed, Pending};
use super::error::JournalError;
use super::place::Malformed;
use super::salt::Salt;
use super::tree::{Hash, Tree};
use crate::clock::Timestamp;

#[derive(Debug, Clone)]
pub struct Chain {
    run: String,
    prev: Hash,
    at: Timestamp,
    tree: Tree,
}

impl Chain {
    pub fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            prev: Hash::ZERO,
            at: Timestamp::from_millis(i64::MIN),
            tree: Tree::new(),
        }
    }

    /// For a reader: the first line says which run it is.
    pub fn of_any_run() -> Self {
        Self::new("")
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn size(&self) -> u64 {
        self.tree.size() as u64
    }

    /// The entry that comes next, written.
    ///
    /// # Errors
    /// See [`Entry::encode`].
    pub fn write(&self, pending: Pending, salt: &mut dyn Salt) -> Result<(Entry, Encoded), JournalError> {
        let entry = Entry {
            seq: self.size(),
            at: pending.at.max(self.at),
            mono: pending.mono,
            run: self.run.clone(),
            prev: self.prev,
            nonce: salt.next().map_err(JournalError::Random)?,
            next_key: None,
            events: pending.events,
        };
        let encoded = entry.encode(salt)?;
        Ok((entry, encoded))
    }

    /// Takes in what [`Chain::write`] made.
    pub(super) fn push(&mut self, entry: &Entry, leaf: Hash) {
        self.prev = leaf;
        self.at = entry.at;
        self.tree.push(leaf);
    }

    /// Reads the line that comes next, and takes it in. Bytes in the error count from its start.
    ///
    /// # Errors
    /// It is not an entry, or not the one that comes next.
    pub fn read(&mut self, line: &[u8], disclosed: &Disclosed) -> Result<Parsed, Malformed> {
        let parsed = Entry::parse(line, disclosed)?;
        let entry = &parsed.entry;
        let wrong = |what: String| Err(Malformed::start(what));
        if entry.seq != self.size() {
            return wrong(format!("found entry {}, expected entry {}", entry.seq, self.size()));
        }
        if self.run.is_empty() && entry.seq == 0 && !entry.run.is_empty() {
            self.run.clone_from(&entry.run);
        }
        if entry.run != self.run {
            return wrong(format!("an entry of run {:?}, expected {:?}", entry.run, self.run));
        }
        if entry.prev != self.prev {
            return wrong(format!("`prev` is {}, but the line before hashes to {}", entry.prev, self.prev));
        }
        if entry.at < self.at {
            return wrong(format!("written at {}, before the entry in front of it", entry.at));
        }
        self.push(entry, parsed.leaf);
        Ok(parsed)
    }
}
