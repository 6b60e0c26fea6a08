//! Where a file is wrong. Owns the one error of every strict parser of the record, and the way a file is cut
//! into lines, so that `verify` can always say file, line and byte.

use crate::journal::CanonicalError;

/// What is wrong with the bytes of a file. Lines count from 1, bytes of the file from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, byte {offset}: {what}")]
pub struct Malformed {
    pub line: usize,
    pub offset: usize,
    pub what: String,
}

impl Malformed {
    pub(crate) fn start(what: impl Into<String>) -> Self {
        Self { line: 1, offset: 0, what: what.into() }
    }
}

/// For a file that is one canonical line.
impl From<CanonicalError> for Malformed {
    fn from(e: CanonicalError) -> Self {
        Self { line: 1, offset: e.offset, what: e.what.to_string() }
    }
}

/// One line with its place, without its line feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub number: usize,
    pub offset: usize,
    pub text: &'a str,
}

impl Line<'_> {
    pub fn malformed(&self, what: impl Into<String>) -> Malformed {
        self.malformed_at(0, what)
    }

    /// At byte `column` of the line.
    pub fn malformed_at(&self, column: usize, what: impl Into<String>) -> Malformed {
        Malformed { line: self.number, offset: self.offset + column, what: what.into() }
    }
}

/// The lines of a UTF-8 text, each ended by a line feed.
pub(crate) fn lines(bytes: &[u8]) -> Result<Vec<Line<'_>>, Malformed> {
    let text = utf8(bytes)?;
    let (mut lines, mut offset) = (Vec::new(), 0);
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let place = Line { number: i + 1, offset, text: line };
        let Some(stripped) = line.strip_suffix('\n') else {
            return Err(place.malformed_at(line.len(), "the last line has no line feed"));
        };
        lines.push(Line { text: stripped, ..place });
        offset += line.len();
    }
    Ok(lines)
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|e| {
        let offset = e.valid_up_to();
        let line = 1 + bytes[..offset].iter().filter(|b| **b == b'\n').count();
        Malformed { line, offset, what: "not UTF-8".into() }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn lines_know_their_place() {
        let all = lines("a\né\n".as_bytes()).unwrap();
        assert_eq!((all[1].number, all[1].offset, all[1].text), (2, 2, "é"));
        assert!(lines(b"").unwrap().is_empty());
        assert_eq!(lines(b"a\nb").unwrap_err().to_string(), "line 2, byte 3: the last line has no line feed");
        assert_eq!(lines(b"a\nb\xff\n").unwrap_err().to_string(), "line 2, byte 3: not UTF-8");
    }

    /// Every change of one byte of `good` must be refused.
    pub(crate) fn every_changed_byte_is_refused(good: &[u8], accepts: impl Fn(&[u8]) -> bool) {
        assert!(accepts(good), "the unchanged bytes are accepted");
        for at in 0..good.len() {
            for changed in [good[at] ^ 1, good[at] ^ 0x20, good[at] ^ 0x80, b'\n', b' ', b'='] {
                let mut bytes = good.to_vec();
                bytes[at] = changed;
                assert!(
                    changed == good[at] || !accepts(&bytes),
                    "byte {at} changed to {changed:#x} was accepted"
                );
            }
            let mut shorter = good.to_vec();
            shorter.remove(at);
            assert!(!accepts(&shorter), "byte {at} removed was accepted");
        }
        for extra in [&b"\n"[..], b" ", b"x", b"\r\n"] {
            assert!(!accepts(&[good, extra].concat()), "{extra:?} appended was accepted");
            assert!(!accepts(&[extra, good].concat()), "{extra:?} put in front was accepted");
        }
    }
}
