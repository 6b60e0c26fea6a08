//! What a tenant's own users meet: `/health` with their tenant's id, and `/login`. A suspended tenant is
//! refused here, which is how a procedure proves that a suspension works.

use axum::http::StatusCode;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::routes::Handled;
use super::tenants::{Status, Stored};
use super::users;

pub(crate) fn named_tenant(call: &Call) -> Result<&str, Refusal> {
    let id = call.header("x-tenant-id").map(str::trim).filter(|id| !id.is_empty());
    id.ok_or_else(|| Refusal::bad_request("no tenant named, expected a header X-Tenant-ID"))
}

pub(crate) fn health(db: &Connection, call: &Call) -> Result<Handled, Problem> {
    let id = named_tenant(call)?;
    check_open(db, call, id)?;
    Ok(Handled::read(Answer::ok(&json!({"status": "ok", "tenantId": id}))?))
}

/// Counts the call, and refuses it unless the tenant is active as its users see it.
pub(crate) fn check_open(db: &Connection, call: &Call, id: &str) -> Result<(), Problem> {
    let stored = Stored::find(db, id)?.ok_or_else(|| Refusal::unknown_tenant(id))?;
    count_call(db, id)?;
    match stored.status_shown(call.at) {
        Status::Active => Ok(()),
        Status::Suspended => Err(suspended(id).into()),
        Status::Maintenance => {
            let message = format!("tenant {id:?} is in maintenance");
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tenant_in_maintenance", message).into())
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    tenant_id: String,
    email: String,
    password: String,
}

/// Who does not know the password learns nothing: an unknown tenant and a wrong password look the same.
pub(crate) fn login(db: &Connection, call: &Call, password: &str) -> Result<Handled, Problem> {
    let login: Login = call.strict_json()?;
    let role = users::role_of(db, &login.tenant_id, (&login.email, &login.password), password)?;
    let stored = Stored::find(db, &login.tenant_id)?;
    let (Some(role), Some(stored)) = (role, stored) else {
        let message = "tenant, email and password do not go together";
        return Err(Refusal::unauthorized("wrong_login", message).into());
    };
    let id = &stored.tenant.id;
    count_call(db, id)?;
    match stored.status_shown(call.at) {
        Status::Active => {
            let user = json!({"tenantId": id, "email": login.email, "role": role});
            Ok(Handled::read(Answer::ok(&user)?))
        }
        Status::Suspended => Err(suspended(id).into()),
        Status::Maintenance => {
            let message = format!("tenant {id:?} is in maintenance");
            Err(Refusal::new(StatusCode::FORBIDDEN, "tenant_in_maintenance", message).into())
        }
    }
}

/// The prepared logins, for whoever practises: these are no secrets worth keeping.
pub(crate) fn logins(db: &Connection, password: &str) -> Result<Answer, Problem> {
    let mut query = db.prepare_cached(
        "SELECT tenant_id, email, role FROM users WHERE password_sha256 IS NULL ORDER BY tenant_id, email",
    )?;
    let rows = query.query_map([], |row| {
        Ok(json!({
            "tenantId": row.get::<_, String>(0)?,
            "email": row.get::<_, String>(1)?,
            "role": row.get::<_, String>(2)?,
            "password": password,
        }))
    })?;
    let logins: Vec<_> = rows.collect::<Result<_, _>>()?;
    Answer::ok(&json!({"logins": logins}))
}

fn suspended(id: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "tenant_suspended", format!("tenant {id:?} is suspended"))
}

fn count_call(db: &Connection, id: &str) -> Result<(), Problem> {
    db.prepare_cached("UPDATE tenants SET api_calls = api_calls + 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}
