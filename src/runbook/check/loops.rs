//! Groups, lists, rounds, and what is reverted: whether they can mean what they say.

use super::{Checker, references};
use crate::diag::{Diagnostic, Span};
use crate::runbook::scalar::Millis;
use crate::runbook::schema::{CanaryDecl, EachDecl, EffectWord, GroupDecl, RepeatDecl, ShareDecl, Step};

/// Rounds of one group, at most.
const MAX_ROUNDS: u32 = 10_000;

/// What a name of an item would hide, or no expression could read.
const TAKEN: [&str; 19] = [
    "inputs", "vars", "secrets", "steps", "step", "run", "and", "or", "not", "in", "is", "if", "else",
    "true", "false", "none", "loop", "range", "self",
];

pub(super) fn check(checker: &mut Checker<'_>) {
    let changing = changing(checker);
    for (at, changed) in changing.into_iter().enumerate() {
        let step = checker.steps[at];
        if let Some(group) = &step.group {
            self::group(checker, group);
        }
        if let Some(each) = &step.for_each {
            name(checker, at, each);
            counts(checker, each);
            if let Some(what) = changed.filter(|_| !each.keys.has("max_targets") && !each.keys.foreign) {
                let message = format!(
                    "`for_each` without `max_targets`, and `{}` changes something",
                    checker.name(what)
                );
                let span = step.keys.get("for_each").unwrap_or(each.span);
                let problem = checker.error("max-targets", span, message);
                checker.push(problem.help("add `max_targets: 20`: a longer list than that is refused, so that no wrong list reaches everything"));
            }
        }
        if let Some(repeat) = &step.repeat {
            self::repeat(checker, at, repeat);
        }
        revert(checker, at);
    }
}

/// By step: the first step in it that writes or destroys.
fn changing(checker: &Checker<'_>) -> Vec<Option<usize>> {
    let mut out: Vec<Option<usize>> =
        checker.steps.iter().enumerate().map(|(at, step)| changes(step).then_some(at)).collect();
    for at in (0..out.len()).rev() {
        if let (Some(group), Some(found)) = (checker.flow.lists.places[at].within, out[at]) {
            out[group] = Some(found);
        }
    }
    out
}

fn changes(step: &Step) -> bool {
    let strong = |effect: EffectWord| matches!(effect, EffectWord::Write | EffectWord::Destructive);
    let mut reversals =
        step.undo.iter().map(|undo| undo.act()).chain(step.put_back.iter().map(|back| back.act()));
    step.runs() && strong(step.effect_word())
        || step.effect_word() == EffectWord::Destructive
        || reversals.any(|act| strong(act.effect()))
}

fn group(checker: &mut Checker<'_>, group: &GroupDecl) {
    for (key, steps, help) in [
        ("steps", Some(&group.steps), "add a step, or leave the group out"),
        ("on_failure", group.on_failure.as_ref(), "add a step, or leave `on_failure` out"),
    ] {
        let written = group.keys.get(key).filter(|_| steps.is_some_and(Vec::is_empty) && !group.keys.foreign);
        if let Some(span) = written.filter(|span| super::values::holds_nothing(checker, *span)) {
            let problem =
                checker.error("empty", span, format!("`{key}` of a group without a step does nothing"));
            checker.push(problem.help(help));
        }
    }
    if let Some(span) =
        group.keys.get("then").filter(|_| !group.keys.has("on_failure") && !group.keys.foreign)
    {
        let message = "`then` says what follows `on_failure`, and this group has none";
        let problem = checker.error("group-policy", span, message);
        checker.push(problem.help(
            "add `on_failure: [steps that run when one of the others has failed]`, or leave `then` out",
        ));
    }
}

fn name(checker: &mut Checker<'_>, at: usize, each: &EachDecl) {
    let name = &each.r#as;
    let mut bytes = name.value.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !good {
        let message =
            format!("`{}` is not a name of an item: a small letter, then letters, digits, `_`", name.value);
        let problem = checker.error("item-name", name.span, message);
        return checker.push(problem.help("name one item, such as `tenant`: it is read as `{{ tenant }}`"));
    }
    if TAKEN.contains(&name.value.as_str()) {
        let message = format!("`{}` has a meaning of its own in expressions", name.value);
        let problem = checker.error("item-name", name.span, message);
        return checker.push(problem.help("name one item, such as `tenant`: it is read as `{{ tenant }}`"));
    }
    let around = checker.flow.lists.around(at).find_map(|group| {
        let outer = checker.steps[group].for_each.as_ref()?;
        (outer.r#as.value == name.value).then_some(outer.r#as.span)
    });
    if let Some(outer) = around {
        let message = format!("`{}` is an item of the list around this one already", name.value);
        let problem = checker.error("item-name", name.span, message).label("again here");
        let problem = problem.also(outer.at(checker.source), "first here");
        checker.push(problem.help("give it another name: both can be read here"));
    }
    if let Some(key) = &each.key
        && !key.value.refs().iter().any(|path| path.split('.').next() == Some(name.value.as_str()))
    {
        let message = format!("`key` does not read `{}`, so that all items would have one name", name.value);
        let problem = checker.error("item-key", key.span, message);
        checker.push(problem.help(format!("write what tells the items apart, such as `{}.id`", name.value)));
    }
}

fn counts(checker: &mut Checker<'_>, each: &EachDecl) {
    let most = each.max_targets.as_ref().map(|most| most.value);
    for (key, count) in [("max_parallel", &each.max_parallel), ("max_targets", &each.max_targets)] {
        if let Some(count) = count.as_ref().filter(|count| count.value == 0) {
            let message = format!("`{key}: 0` lets nothing begin");
            refuse(checker, count.span, message, "write a number from 1 on");
        }
    }
    if let Some(canary) = &each.canary {
        self::canary(checker, canary, most);
    }
    let Some(failures) = &each.max_failures else { return };
    match (failures.value, most) {
        (ShareDecl::Percent(100..), _) => {
            let message = "not more than all items can fail: this never ends anything";
            refuse(
                checker,
                failures.span,
                message,
                "write a smaller part, such as 10%, or leave `max_failures` out",
            );
        }
        (ShareDecl::Count(count), Some(most)) if count >= most => {
            let message = format!("`max_targets` allows {most} items, so that this never ends anything");
            refuse(checker, failures.span, message, "write a smaller number, or leave `max_failures` out");
        }
        _ => {}
    }
}

fn canary(checker: &mut Checker<'_>, canary: &CanaryDecl, most: Option<u32>) {
    let count = &canary.count;
    if count.value == 0 {
        refuse(
            checker,
            count.span,
            "no item would go before the others",
            "write `count: 1`, or leave `canary` out",
        );
    }
    if let Some(most) = most.filter(|most| *most > 0 && count.value >= *most) {
        let message = format!("`max_targets` allows {most} items, so that none is left behind these");
        refuse(checker, count.span, message, "write a smaller `count`, or a larger `max_targets`");
    }
    if let Some(soak) = canary.soak.as_ref().filter(|soak| soak.value == Millis(0)) {
        let problem = checker.error("bad-duration", soak.span, "nothing is seen in no time");
        checker.push(
            problem.help("write how long the first items are watched, such as 5m, or leave `soak` out"),
        );
    }
}

fn refuse(checker: &mut Checker<'_>, span: Span, message: impl Into<String>, help: &str) {
    let problem: Diagnostic = checker.error("list-policy", span, message);
    checker.push(problem.help(help));
}

fn repeat(checker: &mut Checker<'_>, at: usize, repeat: &RepeatDecl) {
    let step = checker.steps[at];
    if let (Some(each), Some(span)) = (step.keys.get("for_each"), step.keys.get("repeat")) {
        let message = "`repeat` and `for_each` on one step: is each item repeated, or all of them?";
        let problem = checker.error("repeat-policy", span, message).also(each.at(checker.source), "the list");
        checker.push(problem.help("put a group with one of them into a group with the other"));
    }
    let max = &repeat.max;
    if max.value == 0 || max.value > MAX_ROUNDS {
        let problem = checker.error(
            "repeat-policy",
            max.span,
            format!("`max` counts the first round too: from 1 to {MAX_ROUNDS}"),
        );
        checker.push(problem.help("write how often it may be gone through, such as 5"));
    }
    let reads_a_round = repeat.until.value.refs().iter().any(|path| {
        let id = path.strip_prefix("steps.").and_then(|rest| rest.split('.').next());
        // A name that is not known is reported where names are.
        id.is_some_and(|id| checker.flow.find(id).is_none_or(|step| checker.flow.lists.belongs(step, at)))
    });
    if !reads_a_round && step.group.is_some() {
        let message = "`until` reads nothing that a round could change";
        let problem = checker.error("repeat-policy", repeat.until.span, message);
        checker.push(problem.help("read an output of a step of this group: `steps.x.state == \"ready\"`"));
    }
}

/// What is reverted comes before, can be taken back, and is the same one.
fn revert(checker: &mut Checker<'_>, at: usize) {
    let Some(named) = &checker.steps[at].revert else { return };
    if named.value.is_empty() && super::values::holds_nothing(checker, named.span) {
        let problem = checker.error("empty", named.span, "nothing is reverted");
        checker.push(problem.help("name steps that have an `undo` or a `put_back`: `revert: [drain]`"));
    }
    for id in &named.value {
        let Some(found) = checker.flow.find(&id.value) else {
            references::unknown_step(checker, id, "revert");
            continue;
        };
        let step = checker.steps[found];
        if step.undo.is_none() && step.put_back.is_none() {
            let message = format!("step `{}` has no `undo` and no `put_back`", id.value);
            let problem = checker.error("revert-target", id.span, message);
            let problem = problem.also(checker.id_span(found).at(checker.source), "this step");
            checker.push(problem.help("say there what takes it back, or leave it out here"));
            continue;
        }
        if checker.list_around(at, found).is_some() {
            let problem = checker.inside_list(at, found, id.span);
            checker.push(problem.help("put the `revert` into the list, where one item is meant"));
            continue;
        }
        let lists = &checker.flow.lists;
        let own = lists.side_by_side(at, found).is_some_and(|(_, beside)| beside == found);
        let listed = lists
            .around(at)
            .take_while(|group| !lists.belongs(found, *group))
            .find(|group| checker.steps[*group].for_each.is_some());
        if let Some(list) = listed {
            let message = format!("`{}` is done once, and this would revert it for each item", id.value);
            let problem = checker.error("revert-target", id.span, message);
            let problem =
                problem.also(checker.id_span(list).at(checker.source), "here the list is gone through");
            checker.push(problem.help("put the `revert` behind the list"));
        } else if !own {
            let message = format!("`{}` stands in a group of its own, and is taken back there", id.value);
            let problem = checker.error("revert-target", id.span, message);
            checker.push(problem.help("put the `revert` into that group, or both steps into one list"));
        } else {
            checker.unless_upstream(at, found, |checker| {
                let message = format!("step `{}` does not come before this `revert`", id.value);
                let problem = checker.error("not-upstream", id.span, message);
                problem.help(format!("add it to `needs` of `{}`, or move it up", checker.name(at)))
            });
        }
    }
}
