//! Locks: who drives a run, and which run holds a target.
//!
//! The run lock is a `flock` on `<run>/lock`, held while a process drives: the kernel releases it when the process
//! dies. A target lock is a file under `$CONSIGNE_HOME/locks` that names its run, taken before entry 0 and released
//! when the run is finished; a paused or dead run keeps it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::files;
use crate::clock::Timestamp;
use crate::ownership;

/// How often, and after what pause, a lock is tried again that nobody alive claims.
const HOLDER_LOOKS: u32 = 50;
const HOLDER_PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the run is driven by process {} since {since}", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Held { path: PathBuf, pid: Option<u32>, since: String },
    #[error("target `{name}` is locked by run {run} since {since}")]
    TargetHeld { name: String, run: String, dir: PathBuf, since: String },
    /// It may be free; whoever waits for it comes first.
    #[error("target `{name}` is awaited by run {run} since {since}")]
    TargetAwaited { name: String, run: String, since: String },
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl LockError {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some("`consigne answer` and `consigne cancel` reach it; otherwise wait for it".into())
            }
            Self::TargetHeld { run, name, .. } => {
                Some(format!("`consigne show {run}` says where it stands; it frees `{name}` when it is over"))
            }
            Self::TargetAwaited { .. } => {
                Some("`consigne list` shows who waits for what; `on_busy: queue` waits behind them".into())
            }
            _ => None,
        }
    }

    /// Some other run has the target, or comes before.
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::TargetHeld { .. } | Self::TargetAwaited { .. })
    }

    pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { verb, path: path.to_owned(), source }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    since: String,
}

/// This process drives the run; dropping it lets others.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// # Errors
    /// Another process holds it, which the error names.
    pub fn acquire(run_dir: &Path, now: Timestamp) -> Result<Self, LockError> {
        let path = run_dir.join("lock");
        let mut looks = 0;
        loop {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).read(true).write(true);
            let mut file = ownership::open(&mut options, &path).map_err(LockError::io("open", &path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = living_holder(&mut file);
                    if holder.is_none() && looks < HOLDER_LOOKS {
                        looks += 1;
                        std::thread::sleep(HOLDER_PAUSE);
                        continue;
                    }
                    let since = holder.as_ref().map_or_else(|| "just now".to_owned(), |h| h.since.clone());
                    return Err(LockError::Held { path, pid: holder.map(|h| h.pid), since });
                }
                Err(e) => return Err(LockError::io("lock", &path)(e.into())),
            }
            // Somebody may have removed the file between the opening and the lock: then this one guards nothing.
            let own = file.metadata().map_err(LockError::io("read", &path))?;
            if own.nlink() == 0 {
                continue;
            }
            let holder = Holder { pid: std::process::id(), since: now.to_string() };
            let text = serde_json::json!(holder).to_string();
            let mut write = || -> io::Result<()> {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(text.as_bytes())
            };
            write().map_err(LockError::io("write", &path))?;
            return Ok(Self { _file: file });
        }
    }

    /// Whether some process drives the run.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn is_held(run_dir: &Path) -> Result<bool, LockError> {
        let path = run_dir.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(LockError::io("open", &path)(e)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(LockError::io("lock", &path)(e.into())),
        }
    }
}

/// Who holds the lock, if he is alive. He writes himself down just after taking it: until then the file names the one
/// before, who is gone, or nobody; and who only looks at the lock holds it for a moment, and never writes.
fn living_holder(file: &mut File) -> Option<Holder> {
    read_holder(file).filter(|holder| {
        let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
    })
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok()
}

/// What a target lock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetHolder {
    pub run: String,
    /// Directory of the run.
    pub dir: PathBuf,
    pub since: String,
}

/// The target locks of one home directory.
#[derive(Debug, Clone)]
pub struct TargetLocks {
    dir: PathBuf,
}

impl TargetLocks {
    pub fn of(home: &Path) -> Self {
        Self { dir: home.join("locks") }
    }

    /// Takes all of them or none, in sorted order; those the run holds already count.
    ///
    /// # Errors
    /// Another run holds one, which the error names.
    pub fn acquire(
        &self,
        names: &[String],
        run: &str,
        run_dir: &Path,
        now: Timestamp,
    ) -> Result<(), LockError> {
        files::make_dir(&self.dir)?;
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        sorted.dedup();
        let holder = TargetHolder { run: run.into(), dir: run_dir.into(), since: now.to_string() };
        let mut taken = Vec::new();
        for name in sorted {
            match self.take(name, &holder) {
                Ok(true) => taken.push(name.clone()),
                Ok(false) => {}
                Err(e) => {
                    self.release(&taken, run)?;
                    return Err(e);
                }
            }
        }
        Ok(files::sync_dir(&self.dir)?)
    }

    /// Whether it is newly taken.
    fn take(&self, name: &str, holder: &TargetHolder) -> Result<bool, LockError> {
        let path = self.path(name);
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.dir)
            .map_err(LockError::io("create", &path))?;
        ownership::hand_over(file.as_file(), &self.dir).map_err(LockError::io("write", &path))?;
        let text = serde_json::json!(holder).to_string();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all());
        written.map_err(LockError::io("write", &path))?;
        // Linked under its name with its content in it: nobody ever sees half a lock.
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => match self.holder(name)? {
                Some(other) if other.run == holder.run => Ok(false),
                Some(other) => Err(LockError::TargetHeld {
                    name: name.into(),
                    run: other.run,
                    dir: other.dir,
                    since: other.since,
                }),
                None => self.take(name, holder),
            },
            Err(e) => Err(LockError::io("create", &path)(e.error)),
        }
    }

    /// Which run holds it.
    ///
    /// # Errors
    /// The lock cannot be read.
    pub fn holder(&self, name: &str) -> Result<Option<TargetHolder>, LockError> {
        self.read(&self.path(name))
    }

    fn read(&self, path: &Path) -> Result<Option<TargetHolder>, LockError> {
        let Some(bytes) = files::read_if_there(path)? else { return Ok(None) };
        let unreadable = |e: serde_json::Error| LockError::io("read", path)(e.into());
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// The first of `names` that another run than `run` holds.
    ///
    /// # Errors
    /// The locks cannot be read.
    pub fn first_held(
        &self,
        names: &[String],
        run: &str,
    ) -> Result<Option<(String, TargetHolder)>, LockError> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        for name in sorted {
            if let Some(holder) = self.holder(name)?.filter(|holder| holder.run != run) {
                return Ok(Some((name.clone(), holder)));
            }
        }
        Ok(None)
    }

    /// Where the locks are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every target that is held, by name.
    ///
    /// # Errors
    /// The locks cannot be listed, or one cannot be read.
    pub fn all(&self) -> Result<BTreeMap<String, TargetHolder>, LockError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(LockError::io("list", &self.dir)(e)),
        };
        let mut all = BTreeMap::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let (Some(target), Some(holder)) = (target_of(&name), self.read(&entry.path())?) {
                all.insert(target, holder);
            }
        }
        Ok(all)
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Releases those of `names` that `run` holds.
    ///
    /// # Errors
    /// One of them cannot be removed.
    pub fn release(&self, names: &[String], run: &str) -> Result<(), LockError> {
        for name in names {
            if self.holder(name)?.is_some_and(|holder| holder.run == run) {
                files::remove(&self.path(name))?;
            }
        }
        if self.dir.exists() {
            files::sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Releases every lock that `run` holds.
    ///
    /// # Errors
    /// The locks cannot be listed, or one cannot be read or removed.
    pub fn release_all(&self, run: &str) -> Result<(), LockError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(LockError::io("list", &self.dir)(e)),
        };
        for entry in
            entries.flatten().filter(|entry| !entry.file_name().to_string_lossy().starts_with(".new-"))
        {
            if self.read(&entry.path())?.is_some_and(|holder| holder.run == run) {
                files::remove(&entry.path())?;
            }
        }
        Ok(files::sync_dir(&self.dir)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        let mut file = String::new();
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => file.push(byte.into()),
                _ => file.push_str(&format!("%{byte:02x}")),
            }
        }
        self.dir.join(file)
    }
}

/// The target that a file in the folder of locks stands for.
fn target_of(file: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), file.bytes());
    while let Some(byte) = rest.next() {
        match byte {
            b'.' => return None,
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_drives_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(0);
        assert!(!RunLock::is_held(dir.path()).unwrap());
        let lock = RunLock::acquire(dir.path(), now).unwrap();
        assert!(RunLock::is_held(dir.path()).unwrap());
        let refused = RunLock::acquire(dir.path(), now).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("the run is driven by process {} since 1970-01-01T00:00:00.000Z", std::process::id())
        );
        drop(lock);
        assert!(!RunLock::is_held(dir.path()).unwrap());
        RunLock::acquire(dir.path(), now).unwrap();
    }

    #[test]
    fn targets_are_taken_all_or_none() {
        let home = tempfile::tempdir().unwrap();
        let locks = TargetLocks::of(home.path());
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let take = |list: &[&str], run: &str| {
            locks.acquire(&names(list), run, &home.path().join(run), Timestamp::from_millis(0))
        };
        take(&["tenant/b", "tenant/b"], "r1").unwrap();
        take(&["tenant/b"], "r1").unwrap();
        let refused = take(&["tenant/c", "tenant/b", "tenant/a"], "r2").unwrap_err();
        assert!(
            matches!(&refused, LockError::TargetHeld { name, run, .. } if name == "tenant/b" && run == "r1")
        );
        assert!(refused.hint().unwrap().contains("frees `tenant/b`"));
        assert_eq!(locks.holder("tenant/a").unwrap(), None, "taken before the refusal, given back");
        locks.release(&names(&["tenant/b"]), "r2").unwrap();
        assert_eq!(locks.holder("tenant/b").unwrap().unwrap().run, "r1");
        locks.release(&names(&["tenant/b"]), "r1").unwrap();
        take(&["tenant/c", "tenant/b", "../tenant"], "r2").unwrap();
        assert_eq!(locks.all().unwrap()["../tenant"].run, "r2");
        locks.release(&["../tenant".to_owned()], "r2").unwrap();
        take(&["tenant/d"], "r3").unwrap();
        locks.release_all("r2").unwrap();
        assert_eq!(locks.holder("tenant/b").unwrap(), None);
        assert_eq!(locks.holder("tenant/d").unwrap().unwrap().run, "r3");
    }
}
