//! What must not be after any rehearsal, whatever went wrong in it.
//!
//! Reads plan, entries and the state at the end, and judges by the events, with no code of the core that decided: a rule
//! of the core that is broken is found here.

use std::collections::{BTreeMap, BTreeSet};

use super::Rehearsed;
use super::switched::Switches;
use crate::core::event::{ReversalEnd, SkipReason};
use crate::core::{AskEnd, Decision, Event, Fact, Phase, Reversal, Role, State, Status};
use crate::plan::{Graph, Section};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub what: What,
    /// The step that it is about.
    pub place: String,
    /// How it came to be.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The rehearsal itself cannot be made or written.
    Broken,
    /// The run has no end: nobody can answer, or nothing goes on.
    Stuck,
    /// A toggle is open, and nobody has decided about it.
    OpenToggle,
    /// A gate opened without the answers that it takes.
    GateOpen,
    /// Something was begun behind a gate that is shut.
    BehindGate,
    /// A step of `finally` had no turn.
    Finally,
    /// A step has switched something that a later step would have switched again, and which nothing switched back.
    LeftSwitched,
}

impl What {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Stuck => "stuck",
            Self::OpenToggle => "open-toggle",
            Self::GateOpen => "gate-open",
            Self::BehindGate => "behind-gate",
            Self::Finally => "finally",
            Self::LeftSwitched => "left-switched",
        }
    }
}

/// Everything that must not be and is. `may_stay`: steps whose effect may stay.
pub fn of(rehearsed: &Rehearsed, switches: &Switches, may_stay: &BTreeSet<String>) -> Vec<Finding> {
    let state = &rehearsed.rest.state;
    let graph = &rehearsed.rest.plan.graph;
    let events: Vec<&Event> = rehearsed.entries.iter().flat_map(|entry| &entry.events).collect();
    let mut found = Vec::new();
    gates(graph, &events, &mut found);
    if state.phase() != Phase::Finished {
        found.extend(stuck(state));
        return found;
    }
    toggles(state, &mut found);
    finally(state, &mut found);
    found.extend(switches.left(rehearsed, may_stay));
    found
}

fn stuck(state: &State) -> Vec<Finding> {
    let finding = |place: String, why: &str| Finding { what: What::Stuck, place, why: why.to_owned() };
    let asked: Vec<Finding> = state
        .open_asks()
        .map(|ask| finding(state.shape().label(ask.step), "no answer to its question was taken"))
        .collect();
    if asked.is_empty() { vec![finding(state.run.id.clone(), "nothing goes on")] } else { asked }
}

fn toggles(state: &State, found: &mut Vec<Finding>) {
    for reversal in state.reversals() {
        let open = reversal.end.is_none()
            || (reversal.kind == Reversal::PutBack && reversal.end == Some(ReversalEnd::NotChosen));
        if open {
            let why = "the run is over, and nobody decided about what it switched".to_owned();
            let place = state.shape().label(reversal.step);
            found.push(Finding { what: What::OpenToggle, place, why });
        }
    }
}

fn finally(state: &State, found: &mut Vec<Finding>) {
    for at in state.places() {
        let (node, step) = (state.shape().node(at), state.step(at));
        if node.section != Section::Finally || node.within.is_some() {
            continue;
        }
        let skipped = matches!(step.skipped, Some(SkipReason::Ended | SkipReason::Group));
        if !step.settled || skipped {
            let why = format!("the run is over, and it is {}", step.status.name());
            found.push(Finding { what: What::Finally, place: state.shape().label(at), why });
        }
    }
}

/// What was said to one question.
#[derive(Default)]
struct Said {
    yes: BTreeSet<String>,
    no: bool,
    alone: bool,
    answered: bool,
}

/// Gates by their events alone: who said what, whether that opened them, and what began behind them.
fn gates(graph: &Graph, events: &[&Event], found: &mut Vec<Finding>) {
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    let mut open: BTreeSet<String> = BTreeSet::new();
    let gate = |id: &str| graph.steps.iter().find(|node| node.id == id && node.kind.is_gate());
    for event in events {
        let (Some(id), Some(place)) = (&event.step, event.place()) else { continue };
        if let Some(node) = gate(id) {
            let quorum = node.gate.as_ref().map_or(1, |gate| gate.quorum.max(1)) as usize;
            match &event.fact {
                Fact::AskOpened { .. } => drop(said.insert(place, Said::default())),
                Fact::AskAnswered { decision, .. } => {
                    let said = said.entry(place).or_default();
                    match decision {
                        Decision::BreakGlass => said.alone = true,
                        Decision::Approve | Decision::Yes => {
                            said.yes.extend(event.actor.as_ref().map(|actor| actor.who.clone()));
                        }
                        _ => said.no = true,
                    }
                }
                Fact::AskClosed { how, .. } => {
                    said.entry(place).or_default().answered = *how == AskEnd::Answered;
                }
                Fact::ApprovalVoided { .. } => drop(open.remove(&place)),
                Fact::StepSkipped { reason: SkipReason::When, .. } => drop(open.insert(place)),
                Fact::StepSettled { status: Status::Succeeded, .. } => {
                    let said = said.entry(place.clone()).or_default();
                    let enough = said.alone || said.yes.len() >= quorum;
                    if !(said.answered && enough && !said.no) && node.each.is_none() {
                        let why = format!("it opened with {} of {quorum} answers", said.yes.len());
                        found.push(Finding { what: What::GateOpen, place: place.clone(), why });
                    }
                    open.insert(place);
                }
                _ => {}
            }
            continue;
        }
        if !matches!(event.fact, Fact::AttemptStarted { role: Role::Do, .. }) {
            continue;
        }
        let Some(node) = graph.steps.iter().find(|node| node.id == *id) else { continue };
        let before = graph.steps.iter().filter(|gate| {
            let covers = gate.gate.as_ref().is_some_and(|gate| gate.covers.contains(id));
            gate.kind.is_gate() && (covers || node.gates.contains(&gate.id) || node.needs.contains(&gate.id))
        });
        // Of a gate that is asked item by item some item's is: which one, only the core could say.
        let is_open = |gate: &str| {
            let items = format!("{gate}[");
            open.contains(gate) || open.iter().any(|place| place.starts_with(&items))
        };
        for gate in before.filter(|gate| !is_open(&gate.id)) {
            let why = format!("it began while `{}` was shut", gate.id);
            found.push(Finding { what: What::BehindGate, place: place.clone(), why });
        }
    }
}
