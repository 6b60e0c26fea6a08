//! Whether a gate stands in front of everything that is destructive.
//!
//! A step starts only when everything it waits for is satisfied, so a gate anywhere upstream stands in front of it, and
//! one in front of a group stands in front of all that is in it. Unless the gate's own `when` skips it, which satisfies
//! those behind: then it guards only steps of the same `when`, or inside a group that carries it. A gate inside a group
//! guards what comes after the group where the group cannot go well without it. `finally` and reversals do not wait for
//! the gates of the main list, but a reversal is armed only by the start of its step, so what guards the step guards it
//! too.

use std::collections::BTreeMap;

use super::Checker;
use crate::diag::{Diagnostic, Span};
use crate::runbook::act::Act;
use crate::runbook::coverage;
use crate::runbook::reach::Reach;
use crate::runbook::schema::{EffectWord, RunOnWord};

/// Something destructive, and how to speak of it.
pub(super) struct Danger {
    pub step: usize,
    pub span: Span,
    pub what: String,
}

pub(super) fn dangers(checker: &Checker<'_>) -> Vec<Danger> {
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
        if coverage::effect(&checker.flow, &checker.steps, step) == EffectWord::Destructive {
            out.push(Danger {
                step,
                span: checker.id_span(step),
                what: format!("step `{}`", written.name()),
            });
        }
    }
    out
}

pub(super) fn check(checker: &mut Checker<'_>) {
    if checker.flow.order().is_err() {
        return;
    }
    let guards = Guards::new(checker);
    let mut open = Vec::new();
    for danger in dangers(checker) {
        if guards.guarded(checker, danger.step) {
            continue;
        }
        let Some(reason) = &checker.steps[danger.step].ungated else {
            open.push(danger);
            continue;
        };
        if checker.is_protected() {
            let message = format!("a protected environment wants a gate in front of {}", danger.what);
            let problem = checker.error("protected", reason.span, message);
            checker.push(problem.help("put an `approve` or a `confirm` in front of it"));
        }
    }
    let passed = passed_by(checker, &open);
    for danger in open {
        let problem = ungated(checker, &danger, passed.get(&danger.step).copied());
        checker.push(problem);
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
        // One that is asked for each item of a list is not asked where the list is empty.
        let gates: Vec<bool> =
            checker.steps.iter().map(|step| step.is_gate() && step.for_each.is_none()).collect();
        let mut conditions = BTreeMap::new();
        for step in checker.steps.iter().zip(&gates).filter(|(_, gate)| **gate).map(|(step, _)| step) {
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
                .zip(&gates)
                .map(|(step, gate)| match (gate, &step.when) {
                    (false, _) => 0,
                    (true, None) => 1,
                    (true, Some(when)) => match conditions.get(when.value.source()) {
                        Some(at) if at / 63 == block => 2 << (at % 63),
                        _ => 0,
                    },
                })
                .collect();
            checker.flow.gather(&own, &[], Reach::Open)
        });
        Self { masks: masks.collect(), conditions }
    }

    fn guarded(&self, checker: &Checker<'_>, step: usize) -> bool {
        if self.masks.iter().any(|block| block[step] & 1 != 0) {
            return true;
        }
        let around = [step].into_iter().chain(checker.flow.lists.around(step));
        around.filter_map(|at| checker.steps[at].when.as_ref()).any(|when| {
            let condition = self.conditions.get(when.value.source());
            condition.is_some_and(|at| self.masks[at / 63][step] & (2 << (at % 63)) != 0)
        })
    }
}

/// For each step of these: the last gate before it, which does not count.
fn passed_by(checker: &Checker<'_>, open: &[Danger]) -> BTreeMap<usize, usize> {
    let mut out = BTreeMap::new();
    let gates: Vec<usize> = (0..checker.steps.len()).filter(|at| checker.steps[*at].is_gate()).collect();
    if open.is_empty() {
        return out;
    }
    checker.flow.each_block(&gates, Reach::Behind, |chunk, masks| {
        for step in open.iter().map(|danger| danger.step).filter(|step| masks[*step] != 0) {
            out.insert(step, chunk[63 - masks[step].leading_zeros() as usize]);
        }
    });
    out
}

/// Why a gate does not count for what lies behind it, and what could be done.
fn why_passed(checker: &Checker<'_>, danger: usize, gate: usize) -> Option<(String, &'static str)> {
    let flow = &checker.flow;
    let (_, outermost) = flow.lists.side_by_side(danger, gate)?;
    let mut at = gate;
    loop {
        let step = checker.steps[at];
        let name = step.name();
        let inside =
            if at == gate { String::new() } else { format!(", and `{}` with it", checker.name(gate)) };
        if let Some(when) = &step.when {
            let why = format!("`{name}` is skipped unless {}{inside}", when.value.source());
            let own = "give both the same `when`, or the gate none";
            return Some((
                why,
                if at == gate { own } else { "put a gate behind the group, or the step into it" },
            ));
        }
        if step.for_each.is_some() {
            let why = format!("`{name}` is done for each item of a list{inside}, and the list may be empty");
            return Some((why, "put a gate behind the list, or the step inside it"));
        }
        if step.run_on.as_ref().is_some_and(|on| on.value == RunOnWord::Failure) {
            let why = format!("`{name}` is left out where nothing failed{inside}");
            return Some((why, "put a gate behind it"));
        }
        if at != gate && flow.is_blind(at) {
            let why =
                format!("a step of `{name}` before `{}` fails, and `then: continue`", checker.name(gate));
            return Some((why, "put the gate behind the group, or in front of it"));
        }
        if at == outermost {
            return None;
        }
        if flow.lists.places[at].handles {
            let why = format!("`{name}` runs only where a step of its group fails{inside}");
            return Some((why, "put a gate behind the group, or in front of it"));
        }
        if flow.is_spared(at) {
            let why = format!("a step before `{name}` fails, as it is allowed to{inside}");
            return Some((why, "put the gate in front of that step, or behind the group"));
        }
        at = flow.lists.places[at].within?;
    }
}

fn ungated(checker: &Checker<'_>, danger: &Danger, gate: Option<usize>) -> Diagnostic {
    let message = format!("{} is destructive, and no gate stands in front of it", danger.what);
    let problem = checker.error("ungated", danger.span, message);
    let passed = gate.and_then(|gate| Some((gate, why_passed(checker, danger.step, gate)?)));
    if let Some((gate, (why, help))) = passed {
        let own = checker.steps[gate].when.is_some();
        let label = if own {
            "this gate is skipped when its `when` does not hold"
        } else {
            "this gate can be passed by"
        };
        return problem
            .also(checker.id_span(gate).at(checker.source), label)
            .help(format!("the way round: {why}, and then `{}` starts", checker.name(danger.step)))
            .help(help);
    }
    let problem = problem.help(format!("the way round: {}", way(checker, danger.step)));
    if danger.step >= checker.flow.main && checker.flow.lists.places[danger.step].within.is_none() {
        return problem.help(
            "`finally` runs at every ending, so a gate in the main list does not stand in front of it",
        );
    }
    let handles = [danger.step].into_iter().chain(checker.flow.lists.around(danger.step));
    let problem = match handles.into_iter().any(|at| checker.flow.lists.places[at].handles) {
        true => problem.help(
            "what a group does on a failure may begin before any gate of the group is asked, so only one in front \
             of the group stands in front of it",
        ),
        false => problem,
    };
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
