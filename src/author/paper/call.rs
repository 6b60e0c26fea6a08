//! What a machine would do, as a person does it: a request and its `curl` line, a script, a program. Nothing is sent
//! or started here.

use super::fill::{Known, fenced};
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::scalar::{Entries, Many};
use crate::runbook::schema::{Expect, Http, HttpDefaults};
use crate::runbook::shell;
use crate::runbook::template::Template;

/// What a call takes over from the runbook besides its own words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub defaults: Option<&'a HttpDefaults>,
    /// It carries a key that makes repeating it safe.
    pub keyed: bool,
}

/// An action as blocks of Markdown; nothing when it is not one.
pub(super) fn blocks(known: &Known, act: Act<'_>, around: Surroundings<'_>) -> Vec<String> {
    if let Some(http) = act.http {
        let Some(request) = Request::of(known, http, around) else { return Vec::new() };
        let timeout = act.timeout.map(|timeout| timeout.value).or(around.defaults.and_then(|d| d.timeout));
        return vec![
            fenced("http", &request.shown()),
            fenced("sh", &request.curl(act.expect, timeout.map_or(30_000, |timeout| timeout.0))),
        ];
    }
    let mut lines: Vec<String> = Vec::new();
    // In one line, whatever the name is computed from.
    lines
        .extend(act.host.map(|host| format!("# on {}", known.plain(&host.value).replace(['\n', '\r'], " "))));
    for (name, value) in act.env.iter().flat_map(|env| env.iter()) {
        lines.push(format!("export {}={}", name.value, quoted(&known.plain(&value.value))));
    }
    if around.keyed {
        lines.push(format!("export CONSIGNE_IDEMPOTENCY_KEY={}", quoted(new_key(known))));
    }
    if let Some(cwd) = act.cwd {
        lines.push(format!("cd {}", quoted(&known.plain(&cwd.value))));
    }
    if let Some(script) = act.shell {
        // As the tool does it: the first command that fails ends the script.
        let Ok(lowered) = shell::lower(&script.value) else { return Vec::new() };
        for (name, value) in &lowered.values {
            lines.push(format!("export {name}={}", quoted(&known.plain(value))));
        }
        lines.push("set -euo pipefail".to_owned());
        lines.push(lowered.text.trim_end().to_owned());
        let text = lines.join("\n");
        return vec![fenced("bash", &format!("(\n{text}\n)"))];
    }
    let Some(argv) = act.argv else { return Vec::new() };
    let words: Vec<String> = argv.value.iter().map(|word| quoted(&known.plain(&word.value))).collect();
    lines.push(words.join(" "));
    vec![fenced("sh", &lines.join("\n"))]
}

struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    user: Option<String>,
    ca_file: Option<String>,
    body: Option<Body>,
}

enum Body {
    Json(serde_json::Value),
    Form(Vec<(String, String)>),
    Text(String),
    File(String),
}

impl Request {
    fn of(known: &Known, http: &Http, around: Surroundings<'_>) -> Option<Self> {
        let (method, address) = http.calls().next()?;
        let own = known.address(&address.value);
        let base = around.defaults.and_then(|d| d.base.as_ref()).map(|base| known.address(&base.value));
        let relative = own.starts_with('/');
        let url = match &base {
            Some(base) if relative => format!("{}{own}", base.trim_end_matches('/')),
            _ => own,
        };
        // Credentials of the defaults go to their host only.
        let ours = relative || base.is_some_and(|base| origin(&base) == origin(&url));
        let defaults = around.defaults.filter(|_| ours);
        let mut headers = pairs(known, http.headers.as_ref());
        for (name, value) in pairs(known, defaults.and_then(|d| d.headers.as_ref())) {
            if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
                headers.push((name, value));
            }
        }
        let mut user = None;
        if let Some(name) = &http.bearer {
            if name.value != "none" {
                headers.insert(0, bearer(&name.value));
            }
        } else if let Some(basic) = &http.basic {
            user = Some(format!("{}:<secret {}>", known.plain(&basic.user.value), basic.secret.value));
        } else if let Some(header) = &http.header {
            headers.insert(0, (header.name.value.clone(), format!("<secret {}>", header.secret.value)));
        } else if let Some(name) = defaults.and_then(|d| d.bearer.as_ref()) {
            headers.insert(0, bearer(&name.value));
        }
        if around.keyed {
            headers.push(("Idempotency-Key".to_owned(), new_key(known).to_owned()));
        }
        let ca_file = http.ca_file.as_ref().or(defaults.and_then(|d| d.ca_file.as_ref()));
        Some(Self {
            method,
            url,
            headers,
            query: pairs(known, http.query.as_ref()),
            user,
            ca_file: ca_file.map(|path| path.value.clone()),
            body: body(known, http),
        })
    }

    /// The address with its query.
    fn address(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.url, query.join("&"))
    }

    /// The request as it goes over the line.
    fn shown(&self) -> String {
        let mut lines = vec![format!("{} {}", self.method, self.address())];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.extend(self.user.iter().map(|user| format!("Authorization: Basic {user}")));
        match &self.body {
            None => {}
            Some(Body::Json(json)) => {
                lines.push("Content-Type: application/json\n".to_owned());
                lines.push(serde_json::to_string_pretty(json).unwrap_or_default());
            }
            Some(Body::Form(form)) => {
                lines.push("Content-Type: application/x-www-form-urlencoded\n".to_owned());
                lines.extend(form.iter().map(|(name, value)| format!("{name}={value}")));
            }
            Some(Body::Text(text)) => lines.push(format!("\n{text}")),
            Some(Body::File(path)) => lines.push(format!("\n< {path}")),
        }
        lines.join("\n")
    }

    fn curl(&self, expect: Option<&Expect>, timeout_ms: u64) -> String {
        // A refusal that is wanted is no failure: there the status is to be seen.
        let refusal = expect.and_then(|expect| expect.status.as_ref());
        let refusal =
            refusal.is_some_and(|Many(status)| status.iter().any(|s| !(200..300).contains(&s.value)));
        let first = if refusal { "curl --include" } else { "curl --fail-with-body" };
        let mut parts = vec![format!("{first} --max-time {}", timeout_ms.div_ceil(1000))];
        match self.method {
            "GET" => {}
            "HEAD" => parts.push("--head".to_owned()),
            method => parts.push(format!("--request {method}")),
        }
        parts.extend(self.ca_file.iter().map(|path| format!("--cacert {}", quoted(path))));
        parts.extend(self.user.iter().map(|user| format!("--user {}", quoted(user))));
        parts.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("--header {}", quoted(&format!("{name}: {value}")))),
        );
        match &self.body {
            None => {}
            Some(Body::Json(json)) => {
                parts.push("--header 'Content-Type: application/json'".to_owned());
                parts.push(format!("--data {}", quoted(&json.to_string())));
            }
            Some(Body::Form(form)) => parts.extend(
                form.iter()
                    .map(|(name, value)| format!("--data-urlencode {}", quoted(&format!("{name}={value}")))),
            ),
            Some(Body::Text(text)) => parts.push(format!("--data-binary {}", quoted(text))),
            Some(Body::File(path)) => parts.push(format!("--data-binary {}", quoted(&format!("@{path}")))),
        }
        let get = self.method == "GET" && !self.query.is_empty();
        if get {
            parts.push("--get".to_owned());
            let pairs = self.query.iter().map(|(name, value)| format!("{name}={value}"));
            parts.extend(pairs.map(|pair| format!("--data-urlencode {}", quoted(&pair))));
        }
        parts.push(quoted(&if get { self.url.clone() } else { self.address() }));
        parts.join(" \\\n  ")
    }
}

fn bearer(secret: &str) -> (String, String) {
    ("Authorization".to_owned(), format!("Bearer <secret {secret}>"))
}

const fn new_key(known: &Known) -> &'static str {
    if known.french {
        "<une clé neuve, la même à chaque essai>"
    } else {
        "<a new key, the same at each try>"
    }
}

fn body(known: &Known, http: &Http) -> Option<Body> {
    if let Some(data) = &http.json {
        return Some(Body::Json(known.json(data)));
    }
    if http.form.is_some() {
        return Some(Body::Form(pairs(known, http.form.as_ref())));
    }
    if let Some(text) = &http.body {
        return Some(Body::Text(known.plain(&text.value)));
    }
    http.file.as_ref().map(|path| Body::File(known.plain(&path.value)))
}

fn pairs(known: &Known, entries: Option<&Entries<Spanned<Template>>>) -> Vec<(String, String)> {
    let entries = entries.into_iter().flat_map(Entries::iter);
    entries.map(|(name, value)| (name.value.clone(), known.plain(&value.value))).collect()
}

/// Scheme and host of an address, as far as they can be read.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// A word for a shell. Placeholders stand within quotes: what a person puts there has to be quoted as well.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
