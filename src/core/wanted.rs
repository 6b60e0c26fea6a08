//! What ought to be in flight now: a function of the state, never of how it came about. After a crash there are no
//! transitions to remember.

use std::collections::BTreeSet;

use super::attempt::AttemptKey;
use super::state::{Phase, State, Timer};
use crate::clock::Timestamp;

/// Keys only: what belongs to them is read from the state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Attempt(AttemptKey),
    /// The attempt is running and ought not to.
    Stop(AttemptKey),
    /// The question is to be shown.
    Ask(u32),
    /// The clock is to be looked at again then.
    WakeAt(Timestamp),
}

/// Everything that ought to be under way. Empty for a run that is over, or paused with nothing running.
pub fn wanted(state: &State) -> BTreeSet<Command> {
    let mut wanted = BTreeSet::new();
    if matches!(state.phase(), Phase::New | Phase::Finished) {
        return wanted;
    }
    let paused = state.run.paused;
    let ending_stops = state.run.ending.as_ref().is_some_and(|ending| ending.stop);
    for step in &state.derived().in_flight {
        if let Some(key) = state.running_key(*step) {
            let main = state.shape().is_main(*step) || state.shape().is_guard(*step);
            let drained = ending_stops && main && !state.step(*step).settled;
            let stop = paused.is_some_and(|paused| paused.stop) || drained;
            wanted.insert(if stop { Command::Stop(key) } else { Command::Attempt(key) });
        }
    }
    if paused.is_none() {
        wanted.extend(state.derived().open_asks.iter().map(|ask| Command::Ask(*ask)));
        // A retry that finds no slot, its gate asked again or a guard in question, waits for those and not for the clock: its time may
        // have come without an entry to show it.
        let full = !state.has_slot();
        let next = state.derived().timers.iter().find(|(_, timer)| match timer {
            // A reversal of which the run has ended waits for the newer ones.
            Timer::Retry(step) if state.step(*step).settled => {
                !full && state.due_reversal(*step, None).is_some()
            }
            Timer::Retry(step) => !full && !state.waits_for_a_gate(*step) && !state.waits_for_a_guard(*step),
            Timer::Guard(guard) => !full && state.may_watch(*guard),
            _ => true,
        });
        wanted.extend(next.map(|(due, _)| Command::WakeAt(*due)));
    }
    wanted
}
