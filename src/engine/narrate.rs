//! What the driver tells people while a run goes on: one line per fact that matters, in the language of the run.
//! Facts only; the prompts themselves are the operator's.

use super::messengers::Report;
use crate::clock::Timestamp;
use crate::core::{AskEnd, AttemptResult, Event, Fact, ReversalEnd, Role, State, Status, VoidReason};
use crate::operator::{Lang, Question, harmless, one_line};
use crate::plan::{Action, Mode, Plan, Program};
use crate::record::origin::Origins;
use crate::runbook::template::Rendered;
use crate::runner::TailLine;

/// A masked line of output.
pub(super) fn tail(state: &State, line: &TailLine) -> String {
    let step = called(state, Some(&line.key.step), line.key.item);
    format!("    {step} | {}", line.text)
}

/// How people call a step, or one item of it.
fn called(state: &State, step: Option<&String>, item: Option<u32>) -> String {
    let Some(step) = step else { return String::new() };
    state.find_item(step, item).map_or_else(|| step.clone(), |(at, _)| state.shape().label(at))
}

pub(super) fn pausing(lang: &str, running: usize) -> String {
    if lang == "fr" {
        format!("pause : {running} en cours se terminent (Ctrl-C encore : les arrêter)")
    } else {
        format!("pausing: {running} running will finish (Ctrl-C again stops them)")
    }
}

/// Why a question is no longer asked.
pub(super) fn closed(state: &State, ask: u32) -> String {
    let french = state.run.lang == "fr";
    let Some(ask) = state.ask(ask) else { return String::new() };
    match (ask.end, ask.answers.last()) {
        (Some(AskEnd::Answered), Some(last)) => {
            let said = if french { "répondu par" } else { "answered by" };
            format!("{said} {} ({})", last.actor.who, Lang::of(&state.run.lang).decision(last.decision))
        }
        (Some(AskEnd::TimedOut), _) => pick(french, "délai écoulé", "its time is over"),
        (Some(AskEnd::Voided), _) => {
            pick(french, "ce qui était approuvé a changé", "what was approved has changed")
        }
        // It is open as before, and this process has stopped asking: nothing to say about it.
        (None, _) => String::new(),
        _ => pick(french, "n'est plus demandé", "no longer asked"),
    }
}

/// Who may still answer, by name.
fn entitled(question: &Question) -> String {
    let said = |who: &str| question.given.iter().any(|given| given.actor.who == who);
    let people: Vec<&str> = question.who.people.iter().map(String::as_str).filter(|who| !said(who)).collect();
    if question.who.anybody {
        pick(question.lang == Lang::Fr, "tout le monde", "anybody")
    } else {
        people.join(", ")
    }
}

/// What people are reminded of.
pub(super) fn reminder(question: &Question, minutes: u64) -> String {
    let french = question.lang == Lang::Fr;
    let waits = pick(french, "rappel : une réponse est attendue", "reminder: an answer is waited for");
    let since = pick(french, "depuis", "since");
    format!("{waits}: {} ({}; {since} {minutes} min)", question.step, entitled(question))
}

/// People take longer over a question than they should.
pub(super) fn overtime(question: &Question, now: Timestamp) -> String {
    let french = question.lang == Lang::Fr;
    let over = pick(french, "le temps prévu est écoulé", "its timebox is over");
    let since = pick(french, "ouverte depuis", "open for");
    let seconds = now.since(question.opened) / 1_000;
    let open = if seconds < 60 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
    format!("{}: {over} ({since} {open}, {})", question.step, entitled(question))
}

/// Nobody can speak to this process from elsewhere.
pub(super) fn unreachable(state: &State, error: &std::io::Error) -> String {
    let text = pick(
        state.run.lang == "fr",
        "pas de réponse possible d'ailleurs tant que ce processus conduit l'exécution",
        "no answers from elsewhere while this process drives the run",
    );
    format!("! {text}: {error}")
}

/// Something in the scratch folder cannot be removed.
pub(super) fn not_wiped(state: &State, error: &crate::runner::WorkError) -> String {
    let french = state.run.lang == "fr";
    format!("! {}: {error}", pick(french, "il reste des fichiers de travail", "scratch files stay behind"))
}

/// The line that an event is worth, whatever the values in it hold; why a step failed stands under it, further in.
pub(super) fn line(plan: &Plan, state: &State, event: &Event) -> Option<String> {
    let line = one_line(&fact(plan, state, event)?);
    let why = matches!(event.fact, Fact::StepSettled { .. }).then(|| event.hidden.text("why")).flatten();
    Some(why.map_or_else(
        || line.clone(),
        |why| why.lines().fold(line.clone(), |told, why| format!("{told}\n    {}", one_line(why))),
    ))
}

fn fact(plan: &Plan, state: &State, event: &Event) -> Option<String> {
    let french = state.run.lang == "fr";
    let step = &called(state, event.step.as_ref(), event.item);
    let text = match &event.fact {
        Fact::RunStarted { mode, runbook, .. } => {
            let title = plan.values.title.in_lang(&state.run.lang).map_or("", String::as_str);
            format!("{} {runbook}: {title} [{}]", mode_name(french, *mode), state.run.id)
        }
        Fact::RunResumed { .. } => pick(french, "reprise", "resumed"),
        Fact::RunPaused { reason, .. } => format!("{} ({reason})", pick(french, "en pause", "paused")),
        Fact::RunEnding { reason, .. } if reason != "done" => {
            format!("{}: {reason}", pick(french, "fin de l'exécution", "the run is ending"))
        }
        Fact::StepSkipped { reason, cause } => {
            let reason = serde_json::to_value(reason).ok()?;
            let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("- {step} {} ({}{cause})", pick(french, "passée", "skipped"), reason.as_str()?)
        }
        Fact::StepSettled { status, reason } => settled(french, step, *status, reason),
        Fact::StepImported { .. } => {
            let from = plan.graph.rerun.as_ref().map_or("", |rerun| rerun.run.as_str());
            format!("= {step} {} {from}", pick(french, "reprise de l'exécution", "taken over from run"))
        }
        Fact::StepUnknown { reason } => {
            format!("? {step}: {} ({reason})", pick(french, "issue inconnue", "outcome unknown"))
        }
        Fact::StepOverridden { how } => {
            let who = event.actor.as_ref().map_or("", |actor| actor.who.as_str());
            format!("! {step}: {} ({}, {who})", pick(french, "dérogation", "override"), how.name())
        }
        Fact::AttemptStarted { role, .. } => format!("  {step}: {}", started(state, event, *role)?),
        Fact::AttemptFinished { .. } if plan.graph.mode == Mode::Rehearsal => {
            return rehearsed(french, step, event);
        }
        Fact::AttemptFinished { result, reason, code, .. } if *result != AttemptResult::Succeeded => {
            let code = code.map(|code| format!(" {code}")).unwrap_or_default();
            format!("  {step}: {reason}{code}")
        }
        Fact::AttemptInterrupted {} => {
            format!(
                "  {step}: {}",
                pick(french, "coupée par l'arrêt du programme", "cut off when the program died")
            )
        }
        Fact::RetryScheduled { due } => {
            let seconds = due.since(state.run.last_at).div_ceil(1_000);
            format!("  {step}: {} {seconds} s", pick(french, "nouvel essai dans", "trying again in"))
        }
        Fact::WaitStarted { due } => {
            format!("  {step}: {} {due}", pick(french, "attend jusqu'à", "waits until"))
        }
        Fact::ReversalClosed { how: ReversalEnd::NotChosen, .. } => return None,
        Fact::ReversalClosed { how, .. } => {
            let how = serde_json::to_value(how).ok()?;
            format!("  {step}: {} ({})", pick(french, "retour arrière", "reversal"), how.as_str()?)
        }
        Fact::ClockStepped { back_ms } => {
            format!("! {} {back_ms} ms", pick(french, "l'horloge a reculé de", "the clock went back by"))
        }
        _ => return more(plan, state, event),
    };
    Some(text)
}

/// Somebody rehearses, and a step waits: it goes on when he says so.
pub(super) fn skips(state: &State, at: usize, millis: u64) -> String {
    let time = humantime::format_duration(std::time::Duration::from_millis(millis));
    let french = state.run.lang == "fr";
    let waits = pick(french, "attendrait", "would wait for");
    let goes_on = pick(french, "Entrée continue", "Enter goes on");
    format!("  {}: {waits} {time} ({goes_on})", state.shape().label(at))
}

/// What an attempt of a rehearsal was answered, and who says so.
fn rehearsed(french: bool, step: &str, event: &Event) -> Option<String> {
    let Fact::AttemptFinished { reason, code, .. } = &event.fact else { return None };
    let origins = Origins::of_event(event)?;
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    Some(format!("  {step}: {reason}{code} <- {}", origins.in_lang(french)))
}

/// Questions, what was said to them and what became of them; lists and groups.
fn more(plan: &Plan, state: &State, event: &Event) -> Option<String> {
    let french = state.run.lang == "fr";
    let step = &called(state, event.step.as_ref(), event.item);
    let text = match &event.fact {
        Fact::AskAnswered { part, decision: said, .. } => {
            let who = event.actor.as_ref()?;
            let language = Lang::of(&state.run.lang);
            let part = part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
            let by =
                who.played_by.as_ref().map(|by| format!(" ({} {by})", pick(french, "joué par", "played by")));
            let chosen = event.hidden.0.get("value").filter(|_| *said == crate::core::Decision::Chosen);
            let chosen = chosen.map(|value| format!(" {value}")).unwrap_or_default();
            format!(
                "  {step}{part}: {} {}{chosen}{}",
                who.who,
                language.decision(*said),
                by.unwrap_or_default()
            )
        }
        Fact::JournalRecovered { bytes, .. } => {
            format!(
                "! {} ({bytes})",
                pick(french, "fin de journal déchirée mise de côté", "torn end of journal set aside")
            )
        }
        Fact::NoteRecorded {} => format!("  {}: {}", event.actor.as_ref()?.who, event.hidden.text("text")?),
        Fact::StepExpanded { items } => format!("  {step}: {}", laid_out(state, event, *items)?),
        Fact::StepHandling {} => {
            format!("! {step}: {}", pick(french, "échec, suite prévue", "failed, what it does then begins"))
        }
        Fact::AskEscalated { ask, .. } => {
            let who = Question::of(plan, state, *ask).map(|question| entitled(&question)).unwrap_or_default();
            format!(
                "  {step}: {} {who}",
                pick(french, "escaladé, peuvent répondre maintenant :", "escalated, may answer now:")
            )
        }
        Fact::ApprovalVoided { because, reason, .. } => voided(event, step, because, *reason, french),
        _ => return None,
    };
    Some(text)
}

/// Why an approval no longer holds.
fn voided(event: &Event, step: &str, because: &str, reason: VoidReason, french: bool) -> String {
    let why = match reason {
        VoidReason::Changed => pick(french, "ce qui serait fait a changé", "what would be done changed"),
        VoidReason::Filter => {
            let target = harmless(&event.hidden.text("target").unwrap_or_default());
            let words = pick(french, "cible hors du filtre", "a target outside of its filter");
            format!("{words}: {target}")
        }
        VoidReason::MaxTargets => pick(
            french,
            "autant de cibles que permis ont commencé",
            "as many targets as it allows have been begun",
        ),
    };
    format!("! {step}: {} {why} ({because})", pick(french, "approbation annulée,", "approval void,"))
}

/// The items of a list, or the round that begins.
fn laid_out(state: &State, event: &Event, items: u32) -> Option<String> {
    const NAMED: usize = 8;
    let french = state.run.lang == "fr";
    let (whole, step) = state.find_item(event.step.as_deref()?, event.item)?;
    if state.shape().node(whole).repeat.is_some() {
        let round = step.compound.as_ref()?.batches;
        return Some(format!("{} {round}", pick(french, "tour", "round")));
    }
    let keys: Vec<String> = event.hidden.0.get("keys").and_then(|text| serde_json::from_str(text).ok())?;
    let more = if keys.len() > NAMED { ", …" } else { "" };
    let named = keys.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(format!("{items} {} {named}{more}", pick(french, "éléments :", "items:")))
}

fn settled(french: bool, step: &str, status: Status, reason: &str) -> String {
    match status {
        Status::Succeeded => format!("✓ {step}"),
        Status::Rejected => format!("✗ {step}: {} ({reason})", pick(french, "refusée", "refused")),
        Status::Cancelled => format!("- {step}: {} ({reason})", pick(french, "arrêtée", "stopped")),
        Status::TimedOut => format!("✗ {step}: {} ({reason})", pick(french, "hors délai", "timed out")),
        Status::Unknown => {
            format!("? {step}: {} ({reason})", pick(french, "issue inconnue", "outcome unknown"))
        }
        _ => format!("✗ {step}: {} ({reason})", pick(french, "échec", "failed")),
    }
}

/// What became of a message about a question, as it is noted down: in English, as the other notes are.
pub(super) fn told(report: &Report) -> String {
    let Report { step, escalated, reached, lines } = report;
    let whom = if *escalated { "to whom it was passed on" } else { "who may decide" };
    let how = if *reached { "told those" } else { "could not tell all of those" };
    format!("{how} {whom} about `{step}`: {}", lines.lines().collect::<Vec<_>>().join("; "))
}

/// What an attempt does, as one short line; nothing that is secret can be in it.
fn started(state: &State, event: &Event, role: Role) -> Option<String> {
    // A guard is asked time and again: only what is wrong with one is news.
    let (_, step) = state.find_item(event.step.as_deref()?, event.item).filter(|_| role != Role::Guard)?;
    let running = step.running.as_ref().filter(|running| Some(running.attempt) == event.attempt);
    let request = running?.request.as_ref()?;
    let script = |script: &str| script.lines().next().unwrap_or_default().to_owned();
    let words = |argv: &[Rendered]| argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let what = match &request.probe.action {
        Action::Http(call) => format!("{} {}", call.method, call.url),
        Action::Notify(notice) => notice.summary(&state.run.lang),
        Action::Shell(call) => script(&call.script),
        Action::Argv(call) => words(&call.argv),
        Action::Remote(call) => {
            let what = match &call.program {
                Program::Shell(call) => script(&call.script),
                Program::Argv(call) => words(&call.argv),
            };
            format!("{} $ {what}", call.host)
        }
    };
    let role = if role == Role::Do { String::new() } else { format!("{} ", role.name()) };
    let part = request.part.as_ref().map(|part| format!("{part} ")).unwrap_or_default();
    let mark = Lang::of(&state.run.lang).effect(request.effect);
    let what: String = what.chars().take(160).collect();
    Some(format!("{role}{part}[{mark}] {what}"))
}

fn mode_name(french: bool, mode: Mode) -> String {
    match mode {
        Mode::Live => pick(french, "EXÉCUTION RÉELLE", "LIVE RUN"),
        Mode::Drill => pick(french, "exercice", "drill"),
        Mode::Rehearsal => pick(french, "répétition", "rehearsal"),
    }
}

fn pick(french: bool, fr: &str, en: &str) -> String {
    if french { fr.to_owned() } else { en.to_owned() }
}
