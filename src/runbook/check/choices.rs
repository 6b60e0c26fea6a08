//! Choices of a list: where the list comes from, whose ids are told apart, how many may be chosen, and whether the
//! answer of a run that nobody attends is one of them.

use std::collections::BTreeSet;

use super::Checker;
use crate::diag::Span;
use crate::runbook::decode::Spanned;
use crate::runbook::scalar::Data;
use crate::runbook::schema::{ChoiceDecl, ManyDecl, Step};

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        let Some(choice) = &step.choice else { continue };
        source(checker, choice);
        options(checker, choice);
        if let Some(many) = &choice.many {
            self::many(checker, choice, many);
        }
        unattended(checker, step, choice);
    }
}

/// The list stands in the runbook, or comes from an earlier step.
fn source(checker: &mut Checker<'_>, choice: &ChoiceDecl) {
    let keys = &choice.keys;
    match (keys.get("options"), keys.get("from")) {
        (None, None) if !keys.foreign => {
            let problem = checker.error("missing-key", choice.span, "a choice has a list to choose from");
            checker.push(problem.help(
                "add `options: [{id: …, text: \"…\"}]`, or `from: steps.x.…` with `id: item.…` for a list that \
                 an earlier step gives",
            ));
        }
        (Some(options), Some(from)) => {
            let problem = checker.error("key-not-for-kind", from, "this choice has two lists");
            let problem = problem.label("a second list").also(options.at(checker.source), "the first list");
            checker.push(problem.help("keep `options` or `from`"));
        }
        (None, Some(from)) if !keys.has("id") && !keys.foreign => {
            let problem = checker.error("missing-key", from, "`from` does not say what the ids are");
            checker.push(problem.help(
                "add `id: item.id`, an expression in which `item` is one entry of the list; `id: item` for a list \
                 of texts",
            ));
        }
        (Some(_), None) => {
            for name in ["id", "label"] {
                if let Some(span) = keys.get(name) {
                    let message = format!("`{name}` of a choice belongs to `from`");
                    let problem = checker.error("key-not-for-kind", span, message);
                    checker.push(problem.help("each of `options` has its own `id` and `text`"));
                }
            }
        }
        _ => {}
    }
}

fn options(checker: &mut Checker<'_>, choice: &ChoiceDecl) {
    let Some(list) = &choice.options else { return };
    if list.value.is_empty() && super::values::holds_nothing(checker, list.span) {
        let problem = checker.error("empty", list.span, "a choice has options");
        checker.push(problem.help("add an option: `- {id: …, text: \"…\"}`"));
    }
    for (at, option) in list.value.iter().enumerate() {
        let id = &option.id;
        super::bounds::name(checker, id);
        if id.value.is_empty() || id.value.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
        {
            let message = format!("`{}` is not an id of an option: no white space, no comma", id.value);
            let problem = checker.error("bad-id", id.span, message);
            checker.push(problem.help("write one word, such as `roll-back`; what people read is the `text`"));
        }
        if let Some(first) = list.value[..at].iter().find(|other| other.id.value == id.value) {
            let message = format!("two options have the id `{}`", id.value);
            let first = first.id.span.at(checker.source);
            let problem = checker.error("duplicate-id", id.span, message).label("again here");
            checker.push(problem.also(first, "first here"));
        }
    }
}

fn many(checker: &mut Checker<'_>, choice: &ChoiceDecl, many: &ManyDecl) {
    let least = many.min.as_ref().map_or(1, |min| min.value);
    let count = choice.options.as_ref().map(|list| list.value.len());
    let wrong = |checker: &mut Checker<'_>, span: Span, message: String, help: String| {
        let problem = checker.error("bad-value", span, message);
        checker.push(problem.help(help));
    };
    if let Some(max) = &many.max {
        if max.value == 0 {
            wrong(
                checker,
                max.span,
                "at most none: nothing could be chosen".into(),
                "write how many may be chosen at most, or leave `max` out for all of them".into(),
            );
        } else if least > max.value {
            let message = format!("at least {least} and at most {} cannot be chosen", max.value);
            wrong(checker, max.span, message, "`min` is 1 unless it says otherwise".into());
        }
    }
    let bounds = many.min.iter().chain(&many.max);
    for bound in bounds.filter(|bound| count.is_some_and(|count| count > 0 && bound.value as usize > count)) {
        let count = count.unwrap_or_default();
        let message = format!("{} of a list of {count} cannot be chosen", bound.value);
        wrong(checker, bound.span, message, format!("write {count} or less, or add options"));
    }
}

/// What answers for people is one of the list. Of a list that comes from a step nothing is known yet.
fn unattended(checker: &mut Checker<'_>, step: &Step, choice: &ChoiceDecl) {
    let (Some(answer), Some(list)) = (&step.unattended, &choice.options) else { return };
    if list.value.is_empty() {
        return;
    }
    let known: Vec<&str> = list.value.iter().map(|option| option.id.value.as_str()).collect();
    let named = ids(&answer.value, choice.many.is_some(), &known);
    let of_list = format!("there is: {}", known.join(", "));
    for id in named.iter().filter(|id| !known.contains(&id.as_str())) {
        let problem = checker.error("unattended", answer.span, format!("the list has no `{id}`"));
        checker.push(problem.suggest(id, known.iter().copied()).help(of_list.clone()));
    }
    let bound =
        |bound: Option<&Spanned<u32>>, otherwise| bound.map_or(otherwise, |bound| bound.value as usize);
    let (least, most) = match &choice.many {
        None => (1, 1),
        Some(many) => (bound(many.min.as_ref(), 1), bound(many.max.as_ref(), known.len())),
    };
    let count = named.iter().collect::<BTreeSet<_>>().len();
    if count < least || count > most || count < named.len() {
        let wanted = if least == most { least.to_string() } else { format!("from {least} to {most}") };
        let message = format!("this answer names {} of the list, expected {wanted}", named.len());
        let problem = checker.error("unattended", answer.span, message);
        checker.push(problem.help(of_list));
    }
}

/// The ids that an answer names; what is no answer to a choice names none.
fn ids(answer: &Data, many: bool, known: &[&str]) -> Vec<String> {
    match answer {
        Data::List(list) if many => list.iter().flat_map(|data| ids(data, false, known)).collect(),
        Data::Text(text) if many && !known.contains(&text.value.source()) => {
            let ids = text.value.source().split(',').map(str::trim);
            ids.filter(|id| !id.is_empty()).map(str::to_owned).collect()
        }
        Data::Text(text) => vec![text.value.source().to_owned()],
        Data::Number(_) | Data::Bool(_) => vec![answer.literal().to_string()],
        Data::Null | Data::List(_) | Data::Map(_) => Vec::new(),
    }
}
