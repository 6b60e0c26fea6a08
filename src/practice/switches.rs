//! `/practice/`: the workings, for tests and trainers on this machine. No token, no log, no faults of its own.

use axum::http::Method;
use rusqlite::Connection;

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::{access, faults, requests};

pub(crate) fn belongs(path: &str) -> bool {
    path == "/practice" || path.starts_with("/practice/")
}

pub(crate) fn handle(db: &Connection, login_password: &str, call: &Call) -> Result<Answer, Problem> {
    if !call.from_loopback {
        return Err(Refusal::not_found("the workings are for callers on the same machine").into());
    }
    match (call.path.as_str(), &call.method) {
        ("/practice/requests", &Method::GET) => requests::list(db, call),
        ("/practice/logins", &Method::GET) => access::logins(db, login_password),
        ("/practice/faults", &Method::GET) => Answer::ok(&faults::list(db)?),
        ("/practice/faults", &Method::PUT) => Answer::ok(&faults::replace(db, call)?),
        ("/practice/faults", &Method::DELETE) => {
            faults::clear(db)?;
            Ok(Answer::empty())
        }
        ("/practice/requests" | "/practice/logins", _) => Err(Refusal::wrong_method("GET").into()),
        ("/practice/faults", _) => Err(Refusal::wrong_method("GET, PUT, DELETE").into()),
        (path, _) => Err(Refusal::not_found(format!("nothing at {path:?}")).into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::HeaderMap;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_caller_from_elsewhere_finds_nothing() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE faults (position INTEGER, rule TEXT)").unwrap();
        let call = |from_loopback| Call {
            method: Method::GET,
            path: "/practice/faults".to_owned(),
            query: None,
            parameters: std::collections::BTreeMap::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            at: Timestamp::default(),
            from_loopback,
        };
        assert_eq!(handle(&db, "", &call(true)).unwrap().body, b"[]");
        assert!(matches!(handle(&db, "", &call(false)), Err(Problem::Refused(_))));
    }
}
