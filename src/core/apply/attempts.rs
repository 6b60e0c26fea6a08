//! Events about attempts: one starts, ends, is cut off, or is to be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Applied, need};
use crate::clock::Timestamp;
use crate::core::attempt::{ABSENT, AttemptResult, Json, Role};
use crate::core::event::{Event, Fact, Hidden, Reversal, Status};
use crate::core::state::{Belief, ItemState, Last, Phase, ReversalState, Running, State, Step, Timer};

impl State {
    pub(super) fn attempt_started(
        &mut self,
        at: Timestamp,
        step: usize,
        event: &Event,
        role: Role,
        part: Option<&str>,
    ) -> Applied {
        self.may_start(step, role, part)?;
        need(event.attempt == Some(self.steps[step].attempts + 1), "attempts are numbered in order")?;
        if role == Role::Do {
            self.count_target(step, &event.hidden)?;
        }
        let request =
            event.hidden.0.get("request").and_then(|text| serde_json::from_str(text).ok()).map(Arc::new);
        self.set_due(step, None);
        let first = role == Role::Do && self.steps[step].first_started.is_none();
        let state = &mut self.steps[step];
        state.attempts += 1;
        state.running = Some(Running {
            attempt: state.attempts,
            role,
            part: part.map(str::to_owned),
            started: at,
            request,
        });
        match role {
            Role::Undo | Role::PutBack | Role::OnlyIf => {
                let kind = if role == Role::Undo { Reversal::Undo } else { Reversal::PutBack };
                if let Some(at) = self.due_reversal(step, Some(kind)) {
                    self.reversals[at].told = false;
                    self.reversals[at].tries += u32::from(role != Role::OnlyIf);
                }
            }
            Role::Do | Role::First | Role::Verify | Role::Item | Role::Guard => {
                if state.status != Status::Unknown && state.status != Status::Waiting {
                    state.status = Status::Running;
                }
                if role == Role::Guard {
                    state.last_ask = None;
                }
                if role == Role::Do {
                    state.status = Status::Running;
                    state.cleared.clear();
                    state.first_started.get_or_insert(at);
                }
            }
        }
        if first {
            self.arm(step, &event.hidden);
        }
        Ok(())
    }

    pub(super) fn may_start(&self, step: usize, role: Role, part: Option<&str>) -> Applied {
        let (state, node, phase) = (&self.steps[step], self.shape.node(step), self.phase());
        need(self.run.paused.is_none(), "the run is paused")?;
        need(state.running.is_none(), "an attempt is running already")?;
        need(self.has_slot(), "too many attempts at once")?;
        need(!self.shape.is_whole(step), "its items are done, not the whole")?;
        let turn = match phase {
            Phase::Main => self.shape.is_main(step),
            Phase::Finally => !self.shape.is_main(step),
            _ => false,
        };
        let asked = matches!(role, Role::Do | Role::First | Role::Verify) && state.status == Status::Waiting;
        need(!asked, "a question about it is not settled")?;
        need((role == Role::Guard) == self.shape.is_guard(step), "a guard is asked, and nothing else")?;
        match role {
            Role::Guard => self.may_ask_guard(step, part),
            Role::Do => {
                need(node.kind.runs(), "it is not done by a runner")?;
                // The same request with the same key, where no probe can tell; or because a person said so.
                let again = (node.keyed && node.verify.is_none()) || state.status == Status::Ready;
                let stated = state.status != Status::Interrupted;
                need(!self.in_doubt(step) || (again && stated), "whether it took effect is not known")?;
                need(turn, "the run is past it")?;
                need(self.gates_open(step), "a gate in front of it is not open")?;
                need(self.is_cleared(step), "a guard has not held for it")?;
                let ready = matches!(state.status, Status::Ready | Status::Retrying) || self.is_loose(step);
                need(ready && !state.settled, "its turn has not come")
            }
            Role::First => {
                need(node.verify.is_some_and(|v| v.first) && turn, "it has nothing to verify first")?;
                need(state.status == Status::Ready || self.is_loose(step), "its turn has not come")
            }
            Role::Verify => {
                need(node.verify.is_some(), "it has nothing to verify")?;
                need(
                    self.is_loose(step) && state.tries + state.interruptions > 0,
                    "there is nothing to verify yet",
                )
            }
            Role::Item => {
                need(
                    node.items.iter().any(|i| i.probe && Some(i.id.as_str()) == part),
                    "no such item to probe",
                )?;
                let ready = state.status == Status::Ready && turn;
                need(ready || self.is_loose(step), "its turn has not come")
            }
            Role::Undo | Role::PutBack | Role::OnlyIf => {
                let kind = if role == Role::Undo { Reversal::Undo } else { Reversal::PutBack };
                let due = self.due_reversal(step, Some(kind));
                need(due.is_some(), "it is not its turn to be reversed")?;
                let chosen = self.run.ending.as_ref().is_some_and(|ending| ending.undo);
                let reverted = phase != Phase::Unwinding;
                need(role != Role::Undo || chosen || reverted, "nobody chose to undo")
            }
        }
    }

    /// Every gate that covers the step, stands among its needs, or before what it is inside, is open or was not wanted.
    pub(super) fn gates_open(&self, step: usize) -> bool {
        self.gates_before(step).all(|gate| self.satisfies(gate))
    }

    /// A gate in front of a step whose turn had come is asked again: its approval was voided.
    pub(in crate::core) fn waits_for_a_gate(&self, step: usize) -> bool {
        if !self.derived.reopened.is_empty() {
            let mut at = Some(step);
            while let Some(inner) = at {
                // What comes after everything above it needs only the last of that by name.
                let list = self.shape.list(inner);
                let asked = |gate: &usize| self.shape.list(*gate) == list;
                if self.shape.node(inner).above && self.derived.reopened.range(..inner).any(asked) {
                    return true;
                }
                at = self.shape.owner(inner);
            }
        }
        self.shape.guards(step).any(|gate| !self.steps[gate].settled)
    }

    /// Every gate in front of a step.
    pub(in crate::core) fn gates_before(&self, step: usize) -> impl Iterator<Item = usize> {
        self.shape.guards(step)
    }

    pub(super) fn arm(&mut self, step: usize, hidden: &Hidden) {
        let node = self.shape.node(step);
        let armed =
            [(node.undo, Reversal::Undo, "undo"), (node.put_back.is_some(), Reversal::PutBack, "put_back")];
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
                    scope: self.shape.scope(step),
                    tries: 0,
                    allowed: None,
                    told: false,
                    end: None,
                    review_at: None,
                    requests,
                };
                self.reversals.push(state);
                self.derived.open_reversals[usize::from(!self.shape.is_main(step))] += 1;
                if let (Some(scope), Reversal::PutBack) = (self.shape.scope(step), kind) {
                    *self.derived.toggles.entry(scope).or_default() += 1;
                }
            }
        }
    }

    pub(super) fn step_imported(&mut self, at: Timestamp, step: usize, event: &Event) -> Applied {
        let Fact::StepImported { outputs } = &event.fact else { return Err("not an import") };
        let node = self.shape.node(step);
        need(node.imported && node.kind.runs(), "no earlier run did it")?;
        let state = &mut self.steps[step];
        need(state.status == Status::Ready && state.attempts == 0, "its turn has not come, or is over")?;
        state.outputs = outputs_of(event, outputs);
        state.belief = Belief::Done;
        self.settle(at, step, Status::Succeeded, "imported");
        Ok(())
    }

    pub(super) fn attempt_finished(&mut self, at: Timestamp, step: usize, event: &Event) -> Applied {
        let Fact::AttemptFinished { result, reason, class, code, retry_after_ms, outputs, sealed, .. } =
            &event.fact
        else {
            return Err("not a finish");
        };
        let secrets = &self.shape.node(step).secrets;
        need(sealed.iter().all(|name| secrets.contains(name)), "no such secret output is declared")?;
        let state = &mut self.steps[step];
        let running = state
            .running
            .take_if(|r| Some(r.attempt) == event.attempt)
            .ok_or("no such attempt is running")?;
        let values = outputs_of(event, outputs);
        if matches!(running.role, Role::Do | Role::First | Role::Verify) {
            state.sealed.extend(sealed.iter().cloned());
        }
        state.last = Some(Last {
            attempt: running.attempt,
            role: running.role,
            part: running.part.clone(),
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
            Role::Do => state.did(*result, values),
            Role::First | Role::Verify => {
                for (name, value) in values {
                    state.outputs.entry(name).or_insert(value);
                }
                if running.role == Role::Verify && state.belief == Belief::Unknown {
                    if *result == AttemptResult::Succeeded {
                        state.belief = Belief::Done;
                    } else if *result == AttemptResult::Failed && reason == ABSENT {
                        state.belief = Belief::NotDone;
                    }
                }
            }
            Role::Item => {
                let at =
                    self.shape.node(step).items.iter().position(|i| Some(&i.id) == running.part.as_ref());
                let proved = *result == AttemptResult::Succeeded;
                let asked = *result != AttemptResult::Cancelled;
                if let Some(item) = at.and_then(|at| state.items.get_mut(at)).filter(|_| asked) {
                    *item = if proved { ItemState::Proved } else { ItemState::Refuted };
                }
            }
            Role::OnlyIf => {
                let open = |r: &&mut ReversalState| r.step == step && r.end.is_none();
                let put_back = |r: &&mut ReversalState| r.kind == Reversal::PutBack;
                let top = self.reversals.iter_mut().filter(open).find(put_back);
                if let Some(reversal) = top.filter(|_| *result != AttemptResult::Cancelled) {
                    reversal.allowed = Some(*result == AttemptResult::Succeeded);
                }
            }
            Role::Guard => self.guard_answered(at, step, *result),
            Role::Undo | Role::PutBack => {}
        }
        Ok(())
    }

    pub(super) fn attempt_interrupted(&mut self, at: Timestamp, step: usize, event: &Event) -> Applied {
        let state = &mut self.steps[step];
        let running = state
            .running
            .take_if(|r| Some(r.attempt) == event.attempt)
            .ok_or("no such attempt is running")?;
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
            part: running.part,
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
        if running.role == Role::Guard {
            self.guard_answered(at, step, AttemptResult::Cancelled);
        }
        Ok(())
    }

    pub(super) fn retry_scheduled(&mut self, step: usize, due: Timestamp) -> Applied {
        let runs = self.shape.node(step).kind.runs() && !self.shape.is_whole(step);
        let reversed = self.due_reversal(step, None).is_some();
        let loose = self.is_loose(step);
        let state = &mut self.steps[step];
        need(state.running.is_none() && state.ask.is_none(), "an attempt is running, or a question is open")?;
        need(!self.shape.is_guard(step), "a guard is no step")?;
        if state.settled {
            need(reversed, "it is not its turn to be reversed")?;
        } else {
            need(runs && loose && state.status != Status::Waiting, "there is nothing to retry")?;
            state.status = Status::Retrying;
        }
        self.set_due(step, Some((due, Timer::Retry(step))));
        Ok(())
    }
}

impl Step {
    /// An attempt at the step itself has ended.
    fn did(&mut self, result: AttemptResult, outputs: BTreeMap<String, Json>) {
        // Told to stop before anything happened: cut off, as by a crash, and no try of the policy.
        if result == AttemptResult::Cancelled {
            self.interruptions += 1;
        } else {
            self.tries += 1;
            self.interruptions = 0;
        }
        self.outputs.extend(outputs);
        self.belief = match result {
            AttemptResult::Succeeded => Belief::Done,
            AttemptResult::Unknown => Belief::Unknown,
            _ => Belief::NotDone,
        };
    }
}

/// Public and hidden outputs of an event together.
fn outputs_of(event: &Event, public: &BTreeMap<String, String>) -> BTreeMap<String, Json> {
    let mut values = event.hidden.outputs();
    values.extend(public.iter().filter_map(|(name, text)| Some((name.clone(), Json::parse(text).ok()?))));
    values
}
