//! What runs on hosts: a host that there is, and nothing that only this machine has. And what steps leave here.

use super::Checker;
use super::shape::expression_name;
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{Class, Step};
use crate::runbook::template::{Template, WORK};
use crate::runbook::texts;

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        if let Some(host) = &step.host {
            named(checker, host);
        }
        artifacts(checker, step);
        for act in parts(step) {
            place(checker, act);
        }
        let own = step.runs().then(|| step.act());
        for act in own.into_iter().chain(parts(step)) {
            let act = act.on(step.host.as_ref());
            if act.host.is_some() && act.http.is_none() {
                elsewhere(checker, act);
            }
        }
    }
}

/// What a guard asks, and where.
pub(super) fn of_guard(checker: &mut Checker<'_>, act: Act<'_>) {
    place(checker, act);
    if act.host.is_some() && act.http.is_none() {
        elsewhere(checker, act);
    }
}

fn place(checker: &mut Checker<'_>, act: Act<'_>) {
    if let Some(host) = act.host.filter(|_| act.http.is_some()) {
        let message = "a call is made from this machine, not from a host";
        let problem = checker.error("key-not-for-kind", host.span, message);
        checker.push(problem.help("leave `host` out, or let a program there make the call"));
    } else if let Some(host) = act.host {
        named(checker, host);
    }
}

/// What belongs to a step besides itself.
fn parts(step: &Step) -> impl Iterator<Item = Act<'_>> {
    let verify = step.verify.iter().map(|verify| verify.act());
    let undo = step.undo.iter().map(|undo| undo.act());
    let back = step.put_back.iter().map(|back| back.act());
    let only_if = step.put_back.iter().filter_map(|back| Some(back.only_if.as_ref()?.act()));
    let items = step.checklist.iter().flat_map(|list| &list.items.value);
    let probes = items.filter_map(|item| Some(item.probe.as_ref()?.act()));
    verify.chain(undo).chain(back).chain(only_if).chain(probes)
}

fn named(checker: &mut Checker<'_>, host: &Spanned<Template>) {
    let text = host.value.source();
    if text.trim().is_empty() {
        let problem = checker.error("empty", host.span, "a host without a name");
        checker.push(problem.help("name one of `hosts` in the environment"));
        return;
    }
    let computed = !host.value.exprs().is_empty();
    let Some(environment) = checker.environment.filter(|_| !computed) else { return };
    let hosts: Vec<&str> =
        environment.decl.hosts.iter().flat_map(Entries::iter).map(|(name, _)| name.value.as_str()).collect();
    if hosts.contains(&text) {
        return;
    }
    let message = format!("environment `{}` has no host `{text}`", environment.name);
    let problem = checker.error("unknown-host", host.span, message).suggest(text, hosts);
    let help = format!("add it under `hosts` in {}", environment.source.name());
    checker.push(problem.help(help));
}

/// Files that the step leaves on this machine.
fn artifacts(checker: &mut Checker<'_>, step: &Step) {
    if let Some(span) = step.keys.get("artifacts").filter(|_| step.host.is_some()) {
        let problem =
            checker.error("key-not-for-kind", span, "what this step leaves lies on another machine");
        checker.push(
            problem.help("print it, and give it a name under `outputs`; or fetch it in a step of its own"),
        );
    }
    for (name, artifact) in step.artifacts.iter().flat_map(Entries::iter) {
        expression_name(checker, name);
        if let Some(class) = artifact.class.as_ref().filter(|class| class.value == Class::Secret) {
            let message = "a secret file is no artifact: what the record keeps is there for good";
            let problem = checker.error("bad-value", class.span, message);
            checker.push(problem.help("leave it in the scratch folder, which is wiped at the end"));
        }
        if artifact.path.value.source().trim().is_empty() {
            let problem = checker.error("empty", artifact.path.span, "a file without a name");
            checker.push(problem.help("write where it lies: `\"{{ run.work }}/report.csv\"`"));
        }
    }
}

/// A program that runs on another machine.
fn elsewhere(checker: &mut Checker<'_>, act: Act<'_>) {
    for text in texts::of_act(act) {
        for expr in text.text.exprs() {
            if expr.expr.refs().iter().any(|name| name == WORK) {
                let span = expr.place(checker.source, WORK);
                let message = "the scratch folder is on this machine, and this runs on another one";
                let problem = checker.error("work-use", span, message);
                checker
                    .push(problem.help("let the program over there make a folder of its own: `mktemp -d`"));
            }
        }
    }
    for (name, _) in act.env.iter().flat_map(|env| env.iter()) {
        let mut bytes = name.value.bytes();
        let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            let message =
                format!("`{}` is not a name that a shell over there gives to a variable", name.value);
            let problem = checker.error("bad-id", name.span, message);
            checker.push(problem.help("letters, digits and `_`, not beginning with a digit"));
        }
    }
}
