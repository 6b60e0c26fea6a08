//! Names of locks, once inputs and variables are known: each must be there, and short enough to be that of a file.

use crate::diag::Diagnostic;
use crate::runbook::load::Document;
use crate::runbook::template::Scope;

/// The longest name of a file, with room for marks; what is no letter, digit, `-` or `_` takes three bytes of it.
const NAME_BYTES: usize = 240;

pub(super) fn check(document: &Document, known: &dyn Scope) -> Result<(), Vec<Diagnostic>> {
    let mut problems = Vec::new();
    for lock in document.runbook.locks() {
        let at = lock.span.at(&document.source);
        match lock.value.render(known) {
            Err(error) => problems.push(Diagnostic::error("bad-value", at, error.to_string())),
            Ok(name) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                let bytes: usize = name.to_string().bytes().map(|byte| if plain(byte) { 1 } else { 3 }).sum();
                if bytes > NAME_BYTES {
                    let message =
                        format!("the name of this lock takes {bytes} bytes as a file, at most {NAME_BYTES}");
                    let problem = Diagnostic::error("bad-value", at, message);
                    problems.push(problem.help("name it by something short, such as an id"));
                }
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
