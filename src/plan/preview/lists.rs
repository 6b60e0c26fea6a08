//! The longest way through a plan with groups, lists and rounds. Nothing here recurses, however deep groups are nested.

use std::collections::BTreeMap;

use super::super::graph::{RunOn, Section, StepNode};
use super::super::values::StepValues;
use crate::plan::Plan;

/// That a group has gone well says nothing about the gates in it.
pub(super) fn says_nothing(group: &StepNode) -> bool {
    group.conditional
        || group.each.is_some()
        || group.handles
        || group.run_on == RunOn::Failure
        || group.group.is_some_and(|group| group.handlers && group.then_continue)
}

/// Lists that say nothing about how long they may be.
pub(super) fn without_limit(plan: &Plan) -> Vec<String> {
    let endless = |node: &&StepNode| node.each.as_ref().is_some_and(|each| each.max_targets.is_none());
    plan.graph.steps.iter().filter(endless).map(|node| node.id.clone()).collect()
}

/// How long something takes at most that is done for each item, or in rounds, where once takes that long.
pub(super) fn at_most(node: &StepNode, once: u64) -> u64 {
    let soak = node.each.as_ref().and_then(|each| each.canary.as_ref()).and_then(|canary| canary.soak_ms);
    let between = node
        .repeat
        .filter(|_| node.each.is_none())
        .map_or(0, |repeat| repeat.every_ms.unwrap_or(0).saturating_mul(u64::from(repeat.max.max(1)) - 1));
    in_turns(node, once).saturating_add(soak.unwrap_or(0)).saturating_add(between)
}

/// The same without the breaks.
pub(super) fn in_turns(node: &StepNode, once: u64) -> u64 {
    if let Some(each) = &node.each {
        let items = each.max_targets.unwrap_or(1);
        let turns = u64::from(items.div_ceil(each.max_parallel.max(1)));
        // The first ones go alone.
        let more = u64::from(each.canary.as_ref().is_some_and(|canary| canary.count < items));
        return once.saturating_mul(turns.saturating_add(more));
    }
    node.repeat.map_or(once, |repeat| once.saturating_mul(u64::from(repeat.max.max(1))))
}

/// A group that has not ended: when it begins in its list, and how far its own have come, counted from its beginning.
struct Open<'a> {
    node: &'a StepNode,
    begin: u64,
    steps: u64,
    all: u64,
}

/// The longest way through the plan, where each step is as long as `length` says, and `times` how long all items or
/// rounds of something are.
pub(super) fn along(
    plan: &Plan,
    length: impl Fn(&StepNode, &StepValues) -> u64,
    times: impl Fn(&StepNode, u64) -> u64,
) -> u64 {
    let mut way = Way { ends: BTreeMap::new(), open: Vec::new(), main: 0, whole: 0 };
    for (at, node) in plan.graph.steps.iter().enumerate() {
        while way.open.last().is_some_and(|open| node.within.as_ref() != Some(&open.node.id)) {
            way.close(&times);
        }
        let begin = way.begin(node);
        if node.group.is_some() {
            way.open.push(Open { node, begin, steps: 0, all: 0 });
        } else {
            let once = plan.step_values(at).map_or(0, |values| length(node, values));
            way.end(node, begin.saturating_add(times(node, once)));
        }
    }
    while !way.open.is_empty() {
        way.close(&times);
    }
    way.whole
}

struct Way<'a> {
    /// By step: when it ends, counted from the beginning of its list.
    ends: BTreeMap<&'a str, u64>,
    open: Vec<Open<'a>>,
    main: u64,
    whole: u64,
}

impl<'a> Way<'a> {
    fn begin(&self, node: &StepNode) -> u64 {
        let needs = node.needs.iter().filter_map(|need| self.ends.get(need.as_str())).max().copied();
        needs.unwrap_or_else(|| match self.open.last() {
            Some(group) if node.handles => group.steps,
            Some(_) => 0,
            None if node.section == Section::Finally => self.main,
            None => 0,
        })
    }

    fn end(&mut self, node: &'a StepNode, end: u64) {
        self.ends.insert(&node.id, end);
        if let Some(group) = self.open.last_mut() {
            group.all = group.all.max(end);
            if !node.handles {
                group.steps = group.steps.max(end);
            }
            return;
        }
        self.whole = self.whole.max(end);
        if node.section == Section::Main {
            self.main = self.whole;
        }
    }

    fn close(&mut self, times: &impl Fn(&StepNode, u64) -> u64) {
        let Some(group) = self.open.pop() else { return };
        self.end(group.node, group.begin.saturating_add(times(group.node, group.all)));
    }
}
