//! The canonical line: RFC 8785, narrowed to what every JSON tool reads the same way.
//!
//! Owns the one writer and the one strict reader. A line is made of strings, booleans, integers within
//! ±(2^53−1), null, arrays and objects with ASCII keys; a string never holds U+007F, which `jq` escapes and
//! RFC 8785 does not, so that `jq -cS .` prints a line as it stands. Floats and larger numbers travel inside
//! strings (`outside`). The reader accepts a line only if the writer would have written it byte for byte.

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// Beyond this many bytes a line is refused unread.
pub const MAX_LINE: usize = 16 * 1024 * 1024;
/// Arrays and objects inside each other; far below what any JSON reader allows.
pub const MAX_DEPTH: usize = 32;
/// The largest integer that a double, and so every JSON tool, holds exactly: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why a line is not canonical, with the byte at which the reader stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {what}")]
pub struct CanonicalError {
    pub offset: usize,
    pub what: Fault,
}

/// Why a value cannot be written as a line; `path` leads to it, as in `events[0].data.exit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Unwritable {
    pub path: String,
    pub what: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("more than {MAX_DEPTH} levels of arrays and objects")]
    TooDeep,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("the line ends too early")]
    Ends,
    #[error("bytes after the end of the value")]
    Trailing,
    #[error("found a byte that no canonical JSON has here, expected {0}")]
    Expected(&'static str),
    #[error("a control character stands unescaped in a string")]
    RawControl,
    #[error("U+007F stands in a string: JSON tools disagree on how to write it")]
    Delete,
    #[error("an escape that is not the canonical one")]
    Escape,
    #[error("a key that is not ASCII")]
    KeyNotAscii,
    #[error("the key {0:?} occurs twice")]
    DuplicateKey(String),
    #[error("the key {0:?} stands after a key that sorts behind it")]
    KeyOrder(String),
    #[error("a number with a fraction or an exponent: only integers stand in a line")]
    Float,
    #[error("an integer beyond 2^53-1, which JSON tools round")]
    IntegerTooBig,
    #[error("an integer that is not in its shortest spelling")]
    IntegerSpelling,
    #[error("cannot be written as JSON: {0}")]
    Serialize(String),
}

/// The canonical form of `value`, without a line feed.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<String, Unwritable> {
    let value = serde_json::to_value(value).map_err(|e| unwritable(Fault::Serialize(e.to_string())))?;
    canonical_value(value)
}

/// The canonical form of a value that nobody needs any more.
///
/// With keys in ASCII and integers that a double holds, RFC 8785 asks for no more than sorted keys: the compact writer of
/// `serde_json` escapes strings as it does. A test holds both against an independent canonicaliser.
pub(crate) fn canonical_value(mut value: Value) -> Result<String, Unwritable> {
    check(&value, 0, &mut Vec::new())?;
    value.sort_all_objects();
    let line = serde_json::to_string(&value).map_err(|e| unwritable(Fault::Serialize(e.to_string())))?;
    if line.len() > MAX_LINE {
        return Err(unwritable(Fault::TooLong));
    }
    Ok(line)
}

fn unwritable(what: Fault) -> Unwritable {
    Unwritable { path: "line".into(), what }
}

/// Where the writer's check stands: a key or an index.
enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

fn check<'a>(value: &'a Value, depth: usize, path: &mut Vec<Part<'a>>) -> Result<(), Unwritable> {
    let what = match value {
        Value::Array(_) | Value::Object(_) if depth == MAX_DEPTH => Some(Fault::TooDeep),
        Value::Number(n) => number_fault(n),
        Value::String(s) => s.contains('\u{7f}').then_some(Fault::Delete),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(Part::Index(i));
                check(item, depth + 1, path)?;
                path.pop();
            }
            None
        }
        Value::Object(map) => {
            for (key, item) in map {
                path.push(Part::Key(key));
                if let Some(what) = key_fault(key) {
                    return Err(Unwritable { path: written(path), what });
                }
                check(item, depth + 1, path)?;
                path.pop();
            }
            None
        }
        Value::Null | Value::Bool(_) => None,
    };
    match what {
        Some(what) => Err(Unwritable { path: written(path), what }),
        None => Ok(()),
    }
}

fn number_fault(n: &Number) -> Option<Fault> {
    match (n.as_u64(), n.as_i64()) {
        (Some(n), _) => (n > MAX_INTEGER).then_some(Fault::IntegerTooBig),
        (None, Some(n)) => (n.unsigned_abs() > MAX_INTEGER).then_some(Fault::IntegerTooBig),
        (None, None) => Some(Fault::Float),
    }
}

fn key_fault(key: &str) -> Option<Fault> {
    if !key.is_ascii() { Some(Fault::KeyNotAscii) } else { key.contains('\u{7f}').then_some(Fault::Delete) }
}

fn written(path: &[Part]) -> String {
    let mut out = String::new();
    for part in path {
        match part {
            Part::Key(key) if out.is_empty() => out.push_str(key),
            Part::Key(key) => out.extend([".", key]),
            Part::Index(i) => out.push_str(&format!("[{i}]")),
        }
    }
    if out.is_empty() { "line".into() } else { out }
}

/// Reads one line (without its line feed) that must be exactly what [`canonical`] would have written.
pub fn parse_canonical(line: &[u8]) -> Result<Value, CanonicalError> {
    if line.len() > MAX_LINE {
        return Err(CanonicalError { offset: MAX_LINE, what: Fault::TooLong });
    }
    let text = std::str::from_utf8(line)
        .map_err(|e| CanonicalError { offset: e.valid_up_to(), what: Fault::NotUtf8 })?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    if reader.at < line.len() { Err(reader.fault(Fault::Trailing)) } else { Ok(value) }
}

/// Bytes of a canonical text are fully determined, so one pass both parses and checks.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, what: Fault) -> CanonicalError {
        CanonicalError { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), CanonicalError> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fault(Fault::Expected(expected))),
            None => Err(self.fault(Fault::Ends)),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        match self.peek() {
            None => Err(self.fault(Fault::Ends)),
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(self.fault(Fault::TooDeep)),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(_) => Err(self.fault(Fault::Expected("a value"))),
        }
    }

    fn literal(&mut self, word: &'static str, value: Value) -> Result<Value, CanonicalError> {
        for byte in word.bytes() {
            self.take(byte, word)?;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            self.take(b',', "a comma or the end of the array")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        self.at += 1;
        let mut map = Map::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        let mut last: Option<String> = None;
        loop {
            let start = self.at;
            let at_key = |what| CanonicalError { offset: start, what };
            if self.peek().is_some_and(|b| b != b'"') {
                return Err(self.fault(Fault::Expected("a key")));
            }
            let key = self.string()?;
            if !key.is_ascii() {
                return Err(at_key(Fault::KeyNotAscii));
            }
            match last.as_ref().map(|last| last.cmp(&key)) {
                Some(std::cmp::Ordering::Equal) => return Err(at_key(Fault::DuplicateKey(key))),
                Some(std::cmp::Ordering::Greater) => return Err(at_key(Fault::KeyOrder(key))),
                Some(std::cmp::Ordering::Less) | None => {}
            }
            self.take(b':', "a colon")?;
            let value = self.value(depth)?;
            map.insert(key.clone(), value);
            last = Some(key);
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(Value::Object(map));
            }
            self.take(b',', "a comma or the end of the object")?;
        }
    }

    fn integer(&mut self) -> Result<Value, CanonicalError> {
        let start = self.at;
        let fault = |what| Err(CanonicalError { offset: start, what });
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits = self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count();
        let text = &self.text[self.at..self.at + digits];
        self.at += digits;
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return fault(Fault::Float);
        }
        if text.is_empty() || (text.starts_with('0') && (digits > 1 || negative)) {
            return fault(Fault::IntegerSpelling);
        }
        // Nineteen digits always fit in 64 bits, and whatever is longer is too big.
        match text.parse::<u64>() {
            Ok(n) if n <= MAX_INTEGER => {
                let n = n.cast_signed();
                Ok(Value::from(if negative { -n } else { n }))
            }
            _ => fault(Fault::IntegerTooBig),
        }
    }

    fn string(&mut self) -> Result<String, CanonicalError> {
        self.take(b'"', "a string")?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|b| !matches!(b, b'"' | b'\\' | 0x7f) && *b >= 0x20).count();
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => return Err(self.fault(Fault::Ends)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(0x7f) => return Err(self.fault(Fault::Delete)),
                Some(_) => return Err(self.fault(Fault::RawControl)),
            }
        }
    }

    /// One escape, in the only spelling that RFC 8785 knows for its character.
    fn escape(&mut self) -> Result<char, CanonicalError> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let (c, length) = match rest {
            [b'"', ..] => ('"', 2),
            [b'\\', ..] => ('\\', 2),
            [b'b', ..] => ('\u{8}', 2),
            [b'f', ..] => ('\u{c}', 2),
            [b'n', ..] => ('\n', 2),
            [b'r', ..] => ('\r', 2),
            [b't', ..] => ('\t', 2),
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] => {
                let low = match low {
                    b'0'..=b'9' => low - b'0',
                    b'a'..=b'f' => low - b'a' + 10,
                    _ => return Err(self.fault(Fault::Escape)),
                };
                let code = (high - b'0') * 16 + low;
                if matches!(code, 8 | 9 | 10 | 12 | 13) {
                    return Err(self.fault(Fault::Escape));
                }
                (char::from(code), 6)
            }
            _ => return Err(self.fault(Fault::Escape)),
        };
        self.at += length;
        Ok(c)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(line: &str) -> (usize, Fault) {
        let e = parse_canonical(line.as_bytes()).unwrap_err();
        (e.offset, e.what)
    }

    #[test]
    fn refuses_what_json_tools_read_differently() {
        assert_eq!(refused(r#"{"a":1,"a":2}"#), (7, Fault::DuplicateKey("a".into())));
        assert_eq!(refused(r#"{"b":1,"a":2}"#), (7, Fault::KeyOrder("a".into())));
        assert_eq!(refused(r#"{"é":1}"#), (1, Fault::KeyNotAscii));
        assert_eq!(refused("[1.0]"), (1, Fault::Float));
        assert_eq!(refused("[1e3]"), (1, Fault::Float));
        assert_eq!(refused("[9007199254740992]"), (1, Fault::IntegerTooBig));
        assert_eq!(refused("[-9007199254740992]"), (1, Fault::IntegerTooBig));
        assert_eq!(refused("[99999999999999999999999]"), (1, Fault::IntegerTooBig));
        assert_eq!(refused("[-0]"), (1, Fault::IntegerSpelling));
        assert_eq!(refused("[01]"), (1, Fault::IntegerSpelling));
        assert_eq!(refused("[1, 2]"), (3, Fault::Expected("a value")));
        assert_eq!(refused("[1]\n"), (3, Fault::Trailing));
        assert_eq!(refused("\"\u{7f}\""), (1, Fault::Delete));
        assert_eq!(refused("\"\n\""), (1, Fault::RawControl));
        assert_eq!(refused(r#""\u000a""#), (1, Fault::Escape));
        assert_eq!(refused(r#""\u001F""#), (1, Fault::Escape));
        assert_eq!(refused(r#""\/""#), (1, Fault::Escape));
        assert_eq!(refused(r#""\u0041""#), (1, Fault::Escape));
        assert_eq!(refused(r#"{"a":tru"#), (8, Fault::Ends));
        assert_eq!(refused(""), (0, Fault::Ends));
        assert_eq!(
            parse_canonical(b"\"\xff\"").unwrap_err(),
            CanonicalError { offset: 1, what: Fault::NotUtf8 }
        );
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(refused(&deep), (MAX_DEPTH, Fault::TooDeep));
    }

    #[test]
    fn the_writer_names_the_place_of_what_it_cannot_write() {
        let at = |v: Value| canonical(&v).unwrap_err().to_string();
        assert_eq!(
            at(json!({"events": [{"data": {"share": 0.5}}]})),
            "events[0].data.share: a number with a fraction or an exponent: only integers stand in a line"
        );
        assert!(at(json!([9_007_199_254_740_992_u64])).starts_with("[0]: an integer beyond"));
        assert!(at(json!({"é": 1})).starts_with("é: a key that is not ASCII"));
        assert!(at(json!("\u{7f}")).starts_with("line: U+007F"));
        let deep = (0..=MAX_DEPTH).fold(json!(0), |inner, _| json!([inner]));
        assert!(at(deep).contains("more than 32 levels"));
    }

    /// Values that may stand in a line.
    pub(crate) fn values() -> impl Strategy<Value = Value> {
        let max = MAX_INTEGER.cast_signed();
        let text = any::<String>().prop_map(|s| s.replace('\u{7f}', ""));
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-max..=max).prop_map(Value::from),
            Just(Value::from(max)),
            Just(Value::from(-max)),
            text.prop_map(Value::String),
            "[\\x00-\\x1f\"\\\\/é€😀\u{2028}]{0,6}".prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[ -~]{0,5}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_writer_agrees_with_an_independent_canonicaliser(value in values()) {
            prop_assert_eq!(canonical(&value).unwrap(), serde_json_canonicalizer::to_string(&value).unwrap());
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(value in values()) {
            let line = canonical(&value).unwrap();
            prop_assert_eq!(parse_canonical(line.as_bytes()).unwrap(), value);
        }

        #[test]
        fn accepts_only_what_the_writer_writes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = parse_canonical(&bytes) {
                prop_assert_eq!(canonical(&value).unwrap().into_bytes(), bytes);
            }
        }

        #[test]
        fn accepts_only_what_the_writer_writes_near_a_line(
            value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = canonical(&value).unwrap().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(value) = parse_canonical(&bytes) {
                prop_assert_eq!(canonical(&value).unwrap().into_bytes(), bytes);
            }
        }

        #[test]
        fn json_shaped_noise_never_panics(text in "[\\[\\]{}\",:0-9a-f\\\\nutrlse.\\-é\\x00\\x7f]{0,40}") {
            if let Ok(value) = parse_canonical(text.as_bytes()) {
                prop_assert_eq!(canonical(&value).unwrap(), text);
            }
        }
    }
}
