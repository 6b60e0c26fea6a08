//! Secrets: what is one, where one may stand, and what may be said of one.

use super::Checker;
use crate::runbook::decode::Spanned;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{Class, InputDecl, Output, Step, TypeWord};
use crate::runbook::texts::{ExprRef, TextRef};

/// An input of class secret, or an output that is a secret.
pub(super) fn is_secret(checker: &Checker<'_>, path: &str) -> bool {
    let mut names = path.split('.');
    match (names.next(), names.next(), names.next()) {
        (Some("inputs"), Some(name), _) => {
            let inputs = checker.runbook.inputs.as_ref();
            inputs.and_then(|all| all.get(name)).is_some_and(|decl| decl.class == Some(Class::Secret))
        }
        (Some("steps"), Some(id), Some(field)) => checker
            .flow
            .find(id)
            .is_some_and(|at| secret_outputs(checker.steps[at]).any(|name| name == field)),
        _ => false,
    }
}

fn secret_outputs(step: &Step) -> impl Iterator<Item = &str> {
    let proved = step.verify.iter().flat_map(|verify| verify.outputs.iter());
    let all = step.outputs.iter().chain(proved).flat_map(Entries::iter);
    all.filter(|(_, output)| output.is_secret(step.class)).map(|(name, _)| name.value.as_str())
}

/// Whether a secret stands whole where nobody sees it; else that is said.
pub(super) fn may_stand(
    checker: &mut Checker<'_>,
    text: &TextRef<'_>,
    expr: &ExprRef<'_>,
    path: &str,
) -> bool {
    if !text.place.takes_secrets() {
        let message = format!("a secret cannot stand in {}: its value would be seen", text.place.name());
        let problem = checker.error("secret-use", expr.place(checker.source, path), message);
        checker.push(
            problem.help("secrets go into `bearer`, `basic`, `header`, headers, `env` and JSON bodies"),
        );
        return false;
    }
    if expr.expr.path() != Some(path) {
        let message = "a secret is used whole: no filters, nothing beside it in the braces";
        let problem = checker.error("secret-use", expr.place(checker.source, path), message);
        let whole = if path.starts_with("secrets") { "secrets.name" } else { path };
        checker.push(problem.help(format!("write text around the braces: \"Token {{{{ {whole} }}}}\"")));
        return false;
    }
    true
}

/// A credential that everybody may read is none.
pub(super) fn need_secret(checker: &mut Checker<'_>, name: &Spanned<String>) {
    if !is_secret(checker, &name.value) {
        let message = format!("`{}` is no secret: it stands in the record", name.value);
        let problem = checker.error("secret-use", name.span, message);
        let help = if name.value.starts_with("inputs.") {
            "add `class: secret` to the input, or declare it under `secrets`"
        } else {
            "write the output as `{secret: FILTER}`"
        };
        checker.push(problem.help(help));
    }
}

/// A secret is typed, and nothing else is known of it.
pub(super) fn input(checker: &mut Checker<'_>, decl: &InputDecl) {
    if decl.class != Some(Class::Secret) {
        return;
    }
    if decl.r#type.value != TypeWord::String {
        let problem = checker.error("secret-use", decl.r#type.span, "a secret input is a text");
        checker.push(problem.help("write `type: string`, or leave out `class: secret`"));
    }
    for (name, span) in decl.keys.iter().filter(|(name, _)| !["type", "title", "class"].contains(name)) {
        let message = format!("`{name}` means nothing for a secret input: nobody looks at what is typed");
        let problem = checker.error("secret-use", span, message);
        checker.push(problem.help("leave it out"));
    }
}

/// What is said in a form goes through the journal.
pub(super) fn field(checker: &mut Checker<'_>, step: &Step, decl: &InputDecl) {
    let span = match (decl.class, step.class) {
        (Some(Class::Secret), _) => decl.keys.get("class"),
        (None, Some(Class::Secret)) => step.keys.get("class"),
        _ => None,
    };
    if let Some(span) = span {
        let message = "a secret cannot be given in a form: its answer stands in the record";
        let problem = checker.error("secret-use", span, message);
        checker.push(problem.help("declare it under `secrets` with `prompt: true`, or as a secret input"));
    }
}

/// The proof gives an output in place of its step: whether it is a secret cannot depend on who gives it.
pub(super) fn proof(checker: &mut Checker<'_>, step: &Step, name: &Spanned<String>, output: &Output) {
    let own = step.outputs.as_ref().and_then(|outputs| outputs.get(&name.value));
    if own.is_some_and(|own| own.is_secret(step.class) != output.is_secret(step.class)) {
        let message = format!("`{}` is a secret in one place and none in the other", name.value);
        let problem = checker.error("secret-use", output.filter.span, message);
        checker
            .push(problem.help("write `secret` in `outputs` of the step and of its `verify`, or in neither"));
    }
}

/// An output that says it is a secret, and cannot be one.
pub(super) fn output(checker: &mut Checker<'_>, output: &Output) {
    if let (Some(span), Some(Class::Public | Class::Confidential)) = (output.secret, output.class) {
        let problem =
            checker.error("secret-use", span, "a secret output is of class secret, and of no other");
        checker.push(problem.help("leave `class` out"));
    }
}
