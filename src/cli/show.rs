//! `consigne show`: where a run stands. Reads only; works beside the process that drives it.

use std::path::Path;

use serde_json::{Value, json};

use super::args::OneRun;
use super::drive::{journal_error, launch_error, shown_name};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use super::waiting::{self, UNSEALED, standing};
use crate::core::{State, Status};
use crate::engine::launch::{self, LaunchError};
use crate::engine::unbegun;
use crate::journal::{Journal, RunLock};
use crate::plan::Plan;
use crate::record::note::TreeHead;

/// A run as its directory shows it now.
pub(super) struct Seen {
    pub(super) plan: Plan,
    pub(super) state: State,
    /// A process drives it.
    pub(super) driven: bool,
}

/// Looks at a run without touching it.
pub(super) fn look(dir: &Path) -> Result<Seen, CliError> {
    if unbegun::is_unbegun(dir) {
        return Err(launch_error(LaunchError::NeverBegan { dir: dir.to_owned() }));
    }
    let entries = Journal::read(dir).map_err(|error| journal_error(&error))?;
    let (plan, _, state) = launch::fold(dir, &entries).map_err(launch_error)?;
    let driven = RunLock::is_held(dir).unwrap_or(false);
    Ok(Seen { plan, state, driven })
}

pub(super) fn show(args: &OneRun) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let Seen { plan, state, driven } = look(&dir)?;
    if args.json {
        ui.json(&seen_summary(&state, &dir, driven));
        return Ok(Exit::Done);
    }
    let title = plan.values.title.in_lang(&state.run.lang).cloned().unwrap_or_default();
    ui.data(&format!("{}  {}  {title}", state.run.id, plan.graph.mode.name()));
    let status = state.run.finished.as_ref().map_or_else(
        || standing(&state, driven, &dir).to_owned(),
        |finished| format!("{} ({})", finished.status.name(), finished.reason),
    );
    let by = if driven { ", driven by a process" } else { "" };
    ui.data(&format!("status: {status}{by}"));
    for (node, step) in state.steps() {
        let reason = step.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        ui.data(&format!("  {} {:<24} {}{reason}", mark(step.status), node.id, step.status.name()));
    }
    for line in waiting::waits(&plan, &state) {
        ui.data(&line);
    }
    for open in waiting::toggles(&state) {
        ui.data(&format!("OPEN TOGGLE: {open}"));
    }
    let name = shown_name(&state.run.id, &dir, &home);
    for answer in waiting::answers(&plan, &state, &name) {
        ui.hint(&answer);
    }
    let unfinished = state.run.finished.is_none() || standing(&state, driven, &dir) == UNSEALED;
    if unfinished && !driven {
        ui.hint(&format!("consigne resume {name}"));
    }
    Ok(Exit::Done)
}

/// The state of a run for scripts, as it is seen from outside.
pub(super) fn seen_summary(state: &State, dir: &Path, driven: bool) -> Value {
    let mut value = summary(state, dir, None);
    value["driven"] = driven.into();
    value["standing"] = standing(state, driven, dir).into();
    value
}

/// The state of a run for scripts.
pub(super) fn summary(state: &State, dir: &Path, head: Option<&TreeHead>) -> Value {
    let steps: Vec<Value> = state
        .steps()
        .map(|(node, step)| {
            json!({
                "id": node.id,
                "kind": node.kind,
                "effect": node.effect,
                "status": step.status.name(),
                "reason": step.reason,
                "attempts": step.attempts,
            })
        })
        .collect();
    let asks: Vec<Value> = state
        .open_asks()
        .map(|ask| {
            json!({
                "ask": ask.id,
                "step": state.shape().node(ask.step).id,
                "kind": ask.kind,
                "expires": ask.expires,
            })
        })
        .collect();
    json!({
        "run": state.run.id,
        "runbook": state.shape().graph().runbook,
        "mode": state.shape().graph().mode.name(),
        "status": state.status().name(),
        "reason": state.run.finished.as_ref().map(|finished| finished.reason.clone()),
        "started": state.run.started,
        "finished": state.run.finished.as_ref().map(|finished| finished.at),
        "still_open": state.still_open(),
        "asks": asks,
        "steps": steps,
        "dir": dir,
        "head": head.map(|head| json!({"size": head.size, "root": head.root_base64()})),
    })
}

const fn mark(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "✓",
        Status::Failed | Status::TimedOut | Status::Rejected => "✗",
        Status::Unknown => "?",
        Status::Overridden => "!",
        Status::Skipped | Status::Cancelled => "-",
        Status::Running | Status::Retrying | Status::Interrupted => "…",
        Status::Waiting => "»",
        Status::Pending | Status::Ready => " ",
    }
}
