//! Diagnostics: everything the tool has to say about a file somebody wrote.
//!
//! Owns the value ([`Diagnostic`]), the table of codes and the two renderings (text and JSON). A diagnostic is a
//! value, never an early return: whoever finds problems collects them all and hands them on beside what could be
//! read. Nothing here prints. Positions are byte ranges, turned into lines and columns only when shown.

mod codes;
mod render;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use codes::{Code, code, codes};
pub use render::{Rendering, render, render_all, to_json};

/// A file that was read, with what is needed to show parts of it.
pub struct Source {
    name: String,
    text: String,
    lines: OnceLock<Vec<u32>>,
    /// Files that it uses. Their bytes are counted behind its own.
    parts: Vec<Part>,
}

/// A file that another one uses.
#[derive(Clone, PartialEq)]
struct Part {
    /// Where its bytes begin.
    base: u32,
    source: Arc<Source>,
}

/// A range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// A range of bytes in a named file.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub source: Arc<Source>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Another place that matters, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub at: Place,
    pub text: String,
}

/// One problem: what was found, what was expected, where, and how to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// From the table of [`codes`].
    pub code: &'static str,
    pub severity: Severity,
    /// The file it is about, also where there is no position in it.
    pub file: String,
    /// Absent when the file could not be read at all.
    pub at: Option<Place>,
    /// Text beside the caret.
    pub label: String,
    pub labels: Vec<Label>,
    pub message: String,
    pub help: Vec<String>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), lines: OnceLock::new(), parts: Vec::new() })
    }

    /// The same file with one more that it uses, and where the bytes of that begin. `None`: more than can be counted.
    pub fn using(&self, other: &Arc<Self>) -> Option<(Arc<Self>, u32)> {
        // One byte between two files, so that the end of one is not the start of the next.
        let end = |base: u32, source: &Self| u32::try_from(source.text.len() + 1).ok()?.checked_add(base);
        let base = match self.parts.last() {
            Some(last) => end(last.base, &last.source)?,
            None => end(0, self)?,
        };
        end(base, other)?;
        let mut parts = self.parts.clone();
        parts.push(Part { base, source: Arc::clone(other) });
        let (name, text) = (self.name.clone(), self.text.clone());
        Some((Arc::new(Self { name, text, lines: OnceLock::new(), parts }), base))
    }

    /// The files that it uses.
    pub fn uses(&self) -> impl Iterator<Item = &Arc<Self>> {
        self.parts.iter().map(|part| &part.source)
    }

    /// The used file that a byte stands in.
    fn part(&self, at: u32) -> Option<&Part> {
        let behind = self.parts.partition_point(|part| part.base <= at);
        behind.checked_sub(1).map(|last| &self.parts[last])
    }

    /// Whether it stands in a file that this one uses.
    pub fn is_used(&self, span: Span) -> bool {
        self.part(span.start).is_some()
    }

    /// What stands behind `span` in its file.
    pub fn behind(&self, span: Span) -> &str {
        match self.part(span.start) {
            Some(part) => part.source.text.get((span.end - part.base) as usize..).unwrap_or(""),
            None => self.text.get(span.end as usize..).unwrap_or(""),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of `span`, empty where it does not fall on the bounds of characters.
    pub fn slice(&self, span: Span) -> &str {
        if let Some(part) = self.part(span.start) {
            return part.source.slice(span.less(part.base));
        }
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of a byte, both counted from 1, columns in characters.
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let line = self.line_of(offset);
        let start = self.starts().get(line).copied().unwrap_or(0) as usize;
        let end = (offset as usize).min(self.text.len());
        let before = self.text.get(start..end).unwrap_or("");
        (line + 1, before.chars().count() + 1)
    }

    /// Offsets of the first byte of each line.
    fn starts(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| offset(at + 1))).collect()
        })
    }

    /// Bytes of the line that holds a byte.
    fn line_length(&self, offset: u32) -> usize {
        let line = self.line_of(offset);
        let start = self.starts().get(line).map_or(0, |start| *start as usize);
        self.starts().get(line + 1).map_or(self.text.len(), |start| *start as usize).saturating_sub(start)
    }

    /// Index of the line that holds a byte.
    fn line_of(&self, offset: u32) -> usize {
        self.starts().partition_point(|start| *start <= offset).saturating_sub(1)
    }
}

/// A byte offset; files are far smaller than 4 GiB.
pub fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text && self.parts == other.parts
    }
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: offset(start), end: offset(end.max(start)) }
    }

    /// The same bytes where the file they stand in begins `base` bytes later.
    #[must_use]
    pub const fn shifted(self, base: u32) -> Self {
        Self { start: self.start.saturating_add(base), end: self.end.saturating_add(base) }
    }

    const fn less(self, base: u32) -> Self {
        Self { start: self.start.saturating_sub(base), end: self.end.saturating_sub(base) }
    }

    pub const fn at(self, source: &Arc<Source>) -> PlaceOf<'_> {
        PlaceOf { source, span: self }
    }
}

/// A place whose source is borrowed.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOf<'a> {
    source: &'a Arc<Source>,
    span: Span,
}

impl From<PlaceOf<'_>> for Place {
    fn from(place: PlaceOf<'_>) -> Self {
        match place.source.part(place.span.start) {
            Some(part) => Self { source: Arc::clone(&part.source), span: place.span.less(part.base) },
            None => Self { source: Arc::clone(place.source), span: place.span },
        }
    }
}

impl Diagnostic {
    pub fn error(code: &'static str, at: impl Into<Place>, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, at.into(), message.into())
    }

    pub fn warning(code: &'static str, at: impl Into<Place>, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, at.into(), message.into())
    }

    /// About a file as a whole.
    pub fn about(code: &'static str, file: impl Into<String>, message: impl Into<String>) -> Self {
        debug_assert!(codes::code(code).is_some(), "`{code}` is in the table of codes");
        Self {
            code,
            severity: Severity::Error,
            file: file.into(),
            at: None,
            label: String::new(),
            labels: Vec::new(),
            message: message.into(),
            help: Vec::new(),
        }
    }

    fn new(code: &'static str, severity: Severity, at: Place, message: String) -> Self {
        Self { severity, at: Some(at.clone()), ..Self::about(code, at.source.name(), message) }
    }

    /// The text beside the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Another place that matters.
    #[must_use]
    pub fn also(mut self, at: impl Into<Place>, text: impl Into<String>) -> Self {
        self.labels.push(Label { at: at.into(), text: text.into() });
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// "Did you mean", where one of `names` is close to `written`.
    #[must_use]
    pub fn suggest<'a>(self, written: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(written, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// How to go on: its own hints, else that of its code.
    pub fn hints(&self) -> Vec<&str> {
        if self.help.is_empty() {
            return code(self.code).map(|code| code.fix).into_iter().collect();
        }
        self.help.iter().map(String::as_str).collect()
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether a list holds an error.
pub fn has_errors(list: &[Diagnostic]) -> bool {
    list.iter().any(Diagnostic::is_error)
}

/// In the order of the text, errors and warnings mixed; what has no position comes first.
pub fn sort(list: &mut [Diagnostic]) {
    let key = |d: &Diagnostic| d.at.as_ref().map(|at| (at.span.start, at.span.end));
    list.sort_by(|a, b| a.file.cmp(&b.file).then_with(|| key(a).cmp(&key(b))));
}

/// The name nearest to what was written, if it is near enough to be meant.
pub fn closest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = written.to_lowercase().replace('-', "_");
    let allowed = match folded.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(distance, _)| *distance <= allowed && *distance < folded.chars().count())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source::new("a.yaml", "é: 1\nü漢: 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position(11), (2, 3));
        assert_eq!(source.position(9_999), (3, 1));
    }

    #[test]
    fn a_place_in_a_used_file_is_one_of_that_file() {
        let (whole, base) = Source::new("a", "abc").using(&Source::new("b", "defg")).unwrap();
        let (whole, second) = whole.using(&Source::new("c", "hi")).unwrap();
        assert_eq!((base, second), (4, 9));
        let place = Place::from(Span::new(5, 7).at(&whole));
        assert_eq!((place.source.name(), place.span), ("b", Span::new(1, 3)));
        assert_eq!((whole.slice(Span::new(5, 7)), whole.behind(Span::new(5, 7))), ("ef", "g"));
        assert_eq!((whole.slice(Span::new(9, 11)), whole.slice(Span::new(1, 3))), ("hi", "bc"));
        assert!(whole.is_used(Span::new(9, 9)) && !whole.is_used(Span::new(3, 3)));
    }

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let names = ["needs", "when", "title", "idempotency_key"];
        assert_eq!(closest("need", names), Some("needs"));
        assert_eq!(closest("Title", names), Some("title"));
        assert_eq!(closest("idempotency-key", names), Some("idempotency_key"));
        assert_eq!(closest("zebra", names), None);
        assert_eq!(closest("x", ["y"]), None);
    }
}
