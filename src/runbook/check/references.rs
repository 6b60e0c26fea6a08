//! Steps that name other steps: what they wait for, reach round, and have proved again.

use super::Checker;
use crate::runbook::decode::Spanned;

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        references(checker, at);
    }
}

fn references(checker: &mut Checker<'_>, at: usize) {
    let step = checker.steps[at];
    for id in step.needs.iter().flatten() {
        match checker.flow.find(&id.value) {
            None => unknown_step(checker, id, "needs"),
            Some(found) if found == at => checker.fail("cycle", id.span, "a step cannot wait for itself"),
            Some(found) if !checker.same_list(found, at) => another_list(checker, at, found, id),
            Some(_) => {}
        }
    }
    for id in
        step.past.iter().flatten().filter(|id| checker.flow.find(&id.value).is_none()).collect::<Vec<_>>()
    {
        unknown_step(checker, id, "past");
    }
    for item in step.checklist.iter().flat_map(|list| &list.items.value) {
        let Some(id) = item.probe.as_ref().and_then(|probe| probe.step.as_ref()) else { continue };
        match checker.flow.find(&id.value) {
            None => unknown_step(checker, id, "probe"),
            Some(found) if checker.steps[found].verify.is_none() => {
                let message = format!("step `{}` has no `verify` that could prove this item", id.value);
                checker.fail("bad-value", id.span, message);
            }
            Some(found) if checker.list_around(at, found).is_some() => {
                let problem = checker.inside_list(at, found, id.span);
                checker.push(problem);
            }
            Some(found) => {
                checker.unless_upstream(at, found, |checker| {
                    let message = format!("step `{}` does not come before this checklist", id.value);
                    checker.error("not-upstream", id.span, message)
                });
            }
        }
    }
}

/// `needs` name steps of the same list.
fn another_list(checker: &mut Checker<'_>, at: usize, found: usize, id: &Spanned<String>) {
    let lists = &checker.flow.lists;
    if lists.places[found].finally != lists.places[at].finally {
        let message = format!("`{}` is in another list: `finally` runs when the steps are over", id.value);
        return checker.fail("unknown-step", id.span, message);
    }
    let beside = lists.side_by_side(at, found);
    let around = beside.filter(|(at, found)| lists.of[*at] == lists.of[*found]);
    let message = format!("`{}` is in another list, and a step waits for those of its own", id.value);
    let problem = checker.error("inside-group", id.span, message);
    let problem = match around {
        Some((step, group)) if step == at => problem
            .also(checker.id_span(group).at(checker.source), "it belongs to this group")
            .help(format!("write `{}`: the group has ended when all of it has", checker.name(group))),
        Some((group, other)) => problem.help(format!(
            "write `needs: [{}]` of the group `{}`",
            checker.name(other),
            checker.name(group)
        )),
        None if beside.is_some() => {
            problem.help("what a group does on a failure begins when all of its steps have ended")
        }
        None => problem.help("a group begins before its steps and ends after them"),
    };
    checker.push(problem);
}

pub(super) fn unknown_step(checker: &mut Checker<'_>, id: &Spanned<String>, key: &str) {
    let message = format!("no step is called `{}` (in `{key}`)", id.value);
    let problem = checker.error("unknown-step", id.span, message).suggest(&id.value, checker.flow.ids());
    checker.push(problem);
}
