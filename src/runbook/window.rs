//! Windows: when a runbook may be run. A cron line says when one opens, in a time zone, and it stays open for a time.
//!
//! Owns the arithmetic, days of clock changes included: what would open in the hour that is left out opens when that
//! hour is over, what would open in the hour that comes twice opens the first time, and the time it stays open is time
//! that passes. Time arrives as an argument.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::clock::Timestamp;

/// A window, ready to be asked.
#[derive(Debug, Clone)]
pub struct Window {
    cron: Cron,
    zone: Tz,
    open_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    #[error("`{text}` is no cron line: {why}")]
    Cron { text: String, why: String },
    #[error("`{0}` never comes")]
    Never(String),
    #[error("`{0}` is no time zone")]
    Zone(String),
}

impl Window {
    /// # Errors
    /// The cron line or the zone means nothing.
    pub fn new(cron: &str, zone: &str, open_ms: u64) -> Result<Self, BadWindow> {
        let zone = zone.parse().map_err(|_| BadWindow::Zone(zone.to_owned()))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let found = parser.parse(cron).map_err(|error| BadWindow::Cron {
            text: cron.to_owned(),
            why: error.to_string().to_lowercase(),
        })?;
        let window = Self { cron: found, zone, open_ms };
        match window.next(Timestamp::from_millis(0)) {
            Some(_) => Ok(window),
            None => Err(BadWindow::Never(cron.to_owned())),
        }
    }

    /// Until when it is open, if it is.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&self.at(now)?, true).ok()?;
        let until = Timestamp::from_millis(last.timestamp_millis()).plus(self.open_ms);
        (now < until).then_some(until)
    }

    /// When it opens next.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.at(now)?, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp_millis()))
    }

    /// An instant as a clock in its zone shows it.
    pub fn local(&self, at: Timestamp) -> String {
        self.at(at).map_or_else(
            || at.to_string(),
            |local| format!("{} {}", local.format("%Y-%m-%d %H:%M"), self.zone.name()),
        )
    }

    fn at(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        Some(DateTime::<Utc>::from_timestamp_millis(at.millis())?.with_timezone(&self.zone))
    }
}

/// The zone that is most like what was written.
pub fn zones() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, VirtualClock};

    const HOUR: u64 = 3_600_000;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn paris(cron: &str, hours: u64) -> Window {
        Window::new(cron, "Europe/Paris", hours * HOUR).unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_first_instant_to_before_its_last() {
        let window = paris("0 22 * * 1-5", 6);
        // Monday evening in Paris, in winter.
        assert_eq!(window.open_until(at("2026-11-23T20:59:59.999Z")), None);
        assert_eq!(window.next(at("2026-11-23T20:59:59.999Z")), Some(at("2026-11-23T21:00:00Z")));
        assert_eq!(window.open_until(at("2026-11-23T21:00:00Z")), Some(at("2026-11-24T03:00:00Z")));
        assert_eq!(window.open_until(at("2026-11-24T02:59:59.999Z")), Some(at("2026-11-24T03:00:00Z")));
        assert_eq!(window.open_until(at("2026-11-24T03:00:00Z")), None);
        // From Friday's on to Monday's.
        assert_eq!(window.next(at("2026-11-27T21:00:00Z")), Some(at("2026-11-30T21:00:00Z")));
        assert_eq!(window.local(at("2026-11-23T21:00:00Z")), "2026-11-23 22:00 Europe/Paris");
    }

    #[test]
    fn the_hour_that_is_left_out_opens_when_it_is_over() {
        // On 29 March 2026 clocks in Paris go from 02:00 to 03:00, at 01:00 UTC.
        let window = paris("30 2 * * *", 2);
        let clock = VirtualClock::at(at("2026-03-29T00:00:00Z"));
        let opens = window.next(clock.now()).unwrap();
        assert_eq!(opens, at("2026-03-29T01:00:00Z"));
        assert_eq!(window.local(opens), "2026-03-29 03:00 Europe/Paris");
        clock.step(i64::try_from(HOUR).unwrap() - 1);
        assert_eq!(window.open_until(clock.now()), None);
        clock.step(1);
        assert_eq!(window.open_until(clock.now()), Some(at("2026-03-29T03:00:00Z")), "two hours that pass");
        clock.step(2 * i64::try_from(HOUR).unwrap());
        assert_eq!(window.open_until(clock.now()), None);
        assert_eq!(window.next(clock.now()), Some(at("2026-03-30T00:30:00Z")), "the next day as ever");
    }

    #[test]
    fn the_hour_that_comes_twice_opens_once() {
        // On 25 October 2026 clocks in Paris go from 03:00 back to 02:00, at 01:00 UTC.
        let window = paris("30 2 * * *", 2);
        let clock = VirtualClock::at(at("2026-10-25T00:00:00Z"));
        assert_eq!(window.next(clock.now()), Some(at("2026-10-25T00:30:00Z")), "the first 02:30");
        let half_past = i64::try_from(HOUR / 2).unwrap();
        clock.step(half_past);
        assert_eq!(window.open_until(clock.now()), Some(at("2026-10-25T02:30:00Z")));
        clock.step(2 * half_past);
        // 02:30 for the second time: nothing opens anew.
        assert_eq!(window.open_until(clock.now()), Some(at("2026-10-25T02:30:00Z")));
        assert_eq!(window.next(clock.now()), Some(at("2026-10-26T01:30:00Z")));
        let short = Window::new("30 2 * * *", "Europe/Paris", HOUR / 4).unwrap();
        assert_eq!(short.open_until(clock.now()), None, "it has been open the first time");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        assert_eq!(
            Window::new("0 22 * * *", "Europe/Pari", 1).unwrap_err(),
            BadWindow::Zone("Europe/Pari".into())
        );
        assert_eq!(Window::new("0 0 30 2 *", "UTC", 1).unwrap_err(), BadWindow::Never("0 0 30 2 *".into()));
        for cron in ["", "0 25 * * *", "0 0 22 * * *", "every day", "0 22 * *"] {
            assert!(matches!(Window::new(cron, "UTC", 1), Err(BadWindow::Cron { .. })), "{cron}");
        }
    }
}
