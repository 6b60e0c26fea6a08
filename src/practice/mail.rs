//! The mailbox that catches what would go out, in the form in which maildev shows its own. Nothing leaves the
//! machine. An accepted notification is not yet a mail: `lose_mail` lets one vanish on the way, as relays do.

use axum::http::{Method, StatusCode};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::faults::{self, Moment};
use super::routes::Handled;
use super::wire::Wire;

const SENDER: &str = "no-reply@attendance-x.com";

/// What a template would have made a letter of: the stand-in knows its name only.
pub(crate) struct Letter<'a> {
    pub to: &'a str,
    pub name: &'a str,
    pub template: &'a str,
    pub text: &'a str,
    pub tenant_id: &'a str,
    pub notification_id: &'a str,
}

pub(crate) fn deliver(db: &Connection, call: &Call, seq: i64, letter: &Letter<'_>) -> Result<(), Problem> {
    if faults::take(db, seq, call, Moment::Mail)?.is_some() {
        return Ok(());
    }
    let mail = json!({
        "subject": letter.template.replace('_', " "),
        "date": call.at,
        "from": [{"address": SENDER, "name": "Attendance-X"}],
        "to": [{"address": letter.to, "name": letter.name}],
        "text": letter.text,
        "envelope": {"from": {"address": SENDER}, "to": [{"address": letter.to}]},
        "headers": {
            "x-template": letter.template,
            "x-tenant-id": letter.tenant_id,
            "x-notification-id": letter.notification_id,
        },
        "read": false,
    });
    db.execute("INSERT INTO mails (doc) VALUES (?1)", params![mail.to_string()])?;
    Ok(())
}

pub(crate) fn handle(db: &Connection, call: &Call, path: &str) -> Result<Handled, Problem> {
    let refuse = |status, code, message: String| Refusal(Wire::Mail.error(status, code, &message));
    let Some(rest) = path.strip_prefix("/api/email") else {
        return Err(refuse(StatusCode::NOT_FOUND, "not_found", format!("nothing at {path:?}")).into());
    };
    if call.method != Method::GET {
        let message = "the mailbox is only read here, expected GET".to_owned();
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message).into());
    }
    let id = rest.strip_prefix('/').filter(|id| !id.is_empty());
    if !rest.is_empty() && id.is_none() {
        return Err(refuse(StatusCode::NOT_FOUND, "not_found", format!("nothing at {path:?}")).into());
    }
    match id {
        None => {
            let mut query = db.prepare_cached("SELECT seq, doc FROM mails ORDER BY seq")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mails: Vec<Value> = rows.map(|row| with_id(row?)).collect::<Result<_, Problem>>()?;
            Ok(Handled::read(Answer::ok(&mails)?))
        }
        Some(id) => {
            let seq = id.strip_prefix("mail-").and_then(|number| number.parse::<i64>().ok());
            let found: Option<(i64, String)> = db
                .prepare_cached("SELECT seq, doc FROM mails WHERE seq = ?1")?
                .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let found =
                found.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "not_found", format!("no mail {id:?}")))?;
            Ok(Handled::read(Answer::ok(&with_id(found)?)?))
        }
    }
}

fn with_id((seq, doc): (i64, String)) -> Result<Value, Problem> {
    let mut mail: Value = serde_json::from_str(&doc)?;
    mail["id"] = json!(format!("mail-{seq:06}"));
    Ok(mail)
}
