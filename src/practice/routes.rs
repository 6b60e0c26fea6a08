//! Which call goes where: paths, methods, who may, and the idempotency of the administrator's writes.

use axum::http::Method;
use rusqlite::Connection;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::state::Secrets;
use super::wire::Wire;
use super::{
    access, api_keys, audit, creations, firestore, idempotency, mail, metrics, notifications, slack, stripe,
    tenants, users,
};

/// A request that was carried out.
#[derive(Debug)]
pub(crate) struct Handled {
    pub answer: Answer,
    /// Whether it changed what the platform holds.
    pub effect: bool,
    /// Whether the answer is one of an earlier request under the same key.
    pub replayed: bool,
}

impl Handled {
    pub(crate) fn read(answer: Answer) -> Self {
        Self { answer, effect: false, replayed: false }
    }

    pub(crate) fn effect(answer: Answer) -> Self {
        Self { answer, effect: true, replayed: false }
    }
}

/// What a handler knows besides the call.
pub(crate) struct House<'a> {
    pub secrets: &'a Secrets,
    pub strict: bool,
}

#[derive(Debug, Clone, Copy)]
enum Route<'a> {
    Tenants,
    Tenant(&'a str),
    Jobs(&'a str),
    NewUser(&'a str),
    Creation(&'a str),
    Notifications,
    Send,
    ApiKeys,
    ApiKey(&'a str),
    Consumer(&'a str),
    Audit,
    Usage,
    Health,
    Users,
    Login,
    Metrics,
    Query,
    Nowhere,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Self {
        let mut segments = path.split('/');
        let _before_the_first_slash = segments.next();
        match segments.collect::<Vec<_>>()[..] {
            ["admin", "tenants"] => Self::Tenants,
            ["admin", "tenants", id] if !id.is_empty() => Self::Tenant(id),
            ["admin", "tenants", id, "jobs"] if !id.is_empty() => Self::Jobs(id),
            ["admin", "tenants", id, "users"] if !id.is_empty() => Self::NewUser(id),
            ["admin", "creations", key] if !key.is_empty() => Self::Creation(key),
            ["admin", "notifications"] => Self::Notifications,
            ["admin", "notifications", "send"] => Self::Send,
            ["admin", "api-keys"] => Self::ApiKeys,
            ["admin", "api-keys", id] if !id.is_empty() => Self::ApiKey(id),
            ["admin", "consumers", name] if !name.is_empty() => Self::Consumer(name),
            ["admin", "audit"] => Self::Audit,
            ["admin", "metrics", "usage"] => Self::Usage,
            ["health"] => Self::Health,
            ["users"] => Self::Users,
            ["login"] => Self::Login,
            ["metrics"] => Self::Metrics,
            ["api", "v1", "query"] => Self::Query,
            _ => Self::Nowhere,
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Tenants | Self::ApiKeys => "GET, POST",
            Self::Tenant(_) => "GET, PATCH",
            Self::Creation(_) | Self::ApiKey(_) => "GET, DELETE",
            Self::Consumer(_) => "GET, PUT",
            Self::Send | Self::Login | Self::NewUser(_) => "POST",
            _ => "GET",
        }
    }
}

/// A handler refuses before it writes: what a refusal has written so far (a fault used up, a call counted) is
/// meant to stay.
pub(crate) fn handle(db: &Connection, house: &House<'_>, call: &Call, seq: i64) -> Result<Handled, Problem> {
    let secrets = house.secrets;
    match Wire::of(&call.path) {
        (Wire::Platform, _) => {}
        (Wire::Stripe, path) => return stripe::handle(db, &secrets.stripe_key, call, path),
        (Wire::Firestore, path) => return firestore::handle(db, &secrets.firestore_token, call, path),
        (Wire::Mail, path) => return mail::handle(db, call, path),
        (Wire::Slack, path) => return slack::handle(db, &secrets.slack_token, call, path),
    }
    if call.path == "/admin" || call.path.starts_with("/admin/") {
        check_token(db, house, call)?;
    }
    let route = Route::of(&call.path);
    let once =
        |write: &dyn Fn() -> Result<Handled, Problem>| idempotency::once(db, call, Wire::Platform, write);
    match (route, &call.method) {
        (Route::Tenants, &Method::GET) => tenants::list(db, call),
        (Route::Tenants, &Method::POST) => once(&|| tenants::create(db, call, seq)),
        (Route::Tenant(id), &Method::GET) => tenants::read(db, call, seq, id),
        (Route::Tenant(id), &Method::PATCH) => once(&|| tenants::change(db, call, seq, id, house.strict)),
        (Route::Jobs(id), &Method::GET) => tenants::jobs(db, id),
        (Route::NewUser(id), &Method::POST) => once(&|| users::create(db, call, id)),
        (Route::Creation(key), &Method::GET) => creations::read(db, key),
        (Route::Creation(key), &Method::DELETE) => creations::take_back(db, call, key),
        (Route::Notifications, &Method::GET) => notifications::list(db, call),
        (Route::Send, &Method::POST) => once(&|| notifications::send(db, call, seq, house.strict)),
        (Route::ApiKeys, &Method::GET) => api_keys::list(db),
        (Route::ApiKeys, &Method::POST) => api_keys::issue(db, call, &secrets.admin_token),
        (Route::ApiKey(id), &Method::GET) => api_keys::read(db, id),
        (Route::ApiKey(id), &Method::DELETE) => api_keys::revoke(db, call, id),
        (Route::Consumer(name), &Method::GET) => api_keys::consumer(db, name),
        (Route::Consumer(name), &Method::PUT) => api_keys::equip(db, call, name, &secrets.admin_token),
        (Route::Audit, &Method::GET) => audit::list(db, call),
        (Route::Usage, &Method::GET) => metrics::usage(db),
        (Route::Health, &Method::GET) => access::health(db, call),
        (Route::Users, &Method::GET) => users::list(db, call, &secrets.login_password),
        (Route::Login, &Method::POST) => access::login(db, call, &secrets.login_password),
        (Route::Metrics, &Method::GET) => metrics::exposition(db),
        (Route::Query, &Method::GET) => metrics::query(db, call),
        (Route::Nowhere, _) => Err(Refusal::not_found(format!("nothing at {:?}", call.path)).into()),
        _ => Err(Refusal::wrong_method(route.allowed()).into()),
    }
}

/// The administrator's token does everything, a key of a program reads.
fn check_token(db: &Connection, house: &House<'_>, call: &Call) -> Result<(), Problem> {
    let Some(given) = call.header("authorization") else {
        let message = "no token, expected a header Authorization: Bearer";
        return Err(Refusal::unauthorized("no_token", message).into());
    };
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (token, admin) = (token.map_or("", |(_, token)| token.trim()), &house.secrets.admin_token);
    if token == admin || (call.method == Method::GET && api_keys::admits(db, token, admin)?) {
        return Ok(());
    }
    Err(Refusal::unauthorized("wrong_token", "the token is not the administrator's").into())
}
