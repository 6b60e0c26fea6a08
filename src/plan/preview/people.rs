//! How long people and reversals may take, apart from machines.

use serde::Serialize;

use super::super::graph::{OnTimeout, OtherwisePutBack, StepNode};
use super::super::values::{Probe, StepValues};
use super::lists;
use crate::plan::Plan;

/// How long people may take over what they are asked, along the longest way through the plan. What they are asked
/// when something goes wrong has no limit and comes on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeopleTime {
    pub at_most_ms: u64,
    /// Steps that wait for an answer for as long as it takes: their time is not in it.
    pub open_ended: Vec<String>,
}

pub(super) fn time(plan: &Plan) -> PeopleTime {
    let at_most_ms = lists::along(plan, |node, _| patience(node).unwrap_or(0), lists::in_turns);
    let waits = |node: &&StepNode| {
        let canary =
            node.each.as_ref().and_then(|each| each.canary.as_ref()).is_some_and(|canary| canary.ask);
        let toggle =
            node.put_back.is_some_and(|back| back.otherwise == OtherwisePutBack::Ask && back.only_if);
        canary || toggle || (node.kind.asks() && patience(node).is_none())
    };
    let open_ended = plan.graph.steps.iter().filter(waits).map(|node| node.id.clone()).collect();
    PeopleTime { at_most_ms, open_ended }
}

/// How long a question may stay open.
fn patience(node: &StepNode) -> Option<u64> {
    let timeout = node.timeout_ms.filter(|_| node.kind.asks())?;
    let again = node.gate.as_ref().is_some_and(|gate| gate.on_timeout == OnTimeout::Escalate);
    Some(if again { timeout.saturating_mul(2) } else { timeout })
}

/// How long it may take to undo and to put back whatever can be, one after the other.
pub(super) fn reversals(plan: &Plan) -> u64 {
    let steps = &plan.graph.steps;
    // How often each group is done, counted with what it stands in.
    let mut times: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    let mut sum: u64 = 0;
    for (at, node) in steps.iter().enumerate() {
        let around = node.within.as_deref().and_then(|group| times.get(group).copied()).unwrap_or(1);
        let items = node.each.as_ref().map_or(1, |each| each.max_targets.unwrap_or(1));
        let rounds = node.repeat.map_or(1, |repeat| repeat.max.max(1));
        let often = around.saturating_mul(u64::from(items)).saturating_mul(u64::from(rounds));
        if node.group.is_some() {
            times.insert(&node.id, often);
        }
        let once = plan.step_values(at).map_or(0, |values| back(node, values));
        sum = sum.saturating_add(once.saturating_mul(often));
    }
    sum
}

fn back(node: &StepNode, values: &StepValues) -> u64 {
    let once = |probe: &Probe| {
        let within = probe.accept.poll.as_ref().map_or(0, |poll| poll.within_ms);
        within.saturating_add(probe.timeout_ms.unwrap_or(0))
    };
    // With a key what became unknown is sent again, too.
    let tries = node.retry.max_attempts.max(if node.keyed { 3 } else { 1 });
    let delays = (1..tries).map(|tries| node.retry.longest_delay(tries)).fold(0, u64::saturating_add);
    let acts = [&values.undo, &values.put_back].into_iter().flatten();
    let acts = acts.map(|probe| once(probe).saturating_mul(u64::from(tries)).saturating_add(delays));
    acts.chain(values.only_if.iter().map(once)).fold(0, u64::saturating_add)
}
