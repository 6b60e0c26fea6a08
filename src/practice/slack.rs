//! An incoming webhook in the form of Slack's: a POST of `{"text": …}` is answered with `ok`, and everything else with
//! the word that Slack says. What came in is kept and shown; nothing leaves the machine.

use axum::http::{Method, StatusCode};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::routes::Handled;
use crate::clock::Timestamp;

pub(crate) fn handle(db: &Connection, token: &str, call: &Call, path: &str) -> Result<Handled, Problem> {
    if path == "/messages" && call.method == Method::GET {
        return list(db);
    }
    let Some(given) = path.strip_prefix("/services/") else {
        return Err(Refusal(refusal(StatusCode::NOT_FOUND, "no_service")).into());
    };
    if call.method != Method::POST {
        return Err(Refusal(refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")).into());
    }
    if given != token {
        return Err(Refusal(refusal(StatusCode::FORBIDDEN, "invalid_token")).into());
    }
    let payload: Option<Value> = serde_json::from_slice(&call.body).ok();
    let Some(text) = payload.as_ref().and_then(|payload| payload["text"].as_str()) else {
        return Err(Refusal(refusal(StatusCode::BAD_REQUEST, "invalid_payload")).into());
    };
    if text.is_empty() {
        return Err(Refusal(refusal(StatusCode::BAD_REQUEST, "no_text")).into());
    }
    db.execute("INSERT INTO chats (at, text) VALUES (?1, ?2)", params![call.at.millis(), text])?;
    Ok(Handled::effect(Answer::text("text/html", "ok".to_owned())))
}

fn list(db: &Connection) -> Result<Handled, Problem> {
    let mut query = db.prepare_cached("SELECT at, text FROM chats ORDER BY seq")?;
    let rows = query.query_map([], |row| {
        Ok(json!({"time": Timestamp::from_millis(row.get(0)?), "text": row.get::<_, String>(1)?}))
    })?;
    let messages: Vec<Value> = rows.collect::<Result<_, _>>()?;
    Ok(Handled::read(Answer::ok(&messages)?))
}

/// A word of text, as Slack refuses.
pub(crate) fn refusal(status: StatusCode, word: &str) -> Answer {
    Answer { status, ..Answer::text("text/html", word.to_owned()) }
}
