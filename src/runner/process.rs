//! Processes: how a program is started, awaited and ended.
//!
//! Owns the child from spawn to reap: its own process group, nothing on stdin, captured pipes, a time-out with TERM,
//! grace and KILL. A step ends when its leader ends; what the leader leaves behind is removed ([`super::sweep`]).
//! Spawning stays on the standard library's `posix_spawn` path, whose cost does not grow with our memory: no
//! `pre_exec`, no user or group switch, and an absolute program (a search with a changed `PATH` would fork).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::blobs::BlobError;
use super::capture::{Capture, Captured};
use super::remote::Session;
use super::sweep::{self, Mark, OwnedProcess};
use super::{CancelLevel, CancelToken, RunContext};

/// How long pipes may stay open after the leader has ended, before what holds them is removed.
const READERS_DEADLINE: Duration = Duration::from_millis(250);
/// How long what leads to another host may take to end after the far side has.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long they may stay open after that.
const GIVE_UP: Duration = Duration::from_secs(1);

/// A program that has been run.
pub(super) struct Ran {
    pub(super) stop: Stop,
    pub(super) status: ExitStatus,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
}

/// Whether the program ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    ByItself,
    TimedOut,
    Cancelled,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// Nothing was started.
    #[error("{0}")]
    Spawn(io::Error),
    /// It ran, and how it ended or what it printed is lost.
    #[error("cannot wait for the program: {0}")]
    Wait(io::Error),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// A command with exactly this environment, in its own process group, its program found along the `PATH` given.
pub(super) fn command<S: AsRef<OsStr>>(
    argv: &[S],
    environment: &BTreeMap<String, OsString>,
    cwd: &Path,
) -> io::Result<Command> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
    let found = find(program.as_ref(), environment.get("PATH").map(OsString::as_os_str), cwd)?;
    let mut command = Command::new(found);
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

fn find(program: &OsStr, path: Option<&OsStr>, cwd: &Path) -> io::Result<PathBuf> {
    if program.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program is named"));
    }
    if program.as_encoded_bytes().contains(&b'/') {
        return Ok(cwd.join(program));
    }
    let mut found = io::Error::new(io::ErrorKind::NotFound, "not found in PATH");
    for folder in std::env::split_paths(path.unwrap_or_default()) {
        let candidate = cwd.join(folder).join(program);
        match candidate.metadata() {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(file) if file.is_file() => {
                found = io::Error::new(io::ErrorKind::PermissionDenied, "found in PATH, but not executable");
            }
            _ => {}
        }
    }
    Err(found)
}

/// Runs a command to its end and removes whatever it leaves behind.
pub(super) async fn run(
    command: Command,
    mark: &Mark,
    context: &RunContext,
    limit: Duration,
    cancel: &CancelToken,
    captures: [Capture; 2],
) -> Result<Ran, RunError> {
    attend(command, mark, context, limit, cancel, captures, None).await
}

/// As [`run`], a command that leads to another host, where `session` speaks with the program.
pub(super) async fn converse(
    mut command: Command,
    mark: &Mark,
    context: &RunContext,
    limit: Duration,
    cancel: &CancelToken,
    captures: [Capture; 2],
    session: &Session,
) -> Result<Ran, RunError> {
    command.stdin(Stdio::piped());
    attend(command, mark, context, limit, cancel, captures, Some(session)).await
}

async fn attend(
    mut command: Command,
    mark: &Mark,
    context: &RunContext,
    limit: Duration,
    cancel: &CancelToken,
    captures: [Capture; 2],
    session: Option<&Session>,
) -> Result<Ran, RunError> {
    let mut owned = OwnedProcess::announce();
    let child = command.kill_on_drop(true).spawn().map_err(RunError::Spawn)?;
    let pid = child.id().ok_or_else(|| RunError::Wait(io::Error::other("it has no process id")))?;
    owned.is_attempt(pid);
    if let Err(error) = context.procs.note(pid, super::leftovers::ProcKind::Step, None) {
        // The marks in its environment find it as well.
        tracing::warn!(%error, "a program is not on the list of processes");
    }
    let mut leader = Leader { child, pid, owned: Some(owned), mark: mark.clone() };
    let (stdout, stderr) = (leader.child.stdout.take(), leader.child.stderr.take());
    let stdin = leader.child.stdin.take();
    let [mut out, mut err] = captures;
    let (ended, mut open) = watch::channel(2_u8);
    let (give_up, gave_up) = watch::channel(false);
    let control = async {
        let waited = leader.end(limit, context.grace, cancel, session).await;
        session.iter().for_each(|session| session.hang_up());
        let _ = timeout(READERS_DEADLINE, open.wait_for(|open| *open == 0)).await;
        sweep::sweep(mark, pid).await;
        let _ = timeout(GIVE_UP, open.wait_for(|open| *open == 0)).await;
        give_up.send_replace(true);
        waited
    };
    let speak = async {
        if let (Some(session), Some(stdin)) = (session, stdin) {
            session.speak(stdin).await;
        }
    };
    let (waited, read_out, read_err, ()) = tokio::join!(
        control,
        drain(stdout, &mut out, session, &ended, gave_up.clone()),
        drain(stderr, &mut err, None, &ended, gave_up.clone()),
        speak,
    );
    let (stop, status) = waited.map_err(RunError::Wait)?;
    read_out?;
    read_err?;
    Ok(Ran { stop, status, stdout: out.finish().await?, stderr: err.finish().await? })
}

/// Reads a pipe to its end, or until nobody waits for it.
async fn drain(
    pipe: Option<impl AsyncRead + Unpin>,
    capture: &mut Capture,
    session: Option<&Session>,
    open: &watch::Sender<u8>,
    mut gave_up: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let mut failed = Ok(());
    if let Some(mut pipe) = pipe {
        let mut buffer = vec![0; 64 * 1024];
        let mut used = 0;
        loop {
            let read = tokio::select! {
                read = pipe.read(&mut buffer) => read,
                _ = gave_up.wait_for(|yes| *yes) => break,
            };
            used = used.max(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => break,
                // A blob that cannot be written must not block the program: the rest is read and dropped.
                // What the far side says about itself is heard all the same.
                Ok(count) => {
                    let heard = session.map(|session| session.hear(&buffer[..count]));
                    let said = heard.as_ref().map_or(&buffer[..count], |heard| heard.as_slice());
                    if failed.is_ok() {
                        failed = capture.push(said).map_err(RunError::from);
                    }
                }
                Err(error) => {
                    failed = failed.and(Err(RunError::Wait(error)));
                    break;
                }
            }
        }
        if let Some(session) = session
            && failed.is_ok()
        {
            failed = capture.push(&session.rest()).map_err(RunError::from);
        }
        // Wiping all of it would cost more than the step.
        zeroize::Zeroize::zeroize(&mut buffer[..used]);
    }
    open.send_modify(|open| *open -= 1);
    failed
}

async fn over(session: Option<&Session>) {
    match session {
        Some(session) => session.over().await,
        None => std::future::pending().await,
    }
}

/// The process that a step started. Dropped before its end, it takes its group and what it left behind with it.
struct Leader {
    child: Child,
    pid: u32,
    owned: Option<OwnedProcess>,
    mark: Mark,
}

impl Leader {
    async fn end(
        &mut self,
        limit: Duration,
        grace: Duration,
        cancel: &CancelToken,
        session: Option<&Session>,
    ) -> io::Result<(Stop, ExitStatus)> {
        let stop = tokio::select! {
            biased;
            status = self.child.wait() => return self.reaped(Stop::ByItself, status),
            () = over(session) => return self.part(cancel).await,
            () = cancel.reached(CancelLevel::Stop) => Stop::Cancelled,
            () = tokio::time::sleep(limit) => Stop::TimedOut,
        };
        let until = Instant::now() + grace;
        if let Some(session) = session.filter(|session| session.has_begun()) {
            // The far side gives its program the same grace, and then says how it ended.
            session.hang_up();
            tokio::select! {
                biased;
                status = self.child.wait() => return self.reaped(stop, status),
                () = tokio::time::sleep_until(until + FAREWELL) => {}
                () = cancel.reached(CancelLevel::Kill) => {}
            }
        } else if cancel.level() < CancelLevel::Kill {
            self.signal(Signal::TERM);
            tokio::select! {
                biased;
                status = self.child.wait() => {
                    let ended = self.reaped(stop, status);
                    // The rest of the group was told as well, and has as long.
                    tokio::select! {
                        () = sweep::linger(&self.mark, self.pid, until) => {}
                        () = cancel.reached(CancelLevel::Kill) => {}
                    }
                    return ended;
                }
                () = tokio::time::sleep_until(until) => {}
                () = cancel.reached(CancelLevel::Kill) => {}
            }
        }
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.reaped(stop, status)
    }

    /// The far side has said everything: what led there has a moment to end by itself.
    async fn part(&mut self, cancel: &CancelToken) -> io::Result<(Stop, ExitStatus)> {
        tokio::select! {
            biased;
            status = self.child.wait() => return self.reaped(Stop::ByItself, status),
            () = tokio::time::sleep(FAREWELL) => {}
            () = cancel.reached(CancelLevel::Kill) => {}
        }
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.reaped(Stop::ByItself, status)
    }

    fn reaped(&mut self, stop: Stop, status: io::Result<ExitStatus>) -> io::Result<(Stop, ExitStatus)> {
        self.owned = None;
        status.map(|status| (stop, status))
    }

    /// To the whole group; only before the leader is reaped, since its number is free afterwards.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // The group may be gone by now, which is what was wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.owned.is_some() {
            // Before, too: what the leader leaves behind as it dies is in nobody's list for a moment.
            sweep::kill_marked(&self.mark);
            self.signal(Signal::KILL);
            sweep::kill_marked(&self.mark);
        }
    }
}
