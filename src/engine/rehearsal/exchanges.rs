//! The HTTP exchanges of a real run as a HAR 1.2 file, which browsers, proxies and `jq` read, and rehearsals give again.
//!
//! Made of what the run's folder keeps: requests with their secrets by name, answers as they were masked when they
//! came. So a secret of the run is nowhere in it; and what is a secret by the name of its header, parameter or field
//! is struck out besides, since nobody declared it. Where a step asked again and again, the last answer is the one that
//! is kept.

use std::borrow::Cow;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::past::{Attempt, Real};
use super::sources::place_of;
use crate::core::{AttemptRequest, Outcome};
use crate::journal::{Blobs, JournalError};
use crate::plan::{Action, Auth, Body, ErrorClass, HttpCall, requests};
use crate::runbook::har::MAX_BODY;
use crate::runbook::scenario::base_of;
use crate::runbook::template::{Rendered, Segment, Tree};
use crate::runner::{MASK, NOT_KEPT, is_sensitive, struck_within};

/// What stands where a fact is not known, as browsers have it.
const UNKNOWN: &str = "unknown";
/// A host that nobody has.
const UNDECIDED: &str = "undecided.invalid";
/// What ended while something was still under way.
const BROKEN: [&str; 5] = ["timeout", "reset", "truncated", "capture", "cancelled"];

/// A HAR file, and how many exchanges it holds.
///
/// # Errors
/// A body that is kept beside the journal cannot be read, or is another one.
pub fn har(real: &Real, tool: &str) -> Result<(Value, usize), JournalError> {
    let blobs = Blobs::of(&real.dir);
    let wanted = requests(&real.plan);
    let mut entries = Vec::new();
    for attempt in real.attempts() {
        let Some((request, call)) = http(&attempt) else { continue };
        let Some(response) = response(&attempt, &blobs)? else { continue };
        let (id, part) = place_of(&attempt.label, attempt.role, attempt.part.as_deref());
        let mut of_step = json!({"step": id, "part": part.name()});
        if let Some(wanted) = wanted.get(&(base_of(&id), part)) {
            of_step["wanted"] = struck_within(&wanted.to_string()).into();
        }
        let Outcome { started, finished, .. } = &attempt.outcome;
        let took = finished.since(*started);
        entries.push(json!({
            "startedDateTime": started.to_string(),
            "time": took,
            "request": sent(request, call),
            "response": response,
            "cache": {},
            "timings": {"send": 0, "wait": took, "receive": 0},
            "_consigne": of_step,
        }));
    }
    let count = entries.len();
    let (name, version) = tool.split_once([' ', '/']).unwrap_or((tool, ""));
    let log = json!({
        "version": "1.2",
        "creator": {"name": name, "version": version},
        "comment": "secrets are struck out; of a step that polled, the last answer",
        "_consigne": {
            "runbook": real.plan.graph.runbook,
            "run": real.state.run.id,
            "at": real.state.run.started.unwrap_or_default(),
        },
        "entries": entries,
    });
    Ok((json!({"log": log}), count))
}

/// The call of an attempt that is one, as it was sent.
pub(super) fn http(attempt: &Attempt) -> Option<(&AttemptRequest, &HttpCall<Rendered>)> {
    let request = attempt.request.as_ref()?;
    match &request.probe.action {
        Action::Http(call) => Some((request, call)),
        _ => None,
    }
}

fn sent(request: &AttemptRequest, call: &HttpCall<Rendered>) -> Value {
    let url = url(call);
    let query: Vec<Value> = Url::parse(&url).map_or_else(
        |_| Vec::new(),
        |url| url.query_pairs().map(|(name, value)| named(&name, &value)).collect(),
    );
    let mut headers: Vec<Value> =
        call.headers.iter().map(|(name, value)| named(name, &shown(name, value))).collect();
    match &call.auth {
        Auth::None => {}
        Auth::Bearer(_) => headers.push(named("authorization", &format!("Bearer {MASK}"))),
        Auth::Basic(..) => headers.push(named("authorization", &format!("Basic {MASK}"))),
        Auth::Header(name, _) => headers.push(named(name, MASK)),
    }
    if let Some(key) = &request.idempotency_key {
        headers.push(named("idempotency-key", key));
    }
    let mut out = json!({
        "method": call.method.to_ascii_uppercase(),
        "url": url,
        "httpVersion": UNKNOWN,
        "cookies": [],
        "headers": headers,
        "queryString": query,
        "headersSize": -1,
        "bodySize": -1,
    });
    if let Some(data) = posted(&call.body) {
        out["postData"] = data;
    }
    out
}

/// The whole address. A secret in it, or what is one by its name, is struck out.
pub(super) fn url(call: &HttpCall<Rendered>) -> String {
    let written = masked(&call.url);
    let Some(mut url) = parsed(&written) else { return struck_within(&written).into_owned() };
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (name.to_string(), struck(&name, &value).into_owned()))
        .chain(call.query.iter().map(|(name, value)| (name.clone(), shown(name, value))))
        .collect();
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    // Who asks, and what stands behind `#`.
    struck_within(url.as_str()).into_owned()
}

/// An address; in a plan without its services their host or port is no host or port yet.
fn parsed(written: &str) -> Option<Url> {
    let later = || {
        let (scheme, rest) = written.split_once("://")?;
        let rest = rest.find('/').map_or("", |at| &rest[at..]);
        Url::parse(&format!("{scheme}://{UNDECIDED}{rest}")).ok()
    };
    Url::parse(written).ok().or_else(later)
}

fn posted(body: &Body<Rendered>) -> Option<Value> {
    Some(match body {
        Body::None => return None,
        Body::Json(body) => {
            json!({"mimeType": "application/json", "text": without_secrets(tree(body)).to_string()})
        }
        Body::Form(fields) => {
            let params: Vec<Value> =
                fields.iter().map(|(name, value)| named(name, &shown(name, value))).collect();
            json!({"mimeType": "application/x-www-form-urlencoded", "params": params})
        }
        Body::Text(text) => {
            json!({"mimeType": "text/plain; charset=utf-8", "text": without_secrets_in(masked(text))})
        }
        Body::File(path) => json!({
            "mimeType": "application/octet-stream", "text": "",
            "comment": format!("the content of {}", masked(path)),
        }),
    })
}

/// What came back; none if nothing was sent at all.
fn response(attempt: &Attempt, blobs: &Blobs) -> Result<Option<Value>, JournalError> {
    let Outcome { code, reason, class, .. } = &attempt.outcome;
    let Some(code) = code.filter(|_| !BROKEN.contains(&reason.as_str())) else {
        if reason == "request" || reason == "secret" {
            return Ok(None);
        }
        let why = match (reason.as_str(), class) {
            ("truncated", _) | ("unreachable", Some(ErrorClass::Server)) => "reset",
            ("unreachable", Some(ErrorClass::Connect)) => "connect",
            ("unreachable", Some(ErrorClass::Timeout)) => "timeout",
            (reason, _) => reason,
        };
        let mut none = answer(0, &Map::new(), json!({"size": 0, "mimeType": "x-unknown"}));
        none["_error"] = why.into();
        return Ok(Some(none));
    };
    let mut headers = Map::new();
    for line in attempt.excerpt("headers").unwrap_or_default().lines() {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_owned(), struck_within(value).into());
        }
    }
    let content = content(attempt, blobs, headers.get(CONTENT_TYPE.as_str()))?;
    Ok(Some(answer(code, &headers, content)))
}

fn answer(status: i64, headers: &Map<String, Value>, content: Value) -> Value {
    let location = headers.get("location").cloned().unwrap_or_else(|| "".into());
    let headers: Vec<Value> =
        headers.iter().map(|(name, value)| named(name, value.as_str().unwrap_or_default())).collect();
    json!({
        "status": status,
        "statusText": "",
        "httpVersion": UNKNOWN,
        "cookies": [],
        "headers": headers,
        "content": content,
        "redirectURL": location,
        "headersSize": -1,
        "bodySize": -1,
    })
}

/// The body, whole where it is kept.
fn content(attempt: &Attempt, blobs: &Blobs, kind: Option<&Value>) -> Result<Value, JournalError> {
    let (text, missing) = body(attempt, blobs)?;
    let json: Option<Value> = serde_json::from_str(&text).ok().filter(|json: &Value| !json.is_string());
    let guessed = if json.is_some() { "application/json" } else { "text/plain" };
    let kind = kind.cloned().unwrap_or_else(|| guessed.into());
    let text = without_secrets_in(text);
    let mut content = json!({"size": text.len(), "mimeType": kind, "text": text});
    if let Some(why) = missing {
        content["comment"] = why.into();
    }
    Ok(content)
}

/// The body as text; or why there is none.
pub(super) fn body(attempt: &Attempt, blobs: &Blobs) -> Result<(String, Option<&'static str>), JournalError> {
    if let Some(blob) = attempt.blob("body") {
        if blob.bytes > MAX_BODY as u64 {
            return Ok((String::new(), Some("too large to be given again")));
        }
        return Ok(match blobs.get(&blob.sha256)? {
            Some(bytes) => (String::from_utf8_lossy(&bytes).into_owned(), None),
            None => (String::new(), Some("not kept any more")),
        });
    }
    Ok(match attempt.excerpt("body") {
        Some(text) if text == NOT_KEPT => {
            (String::new(), Some("not kept: it held a secret that could not be taken from it"))
        }
        text => (text.unwrap_or_default(), None),
    })
}

fn named(name: &str, value: &str) -> Value {
    json!({"name": name, "value": struck(name, value)})
}

fn struck<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    if is_sensitive(name) && !value.ends_with(MASK) { MASK.into() } else { struck_within(value) }
}

fn shown(name: &str, value: &Rendered) -> String {
    struck(name, &masked(value)).into_owned()
}

fn masked(text: &Rendered) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Text(text) => text.clone(),
        Segment::Secret(_) => MASK.to_owned(),
        Segment::Later(expr) => format!("{{{{ {expr} }}}}"),
        Segment::Work => "run.work".to_owned(),
    };
    text.segments().iter().map(part).collect()
}

fn tree(body: &Tree<Rendered>) -> Value {
    match body {
        Tree::Null => Value::Null,
        Tree::Bool(yes) => (*yes).into(),
        Tree::Number(number) => serde_json::from_str(number).unwrap_or_else(|_| number.as_str().into()),
        Tree::Text(text) => masked(text).into(),
        Tree::List(list) => list.iter().map(tree).collect(),
        Tree::Map(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.clone(), tree(value))).collect())
        }
    }
}

/// A body, of whatever form. Its spelling stays where there is nothing to strike out.
fn without_secrets_in(text: String) -> String {
    match serde_json::from_str::<Value>(&text) {
        Ok(json) if !json.is_string() => {
            let struck = without_secrets(json.clone());
            if struck == json { text } else { struck.to_string() }
        }
        _ => struck_within(&text).into_owned(),
    }
}

fn without_secrets(mut json: Value) -> Value {
    strike_out(&mut json);
    json
}

fn strike_out(json: &mut Value) {
    match json {
        Value::Array(list) => list.iter_mut().for_each(strike_out),
        Value::Object(map) => {
            for (name, value) in map {
                if is_sensitive(name) {
                    strike_plain(value);
                } else {
                    strike_out(value);
                }
            }
        }
        Value::String(text) => {
            if let Cow::Owned(struck) = struck_within(text) {
                *text = struck;
            }
        }
        _ => {}
    }
}

/// What has the name of a secret: itself, or all of a list; an object is looked into.
fn strike_plain(json: &mut Value) {
    match json {
        Value::Array(list) => list.iter_mut().for_each(strike_plain),
        Value::Object(_) => strike_out(json),
        Value::String(_) | Value::Number(_) => *json = MASK.into(),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_its_port_is_one_of_some_host() {
        let url = |text: &str| parsed(text).map(|url| url.to_string());
        let later = "http://undecided.invalid/a?b=1".to_owned();
        assert_eq!(url("http://127.0.0.1:<chosen at start>/a?b=1"), Some(later));
        assert_eq!(url("https://h:8/a"), Some("https://h:8/a".to_owned()));
        assert_eq!(url("nothing"), None);
    }

    #[test]
    fn what_is_a_secret_by_its_name_is_struck_out_and_nothing_else() {
        let body =
            json!({"password": "x", "list": [{"api_key": "y", "n": 1}], "token": {"id": 7}, "ok": true});
        let struck = without_secrets(body);
        assert_eq!(
            struck,
            json!({"password": "***", "list": [{"api_key": "***", "n": 1}], "token": {"id": 7}, "ok": true})
        );
        assert_eq!(without_secrets(struck.clone()), struck);
        let listed = json!({"password": ["a", 1], "next": "/p?token=b"});
        assert_eq!(without_secrets(listed), json!({"password": ["***", "***"], "next": "/p?token=***"}));
        assert_eq!(without_secrets_in("{ \"n\":  1 }".to_owned()), "{ \"n\":  1 }", "its spelling stays");
        assert_eq!(without_secrets_in("a=1&password=b".to_owned()), "a=1&password=***");
        assert_eq!(named("Authorization", "Bearer abc")["value"], "***");
        assert_eq!(named("authorization", "Bearer ***")["value"], "Bearer ***");
    }
}
