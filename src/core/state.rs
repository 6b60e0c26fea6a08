//! The state of a run: the fold of its events. Only `apply` (in `apply.rs`) changes it.
//!
//! Besides the facts it keeps *derived sets* (ready, loose, in flight, open asks, timers), so that deciding and
//! wanting cost what has changed, never the number of steps. `derived.rs` recomputes them by a full scan; the
//! simulator compares both after every entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attempt::{AttemptKey, AttemptRequest, AttemptResult, BlobRef, Json, Role};
use super::event::{
    Actor, AskEnd, AskKind, Decision, Ended, Reversal, ReversalEnd, RunStatus, SkipReason, Status,
};
use super::limits::Limit;
use super::shape::Shape;
use crate::clock::Timestamp;
use crate::plan::{ErrorClass, Kind, Plan, StepValues};

/// Everything that is known about a run. `Clone` is for tests and views.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) shape: Arc<Shape>,
    pub run: Run,
    pub(super) steps: Vec<Step>,
    pub(super) asks: BTreeMap<u32, Ask>,
    /// In the order of arming; undone from the end.
    pub(super) reversals: Vec<ReversalState>,
    pub(super) derived: Derived,
}

/// What concerns the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: String,
    pub started: Option<Timestamp>,
    pub starter: Option<Actor>,
    pub attended: bool,
    pub lang: String,
    pub paused: Option<Paused>,
    pub ending: Option<Ending>,
    pub finished: Option<Finished>,
    pub sealed: bool,
    /// Some step failed whose failure counts.
    pub failed: bool,
    /// Some reversal failed or some step of `finally` did.
    pub ending_failed: bool,
    /// Time of the last entry.
    pub last_at: Timestamp,
    /// How often it was taken up again.
    pub resumes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    pub stop: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Ended,
    pub reason: String,
    pub undo: bool,
    pub stop: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub status: RunStatus,
    pub reason: String,
    pub still_open: Vec<String>,
    pub at: Timestamp,
}

/// What the world is believed to look like after the attempts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    NotDone,
    Unknown,
    Done,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub status: Status,
    pub settled: bool,
    pub skipped: Option<SkipReason>,
    pub reason: Option<String>,
    /// Needs that have not ended.
    pub(super) blockers: u32,
    /// Attempts so far, over all roles.
    pub attempts: u32,
    /// Attempts at the step itself that ran to an end.
    pub tries: u32,
    /// Attempts cut off by a crash, in a row.
    pub interruptions: u32,
    /// Attempts granted by a person beyond the policy.
    pub granted: u32,
    pub running: Option<Running>,
    /// The last attempt that ended.
    pub last: Option<Last>,
    pub belief: Belief,
    pub first_started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub due: Option<Timestamp>,
    pub outputs: BTreeMap<String, Json>,
    /// Outputs that are secrets and that the run's store holds.
    pub sealed: BTreeSet<String>,
    /// For what has steps or items of its own.
    pub compound: Option<Box<Compound>>,
    /// What a person answered.
    pub human: Option<Human>,
    /// The open question about it.
    pub ask: Option<u32>,
    /// The last question about it, open or closed.
    pub last_ask: Option<u32>,
    pub items: Vec<ItemState>,
    /// The guards that held, or were overruled, for its next attempt.
    pub cleared: BTreeSet<usize>,
    /// For an item of a list, or a round: its turn has come.
    pub(super) called: bool,
    /// For a gate that is asked again: its dependents have counted its first end already.
    pub(super) reopened: bool,
}

/// How far a group has come, or a loop with its items or rounds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compound {
    /// Its steps may start.
    pub entered: bool,
    /// A step of it has failed, and what it does then may start.
    pub handling: bool,
    /// A reversal of its own failed.
    pub unclean: bool,
    /// The step that ended it early, or the used runbook around it: nothing more of its list begins.
    pub ended: Option<usize>,
    /// How often its list, or a part of it that failed, was laid out; or its rounds.
    pub batches: u32,
    /// Items at first.
    pub targets: usize,
    /// Items in the order of their turns: what is done again goes before what has not begun.
    pub order: Vec<usize>,
    /// How many of them may have been begun by now.
    pub released: usize,
    /// How many have.
    pub begun: usize,
    /// The wish to try again that the last batch answered.
    pub heeded: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub attempt: u32,
    pub role: Role,
    pub part: Option<String>,
    pub started: Timestamp,
    /// Absent where the reader lacks the disclosure.
    pub request: Option<Arc<AttemptRequest>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    pub attempt: u32,
    pub role: Role,
    pub part: Option<String>,
    /// What was really asked for. Absent where the reader lacks the disclosure.
    pub request: Option<Arc<AttemptRequest>>,
    pub result: AttemptResult,
    pub reason: String,
    pub class: Option<ErrorClass>,
    pub code: Option<i64>,
    pub retry_after_ms: Option<u64>,
    /// It was cut off.
    pub interrupted: bool,
    /// What it printed or was answered, as far as it is disclosed.
    pub excerpts: BTreeMap<String, String>,
    pub blobs: BTreeMap<String, BlobRef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Human {
    pub answer: Option<Json>,
    pub by: Actor,
    pub at: Timestamp,
    pub comment: Option<String>,
}

/// An item of a checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// Its probe has to run.
    Unprobed,
    /// A person has to say.
    Open,
    /// Its probe holds.
    Proved,
    /// Its probe does not hold, or could not be asked: a person has to say.
    Refuted,
    Confirmed,
    Refused,
}

impl ItemState {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Refuted)
    }
}

/// A question to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub id: u32,
    pub step: usize,
    pub kind: AskKind,
    pub opened: Timestamp,
    pub expires: Option<Timestamp>,
    /// From when on somebody may open it alone.
    pub glass: Option<Timestamp>,
    pub escalated: bool,
    pub covers: Vec<String>,
    /// Why it is asked: the reason code of a failure.
    pub reason: Option<String>,
    pub answers: Vec<Given>,
    pub end: Option<AskEnd>,
    /// What was rendered for it, as far as it is disclosed: `prompt`, `binds`, `shown`.
    pub shown: BTreeMap<String, String>,
    /// The request digests that it binds.
    pub binds: Option<Binds>,
    /// The destructive targets that have been begun by it, where it counts them.
    pub through: BTreeSet<usize>,
    /// Files of the texts that were signed about its answers, in the order of the answers.
    pub attested: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub actor: Actor,
    pub part: Option<String>,
    pub decision: Decision,
    pub at: Timestamp,
    pub value: Option<String>,
    pub comment: Option<String>,
}

/// What an approval is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binds {
    /// Steps whose values were not known at the opening: they stand as references in the digests.
    pub later: BTreeSet<String>,
    /// Step to the digest of its request.
    pub digests: BTreeMap<String, String>,
    /// Item to what was known of its own, though not of all: it does not stand as a reference there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<String, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// An armed undo or put_back.
#[derive(Debug, Clone, PartialEq)]
pub struct ReversalState {
    pub step: usize,
    pub kind: Reversal,
    pub tries: u32,
    /// The group whose end it is due at; the run's, if none.
    pub scope: Option<usize>,
    /// Its `only_if` has been asked and held.
    pub allowed: Option<bool>,
    /// A person has said "put it back".
    pub told: bool,
    pub end: Option<ReversalEnd>,
    pub review_at: Option<Timestamp>,
    pub requests: BTreeMap<String, String>,
}

/// What can be computed from the rest, kept up to date by `apply`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Derived {
    /// Steps whose turn has come.
    pub ready: BTreeSet<usize>,
    /// Steps between two attempts: something has to be decided about them.
    pub loose: BTreeSet<usize>,
    /// Steps with a running attempt.
    pub in_flight: BTreeSet<usize>,
    pub open_asks: BTreeSet<u32>,
    pub timers: BTreeSet<(Timestamp, Timer)>,
    /// By list of the shape; the first two are the run's.
    pub lists: Vec<Course>,
    /// By loop.
    pub loops: BTreeMap<usize, Items>,
    /// Reverts under way.
    pub reverting: BTreeSet<usize>,
    /// By group: what it still has to put back.
    pub toggles: BTreeMap<usize, usize>,
    /// Gates that are asked again, their approval being voided.
    pub reopened: BTreeSet<usize>,
    /// Reversals not closed: of main steps, of `finally`.
    pub open_reversals: [usize; 2],
    /// The steps of `finally` have had their turn announced.
    pub finally_open: bool,
}

/// How far a list has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// Steps not settled.
    pub undecided: usize,
    /// First settled step that does not satisfy its dependents.
    pub first_unsatisfied: Option<usize>,
    /// First settled step that failed.
    pub first_failed: Option<usize>,
    /// Some step failed whose failure counts.
    pub failed: bool,
    /// Some gate was not opened.
    pub rejected: bool,
}

/// The items of a loop that were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Items {
    /// Not settled.
    pub open: usize,
    /// Settled, not done, and not begun anew.
    pub failed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    Retry(usize),
    Wait(usize),
    /// A guard is to be asked again.
    Guard(usize),
    AskExpiry(u32),
    RunDeadline,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    New,
    Main,
    /// Ending: what runs is awaited or stopped.
    Draining,
    /// Ending: reversals, newest first; what `finally` switched is reversed after it.
    Unwinding,
    Finally,
    /// Everything is done but for saying so.
    Over,
    Finished,
}

impl State {
    /// The state before the first event.
    pub fn new(shape: Arc<Shape>, run: &str) -> Self {
        let steps = (0..shape.len()).map(|at| Step::new(&shape, at)).collect();
        let lists = shape.lists().iter();
        let lists = lists.map(|list| Course { undecided: list.members.len(), ..Course::default() }).collect();
        Self {
            shape,
            run: Run {
                id: run.to_owned(),
                started: None,
                starter: None,
                attended: false,
                lang: "en".to_owned(),
                paused: None,
                ending: None,
                finished: None,
                sealed: false,
                failed: false,
                ending_failed: false,
                last_at: Timestamp::default(),
                resumes: 0,
            },
            steps,
            asks: BTreeMap::new(),
            reversals: Vec::new(),
            derived: Derived { lists, ..Derived::default() },
        }
    }

    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    pub fn step(&self, at: usize) -> &Step {
        &self.steps[at]
    }

    pub fn find(&self, name: &str) -> Option<(usize, &Step)> {
        self.shape.find(name).map(|at| (at, &self.steps[at]))
    }

    pub fn steps(&self) -> impl Iterator<Item = (&crate::plan::StepNode, &Step)> {
        self.steps.iter().enumerate().map(|(at, step)| (self.shape.node(at), step))
    }

    /// The places of steps, without those of guards.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        (0..self.steps.len()).filter(|at| !self.shape.is_guard(*at))
    }

    /// What the plan says about a step, wherever it is done.
    pub fn values<'p>(&self, plan: &'p Plan, at: usize) -> Option<&'p StepValues> {
        let (values, id) = (&plan.values, &self.shape.written(at).id);
        if self.shape.is_guard(at) { values.guards.get(id) } else { values.steps.get(id) }
    }

    /// What a name means to a step.
    pub fn resolve(&self, name: &str, from: usize) -> Option<usize> {
        self.shape.resolve(name, self.shape.frame(from))
    }

    /// By what an event or an attempt says.
    pub fn find_item(&self, step: &str, item: Option<u32>) -> Option<(usize, &Step)> {
        self.shape.find_item(step, item).map(|at| (at, &self.steps[at]))
    }

    pub fn ask(&self, id: u32) -> Option<&Ask> {
        self.asks.get(&id)
    }

    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.asks.values()
    }

    pub fn open_asks(&self) -> impl Iterator<Item = &Ask> {
        self.derived.open_asks.iter().filter_map(|id| self.asks.get(id))
    }

    pub fn reversals(&self) -> &[ReversalState] {
        &self.reversals
    }

    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// The running attempt of a step.
    pub fn running_key(&self, at: usize) -> Option<AttemptKey> {
        let running = self.steps[at].running.as_ref()?;
        let step = self.shape.written(at).id.clone();
        Some(AttemptKey { step, item: self.shape.item(at), attempt: running.attempt })
    }

    /// What the running attempt asks for.
    pub fn request(&self, key: &AttemptKey) -> Option<Arc<AttemptRequest>> {
        let (_, step) = self.find_item(&key.step, key.item)?;
        let running = step.running.as_ref().filter(|running| running.attempt == key.attempt)?;
        running.request.clone()
    }

    pub fn phase(&self) -> Phase {
        let [main, finally] = [0, 1].map(|list: usize| self.derived.lists[list].undecided);
        let reversals = self.derived.open_reversals;
        match (&self.run.started, &self.run.finished, &self.run.ending) {
            (None, ..) => Phase::New,
            (_, Some(_), _) => Phase::Finished,
            (.., None) => Phase::Main,
            _ if main > 0 => Phase::Draining,
            _ if reversals[0] > 0 => Phase::Unwinding,
            _ if finally > 0 => Phase::Finally,
            _ if reversals[1] > 0 => Phase::Unwinding,
            _ => Phase::Over,
        }
    }

    pub fn status(&self) -> RunStatus {
        if let Some(finished) = &self.run.finished {
            finished.status
        } else if self.run.paused.is_some() {
            RunStatus::Paused
        } else if self.derived.in_flight.is_empty() && !self.derived.open_asks.is_empty() {
            RunStatus::Waiting
        } else {
            RunStatus::Running
        }
    }

    pub fn has_slot(&self) -> bool {
        self.derived.in_flight.len() < self.shape.graph().max_in_flight.max(1) as usize
    }

    /// Whether a step lets its dependents go on.
    pub fn satisfies(&self, at: usize) -> bool {
        let step = &self.steps[at];
        step.settled
            && match step.status {
                Status::Succeeded | Status::Overridden => true,
                // A gate that was skipped for any reason but its own condition never lets anything pass.
                Status::Skipped => match step.skipped {
                    Some(SkipReason::When | SkipReason::AlreadyDone) => true,
                    Some(SkipReason::NotNeeded) => !self.shape.node(at).kind.is_gate(),
                    Some(SkipReason::Upstream | SkipReason::Ended | SkipReason::Group) | None => false,
                },
                Status::Failed | Status::TimedOut => self.shape.node(at).is_no_obstacle(),
                _ => false,
            }
    }

    /// What is left switched, or could not be undone, and by which decision.
    pub fn still_open(&self) -> Vec<String> {
        self.reversals
            .iter()
            .filter(|r| {
                matches!(r.end, Some(ReversalEnd::LeftOpen | ReversalEnd::Failed))
                    || (r.end.is_none() && r.kind == Reversal::PutBack)
            })
            .map(|r| {
                let kind = if r.kind == Reversal::Undo { "undo" } else { "put_back" };
                format!("{kind} of {}", self.shape.node(r.step).id)
            })
            .collect()
    }
}

impl Ask {
    /// Who opened it alone, if somebody did.
    pub fn broke_glass(&self) -> Option<&Given> {
        self.answers.iter().find(|given| given.decision == Decision::BreakGlass)
    }
}

impl Step {
    pub(super) fn new(shape: &Shape, at: usize) -> Self {
        let node = shape.node(at);
        // What stands for all items together has no checklist of its own.
        let items = node
            .items
            .iter()
            .filter(|_| !shape.is_whole(at))
            .map(|item| if item.probe { ItemState::Unprobed } else { ItemState::Open })
            .collect();
        Self {
            status: Status::Pending,
            settled: false,
            skipped: None,
            reason: None,
            blockers: u32::try_from(shape.needs(at).len()).unwrap_or(u32::MAX),
            attempts: 0,
            tries: 0,
            interruptions: 0,
            granted: 0,
            running: None,
            last: None,
            belief: Belief::NotDone,
            first_started: None,
            ended: None,
            due: None,
            outputs: BTreeMap::new(),
            sealed: BTreeSet::new(),
            compound: (shape.is_compound(at) || node.kind == Kind::Revert).then(Box::default),
            human: None,
            ask: None,
            last_ask: None,
            items,
            cleared: BTreeSet::new(),
            called: false,
            reopened: false,
        }
    }

    /// Something has to be decided about it, and no attempt, timer or question is under way.
    pub(super) fn is_loose(&self) -> bool {
        if self.settled || self.running.is_some() {
            return false;
        }
        match self.status {
            Status::Running | Status::Interrupted => true,
            Status::Unknown => self.ask.is_none(),
            Status::Waiting => {
                (self.ask.is_none() && self.due.is_none()) || self.items.contains(&ItemState::Unprobed)
            }
            _ => false,
        }
    }
}
