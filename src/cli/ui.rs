//! The one place that prints. stdout is data, stderr is talk; everything is readable without colour, and a closed
//! pipe ends nothing but the printing.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diag::{Rendering, render_all};

/// Findings that a person is shown at once.
const MOST_DIAGNOSTICS: usize = 100;

/// Data was printed that arrived nowhere, and not because nobody reads it any more.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether some of the data could not be written: to a disk that is full.
pub(super) fn data_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Where a verb prints to.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    pub json: bool,
    pub color: bool,
}

impl Ui {
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, color: !plain && std::io::stderr().is_terminal() }
    }

    /// A line of data.
    pub fn data(self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes());
    }

    /// Data as it is.
    pub fn bytes(self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
            && error.kind() != ErrorKind::BrokenPipe
        {
            LOST.store(true, Ordering::Relaxed);
        }
    }

    /// A line of data with texts from files in it: they neither drive the terminal nor begin a line of their own.
    pub fn line(self, line: &str) {
        self.data(&crate::operator::one_line(line));
    }

    /// Prose as data, behind an indent: a terminal gets no line that is wider than it is.
    pub fn listed(self, indent: &str, text: &str) {
        let out = std::io::stdout();
        self.data(&laid_out(indent, text, out.is_terminal().then(|| columns(&out))));
    }

    /// Prose as talk, in the same way.
    pub fn told(self, indent: &str, text: &str) {
        let out = std::io::stderr();
        self.say(&laid_out(indent, text, out.is_terminal().then(|| columns(&out))));
    }

    /// A line of data that others stand under.
    pub fn heading(self, line: &str) {
        if self.color && std::io::stdout().is_terminal() {
            let bold = anstyle::Style::new().bold();
            self.data(&format!("{bold}{line}{bold:#}"));
        } else {
            self.data(line);
        }
    }

    /// A line of talk.
    pub fn say(self, line: &str) {
        let _closed_pipe = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// A question, with the cursor behind it.
    pub fn prompt(self, question: &str) {
        let mut out = std::io::stderr().lock();
        let _closed_pipe = write!(out, "{question} ").and_then(|()| out.flush());
    }

    /// A value for scripts, on one line.
    pub fn json(self, value: &serde_json::Value) {
        self.data(&value.to_string());
    }

    /// Findings, each with its place, on stderr.
    pub fn diagnostics(self, list: &[crate::diag::Diagnostic]) {
        if !list.is_empty() {
            let width = columns(&std::io::stderr()).clamp(60, 140);
            let how = Rendering { colour: self.color, unicode: self.color, width };
            self.say(&render_all(list, how, MOST_DIAGNOSTICS));
        }
    }

    pub fn error(self, error: &super::error::CliError) {
        self.diagnostics(&error.diagnostics);
        self.say(&format!("error: {}", crate::operator::harmless(&error.message).replace('\n', "\n  ")));
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    pub fn hint(self, hint: &str) {
        self.say(&format!("hint: {}", crate::operator::one_line(hint)));
    }
}

/// How wide a terminal is.
fn columns(terminal: &impl std::os::fd::AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal).map(|size| usize::from(size.ws_col));
    size.ok().filter(|columns| *columns > 0).unwrap_or(110)
}

/// Text that may come from anywhere, in lines of that width; in one line where nobody looks.
fn laid_out(indent: &str, text: &str, width: Option<usize>) -> String {
    let text = crate::operator::one_line(text);
    match width {
        None => format!("{indent}{text}"),
        Some(width) => {
            let deeper = format!("{indent}  ");
            let how = textwrap::Options::new(width.max(20)).initial_indent(indent).subsequent_indent(&deeper);
            textwrap::fill(&text, how.break_words(false))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_fits_a_terminal_and_is_one_line_elsewhere() {
        let text = "waits for a person: go (approve)\u{1b}[2J and so on";
        assert_eq!(laid_out("  ", text, None), "  waits for a person: go (approve)␛[2J and so on");
        let narrow = laid_out("  ", text, Some(30));
        assert_eq!(narrow, "  waits for a person: go\n    (approve)␛[2J and so on");
    }
}
