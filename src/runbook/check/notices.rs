//! Messages: that there is something to say, and somebody to whom.

use super::Checker;
use crate::runbook::decode::Spanned;
use crate::runbook::letters;
use crate::runbook::schema::NotifyDecl;

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        if let Some(notify) = &step.notify {
            content(checker, notify);
            recipients(checker, notify);
        }
        if let Some(approve) = step.approve.as_ref().filter(|approve| approve.notify == Some(true)) {
            reachable(checker, &approve.roles.value);
        }
    }
}

fn content(checker: &mut Checker<'_>, notify: &NotifyDecl) {
    let own = notify.keys.iter().find(|(key, _)| ["subject", "text"].contains(key));
    match (&notify.template, own) {
        (Some(name), Some((key, span))) => {
            let problem = checker.error("too-many-kinds", span, format!("`{key}` beside a `template`"));
            checker.push(
                problem.also(name.span.at(checker.source), "which says it all").help("keep one of them"),
            );
        }
        (Some(name), None) => template(checker, name),
        (None, _) => {
            let missing = ["subject", "text"].into_iter().find(|key| !notify.keys.has(key));
            if let Some(key) = missing.filter(|_| !notify.keys.has("template") && !notify.keys.foreign) {
                let message =
                    format!("a message without `template` has a `subject` and a `text`: no `{key}` here");
                checker.fail("missing-key", notify.span, message);
            }
        }
    }
}

fn template(checker: &mut Checker<'_>, name: &Spanned<String>) {
    if checker.letters.contains_key(&name.value) {
        return;
    }
    let file = std::path::Path::new(checker.source.name());
    let names = letters::names(file);
    let message = format!("no template is called `{}`", name.value);
    let problem = checker.error("unknown-template", name.span, message);
    checker.push(problem.suggest(&name.value, names.iter().map(String::as_str)));
}

fn recipients(checker: &mut Checker<'_>, notify: &NotifyDecl) {
    if notify.to.value.is_empty() && checker.source.slice(notify.to.span) == "[]" {
        checker.fail("empty", notify.to.span, "a message goes to somebody");
    }
    for name in notify.to.value.iter().filter(|name| name.value == "owners") {
        match &checker.runbook.owners {
            Some(owners) if !owners.is_empty() => reachable(checker, owners),
            _ => {
                let problem = checker.error("unknown-recipient", name.span, "this runbook names no `owners`");
                checker.push(problem.help("add `owners: [NAME]` at its top"));
            }
        }
    }
    let named: Vec<_> = notify.to.value.iter().filter(|name| name.value != "owners").cloned().collect();
    reachable(checker, &named);
}

/// With an environment at hand: each is known there, and somebody behind it can be reached.
fn reachable(checker: &mut Checker<'_>, names: &[Spanned<String>]) {
    let Some(environment) = checker.environment else { return };
    for name in names {
        let Some(meant) = environment.meant(&name.value) else {
            let message = format!(
                "environment `{}` knows no contact, role or person `{}`",
                environment.name, name.value
            );
            let problem = checker.error("unknown-recipient", name.span, message);
            checker.push(problem.suggest(&name.value, environment.recipients()));
            continue;
        };
        if !meant.iter().any(super::super::contacts::Contact::is_reachable) {
            let message = format!("environment `{}` says no way to reach `{}`", environment.name, name.value);
            let problem = checker.error("unknown-recipient", name.span, message);
            let help = "give a contact or person `mail: ADDRESS`, `slack: SECRET` or `command: [PROGRAM, …]`";
            checker.push(problem.help(help));
        }
    }
}
