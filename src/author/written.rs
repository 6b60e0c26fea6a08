//! Texts as they are written into a runbook: quoted for YAML, and with braces that do not open an expression.

use std::fmt::Write;

/// A text that stands for itself in a template. Braces that would open something are written as an expression whose
/// value they are: `{{ "{{" }}`.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('{', Some(&next @ ('{' | '%' | '#'))) => {
                chars.next();
                let _never_fails = write!(out, "{{{{ \"{{{next}\" }}}}");
            }
            _ => out.push(c),
        }
    }
    out
}

/// A text as a quoted scalar on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if printable(c) => out.push(c),
            c => {
                let _never_fails = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// A text as the value of a key: a block of lines where that says the same, else quoted. `indent` is that of the key.
pub(super) fn scalar(text: &str, indent: usize) -> String {
    let fits = text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with([' ', '\n', '\t'])
        && text.chars().all(|c| matches!(c, '\n' | '\t') || printable(c));
    if !fits {
        return quoted(text);
    }
    let margin = " ".repeat(indent + 2);
    let mut out = "|-".to_owned();
    for line in text.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&margin);
            out.push_str(line);
        }
    }
    out
}

/// A text as a comment: one line, and nothing that ends it.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if printable(c) { c } else { ' ' }).collect()
}

/// What every reader of YAML and every editor takes as it is.
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diag::Source;
    use crate::runbook::load;
    use crate::runbook::template::{Lookup, Scope};

    struct Nothing;

    impl Scope for Nothing {
        fn lookup(&self, _: &str, _: &str) -> Lookup {
            Lookup::Missing
        }
    }

    /// The text as a run would show it.
    fn read_back(text: &str) -> String {
        let written = literal(text);
        let file = format!(
            "consigne: v1\nid: x\ntitle: {}\nsteps:\n  - id: a\n    message: {}\n    manual: {{}}\n    effect: write\n",
            quoted(&written),
            scalar(&written, 4)
        );
        let (document, problems) = load::runbook(&Source::new("x.yaml", file.clone()));
        assert!(problems.is_empty(), "{file}\n{problems:?}");
        let runbook = document.unwrap().runbook;
        let shown = |text: &Option<crate::runbook::scalar::Text>| {
            text.as_ref().unwrap().en().unwrap().value.render(&Nothing).unwrap().to_string()
        };
        let title = shown(&runbook.title);
        assert_eq!(title, shown(&runbook.steps[0].message), "{file}");
        title
    }

    proptest! {
        #[test]
        fn any_text_says_what_it_said(text in "(?s)(.|[{}%#'\"\\\\ \n\t:-]){0,40}") {
            prop_assert_eq!(read_back(&text), text);
        }
    }

    #[test]
    fn known_traps_say_what_they_said() {
        for text in [
            "{{ inputs.x }}",
            "{{{",
            "a: b",
            "{% raw %}",
            "{#",
            "- x\n  y\n\nz",
            "\u{85}x",
            "x\r\ny",
            "\u{feff}",
            " a\nb",
            "a \nb",
            "---\n...",
            "# no\ncomment",
            "\u{202e}",
            "a\n\tb",
        ] {
            assert_eq!(read_back(text), text, "{text:?}");
        }
    }
}
