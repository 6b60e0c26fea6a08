//! What stands in front of what: destructive steps behind gates, ways round them, what approvals bind.
//!
//! A step starts only when everything it waits for is satisfied, so a gate anywhere upstream stands in front of it.
//! Unless the gate's own `when` skips it, which satisfies those behind: then it guards only steps of the same `when`.
//! `finally` and reversals do not wait for the gates of the main list, but a reversal is armed only by the start of
//! its step, so what guards the step guards it too.

use std::collections::BTreeMap;

use super::{Checker, shape};
use crate::diag::{Diagnostic, Span};
use crate::runbook::act::Act;
use crate::runbook::coverage::covered;
use crate::runbook::flow::bits;
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
    dominance(checker);
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

/// Something destructive, and how to speak of it.
struct Danger {
    step: usize,
    span: Span,
    what: String,
}

fn dangers(checker: &Checker<'_>) -> Vec<Danger> {
    let mut out = Vec::new();
    for (step, written) in checker.steps.iter().enumerate() {
        let mut add = |act: Act<'_>, key: &str, what: String| {
            if act.effect() == EffectWord::Destructive {
                out.push(Danger { step, span: written.keys.get(key).unwrap_or(act.span), what });
            }
        };
        if let Some(undo) = &written.undo {
            add(undo.act(), "undo", format!("the undo of `{}`", written.name()));
        }
        if let Some(back) = &written.put_back {
            add(back.act(), "put_back", format!("the put_back of `{}`", written.name()));
        }
        if written.effect_word() == EffectWord::Destructive {
            out.push(Danger {
                step,
                span: checker.id_span(step),
                what: format!("step `{}`", written.name()),
            });
        }
    }
    out
}

fn dominance(checker: &mut Checker<'_>) {
    let guards = Guards::new(checker);
    for danger in dangers(checker) {
        let step = checker.steps[danger.step];
        if let Some(reason) = &step.ungated {
            if checker.is_protected() && !guards.guarded(checker, danger.step) {
                let message = format!("a protected environment wants a gate in front of {}", danger.what);
                let problem = checker.error("protected", reason.span, message);
                checker.push(problem.help("put an `approve` or a `confirm` in front of it"));
            }
            continue;
        }
        if !guards.guarded(checker, danger.step) {
            let problem = ungated(checker, &danger, &guards);
            checker.push(problem);
        }
    }
}

/// Which gates stand in front of each step.
struct Guards {
    /// Bit 0: a gate that nothing skips. The others: conditions of gates, in blocks of 63.
    masks: Vec<Vec<u64>>,
    conditions: BTreeMap<String, usize>,
}

impl Guards {
    fn new(checker: &Checker<'_>) -> Self {
        let mut conditions = BTreeMap::new();
        for step in checker.steps.iter().filter(|step| step.is_gate()) {
            if let Some(when) = &step.when {
                let next = conditions.len();
                conditions.entry(when.value.source().to_owned()).or_insert(next);
            }
        }
        let blocks = conditions.len().div_ceil(63).max(1);
        let masks = (0..blocks).map(|block| {
            let own: Vec<u64> = checker
                .steps
                .iter()
                .map(|step| match (step.is_gate(), &step.when) {
                    (false, _) => 0,
                    (true, None) => 1,
                    (true, Some(when)) => match conditions.get(when.value.source()) {
                        Some(at) if at / 63 == block => 2 << (at % 63),
                        _ => 0,
                    },
                })
                .collect();
            checker.flow.gather(&own, &[])
        });
        Self { masks: masks.collect(), conditions }
    }

    fn guarded(&self, checker: &Checker<'_>, step: usize) -> bool {
        if self.masks.iter().any(|block| block[step] & 1 != 0) {
            return true;
        }
        let Some(when) = &checker.steps[step].when else { return false };
        let Some(at) = self.conditions.get(when.value.source()) else { return false };
        self.masks[at / 63][step] & (2 << (at % 63)) != 0
    }

    /// A gate upstream that does not count, because its own condition may skip it.
    fn conditional(&self, checker: &Checker<'_>, step: usize) -> Option<usize> {
        let skipped = self.masks.iter().any(|block| block[step] != 0);
        let gates: Vec<usize> = (0..checker.steps.len()).filter(|at| checker.steps[*at].is_gate()).collect();
        if !skipped {
            return None;
        }
        let pairs: Vec<(usize, usize)> = gates.iter().map(|gate| (step, *gate)).collect();
        let found = checker.flow.are_upstream(&pairs);
        gates.into_iter().zip(found).find(|(_, upstream)| *upstream).map(|(gate, _)| gate)
    }
}

fn ungated(checker: &Checker<'_>, danger: &Danger, guards: &Guards) -> Diagnostic {
    let message = format!("{} is destructive, and no gate stands in front of it", danger.what);
    let mut problem = checker.error("ungated", danger.span, message);
    if let Some(gate) = guards.conditional(checker, danger.step) {
        let step = checker.steps[gate];
        let when = step.when.as_ref().map_or("", |when| when.value.source());
        problem = problem
            .also(
                checker.id_span(gate).at(checker.source),
                "this gate is skipped when its `when` does not hold",
            )
            .help(format!(
                "the way round: `{}` is skipped unless {when}, and then `{}` starts",
                step.name(),
                checker.name(danger.step)
            ))
            .help("give both the same `when`, or the gate none");
        return problem;
    }
    problem = problem.help(format!("the way round: {}", way(checker, danger.step)));
    if danger.step >= checker.flow.main {
        return problem.help(
            "`finally` runs at every ending, so a gate in the main list does not stand in front of it",
        );
    }
    problem
        .help("put an `approve` or a `confirm` in front of it; `ungated: <reason>` is the only way without")
}

/// How the step is reached, from the start.
fn way(checker: &Checker<'_>, step: usize) -> String {
    const SHOWN: usize = 8;
    let path = checker.flow.path_to(step);
    let start = if step < checker.flow.main { "the start" } else { "the ending" };
    let mut names = vec![start.to_owned()];
    if path.len() > SHOWN {
        names.extend(path[..SHOWN / 2].iter().map(|at| checker.name(*at).to_owned()));
        names.push(format!("… {} more …", path.len() - SHOWN));
        names.extend(path[path.len() - SHOWN / 2..].iter().map(|at| checker.name(*at).to_owned()));
    } else {
        names.extend(path.iter().map(|at| checker.name(*at).to_owned()));
    }
    names.join(" → ")
}

/// Explicit `needs` that leave out an earlier gate must say so.
fn round_gates(checker: &mut Checker<'_>) {
    let gates: Vec<usize> = (0..checker.steps.len()).filter(|at| checker.steps[*at].is_gate()).collect();
    let explicit: Vec<usize> = (0..checker.steps.len()).filter(|at| !checker.flow.above[*at]).collect();
    let mut candidates = Vec::new();
    checker.flow.each_block(&gates, &[], |chunk, masks| {
        for step in explicit.iter().copied() {
            let above = chunk.partition_point(|gate| *gate < step);
            let wanted = if above == 64 { u64::MAX } else { (1 << above) - 1 };
            let missing = bits(wanted & !masks[step]).map(|bit| (step, chunk[bit as usize]));
            candidates.extend(missing.filter(|(step, gate)| checker.same_list(*gate, *step)));
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
    let upstream = checker.flow.upstream(&declared, |step| steps[step]);
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
                shape::unknown_step(checker, id, "covers");
                continue;
            };
            if !checker.steps[step].runs() {
                let message = format!("step `{}` sends nothing that could be bound", id.value);
                checker.fail("approval-covers", id.span, message);
                continue;
            }
            let message = format!("step `{}` does not wait for this approval", id.value);
            let problem = checker.error("approval-covers", id.span, message);
            checker.unless_upstream.push((step, at, problem));
            named.push(step);
        }
        bound.insert(at, named);
    }
    for (gate, steps) in bound {
        if checker.steps[gate].kind() == Some("approve") {
            steps.into_iter().for_each(|step| visible_target(checker, gate, step));
        }
    }
}

/// The target of something destructive must be known when its approval opens.
fn visible_target(checker: &mut Checker<'_>, gate: usize, at: usize) {
    let step = checker.steps[at];
    let name = step.name();
    if step.effect_word() == EffectWord::Destructive {
        decided_later(checker, gate, (step.act(), &format!("`{name}`")), None);
    }
    let undo = step.undo.as_ref().map(|undo| (undo.act(), format!("the undo of `{name}`")));
    let back = step.put_back.as_ref().map(|back| (back.act(), format!("the put_back of `{name}`")));
    for (act, what) in undo.into_iter().chain(back) {
        if act.effect() == EffectWord::Destructive {
            // What a step made is what taking it back removes: that much the approver knows.
            decided_later(checker, gate, (act, &what), Some(at));
        }
    }
}

fn decided_later(checker: &mut Checker<'_>, gate: usize, (act, what): (Act<'_>, &str), own: Option<usize>) {
    let headers = act.http.into_iter().flat_map(|http| http.headers.iter()).flat_map(Entries::iter);
    let preconditions: Vec<Span> = headers
        .filter(|(name, _)| PRECONDITIONS.contains(&&*name.value.to_ascii_lowercase()))
        .map(|(_, value)| value.span)
        .collect();
    for text in texts::of_act(act).iter().filter(|text| text.place.is_target()) {
        for expr in text.text.exprs().iter().filter(|expr| !preconditions.contains(&expr.span)) {
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
                let problem = invisible(checker, gate, what, path, expr.place(checker.source, path));
                match source {
                    Some(source) => checker.unless_upstream.push((gate, source, problem)),
                    None => checker.push(problem),
                }
            }
        }
    }
}

/// Headers that can only keep a call from acting.
const PRECONDITIONS: [&str; 4] = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

fn invisible(checker: &Checker<'_>, gate: usize, what: &str, path: &str, span: Span) -> Diagnostic {
    let gate_name = checker.name(gate);
    let message =
        format!("the target of {what} reads `{path}`, which is not known yet when `{gate_name}` is asked");
    checker
        .error("target-decided-later", span, message)
        .also(checker.id_span(gate).at(checker.source), "this approval is asked before")
        .help("move the approval behind the step that decides it: people approve what they see")
}
