//! What follows from the state as it is: timers that are due, steps between two attempts, steps whose turn has come.

use super::super::event::{AskEnd, Ended, Event, Fact, Hidden, SkipReason, Status};
use super::super::scope::Names;
use super::super::state::{Phase, Timer};
use super::Draft;
use crate::plan::{EndStatus, Kind, OnTimeout, RunOn};

impl Draft<'_> {
    /// Goes on until nothing more follows. Each round looks only at the derived sets.
    pub(super) fn advance(&mut self) {
        loop {
            let before = self.events.len();
            if self.state.run.paused.is_some() || self.state.phase() == Phase::Finished {
                return;
            }
            self.due_timers();
            self.loose_steps();
            self.ready_steps();
            self.end_if_over();
            if self.events.len() == before {
                return;
            }
        }
    }

    fn due_timers(&mut self) {
        let due: Vec<Timer> = self
            .state
            .derived()
            .timers
            .iter()
            .take_while(|(at, _)| *at <= self.at)
            .map(|(_, timer)| *timer)
            .collect();
        for timer in due {
            match timer {
                Timer::RunDeadline => {
                    if self.state.phase() == Phase::Main {
                        self.end_run(Ended::Failed, "deadline", false, true, None);
                    }
                }
                Timer::Wait(step) if self.state.shape().is_whole(step) => self.waited(step),
                Timer::Wait(step) => {
                    if self.state.step(step).due.is_some() {
                        self.settle(step, Status::Succeeded, "elapsed");
                    }
                }
                Timer::Retry(step) => {
                    if self.state.step(step).due.is_some() && self.state.has_slot() {
                        self.retry_now(step);
                    }
                }
                Timer::Guard(guard) => self.watch(guard),
                Timer::AskExpiry(ask) => self.ask_expired(ask),
            }
        }
    }

    fn ask_expired(&mut self, id: u32) {
        let Some(ask) = self.state.ask(id).filter(|ask| ask.end.is_none()) else { return };
        let (step, escalated) = (ask.step, ask.escalated);
        let node = self.state.shape().node(step);
        let escalate = node.gate.as_ref().is_some_and(|gate| gate.on_timeout == OnTimeout::Escalate);
        if escalate && !escalated {
            let expires = node.timeout_ms.map(|timeout| self.at.plus(timeout));
            self.emit_step(step, Fact::AskEscalated { ask: id, expires });
        } else {
            self.emit_step(step, Fact::AskClosed { ask: id, how: AskEnd::TimedOut });
        }
    }

    fn loose_steps(&mut self) {
        let loose: Vec<usize> = self.state.derived().loose.iter().copied().collect();
        for step in loose {
            if self.state.derived().loose.contains(&step) {
                self.settle_loose(step);
            }
        }
    }

    fn ready_steps(&mut self) {
        let mut after = None;
        while let Some(step) = self.next_ready(after) {
            after = Some(step);
            if !self.start_ready(step) {
                return;
            }
        }
    }

    fn next_ready(&self, after: Option<usize>) -> Option<usize> {
        let from = after.map_or(0, |step| step + 1);
        self.state.derived().ready.range(from..).next().copied()
    }

    /// Gives a step its turn. False: it has to wait for a free slot.
    fn start_ready(&mut self, step: usize) -> bool {
        if self.state.waits_for_a_gate(step) || self.state.is_held(step) {
            return true;
        }
        if let Some((reason, cause)) = self.refuses_to_run(step) {
            if self.state.in_doubt(step) {
                // Somebody said to try again what may have happened, and it is not approved any more.
                self.emit_step(step, Fact::StepUnknown { reason: "not_approved".to_owned() });
                self.ask_about_unknown(step);
                return true;
            }
            self.emit_step(step, Fact::StepSkipped { reason, cause });
            return true;
        }
        if !self.is_wanted(step) {
            return true;
        }
        if self.state.shape().is_compound(step) {
            self.enter(step);
            return true;
        }
        let node = self.state.shape().node(step);
        match node.kind {
            Kind::Http | Kind::Shell | Kind::Argv | Kind::Notify => {
                let first = node.verify.is_some_and(|verify| verify.first);
                if self.import(step) {
                    return true;
                }
                if !self.state.has_slot() {
                    return false;
                }
                if first && self.state.step(step).attempts == 0 {
                    self.start_first(step);
                } else {
                    self.start_do(step);
                }
            }
            Kind::Checklist => {
                if self.state.step(step).items.contains(&super::super::state::ItemState::Unprobed) {
                    if !self.state.has_slot() {
                        return false;
                    }
                    self.probe_next_item(step);
                } else {
                    self.open_checklist(step);
                }
            }
            Kind::Approve | Kind::Confirm | Kind::Input | Kind::Choice | Kind::Manual => {
                self.open_human(step)
            }
            Kind::Group | Kind::Revert => self.enter(step),
            Kind::Wait => self.start_wait(step),
            Kind::Assert => self.check_assertions(step),
            Kind::End => {
                let outcome = match node.end {
                    Some(EndStatus::Failed) => Ended::Failed,
                    _ => Ended::Succeeded,
                };
                let ends_run = node.ends.is_none();
                let message = self.message(step);
                self.settle_because(step, Status::Succeeded, "end", message.as_deref());
                if self.state.phase() == Phase::Main && ends_run {
                    let failed = outcome == Ended::Succeeded && self.state.run.failed;
                    let outcome = if failed { Ended::Failed } else { outcome };
                    self.end_run(outcome, "end", false, false, None);
                }
            }
        }
        true
    }

    /// Whether the condition of a step holds; if not, it has been dealt with.
    fn is_wanted(&mut self, step: usize) -> bool {
        let conditional = self.state.shape().node(step).conditional && self.state.step(step).attempts == 0;
        let condition = self.values(step).and_then(|values| values.when.as_ref());
        let Some(condition) = condition.filter(|_| conditional) else { return true };
        match condition.holds(&Names::of(self.plan, self.state, Some(step))) {
            Ok(true) => return true,
            Ok(false) => self.emit_step(step, Fact::StepSkipped { reason: SkipReason::When, cause: None }),
            Err(error) => self.fail(step, Status::Failed, "when", Some(&error.to_string())),
        }
        false
    }

    /// Why a step whose needs have all ended does not run, if so.
    fn refuses_to_run(&self, step: usize) -> Option<(SkipReason, Option<String>)> {
        let (state, shape) = (&*self.state, self.state.shape());
        let node = shape.node(step);
        if let Some((reason, cause)) = state.called_off(step) {
            return Some((reason, Some(shape.node(cause).id.clone())));
        }
        let course = state.derived().lists[shape.list(step)];
        let above = |first: Option<usize>| first.filter(|first| node.above && *first < step);
        let unsatisfied = shape
            .needs(step)
            .iter()
            .copied()
            .chain(shape.covered_by(step))
            .find(|need| !state.satisfies(*need))
            .or_else(|| above(course.first_unsatisfied));
        // What is around it may have been begun before its approval was voided, and not given again.
        let shut = state.gates_before(step).find(|gate| !state.satisfies(*gate));
        let unsatisfied = unsatisfied.filter(|_| node.run_on == RunOn::Success).or(shut);
        if let Some(cause) = unsatisfied {
            return Some((SkipReason::Upstream, Some(shape.node(cause).id.clone())));
        }
        if node.run_on == RunOn::Success {
            return None;
        }
        let failed = |need: usize| {
            matches!(
                state.step(need).status,
                Status::Failed | Status::TimedOut | Status::Cancelled | Status::Unknown
            ) && !state.satisfies(need)
        };
        let some_failed =
            shape.needs(step).iter().any(|need| failed(*need)) || above(course.first_failed).is_some();
        (node.run_on == RunOn::Failure && !some_failed).then_some((SkipReason::NotNeeded, None))
    }

    fn start_wait(&mut self, step: usize) {
        let node = self.state.shape().node(step);
        let due = match (node.wait_ms, self.values(step).and_then(|values| values.until.as_ref())) {
            (Some(millis), _) => Ok(self.at.plus(millis)),
            (None, Some(until)) => match until.render(&Names::of(self.plan, self.state, Some(step))) {
                Ok(text) => text
                    .as_plain()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| "the instant to wait for is not RFC 3339 with an offset".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            (None, None) => Err("nothing to wait for".to_owned()),
        };
        match due {
            Ok(due) if due > self.at => self.emit_step(step, Fact::WaitStarted { due }),
            Ok(_) => self.settle(step, Status::Succeeded, "elapsed"),
            Err(why) => self.fail(step, Status::Failed, "render", Some(&why)),
        }
    }

    fn check_assertions(&mut self, step: usize) {
        let lang = self.state.run.lang.clone();
        let assertions = self.values(step).map(|values| values.assertions.as_slice()).unwrap_or_default();
        let names = Names::of(self.plan, self.state, Some(step));
        let mut broken = None;
        for assertion in assertions {
            match assertion.expr.holds(&names) {
                Ok(true) => {}
                Ok(false) => {
                    let message =
                        assertion.message.in_lang(&lang).and_then(|message| message.render(&names).ok());
                    broken = Some(("assertion", message.map(|m| m.to_string())));
                    break;
                }
                Err(error) => {
                    broken = Some(("render", Some(error.to_string())));
                    break;
                }
            }
        }
        match broken {
            None => self.settle(step, Status::Succeeded, "holds"),
            Some((reason, why)) => self.fail(step, Status::Failed, reason, why.as_deref()),
        }
    }

    pub(super) fn settle(&mut self, step: usize, status: Status, reason: &str) {
        self.settle_because(step, status, reason, None);
    }

    /// `why`: what a person wants to read, which is confidential.
    pub(super) fn settle_because(&mut self, step: usize, status: Status, reason: &str, why: Option<&str>) {
        let mut hidden = Hidden::default();
        if let Some(why) = why {
            hidden.put_text("why", why);
        }
        let fact = Fact::StepSettled { status, reason: reason.to_owned() };
        let event = self.about(step, fact);
        self.emit(Event { hidden, ..event });
    }

    /// The message of a step that asks nobody, as far as it can be rendered.
    fn message(&self, step: usize) -> Option<String> {
        let message = self.values(step)?.message.in_lang(&self.state.run.lang)?;
        let names = Names::of(self.plan, self.state, Some(step));
        Some(message.render(&names).map_or_else(|_| message.source().to_owned(), |text| text.to_string()))
    }
}
