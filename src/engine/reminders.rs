//! When people are reminded of what they are asked: a view, and no part of the run's history.
//!
//! Times are the monotonic ones of the driver's clock, so that setting the wall clock reminds nobody early.

use std::collections::{BTreeMap, BTreeSet};

/// Between two reminders of a question that has no time-out of its own.
const EVERY_MS: u64 = 10 * 60 * 1_000;

#[derive(Debug, Default)]
pub(super) struct Reminders {
    due: BTreeMap<u32, u64>,
    /// When the timebox of a question is over; none once that was said.
    timeboxes: BTreeMap<u32, Option<u64>>,
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

    /// Those of the questions asked at present whose timebox is over, each once. `left`: what is left of it, in
    /// milliseconds, of those that have one.
    pub(super) fn over(&mut self, left: &BTreeMap<u32, u64>, mono: u64) -> Vec<u32> {
        self.timeboxes.retain(|ask, _| left.contains_key(ask));
        let mut now = Vec::new();
        for (ask, left) in left {
            let due = self.timeboxes.entry(*ask).or_insert(Some(mono.saturating_add(*left)));
            if due.is_some_and(|due| due <= mono) {
                *due = None;
                now.push(*ask);
            }
        }
        now
    }

    /// How long nobody has to be reminded of anything.
    pub(super) fn quiet(&self, mono: u64) -> Option<u64> {
        let all = self.due.values().chain(self.timeboxes.values().flatten());
        all.min().map(|due| due.saturating_sub(mono))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp, VirtualClock};

    #[test]
    fn that_a_timebox_is_over_is_said_once() {
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        let mut reminders = Reminders::default();
        let left = |asks: &[(u32, u64)]| asks.iter().copied().collect::<BTreeMap<_, _>>();
        assert_eq!(reminders.over(&left(&[(1, 900), (2, 0)]), clock.mono()), [2], "over since before");
        assert_eq!(reminders.quiet(clock.mono()), Some(900));
        clock.advance(899);
        assert_eq!(reminders.over(&left(&[(1, 1), (2, 0)]), clock.mono()), [0; 0]);
        clock.advance(1);
        assert_eq!(reminders.over(&left(&[(1, 0), (2, 0)]), clock.mono()), [1]);
        clock.advance(10_000);
        assert_eq!(reminders.over(&left(&[(1, 0)]), clock.mono()), [0; 0]);
        assert_eq!(reminders.quiet(clock.mono()), None);
    }

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
