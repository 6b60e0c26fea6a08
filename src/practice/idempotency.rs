//! Idempotency keys: the first accepted answer under a key is stored with the effect, in one transaction, and
//! given again to whoever repeats the request. Neither a refusal nor a failure half way is stored, so that it
//! can be put right and sent again under the same key. Keys never expire here.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Problem, Refusal};
use super::call::{Call, hex};
use super::routes::Handled;
use super::wire::Wire;

const LONGEST_KEY: usize = 255;
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Runs `write` unless its key has been used; then the answer of that time, or a refusal.
pub(crate) fn once(
    db: &Connection,
    call: &Call,
    wire: Wire,
    write: impl FnOnce() -> Result<Handled, Problem>,
) -> Result<Handled, Problem> {
    let Some(key) = call.idempotency_key() else { return write() };
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("the idempotency key is not as expected: 1 to {LONGEST_KEY} visible characters");
        return Err(Refusal(wire.error(StatusCode::BAD_REQUEST, "bad_request", &message)).into());
    }
    let key = format!("{}{key}", wire.key_space());
    let fingerprint = fingerprint(call);
    let stored: Option<(String, u16, Vec<u8>)> = db
        .prepare_cached("SELECT fingerprint, status, body FROM stored_answers WHERE idempotency_key = ?1")?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match stored {
        Some((known, status, body)) if known == fingerprint => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let answer = Answer::json_bytes(status, body).with(REPLAYED, HeaderValue::from_static("true"));
            Ok(Handled { answer, effect: false, replayed: true })
        }
        Some(_) => Err(wire.key_reused().into()),
        None => {
            let handled = write()?;
            if !handled.answer.status.is_success() {
                return Ok(handled);
            }
            db.execute(
                "INSERT INTO stored_answers (idempotency_key, fingerprint, status, body) VALUES (?1, ?2, ?3, ?4)",
                params![key, fingerprint, handled.answer.status.as_u16(), handled.answer.body],
            )?;
            Ok(handled)
        }
    }
}

fn fingerprint(call: &Call) -> String {
    let mut hash = Sha256::new();
    hash.update(call.method.as_str());
    hash.update(b" ");
    hash.update(&call.path);
    hash.update(b"\n");
    hash.update(&call.body);
    hex(&hash.finalize())
}
