//! What an approval lets through without having shown it: whether its filter judges it, and how many may go through.

use super::{Checker, secrets};
use crate::diag::{Diagnostic, Span};
use crate::runbook::scalar::Condition;
use crate::runbook::schema::{Approve, EffectWord, Step};
use crate::runbook::template::ROOTS;
use crate::runbook::texts::TARGET;

/// Something that is not known yet when an approval is asked.
#[derive(Clone, Copy)]
pub(super) enum Unseen<'a> {
    /// An output that stands in a request.
    Value(&'a str),
    /// The list of a step.
    List(usize),
}

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        if let Some(approve) = &checker.steps[at].approve {
            limit(checker, approve);
        }
    }
}

fn limit(checker: &mut Checker<'_>, approve: &Approve) {
    if let Some(most) = approve.max_targets.as_ref().filter(|most| most.value == 0) {
        let problem = checker.error("approval-limit", most.span, "`max_targets: 0` lets nothing through");
        checker.push(problem.help("write a number from 1 on, or leave it out"));
    }
    let Some(filter) = &approve.filter else { return };
    if !approve.keys.has("max_targets") && !approve.keys.foreign {
        let message = "`filter` without `max_targets`: how many such targets may go through it?";
        let problem = checker.error("approval-limit", filter.span, message);
        checker.push(problem.help("add `max_targets: 20`: for more than that, people are asked again"));
    }
    if !reads_target(filter) && items_of(filter).next().is_none() {
        let message = "the filter does not read `target`, so that it would say the same of every one";
        let problem = checker.error("approval-limit", filter.span, message);
        checker.push(problem.help(
            "write what is true of a target that may go through, such as `target is startingwith(\"test-\")`",
        ));
    }
}

fn reads_target(filter: &Condition) -> bool {
    roots(filter).any(|root| root == TARGET)
}

fn items_of(filter: &Condition) -> impl Iterator<Item = &str> {
    roots(filter).filter(|root| *root != TARGET && !ROOTS.contains(root))
}

fn roots(filter: &Condition) -> impl Iterator<Item = &str> {
    filter.value.refs().iter().filter_map(|path| path.split('.').next())
}

/// There must be something that it can judge or count: the destructive steps among what it covers.
pub(super) fn counts_something(checker: &mut Checker<'_>, gate: usize, covers: &[usize]) {
    let Some(approve) = &checker.steps[gate].approve else { return };
    let key = if approve.filter.is_some() { "filter" } else { "max_targets" };
    let Some(span) = approve.keys.get(key) else { return };
    if covers.iter().any(|step| is_destructive(checker.steps[*step])) {
        return;
    }
    let message = format!("`{key}` is about destructive steps, and this approval covers none");
    let problem = checker.error("approval-limit", span, message);
    checker.push(problem.help("leave it out, or put the approval in front of what it is about"));
}

pub(super) fn is_destructive(step: &Step) -> bool {
    let reversals =
        step.undo.iter().map(|undo| undo.act()).chain(step.put_back.iter().map(|back| back.act()));
    step.effect_word() == EffectWord::Destructive
        || reversals.into_iter().any(|act| act.effect() == EffectWord::Destructive)
}

/// What is wrong with something that an approval cannot show: `problem`, unless its filter judges it.
pub(super) fn unless_judged(
    checker: &Checker<'_>,
    (gate, step): (usize, usize),
    unseen: Unseen<'_>,
    span: Span,
    problem: Diagnostic,
) -> Option<Diagnostic> {
    let Some(filter) = checker.steps[gate].approve.as_ref().and_then(|approve| approve.filter.as_ref())
    else {
        return Some(problem.help(format!(
            "or say which ones may go through unseen, and how many: `filter` and `max_targets` of `{}`",
            checker.name(gate)
        )));
    };
    if let Unseen::Value(path) = unseen
        && secrets::is_secret(checker, path)
    {
        return Some(problem);
    }
    let named = |at: usize| checker.steps[at].for_each.as_ref().map(|each| each.r#as.value.as_str());
    let items = || [step].into_iter().chain(checker.flow.lists.around(step)).filter_map(named);
    let stranger = items_of(filter).find(|name| !items().any(|item| item == *name));
    let judged = match unseen {
        _ if reads_target(filter) => true,
        Unseen::Value(_) => false,
        Unseen::List(list) => items_of(filter).any(|name| named(list) == Some(name)),
    };
    let name = checker.name(step);
    let message = match (unseen, stranger) {
        (_, Some(item)) => {
            format!("the filter reads `{item}`, and `{name}` is not done for each `{item}`")
        }
        _ if judged => return None,
        (Unseen::Value(path), None) => {
            format!("the filter does not read `target`, and `{path}` in `{name}` is no item")
        }
        (Unseen::List(list), None) => {
            format!("the filter reads neither `target` nor `{}`", named(list).unwrap_or_default())
        }
    };
    let problem = checker.error("approval-limit", filter.span, message);
    Some(problem.also(span.at(checker.source), "this is decided later").help(
        "read `target` in the filter: it stands for each value of a destructive request that is decided later",
    ))
}
