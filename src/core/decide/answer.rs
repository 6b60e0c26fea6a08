//! Answers: what people say to an open question. Admitted against the state as it is, then carried out.

use serde_json::Value;

use super::super::event::{
    Actor, AskEnd, AskKind, Decision, Ended, Event, Fact, Hidden, Override, ReversalEnd, Status,
};
use super::super::input::Answer;
use super::super::state::{Ask, Belief, ItemState, State};
use super::entitled::{entitled, may_break_glass, same};
use super::needed::{given_by, needed_outputs, needed_secrets};
use super::{Draft, Refused, choose, form, read_back};
use crate::clock::Timestamp;
use crate::plan::{Effect, Evidence, Plan};

/// An answer that will be carried out.
pub(super) struct Admitted {
    ask: u32,
    actor: Actor,
    /// Decisions, each on a part or on the whole.
    said: Vec<(Option<String>, Decision)>,
    hidden: Hidden,
    review_at: Option<Timestamp>,
}

/// `None`: the same was said before by the same person.
///
/// # Errors
/// Why the answer is refused.
pub(super) fn admit(
    plan: &Plan,
    state: &State,
    at: Timestamp,
    answer: Answer,
) -> Result<Option<Admitted>, Refused> {
    let ask = state.ask(answer.ask).ok_or_else(|| Refused::new("unknown-question", "no such question"))?;
    if answer.actor.how == super::super::How::Policy {
        return Err(Refused::new("not-entitled", "only the runbook itself declares policy answers"));
    }
    if ask.kind == AskKind::Approve && decision(ask, &answer.value) == Ok(Decision::BreakGlass) {
        may_break_glass(plan, state, ask, &answer.actor, at)?;
    } else {
        entitled(plan, state, ask, &answer.actor)?;
    }
    known_part(state, ask, &answer)?;
    if let Some(first) = earlier(ask, &answer) {
        let (_, decision) = read(ask, &answer.value, answer.part.as_deref())?;
        let repeated = first.decision == decision && same(&first.actor, &answer.actor);
        return if repeated && says_the_same(state, ask, first, &answer.value)? {
            Ok(None)
        } else {
            Err(conflict(ask, first))
        };
    }
    if ask.end.is_some() {
        return Err(closed(ask));
    }
    // In a pause no timer runs; what it would have ended is over all the same.
    if let Some(expires) = ask.expires.filter(|expires| at > *expires) {
        return Err(Refused::new("expired", format!("question {}: its time was over at {expires}", ask.id))
            .hint("`consigne resume` goes on with what follows from that"));
    }
    check(plan, state, ask, answer).map(Some)
}

/// The declared answer of an unattended run, if it fits its question.
pub(super) fn by_policy(plan: &Plan, state: &State, ask: u32, value: Value) -> Option<Admitted> {
    let ask = state.ask(ask)?;
    if ask.kind == AskKind::Approve {
        return None;
    }
    let answer = Answer {
        ask: ask.id,
        part: None,
        value,
        comment: None,
        evidence: Vec::new(),
        actor: Actor::policy(),
        shown: None,
    };
    entitled(plan, state, ask, &answer.actor).ok()?;
    check(plan, state, ask, answer).ok()
}

fn known_part(state: &State, ask: &Ask, answer: &Answer) -> Result<(), Refused> {
    let Some(part) = &answer.part else { return Ok(()) };
    if ask.kind != AskKind::Checklist {
        return Err(Refused::new("unknown-item", format!("the question has no item `{part}`")));
    }
    if state.shape().node(ask.step).items.iter().any(|item| item.id == *part) {
        return Ok(());
    }
    Err(Refused::new("unknown-item", format!("the list has no item `{part}`")))
}

/// What the same person said before, what settled the item, or what closed the question.
fn earlier<'a>(ask: &'a Ask, answer: &Answer) -> Option<&'a super::super::state::Given> {
    let own = ask.answers.iter().find(|given| {
        given.part == answer.part && same(&given.actor, &answer.actor) && given.decision != Decision::Retry
    });
    let closing = || ask.end.and(ask.answers.last());
    match ask.kind {
        AskKind::Approve | AskKind::Confirm => own.or_else(closing),
        AskKind::Checklist if answer.part.is_some() => own.or_else(|| {
            let settled = |given: &&super::super::state::Given| {
                given.part == answer.part && given.decision != Decision::Retry
            };
            ask.answers.iter().find(settled)
        }),
        AskKind::Checklist => own.or_else(closing),
        _ => closing(),
    }
}

/// Whether what is said in so many words is what was said first: where the decision alone does not tell.
fn says_the_same(
    state: &State,
    ask: &Ask,
    first: &super::super::state::Given,
    value: &Value,
) -> Result<bool, Refused> {
    let said = first.value.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    Ok(match ask.kind {
        AskKind::Choice => said == Some(choose::chosen(ask, state.shape().node(ask.step), value)?),
        AskKind::Input => said.as_ref() == Some(value),
        _ => true,
    })
}

fn conflict(ask: &Ask, first: &super::super::state::Given) -> Refused {
    let decision = serde_json::to_value(first.decision).unwrap_or_default();
    let said = match &first.value {
        Some(chosen) if first.decision == Decision::Chosen => chosen.replace('"', ""),
        _ => decision.as_str().unwrap_or("answered").replace('_', " "),
    };
    Refused::new("conflict", format!("{} said \"{said}\" at {}", first.actor.who, first.at))
        .hint(format!("question {} is decided once; nothing has changed", ask.id))
}

fn closed(ask: &Ask) -> Refused {
    let why = match ask.end {
        Some(AskEnd::TimedOut) => "its time is over",
        Some(AskEnd::Voided) => "what it was about has changed: it is asked again",
        Some(AskEnd::Withdrawn) => "it is no longer asked",
        Some(AskEnd::Answered) | None => "it is answered",
    };
    Refused::new("question-closed", format!("question {}: {why}", ask.id))
}

fn check(plan: &Plan, state: &State, ask: &Ask, answer: Answer) -> Result<Admitted, Refused> {
    if let (Some(shown), Some(binds)) = (&answer.shown, &ask.binds) {
        let now = serde_json::to_string(binds).unwrap_or_default();
        if *shown != now {
            return Err(Refused::new("stale-view", "what was shown is not what is asked now")
                .hint("look at the question again"));
        }
    }
    let (choice, decision) = read(ask, &answer.value, answer.part.as_deref())?;
    let mut hidden = Hidden::default();
    let mut review_at = None;
    if let Some(comment) = &answer.comment {
        hidden.put_text("comment", comment);
    }
    if !answer.evidence.is_empty() {
        hidden.put("evidence", &answer.evidence);
    }
    hidden.put("value", &choice);
    let node = state.shape().node(ask.step);
    match ask.kind {
        AskKind::Approve if decision == Decision::BreakGlass => need_reason(&answer, "breaking the glass")?,
        AskKind::Approve | AskKind::Canary => {}
        AskKind::Guard if decision == Decision::GoOn => need_reason(&answer, "overruling a guard")?,
        AskKind::Guard => {}
        AskKind::Confirm => check_typed(ask, node, &answer, decision)?,
        AskKind::Input => form::fields(plan, state, ask.step, &answer.value, &mut hidden)?,
        AskKind::Choice => hidden.put("value", &choose::chosen(ask, node, &answer.value)?),
        AskKind::Manual => need_evidence(node.evidence.unwrap_or_default(), &answer, decision)?,
        AskKind::Checklist => return checklist(state, ask, answer, decision, hidden),
        AskKind::Failure | AskKind::Unknown => {
            override_fits(plan, state, ask, &answer, decision, &mut hidden)?
        }
        AskKind::PutBack => {
            if decision != Decision::PutBack {
                need_reason(&answer, "leaving a toggle as it is, or calling it done")?;
            }
            if decision == Decision::LeaveOpen {
                for name in ["owner", "review_at"] {
                    if answer.value.get(name).is_none() {
                        return Err(Refused::new("incomplete", format!("leaving it open needs `{name}`"))
                            .hint("who looks after it, and when it is looked at again")
                            .hint(
                                r#"say '{"choice": "leave_open", "owner": "NAME", "review_at": "2026-11-24T09:00:00+01:00"}'"#,
                            ));
                    }
                }
                review_at = answer.value["review_at"].as_str().and_then(|text| text.parse().ok());
                if review_at.is_none() {
                    return Err(Refused::new(
                        "ill-typed",
                        "`review_at` is no RFC 3339 instant with an offset",
                    ));
                }
                hidden.put("owner", &answer.value["owner"]);
            }
        }
    }
    Ok(Admitted { ask: ask.id, actor: answer.actor, said: vec![(answer.part, decision)], hidden, review_at })
}

/// The decision that a value stands for as an answer to the question as a whole.
///
/// # Errors
/// It is none of what may be said.
pub fn decision(ask: &Ask, value: &Value) -> Result<Decision, Refused> {
    read(ask, value, None).map(|(_, decision)| decision)
}

/// The choice as it was put, and the decision it stands for.
fn read(ask: &Ask, value: &Value, part: Option<&str>) -> Result<(Value, Decision), Refused> {
    if ask.kind == AskKind::Input {
        return Ok((value.clone(), Decision::Given));
    }
    if ask.kind == AskKind::Choice {
        return Ok((value.clone(), Decision::Chosen));
    }
    let choice = value.get("choice").unwrap_or(value);
    let word = match choice {
        Value::Bool(true) => "yes",
        Value::Bool(false) => "no",
        Value::String(word) => word.as_str(),
        _ => "",
    };
    let choices = choices(ask, part.is_some());
    let found = choices.iter().find(|(words, _)| words.contains(&word)).map(|(_, decision)| *decision);
    // The word that a confirmation asks for is a yes; what an item shows ticks it, whatever it is.
    let typed = (ask.kind == AskKind::Confirm && is_typed(ask, choice)).then_some(Decision::Yes);
    let back = read_back::is_right(ask, part, choice).then_some(Decision::ReadBack);
    let found = found.filter(|decision| back.is_none() || *decision != Decision::Done);
    found.or(typed).or(back).map(|decision| (value.clone(), decision)).ok_or_else(|| {
        if let Some(item) = part.filter(|item| read_back::expected(ask, item).is_some()) {
            return read_back::wrong(item);
        }
        let words: Vec<&str> = choices.iter().map(|(words, _)| words[0]).collect();
        Refused::new("not-a-choice", format!("`{word}` is no answer to this question"))
            .hint(format!("one of: {}", words.join(", ")))
    })
}

/// What may be said to a question, first the word that is offered.
pub fn choices(ask: &Ask, part: bool) -> Vec<(&'static [&'static str], Decision)> {
    match ask.kind {
        AskKind::Approve => {
            let mut words: Vec<(&'static [&'static str], Decision)> =
                vec![(&["approve", "yes"], Decision::Approve), (&["reject", "no"], Decision::Reject)];
            if ask.glass.is_some() {
                words.push((&["break_glass"], Decision::BreakGlass));
            }
            words
        }
        AskKind::Confirm | AskKind::Canary => vec![(&["yes"], Decision::Yes), (&["no"], Decision::No)],
        AskKind::Input | AskKind::Choice => Vec::new(),
        AskKind::Manual => vec![(&["done", "yes"], Decision::Done), (&["not_done", "no"], Decision::NotDone)],
        AskKind::Checklist if part => vec![
            (&["yes", "done"], Decision::Done),
            (&["no"], Decision::No),
            (&["retry"], Decision::Retry),
            (&["by_hand"], Decision::ByHand),
        ],
        AskKind::Checklist => vec![(&["yes", "done"], Decision::Done), (&["no"], Decision::No)],
        AskKind::Failure => vec![
            (&["retry"], Decision::Retry),
            (&["by_hand"], Decision::ByHand),
            (&["skip"], Decision::Skip),
            (&["set_output"], Decision::SetOutput),
            (&["undo_end"], Decision::UndoEnd),
            (&["end"], Decision::End),
        ],
        AskKind::Unknown => vec![
            (&["done"], Decision::Done),
            (&["not_done"], Decision::NotDone),
            (&["retry"], Decision::Retry),
            (&["undo_end"], Decision::UndoEnd),
            (&["end"], Decision::End),
        ],
        AskKind::Guard => {
            vec![(&["retry"], Decision::Retry), (&["go_on"], Decision::GoOn), (&["end"], Decision::End)]
        }
        AskKind::PutBack => vec![
            (&["put_back", "retry"], Decision::PutBack),
            (&["done"], Decision::Done),
            (&["leave_open"], Decision::LeaveOpen),
        ],
    }
}

/// Whether it is the word that the prompt asks for.
fn is_typed(ask: &Ask, choice: &Value) -> bool {
    let word = ask.shown.get("typed").and_then(|text| serde_json::from_str::<String>(text).ok());
    word.is_some() && word.as_deref() == choice.as_str()
}

fn check_typed(
    ask: &Ask,
    node: &crate::plan::StepNode,
    answer: &Answer,
    decision: Decision,
) -> Result<(), Refused> {
    let typed = node.gate.as_ref().is_some_and(|gate| gate.typed);
    let choice = answer.value.get("choice").unwrap_or(&answer.value);
    if typed && decision == Decision::Yes && !is_typed(ask, choice) {
        return Err(Refused::new("not-typed", "the confirmation has to be typed, not just answered")
            .hint("type the word that the prompt shows"));
    }
    Ok(())
}

fn need_evidence(evidence: Evidence, answer: &Answer, decision: Decision) -> Result<(), Refused> {
    let positive = matches!(decision, Decision::Done | Decision::ByHand | Decision::ReadBack);
    if evidence == Evidence::Required && positive && answer.evidence.is_empty() {
        return Err(
            Refused::new("no-evidence", "this needs evidence").hint("attach a file with --evidence FILE")
        );
    }
    Ok(())
}

fn need_reason(answer: &Answer, what: &str) -> Result<(), Refused> {
    if answer.comment.as_ref().is_none_or(|comment| comment.trim().is_empty()) {
        return Err(
            Refused::new("no-reason", format!("{what} needs a reason")).hint("give it with --comment")
        );
    }
    Ok(())
}

fn checklist(
    state: &State,
    ask: &Ask,
    answer: Answer,
    decision: Decision,
    hidden: Hidden,
) -> Result<Admitted, Refused> {
    let node = state.shape().node(ask.step);
    let items = || node.items.iter().zip(&state.step(ask.step).items);
    let said = match &answer.part {
        Some(part) => {
            let Some((item, now)) = items().find(|(item, _)| item.id == *part) else {
                return Err(Refused::new("unknown-item", format!("the list has no item `{part}`")));
            };
            if !now.is_open() {
                return Err(Refused::new("item-settled", format!("item `{part}` is settled already")));
            }
            let first = items().find(|(_, now)| now.is_open()).map(|(item, _)| &item.id);
            if node.in_order && first != Some(part) {
                let first = first.map_or("", String::as_str);
                return Err(Refused::new(
                    "out-of-order",
                    format!("this list is read in order: `{first}` comes first"),
                ));
            }
            if item.read_back
                && let Some(refused) = read_back::bare(part, decision)
            {
                return Err(refused);
            }
            if *now == ItemState::Refuted && decision == Decision::Done {
                return Err(Refused::new("probe-says-no", format!("the probe of `{part}` does not hold"))
                    .hint("`retry` asks it again, `by_hand` overrules it with a reason"));
            }
            if decision == Decision::ByHand {
                need_reason(&answer, "overruling a probe")?;
            }
            if decision == Decision::Retry && !item.probe {
                return Err(Refused::new("not-a-choice", format!("item `{part}` has no probe to retry")));
            }
            need_evidence(item.evidence, &answer, decision)?;
            vec![(Some(part.clone()), decision)]
        }
        None => {
            let plain = items().filter(|(item, now)| {
                let more = item.evidence == Evidence::Required || item.read_back;
                **now == ItemState::Open && !(decision == Decision::Done && more)
            });
            let said: Vec<_> = plain.map(|(item, _)| (Some(item.id.clone()), decision)).collect();
            if said.is_empty() {
                return Err(Refused::new(
                    "name-the-item",
                    "what is left of this list is answered item by item",
                )
                .hint("it needs evidence, is read back, or its probe does not hold"));
            }
            said
        }
    };
    Ok(Admitted { ask: ask.id, actor: answer.actor, said, hidden, review_at: None })
}

/// An override needs a reason, the outputs that something to come reads, and sometimes a second person.
fn override_fits(
    plan: &Plan,
    state: &State,
    ask: &Ask,
    answer: &Answer,
    decision: Decision,
    hidden: &mut Hidden,
) -> Result<(), Refused> {
    let node = state.shape().node(ask.step);
    if decision == Decision::Retry
        && state.step(ask.step).compound.is_some()
        && !state.shape().is_whole(ask.step)
    {
        return Err(Refused::new("not-a-choice", "a group is not tried again as a whole").hint(
            "its steps have their own `retry` and `on_failure: ask`; `by_hand`, `skip` and `end` are left",
        ));
    }
    let replaces = match decision {
        Decision::ByHand | Decision::Skip | Decision::SetOutput => true,
        Decision::Done => ask.kind == AskKind::Unknown,
        _ => false,
    };
    if !replaces {
        return Ok(());
    }
    if state.is_behind_shut_gate(ask.step) {
        return Err(Refused::new(
            "gate-shut",
            "a gate inside it is not open, and nobody but its people opens it",
        )
        .hint("`retry` asks again where that is possible, `end` ends the run"));
    }
    need_reason(answer, "an override")?;
    let second = plan.graph.protected && node.effect == Effect::Destructive;
    let starter = state.run.starter.as_ref();
    if second && starter.is_some_and(|starter| same(starter, &answer.actor)) {
        return Err(Refused::new(
            "second-person",
            "a destructive step of a protected environment is overridden by a second person",
        ));
    }
    if let Some(name) = needed_secrets(plan, state, ask.step).first() {
        let message = format!("a later step uses the secret `{name}`, which only this step itself can give");
        return Err(Refused::new("secret-needed", message)
            .hint("retry it: what was made before and is lost is best revoked; or end the run here"));
    }
    let given = answer.value.get("outputs").and_then(Value::as_object);
    let needed = needed_outputs(plan, state, ask.step);
    for name in &needed {
        if given.is_none_or(|given| !given.contains_key(name))
            && !state.step(ask.step).outputs.contains_key(name)
        {
            return Err(Refused::new("outputs-needed", format!("a later step reads the output `{name}`"))
                .hint(format!(
                    "give a value for each of: {} (with `answer` as JSON: {{\"choice\": …, \"outputs\": {{\"{name}\": …}}}})",
                    needed.iter().cloned().collect::<Vec<_>>().join(", ")
                )));
        }
    }
    for (name, value) in given.into_iter().flatten() {
        if !given_by(node).iter().any(|output| output.name == *name) {
            return Err(Refused::new("unknown-output", format!("step `{}` has no output `{name}`", node.id)));
        }
        hidden.put(&format!("output.{name}"), value);
    }
    Ok(())
}

impl Draft<'_> {
    pub(super) fn answer(&mut self, admitted: Admitted) {
        let Admitted { ask: id, actor, said, hidden, review_at } = admitted;
        let Some(ask) = self.state.ask(id).cloned() else { return };
        let Some(decision) = said.last().map(|(_, decision)| *decision) else { return };
        for (part, decision) in said {
            let event = self.about(ask.step, Fact::AskAnswered { ask: id, part, decision });
            self.emit(Event { hidden: hidden.clone(), ..event }.by(actor.clone()));
        }
        if !self.is_decided(id) {
            return;
        }
        self.emit_step(ask.step, Fact::AskClosed { ask: id, how: AskEnd::Answered });
        match ask.kind {
            AskKind::Failure | AskKind::Unknown => self.carry_out_override(&ask, decision, actor, hidden),
            AskKind::Guard => self.carry_out_guard(&ask, decision, actor, hidden),
            AskKind::PutBack => {
                let due = self.state.due_reversal(ask.step, None);
                let Some(top) = due.map(|at| self.state.reversals()[at].clone()) else { return };
                match decision {
                    Decision::Done => self.close_reversal(&top, ReversalEnd::Done),
                    Decision::LeaveOpen => self.close_reversal_until(&top, ReversalEnd::LeftOpen, review_at),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Whether the answers so far decide the question.
    fn is_decided(&self, id: u32) -> bool {
        let Some(ask) = self.state.ask(id) else { return false };
        let step = self.state.step(ask.step);
        match ask.kind {
            AskKind::Approve | AskKind::Confirm => {
                let quorum =
                    self.state.shape().node(ask.step).gate.as_ref().map_or(1, |gate| gate.quorum.max(1));
                let no = ask.answers.iter().any(|a| matches!(a.decision, Decision::Reject | Decision::No));
                no || ask.answers.len() >= quorum as usize || ask.broke_glass().is_some()
            }
            AskKind::Checklist => {
                !step.items.iter().any(|item| item.is_open() || *item == ItemState::Unprobed)
            }
            _ => true,
        }
    }

    fn carry_out_override(&mut self, ask: &Ask, decision: Decision, actor: Actor, hidden: Hidden) {
        let how = match decision {
            Decision::Retry => Override::Retry,
            Decision::ByHand => Override::ByHand,
            Decision::Skip => Override::Skip,
            Decision::SetOutput => Override::SetOutput,
            Decision::Done => Override::Done,
            Decision::NotDone => Override::NotDone,
            _ => {
                let unknown =
                    self.state.step(ask.step).belief == Belief::Unknown && ask.kind == AskKind::Unknown;
                let undo = decision == Decision::UndoEnd;
                if !unknown {
                    self.settle(ask.step, Status::Failed, ask.reason.as_deref().unwrap_or("failed"));
                } else if self.state.run.ending.is_some() {
                    // In `finally` there is nothing left to end but the step.
                    self.settle(ask.step, Status::Unknown, ask.reason.as_deref().unwrap_or("unknown"));
                }
                if self.state.run.ending.is_none() {
                    let reason = format!("ended_at:{}", self.name(ask.step));
                    self.end_run(Ended::Failed, &reason, undo, false, Some((actor, String::new())));
                }
                return;
            }
        };
        let event = self.about(ask.step, Fact::StepOverridden { how });
        self.emit(Event { hidden, ..event }.by(actor));
    }
}
