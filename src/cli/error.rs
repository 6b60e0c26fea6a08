//! What goes wrong at the edge: a message, its hints, and the exit code that its kind has.

use super::exit::Exit;
use crate::diag::Diagnostic;

/// An error for the person at the terminal.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    /// Lower-case, no full stop: what was found, what was expected.
    pub message: String,
    pub hints: Vec<String>,
    /// Findings in a file, each with its place.
    pub diagnostics: Vec<Diagnostic>,
}

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), diagnostics: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn with(mut self, diagnostics: Vec<Diagnostic>) -> Self {
        self.diagnostics = diagnostics;
        self
    }

    /// A file could not be read, written or found. `verb` as in "cannot {verb} {path}".
    pub fn file(exit: Exit, verb: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(exit, format!("cannot {verb} {}: {error}", path.display()))
    }
}
