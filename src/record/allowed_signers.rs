//! `allowed_signers`: which key may sign in which namespace, and when. The format is OpenSSH's.
//!
//! Owns the parser and the decision. It is stricter than `ssh-keygen`, never looser: an entry without
//! namespaces, or a pattern that leaves the kind of signature open, authorises nothing here; a validity
//! without `Z`, which means another instant on every machine, is refused.

use std::fmt;

use chrono::NaiveDateTime;

use super::namespace::{matches, matches_list};
use super::place::{Line, Malformed, lines};
use super::sshsig::SignerKey;
use crate::clock::Timestamp;

/// The entries of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Where it stands in the file.
    pub line: usize,
    principals: String,
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
    cert_authority: bool,
    key: SignerKey,
}

/// Why a key may not sign. A later variant means that the key came closer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotAllowed {
    #[error("key {fingerprint} is not in allowed_signers")]
    UnknownKey { fingerprint: String },
    #[error("line {line}: the key is a certificate authority, and certificates are not accepted")]
    CertAuthority { line: usize },
    #[error("line {line}: {principals} may not sign in {namespace}")]
    Namespace { line: usize, principals: String, namespace: String },
    #[error("line {line}: {principals} may sign in {namespace} only by a pattern that is too wide to count")]
    TooWide { line: usize, principals: String, namespace: String },
    #[error("line {line}: {principals} may sign only from {from}, and this was signed at {at}")]
    NotYetValid { line: usize, principals: String, from: Timestamp, at: Timestamp },
    #[error("line {line}: {principals} could sign until {until}, and this was signed at {at}")]
    Expired { line: usize, principals: String, until: Timestamp, at: Timestamp },
}

/// Something in the file that works with stock tools but should not stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    pub line: usize,
    pub what: String,
}

impl AllowedSigners {
    /// Those of another list as well.
    pub(crate) fn also(&mut self, others: Self) {
        self.signers.extend(others.signers);
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut signers = Vec::new();
        for line in lines(bytes)? {
            let text = line.text.trim_matches([' ', '\t']);
            if !text.is_empty() && !text.starts_with('#') {
                signers.push(parse_entry(&line)?);
            }
        }
        Ok(Self { signers })
    }

    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The entry by which `key` may sign in `namespace` at the instant `at`.
    pub fn authorise(&self, key: &SignerKey, namespace: &str, at: Timestamp) -> Result<&Signer, NotAllowed> {
        let mut closest = NotAllowed::UnknownKey { fingerprint: key.fingerprint() };
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            match signer.allows(namespace, at) {
                Ok(()) => return Ok(signer),
                Err(reason) => closest = closest.max(reason),
            }
        }
        Err(closest)
    }

    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        for signer in &self.signers {
            let mut lint = |what: String| lints.push(Lint { line: signer.line, what });
            match &signer.namespaces {
                None => lint("no namespaces: with stock tools this key may sign anything".into()),
                Some(list) => {
                    for pattern in list.split(',').filter(|pattern| is_too_wide(pattern)) {
                        lint(format!("pattern {pattern:?} leaves open what is signed"));
                    }
                    for pattern in list.split(',').filter(|p| !is_too_wide(p) && !names_org(p)) {
                        lint(format!("pattern {pattern:?} names no organisation after '@'"));
                    }
                }
            }
        }
        lints
    }
}

/// Neither the seal nor an approval may be covered by accident.
fn is_too_wide(pattern: &str) -> bool {
    pattern.starts_with(['*', '?'])
}

fn names_org(pattern: &str) -> bool {
    pattern.starts_with('!') || pattern.split_once('@').is_some_and(|(_, org)| !org.contains(['*', '?']))
}

impl Signer {
    /// The names as they stand in the file: a comma separated list of patterns, most often one name.
    pub fn principals(&self) -> &str {
        &self.principals
    }

    pub fn is_principal(&self, name: &str) -> bool {
        matches_list(&self.principals, name)
    }

    /// What it may sign, as it stands in the file.
    pub fn namespaces(&self) -> Option<&str> {
        self.namespaces.as_deref()
    }

    pub fn key(&self) -> &SignerKey {
        &self.key
    }

    fn allows(&self, namespace: &str, at: Timestamp) -> Result<(), NotAllowed> {
        let (line, principals) = (self.line, self.principals.clone());
        if self.cert_authority {
            return Err(NotAllowed::CertAuthority { line });
        }
        let list = self.namespaces.as_deref().unwrap_or("*");
        if !matches_list(list, namespace) {
            return Err(NotAllowed::Namespace { line, principals, namespace: namespace.into() });
        }
        if !list.split(',').any(|pattern| !is_too_wide(pattern) && matches(pattern, namespace)) {
            return Err(NotAllowed::TooWide { line, principals, namespace: namespace.into() });
        }
        match (self.valid_after, self.valid_before) {
            (Some(from), _) if at < from => Err(NotAllowed::NotYetValid { line, principals, from, at }),
            (_, Some(until)) if at > until => Err(NotAllowed::Expired { line, principals, until, at }),
            _ => Ok(()),
        }
    }
}

/// The line as we write it.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = |at: Timestamp| at.to_string()[..19].replace(['-', ':', 'T'], "");
        let options: Vec<String> = [
            self.cert_authority.then(|| "cert-authority".into()),
            self.namespaces.as_ref().map(|list| format!("namespaces=\"{list}\"")),
            self.valid_after.map(|at| format!("valid-after=\"{}Z\"", stamp(at))),
            self.valid_before.map(|at| format!("valid-before=\"{}Z\"", stamp(at))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let separator = if options.is_empty() { "" } else { " " };
        write!(f, "{}{separator}{} {}", self.principals, options.join(","), self.key)
    }
}

fn parse_entry(line: &Line) -> Result<Signer, Malformed> {
    let mut words = words(line)?.into_iter();
    let mut next =
        |what| words.next().ok_or_else(|| line.malformed(format!("the entry ends, expected {what}")));
    let (at, principals) = next("principals")?;
    let principals = principals.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(principals);
    let plain = |name: &str| !name.is_empty() && !name.contains([' ', '\t', '"', '\\']);
    if !principals.split(',').all(plain) {
        return Err(line.malformed_at(at, "an empty or quoted name among the principals"));
    }
    let (mut algorithm, mut options) = (next("a key type")?, Options::default());
    if is_options(algorithm.1) {
        options = parse_options(line, algorithm)?;
        algorithm = next("a key type")?;
    }
    let (at, encoded) = next("a key")?;
    let key = SignerKey::from_parts(algorithm.1, encoded)
        .ok_or_else(|| line.malformed_at(at, format!("not a key of type {:?} in base64", algorithm.1)))?;
    let Options { namespaces, valid_after, valid_before, cert_authority } = options;
    let principals = principals.into();
    Ok(Signer { line: line.number, principals, namespaces, valid_after, valid_before, cert_authority, key })
}

/// The words of an entry with their columns. White space ends a word; within double quotes, which only the
/// principals and the options can have, it does not.
fn words<'a>(line: &Line<'a>) -> Result<Vec<(usize, &'a str)>, Malformed> {
    let mut found = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (at, c) in line.text.char_indices() {
        match c {
            ' ' | '\t' if !quoted => found.extend(start.take().map(|from| (from, &line.text[from..at]))),
            c if c.is_control() => return Err(line.malformed_at(at, "a control character")),
            c => {
                start.get_or_insert(at);
                quoted ^= c == '"' && found.len() < 2;
            }
        }
    }
    found.extend(start.map(|from| (from, &line.text[from..])));
    if quoted { Err(line.malformed_at(line.text.len(), "a quote is never closed")) } else { Ok(found) }
}

#[derive(Default)]
struct Options {
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
    cert_authority: bool,
}

const OPTIONS: [&str; 4] = ["cert-authority", "namespaces=", "valid-after=", "valid-before="];

fn is_options(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    OPTIONS.iter().any(|option| word.starts_with(option))
}

fn parse_options(line: &Line, (mut at, mut rest): (usize, &str)) -> Result<Options, Malformed> {
    let mut options = Options::default();
    loop {
        let bad = |what: &str| line.malformed_at(at, what);
        let end = option_end(rest);
        let (name, value) = rest[..end].split_once('=').map_or((&rest[..end], None), |(n, v)| (n, Some(v)));
        let quoted = || {
            let inner = value.and_then(|v| v.strip_prefix('"')?.strip_suffix('"'));
            inner
                .filter(|v| !v.contains(['"', '\\']))
                .ok_or_else(|| bad("the value of an option is not in double quotes"))
        };
        let time =
            || parse_time(quoted()?).ok_or_else(|| bad("not an instant, expected YYYYMMDD[HHMM[SS]] and Z"));
        let twice = match (name.to_ascii_lowercase().as_str(), value) {
            ("cert-authority", None) => std::mem::replace(&mut options.cert_authority, true),
            ("namespaces", Some(_)) => options.namespaces.replace(quoted()?.into()).is_some(),
            ("valid-after", Some(_)) => options.valid_after.replace(time()?).is_some(),
            ("valid-before", Some(_)) => options.valid_before.replace(time()?).is_some(),
            _ => return Err(bad("an unknown option")),
        };
        if twice {
            return Err(bad("the option is given twice"));
        }
        let Some(after) = rest[end..].strip_prefix(',') else { return Ok(options) };
        (at, rest) = (at + end + 1, after);
    }
}

/// Where the first comma outside quotes stands, or the end.
fn option_end(text: &str) -> usize {
    let mut quoted = false;
    let comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    text.find(comma).unwrap_or(text.len())
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.into(),
        _ => return None,
    };
    let at = NaiveDateTime::parse_from_str(&padded, "%Y%m%d%H%M%S").ok()?;
    Some(Timestamp::from_millis(at.and_utc().timestamp_millis()))
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "a check that could not run must say so")]
mod tests {
    use super::*;
    use crate::record::sshsig::FileKey;
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;
    use std::process::Command;

    fn key(seed: u8) -> SignerKey {
        SignerKey::from_ed25519(&SigningKey::from_bytes(&[seed; 32]).verifying_key())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn file() -> AllowedSigners {
        let text = format!(
            "# people\n\n\
             alice@example.com namespaces=\"start.*@consigne.example,approve.live.leak.*@consigne.example\",valid-after=\"20260101Z\",valid-before=\"202612311200Z\" {} Alice's laptop\n\
             \"bob@example.com,b@example.com\" NAMESPACES=\"approve.*@consigne.example,!approve.*.leak.*@consigne.example\" {}\n\
             *@example.com\tcert-authority,namespaces=\"approve.*@consigne.example\" {}\n\
             eve@example.com {}\n\
             mallory@example.com namespaces=\"*\" {}\n",
            key(1),
            key(2),
            key(3),
            key(4),
            key(5)
        );
        AllowedSigners::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn decides_by_key_namespace_and_time() {
        let file = file();
        let then = at("2026-06-01T00:00:00Z");
        let ask = |seed, namespace: &str, at| {
            file.authorise(&key(seed), namespace, at).map(|s| s.principals().to_string())
        };
        let live = "approve.live.leak.isolate@consigne.example";
        assert_eq!(ask(1, live, then), Ok("alice@example.com".into()));
        assert!(matches!(
            ask(1, "approve.drill.leak.isolate@consigne.example", then),
            Err(NotAllowed::Namespace { line: 3, .. })
        ));
        assert!(matches!(ask(1, "seal.live@consigne.example", then), Err(NotAllowed::Namespace { .. })));
        assert!(matches!(ask(1, live, at("2025-12-31T23:59:59.999Z")), Err(NotAllowed::NotYetValid { .. })));
        assert!(
            ask(1, live, at("2026-01-01T00:00:00Z")).is_ok()
                && ask(1, live, at("2026-12-31T12:00:00Z")).is_ok()
        );
        assert!(matches!(ask(1, live, at("2026-12-31T12:00:01Z")), Err(NotAllowed::Expired { .. })));
        assert_eq!(
            ask(2, "approve.live.other.step@consigne.example", then),
            Ok("bob@example.com,b@example.com".into())
        );
        assert!(matches!(ask(2, live, then), Err(NotAllowed::Namespace { .. })), "excluded by '!'");
        assert!(matches!(ask(3, live, then), Err(NotAllowed::CertAuthority { line: 5 })));
        assert!(matches!(ask(4, live, then), Err(NotAllowed::TooWide { .. })));
        assert!(matches!(ask(5, live, then), Err(NotAllowed::TooWide { .. })));
        assert!(matches!(ask(6, live, then), Err(NotAllowed::UnknownKey { .. })));
        assert!(
            file.signers()[1].is_principal("b@example.com")
                && !file.signers()[1].is_principal("c@example.com")
        );
        assert_eq!(file.lints().iter().map(|l| l.line).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn of_several_entries_one_is_enough_and_the_closest_explains() {
        let text = format!("a namespaces=\"seal.live@x\",valid-before=\"2026Z\" {0}\n", key(1));
        assert!(AllowedSigners::parse(text.as_bytes()).unwrap_err().what.contains("YYYYMMDD"));
        let text = format!(
            "a namespaces=\"seal.live@x\",valid-before=\"20260101Z\" {0}\na namespaces=\"start.*@x\" {0}\na namespaces=\"seal.live@x\",valid-after=\"20270101Z\" {0}\n",
            key(1)
        );
        let file = AllowedSigners::parse(text.as_bytes()).unwrap();
        let ask = |at| file.authorise(&key(1), "seal.live@x", at).map(|s| s.line);
        assert_eq!(ask(at("2025-06-01T00:00:00Z")), Ok(1));
        assert_eq!(ask(at("2027-06-01T00:00:00Z")), Ok(3));
        assert!(matches!(ask(at("2026-06-01T00:00:00Z")), Err(NotAllowed::Expired { line: 1, .. })));
    }

    #[test]
    fn bad_entries_are_refused_with_their_place() {
        let refused = |text: &str| AllowedSigners::parse(text.as_bytes()).unwrap_err().to_string();
        let key = key(1);
        assert!(refused(&format!("\na {key}\nb\n")).starts_with("line 3, byte"));
        assert!(refused(&format!("a namespaces=\"x {key}\n")).contains("never closed"));
        assert!(refused(&format!("a namespaces=x {key}\n")).contains("double quotes"));
        assert!(refused(&format!("a namespaces=\"x\",namespaces=\"y\" {key}\n")).contains("twice"));
        assert!(
            refused(&format!("a namespaces=\"x\",no-touch-required {key}\n"))
                .starts_with("line 1, byte 17: an unknown")
        );
        assert!(refused(&format!("a valid-after=\"20260101\" {key}\n")).contains("and Z"), "local time");
        assert!(refused(&format!("a valid-after=\"20261301Z\" {key}\n")).contains("not an instant"));
        assert!(refused("a ssh-ed25519 AAAA\n").contains("not a key of type"));
        assert!(
            refused(&format!("a {}\n", key.to_string().replace("ssh-ed25519", "ssh-rsa")))
                .contains("ssh-rsa")
        );
        assert!(refused(&format!("a,,b {key}\n")).contains("empty or quoted name"));
        assert!(refused(&format!("\"a b\" {key}\n")).contains("empty or quoted name"));
        assert!(refused(&format!("a namespaces=\"x\\\"y\\\"\" {key}\n")).contains("double quotes"));
        assert!(
            AllowedSigners::parse(format!("a {key} his \"old one\n").as_bytes()).is_ok(),
            "a comment may hold a quote"
        );
        assert!(refused(&format!("a {key}")).contains("no line feed"));
    }

    /// Both read the same file: where we say yes, `ssh-keygen` must say yes.
    #[test]
    fn ssh_keygen_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let file = file();
        let text: String = file.signers().iter().map(|s| format!("{s}\n")).collect();
        assert_eq!(AllowedSigners::parse(text.as_bytes()).unwrap().signers().len(), 5);
        write("allowed", &text);
        write("text", "text");
        let namespaces = [
            "approve.live.leak.isolate@consigne.example",
            "approve.live.x.y@consigne.example",
            "start.drill.x@consigne.example",
        ];
        for (seed, name) in [(1, "alice@example.com"), (2, "b@example.com"), (6, "alice@example.com")] {
            for namespace in namespaces {
                for (time, instant) in [
                    ("20250601000000Z", "2025-06-01T00:00:00Z"),
                    ("20260601000000Z", "2026-06-01T00:00:00Z"),
                    ("20270601000000Z", "2027-06-01T00:00:00Z"),
                ] {
                    let signer = FileKey::from_ed25519(&SigningKey::from_bytes(&[seed; 32]));
                    write("sig", &signer.sign(namespace, b"text").unwrap().armor());
                    let verdict = Command::new("ssh-keygen")
                        .args([
                            "-q", "-Y", "verify", "-f", "allowed", "-s", "sig", "-I", name, "-n", namespace,
                        ])
                        .arg(format!("-Overify-time={time}"))
                        .current_dir(dir.path())
                        .stdin(std::fs::File::open(dir.path().join("text")).unwrap())
                        .output();
                    let Ok(verdict) = verdict else {
                        println!("not run: ssh-keygen is missing");
                        return;
                    };
                    let ours = file.authorise(&key(seed), namespace, at(instant));
                    assert_eq!(
                        verdict.status.success(),
                        ours.is_ok(),
                        "{name} {namespace} {time} {ours:?} {verdict:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[a ,=\\\\\"\\n]{0,10}(namespaces=)?[a ,=\\\\\"]{0,10}\\n") {
            let _ = (AllowedSigners::parse(&bytes), AllowedSigners::parse(text.as_bytes()));
        }

        #[test]
        fn mangled_entries_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = file().signers().iter().map(|s| format!("{s}\n")).collect::<String>().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(parsed) = AllowedSigners::parse(&bytes) {
                let text: String = parsed.signers().iter().map(|s| format!("{s}\n")).collect();
                prop_assert_eq!(AllowedSigners::parse(text.as_bytes()).map(|p| p.signers.len()), Ok(parsed.signers.len()));
            }
        }
    }
}
