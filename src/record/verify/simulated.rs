//! Whether what a record says was done was done at all: in a rehearsal whoever answers for the outside says so where a run
//! names who did an attempt.

use super::super::history::History;
use super::super::origin::Origins;
use super::{Aspect, Checker};
use crate::journal::file;
use crate::plan::Mode;

/// Nothing in the record of a live run or a drill is simulated.
pub(super) fn check(checker: &mut Checker<'_>, history: &History) {
    let mode = history.graph().mode;
    if mode == Mode::Rehearsal {
        return;
    }
    for entry in &history.entries {
        for event in &entry.events {
            let Some(origins) = Origins::of_event(event) else { continue };
            let (step, line) = (event.step.as_deref().unwrap_or_default(), usize::try_from(entry.seq).ok());
            let what = format!("`{step}` was simulated ({origins}), and this is a {} record", mode.name());
            checker.fail(Aspect::Integrity, file::EVENTS, line.map(|seq| seq + 1), what);
        }
    }
}
