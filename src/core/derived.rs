//! Upkeep of the derived sets, and the full scan that they are compared with.

use std::collections::BTreeSet;

use super::event::Status;
use super::state::{Derived, State, Timer};
use crate::clock::Timestamp;

impl State {
    /// Puts a step into the sets that its facts say it belongs to.
    pub(super) fn refresh(&mut self, step: usize) {
        let state = &self.steps[step];
        member(&mut self.derived.ready, step, state.status == Status::Ready && !state.settled);
        member(&mut self.derived.loose, step, state.is_loose());
        member(&mut self.derived.in_flight, step, state.running.is_some());
    }

    /// A pending step whose needs have all ended gets its turn, once its section has begun.
    pub(super) fn make_ready(&mut self, step: usize) {
        let begun = if self.shape.is_main(step) {
            self.run.started.is_some() && self.run.ending.is_none()
        } else {
            self.derived.finally_open
        };
        if begun && self.steps[step].status == Status::Pending && self.steps[step].blockers == 0 {
            self.steps[step].status = Status::Ready;
            self.refresh(step);
        }
    }

    /// The step has ended; those that waited for it get their turn.
    pub(super) fn settle(&mut self, at: Timestamp, step: usize, status: Status, reason: &str) {
        self.set_due(step, None);
        let section = usize::from(!self.shape.is_main(step));
        let state = &mut self.steps[step];
        state.status = status;
        state.settled = true;
        state.reason = Some(reason.to_owned());
        state.ended = Some(at);
        let again = std::mem::take(&mut state.reopened);
        self.derived.undecided[section] -= 1;
        let failed = matches!(status, Status::Failed | Status::TimedOut | Status::Unknown);
        if failed && !self.shape.node(step).allowed {
            if section == 0 {
                self.run.failed = true;
            } else {
                self.run.ending_failed = true;
            }
        }
        if (failed && !self.satisfies(step)) || status == Status::Cancelled {
            first(&mut self.derived.first_failed[section], step);
        }
        if !self.satisfies(step) {
            first(&mut self.derived.first_unsatisfied[section], step);
        }
        if again {
            self.derived.reopened.remove(&step);
            return;
        }
        let shape = self.shape.clone();
        for dependent in shape.dependents(step) {
            self.steps[*dependent].blockers = self.steps[*dependent].blockers.saturating_sub(1);
            self.make_ready(*dependent);
        }
    }

    /// Sets or clears the timer of a step.
    pub(super) fn set_due(&mut self, step: usize, due: Option<(Timestamp, Timer)>) {
        if let Some(old) = self.steps[step].due.take() {
            self.derived.timers.remove(&(old, Timer::Retry(step)));
            self.derived.timers.remove(&(old, Timer::Wait(step)));
        }
        if let Some((due, timer)) = due {
            self.steps[step].due = Some(due);
            self.derived.timers.insert((due, timer));
        }
    }

    /// Sets or clears the time-out of a question.
    pub(super) fn set_expiry(&mut self, ask: u32, expires: Option<Timestamp>) {
        let Some(state) = self.asks.get_mut(&ask) else { return };
        if let Some(old) = state.expires {
            self.derived.timers.remove(&(old, Timer::AskExpiry(ask)));
        }
        if state.end.is_none() {
            state.expires = expires;
            if let Some(expires) = expires {
                self.derived.timers.insert((expires, Timer::AskExpiry(ask)));
            }
        }
    }

    /// The derived sets, computed from nothing but the facts: what the incremental ones must equal.
    pub fn scan(&self) -> Derived {
        let mut scan = Derived::default();
        for (at, step) in self.steps.iter().enumerate() {
            let section = usize::from(!self.shape.is_main(at));
            member(&mut scan.ready, at, step.status == Status::Ready && !step.settled);
            member(&mut scan.loose, at, step.is_loose());
            member(&mut scan.reopened, at, step.reopened);
            member(&mut scan.in_flight, at, step.running.is_some());
            scan.undecided[section] += usize::from(!step.settled);
            if step.settled && !self.satisfies(at) {
                first(&mut scan.first_unsatisfied[section], at);
            }
            let failed = matches!(
                step.status,
                Status::Failed | Status::TimedOut | Status::Unknown | Status::Cancelled
            );
            if step.settled && failed && !self.satisfies(at) {
                first(&mut scan.first_failed[section], at);
            }
            if let Some(due) = step.due {
                let waits = step.status == Status::Waiting && !step.settled;
                scan.timers.insert((due, if waits { Timer::Wait(at) } else { Timer::Retry(at) }));
            }
        }
        for (id, ask) in &self.asks {
            if ask.end.is_none() {
                scan.open_asks.insert(*id);
                scan.timers.extend(ask.expires.map(|at| (at, Timer::AskExpiry(*id))));
            }
        }
        if let (Some(started), None, Some(deadline)) =
            (self.run.started, &self.run.ending, self.shape.graph().deadline_ms)
        {
            scan.timers.insert((started.plus(deadline), Timer::RunDeadline));
        }
        for reversal in self.reversals.iter().filter(|r| r.end.is_none()) {
            scan.open_reversals[usize::from(!self.shape.is_main(reversal.step))] += 1;
        }
        scan.finally_open =
            self.run.ending.is_some() && scan.undecided[0] == 0 && scan.open_reversals[0] == 0;
        scan
    }
}

fn member(set: &mut BTreeSet<usize>, step: usize, belongs: bool) {
    if belongs {
        set.insert(step);
    } else {
        set.remove(&step);
    }
}

fn first(slot: &mut Option<usize>, step: usize) {
    *slot = Some(slot.map_or(step, |old| old.min(step)));
}
