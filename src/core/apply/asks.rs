//! Events about questions to people: opened, answered, escalated, closed, voided; and what became of a reversal.

use std::collections::BTreeSet;

use super::{Applied, need};
use crate::clock::Timestamp;
use crate::core::attempt::{AttemptResult, Json, Role};
use crate::core::decide::expected;
use crate::core::event::{AskEnd, AskKind, Decision, Event, Reversal, ReversalEnd, Status};
use crate::core::state::{Ask, Binds, Given, Human, ItemState, Phase, State};
use crate::plan::Kind;

/// A question about what became of a step, or is to become, and not the step itself.
const fn about(kind: AskKind) -> bool {
    matches!(kind, AskKind::Failure | AskKind::Unknown | AskKind::PutBack | AskKind::Canary | AskKind::Guard)
}

impl State {
    /// Whether the answers to its last question open the gate.
    pub(super) fn gate_is_open(&self, step: usize) -> bool {
        let Some(gate) = &self.shape.node(step).gate else { return false };
        let Some(ask) = self.steps[step].last_ask.and_then(|id| self.asks.get(&id)) else { return false };
        let yes = ask.answers.iter().filter(|a| matches!(a.decision, Decision::Approve | Decision::Yes));
        let yes = yes.map(|a| &a.actor.who).collect::<BTreeSet<_>>().len();
        let no = ask.answers.iter().any(|a| matches!(a.decision, Decision::Reject | Decision::No));
        let enough = yes >= gate.quorum.max(1) as usize || ask.broke_glass().is_some();
        ask.end == Some(AskEnd::Answered) && !no && enough
    }

    pub(super) fn ask_opened(
        &mut self,
        at: Timestamp,
        step: usize,
        event: &Event,
        id: u32,
        kind: AskKind,
    ) -> Applied {
        let node_kind = self.shape.node(step).kind;
        let state = &self.steps[step];
        need(id as usize == self.asks.len() + 1, "questions are numbered in order")?;
        need(state.ask.is_none() && state.running.is_none(), "a question or an attempt is open already")?;
        let own = match kind {
            AskKind::Approve => node_kind == Kind::Approve,
            AskKind::Confirm => node_kind == Kind::Confirm,
            AskKind::Input => node_kind == Kind::Input,
            AskKind::Checklist => node_kind == Kind::Checklist,
            AskKind::Choice => node_kind == Kind::Choice,
            AskKind::Manual => node_kind == Kind::Manual,
            AskKind::Guard => self.shape.is_guard(step),
            AskKind::Failure | AskKind::Unknown => !node_kind.is_gate() && !self.shape.is_guard(step),
            AskKind::PutBack => self.due_reversal(step, None).is_some(),
            AskKind::Canary => self.shape.node(step).each.as_ref().is_some_and(|each| each.canary.is_some()),
        };
        let own = own && (!self.shape.is_whole(step) || about(kind));
        need(own, "that is not a question of this step")?;
        match kind {
            AskKind::PutBack => {}
            AskKind::Canary => self.may_ask_to_go_on(at, step)?,
            AskKind::Guard => need(self.is_in_doubt(step), "nothing says that it does not hold")?,
            AskKind::Unknown => need(state.status == Status::Unknown, "nothing about it is uncertain")?,
            AskKind::Failure => {
                let failed = matches!(state.status, Status::Ready | Status::Retrying) || self.is_loose(step);
                need(failed, "it has not failed")?;
            }
            _ => need(state.status == Status::Ready || self.is_loose(step), "its turn has not come")?,
        }
        self.set_due(step, None);
        let state = &mut self.steps[step];
        state.ask = Some(id);
        state.last_ask = Some(id);
        if !state.settled && kind != AskKind::Unknown {
            state.status = Status::Waiting;
        }
        let binds: Option<Binds> =
            event.hidden.0.get("binds").and_then(|text| serde_json::from_str(text).ok());
        let shown = event.hidden.0.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let ask = Ask {
            id,
            step,
            kind,
            opened: at,
            expires: None,
            glass: self.glass_from(step, at, kind),
            escalated: false,
            covers: Vec::new(),
            reason: None,
            answers: Vec::new(),
            end: None,
            shown,
            binds,
            through: BTreeSet::new(),
            attested: Vec::new(),
        };
        self.asks.insert(id, ask);
        self.derived.open_asks.insert(id);
        Ok(())
    }

    /// From when on the question may be answered by breaking the glass.
    fn glass_from(&self, step: usize, at: Timestamp, kind: AskKind) -> Option<Timestamp> {
        let gate = self.shape.node(step).gate.as_ref().filter(|_| kind == AskKind::Approve)?;
        Some(at.plus(gate.break_glass.as_ref()?.after_ms))
    }

    pub(super) fn ask_answered(
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
        if decision == Decision::BreakGlass {
            need(ask.glass.is_some_and(|from| at >= from), "its glass may not be broken yet, or never")?;
        }
        let expected = part.and_then(|part| expected(ask, part));
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
            let node = &self.shape.node(step).items[index.unwrap_or(0)];
            *item = match decision {
                Decision::Done | Decision::ByHand if !node.read_back => ItemState::Confirmed,
                Decision::ReadBack if node.read_back => {
                    // Who sees both can compare.
                    let said = value.as_ref().and_then(|text| serde_json::from_str::<String>(text).ok());
                    let same = said.zip(expected).is_none_or(|(said, expected)| said.trim() == expected);
                    need(same, "that is not what was to be read back")?;
                    ItemState::Confirmed
                }
                Decision::Retry if node.probe => ItemState::Unprobed,
                Decision::No => ItemState::Refused,
                _ => return Err("that is no answer to an item"),
            };
        }
        if kind == AskKind::PutBack {
            if let Some(reversal) = self.due_reversal(step, None) {
                self.reversals[reversal].told = decision == Decision::PutBack;
            }
        } else if !matches!(kind, AskKind::Failure | AskKind::Unknown | AskKind::Canary | AskKind::Guard) {
            let answer = value.and_then(|text| Json::parse(&text).ok());
            state.human = Some(Human { answer, by: actor, at, comment });
            state.outputs.extend(event.hidden.outputs());
        }
        self.refresh(step);
        Ok(())
    }

    pub(super) fn ask_escalated(&mut self, id: u32, expires: Option<Timestamp>) -> Applied {
        let ask = self.asks.get_mut(&id).filter(|ask| ask.end.is_none()).ok_or("no such open question")?;
        need(!ask.escalated, "it was escalated before")?;
        ask.escalated = true;
        self.set_expiry(id, expires);
        Ok(())
    }

    pub(super) fn ask_closed(&mut self, id: u32, how: AskEnd) -> Applied {
        let ask = self.asks.get_mut(&id).filter(|ask| ask.end.is_none()).ok_or("no such open question")?;
        need(how != AskEnd::Answered || !ask.answers.is_empty(), "nobody has answered it")?;
        ask.end = Some(how);
        let step = ask.step;
        self.set_expiry(id, None);
        self.derived.open_asks.remove(&id);
        self.steps[step].ask = None;
        if self.shape.is_guard(step) {
            self.guard_asked(id, step);
        }
        self.refresh(step);
        Ok(())
    }

    /// The gate is shut again: what it covers and has not begun waits for a new decision.
    pub(super) fn approval_voided(&mut self, id: u32) -> Applied {
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
        self.derived.reopened.insert(gate);
        let list = self.shape.list(gate);
        self.derived.lists[list].undecided += 1;
        if let Some(owner) = self.shape.owner(gate) {
            if self.shape.is_whole(owner) {
                self.derived.loops.entry(owner).or_default().open += 1;
            }
            self.refresh(owner);
        }
        let frame = self.shape.frame(gate);
        let covers: Vec<usize> = covers.iter().flat_map(|name| self.shape.meant(name, frame)).collect();
        for covered in covers {
            self.steps[covered].cleared.clear();
            if self.steps[covered].status == Status::Retrying {
                self.set_due(covered, None);
                self.steps[covered].status = Status::Ready;
                self.refresh(covered);
            }
        }
        self.refresh(gate);
        Ok(())
    }

    pub(super) fn reversal_closed(
        &mut self,
        step: usize,
        kind: Reversal,
        how: ReversalEnd,
        review_at: Option<Timestamp>,
    ) -> Applied {
        need(self.steps[step].running.is_none(), "it is being reversed")?;
        need(self.steps[step].ask.is_none(), "a question about it is open")?;
        let asked = self.steps[step].last_ask.and_then(|id| self.asks.get(&id));
        let said = asked.filter(|ask| ask.kind == AskKind::PutBack && ask.end == Some(AskEnd::Answered));
        let said = said.and_then(|ask| ask.answers.last()).map(|given| given.decision);
        let reversed = self.steps[step].last.as_ref().is_some_and(|last| {
            let role = if kind == Reversal::Undo { Role::Undo } else { Role::PutBack };
            last.role == role && last.result == AttemptResult::Succeeded
        });
        let chosen = self.run.ending.as_ref().is_some_and(|ending| ending.undo);
        let top = self.due_reversal(step, Some(kind)).ok_or("it is not the newest to be reversed")?;
        match how {
            ReversalEnd::Done => need(reversed || said == Some(Decision::Done), "it has not been reversed")?,
            ReversalEnd::LeftOpen => {
                need(said == Some(Decision::LeaveOpen), "nobody decided to leave it open")?
            }
            ReversalEnd::NotChosen => {
                let left = kind == Reversal::Undo && !chosen && self.phase() == Phase::Unwinding;
                need(left, "it is not left by default")?;
            }
            ReversalEnd::Failed => {}
        }
        let reversal = &mut self.reversals[top];
        (reversal.end, reversal.review_at) = (Some(how), review_at);
        let scope = reversal.scope.filter(|_| kind == Reversal::PutBack);
        self.derived.open_reversals[usize::from(!self.shape.is_main(step))] -= 1;
        if let Some(scope) = scope {
            self.put_back_less(scope, how == ReversalEnd::Failed);
        }
        self.run.ending_failed |= how == ReversalEnd::Failed;
        self.set_due(step, None);
        Ok(())
    }
}
