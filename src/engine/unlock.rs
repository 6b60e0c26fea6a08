//! Taking a target away from a run that holds it and will not let it go.
//!
//! Owns the order: the reason is written down, in the run's journal and in the ledger, before the target is free. Never
//! takes anything from a run that a process drives, and leaves no process of the run at work on what is free. A run that is taken up again asks for its targets anew.

use std::path::Path;
use std::sync::Arc;

use super::identity;
use super::launch::{self, LaunchError};
use super::unbegun;
use crate::clock::Clock;
use crate::core::Input;
use crate::journal::{Hash, JournalError, LockError, TargetHolder, TargetLocks};
use crate::plan::Mode;
use crate::record::ledger::{About, Ledger, Moment};
use crate::record::note::TreeHead;
use crate::runner::sweep_leftovers;

/// Where the reason stands besides the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// In the journal of the run.
    Noted,
    /// Nowhere: the run is over.
    Over,
    /// Nowhere: there is no such run any more, or its journal cannot be read.
    NoRun,
}

#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Ledger(#[from] JournalError),
}

/// Frees `target`, in the name of the operating system's `user`.
///
/// # Errors
/// A process drives the run that holds it, or something cannot be written; then it stays held.
pub async fn take_away(
    target: &str,
    reason: &str,
    user: &str,
    home: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<Taken, UnlockError> {
    let locks = TargetLocks::of(home);
    let Some(holder) = locks.holder(target)? else { return Ok(Taken::NoRun) };
    // Until the target is free nobody takes the run up again, which would go on without it.
    let Noted { taken, about, _run } = note(&holder, target, reason, user, home, clock).await?;
    let ledger = Ledger::of(home);
    let (runbook, mode, head) = match about {
        Some(about) => about,
        None => of_ledger(&ledger, &holder.run)?,
    };
    let note = format!("{target}: taken away by {user}: {reason}");
    let about = About {
        moment: Moment::Unlocked,
        runbook: &runbook,
        mode,
        dir: &holder.dir,
        status: None,
        note: Some(&note),
    };
    ledger.append(clock.now(), &holder.run, &head, about)?;
    locks.release(&[target.to_owned()], &holder.run)?;
    Ok(taken)
}

/// What was written down, and the run that it was written into, still held.
struct Noted {
    taken: Taken,
    about: Option<AboutRun>,
    _run: Option<launch::Reopened>,
}

impl Noted {
    /// There is no run to write into, or none that can be written into.
    const fn nowhere() -> Self {
        Self { taken: Taken::NoRun, about: None, _run: None }
    }
}

type AboutRun = (String, Mode, TreeHead);

/// What the ledger knows of a run whose journal cannot be read.
fn of_ledger(ledger: &Ledger, run: &str) -> Result<AboutRun, UnlockError> {
    let nothing = TreeHead { origin: String::new(), size: 0, root: Hash::ZERO };
    let line = ledger.lines()?.into_iter().find(|line| line.run == run);
    Ok(line.map_or(("unknown".to_owned(), Mode::Live, nothing.clone()), |line| {
        (line.runbook, line.mode, nothing)
    }))
}

/// Writes the reason into the journal of the run, where there is one that goes on.
async fn note(
    holder: &TargetHolder,
    target: &str,
    reason: &str,
    user: &str,
    home: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<Noted, UnlockError> {
    if !holder.dir.exists() || unbegun::is_unbegun(&holder.dir) {
        return Ok(Noted::nowhere());
    }
    let mut run = match launch::reopen(&holder.dir, home, clock) {
        Ok(run) => run,
        // Nothing can be added to it; the ledger has to do.
        Err(
            LaunchError::Journal(JournalError::Damaged { .. } | JournalError::Missing { .. })
            | LaunchError::Corrupt { .. },
        ) => {
            return Ok(Noted::nowhere());
        }
        Err(error) => return Err(error.into()),
    };
    // What its process left behind when it died may still be at work on the target.
    sweep_leftovers(&run.dir, &run.id).await.map_err(LaunchError::from)?;
    let about = |run: &mut launch::Reopened| -> Result<Option<AboutRun>, UnlockError> {
        let graph = &run.plan.graph;
        let (runbook, mode) = (graph.runbook.clone(), graph.mode);
        Ok(Some((runbook, mode, run.book.sign_head().map_err(LaunchError::from)?)))
    };
    if run.state.run.finished.is_some() {
        let about = about(&mut run)?;
        return Ok(Noted { taken: Taken::Over, about, _run: Some(run) });
    }
    let actor = identity::actor(&run.plan.graph.people, user);
    let text = format!("target {target} taken away: {reason}");
    run.note_down(Input::Note { actor: actor.clone(), text }, actor)?;
    let about = about(&mut run)?;
    Ok(Noted { taken: Taken::Noted, about, _run: Some(run) })
}
