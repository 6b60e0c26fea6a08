//! `consigne show`: where a run stands. Reads only; works beside the process that drives it.

use std::path::Path;

use serde_json::{Value, json};

use super::answer::unheard;
use super::args::{OneRun, ShowArgs};
use super::busy;
use super::drive::{journal_error, launch_error, shown_name};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::keys::key_error;
use super::review;
use super::ui::Ui;
use super::waiting::{self, UNSEALED, standing};
use crate::core::{AskKind, Role, State, Status};
use crate::engine::launch::{self, LaunchError};
use crate::engine::rehearsal::exchanges;
use crate::engine::rehearsal::past::Real;
use crate::engine::{signed, unbegun, word};
use crate::journal::{Journal, RunLock};
use crate::operator::{Question, ToSign, elsewhere};
use crate::plan::{Mode, Plan};
use crate::record::block::{BEGIN, END};
use crate::record::build;
use crate::record::keys::ExecutorKey;
use crate::record::note::TreeHead;
use crate::record::origin;

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

pub(super) fn show(args: &ShowArgs) -> Result<Exit, CliError> {
    let OneRun { run, runs, json } = &args.run;
    let ui = Ui::new(*json);
    let home = Home::find(runs.as_deref())?;
    if let Some(queued) = busy::of_run(&home, run) {
        if *json {
            ui.json(&queued.json());
        } else {
            ui.listed("", &queued.line());
        }
        return Ok(Exit::Done);
    }
    let dir = home.run_dir(run)?;
    if args.har {
        return har(&dir, ui);
    }
    let seen = look(&dir)?;
    if let Some(step) = &args.block {
        return block(&seen, step, &dir, &home, ui);
    }
    let Seen { plan, state, driven } = seen;
    let (glass, now) = (review::of_run(&dir, &home, &state), super::drive::clock().now());
    if *json {
        let mut value = seen_summary(&state, &dir, driven);
        value["broken_glass"] = review::json(&glass, now);
        ui.json(&value);
        return Ok(Exit::Done);
    }
    let title = plan.title(&state.run.lang);
    ui.listed("", &format!("{}  {}  {title}", state.run.id, plan.graph.mode.name()));
    let status = state.run.finished.as_ref().map_or_else(
        || standing(&state, driven, &dir).to_owned(),
        |finished| format!("{} ({})", finished.status.name(), finished.reason),
    );
    let by = if driven { ", driven by a process" } else { "" };
    ui.data(&format!("status: {status}{by}"));
    steps(&state, ui);
    for line in waiting::waits(&plan, &state) {
        ui.listed("", &line);
    }
    if plan.graph.mode == Mode::Rehearsal {
        return origins(&dir, &state, ui);
    }
    for line in waiting::overtimes(&state, now) {
        ui.listed("", &line);
    }
    for line in glass.iter().flat_map(|gate| review::lines(gate, state.run.lang == "fr", now)) {
        ui.listed("", &line);
    }
    for open in waiting::toggles(&state) {
        ui.data(&format!("OPEN TOGGLE: {open}"));
    }
    let queue = busy::behind(&home, &state.run.id);
    if !queue.is_empty() {
        ui.listed("", &format!("waiting for its targets: {}", queue.join(", ")));
    }
    let name = shown_name(&state.run.id, &dir, &home);
    for question in gates_to_sign(&plan, &state) {
        ui.hint(&format!("consigne show {name} --block {}", question.step));
    }
    for answer in waiting::answers(&plan, &state, &name) {
        ui.hint(&answer);
    }
    let unfinished = state.run.finished.is_none() || standing(&state, driven, &dir) == UNSEALED;
    if unfinished && !driven {
        ui.hint(&format!("consigne resume {name}"));
    }
    Ok(Exit::Done)
}

/// Its HTTP exchanges, as other tools read them.
fn har(dir: &Path, ui: Ui) -> Result<Exit, CliError> {
    let real = Real::read(dir).map_err(launch_error)?;
    let (har, _) = exchanges::har(&real, &super::tool()).map_err(|error| journal_error(&error))?;
    ui.data(&format!("{har:#}"));
    Ok(Exit::Done)
}

/// Where each step stands, in the order in which people read them.
fn steps(state: &State, ui: Ui) {
    let mut places: Vec<usize> = state.places().collect();
    places.sort_by_cached_key(|at| state.shape().reading_order(&state.shape().node(*at).id));
    for at in places {
        let (step, name) = (state.step(at), state.shape().label(at));
        let reason = step.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        ui.line(&format!("  {} {:<24} {}{reason}", mark(step.status), name, step.status.name()));
    }
}

/// Where the values of a rehearsal come from.
fn origins(dir: &Path, state: &State, ui: Ui) -> Result<Exit, CliError> {
    let french = state.run.lang == "fr";
    let entries = Journal::read(dir).map_err(|error| journal_error(&error))?;
    ui.data(if french { "d'où viennent les réponses :" } else { "where its answers come from:" });
    for row in origin::rows(entries.iter().flat_map(|entry| &entry.events), state) {
        let role = if row.role == Role::Do { String::new() } else { format!(" ({})", row.role.name()) };
        ui.line(&format!("  {:<24} {}", format!("{}{role}", row.place), row.origins.in_lang(french)));
    }
    Ok(Exit::Done)
}

/// Prints the text that somebody elsewhere can sign, exactly, and beside it what to do with it.
fn block(seen: &Seen, step: &str, dir: &Path, home: &Home, ui: Ui) -> Result<Exit, CliError> {
    let Seen { plan, state, .. } = seen;
    let asked = word::question(state, step).map_err(unheard)?;
    let usage = |message: String| CliError::new(Exit::Usage, message);
    let question = Question::of(plan, state, asked.id);
    let mut question = question.ok_or_else(|| usage(format!("nothing is asked about `{step}` any more")))?;
    if !matches!(question.kind, AskKind::Approve | AskKind::Confirm) {
        return Err(usage(format!("`{step}` is not a gate: only approvals and confirmations are signed")));
    }
    question.to_sign = to_sign(dir, home, plan, state, &question)?;
    let Some(to_sign) = &question.to_sign else {
        return Err(usage(format!("nobody who may answer `{step}` has a key in the environment"))
            .hint("in `people`: `NAME: {ssh: NAME@example.com}`"));
    };
    ui.say(BEGIN);
    ui.data(to_sign.text.trim_end_matches('\n'));
    ui.say(END);
    let name = shown_name(&state.run.id, dir, home);
    elsewhere::ways(&question, to_sign, &name).iter().for_each(|line| ui.say(line));
    Ok(Exit::Done)
}

/// The text that somebody elsewhere can sign, made from what is on disk.
///
/// # Errors
/// The executor's key, which the text takes, or the journal cannot be read.
pub(super) fn to_sign(
    dir: &Path,
    home: &Home,
    plan: &Plan,
    state: &State,
    question: &Question,
) -> Result<Option<ToSign>, CliError> {
    let key = ExecutorKey::load(&home.root).map_err(key_error)?;
    Ok(signed::to_sign(plan, question, |actor, decision| {
        build::approval(dir, &key, state, question.ask, actor, (decision, None))
    }))
}

/// The open gates that somebody could answer by a signature.
pub(super) fn gates_to_sign<'a>(plan: &'a Plan, state: &'a State) -> impl Iterator<Item = Question> + 'a {
    let open = state.open_asks().filter_map(|ask| Question::of(plan, state, ask.id));
    open.filter(|question| !signed::signers(plan, question).is_empty())
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
        .places()
        .map(|at| (at, state.shape().node(at), state.step(at)))
        .map(|(at, node, step)| {
            json!({
                "id": state.shape().label(at),
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
                "step": state.shape().label(ask.step),
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
