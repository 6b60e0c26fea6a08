//! The secrets of a plan: where those come from that a run begins with, which die, and which are born in it.
//!
//! Names and sources only: no secret is ever part of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{BuildRequest, unresolved};
use super::values::SecretSource;
use crate::diag::Diagnostic;
use crate::runbook::environment::{ServiceScope, Services};
use crate::runbook::flow;
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{Class, Runbook, SecretDecl, Step};
use crate::runbook::template::Template;

/// Where each secret comes from.
pub(super) fn sources(
    document: &Document,
    request: &BuildRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, SecretSource> {
    let mut out = BTreeMap::new();
    for (name, decl) in decls(document, request) {
        match source(decl, request.services) {
            Some(found) => {
                out.insert(name.to_owned(), found);
            }
            None => problems.push(unresolved(document, request, name, decl.span)),
        }
    }
    // Typed by whoever starts the run, and again by whoever goes on with it.
    let inputs = document.runbook.inputs.iter().flat_map(Entries::iter);
    let typed = inputs.filter(|(_, decl)| decl.class == Some(Class::Secret));
    out.extend(typed.map(|(name, _)| (format!("inputs.{}", name.value), SecretSource::Prompt)));
    out
}

/// The secrets that the runbook names, each as the environment declares it, else as the runbook itself does.
fn decls<'a>(
    document: &'a Document,
    request: &BuildRequest<'a>,
) -> impl Iterator<Item = (&'a str, &'a SecretDecl)> {
    let given = request.environment.and_then(|env| env.decl.secrets.as_ref());
    let own = document.runbook.secrets.iter().flat_map(Entries::iter);
    own.map(move |(name, own)| {
        let decl = given.and_then(|secrets| secrets.get(&name.value)).unwrap_or(own);
        (name.value.as_str(), decl)
    })
}

pub(super) fn source(decl: &SecretDecl, services: &Services) -> Option<SecretSource> {
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

/// Secrets that die, and after how many milliseconds they are fetched again.
pub(super) fn refresh(document: &Document, request: &BuildRequest<'_>) -> BTreeMap<String, u64> {
    let decls = decls(document, request);
    decls.filter_map(|(name, decl)| Some((name.to_owned(), decl.refresh.as_ref()?.value.0))).collect()
}

/// The outputs that are secrets, as texts name them.
pub(super) fn born(runbook: &Runbook) -> BTreeSet<String> {
    let of = |step| outputs(step).into_iter().map(|name| format!("steps.{}.{name}", Step::name(step)));
    flow::steps(runbook).flat_map(of).collect()
}

/// Names of the outputs that only runners know, those of the proof included.
pub(super) fn outputs(step: &Step) -> Vec<String> {
    let proved = step.verify.iter().flat_map(|verify| verify.outputs.iter()).flat_map(Entries::iter);
    let all = step.outputs.iter().flat_map(Entries::iter).chain(proved);
    let secret = all.filter(|(_, output)| output.is_secret(step.class));
    let names: BTreeSet<&str> = secret.map(|(name, _)| name.value.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}
