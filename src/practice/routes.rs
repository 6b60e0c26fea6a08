//! Which call goes where: paths, methods, who may, and the idempotency of the administrator's writes.

use axum::http::Method;
use rusqlite::Connection;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::{access, audit, idempotency, metrics, notifications, tenants};

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
    pub admin_token: &'a str,
    pub login_password: &'a str,
    pub strict: bool,
}

#[derive(Debug, Clone, Copy)]
enum Route<'a> {
    Tenants,
    Tenant(&'a str),
    Jobs(&'a str),
    Notifications,
    Send,
    Audit,
    Usage,
    Health,
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
            ["admin", "notifications"] => Self::Notifications,
            ["admin", "notifications", "send"] => Self::Send,
            ["admin", "audit"] => Self::Audit,
            ["admin", "metrics", "usage"] => Self::Usage,
            ["health"] => Self::Health,
            ["login"] => Self::Login,
            ["metrics"] => Self::Metrics,
            ["api", "v1", "query"] => Self::Query,
            _ => Self::Nowhere,
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Tenants => "GET, POST",
            Self::Tenant(_) => "GET, PATCH",
            Self::Send | Self::Login => "POST",
            _ => "GET",
        }
    }
}

/// A handler refuses before it writes: what a refusal has written so far (a fault used up, a call counted) is
/// meant to stay.
pub(crate) fn handle(db: &Connection, house: &House<'_>, call: &Call, seq: i64) -> Result<Handled, Problem> {
    if call.path == "/admin" || call.path.starts_with("/admin/") {
        check_token(house, call)?;
    }
    let route = Route::of(&call.path);
    match (route, &call.method) {
        (Route::Tenants, &Method::GET) => tenants::list(db, call),
        (Route::Tenants, &Method::POST) => idempotency::once(db, call, || tenants::create(db, call)),
        (Route::Tenant(id), &Method::GET) => tenants::read(db, call, seq, id),
        (Route::Tenant(id), &Method::PATCH) => {
            idempotency::once(db, call, || tenants::change(db, call, seq, id, house.strict))
        }
        (Route::Jobs(id), &Method::GET) => tenants::jobs(db, id),
        (Route::Notifications, &Method::GET) => notifications::list(db, call),
        (Route::Send, &Method::POST) => {
            idempotency::once(db, call, || notifications::send(db, call, house.strict))
        }
        (Route::Audit, &Method::GET) => audit::list(db, call),
        (Route::Usage, &Method::GET) => metrics::usage(db),
        (Route::Health, &Method::GET) => access::health(db, call),
        (Route::Login, &Method::POST) => access::login(db, call, house.login_password),
        (Route::Metrics, &Method::GET) => metrics::exposition(db),
        (Route::Query, &Method::GET) => metrics::query(db, call),
        (Route::Nowhere, _) => Err(Refusal::not_found(format!("nothing at {:?}", call.path)).into()),
        _ => Err(Refusal::wrong_method(route.allowed()).into()),
    }
}

fn check_token(house: &House<'_>, call: &Call) -> Result<(), Refusal> {
    let Some(given) = call.header("authorization") else {
        return Err(Refusal::unauthorized("no_token", "no token, expected a header Authorization: Bearer"));
    };
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, token)) if token.trim() == house.admin_token => Ok(()),
        _ => Err(Refusal::unauthorized("wrong_token", "the token is not the administrator's")),
    }
}
