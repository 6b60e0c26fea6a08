//! Rule 10 over runs in which nearly every step switches something: in groups, for each of a list, in rounds, in
//! `finally`, and with every fault. `CONSIGNE_SIM_RUNS` asks for more of them.

use consigne::core::*;
use consigne::plan::*;

use crate::drive::{Driven, judged, swarm};
use crate::nests;
use crate::rng::Rng;
use crate::runs::{all, kept_seeds, setting};

/// What became of the toggles of a run, seen from its events alone: `(switched, put back, left)`.
fn toggles(plan: &Plan, driven: &Driven) -> Result<(u64, u64, u64), String> {
    let mut open: Vec<String> = Vec::new();
    let (mut switched, mut back, mut left) = (0, 0, 0);
    let mut may: std::collections::BTreeMap<String, bool> = std::collections::BTreeMap::new();
    let mut roles = std::collections::BTreeMap::new();
    for event in driven.entries.iter().flat_map(|entry| &entry.events) {
        let Some(place) = event.place() else { continue };
        let policy = event.step.as_ref().and_then(|step| nests::find(plan, step).put_back);
        match &event.fact {
            Fact::AttemptStarted { role: role @ (Role::Do | Role::OnlyIf | Role::PutBack), .. } => {
                let blind = *role == Role::PutBack && may.get(&place) == Some(&false);
                if blind && policy.is_some_and(|policy| policy.otherwise == OtherwisePutBack::Ask) {
                    return Err(format!("{place} is put back though it may not be"));
                }
                if *role == Role::Do && policy.is_some() && !roles.contains_key(&place) {
                    open.push(place.clone());
                    switched += 1;
                }
                let _before = roles.insert(place, *role);
            }
            Fact::AttemptFinished { result, .. } if roles.get(&place) == Some(&Role::OnlyIf) => {
                may.insert(place, *result == AttemptResult::Succeeded);
            }
            // A person may say so all the same.
            Fact::AskAnswered { decision: Decision::PutBack, .. } => {
                may.remove(&place);
            }
            Fact::ReversalClosed { kind: Reversal::PutBack, how, .. } => {
                open.retain(|other| *other != place);
                back += u64::from(*how == ReversalEnd::Done);
                left += u64::from(*how == ReversalEnd::LeftOpen);
            }
            Fact::RunFinished { .. } if !open.is_empty() => {
                return Err(format!("the run is over, and nobody decided about {open:?}"));
            }
            _ => {}
        }
    }
    Ok((switched, back, left))
}

fn switched(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 41);
    let most = rng.pick(&[2, 4, 6, 10]);
    let plan = nests::toggles(&mut rng, most);
    let driven = judged(seed, &plan, || swarm(&plan, seed))?;
    let (switched, back, left) = toggles(&plan, &driven).map_err(|why| format!("{why}\nseed {seed}"))?;
    if back + left > switched {
        return Err(format!("{switched} switched, and {back} put back, {left} left\nseed {seed}"));
    }
    Ok(switched)
}

#[test]
fn rule_10_no_toggle_is_left_open_undecided_and_none_is_put_back_while_it_may_not_be() {
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(1_000);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    for seed in kept_seeds("toggles ") {
        switched(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let toggles = all(first, count, switched);
    assert!(toggles > count / 2, "{toggles} toggles in {count} runs");
}
