//! What the sources of a rehearsal have said already: they are asked again whatever the journal says they were asked, and
//! what they answer is thrown away. So the next answer is the one that would have come next, also in the middle of a list.

use std::sync::Arc;

use super::beyond::note;
use super::faults::FaultKind;
use super::stage::{Stage, requested};
use crate::clock::Clock;
use crate::core::{Fact, Role, Shape, State};
use crate::journal::Entry;
use crate::plan::{Effect, Plan};

impl Stage {
    /// # Errors
    /// The entries are no history of the plan.
    pub(super) fn recall(&self, plan: &Plan, run: &str, entries: &[Entry]) -> Result<(), String> {
        let now = self.attempts.now();
        let mut state = State::new(Arc::new(Shape::new(plan.graph.clone())?), run);
        for entry in entries {
            for event in &entry.events {
                state.apply(entry.at, event).map_err(|illegal| illegal.to_string())?;
                match &event.fact {
                    Fact::AttemptStarted { role, .. } => {
                        let place = event.step.as_ref().and_then(|step| state.find_item(step, event.item));
                        let (Some((at, _)), Some(request)) = (place, requested(event)) else { continue };
                        let cast = || self.cast.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        let read = *role == Role::Do && request.effect == Effect::Read;
                        // Nobody was asked about what was done for real.
                        if !(read && cast().live.is_some()) {
                            self.attempts.step(entry.at.millis() - self.attempts.now().millis());
                            self.perform(&state.shape().label(at), &request);
                        }
                    }
                    Fact::NoteRecorded {} => self.recall_fault(&note(event).unwrap_or_default()),
                    _ => {}
                }
            }
            for ask in state.derived().open_asks.iter().copied() {
                self.meets(&state, ask, FaultKind::Absent);
            }
        }
        self.attempts.step(now.millis() - self.attempts.now().millis());
        Ok(())
    }
}
