//! Gates: what may be said of them, ways round them, answers in advance, what approvals bind.

use std::collections::{BTreeMap, BTreeSet};

use super::dominance::dangers;
use super::limits::{self, Unseen, unless_judged};
use super::{Checker, references};
use crate::diag::{Diagnostic, Span};
use crate::runbook::act::{Act, PRECONDITIONS};
use crate::runbook::coverage::covered;
use crate::runbook::reach::{Reach, bits};
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{EffectWord, FailureWord, Step};
use crate::runbook::texts;

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        gate_policy(checker, checker.steps[at]);
    }
    if checker.flow.order().is_err() {
        return;
    }
    round_gates(checker);
    declared_answers(checker);
    coverage(checker);
}

/// A gate is opened by people and nothing else.
fn gate_policy(checker: &mut Checker<'_>, step: &Step) {
    if step.is_gate() {
        if let Some(word) = &step.on_failure {
            let message = "a gate has no failure menu: no answer, no entry";
            let problem = checker.error("gate-policy", word.span, message);
            let help = "`on_reject: continue` lets the branches that do not wait for it go on";
            let problem = if word.value == FailureWord::Continue { problem.help(help) } else { problem };
            checker.push(problem);
        }
        if let Some(span) = step.keys.get("allowed") {
            checker.fail("gate-policy", span, "a rejection is never just allowed");
        }
    }
    if let (Some(answer), Some("approve")) = (&step.unattended, step.kind()) {
        let problem =
            checker.error("unattended", answer.span, "only people approve, nothing may answer for them");
        checker.push(problem.help("leave `unattended` out: an unattended run waits here"));
    }
    if let Some(reason) = step.ungated.as_ref().filter(|reason| reason.value.trim().is_empty()) {
        checker.fail("ungated", reason.span, "say why no gate stands in front of this step");
    }
}

/// Explicit `needs` that leave out an earlier gate must say so.
fn round_gates(checker: &mut Checker<'_>) {
    let gates: Vec<usize> = (0..checker.steps.len()).filter(|at| checker.steps[*at].is_gate()).collect();
    let explicit: Vec<usize> =
        (0..checker.steps.len()).filter(|at| checker.steps[*at].needs.is_some()).collect();
    let mut candidates = Vec::new();
    checker.flow.each_block(&gates, Reach::Behind, |chunk, masks| {
        let in_list = gates_of_lists(checker, chunk);
        for step in explicit.iter().copied() {
            let Some(wanted) = in_list.get(&checker.flow.lists.of[step]) else { continue };
            let above = chunk.partition_point(|gate| *gate < step);
            let wanted = wanted & if above == 64 { u64::MAX } else { (1 << above) - 1 };
            candidates.extend(bits(wanted & !masks[step]).map(|bit| (step, chunk[bit as usize])));
        }
    });
    candidates.sort_unstable();
    // A gate that itself waits for the step is not reached round.
    let back: Vec<(usize, usize)> = candidates.iter().map(|(step, gate)| (*gate, *step)).collect();
    let waits = checker.flow.are_upstream(&back);
    let round: Vec<(usize, usize)> =
        candidates.into_iter().zip(waits).filter(|(_, w)| !w).map(|(pair, _)| pair).collect();
    for (step, gate) in &round {
        let written = checker.steps[*step];
        let name = checker.name(*gate).to_owned();
        if written.past.iter().flatten().any(|past| past.value == name) {
            continue;
        }
        let span = written.keys.get("needs").unwrap_or(written.span);
        let message = format!("`needs` of `{}` reach round the gate `{name}` above it", written.name());
        let problem = checker
            .error("reaches-round-gate", span, message)
            .also(checker.id_span(*gate).at(checker.source), "this gate does not stand in front of it")
            .help(format!("add `past: [{name}]` if that is meant, or add it to `needs`"));
        checker.push(problem);
    }
    unused_past(checker, &round);
}

/// By list: the gates in it, and those in groups of it that hold outside of them. What runs side by side goes round
/// nothing there.
fn gates_of_lists(checker: &Checker<'_>, gates: &[usize]) -> BTreeMap<usize, u64> {
    let flow = &checker.flow;
    let mut out = BTreeMap::new();
    for (bit, gate) in gates.iter().enumerate() {
        let mut at = *gate;
        loop {
            let place = flow.lists.places[at];
            let group = place.within.map(|group| checker.steps[group].group.as_ref());
            let beside = !place.handles && group.flatten().is_some_and(|group| group.parallel == Some(true));
            if !beside {
                *out.entry(flow.lists.of[at]).or_insert(0) |= 1_u64 << bit;
            }
            match place.within.filter(|_| flow.holds_outside(at)) {
                Some(group) => at = group,
                None => break,
            }
        }
    }
    out
}

fn unused_past(checker: &mut Checker<'_>, round: &[(usize, usize)]) {
    for at in 0..checker.steps.len() {
        for past in checker.steps[at].past.iter().flatten() {
            let Some(gate) = checker.flow.find(&past.value) else { continue };
            if !checker.steps[gate].is_gate() {
                checker.fail("unused-past", past.span, format!("`{}` is not a gate", past.value));
            } else if round.binary_search(&(at, gate)).is_err() {
                let message = format!("`{}` does not reach round `{}`", checker.name(at), past.value);
                let problem = checker.warning("unused-past", past.span, message);
                checker.push(problem.help("take it out of `past`"));
            }
        }
    }
}

/// An answer may be declared for a gate only where nothing destructive waits behind it.
fn declared_answers(checker: &mut Checker<'_>) {
    let declared: Vec<usize> = (0..checker.steps.len())
        .filter(|at| checker.steps[*at].unattended.is_some() && checker.steps[*at].kind() == Some("confirm"))
        .collect();
    if declared.is_empty() {
        return;
    }
    let dangers = dangers(checker);
    let steps: Vec<bool> = {
        let mut steps = vec![false; checker.steps.len()];
        dangers.iter().for_each(|danger| steps[danger.step] = true);
        steps
    };
    let upstream = checker.flow.upstream(&declared, Reach::Behind, |step| steps[step]);
    let mut reported = vec![false; declared.len()];
    for danger in &dangers {
        for gate in &upstream[danger.step] {
            let gate = *gate as usize;
            if std::mem::replace(&mut reported[gate], true) {
                continue;
            }
            let Some(answer) = &checker.steps[declared[gate]].unattended else { continue };
            let message = format!("{} lies behind this gate, so only a person may open it", danger.what);
            let problem = checker
                .error("unattended", answer.span, message)
                .also(danger.span.at(checker.source), "this is destructive");
            checker.push(problem);
        }
    }
}

/// What approvals bind, and whether the approver can see it.
fn coverage(checker: &mut Checker<'_>) {
    let mut bound = covered(&checker.flow, &checker.steps);
    for at in 0..checker.steps.len() {
        let Some(covers) = checker.steps[at].approve.as_ref().and_then(|approve| approve.covers.as_ref())
        else {
            continue;
        };
        let mut named = Vec::new();
        for id in covers {
            let Some(step) = checker.flow.find(&id.value) else {
                references::unknown_step(checker, id, "covers");
                continue;
            };
            if let Some(problem) = unbindable(checker, at, step, id.span) {
                checker.push(problem);
                continue;
            }
            checker.unless_upstream(step, at, |checker| {
                let message = format!("step `{}` does not wait for this approval", id.value);
                checker.error("approval-covers", id.span, message)
            });
            named.push(step);
        }
        bound.insert(at, named);
    }
    let mut lists = BTreeSet::new();
    for (gate, steps) in bound {
        if checker.steps[gate].kind() == Some("approve") {
            limits::counts_something(checker, gate, &steps);
            for step in steps {
                visible_target(checker, gate, step);
                if !lists.contains(&(gate, step)) && limits::is_destructive(checker.steps[step]) {
                    visible_lists(checker, gate, step, &mut lists);
                }
            }
        }
    }
}

/// Why an approval cannot bind a step.
fn unbindable(checker: &Checker<'_>, gate: usize, step: usize, span: Span) -> Option<Diagnostic> {
    let name = checker.name(step);
    if !checker.steps[step].runs() {
        let message = format!("step `{name}` sends nothing that could be bound");
        let problem = checker.error("approval-covers", span, message);
        let group = checker.steps[step].group.is_some();
        return Some(if group { problem.help("name the steps of the group") } else { problem });
    }
    let lists = &checker.flow.lists;
    let mut around = [gate].into_iter().chain(lists.around(gate));
    let list =
        around.find(|around| checker.steps[*around].for_each.is_some() && !lists.belongs(step, *around))?;
    let message = format!("step `{name}` is done once, and this approval is asked for each item");
    let problem = checker.error("approval-covers", span, message);
    let problem = problem.also(checker.id_span(list).at(checker.source), "here the list is gone through");
    Some(problem.help("put the approval behind the list, or the step inside it"))
}

/// The list of what is destroyed must be known when its approval opens, too. `seen`: gates and lists that were
/// looked at.
fn visible_lists(checker: &mut Checker<'_>, gate: usize, at: usize, seen: &mut BTreeSet<(usize, usize)>) {
    let lists = &checker.flow.lists;
    let around = [at].into_iter().chain(lists.around(at)).take_while(|list| !lists.belongs(gate, *list));
    for list in around.collect::<Vec<_>>() {
        let step = checker.steps[list];
        let Some(each) = step.for_each.as_ref().filter(|_| seen.insert((gate, list))) else { continue };
        for path in each.items.value.refs() {
            let mut names = path.split('.');
            let (Some("steps"), Some(id)) = (names.next(), names.next()) else { continue };
            let Some(source) = checker.flow.find(id) else { continue };
            let gate_name = checker.name(gate);
            let message = format!(
                "the list of `{}` reads `{path}`, which is not known yet when `{gate_name}` is asked",
                step.name()
            );
            let written = texts::Written::Condition(&each.items).exprs().next();
            let span = written.map_or(each.items.span, |expr| expr.place(checker.source, path));
            let problem = checker
                .error("target-decided-later", span, message)
                .also(checker.id_span(gate).at(checker.source), "this approval is asked before")
                .help(format!("put the approval behind `{id}`: people approve the list that they see"));
            let problem = unless_judged(checker, (gate, at), Unseen::List(list), span, problem);
            if let Some(problem) = problem {
                checker.unless_upstream(gate, source, |_| problem);
            }
        }
    }
}

/// The target of something destructive must be known when its approval opens.
fn visible_target(checker: &mut Checker<'_>, gate: usize, at: usize) {
    let step = checker.steps[at];
    let name = step.name();
    if step.effect_word() == EffectWord::Destructive {
        decided_later(checker, (gate, at), (step.act(), &format!("`{name}`")), None);
    }
    let undo = step.undo.as_ref().map(|undo| (undo.act(), format!("the undo of `{name}`")));
    let back = step.put_back.as_ref().map(|back| (back.act(), format!("the put_back of `{name}`")));
    for (act, what) in undo.into_iter().chain(back) {
        if act.effect() == EffectWord::Destructive {
            // What a step made is what taking it back removes: that much the approver knows.
            decided_later(checker, (gate, at), (act, &what), Some(at));
        }
    }
}

fn decided_later(
    checker: &mut Checker<'_>,
    (gate, at): (usize, usize),
    (act, what): (Act<'_>, &str),
    own: Option<usize>,
) {
    let headers = act.http.into_iter().flat_map(|http| http.headers.iter()).flat_map(Entries::iter);
    let preconditions: Vec<Span> = headers
        .filter(|(name, _)| PRECONDITIONS.contains(&&*name.value.to_ascii_lowercase()))
        .map(|(_, value)| value.span)
        .collect();
    for text in texts::of_act(act).iter().filter(|text| text.place.is_target()) {
        for expr in text.text.exprs().filter(|expr| !preconditions.contains(&expr.span)) {
            for path in expr.expr.refs() {
                let mut names = path.split('.');
                let source = match (names.next(), names.next()) {
                    (Some("steps"), Some(id)) => checker.flow.find(id),
                    (Some("step"), _) if text.place.takes_stamps() => continue,
                    (Some("step"), _) => None,
                    _ => continue,
                };
                if source.is_some() && (source == own || source == Some(gate)) {
                    continue;
                }
                if source.is_some_and(|source| checker.flow.is_plainly_upstream(gate, source)) {
                    continue;
                }
                let span = expr.place(checker.source, path);
                let problem = invisible(checker, gate, what, path, span);
                let Some(source) = source else {
                    checker.push(problem);
                    continue;
                };
                if let Some(problem) = unless_judged(checker, (gate, at), Unseen::Value(path), span, problem)
                {
                    checker.unless_upstream(gate, source, |_| problem);
                }
            }
        }
    }
}

fn invisible(checker: &Checker<'_>, gate: usize, what: &str, path: &str, span: Span) -> Diagnostic {
    let gate_name = checker.name(gate);
    let message =
        format!("the target of {what} reads `{path}`, which is not known yet when `{gate_name}` is asked");
    checker
        .error("target-decided-later", span, message)
        .also(checker.id_span(gate).at(checker.source), "this approval is asked before")
        .help("move the approval behind the step that decides it: people approve what they see")
}
