//! Thousands of seeds. `CONSIGNE_SIM_RUNS` and `CONSIGNE_SIM_SEED` ask for more of them, or for one again.

use std::collections::{BTreeMap, BTreeSet};

use consigne::plan::Plan;

use crate::drive::{judged, revived, steady, swarm, tampered};
use crate::nests;
use crate::plans;
use crate::rng::Rng;

/// Seeds that failed once.
const SEEDS: &str = include_str!("seeds.txt");

pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `count` seeds on all processors; the first failure is shown whole.
pub fn all(first: u64, count: u64, run: impl Fn(u64) -> Result<u64, String> + Sync) -> u64 {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4) as u64;
    let results: Vec<Result<u64, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let run = &run;
                scope.spawn(move || (first + worker..first + count).step_by(threads as usize).map(run).sum())
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a worker died".into())))
            .collect()
    });
    let mut total = 0;
    for result in results {
        match result {
            Ok(runs) => total += runs,
            Err(why) => panic!("{why}"),
        }
    }
    total
}

fn one_swarm(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 1);
    let most = rng.pick(&[3, 6, 6, 12, 12, 40]);
    let plan = plans::random(&mut rng, most);
    judged(seed, &plan, || swarm(&plan, seed)).map(|_| 1)
}

fn one_nested_swarm(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 31);
    let most = rng.pick(&[2, 4, 6, 10, 16]);
    let plan = nests::random(&mut rng, most);
    judged(seed, &plan, || swarm(&plan, seed)).map(|_| 1)
}

fn one_with_crashes(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 4);
    let most = rng.pick(&[2, 4, 8, 12]);
    every_crash(seed, &plans::random(&mut rng, most))
}

fn one_nested_with_crashes(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 34);
    let most = rng.pick(&[1, 2, 4, 8]);
    every_crash(seed, &nests::random(&mut rng, most))
}

/// A steady run, and a new process after every entry of it, clean and torn.
fn every_crash(seed: u64, plan: &Plan) -> Result<u64, String> {
    let whole = judged(seed, plan, || steady(plan, seed))?;
    let mut runs = 1;
    for kept in 0..=whole.entries.len() {
        for torn in [false, true] {
            if (torn || kept > 0) && (!torn || kept < whole.entries.len()) {
                judged(seed, plan, || revived(plan, &whole, kept, torn, seed))?;
                runs += 1;
            }
        }
    }
    Ok(runs)
}

pub fn kept_seeds(kind: &str) -> impl Iterator<Item = u64> {
    SEEDS.lines().filter_map(move |line| line.strip_prefix(kind)?.trim().parse().ok())
}

#[test]
fn random_runs_with_every_fault() {
    for seed in kept_seeds("swarm ") {
        one_swarm(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(2_000);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_swarm);
    assert_eq!(runs, count);
}

#[test]
fn a_crash_after_every_entry() {
    for seed in kept_seeds("crash ") {
        one_with_crashes(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(200);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_with_crashes);
    assert!(runs > 5 * count, "{runs}");
}

#[test]
fn random_runs_with_groups_lists_and_rounds() {
    for seed in kept_seeds("nested ") {
        one_nested_swarm(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(1_000);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_nested_swarm);
    assert_eq!(runs, count);
}

#[test]
fn a_crash_after_every_entry_of_groups_lists_and_rounds() {
    for seed in kept_seeds("nested crash ") {
        one_nested_with_crashes(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(100);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_nested_with_crashes);
    assert!(runs > 5 * count, "{runs}");
}

/// What is never seen was never tested: every kind of fact, every way a question, an attempt and a step can end.
#[test]
fn everything_comes_about() {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 1..=700 {
        let rng = &mut Rng::stream(seed, 6);
        let plan = if seed <= 400 { plans::random(rng, 12) } else { nests::random(rng, 12) };
        let mut laid_out = BTreeSet::new();
        let driven = judged(seed, &plan, || swarm(&plan, seed)).unwrap_or_else(|why| panic!("{why}"));
        for event in driven.entries.iter().flat_map(|entry| &entry.events) {
            let fact = serde_json::to_value(&event.fact).expect("facts are JSON");
            *seen.entry(event.fact.name().to_owned()).or_default() += 1;
            let of = |step: &String| plan.graph.steps.iter().find(|node| node.id == *step);
            let list = event.step.as_ref().and_then(of).is_some_and(|node| node.each.is_some());
            if list && event.fact.name() == "step.expanded" && !laid_out.insert(event.place()) {
                *seen.entry("step.expanded again".to_owned()).or_default() += 1;
            }
            for field in ["kind", "how", "role", "status", "result", "outcome", "decision"] {
                if let Some(value) = fact["data"][field].as_str() {
                    *seen.entry(format!("{} {field} {value}", event.fact.name())).or_default() += 1;
                }
            }
        }
    }
    let all = include_str!("seen.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let never: Vec<&str> = all.filter(|line| !seen.contains_key(*line)).collect();
    assert!(never.is_empty(), "never seen: {never:?}\nseen: {seen:#?}");
}

/// What was approved is what is done, or it is asked again: also when the values of the plan change under the run.
#[test]
fn approvals_are_voided_when_what_they_cover_changes() {
    let voided = all(1, 1_500, |seed| {
        let plan = plans::random(&mut Rng::stream(seed, 11), 10);
        one_tampered(seed, plan, "color")
    });
    assert!(voided > 30, "{voided}");
}

/// The same where what is approved is a list: one of its items changes, or one more comes to it.
#[test]
fn rule_03_approvals_of_groups_and_lists_are_voided_when_what_they_cover_changes() {
    for seed in kept_seeds("tampered ") {
        one_nested_tampered(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(500);
    let voided = all(setting("CONSIGNE_SIM_SEED").unwrap_or(1), count, one_nested_tampered);
    assert!(voided > count / 50, "{voided}");
}

fn one_nested_tampered(seed: u64) -> Result<u64, String> {
    one_tampered(seed, nests::random(&mut Rng::stream(seed, 51), 8), "color")
}

/// How many approvals were voided in a run whose input changes under it.
fn one_tampered(seed: u64, mut plan: Plan, input: &str) -> Result<u64, String> {
    if plans::color_what_is_covered(&mut plan) == 0 {
        return Ok(0);
    }
    let mut other = plan.clone();
    other.values.inputs.insert(input.into(), "another".into());
    let driven = judged(seed, &plan, || tampered(&plan, &other, seed))?;
    let events = driven.entries.iter().flat_map(|entry| &entry.events);
    Ok(events.filter(|event| event.fact.name() == "approval.voided").count() as u64)
}
