//! The people of a tenant: giving them access, and what they see of their tenant with it. Whoever belongs to one
//! tenant is refused by every other, which is how a procedure proves that tenants are kept apart.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::access;
use super::answer::{Answer, Problem, Refusal};
use super::call::{Call, hex};
use super::routes::Handled;
use super::tenants::{Stored, looks_like_an_address};
use super::{audit, firestore};
use crate::clock::Timestamp;

const SHORTEST_PASSWORD: usize = 8;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Admin,
    Manager,
    Employee,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Employee => "employee",
        }
    }
}

/// Without a password of one's own it is that of the prepared logins.
pub(crate) fn insert(
    db: &Connection,
    at: Timestamp,
    tenant_id: &str,
    (email, role): (&str, Role),
    password: Option<&str>,
) -> Result<(), Problem> {
    db.execute(
        "INSERT INTO users (tenant_id, email, role, password_sha256) VALUES (?1, ?2, ?3, ?4)",
        params![tenant_id, email, role.name(), password.map(digest)],
    )?;
    let name = format!("users/{}", &digest(&format!("{tenant_id} {email}"))[..20]);
    firestore::keep(db, at, &name, &json!({"email": email, "tenantId": tenant_id, "role": role}))
}

/// The role of whoever knows the password; nothing otherwise.
pub(crate) fn role_of(
    db: &Connection,
    tenant_id: &str,
    (email, password): (&str, &str),
    prepared: &str,
) -> Result<Option<String>, Problem> {
    let found: Option<(String, Option<String>)> = db
        .prepare_cached("SELECT role, password_sha256 FROM users WHERE tenant_id = ?1 AND email = ?2")?
        .query_row(params![tenant_id, email], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.and_then(|(role, own)| {
        let known = own.map_or_else(|| password == prepared, |own| own == digest(password));
        known.then_some(role)
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUser {
    email: String,
    role: Role,
    password: String,
}

pub(crate) fn create(db: &Connection, call: &Call, tenant_id: &str) -> Result<Handled, Problem> {
    let wanted: NewUser = call.strict_json()?;
    let email = wanted.email.trim();
    if !looks_like_an_address(email) {
        let message = format!("email is {email:?}, expected an address such as admin@client.example");
        return Err(Refusal::bad_request(message).into());
    }
    if wanted.password.len() < SHORTEST_PASSWORD {
        let message = format!("the password is too short, expected {SHORTEST_PASSWORD} characters or more");
        return Err(Refusal::bad_request(message).into());
    }
    let stored = Stored::find(db, tenant_id)?.ok_or_else(|| Refusal::unknown_tenant(tenant_id))?;
    let id = &stored.tenant.id;
    let taken = db
        .query_row("SELECT 1 FROM users WHERE tenant_id = ?1 AND email = ?2", [id, email], |_| Ok(()))
        .optional()?;
    if taken.is_some() {
        return Err(Refusal::conflict(format!("{email:?} has access to tenant {id:?} already")).into());
    }
    insert(db, call.at, id, (email, wanted.role), Some(&wanted.password))?;
    let user = json!({"tenantId": id, "email": email, "role": wanted.role});
    audit::write(db, call.at, id, "user.added", audit::ADMIN, &json!({"email": email, "role": wanted.role}))?;
    Ok(Handled::effect(Answer::json(StatusCode::CREATED, &user)?))
}

/// The people of the tenant that the caller names, for one of them.
pub(crate) fn list(db: &Connection, call: &Call, prepared: &str) -> Result<Handled, Problem> {
    let id = access::named_tenant(call)?;
    let Some((email, password)) = basic(call) else {
        return Err(Refusal::unauthorized("no_login", "nobody named, expected Authorization: Basic").into());
    };
    let member = role_of(db, id, (&email, &password), prepared)?;
    if member.is_none() {
        let mut query = db.prepare_cached("SELECT tenant_id FROM users WHERE email = ?1")?;
        let others: Vec<String> = query.query_map([&email], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for other in others {
            if role_of(db, &other, (&email, &password), prepared)?.is_some() {
                let message = format!("{email:?} does not belong to tenant {id:?}");
                return Err(Refusal::new(StatusCode::FORBIDDEN, "not_a_member", message).into());
            }
        }
        return Err(Refusal::unauthorized("wrong_login", "email and password do not go together").into());
    }
    access::check_open(db, call, id)?;
    let mut query = db.prepare_cached("SELECT email, role FROM users WHERE tenant_id = ?1 ORDER BY email")?;
    let rows = query.query_map([id], |row| {
        Ok(json!({"email": row.get::<_, String>(0)?, "role": row.get::<_, String>(1)?}))
    })?;
    let users: Vec<_> = rows.collect::<Result<_, _>>()?;
    Ok(Handled::read(Answer::ok(&json!({"tenantId": id, "users": users}))?))
}

fn basic(call: &Call) -> Option<(String, String)> {
    let (scheme, given) = call.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(given.trim()).ok()?).ok()?;
    text.split_once(':').map(|(who, password)| (who.to_owned(), password.to_owned()))
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}
