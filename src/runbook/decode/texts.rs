//! Texts with expressions, scripts and conditions, with everything that is wrong in them at its own place.

use super::{Decode, Reader, quoted};
use crate::diag::{Diagnostic, Span};
use crate::runbook::position;
use crate::runbook::shell::Script;
use crate::runbook::template::{Expr, Template, TemplateError};
use crate::runbook::yaml::{Node, Style, Value};

impl Decode for Template {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node)?;
        cut_short(reader, node);
        let bad = |errors: Vec<TemplateError>| {
            for error in errors {
                bad_expression(reader, node, text, error.offset, &error.message);
            }
        };
        let template = Self::parse_all(text).map_err(bad).ok()?;
        reader.renamed(node, template, |template, by| template.renamed(by, false))
    }
}

impl Decode for Script {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node)?;
        let bad = |errors: Vec<TemplateError>| {
            for error in errors {
                let span = position::inner(reader.source, node.span, text, error.offset, 1);
                let problem = Diagnostic::error("bad-expression", span.at(reader.source), error.message)
                    .help(
                        "a `{{` that bash or a program is to see is written \"{{ '{{' }}\", in double quotes",
                    );
                reader.problems.push(problem);
            }
        };
        let script = Self::parse_all(text).map_err(bad).ok()?;
        reader.renamed(node, script, |script, by| script.renamed(by))
    }
}

impl Decode for Expr {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.raw(node, "an expression")?;
        if text.trim_start().starts_with("{{") {
            let bare = text.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
            let message = "this is an expression already, braces are for texts";
            let problem = Diagnostic::error("braces", node.span.at(reader.source), message)
                .help(format!("write it without braces: {bare}"));
            reader.problems.push(problem);
            return None;
        }
        let expr =
            Self::parse(text).map_err(|e| bad_expression(reader, node, text, e.offset, &e.message)).ok()?;
        reader.renamed(node, expr, |expr, by| expr.renamed(by))
    }
}

/// An unquoted text with `#4711` behind it: a comment to YAML, most likely words to whoever wrote it.
fn cut_short(reader: &mut Reader<'_>, node: &Node<'_>) {
    let Value::Scalar { style: Style::Plain, .. } = &node.value else { return };
    let behind = reader.source.behind(node.span);
    let behind = behind.split(['\n', '\r']).next().unwrap_or("");
    let comment = behind.trim_start_matches([' ', '\t']);
    let close = comment.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
    if comment.len() < behind.len() && close {
        let whole = format!("{}{behind}", reader.source.slice(node.span));
        let start = node.span.end as usize + behind.len() - comment.len();
        let at = Span::new(start, start + comment.trim_end().len()).at(reader.source);
        let message = "everything from ` #` on is a comment, not a part of the text";
        let problem = Diagnostic::warning("comment-in-text", at, message)
            .help(format!("if it belongs to the text, quote it: {}", quoted(whole.trim_end())))
            .help("if it is a comment, put a space behind the `#`");
        reader.problems.push(problem);
    }
}

fn bad_expression(reader: &mut Reader<'_>, node: &Node<'_>, text: &str, at: usize, message: &str) {
    let span = position::inner(reader.source, node.span, text, at, 1);
    reader.problems.push(Diagnostic::error("bad-expression", span.at(reader.source), message));
}
