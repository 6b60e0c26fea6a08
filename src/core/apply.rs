//! The only mutation of a state: one event at a time, legal or refused. Events about attempts and about questions have
//! files of their own; the run and the ends of steps are here.
//!
//! Never needs a hidden value to find an event legal, so that a reader without disclosures folds the same journal to
//! the same statuses. Never looks at a clock: the time of an event is the time of its entry.

mod asks;
mod attempts;
mod compound;
mod guards;

pub(super) use compound::{ITEMS, KEYS};

use super::attempt::{AttemptResult, Role};
use super::event::{Actor, AskKind, Event, Fact, Override, SkipReason, Status};
use super::state::{Belief, Ending, Finished, ItemState, Paused, Phase, State, Timer};
use crate::clock::Timestamp;
use crate::plan::{Effect, Kind};

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
            step: event.place(),
            why,
        })?;
        self.run.last_at = self.run.last_at.max(at);
        if !self.derived.finally_open && self.phase() >= Phase::Finally {
            self.derived.finally_open = true;
            for step in self.shape.lists()[1].members.clone() {
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
                self.forget_guards(at);
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
            Fact::AskAnswered { ask, part, decision } => {
                self.ask_answered(at, event, *ask, part.as_deref(), *decision)
            }
            Fact::AskEscalated { ask, expires } => self.ask_escalated(*ask, *expires),
            Fact::AskClosed { ask, how } => self.ask_closed(*ask, *how),
            Fact::ApprovalVoided { ask, .. } => self.approval_voided(*ask),
            _ => self.apply_to_step(at, event),
        }
    }

    fn apply_to_step(&mut self, at: Timestamp, event: &Event) -> Applied {
        let name = event.step.as_deref().ok_or("it names no step")?;
        let step = self.shape.find_item(name, event.item).ok_or("no such step, or no such item")?;
        match &event.fact {
            Fact::StepSkipped { reason, .. } => self.step_skipped(at, step, *reason)?,
            Fact::StepSettled { status, reason } => self.step_settled(at, step, *status, reason)?,
            Fact::StepUnknown { reason } => self.step_unknown(step, reason)?,
            Fact::StepOverridden { how } => self.step_overridden(at, step, *how, event)?,
            Fact::StepImported { .. } => self.step_imported(at, step, event)?,
            Fact::StepEntered {} => self.step_entered(at, step)?,
            Fact::StepExpanded { items } => self.step_expanded(step, *items, &event.hidden)?,
            Fact::StepReleased { items } => self.step_released(at, step, *items)?,
            Fact::StepHandling {} => self.step_handling(step)?,
            Fact::AttemptStarted { role, part, .. } => {
                self.attempt_started(at, step, event, *role, part.as_deref())?;
            }
            Fact::AttemptFinished { .. } => self.attempt_finished(at, step, event)?,
            Fact::AttemptInterrupted {} => self.attempt_interrupted(at, step, event)?,
            Fact::RetryScheduled { due } => self.retry_scheduled(step, *due)?,
            Fact::WaitStarted { due } => {
                let between = self.shape.is_whole(step) && self.is_loose(step) && self.waits_between(step);
                let waits = self.shape.node(step).kind == Kind::Wait && !self.shape.is_whole(step);
                need(between || waits, "it does not wait")?;
                need(between || self.steps[step].status == Status::Ready, "its turn has not come")?;
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
            Fact::ReversalClosed { kind, how, review_at } => {
                self.reversal_closed(step, *kind, *how, *review_at)?
            }
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
        for step in self.shape.lists()[0].members.clone() {
            self.make_ready(step);
        }
        self.ask_guards_at(at);
    }

    fn run_ending(&mut self, at: Timestamp, ending: Ending) {
        self.run.ending = Some(ending);
        self.run.paused = None;
        self.derived.timers.retain(|(_, timer)| *timer != Timer::RunDeadline);
        self.dismiss_guards();
        for step in 0..self.shape.len() {
            let state = &mut self.steps[step];
            if !self.shape.is_main(step) || !matches!(state.status, Status::Pending | Status::Ready) {
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
        let turn = status == Status::Ready || (reason == SkipReason::AlreadyDone && self.is_loose(step));
        need(turn, "its turn has not come")?;
        need(reason != SkipReason::When || self.shape.node(step).conditional, "it has no condition")?;
        let last = self.steps[step].last.as_ref();
        let done =
            last.is_some_and(|last| last.role == Role::First && last.result == AttemptResult::Succeeded);
        need(reason != SkipReason::AlreadyDone || done, "no probe has said that it is done")?;
        self.steps[step].skipped = Some(reason);
        let code = match reason {
            SkipReason::When => "when",
            SkipReason::AlreadyDone => "already_done",
            SkipReason::Upstream => "upstream",
            SkipReason::NotNeeded => "not_needed",
            SkipReason::Ended => "ended",
            SkipReason::Group => return Err("that follows from the end of its group"),
        };
        self.settle(at, step, Status::Skipped, code);
        Ok(())
    }

    fn step_settled(&mut self, at: Timestamp, step: usize, status: Status, reason: &str) -> Applied {
        let state = &self.steps[step];
        need(!self.shape.is_guard(step), "a guard is no step")?;
        need(!state.settled, "it is settled already")?;
        need(state.running.is_none(), "an attempt is running")?;
        need(state.ask.is_none(), "a question about it is open")?;
        need(state.status != Status::Pending, "its turn has not come")?;
        let final_status = status.is_final() || (status == Status::Unknown && self.run.ending.is_some());
        need(
            final_status && status != Status::Overridden && status != Status::Skipped,
            "that is no end of a step",
        )?;
        let node = self.shape.node(step);
        if node.kind.is_gate() && !self.shape.is_whole(step) && status == Status::Succeeded {
            need(self.gate_is_open(step), "a gate opens by an answer of somebody entitled only")?;
        }
        if self.shape.is_compound(step) {
            self.may_settle_compound(step, status)?;
            self.settle(at, step, status, reason);
            return Ok(());
        }
        need((status == Status::Rejected) <= node.kind.is_gate(), "only a gate is rejected")?;
        need(status != Status::Rejected || state.last_ask.is_some(), "nobody was asked")?;
        if node.kind == Kind::Revert {
            let next = self.open_among(step);
            need(status != Status::Succeeded || next.is_none(), "something is not reversed yet")?;
            // One that never began reverses nothing: what is under way there is somebody else's.
            let began = state.compound.as_ref().is_some_and(|compound| compound.entered);
            let busy = next.is_some_and(|next| self.steps[self.reversals[next].step].running.is_some());
            need(!began || !busy || self.run.ending.is_some(), "something is being reversed")?;
        }
        if node.kind.runs() {
            let did = state.last.as_ref().is_some_and(|last| last.result == AttemptResult::Succeeded);
            need(status != Status::Succeeded || did, "no attempt at it has succeeded")?;
            need(!self.in_doubt(step) || status == Status::Unknown, "whether it took effect is not known")?;
        }
        if node.kind == Kind::Wait && status == Status::Succeeded {
            need(state.due.is_none_or(|due| due <= at), "its time has not come")?;
        }
        // An `end` whose condition could not be evaluated ends nothing but itself.
        if node.kind == Kind::End && status == Status::Succeeded {
            self.end_used(step);
        }
        self.settle(at, step, status, reason);
        Ok(())
    }

    /// Whether nobody knows if the step took effect: it may not run again by itself, nor end as if it were known.
    pub(super) fn in_doubt(&self, step: usize) -> bool {
        let state = &self.steps[step];
        let cut_off = state.last.as_ref().is_some_and(|last| last.interrupted && last.role == Role::Do);
        let doubt = state.belief == Belief::Unknown || (state.status == Status::Interrupted && cut_off);
        doubt && self.shape.node(step).effect != Effect::Read
    }

    fn step_unknown(&mut self, step: usize, reason: &str) -> Applied {
        need(!self.shape.is_guard(step), "a guard is no step")?;
        let loose = self.is_loose(step) && self.steps[step].status != Status::Waiting;
        let again = self.steps[step].status == Status::Ready && self.in_doubt(step);
        need(loose || again, "nothing about it is uncertain")?;
        let runs = self.shape.node(step).kind.runs() && !self.shape.is_whole(step);
        need(runs, "only what a runner does is uncertain")?;
        let state = &mut self.steps[step];
        state.status = Status::Unknown;
        state.belief = Belief::Unknown;
        state.reason = Some(reason.to_owned());
        Ok(())
    }

    fn step_overridden(&mut self, at: Timestamp, step: usize, how: Override, event: &Event) -> Applied {
        need((how == Override::GoOn) == self.shape.is_guard(step), "a guard is overruled, and nothing else")?;
        let (gate, whole) = (self.shape.node(step).kind.is_gate(), self.shape.is_whole(step));
        need(!gate, "a gate cannot be overridden")?;
        let once = self.steps[step].compound.is_some() && !whole;
        need(how != Override::Retry || !once, "a group is not tried again")?;
        need(event.actor.is_some(), "an override names who did it")?;
        let state = &self.steps[step];
        need(!state.settled && state.running.is_none(), "it is running, or settled already")?;
        let asked = state.last_ask.and_then(|id| self.asks.get(&id));
        let what_now =
            asked.is_some_and(|ask| matches!(ask.kind, AskKind::Failure | AskKind::Unknown | AskKind::Guard));
        need(state.ask.is_none() && what_now, "nobody was asked about it")?;
        let outputs = event.hidden.outputs();
        match how {
            Override::Retry => {
                let state = &mut self.steps[step];
                state.granted += 1;
                let entered = state.compound.as_ref().is_some_and(|compound| compound.entered);
                state.status = if entered { Status::Running } else { Status::Ready };
                state.interruptions = 0;
                state.last_ask = None;
                state.cleared.clear();
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
            Override::GoOn => self.guard_overruled(at, step)?,
            Override::ByHand | Override::Skip | Override::SetOutput | Override::Done => {
                need(!self.is_behind_shut_gate(step), "a gate inside it is not open")?;
                self.steps[step].outputs.extend(outputs);
                self.settle(at, step, Status::Overridden, how.name());
            }
        }
        Ok(())
    }
}
