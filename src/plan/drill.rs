//! A drill must not touch what a protected environment names.

use std::collections::BTreeMap;

use super::Plan;
use super::build::BuildRequest;
use super::graph::Mode;
use super::translate::{Known, origin, origin_of};
use crate::diag::Diagnostic;
use crate::plan::action::Action;
use crate::runbook::environment::{Environment, ServiceScope};
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;
use crate::runbook::template::Template;

/// Refuses a drill in a protected environment, and one that reaches a host of a protected environment.
pub(super) fn check(
    document: &Document,
    plan: &Plan,
    request: &BuildRequest<'_>,
) -> Result<(), Vec<Diagnostic>> {
    if request.mode != Mode::Drill {
        return Ok(());
    }
    let mut problems = Vec::new();
    if let Some(environment) = request.environment.filter(|env| env.is_protected()) {
        let at = environment.decl.keys.get("protected").unwrap_or_default().at(&environment.source);
        let message =
            format!("`{}` is protected, and a drill needs an environment that is not", environment.name);
        problems.push(Diagnostic::error("protected", at, message).help("drill in a practice environment"));
    }
    let ours = targets(plan);
    for other in request.others.iter().filter(|env| env.is_protected()) {
        for (origin, name) in named(other) {
            let Some(what) = ours.get(&origin).filter(|_| !shared(request, other, &name)) else { continue };
            let at = document.runbook.id.span.at(&document.source);
            let message = format!(
                "the drill would reach {origin} ({what}), which the protected environment `{}` names as `{name}`",
                other.name
            );
            let help =
                format!("point it elsewhere, or list `{name}` under `shared` in the practice environment");
            problems.push(Diagnostic::error("shared-target", at, message).help(help));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn shared(request: &BuildRequest<'_>, other: &Environment, name: &str) -> bool {
    let lists = [request.environment.and_then(|env| env.decl.shared.as_ref()), other.decl.shared.as_ref()];
    lists.into_iter().flatten().flatten().any(|shared| shared.value == name)
}

/// The hosts that a run may reach, as far as they are known, with where they are named.
fn targets(plan: &Plan) -> BTreeMap<String, String> {
    let known = Known { inputs: &plan.values.inputs, vars: &plan.values.vars };
    let mut out = BTreeMap::new();
    for (name, value) in &plan.values.vars {
        if let Some(origin) = value.as_str().and_then(|text| origin_of(text, true)) {
            out.entry(origin).or_insert_with(|| format!("variable `{name}`"));
        }
    }
    for (id, step) in &plan.values.steps {
        for probe in step.probes() {
            if let Action::Http(call) = &probe.action
                && let Some(origin) = origin(&call.url, &known)
            {
                out.entry(origin).or_insert_with(|| format!("step `{id}`"));
            }
        }
    }
    out
}

/// The hosts that an environment names in its variables.
fn named(environment: &Environment) -> Vec<(String, String)> {
    let services = BTreeMap::new();
    let plain = |text: &Template| text.render(&ServiceScope(&services)).ok();
    let mut out = Vec::new();
    for (name, data) in environment.decl.vars.iter().flat_map(Entries::iter) {
        let mut texts = Vec::new();
        data.value.templates(&mut texts);
        let found = texts.iter().filter_map(|text| plain(&text.value));
        for text in found {
            if let Some(origin) = text.as_plain().and_then(|text| origin_of(text, true)) {
                out.push((origin, name.value.clone()));
            }
        }
    }
    out
}
