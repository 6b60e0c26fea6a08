//! The text of a decision: what a person agreed to, in lines that anybody can read and an SSH key can sign.
//!
//! Owns the text, its escaping (no value can make a line of its own) and who may have signed it. The text quotes the
//! tree head signed directly after its question was asked, so it is over all history so far; the requests it covers
//! are the ones that history commits to.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::allowed_signers::{AllowedSigners, NotAllowed};
use super::limits;
use super::namespace;
use super::place::{Line, Malformed, lines};
use super::sshsig::{SshSigError, SshSignature};
use crate::clock::Timestamp;
use crate::core::event::Decision;
use crate::core::state::Ask;
use crate::core::{AskKind, How, Shown, exhibited};
use crate::plan::{Action, Auth, Body, Mode, Program, ProgramCall, ShellCall};
use crate::runbook::template::{Rendered, Tree};

/// The version of the text.
const VERSION: &str = "v1";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub run: String,
    pub runbook: String,
    /// SHA-256 of `plan/graph.json`.
    pub plan: String,
    pub mode: Mode,
    /// Whose executor asks. With it the text alone says in which namespace it is signed.
    pub org: String,
    pub step: String,
    pub ask: u32,
    /// Size and root of the tree head.
    pub head: (u64, String),
    /// 32 hexadecimal digits: a withheld text cannot be guessed from its digest.
    pub nonce: String,
    pub expires: Option<Timestamp>,
    /// See [`shown_lines`].
    pub shown: Vec<String>,
    pub decision: Decision,
    pub comment: Option<String>,
    pub who: String,
    pub how: How,
}

/// Where two texts part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub line: usize,
    pub expected: String,
    pub found: String,
}

/// Why a signature under an approval does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadApproval {
    #[error(transparent)]
    Signature(#[from] SshSigError),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("line {line} of allowed_signers: the key is {found}'s, expected {expected}")]
    OtherPrincipal { line: usize, found: String, expected: String },
}

impl Approval {
    /// The exact bytes that are signed.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // No line ends in a space: on its way to whoever signs it, such a space would be lost.
        let mut put = |key: &str, value: &str| {
            let space = if value.is_empty() { "" } else { " " };
            let _ = writeln!(out, "{key}:{space}{}", escape(value));
        };
        put("consigne-approval", VERSION);
        put("run", &self.run);
        put("runbook", &format!("{}@sha256:{}", self.runbook, self.plan));
        put("mode", self.mode.name());
        put("org", &self.org);
        put("step", &self.step);
        put("ask", &self.ask.to_string());
        put("head", &format!("{} {}", self.head.0, self.head.1));
        put("nonce", &self.nonce);
        put("expires", &self.expires.map_or_else(|| "never".to_owned(), |at| at.to_string()));
        self.shown.iter().for_each(|line| put("shown", line));
        put("decision", &wire(&self.decision));
        if let Some(comment) = &self.comment {
            put("comment", comment);
        }
        put("who", &self.who);
        put("how", &wire(&self.how));
        out
    }

    /// # Errors
    /// It is not exactly what [`Approval::text`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let all = lines(bytes)?;
        let mut reader = Reader::of(&all);
        let version = reader.take("consigne-approval")?;
        if version != VERSION {
            return Err(Malformed::start(format!(
                "an approval of version {version:?}, expected {VERSION:?}"
            )));
        }
        let run = reader.take("run")?;
        let runbook = reader.take("runbook")?;
        let (runbook, plan) =
            runbook.split_once("@sha256:").ok_or_else(|| reader.malformed("not a runbook and its digest"))?;
        let (runbook, plan) = (runbook.to_owned(), plan.to_owned());
        let mode = reader.take_wire("mode")?;
        let org = reader.take("org")?;
        let step = reader.take("step")?;
        let ask = reader.take_number("ask")?;
        let head = reader.take("head")?;
        let (size, root) = head.split_once(' ').ok_or_else(|| reader.malformed("not a size and a root"))?;
        let size = size.parse().map_err(|_| reader.malformed("not a size"))?;
        let head = (size, root.to_owned());
        let nonce = reader.take("nonce")?;
        let expires = match reader.take("expires")?.as_str() {
            "never" => None,
            at => Some(at.parse().map_err(|_| reader.malformed("not an instant"))?),
        };
        let mut shown = Vec::new();
        while reader.is_at("shown") {
            shown.push(reader.take("shown")?);
        }
        let decision = reader.take_wire("decision")?;
        let comment = reader.is_at("comment").then(|| reader.take("comment")).transpose()?;
        let (who, how) = (reader.take("who")?, reader.take_wire("how")?);
        let approval = Self {
            run,
            runbook,
            plan,
            mode,
            org,
            step,
            ask,
            head,
            nonce,
            expires,
            shown,
            decision,
            comment,
            who,
            how,
        };
        match approval.text().lines().zip(&all).find(|(ours, line)| *ours != line.text) {
            Some((_, line)) => Err(line.malformed("not spelled as consigne writes it")),
            None if reader.at < all.len() => {
                Err(all[reader.at].malformed("a line after the end of the approval"))
            }
            None => Ok(approval),
        }
    }

    /// What stands in the place of a name that is still to be filled in: `? (bob, carol)`.
    pub fn unnamed(people: &[String]) -> String {
        format!("? ({})", people.join(", "))
    }

    /// Whoever signs has to fill in his name first.
    pub fn is_unnamed(&self) -> bool {
        self.who.starts_with('?')
    }

    /// The first line in which `other` is not this text: its number and the line, here and there.
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        let (ours, theirs) = (self.text(), other.text());
        let (mut ours, mut theirs, mut line) = (ours.lines(), theirs.lines(), 0);
        loop {
            line += 1;
            let (expected, found) = (ours.next(), theirs.next());
            if expected != found || expected.is_none() {
                let or_end = |line: Option<&str>| line.unwrap_or_default().to_owned();
                return expected.or(found).map(|_| Difference {
                    line,
                    expected: or_end(expected),
                    found: or_end(found),
                });
            }
        }
    }

    /// In which namespace it is signed: by the person, or by the executor who vouches for them.
    pub fn namespace(&self, personal: bool) -> String {
        let of = if personal { namespace::approve } else { namespace::attest };
        of(self.mode.name(), &self.runbook, &self.step, &self.org)
    }

    /// The name of its file below `approvals/`, without the ending: `0003.isolate.alice`.
    pub fn stem(&self) -> String {
        format!("{:04}.{}.{}", self.ask, plain(&self.step), plain(&self.who))
    }

    /// Whether the signature is over this text, in the right namespace, by a key that `signers` gives to `principal`
    /// and allows at `at`.
    ///
    /// # Errors
    /// It is not.
    pub fn check(
        &self,
        signature: &SshSignature,
        signers: &AllowedSigners,
        (principal, personal): (&str, bool),
        at: Timestamp,
    ) -> Result<(), BadApproval> {
        let namespace = self.namespace(personal);
        signature.verify(&namespace, self.text().as_bytes())?;
        let signer = signers.authorise(signature.key(), &namespace, at)?;
        if !signer.is_principal(principal) {
            let (line, found) = (signer.line, signer.principals().to_owned());
            return Err(BadApproval::OtherPrincipal { line, found, expected: principal.to_owned() });
        }
        Ok(())
    }
}

/// Reads `key: value` lines, one after the other.
pub(super) struct Reader<'a> {
    lines: &'a [Line<'a>],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn of(lines: &'a [Line<'a>]) -> Self {
        Self { lines, at: 0 }
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> Malformed {
        match self.lines.get(self.at.saturating_sub(1)) {
            Some(line) => line.malformed(what),
            None => Malformed::start(what),
        }
    }

    fn is_at(&self, key: &str) -> bool {
        self.lines.get(self.at).is_some_and(|line| value(line.text, key).is_some())
    }

    pub(super) fn take(&mut self, key: &str) -> Result<String, Malformed> {
        if !self.is_at(key) {
            self.at += 1;
            return Err(self.malformed(format!("expected a line `{key}: …`")));
        }
        let line = &self.lines[self.at];
        self.at += 1;
        value(line.text, key)
            .and_then(unescape)
            .ok_or_else(|| line.malformed("not an escape that consigne writes"))
    }

    pub(super) fn take_number(&mut self, key: &str) -> Result<u32, Malformed> {
        self.take(key)?.parse().map_err(|_| self.malformed("not a number"))
    }

    pub(super) fn take_wire<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, Malformed> {
        let text = self.take(key)?;
        serde_json::from_value(Value::from(text)).map_err(|_| self.malformed(format!("not a known `{key}`")))
    }
}

/// What stands behind the key, if the line is of that key.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(key)?.strip_prefix(':')?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

/// The wire name of an enumeration.
pub(crate) fn wire<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// What could break a line, hide text or change its direction.
pub(super) fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// A value as its line shows it: it breaks no line and hides nothing.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            c if must_escape(c) || (c == ' ' && at == last) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
        } else {
            let (code, after) = rest.strip_prefix("u{")?.split_once('}')?;
            out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

/// A name that fits into a file name between dots.
pub(super) fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.chars().map(|c| if fits(c) { c } else { '-' }).take(60).collect()
}

/// What the question showed: title, message, and every request that the answer covers, rendered.
///
/// None if a request that an approval must show is not disclosed.
pub fn shown_lines(ask: &Ask) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for name in ["title", "prompt"] {
        let text = ask.shown.get(name).and_then(|text| serde_json::from_str::<String>(text).ok());
        out.extend(text.iter().flat_map(|text| text.split('\n').map(str::to_owned)));
    }
    for exhibit in exhibited(ask) {
        out.push(format!("show {}", exhibit.of.unwrap_or_default()).trim_end().to_owned());
        // Never to be taken for a request, whose lines do not begin so.
        out.extend(exhibit.text.split('\n').map(|line| format!("  > {line}").trim_end().to_owned()));
    }
    let requests: Vec<Shown> = match ask.shown.get("shown") {
        Some(text) => serde_json::from_str(text).ok()?,
        None if ask.kind == AskKind::Approve => return None,
        None => Vec::new(),
    };
    for request in requests {
        out.push(format!("{} ({}) sha256:{}", request.step, wire(&request.effect), request.digest));
        action_lines(&request.action, &mut |line| out.push(format!("  {line}")));
    }
    out.extend(limits::shown(ask));
    Some(out)
}

fn action_lines(action: &Action<Rendered>, put: &mut dyn FnMut(String)) {
    match action {
        Action::Http(call) => {
            put(format!("{} {}", call.method, call.url));
            call.query.iter().for_each(|(name, value)| put(format!("query {name}={value}")));
            call.headers.iter().for_each(|(name, value)| put(format!("header {name}: {value}")));
            match &call.auth {
                Auth::None => {}
                Auth::Bearer(secret) => put(format!("bearer <secret {secret}>")),
                Auth::Basic(user, secret) => put(format!("basic {user}:<secret {secret}>")),
                Auth::Header(name, secret) => put(format!("header {name}: <secret {secret}>")),
            }
            match &call.body {
                Body::None => {}
                Body::Json(tree) => put(format!("json {}", json_line(tree))),
                Body::Form(fields) => {
                    fields.iter().for_each(|(name, value)| put(format!("form {name}={value}")))
                }
                Body::Text(text) => put(format!("body {text}")),
                Body::File(path) => put(format!("file {path}")),
            }
        }
        Action::Shell(call) => script_lines(call, put),
        Action::Argv(call) => program_lines(call, put),
        Action::Remote(call) => {
            let reach = call.reach.as_ref().map(|reach| format!(" ({})", reach.shown()));
            put(format!("host {}{}", call.host, reach.unwrap_or_default()));
            match &call.program {
                Program::Shell(call) => script_lines(call, put),
                Program::Argv(call) => program_lines(call, put),
            }
        }
        Action::Notify(notice) => {
            for recipient in &notice.to {
                let over: Vec<String> = recipient.channels.iter().map(crate::plan::Channel::shown).collect();
                put(format!("to {}: {}", quoted(&recipient.name), over.join(", ")));
            }
            if notice.first {
                put("only the first who can be reached".to_owned());
            }
            if let Some(mail) = &notice.mail {
                put(format!("mail from {} by {}:{}", mail.from, mail.host, mail.port));
            }
            for (lang, subject, text) in notice.pages() {
                put(format!("subject {lang} {}", quoted(&subject.to_string())));
                text.to_string().lines().for_each(|line| put(format!("| {line}")));
            }
        }
    }
}

fn script_lines(call: &ShellCall<Rendered>, put: &mut dyn FnMut(String)) {
    call.script.lines().for_each(|line| put(format!("| {line}")));
    around(&call.env, call.cwd.as_ref(), put);
}

fn program_lines(call: &ProgramCall<Rendered>, put: &mut dyn FnMut(String)) {
    let words: Vec<String> = call.argv.iter().map(|word| quoted(&word.to_string())).collect();
    put(format!("argv {}", words.join(" ")));
    around(&call.env, call.cwd.as_ref(), put);
}

fn around(env: &[(String, Rendered)], cwd: Option<&Rendered>, put: &mut dyn FnMut(String)) {
    env.iter().for_each(|(name, value)| put(format!("env {name}={value}")));
    if let Some(cwd) = cwd {
        put(format!("in {cwd}"));
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn json_line(tree: &Tree<Rendered>) -> String {
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(yes) => yes.to_string(),
        Tree::Number(number) => number.clone(),
        Tree::Text(text) => quoted(&text.to_string()),
        Tree::List(list) => format!("[{}]", list.iter().map(json_line).collect::<Vec<_>>().join(",")),
        Tree::Map(map) => {
            let fields: Vec<String> =
                map.iter().map(|(k, v)| format!("{}:{}", quoted(k), json_line(v))).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::place::tests::every_changed_byte_is_refused;
    use super::super::sshsig::FileKey;
    use super::*;
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    pub(crate) fn approval() -> Approval {
        Approval {
            run: "r1".into(),
            runbook: "leak".into(),
            plan: "ab".repeat(32),
            mode: Mode::Live,
            org: "x".into(),
            step: "go".into(),
            ask: 3,
            head: (41, "Dm0Hu1bgUeniS6ckpJEmFowg2WuT0537K//sQF+7Z5g=".into()),
            nonce: "7f".repeat(16),
            expires: Some(Timestamp::from_millis(1_000)),
            shown: vec!["Isolate 3 tenants?".into(), "isolate (write) sha256:…".into()],
            decision: Decision::Approve,
            comment: Some("leak confirmed\nwho: mallory".into()),
            who: "alice".into(),
            how: How::SshKey,
        }
    }

    #[test]
    fn an_approval_reads_as_lines() {
        let text = approval().text();
        assert!(text.starts_with("consigne-approval: v1\nrun: r1\nrunbook: leak@sha256:abab"), "{text}");
        assert!(
            text.contains("\ncomment: leak confirmed\\u{a}who: mallory\nwho: alice\nhow: ssh-key\n"),
            "{text}"
        );
        assert_eq!(Approval::parse(text.as_bytes()).unwrap(), approval());
        assert_eq!(approval().stem(), "0003.go.alice");
        assert_eq!(Approval { who: "os:bob".into(), ..approval() }.stem(), "0003.go.os-bob");
    }

    #[test]
    fn requests_are_shown_with_references() {
        let action = serde_json::json!({"http": {
            "method": "PATCH", "url": [{"text": "https://api/t/7"}], "headers": [], "query": [], "ca_file": null,
            "body": {"json": {"map": [["status", {"text": [{"text": "off\n"}]}], ["by", {"text": [{"secret": "k"}]}]]}},
            "auth": {"bearer": "admin"}}});
        let shown =
            serde_json::json!([{"step": "isolate", "effect": "write", "digest": "d", "action": action}]);
        let mut ask = Ask {
            id: 1,
            step: 0,
            kind: crate::core::AskKind::Approve,
            opened: Timestamp::default(),
            expires: None,
            glass: None,
            escalated: false,
            covers: Vec::new(),
            reason: None,
            answers: Vec::new(),
            end: None,
            shown: [("prompt".into(), "\"a\\nb\"".into()), ("shown".into(), shown.to_string())].into(),
            binds: None,
            through: std::collections::BTreeSet::new(),
            attested: Vec::new(),
        };
        let lines = shown_lines(&ask).unwrap();
        let expected = [
            "a",
            "b",
            "isolate (write) sha256:d",
            "  PATCH https://api/t/7",
            "  bearer <secret admin>",
            "  json {\"status\":\"off\\n\",\"by\":\"<secret k>\"}",
        ];
        assert_eq!(lines, expected);
        ask.shown.remove("shown");
        assert_eq!(shown_lines(&ask), None);
        ask.kind = AskKind::Confirm;
        assert_eq!(shown_lines(&ask).unwrap(), ["a", "b"], "a confirmation covers no request");
    }

    #[test]
    fn only_the_named_person_can_have_signed() {
        let key = |seed| FileKey::from_ed25519(&SigningKey::from_bytes(&[seed; 32]));
        let list = format!(
            "alice@example.com namespaces=\"approve.live.leak.*@x\" {}\nbob@example.com namespaces=\"approve.*@x\" {}\n",
            key(1).public(),
            key(2).public()
        );
        let signers = AllowedSigners::parse(list.as_bytes()).unwrap();
        let given = approval();
        let sign = |seed, namespace: &str| key(seed).sign(namespace, given.text().as_bytes()).unwrap();
        let ask = |approval: &Approval, signature: &SshSignature| {
            approval.check(signature, &signers, ("alice@example.com", true), Timestamp::default())
        };
        let good = sign(1, &given.namespace(true));
        assert_eq!(ask(&given, &good), Ok(()));
        assert!(matches!(
            ask(&given, &sign(2, &given.namespace(true))),
            Err(BadApproval::OtherPrincipal { .. })
        ));
        assert!(matches!(ask(&given, &sign(3, &given.namespace(true))), Err(BadApproval::NotAllowed(_))));
        assert!(matches!(ask(&given, &sign(1, &given.namespace(false))), Err(BadApproval::Signature(_))));
        for other in [
            Approval { step: "stop".into(), ..given.clone() },
            Approval { mode: Mode::Drill, ..given.clone() },
            Approval { org: "y".into(), ..given.clone() },
            Approval { decision: Decision::Reject, ..given.clone() },
            Approval { head: (40, given.head.1.clone()), ..given.clone() },
        ] {
            assert!(matches!(ask(&other, &good), Err(BadApproval::Signature(_))), "{other:?}");
        }
    }

    #[test]
    fn no_line_ends_in_a_space_and_texts_part_in_a_line() {
        let given = Approval { shown: vec!["a".into(), String::new(), "b ".into()], ..approval() };
        let text = given.text();
        assert!(text.lines().all(|line| !line.ends_with(' ')) && text.contains("\nshown:\n"), "{text}");
        assert_eq!(Approval::parse(text.as_bytes()).unwrap(), given);
        assert!(Approval::parse(text.replace("shown:\n", "shown: \n").as_bytes()).is_err());
        assert_eq!(given.first_difference(&given), None);
        let other = Approval { comment: None, ..given.clone() };
        let found = given.first_difference(&other).unwrap();
        assert_eq!((found.line, found.found.as_str()), (15, "who: alice"));
        assert!(found.expected.starts_with("comment: leak"), "{found:?}");
        assert!(!given.is_unnamed());
        assert!(Approval { who: Approval::unnamed(&["bob".into(), "carol".into()]), ..given }.is_unnamed());
    }

    #[test]
    fn a_text_has_one_spelling() {
        let good = approval();
        every_changed_byte_is_refused(good.text().as_bytes(), |bytes| {
            Approval::parse(bytes).is_ok_and(|read| read == good)
        });
        let refused = |text: String| Approval::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused(good.text().replace("step: ", "stop: ")).contains("line 6, byte"));
        assert!(refused(good.text().replace("\\u{a}", "\\u{0a}")).contains("not spelled"));
        assert!(refused(good.text() + "who: bob\n").contains("after the end"));
    }

    proptest! {
        #[test]
        fn no_value_makes_a_line_of_its_own(value in any::<String>(), shown in prop::collection::vec(any::<String>(), 0..3)) {
            let given = Approval { comment: Some(value.clone()), who: value.clone(), step: value, shown, ..approval() };
            let text = given.text();
            prop_assert_eq!(text.lines().count(), 14 + given.shown.len());
            prop_assert_eq!(Approval::parse(text.as_bytes()).unwrap(), given);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "(consigne-approval: v1\\n)?[a-z: \\\\{}\\n]{0,60}") {
            let _ = (Approval::parse(&bytes), Approval::parse(text.as_bytes()));
        }
    }
}
