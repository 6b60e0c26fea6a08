//! Guards: names of their own, questions alone, at intervals, and nothing in them that a run gives only later.

use super::{Checker, commands, hosts, names, shape, values};
use crate::runbook::schema::GuardDecl;

pub(super) fn check(checker: &mut Checker<'_>) {
    let guards = checker.runbook.guards.as_deref().unwrap_or_default();
    for (nth, guard) in guards.iter().enumerate() {
        id(checker, guard, &guards[..nth]);
        if guard.every.value.0 == 0 {
            let message = "a guard that is asked without a break asks for nothing else";
            let problem = checker.error("bad-duration", guard.every.span, message);
            checker.push(problem.help("write how often it is asked, such as 30s"));
        }
        shape::probe(checker, guard.act(), "guards");
        values::of_act(checker, guard.act(), None);
        let timeout = guard.timeout.as_ref();
        values::no_time(checker, "timeout", timeout.map(|time| time.value), timeout.map(|time| time.span));
        commands::of_act(checker, guard.act(), true);
        hosts::of_guard(checker, guard.act());
        names::of_guard(checker, guard);
    }
}

fn id(checker: &mut Checker<'_>, guard: &GuardDecl, before: &[GuardDecl]) {
    let id = &guard.id;
    shape::id(checker, id, "a guard");
    let step = checker.flow.find(&id.value).map(|step| checker.id_span(step));
    let other = before.iter().find(|other| other.id.value == id.value).map(|other| other.id.span);
    let (first, what) = match (step, other) {
        (Some(step), _) => (step, "a step and a guard"),
        (None, Some(other)) => (other, "two guards"),
        (None, None) => return,
    };
    let message = format!("{what} have the id `{}`", id.value);
    let problem = checker.error("duplicate-id", id.span, message).label("again here");
    checker.push(problem.also(first.at(checker.source), "first here"));
}
