//! How a diagnostic is shown: to people (miette draws it), and to programs.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceSpan,
};
use serde_json::{Value, json};

use super::{Diagnostic, Place, Severity, Source, Span};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendering {
    pub colour: bool,
    pub unicode: bool,
    pub width: usize,
}

impl Default for Rendering {
    /// Plain text that survives a log, a mail and a terminal without colours.
    fn default() -> Self {
        Self { colour: false, unicode: false, width: 110 }
    }
}

/// One diagnostic as text: code, message, file:line:column, the source line with a caret, help.
pub fn render(diagnostic: &Diagnostic, how: Rendering) -> String {
    let theme = match (how.colour, how.unicode) {
        (true, true) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (true, false) => GraphicalTheme { styles: miette::ThemeStyles::ansi(), ..GraphicalTheme::ascii() },
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(0)
        .with_width(how.width.max(40))
        .with_break_words(false)
        .without_syntax_highlighting();
    let shown = Shown::new(diagnostic);
    let mut out = String::new();
    if handler.render_report(&mut out, &shown).is_err() {
        out = format!("{shown}\n");
    }
    let mut text: String = out.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let drawn = is_drawn(diagnostic);
    if !drawn && !diagnostic.label.is_empty() {
        text.push_str(&format!("  note: {}\n", diagnostic.label));
    }
    for label in diagnostic.labels.iter().filter(|label| !drawn || !same_file(diagnostic, &label.at)) {
        text.push_str(&format!("  note: {} ({})\n", label.text, named(&label.at)));
    }
    text
}

/// `file:line:column`.
fn named(at: &Place) -> String {
    let (line, column) = at.source.position(at.span.start);
    format!("{}:{line}:{column}", at.source.name())
}

/// Every diagnostic as text, at most `limit` of them, and how many were left out.
pub fn render_all(list: &[Diagnostic], how: Rendering, limit: usize) -> String {
    let mut out: Vec<String> = list.iter().take(limit).map(|d| render(d, how)).collect();
    if list.len() > limit {
        out.push(format!("… and {} more\n", list.len() - limit));
    }
    out.join("\n")
}

/// One diagnostic for programs. Lines and columns count from 1, columns in characters.
pub fn to_json(diagnostic: &Diagnostic) -> Value {
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.name(),
        "file": diagnostic.file,
        "message": diagnostic.message,
        "at": diagnostic.at.as_ref().map(place),
        "label": diagnostic.label,
        "labels": diagnostic.labels.iter().map(|l| json!({"at": place(&l.at), "text": l.text})).collect::<Vec<_>>(),
        "help": diagnostic.hints(),
    })
}

fn place(at: &Place) -> Value {
    let (line, column) = at.source.position(at.span.start);
    let (end_line, end_column) = at.source.position(at.span.end);
    json!({
        "file": at.source.name(),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "offset": at.span.start,
        "length": at.span.end.saturating_sub(at.span.start),
    })
}

/// The longest line of which an excerpt is drawn: nobody reads a longer one, and a caret beyond it cannot be drawn.
const LINE: usize = 1_000;

/// Whether the lines that are meant can be shown. Labels in other files cannot share an excerpt, and are said apart.
fn is_drawn(diagnostic: &Diagnostic) -> bool {
    let Some(at) = &diagnostic.at else { return false };
    let own =
        diagnostic.labels.iter().filter(|label| same_file(diagnostic, &label.at)).map(|label| &label.at);
    std::iter::once(at).chain(own).all(|at| at.source.line_length(at.span.start) <= LINE)
}

fn same_file(diagnostic: &Diagnostic, place: &Place) -> bool {
    diagnostic.at.as_ref().is_some_and(|at| std::ptr::eq(&raw const *at.source, &raw const *place.source))
}

/// A diagnostic as miette wants it.
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    help: Option<String>,
}

impl<'a> Shown<'a> {
    fn new(diagnostic: &'a Diagnostic) -> Self {
        let hints = diagnostic.hints();
        let help = (!hints.is_empty()).then(|| hints.join("\n"));
        Self { diagnostic, help }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { code, severity, message, .. } = self.diagnostic;
        write!(f, "{}[{code}]: {message}", severity.name())?;
        match &self.diagnostic.at {
            None => write!(f, " ({})", self.diagnostic.file),
            Some(at) if !is_drawn(self.diagnostic) => write!(f, " ({})", named(at)),
            Some(_) => Ok(()),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        let at = self.diagnostic.at.as_ref().filter(|_| is_drawn(self.diagnostic))?;
        Some(&*at.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = self.diagnostic.at.as_ref().filter(|_| is_drawn(self.diagnostic))?;
        let text = Some(self.diagnostic.label.clone()).filter(|text| !text.is_empty());
        let primary = LabeledSpan::new_primary_with_span(text, on_one_line(at));
        let rest = self.diagnostic.labels.iter().filter(|label| same_file(self.diagnostic, &label.at));
        let rest =
            rest.map(|label| LabeledSpan::new_with_span(Some(label.text.clone()), on_one_line(&label.at)));
        Some(Box::new(std::iter::once(primary).chain(rest)))
    }
}

/// A caret under the first line of what is meant: a whole block underlined says nothing more.
fn on_one_line(at: &Place) -> SourceSpan {
    let text = at.source.slice(at.span);
    let first = text.split('\n').next().unwrap_or("").trim_end();
    let length = if first.is_empty() { 1 } else { first.len() };
    (at.span.start as usize, length).into()
}

impl miette::SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        let wanted = Span::new(span.offset(), span.offset() + span.len());
        let first = self.line_of(wanted.start).saturating_sub(before);
        let last = self.line_of(wanted.end.saturating_sub(1).max(wanted.start)) + after;
        let start = self.starts().get(first).copied().unwrap_or(0) as usize;
        let end = self.starts().get(last + 1).map_or(self.text().len(), |start| *start as usize);
        let data = self.text().as_bytes().get(start..end).ok_or(MietteError::OutOfBounds)?;
        // The column is read for the heading only, where it is that of the caret; the excerpt begins at a line.
        let column = self.position(wanted.start).1 - 1;
        let contents = MietteSpanContents::new_named(
            self.name().to_owned(),
            data,
            (start, end - start).into(),
            first,
            column,
            last + 1 - first,
        );
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_accented_and_wide_text() {
        let source = Source::new("b.yaml", "title: \"Désactiver 漢字\"\nstèps: 1\n");
        let start = source.text().find("stèps").unwrap();
        let diagnostic =
            Diagnostic::error("unknown-key", Span::new(start, start + 6).at(&source), "unknown key `stèps`")
                .label("here")
                .help("did you mean `steps`?");
        insta::assert_snapshot!(render(&diagnostic, Rendering::default()));
    }

    #[test]
    fn a_place_in_an_endless_line_is_named() {
        let text = format!("{}{{x: 1}}{}", " ".repeat(80_000), " ".repeat(80_000));
        let source = Source::new("b.yaml", &text);
        let at = |start: usize| Place::from(Span::new(start, start + 1).at(&source));
        let diagnostic = Diagnostic::error("unknown-key", at(80_001), "unknown key `x`")
            .label("here")
            .also(at(80_004), "there")
            .help("leave it out");
        assert_eq!(
            render(&diagnostic, Rendering::default()),
            "  x error[unknown-key]: unknown key `x` (b.yaml:1:80002)\n  help: leave it out\n  note: here\n  note: there (b.yaml:1:80005)\n"
        );
    }

    #[test]
    fn what_has_no_position_names_its_file() {
        let diagnostic = Diagnostic::about("not-readable", "x.yaml", "reading the file: no such file");
        assert_eq!(
            render(&diagnostic, Rendering::default()),
            "  x error[not-readable]: reading the file: no such file (x.yaml)\n  help: check the path and the permissions of the file\n"
        );
        assert_eq!(to_json(&diagnostic)["at"], Value::Null);
    }

    #[test]
    fn programs_get_lines_and_columns() {
        let source = Source::new("b.yaml", "é: x\n");
        let diagnostic = Diagnostic::warning("unknown-key", Span::new(4, 5).at(&source), "m");
        let json = to_json(&diagnostic);
        assert_eq!((json["at"]["line"].as_u64(), json["at"]["column"].as_u64()), (Some(1), Some(4)));
        assert_eq!(json["severity"], "warning");
    }
}
