//! Time as a value. Owns the one type for instants and the one place that reads the machine's clock.
//!
//! Nothing below `engine` reads a clock: time arrives as an argument (law L3). No environment variable
//! sets the clock, since a tool that writes an audit trail must not be talked into another date.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, in whole milliseconds since 1970. Written as RFC 3339, `2026-11-23T05:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Later by `millis`, staying at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add_unsigned(millis))
    }

    /// Milliseconds from `earlier` to `self`, zero when it lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 3339 has four digits for the year: what lies beyond is written as the last, or first, instant it has.
        let at = DateTime::<Utc>::from_timestamp_millis(self.0.clamp(FIRST, LAST))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    /// Any RFC 3339 instant with an offset; finer parts than a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(DateTime::parse_from_rfc3339(text)?.timestamp_millis()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a driver asks for the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Milliseconds on a scale that never steps; comparable within one process only.
    fn mono(&self) -> u64;
    /// The clock of a rehearsal, which nobody waits for: it is moved instead.
    fn as_virtual(&self) -> Option<&VirtualClock> {
        None
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp(Utc::now().timestamp_millis())
    }

    fn mono(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when told to: for rehearsals and tests.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now: AtomicI64,
    mono: AtomicI64,
}

impl VirtualClock {
    pub fn at(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.millis()), mono: AtomicI64::new(0) }
    }

    /// Time passes.
    pub fn advance(&self, millis: u64) {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.mono.fetch_add(millis, Ordering::SeqCst);
    }

    /// Time passes until `at`; none where that is past.
    pub fn advance_to(&self, at: Timestamp) {
        self.advance(at.since(self.now()));
    }

    /// Somebody sets the wall clock, forwards or backwards; the monotonic scale does not notice.
    pub fn step(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn mono(&self) -> u64 {
        u64::try_from(self.mono.load(Ordering::SeqCst)).unwrap_or(0)
    }

    fn as_virtual(&self) -> Option<&VirtualClock> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_in_utc() {
        let at: Timestamp = "2026-11-23T06:30:00.1239+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-11-23T05:30:00.123Z");
        assert_eq!(serde_json::from_str::<Timestamp>(&serde_json::to_string(&at).unwrap()).unwrap(), at);
        assert!("2026-11-23T06:30:00".parse::<Timestamp>().is_err(), "an offset is required");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(1), Timestamp::from_millis(i64::MAX));
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), 0);
    }

    #[test]
    fn the_end_of_time_can_be_read_back() {
        for (millis, text) in [(i64::MAX, "9999-12-31T23:59:59.999Z"), (i64::MIN, "0000-01-01T00:00:00.000Z")]
        {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_virtual_clock_steps_without_its_monotonic_scale() {
        let clock = VirtualClock::at(Timestamp::from_millis(1_000));
        clock.advance(10);
        clock.step(-500);
        assert_eq!((clock.now().millis(), clock.mono()), (510, 10));
    }
}
