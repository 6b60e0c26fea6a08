//! Fault switches: rules that make the platform misbehave on purpose, a counted number of times.
//!
//! Each kind belongs to one moment of a request. At that moment the first stored rule that matches is used up
//! by one, in the transaction of the moment itself, and its kind is noted in the request log. A kind of the
//! moment `Effect` waits for a write that took effect, now or earlier under the same idempotency key: a
//! refused write does not use it up.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::answer::{Problem, Refusal};
use super::call::Call;
use super::requests;

const MOST_RULES: usize = 100;
const MOST_TIMES: u32 = 10_000;
const LONGEST_MS: u64 = 3_600_000;

/// When in a request a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the request is even looked at.
    Arrival,
    /// An administrator reads one tenant.
    TenantRead,
    /// A tenant gets another status.
    StatusChange,
    /// The write is done, the answer is not out.
    Effect,
    /// The platform itself calls another system on the way; only a rule that names the path strikes here.
    Within,
    /// A mail is on its way to the mailbox.
    Mail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    ErrorAfterEffect,
    TooMany,
    Unauthorized,
    Stall,
    DropAfterEffect,
    DropBeforeEffect,
    SlowPropagation,
    StaleRead,
    ServerError,
    LoseMail,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// Any method where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The beginning of the path; any path where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    #[serde(rename = "match", default)]
    matching: Match,
    pub kind: Kind,
    #[serde(default = "once")]
    times: u32,
    /// `stall`: how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// `stall`: only once the write has taken effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    after_effect: bool,
    /// `slow_propagation`: how long the old status is still shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// `too_many`: the Retry-After header, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

fn once() -> u32 {
    1
}

impl Fault {
    fn moment(&self) -> Moment {
        match self.kind {
            Kind::TooMany | Kind::Unauthorized | Kind::DropBeforeEffect | Kind::ServerError => {
                Moment::Arrival
            }
            Kind::Stall if self.after_effect => Moment::Effect,
            Kind::Stall => Moment::Arrival,
            Kind::SlowPropagation => Moment::StatusChange,
            Kind::StaleRead => Moment::TenantRead,
            Kind::LoseMail => Moment::Mail,
            Kind::ErrorAfterEffect | Kind::DropAfterEffect => Moment::Effect,
        }
    }

    fn strikes(&self, call: &Call, moment: Moment) -> bool {
        let Match { method, path } = &self.matching;
        let own = self.moment();
        (own == moment || (moment == Moment::Within && own == Moment::Arrival && path.is_some()))
            && method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(call.method.as_str()))
            && path.as_deref().is_none_or(|path| call.path.starts_with(path))
    }

    fn check(&self) -> Result<(), String> {
        let own = |given: bool, kind: Kind, key: &str| match (given, self.kind == kind) {
            (true, false) => Err(format!("{key} does not belong to this kind")),
            _ => Ok(()),
        };
        own(self.delay_ms.is_some(), Kind::Stall, "delay_ms")?;
        own(self.after_effect, Kind::Stall, "after_effect")?;
        own(self.for_ms.is_some(), Kind::SlowPropagation, "for_ms")?;
        own(self.retry_after_s.is_some(), Kind::TooMany, "retry_after_s")?;
        let needed = match self.kind {
            Kind::Stall => Some(("delay_ms", self.delay_ms)),
            Kind::SlowPropagation => Some(("for_ms", self.for_ms)),
            _ => None,
        };
        match needed {
            Some((key, None)) => return Err(format!("{key} is missing")),
            Some((key, Some(ms))) if ms > LONGEST_MS => {
                return Err(format!("{key} is {ms}, expected at most {LONGEST_MS}"));
            }
            _ => {}
        }
        if self.times == 0 || self.times > MOST_TIMES {
            return Err(format!("times is {}, expected 1 to {MOST_TIMES}", self.times));
        }
        if let Some(path) = self.matching.path.as_deref().filter(|path| !path.starts_with('/')) {
            return Err(format!("match.path is {path:?}, expected the beginning of a path, such as /admin"));
        }
        Ok(())
    }
}

/// Uses up one firing of the first rule that strikes here, if there is one.
pub(crate) fn take(db: &Connection, seq: i64, call: &Call, moment: Moment) -> Result<Option<Fault>, Problem> {
    for (position, fault) in stored(db)? {
        if !fault.strikes(call, moment) {
            continue;
        }
        let left = Fault { times: fault.times.saturating_sub(1), ..fault.clone() };
        if left.times == 0 {
            db.execute("DELETE FROM faults WHERE position = ?1", [position])?;
        } else {
            let rule = serde_json::to_string(&left)?;
            db.execute("UPDATE faults SET rule = ?2 WHERE position = ?1", params![position, rule])?;
        }
        requests::note_fault(db, seq, &serde_json::to_string(&fault.kind)?)?;
        return Ok(Some(fault));
    }
    Ok(None)
}

/// The rules that still have something to do.
pub(crate) fn list(db: &Connection) -> Result<Vec<Fault>, Problem> {
    Ok(stored(db)?.into_iter().map(|(_, fault)| fault).collect())
}

/// All or none: one bad rule leaves the old list in force.
pub(crate) fn replace(db: &Connection, call: &Call) -> Result<Vec<Fault>, Problem> {
    let faults: Vec<Fault> = call.strict_json()?;
    if faults.len() > MOST_RULES {
        let message = format!("{} rules, expected at most {MOST_RULES}", faults.len());
        return Err(Refusal::bad_request(message).into());
    }
    for (number, fault) in (1..).zip(&faults) {
        fault.check().map_err(|reason| Refusal::bad_request(format!("rule {number}: {reason}")))?;
    }
    clear(db)?;
    for (position, fault) in (1_i64..).zip(&faults) {
        let rule = serde_json::to_string(fault)?;
        db.execute("INSERT INTO faults (position, rule) VALUES (?1, ?2)", params![position, rule])?;
    }
    Ok(faults)
}

pub(crate) fn clear(db: &Connection) -> Result<(), Problem> {
    db.execute("DELETE FROM faults", [])?;
    Ok(())
}

fn stored(db: &Connection) -> Result<Vec<(i64, Fault)>, Problem> {
    let mut query = db.prepare_cached("SELECT position, rule FROM faults ORDER BY position")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (position, rule) = row?;
        Ok((position, serde_json::from_str(&rule)?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rule: &str) -> Result<(), String> {
        serde_json::from_str::<Fault>(rule).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn a_rule_says_all_its_kind_needs_and_nothing_else() {
        verdict(r#"{"kind": "too_many"}"#).unwrap();
        verdict(r#"{"match": {"method": "PATCH", "path": "/admin"}, "kind": "stall", "delay_ms": 5}"#)
            .unwrap();
        for (rule, part) in [
            (r#"{"kind": "stall"}"#, "delay_ms is missing"),
            (r#"{"kind": "slow_propagation"}"#, "for_ms is missing"),
            (r#"{"kind": "too_many", "delay_ms": 5}"#, "delay_ms does not belong"),
            (r#"{"kind": "stale_read", "after_effect": true}"#, "after_effect does not belong"),
            (r#"{"kind": "stale_read", "times": 0}"#, "times is 0"),
            (r#"{"kind": "stall", "delay_ms": 3600001}"#, "expected at most"),
            (r#"{"kind": "stale_read", "match": {"path": "admin"}}"#, "beginning of a path"),
            (r#"{"kind": "explode"}"#, "unknown variant"),
            (r#"{"kind": "stale_read", "time": 2}"#, "unknown field"),
        ] {
            let error = verdict(rule).unwrap_err();
            assert!(error.contains(part), "{rule}: {error}");
        }
    }
}
