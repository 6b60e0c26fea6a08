//! The forms of a secret: everything that a program or a server commonly turns a text into before printing it.
//!
//! Raw, base64 in both alphabets at every alignment, percent-encoding, JSON escapes, hexadecimal, HTML entities, the
//! quoting of shells (`set -x` prints it), and the usual pairs of them: JSON in base64, base64 in a URL or in JSON, JSON
//! in a URL, and all of it quoted in JSON. Base64 is found across the line breaks of the usual tools, unless the secret is
//! very long. Not found: compression, other charsets, and what is not here.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Lines of a secret of several lines that are found alone as well.
const LINE_LENGTH: usize = 16;
/// Shorter forms would be found by chance.
const SHORTEST_FORM: usize = 6;
/// Longer secrets are keys and certificates, which nobody encodes twice; their forms are large.
const LONGEST_PAIRED: usize = 4 * 1024;
/// Longer secrets are found in wrapped base64 only where it begins with them.
const LONGEST_WRAPPED: usize = 1024;

pub(super) fn forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut out: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let pieces = secret.lines().filter(|line| line.len() >= LINE_LENGTH && line.len() < secret.len());
    for text in std::iter::once(secret).chain(pieces) {
        let mut once = Vec::new();
        single_forms(text, &mut |form| once.push(Zeroizing::new(form)));
        if text.len() == secret.len() && text.len() <= LONGEST_WRAPPED {
            wrapped_forms(text.as_bytes(), &mut |form| out.push(Zeroizing::new(form)));
        }
        once.sort_by(|a, b| a.as_slice().cmp(b));
        once.dedup();
        if text.len() <= LONGEST_PAIRED {
            paired_forms(text, &mut |form| out.push(Zeroizing::new(form)));
            // Whatever was printed may be quoted in an answer.
            for form in once.iter().filter_map(|form| std::str::from_utf8(form).ok()) {
                for (slash, ascii) in [(false, Ascii::Keep), (false, Ascii::Lower), (true, Ascii::Lower)] {
                    out.push(Zeroizing::new(json_escape(form, slash, "", ascii).into_bytes()));
                }
            }
        }
        out.append(&mut once);
    }
    out.retain(|form| form.len() >= SHORTEST_FORM);
    out
}

fn single_forms(text: &str, add: &mut impl FnMut(Vec<u8>)) {
    add(text.as_bytes().to_vec());
    base64_forms(text.as_bytes(), add);
    percent_forms(text, add);
    json_forms(text, add);
    hex_forms(text.as_bytes(), add);
    html_forms(text, add);
    shell_forms(text, add);
}

/// One encoding inside another.
fn paired_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    base64_forms(secret.as_bytes(), &mut |form| {
        if let Ok(text) = std::str::from_utf8(&form) {
            percent_forms(text, add);
        }
    });
    for ascii in [Ascii::Keep, Ascii::Lower] {
        for slash in [false, true] {
            let json = Zeroizing::new(json_escape(secret, slash, "", ascii));
            if *json != *secret {
                base64_forms(json.as_bytes(), add);
                percent_forms(&json, add);
            }
        }
    }
}

/// As `xxd -p`, certificates and dumps of bytes write it.
fn hex_forms(secret: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    const PER_LINE: usize = 30;
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let pair = |byte: &u8| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]];
        let pairs: Vec<[u8; 2]> = secret.iter().map(pair).collect();
        for between in [&b""[..], b":", b" "] {
            add(pairs.join(between));
        }
        if secret.len() > PER_LINE {
            let lines: Vec<Vec<u8>> = pairs.chunks(PER_LINE).map(|line| line.concat()).collect();
            add(lines.join(&b"\n"[..]));
        }
    }
}

/// Text and attributes of HTML and XML.
fn html_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    let base = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for double in ["\"", "&quot;", "&#34;"] {
        for single in ["'", "&#39;", "&#x27;", "&#039;", "&apos;"] {
            add(base.replace('"', double).replace('\'', single).into_bytes());
        }
    }
}

/// As shells and those who write for them quote: between single quotes, with backslashes, and `$'...'`; each of them
/// once more between single quotes, since a trace quotes what was quoted.
fn shell_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    let mut add = |form: String| {
        add(form.replace('\'', r"'\''").into_bytes());
        add(form.into_bytes());
    };
    add(secret.replace('\'', r"'\''"));
    add(secret.replace('\'', r#"'"'"'"#));
    // bash leaves different things alone in `printf %q` and in `${x@Q}`.
    for kept in ["%+,-./:=@_~", "%+-./:=@_", "_-./", "_"] {
        let mut form = String::new();
        for c in secret.chars() {
            if c.is_ascii() && !c.is_ascii_alphanumeric() && !kept.contains(c) {
                form.push('\\');
            }
            form.push(c);
        }
        add(form);
    }
    for octal in [false, true] {
        add(secret.chars().map(|c| ansi_c(c, octal)).collect());
    }
}

/// A character within `$'...'`.
fn ansi_c(c: char, octal: bool) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        '\'' | '\\' => format!("\\{c}"),
        _ if c.is_ascii_control() || (octal && !c.is_ascii()) => {
            c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect()
        }
        _ => c.to_string(),
    }
}

fn base64_forms(secret: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    for engine in [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        add(engine.encode(secret).into_bytes());
    }
    let whole = STANDARD.encode(secret);
    for width in [64, 76].into_iter().filter(|width| whole.len() > *width) {
        let lines: Vec<&[u8]> = whole.as_bytes().chunks(width).collect();
        add(lines.join(&b"\n"[..]));
        add(lines.join(&b"\r\n"[..]));
    }
    for form in aligned_forms(secret, &[STANDARD_NO_PAD, URL_SAFE_NO_PAD]) {
        add(form);
    }
}

/// Inside a longer text only those characters are fixed whose six bits all come from the secret.
fn aligned_forms(secret: &[u8], engines: &[GeneralPurpose]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for before in 0..3 {
        let shifted: Zeroizing<Vec<u8>> =
            Zeroizing::new(std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect());
        let first = (before * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        out.extend(engines.iter().map(|engine| engine.encode(&*shifted).as_bytes()[first..last].to_vec()));
    }
    out
}

/// Base64 of a longer text is broken into lines wherever a line is full.
fn wrapped_forms(secret: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    for form in aligned_forms(secret, &[STANDARD_NO_PAD]) {
        for width in [64, 76] {
            for first in 1..form.len().min(width) {
                let (head, rest) = form.split_at(first);
                let lines: Vec<&[u8]> = std::iter::once(head).chain(rest.chunks(width)).collect();
                add(lines.join(&b"\n"[..]));
            }
        }
    }
}

/// What percent-encoders leave alone besides letters and digits, and whether they write a space as `+`: RFC 3986
/// strictly, encodeURIComponent, forms, encodeURI; Python's `quote` and `quote_plus`, of a path too; a segment, a path
/// and a query of RFC 3986; a path and a query as browsers write them.
const PERCENT_KEPT: [(&str, bool); 13] = [
    ("-_.~", false),
    ("-_.!~*'()", false),
    ("-_.*", true),
    ("-_.!~*'();/?:@&=+$,#", false),
    ("-_.~/", false),
    ("-_.~", true),
    ("-_.~/", true),
    ("-_.~!$&'()*+,;=:@", false),
    ("-_.~!$&'()*+,;=:@/", false),
    ("-_.~!$&'()*+,;=:@/?", false),
    ("-_.~!$&'()*+,;=:@/%[]\\^|", false),
    ("-_.~!$&()*+,;=:@/?%[]\\^|`{}", false),
    ("-_.~!$&'()*+,;=:@/?%[]\\^|`{}", false),
];

fn percent_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    for (kept, plus) in PERCENT_KEPT {
        for hex in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let mut form = Vec::new();
            for byte in secret.bytes() {
                match byte {
                    b' ' if plus => form.push(b'+'),
                    _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => form.push(byte),
                    _ => form.extend([b'%', hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]),
                }
            }
            add(form);
        }
    }
}

/// What encoders write as `\u00..` so that it can stand in HTML: none of it, Go, Python and PHP, .NET.
const CODED: [&str; 4] = ["", "<>&", "<>&'", "<>&'+`\""];

fn json_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    for slash in [false, true] {
        for coded in CODED {
            for ascii in [Ascii::Keep, Ascii::Lower, Ascii::Upper] {
                let once = json_escape(secret, slash, coded, ascii);
                // JSON inside a JSON string is escaped twice.
                add(json_escape(&once, slash, coded, ascii).into_bytes());
                add(once.into_bytes());
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Ascii {
    Keep,
    Lower,
    Upper,
}

fn json_escape(text: &str, slash: bool, coded: &str, ascii: Ascii) -> String {
    let unit =
        |unit: u16| if ascii == Ascii::Upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    let mut out = String::new();
    for c in text.chars() {
        match c {
            _ if c.is_ascii() && coded.contains(c) => out.push_str(&unit(c as u16)),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if slash => out.push_str("\\/"),
            _ if c.is_control() || (!c.is_ascii() && ascii != Ascii::Keep) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|u| out.push_str(&unit(*u)));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::mask::{MASK, Masker};
    use super::*;

    const CANARY: &str = "c4n'\"ary/é <k>&y+==~ \\x\nline";

    fn hidden(texts: &[&str]) {
        let masker = Masker::of([CANARY]);
        for text in texts {
            assert_eq!(masker.text(&format!("a {text} z")), format!("a {MASK} z"), "{text}");
        }
    }

    #[test]
    fn hexadecimal_is_found() {
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let colons = CANARY.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        hidden(&[&hex, &hex.to_uppercase(), &colons, &colons.replace(':', " ")]);
        let (long, digits) = ("0123456789abcdefghij-0123456789abcdefghij", 60);
        let hex: String = long.bytes().map(|byte| format!("{byte:02x}")).collect();
        let wrapped = format!("{}\n{}", &hex[..digits], &hex[digits..]);
        assert_eq!(Masker::of([long]).text(&wrapped), MASK);
    }

    #[test]
    fn markup_and_the_quoting_of_shells_are_found() {
        hidden(&[
            "c4n&#39;&quot;ary/é &lt;k&gt;&amp;y+==~ \\x\nline",
            "c4n'\"ary/é &lt;k&gt;&amp;y+==~ \\x\nline",
            r#"c4n'\''"ary/é <k>&y+==~ \x
line"#,
            r#"c4n\'"ary/é <k>&y+==~ \\x\nline"#,
            r#"c4n\'"ary/\303\251 <k>&y+==~ \\x\nline"#,
        ]);
        let plain = "pa$s w'ord!";
        for quoted in [r"pa\$s\ w\'ord\!", r"pa$s w'\''ord!", r"pa$s w\'ord!"] {
            assert_eq!(Masker::of([plain]).text(quoted), MASK, "{quoted}");
        }
    }

    #[test]
    fn pairs_of_encodings_are_found() {
        let coded = STANDARD.encode(CANARY);
        let json = serde_json::to_string(CANARY).unwrap();
        let json = json.trim_matches('"');
        let url = |text: &str| reqwest::Url::parse_with_params("x:", [("q", text)]).unwrap()[..].to_owned();
        let found = |text: &str| Masker::of([CANARY]).text(text);
        assert!(
            coded.contains('+') || coded.contains('/') || coded.contains('='),
            "{coded} changes in a URL"
        );
        hidden(&[&coded.replace('/', "\\/")]);
        assert_eq!(found(&url(&coded)), "x:?q=***");
        assert_eq!(found(&url(json)), "x:?q=***");
        let body = STANDARD.encode(format!("{{\"token\":\"{json}\"}}"));
        assert!(found(&body).len() < body.len() - CANARY.len(), "{}", found(&body));
    }
}
