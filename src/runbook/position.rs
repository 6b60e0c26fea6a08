//! Where in the file a byte of a scalar stands.
//!
//! Owns the way back from what a scalar means to how it was written: escapes, doubled quotes, indentation and folded
//! lines. The text and what is written are walked side by side, so no rule of YAML is decided here a second time: where
//! the two do not agree, the whole scalar is the answer.

use std::borrow::Cow;

use crate::diag::{Source, Span};

/// The place in the file of the bytes from `at` of a scalar's text, in whole characters; the whole scalar where they
/// cannot be matched.
pub fn inner(source: &Source, span: Span, text: &str, at: usize, length: usize) -> Span {
    if source.is_used(span) {
        // The names in it are those of the runbook that uses it, not those in the file.
        return span;
    }
    let (file, place) = (source.text(), place(source, span, text, at, length));
    let start = file.floor_char_boundary(place.start as usize);
    Span::new(start, file.ceil_char_boundary((place.end as usize).min(file.len()).max(start)))
}

fn place(source: &Source, span: Span, text: &str, at: usize, length: usize) -> Span {
    let written = source.slice(span);
    let start = span.start as usize;
    if written.starts_with(text) {
        return Span::new(start + at, start + at + length.max(1));
    }
    let unquoted = written.get(1..).filter(|_| written.starts_with(['"', '\'']));
    if unquoted.is_some_and(|unquoted| unquoted.starts_with(text)) {
        return Span::new(start + 1 + at, start + 1 + at + length.max(1));
    }
    let styles = [Style::Plain, Style::Block, Style::Double, Style::Single];
    let found = styles.into_iter().find_map(|style| {
        let from = Walk::begin(written, text, style)?.reach(at)?;
        let to = Walk::begin(written, text, style)?.reach(at + length.max(1)).unwrap_or(from + 1);
        Some(Span::new(start + from, start + to.max(from + 1)))
    });
    found.unwrap_or(span)
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// Also a block scalar whose place begins at its first line.
    Plain,
    /// A block scalar with its indicator.
    Block,
    Single,
    Double,
}

/// Two places that mean the same: one in what is written, one in the text.
struct Walk<'a> {
    written: &'a str,
    text: &'a str,
    style: Style,
    from: usize,
    to: usize,
}

impl<'a> Walk<'a> {
    fn begin(written: &'a str, text: &'a str, style: Style) -> Option<Self> {
        let from = match style {
            Style::Plain => written.len() - written.trim_start().len(),
            Style::Block => {
                let line = written.starts_with(['|', '>']).then(|| written.find('\n')).flatten()?;
                let rest = &written[line + 1..];
                line + 1 + rest.len() - rest.trim_start().len()
            }
            Style::Single => written.starts_with('\'').then_some(1)?,
            Style::Double => written.starts_with('"').then_some(1)?,
        };
        let blank = text.len() - text.trim_start().len();
        let to = if matches!(style, Style::Plain | Style::Block) { blank } else { 0 };
        Some(Self { written, text, style, from, to })
    }

    /// Where the byte `at` of the text is written.
    fn reach(mut self, at: usize) -> Option<usize> {
        while self.to < at {
            self.step()?;
        }
        // Only behind a break that was folded away may the text be further than asked.
        let between = self.text.get(at..self.to);
        (self.to == at || between.is_some_and(|text| text.trim().is_empty())).then_some(self.from)
    }

    fn step(&mut self) -> Option<()> {
        let written = &self.written[self.from..];
        let text = &self.text[self.to..];
        let blank = written.len() - written.trim_start().len();
        if written[..blank].contains('\n') {
            // A line ends: indentation goes, and what is left of the break is white space in the text.
            self.from += blank;
            self.to += text.len() - text.trim_start().len();
            return Some(());
        }
        let (meaning, width): (Cow<'_, str>, usize) = match self.style {
            Style::Double if written.starts_with('\\') => escape(written)?,
            Style::Single if written.starts_with("''") => ("'".into(), 2),
            _ => {
                let first = written.chars().next()?;
                (first.to_string().into(), first.len_utf8())
            }
        };
        self.to += text.starts_with(&*meaning).then_some(meaning.len())?;
        self.from += width;
        Some(())
    }
}

/// What an escape means, and how long it is.
fn escape(written: &str) -> Option<(Cow<'_, str>, usize)> {
    let kind = written[1..].chars().next()?;
    let code = |digits: usize| {
        let number = u32::from_str_radix(written.get(2..2 + digits)?, 16).ok()?;
        Some((char::from_u32(number)?.to_string().into(), 2 + digits))
    };
    let plain = match kind {
        'x' => return code(2),
        'u' => return code(4),
        'U' => return code(8),
        '\n' | '\r' => {
            let rest = &written[1..];
            return Some(("".into(), 1 + rest.len() - rest.trim_start().len()));
        }
        '0' => "\0",
        'a' => "\x07",
        'b' => "\x08",
        't' | '\t' => "\t",
        'n' => "\n",
        'v' => "\x0b",
        'f' => "\x0c",
        'r' => "\r",
        'e' => "\x1b",
        ' ' => " ",
        '"' => "\"",
        '/' => "/",
        '\\' => "\\",
        'N' => "\u{85}",
        '_' => "\u{a0}",
        'L' => "\u{2028}",
        'P' => "\u{2029}",
        _ => return None,
    };
    Some((plain.into(), 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::yaml::{self, Node, Value};

    /// What stands in the file where `wanted` stands in the meaning of the value of the key `a`.
    fn shown(file: &str, wanted: &str) -> String {
        let source = Source::new("t.yaml", file);
        let (node, problems) = yaml::parse(&source);
        assert!(problems.is_empty(), "{problems:?}");
        let Some(Node { value: Value::Map { entries, .. }, .. }) = node else { panic!("a mapping") };
        let Value::Scalar { text, .. } = &entries[0].1.value else { panic!("a scalar") };
        let at = text.find(wanted).unwrap_or_else(|| panic!("{wanted} is not in {text:?}"));
        source.slice(inner(&source, entries[0].1.span, text, at, wanted.len())).to_owned()
    }

    #[test]
    fn a_part_of_a_scalar_is_found_however_it_is_written() {
        for file in [
            "a: x {{ y }} {{ z }}\n",
            "a: \"x {{ y }} {{ z }}\"\n",
            "a: 'it''s {{ y }} {{ z }}'\n",
            "a: \"é\\t\\u00e9\\\"\\x41 {{ y }}\\n{{ z }}\"\n",
            "a: \"one\n  two\n\n  three \\\n   four {{ y }} {{ z }}\"\n",
            "a: one\n  two\n\n  three {{ y }}\n  {{ z }}\n",
            "a: |\n  one\n    two {{ y }}\n\n  {{ z }}\n",
            "a: |2-\n    one {{ y }}\n\n  {{ z }}\n",
            "a: >-\n\n  one\n  two {{ y }}\n\n    more\n  {{ z }}\n",
            "a: >\n  \"quoted\" {{ y }}\n  {{ z }}\nb: 1\n",
            "a: |\r\n  one\r\n  {{ y }}\r\n  {{ z }}\r\n",
        ] {
            assert_eq!(shown(file, "{{ z }}"), "{{ z }}", "{file:?}");
            assert_eq!(shown(file, "{{ y }}"), "{{ y }}", "{file:?}");
        }
    }

    #[test]
    fn what_cannot_be_matched_is_shown_whole() {
        let source = Source::new("t.yaml", "a: \"x\\ty\"\n");
        let whole = Span::new(3, 9);
        assert_eq!(inner(&source, whole, "quite another text", 3, 4), whole);
        assert_eq!(inner(&source, whole, "x\ty", 40, 4), whole);
    }
}
