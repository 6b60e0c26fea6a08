//! Values from outside (inputs, outputs, requests, answers) as one string of a line.
//!
//! Owns the encoding: a value's JSON text in its original number spelling, with C0 and U+007F escaped, or
//! `base64:` and the bytes where they are not UTF-8. No JSON text begins with `b`, so the two cannot be
//! confused. Thus no float and no big integer ever meets a canonicaliser. It never shortens and never masks:
//! both have happened before a value arrives here.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::IgnoredAny;
use serde_json::Value;

const BYTES: &str = "base64:";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not in the form in which values are stored, expected compact JSON without U+007F")]
    NotStoredForm,
    #[error("bytes marked as base64 are not strict base64")]
    NotBase64,
}

/// A stored value, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside<'a> {
    /// JSON text, numbers as they were spelled.
    Json(&'a str),
    /// Bytes that are not UTF-8.
    Bytes(Vec<u8>),
}

/// The stored form of a value that is already in memory.
pub fn outside_text(value: &Value) -> String {
    escape_delete(&value.to_string())
}

/// The stored form of JSON text that came from outside: every number keeps its spelling, only white space
/// between tokens goes.
pub fn outside_json(text: &str) -> Result<String, OutsideError> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| OutsideError::NotJson(e.to_string()))?;
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    Ok(escape_delete(&out))
}

/// The stored form of bytes: a JSON string if they are UTF-8, marked base64 otherwise.
pub fn outside_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => outside_text(&Value::from(text)),
        Err(_) => format!("{BYTES}{}", BASE64_STANDARD.encode(bytes)),
    }
}

impl<'a> Outside<'a> {
    /// Reads a stored form; anything that this module would not have written is refused.
    pub fn parse(stored: &'a str) -> Result<Self, OutsideError> {
        let Some(encoded) = stored.strip_prefix(BYTES) else {
            return if outside_json(stored)? == stored {
                Ok(Self::Json(stored))
            } else {
                Err(OutsideError::NotStoredForm)
            };
        };
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| OutsideError::NotBase64)?;
        if outside_bytes(&bytes) != stored {
            return Err(OutsideError::NotBase64);
        }
        Ok(Self::Bytes(bytes))
    }
}

/// In JSON text U+007F can only stand in a string, where the escape means the same.
fn escape_delete(json: &str) -> String {
    json.replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::canonical::{canonical, parse_canonical, tests::values};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use serde_json::json;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn numbers_keep_their_spelling() {
        let stored =
            outside_json(" { \"n\" : [1.50, 9007199254740993, 1E+2, -0] , \"s\" : \"a b\\\" \" }\n").unwrap();
        assert_eq!(stored, r#"{"n":[1.50,9007199254740993,1E+2,-0],"s":"a b\" "}"#);
        assert_eq!(Outside::parse(&stored), Ok(Outside::Json(&stored)));
        assert!(matches!(outside_json("{a: 1}"), Err(OutsideError::NotJson(_))));
    }

    #[test]
    fn bytes_are_flagged() {
        assert_eq!(outside_bytes(b"\xff\x00"), "base64:/wA=");
        assert_eq!(Outside::parse("base64:/wA="), Ok(Outside::Bytes(vec![0xff, 0])));
        assert_eq!(Outside::parse("base64:/wB="), Err(OutsideError::NotBase64), "trailing bits");
        assert_eq!(
            Outside::parse("base64:YQ=="),
            Err(OutsideError::NotBase64),
            "this is UTF-8: one form only"
        );
        assert_eq!(outside_bytes(b"base64:\x7f\n"), r#""base64:\u007f\n""#);
        assert_eq!(Outside::parse("[1, 2]"), Err(OutsideError::NotStoredForm));
        assert_eq!(Outside::parse("\"\u{7f}\""), Err(OutsideError::NotStoredForm));
    }

    /// The check an auditor runs: `jq -cS .` prints every line as it stands.
    #[test]
    fn jq_prints_a_line_as_it_stands() {
        let every: String =
            (0..0x250).filter_map(char::from_u32).chain("\u{2028}\u{ffff}\u{10ffff}😀".chars()).collect();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut lines = vec![
            canonical(&json!({"v": outside_text(&json!({"text": every, "n": 0.1}))})).unwrap(),
            canonical(&json!({"v": outside_bytes(every.as_bytes()), "w": outside_bytes(b"\xff\x7f")})).unwrap(),
            canonical(&json!({"text": every.replace('\u{7f}', ""), "max": 9_007_199_254_740_991_i64, "min": -9_007_199_254_740_991_i64}))
                .unwrap(),
            canonical(&json!({"v": outside_json("[1.50,1e400,9007199254740993]").unwrap()})).unwrap(),
        ];
        for _ in 0..200 {
            lines.push(canonical(&values().new_tree(&mut runner).unwrap().current()).unwrap());
        }
        let input = lines.join("\n") + "\n";
        let Ok(mut jq) =
            Command::new("jq").args(["-cS", "."]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            let _seen = std::io::Write::write_all(&mut std::io::stderr(), b"not run: jq is missing\n");
            return;
        };
        let (mut stdin, feed) = (jq.stdin.take().unwrap(), input.clone());
        let writer = std::thread::spawn(move || stdin.write_all(feed.as_bytes()));
        let out = jq.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        for (ours, jqs) in lines.iter().zip(std::str::from_utf8(&out.stdout).unwrap().lines()) {
            assert_eq!(ours, jqs);
        }
        assert!(out.status.success());
        assert_eq!(out.stdout.len(), input.len());
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in values(), text in any::<String>()) {
            let value = json!([value, text, 0.1, u64::MAX]);
            let stored = outside_text(&value);
            let line = canonical(&json!({"value": stored})).unwrap();
            let line = parse_canonical(line.as_bytes()).unwrap();
            let Ok(Outside::Json(back)) = Outside::parse(line["value"].as_str().unwrap()) else { panic!() };
            prop_assert_eq!(serde_json::from_str::<Value>(back).unwrap(), value);
        }

        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let stored = outside_bytes(&bytes);
            match Outside::parse(&stored).unwrap() {
                Outside::Json(text) => prop_assert_eq!(serde_json::from_str::<String>(text).unwrap().into_bytes(), bytes),
                Outside::Bytes(back) => prop_assert_eq!(back, bytes),
            }
        }

        #[test]
        fn noise_never_panics(text in any::<String>(), json in "[\\[\\]{}\", :0-9.\\\\unbase64\\x7f]{0,30}") {
            let _ = (Outside::parse(&text), outside_json(&text), Outside::parse(&json), outside_json(&json));
        }
    }
}
