//! What becomes of guards: asked at intervals and for each attempt that may change something, in question when one does
//! not hold, overruled by a person. A guard is no step: it never settles, and nothing reads it.
//!
//! Its status says where it stands: pending between two probes, running, failed when in question, waiting when somebody
//! is asked.

use super::{Applied, need};
use crate::clock::Timestamp;
use crate::core::attempt::AttemptResult;
use crate::core::event::{AskEnd, AskKind, Decision, Status};
use crate::core::state::{Phase, State, Timer};

impl State {
    /// Its last probe did not say that it holds, and nobody has been asked yet.
    pub(in crate::core) fn is_in_doubt(&self, guard: usize) -> bool {
        let state = &self.steps[guard];
        state.status == Status::Failed && state.ask.is_none() && state.running.is_none()
    }

    /// It can be asked.
    pub(in crate::core) fn is_idle(&self, guard: usize) -> bool {
        self.steps[guard].status == Status::Pending
    }

    /// Nothing of the main section starts while a guard is in question.
    pub(in crate::core) fn is_held(&self, step: usize) -> bool {
        let in_question =
            |guard: &usize| matches!(self.steps[*guard].status, Status::Failed | Status::Waiting);
        self.shape.is_main(step) && self.shape.watch().iter().any(in_question)
    }

    /// The guards that have not held for the next attempt at a step.
    pub(in crate::core) fn uncleared(&self, step: usize) -> impl Iterator<Item = usize> {
        let guards = if self.shape.is_guarded(step) { self.shape.watch() } else { &[] };
        guards.iter().copied().filter(move |guard| !self.steps[step].cleared.contains(guard))
    }

    /// Every guard holds for the next attempt at a step, or was overruled.
    pub(in crate::core) fn is_cleared(&self, step: usize) -> bool {
        self.uncleared(step).next().is_none()
    }

    /// A step waits until a guard has answered, or somebody about one.
    pub(in crate::core) fn waits_for_a_guard(&self, step: usize) -> bool {
        self.is_held(step)
            || (!self.is_cleared(step) && self.uncleared(step).all(|guard| !self.is_idle(guard)))
    }

    /// A guard may be asked for its own sake: while the run goes on, and not while it waits for people.
    pub(in crate::core) fn may_watch(&self, guard: usize) -> bool {
        self.phase() == Phase::Main && self.derived.open_asks.is_empty() && self.is_idle(guard)
    }

    /// The step that a guard was asked for last, if that still waits for it.
    pub(in crate::core) fn asked_for(&self, guard: usize) -> Option<&str> {
        let last = self.steps[guard].last.as_ref()?;
        let part = last.part.as_deref().filter(|_| last.result != AttemptResult::Succeeded)?;
        self.is_waiting_for(guard, part).then_some(part)
    }

    fn is_waiting_for(&self, guard: usize, name: &str) -> bool {
        self.shape.find_item(name, None).is_some_and(|step| {
            let state = &self.steps[step];
            let begun = state.settled || state.running.is_some();
            self.shape.is_guarded(step) && !begun && !state.cleared.contains(&guard)
        })
    }

    pub(super) fn may_ask_guard(&self, guard: usize, part: Option<&str>) -> Applied {
        need(self.phase() == Phase::Main, "the run is past it")?;
        need(self.is_idle(guard), "a question about it is not settled")?;
        let wanted = part.is_none_or(|name| self.is_waiting_for(guard, name));
        need(wanted, "no such step waits for it")
    }

    pub(super) fn guard_answered(&mut self, at: Timestamp, guard: usize, result: AttemptResult) {
        let on = self.phase() == Phase::Main;
        let failed = !matches!(result, AttemptResult::Succeeded | AttemptResult::Cancelled);
        self.steps[guard].status = if failed && on { Status::Failed } else { Status::Pending };
        match result {
            _ if !on => {}
            AttemptResult::Succeeded => self.guard_held(at, guard),
            AttemptResult::Cancelled => self.set_due(guard, Some((at, Timer::Guard(guard)))),
            // However that is decided, it takes its time: what held before is to be asked again.
            _ => self.forget_cleared(),
        }
    }

    /// It holds, or counts as if it did: for the step that it was asked for, and until it is asked again.
    fn guard_held(&mut self, at: Timestamp, guard: usize) {
        let part = self.steps[guard].last.as_ref().and_then(|last| last.part.clone());
        if let Some(step) = part.and_then(|name| self.shape.find_item(&name, None)) {
            self.steps[step].cleared.insert(guard);
        }
        let every = self.shape.node(guard).every_ms.unwrap_or(u64::MAX);
        self.set_due(guard, Some((at.plus(every), Timer::Guard(guard))));
    }

    /// The question about a guard is closed.
    pub(super) fn guard_asked(&mut self, id: u32, guard: usize) {
        let retry = self.guard_decision(id).filter(|(decision, _)| *decision == Decision::Retry);
        let on = self.phase() == Phase::Main;
        self.steps[guard].status = if retry.is_some() || !on { Status::Pending } else { Status::Failed };
        if let Some((_, at)) = retry.filter(|_| on) {
            self.set_due(guard, Some((at, Timer::Guard(guard))));
        }
    }

    fn guard_decision(&self, id: u32) -> Option<(Decision, Timestamp)> {
        let ask = self.asks.get(&id).filter(|ask| ask.kind == AskKind::Guard)?;
        let given = ask.answers.last().filter(|_| ask.end == Some(AskEnd::Answered))?;
        Some((given.decision, given.at))
    }

    pub(super) fn guard_overruled(&mut self, at: Timestamp, guard: usize) -> Applied {
        let said = self.steps[guard].last_ask.and_then(|id| self.guard_decision(id));
        let go_on = said.is_some_and(|(decision, _)| decision == Decision::GoOn);
        need(go_on && self.is_in_doubt(guard), "nobody has overruled it")?;
        self.steps[guard].status = Status::Pending;
        self.guard_held(at, guard);
        Ok(())
    }

    /// The main section begins: they are asked from now on.
    pub(super) fn ask_guards_at(&mut self, at: Timestamp) {
        for guard in self.shape.clone().watch() {
            self.set_due(*guard, Some((at, Timer::Guard(*guard))));
        }
    }

    /// What held before the run was left says nothing about now.
    pub(super) fn forget_guards(&mut self, at: Timestamp) {
        if self.phase() != Phase::Main {
            return;
        }
        self.forget_cleared();
        for guard in self.shape.clone().watch() {
            if self.steps[*guard].ask.is_none() {
                self.steps[*guard].status = Status::Pending;
                self.set_due(*guard, Some((at, Timer::Guard(*guard))));
                self.refresh(*guard);
            }
        }
    }

    fn forget_cleared(&mut self) {
        if !self.shape.watch().is_empty() {
            self.steps.iter_mut().for_each(|step| step.cleared.clear());
        }
    }

    /// The main section is over: what repairs is not guarded.
    pub(super) fn dismiss_guards(&mut self) {
        for guard in self.shape.clone().watch() {
            self.set_due(*guard, None);
            if self.steps[*guard].running.is_none() {
                self.steps[*guard].status = Status::Pending;
            }
            self.refresh(*guard);
        }
    }
}
