//! Events about what has steps of its own: a group is entered, a list becomes items, further items are let go, a
//! failure is handled. And whose turn it is to be reversed.

use std::sync::Arc;

use super::{Applied, need};
use crate::clock::Timestamp;
use crate::core::attempt::Json;
use crate::core::event::{AskEnd, AskKind, Decision, Hidden, Reversal, Status};
use crate::core::shape::{NewItem, Shape};
use crate::core::state::{Course, Phase, State, Step};
use crate::plan::{EndStatus, Kind};

/// Hidden fields of `step.expanded`: the names of the items, and their values as JSON texts.
pub(in crate::core) const KEYS: &str = "keys";
pub(in crate::core) const ITEMS: &str = "items";

impl State {
    /// The turn of a group, a loop or a revert has come.
    pub(super) fn step_entered(&mut self, at: Timestamp, step: usize) -> Applied {
        need(self.steps[step].status == Status::Ready, "its turn has not come")?;
        need(self.gates_open(step), "a gate in front of it is not open")?;
        let state = &mut self.steps[step];
        let compound = state.compound.as_mut().ok_or("it has no steps of its own")?;
        need(!compound.entered, "it was entered before")?;
        compound.entered = true;
        state.status = Status::Running;
        state.first_started = Some(at);
        if self.shape.is_whole(step) {
            self.begin_items(step);
        } else if let Some(list) = self.shape.members(step) {
            for member in self.shape.lists()[list].members.clone() {
                self.make_ready(member);
            }
        }
        Ok(())
    }

    /// A list became known, a part of one is done again, or a round begins.
    pub(super) fn step_expanded(&mut self, step: usize, items: u32, hidden: &Hidden) -> Applied {
        need(self.shape.is_whole(step), "it has no items")?;
        let node = self.shape.node(step);
        let (each, repeat) = (node.each.clone(), node.repeat);
        let state = &self.steps[step];
        let compound = state.compound.as_ref().ok_or("it has no items")?;
        need(!state.settled && state.ask.is_none(), "it is settled, or a question about it is open")?;
        let through = self.is_through(step);
        let again = compound.batches > 0;
        let known = hidden_items(hidden, items)?;
        let nths: Vec<usize> = if let Some(repeat) = repeat {
            let most = repeat.max.max(1).saturating_mul(state.granted + 1);
            need(items == 1 && compound.entered && through, "a round is under way")?;
            need(compound.batches < most || state.granted > compound.heeded, "it has no further round")?;
            vec![compound.batches as usize]
        } else if again {
            need(through && state.granted > compound.heeded, "nobody asked to try again")?;
            let failed = self.failed_items(step);
            need(failed.len() == items as usize, "only what failed is done again")?;
            failed
        } else {
            let most = each.and_then(|each| each.max_targets);
            need(most.is_none_or(|most| items <= most), "the list is longer than is allowed")?;
            (0..items as usize).collect()
        };
        let granted = state.granted;
        let new = nths.into_iter().zip(known).map(|(nth, (key, value))| NewItem { nth, key, value });
        self.grow(step, new.collect())?;
        self.set_due(step, None);
        let count = items as usize;
        let members = self.shape.members(step).map(|list| &self.shape.lists()[list].members);
        let new: Vec<usize> = members.map_or(Vec::new(), |all| all[all.len() - count..].to_vec());
        let state = &mut self.steps[step];
        let Some(compound) = state.compound.as_mut() else { return Ok(()) };
        compound.batches += 1;
        compound.heeded = granted;
        if !again && repeat.is_none() {
            compound.targets = count;
        } else {
            compound.released += count;
        }
        // The others may still wait for a word about the first, which were these.
        let begun = compound.begun;
        compound.order.splice(begun..begun, new);
        if compound.entered {
            state.status = Status::Running;
        }
        if let Some(items) = self.derived.loops.get_mut(&step) {
            items.failed = 0;
        }
        self.begin_items(step);
        Ok(())
    }

    /// Adds places for items, and their steps.
    fn grow(&mut self, step: usize, items: Vec<NewItem>) -> Applied {
        let before = self.shape.len();
        let lists = self.shape.lists().len();
        let shape: &mut Shape = Arc::make_mut(&mut self.shape);
        shape.expand(step, items).map_err(|_| "the graph has no place for its items")?;
        let new = self.shape.lists()[lists..].iter();
        self.derived
            .lists
            .extend(new.map(|list| Course { undecided: list.members.len(), ..Course::default() }));
        for at in before..self.shape.len() {
            self.steps.push(Step::new(&self.shape, at));
            let list = self.shape.list(at);
            if list < lists {
                self.derived.lists[list].undecided += 1;
            }
        }
        Ok(())
    }

    fn members_of(&self, step: usize) -> usize {
        self.shape.members(step).map_or(0, |list| self.shape.lists()[list].members.len())
    }

    /// Which items of a list have failed and were not begun anew, counted from 0.
    pub(in crate::core) fn failed_items(&self, whole: usize) -> Vec<usize> {
        let Some(list) = self.shape.members(whole) else { return Vec::new() };
        let mut newest = std::collections::BTreeMap::new();
        let members = self.shape.lists()[list].members.iter();
        for member in members.filter(|member| self.steps[**member].called) {
            newest.insert(self.shape.frame_of(self.shape.frame(*member)).nth, *member);
        }
        let failed = newest.into_iter().filter(|(_, at)| self.steps[*at].settled && !self.satisfies(*at));
        failed.map(|(nth, _)| nth).collect()
    }

    /// Further items may begin.
    pub(super) fn step_released(&mut self, at: Timestamp, step: usize, items: u32) -> Applied {
        let node = self.shape.node(step);
        let canary = node.each.as_ref().ok_or("it has no list")?.canary;
        let members = self.members_of(step);
        let state = &self.steps[step];
        let compound = state.compound.as_ref().ok_or("it has no list")?;
        need(compound.entered && compound.batches > 0 && !state.settled, "its turn has not come")?;
        need(state.ask.is_none(), "a question about it is open")?;
        need(items as usize > compound.released && items as usize <= members, "there are no such items")?;
        if let Some(canary) = canary.filter(|canary| items > canary.count.max(1)) {
            need(
                compound.released >= canary.count as usize && self.is_through(step),
                "the first are not done",
            )?;
            need(!self.has_stopped(step), "too many have failed")?;
            let asked = state.last_ask.and_then(|id| self.asks.get(&id));
            let yes = asked.is_some_and(|ask| {
                ask.kind == AskKind::Canary
                    && ask.end == Some(AskEnd::Answered)
                    && ask.answers.last().is_some_and(|given| given.decision == Decision::Yes)
            });
            need(!canary.ask || yes, "nobody said to go on")?;
            need(canary.ask || self.is_watched(at, step), "the first items are not watched long enough")?;
        }
        self.set_due(step, None);
        let state = &mut self.steps[step];
        state.status = Status::Running;
        if let Some(compound) = state.compound.as_mut() {
            compound.released = items as usize;
        }
        self.begin_items(step);
        Ok(())
    }

    /// The first items are done and watched, and the others wait for a word.
    pub(super) fn may_ask_to_go_on(&self, at: Timestamp, step: usize) -> Applied {
        need(self.others_wait(step), "the first items are not done, or there are no others")?;
        need(self.is_watched(at, step), "the first items are not watched long enough")
    }

    fn others_wait(&self, step: usize) -> bool {
        let compound = self.steps[step].compound.as_ref();
        let left = compound.is_some_and(|c| c.entered && c.released > 0 && c.released < c.order.len());
        left && self.is_through(step)
    }

    fn is_watched(&self, at: Timestamp, step: usize) -> bool {
        let canary = self.shape.node(step).each.as_ref().and_then(|each| each.canary);
        let soaks = canary.is_some_and(|canary| canary.soak_ms.is_some());
        !soaks || self.steps[step].due.is_some_and(|due| due <= at)
    }

    /// Between two rounds, or the first items and the others, some time may have to pass.
    pub(super) fn waits_between(&self, step: usize) -> bool {
        let (node, compound) = (self.shape.node(step), self.steps[step].compound.as_ref());
        match (node.repeat, node.each.as_ref().and_then(|each| each.canary)) {
            (Some(repeat), _) => repeat.every_ms.is_some() && compound.is_some_and(|c| c.batches > 0),
            (None, Some(canary)) => canary.soak_ms.is_some() && self.others_wait(step),
            (None, None) => false,
        }
    }

    pub(super) fn step_handling(&mut self, step: usize) -> Applied {
        let failed = self.shape.members(step).is_some_and(|list| self.derived.lists[list].failed);
        let handlers = self.shape.handlers(step).ok_or("it does nothing on failure")?;
        need(failed && self.is_loose(step), "no step of it has failed, or some still run")?;
        let compound = self.steps[step].compound.as_mut().ok_or("it does nothing on failure")?;
        need(!compound.handling, "it is doing so already")?;
        compound.handling = true;
        for handler in self.shape.lists()[handlers].members.clone() {
            self.make_ready(handler);
        }
        Ok(())
    }

    /// Whether a group or a loop may end like that: never better than what it is made of.
    pub(super) fn may_settle_compound(&self, step: usize, status: Status) -> Applied {
        let compound = self.steps[step].compound.as_ref().ok_or("it has no steps of its own")?;
        let begun = compound.entered;
        need(!begun || self.is_through(step), "something of it is under way")?;
        let ending = self.run.ending.is_some();
        let toggles = self.derived.toggles.get(&step).copied().unwrap_or(0);
        need(toggles == 0 || ending, "something is not put back yet")?;
        let (failed, rejected) = self.came_to(step);
        match status {
            Status::Succeeded => {
                let all = !self.shape.is_whole(step) || compound.begun == self.members_of(step);
                need(begun || self.may_be_empty(step), "its turn has not come")?;
                need(all && !failed && !rejected, "not all of it has succeeded")
            }
            Status::Rejected => need(rejected, "no gate of it was shut"),
            _ => Ok(()),
        }
    }

    /// Whether something inside a group or a loop waits for people who have not said yes. Then nobody may call it done:
    /// what comes after it counts on that gate.
    pub(in crate::core) fn holds_shut_gate(&self, step: usize) -> bool {
        let shape = &self.shape;
        if !shape.has_gate_inside(step) {
            return false;
        }
        let mut within = vec![step];
        while let Some(at) = within.pop() {
            let node = shape.node(at);
            let Some(members) = shape.members(at) else {
                if node.kind.is_gate() && !self.satisfies(at) {
                    return true;
                }
                continue;
            };
            let entered = self.steps[at].compound.as_ref().filter(|compound| compound.entered);
            let own = &shape.lists()[members].members;
            let all = entered.is_some_and(|compound| !shape.is_whole(at) || compound.begun == own.len());
            if !all && shape.has_gate_inside(at) {
                return true;
            }
            // Of rounds the last one counts.
            let from = if node.repeat.is_some() { own.len().saturating_sub(1) } else { 0 };
            within.extend(&own[from..]);
        }
        false
    }

    /// Whether nobody may replace a group or a loop: a gate in it is not open.
    pub fn is_behind_shut_gate(&self, step: usize) -> bool {
        self.shape.is_compound(step) && self.holds_shut_gate(step)
    }

    fn may_be_empty(&self, step: usize) -> bool {
        self.shape.node(step).each.as_ref().is_some_and(|each| each.empty_ok)
    }

    /// What became of a group or a loop by now: whether it failed, and whether a gate in it was not opened.
    pub(in crate::core) fn came_to(&self, step: usize) -> (bool, bool) {
        let Some(compound) = &self.steps[step].compound else { return (false, false) };
        let node = self.shape.node(step);
        let course = |list: Option<usize>| list.map(|list| self.derived.lists[list]).unwrap_or_default();
        if node.each.is_some() {
            let items = course(self.shape.members(step));
            let only_shut = items.rejected && !items.failed;
            let stopped = self.has_stopped(step);
            return (stopped && !only_shut, stopped && only_shut);
        }
        if node.repeat.is_some() {
            let last = self.last_item(step).map(|last| &self.steps[last]);
            let rejected = last.is_some_and(|last| last.status == Status::Rejected);
            let done = last.is_some_and(|last| last.settled)
                && self.last_item(step).is_some_and(|l| self.satisfies(l));
            return (!done && !rejected, rejected);
        }
        let (own, handlers) = (course(self.shape.members(step)), course(self.shape.handlers(step)));
        let handled = compound.handling && node.group.is_some_and(|group| group.then_continue);
        let ended = compound.ended.filter(|_| node.used.is_some());
        let ended = ended.is_some_and(|end| self.shape.node(end).end == Some(EndStatus::Failed));
        let failed = (own.failed && !handled) || handlers.failed || compound.unclean || ended;
        (failed, own.rejected || handlers.rejected)
    }

    /// The newest item or round.
    pub(in crate::core) fn last_item(&self, whole: usize) -> Option<usize> {
        self.shape.members(whole).and_then(|list| self.shape.lists()[list].members.last().copied())
    }

    /// A toggle of a group was dealt with.
    pub(super) fn put_back_less(&mut self, scope: usize, failed: bool) {
        if let Some(open) = self.derived.toggles.get_mut(&scope) {
            *open -= 1;
            if *open == 0 {
                self.derived.toggles.remove(&scope);
            }
        }
        if let Some(compound) = self.steps[scope].compound.as_mut() {
            compound.unclean |= failed;
        }
        self.refresh(scope);
    }

    /// The open reversal of a step whose turn it is: the newest of the run as it unwinds, of a group that is through,
    /// or of what a revert names.
    pub(in crate::core) fn due_reversal(&self, step: usize, kind: Option<Reversal>) -> Option<usize> {
        let of_kind = |r: &&usize| kind.is_none_or(|kind| self.reversals[**r].kind == kind);
        if self.phase() == Phase::Unwinding {
            let newest = self.reversals.iter().rposition(|r| r.end.is_none());
            return newest.filter(|at| self.reversals[*at].step == step).filter(|at| of_kind(&at));
        }
        let section = self.shape.is_main(step);
        let turn = if section { Phase::Main } else { Phase::Finally };
        if self.phase() != turn || !self.steps[step].settled {
            return None;
        }
        let mut due: Vec<usize> =
            self.derived.reverting.iter().filter_map(|at| self.open_among(*at)).collect();
        due.extend(
            self.shape
                .scope(step)
                .filter(|scope| self.puts_back_now(*scope))
                .and_then(|scope| self.newest_toggle(scope)),
        );
        due.iter().copied().filter(|at| self.reversals[*at].step == step).find(|at| of_kind(&at))
    }

    /// A group that has come to its end and has something switched.
    pub(in crate::core) fn puts_back_now(&self, group: usize) -> bool {
        let state = &self.steps[group];
        let entered = state.compound.as_ref().is_some_and(|compound| compound.entered);
        let (failed, _) = self.came_to(group);
        let handled = self.shape.handlers(group).is_none()
            || state.compound.as_ref().is_some_and(|compound| compound.handling)
            || !failed;
        entered
            && !state.settled
            && handled
            && self.is_through(group)
            && self.derived.toggles.contains_key(&group)
    }

    /// The newest toggle of a group that is not put back.
    pub(in crate::core) fn newest_toggle(&self, group: usize) -> Option<usize> {
        self.reversals
            .iter()
            .rposition(|r| r.end.is_none() && r.kind == Reversal::PutBack && r.scope == Some(group))
    }

    /// A group or a revert that goes on once somebody has said what is to become of a toggle.
    pub fn waits_for_an_answer(&self, at: usize) -> bool {
        let next = self.newest_toggle(at).or_else(|| self.open_among(at));
        next.is_some_and(|next| self.steps[self.reversals[next].step].ask.is_some())
    }

    /// The newest open reversal that a revert names.
    pub(in crate::core) fn open_among(&self, revert: usize) -> Option<usize> {
        if self.shape.node(revert).kind != Kind::Revert {
            return None;
        }
        let named = self.shape.reverts(revert);
        self.reversals.iter().rposition(|r| r.end.is_none() && named.contains(&r.step))
    }
}

type Known = (Option<String>, Option<Json>);

/// Names and values of items, as far as they are disclosed.
fn hidden_items(hidden: &Hidden, items: u32) -> Result<Vec<Known>, &'static str> {
    let keys: Option<Vec<String>> = hidden.0.get(KEYS).and_then(|text| serde_json::from_str(text).ok());
    let values: Option<Vec<Json>> = hidden.0.get(ITEMS).and_then(|text| {
        let texts: Vec<String> = serde_json::from_str(text).ok()?;
        texts.iter().map(|text| Json::parse(text).ok()).collect()
    });
    let count = items as usize;
    let fits = |len: Option<usize>| len.is_none_or(|len| len == count);
    need(
        fits(keys.as_ref().map(Vec::len)) && fits(values.as_ref().map(Vec::len)),
        "its items are not as many",
    )?;
    let at = |n: usize| (keys.as_ref().map(|k| k[n].clone()), values.as_ref().map(|v| v[n].clone()));
    Ok((0..count).map(at).collect())
}
