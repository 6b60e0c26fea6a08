//! The edges of a plan, without any run: what may become of each of its steps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Edge, Way};
use crate::plan::{
    Choosing, Each, Effect, EndStatus, Graph, Kind, OnFailure, OnTimeout, Plan, RunOn, Section, Share,
    StepNode,
};
use crate::runbook::template::{Lookup, Scope};

/// The edges of one plan, in the order of its steps.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    list: Vec<Edge>,
    known: BTreeSet<Edge>,
}

impl Edges {
    pub fn of(plan: &Plan) -> Self {
        let mut edges = Self::default();
        let prospects = Prospects::of(&plan.graph);
        for step in &plan.graph.steps {
            let mut ways = own(step);
            ways.extend(troubles(step, &prospects));
            let values = plan.values.steps.get(&step.id);
            if let Some(Choosing::Listed(options)) = values.and_then(|values| values.choice.as_ref()) {
                ways.extend(options.iter().map(|option| Way::Option(option.id.clone())));
            }
            ways.extend(items(step, values.and_then(|values| values.each.as_ref())));
            ways.extend(reversals(step));
            ways.into_iter().for_each(|way| edges.push(Edge::of(&step.id, way)));
        }
        for guard in &plan.graph.guards {
            [Way::Held, Way::Tripped].into_iter().for_each(|way| edges.push(Edge::of(&guard.id, way)));
        }
        endings(&plan.graph, &prospects).into_iter().for_each(|way| edges.push(Edge::of_run(way)));
        edges
    }

    fn push(&mut self, edge: Edge) {
        if self.known.insert(edge.clone()) {
            self.list.push(edge);
        }
    }

    pub fn contains(&self, edge: &Edge) -> bool {
        self.known.contains(edge)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Edge> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What becomes of a step that comes to what it is for, or is left out.
fn own(step: &StepNode) -> Vec<Way> {
    let mut ways = Vec::new();
    match (&step.gate, step.kind) {
        (Some(gate), _) => {
            ways.extend([Way::Opened, Way::Refused]);
            ways.extend(step.timeout_ms.map(|_| Way::TimedOut));
            let escalates = step.timeout_ms.is_some() && gate.on_timeout == OnTimeout::Escalate;
            ways.extend(escalates.then_some(Way::Escalated));
            ways.extend(gate.break_glass.as_ref().map(|_| Way::BrokeGlass));
        }
        (None, Kind::End) => ways.push(Way::Taken),
        (None, _) => ways.push(Way::Succeeded),
    }
    ways.extend(step.conditional.then_some(Way::Skipped));
    ways.extend(step.verify.filter(|verify| verify.first).map(|_| Way::AlreadyDone));
    ways.extend((step.run_on == RunOn::Failure).then_some(Way::NotNeeded));
    ways
}

/// What may go wrong with it.
fn troubles(step: &StepNode, prospects: &Prospects) -> Vec<Way> {
    let mut ways = Vec::new();
    ways.extend(prospects.fails(&step.id).then_some(Way::Failed));
    ways.extend((asks(step) && step.timeout_ms.is_some()).then_some(Way::TimedOut));
    let doubtful = step.kind.runs() && (step.effect != Effect::Read || step.verify.is_some());
    ways.extend(doubtful.then_some(Way::Unknown));
    if let Some(verify) = step.verify {
        ways.push(Way::NotVerified);
        ways.extend(verify.absent.then_some(Way::Absent));
    }
    ways.extend(step.group.is_some_and(|group| group.handlers).then_some(Way::Handlers));
    ways
}

/// A question that is no gate.
const fn asks(step: &StepNode) -> bool {
    step.kind.asks() && !step.kind.is_gate()
}

/// How a list or rounds may go.
fn items(step: &StepNode, list: Option<&Each>) -> Vec<Way> {
    let mut ways = Vec::new();
    if let Some(each) = &step.each {
        let written = list.and_then(written);
        let more_than = |count: usize| written.is_none_or(|written| written > count);
        ways.extend(more_than(1).then_some(Way::Several));
        ways.extend(written.is_none_or(|written| written == 0).then_some(Way::Empty));
        if let Some(share) = each.max_failures {
            ways.extend((!matches!(share, Share::Count(0) | Share::Percent(0))).then_some(Way::SomeFailed));
            ways.push(Way::Stopped);
        }
        if let Some(canary) = each.canary.filter(|canary| more_than(canary.count as usize)) {
            ways.push(Way::CanaryWentOn);
            ways.extend(canary.ask.then_some(Way::CanaryRefused));
        }
    }
    if let Some(repeat) = step.repeat {
        ways.extend((repeat.max > 1).then_some(Way::Rounds));
        ways.push(Way::MaxRounds);
    }
    ways
}

/// How many items a list has that stands in the runbook as it is.
fn written(list: &Each) -> Option<usize> {
    struct Nothing;
    impl Scope for Nothing {
        fn lookup(&self, _root: &str, _name: &str) -> Lookup {
            Lookup::Later
        }
    }
    match list.items.value(&Nothing) {
        Ok(Value::Array(items)) => Some(items.len()),
        _ => None,
    }
}

fn reversals(step: &StepNode) -> Vec<Way> {
    let mut ways = Vec::new();
    ways.extend(step.undo.then_some(Way::Undone));
    if step.put_back.is_some() {
        ways.extend([Way::PutBack, Way::PutBackByPerson, Way::LeftOpen]);
    }
    ways
}

/// After what `finally` may come. After a cancel is no edge: nobody cancels a rehearsal.
fn endings(graph: &Graph, prospects: &Prospects) -> Vec<Way> {
    let of = |section: Section| graph.steps.iter().filter(move |step| step.section == section);
    if of(Section::Finally).next().is_none() {
        return Vec::new();
    }
    let mut ways = vec![Way::AfterSuccess];
    ways.extend(prospects.fails_run().then_some(Way::AfterFailure));
    let ends = |step: &StepNode| step.gate.as_ref().is_some_and(|gate| !gate.on_reject_continue);
    ways.extend(of(Section::Main).any(ends).then_some(Way::AfterRefusal));
    ways
}

/// What can fail, by what it is and what it holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Prospects {
    /// Steps: they, or one item or round of them, can end as failed.
    fails: BTreeSet<String>,
    /// The main section can.
    run: bool,
}

impl Prospects {
    /// Steps of a group stand behind it, so the innermost come first from the end.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut found =
            Self { run: graph.deadline_ms.is_some() || !graph.guards.is_empty(), ..Self::default() };
        let undo: BTreeSet<&str> =
            graph.steps.iter().filter(|step| step.undo).map(|step| step.id.as_str()).collect();
        // By group: whether a step of it can make it fail; whether one of what it does on a failure can.
        let mut inside: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
        for step in graph.steps.iter().rev() {
            let [main, handlers] = inside.get(step.id.as_str()).copied().unwrap_or_default();
            let mended = step.group.is_some_and(|group| group.handlers && group.then_continue);
            let fails = match step.kind {
                Kind::Http | Kind::Shell | Kind::Argv | Kind::Notify => true,
                Kind::Assert | Kind::Manual | Kind::Checklist => true,
                Kind::Group => [main, handlers][usize::from(mended)],
                Kind::Revert => step.reverts.iter().any(|id| undo.contains(id.as_str())),
                Kind::Confirm | Kind::Approve | Kind::Input | Kind::Choice | Kind::Wait | Kind::End => false,
            };
            if fails {
                found.fails.insert(step.id.clone());
            }
            let late = asks(step) && step.timeout_ms.is_some();
            let ends = step.end == Some(EndStatus::Failed);
            // A list may be empty, too long, or none at all.
            let bad = fails || late || ends || step.each.is_some() || step.repeat.is_some();
            // An allowed failure may end the run all the same: by its policy, or by whoever is asked.
            let passes = step.allowed && step.on_failure == Some(OnFailure::Continue);
            found.run |= bad && !passes && step.section == Section::Main;
            if let Some(group) = &step.within {
                inside.entry(group).or_default()[usize::from(step.handles)] |= bad && !step.allowed;
            }
        }
        found
    }

    pub(super) fn fails(&self, step: &str) -> bool {
        self.fails.contains(step)
    }

    pub(super) const fn fails_run(&self) -> bool {
        self.run
    }
}
