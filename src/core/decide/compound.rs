//! What has steps of its own: groups and what they do on failure, lists and their items, rounds, reverts.
//!
//! A list is read once, and from then on it is what stands in the journal. Everything here is decided by level: a step
//! that has nothing under way is looked at again, whatever led to it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::apply::{ITEMS, KEYS};
use super::super::attempt::Json;
use super::super::event::{AskEnd, AskKind, Decision, Event, Fact, Hidden, ReversalEnd, Status};
use super::super::scope::{Item, Names};
use super::Draft;
use crate::plan::{Each, EachNode, Kind, OnFailure};

/// Items of one list, at most, where the runbook says nothing.
pub const MOST_ITEMS: usize = 10_000;

impl Draft<'_> {
    /// The turn of a group, a list, rounds or a revert has come.
    pub(super) fn enter(&mut self, step: usize) {
        let shape = self.state.shape().clone();
        if let Some(each) = &shape.node(step).each {
            if self.batches(step) == 0
                && let Err((reason, why)) = self.lay_out(step)
            {
                return self.fail(step, Status::Failed, reason, Some(&why));
            }
            let all = self.items(step);
            if all == 0 && !each.empty_ok {
                return self.fail(step, Status::Failed, "empty", Some("the list is empty"));
            }
            if all == 0 {
                return self.settle(step, Status::Succeeded, "empty");
            }
            self.emit_step(step, Fact::StepEntered {});
            self.release(step, each.canary.map_or(all, |canary| all.min(canary.count.max(1) as usize)));
            return;
        }
        self.emit_step(step, Fact::StepEntered {});
        if shape.node(step).repeat.is_some() {
            self.next_round(step);
        }
    }

    /// Reads the list of a step, and gives each item its place.
    fn lay_out(&mut self, step: usize) -> Result<(), (&'static str, String)> {
        let Some(each) = self.values(step).and_then(|values| values.each.as_ref()) else {
            return Err(("list", "there is no list".to_owned()));
        };
        let Some(node) = self.state.shape().node(step).each.clone() else { return Ok(()) };
        let items = read_list(each, &node, &Names::of(self.plan, self.state, Some(step)))?;
        self.expand(step, &items);
        Ok(())
    }

    fn expand(&mut self, step: usize, items: &[(String, Json)]) {
        let mut hidden = Hidden::default();
        let keys: Vec<&String> = items.iter().map(|(key, _)| key).collect();
        let values: Vec<&str> = items.iter().map(|(_, value)| value.text()).collect();
        hidden.put(KEYS, &keys);
        hidden.put(ITEMS, &values);
        let items = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let event = self.about(step, Fact::StepExpanded { items });
        self.emit(Event { hidden, ..event });
    }

    /// The lists behind a gate that can be read by now: so that it shows and binds each item.
    pub(super) fn expand_ahead(&mut self, gate: usize) {
        let shape = self.state.shape().clone();
        let Some(node) = &shape.node(gate).gate else { return };
        let frame = shape.frame(gate);
        let mut seen = BTreeSet::new();
        for name in &node.covers {
            for around in shape.loops_with(name) {
                if !seen.insert(around.clone()) {
                    continue;
                }
                // The places of an inner list are there once the outer one is laid out.
                for whole in self.state.shape().wholes_of(&around, frame) {
                    let waits = self.batches(whole) == 0 && !self.state.step(whole).settled;
                    if waits && self.state.shape().node(whole).each.is_some() {
                        // What cannot be read yet is read when its turn has come.
                        let _ = self.lay_out(whole);
                    }
                }
            }
        }
    }

    fn batches(&self, step: usize) -> u32 {
        self.state.step(step).compound.as_ref().map_or(0, |compound| compound.batches)
    }

    fn items(&self, step: usize) -> usize {
        let shape = self.state.shape();
        shape.members(step).map_or(0, |list| shape.lists()[list].members.len())
    }

    fn release(&mut self, step: usize, items: usize) {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.emit_step(step, Fact::StepReleased { items });
    }

    fn next_round(&mut self, step: usize) {
        let event = self.about(step, Fact::StepExpanded { items: 1 });
        self.emit(event);
    }

    /// A time between two rounds, or between the first items and the others, is over.
    pub(super) fn waited(&mut self, step: usize) {
        if self.state.step(step).due.is_none_or(|due| due > self.at) {
            return;
        }
        if self.state.shape().node(step).repeat.is_some() {
            self.next_round(step);
        } else {
            self.go_on(step);
        }
    }

    /// The first items are done: the others follow, or somebody is asked.
    fn go_on(&mut self, step: usize) {
        let each = self.state.shape().node(step).each.as_ref();
        if each.and_then(|each| each.canary).is_some_and(|canary| canary.ask) {
            self.open_ask(step, AskKind::Canary, None, None);
        } else {
            self.release(step, self.items(step));
        }
    }

    /// Decides about a step with steps of its own of which nothing is under way.
    pub(super) fn settle_compound(&mut self, step: usize) {
        let state = self.state.step(step);
        let ending = self.state.run.ending.is_some() && self.state.shape().is_main(step);
        if state.status == Status::Waiting {
            let Some(ask) = state.last_ask.and_then(|id| self.state.ask(id)) else { return };
            let said = ask.answers.last().map(|given| given.decision);
            match (ask.kind, ask.end) {
                (AskKind::Failure, _) => {
                    let reason = ask.reason.clone().unwrap_or_else(|| "failed".to_owned());
                    return self.settle(step, Status::Failed, &reason);
                }
                (AskKind::Canary, Some(AskEnd::Answered)) if !ending => {
                    if said == Some(Decision::Yes) {
                        return self.release(step, self.items(step));
                    }
                    return self.fail(step, Status::Failed, "canary_refused", None);
                }
                _ => {}
            }
        }
        if ending {
            return self.settle_as_it_stands(step);
        }
        let node = self.state.shape().node(step);
        if node.kind == Kind::Revert {
            self.revert(step);
        } else if node.each.is_some() {
            self.settle_list(step);
        } else if let Some(repeat) = node.repeat {
            self.settle_rounds(step, repeat.max, repeat.every_ms);
        } else {
            self.settle_group(step);
        }
    }

    /// The run ends before it could.
    fn settle_as_it_stands(&mut self, step: usize) {
        let shape = self.state.shape();
        let (failed, rejected) = self.state.came_to(step);
        let begun = self.state.step(step).compound.as_ref().map_or(0, |compound| compound.begun);
        let list = shape.members(step).map(|list| self.state.derived().lists[list]).unwrap_or_default();
        let whole = shape.is_whole(step);
        let all = match shape.node(step).repeat {
            Some(_) => {
                self.state.last_item(step).is_some_and(|last| self.is_as_wanted(step, last) == Ok(true))
            }
            None if whole => begun == self.items(step),
            None => list.first_unsatisfied.is_none(),
        };
        if shape.node(step).kind == Kind::Revert {
            self.settle(step, Status::Cancelled, "ended");
        } else if failed && (!whole || list.failed) {
            self.settle(step, Status::Failed, if whole { "items_failed" } else { "steps_failed" });
        } else if rejected {
            self.settle(step, Status::Rejected, "rejected");
        } else if all && !failed {
            self.settle(step, Status::Succeeded, "done");
        } else {
            self.settle(step, Status::Cancelled, "ended");
        }
    }

    fn settle_group(&mut self, step: usize) {
        let (failed, rejected) = self.state.came_to(step);
        let compound = self.state.step(step).compound.as_ref();
        let handling = compound.is_some_and(|compound| compound.handling);
        if failed && !handling && self.state.shape().handlers(step).is_some() {
            return self.emit_step(step, Fact::StepHandling {});
        }
        if let Some(toggle) = self.state.newest_toggle(step) {
            return self.unwind_one(toggle, !failed && !rejected);
        }
        let ended = self.state.step(step).compound.as_ref().and_then(|compound| compound.ended);
        if failed {
            let reason = if ended.is_some() { "end" } else { "steps_failed" };
            self.fail(step, Status::Failed, reason, None);
        } else if rejected {
            self.settle(step, Status::Rejected, "rejected");
        } else {
            self.settle(step, Status::Succeeded, if handling { "handled" } else { "done" });
        }
    }

    fn settle_list(&mut self, step: usize) {
        let state = self.state.step(step);
        let Some(compound) = state.compound.as_deref() else { return };
        let (granted, heeded, begun) = (state.granted, compound.heeded, compound.begun);
        if self.state.has_stopped(step) {
            if granted > heeded {
                return self.again(step);
            }
            let (failed, _) = self.state.came_to(step);
            if failed {
                return self.fail(step, Status::Failed, "items_failed", None);
            }
            return self.settle(step, Status::Rejected, "rejected");
        }
        if begun < self.items(step) {
            let each = self.state.shape().node(step).each.as_ref();
            let soak = each.and_then(|each| each.canary).and_then(|canary| canary.soak_ms);
            return match soak {
                Some(soak) => {
                    let due = self.at.plus(soak);
                    self.emit_step(step, Fact::WaitStarted { due });
                }
                None => self.go_on(step),
            };
        }
        let some = self.state.derived().loops.get(&step).is_some_and(|items| items.failed > 0);
        self.settle(step, Status::Succeeded, if some { "some_failed" } else { "done" });
    }

    /// What failed of a list is done again, and nothing else.
    fn again(&mut self, step: usize) {
        let shape = self.state.shape().clone();
        let Some(list) = shape.members(step) else { return };
        let failed = self.state.failed_items(step);
        let item = |nth: &usize| {
            let frame = shape.frame_of(shape.frame(shape.lists()[list].members[*nth]));
            let value = frame.value.clone().unwrap_or_else(|| Json::of(&Value::Null));
            (frame.key.clone().unwrap_or_default(), value)
        };
        let items: Vec<(String, Json)> = failed.iter().map(item).collect();
        self.expand(step, &items);
    }

    fn settle_rounds(&mut self, step: usize, max: u32, every_ms: Option<u64>) {
        let Some(last) = self.state.last_item(step) else { return self.next_round(step) };
        let state = self.state.step(step);
        let heeded = state.compound.as_ref().map_or(0, |compound| compound.heeded);
        let (granted, rounds) = (state.granted, self.batches(step));
        let (failed, rejected) = self.state.came_to(step);
        if failed && granted == heeded {
            return self.fail(step, Status::Failed, "round_failed", None);
        }
        if !failed {
            match self.is_as_wanted(step, last) {
                Ok(true) if rejected => return self.settle(step, Status::Rejected, "rejected"),
                Ok(true) => return self.settle(step, Status::Succeeded, "done"),
                Ok(false) => {}
                Err(error) => {
                    return self.fail(step, Status::Failed, "until", Some(&error));
                }
            }
            if rounds >= max.max(1).saturating_mul(granted + 1) {
                return self.fail(step, Status::Failed, "max_rounds", None);
            }
        }
        match every_ms {
            Some(every) => {
                let due = self.at.plus(every);
                self.emit_step(step, Fact::WaitStarted { due });
            }
            None => self.next_round(step),
        }
    }

    /// Whether the condition of rounds holds, with what `last` of them gave.
    fn is_as_wanted(&self, step: usize, last: usize) -> Result<bool, String> {
        let names = Names::within(self.plan, self.state, self.state.shape().frame(last));
        let until = self.values(step).and_then(|values| values.repeat_until.as_ref());
        until.map_or(Ok(true), |until| until.holds(&names)).map_err(|error| error.to_string())
    }

    fn revert(&mut self, step: usize) {
        if let Some(next) = self.state.open_among(step) {
            // What is under way beside it is awaited.
            let over = self.state.step(self.state.reversals()[next].step).settled;
            if over {
                self.unwind_one(next, true);
            }
            return;
        }
        let named = self.state.shape().reverts(step);
        let of_it = |at: usize| named.contains(&at);
        let mut ends = self.state.reversals().iter().filter(|r| of_it(r.step)).filter_map(|r| r.end);
        if ends.any(|end| end == ReversalEnd::Failed) {
            self.fail(step, Status::Failed, "not_reversed", None);
        } else {
            self.settle(step, Status::Succeeded, "reverted");
        }
    }

    /// What follows a failure that says nothing about it: what a step is inside may take care of it.
    pub(super) fn default_policy(&self, step: usize, default: OnFailure) -> OnFailure {
        let shape = self.state.shape();
        if shape.is_compound(step) && !shape.is_whole(step) {
            return OnFailure::Continue;
        }
        let mut at = step;
        while let Some(owner) = shape.owner(at) {
            let handlers = shape.handlers(owner).is_some() && !shape.lists()[shape.list(at)].handlers;
            let each = shape.node(owner).each.as_ref();
            let counted = each.is_some_and(|each| each.max_failures.is_some() || default == OnFailure::Stop);
            if handlers || counted {
                return OnFailure::Continue;
            }
            at = owner;
        }
        default
    }
}

/// The items of a list with their names, or why there are none: a code, and words.
fn read_list(
    each: &Each,
    node: &EachNode,
    names: &Names<'_>,
) -> Result<Vec<(String, Json)>, (&'static str, String)> {
    let Value::Array(items) = each.items.value(names).map_err(|error| ("list", error.to_string()))? else {
        return Err(("list", format!("`{}` gives no list", each.items.source())));
    };
    let most = node.max_targets.map_or(MOST_ITEMS, |most| (most as usize).min(MOST_ITEMS));
    if items.len() > most {
        return Err(("max_targets", format!("the list has {} items, the limit is {most}", items.len())));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(items.len());
    for (nth, item) in items.into_iter().enumerate() {
        let key = match &each.key {
            Some(key) => {
                let scope = Item { names, name: &each.name, value: &item };
                key.value(&scope).map_err(|error| ("keys", error.to_string()))?
            }
            None => item.clone(),
        };
        let key = match key {
            Value::String(text) if !text.is_empty() => text,
            Value::Number(number) => number.to_string(),
            _ => {
                return Err((
                    "keys",
                    format!("item {} has no name: `key` gives a text or a number", nth + 1),
                ));
            }
        };
        if !seen.insert(key.clone()) {
            return Err(("keys", format!("two items are called `{key}`")));
        }
        out.push((key, Json::of(&item)));
    }
    Ok(out)
}
