//! `consigne unlock`: who holds which target, and taking one away from a run that will not let it go.
//!
//! A target is taken away with a reason, which stands in the ledger, and in the run's journal where there still is a
//! run. Never from a run that a process drives.

use super::args::UnlockArgs;
use super::drive::{self, launch_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::engine::identity;
use crate::engine::unlock::{self, Taken};
use crate::journal::{LockError, TargetHolder, TargetLocks};

pub(super) fn unlock(args: &UnlockArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let locks = TargetLocks::of(&home.root);
    let Some(target) = &args.target else { return show(&locks, ui) };
    let holder = locks.holder(target).map_err(|error| lock_error(&error))?;
    let Some(holder) = holder else {
        return Err(not_held(&locks, target));
    };
    let Some(reason) = args.reason.as_deref().filter(|reason| !reason.trim().is_empty()) else {
        let message = format!("taking `{target}` away from run {} needs a reason", holder.run);
        return Err(CliError::new(Exit::Usage, message)
            .hint(format!("consigne unlock '{target}' --reason …"))
            .hint(format!("`consigne show {}` says where that run stands", holder.dir.display())));
    };
    let (user, clock) = (identity::os_user(), drive::clock());
    let taken = super::runtime()?.block_on(unlock::take_away(target, reason, &user, &home.root, &clock));
    let taken = taken.map_err(|error| match error {
        unlock::UnlockError::Launch(error) => launch_error(error),
        other => CliError::new(Exit::Unwritable, other.to_string()),
    })?;
    if args.json {
        ui.json(&serde_json::json!({"target": target, "run": holder.run, "noted_in_journal": taken == Taken::Noted}));
        return Ok(Exit::Done);
    }
    ui.say(&format!("`{target}` is free; run {} held it since {}", holder.run, holder.since));
    match taken {
        Taken::Noted => ui.say("the reason stands in the ledger and in the journal of that run"),
        Taken::NoRun => ui.say("the reason stands in the ledger; the run has no directory any more"),
        Taken::Over => ui.say("the reason stands in the ledger; the run is over"),
    }
    Ok(Exit::Done)
}

fn show(locks: &TargetLocks, ui: Ui) -> Result<Exit, CliError> {
    let held = locks.all().map_err(|error| lock_error(&error))?;
    for (target, holder) in &held {
        let TargetHolder { run, dir, since } = holder;
        if ui.json {
            ui.json(&serde_json::json!({"target": target, "run": run, "dir": dir, "since": since}));
        } else {
            let gone = if dir.exists() { "" } else { "  (its directory is gone)" };
            ui.data(&format!("{target}  run {run}  since {since}{gone}"));
        }
    }
    if held.is_empty() && !ui.json {
        ui.say("no target is held");
    }
    Ok(Exit::Done)
}

fn not_held(locks: &TargetLocks, target: &str) -> CliError {
    let held: Vec<String> = locks.all().unwrap_or_default().into_keys().collect();
    let error = CliError::new(Exit::Usage, format!("nobody holds `{target}`"));
    match crate::diag::closest(target, held.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if held.is_empty() => error.hint("no target is held"),
        None => error.hint(format!("held: {}", held.join(", "))),
    }
}

fn lock_error(error: &LockError) -> CliError {
    let out = CliError::new(Exit::Unwritable, error.to_string());
    match error.hint() {
        Some(hint) => out.hint(hint),
        None => out,
    }
}
