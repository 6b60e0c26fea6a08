//! Wrong answers that were taken for good ones: nobody noticed, and the run went on as if nothing had been.
//!
//! Read off the events of a rehearsal. Of a step itself nobody noticed if the run succeeded all the same; what a proof or a
//! reversal is answered is believed where its attempt succeeds.

use std::collections::{BTreeMap, BTreeSet};

use super::Rehearsed;
use super::faults::{Fault, FaultKind};
use super::sources::part_of;
use crate::core::{AttemptResult, Fact, RunStatus, Status};
use crate::record::origin::{Origin, Origins};
use crate::runbook::scenario::Part;

/// Whether that fault is a wrong answer that came to pass, and that nobody noticed.
pub fn is_unnoticed(rehearsed: &Rehearsed, fault: &Fault) -> bool {
    fault.kind == FaultKind::Wrong && believed(rehearsed, fault).unwrap_or(false)
}

/// Whether every answer of the fault was believed; none if there was no such answer.
fn believed(rehearsed: &Rehearsed, fault: &Fault) -> Option<bool> {
    let state = &rehearsed.rest.state;
    let origin = Origin::Fault(fault.kind.name().to_owned());
    let (mut begun, mut struck, mut places) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for event in rehearsed.entries.iter().flat_map(|entry| &entry.events) {
        let Some(step) = &event.step else { continue };
        let key = (step.clone(), event.item, event.attempt);
        match &event.fact {
            Fact::AttemptStarted { role, .. } => drop(begun.insert(key, part_of(*role))),
            Fact::AttemptFinished { result, .. } => {
                let wrong = Origins::of_event(event).is_some_and(|origins| origins.whole == origin);
                let Some((at, _)) = state.find_item(step, event.item) else { continue };
                let here = *step == fault.place || state.shape().label(at) == fault.place;
                if wrong && here && begun.remove(&key) == Some(fault.part) {
                    struck.push(*result);
                    places.insert(at);
                }
            }
            _ => {}
        }
    }
    if struck.is_empty() {
        return None;
    }
    let taken = struck.iter().all(|result| *result == AttemptResult::Succeeded);
    let went_on = state.status() == RunStatus::Succeeded
        && places.iter().all(|at| state.step(*at).status == Status::Succeeded);
    Some(taken && (fault.part != Part::Own || went_on))
}
