//! Times in expressions: `plus`, `minus`, `format` and `epoch`, over instants that are given.
//!
//! Owns what these filters take: RFC 3339 instants with an offset, durations whose length is fixed. Never reads a
//! clock or a zone, and never says a value in an error.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, SecondsFormat};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Units whose length depends on the calendar.
const CALENDAR: [&str; 7] = ["M", "month", "months", "y", "yr", "year", "years"];

pub(super) fn add_to(engine: &mut Environment<'_>) {
    engine.add_filter("plus", plus);
    engine.add_filter("minus", minus);
    engine.add_filter("format", format);
    engine.add_filter("epoch", epoch);
}

/// Later by a duration.
fn plus(at: &Value, by: &Value) -> Result<String, Error> {
    let (at, by) = (instant("plus", at)?, duration("plus", by)?);
    moved("plus", at, at.timestamp_millis().checked_add(by))
}

/// Earlier by a duration.
fn minus(at: &Value, by: &Value) -> Result<String, Error> {
    let (at, by) = (instant("minus", at)?, duration("minus", by)?);
    moved("minus", at, at.timestamp_millis().checked_sub(by))
}

/// As text, by a pattern of strftime, in the instant's own offset and with English names.
fn format(at: &Value, pattern: &Value) -> Result<String, Error> {
    let at = instant("format", at)?;
    let pattern = text("format", pattern, "a pattern such as \"%Y-%m-%d\"")?;
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    if items.contains(&Item::Error) {
        return Err(refused(
            "`format` takes a pattern such as \"%Y-%m-%d\", this one has a part it cannot read",
        ));
    }
    let mut out = String::new();
    write!(out, "{}", at.format_with_items(items.into_iter()))
        .map_err(|_| refused("`format` cannot write an instant by this pattern"))?;
    Ok(out)
}

/// Whole seconds since 1970 began in UTC.
fn epoch(at: &Value) -> Result<i64, Error> {
    Ok(instant("epoch", at)?.timestamp_millis().div_euclid(1_000))
}

/// The instant of a text. A leap second is the second that follows it, as in every journal.
fn instant(filter: &str, value: &Value) -> Result<DateTime<FixedOffset>, Error> {
    let wanted = "an instant with its offset, such as \"2026-11-23T06:30:00+01:00\"";
    let text = text(filter, value, wanted)?;
    let other = || refused(format!("`{filter}` takes {wanted}, found another text"));
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| other())?;
    at_millis(at, at.timestamp_millis()).ok_or_else(other)
}

/// Milliseconds of a duration.
fn duration(filter: &str, value: &Value) -> Result<i64, Error> {
    let wanted = "a duration with its unit, such as \"10m\" or \"1h 30m\"";
    let text = text(filter, value, wanted)?;
    if text.split(|c: char| !c.is_alphabetic()).any(|unit| CALENDAR.contains(&unit)) {
        let message = format!("`{filter}` takes {wanted}: a month or a year has no fixed length");
        return Err(refused(message));
    }
    let by: Duration = humantime::parse_duration(text)
        .map_err(|_| refused(format!("`{filter}` takes {wanted}, found another text")))?;
    if !by.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(refused(format!("`{filter}` counts in milliseconds, found a finer duration")));
    }
    i64::try_from(by.as_millis()).map_err(|_| beyond(filter))
}

fn text<'v>(filter: &str, value: &'v Value, wanted: &str) -> Result<&'v str, Error> {
    if value.kind() == ValueKind::Undefined {
        return Err(Error::new(ErrorKind::UndefinedError, "is not defined"));
    }
    value.as_str().ok_or_else(|| {
        let found = value.kind();
        refused(format!("`{filter}` takes {wanted}, found a value of type {found}"))
    })
}

/// An instant in the offset of another, written as every instant is.
fn moved(filter: &str, from: DateTime<FixedOffset>, millis: Option<i64>) -> Result<String, Error> {
    let at = millis.and_then(|millis| at_millis(from, millis)).ok_or_else(|| beyond(filter))?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// `None` where RFC 3339 has no year for it.
fn at_millis(from: DateTime<FixedOffset>, millis: i64) -> Option<DateTime<FixedOffset>> {
    let at = DateTime::from_timestamp_millis(millis)?.with_timezone(from.offset());
    (0..=9_999).contains(&at.year()).then_some(at)
}

fn beyond(filter: &str) -> Error {
    refused(format!("`{filter}` leads out of the years 0 to 9999"))
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Expr, Lookup, Scope};

    struct World(Value);

    impl Scope for World {
        fn lookup(&self, root: &str, name: &str) -> Lookup {
            match (root, name) {
                ("inputs", "at") => Lookup::Known(self.0.clone()),
                ("steps", "a") => Lookup::Known(json!({})),
                _ => Lookup::Missing,
            }
        }
    }

    fn value(at: Value, expr: &str) -> Result<Value, String> {
        Expr::parse(expr).unwrap().value(&World(at)).map_err(|error| error.message)
    }

    fn gives(at: &str, filters: &str, wanted: &str) {
        assert_eq!(value(json!(at), &format!("inputs.at | {filters}")), Ok(json!(wanted)), "{at} {filters}");
    }

    #[test]
    fn rule_19_time_is_added_and_taken_away() {
        gives("2026-11-23T05:30:00Z", "plus('10m')", "2026-11-23T05:40:00.000Z");
        gives("2026-11-23T05:30:00.250Z", "minus('1h 30m')", "2026-11-23T04:00:00.250Z");
        gives("2026-11-23T05:30:00Z", "plus('1d') | minus('24h')", "2026-11-23T05:30:00.000Z");
    }

    #[test]
    fn rule_19_days_are_counted_by_the_calendar() {
        gives("2028-02-28T12:00:00Z", "plus('1d')", "2028-02-29T12:00:00.000Z");
        gives("2027-02-28T12:00:00Z", "plus('1d')", "2027-03-01T12:00:00.000Z");
        gives("2000-03-01T00:00:00Z", "minus('1ms')", "2000-02-29T23:59:59.999Z");
        gives("2100-02-28T23:59:59Z", "plus('1s')", "2100-03-01T00:00:00.000Z");
        gives("2016-12-31T23:59:60Z", "plus('1s')", "2017-01-01T00:00:01.000Z");
    }

    #[test]
    fn rule_19_an_instant_keeps_its_offset() {
        gives("2026-12-31T23:30:00+01:00", "plus('1h')", "2027-01-01T00:30:00.000+01:00");
        gives("2026-11-23T00:15:00-03:30", "minus('30m')", "2026-11-22T23:45:00.000-03:30");
        gives("2026-11-23T00:15:00-03:30", "format('%d.%m.%Y %H:%M %z')", "23.11.2026 00:15 -0330");
        gives("2026-11-23T05:30:00Z", "format('%A, %e %B; 100 %%')", "Monday, 23 November; 100 %");
    }

    #[test]
    fn rule_19_the_epoch_counts_whole_seconds() {
        for (at, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("2026-11-23T05:30:00.999Z", 1_795_411_800),
            ("1969-12-31T23:59:59.500Z", -1),
        ] {
            assert_eq!(value(json!(at), "inputs.at | epoch"), Ok(json!(seconds)), "{at}");
        }
        let later =
            value(json!("2026-11-23T05:30:00Z"), "(inputs.at | plus('5m') | epoch) - (inputs.at | epoch)");
        assert_eq!(later, Ok(json!(300)));
    }

    #[test]
    fn rule_19_what_leads_out_of_the_calendar_is_refused() {
        for (at, filters) in [
            ("9999-12-31T23:59:59Z", "plus('1s')"),
            ("0000-01-01T00:00:00Z", "minus('1ms')"),
            ("9999-12-31T23:30:00+01:00", "plus('30m')"),
            ("2026-11-23T05:30:00Z", "plus('99999999999999d')"),
            ("2026-11-23T05:30:00Z", "minus('18446744073709551615s')"),
        ] {
            let error = value(json!(at), &format!("inputs.at | {filters}")).unwrap_err();
            assert!(error.ends_with("leads out of the years 0 to 9999"), "{at} {filters}: {error}");
        }
    }

    #[test]
    fn rule_19_wrong_values_are_refused_and_not_said() {
        let canary = "canary-value";
        for (at, filters, wanted) in [
            (json!(1_795_411_800), "epoch", "found a value of type number"),
            (json!(null), "plus('1h')", "found a value of type none"),
            (json!(["2026-11-23T05:30:00Z"]), "format('%Y')", "found a value of type sequence"),
            (json!(canary), "epoch", "found another text"),
            (json!("2026-11-23T05:30:00"), "epoch", "found another text"),
            (json!("2026-11-23"), "epoch", "found another text"),
            (json!("2026-02-30T00:00:00Z"), "epoch", "found another text"),
            (json!("2026-11-23T05:30:00Z"), "plus(60)", "found a value of type number"),
            (json!("2026-11-23T05:30:00Z"), "plus('60')", "found another text"),
            (json!("2026-11-23T05:30:00Z"), "plus('-1h')", "found another text"),
            (json!("2026-11-23T05:30:00Z"), "plus('canary-value')", "found another text"),
            (json!("2026-11-23T05:30:00Z"), "plus('1month')", "no fixed length"),
            (json!("2026-11-23T05:30:00Z"), "minus('1y')", "no fixed length"),
            (json!("2026-11-23T05:30:00Z"), "plus('1ns')", "found a finer duration"),
            (json!("2026-11-23T05:30:00Z"), "format('%Q canary-value')", "has a part it cannot read"),
            (json!("2026-11-23T05:30:00Z"), "format('%')", "has a part it cannot read"),
            (json!("2026-11-23T05:30:00Z"), "format(1)", "found a value of type number"),
            (json!("2026-11-23T05:30:00Z"), "plus()", "missing argument"),
            (json!("2026-11-23T05:30:00Z"), "epoch(1)", "too many arguments"),
        ] {
            let error = value(at.clone(), &format!("inputs.at | {filters}")).unwrap_err();
            assert!(error.contains(wanted), "{at} {filters}: {error}");
            assert!(!error.contains(canary), "{error}");
        }
        let error = value(json!(""), "steps.a.nope | epoch").unwrap_err();
        assert_eq!(error, "is not defined");
    }
}
