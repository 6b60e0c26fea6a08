//! Guards: what has to hold while the main section changes anything. Asked at intervals and for each attempt at
//! whatever is no read; one that does not hold, or cannot be asked, holds the main section until somebody has decided.
//! What repairs (reversals, `finally`) is not guarded.

use super::super::attempt::Role;
use super::super::bind;
use super::super::event::{Actor, AskKind, Decision, Ended, Event, Fact, Hidden, Override};
use super::super::state::{Ask, Phase};
use super::Draft;
use crate::plan::Effect;
use crate::runbook::template::RenderError;

impl Draft<'_> {
    /// Whether an attempt at a step may begin as far as the guards are concerned; if not, they are being asked.
    pub(super) fn is_let_through(&mut self, step: usize) -> bool {
        let asked: Vec<usize> = self.state.uncleared(step).collect();
        if asked.is_empty() {
            return !self.state.is_held(step);
        }
        let name = self.name(step);
        for guard in asked {
            if !self.state.is_held(step) && self.state.is_idle(guard) && self.state.has_slot() {
                self.ask_guard(guard, Some(name.clone()));
            }
        }
        false
    }

    /// A guard is due for its own sake.
    pub(super) fn watch(&mut self, guard: usize) {
        if self.state.step(guard).due.is_some() && self.state.may_watch(guard) && self.state.has_slot() {
            let part = self.state.asked_for(guard).map(str::to_owned);
            self.ask_guard(guard, part);
        }
    }

    fn ask_guard(&mut self, guard: usize, part: Option<String>) {
        let probe = self.values(guard).and_then(|values| values.act.as_ref());
        let rendered = probe
            .ok_or_else(|| RenderError {
                expr: Role::Guard.name().to_owned(),
                message: "there is nothing to ask".to_owned(),
            })
            .and_then(|probe| bind::request(self.plan, self.state, guard, probe, self.at));
        match rendered {
            Ok(probe) => {
                let request = self.request(guard, Role::Guard, part, Effect::Read, probe, None);
                self.start(guard, request, Hidden::default());
            }
            Err(error) => self.guard_unreadable(guard, part, &error),
        }
    }

    /// What cannot even be asked: an attempt that ends as it begins, so that it is known what it was for.
    fn guard_unreadable(&mut self, guard: usize, part: Option<String>, error: &RenderError) {
        let attempt = Some(self.state.step(guard).attempts + 1);
        let started = Fact::AttemptStarted { role: Role::Guard, part, timeout_ms: 0, keyed: false };
        let event = self.about(guard, started);
        self.emit(Event { attempt, ..event });
        let mut hidden = Hidden::default();
        hidden.put_text("excerpt.error", &error.to_string());
        let ended = Fact::AttemptFinished {
            result: super::super::AttemptResult::Unknown,
            reason: "render".to_owned(),
            class: None,
            code: None,
            retry_after_ms: None,
            started: self.at,
            finished: self.at,
            worker: "consigne".to_owned(),
            outputs: std::collections::BTreeMap::new(),
            sealed: Vec::new(),
            artifacts: std::collections::BTreeMap::new(),
        };
        let event = self.about(guard, ended);
        self.emit(Event { attempt, hidden, ..event });
    }

    /// A guard did not hold, or could not be asked.
    pub(super) fn question_guard(&mut self, guard: usize) {
        if self.state.phase() != Phase::Main || !self.state.is_in_doubt(guard) {
            return;
        }
        let reason = self.state.step(guard).last.as_ref().map(|last| last.reason.clone());
        self.open_ask(guard, AskKind::Guard, reason, None);
    }

    /// What was decided about a guard that did not hold. Asked again it is without more ado.
    pub(super) fn carry_out_guard(&mut self, ask: &Ask, decision: Decision, actor: Actor, hidden: Hidden) {
        match decision {
            Decision::GoOn => {
                let event = self.about(ask.step, Fact::StepOverridden { how: Override::GoOn });
                self.emit(Event { hidden, ..event }.by(actor));
            }
            Decision::End => {
                let reason = format!("guard:{}", self.name(ask.step));
                self.end_run(Ended::Failed, &reason, false, false, Some((actor, String::new())));
            }
            _ => {}
        }
    }
}
