//! The one place that prints. stdout is data, stderr is talk; everything is readable without colour, and a closed
//! pipe ends nothing but the printing.

use std::io::{IsTerminal, Write};

use crate::diag::{Rendering, render_all};

/// Findings that a person is shown at once.
const MOST_DIAGNOSTICS: usize = 100;

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
        let _closed_pipe = writeln!(std::io::stdout().lock(), "{line}");
    }

    /// A line of data with texts from files in it: they do not drive the terminal.
    pub fn line(self, line: &str) {
        self.data(&crate::operator::harmless(line));
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
            let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(110, |size| size.ws_col);
            let width = usize::from(columns).clamp(60, 140);
            let how = Rendering { colour: self.color, unicode: self.color, width };
            self.say(&render_all(list, how, MOST_DIAGNOSTICS));
        }
    }

    pub fn error(self, error: &super::error::CliError) {
        self.diagnostics(&error.diagnostics);
        self.say(&format!("error: {}", error.message));
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    pub fn hint(self, hint: &str) {
        self.say(&format!("hint: {hint}"));
    }
}
