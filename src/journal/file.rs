//! The journal in files, for one writer that holds the run's lock.
//!
//! While the run lives, truth is `wal.jsonl`: one record a line, `{line, open}`, one sync per batch. `events.jsonl` and
//! `disclosures.jsonl` are appended from it without a sync, so that stock tools can read along, and are made from it
//! again whenever they disagree. Once sealed, those two are the journal and the log is removed. A torn last record is
//! moved to `quarantine/` and reported; damage anywhere else is refused with its place, never repaired.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::disclosure::{Commitment, Disclosure, open as open_disclosures, parse_disclosures};
use super::entry::{Disclosed, Encoded, Entry, Pending};
use super::error::JournalError;
use super::files;
use super::place::Malformed;
use super::salt::{Salt, SystemSalt};
use super::tree::{Hash, Tree};
use crate::ownership;

pub const WAL: &str = "wal.jsonl";
pub const EVENTS: &str = "events.jsonl";
pub const DISCLOSURES: &str = "disclosures.jsonl";
pub const QUARANTINE: &str = "quarantine";

/// What was found behind the last whole record, now in `quarantine/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// A journal that was there before.
pub struct Opened {
    pub journal: Journal,
    pub entries: Vec<Entry>,
    pub recovered: Option<Torn>,
}

pub struct Journal {
    dir: PathBuf,
    /// Gone once sealed.
    wal: Option<File>,
    wal_len: u64,
    events: File,
    disclosures: File,
    /// The public files lag behind the log, or hold half a line.
    stale: bool,
    broken: bool,
    /// Appending does not wait for the disk.
    relaxed: bool,
    chain: Chain,
    salt: Box<dyn Salt>,
}

/// One line of the log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    line: String,
    open: Vec<String>,
}

/// A journal as a reader finds it.
pub struct Recorded {
    pub chain: Chain,
    pub entries: Vec<Entry>,
    /// Every hidden field, disclosed or not.
    pub commitments: Vec<Commitment>,
}

/// What a log or the public files hold.
struct Contents {
    chain: Chain,
    entries: Vec<Entry>,
    commitments: Vec<Commitment>,
    events: Vec<u8>,
    disclosures: Vec<u8>,
    /// Bytes of the log that are whole records.
    good: u64,
    torn: Vec<u8>,
}

impl Journal {
    /// # Errors
    /// There is a journal already, or the files cannot be made.
    pub fn create(dir: &Path, run: &str) -> Result<Self, JournalError> {
        files::make_dir(dir)?;
        for name in [EVENTS, WAL] {
            let path = dir.join(name);
            if path.exists() {
                return Err(JournalError::Exists { path });
            }
        }
        let wal_path = dir.join(WAL);
        let mut options = OpenOptions::new();
        options.append(true).read(true).create_new(true);
        let wal = ownership::open(&mut options, &wal_path).map_err(JournalError::io("create", &wal_path))?;
        let journal = Self::with(dir, Some(wal), 0, Chain::new(run))?;
        files::sync_dir(dir)?;
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            files::sync_dir(above)?;
        }
        Ok(journal)
    }

    /// Opens it for writing. The caller holds the run's lock.
    ///
    /// # Errors
    /// There is none, or it is damaged elsewhere than at its very end.
    pub fn open(dir: &Path) -> Result<Opened, JournalError> {
        let path = dir.join(WAL);
        let Some(bytes) = files::read_if_there(&path)? else { return Self::open_sealed(dir) };
        let contents = read_log(&path, &bytes, dir)?;
        refuse_changed_log(dir, &contents.events)?;
        let wal = files::append_to(&path)?;
        let recovered = set_aside(dir, &path, &wal, &contents)?;
        let Contents { chain, entries, good, .. } = contents;
        let mut journal = Self::with(dir, Some(wal), good, chain)?;
        let differs = |name: &str, bytes: &[u8]| -> Result<bool, JournalError> {
            Ok(files::read_if_there(&dir.join(name))?.as_deref() != Some(bytes))
        };
        if differs(EVENTS, &contents.events)? || differs(DISCLOSURES, &contents.disclosures)? {
            journal.rewrite(&contents.events, &contents.disclosures)?;
        }
        Ok(Opened { journal, entries, recovered })
    }

    /// The entries, changing nothing: for readers without the run's lock. A torn end is passed over.
    ///
    /// # Errors
    /// As for [`Journal::open`].
    pub fn read(dir: &Path) -> Result<Vec<Entry>, JournalError> {
        Ok(Self::read_all(dir)?.entries)
    }

    /// As [`Journal::read`], with the chain and what is hidden.
    ///
    /// # Errors
    /// As for [`Journal::open`].
    pub fn read_all(dir: &Path) -> Result<Recorded, JournalError> {
        let path = dir.join(WAL);
        let contents = match files::read_if_there(&path)? {
            Some(bytes) => read_log(&path, &bytes, dir)?,
            None => read_public(dir)?,
        };
        let Contents { chain, entries, commitments, .. } = contents;
        Ok(Recorded { chain, entries, commitments })
    }

    /// The last whole entry, unread but for itself. The caller has opened the journal before, and holds its lock.
    ///
    /// # Errors
    /// There is no journal, or its last whole line is no entry.
    pub fn last(dir: &Path) -> Result<Option<Entry>, JournalError> {
        let (mut path, mut bytes) = (dir.join(WAL), files::read_if_there(&dir.join(WAL))?);
        let live = bytes.is_some();
        if !live {
            path = dir.join(EVENTS);
            bytes = files::read_if_there(&path)?;
        }
        let bytes = bytes.ok_or_else(|| JournalError::Missing { path: dir.to_owned() })?;
        let Some((number, (offset, line))) =
            lines_of(&bytes).filter(|(_, line)| line.ends_with(b"\n")).enumerate().last()
        else {
            return Ok(None);
        };
        let line = &line[..line.len() - 1];
        let parsed = if live {
            serde_json::from_slice::<Record>(line)
                .map_err(|_| Malformed::start("not a record of the log"))
                .and_then(|record| Entry::parse(record.line.as_bytes(), &Disclosed::new()))
        } else {
            Entry::parse(line, &Disclosed::new())
        };
        let place = |e: Malformed| Malformed { line: number + 1, offset: offset + e.offset, what: e.what };
        Ok(Some(parsed.map_err(|e| JournalError::damaged(&path, place(e)))?.entry))
    }

    fn open_sealed(dir: &Path) -> Result<Opened, JournalError> {
        let contents = read_public(dir)?;
        let journal = Self::with(dir, None, 0, contents.chain)?;
        Ok(Opened { journal, entries: contents.entries, recovered: None })
    }

    fn with(dir: &Path, wal: Option<File>, wal_len: u64, chain: Chain) -> Result<Self, JournalError> {
        let events = files::append_to(&dir.join(EVENTS))?;
        let disclosures = files::append_to(&dir.join(DISCLOSURES))?;
        let dir = dir.to_owned();
        let salt = Box::new(SystemSalt);
        Ok(Self {
            dir,
            wal,
            wal_len,
            events,
            disclosures,
            stale: false,
            broken: false,
            relaxed: false,
            chain,
            salt,
        })
    }

    /// Draws salts and nonces from elsewhere: for rehearsals and tests.
    #[must_use]
    pub fn salted(mut self, salt: Box<dyn Salt>) -> Self {
        self.salt = salt;
        self
    }

    /// Appends without waiting for the disk, as long as no tree head is signed: for rehearsals, which do nothing that
    /// could be lost. Whatever crash comes, such a run is made again.
    #[must_use]
    pub fn relaxed(mut self) -> Self {
        self.relaxed = true;
        self
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn run(&self) -> &str {
        self.chain.run()
    }

    /// The tree over all lines so far.
    pub fn tree(&self) -> &Tree {
        self.chain.tree()
    }

    /// The log is gone: nothing can be appended any more.
    pub fn is_sealed(&self) -> bool {
        self.wal.is_none()
    }

    fn write_log(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let path = self.dir.join(WAL);
        let wal = self.wal.as_mut().ok_or(JournalError::Sealed)?;
        let written = wal.write_all(bytes).map_err(JournalError::io("write", &path));
        let relaxed = self.relaxed;
        let sync = |wal: &File| if relaxed { Ok(()) } else { wal.sync_data() };
        let synced = written.and_then(|()| sync(wal).map_err(JournalError::io("sync", &path)));
        if synced.is_err() {
            // Half a batch must not be found later; if this fails too, opening sets the rest aside.
            let _ = wal.set_len(self.wal_len).and_then(|()| wal.sync_data());
        } else {
            self.wal_len += bytes.len() as u64;
        }
        synced
    }

    /// Lets readers see what is on disk already. A failure here is made good by the next sync.
    fn publish(&mut self, batch: &[Encoded]) {
        if self.stale {
            return;
        }
        let (mut lines, mut open) = (String::new(), String::new());
        for encoded in batch {
            lines.extend([encoded.line.as_str(), "\n"]);
            encoded.open.iter().for_each(|disclosure| open.extend([disclosure.encoded(), "\n"]));
        }
        let opened = self.disclosures.write_all(open.as_bytes());
        self.stale = opened.and_then(|()| self.events.write_all(lines.as_bytes())).is_err();
    }

    /// `events.jsonl` and `disclosures.jsonl` are on disk: to be called before a tree head is signed.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn sync_public(&mut self) -> Result<(), JournalError> {
        if self.stale {
            let path = self.dir.join(WAL);
            let bytes = files::read_if_there(&path)?.ok_or(JournalError::Sealed)?;
            let contents = read_log(&path, &bytes, &self.dir)?;
            self.rewrite(&contents.events, &contents.disclosures)?;
        }
        self.disclosures.sync_data().map_err(JournalError::io("sync", &self.dir.join(DISCLOSURES)))?;
        self.events.sync_data().map_err(JournalError::io("sync", &self.dir.join(EVENTS)))
    }

    fn rewrite(&mut self, events: &[u8], disclosures: &[u8]) -> Result<(), JournalError> {
        files::write_whole(&self.dir.join(DISCLOSURES), disclosures)?;
        files::write_whole(&self.dir.join(EVENTS), events)?;
        self.disclosures = files::append_to(&self.dir.join(DISCLOSURES))?;
        self.events = files::append_to(&self.dir.join(EVENTS))?;
        self.stale = false;
        Ok(())
    }

    /// Removes the log: the record is complete. Doing it again changes nothing.
    ///
    /// # Errors
    /// The public files cannot be synced, or the log cannot be removed.
    pub fn finish(&mut self) -> Result<(), JournalError> {
        if self.wal.is_none() {
            return Ok(());
        }
        self.sync_public()?;
        files::remove(&self.dir.join(WAL))?;
        self.wal = None;
        files::sync_dir(&self.dir)
    }
}

impl super::Append for Journal {
    fn append(&mut self, batch: Vec<Pending>) -> Result<Vec<Entry>, JournalError> {
        if self.wal.is_none() {
            return Err(JournalError::Sealed);
        }
        // Set until the batch is on disk: the chain runs ahead of it.
        if std::mem::replace(&mut self.broken, true) {
            return Err(JournalError::Broken);
        }
        let (mut entries, mut encoded) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let mut bytes = Vec::new();
        for pending in batch {
            let (entry, written) = self.chain.write(pending, self.salt.as_mut())?;
            self.chain.push(&entry, written.leaf);
            bytes.extend_from_slice(record(&written).as_bytes());
            entries.push(entry);
            encoded.push(written);
        }
        if !entries.is_empty() {
            self.write_log(&bytes)?;
            self.publish(&encoded);
        }
        self.broken = false;
        Ok(entries)
    }

    fn size(&self) -> u64 {
        self.chain.size()
    }
}

fn record(encoded: &Encoded) -> String {
    let open = encoded.open.iter().map(|disclosure| disclosure.encoded().to_owned()).collect();
    let record = Record { line: encoded.line.clone(), open };
    let text = serde_json::to_string(&record).expect("strings have a JSON form");
    text + "\n"
}

/// Reads a log. Only its last line may be unreadable.
fn read_log(path: &Path, bytes: &[u8], dir: &Path) -> Result<Contents, JournalError> {
    let mut contents = Contents {
        chain: Chain::of_any_run(),
        entries: Vec::new(),
        commitments: Vec::new(),
        events: Vec::new(),
        disclosures: Vec::new(),
        good: 0,
        torn: Vec::new(),
    };
    let mut offset = 0;
    for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let last = offset + line.len() == bytes.len();
        match line.strip_suffix(b"\n").map(serde_json::from_slice::<Record>) {
            Some(Ok(record)) => contents.take(&record).map_err(|e| {
                JournalError::damaged(path, Malformed { line: number + 1, offset, what: e.what })
            })?,
            _ if last => {
                contents.torn = line.to_vec();
                break;
            }
            _ => {
                let what = "not a record of the log".to_owned();
                return Err(JournalError::damaged(path, Malformed { line: number + 1, offset, what }));
            }
        }
        offset += line.len();
        contents.good = offset as u64;
    }
    if contents.entries.is_empty() {
        let run = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        contents.chain = Chain::new(&run);
    }
    Ok(contents)
}

impl Contents {
    fn take(&mut self, record: &Record) -> Result<(), Malformed> {
        let mut disclosed = Disclosed::new();
        for encoded in &record.open {
            let disclosure = Disclosure::parse(encoded)?;
            disclosed.insert(disclosure.digest(), disclosure);
        }
        let parsed = self.chain.read(record.line.as_bytes(), &disclosed)?;
        let opened = parsed.commitments.iter().all(|c| disclosed.contains_key(&c.digest));
        if !opened || disclosed.len() != parsed.commitments.len() || record.open.len() != disclosed.len() {
            return Err(Malformed::start("the disclosures are not those of the line"));
        }
        self.entries.push(parsed.entry);
        self.commitments.extend(parsed.commitments);
        self.events.extend_from_slice(record.line.as_bytes());
        self.events.push(b'\n');
        for encoded in &record.open {
            self.disclosures.extend_from_slice(encoded.as_bytes());
            self.disclosures.push(b'\n');
        }
        Ok(())
    }
}

/// Reads the public files of a sealed journal, with whatever disclosures are there.
fn read_public(dir: &Path) -> Result<Contents, JournalError> {
    let path = dir.join(EVENTS);
    let Some(events) = files::read_if_there(&path)? else {
        return Err(JournalError::Missing { path: dir.to_owned() });
    };
    let open_path = dir.join(DISCLOSURES);
    let open = files::read_if_there(&open_path)?.unwrap_or_default();
    let given = parse_disclosures(&open).map_err(|malformed| JournalError::damaged(&open_path, malformed))?;
    let disclosed: Disclosed = given.iter().map(|d| (d.digest(), d.clone())).collect();
    let (mut chain, mut entries, mut commitments) = (Chain::of_any_run(), Vec::new(), Vec::new());
    for (number, (offset, line)) in lines_of(&events).enumerate() {
        let place = |e: Malformed| Malformed { line: number + 1, offset: offset + e.offset, what: e.what };
        let whole =
            line.strip_suffix(b"\n").ok_or_else(|| Malformed::start("the last line has no line feed"));
        let parsed = whole.and_then(|line| chain.read(line, &disclosed));
        let parsed = parsed.map_err(|e| JournalError::damaged(&path, place(e)))?;
        entries.push(parsed.entry);
        commitments.extend(parsed.commitments);
    }
    open_disclosures(&commitments, &given)
        .map_err(|e| JournalError::damaged(&open_path, Malformed::start(e.to_string())))?;
    Ok(Contents { chain, entries, commitments, events, disclosures: open, good: 0, torn: Vec::new() })
}

/// Lines with their line feeds and where they start.
pub(crate) fn lines_of(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    bytes.split_inclusive(|b| *b == b'\n').map(move |line| {
        offset += line.len();
        (offset - line.len(), line)
    })
}

/// A line gets into `events.jsonl` only once it is safe in the log. So a whole entry there that the log lacks, or has
/// otherwise, means that the log was changed after it was written; anything less is what a crash leaves.
fn refuse_changed_log(dir: &Path, log: &[u8]) -> Result<(), JournalError> {
    let path = dir.join(EVENTS);
    let events = files::read_if_there(&path)?.unwrap_or_default();
    if log.starts_with(&events) {
        return Ok(());
    }
    let mut logged = lines_of(log);
    for (number, (offset, line)) in lines_of(&events).enumerate() {
        let same = logged.next().is_some_and(|(_, in_log)| in_log == line);
        let whole = line.strip_suffix(b"\n").and_then(|line| Entry::parse(line, &Disclosed::new()).ok());
        if !same && whole.is_some_and(|parsed| parsed.entry.seq == number as u64) {
            let what =
                format!("this entry is not so in {WAL}: one of the two was changed after it was written");
            return Err(JournalError::damaged(&path, Malformed { line: number + 1, offset, what }));
        }
    }
    Ok(())
}

/// Moves a torn end out of the log.
fn set_aside(dir: &Path, path: &Path, wal: &File, contents: &Contents) -> Result<Option<Torn>, JournalError> {
    if contents.torn.is_empty() {
        return Ok(None);
    }
    let sha256 = Hash::of(&contents.torn).to_string();
    let quarantine = dir.join(QUARANTINE);
    files::make_dir(&quarantine)?;
    files::write_whole(&quarantine.join(format!("wal-{}-{}", contents.good, &sha256[..16])), &contents.torn)?;
    files::sync_dir(dir)?;
    let cut = || -> io::Result<()> {
        wal.set_len(contents.good)?;
        wal.sync_data()
    };
    cut().map_err(JournalError::io("cut", path))?;
    Ok(Some(Torn { bytes: contents.torn.len() as u64, sha256 }))
}

#[cfg(test)]
mod tests;
