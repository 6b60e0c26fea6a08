//! A journal as it is told: its entries folded over the public graph. Report, summary and verdicts read this, and only
//! this, so that they cannot tell different stories.

use crate::clock::Timestamp;
use crate::core::event::{Decision, Fact, Hidden, Override, SkipReason};
use crate::core::state::{Ask, Given};
use crate::core::{Actor, AskKind, Illegal, Shape, State, Status};
use crate::journal::Entry;
use crate::plan::{Graph, Kind, StepNode};

/// The entries of a run and what they come to.
#[derive(Debug, Clone)]
pub struct History {
    pub entries: Vec<Entry>,
    pub state: State,
}

/// Why entries are not the history of a run of this graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAHistory {
    #[error("not the graph of a run: {0}")]
    Graph(String),
    #[error("{illegal}")]
    Illegal { seq: u64, illegal: Illegal },
    #[error("the first entry does not start a run of this graph: {0}")]
    Start(&'static str),
}

/// An approval text as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    pub seq: u64,
    pub ask: u32,
    pub file: String,
    pub sha256: String,
    pub signer: String,
    pub personal: bool,
}

/// An answer to a gate.
#[derive(Debug, Clone)]
pub struct GateAnswer<'a> {
    pub ask: u32,
    pub kind: AskKind,
    pub step: &'a StepNode,
    pub given: &'a Given,
}

/// Something that did not go by the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    pub seq: u64,
    pub at: Timestamp,
    pub step: String,
    pub how: Override,
    pub actor: Option<Actor>,
}

/// A question over which people took longer than its timebox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overtime {
    pub step: String,
    pub took_ms: u64,
    pub timebox_ms: u64,
}

impl History {
    /// # Errors
    /// An event that cannot follow from those before it, or a graph that belongs to another run.
    pub fn fold(graph: Graph, entries: Vec<Entry>) -> Result<Self, NotAHistory> {
        starts(&graph, &entries)?;
        let run = entries.first().map(|entry| entry.run.clone()).unwrap_or_default();
        let shape = Shape::new(graph).map_err(NotAHistory::Graph)?;
        let mut state = State::new(shape.into(), &run);
        for entry in &entries {
            for event in &entry.events {
                state
                    .apply(entry.at, event)
                    .map_err(|illegal| NotAHistory::Illegal { seq: entry.seq, illegal })?;
            }
        }
        Ok(Self { entries, state })
    }

    /// The same entries as somebody sees them to whom nothing is disclosed.
    pub fn without_hidden(entries: &[Entry]) -> Vec<Entry> {
        let mut entries = entries.to_vec();
        entries
            .iter_mut()
            .flat_map(|entry| &mut entry.events)
            .for_each(|event| event.hidden = Hidden::default());
        entries
    }

    pub fn graph(&self) -> &Graph {
        self.state.shape().graph()
    }

    /// What line 0 says of the run.
    pub fn start(&self) -> Option<&Fact> {
        let event = self.entries.first()?.events.iter().find(|e| matches!(e.fact, Fact::RunStarted { .. }));
        event.map(|event| &event.fact)
    }

    /// Digests of the plan's files, by name below `plan/`.
    pub fn plan(&self) -> std::collections::BTreeMap<String, String> {
        match self.start() {
            Some(Fact::RunStarted { plan, .. }) => plan.clone(),
            _ => std::collections::BTreeMap::new(),
        }
    }

    /// The last line is `run.sealed`.
    pub fn is_sealed(&self) -> bool {
        let last = self.entries.last().and_then(|entry| entry.events.last());
        last.is_some_and(|event| matches!(event.fact, Fact::RunSealed {}))
    }

    pub fn last_at(&self) -> Timestamp {
        self.entries.last().map(|entry| entry.at).unwrap_or_default()
    }

    /// How many lines there were once the question was asked: the size of the tree head that its approvals quote.
    pub fn size_at_ask(&self, ask: u32) -> Option<u64> {
        self.asked_in(ask).map(|(seq, _)| seq + 1)
    }

    /// The line in which the question was asked, and the place of the event in it.
    pub fn asked_in(&self, ask: u32) -> Option<(u64, usize)> {
        self.entries.iter().find_map(|entry| {
            let opens = |event: &crate::core::Event| matches!(event.fact, Fact::AskOpened { ask: id, .. } if id == ask);
            entry.events.iter().position(opens).map(|at| (entry.seq, at))
        })
    }

    pub fn attested(&self) -> Vec<Attested> {
        self.facts()
            .filter_map(|(entry, fact)| match fact.clone() {
                Fact::ApprovalAttested { ask, file, sha256, signer, personal } => {
                    Some(Attested { seq: entry.seq, ask, file, sha256, signer, personal })
                }
                _ => None,
            })
            .collect()
    }

    /// Every answer to an approval or a confirmation, in order.
    pub fn gate_answers(&self) -> Vec<GateAnswer<'_>> {
        let gates = self.state.asks().filter(|ask| matches!(ask.kind, AskKind::Approve | AskKind::Confirm));
        gates
            .flat_map(|ask| {
                let step = self.state.shape().node(ask.step);
                ask.answers.iter().map(move |given| GateAnswer { ask: ask.id, kind: ask.kind, step, given })
            })
            .collect()
    }

    /// Overrides by people, in order.
    pub fn overrides(&self) -> Vec<Deviation> {
        let mut found = Vec::new();
        for entry in &self.entries {
            for event in &entry.events {
                if let Fact::StepOverridden { how } = event.fact {
                    let item = event.item.map(|n| format!("[{n}]")).unwrap_or_default();
                    let step = format!("{}{item}", event.step.as_deref().unwrap_or_default());
                    found.push(Deviation {
                        seq: entry.seq,
                        at: entry.at,
                        step,
                        how,
                        actor: event.actor.clone(),
                    });
                }
            }
        }
        found
    }

    /// Questions over which people took longer than they should have.
    pub fn overtimes(&self) -> Vec<Overtime> {
        let over = |ask: &Ask| {
            let node = self.state.shape().node(ask.step);
            let (timebox_ms, last) = (node.timebox_ms?, ask.answers.last().filter(|_| ask.end.is_some())?);
            let took_ms = last.at.since(ask.opened);
            (took_ms > timebox_ms).then(|| Overtime { step: node.id.clone(), took_ms, timebox_ms })
        };
        self.state.asks().filter_map(over).collect()
    }

    /// Gates that somebody opened alone.
    pub fn broken_glass(&self) -> Vec<GateAnswer<'_>> {
        let mut found = self.gate_answers();
        found.retain(|answer| answer.given.decision == Decision::BreakGlass);
        found
    }

    /// Whether a step went otherwise than planned.
    pub fn deviates(&self, at: usize) -> bool {
        let (node, step) = (self.state.shape().node(at), self.state.step(at));
        match step.status {
            Status::Succeeded if node.timebox_ms.is_some() || node.gate.is_some() => {
                let of_step = |ask: &Ask| ask.step == at;
                step.granted > 0
                    || self.overtimes().iter().any(|over| over.step == node.id)
                    || self.state.asks().any(|ask| of_step(ask) && ask.broke_glass().is_some())
            }
            Status::Succeeded => step.granted > 0,
            Status::Skipped => !matches!(
                step.skipped,
                Some(SkipReason::When | SkipReason::AlreadyDone | SkipReason::NotNeeded)
            ),
            Status::Failed if node.kind == Kind::End => false,
            _ => true,
        }
    }

    /// How often the journal's torn end was set aside.
    pub fn recoveries(&self) -> usize {
        self.facts().filter(|(_, fact)| matches!(fact, Fact::JournalRecovered { .. })).count()
    }

    fn facts(&self) -> impl Iterator<Item = (&Entry, &Fact)> {
        self.entries.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, &event.fact)))
    }
}

/// Entry 0 starts a run, of this runbook, in this mode, under these rules.
pub(super) fn starts(graph: &Graph, entries: &[Entry]) -> Result<(), NotAHistory> {
    let first = entries.first().and_then(|entry| {
        entry.events.iter().find_map(|event| match &event.fact {
            Fact::RunStarted { mode, runbook, semantics, environment, .. } => {
                Some((*mode, runbook, *semantics, environment))
            }
            _ => None,
        })
    });
    match first {
        None => Err(NotAHistory::Start("it says nothing of a start")),
        Some((mode, ..)) if mode != graph.mode => Err(NotAHistory::Start("another mode")),
        Some((_, runbook, ..)) if *runbook != graph.runbook => Err(NotAHistory::Start("another runbook")),
        Some((.., environment)) if *environment != graph.environment => {
            Err(NotAHistory::Start("another environment"))
        }
        Some((_, _, semantics, _)) if semantics != graph.semantics => Err(NotAHistory::Start("other rules")),
        Some(_) => Ok(()),
    }
}
