//! A Stripe account, as its interface shows it: customers, subscriptions, invoices, form bodies, lists by the page.
//!
//! It plays what the procedures use and refuses the rest as Stripe refuses what it does not know. No money moves:
//! paying an invoice is a change of its status.

use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::answer::{Answer, Problem, Refusal};
use super::call::{Call, hex};
use super::idempotency;
use super::routes::Handled;
use super::wire::Wire;
use crate::clock::Timestamp;

const PAGE: usize = 10;
const LARGEST_PAGE: usize = 100;

/// An error as Stripe tells it. The code `idempotency_error` is a type of its own there.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let kind = match (status.as_u16(), code) {
        (_, "idempotency_error") => "idempotency_error",
        (500.., _) => "api_error",
        _ => "invalid_request_error",
    };
    let mut error = json!({"message": message, "type": kind});
    if matches!(
        code,
        "resource_missing"
            | "parameter_unknown"
            | "parameter_missing"
            | "parameter_invalid_empty"
            | "rate_limit"
    ) {
        error["code"] = json!(code);
    }
    Answer::json_bytes(status, json!({"error": error}).to_string().into_bytes())
}

/// About one parameter.
fn about(status: StatusCode, code: &str, parameter: &str, message: impl AsRef<str>) -> Refusal {
    let mut answer = error(status, code, message.as_ref());
    if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
        body["error"]["param"] = json!(parameter);
        answer.body = body.to_string().into_bytes();
    }
    Refusal(answer)
}

fn missing(what: &str, id: &str) -> Refusal {
    about(StatusCode::NOT_FOUND, "resource_missing", "id", format!("No such {what}: '{id}'"))
}

pub(crate) fn handle(db: &Connection, key: &str, call: &Call, path: &str) -> Result<Handled, Problem> {
    check_key(key, call)?;
    let mut segments = path.split('/');
    let _before_the_first_slash = segments.next();
    let once =
        |write: &dyn Fn() -> Result<Handled, Problem>| idempotency::once(db, call, Wire::Stripe, write);
    match (&call.method, &segments.collect::<Vec<_>>()[..]) {
        (&Method::GET, ["v1", "customers"]) => list(db, call, Kind::Customer),
        (&Method::POST, ["v1", "customers"]) => once(&|| {
            let customer = create_customer(db, call.at, &call.form_pairs())?;
            Ok(Handled::effect(Answer::ok(&customer)?))
        }),
        (&Method::GET, ["v1", "customers", id]) => show(db, Kind::Customer, id),
        (&Method::POST, ["v1", "customers", id]) => once(&|| change_customer(db, call, id)),
        (&Method::DELETE, ["v1", "customers", id]) => delete_customer(db, id),
        (&Method::GET, ["v1", "subscriptions"]) => list(db, call, Kind::Subscription),
        (&Method::GET, ["v1", "subscriptions", id]) => show(db, Kind::Subscription, id),
        (&Method::GET, ["v1", "invoices"]) => list(db, call, Kind::Invoice),
        (&Method::GET, ["v1", "invoices", id]) => show(db, Kind::Invoice, id),
        (&Method::POST, ["v1", "invoices", id, "pay"]) => once(&|| pay(db, call, id)),
        (method, _) => {
            let message = format!("Unrecognized request URL ({method}: {path}).");
            Err(Refusal(error(StatusCode::NOT_FOUND, "", &message)).into())
        }
    }
}

/// The key is a bearer token, or the user of a basic authorization.
fn check_key(key: &str, call: &Call) -> Result<(), Refusal> {
    let Some((scheme, given)) = call.header("authorization").and_then(|value| value.split_once(' ')) else {
        return Err(Wire::Stripe.unauthorized("", "You did not provide an API key."));
    };
    let given = if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(given.trim()).unwrap_or_default();
        let text = String::from_utf8_lossy(&decoded).into_owned();
        text.split(':').next().unwrap_or("").to_owned()
    } else {
        given.trim().to_owned()
    };
    if given == key { Ok(()) } else { Err(Wire::Stripe.unauthorized("", "Invalid API Key provided.")) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Customer,
    Subscription,
    Invoice,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Subscription => "subscription",
            Self::Invoice => "invoice",
        }
    }

    /// The parameters of its list, besides those of the page.
    fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Customer => &["email"],
            Self::Subscription | Self::Invoice => &["customer", "status"],
        }
    }
}

pub(crate) fn insert(db: &Connection, kind: Kind, object: &Value) -> Result<(), Problem> {
    let id = object["id"].as_str().unwrap_or_default();
    let mut insert = db.prepare_cached("INSERT INTO stripe_objects (id, kind, doc) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![id, kind.name(), object.to_string()])?;
    Ok(())
}

fn update(db: &Connection, object: &Value) -> Result<(), Problem> {
    let id = object["id"].as_str().unwrap_or_default();
    db.prepare_cached("UPDATE stripe_objects SET doc = ?2 WHERE id = ?1")?
        .execute(params![id, object.to_string()])?;
    Ok(())
}

fn find(db: &Connection, kind: Kind, id: &str) -> Result<Option<Value>, Problem> {
    let doc: Option<String> = db
        .prepare_cached("SELECT doc FROM stripe_objects WHERE id = ?1 AND kind = ?2")?
        .query_row([id, kind.name()], |row| row.get(0))
        .optional()?;
    Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
}

/// Newest first.
fn all(db: &Connection, kind: Kind) -> Result<Vec<Value>, Problem> {
    let mut query = db.prepare_cached("SELECT doc FROM stripe_objects WHERE kind = ?1 ORDER BY seq DESC")?;
    let docs = query.query_map([kind.name()], |row| row.get::<_, String>(0))?;
    docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
}

fn is_deleted(object: &Value) -> bool {
    object["deleted"] == true
}

fn show(db: &Connection, kind: Kind, id: &str) -> Result<Handled, Problem> {
    let found = find(db, kind, id)?.ok_or_else(|| missing(kind.name(), id))?;
    Ok(Handled::read(Answer::ok(&found)?))
}

fn list(db: &Connection, call: &Call, kind: Kind) -> Result<Handled, Problem> {
    let mut objects = all(db, kind)?;
    objects.retain(|object| !is_deleted(object));
    let (mut limit, mut after) = (PAGE, None);
    let mut status = None;
    for (name, value) in call.query_pairs() {
        let bad = |code, message: String| about(StatusCode::BAD_REQUEST, code, &name, message);
        if !["limit", "starting_after"].contains(&name.as_str()) && !kind.filters().contains(&name.as_str()) {
            return Err(bad("parameter_unknown", format!("Received unknown parameter: {name}")).into());
        }
        if value.is_empty() {
            let message = format!("You passed an empty string for '{name}'.");
            return Err(bad("parameter_invalid_empty", message).into());
        }
        match name.as_str() {
            "limit" => {
                limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or_else(
                    || bad("", format!("Invalid integer: {value}, expected 1 to {LARGEST_PAGE}")),
                )?;
            }
            "starting_after" => after = Some(value),
            "status" => status = Some(value),
            "customer" if find(db, Kind::Customer, &value)?.is_none() => {
                return Err(bad("resource_missing", format!("No such customer: '{value}'")).into());
            }
            // Letters count: Stripe tells Admin@ from admin@.
            _ => objects.retain(|object| object[name.as_str()] == value.as_str()),
        }
    }
    filter_status(&mut objects, kind, status.as_deref())?;
    if let Some(after) = after {
        let at = objects.iter().position(|object| object["id"] == after.as_str());
        let at = at.ok_or_else(|| {
            about(
                StatusCode::BAD_REQUEST,
                "resource_missing",
                "starting_after",
                format!("No such {}: '{after}'", kind.name()),
            )
        })?;
        objects.drain(..=at);
    }
    let has_more = objects.len() > limit;
    objects.truncate(limit);
    let url = format!("/v1/{}s", kind.name());
    let answer = json!({"object": "list", "data": objects, "has_more": has_more, "url": url});
    Ok(Handled::read(Answer::ok(&answer)?))
}

/// Subscriptions that are canceled are shown to those who ask for them, or for all.
fn filter_status(objects: &mut Vec<Value>, kind: Kind, status: Option<&str>) -> Result<(), Refusal> {
    let known: &[&str] = match kind {
        Kind::Customer => return Ok(()),
        Kind::Subscription => {
            &["active", "past_due", "unpaid", "canceled", "incomplete", "trialing", "paused", "all"]
        }
        Kind::Invoice => &["draft", "open", "paid", "uncollectible", "void"],
    };
    match status {
        None => objects.retain(|object| kind != Kind::Subscription || object["status"] != "canceled"),
        Some("all") if kind == Kind::Subscription => {}
        Some(status) if known.contains(&status) => objects.retain(|object| object["status"] == status),
        Some(status) => {
            let message = format!("Invalid status: must be one of {}, found {status}", known.join(", "));
            return Err(about(StatusCode::BAD_REQUEST, "", "status", message));
        }
    }
    Ok(())
}

pub(crate) fn create_customer(
    db: &Connection,
    at: Timestamp,
    pairs: &[(String, String)],
) -> Result<Value, Problem> {
    let mut customer = json!({
        "id": new_id("cus")?,
        "object": "customer",
        "created": seconds(at),
        "currency": "eur",
        "delinquent": false,
        "email": null,
        "livemode": false,
        "metadata": {},
        "name": null,
        "preferred_locales": [],
    });
    set(&mut customer, pairs)?;
    insert(db, Kind::Customer, &customer)?;
    Ok(customer)
}

fn change_customer(db: &Connection, call: &Call, id: &str) -> Result<Handled, Problem> {
    let found = find(db, Kind::Customer, id)?.filter(|customer| !is_deleted(customer));
    let mut customer = found.ok_or_else(|| missing("customer", id))?;
    let before = customer.clone();
    set(&mut customer, &call.form_pairs())?;
    update(db, &customer)?;
    let answer = Answer::ok(&customer)?;
    Ok(if customer == before { Handled::read(answer) } else { Handled::effect(answer) })
}

/// `metadata[key]` and `preferred_locales[n]` go inside; an empty text takes away.
fn set(customer: &mut Value, pairs: &[(String, String)]) -> Result<(), Refusal> {
    let mut locales = None;
    for (name, value) in pairs {
        let (root, inner) = match name.split_once('[') {
            Some((root, rest)) => (root, rest.strip_suffix(']')),
            None => (name.as_str(), None),
        };
        match (root, inner) {
            ("email" | "name", None) if !name.contains('[') => customer[root] = json!(value),
            ("metadata", Some(key)) if !key.is_empty() => {
                customer["metadata"][key] = json!(value);
                if let Some(metadata) = customer["metadata"].as_object_mut() {
                    metadata.retain(|_, value| value != "");
                }
            }
            ("preferred_locales", Some(_)) => locales.get_or_insert_with(Vec::new).push(json!(value)),
            _ => {
                let message = format!("Received unknown parameter: {name}");
                return Err(about(StatusCode::BAD_REQUEST, "parameter_unknown", name, message));
            }
        }
    }
    if let Some(locales) = locales {
        customer["preferred_locales"] = Value::Array(locales);
    }
    Ok(())
}

/// A deleted customer can still be looked at, and is in no list; its subscriptions end.
fn delete_customer(db: &Connection, id: &str) -> Result<Handled, Problem> {
    let found = find(db, Kind::Customer, id)?.filter(|customer| !is_deleted(customer));
    if found.is_none() {
        return Err(missing("customer", id).into());
    }
    forget_customer(db, id)?;
    Ok(Handled::effect(Answer::ok(&json!({"id": id, "object": "customer", "deleted": true}))?))
}

pub(crate) fn forget_customer(db: &Connection, id: &str) -> Result<(), Problem> {
    update(db, &json!({"id": id, "object": "customer", "deleted": true}))?;
    for mut subscription in all(db, Kind::Subscription)?.into_iter().filter(|object| object["customer"] == id)
    {
        subscription["status"] = json!("canceled");
        update(db, &subscription)?;
    }
    Ok(())
}

/// With the last open invoice goes the arrears: the subscription is active again.
fn pay(db: &Connection, call: &Call, id: &str) -> Result<Handled, Problem> {
    let mut invoice = find(db, Kind::Invoice, id)?.ok_or_else(|| missing("invoice", id))?;
    match invoice["status"].as_str() {
        Some("open" | "uncollectible") => {}
        Some("paid") => {
            let message = "Invoice is already paid";
            return Err(Refusal(error(StatusCode::BAD_REQUEST, "", message)).into());
        }
        _ => {
            let message = "This invoice can't be paid: it is not open.";
            return Err(Refusal(error(StatusCode::BAD_REQUEST, "", message)).into());
        }
    }
    invoice["status"] = json!("paid");
    invoice["amount_paid"] = invoice["amount_due"].clone();
    invoice["amount_remaining"] = json!(0);
    invoice["status_transitions"]["paid_at"] = json!(seconds(call.at));
    update(db, &invoice)?;
    let customer = invoice["customer"].as_str().unwrap_or_default();
    let owes = |object: &Value| {
        object["customer"] == customer && (object["status"] == "open" || object["status"] == "uncollectible")
    };
    if !all(db, Kind::Invoice)?.iter().any(owes) {
        for mut subscription in all(db, Kind::Subscription)? {
            if subscription["customer"] == customer && subscription["status"] == "past_due" {
                subscription["status"] = json!("active");
                update(db, &subscription)?;
            }
        }
        if let Some(mut owner) = find(db, Kind::Customer, customer)? {
            owner["delinquent"] = json!(false);
            update(db, &owner)?;
        }
    }
    Ok(Handled::effect(Answer::ok(&invoice)?))
}

fn new_id(prefix: &str) -> Result<String, Problem> {
    let mut bytes = [0_u8; 7];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}_{}", hex(&bytes)))
}

pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1000)
}
