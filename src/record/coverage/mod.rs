//! Coverage: which ways through a runbook anybody has ever walked, in a rehearsal, a drill or a live run.
//!
//! An *edge* is one thing that may become of a step ([`Way`]), read off the plan alone (`edges`), never off what happened
//! to run: so what nobody ever walked is named. It is something that a rehearsal can walk; what cannot happen (a read has
//! no unknown outcome, a step without `when` is not skipped by it) is no edge. Edges of loops count once for each step,
//! not for each item; a retry is the same step again, and no edge. docs/coverage.md has the table.
//!
//! - [`Edges`]: the static edges of a plan.
//! - [`Walk`]: the edges that one run walked, by folding its journal; needs nothing but the public graph.
//! - [`Past`]: a run as its folder tells it; [`Version`]: which steps of it are written as they are now.
//! - [`Coverage`]: the edges of one runbook as it is now, with the best evidence for each.
//!
//! Owns nothing on disk and keeps nothing: everything is read from the runs there are. It decides nothing about a run.

mod edges;
mod past;
mod version;
mod walk;

use std::collections::BTreeMap;
use std::fmt;

pub use edges::Edges;
pub use past::{Past, PastError, written};
pub use version::Version;
pub use walk::{Walk, walked};

use crate::clock::Timestamp;
use crate::plan::{self, Mode};
use crate::runbook::load::Document;

/// One thing that may become of a step, or of the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The step or guard as the plan calls it; none where it is about the run.
    pub step: Option<String>,
    pub way: Way,
}

impl Edge {
    pub fn of(step: &str, way: Way) -> Self {
        Self { step: Some(step.to_owned()), way }
    }

    pub const fn of_run(way: Way) -> Self {
        Self { step: None, way }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.as_deref().unwrap_or("finally"), self.way)
    }
}

/// What became of it. `Display` is its stable name, [`Way::says`] is for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It was done; of a question: answered.
    Succeeded,
    /// The `end` was reached.
    Taken,
    /// The gate was opened by its people.
    Opened,
    /// The gate was refused.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// Nobody answered in time, and others were asked.
    Escalated,
    /// The gate was opened by breaking the glass.
    BrokeGlass,
    /// Of a `choice`: this option was chosen.
    Option(String),
    /// Its `when` did not hold.
    Skipped,
    /// Its proof said before it began that it was done already.
    AlreadyDone,
    /// It runs on a failure, and nothing failed.
    NotNeeded,
    /// It failed, and its policy came to pass.
    Failed,
    /// Its outcome was not known, and was settled.
    Unknown,
    /// It was done, and its proof did not hold.
    NotVerified,
    /// Its proof said that it was not done.
    Absent,
    /// What the group does on a failure began.
    Handlers,
    /// The list had more than one item.
    Several,
    /// The list had none.
    Empty,
    /// Items failed, and no more than may.
    SomeFailed,
    /// More items failed than may.
    Stopped,
    /// The first items were done, and the others followed.
    CanaryWentOn,
    /// The first items were done, and somebody said no.
    CanaryRefused,
    /// There was more than one round.
    Rounds,
    /// There were as many rounds as may be, and it was not enough.
    MaxRounds,
    /// Its `undo` took it back.
    Undone,
    /// It was put back without anybody being asked.
    PutBack,
    /// Somebody was asked, and it was put back.
    PutBackByPerson,
    /// Somebody left it as it was.
    LeftOpen,
    /// The guard was asked and held.
    Held,
    /// The guard did not hold, or could not be asked, and somebody decided.
    Tripped,
    /// `finally` began after the main section had succeeded.
    AfterSuccess,
    /// … had failed.
    AfterFailure,
    /// … was refused at a gate.
    AfterRefusal,
}

impl Way {
    /// The stable name, without what was chosen.
    const fn name(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Taken => "taken",
            Self::Opened => "opened",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Escalated => "escalated",
            Self::BrokeGlass => "break_glass",
            Self::Option(_) => "option",
            Self::Skipped => "skipped",
            Self::AlreadyDone => "already_done",
            Self::NotNeeded => "not_needed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::NotVerified => "not_verified",
            Self::Absent => "absent",
            Self::Handlers => "handlers",
            Self::Several => "several",
            Self::Empty => "empty",
            Self::SomeFailed => "some_failed",
            Self::Stopped => "stopped",
            Self::CanaryWentOn => "canary_went_on",
            Self::CanaryRefused => "canary_refused",
            Self::Rounds => "rounds",
            Self::MaxRounds => "max_rounds",
            Self::Undone => "undone",
            Self::PutBack => "put_back",
            Self::PutBackByPerson => "put_back_by_person",
            Self::LeftOpen => "left_open",
            Self::Held => "held",
            Self::Tripped => "tripped",
            Self::AfterSuccess => "after_success",
            Self::AfterFailure => "after_failure",
            Self::AfterRefusal => "after_refusal",
        }
    }

    /// What it means, for people.
    pub const fn says(&self) -> &'static str {
        match self {
            Self::Succeeded => "it succeeds",
            Self::Taken => "the end is reached",
            Self::Opened => "the gate is opened",
            Self::Refused => "the gate is refused",
            Self::TimedOut => "nobody answers in time",
            Self::Escalated => "nobody answers in time, others are asked",
            Self::BrokeGlass => "somebody breaks the glass",
            Self::Option(_) => "this option is chosen",
            Self::Skipped => "its `when` does not hold",
            Self::AlreadyDone => "its proof says that it is done already",
            Self::NotNeeded => "nothing has failed",
            Self::Failed => "it fails",
            Self::Unknown => "its outcome is not known, and is settled",
            Self::NotVerified => "it is done, and its proof does not hold",
            Self::Absent => "its proof says that it is not done",
            Self::Handlers => "a step of it fails, and its `on_failure` begins",
            Self::Several => "the list has more than one item",
            Self::Empty => "the list is empty",
            Self::SomeFailed => "items fail, and no more than may",
            Self::Stopped => "more items fail than may",
            Self::CanaryWentOn => "after the first items, the others follow",
            Self::CanaryRefused => "after the first items, somebody says no",
            Self::Rounds => "there is more than one round",
            Self::MaxRounds => "all rounds are not enough",
            Self::Undone => "its `undo` takes it back",
            Self::PutBack => "it is put back by itself",
            Self::PutBackByPerson => "somebody is asked, and it is put back",
            Self::LeftOpen => "somebody leaves it as it is",
            Self::Held => "the guard holds",
            Self::Tripped => "the guard does not hold, and somebody is asked",
            Self::AfterSuccess => "after a success",
            Self::AfterFailure => "after a failure",
            Self::AfterRefusal => "after a refusal",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(id) => write!(f, "option {id}"),
            way => f.write_str(way.name()),
        }
    }
}

/// A run that walked an edge, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub run: String,
    pub at: Timestamp,
}

/// The newest walk of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    pub live: Option<Seen>,
    pub drill: Option<Seen>,
    pub rehearsal: Option<Seen>,
}

impl Evidence {
    /// The strongest there is: live before drill before rehearsal.
    pub fn best(&self) -> Option<(Mode, &Seen)> {
        let all = [(Mode::Live, &self.live), (Mode::Drill, &self.drill), (Mode::Rehearsal, &self.rehearsal)];
        all.into_iter().find_map(|(mode, seen)| Some((mode, seen.as_ref()?)))
    }

    /// The latest there is.
    pub fn last(&self) -> Option<&Seen> {
        [&self.live, &self.drill, &self.rehearsal].into_iter().flatten().max_by_key(|seen| seen.at)
    }

    /// The last time that it was practised: drilled or rehearsed.
    pub fn practised(&self) -> Option<&Seen> {
        [&self.drill, &self.rehearsal].into_iter().flatten().max_by_key(|seen| seen.at)
    }

    fn add(&mut self, mode: Mode, seen: &Seen) {
        let known = match mode {
            Mode::Live => &mut self.live,
            Mode::Drill => &mut self.drill,
            Mode::Rehearsal => &mut self.rehearsal,
        };
        if known.as_ref().is_none_or(|known| known.at < seen.at) {
            *known = Some(seen.clone());
        }
    }
}

/// The edges of a runbook as it is now, and who walked them.
#[derive(Debug, Clone)]
pub struct Coverage {
    runbook: String,
    version: Version,
    edges: Edges,
    seen: BTreeMap<Edge, Evidence>,
    /// The newest runs that count for anything here.
    pub runs: Evidence,
}

impl Coverage {
    /// Of a runbook that passed `check`: nothing is walked yet.
    pub fn of(document: &Document) -> Self {
        let outline = plan::outline(document);
        Self {
            runbook: outline.graph.runbook.clone(),
            version: Version::of(document, &outline.graph),
            edges: Edges::of(&outline),
            seen: BTreeMap::new(),
            runs: Evidence::default(),
        }
    }

    /// The id of the runbook.
    pub fn runbook(&self) -> &str {
        &self.runbook
    }

    /// That version is the one that this is about: every file of it is the same.
    pub fn is_of(&self, version: &Version) -> bool {
        self.version.is(version)
    }

    /// Takes in what a run walked, as far as its steps are written as they are now, and says how many edges that are. A
    /// run of another runbook counts for nothing.
    pub fn add(&mut self, run: &Past) -> usize {
        if run.graph.runbook != self.runbook {
            return 0;
        }
        let same = self.version.is(&run.version);
        let seen = Seen { run: run.id.clone(), at: run.at };
        let mut counted = 0;
        for edge in &run.walked {
            let step = edge.step.as_deref();
            let counts = same || step.is_some_and(|step| self.version.has_unchanged(&run.version, step));
            if counts && self.edges.contains(edge) {
                counted += 1;
                self.seen.entry(edge.clone()).or_default().add(run.graph.mode, &seen);
            }
        }
        if counted > 0 {
            self.runs.add(run.graph.mode, &seen);
        }
        counted
    }

    /// Every edge in the order of the runbook, with who walked it.
    pub fn edges(&self) -> impl Iterator<Item = (&Edge, Option<&Evidence>)> {
        self.edges.iter().map(|edge| (edge, self.seen.get(edge)))
    }

    /// What nobody ever walked.
    pub fn never(&self) -> impl Iterator<Item = &Edge> {
        self.edges().filter(|(_, seen)| seen.is_none()).map(|(edge, _)| edge)
    }

    pub fn all(&self) -> usize {
        self.edges.len()
    }

    pub fn walked(&self) -> usize {
        self.seen.len()
    }

    /// Whole per cent, rounded down: 100 only where nothing is left. A runbook without edges has nothing left.
    pub fn percent(&self) -> usize {
        (100 * self.walked()).checked_div(self.all()).unwrap_or(100)
    }
}
