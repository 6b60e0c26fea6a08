//! What an approval lets through beyond the requests that it shows: targets that are decided later, if they satisfy its
//! filter, and so many in all.
//!
//! A *target* is a value that stands in a destructive request where the approval could show none. It is judged when the
//! turn of its step has come, against the filter as it was bound, and once more by whoever folds the journal: the start
//! of an attempt says what was judged. Whether a step may start is decided elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{AskEnd, AskKind, Hidden, Status};
use super::scope::Names;
use super::state::{Binds, State};
use crate::clock::Timestamp;
use crate::plan::{LimitNode, Plan};
use crate::runbook::template::{Braced, Expr, Lookup, ROOTS, RenderError, Scope, Segment, Template};
use crate::runbook::texts::TARGET;

/// Hidden field of `attempt.started`: by approval, what its filter was asked about.
const JUDGED: &str = "targets";

/// As an approval was shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expr>,
    /// What the filter reads besides the target: `inputs.region` and its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, Value>,
    pub max_targets: u32,
}

/// What a filter is asked about once: `target`, and the items that it reads, each under its own name.
pub(super) type Judged = BTreeMap<String, Value>;

impl Limit {
    /// That of an approval which opens now.
    pub(super) fn of(plan: &Plan, state: &State, gate: usize) -> Option<Self> {
        let node = state.shape().node(gate).gate.as_ref()?.limit.as_ref()?;
        let filter = state.values(plan, gate).and_then(|values| values.filter.clone());
        let names = Names::of(plan, state, Some(gate));
        let mut reads = BTreeMap::new();
        for path in filter.iter().flat_map(Expr::refs) {
            let mut parts = path.split('.');
            if let (Some(root), Some(name)) = (parts.next(), parts.next())
                && ROOTS.contains(&root)
                && let Lookup::Known(value) = names.lookup(root, name)
            {
                reads.insert(format!("{root}.{name}"), value);
            }
        }
        Some(Self { filter, reads, max_targets: node.max_targets })
    }

    /// Whether what is decided later may go through. What the filter cannot judge may not.
    fn admits(&self, judged: &Judged) -> bool {
        let Some(filter) = &self.filter else { return true };
        filter.holds(&Judging { limit: self, judged }).unwrap_or(false)
    }
}

/// What a filter reads.
struct Judging<'a> {
    limit: &'a Limit,
    judged: &'a Judged,
}

impl Scope for Judging<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        let value = self.limit.reads.get(&format!("{root}.{name}"));
        value.map_or(Lookup::Missing, |value| Lookup::Known(value.clone()))
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        self.judged.get(root).map(|value| Lookup::Known(value.clone()))
    }
}

/// An approval in force that counts a step.
pub(super) struct Counted<'a> {
    pub(super) ask: u32,
    pub(super) gate: usize,
    pub(super) node: &'a LimitNode,
}

/// Why a step does not go through an approval.
pub(super) enum Beyond {
    /// A value that its filter does not let through, as text.
    Filter(String),
    /// It has let as many through as it may.
    Count,
}

impl State {
    pub(super) fn counting(&self, step: usize) -> impl Iterator<Item = Counted<'_>> {
        let name = &self.shape.written(step).id;
        self.shape.covered_by(step).filter_map(move |gate| {
            let node = self.shape.node(gate).gate.as_ref()?.limit.as_ref()?;
            let ask = self.asks.get(&self.steps[gate].last_ask?)?;
            let open = self.steps[gate].status == Status::Succeeded && ask.end == Some(AskEnd::Answered);
            (open && ask.kind == AskKind::Approve && node.of.contains_key(name)).then_some(Counted {
                ask: ask.id,
                gate,
                node,
            })
        })
    }

    /// An item that is done again is the same target.
    fn target_of(&self, step: usize) -> usize {
        self.shape.same_item(step).last().copied().unwrap_or(step)
    }

    fn is_full(&self, counted: &Counted<'_>, step: usize) -> bool {
        let through = self.asks.get(&counted.ask).map(|ask| &ask.through);
        through.is_some_and(|through| {
            through.len() >= counted.node.max_targets as usize && !through.contains(&self.target_of(step))
        })
    }

    /// Whether the start of a step goes through every approval that counts it; if so, it is counted.
    pub(super) fn count_target(&mut self, step: usize, hidden: &Hidden) -> Result<(), &'static str> {
        let judged: Option<BTreeMap<u32, Vec<Judged>>> =
            hidden.0.get(JUDGED).and_then(|text| serde_json::from_str(text).ok());
        let mut through = Vec::new();
        for counted in self.counting(step) {
            if self.is_full(&counted, step) {
                return Err("as many targets as were approved have been begun");
            }
            // Who sees both what was bound and what was judged can judge again.
            let limit = self.asks.get(&counted.ask).and_then(|ask| ask.binds.as_ref()?.limit.as_ref());
            let judged = judged.as_ref().and_then(|judged| judged.get(&counted.ask));
            if let (Some(limit), Some(judged)) = (limit, judged)
                && !judged.iter().all(|judged| limit.admits(judged))
            {
                return Err("its target is not one that was approved");
            }
            through.push(counted.ask);
        }
        let target = self.target_of(step);
        for ask in through {
            if let Some(ask) = self.asks.get_mut(&ask) {
                ask.through.insert(target);
            }
        }
        Ok(())
    }
}

/// The approval that a step does not go through, and why; if it would start now.
///
/// # Errors
/// What would stand in its request cannot be rendered.
pub(super) fn beyond(
    plan: &Plan,
    state: &State,
    step: usize,
    started_at: Timestamp,
) -> Result<Option<(u32, Beyond)>, RenderError> {
    for counted in state.counting(step) {
        if state.is_full(&counted, step) {
            return Ok(Some((counted.ask, Beyond::Count)));
        }
        let Some((binds, limit)) = bound(state, counted.ask) else { continue };
        for judged in judge(plan, state, (step, counted.gate), (binds, limit), started_at)? {
            if !limit.admits(&judged) {
                let value = judged.get(TARGET).or_else(|| judged.values().next());
                let text = value.map_or_else(String::new, |value| match value {
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                });
                return Ok(Some((counted.ask, Beyond::Filter(text))));
            }
        }
    }
    Ok(None)
}

/// What filters were asked about as a step starts, for whoever reads the journal.
///
/// # Errors
/// As [`beyond`].
pub(super) fn note(
    plan: &Plan,
    state: &State,
    step: usize,
    started_at: Timestamp,
    hidden: &mut Hidden,
) -> Result<(), RenderError> {
    let mut all: BTreeMap<u32, Vec<Judged>> = BTreeMap::new();
    for counted in state.counting(step).filter(|counted| counted.node.filtered) {
        if let Some(bound) = bound(state, counted.ask) {
            all.insert(counted.ask, judge(plan, state, (step, counted.gate), bound, started_at)?);
        }
    }
    if !all.is_empty() {
        hidden.put(JUDGED, &all);
    }
    Ok(())
}

fn bound(state: &State, ask: u32) -> Option<(&Binds, &Limit)> {
    let binds = state.ask(ask)?.binds.as_ref()?;
    Some((binds, binds.limit.as_ref()?))
}

/// What the filter of an approval is asked about a step: each value that stands in a destructive request of it where
/// the approval showed none; or, if the filter reads nothing but items, once for all of them.
fn judge(
    plan: &Plan,
    state: &State,
    (step, gate): (usize, usize),
    (binds, limit): (&Binds, &Limit),
    started_at: Timestamp,
) -> Result<Vec<Judged>, RenderError> {
    let shape = state.shape();
    let acts = shape.node(gate).gate.as_ref().and_then(|gate| gate.limit.as_ref());
    let acts = acts.and_then(|limit| limit.of.get(&shape.written(step).id));
    let (Some(filter), Some(acts), Some(values)) = (&limit.filter, acts, state.values(plan, step)) else {
        return Ok(Vec::new());
    };
    let later = binds.later_of(state, step);
    let then = Names::as_of(plan, state, step, &later);
    let now = Names::started(plan, state, step, started_at);
    let mut holes: Vec<Value> = Vec::new();
    let texts = acts.iter().filter_map(|act| values.act_of(*act)).flat_map(|probe| probe.action.targets());
    for Braced { expr, .. } in texts.flat_map(Template::exprs) {
        if was_later(expr, &then, &shape.written(gate).id)? {
            let value = expr.value(&now)?;
            if !holes.contains(&value) {
                holes.push(value);
            }
        }
    }
    let mut items = Judged::new();
    for name in filter.refs().iter().filter_map(|path| path.split('.').next()) {
        if let Some(Lookup::Known(value)) = now.whole(name) {
            items.insert(name.to_owned(), value);
        }
    }
    let about = |target: Value| {
        let mut judged = items.clone();
        judged.insert(TARGET.to_owned(), target);
        judged
    };
    Ok(if reads_target(filter) {
        holes.into_iter().map(about).collect()
    } else if holes.is_empty() {
        Vec::new()
    } else {
        vec![items]
    })
}

pub(super) fn reads_target(filter: &Expr) -> bool {
    filter.refs().iter().any(|path| path.split('.').next() == Some(TARGET))
}

/// Whether an approval could not know the value. How the run goes is nobody's choice, and what the gate itself gives is
/// that of whoever approved.
fn was_later(expr: &Expr, then: &Names<'_>, gate: &str) -> Result<bool, RenderError> {
    let open = |path: &String| {
        let mut names = path.split('.');
        let (root, name) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        !matches!(root, "step" | "run") && (root, name) != ("steps", gate)
    };
    if !expr.refs().iter().any(open) {
        return Ok(false);
    }
    let rendered = Template::of(expr).render(then)?;
    Ok(rendered.segments().iter().any(|segment| matches!(segment, Segment::Later(_))))
}
