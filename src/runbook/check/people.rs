//! Who may answer: roles that somebody holds, exclusions that name human steps, answers declared in advance.

use std::collections::BTreeSet;

use super::{Checker, references};
use crate::runbook::act::HUMAN;
use crate::runbook::decode::Spanned;
use crate::runbook::schema::{Approve, GlassDecl, TimeoutWord};

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        if let Some(approve) = &step.approve {
            self::approve(checker, approve);
            exclusions(checker, at, approve.exclude.as_deref());
        }
        if let Some(by) = &step.by {
            by.roles.iter().flatten().for_each(|role| known_role(checker, role));
            exclusions(checker, at, by.exclude.as_deref());
        }
    }
}

fn approve(checker: &mut Checker<'_>, approve: &Approve) {
    if approve.roles.value.is_empty() && checker.source.slice(approve.roles.span) == "[]" {
        checker.fail("empty-role", approve.roles.span, "an approve names at least one role");
    }
    if let Some(glass) = &approve.break_glass {
        self::glass(checker, approve, glass);
    }
    let escalates = approve.escalate_to.iter().flatten();
    approve.roles.value.iter().chain(escalates).for_each(|role| known_role(checker, role));
    if let Some(word) = approve.on_timeout.as_ref().filter(|word| word.value == TimeoutWord::Escalate)
        && approve.escalate_to.as_ref().is_none_or(Vec::is_empty)
        && !approve.keys.has("escalate_to")
    {
        let problem = checker.error("escalation", word.span, "`escalate` needs somebody to escalate to");
        checker.push(problem.help("add `escalate_to: [role]`"));
    }
    if let Some(quorum) = &approve.quorum {
        if quorum.value == 0 {
            checker.fail("gate-policy", quorum.span, "a quorum of 0 would open by itself");
        }
        if let Some(environment) = checker.environment {
            let roles = approve.roles.value.iter().chain(approve.escalate_to.iter().flatten());
            let people: BTreeSet<&str> = roles
                .filter_map(|role| environment.role(&role.value))
                .flatten()
                .map(|p| p.value.as_str())
                .collect();
            if !people.is_empty() && (people.len() as u64) < u64::from(quorum.value) {
                let message = format!("a quorum of {}, and {} hold these roles", quorum.value, people.len());
                checker.fail("gate-policy", quorum.span, message);
            }
        }
    }
}

/// Somebody may break the glass while the gate is still open, and somebody else looks at it afterwards.
fn glass(checker: &mut Checker<'_>, approve: &Approve, glass: &GlassDecl) {
    for (of, roles) in [("break_glass", &glass.roles), ("review", &glass.review.roles)] {
        if roles.value.is_empty() {
            checker.fail("empty-role", roles.span, format!("a `{of}` names at least one role"));
        }
        roles.value.iter().for_each(|role| known_role(checker, role));
    }
    if glass.review.within.value.0 == 0 {
        let problem = checker.error(
            "bad-duration",
            glass.review.within.span,
            "a review within nothing is always overdue",
        );
        checker.push(problem.help("write how long somebody has, such as 24h"));
    }
    let timeout = approve.timeout.as_ref().map_or(3_600_000, |timeout| timeout.value.0);
    let escalates = approve.on_timeout.as_ref().is_some_and(|word| word.value == TimeoutWord::Escalate);
    let open = if escalates { timeout.saturating_mul(2) } else { timeout };
    if glass.after.value.0 >= open {
        let message = "the gate is shut by the time its glass may be broken";
        let problem = checker.error("gate-policy", glass.after.span, message);
        checker
            .push(problem.help("make `after` shorter than the `timeout` of the gate (1h unless it says so)"));
    }
    let Some(environment) = checker.environment else { return };
    let holders = |roles: &[Spanned<String>]| -> BTreeSet<&str> {
        let people = roles.iter().filter_map(|role| environment.role(&role.value)).flatten();
        people.map(|person| person.value.as_str()).collect()
    };
    let (breakers, reviewers) = (holders(&glass.roles.value), holders(&glass.review.roles.value));
    if reviewers.len() == 1 && reviewers.is_superset(&breakers) && !breakers.is_empty() {
        let who = reviewers.into_iter().next().unwrap_or_default();
        let message = format!("only {who} could review it, and only {who} could break the glass");
        checker.fail("gate-policy", glass.review.roles.span, message);
    }
}

fn known_role(checker: &mut Checker<'_>, role: &Spanned<String>) {
    let Some(environment) = checker.environment else { return };
    match environment.role(&role.value) {
        None => {
            let message = format!("environment `{}` knows no role `{}`", environment.name, role.value);
            let problem = checker.error("unknown-role", role.span, message);
            checker.push(problem.suggest(&role.value, environment.roles()));
        }
        Some([]) => {
            let message =
                format!("nobody holds the role `{}` in environment `{}`", role.value, environment.name);
            checker.fail("empty-role", role.span, message);
        }
        Some(_) => {}
    }
}

/// `starter`, or `steps.x` where x is a human step.
fn exclusions(checker: &mut Checker<'_>, at: usize, exclude: Option<&[Spanned<String>]>) {
    for name in exclude.into_iter().flatten().filter(|name| name.value != "starter") {
        let Some(id) = name.value.strip_prefix("steps.") else {
            let problem = checker.error("bad-value", name.span, format!("`{}` excludes nobody", name.value));
            checker.push(problem.help("`starter`, or `steps.x`: whoever answered step x"));
            continue;
        };
        match checker.flow.find(id) {
            None => {
                let named = Spanned { value: id.to_owned(), span: name.span };
                references::unknown_step(checker, &named, "exclude");
            }
            Some(other) => {
                let human = checker.steps[other].kind().is_none_or(|kind| HUMAN.contains(&kind));
                if !human {
                    checker.fail("bad-value", name.span, format!("nobody answers step `{id}`"));
                } else if checker.list_around(at, other).is_some() {
                    let problem = checker.inside_list(at, other, name.span);
                    checker.push(problem);
                } else {
                    checker.unless_upstream(at, other, |checker| {
                        let message = format!("step `{id}` does not come before this one");
                        checker.error("not-upstream", name.span, message)
                    });
                }
            }
        }
    }
}
