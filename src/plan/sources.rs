//! Where the secrets of a run come from: the runbook says so, and its environment may say otherwise.

use std::collections::BTreeMap;

use super::build::BuildRequest;
use super::values::SecretSource;
use crate::diag::Diagnostic;
use crate::runbook::environment::{ServiceScope, Services};
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::SecretDecl;
use crate::runbook::template::Template;

pub(super) fn secrets(
    document: &Document,
    request: &BuildRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, SecretSource> {
    let mut out = BTreeMap::new();
    let given = request.environment.and_then(|env| env.decl.secrets.as_ref());
    for (name, own) in document.runbook.secrets.iter().flat_map(Entries::iter) {
        let decl = given.and_then(|secrets| secrets.get(&name.value)).unwrap_or(own);
        match secret(decl, request.services) {
            Some(source) => {
                out.insert(name.value.clone(), source);
            }
            None => problems.push(unresolved(document, request, &name.value, decl.span)),
        }
    }
    out
}

pub(super) fn secret(decl: &SecretDecl, services: &Services) -> Option<SecretSource> {
    let plain = |template: &Template| {
        let rendered = template.render(&ServiceScope(services)).ok()?;
        rendered.as_plain().map(str::to_owned)
    };
    if let Some(name) = &decl.env {
        return Some(SecretSource::Env(name.value.clone()));
    }
    if let Some(path) = &decl.file {
        return plain(&path.value).map(SecretSource::File);
    }
    if let Some(command) = &decl.command {
        let argv: Option<Vec<String>> = command.value.iter().map(|arg| plain(&arg.value)).collect();
        return argv.map(SecretSource::Command);
    }
    (decl.prompt == Some(true)).then_some(SecretSource::Prompt)
}

pub(super) fn unresolved(
    document: &Document,
    request: &BuildRequest<'_>,
    name: &str,
    span: crate::diag::Span,
) -> Diagnostic {
    let source = request.environment.map_or(&document.source, |env| &env.source);
    let message = format!("the value of `{name}` cannot be resolved: is its service known?");
    Diagnostic::error("environment", span.at(source), message)
}
