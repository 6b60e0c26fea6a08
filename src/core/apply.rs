//! The only mutation of a state: one event at a time, legal or refused.
//!
//! Never needs a hidden value to find an event legal, so that a reader without disclosures folds the same journal to
//! the same statuses. Never looks at a clock: the time of an event is the time of its entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attempt::{AttemptResult, BlobRef, Json, Role};
use super::event::{
    Actor, AskEnd, AskKind, Decision, Event, Fact, Hidden, Override, Reversal, ReversalEnd, SkipReason, Status,
};
use super::state::{
    Ask, Belief, Binds, Ending, Finished, Given, Human, ItemState, Last, Paused, Phase, ReversalState, Running, State,
    Timer,
};
use crate::clock::Timestamp;
use crate::plan::Kind;

/// An event that cannot follow from the state before it: a damaged or forged journal, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("illegal `{event}`{}: {why}", .step.as_ref().map(|s| format!(" of step `{s}`")).unwrap_or_default())]
pub struct Illegal {
    pub event: String,
    pub step: Option<String>,
    pub why: &'static str,
}

type Applied = Result<(), &'static str>;

fn need(holds: bool, why: &'static str) -> Applied {
    if holds { Ok(()) } else { Err(why) }
}

impl State {
    /// Takes in one event of an entry written at `at`.
    ///
    /// # Errors
    /// The event is illegal in this state; the state is then to be thrown away.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Illegal> {
        self.apply_fact(at, event).map_err(|why| Illegal {
            event: event.fact.name().to_owned(),
            step: event.step.clone(),
            why,
        })?;
        self.run.last_at = self.run.last_at.max(at);
        if !self.derived.finally_open && self.phase() >= Phase::Finally {
            self.derived.finally_open = true;
            for step in self.shape.main()..self.shape.len() {
                self.make_ready(step);
            }
        }
        Ok(())
    }

    fn apply_fact(&mut self, at: Timestamp, event: &Event) -> Applied {
        let phase = self.phase();
        if phase == Phase::New {
            need(matches!(event.fact, Fact::RunStarted { .. }), "the run has not started")?;
        }
        if phase == Phase::Finished {
            let after = matches!(
                event.fact,
                Fact::RunSealed {}
                    | Fact::JournalRecovered { .. }
                    | Fact::JournalExported { .. }
                    | Fact::ApprovalAttested { .. }
                    | Fact::NoteRecorded {}
                    | Fact::ClockStepped { .. }
            );
            need(after && !self.run.sealed, "the run is over")?;
        }
        match &event.fact {
            Fact::RunStarted { attended, lang, semantics, .. } => {
                need(phase == Phase::New, "the run has started already")?;
                need(*semantics <= crate::plan::SEMANTICS, "decided by newer rules than this version knows")?;
                self.run_started(at, event.actor.clone(), *attended, lang);
                Ok(())
            }
            Fact::RunResumed { attended, .. } => {
                need(self.derived.in_flight.is_empty(), "attempts are still running")?;
                self.run.paused = None;
                self.run.attended = *attended;
                self.run.resumes += 1;
                Ok(())
            }
            Fact::RunPaused { stop, .. } => {
                self.run.paused = Some(Paused { stop: *stop || self.run.paused.is_some_and(|p| p.stop) });
                Ok(())
            }
            Fact::RunEnding { outcome, reason, undo, stop } => {
                need(phase == Phase::Main, "the run is ending already")?;
                let ending = Ending { outcome: *outcome, reason: reason.clone(), undo: *undo, stop: *stop };
                self.run_ending(at, ending);
                Ok(())
            }
            Fact::RunFinished { status, reason, still_open } => {
                need(phase == Phase::Over, "something is not settled yet")?;
                need(self.derived.in_flight.is_empty(), "attempts are still running")?;
                let finished =
                    Finished { status: *status, reason: reason.clone(), still_open: still_open.clone(), at };
                self.run.finished = Some(finished);
                self.run.paused = None;
                Ok(())
            }
            Fact::RunSealed {} => {
                need(phase == Phase::Finished, "the run is not finished")?;
                self.run.sealed = true;
                Ok(())
            }
            Fact::ClockStepped { .. }
            | Fact::JournalRecovered { .. }
            | Fact::JournalExported { .. }
            | Fact::NoteRecorded {} => Ok(()),
            Fact::ApprovalAttested { ask, file, .. } => {
                let ask = self.asks.get_mut(ask).ok_or("no such question")?;
                need(ask.attested.len() < ask.answers.len(), "there is no decision to attest")?;
                ask.attested.push(file.clone());
                Ok(())
            }
            Fact::AskAnswered { ask, part, decision } => self.ask_answered(at, event, *ask, part.as_deref(), *decision),
            Fact::AskEscalated { ask, expires } => self.ask_escalated(*ask, *expires),
            Fact::AskClosed { ask, how } => self.ask_closed(*ask, *how),
            Fact::ApprovalVoided { ask, .. } => self.approval_voided(*ask),
            _ => self.apply_to_step(at, event),
        }
    }

    fn apply_to_step(&mut self, at: Timestamp, event: &Event) -> Applied {
        let name = event.step.as_deref().ok_or("it names no step")?;
        let step = self.shape.find(name).ok_or("no such step")?;
        need(event.item.is_none(), "the step has no items")?;
        match &event.fact {
            Fact::StepSkipped { reason, .. } => self.step_skipped(at, step, *reason)?,
            Fact::StepSettled { status, reason } => self.step_settled(at, step, *status, reason)?,
            Fact::StepUnknown { reason } => self.step_unknown(step, reason)?,
            Fact::StepOverridden { how } => self.step_overridden(at, step, *how, event)?,
            Fact::StepExpanded { .. } => return Err("lists are not part of these rules"),
            Fact::AttemptStarted { role, part, .. } => {
                self.attempt_started(at, step, event, *role, part.as_deref())?;
            }
            Fact::AttemptFinished { .. } => self.attempt_finished(step, event)?,
            Fact::AttemptInterrupted {} => self.attempt_interrupted(step, event)?,
            Fact::RetryScheduled { due } => self.retry_scheduled(step, *due)?,
            Fact::WaitStarted { due } => {
                need(self.steps[step].status == Status::Ready, "its turn has not come")?;
                self.steps[step].status = Status::Waiting;
                self.set_due(step, Some((*due, Timer::Wait(step))));
            }
            Fact::AskOpened { ask, kind, expires, covers, parts: _, reason } => {
                self.ask_opened(at, step, event, *ask, *kind)?;
                if let Some(opened) = self.asks.get_mut(ask) {
                    opened.covers.clone_from(covers);
                    opened.reason.clone_from(reason);
                }
                self.set_expiry(*ask, *expires);
            }
            Fact::ReversalClosed { kind, how, review_at } => self.reversal_closed(step, *kind, *how, *review_at)?,
            _ => return Err("it does not belong to a step"),
        }
        self.refresh(step);
        Ok(())
    }

    fn run_started(&mut self, at: Timestamp, actor: Option<Actor>, attended: bool, lang: &str) {
        self.run.started = Some(at);
        self.run.starter = actor;
        self.run.attended = attended;
        lang.clone_into(&mut self.run.lang);
        if let Some(deadline) = self.shape.graph().deadline_ms {
            self.derived.timers.insert((at.plus(deadline), Timer::RunDeadline));
        }
        for step in 0..self.shape.main() {
            self.make_ready(step);
        }
    }

    fn run_ending(&mut self, at: Timestamp, ending: Ending) {
        self.run.ending = Some(ending);
        self.run.paused = None;
        self.derived.timers.retain(|(_, timer)| *timer != Timer::RunDeadline);
        for step in 0..self.shape.main() {
            let state = &mut self.steps[step];
            if !matches!(state.status, Status::Pending | Status::Ready) {
                continue;
            }
            // What waits to be tried again has been tried: it is not skipped, and may be unknown.
            let status = match (state.first_started, state.belief) {
                (None, _) => Status::Skipped,
                (_, Belief::Unknown) => Status::Unknown,
                _ => Status::Failed,
            };
            state.skipped = (status == Status::Skipped).then_some(SkipReason::Ended);
            self.settle(at, step, status, "ended");
            self.refresh(step);
        }
    }

    fn step_skipped(&mut self, at: Timestamp, step: usize, reason: SkipReason) -> Applied {
        let status = self.steps[step].status;
        let turn = status == Status::Ready || (reason == SkipReason::AlreadyDone && self.steps[step].is_loose());
        need(turn, "its turn has not come")?;
        need(!(reason == SkipReason::When && !self.shape.node(step).conditional), "it has no condition")?;
        self.steps[step].skipped = Some(reason);
        let code = match reason {
            SkipReason::When => "when",
            SkipReason::AlreadyDone => "already_done",
            SkipReason::Upstream => "upstream",
            SkipReason::NotNeeded => "not_needed",
            SkipReason::Ended => "ended",
        };
        self.settle(at, step, Status::Skipped, code);
        Ok(())
    }

    fn step_settled(&mut self, at: Timestamp, step: usize, status: Status, reason: &str) -> Applied {
        let state = &self.steps[step];
        need(!state.settled, "it is settled already")?;
        need(state.running.is_none(), "an attempt is running")?;
        need(state.ask.is_none(), "a question about it is open")?;
        need(state.status != Status::Pending, "its turn has not come")?;
        let final_status = status.is_final() || (status == Status::Unknown && self.run.ending.is_some());
        need(final_status && status != Status::Overridden && status != Status::Skipped, "that is no end of a step")?;
        let node = self.shape.node(step);
        if node.kind.is_gate() && status == Status::Succeeded {
            need(self.gate_is_open(step), "a gate opens by an answer of somebody entitled only")?;
        }
        need((status == Status::Rejected) <= node.kind.is_gate(), "only a gate is rejected")?;
        self.settle(at, step, status, reason);
        Ok(())
    }

    /// Whether the answers to its last question open the gate.
    fn gate_is_open(&self, step: usize) -> bool {
        let Some(gate) = &self.shape.node(step).gate else { return false };
        let Some(ask) = self.steps[step].last_ask.and_then(|id| self.asks.get(&id)) else { return false };
        let yes = ask.answers.iter().filter(|a| matches!(a.decision, Decision::Approve | Decision::Yes));
        let yes = yes.map(|a| &a.actor.who).collect::<BTreeSet<_>>().len();
        let no = ask.answers.iter().any(|a| matches!(a.decision, Decision::Reject | Decision::No));
        ask.end == Some(AskEnd::Answered) && !no && yes >= gate.quorum.max(1) as usize
    }

    fn step_unknown(&mut self, step: usize, reason: &str) -> Applied {
        need(self.steps[step].is_loose(), "nothing about it is uncertain")?;
        need(!self.shape.node(step).kind.is_gate(), "a gate is never uncertain")?;
        let state = &mut self.steps[step];
        state.status = Status::Unknown;
        state.belief = Belief::Unknown;
        state.reason = Some(reason.to_owned());
        Ok(())
    }

    fn step_overridden(&mut self, at: Timestamp, step: usize, how: Override, event: &Event) -> Applied {
        need(!self.shape.node(step).kind.is_gate(), "a gate cannot be overridden")?;
        need(event.actor.is_some(), "an override names who did it")?;
        let state = &self.steps[step];
        need(!state.settled && state.running.is_none(), "it is running, or settled already")?;
        need(state.ask.is_none() && state.last_ask.is_some(), "nobody was asked about it")?;
        let outputs = event.hidden.outputs();
        match how {
            Override::Retry => {
                let state = &mut self.steps[step];
                state.granted += 1;
                state.status = Status::Ready;
                state.interruptions = 0;
                state.last_ask = None;
                for (item, node) in state.items.iter_mut().zip(&self.shape.node(step).items) {
                    if *item == ItemState::Refused {
                        *item = if node.probe { ItemState::Unprobed } else { ItemState::Open };
                    }
                }
            }
            Override::NotDone => {
                need(state.belief == Belief::Unknown, "its outcome is not in question")?;
                self.steps[step].belief = Belief::NotDone;
                self.steps[step].status = Status::Running;
            }
            Override::ByHand | Override::Skip | Override::SetOutput | Override::Done => {
                self.steps[step].outputs.extend(outputs);
                self.settle(at, step, Status::Overridden, how.name());
            }
        }
        Ok(())
    }

    fn attempt_started(
        &mut self,
        at: Timestamp,
        step: usize,
        event: &Event,
        role: Role,
        part: Option<&str>,
    ) -> Applied {
        self.may_start(step, role, part)?;
        need(event.attempt == Some(self.steps[step].attempts + 1), "attempts are numbered in order")?;
        let request = event.hidden.0.get("request").and_then(|text| serde_json::from_str(text).ok()).map(Arc::new);
        self.set_due(step, None);
        let first = role == Role::Do && self.steps[step].first_started.is_none();
        let state = &mut self.steps[step];
        state.attempts += 1;
        state.running =
            Some(Running { attempt: state.attempts, role, part: part.map(str::to_owned), started: at, request });
        match role {
            Role::Undo | Role::PutBack | Role::OnlyIf => {
                if let Some(reversal) = self.reversals.iter_mut().rfind(|r| r.step == step && r.end.is_none()) {
                    reversal.told = false;
                    reversal.tries += u32::from(role != Role::OnlyIf);
                }
            }
            Role::Do | Role::First | Role::Verify | Role::Item => {
                if state.status != Status::Unknown && state.status != Status::Waiting {
                    state.status = Status::Running;
                }
                if role == Role::Do {
                    state.status = Status::Running;
                    state.first_started.get_or_insert(at);
                }
            }
        }
        if first {
            self.arm(step, &event.hidden);
        }
        Ok(())
    }

    fn may_start(&self, step: usize, role: Role, part: Option<&str>) -> Applied {
        let (state, node, phase) = (&self.steps[step], self.shape.node(step), self.phase());
        need(self.run.paused.is_none(), "the run is paused")?;
        need(state.running.is_none(), "an attempt is running already")?;
        need(self.has_slot(), "too many attempts at once")?;
        let turn = match phase {
            Phase::Main => self.shape.is_main(step),
            Phase::Finally => !self.shape.is_main(step),
            _ => false,
        };
        match role {
            Role::Do => {
                need(node.kind.runs(), "it is not done by a runner")?;
                need(turn, "the run is past it")?;
                need(self.gates_open(step), "a gate in front of it is not open")?;
                let ready = matches!(state.status, Status::Ready | Status::Retrying) || state.is_loose();
                need(ready && !state.settled, "its turn has not come")
            }
            Role::First => {
                need(node.verify.is_some_and(|v| v.first) && turn, "it has nothing to verify first")?;
                need(state.status == Status::Ready || state.is_loose(), "its turn has not come")
            }
            Role::Verify => {
                need(node.verify.is_some(), "it has nothing to verify")?;
                need(state.is_loose() && state.tries + state.interruptions > 0, "there is nothing to verify yet")
            }
            Role::Item => {
                need(node.items.iter().any(|i| i.probe && Some(i.id.as_str()) == part), "no such item to probe")?;
                let ready = state.status == Status::Ready && turn;
                need(ready || state.is_loose(), "its turn has not come")
            }
            Role::Undo | Role::PutBack | Role::OnlyIf => {
                let kind = if role == Role::Undo { Reversal::Undo } else { Reversal::PutBack };
                let top = self.reversals.iter().rfind(|r| r.end.is_none());
                need(phase == Phase::Unwinding, "the run is not unwinding")?;
                need(top.is_some_and(|r| r.step == step && r.kind == kind), "it is not the newest to be reversed")?;
                let chosen = self.run.ending.as_ref().is_some_and(|ending| ending.undo);
                need(role != Role::Undo || chosen, "nobody chose to undo")
            }
        }
    }

    /// Every gate that covers the step, or stands among its needs, is open or was not wanted.
    fn gates_open(&self, step: usize) -> bool {
        self.gates_before(step).all(|gate| self.satisfies(gate))
    }

    /// The gates that cover the step, stand among its needs, or are named by it.
    pub(super) fn gates_before(&self, step: usize) -> impl Iterator<Item = usize> {
        let needs = self.shape.needs(step).iter().filter(|need| self.shape.node(**need).kind.is_gate());
        let named = self.shape.node(step).gates.iter().filter_map(|gate| self.shape.find(gate));
        needs.chain(self.shape.covered_by(step)).copied().chain(named)
    }

    fn arm(&mut self, step: usize, hidden: &Hidden) {
        let node = self.shape.node(step);
        let armed = [(node.undo, Reversal::Undo, "undo"), (node.put_back.is_some(), Reversal::PutBack, "put_back")];
        for (wanted, kind, name) in armed {
            if wanted {
                let names = if kind == Reversal::Undo { vec![name] } else { vec![name, "only_if"] };
                let requests = names
                    .into_iter()
                    .filter_map(|name| Some((name.to_owned(), hidden.0.get(name)?.clone())))
                    .collect();
                let state = ReversalState {
                    step,
                    kind,
                    tries: 0,
                    allowed: None,
                    told: false,
                    end: None,
                    review_at: None,
                    requests,
                };
                self.reversals.push(state);
                self.derived.open_reversals[usize::from(!self.shape.is_main(step))] += 1;
            }
        }
    }

    fn attempt_finished(&mut self, step: usize, event: &Event) -> Applied {
        let Fact::AttemptFinished { result, reason, class, code, retry_after_ms, outputs, .. } = &event.fact else {
            return Err("not a finish");
        };
        let state = &mut self.steps[step];
        let running = state.running.take_if(|r| Some(r.attempt) == event.attempt).ok_or("no such attempt is running")?;
        let mut values: BTreeMap<String, Json> = event.hidden.outputs();
        values.extend(outputs.iter().filter_map(|(name, text)| Some((name.clone(), Json::parse(text).ok()?))));
        state.last = Some(Last {
            attempt: running.attempt,
            role: running.role,
            request: running.request,
            result: *result,
            reason: reason.clone(),
            class: *class,
            code: *code,
            retry_after_ms: *retry_after_ms,
            interrupted: false,
            excerpts: event.hidden.texts("excerpt."),
            blobs: event.hidden.blobs(),
        });
        match running.role {
            Role::Do => {
                // Told to stop before anything happened: cut off, as by a crash, and no try of the policy.
                if *result == AttemptResult::Cancelled {
                    state.interruptions += 1;
                } else {
                    state.tries += 1;
                    state.interruptions = 0;
                }
                state.outputs.extend(values);
                state.belief = match result {
                    AttemptResult::Succeeded => Belief::Done,
                    AttemptResult::Unknown => Belief::Unknown,
                    _ => Belief::NotDone,
                };
            }
            Role::First | Role::Verify => {
                for (name, value) in values {
                    state.outputs.entry(name).or_insert(value);
                }
                if running.role == Role::Verify && state.belief == Belief::Unknown {
                    if *result == AttemptResult::Succeeded {
                        state.belief = Belief::Done;
                    } else if *result == AttemptResult::Failed && reason == super::attempt::ABSENT {
                        state.belief = Belief::NotDone;
                    }
                }
            }
            Role::Item => {
                let at = self.shape.node(step).items.iter().position(|i| Some(&i.id) == running.part.as_ref());
                let proved = *result == AttemptResult::Succeeded;
                let asked = *result != AttemptResult::Cancelled;
                if let Some(item) = at.and_then(|at| state.items.get_mut(at)).filter(|_| asked) {
                    *item = if proved { ItemState::Proved } else { ItemState::Refuted };
                }
            }
            Role::OnlyIf => {
                let top = self.reversals.iter_mut().rfind(|r| r.step == step && r.end.is_none());
                if let Some(reversal) = top.filter(|_| *result != AttemptResult::Cancelled) {
                    reversal.allowed = Some(*result == AttemptResult::Succeeded);
                }
            }
            Role::Undo | Role::PutBack => {}
        }
        Ok(())
    }

    fn attempt_interrupted(&mut self, step: usize, event: &Event) -> Applied {
        let state = &mut self.steps[step];
        let running = state.running.take_if(|r| Some(r.attempt) == event.attempt).ok_or("no such attempt is running")?;
        // A question stays a question, and what nobody knows stays unknown.
        if !state.settled && !matches!(state.status, Status::Waiting | Status::Unknown) {
            state.status = Status::Interrupted;
        }
        if running.role == Role::Do {
            state.interruptions += 1;
        }
        state.last = Some(Last {
            attempt: running.attempt,
            role: running.role,
            request: running.request,
            result: AttemptResult::Unknown,
            reason: "interrupted".to_owned(),
            class: None,
            code: None,
            retry_after_ms: None,
            interrupted: true,
            excerpts: BTreeMap::new(),
            blobs: BTreeMap::new(),
        });
        Ok(())
    }

    fn retry_scheduled(&mut self, step: usize, due: Timestamp) -> Applied {
        let state = &mut self.steps[step];
        need(state.running.is_none() && state.ask.is_none(), "an attempt is running, or a question is open")?;
        if !state.settled {
            need(state.is_loose(), "there is nothing to retry")?;
            state.status = Status::Retrying;
        }
        self.set_due(step, Some((due, Timer::Retry(step))));
        Ok(())
    }

    fn ask_opened(&mut self, at: Timestamp, step: usize, event: &Event, id: u32, kind: AskKind) -> Applied {
        let node_kind = self.shape.node(step).kind;
        let state = &self.steps[step];
        need(id as usize == self.asks.len() + 1, "questions are numbered in order")?;
        need(state.ask.is_none() && state.running.is_none(), "a question or an attempt is open already")?;
        let own = match kind {
            AskKind::Approve => node_kind == Kind::Approve,
            AskKind::Confirm => node_kind == Kind::Confirm,
            AskKind::Input => node_kind == Kind::Input,
            AskKind::Checklist => node_kind == Kind::Checklist,
            AskKind::Manual => node_kind == Kind::Manual,
            AskKind::Failure | AskKind::Unknown => !node_kind.is_gate(),
            AskKind::PutBack => self.reversals.iter().rfind(|r| r.end.is_none()).is_some_and(|r| r.step == step),
        };
        need(own, "that is not a question of this step")?;
        match kind {
            AskKind::PutBack => need(self.phase() == Phase::Unwinding, "the run is not unwinding")?,
            AskKind::Unknown => need(state.status == Status::Unknown, "nothing about it is uncertain")?,
            AskKind::Failure => {
                let failed = matches!(state.status, Status::Ready | Status::Retrying) || state.is_loose();
                need(failed, "it has not failed")?;
            }
            _ => need(state.status == Status::Ready || state.is_loose(), "its turn has not come")?,
        }
        self.set_due(step, None);
        let state = &mut self.steps[step];
        state.ask = Some(id);
        state.last_ask = Some(id);
        if !state.settled && kind != AskKind::Unknown {
            state.status = Status::Waiting;
        }
        let binds: Option<Binds> = event.hidden.0.get("binds").and_then(|text| serde_json::from_str(text).ok());
        let shown = event.hidden.0.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let ask = Ask {
            id,
            step,
            kind,
            opened: at,
            expires: None,
            escalated: false,
            covers: Vec::new(),
            reason: None,
            answers: Vec::new(),
            end: None,
            shown,
            binds,
            attested: Vec::new(),
        };
        self.asks.insert(id, ask);
        self.derived.open_asks.insert(id);
        Ok(())
    }

    fn ask_answered(
        &mut self,
        at: Timestamp,
        event: &Event,
        id: u32,
        part: Option<&str>,
        decision: Decision,
    ) -> Applied {
        let actor = event.actor.clone().ok_or("an answer names who gave it")?;
        let ask = self.asks.get_mut(&id).filter(|ask| ask.end.is_none()).ok_or("no such open question")?;
        let step = ask.step;
        let (value, comment) = (event.hidden.0.get("value").cloned(), event.hidden.text("comment"));
        ask.answers.push(Given {
            actor: actor.clone(),
            part: part.map(str::to_owned),
            decision,
            at,
            value: value.clone(),
            comment: comment.clone(),
        });
        let kind = ask.kind;
        let state = &mut self.steps[step];
        if let Some(part) = part {
            let index = self.shape.node(step).items.iter().position(|i| i.id == part);
            let item = index.and_then(|i| state.items.get_mut(i)).ok_or("no such item")?;
            need(item.is_open(), "that item is settled")?;
            *item = match decision {
                Decision::Done | Decision::ByHand => ItemState::Confirmed,
                Decision::Retry if self.shape.node(step).items[index.unwrap_or(0)].probe => ItemState::Unprobed,
                Decision::No => ItemState::Refused,
                _ => return Err("that is no answer to an item"),
            };
        }
        if kind == AskKind::PutBack {
            if let Some(reversal) = self.reversals.iter_mut().rfind(|r| r.end.is_none()) {
                reversal.told = decision == Decision::PutBack;
            }
        } else if !matches!(kind, AskKind::Failure | AskKind::Unknown) {
            let answer = value.and_then(|text| Json::parse(&text).ok());
            state.human = Some(Human { answer, by: actor, at, comment });
            state.outputs.extend(event.hidden.outputs());
        }
        self.refresh(step);
        Ok(())
    }

    fn ask_escalated(&mut self, id: u32, expires: Option<Timestamp>) -> Applied {
        let ask = self.asks.get_mut(&id).filter(|ask| ask.end.is_none()).ok_or("no such open question")?;
        need(!ask.escalated, "it was escalated before")?;
        ask.escalated = true;
        self.set_expiry(id, expires);
        Ok(())
    }

    fn ask_closed(&mut self, id: u32, how: AskEnd) -> Applied {
        let ask = self.asks.get_mut(&id).filter(|ask| ask.end.is_none()).ok_or("no such open question")?;
        need(how != AskEnd::Answered || !ask.answers.is_empty(), "nobody has answered it")?;
        ask.end = Some(how);
        let step = ask.step;
        self.set_expiry(id, None);
        self.derived.open_asks.remove(&id);
        self.steps[step].ask = None;
        self.refresh(step);
        Ok(())
    }

    /// The gate is shut again: what it covers and has not begun waits for a new decision.
    fn approval_voided(&mut self, id: u32) -> Applied {
        let phase = self.phase();
        let ask = self.asks.get_mut(&id).ok_or("no such question")?;
        let gate = ask.step;
        let section = usize::from(!self.shape.is_main(gate));
        let turn = [Phase::Main, Phase::Finally][section];
        need(ask.kind == AskKind::Approve && phase == turn, "that is no approval in force")?;
        need(ask.end == Some(AskEnd::Answered), "that is no approval in force")?;
        need(self.steps[gate].status == Status::Succeeded, "that is no approval in force")?;
        ask.end = Some(AskEnd::Voided);
        let covers = ask.covers.clone();
        let state = &mut self.steps[gate];
        state.settled = false;
        state.status = Status::Ready;
        state.human = None;
        state.reopened = true;
        self.derived.undecided[section] += 1;
        for covered in covers.iter().filter_map(|name| self.shape.find(name)).collect::<Vec<_>>() {
            if self.steps[covered].status == Status::Retrying {
                self.set_due(covered, None);
                self.steps[covered].status = Status::Ready;
                self.refresh(covered);
            }
        }
        self.refresh(gate);
        Ok(())
    }

    fn reversal_closed(
        &mut self,
        step: usize,
        kind: Reversal,
        how: ReversalEnd,
        review_at: Option<Timestamp>,
    ) -> Applied {
        need(self.steps[step].running.is_none(), "it is being reversed")?;
        need(self.steps[step].ask.is_none(), "a question about it is open")?;
        let asked = self.steps[step].last_ask.and_then(|id| self.asks.get(&id));
        let decided = asked.is_some_and(|ask| ask.kind == AskKind::PutBack && ask.end == Some(AskEnd::Answered));
        need(how != ReversalEnd::LeftOpen || decided, "nobody decided to leave it open")?;
        need(how != ReversalEnd::NotChosen || kind == Reversal::Undo, "a toggle is not left by default")?;
        let top = self.reversals.iter_mut().rfind(|r| r.end.is_none());
        let top = top.filter(|r| r.step == step && r.kind == kind).ok_or("it is not the newest to be reversed")?;
        top.end = Some(how);
        top.review_at = review_at;
        self.derived.open_reversals[usize::from(!self.shape.is_main(step))] -= 1;
        self.run.ending_failed |= how == ReversalEnd::Failed;
        self.set_due(step, None);
        Ok(())
    }
}

impl Hidden {
    /// The outputs among the fields.
    pub(super) fn outputs(&self) -> BTreeMap<String, Json> {
        self.prefixed("output.").filter_map(|(name, text)| Some((name, Json::parse(text).ok()?))).collect()
    }

    pub(super) fn texts(&self, prefix: &str) -> BTreeMap<String, String> {
        self.prefixed(prefix).filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?))).collect()
    }

    fn blobs(&self) -> BTreeMap<String, BlobRef> {
        self.prefixed("blob.").filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?))).collect()
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?).ok()
    }

    fn prefixed<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> + 'a {
        self.0.iter().filter_map(move |(name, text)| Some((name.strip_prefix(prefix)?.to_owned(), text.as_str())))
    }
}
