//! Judging: does an answer meet what the runbook expects, and what is taken from it.
//!
//! Owns the result document that filters see: `{status, headers, body, elapsed_ms}` of an HTTP call, `{exit, stdout,
//! stderr, json, elapsed_ms}` of a program. It is masked before any filter runs, so no output can hold a secret.
//! `contains` and `matches` look at the body, or at stdout. Messages never quote the answer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

use indexmap::IndexMap;
use regex::Regex;
use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use super::mask::{MASK, Masker};
use super::secrets::{LONGEST_SECRET, SHORTEST_SECRET};
use crate::core::Json;
use crate::plan::{Accept, Expect};
use crate::runbook::extract::{self, Document, Globals};

/// What one output may measure as JSON.
pub const OUTPUT_LIMIT: usize = 32 * 1024;

/// What came back, masked. A text is absent when it was too large to be held.
#[derive(Debug)]
pub struct Answer {
    pub(crate) parts: Parts,
    pub(crate) elapsed_ms: u64,
    document: OnceLock<Option<Document>>,
}

#[derive(Debug)]
pub(crate) enum Parts {
    Http {
        status: u16,
        headers: BTreeMap<String, String>,
        body: Option<String>,
        is_json: bool,
    },
    Program {
        exit: i32,
        stdout: Option<String>,
        stderr: Option<String>,
    },
    /// Whom it was enough to reach: those who were, and those who were tried before them.
    Notice {
        sent: Vec<String>,
        failed: Vec<String>,
    },
}

/// The first condition that an answer does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// `exit`, `status`, `expect` or `too_large`.
    pub reason: &'static str,
    pub message: String,
}

impl Answer {
    pub(crate) const fn new(parts: Parts, elapsed_ms: u64) -> Self {
        Self { parts, elapsed_ms, document: OnceLock::new() }
    }

    /// An answer that stands in a result document, as fixtures and past records have it. `None` when the text is not
    /// a result document.
    pub fn of_document(text: &str) -> Option<Self> {
        let document = Document::parse(text).ok()?;
        let value: Value = serde_json::from_str(text).ok()?;
        let text_of = |name: &str| match value.get(name) {
            None => Some(String::new()),
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let parts = if let Some(status) = value.get("status") {
            let status = u16::try_from(status.as_u64()?).ok()?;
            let is_json = value.get("body").is_some_and(|body| !body.is_string());
            Parts::Http { status, headers: BTreeMap::new(), body: text_of("body"), is_json }
        } else {
            let exit = i32::try_from(value.get("exit")?.as_i64()?).ok()?;
            Parts::Program { exit, stdout: text_of("stdout"), stderr: text_of("stderr") }
        };
        let elapsed_ms = value.get("elapsed_ms").and_then(Value::as_u64).unwrap_or(0);
        let answer = Self::new(parts, elapsed_ms);
        answer.document.set(Some(document)).ok()?;
        Some(answer)
    }

    /// Exit code or HTTP status.
    pub fn code(&self) -> i64 {
        match &self.parts {
            Parts::Http { status, .. } => i64::from(*status),
            Parts::Program { exit, .. } => i64::from(*exit),
            Parts::Notice { .. } => 0,
        }
    }

    pub(crate) const fn status(&self) -> Option<u16> {
        match &self.parts {
            Parts::Http { status, .. } => Some(*status),
            Parts::Program { .. } | Parts::Notice { .. } => None,
        }
    }

    /// What filters see; `None` when a part of it was too large to be held.
    pub fn document(&self) -> Option<&Document> {
        self.document.get_or_init(|| Document::parse(&self.document_text()?).ok()).as_ref()
    }

    fn document_text(&self) -> Option<String> {
        let mut out = String::new();
        match &self.parts {
            Parts::Http { status, headers, body, is_json } => {
                let body = body.as_deref()?;
                let body = json_of(body).filter(|_| *is_json).unwrap_or_else(|| quoted(body));
                let headers = serde_json::to_string(headers).ok()?;
                write!(out, r#"{{"status":{status},"headers":{headers},"body":{body}"#).ok()?;
            }
            Parts::Program { exit, stdout, stderr } => {
                let (stdout, stderr) = (stdout.as_deref()?, stderr.as_deref()?);
                let json = json_of(stdout).unwrap_or_else(|| "null".into());
                let (stdout, stderr) = (quoted(stdout), quoted(stderr));
                write!(out, r#"{{"exit":{exit},"stdout":{stdout},"stderr":{stderr},"json":{json}"#).ok()?;
            }
            Parts::Notice { sent, failed } => {
                let (sent, failed) = (serde_json::json!(sent), serde_json::json!(failed));
                write!(out, r#"{{"sent":{sent},"failed":{failed}"#).ok()?;
            }
        }
        write!(out, r#","elapsed_ms":{}}}"#, self.elapsed_ms).ok()?;
        Some(out)
    }

    /// What `contains` and `matches` look at.
    fn text(&self) -> Option<&str> {
        match &self.parts {
            Parts::Http { body, .. } => body.as_deref(),
            Parts::Program { stdout, .. } => stdout.as_deref(),
            Parts::Notice { .. } => None,
        }
    }

    /// What `schema` looks at.
    fn json(&self) -> Option<Value> {
        match &self.parts {
            Parts::Http { body, is_json, .. } => {
                let body = body.as_deref()?;
                let json = if *is_json { serde_json::from_str(body).ok() } else { None };
                Some(json.unwrap_or_else(|| Value::from(body)))
            }
            Parts::Program { stdout, .. } => {
                Some(serde_json::from_str(stdout.as_deref()?).unwrap_or(Value::Null))
            }
            Parts::Notice { .. } => None,
        }
    }
}

/// Whether judging and extracting will look at more than the exit code or status.
pub(crate) fn needs_text(accept: &Accept) -> bool {
    let looks = |expect: &Expect| {
        !expect.contains.is_empty()
            || !expect.matches.is_empty()
            || !expect.that.is_empty()
            || expect.schema.is_some()
    };
    looks(&accept.expect)
        || accept.absent.as_ref().is_some_and(looks)
        || accept.poll.as_ref().is_some_and(|poll| poll.until.is_some() || poll.fail_if.is_some())
        || !accept.outputs.is_empty()
}

/// Whether an answer meets all conditions.
///
/// # Errors
/// The first one that it does not meet.
pub fn judge(answer: &Answer, expect: &Expect, globals: &Globals) -> Result<(), Breach> {
    code(answer, expect)?;
    let no = |message: String| Err(Breach { reason: "expect", message });
    if !expect.contains.is_empty() || !expect.matches.is_empty() {
        let text = answer.text().ok_or_else(too_large)?;
        for part in &expect.contains {
            if !text.contains(part.as_str()) {
                return no(format!("it does not contain `{part}`"));
            }
        }
        for pattern in &expect.matches {
            match Regex::new(pattern) {
                Ok(regex) if regex.is_match(text) => {}
                Ok(_) => return no(format!("it does not match `{pattern}`")),
                Err(_) => return no(format!("`{pattern}` is not a regular expression")),
            }
        }
    }
    for filter in &expect.that {
        match extract::holds(filter, answer.document().ok_or_else(too_large)?, globals) {
            Ok(true) => {}
            Ok(false) => return no(format!("`{filter}` is not true")),
            Err(error) => return no(format!("`{filter}`: {error}")),
        }
    }
    if let Some(schema) = &expect.schema {
        match extract::breach(schema, &answer.json().ok_or_else(too_large)?) {
            Ok(None) => {}
            Ok(Some(breach)) => return no(format!("it does not conform to the schema: {breach}")),
            Err(error) => return no(error.to_string()),
        }
    }
    Ok(())
}

fn code(answer: &Answer, expect: &Expect) -> Result<(), Breach> {
    let list = |codes: Vec<String>| codes.join(", ");
    match &answer.parts {
        Parts::Http { status, .. } => {
            let (fits, wanted) = if expect.status.is_empty() {
                ((200..300).contains(status), "2xx".to_owned())
            } else {
                (expect.status.contains(status), list(expect.status.iter().map(u16::to_string).collect()))
            };
            let message = || format!("status {status}, expected {wanted}");
            if fits { Ok(()) } else { Err(Breach { reason: "status", message: message() }) }
        }
        Parts::Program { exit, .. } => {
            let (fits, wanted) = if expect.exit.is_empty() {
                (*exit == 0, "0".to_owned())
            } else {
                (expect.exit.contains(exit), list(expect.exit.iter().map(i32::to_string).collect()))
            };
            let message = || format!("exit code {exit}, expected {wanted}");
            if fits { Ok(()) } else { Err(Breach { reason: "exit", message: message() }) }
        }
        Parts::Notice { .. } => Ok(()),
    }
}

/// Takes the declared outputs from an answer.
///
/// # Errors
/// A filter gave nothing usable (`extract`), or too much (`output_too_large`).
pub fn outputs(
    answer: &Answer,
    filters: &IndexMap<String, String>,
    globals: &Globals,
    masker: &Masker,
) -> Result<BTreeMap<String, Json>, Breach> {
    let mut out = BTreeMap::new();
    for (name, filter) in filters {
        let breach = |reason, why: &str| Breach { reason, message: format!("output `{name}`: {why}") };
        let document = answer.document().ok_or_else(|| breach("output_too_large", &too_large().message))?;
        let text =
            extract::run(filter, document, globals).map_err(|error| breach("extract", &error.to_string()))?;
        if text.len() > OUTPUT_LIMIT {
            let why = format!("it has {} bytes of JSON, at most {OUTPUT_LIMIT} are possible", text.len());
            return Err(breach("output_too_large", &why));
        }
        // The document was masked; a filter might still have put a secret together.
        let masked = masker.text(&text);
        let json = Json::parse(&masked).unwrap_or_else(|_| Json::of(&Value::from(MASK)));
        out.insert(name.clone(), json);
    }
    Ok(out)
}

/// Takes the declared secrets from an answer that is not masked: all that can be taken, and why not the others. No
/// reason quotes a value.
pub(super) fn secrets(
    answer: &Answer,
    filters: &IndexMap<String, String>,
    globals: &Globals,
) -> (BTreeMap<String, SecretString>, Option<Breach>) {
    let (mut out, mut breach) = (BTreeMap::new(), None);
    for (name, filter) in filters {
        match secret(answer, filter, globals) {
            Ok(value) => drop(out.insert(name.clone(), value)),
            Err(why) => {
                let message = format!("secret output `{name}`: {why}");
                breach.get_or_insert(Breach { reason: "extract", message });
            }
        }
    }
    (out, breach)
}

/// One trailing line break is cut, as from a file.
fn secret(answer: &Answer, filter: &str, globals: &Globals) -> Result<SecretString, String> {
    let document = answer.document().ok_or("the answer is too large, or no UTF-8 text")?;
    let json = Zeroizing::new(extract::run(filter, document, globals).map_err(|error| error.to_string())?);
    let text = serde_json::from_str::<Option<String>>(&json).map_err(|_| "the filter gives no text")?;
    let text = Zeroizing::new(text.ok_or("the filter gives null")?);
    let cut = super::secrets::without_line_break(&text);
    if cut.len() < SHORTEST_SECRET {
        return Err(format!("it is shorter than {SHORTEST_SECRET} bytes and could not be masked"));
    }
    if cut.len() > LONGEST_SECRET {
        return Err(format!("it is longer than {LONGEST_SECRET} bytes"));
    }
    Ok(cut.into())
}

/// Holds a filter of `poll` over an answer; one that fails does not hold.
pub(crate) fn holds(answer: &Answer, filter: &str, globals: &Globals) -> Result<(), Breach> {
    let no = |message| Err(Breach { reason: "expect", message });
    match extract::holds(filter, answer.document().ok_or_else(too_large)?, globals) {
        Ok(true) => Ok(()),
        Ok(false) => no(format!("`{filter}` is not true")),
        Err(error) => no(format!("`{filter}`: {error}")),
    }
}

fn too_large() -> Breach {
    let message = format!("the answer is larger than {} bytes or nested too deeply", super::MEMORY_LIMIT);
    Breach { reason: "too_large", message }
}

/// The text itself, if it is JSON.
fn json_of(text: &str) -> Option<String> {
    let text = text.trim();
    Document::parse(text).ok().map(|_| text.to_owned())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn http(status: u16, body: &str) -> Answer {
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        Answer::new(Parts::Http { status, headers, body: Some(body.into()), is_json: true }, 7)
    }

    fn program(exit: i32, stdout: &str) -> Answer {
        Answer::new(Parts::Program { exit, stdout: Some(stdout.into()), stderr: Some(String::new()) }, 7)
    }

    fn reason(answer: &Answer, expect: &Expect) -> Option<&'static str> {
        judge(answer, expect, &Globals::default()).err().map(|breach| breach.reason)
    }

    #[test]
    fn rule_12_the_documents_have_their_documented_form() {
        assert_eq!(
            http(200, r#"{"n":1.10}"#).document().unwrap().text(),
            r#"{"status":200,"headers":{"content-type":"application/json"},"body":{"n":1.10},"elapsed_ms":7}"#
        );
        assert_eq!(http(200, "{oops").document().unwrap().text().matches(r#""body":"{oops""#).count(), 1);
        assert_eq!(
            program(3, " [1]\n").document().unwrap().text(),
            r#"{"exit":3,"stdout":" [1]\n","stderr":"","json":[1],"elapsed_ms":7}"#
        );
        assert!(program(0, "x").document().unwrap().text().contains(r#""json":null"#));
    }

    #[test]
    fn rule_11_nothing_given_means_exit_0_or_2xx() {
        let expect = Expect::default();
        assert_eq!(reason(&http(204, ""), &expect), None);
        assert_eq!(reason(&http(302, ""), &expect), Some("status"));
        assert_eq!(reason(&program(0, ""), &expect), None);
        assert_eq!(reason(&program(1, ""), &expect), Some("exit"));
    }

    #[test]
    fn all_conditions_must_hold() {
        let expect = Expect { status: vec![403], ..Expect::default() };
        assert_eq!(
            (reason(&http(403, ""), &expect), reason(&http(200, ""), &expect)),
            (None, Some("status"))
        );
        let expect = Expect { exit: vec![0, 1], contains: vec!["ok".into()], ..Expect::default() };
        assert_eq!(
            (reason(&program(1, "ok"), &expect), reason(&program(1, ""), &expect)),
            (None, Some("expect"))
        );
        let expect = Expect { matches: vec!["^v[0-9]+$".into()], ..Expect::default() };
        assert_eq!(
            (reason(&program(0, "v12"), &expect), reason(&program(0, "v"), &expect)),
            (None, Some("expect"))
        );
        let expect =
            Expect { that: vec![".body.n > 1".into(), ".status == 200".into()], ..Expect::default() };
        assert_eq!(reason(&http(200, r#"{"n":2}"#), &expect), None);
        assert_eq!(reason(&http(200, r#"{"n":1}"#), &expect), Some("expect"));
        assert_eq!(reason(&http(500, r#"{"n":2}"#), &expect), Some("status"), "narrows, keeps 2xx");
        let expect = Expect { schema: Some(json!({"required": ["n"]})), ..Expect::default() };
        assert_eq!(reason(&http(200, "{}"), &expect), Some("expect"));
        assert_eq!(reason(&program(0, r#"{"n":0}"#), &expect), None);
    }

    #[test]
    fn breaches_do_not_quote_the_answer() {
        let expect = Expect { that: vec![".body.a + 1 == 2".into()], ..Expect::default() };
        let breach = judge(&http(200, r#"{"a":"canary"}"#), &expect, &Globals::default()).unwrap_err();
        assert!(!breach.message.contains("canary"), "{breach:?}");
    }

    #[test]
    fn outputs_are_bounded_and_masked() {
        let take = |body: &str, filter: &str| {
            let filters = IndexMap::from([("x".to_owned(), filter.to_owned())]);
            outputs(
                &http(200, body),
                &filters,
                &Globals::default(),
                &Masker::of(["canary-s3cret", "12345678"]),
            )
            .map(|out| out["x"].text().to_owned())
            .map_err(|breach| breach.reason)
        };
        assert_eq!(take(r#"{"n":1.50}"#, ".body.n").unwrap(), "1.50");
        assert_eq!(take(r#"["canary","-s3cret"]"#, ".body | add").unwrap(), r#""***""#);
        assert_eq!(take(r#"[1234,5678]"#, ".body | map(tostring) | add | tonumber").unwrap(), r#""***""#);
        assert_eq!(take("{}", ".body.x[]?").unwrap_err(), "extract");
        assert_eq!(take(&format!("\"{}\"", "x".repeat(40_000)), ".body").unwrap_err(), "output_too_large");
    }

    #[test]
    fn a_part_that_was_not_kept_is_never_judged() {
        let parts = Parts::Http { status: 200, headers: BTreeMap::new(), body: None, is_json: true };
        let answer = Answer::new(parts, 0);
        let expect = Expect { contains: vec!["x".into()], ..Expect::default() };
        assert_eq!(reason(&answer, &expect), Some("too_large"));
        assert_eq!(reason(&answer, &Expect::default()), None);
    }

    #[test]
    fn a_stored_document_is_an_answer() {
        let answer = Answer::of_document(r#"{"status":403,"body":{"a":1},"elapsed_ms":2}"#).unwrap();
        let expect = Expect { status: vec![403], that: vec![".body.a == 1".into()], ..Expect::default() };
        assert_eq!((answer.code(), reason(&answer, &expect)), (403, None));
        let answer = Answer::of_document(r#"{"exit":2,"stdout":"x"}"#).unwrap();
        assert_eq!((answer.code(), reason(&answer, &Expect::default())), (2, Some("exit")));
        assert!(Answer::of_document("{}").is_none());
    }
}
