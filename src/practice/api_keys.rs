//! Keys that programs call the platform with: issued, shown once, used, and revoked; and the programs that use them.
//!
//! A key reads what the administrator may read, and changes nothing. The platform keeps none: what a key says is
//! computed from its id and the administrator's token, so that the same request, sent again, is answered again.

use axum::http::StatusCode;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Problem, Refusal};
use super::audit;
use super::call::{Call, hex};
use super::routes::Handled;
use crate::clock::Timestamp;

/// What changes of keys stand under in the audit log: they belong to no tenant.
const PLATFORM: &str = "platform";

/// The program and its key that a new state folder starts with.
pub(crate) fn plant(db: &Connection, at: Timestamp) -> Result<(), Problem> {
    insert(db, at, "billing export", None)?;
    db.execute("INSERT INTO consumers (name, key_id) VALUES ('billing-export', 'key_1')", [])?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewKey {
    label: String,
}

/// Says the key; nothing says it again, but for the same request under the same idempotency key.
pub(crate) fn issue(db: &Connection, call: &Call, token: &str) -> Result<Handled, Problem> {
    let wanted: NewKey = call.strict_json()?;
    let label = wanted.label.trim();
    if label.is_empty() {
        return Err(Refusal::bad_request("the label is empty, expected what the key is for").into());
    }
    let request = call.idempotency_key();
    let known: Option<(String, String)> = db
        .prepare_cached("SELECT id, label FROM api_keys WHERE idempotency_key = ?1")?
        .query_row([&request], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((_, then)) if then != label => {
            Err(Refusal::conflict("the idempotency key was used for another request").into())
        }
        Some((id, _)) => {
            let answer = Answer::json(StatusCode::CREATED, &with_key(db, &id, token)?)?;
            Ok(Handled { answer, effect: false, replayed: true })
        }
        None => {
            let id = insert(db, call.at, label, request.as_deref())?;
            audit::write(db, call.at, PLATFORM, "api-key.issued", audit::ADMIN, &json!({"id": id}))?;
            Ok(Handled::effect(Answer::json(StatusCode::CREATED, &with_key(db, &id, token)?)?))
        }
    }
}

pub(crate) fn list(db: &Connection) -> Result<Handled, Problem> {
    let mut query = db.prepare_cached("SELECT id FROM api_keys ORDER BY seq")?;
    let ids: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let keys: Vec<Value> = ids
        .iter()
        .map(|id| found(db, id)?.ok_or_else(|| unknown(id).into()))
        .collect::<Result<_, Problem>>()?;
    Ok(Handled::read(Answer::ok(&json!({"keys": keys}))?))
}

pub(crate) fn read(db: &Connection, id: &str) -> Result<Handled, Problem> {
    let key = found(db, id)?.ok_or_else(|| unknown(id))?;
    Ok(Handled::read(Answer::ok(&key)?))
}

/// Refused while a program still uses it.
pub(crate) fn revoke(db: &Connection, call: &Call, id: &str) -> Result<Handled, Problem> {
    found(db, id)?.ok_or_else(|| unknown(id))?;
    let user: Option<String> =
        db.query_row("SELECT name FROM consumers WHERE key_id = ?1", [id], |row| row.get(0)).optional()?;
    if let Some(user) = user {
        return Err(Refusal::conflict(format!("{user:?} still uses the key {id:?}")).into());
    }
    let changed = db.execute(
        "UPDATE api_keys SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL",
        params![id, call.at.millis()],
    )?;
    if changed > 0 {
        audit::write(db, call.at, PLATFORM, "api-key.revoked", audit::ADMIN, &json!({"id": id}))?;
    }
    let answer = Answer::ok(&found(db, id)?)?;
    Ok(if changed > 0 { Handled::effect(answer) } else { Handled::read(answer) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUse {
    api_key: String,
}

pub(crate) fn consumer(db: &Connection, name: &str) -> Result<Handled, Problem> {
    let id: Option<String> =
        db.query_row("SELECT key_id FROM consumers WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    let id = id.ok_or_else(|| Refusal::not_found(format!("no program is called {name:?}")))?;
    Ok(Handled::read(Answer::ok(&json!({"name": name, "keyId": id}))?))
}

/// Gives a program the key that it is to use from now on.
pub(crate) fn equip(db: &Connection, call: &Call, name: &str, token: &str) -> Result<Handled, Problem> {
    let wanted: NewUse = call.strict_json()?;
    let id = living(db, &wanted.api_key, token)?
        .ok_or_else(|| Refusal::bad_request("the key is none of this platform, or is revoked"))?;
    db.execute(
        "INSERT INTO consumers (name, key_id) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET key_id = excluded.key_id",
        params![name, id],
    )?;
    let details = json!({"name": name, "keyId": id});
    audit::write(db, call.at, PLATFORM, "consumer.equipped", audit::ADMIN, &details)?;
    Ok(Handled::effect(Answer::ok(&details)?))
}

/// Whether a key that somebody showed may be used, which is noted.
pub(crate) fn admits(db: &Connection, key: &str, token: &str) -> Result<bool, Problem> {
    let Some(id) = living(db, key, token)? else { return Ok(false) };
    db.execute("UPDATE api_keys SET used = used + 1 WHERE id = ?1", [id])?;
    Ok(true)
}

fn insert(db: &Connection, at: Timestamp, label: &str, request: Option<&str>) -> Result<String, Problem> {
    let seq: i64 = db.query_row("SELECT coalesce(max(seq), 0) + 1 FROM api_keys", [], |row| row.get(0))?;
    let id = format!("key_{seq}");
    db.execute(
        "INSERT INTO api_keys (seq, id, label, idempotency_key, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![seq, id, label, request, at.millis()],
    )?;
    Ok(id)
}

/// The id of a key that is not revoked. Its text begins with its id.
fn living(db: &Connection, key: &str, token: &str) -> Result<Option<String>, Problem> {
    let Some((id, _)) = key.rsplit_once('_') else { return Ok(None) };
    if key != text(id, token) {
        return Ok(None);
    }
    let found = db
        .query_row("SELECT id FROM api_keys WHERE id = ?1 AND revoked IS NULL", [id], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn text(id: &str, token: &str) -> String {
    format!("{id}_{}", &hex(&Sha256::digest(format!("api key {id} {token}")))[..40])
}

fn with_key(db: &Connection, id: &str, token: &str) -> Result<Value, Problem> {
    let mut answer = found(db, id)?.ok_or_else(|| unknown(id))?;
    answer["key"] = text(id, token).into();
    Ok(answer)
}

fn found(db: &Connection, id: &str) -> Result<Option<Value>, Problem> {
    let row = db
        .prepare_cached("SELECT label, created, revoked, used FROM api_keys WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(json!({
                "id": id,
                "label": row.get::<_, String>(0)?,
                "createdAt": Timestamp::from_millis(row.get(1)?),
                "revokedAt": row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                "used": row.get::<_, i64>(3)?,
            }))
        })
        .optional()?;
    Ok(row)
}

fn unknown(id: &str) -> Refusal {
    Refusal::not_found(format!("no key has the id {id:?}"))
}
