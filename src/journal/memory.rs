//! The journal in memory, for the simulator: the same append, the same losses, no disk.
//!
//! By default it keeps entries alone, without hashing or salting anything, so that thousands of runs are cheap; with
//! [`Memory::hashed`] it writes real lines. A fault is armed for the next append, which then fails; [`Memory::reopen`]
//! gives what a later process would find.

use super::chain::Chain;
use super::entry::{Encoded, Entry, Pending};
use super::error::JournalError;
use super::file::Torn;
use super::salt::SeededSalt;
use super::tree::{Hash, Tree};
use crate::clock::Timestamp;

/// How the next append fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryFault {
    /// The disk refuses: nothing of the batch is kept.
    Refused,
    /// The process dies while it writes: so many entries of the batch are kept, and with `torn` half of the next one
    /// is found behind them. Keeping all of them is a death after the sync.
    Died { kept: usize, torn: bool },
}

#[derive(Debug, Clone)]
pub struct Memory {
    run: String,
    entries: Vec<Entry>,
    hashed: Option<Hashed>,
    fault: Option<MemoryFault>,
    broken: bool,
    torn: Option<Torn>,
}

#[derive(Debug, Clone)]
struct Hashed {
    chain: Chain,
    salt: SeededSalt,
    lines: Vec<Encoded>,
}

impl Memory {
    /// Keeps entries alone.
    pub fn plain(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            entries: Vec::new(),
            hashed: None,
            fault: None,
            broken: false,
            torn: None,
        }
    }

    /// Writes lines as a file would, with salts from `seed`.
    pub fn hashed(run: &str, seed: u64) -> Self {
        let hashed = Hashed { chain: Chain::new(run), salt: SeededSalt::new(seed), lines: Vec::new() };
        Self { hashed: Some(hashed), ..Self::plain(run) }
    }

    /// The next append fails like this.
    pub fn arm(&mut self, fault: MemoryFault) {
        self.fault = Some(fault);
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Lines and disclosures, where it was asked to write them.
    pub fn lines(&self) -> &[Encoded] {
        self.hashed.as_ref().map_or(&[], |hashed| &hashed.lines)
    }

    /// The tree over the lines, where it was asked to write them.
    pub fn tree(&self) -> Option<&Tree> {
        self.hashed.as_ref().map(|hashed| hashed.chain.tree())
    }

    /// What the next process finds: the entries that were kept, and what was set aside behind them.
    pub fn reopen(&mut self) -> (&[Entry], Option<Torn>) {
        self.broken = false;
        self.fault = None;
        (&self.entries, self.torn.take())
    }

    fn keep(&mut self, pending: Pending) -> Result<(), JournalError> {
        let entry = match &mut self.hashed {
            Some(hashed) => {
                let (entry, encoded) = hashed.chain.write(pending, &mut hashed.salt)?;
                hashed.chain.push(&entry, encoded.leaf);
                hashed.lines.push(encoded);
                entry
            }
            None => Entry {
                seq: self.entries.len() as u64,
                at: pending
                    .at
                    .max(self.entries.last().map_or(Timestamp::from_millis(i64::MIN), |last| last.at)),
                mono: pending.mono,
                run: self.run.clone(),
                prev: Hash::ZERO,
                nonce: [0; 16],
                next_key: None,
                events: pending.events,
            },
        };
        self.entries.push(entry);
        Ok(())
    }
}

impl super::Append for Memory {
    fn append(&mut self, batch: Vec<Pending>) -> Result<Vec<Entry>, JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let first = self.entries.len();
        let (kept, torn) = match self.fault {
            None => (batch.len(), false),
            Some(MemoryFault::Refused) => (0, false),
            Some(MemoryFault::Died { kept, torn }) => (kept.min(batch.len()), torn && kept < batch.len()),
        };
        for pending in batch.into_iter().take(kept) {
            self.keep(pending)?;
        }
        if self.fault.take().is_some() {
            self.broken = true;
            let end = format!("half an entry behind {}", self.entries.len());
            self.torn =
                torn.then(|| Torn { bytes: end.len() as u64, sha256: Hash::of(end.as_bytes()).to_string() });
            return Err(JournalError::Broken);
        }
        Ok(self.entries[first..].to_vec())
    }

    fn size(&self) -> u64 {
        self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::Append;
    use super::super::entry::tests::pending;
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_lost_is_lost_from_the_end_of_the_batch() {
        for (fault, found, torn) in [
            (MemoryFault::Refused, 2, false),
            (MemoryFault::Died { kept: 0, torn: true }, 2, true),
            (MemoryFault::Died { kept: 1, torn: false }, 3, false),
            (MemoryFault::Died { kept: 2, torn: true }, 4, false),
        ] {
            for mut memory in [Memory::plain("r"), Memory::hashed("r", 1)] {
                memory.append(vec![pending(1), pending(2)]).unwrap();
                memory.arm(fault);
                assert!(memory.append(vec![pending(3), pending(4)]).is_err());
                assert!(matches!(memory.append(vec![pending(5)]), Err(JournalError::Broken)));
                let (entries, set_aside) = memory.reopen();
                assert_eq!((entries.len(), set_aside.is_some()), (found, torn), "{fault:?}");
                assert!(entries.iter().enumerate().all(|(i, e)| e.seq == i as u64));
                assert_eq!(memory.append(vec![pending(6)]).unwrap()[0].seq, found as u64);
                assert!(memory.lines().len() == memory.entries().len() || memory.tree().is_none());
            }
        }
    }

    /// 10,000 runs of 50 entries must fit in tens of seconds; this is a twentieth of that.
    #[test]
    fn plain_memory_is_cheap() {
        let start = Instant::now();
        for _ in 0..500 {
            let mut memory = Memory::plain("r");
            for at in 0..50 {
                memory.append(vec![pending(at)]).unwrap();
            }
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
