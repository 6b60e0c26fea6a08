//! The sweep: no process outlives the step that started it.
//!
//! Owns the knowledge of which children of this process belong to whom. consigne is the subreaper of its
//! descendants: whatever a leader leaves behind becomes our direct child, however it detached itself, and is told
//! apart by the marks in its environment, its process group, or its descent from one that was. Processes are
//! signalled through pidfds and reaped one by one; never all at once, since tokio awaits children of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpgrp, getpid, pidfd_open,
    pidfd_send_signal, set_child_subreaper, waitid, waitpid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout, timeout_at};

/// Environment variables that mark what belongs to a run, and to one of its attempts.
pub(super) const RUN_MARK: &str = "CONSIGNE_RUN";
pub(super) const ATTEMPT_MARK: &str = "CONSIGNE_ATTEMPT";
/// The run's directory: ids are unique in one home only.
pub(super) const DIR_MARK: &str = "CONSIGNE_RUN_DIR";
const SERVICE_MARK: &str = "CONSIGNE_SERVICE";
/// Each round finds what the killed ones left behind.
const ROUNDS: usize = 64;
/// A process in uninterruptible sleep dies later; it is not waited for.
const DEATH: Duration = Duration::from_secs(2);

/// Makes this process the new parent of all descendants that lose theirs. Once, at the start.
///
/// # Errors
/// The kernel refuses.
pub fn become_subreaper() -> io::Result<()> {
    let mut owned = owned();
    if owned.earlier.is_none() {
        owned.earlier = Some(descendants(own_pid()));
    }
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// What the environment of everything that an attempt starts says.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) run: String,
    pub(super) attempt: String,
}

/// A child of this process that somebody here awaits: no sweep touches it. Announced before it is spawned.
#[derive(Debug)]
pub struct OwnedProcess {
    pid: Option<u32>,
}

#[derive(Debug, Default)]
struct Owned {
    /// Announced, and not known by number yet.
    announced: usize,
    by_pid: BTreeMap<u32, Owner>,
    /// Number and start of what this process had already when it began, such as jobs of a shell that became consigne.
    earlier: Option<BTreeSet<(u32, u64)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Attempt,
    Other,
}

static OWNED: Mutex<Owned> = Mutex::new(Owned { announced: 0, by_pid: BTreeMap::new(), earlier: None });

fn owned() -> MutexGuard<'static, Owned> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OwnedProcess {
    pub fn announce() -> Self {
        owned().announced += 1;
        Self { pid: None }
    }

    /// The spawned process is a service or a helper.
    pub fn is(&mut self, pid: u32) {
        self.known(pid, Owner::Other);
    }

    pub(super) fn is_attempt(&mut self, pid: u32) {
        self.known(pid, Owner::Attempt);
    }

    fn known(&mut self, pid: u32, owner: Owner) {
        if self.pid.is_none() {
            let mut owned = owned();
            owned.announced -= 1;
            owned.by_pid.insert(pid, owner);
            self.pid = Some(pid);
        }
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        let mut owned = owned();
        match self.pid {
            Some(pid) => drop(owned.by_pid.remove(&pid)),
            None => owned.announced -= 1,
        }
    }
}

/// Kills and reaps all that an attempt left behind. Its leader has been reaped.
pub(super) async fn sweep(mark: &Mark, leader: u32) {
    let mut tainted = BTreeSet::new();
    for _ in 0..ROUNDS {
        let found = left_behind(mark, leader, &tainted);
        if found.is_empty() {
            return;
        }
        for pid in &found {
            tainted.extend(children(*pid));
        }
        for pid in found {
            let Some(handle) = open(pid) else { continue };
            let _ = pidfd_send_signal(&handle, Signal::KILL);
            let _ = timeout(DEATH, ended(handle)).await;
            reap(pid);
        }
    }
    tracing::warn!(attempt = mark.attempt, "processes of an ended step keep appearing");
}

/// Waits until what an attempt left behind has ended by itself.
pub(super) async fn linger(mark: &Mark, leader: u32, until: Instant) {
    loop {
        let found = left_behind(mark, leader, &BTreeSet::new());
        let handles: Vec<_> = found.iter().filter_map(|pid| Some((*pid, open(*pid)?))).collect();
        if handles.is_empty() {
            return;
        }
        for (pid, handle) in handles {
            if timeout_at(until, ended(handle)).await.is_err() {
                return;
            }
            reap(pid);
        }
    }
}

/// Kills what carries the marks, wherever it stands below us, without waiting.
pub(super) fn kill_marked(mark: &Mark) {
    for (pid, _) in descendants(own_pid()) {
        if Marks::of(pid).is_some_and(|marks| marks.fit(mark))
            && let Some(handle) = open(pid)
        {
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
    }
}

/// Direct children of ours that an attempt left behind.
fn left_behind(mark: &Mark, leader: u32, tainted: &BTreeSet<u32>) -> Vec<u32> {
    if is_childless() {
        return Vec::new();
    }
    let own_group = u32::try_from(getpgrp().as_raw_nonzero().get()).unwrap_or(0);
    // Held while listing: nothing can be spawned meanwhile that would look like left behind.
    let owned = owned();
    let alone = owned.announced == 0 && !owned.by_pid.values().any(|owner| *owner == Owner::Attempt);
    let mut found = Vec::new();
    for pid in children(own_pid()) {
        if owned.by_pid.contains_key(&pid) {
            continue;
        }
        let Some(stat) = Stat::of(pid) else { continue };
        if owned.earlier.as_ref().is_some_and(|earlier| earlier.contains(&(pid, stat.start))) {
            continue;
        }
        if stat.state == 'Z' {
            // Its own group and no owner: adopted, and dead by itself.
            if alone && stat.group != own_group {
                reap(pid);
            }
            continue;
        }
        let marks = Marks::of(pid).filter(Marks::any);
        let ours = match marks {
            Some(marks) => marks.fit(mark),
            // It cleared its environment.
            None => stat.group == leader || (alone && stat.group != own_group),
        };
        // A consigne inside the step marks its own children for itself.
        if ours || tainted.contains(&pid) {
            found.push(pid);
        }
    }
    found
}

/// Whether this process has no child at all, alive or dead: what a step leaves behind would be one by now. It is asked
/// first since listing the children opens a file for each thread, after every step.
fn is_childless() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

/// Completes when the process has ended.
pub(super) async fn ended(handle: OwnedFd) {
    // A pidfd becomes readable when its process ends.
    #[allow(
        deprecated,
        reason = "an OwnedFd is valid as long as it is registered, which is all that is asked for"
    )]
    if let Ok(handle) = AsyncFd::with_interest(handle, Interest::READABLE) {
        let _ = handle.readable().await;
    }
}

pub(super) fn open(pid: u32) -> Option<OwnedFd> {
    pidfd_open(i32::try_from(pid).ok().and_then(Pid::from_raw)?, PidfdFlags::empty()).ok()
}

pub(super) fn reap(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

pub(super) fn own_pid() -> u32 {
    std::process::id()
}

/// Direct children, those of all threads.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let mut out = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return out };
    for thread in threads.flatten() {
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else {
            // A kernel without these lists, or the thread ended: look at everybody.
            return all()
                .into_iter()
                .filter(|other| Stat::of(*other).is_some_and(|s| s.parent == pid))
                .collect();
        };
        out.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    out
}

fn descendants(pid: u32) -> BTreeSet<(u32, u64)> {
    let mut out = BTreeSet::new();
    let mut next = children(pid);
    while let Some(pid) = next.pop() {
        if let Some(stat) = Stat::of(pid)
            && out.insert((pid, stat.start))
        {
            next.extend(children(pid));
        }
    }
    out
}

/// Every process there is.
pub(super) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) group: u32,
    /// In clock ticks since boot: with the boot and the number, the identity of a process.
    pub(super) start: u64,
}

impl Stat {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything, also `) `.
        let mut fields = text.rsplit_once(") ")?.1.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let start = fields.nth(16)?.parse().ok()?;
        Some(Self { state, parent, group, start })
    }
}

/// The marks in the environment of a process.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) run: Option<String>,
    pub(super) attempt: Option<String>,
    pub(super) dir: Option<String>,
    /// Name of a service of the run.
    pub(super) service: Option<String>,
}

impl Marks {
    /// `None` when its environment cannot be read.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut marks = Self::default();
        for entry in environment.split(|byte| *byte == 0) {
            let value = |name: &str| {
                let rest = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                String::from_utf8(rest.to_vec()).ok()
            };
            marks.run = marks.run.or_else(|| value(RUN_MARK));
            marks.attempt = marks.attempt.or_else(|| value(ATTEMPT_MARK));
            marks.dir = marks.dir.or_else(|| value(DIR_MARK));
            marks.service = marks.service.or_else(|| value(SERVICE_MARK));
        }
        Some(marks)
    }

    /// Whether they are those of the run in this directory.
    pub(super) fn are_of(&self, run: &str, dir: &Path) -> bool {
        self.run.as_deref() == Some(run) && self.dir.as_deref().is_none_or(|own| Path::new(own) == dir)
    }

    const fn any(&self) -> bool {
        self.run.is_some() || self.attempt.is_some()
    }

    fn fit(&self, mark: &Mark) -> bool {
        self.run.as_deref() == Some(&mark.run) && self.attempt.as_deref() == Some(&mark.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_field_22() {
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let stat = Stat::of(own_pid()).unwrap();
        let name_end = text.rfind(')').unwrap();
        let field_22 = text[name_end + 2..].split(' ').nth(22 - 3).unwrap();
        assert_eq!(stat.start.to_string(), field_22);
        assert_eq!(i32::try_from(stat.group).unwrap(), getpgrp().as_raw_nonzero().get());
    }
}
