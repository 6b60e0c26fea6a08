//! What is planted, and every way in which it might come out again.
//!
//! The ways are written down here a second time, apart from those that the product masks: base64 by cutting out what
//! is certain at each alignment, and so on. A fragment of a canary counts as found, too.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// From an environment variable: fit for a header.
pub const ENV: &str = "eNv?>c4n~ary \"é\"<b>&'+/=%\\Zq7";
/// From a file, of several lines.
pub const FILE: &str = "f1Le \"qu\\oted\"/Wd\tand é more?>>~\nsecond + line % of it&";
/// Printed by a program.
pub const COMMAND: &str = "cOmm4nd:p@ss/w0rd+with~per%cent?>";
/// Typed at a terminal.
pub const TYPED: &str = "tYp3d-by \"hand\"/+?>~é!";

/// Born in an answer of a server.
pub const BORN: &str = "b0Rn \"of\" a/call+<é>&?=~'k3y'%";
/// Born in what a program prints.
pub const MINTED: &str = "m1nt3d:by\\a/pr0gram+é>~\"q\"=?";

const ALL: [&str; 6] = [ENV, FILE, COMMAND, TYPED, BORN, MINTED];

/// A part of a canary that is this long counts as the canary.
const FRAGMENT: usize = 12;

/// Every text that must be nowhere, and what it is.
pub fn traces(canary: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, text: String| out.push((what.to_owned(), text));
    for fragment in fragments(canary) {
        add("raw", fragment.to_owned());
        let hex: String = fragment.bytes().map(|byte| format!("{byte:02x}")).collect();
        add("hex", hex.to_uppercase());
        add("hex", hex);
        let json = serde_json::to_string(fragment).unwrap();
        add("json", json[1..json.len() - 1].to_owned());
        for (what, kept) in [("percent", "-_.~"), ("component", "-_.!~*'()"), ("path", "-_.~/")] {
            add(what, percent(fragment, kept, false));
            add(what, percent(fragment, kept, true));
        }
        add("form", percent(fragment, "-_.* ", false).replace(' ', "+"));
        add("html", html(fragment));
    }
    for (what, text) in written(canary) {
        add(what, text);
    }
    for before in 0..3 {
        for engine in [STANDARD, URL_SAFE] {
            let coded = engine.encode([&vec![b'x'; before], canary.as_bytes()].concat());
            // What certainly comes of the canary alone, whatever stands before and behind it.
            let inner = &coded[if before == 0 { 0 } else { 4 }..coded.len() - 4];
            let pieces = inner.as_bytes().windows(16).step_by(4);
            pieces.for_each(|piece| add("base64", String::from_utf8(piece.to_vec()).unwrap()));
        }
    }
    out.sort();
    out.dedup_by(|a, b| a.1 == b.1);
    out
}

fn fragments(canary: &str) -> Vec<&str> {
    let starts = canary.char_indices().map(|(at, _)| at);
    starts.filter_map(|at| canary.get(at..at + FRAGMENT)).collect()
}

/// The whole canary in each encoding, as programs and servers write it.
pub fn written(canary: &str) -> Vec<(&'static str, String)> {
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let escaped = json(canary);
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut out = vec![
        ("raw", canary.to_owned()),
        ("json", escaped.clone()),
        ("json ascii", escaped.replace('é', "\\u00e9")),
        ("json slash", escaped.replace('/', "\\/")),
        ("json html", escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")),
        ("json twice", json(&escaped)),
        ("hex upper", hex.to_uppercase()),
        ("hex", hex),
        ("component", percent(canary, "-_.!~*'()", false)),
        ("percent", percent(canary, "-_.~", false)),
        ("percent lower", percent(canary, "-_.~", true)),
        ("form", percent(canary, "-_.* ", false).replace(' ', "+")),
        ("html", html(canary)),
        ("json in base64", STANDARD.encode(format!("{{\"t\":\"{escaped}\"}}"))),
    ];
    for engine in [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in ["", "u", "us", "user:"] {
            out.push(("base64", engine.encode(format!("{before}{canary}"))));
        }
    }
    out.push(("base64 in a URL", percent(&STANDARD.encode(canary), "-_.~", false)));
    out
}

fn percent(text: &str, kept: &str, lower: bool) -> String {
    let one = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
        _ if lower => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Every trace of every canary, looked for at once.
pub struct Nose {
    traces: Vec<(String, String)>,
    finder: aho_corasick::AhoCorasick,
}

impl Nose {
    pub fn new() -> Self {
        let traces: Vec<_> = ALL.into_iter().flat_map(traces).collect();
        let finder = aho_corasick::AhoCorasick::new(traces.iter().map(|(_, text)| text)).unwrap();
        Self { traces, finder }
    }

    /// The first trace in some bytes, and what stands around it.
    pub fn smells(&self, bytes: &[u8]) -> Option<String> {
        let found = self.finder.find(bytes)?;
        let (what, text) = &self.traces[found.pattern().as_usize()];
        let around = &bytes[found.start().saturating_sub(60)..(found.end() + 60).min(bytes.len())];
        Some(format!("{what} {text:?} in …{}…", String::from_utf8_lossy(around)))
    }
}

#[test]
fn the_nose_smells_what_is_planted() {
    let nose = Nose::new();
    for canary in ALL {
        for (what, text) in written(canary) {
            assert!(nose.smells(format!("before {text} after").as_bytes()).is_some(), "{what}: {text}");
        }
        assert!(nose.smells(&canary.as_bytes()[3..20]).is_some(), "a part of {canary}");
    }
    assert_eq!(nose.smells(b"Authorization: Bearer *** and user:***"), None);
}
