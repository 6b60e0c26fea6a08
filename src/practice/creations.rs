//! What each creation of a tenant has made, under the idempotency key of its request: so that whoever lost the
//! answer can ask, and can have it taken back without knowing what it made. A tenant that is older than a day is
//! in use: it is not removed by a key that somebody kept.

use axum::http::StatusCode;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::routes::Handled;
use super::tenants::{Stored, Tenant};
use super::{audit, firestore, stripe};
use crate::clock::Timestamp;

/// How long a creation may be taken back.
const TAKE_BACK_MS: i64 = 24 * 3_600_000;

pub(crate) fn note(db: &Connection, key: &str, tenant: &Tenant) -> Result<(), Problem> {
    db.execute(
        "INSERT INTO creations (idempotency_key, tenant_id, at) VALUES (?1, ?2, ?3)",
        params![key, tenant.id, tenant.created_at.millis()],
    )?;
    Ok(())
}

/// The tenant that was begun under this key.
pub(crate) fn find(db: &Connection, key: &str) -> Result<Option<Tenant>, Problem> {
    let id: Option<String> = db
        .prepare_cached("SELECT tenant_id FROM creations WHERE idempotency_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    Ok(Stored::find(db, &id)?.map(|stored| stored.tenant))
}

pub(crate) fn read(db: &Connection, key: &str) -> Result<Handled, Problem> {
    let tenant = find(db, key)?.ok_or_else(|| unknown(key))?;
    let state = if tenant.stripe_customer_id.is_some() { "complete" } else { "half_made" };
    let answer = json!({
        "key": key,
        "state": state,
        "tenantId": tenant.id,
        "stripeCustomerId": tenant.stripe_customer_id,
        "createdAt": tenant.created_at,
    });
    Ok(Handled::read(Answer::ok(&answer)?))
}

/// Everything that the creation made, and what was added to it since, goes; the audit log stays.
pub(crate) fn take_back(db: &Connection, call: &Call, key: &str) -> Result<Handled, Problem> {
    let tenant = find(db, key)?.ok_or_else(|| unknown(key))?;
    if age(call.at, &tenant) > TAKE_BACK_MS {
        let message =
            format!("tenant {:?} is older than a day: it may be in use and is not taken back", tenant.id);
        return Err(Refusal::conflict(message).into());
    }
    let documents = firestore::forget_tenant(db, &tenant.id)?;
    if let Some(customer) = &tenant.stripe_customer_id {
        stripe::forget_customer(db, customer)?;
    }
    for table in ["users", "jobs", "creations"] {
        db.execute(&format!("DELETE FROM {table} WHERE tenant_id = ?1"), [&tenant.id])?;
    }
    db.execute("DELETE FROM tenants WHERE id = ?1", [&tenant.id])?;
    // The key may be used for another try.
    db.execute("DELETE FROM stored_answers WHERE idempotency_key = ?1", [key])?;
    let details = json!({"name": tenant.name, "stripeCustomerId": tenant.stripe_customer_id});
    audit::write(db, call.at, &tenant.id, "tenant.removed", audit::ADMIN, &details)?;
    let removed = json!({
        "tenantId": tenant.id,
        "stripeCustomerId": tenant.stripe_customer_id,
        "documents": documents,
    });
    Ok(Handled::effect(Answer::json(StatusCode::OK, &json!({"removed": removed}))?))
}

fn age(now: Timestamp, tenant: &Tenant) -> i64 {
    now.millis().saturating_sub(tenant.created_at.millis())
}

fn unknown(key: &str) -> Refusal {
    Refusal::not_found(format!("nothing was created under the key {key:?}"))
}
