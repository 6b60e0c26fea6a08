//! A run as its folder tells it: what it was of, what it walked, and when.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{Edge, Version, walked};
use crate::clock::Timestamp;
use crate::core::event::Fact;
use crate::journal::file::EVENTS;
use crate::journal::{Entry, Hash, Journal, JournalError};
use crate::plan::{Graph, Mode};
use crate::record::build::{self, RecordError};
use crate::record::history::{NotAHistory, starts};
use crate::record::layout;

/// What one run walked, over or not.
#[derive(Debug, Clone)]
pub struct Past {
    pub id: String,
    /// What its journal says it was made by.
    pub graph: Graph,
    /// When it was last written to. The clock of a rehearsal is made up, so that of its file counts.
    pub at: Timestamp,
    pub walked: BTreeSet<Edge>,
    pub version: Version,
}

/// Why a folder tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{path}: {source}")]
    History { path: PathBuf, source: NotAHistory },
    #[error("{0}: the run has not begun")]
    Unbegun(PathBuf),
    #[error("{0}: its graph was changed: its SHA-256 is not the one in line 1 of the journal")]
    OtherGraph(PathBuf),
}

impl Past {
    /// # Errors
    /// The folder holds no run, or one that is damaged.
    pub fn read(dir: &Path) -> Result<Self, PastError> {
        Self::of(dir, build::graph_with_digest(dir)?)
    }

    /// The same where it is a run of this runbook; of another one nothing but the graph is read.
    ///
    /// # Errors
    /// As for [`Past::read`].
    pub fn read_if(dir: &Path, runbook: &str) -> Result<Option<Self>, PastError> {
        let found = build::graph_with_digest(dir)?;
        if found.0.runbook != runbook {
            return Ok(None);
        }
        Self::of(dir, found).map(Some)
    }

    fn of(dir: &Path, (graph, digest): (Graph, Hash)) -> Result<Self, PastError> {
        let entries = Journal::read(dir)?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(PastError::Unbegun(dir.to_owned()));
        };
        let started = first.events.iter().find_map(|event| match &event.fact {
            Fact::RunStarted { plan, .. } => Some(plan),
            _ => None,
        });
        let started = started.ok_or_else(|| PastError::Unbegun(dir.to_owned()))?;
        // What was walked is read off the graph: another one would have it say something else.
        if started.get(layout::GRAPH) != Some(&digest.to_string()) {
            return Err(PastError::OtherGraph(dir.join(layout::PLAN).join(layout::GRAPH)));
        }
        let no_history = |source| PastError::History { path: dir.to_owned(), source };
        starts(&graph, &entries).map_err(no_history)?;
        let walked = walked(&graph, &entries).map_err(no_history)?;
        Ok(Self {
            id: first.run.clone(),
            at: when(dir, graph.mode, last),
            walked,
            version: Version::of_run(dir, &graph, started),
            graph,
        })
    }
}

fn when(dir: &Path, mode: Mode, last: &Entry) -> Timestamp {
    if mode != Mode::Rehearsal {
        return last.at;
    }
    written(dir).unwrap_or(last.at)
}

/// When the journal in a folder was last written to, as its file has it.
pub fn written(dir: &Path) -> Option<Timestamp> {
    let written = std::fs::metadata(dir.join(EVENTS)).and_then(|about| about.modified()).ok()?;
    let since = written.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp::from_millis)
}
