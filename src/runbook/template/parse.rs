//! How a template is cut into texts and expressions, with every error in it.

use super::{Braced, Expr, Template, TemplateError, called, compile};

impl Template {
    /// # Errors
    /// As [`Template::parse_all`]: the first of them.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Self::parse_all(source).map_err(|mut errors| errors.swap_remove(0))
    }

    /// # Errors
    /// Unclosed or empty `{{ }}`, statement or comment blocks, bad expressions: all of them, with their byte offsets.
    pub fn parse_all(source: &str) -> Result<Self, Vec<TemplateError>> {
        Self::cut(source, true)
    }

    /// As [`Template::parse_all`], where `{%` and `{#` are text: bash writes `${#list[@]}`.
    ///
    /// # Errors
    /// As [`Template::parse_all`].
    pub fn parse_script(source: &str) -> Result<Self, Vec<TemplateError>> {
        Self::cut(source, false)
    }

    fn cut(source: &str, blocks: bool) -> Result<Self, Vec<TemplateError>> {
        let (mut exprs, mut errors) = (Vec::new(), Vec::new());
        let mut rest = 0;
        while let Some(open) = source[rest..].find(['{']).map(|i| i + rest) {
            match source.as_bytes().get(open + 1) {
                Some(b'{') => {
                    let (expr, end) = braced(source, open);
                    match expr {
                        Ok(expr) => exprs.push(Braced { expr, at: open..end }),
                        Err(error) => errors.push(error),
                    }
                    rest = end;
                }
                Some(b'%' | b'#') if blocks => {
                    let message = "only `{{ expression }}` is allowed, no statements and no comments".into();
                    errors.push(TemplateError { offset: open, message });
                    rest = open + 2;
                }
                _ => rest = open + 1,
            }
        }
        if errors.is_empty() { Ok(Self { source: source.to_owned(), exprs }) } else { Err(errors) }
    }
}

impl Expr {
    /// # Errors
    /// A syntax error, with its byte offset in `source`.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let trimmed = source.trim();
        // No expression has more operations than bytes.
        if trimmed.len() > OPERATIONS && called::operations(trimmed) > OPERATIONS {
            let message = format!("an expression has at most {OPERATIONS} operations");
            return Err(TemplateError { offset: source.len() - source.trim_start().len(), message });
        }
        let refs = if is_path(trimmed) {
            None
        } else {
            let mut refs: Vec<String> = compile(source)?.undeclared_variables(true).into_iter().collect();
            called::indexed(source, &mut refs);
            refs.sort();
            Some(refs)
        };
        Ok(Self { source: trimmed.to_owned(), refs })
    }
}

/// The engine goes as deep as an expression does, and the stack of a thread is not endless.
const OPERATIONS: usize = 500;

/// `steps.rotate.key`: names with dots between them. Most expressions are no more, and reading them as the engine does
/// takes longer than everything else that is looked at in a step.
fn is_path(source: &str) -> bool {
    let mut names = source.split('.');
    names.next().is_some_and(|root| is_name(root) && !NO_NAMES.contains(&root))
        && source.contains('.')
        && names.all(is_name)
}

/// What the engine reads as something else at the beginning of an expression.
const NO_NAMES: [&str; 7] = ["true", "True", "false", "False", "none", "None", "not"];

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The expression that opens at `open`, and the offset after its closing braces. Braces inside quotes or inside a
/// map literal do not close it.
fn braced(source: &str, open: usize) -> (Result<Expr, TemplateError>, usize) {
    let start = open + 2;
    let mut quote = None;
    let mut depth = 0_usize;
    let bytes = source.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(q), b) if b == q => quote = None,
            (Some(_), _) => {}
            (None, b @ (b'"' | b'\'')) => quote = Some(b),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => {
                let inner = &source[start..at];
                if inner.trim().is_empty() {
                    return (Err(TemplateError { offset: open, message: "empty `{{ }}`".into() }), at + 2);
                }
                let expr = Expr::parse(inner)
                    .map_err(|e| TemplateError { offset: start + e.offset, message: e.message });
                return (expr, at + 2);
            }
            _ => {}
        }
        at += 1;
    }
    (Err(TemplateError { offset: open, message: "`{{` is never closed by `}}`".into() }), source.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_what_the_engine_makes_of_it() {
        const WORDS: [&str; 29] = [
            "a",
            "_b2",
            "B",
            "if",
            "else",
            "elif",
            "endif",
            "not",
            "and",
            "or",
            "in",
            "is",
            "true",
            "True",
            "false",
            "False",
            "none",
            "None",
            "null",
            "self",
            "loop",
            "for",
            "set",
            "with",
            "recursive",
            "range",
            "dict",
            "namespace",
            "steps",
        ];
        for one in WORDS {
            for two in WORDS {
                let source = format!(" {one}.{two}.x\n");
                let engine = compile(&source).map(|read| read.undeclared_variables(true));
                let path = engine.is_ok_and(|names| names.len() == 1 && names.contains(source.trim()));
                assert_eq!(is_path(source.trim()), path, "{source}");
            }
        }
        for source in
            ["steps", "", ".", ".a", "a.", "a..b", "a.1", "1.a", "a.b-c", "a .b", "a.é", "a.b()", "a.b[0]"]
        {
            assert!(!is_path(source), "{source}");
        }
        assert_eq!(Expr::parse(" run.work\n").unwrap().refs(), ["run.work"]);
    }

    #[test]
    fn an_expression_of_any_length_is_read_or_refused() {
        let deep = |unit: &str, last: &str| format!("{}{last}", unit.repeat(20_000));
        for source in [
            deep("not ", "inputs.x"),
            deep("-", "1"),
            deep("- ", "1"),
            deep("inputs.x ~ ", "inputs.x"),
            deep("1 if inputs.x else ", "1"),
            format!("inputs.x{}", ".a".repeat(20_000)),
            format!("inputs.x{}", "|upper".repeat(20_000)),
            format!("inputs.x{}", "[0]".repeat(20_000)),
            format!("inputs.x{}", " is string".repeat(20_000)),
        ] {
            let error = Expr::parse(&source).unwrap_err();
            assert_eq!(error.message, "an expression has at most 500 operations");
        }
        for source in [deep("(", "1"), deep("[", "1"), deep("{", "1"), deep("range(", "1")] {
            assert!(Expr::parse(&source).is_err());
        }
        let many = format!("inputs.x in [{}]", "'a', ".repeat(20_000));
        assert!(Expr::parse(&many).is_ok());
        assert!(Expr::parse(&format!("'{}'", "- ".repeat(20_000))).is_ok());
    }

    #[test]
    fn every_error_of_a_text_has_its_own_place() {
        let found =
            Template::parse_all("{{ a + }} {{ }} {{ fine.x }} {% if %} {{ b. }} {{ open").unwrap_err();
        let places: Vec<usize> = found.iter().map(|error| error.offset).collect();
        assert_eq!(places, [5, 10, 29, 42, 47], "{found:?}");
        assert_eq!(Template::parse("{{ a + }} {{ }}").unwrap_err(), found[0]);
    }
}
