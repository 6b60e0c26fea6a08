//! What a run waits for, and the commands that go on with it. Words only: reads a plan and a state.

use std::path::Path;

use super::sheet::duration;
use crate::clock::Timestamp;
use crate::core::event::ReversalEnd;
use crate::core::{Ask, RunStatus, State, Status};
use crate::operator::{Lang, Question, quoted};
use crate::plan::Plan;
use crate::record::build::is_complete;

/// Over, and its record is not complete.
pub(super) const UNSEALED: &str = "unsealed";

/// The status of a run as it is seen from outside: a run that nobody drives does not run.
pub(super) fn standing(state: &State, driven: bool, dir: &Path) -> &'static str {
    let over = state.run.finished.is_some();
    match state.status() {
        // A crash during the sealing leaves a run that is over and keeps its locks.
        _ if over && !driven && !is_complete(dir) => UNSEALED,
        RunStatus::Running | RunStatus::Waiting if !driven => "interrupted",
        status => status.name(),
    }
}

/// What a run waits for, a line each.
pub(super) fn waits(plan: &Plan, state: &State) -> Vec<String> {
    let french = state.run.lang == "fr";
    let word = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let mut lines: Vec<String> = questions(plan, state).map(|question| question_line(&question)).collect();
    for (at, (_, step)) in state.steps().enumerate() {
        let name = state.shape().label(at);
        if let Some(due) = step.due.filter(|_| !step.settled && !state.shape().is_guard(at)) {
            lines.push(format!("{} {} {} {due}", word("attend :", "waits:"), name, word("jusqu'à", "until")));
        }
        if step.status == Status::Interrupted || step.running.is_some() {
            lines.push(format!("{} {}", word("en cours :", "in flight:"), name));
        }
        if step.status == Status::Unknown && step.ask.is_none() {
            lines.push(format!("{} {}", word("issue inconnue :", "outcome unknown:"), name));
        }
    }
    lines
}

/// Questions that took people longer than their timebox, or still do.
pub(super) fn overtimes(state: &State, now: Timestamp) -> Vec<String> {
    let over = |ask: &Ask| {
        let node = state.shape().node(ask.step);
        let timebox = node.timebox_ms?;
        let until = match ask.end {
            None => now,
            Some(_) => ask.answers.last()?.at,
        };
        let took = until.since(ask.opened);
        let (took, timebox) = ((took > timebox).then(|| duration(took))?, duration(timebox));
        Some(match (state.run.lang == "fr", ask.end) {
            (true, None) => {
                format!("dépasse le temps prévu : {} attend depuis {took}, prévu {timebox}", node.id)
            }
            (true, _) => format!("temps prévu dépassé : {}, {took}, prévu {timebox}", node.id),
            (false, None) => format!("over its timebox: {} has waited {took}, timebox {timebox}", node.id),
            (false, _) => format!("over its timebox: {} took {took}, timebox {timebox}", node.id),
        })
    };
    state.asks().filter_map(over).collect()
}

/// What is still switched, with the time at which somebody looks at it again.
pub(super) fn toggles(state: &State) -> Vec<String> {
    let mut open = state.still_open();
    for reversal in state.reversals() {
        let name = format!("put_back of {}", state.shape().node(reversal.step).id);
        if let (Some(ReversalEnd::LeftOpen), Some(at)) = (reversal.end, reversal.review_at)
            && let Some(line) = open.iter_mut().find(|line| **line == name)
        {
            line.push_str(&format!(", to be looked at again at {at}"));
        }
    }
    // The names of the journal are numbered; people read those of items.
    for reversal in state.reversals() {
        let of = |name: &str| format!(" of {name}");
        let (id, label) =
            (of(&state.shape().node(reversal.step).id), of(&state.shape().label(reversal.step)));
        for line in open.iter_mut().filter(|line| id.contains('[') && line.contains(&id)) {
            *line = line.replacen(&id, &label, 1);
        }
    }
    open
}

/// How its questions are answered from the command line, a command each.
pub(super) fn answers(plan: &Plan, state: &State, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for question in questions(plan, state) {
        lines.push(answer_line(&question, name));
        if let Some(glass) = &question.glass {
            let (step, who, from) = (&question.step, glass.people.join(", "), glass.from);
            lines.push(format!(
                "consigne answer {name} {step} break_glass --comment …    ({who}, from {from} on)"
            ));
        }
    }
    lines
}

/// Its open questions.
pub(super) fn questions<'a>(plan: &'a Plan, state: &'a State) -> impl Iterator<Item = Question> + 'a {
    state.open_asks().filter_map(|ask| Question::of(plan, state, ask.id))
}

fn question_line(question: &Question) -> String {
    let kind = serde_json::json!(question.kind).as_str().unwrap_or_default().replace('_', " ");
    let text = question.prompt.as_deref().or(question.title.as_deref()).map(first_line).unwrap_or_default();
    let french = question.lang == Lang::Fr;
    let (person, until) =
        if french { ("attend quelqu'un :", "jusqu'à") } else { ("waits for a person:", "until") };
    let expires = question.expires.map(|at| format!(", {until} {at}")).unwrap_or_default();
    let mut line = format!("{person} {} ({kind}{expires})", question.step);
    if let Some(why) = question.reason.as_ref().filter(|_| question.kind.is_trouble()) {
        line.push_str(&format!(" {why}"));
    }
    if !text.is_empty() {
        line.push_str(&format!(" {text}"));
    }
    if let Some(before) = question.lang.asked_before(&question.earlier).pop() {
        line.push_str(&format!(" ({before})"));
    }
    // What a system answered may stand in it: it does not drive the terminal.
    crate::operator::one_line(&line)
}

/// The command that answers a question.
pub(super) fn answer_line(question: &Question, name: &str) -> String {
    let (step, value) = question.on_a_command_line();
    let played = if question.role_play {
        let people: Vec<&str> = question.who.people.iter().map(String::as_str).collect();
        if people.is_empty() { String::new() } else { format!(" --as {}", quoted(&people.join("|"))) }
    } else {
        String::new()
    };
    let signed = if question.signed && !question.role_play { " --signature FILE" } else { "" };
    format!("consigne answer {name} {step} {value}{played}{signed}")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
