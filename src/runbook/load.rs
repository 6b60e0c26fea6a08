//! From a file to a runbook, with everything that is wrong with its shape.
//!
//! Never panics on bad input and never stops at the first problem: a file with one wrong key still gives a runbook,
//! so that `check` can report the rest in the same breath.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::decode::{Decode, Reader};
use super::letters::{self, Letters};
use super::lists;
use super::schema::Runbook;
use super::used::{self, Library, UsedRunbooks};
use super::yaml;
use crate::diag::{Diagnostic, Source, Span};

/// Steps of a runbook, those of `finally` included.
pub const MAX_STEPS: usize = 100_000;

/// A runbook and the file it came from.
#[derive(Debug, Clone)]
pub struct Document {
    pub source: Arc<Source>,
    pub runbook: Runbook,
    /// What it sends people, by name.
    pub letters: Letters,
    /// The runbooks that it uses, whose steps are among its own.
    pub used: UsedRunbooks,
}

/// Reads a file as text.
///
/// # Errors
/// It cannot be read, is larger than the limit, or is not UTF-8.
#[allow(clippy::result_large_err, reason = "once for each file")]
pub fn source(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let name = path.display().to_string();
    let fail =
        |e: std::io::Error| Diagnostic::about("not-readable", name.clone(), format!("reading the file: {e}"));
    let file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    from_bytes(&name, bytes)
}

/// Takes bytes as text.
///
/// # Errors
/// As [`source`].
#[allow(clippy::result_large_err, reason = "once for each file")]
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Arc<Source>, Diagnostic> {
    if bytes.len() > yaml::MAX_BYTES {
        let message = format!("the file is larger than {} MiB", yaml::MAX_BYTES / (1024 * 1024));
        return Err(Diagnostic::about("limit", name, message));
    }
    if looks_like_utf_16(&bytes) {
        let problem = Diagnostic::about("not-utf-8", name, "this is UTF-16, not UTF-8");
        return Err(problem.help("save the file as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(match text.strip_prefix('\u{feff}') {
            Some(bare) => Source::new(name, bare),
            None => Source::new(name, text),
        }),
        Err(error) => {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let message = format!("line {} is not UTF-8 text", line + 1);
            Err(Diagnostic::about("not-utf-8", name, message).help("save the file as UTF-8"))
        }
    }
}

/// Its mark, or every second byte of its beginning nothing.
fn looks_like_utf_16(bytes: &[u8]) -> bool {
    let marked = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let begins: Vec<bool> = bytes.iter().take(8).map(|byte| *byte == 0).collect();
    let every_second = begins.len() == 8 && (0..2).any(|odd| (0..8).all(|at| begins[at] == (at % 2 == odd)));
    marked || every_second
}

/// Reads a record from a file of its own.
pub fn record<T: Decode>(source: &Arc<Source>) -> (Option<T>, Vec<Diagnostic>) {
    let (node, mut problems) = yaml::parse(source);
    let Some(node) = node else {
        if problems.is_empty() {
            let problem = Diagnostic::about("syntax", source.name(), "the file holds nothing");
            problems.push(problem.help("write its keys, each on a line of its own"));
        }
        return (None, problems);
    };
    let mut reader = Reader::new(source);
    let found = reader.value(&node);
    problems.append(&mut reader.problems);
    (found, problems)
}

/// Reads a runbook, and those that it uses.
pub fn runbook(source: &Arc<Source>) -> (Option<Document>, Vec<Diagnostic>) {
    with_used(source, &mut Library::default())
}

/// As [`runbook`]; what is used by several is read once.
pub(super) fn with_used(source: &Arc<Source>, library: &mut Library) -> (Option<Document>, Vec<Diagnostic>) {
    let (document, mut problems) = alone(source);
    (document.map(|document| used::put_in_place(document, library, &mut problems)), problems)
}

/// Reads a runbook as it stands in its file: what it uses is left where it is.
pub fn alone(source: &Arc<Source>) -> (Option<Document>, Vec<Diagnostic>) {
    let (runbook, mut problems) = record::<Runbook>(source);
    let Some(runbook) = runbook else {
        for empty in problems.iter_mut().filter(|problem| problem.at.is_none()) {
            empty.help = vec!["a runbook begins with `consigne: v1`, then `id:` and `steps:`".to_owned()];
        }
        return (None, problems);
    };
    let steps = lists::steps(&runbook).count();
    if steps > MAX_STEPS {
        let at = runbook.keys.get("steps").unwrap_or(Span::default()).at(source);
        problems.push(Diagnostic::error("limit", at, format!("{steps} steps, more than {MAX_STEPS}")));
        return (None, problems);
    }
    let letters = letters::load(&runbook, Path::new(source.name()), &mut problems);
    (Some(Document { source: Arc::clone(source), runbook, letters, used: UsedRunbooks::new() }), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_runbook_never_panic() {
        for bytes in
            [&b""[..], b"\xff\xfe", b"%", b"- - -", b"a: *b", b"{", b"\"", b"a: |\n", b"!!", b"? :", b"\t"]
        {
            match from_bytes("x.yaml", bytes.to_vec()) {
                Ok(source) => {
                    let (document, problems) = runbook(&source);
                    assert!(document.is_none() && !problems.is_empty(), "{bytes:?}");
                }
                Err(problem) => assert_eq!(problem.code, "not-utf-8"),
            }
        }
    }

    #[test]
    fn a_missing_file_is_a_diagnostic() {
        let problem = source(Path::new("/nonexistent/x.yaml")).unwrap_err();
        assert_eq!(problem.code, "not-readable");
        assert!(problem.message.starts_with("reading the file: "));
    }

    #[test]
    fn a_wrong_key_still_gives_a_runbook() {
        let source = Source::new("x.yaml", "consigne: v1\nid: x\nstepz: 1\nsteps:\n  - {id: a, shel: x}\n");
        let (document, problems) = runbook(&source);
        assert_eq!(document.unwrap().runbook.steps.len(), 1);
        assert_eq!(problems.iter().map(|p| p.code).collect::<Vec<_>>(), ["unknown-key", "unknown-key"]);
    }
}
