//! Upkeep of the derived sets, and the full scan that they are compared with.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Reversal, SkipReason, Status};
use super::state::{Course, Derived, Items, State, Timer};
use crate::clock::Timestamp;
use crate::plan::{Kind, Section};

impl State {
    /// Puts a step into the sets that its facts say it belongs to.
    pub(super) fn refresh(&mut self, step: usize) {
        let (state, loose) = (&self.steps[step], self.is_loose(step));
        let reverts = self.reverts_now(step);
        member(&mut self.derived.ready, step, state.status == Status::Ready && !state.settled);
        member(&mut self.derived.loose, step, loose);
        member(&mut self.derived.in_flight, step, state.running.is_some());
        member(&mut self.derived.reverting, step, reverts);
    }

    /// Something has to be decided about a step, and nothing about it is under way.
    pub(super) fn is_loose(&self, at: usize) -> bool {
        let step = &self.steps[at];
        if self.shape.is_guard(at) {
            return self.is_in_doubt(at);
        }
        match (&step.compound, step.status) {
            (Some(_), Status::Running) => {
                !step.settled && step.ask.is_none() && step.due.is_none() && self.is_through(at)
            }
            _ => step.is_loose(),
        }
    }

    /// Whatever a compound step has begun is settled.
    pub(super) fn is_through(&self, at: usize) -> bool {
        let Some(compound) = &self.steps[at].compound else { return false };
        if !compound.entered {
            return false;
        }
        if self.shape.is_whole(at) {
            return self.derived.loops.get(&at).is_none_or(|items| items.open == 0);
        }
        let list = if compound.handling { self.shape.handlers(at) } else { self.shape.members(at) };
        list.is_none_or(|list| self.derived.lists[list].undecided == 0)
    }

    fn reverts_now(&self, at: usize) -> bool {
        let step = &self.steps[at];
        let under_way = matches!(step.status, Status::Running | Status::Waiting) && !step.settled;
        self.shape.node(at).kind == Kind::Revert && under_way
    }

    /// A pending step whose needs have all ended gets its turn, once its list has begun.
    pub(super) fn make_ready(&mut self, step: usize) {
        let list = &self.shape.lists()[self.shape.list(step)];
        let begun = match list.owner {
            None if list.section == Section::Finally => self.derived.finally_open,
            None => self.run.started.is_some() && self.run.ending.is_none(),
            Some(owner) => {
                let compound = self.steps[owner].compound.as_ref();
                let entered = compound.is_some_and(|c| if list.handlers { c.handling } else { c.entered });
                let over = list.section == Section::Main && self.run.ending.is_some();
                entered && !over && !self.steps[owner].settled
            }
        };
        if begun && self.steps[step].status == Status::Pending && self.steps[step].blockers == 0 {
            self.steps[step].status = Status::Ready;
            self.refresh(step);
        }
    }

    /// Begins as many further items of a loop as may be under way.
    pub(super) fn begin_items(&mut self, whole: usize) {
        let node = self.shape.node(whole);
        let most = node.each.as_ref().map_or(1, |each| each.max_parallel.max(1) as usize);
        let over = self.run.ending.is_some() && self.shape.is_main(whole);
        while !over && !self.steps[whole].settled && !self.has_stopped(whole) {
            let Some(compound) = self.steps[whole].compound.as_mut() else { return };
            let open = self.derived.loops.get(&whole).map_or(0, |items| items.open);
            if !compound.entered || compound.begun >= compound.released || open >= most {
                break;
            }
            let next = compound.order[compound.begun];
            compound.begun += 1;
            self.steps[next].called = true;
            self.derived.loops.entry(whole).or_default().open += 1;
            self.make_ready(next);
        }
        self.refresh(whole);
    }

    /// More items of a list have failed than may: no further one begins. Of gates none may stay shut: what comes after
    /// counts on each of them.
    pub(super) fn has_stopped(&self, whole: usize) -> bool {
        let node = self.shape.node(whole);
        let Some(each) = &node.each else { return false };
        let all = self.steps[whole].compound.as_ref().map_or(0, |compound| compound.targets);
        let allowed = each.max_failures.filter(|_| !node.kind.is_gate()).map_or(0, |share| share.of(all));
        self.derived.loops.get(&whole).is_some_and(|items| items.failed > allowed)
    }

    /// What has stopped the list of an item whose turn had come, while it waited to begin; or what has ended the used
    /// runbook that a step stands in.
    pub(super) fn called_off(&self, at: usize) -> Option<(SkipReason, usize)> {
        let step = &self.steps[at];
        let entered = step.compound.as_ref().is_some_and(|compound| compound.entered);
        if step.attempts > 0 || step.granted > 0 || step.last_ask.is_some() || entered {
            return None;
        }
        let owner = self.shape.owner(at)?;
        if self.shape.is_whole(owner) {
            return self.has_stopped(owner).then_some((SkipReason::Upstream, owner));
        }
        let handles = self.shape.lists()[self.shape.list(at)].handlers;
        let end = self.steps[owner].compound.as_ref()?.ended.filter(|_| !handles)?;
        Some((SkipReason::Ended, end))
    }

    /// An `end` in a used runbook: nothing more of that begins, and what has begun goes on to its own end.
    pub(super) fn end_used(&mut self, end: usize) {
        let Some(used) = self.shape.node(end).ends.clone() else { return };
        let mut owner = self.shape.owner(end);
        while let Some(at) = owner {
            if let Some(compound) = self.steps[at].compound.as_mut() {
                compound.ended.get_or_insert(end);
            }
            owner = self.shape.owner(at).filter(|_| self.shape.written(at).id != used);
        }
    }

    /// The step has ended; those that waited for it get their turn. What it had not begun is skipped with it.
    pub(super) fn settle(&mut self, at: Timestamp, step: usize, status: Status, reason: &str) {
        self.settle_one(at, step, status, reason);
        if !self.shape.is_compound(step) {
            return;
        }
        let mut within: Vec<usize> = vec![step];
        while let Some(owner) = within.pop() {
            let lists = [self.shape.members(owner), self.shape.handlers(owner)];
            for list in lists.into_iter().flatten() {
                for member in self.shape.lists()[list].members.clone() {
                    if self.steps[member].settled {
                        continue;
                    }
                    self.steps[member].skipped = Some(SkipReason::Group);
                    self.settle_one(at, member, Status::Skipped, "group");
                    self.refresh(member);
                    if self.shape.is_compound(member) {
                        within.push(member);
                    }
                }
            }
        }
    }

    fn settle_one(&mut self, at: Timestamp, step: usize, status: Status, reason: &str) {
        self.set_due(step, None);
        let list = self.shape.list(step);
        let state = &mut self.steps[step];
        state.status = status;
        state.settled = true;
        state.reason = Some(reason.to_owned());
        state.ended = Some(at);
        let again = std::mem::take(&mut state.reopened);
        let satisfies = self.satisfies(step);
        let course = &mut self.derived.lists[list];
        course.undecided -= 1;
        course.settled(step, status, satisfies, self.shape.node(step).allowed);
        let counts = is_failure(status) && !self.shape.node(step).allowed;
        match list {
            0 => self.run.failed |= counts,
            1 => self.run.ending_failed |= counts,
            _ => {}
        }
        if again {
            self.derived.reopened.remove(&step);
        } else {
            let shape = self.shape.clone();
            for dependent in shape.dependents(step) {
                self.steps[*dependent].blockers = self.steps[*dependent].blockers.saturating_sub(1);
                self.make_ready(*dependent);
            }
        }
        self.owner_hears(step, satisfies, again);
    }

    /// What a step belongs to may be through with it.
    fn owner_hears(&mut self, step: usize, satisfies: bool, again: bool) {
        let Some(owner) = self.shape.owner(step) else { return };
        if self.shape.is_whole(owner) {
            if self.steps[step].called && !again {
                let items = self.derived.loops.entry(owner).or_default();
                items.open -= 1;
                items.failed += usize::from(!satisfies);
            }
            self.begin_items(owner);
        }
        self.refresh(owner);
    }

    /// Sets or clears the timer of a step.
    pub(super) fn set_due(&mut self, step: usize, due: Option<(Timestamp, Timer)>) {
        if let Some(old) = self.steps[step].due.take() {
            self.derived.timers.remove(&(old, Timer::Retry(step)));
            self.derived.timers.remove(&(old, Timer::Wait(step)));
            self.derived.timers.remove(&(old, Timer::Guard(step)));
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
        let mut scan =
            Derived { lists: vec![Course::default(); self.shape.lists().len()], ..Derived::default() };
        for (at, step) in self.steps.iter().enumerate() {
            member(&mut scan.ready, at, step.status == Status::Ready && !step.settled);
            member(&mut scan.loose, at, self.is_loose(at));
            member(&mut scan.reopened, at, step.reopened);
            member(&mut scan.in_flight, at, step.running.is_some());
            member(&mut scan.reverting, at, self.reverts_now(at));
            let course = &mut scan.lists[self.shape.list(at)];
            if step.settled {
                course.settled(at, step.status, self.satisfies(at), self.shape.node(at).allowed);
            } else {
                course.undecided += 1;
            }
            if let Some(items) = self.count_items(at) {
                scan.loops.insert(at, items);
            }
            if let Some(due) = step.due {
                let waits = step.status == Status::Waiting && !step.settled;
                let timer = if waits { Timer::Wait(at) } else { Timer::Retry(at) };
                scan.timers.insert((due, if self.shape.is_guard(at) { Timer::Guard(at) } else { timer }));
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
            if let (Some(scope), Reversal::PutBack) = (reversal.scope, reversal.kind) {
                *scan.toggles.entry(scope).or_default() += 1;
            }
        }
        scan.finally_open =
            self.run.ending.is_some() && scan.lists[0].undecided == 0 && scan.open_reversals[0] == 0;
        scan
    }

    fn count_items(&self, whole: usize) -> Option<Items> {
        let compound = self.steps[whole].compound.as_ref().filter(|_| self.shape.is_whole(whole))?;
        let members = &self.shape.lists()[self.shape.members(whole)?].members;
        let mut items = Items::default();
        let mut newest = BTreeMap::new();
        for member in members.iter().filter(|member| self.steps[**member].called) {
            items.open += usize::from(!self.steps[*member].settled);
        }
        let rounds = self.shape.node(whole).repeat.is_some();
        for member in members {
            // Rounds are one and the same, time and again.
            let nth = if rounds { 0 } else { self.shape.frame_of(self.shape.frame(*member)).nth };
            newest.insert(nth, *member);
        }
        let failed = |member: &usize| {
            let step = &self.steps[*member];
            step.called && step.settled && !self.satisfies(*member)
        };
        items.failed = newest.into_values().filter(failed).count();
        (compound.begun > 0).then_some(items)
    }
}

impl Course {
    fn settled(&mut self, step: usize, status: Status, satisfies: bool, allowed: bool) {
        if !satisfies {
            first(&mut self.first_unsatisfied, step);
        }
        // A message that reached nobody is nothing that anybody waits to mend.
        if !satisfies && (is_failure(status) || status == Status::Cancelled) {
            first(&mut self.first_failed, step);
        }
        self.failed |= is_failure(status) && !allowed;
        self.rejected |= status == Status::Rejected;
    }
}

const fn is_failure(status: Status) -> bool {
    matches!(status, Status::Failed | Status::TimedOut | Status::Unknown)
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
