//! A drill must not touch what a protected environment names.

mod post;

use std::collections::BTreeMap;

use super::Plan;
use super::build::BuildRequest;
use super::graph::Mode;
use super::host;
use super::translate::{Known, origin, origin_of};
use crate::diag::{Diagnostic, Place, Span};
use crate::plan::action::Action;
use crate::runbook::decode::Spanned;
use crate::runbook::environment::{Environment, ServiceScope};
use crate::runbook::flow;
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::Var;
use crate::runbook::template::Template;
use crate::runbook::texts::{self, Use, Written};

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
    let ours = targets(document, plan, request.environment);
    for other in request.others.iter().filter(|env| env.is_protected()) {
        for (origin, name, named_at) in named(other) {
            let found = ours.get(&origin).filter(|_| !shared(request, other, &name.value));
            let Some((what, at)) = found else { continue };
            let name = &name.value;
            let message = format!(
                "the drill would reach {origin} ({what}), which the protected environment `{}` names as `{name}`",
                other.name
            );
            let help =
                format!("point it elsewhere, or list `{name}` under `shared` in the practice environment");
            let problem = Diagnostic::error("shared-target", at.clone(), message);
            problems.push(problem.also(named_at.at(&other.source), "protected here").help(help));
        }
    }
    problems.extend(shared_hosts(plan, request));
    post::check(plan, request, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Hosts that the drill may run programs on, and that a protected environment names as well, by whatever name.
fn shared_hosts(plan: &Plan, request: &BuildRequest<'_>) -> Vec<Diagnostic> {
    let Some(environment) = request.environment else { return Vec::new() };
    let mut problems = Vec::new();
    for other in request.others.iter().filter(|env| env.is_protected()) {
        for (name, decl) in other.decl.hosts.iter().flat_map(Entries::iter) {
            let Ok(theirs) = host::reach(decl, &BTreeMap::new()) else { continue };
            for (own, reach) in &plan.values.hosts {
                let allowed = shared(request, other, own) || shared(request, other, &name.value);
                if allowed || reach.target() != theirs.target() {
                    continue;
                }
                let hosts = environment.decl.hosts.as_ref();
                let at = hosts.and_then(|hosts| hosts.get(own)).map_or(Span::default(), |decl| decl.span);
                let message = format!(
                    "the drill would run on {} (host `{own}`), which the protected environment `{}` names as `{}`",
                    reach.target(),
                    other.name,
                    name.value
                );
                let help = format!("point it elsewhere, or list `{own}` under `shared`");
                let problem = Diagnostic::error("shared-target", at.at(&environment.source), message);
                problems.push(problem.also(name.span.at(&other.source), "protected here").help(help));
            }
        }
    }
    problems
}

fn shared(request: &BuildRequest<'_>, other: &Environment, name: &str) -> bool {
    let lists = [request.environment.and_then(|env| env.decl.shared.as_ref()), other.decl.shared.as_ref()];
    lists.into_iter().flatten().flatten().any(|shared| shared.value == name)
}

/// The hosts that a run may reach, as far as they are known, with what names them and where.
fn targets(
    document: &Document,
    plan: &Plan,
    environment: Option<&Environment>,
) -> BTreeMap<String, (String, Place)> {
    let known = Known::of(&plan.values);
    let mut out = BTreeMap::new();
    for (name, value) in &plan.values.vars {
        if let Some(origin) = value.as_str().and_then(|text| origin_of(text, true)) {
            let place = || variable(document, environment, name);
            out.entry(origin).or_insert_with(|| (format!("variable `{name}`"), place()));
        }
    }
    for (id, step) in &plan.values.steps {
        for probe in step.probes() {
            if let Action::Http(call) = &probe.action
                && let Some(origin) = origin(&call.url, &known)
            {
                let place = || address(document, id, &call.url);
                out.entry(origin).or_insert_with(|| (format!("step `{id}`"), place()));
            }
        }
    }
    out
}

/// Where a variable has its value from.
fn variable(document: &Document, environment: Option<&Environment>, name: &str) -> Place {
    let given = environment.and_then(|env| Some((env, env.decl.vars.as_ref()?.get(name)?.span)));
    let own = document.runbook.vars.as_ref().and_then(|vars| vars.get(name));
    match (given, own) {
        (Some((environment, span)), _) => span.at(&environment.source).into(),
        (None, Some(Var::Value(data))) => data.span.at(&document.source).into(),
        (None, _) => document.runbook.id.span.at(&document.source).into(),
    }
}

/// Where a step writes an address, itself or in a proof or reversal; where its host comes from the defaults, its end is
/// all that the step writes.
fn address(document: &Document, id: &str, url: &Template) -> Place {
    let step = flow::steps(&document.runbook).find(|step| step.name() == id);
    let texts = step.map(texts::of_step).unwrap_or_default();
    let mut written = texts.iter().filter(|text| text.place == Use::Url).filter_map(|text| match text.text {
        Written::Template(template) => Some(template),
        Written::Condition(_) => None,
    });
    let found = written.find(|text| url.source().ends_with(text.value.source())).map(|text| text.span);
    let span = found.or(step.map(|step| step.span)).unwrap_or(document.runbook.id.span);
    span.at(&document.source).into()
}

/// The hosts that an environment names in its variables.
fn named(environment: &Environment) -> Vec<(String, &Spanned<String>, Span)> {
    let services = BTreeMap::new();
    let plain = |text: &Template| text.render(&ServiceScope(&services)).ok();
    let mut out = Vec::new();
    for (name, data) in environment.decl.vars.iter().flat_map(Entries::iter) {
        let mut texts = Vec::new();
        data.value.templates(&mut texts);
        for text in texts {
            let rendered = plain(&text.value);
            let origin = rendered.as_ref().and_then(|text| text.as_plain());
            if let Some(origin) = origin.and_then(|text| origin_of(text, true)) {
                out.push((origin, name, text.span));
            }
        }
    }
    out
}
