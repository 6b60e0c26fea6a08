//! HAR 1.2 files: HTTP exchanges as browsers and proxies write them down, and `rehearse --record`.
//!
//! Owns reading one. It is a foreign format: whatever is not needed here is passed over, known or not, and so are the
//! rules about unknown keys and their spelling. What is needed and is not there, or is something else, is refused with
//! its line and column. No message quotes a value: such files hold cookies and tokens.
//!
//! What `--record` adds stands under `_consigne`, as the format allows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::scenario::{Exchange, FailWord, Part, Recorded, Scenario, Wanted, What};
use crate::clock::Timestamp;
use crate::diag::Diagnostic;

/// How the name of such a file ends.
pub const ENDING: &str = "har";

/// What a file may measure: those of a browser hold its pictures, too.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What one body may measure: as much as of a real answer is read back.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
const MAX_ENTRIES: usize = 100_000;

#[derive(Deserialize)]
struct Har<'t> {
    #[serde(borrow)]
    log: Log<'t>,
}

#[derive(Deserialize)]
struct Log<'t> {
    #[serde(borrow)]
    entries: Vec<&'t RawValue>,
    #[serde(rename = "_consigne")]
    recorded: Option<OfRun>,
}

#[derive(Deserialize)]
struct OfRun {
    run: String,
    at: String,
}

#[derive(Deserialize)]
struct Entry {
    time: Option<f64>,
    request: Request,
    response: Response,
    #[serde(rename = "_consigne")]
    place: Option<PlaceOf>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    status: i64,
    headers: Option<Vec<Header>>,
    content: Option<Content>,
    /// Why there is no answer, as browsers have it, too.
    #[serde(rename = "_error")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct PlaceOf {
    step: String,
    part: String,
    /// What the step asked for, as the runbook had it.
    wanted: Option<String>,
}

/// Whether a file is one of these, by its name.
pub fn is_har(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING))
}

/// Reads the exchanges of a file, as a scenario that says nothing else.
pub fn read(path: &Path) -> (Scenario, Vec<Diagnostic>) {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| {
        Diagnostic::about("not-readable", &*name, format!("reading the file: {error}"))
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return (Scenario::default(), vec![failed(error)]);
    }
    if bytes.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_BYTES / (1024 * 1024));
        return (Scenario::default(), vec![Diagnostic::about("limit", name, message)]);
    }
    match String::from_utf8(bytes) {
        Ok(text) => from_text(&name, &text),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("line {line} is not UTF-8 text");
            (Scenario::default(), vec![Diagnostic::about("not-utf-8", name, message)])
        }
    }
}

/// As [`read`], from its text.
pub fn from_text(name: &str, text: &str) -> (Scenario, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let har: Har<'_> = match serde_json::from_str(text) {
        Ok(har) => har,
        Err(error) => return (Scenario::default(), vec![unread(name, &error, (1, 1))]),
    };
    let (mut out, mut problems) = (Scenario::default(), Vec::new());
    if har.log.entries.len() > MAX_ENTRIES {
        let message = format!("it has {} entries, at most {MAX_ENTRIES} are possible", har.log.entries.len());
        return (out, vec![Diagnostic::about("limit", name, message)]);
    }
    let (mut wanted, mut reached) = (BTreeMap::new(), Reached::of(text));
    for raw in &har.log.entries {
        let at = reached.go_to(raw.get().as_ptr() as usize - text.as_ptr() as usize);
        let entry: Entry = match serde_json::from_str(raw.get()) {
            Ok(entry) => entry,
            Err(error) => {
                problems.push(unread(name, &error, at));
                continue;
            }
        };
        match exchange(entry) {
            Ok((exchange, of_step)) => {
                wanted.extend(exchange.place.clone().zip(of_step));
                out.exchanges.push(exchange);
            }
            Err(why) => {
                let (line, column) = at;
                let message = format!("the entry at line {line}, column {column}: {why}");
                problems.push(Diagnostic::about("bad-value", name, message));
            }
        }
    }
    if let Some(OfRun { run, at }) = har.log.recorded {
        match at.parse::<Timestamp>() {
            Ok(at) => out.recorded = Some(Recorded { run, at, requests: wanted }),
            Err(_) => {
                let message = "`at` under `_consigne` of the log is no instant such as 2026-01-05T09:00:00Z";
                problems.push(Diagnostic::about("bad-value", name, message));
            }
        }
    }
    (out, problems)
}

fn exchange(entry: Entry) -> Result<(Exchange, Option<Wanted>), String> {
    let Entry { time, request, response, place } = entry;
    if request.method.is_empty() || request.url.is_empty() {
        return Err("its request has no method or no url".to_owned());
    }
    let what = match (response.status, response.error) {
        // Nothing was answered.
        (0 | -1, why) => match why.and_then(|why| FailWord::of(&why)) {
            Some(word) => What::Fails(word),
            None => What::Unknown,
        },
        (status, _) => {
            let status = u16::try_from(status).ok().filter(|status| (100..=999).contains(status));
            let status = status.ok_or("its status is no HTTP status, nor 0 for none")?;
            What::Http { status, headers: headers(response.headers), body: body(response.content)? }
        }
    };
    let (place, wanted) = match place {
        None => (None, None),
        Some(PlaceOf { step, part, wanted }) => {
            let part = Part::of(&part).ok_or("`part` under `_consigne` is no part of a step")?;
            (Some((step, part)), wanted.as_deref().and_then(Wanted::parse))
        }
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within bounds")]
    let takes_ms = time.filter(|time| *time >= 0.0).map(|time| time.min(86_400_000.0).round() as u64);
    let Request { method, url } = request;
    Ok((Exchange { place, method: method.to_ascii_uppercase(), url, what, takes_ms }, wanted))
}

/// As the runners have them: small letters, several values joined.
fn headers(all: Option<Vec<Header>>) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    // HTTP/2 has the status among them.
    for Header { name, value } in all.into_iter().flatten().filter(|header| !header.name.starts_with(':')) {
        let value = value.unwrap_or_default();
        out.entry(name.to_ascii_lowercase())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert(value);
    }
    out
}

fn body(content: Option<Content>) -> Result<String, String> {
    let Some(Content { text, encoding }) = content else { return Ok(String::new()) };
    let text = text.unwrap_or_default();
    let body = match encoding.as_deref() {
        None | Some("") => text,
        Some("base64") => {
            let engine = base64::engine::general_purpose::STANDARD;
            let bytes = engine.decode(text.trim()).map_err(|_| "its body is said to be base64 and is not")?;
            match String::from_utf8_lossy(&bytes) {
                Cow::Borrowed(text) => text.to_owned(),
                Cow::Owned(text) => text,
            }
        }
        Some(_) => return Err("its body has an encoding that is not base64".to_owned()),
    };
    if body.len() > MAX_BODY {
        return Err(format!("its body is larger than {} MiB", MAX_BODY / (1024 * 1024)));
    }
    Ok(body)
}

/// How far a text was gone through. Entries stand one behind the other, and no byte is counted twice.
struct Reached<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
    /// Where its line begins.
    line_at: usize,
}

impl<'t> Reached<'t> {
    const fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, line: 1, line_at: 0 }
    }

    /// Line and column of a byte further on, from 1.
    fn go_to(&mut self, to: usize) -> (usize, usize) {
        let to = to.clamp(self.at, self.text.len());
        for (passed, byte) in self.text[self.at..to].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_at = self.at + passed + 1;
            }
        }
        self.at = to;
        (self.line, to - self.line_at + 1)
    }
}

/// What the parser says, without what it read. `from` is where the text that it was given begins.
fn unread(name: &str, error: &serde_json::Error, from: (usize, usize)) -> Diagnostic {
    let line = from.0 + error.line().max(1) - 1;
    let column = if error.line() <= 1 { from.1 + error.column().max(1) - 1 } else { error.column().max(1) };
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let (code, why) = match error.classify() {
        Category::Syntax | Category::Eof => ("syntax", format!("it is not JSON: {said}")),
        Category::Data | Category::Io => match said.rsplit_once(", expected ") {
            Some((_, expected)) => ("wrong-type", format!("expected {}", nameless(expected))),
            None if said.starts_with("missing field") || said.starts_with("duplicate field") => {
                ("missing-key", said.to_owned())
            }
            None => ("wrong-type", "it has not the form of a HAR file".to_owned()),
        },
    };
    let message = format!("line {line}, column {column}: {why}");
    Diagnostic::about(code, name, message).help("a HAR 1.2 file: {\"log\": {\"entries\": […]}}")
}

/// The parser speaks of the types of this program.
fn nameless(expected: &str) -> &str {
    match expected {
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &str) -> String {
        format!("{{\"log\": {{\"version\": \"1.2\", \"unheard\": 1, \"entries\": [\n{entries}\n]}}}}")
    }

    fn problems(text: &str) -> Vec<(&'static str, String)> {
        let (_, problems) = from_text("x.har", text);
        problems.into_iter().map(|problem| (problem.code, problem.message)).collect()
    }

    #[test]
    fn what_a_browser_writes_is_read() {
        let entry = r#"{"_initiator": {"type": "script"}, "startedDateTime": "2026-01-05T09:00:00Z", "time": 12.6,
            "request": {"method": "get", "url": "https://h/a?x=1", "headers": [], "cookies": null},
            "response": {"status": 200, "headers": [{"name": ":status", "value": "200"}, {"name": "X-A", "value": "1"},
             {"name": "x-a", "value": "2"}], "content": {"size": 2, "text": "eyJuIjoxfQ==", "encoding": "base64"}}}"#;
        let lost =
            r#"{"request": {"method": "GET", "url": "u"}, "response": {"status": 0, "_error": "timeout"}}"#;
        let gone = r#"{"request": {"method": "GET", "url": "u"}, "response": {"status": 0, "_error": "net::ERR_ABORTED"}}"#;
        let (scenario, problems) = from_text("x.har", &log(&[entry, lost, gone].join(",\n")));
        assert!(problems.is_empty(), "{problems:?}");
        let exchange = &scenario.exchanges[0];
        assert_eq!((exchange.method.as_str(), exchange.url.as_str()), ("GET", "https://h/a?x=1"));
        assert_eq!((exchange.takes_ms, &exchange.place), (Some(13), &None));
        let headers = BTreeMap::from([("x-a".to_owned(), "1, 2".to_owned())]);
        assert_eq!(exchange.what, What::Http { status: 200, headers, body: r#"{"n":1}"#.to_owned() });
        assert_eq!(scenario.exchanges[1].what, What::Fails(FailWord::Timeout));
        assert_eq!(scenario.exchanges[2].what, What::Unknown);
        assert!(scenario.recorded.is_none());
    }

    #[test]
    fn a_file_is_gone_through_once_however_many_entries_it_has() {
        let mut reached = Reached::of("a\nbc\nd");
        assert_eq!(
            [0, 1, 3, 5, 5, 9].map(|at| reached.go_to(at)),
            [(1, 1), (1, 2), (2, 2), (3, 1), (3, 1), (3, 2)]
        );
        assert_eq!(reached.go_to(0), (3, 2), "it never goes back, so it never counts again");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_its_values() {
        let request = r#"{"method": "GET", "url": "u"}"#;
        let with = |response: &str| log(&format!("{{\"request\": {request},\n \"response\": {response}}}"));
        for (text, code, says) in [
            ("{\"log\": {\n", "syntax", "line 2, column 1"),
            ("[]", "wrong-type", "line 1, column 2: expected an object"),
            ("{\"log\": {}}", "missing-key", "`entries`"),
            (
                with("{\"status\": \"canary-s3cret\"}").as_str(),
                "wrong-type",
                "line 3, column 39: expected a whole number",
            ),
            (with("{}").as_str(), "missing-key", "line 3, column 15: missing field `status`"),
            (with("{\"status\": 99}").as_str(), "bad-value", "the entry at line 2, column 1: its status"),
            (
                with(
                    "{\"status\": 200, \"content\": {\"text\": \"canary-s3cret\", \"encoding\": \"base64\"}}",
                )
                .as_str(),
                "bad-value",
                "base64",
            ),
            (
                with("{\"status\": 200, \"content\": {\"encoding\": \"rot13\"}}").as_str(),
                "bad-value",
                "encoding",
            ),
            (
                log(r#"{"request": {"method": "", "url": "u"}, "response": {"status": 200}}"#).as_str(),
                "bad-value",
                "method",
            ),
            (log("7").as_str(), "wrong-type", "line 2, column 1: expected an object"),
            (&"[".repeat(100_000), "syntax", "it is not JSON"),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].0, code, "{found:?}");
            assert!(found[0].1.contains(says), "`{says}` is not in {found:?}");
            assert!(!found[0].1.contains("s3cret"), "{found:?}");
        }
        let two = problems(&log("{\"request\": 1},\n  {\"response\": 2}"));
        assert_eq!(two.len(), 2, "every bad entry is said");
        assert!(
            two[0].1.starts_with("line 2, column 13") && two[1].1.starts_with("line 3, column "),
            "{two:?}"
        );
    }
}
