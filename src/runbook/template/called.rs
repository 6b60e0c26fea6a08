//! The filters and tests that an expression calls by name.
//!
//! The engine looks them up only when it evaluates, which may be in the middle of a run; this asks it before.

use std::collections::BTreeSet;
use std::sync::{LazyLock, RwLock};

use minijinja::ErrorKind;

use super::{ENGINE, Expr};

/// What the engine was found to have: to ask it costs a compilation. It grows to all that it has, and no further.
static KNOWN: LazyLock<RwLock<BTreeSet<(bool, String)>>> = LazyLock::new(RwLock::default);

impl Expr {
    /// The filters and tests that it calls and that do not exist, as written.
    pub fn strangers(&self) -> Vec<&str> {
        let mut out = Vec::new();
        if self.path().is_some() {
            return out;
        }
        for (name, is_test) in called(&self.source) {
            if !is_known(name, is_test) {
                out.push(name);
            }
        }
        out
    }
}

/// Whether the engine has a filter, or a test, of that name; also where it cannot be asked.
fn is_known(name: &str, is_test: bool) -> bool {
    let key = (is_test, name.to_owned());
    if KNOWN.read().is_ok_and(|known| known.contains(&key)) {
        return true;
    }
    let probe = if is_test { format!("'' is {name}") } else { format!("''|{name}") };
    let Ok(compiled) = ENGINE.compile_expression(&probe) else { return true };
    let unknown = if is_test { ErrorKind::UnknownTest } else { ErrorKind::UnknownFilter };
    if compiled.eval(()).is_err_and(|error| error.kind() == unknown) {
        return false;
    }
    if let Ok(mut known) = KNOWN.write() {
        known.insert(key);
    }
    true
}

/// Names behind `|`, and behind `is` or `is not` (then `true`), outside of quoted texts.
fn called(source: &str) -> Vec<(&str, bool)> {
    let mut out = Vec::new();
    let mut tokens = joined(source).into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_test = token == "is";
        if is_test {
            tokens.next_if_eq(&"not");
        }
        if (is_test || token == "|")
            && let Some(name) = tokens.next_if(|next| next.starts_with(begins_name))
        {
            out.push((name, is_test));
        }
    }
    out
}

/// Puts `steps.a/b.x` for `steps["a/b"].x`, which the engine counts as a use of all `steps`.
pub(super) fn indexed(source: &str, refs: &mut Vec<String>) {
    if !refs.iter().any(|path| path == "steps") || !source.contains("steps[") {
        return;
    }
    let (mut found, mut all) = (Vec::new(), false);
    let mut rest = source;
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            c if begins_name(c) => {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        if token == "steps" && before != "." {
            match super::rename::step_index(token, behind) {
                Some((id, end)) => {
                    let below = &behind[end..];
                    let length = below.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
                    let below = &below[..length.unwrap_or(below.len())];
                    found.push(format!("steps.{id}{}", below.trim_end_matches('.')));
                }
                None => all = true,
            }
        }
        if !token.trim().is_empty() {
            before = token;
        }
    }
    if !all {
        refs.retain(|path| path != "steps");
    }
    refs.extend(found);
    refs.sort();
    refs.dedup();
}

/// Whether an expression is nothing but `steps["a/b"].x`, for the path `steps.a/b.x`.
pub(super) fn is_indexed(source: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix("steps.") else { return false };
    let (id, below) = rest.find('.').map_or((rest, ""), |at| rest.split_at(at));
    source
        .strip_prefix("steps[")
        .and_then(|source| source.strip_suffix(below))
        .is_some_and(|index| index == format!("\"{id}\"]") || index == format!("'{id}']"))
}

/// Names, numbers, quoted texts, and single characters.
pub fn tokens(source: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for token in joined(source) {
        match token.starts_with(['"', '\'']) {
            true => out.push(token),
            false => out.extend(token.split_inclusive('.').flat_map(|part| {
                let name = part.strip_suffix('.').unwrap_or(part);
                [name, &part[name.len()..]].into_iter().filter(|token| !token.is_empty())
            })),
        }
    }
    out
}

/// Operations of an expression that may stand one within the other, counted with those that do not.
pub(super) fn operations(source: &str) -> usize {
    const WORDS: [&str; 6] = ["not", "and", "or", "if", "is", "in"];
    let count = |token: &str| match token.chars().next() {
        Some('"' | '\'' | ',' | ':' | ')' | ']' | '}') | None => 0,
        Some(first) if begins_name(first) => token.matches('.').count() + usize::from(WORDS.contains(&token)),
        Some(first) => usize::from(!first.is_ascii_digit()),
    };
    joined(source).into_iter().map(count).sum()
}

/// Names with what is joined to them by dots, quoted texts, and single characters.
fn joined(source: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            c if begins_name(c) => {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        out.push(token);
        rest = behind.trim_start();
    }
    out
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Length of a quoted text with its quotes.
pub(super) fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::super::Expr;

    #[test]
    fn rule_19_filters_and_tests_exist() {
        for (source, strangers) in [
            ("inputs.x | plus('1h') | upper", &[][..]),
            ("inputs.x | plsu('1h')|format('%Y') | uper", &["plsu", "uper"]),
            ("inputs.x is defined and inputs.y is not defind", &["defind"]),
            ("inputs.is is string", &[]),
            ("'a | nope is never' ~ \"\\\" | nope\" ~ inputs.x", &[]),
            ("inputs.x | default('| nope') | epoch - 1", &[]),
            ("inputs.l | map('upper') | select('nope') | list", &[]),
            ("inputs.l|nope|sort", &["nope"]),
        ] {
            assert_eq!(Expr::parse(source).unwrap().strangers(), strangers, "{source}");
        }
    }
}
