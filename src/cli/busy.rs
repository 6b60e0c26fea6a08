//! What a run that is about to begin does about targets that others have, and who waits for what.

use std::io::IsTerminal;

use serde_json::{Value, json};

use super::args::DriveArgs;
use super::drive::launch_error;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::look;
use super::ui::Ui;
use crate::engine::launch::{LaunchError, NewRun};
use crate::engine::queue::{self, Busy};
use crate::journal::{LockError, Queue, TargetHolder, TargetLocks, Waiting};
use crate::plan::OnBusy;

/// Says what `on_busy` says; where that is to ask, and somebody is there, who has the target, and asks.
///
/// # Errors
/// Somebody has a target, and whoever was asked does not wait for it.
pub(super) fn settle(new: &mut NewRun, home: &Home, common: &DriveArgs, ui: Ui) -> Result<(), CliError> {
    let values = &new.plan.values;
    new.waits = values.on_busy == OnBusy::Queue && !values.locks.is_empty();
    let there = !common.unattended && !common.json && std::io::stdin().is_terminal();
    if values.on_busy != OnBusy::Ask || !there {
        return Ok(());
    }
    let busy = queue::busy(&home.root, &values.locks, &new.id).map_err(|error| launch_error(error.into()))?;
    let Some(busy) = busy else { return Ok(()) };
    let french = new.lang == "fr";
    told(&busy, home, french, ui);
    ui.prompt(if french {
        "Attendre son tour, ou renoncer ? [a/R]"
    } else {
        "Wait for its turn, or give up? [w/G]"
    });
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    let words = if french { ["a", "attendre"] } else { ["w", "wait"] };
    if read.is_ok() && words.contains(&line.trim().to_lowercase().as_str()) {
        new.waits = true;
        return Ok(());
    }
    Err(launch_error(LaunchError::Lock(given_up(busy))))
}

fn given_up(busy: Busy) -> LockError {
    match busy {
        Busy::Held { target, holder: TargetHolder { run, dir, since } } => {
            LockError::TargetHeld { name: target, run, dir, since }
        }
        Busy::Awaited { target, ahead } => {
            let (run, since) =
                ahead.into_iter().next().map(|first| (first.run, first.since)).unwrap_or_default();
            LockError::TargetAwaited { name: target, run, since }
        }
    }
}

/// Who has what is wanted: run, runbook, starter, since when.
fn told(busy: &Busy, home: &Home, french: bool, ui: Ui) {
    match busy {
        Busy::Held { target, holder } => {
            let mut who = holder.run.clone();
            if let Ok(seen) = look(&holder.dir) {
                let runbook = &seen.plan.graph.runbook;
                let starter = seen.state.run.starter.as_ref().map_or("?", |actor| actor.who.as_str());
                let by = if french { "lancée par" } else { "started by" };
                who = format!("{who} ({runbook}, {by} {starter})");
            }
            ui.told(
                "",
                &if french {
                    format!("`{target}` est prise par {who} depuis {}", holder.since)
                } else {
                    format!("`{target}` is held by {who} since {}", holder.since)
                },
            );
        }
        Busy::Awaited { .. } => {}
    }
    let ahead = Queue::of(&home.root).all().unwrap_or_default();
    let target = match busy {
        Busy::Held { target, .. } | Busy::Awaited { target, .. } => target,
    };
    for (_, waiting) in ahead.iter().filter(|(_, waiting)| waiting.targets.contains(target)) {
        let Waiting { run, runbook, starter, since, .. } = waiting;
        ui.told(
            "",
            &if french {
                format!("`{target}` est attendue par {run} ({runbook}, lancée par {starter}) depuis {since}")
            } else {
                format!("`{target}` is awaited by {run} ({runbook}, started by {starter}) since {since}")
            },
        );
    }
    let free = if french {
        "consigne unlock CIBLE --reason TEXTE    (la reprend)"
    } else {
        "consigne unlock TARGET --reason TEXT    (takes it away)"
    };
    ui.hint(free);
}

/// A run in the queue, as others see it.
pub(super) struct Queued {
    pub waiting: Waiting,
    /// Runs before it that want one of its targets, and those that have one.
    behind: Vec<String>,
    /// Its own number among those who want what it wants.
    place: usize,
}

/// The queue of a home, in order.
///
/// # Errors
/// Queue or locks cannot be read.
pub(super) fn queued(home: &Home) -> Result<Vec<Queued>, CliError> {
    let unreadable = |error: LockError| CliError::new(Exit::Unwritable, error.to_string());
    let all = Queue::of(&home.root).all().map_err(unreadable)?;
    let held = TargetLocks::of(&home.root).all().map_err(unreadable)?;
    let queued = all.iter().enumerate().map(|(at, (_, waiting))| {
        let ahead = all[..at].iter().filter(|(_, other)| other.shares(&waiting.targets).is_some());
        let mut behind: Vec<String> =
            waiting.targets.iter().filter_map(|target| held.get(target)).map(|by| by.run.clone()).collect();
        behind.sort();
        behind.dedup();
        let before = behind.len();
        behind.extend(ahead.map(|(_, other)| other.run.clone()));
        Queued { waiting: waiting.clone(), place: behind.len() - before + 1, behind }
    });
    Ok(queued.collect())
}

impl Queued {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let Waiting { run, runbook, starter, since, targets, .. } = &self.waiting;
        let (targets, behind) = (targets.join(", "), self.behind.join(", "));
        let place = self.place;
        format!(
            "{run}  {runbook}  queued      place {place} for {targets}, behind {behind}; {starter}, since {since}"
        )
    }

    pub(super) fn json(&self) -> Value {
        let Waiting { run, runbook, starter, since, pid, targets } = &self.waiting;
        json!({
            "run": run,
            "runbook": runbook,
            "status": "queued",
            "starter": starter,
            "since": since,
            "pid": pid,
            "targets": targets,
            "place": self.place,
            "behind": self.behind,
        })
    }
}

/// The run of that name, while it waits. It has no directory yet.
pub(super) fn of_run(home: &Home, name: &str) -> Option<Queued> {
    queued(home).ok()?.into_iter().find(|queued| queued.waiting.run == name)
}

/// Those who wait for what a run holds, in order.
pub(super) fn behind(home: &Home, run: &str) -> Vec<String> {
    let queued = queued(home).unwrap_or_default().into_iter();
    let mine = |queued: &Queued| queued.behind.iter().any(|one| one == run);
    queued.filter(mine).map(|queued| queued.waiting.run).collect()
}
