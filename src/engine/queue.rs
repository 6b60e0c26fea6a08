//! The targets of a run that is about to begin: all of them or none, and behind whoever waits already.
//!
//! Owns waiting for them, and what is said meanwhile. A run that waits has no directory, no lock and no entry: it is a
//! place in the queue of its home and nothing else, and the place is gone as soon as its process is.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use super::folder::make_folder;
use super::identity;
use super::launch::{Host, LaunchError, NewRun};
use super::unbegun;
use crate::journal::{LockError, Queue, RunLock, TargetHolder, TargetLocks, Ticket, Waiting};
use crate::operator::Operator;

/// How long to wait for news of locks and places before looking all the same: not every disk tells of its changes.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What keeps a run from its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Busy {
    Held {
        target: String,
        holder: TargetHolder,
    },
    /// Runs that came before and want one of them, in their order.
    Awaited {
        target: String,
        ahead: Vec<Waiting>,
    },
}

/// What stands between a new run of this name and its targets.
///
/// # Errors
/// Locks or queue cannot be read.
pub fn busy(home: &Path, targets: &[String], run: &str) -> Result<Option<Busy>, LockError> {
    blocked(home, targets, run, u64::MAX)
}

fn blocked(home: &Path, targets: &[String], run: &str, number: u64) -> Result<Option<Busy>, LockError> {
    let ahead = Queue::of(home).ahead(targets, number)?;
    if let Some(target) = ahead.first().and_then(|first| first.shares(targets)).cloned() {
        return Ok(Some(Busy::Awaited { target, ahead }));
    }
    let Some((target, holder)) = TargetLocks::of(home).first_held(targets, run)? else { return Ok(None) };
    // What a run left that died before it began is in nobody's way.
    let abandoned = unbegun::is_unbegun(&holder.dir) && !RunLock::is_held(&holder.dir).unwrap_or(true);
    Ok((!abandoned).then_some(Busy::Held { target, holder }))
}

/// Takes the targets of a new run, with its directory and its lock, which come first: whoever finds one of the targets
/// can tell a run that is beginning from one that died. `claimed` says whether there is anything to take back.
///
/// # Errors
/// Another run has one of them and this one does not wait, or something cannot be written.
pub(super) async fn claim(
    new: &NewRun,
    host: &Host,
    operator: &mut dyn Operator,
    claimed: &Cell<bool>,
) -> Result<RunLock, LaunchError> {
    let targets = &new.plan.values.locks;
    let ticket = if new.waits { Some(Queue::of(&host.home).enter(&waiting(new, host))?) } else { None };
    loop {
        if let Some(ticket) = &ticket {
            turn(new, host, ticket, operator).await?;
        }
        if new.dir.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(LaunchError::File { verb: "create", path: new.dir.clone(), source });
        }
        make_folder(&new.dir.join("plan"))?;
        let lock = RunLock::acquire(&new.dir, host.clock.now())?;
        claimed.set(true);
        let locks = TargetLocks::of(&host.home);
        let number = ticket.as_ref().map(|ticket| ticket.number);
        match unbegun::acquire(&locks, targets, (&new.id, &new.dir), &host.clock, number).await {
            // Somebody looked before there was a queue, and was faster.
            Err(LaunchError::Lock(error)) if ticket.is_some() && error.is_busy() => {
                let path = new.dir.clone();
                std::fs::remove_dir_all(&new.dir).map_err(|source| LaunchError::File {
                    verb: "remove",
                    path,
                    source,
                })?;
                claimed.set(false);
            }
            taken => return taken.map(|()| lock),
        }
    }
}

fn waiting(new: &NewRun, host: &Host) -> Waiting {
    Waiting {
        run: new.id.clone(),
        runbook: new.plan.graph.runbook.clone(),
        starter: identity::actor(&new.plan.graph.people, &identity::os_user()).who,
        since: host.clock.now().to_string(),
        pid: std::process::id(),
        targets: new.plan.values.locks.clone(),
    }
}

/// Returns once nobody is ahead and every target is free. Says each change of the place once.
async fn turn(
    new: &NewRun,
    host: &Host,
    ticket: &Ticket,
    operator: &mut dyn Operator,
) -> Result<(), LaunchError> {
    let news = News::of(&[Queue::of(&host.home).dir(), TargetLocks::of(&host.home).dir()]);
    let mut said = String::new();
    while let Some(busy) = blocked(&host.home, &new.plan.values.locks, &new.id, ticket.number)? {
        let line = busy.place(new.lang == "fr");
        if line != said {
            operator.say(&line);
            said = line;
        }
        news.next().await;
    }
    Ok(())
}

impl Busy {
    /// What somebody waits for who has a place in the queue.
    fn place(&self, french: bool) -> String {
        match (self, french) {
            (Self::Held { target, holder }, true) => {
                format!(
                    "en attente de `{target}`, place 1 : prise par {} depuis {}",
                    holder.run, holder.since
                )
            }
            (Self::Held { target, holder }, false) => {
                format!("waiting for `{target}`, place 1: held by run {} since {}", holder.run, holder.since)
            }
            (Self::Awaited { target, ahead }, true) => {
                format!("en attente de `{target}`, place {} : derrière {}", ahead.len() + 1, runs(ahead))
            }
            (Self::Awaited { target, ahead }, false) => {
                format!("waiting for `{target}`, place {}: behind {}", ahead.len() + 1, runs(ahead))
            }
        }
    }
}

fn runs(list: &[Waiting]) -> String {
    list.iter().map(|waiting| waiting.run.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whatever is removed or let go of in these folders, as the system tells of it.
struct News {
    #[cfg(target_os = "linux")]
    /// Read as a pipe is.
    told: Option<tokio::net::unix::pipe::Receiver>,
}

#[cfg(target_os = "linux")]
impl News {
    fn of(folders: &[&Path]) -> Self {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = || -> std::io::Result<_> {
            let told = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            for folder in folders {
                crate::ownership::make_folder(folder)?;
                // A place is written and held: it closes when its process ends, in whatever way.
                add_watch(&told, *folder, WatchFlags::DELETE | WatchFlags::CLOSE_WRITE)?;
            }
            tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(told)
        };
        match watch() {
            Ok(told) => Self { told: Some(told) },
            Err(error) => {
                tracing::debug!(%error, "nothing tells of locks that become free: they are looked at");
                Self { told: None }
            }
        }
    }

    async fn next(&self) {
        let Some(told) = &self.told else { return tokio::time::sleep(LOOK_AGAIN).await };
        let _news_or_not = tokio::time::timeout(LOOK_AGAIN, told.readable()).await;
        let mut events = [0_u8; 4096];
        while told.try_read(&mut events).is_ok() {}
    }
}

#[cfg(not(target_os = "linux"))]
impl News {
    const fn of(_folders: &[&Path]) -> Self {
        Self {}
    }

    async fn next(&self) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
