//! When people are reminded of what they are asked: a view, and no part of the run's history.
//!
//! Times are the monotonic ones of the driver's clock, so that setting the wall clock reminds nobody early.

use std::collections::{BTreeMap, BTreeSet};

/// Between two reminders of a question that has no time-out of its own.
const EVERY_MS: u64 = 10 * 60 * 1_000;

#[derive(Debug, Default)]
pub(super) struct Reminders {
    due: BTreeMap<u32, u64>,
}

impl Reminders {
    /// Those of the questions asked at present that somebody is to be reminded of now.
    pub(super) fn look(&mut self, asked: &BTreeSet<u32>, mono: u64) -> Vec<u32> {
        self.due.retain(|ask, _| asked.contains(ask));
        let mut now = Vec::new();
        for ask in asked {
            let due = self.due.entry(*ask).or_insert(mono.saturating_add(EVERY_MS));
            if *due <= mono {
                *due = mono.saturating_add(EVERY_MS);
                now.push(*ask);
            }
        }
        now
    }

    /// How long nobody has to be reminded of anything.
    pub(super) fn quiet(&self, mono: u64) -> Option<u64> {
        self.due.values().min().map(|due| due.saturating_sub(mono))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp, VirtualClock};

    #[test]
    fn people_are_reminded_every_ten_minutes_as_long_as_they_are_asked() {
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        let mut reminders = Reminders::default();
        let mut look = |asked: &[u32]| {
            let now = reminders.look(&asked.iter().copied().collect(), clock.mono());
            (now, reminders.quiet(clock.mono()))
        };
        assert_eq!(look(&[]), (vec![], None));
        assert_eq!(look(&[1]), (vec![], Some(600_000)));
        clock.advance(400_000);
        assert_eq!(look(&[1, 2]), (vec![], Some(200_000)));
        clock.step(3_600_000);
        assert_eq!(look(&[1, 2]), (vec![], Some(200_000)), "somebody set the wall clock");
        clock.advance(200_000);
        assert_eq!(look(&[1, 2]), (vec![1], Some(400_000)));
        clock.advance(400_000);
        assert_eq!(look(&[1, 2]), (vec![2], Some(200_000)));
        clock.advance(200_000);
        assert_eq!(look(&[2]), (vec![], Some(400_000)), "the other one is answered");
        clock.advance(4_000_000);
        assert_eq!(look(&[2]), (vec![2], Some(600_000)), "once, however late");
    }
}
