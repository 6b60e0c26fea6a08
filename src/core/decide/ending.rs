//! Endings: success, failure, refusal, time-out and cancel all take this way. What runs is awaited or stopped, then
//! the reversals run, newest first, then `finally`, then the run is finished.

use super::super::attempt::{AttemptResult, Role};
use super::super::event::{
    Actor, AskEnd, AskKind, Ended, Event, Fact, Reversal, ReversalEnd, RunStatus, Status,
};
use super::super::retry::MAX_INTERRUPTIONS;
use super::super::state::{Belief, Phase, ReversalState, Timer};
use super::Draft;
use crate::plan::OtherwisePutBack;

impl Draft<'_> {
    /// Begins the ending. `stop`: what runs is stopped instead of awaited.
    pub(super) fn end_run(
        &mut self,
        outcome: Ended,
        reason: &str,
        undo: bool,
        stop: bool,
        by: Option<(Actor, String)>,
    ) {
        let mut event = Event::of_run(Fact::RunEnding { outcome, reason: reason.to_owned(), undo, stop });
        if let Some((actor, text)) = by {
            event.hidden.put_text("reason", &text);
            event.actor = Some(actor);
        }
        self.emit(event);
        let open: Vec<(u32, usize)> = self.state.open_asks().map(|ask| (ask.id, ask.step)).collect();
        for (ask, step) in open {
            self.emit_step(step, Fact::AskClosed { ask, how: AskEnd::Withdrawn });
        }
        let timers: Vec<Timer> = self.state.derived().timers.iter().map(|(_, timer)| *timer).collect();
        for timer in timers {
            match timer {
                Timer::Wait(step) => self.settle(step, Status::Cancelled, "ended"),
                Timer::Retry(step) if !self.state.step(step).settled => {
                    let state = self.state.step(step);
                    let last = state.last.as_ref().map(|last| last.reason.clone());
                    let status =
                        if state.belief == Belief::Unknown { Status::Unknown } else { Status::Failed };
                    self.settle(step, status, last.as_deref().unwrap_or("ended"));
                }
                Timer::Retry(_) | Timer::Guard(_) | Timer::AskExpiry(_) | Timer::RunDeadline => {}
            }
        }
    }

    /// Takes the run from one phase to the next.
    pub(super) fn end_if_over(&mut self) {
        match self.state.phase() {
            Phase::Main if self.state.derived().lists[0].undecided == 0 => {
                if self.state.run.failed {
                    self.end_run(Ended::Failed, "steps_failed", false, false, None);
                } else {
                    self.end_run(Ended::Succeeded, "done", false, false, None);
                }
            }
            Phase::Unwinding => self.unwind(),
            Phase::Over if self.state.derived().in_flight.is_empty() => self.finish(),
            _ => {}
        }
    }

    fn finish(&mut self) {
        let Some(ending) = self.state.run.ending.clone() else { return };
        let (status, reason) = match ending.outcome {
            // What still ran when the end was decided may have failed since.
            Ended::Succeeded if self.state.run.failed => (RunStatus::Failed, "steps_failed".to_owned()),
            Ended::Succeeded if self.state.run.ending_failed => {
                (RunStatus::Failed, "ending_failed".to_owned())
            }
            Ended::Succeeded => match self.refused_at_the_end() {
                Some(reason) => (RunStatus::Refused, reason),
                None => (RunStatus::Succeeded, ending.reason),
            },
            Ended::Failed => (RunStatus::Failed, ending.reason),
            Ended::Refused => (RunStatus::Refused, ending.reason),
            Ended::Cancelled => (RunStatus::Cancelled, ending.reason),
        };
        let still_open = self.state.still_open();
        self.emit_run(Fact::RunFinished { status, reason, still_open });
    }

    /// A gate of `finally` that somebody refused, where nothing says that the run goes on.
    fn refused_at_the_end(&self) -> Option<String> {
        let (shape, state) = (self.state.shape(), &self.state);
        let is_shut = |at: &usize| {
            let goes_on = shape.node(*at).gate.as_ref().is_none_or(|gate| gate.on_reject_continue);
            !goes_on && state.step(*at).status == Status::Rejected
        };
        let gate = state.places().filter(|at| !shape.is_main(*at)).find(is_shut)?;
        Some(format!("{}:{}", state.step(gate).reason.as_deref().unwrap_or("rejected"), self.name(gate)))
    }

    /// Decides about the newest reversal that is not closed.
    fn unwind(&mut self) {
        let Some(newest) = self.state.reversals().iter().rposition(|r| r.end.is_none()) else { return };
        let succeeds =
            self.state.run.ending.as_ref().is_some_and(|ending| ending.outcome == Ended::Succeeded);
        self.unwind_one(newest, succeeds && !self.state.run.failed);
    }

    /// Decides about a reversal whose turn it is. `clean`: what it is put back after has succeeded.
    pub(super) fn unwind_one(&mut self, reversal: usize, clean: bool) {
        let top = self.state.reversals()[reversal].clone();
        let step = self.state.step(top.step);
        let waits = step.due.is_some_and(|due| due > self.at);
        if step.running.is_some() || step.ask.is_some() || waits {
            return;
        }
        let reverted = self.state.phase() != Phase::Unwinding;
        let chosen = reverted || self.state.run.ending.as_ref().is_some_and(|ending| ending.undo);
        if top.kind == Reversal::Undo && !chosen {
            return self.close_reversal(&top, ReversalEnd::NotChosen);
        }
        if !self.state.has_slot() {
            return;
        }
        if top.told || step.due.is_some() {
            self.reverse(&top);
        } else if top.tries > 0 {
            self.after_reversal(&top);
        } else if top.kind == Reversal::Undo {
            self.reverse(&top);
        } else {
            self.begin_put_back(&top, clean);
        }
    }

    fn begin_put_back(&mut self, top: &ReversalState, clean: bool) {
        let node = self.state.shape().node(top.step).put_back;
        let only_if = node.is_some_and(|node| node.only_if);
        match top.allowed {
            None if clean && only_if => {
                let started = top
                    .requests
                    .get("only_if")
                    .is_some_and(|request| self.start_reversal(top.step, Role::OnlyIf, request));
                if !started {
                    self.ask_to_put_back(top, "only_if_unreadable");
                }
            }
            None | Some(true) if clean => self.reverse(top),
            _ if node.is_some_and(|node| node.otherwise == OtherwisePutBack::Auto) => self.reverse(top),
            Some(false) => self.ask_to_put_back(top, "only_if_false"),
            _ => self.ask_to_put_back(top, "run_not_clean"),
        }
    }

    fn reverse(&mut self, top: &ReversalState) {
        let (role, name) =
            if top.kind == Reversal::Undo { (Role::Undo, "undo") } else { (Role::PutBack, "put_back") };
        let started =
            top.requests.get(name).is_some_and(|request| self.start_reversal(top.step, role, request));
        if !started {
            self.close_reversal(top, ReversalEnd::Failed);
        }
    }

    /// An attempt at the reversal has ended.
    fn after_reversal(&mut self, top: &ReversalState) {
        let (node, step) = (self.state.shape().node(top.step), self.state.step(top.step));
        let Some(last) = step.last.clone() else { return };
        let policy = &node.retry;
        let again =
            last.class.is_some_and(|class| policy.errors.contains(&class)) && top.tries < policy.max_attempts;
        match last.result {
            AttemptResult::Succeeded => self.close_reversal(top, ReversalEnd::Done),
            AttemptResult::Cancelled if top.tries <= MAX_INTERRUPTIONS => self.reverse(top),
            AttemptResult::Unknown if node.keyed && top.tries < policy.max_attempts.max(3) => {
                self.reverse(top)
            }
            AttemptResult::Failed | AttemptResult::TimedOut
                if again && self.schedule_retry(top.step, &last) => {}
            AttemptResult::Failed | AttemptResult::TimedOut | AttemptResult::Cancelled
                if top.kind == Reversal::Undo =>
            {
                self.close_reversal(top, ReversalEnd::Failed);
            }
            _ => self.ask_to_put_back(top, &last.reason),
        }
    }

    fn ask_to_put_back(&mut self, top: &ReversalState, reason: &str) {
        self.open_ask(top.step, AskKind::PutBack, Some(reason.to_owned()), None);
    }

    pub(super) fn close_reversal(&mut self, top: &ReversalState, how: ReversalEnd) {
        self.close_reversal_until(top, how, None);
    }

    pub(super) fn close_reversal_until(
        &mut self,
        top: &ReversalState,
        how: ReversalEnd,
        review_at: Option<crate::clock::Timestamp>,
    ) {
        self.emit_step(top.step, Fact::ReversalClosed { kind: top.kind, how, review_at });
    }
}
