//! The edges that a run walked: one pass over its events, with the fold beside it.
//!
//! It knows the public graph only. What stands in confidential fields (which option was chosen) counts as far as it is
//! disclosed to the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::edges::Prospects;
use super::{Edge, Way};
use crate::clock::Timestamp;
use crate::core::event::{
    AskEnd, AskKind, Decision, Ended, Event, Fact, Reversal, ReversalEnd, SkipReason, Status,
};
use crate::core::{AttemptResult, Illegal, Role, Shape, State, attempt};
use crate::journal::Entry;
use crate::plan::{Graph, Kind, StepNode};
use crate::record::history::NotAHistory;

/// What the entries of a run walked.
///
/// # Errors
/// They are not the history of a run of this graph.
pub fn walked(graph: &Graph, entries: &[Entry]) -> Result<BTreeSet<Edge>, NotAHistory> {
    let run = entries.first().map_or("", |entry| entry.run.as_str());
    let mut walk = Walk::new(graph, run).map_err(NotAHistory::Graph)?;
    for entry in entries {
        for event in &entry.events {
            walk.take(entry.at, event).map_err(|illegal| NotAHistory::Illegal { seq: entry.seq, illegal })?;
        }
    }
    Ok(walk.into_edges())
}

/// A run as it is gone through.
pub struct Walk {
    state: State,
    prospects: Prospects,
    edges: BTreeSet<Edge>,
    /// Places whose outcome is not known.
    unknown: BTreeSet<usize>,
    /// Places about which somebody was asked whether to put them back.
    asked: BTreeSet<usize>,
    /// How often items of a list, or rounds, were let go.
    turns: BTreeMap<usize, u32>,
}

impl Walk {
    /// # Errors
    /// A graph that no plan builder makes.
    pub fn new(graph: &Graph, run: &str) -> Result<Self, String> {
        let prospects = Prospects::of(graph);
        let state = State::new(Arc::new(Shape::new(graph.clone())?), run);
        let (edges, turns) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { state, prospects, edges, unknown: BTreeSet::new(), asked: BTreeSet::new(), turns })
    }

    /// The next event of the run.
    ///
    /// # Errors
    /// It cannot follow from those before it.
    pub fn take(&mut self, at: Timestamp, event: &Event) -> Result<(), Illegal> {
        let place = event.step.as_ref().and_then(|step| self.state.find_item(step, event.item));
        let place = place.map(|(place, _)| place);
        let ways = place.map(|place| self.ways(place, event)).unwrap_or_default();
        let ending = place.and_then(|place| self.ending(place, event));
        self.state.apply(at, event)?;
        if let Some(step) = &event.step {
            self.edges.extend(ways.into_iter().map(|way| Edge::of(step, way)));
        }
        self.edges.extend(ending.map(Edge::of_run));
        Ok(())
    }

    pub fn edges(&self) -> &BTreeSet<Edge> {
        &self.edges
    }

    pub fn into_edges(self) -> BTreeSet<Edge> {
        self.edges
    }

    fn node(&self, place: usize) -> &StepNode {
        self.state.shape().node(place)
    }

    /// What an event about a place says of its step, before it is taken into the state.
    fn ways(&mut self, place: usize, event: &Event) -> Vec<Way> {
        let mut ways = Vec::new();
        match &event.fact {
            Fact::StepSkipped { reason: SkipReason::When, .. } => ways.push(Way::Skipped),
            Fact::StepSkipped { reason: SkipReason::AlreadyDone, .. } => ways.push(Way::AlreadyDone),
            Fact::StepSkipped { reason: SkipReason::NotNeeded, .. } => ways.push(Way::NotNeeded),
            Fact::StepSettled { status, reason } => {
                if *status != Status::Unknown {
                    ways.extend(self.known(place));
                }
                ways.extend(self.settled(place, *status, reason));
            }
            Fact::StepUnknown { .. } => drop(self.unknown.insert(place)),
            Fact::StepOverridden { .. }
            | Fact::RetryScheduled { .. }
            | Fact::AttemptStarted { role: Role::Do, .. } => ways.extend(self.known(place)),
            Fact::StepHandling {} => ways.push(Way::Handlers),
            Fact::StepReleased { items } => {
                ways.extend((*items > 1).then_some(Way::Several));
                ways.extend((self.turn(place) > 1).then_some(Way::CanaryWentOn));
            }
            // More rounds than may be are somebody's wish.
            Fact::StepExpanded { .. } if self.node(place).repeat.is_some_and(|repeat| repeat.max > 1) => {
                ways.extend((self.turn(place) > 1).then_some(Way::Rounds));
            }
            Fact::AttemptFinished { result, reason, .. } => {
                ways.extend(self.probed(place, *result, reason));
            }
            Fact::AskOpened { kind, reason, .. } => ways.extend(self.opened(place, *kind, reason.as_deref())),
            Fact::AskAnswered { decision: Decision::Chosen, .. } => ways.extend(chosen(event)),
            Fact::AskEscalated { .. } => ways.push(Way::Escalated),
            Fact::AskClosed { how: AskEnd::TimedOut, .. } => ways.push(Way::TimedOut),
            Fact::ReversalClosed { kind, how, .. } => ways.extend(self.reversed(place, *kind, *how)),
            _ => {}
        }
        ways
    }

    /// What was unknown of it is settled, if anything was.
    fn known(&mut self, place: usize) -> Option<Way> {
        self.unknown.remove(&place).then_some(Way::Unknown)
    }

    fn turn(&mut self, place: usize) -> u32 {
        let turns = self.turns.entry(place).or_default();
        *turns += 1;
        *turns
    }

    fn settled(&self, place: usize, status: Status, reason: &str) -> Option<Way> {
        let node = self.node(place);
        match status {
            Status::Succeeded if node.each.is_some() => match reason {
                "empty" => Some(Way::Empty),
                "some_failed" => Some(Way::SomeFailed),
                _ => None,
            },
            Status::Succeeded if reason == "break_glass" && node.kind.is_gate() => Some(Way::BrokeGlass),
            Status::Succeeded if node.kind.is_gate() => Some(Way::Opened),
            Status::Succeeded if node.kind == Kind::End => Some(Way::Taken),
            Status::Succeeded => Some(Way::Succeeded),
            Status::Rejected if reason == "rejected" && node.kind.is_gate() => {
                (node.each.is_none()).then_some(Way::Refused)
            }
            Status::Failed | Status::TimedOut => self.failed(place, reason),
            _ => None,
        }
    }

    fn failed(&self, place: usize, reason: &str) -> Option<Way> {
        let node = self.node(place);
        if let Some(each) = &node.each {
            return match reason {
                "empty" => Some(Way::Empty),
                "canary_refused" => Some(Way::CanaryRefused),
                // At the end of a run a list is as it stands.
                "items_failed" if each.max_failures.is_some() && self.state.run.ending.is_none() => {
                    Some(Way::Stopped)
                }
                _ => None,
            };
        }
        if node.repeat.is_some() && reason == "max_rounds" {
            return Some(Way::MaxRounds);
        }
        let late = node.kind.asks() && reason == "timed_out";
        let step = &self.state.shape().written(place).id;
        (!late && self.prospects.fails(step)).then_some(Way::Failed)
    }

    /// What a probe said.
    fn probed(&self, place: usize, result: AttemptResult, reason: &str) -> Option<Way> {
        let running = self.state.step(place).running.as_ref()?;
        match (running.role, result) {
            (Role::Guard, AttemptResult::Succeeded) => Some(Way::Held),
            (Role::Verify, AttemptResult::Failed) if reason == attempt::ABSENT => Some(Way::Absent),
            (Role::Verify, AttemptResult::Failed) => Some(Way::NotVerified),
            _ => None,
        }
    }

    fn opened(&mut self, place: usize, kind: AskKind, reason: Option<&str>) -> Option<Way> {
        match kind {
            AskKind::Failure => self.failed(place, reason.unwrap_or_default()),
            AskKind::Guard => Some(Way::Tripped),
            AskKind::PutBack => {
                self.asked.insert(place);
                None
            }
            _ => None,
        }
    }

    fn reversed(&mut self, place: usize, kind: Reversal, how: ReversalEnd) -> Option<Way> {
        match (kind, how) {
            (Reversal::Undo, ReversalEnd::Done) => Some(Way::Undone),
            (Reversal::PutBack, end) => {
                let asked = self.asked.remove(&place);
                match end {
                    ReversalEnd::Done if asked => Some(Way::PutBackByPerson),
                    ReversalEnd::Done => Some(Way::PutBack),
                    ReversalEnd::LeftOpen => Some(Way::LeftOpen),
                    ReversalEnd::Failed | ReversalEnd::NotChosen => None,
                }
            }
            _ => None,
        }
    }

    /// After what `finally` begins, if it begins with this event.
    fn ending(&self, place: usize, event: &Event) -> Option<Way> {
        let shape = self.state.shape();
        let begins = matches!(
            event.fact,
            Fact::StepEntered {}
                | Fact::AttemptStarted { .. }
                | Fact::AskOpened { .. }
                | Fact::WaitStarted { .. }
                | Fact::StepSettled { .. }
        );
        if !begins || shape.is_main(place) || shape.is_guard(place) {
            return None;
        }
        match self.state.run.ending.as_ref()?.outcome {
            // What still ran when the end was decided may have failed since.
            Ended::Succeeded if !self.state.run.failed => Some(Way::AfterSuccess),
            Ended::Succeeded | Ended::Failed => self.prospects.fails_run().then_some(Way::AfterFailure),
            Ended::Refused => Some(Way::AfterRefusal),
            Ended::Cancelled => None,
        }
    }
}

/// The options that somebody chose, where they are disclosed.
fn chosen(event: &Event) -> Vec<Way> {
    let value = event.hidden.0.get("value").and_then(|text| serde_json::from_str(text).ok());
    let ids = match value {
        Some(Value::Array(ids)) => ids,
        Some(id) => vec![id],
        None => Vec::new(),
    };
    ids.iter().filter_map(Value::as_str).map(|id| Way::Option(id.to_owned())).collect()
}
