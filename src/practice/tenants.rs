//! Tenants: their data, which status may follow which, and the calls that read and change them.

use std::fmt;

use axum::http::StatusCode;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::faults::{self, Moment};
use super::routes::Handled;
use super::wire::Wire;
use super::{audit, creations, firestore, seed, stripe};
use crate::clock::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Active,
    Suspended,
    Maintenance,
}

impl Status {
    /// The law of the platform: a tenant in maintenance or suspended comes back through `active`.
    fn may_become(self, next: Self) -> bool {
        self == next || self == Self::Active || next == Self::Active
    }

    fn action(self) -> &'static str {
        match self {
            Self::Active => "tenant.activated",
            Self::Suspended => "tenant.suspended",
            Self::Maintenance => "tenant.maintenance",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Maintenance => "maintenance",
        })
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plan {
    Basic,
    Standard,
    Premium,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BillingCycle {
    Monthly,
    Yearly,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tenant {
    pub id: String,
    pub name: String,
    pub email: String,
    pub plan: Plan,
    pub billing_cycle: BillingCycle,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspension_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivation_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivated_at: Option<Timestamp>,
    /// None: the platform made the tenant and then did not reach Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_customer_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A tenant with what only the platform sees of it.
pub(crate) struct Stored {
    pub tenant: Tenant,
    /// As it was before its last change; nothing if that change made it.
    before: Option<Tenant>,
    /// The status its own users still see, and until when.
    shown: Option<(Status, Timestamp)>,
}

impl Stored {
    pub(crate) fn find(db: &Connection, id: &str) -> Result<Option<Self>, Problem> {
        type Columns = (String, Option<String>, Option<String>, Option<i64>);
        let columns: Option<Columns> = db
            .prepare_cached("SELECT doc, before, shown_status, shown_until FROM tenants WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((doc, before, shown_status, shown_until)) = columns else { return Ok(None) };
        let before = before.map(|before| serde_json::from_str(&before)).transpose()?;
        let shown = match (shown_status, shown_until) {
            (Some(status), Some(until)) => {
                Some((serde_json::from_str(&status)?, Timestamp::from_millis(until)))
            }
            _ => None,
        };
        Ok(Some(Self { tenant: serde_json::from_str(&doc)?, before, shown }))
    }

    /// What the tenant's own users see, which may lag behind what the administrator was told.
    pub(crate) fn status_shown(&self, now: Timestamp) -> Status {
        match self.shown {
            Some((status, until)) if now < until => status,
            _ => self.tenant.status,
        }
    }
}

pub(crate) fn insert(
    db: &Connection,
    tenant: &Tenant,
    before: Option<&Tenant>,
    api_calls: i64,
) -> Result<(), Problem> {
    let before = before.map(serde_json::to_string).transpose()?;
    db.execute(
        "INSERT INTO tenants (id, email, doc, before, api_calls) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![tenant.id, tenant.email, serde_json::to_string(tenant)?, before, api_calls],
    )?;
    mirror(db, tenant)
}

/// The tenant as Firestore holds it: its own fields follow, what others wrote there stays.
fn mirror(db: &Connection, tenant: &Tenant) -> Result<(), Problem> {
    let mut fields = json!({
        "suspensionReason": null, "suspendedAt": null, "reactivationReason": null, "reactivatedAt": null,
        "stripeCustomerId": null,
    });
    let own = serde_json::to_value(tenant)?;
    for (key, value) in own.as_object().into_iter().flatten() {
        fields[key.as_str()] = value.clone();
    }
    firestore::keep(db, tenant.updated_at, &format!("tenants/{}", tenant.id), &fields)
}

pub(crate) fn all(db: &Connection) -> Result<Vec<Tenant>, Problem> {
    let mut query = db.prepare_cached("SELECT doc FROM tenants ORDER BY id")?;
    let docs = query.query_map([], |row| row.get::<_, String>(0))?;
    docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
}

pub(crate) fn list(db: &Connection, call: &Call) -> Result<Handled, Problem> {
    let mut tenants = all(db)?;
    if let Some(email) = call.parameter("email") {
        tenants.retain(|tenant| tenant.email.eq_ignore_ascii_case(email));
    }
    if let Some(status) = call.parameter("status") {
        let status: Status = serde_json::from_value(json!(status))
            .map_err(|error| Refusal::bad_request(format!("status is not as expected: {error}")))?;
        tenants.retain(|tenant| tenant.status == status);
    }
    Ok(Handled::read(Answer::ok(&json!({"tenants": tenants}))?))
}

pub(crate) fn read(db: &Connection, call: &Call, seq: i64, id: &str) -> Result<Handled, Problem> {
    let stored = Stored::find(db, id)?.ok_or_else(|| Refusal::unknown_tenant(id))?;
    let stale = faults::take(db, seq, call, Moment::TenantRead)?.is_some();
    let seen = if stale { stored.before } else { Some(stored.tenant) };
    let tenant = seen.ok_or_else(|| Refusal::unknown_tenant(id))?;
    Ok(Handled::read(Answer::ok(&tenant)?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewTenant {
    name: String,
    email: String,
    plan: Plan,
    billing_cycle: BillingCycle,
}

/// First the tenant, then its customer at Stripe, who may not be reached: then the tenant is half made, and the
/// same request under the same key goes on where this one ended.
pub(crate) fn create(db: &Connection, call: &Call, seq: i64) -> Result<Handled, Problem> {
    let wanted: NewTenant = call.strict_json()?;
    let (name, email) = (wanted.name.trim(), wanted.email.trim());
    if name.is_empty() {
        return Err(Refusal::bad_request("name is empty, expected the name of the organisation").into());
    }
    if !looks_like_an_address(email) {
        let message = format!("email is {email:?}, expected an address such as admin@client.example");
        return Err(Refusal::bad_request(message).into());
    }
    let key = call.idempotency_key();
    if let Some(begun) = key.as_deref().map(|key| creations::find(db, key)).transpose()?.flatten() {
        if begun.email != email || begun.name != name {
            return Err(Wire::Platform.key_reused().into());
        }
        return bill(db, call, seq, begun);
    }
    let taken: Option<String> =
        db.query_row("SELECT id FROM tenants WHERE email = ?1", [email], |row| row.get(0)).optional()?;
    if let Some(id) = taken {
        return Err(Refusal::conflict(format!("email {email:?} belongs to tenant {id:?}")).into());
    }
    let tenant = Tenant {
        id: free_id(db, name)?,
        name: name.to_owned(),
        email: email.to_owned(),
        plan: wanted.plan,
        billing_cycle: wanted.billing_cycle,
        status: Status::Active,
        suspension_reason: None,
        suspended_at: None,
        reactivation_reason: None,
        reactivated_at: None,
        stripe_customer_id: None,
        created_at: call.at,
        updated_at: call.at,
    };
    insert(db, &tenant, None, 0)?;
    seed::furnish(db, &tenant.id)?;
    if let Some(key) = &key {
        creations::note(db, key, &tenant)?;
    }
    let details = json!({"name": tenant.name, "plan": tenant.plan, "billingCycle": tenant.billing_cycle});
    audit::write(db, call.at, &tenant.id, "tenant.created", audit::ADMIN, &details)?;
    bill(db, call, seq, tenant)
}

/// The platform's own call to Stripe, which the faults of that address strike as they strike any other.
fn bill(db: &Connection, call: &Call, seq: i64, mut tenant: Tenant) -> Result<Handled, Problem> {
    let within = Call { path: "/stripe/v1/customers".to_owned(), ..call.clone() };
    if faults::take(db, seq, &within, Moment::Within)?.is_some() {
        let message =
            format!("tenant {:?} is made, and its customer is not: Stripe did not answer", tenant.id);
        let answer = Answer::error(StatusCode::BAD_GATEWAY, "half_made", &message);
        return Ok(Handled::effect(answer));
    }
    let pairs = [("email", &tenant.email), ("name", &tenant.name)]
        .map(|(key, value)| (key.to_owned(), value.clone()));
    let customer = stripe::create_customer(db, call.at, &pairs)?;
    tenant.stripe_customer_id = customer["id"].as_str().map(str::to_owned);
    let doc = serde_json::to_string(&tenant)?;
    db.execute("UPDATE tenants SET doc = ?2 WHERE id = ?1", params![tenant.id, doc])?;
    mirror(db, &tenant)?;
    Ok(Handled::effect(Answer::json(StatusCode::CREATED, &tenant)?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    status: Status,
    suspension_reason: Option<String>,
    suspended_at: Option<Timestamp>,
    reactivation_reason: Option<String>,
    reactivated_at: Option<Timestamp>,
}

impl Change {
    /// The procedures send `{status: maintenance}` without a content type, and the platform takes it.
    fn read(call: &Call, strict: bool) -> Result<Self, Refusal> {
        let change: Result<Self, Refusal> = call.json();
        let excused = !strict && matches!(&change, Ok(change) if change.status == Status::Maintenance);
        if !call.body.is_empty() && !call.says_json() && !excused {
            return Err(Refusal::wrong_content_type());
        }
        let change = change?;
        let about_suspension = change.suspension_reason.is_some() || change.suspended_at.is_some();
        let about_return = change.reactivation_reason.is_some() || change.reactivated_at.is_some();
        if about_suspension && change.status != Status::Suspended {
            let found = change.status;
            return Err(Refusal::bad_request(format!(
                "suspensionReason and suspendedAt go with status suspended, found {found}"
            )));
        }
        if about_return && change.status != Status::Active {
            let found = change.status;
            return Err(Refusal::bad_request(format!(
                "reactivationReason and reactivatedAt go with status active, found {found}"
            )));
        }
        Ok(change)
    }

    fn apply(self, tenant: &mut Tenant, now: Timestamp) {
        match self.status {
            Status::Suspended => {
                tenant.suspension_reason = self.suspension_reason;
                tenant.suspended_at = Some(self.suspended_at.unwrap_or(now));
                tenant.reactivation_reason = None;
                tenant.reactivated_at = None;
            }
            Status::Active => {
                tenant.suspension_reason = None;
                tenant.suspended_at = None;
                tenant.reactivation_reason = self.reactivation_reason;
                tenant.reactivated_at = Some(self.reactivated_at.unwrap_or(now));
            }
            Status::Maintenance => {}
        }
        tenant.status = self.status;
        tenant.updated_at = now;
    }
}

/// A change to the status a tenant already has changes nothing at all: its first reason stays.
pub(crate) fn change(
    db: &Connection,
    call: &Call,
    seq: i64,
    id: &str,
    strict: bool,
) -> Result<Handled, Problem> {
    let change = Change::read(call, strict)?;
    let stored = Stored::find(db, id)?.ok_or_else(|| Refusal::unknown_tenant(id))?;
    let (was, next) = (stored.tenant.status, change.status);
    if !was.may_become(next) {
        return Err(Refusal::conflict(format!(
            "tenant {id:?} is {was} and cannot become {next}: it has to be active first"
        ))
        .into());
    }
    if was == next {
        return Ok(Handled::read(Answer::ok(&stored.tenant)?));
    }
    let mut tenant = stored.tenant.clone();
    change.apply(&mut tenant, call.at);
    let lag = faults::take(db, seq, call, Moment::StatusChange)?.and_then(|fault| fault.for_ms);
    let shown = stored.status_shown(call.at);
    db.execute(
        "UPDATE tenants SET doc = ?2, before = ?3, shown_status = ?4, shown_until = ?5 WHERE id = ?1",
        params![
            id,
            serde_json::to_string(&tenant)?,
            serde_json::to_string(&stored.tenant)?,
            lag.map(|_| serde_json::to_string(&shown)).transpose()?,
            lag.map(|lag| call.at.plus(lag).millis()),
        ],
    )?;
    mirror(db, &tenant)?;
    let reason = tenant.suspension_reason.as_ref().or(tenant.reactivation_reason.as_ref());
    let details = json!({"from": was, "to": next, "reason": reason});
    audit::write(db, call.at, id, next.action(), audit::ADMIN, &details)?;
    Ok(Handled::effect(Answer::ok(&tenant)?))
}

pub(crate) fn jobs(db: &Connection, id: &str) -> Result<Handled, Problem> {
    let stored = Stored::find(db, id)?.ok_or_else(|| Refusal::unknown_tenant(id))?;
    let state = if stored.tenant.status == Status::Active { "running" } else { "suspended" };
    let mut query = db.prepare_cached("SELECT name FROM jobs WHERE tenant_id = ?1 ORDER BY name")?;
    let names = query.query_map([id], |row| row.get::<_, String>(0))?;
    let jobs: Vec<_> =
        names.map(|name| Ok(json!({"name": name?, "state": state}))).collect::<Result<_, Problem>>()?;
    Ok(Handled::read(Answer::ok(&jobs)?))
}

pub(crate) fn looks_like_an_address(text: &str) -> bool {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    clean
        && text
            .split_once('@')
            .is_some_and(|(who, at)| !who.is_empty() && at.contains('.') && !at.contains('@'))
}

/// As ids look on the platform: a short form of the name and a number, 40 characters at most.
fn free_id(db: &Connection, name: &str) -> Result<String, Problem> {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(24);
    let slug = match slug.trim_end_matches('-') {
        "" => "tenant",
        slug => slug,
    };
    let count: i64 = db.query_row("SELECT count(*) FROM tenants", [], |row| row.get(0))?;
    let mut number = count + 100;
    loop {
        let id = format!("{slug}-{number}");
        let taken = db.query_row("SELECT 1 FROM tenants WHERE id = ?1", [&id], |_| Ok(())).optional()?;
        if taken.is_none() {
            return Ok(id);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_status_passes_through_active() {
        use Status::{Active, Maintenance, Suspended};
        for status in [Active, Suspended, Maintenance] {
            assert!(status.may_become(status) && status.may_become(Active) && Active.may_become(status));
        }
        assert!(!Suspended.may_become(Maintenance) && !Maintenance.may_become(Suspended));
    }

    #[test]
    fn ids_are_short_and_plain() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE tenants (id TEXT)").unwrap();
        assert_eq!(free_id(&db, "Café & Fils, S.A.").unwrap(), "caf-fils-s-a-100");
        assert_eq!(free_id(&db, "東京").unwrap(), "tenant-100");
        assert!(free_id(&db, &"long name ".repeat(20)).unwrap().len() <= 40);
        db.execute_batch("INSERT INTO tenants VALUES ('a-101')").unwrap();
        assert_eq!(free_id(&db, "a").unwrap(), "a-102", "a taken id is passed over");
    }

    #[test]
    fn addresses() {
        assert!(looks_like_an_address("admin@client.example"));
        for bad in ["", "admin", "@client.example", "a@b", "a b@c.example", "a@b@c.example"] {
            assert!(!looks_like_an_address(bad), "{bad}");
        }
    }
}
