//! Attempts: starting them, taking in how they ended, and deciding what their end means.

use std::collections::BTreeSet;

use super::super::attempt::{ABSENT, ARTIFACT, AttemptKey, AttemptRequest, AttemptResult, Outcome, Role};
use super::super::bind;
use super::super::event::{
    AskEnd, AskKind, Ended, Event, Fact, Hidden, ReversalEnd, SkipReason, Status, VoidReason,
};
use super::super::limits::{self, Beyond};
use super::super::retry::{self, MAX_ATTEMPTS, MAX_INTERRUPTIONS};
use super::super::state::{Belief, ItemState, Last, Phase};
use super::Draft;
use crate::plan::{Effect, Kind, OnFailure, Probe, ProbeOf};
use crate::runbook::template::{RenderError, Rendered};

/// Time-outs where a plan gives none: HTTP, and programs.
const HTTP_TIMEOUT_MS: u64 = 30_000;
const PROGRAM_TIMEOUT_MS: u64 = 600_000;

/// How often a keyed write of unknown outcome is sent again when its policy allows fewer tries.
const KEYED_TRIES: u32 = 2;

impl Draft<'_> {
    pub(super) fn finished(&mut self, key: &AttemptKey, outcome: Outcome) {
        let Some((at, _)) = self.state.find_item(&key.step, key.item) else { return };
        let node = self.state.shape().node(at);
        let mut hidden = Hidden::default();
        let mut outputs = std::collections::BTreeMap::new();
        for (name, value) in &outcome.outputs {
            if node.outputs.iter().any(|output| output.public && output.name == *name) {
                outputs.insert(name.clone(), value.text().to_owned());
            } else {
                hidden.0.insert(format!("output.{name}"), value.text().to_owned());
            }
        }
        for (name, text) in &outcome.excerpts {
            hidden.put_text(&format!("excerpt.{name}"), text);
        }
        let mut artifacts = std::collections::BTreeMap::new();
        for (name, blob) in &outcome.blobs {
            let artifact = name.strip_prefix(ARTIFACT).filter(|name| {
                node.artifacts.iter().any(|artifact| artifact.public && artifact.name == *name)
            });
            match artifact {
                Some(name) => drop(artifacts.insert(name.to_owned(), blob.clone())),
                None => hidden.put(&format!("blob.{name}"), blob),
            }
        }
        let fact = Fact::AttemptFinished {
            result: outcome.result,
            reason: outcome.reason,
            class: outcome.class,
            code: outcome.code,
            retry_after_ms: outcome.retry_after_ms,
            started: outcome.started,
            finished: outcome.finished,
            worker: outcome.worker,
            outputs,
            sealed: outcome.sealed.into_iter().collect(),
            artifacts,
        };
        let event = self.about(at, fact);
        self.emit(Event { attempt: Some(key.attempt), hidden, ..event });
        self.close_proved_checklist(at);
    }

    /// Takes over what the step gave in the run that this one does again, if it would do the very same.
    pub(super) fn import(&mut self, step: usize) -> bool {
        let import = self.values(step).and_then(|values| values.import.as_ref());
        let Some(import) = import.filter(|_| self.state.step(step).attempts == 0) else { return false };
        let now = bind::digest(self.plan, self.state, step, &BTreeSet::new());
        if !now.is_ok_and(|now| now.as_ref() == Some(&import.digest)) {
            return false;
        }
        let (mut hidden, mut outputs) = (Hidden::default(), std::collections::BTreeMap::new());
        hidden.put_text("digest", &import.digest);
        for (name, text) in &import.outputs {
            let node = self.state.shape().node(step);
            if node.outputs.iter().any(|output| output.public && output.name == *name) {
                outputs.insert(name.clone(), text.clone());
            } else {
                hidden.0.insert(format!("output.{name}"), text.clone());
            }
        }
        let event = self.about(step, Fact::StepImported { outputs });
        self.emit(Event { hidden, ..event });
        true
    }

    /// The step's `verify`, before acting.
    pub(super) fn start_first(&mut self, step: usize) {
        if self.state.is_held(step) {
            return;
        }
        let probe = self.values(step).and_then(|values| values.verify.as_ref());
        self.start_probe(step, Role::First, None, probe);
    }

    /// The step itself, if what was approved is still what would be done.
    pub(super) fn start_do(&mut self, step: usize) {
        match self.is_not_as_approved(step) {
            Ok(None) => {}
            Ok(Some((ask, reason, hidden))) => {
                let because = self.name(step);
                let gate = self.state.ask(ask).map_or(step, |ask| ask.step);
                let event = self.about(gate, Fact::ApprovalVoided { ask, because, reason });
                return self.emit(Event { hidden, ..event });
            }
            Err(error) => return self.fail(step, Status::Failed, "render", Some(&error.to_string())),
        }
        if self.state.waits_for_a_gate(step) {
            return;
        }
        if self.state.gates_before(step).any(|gate| !self.state.satisfies(gate)) {
            return self.not_allowed_again(step);
        }
        if !self.is_let_through(step) {
            return;
        }
        let Some(values) = self.values(step) else { return };
        let Some(act) = &values.act else {
            self.fail(step, Status::Failed, "render", Some("there is nothing to do"));
            return;
        };
        if self.state.step(step).attempts >= MAX_ATTEMPTS {
            self.fail(step, Status::Failed, "too_many_attempts", None);
            return;
        }
        match self.build_do(step, act) {
            Ok((request, hidden)) => self.start(step, request, hidden),
            Err(error) => self.fail(step, Status::Failed, "render", Some(&error.to_string())),
        }
    }

    /// Its approval was voided between two attempts, and not given again.
    fn not_allowed_again(&mut self, step: usize) {
        if self.state.step(step).status == Status::Unknown {
            self.ask_about_unknown(step);
        } else {
            self.fail(step, Status::Failed, "not_approved", None);
        }
    }

    fn build_do(&self, step: usize, act: &Probe) -> Result<(AttemptRequest, Hidden), RenderError> {
        let started_at = self.state.step(step).first_started.unwrap_or(self.at);
        let probe = bind::request(self.plan, self.state, step, act, started_at)?;
        let key = self.idempotency_key(step, Role::Do, None)?;
        let effect = self.state.shape().node(step).effect;
        let request = self.request(step, Role::Do, None, effect, probe, key);
        let mut hidden = Hidden::default();
        limits::note(self.plan, self.state, step, started_at, &mut hidden)?;
        if self.state.step(step).first_started.is_none()
            && let Some(values) = self.values(step)
        {
            let armed =
                [("undo", &values.undo), ("put_back", &values.put_back), ("only_if", &values.only_if)];
            for (name, probe) in armed {
                if let Some(probe) = probe {
                    hidden.put(name, &bind::request(self.plan, self.state, step, probe, started_at)?);
                }
            }
        }
        Ok((request, hidden))
    }

    pub(super) fn request(
        &self,
        step: usize,
        role: Role,
        part: Option<String>,
        effect: Effect,
        probe: ProbeOf<Rendered>,
        idempotency_key: Option<String>,
    ) -> AttemptRequest {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        let own = if role == Role::Do { node.timeout_ms } else { None };
        let default = match probe.action {
            crate::plan::Action::Http(_) => HTTP_TIMEOUT_MS,
            _ => PROGRAM_TIMEOUT_MS,
        };
        let mut timeout_ms = probe.timeout_ms.or(own).unwrap_or(default);
        if let (Role::Do, Some(deadline), Some(started)) = (role, node.deadline_ms, state.first_started) {
            timeout_ms = timeout_ms.min(started.plus(deadline).since(self.at)).max(1);
        }
        let shape = self.state.shape();
        let (name, item) = (shape.written(step).id.clone(), shape.item(step));
        let key = AttemptKey { step: name, item, attempt: state.attempts + 1 };
        AttemptRequest { key, role, part, effect, probe, timeout_ms, idempotency_key }
    }

    pub(super) fn start(&mut self, step: usize, request: AttemptRequest, mut hidden: Hidden) {
        hidden.put("request", &request);
        let fact = Fact::AttemptStarted {
            role: request.role,
            part: request.part.clone(),
            timeout_ms: request.timeout_ms,
            keyed: request.idempotency_key.is_some(),
        };
        let event = self.about(step, fact);
        self.emit(Event { attempt: Some(request.key.attempt), hidden, ..event });
    }

    fn start_probe(&mut self, step: usize, role: Role, part: Option<String>, probe: Option<&Probe>) {
        let started_at = self.state.step(step).first_started.unwrap_or(self.at);
        let rendered = probe
            .ok_or_else(|| RenderError {
                expr: role.name().to_owned(),
                message: "there is nothing to ask".to_owned(),
            })
            .and_then(|probe| bind::request(self.plan, self.state, step, probe, started_at));
        match rendered {
            Ok(probe) => {
                let request = self.request(step, role, part, Effect::Read, probe, None);
                self.start(step, request, Hidden::default());
            }
            Err(_) if role == Role::Verify => self.cannot_verify(step),
            Err(error) => self.fail(step, Status::Failed, "render", Some(&error.to_string())),
        }
    }

    /// A probe that cannot be asked says nothing: the step is not failed, what it did is unknown.
    fn cannot_verify(&mut self, step: usize) {
        if self.state.step(step).status != Status::Unknown {
            self.emit_step(step, Fact::StepUnknown { reason: "verify_unreachable".to_owned() });
        }
        self.ask_about_unknown(step);
    }

    /// One of the reversals, as it was rendered when its step started.
    pub(super) fn start_reversal(&mut self, step: usize, role: Role, rendered: &str) -> bool {
        let Ok(probe) = serde_json::from_str::<ProbeOf<Rendered>>(rendered) else { return false };
        let effect = self
            .values(step)
            .and_then(|values| values.reversals().find(|(name, ..)| *name == role.name()))
            .map_or(Effect::Write, |(.., effect)| effect);
        let effect = if role == Role::OnlyIf { Effect::Read } else { effect };
        let digest = bind::digest_of(&probe.action);
        let key = self.idempotency_key(step, role, Some(digest)).ok().flatten();
        let request = self.request(step, role, None, effect, probe, key);
        self.start(step, request, Hidden::default());
        true
    }

    fn idempotency_key(
        &self,
        step: usize,
        role: Role,
        digest: Option<String>,
    ) -> Result<Option<String>, RenderError> {
        let node = self.state.shape().node(step);
        if !node.keyed || role.is_probe() {
            return Ok(None);
        }
        let given = self.values(step).and_then(|values| values.idempotency_key.as_ref());
        if let (Role::Do, Some(template)) = (role, given) {
            let names = super::super::scope::Names::of(self.plan, self.state, Some(step));
            let text = template.render(&names)?;
            return match text.as_plain() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(RenderError {
                    expr: template.source().to_owned(),
                    message: "an idempotency key is known before the step starts, and is no secret"
                        .to_owned(),
                }),
            };
        }
        let digest = match digest {
            Some(digest) => Some(digest),
            // The request as it will be, whatever an approval knew of it: the same at each attempt.
            None => bind::digest(self.plan, self.state, step, &BTreeSet::new())?,
        };
        Ok(digest.map(|digest| self.key(step, role, &digest)))
    }

    fn key(&self, step: usize, role: Role, digest: &str) -> String {
        let (shape, first) = (self.state.shape(), self.first_of_the_same(step));
        bind::key(&self.state.run.id, &shape.written(step).id, shape.item(first), role, digest)
    }

    /// Where an item that is done again was done first: what may have happened there must not happen twice. What was
    /// reversed since has to happen again.
    fn first_of_the_same(&self, step: usize) -> usize {
        let reversed = |at: &usize| {
            let ended = |end| matches!(end, Some(ReversalEnd::Done | ReversalEnd::Failed));
            self.state.reversals().iter().any(|reversal| reversal.step == *at && ended(reversal.end))
        };
        let before = self.state.shape().same_item(step).into_iter();
        before.take_while(|at| !reversed(at)).last().unwrap_or(step)
    }

    /// The approval, if any, that does not let the step through as it would be done now.
    fn is_not_as_approved(&self, step: usize) -> Result<Option<(u32, VoidReason, Hidden)>, RenderError> {
        if let Some(ask) = self.voided_approval(step) {
            return Ok(Some((ask, VoidReason::Changed, Hidden::default())));
        }
        let started_at = self.state.step(step).first_started.unwrap_or(self.at);
        let beyond = limits::beyond(self.plan, self.state, step, started_at)?;
        Ok(beyond.map(|(ask, beyond)| match beyond {
            Beyond::Filter(target) => {
                let mut hidden = Hidden::default();
                hidden.put_text("target", &target);
                (ask, VoidReason::Filter, hidden)
            }
            Beyond::Count => (ask, VoidReason::MaxTargets, Hidden::default()),
        }))
    }

    /// The approval, if any, whose bound request is no longer the one that would be sent.
    fn voided_approval(&self, step: usize) -> Option<u32> {
        self.state.shape().covered_by(step).find_map(|gate| {
            let gate_state = self.state.step(gate);
            let ask = self.state.ask(gate_state.last_ask?)?;
            let approved = gate_state.status == Status::Succeeded && ask.kind == AskKind::Approve;
            let binds = ask.binds.as_ref().filter(|_| approved && ask.end == Some(AskEnd::Answered))?;
            let later = binds.later_of(self.state, step);
            let now = bind::digest(self.plan, self.state, step, &later);
            let differs = binds.of(self.state, step, "") != now.ok().flatten().as_ref();
            (differs || bind::reversed_otherwise(self.plan, self.state, step, binds)).then_some(ask.id)
        })
    }

    pub(super) fn probe_next_item(&mut self, step: usize) {
        let next = self.state.step(step).items.iter().position(|item| *item == ItemState::Unprobed);
        let Some(next) = next else { return };
        let id = self.state.shape().node(step).items[next].id.clone();
        let item = self.values(step).and_then(|values| values.items.get(&id));
        let of_step =
            item.and_then(|item| item.step.as_deref()).and_then(|name| self.state.resolve(name, step));
        let probe = match of_step {
            Some(of) => self.values(of).and_then(|values| values.verify.as_ref()),
            None => item.and_then(|item| item.probe.as_ref()),
        };
        self.start_probe(step, Role::Item, Some(id), probe);
    }

    pub(super) fn retry_now(&mut self, step: usize) {
        if self.state.step(step).settled {
            return;
        }
        self.start_do(step);
    }

    /// Decides about a step that is between two attempts, or whose question has been closed.
    pub(super) fn settle_loose(&mut self, step: usize) {
        let state = self.state.step(step);
        let shape = self.state.shape();
        if shape.is_guard(step) {
            return self.question_guard(step);
        }
        if shape.is_compound(step) || shape.node(step).kind == Kind::Revert {
            return self.settle_compound(step);
        }
        if state.status == Status::Waiting || self.state.shape().node(step).kind == Kind::Checklist {
            return self.settle_human(step);
        }
        let Some(last) = state.last.clone() else { return };
        match (state.status, last.role) {
            (Status::Interrupted, Role::First | Role::Verify) if !self.state.has_slot() => {}
            (Status::Interrupted, Role::First) if self.state.phase() == Phase::Draining => {
                self.settle(step, Status::Cancelled, "ended");
            }
            (Status::Interrupted, Role::First) => self.start_first(step),
            (Status::Interrupted, Role::Verify) => self.start_verify(step),
            (Status::Interrupted, _) => self.interrupted(step),
            (Status::Unknown, Role::Verify) if self.was_cut_off(&last) => {
                if self.state.has_slot() {
                    self.start_verify(step);
                }
            }
            (Status::Unknown, Role::Verify) => self.after_settling_verify(step, &last),
            (Status::Unknown, _) => self.resolve_unknown(step, &last),
            (_, Role::First) if self.was_cut_off(&last) => {
                if self.state.has_slot() {
                    self.start_first(step);
                }
            }
            (_, Role::Verify) if self.was_cut_off(&last) => {
                if self.state.has_slot() {
                    self.start_verify(step);
                }
            }
            (_, Role::First) => self.after_first(step, &last),
            (_, Role::Verify) if state.belief == Belief::NotDone => self.not_done(step, &last),
            (_, Role::Verify) => self.after_verify(step, &last),
            _ => self.after_do(step, &last),
        }
    }

    /// A crash or a pause cut the attempt off: it says nothing about the world, and the run goes on.
    fn was_cut_off(&self, last: &Last) -> bool {
        (last.interrupted || last.result == AttemptResult::Cancelled) && !self.draining()
    }

    fn start_verify(&mut self, step: usize) {
        let probe = self.values(step).and_then(|values| values.verify.as_ref());
        self.start_probe(step, Role::Verify, None, probe);
    }

    fn draining(&self) -> bool {
        self.state.phase() == Phase::Draining
    }

    /// A crash cut the step off. Reads run again; of anything else nobody knows whether it happened.
    fn interrupted(&mut self, step: usize) {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        if node.effect != Effect::Read {
            self.emit_step(step, Fact::StepUnknown { reason: "interrupted".to_owned() });
        } else if self.draining() {
            self.settle(step, Status::Cancelled, "ended");
        } else if state.interruptions > MAX_INTERRUPTIONS {
            self.fail(step, Status::Failed, "interrupted", None);
        } else if self.state.has_slot() {
            self.start_do(step);
        }
    }

    fn after_first(&mut self, step: usize, last: &Last) {
        if last.result == AttemptResult::Succeeded {
            self.emit_step(step, Fact::StepSkipped { reason: SkipReason::AlreadyDone, cause: None });
        } else if self.draining() {
            self.settle(step, Status::Cancelled, "ended");
        } else if self.state.has_slot() {
            self.start_do(step);
        }
    }

    fn after_do(&mut self, step: usize, last: &Last) {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        match last.result {
            // Its proof could not even be asked for, and a person says that nothing happened.
            AttemptResult::Succeeded if state.belief == Belief::NotDone => self.not_done(step, last),
            AttemptResult::Succeeded if node.verify.is_some() => {
                if self.state.has_slot() {
                    self.start_verify(step);
                }
            }
            AttemptResult::Succeeded => self.settle(step, Status::Succeeded, &last.reason),
            AttemptResult::Unknown if state.belief == Belief::Unknown && node.effect != Effect::Read => {
                self.emit_step(step, Fact::StepUnknown { reason: last.reason.clone() });
            }
            AttemptResult::Unknown => self.not_done(step, last),
            AttemptResult::Cancelled
                if self.was_cut_off(last) && state.interruptions <= MAX_INTERRUPTIONS =>
            {
                if self.state.has_slot() {
                    self.start_do(step);
                }
            }
            AttemptResult::Failed | AttemptResult::TimedOut | AttemptResult::Cancelled => {
                let may = last.class.is_some_and(|class| node.retry.errors.contains(&class));
                self.retry_or_fail(step, last, may);
            }
        }
    }

    /// The proof of effect after a success.
    fn after_verify(&mut self, step: usize, last: &Last) {
        match last.result {
            AttemptResult::Succeeded => self.settle(step, Status::Succeeded, "verified"),
            AttemptResult::Failed => self.fail(step, Status::Failed, "not_verified", None),
            _ => self.emit_step(step, Fact::StepUnknown { reason: "verify_unreachable".to_owned() }),
        }
    }

    /// Unknown, first way: the probe has been asked.
    fn after_settling_verify(&mut self, step: usize, last: &Last) {
        match self.state.step(step).belief {
            Belief::Done => self.settle(step, Status::Succeeded, "verified"),
            Belief::NotDone => self.not_done(step, last),
            Belief::Unknown => self.ask_about_unknown(step),
        }
    }

    /// Unknown: ask the probe; or send the same request with the same key; or ask a person.
    fn resolve_unknown(&mut self, step: usize, last: &Last) {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        let allowed = node.retry.max_attempts.max(KEYED_TRIES) + state.granted;
        if node.verify.is_some() {
            if self.state.has_slot() {
                self.start_verify(step);
            }
        } else if node.keyed
            && !self.draining()
            && last.interrupted
            && state.interruptions <= MAX_INTERRUPTIONS
        {
            if self.state.has_slot() {
                self.start_do(step);
            }
        } else {
            let again = node.keyed && !self.draining() && !last.interrupted && state.tries < allowed;
            if !(again && self.schedule_retry(step, last)) {
                self.ask_about_unknown(step);
            }
        }
    }

    pub(super) fn ask_about_unknown(&mut self, step: usize) {
        if self.draining() {
            self.settle(step, Status::Unknown, "ended");
            return;
        }
        let reason = self.state.step(step).reason.clone();
        self.open_ask(step, AskKind::Unknown, reason, None);
    }

    /// It is settled that nothing happened: an ordinary failure, which may be retried whatever its class.
    fn not_done(&mut self, step: usize, last: &Last) {
        self.retry_or_fail(step, last, true);
    }

    fn retry_or_fail(&mut self, step: usize, last: &Last, may: bool) {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        let left = state.tries < node.retry.max_attempts.saturating_add(state.granted);
        if may && left && !self.draining() && self.schedule_retry(step, last) {
            return;
        }
        let status = match last.result {
            AttemptResult::TimedOut => Status::TimedOut,
            AttemptResult::Cancelled => Status::Cancelled,
            _ => Status::Failed,
        };
        let done = last.result == AttemptResult::Succeeded;
        let reason = if done || last.reason == ABSENT { "not_done" } else { &last.reason };
        self.fail(step, status, reason, None);
    }

    /// False: the deadline of the step leaves no room for another attempt.
    pub(super) fn schedule_retry(&mut self, step: usize, last: &Last) -> bool {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        let seed = format!("{}/{}", self.state.run.id, node.id);
        let due = self.at.plus(retry::delay(&node.retry, state.tries, last.retry_after_ms, &seed));
        let deadline = node.deadline_ms.zip(state.first_started).map(|(millis, from)| from.plus(millis));
        if deadline.is_some_and(|deadline| due >= deadline) {
            return false;
        }
        self.emit_step(step, Fact::RetryScheduled { due });
        true
    }

    /// The step has failed for good, as far as the machine is concerned: its policy says what follows.
    pub(super) fn fail(&mut self, step: usize, status: Status, reason: &str, why: Option<&str>) {
        let node = self.state.shape().node(step);
        let main = self.state.shape().is_main(step);
        let default = if self.state.run.attended { OnFailure::Ask } else { OnFailure::Stop };
        let mut policy = node.on_failure.unwrap_or_else(|| self.default_policy(step, default));
        if self.draining() || status == Status::Cancelled || node.kind.is_gate() {
            policy = OnFailure::Continue;
        } else if !self.state.run.attended && policy == OnFailure::Ask {
            policy = self.default_policy(step, OnFailure::Stop);
        }
        if policy == OnFailure::Ask {
            self.open_ask(step, AskKind::Failure, Some(reason.to_owned()), why);
            return;
        }
        self.settle_because(step, status, reason, why);
        if main && self.state.phase() == Phase::Main && matches!(policy, OnFailure::Stop | OnFailure::Undo) {
            let name = self.name(step);
            self.end_run(
                Ended::Failed,
                &format!("step_failed:{name}"),
                policy == OnFailure::Undo,
                false,
                None,
            );
        }
    }
}
