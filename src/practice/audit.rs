//! The platform's own audit log: one line for every change, written in the transaction of that change.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::answer::{Answer, Problem};
use super::call::Call;
use super::routes::Handled;
use crate::clock::Timestamp;

/// Whoever holds the admin token: the API knows no names.
pub(crate) const ADMIN: &str = "admin-token";
pub(crate) const SEED: &str = "seed";

pub(crate) fn write(
    db: &Connection,
    at: Timestamp,
    tenant_id: &str,
    action: &str,
    actor: &str,
    details: &Value,
) -> Result<(), Problem> {
    db.execute(
        "INSERT INTO audit (at, tenant_id, action, actor, details) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![at.millis(), tenant_id, action, actor, details.to_string()],
    )?;
    Ok(())
}

pub(crate) fn list(db: &Connection, call: &Call) -> Result<Handled, Problem> {
    let mut query = db.prepare_cached(
        "SELECT seq, at, tenant_id, action, actor, details FROM audit
         WHERE ?1 IS NULL OR tenant_id = ?1 ORDER BY seq",
    )?;
    let rows = query.query_map([call.parameter("tenantId")], |row| {
        let details: String = row.get(5)?;
        let entry = json!({
            "seq": row.get::<_, i64>(0)?,
            "time": Timestamp::from_millis(row.get(1)?),
            "tenantId": row.get::<_, String>(2)?,
            "action": row.get::<_, String>(3)?,
            "actor": row.get::<_, String>(4)?,
        });
        Ok((entry, details))
    })?;
    let mut entries = Vec::new();
    for row in rows {
        let (mut entry, details) = row?;
        entry["details"] = serde_json::from_str(&details)?;
        entries.push(entry);
    }
    Ok(Handled::read(Answer::ok(&json!({"entries": entries}))?))
}
