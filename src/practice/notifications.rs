//! Notifications to tenants: accepted, put into an outbox, and from there into the mailbox of the stand-in.

use axum::http::StatusCode;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Problem, Refusal};
use super::audit;
use super::call::Call;
use super::mail::{self, Letter};
use super::routes::Handled;
use super::tenants::Stored;
use crate::clock::Timestamp;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Notification {
    tenant_id: String,
    #[serde(rename = "type")]
    kind: String,
    template: String,
    message: Option<String>,
}

/// The procedures send this without a content type, and the platform takes it.
pub(crate) fn send(db: &Connection, call: &Call, seq: i64, strict: bool) -> Result<Handled, Problem> {
    let wanted: Notification = if strict { call.strict_json()? } else { call.json()? };
    for (field, word) in [("type", &wanted.kind), ("template", &wanted.template)] {
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            let message = format!("{field} is {word:?}, expected a name such as suspension_notice");
            return Err(Refusal::bad_request(message).into());
        }
    }
    let stored = Stored::find(db, &wanted.tenant_id)?;
    let tenant = stored.ok_or_else(|| Refusal::unknown_tenant(&wanted.tenant_id))?.tenant;
    db.execute(
        "INSERT INTO outbox (at, tenant_id, type, template, message) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![call.at.millis(), wanted.tenant_id, wanted.kind, wanted.template, wanted.message],
    )?;
    let id = notification_id(db.last_insert_rowid());
    let letter = Letter {
        to: &tenant.email,
        name: &tenant.name,
        template: &wanted.template,
        text: wanted.message.as_deref().unwrap_or(""),
        tenant_id: &tenant.id,
        notification_id: &id,
    };
    mail::deliver(db, call, seq, &letter)?;
    let details = json!({"id": id, "type": wanted.kind, "template": wanted.template});
    audit::write(db, call.at, &wanted.tenant_id, "notification.sent", audit::ADMIN, &details)?;
    Ok(Handled::effect(Answer::json(StatusCode::ACCEPTED, &json!({"id": id}))?))
}

pub(crate) fn list(db: &Connection, call: &Call) -> Result<Handled, Problem> {
    let mut query = db.prepare_cached(
        "SELECT seq, at, tenant_id, type, template, message FROM outbox
         WHERE ?1 IS NULL OR tenant_id = ?1 ORDER BY seq",
    )?;
    let rows = query.query_map([call.parameter("tenantId")], |row| {
        Ok(json!({
            "id": notification_id(row.get(0)?),
            "time": Timestamp::from_millis(row.get(1)?),
            "tenantId": row.get::<_, String>(2)?,
            "type": row.get::<_, String>(3)?,
            "template": row.get::<_, String>(4)?,
            "message": row.get::<_, Option<String>>(5)?,
        }))
    })?;
    let notifications: Vec<_> = rows.collect::<Result<_, _>>()?;
    Ok(Handled::read(Answer::ok(&json!({"notifications": notifications}))?))
}

fn notification_id(seq: i64) -> String {
    format!("ntf-{seq:06}")
}
