//! Leftovers: what a killed consigne could not clean up, removed by the next one before anything new starts.
//!
//! Owns the side file `procs.jsonl` of a run: one line for each process that was started, appended without a sync.
//! A process is only ever killed through a pidfd after its identity has been verified on it: number, start time,
//! group and boot from the side file and no mark of another run, or both marks in its environment, or its descent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::sweep::{Marks, Stat, all, ended, open, own_pid};
use crate::ownership;

const FILE: &str = "procs.jsonl";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Killing one may uncover others.
const ROUNDS: usize = 16;
const DEATH: Duration = Duration::from_secs(2);

/// The side file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}", path.display())]
pub struct LeftoverError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Whose a process is: of a step, and removed, or of the run, and adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcKind {
    Step,
    Service,
}

/// A process that an earlier consigne left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub pid: u32,
    /// Name of its program.
    pub command: String,
    /// Of the attempt that started it, where its environment says so.
    pub attempt: Option<String>,
    /// Whether it is gone now.
    pub gone: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    pid: u32,
    start: u64,
    pgid: u32,
    boot: String,
    kind: ProcKind,
    /// Of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The side file, open for appending.
#[derive(Debug)]
pub(super) struct ProcJournal {
    path: PathBuf,
    file: Mutex<File>,
    boot: String,
}

impl ProcJournal {
    pub(super) fn open(run_dir: &Path) -> Result<Self, LeftoverError> {
        let path = run_dir.join(FILE);
        match ownership::open(OpenOptions::new().append(true).create(true), &path) {
            Ok(file) => Ok(Self { path, file: Mutex::new(file), boot: boot()? }),
            Err(source) => Err(LeftoverError { verb: "open", path, source }),
        }
    }

    pub(super) fn note(&self, pid: u32, kind: ProcKind, name: Option<&str>) -> Result<(), LeftoverError> {
        let failed = |source| LeftoverError { verb: "append to", path: self.path.clone(), source };
        let stat = Stat::of(pid).ok_or_else(|| failed(io::Error::other("the process is gone")))?;
        let name = name.map(str::to_owned);
        let line = Line { pid, start: stat.start, pgid: stat.group, boot: self.boot.clone(), kind, name };
        let mut text = serde_json::to_vec(&line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text).map_err(failed)
    }
}

/// Kills what the steps of an interrupted run left behind, with all descendants, and reports it. Services stay.
///
/// # Errors
/// The side file exists and cannot be read.
pub async fn sweep_leftovers(run_dir: &Path, run: &str) -> Result<Vec<Leftover>, LeftoverError> {
    let noted = read(run_dir)?;
    let dir = absolute(run_dir);
    let mut report: BTreeMap<u32, Leftover> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let found = find(&noted, (run, &dir), &report.keys().copied().collect());
        if found.is_empty() {
            break;
        }
        for (pid, (stat, attempt)) in found {
            // The number may have passed to another process since it was looked at: look again with it in hand.
            let Some(handle) = open(pid) else { continue };
            if Stat::of(pid).is_none_or(|now| now.start != stat.start) {
                continue;
            }
            let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let killed = pidfd_send_signal(&handle, Signal::KILL).is_ok();
            let gone = killed && timeout(DEATH, ended(handle)).await.is_ok();
            let command = command.trim_end().to_owned();
            report.insert(pid, Leftover { pid, command, attempt, gone });
        }
    }
    Ok(report.into_values().collect())
}

/// Number, start time and name of the services that were started since the last boot.
pub(super) fn services(run_dir: &Path) -> Result<Vec<(u32, u64, String)>, LeftoverError> {
    let noted = read(run_dir)?.into_iter().filter(|line| line.kind == ProcKind::Service);
    Ok(noted.filter_map(|line| Some((line.pid, line.start, line.name?))).collect())
}

/// The directory as the marks name it.
pub(super) fn absolute(run_dir: &Path) -> PathBuf {
    std::fs::canonicalize(run_dir).unwrap_or_else(|_| run_dir.to_owned())
}

type Found = BTreeMap<u32, (Stat, Option<String>)>;

/// Living processes of the run's steps, but for those already `seen`.
fn find(noted: &[Line], (run, dir): (&str, &Path), seen: &BTreeSet<u32>) -> Found {
    let living: BTreeMap<u32, Stat> = all()
        .into_iter()
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .filter(|(_, stat)| stat.state != 'Z')
        .collect();
    let ourselves = ancestors(&living, own_pid());
    let is = |line: &Line, kind| {
        let agrees = |stat: &Stat| stat.start == line.start && stat.group == line.pgid;
        line.kind == kind && living.get(&line.pid).is_some_and(agrees)
    };
    let services: BTreeSet<u32> = noted.iter().filter(|l| is(l, ProcKind::Service)).map(|l| l.pid).collect();
    let steps: BTreeSet<u32> = noted.iter().filter(|l| is(l, ProcKind::Step)).map(|l| l.pid).collect();
    let mut found = Found::new();
    for (pid, stat) in &living {
        let Some(marks) = Marks::of(*pid) else { continue };
        let of_run = marks.are_of(run, dir);
        // A noted one may have cleared its environment; it cannot carry the mark of another run.
        let noted = steps.contains(pid) && (of_run || marks.run.is_none());
        if noted || (of_run && marks.attempt.is_some()) {
            found.insert(*pid, (*stat, marks.attempt));
        }
    }
    // Descendants that cleared their environment.
    loop {
        let more: Vec<_> = living
            .iter()
            .filter(|(pid, stat)| {
                !found.contains_key(*pid) && (found.contains_key(&stat.parent) || seen.contains(&stat.parent))
            })
            .map(|(pid, stat)| (*pid, (*stat, None)))
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.retain(|pid, _| !ourselves.contains(pid) && !services.contains(pid) && !seen.contains(pid));
    found
}

/// A process and all its ancestors: a resume that runs inside a step of the same run must not kill itself.
fn ancestors(living: &BTreeMap<u32, Stat>, pid: u32) -> BTreeSet<u32> {
    let mut out = BTreeSet::new();
    let mut next = Some(pid);
    while let Some(pid) = next {
        next = living.get(&pid).map(|stat| stat.parent).filter(|parent| out.insert(pid) && *parent != 0);
    }
    out
}

/// The lines of this boot. A torn last line is one that was never finished.
fn read(run_dir: &Path) -> Result<Vec<Line>, LeftoverError> {
    let path = run_dir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(LeftoverError { verb: "read", path, source }),
    };
    let boot = boot()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok(lines.filter(|line| line.boot == boot).collect())
}

fn boot() -> Result<String, LeftoverError> {
    match std::fs::read_to_string(BOOT_ID) {
        Ok(id) => Ok(id.trim_end().to_owned()),
        Err(source) => Err(LeftoverError { verb: "read", path: BOOT_ID.into(), source }),
    }
}
