//! The request log: what reached the platform, in order, and which of it took effect.
//!
//! A request is entered on arrival and completed in the transaction of its effect, so that a crash test can
//! hold an engine's promises against it: `effectSeq` numbers the effects, `bodySha256` tells equal writes.
//! A request without status was cut off: dropped on purpose, or killed with the platform. `/practice/` itself
//! is not logged.

use axum::http::StatusCode;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use crate::clock::Timestamp;

pub(crate) fn arrive(db: &Connection, call: &Call) -> Result<i64, Problem> {
    let mut insert = db.prepare_cached(
        "INSERT INTO requests (at, method, path, query, idempotency_key, body_sha256)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    Ok(insert.insert(params![
        call.at.millis(),
        call.method.as_str(),
        call.path,
        call.query,
        call.idempotency_key(),
        call.body_digest(),
    ])?)
}

/// `kind` is a JSON string.
pub(crate) fn note_fault(db: &Connection, seq: i64, kind: &str) -> Result<(), Problem> {
    let change = "UPDATE requests SET faults = json_insert(faults, '$[#]', json(?2)) WHERE seq = ?1";
    db.prepare_cached(change)?.execute(params![seq, kind])?;
    Ok(())
}

/// What became of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub effect: bool,
    pub replayed: bool,
    /// None: the connection is closed without an answer.
    pub status: Option<StatusCode>,
}

pub(crate) fn finish(db: &Connection, seq: i64, outcome: Outcome) -> Result<(), Problem> {
    let mut update = db.prepare_cached(
        "UPDATE requests SET status = ?2, replayed = ?3,
             effect_seq = CASE WHEN ?4 THEN (SELECT coalesce(max(effect_seq), 0) + 1 FROM requests) END
         WHERE seq = ?1",
    )?;
    let status = outcome.status.map(|status| status.as_u16());
    update.execute(params![seq, status, outcome.replayed, outcome.effect])?;
    Ok(())
}

/// `after=SEQ` leaves out what was seen before, `effect=true` what changed nothing.
pub(crate) fn list(db: &Connection, call: &Call) -> Result<Answer, Problem> {
    let after: i64 = match call.parameter("after") {
        None => 0,
        Some(text) => text.parse().map_err(|_| {
            Refusal::bad_request(format!("after is {text:?}, expected the number of a request"))
        })?,
    };
    let effects_only = match call.parameter("effect") {
        None => false,
        Some("true") => true,
        Some(text) => {
            return Err(Refusal::bad_request(format!("effect is {text:?}, expected true")).into());
        }
    };
    let mut query = db.prepare_cached(
        "SELECT seq, at, method, path, query, idempotency_key, body_sha256, effect_seq, replayed, status, faults
         FROM requests WHERE seq > ?1 AND (NOT ?2 OR effect_seq IS NOT NULL) ORDER BY seq",
    )?;
    let rows = query.query_map(params![after, effects_only], |row| {
        let effect_seq: Option<i64> = row.get(7)?;
        let faults: String = row.get(10)?;
        let entry = json!({
            "seq": row.get::<_, i64>(0)?,
            "time": Timestamp::from_millis(row.get(1)?),
            "method": row.get::<_, String>(2)?,
            "path": row.get::<_, String>(3)?,
            "query": row.get::<_, Option<String>>(4)?,
            "idempotencyKey": row.get::<_, Option<String>>(5)?,
            "bodySha256": row.get::<_, Option<String>>(6)?,
            "effect": effect_seq.is_some(),
            "effectSeq": effect_seq,
            "replayed": row.get::<_, bool>(8)?,
            "status": row.get::<_, Option<i64>>(9)?,
        });
        Ok((entry, faults))
    })?;
    let mut entries = Vec::new();
    for row in rows {
        let (mut entry, faults) = row?;
        entry["faults"] = serde_json::from_str::<Value>(&faults)?;
        entries.push(entry);
    }
    Answer::ok(&json!({"requests": entries}))
}
