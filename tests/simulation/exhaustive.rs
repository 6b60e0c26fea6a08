//! Small plans, all of them.
//!
//! The declared spaces:
//! - *two*: plans of one and two steps. Each step is a read, a write, a keyed write, a write with a probe, an
//!   approval or a confirmation; stands above-ordered or with no needs; and its first attempt is good, bad, unknown
//!   and done, or unknown and not done (a gate: yes or no).
//! - *three*: plans of three steps, each a good write, a write of unknown outcome that happened, or a gate that is
//!   opened; above-ordered or with no needs.
//! - *four*: plans of four steps, each a good write or a gate that is opened; above-ordered or with no needs.
//!
//! Every plan is run in every order of completion that its needs allow, and taken up by a new process after every
//! entry: the entry whole or torn, what was under way done or not done (in *four*: torn entries only, done).
//! Approvals cover every write behind them.

use consigne::plan::*;

use crate::checkers::Historian;
use crate::drive::{Life, judged};
use crate::plans::{probe, upstream};
use crate::rng::Rng;
use crate::runs::all;
use crate::sabotage::{act, gate, plan_of};
use crate::world::{Fate, Rates};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Read,
    Write,
    Keyed,
    Probed,
    Approve,
    Confirm,
}

/// One step: its sort, whether it waits for those above, and what comes of it.
type Choice = (Sort, bool, Fate);

fn choices(sorts: &[Sort], fates: &[Fate], gate_fates: &[Fate], first: bool) -> Vec<Choice> {
    let mut all = Vec::new();
    for sort in sorts {
        let fates = if matches!(sort, Sort::Approve | Sort::Confirm) { gate_fates } else { fates };
        for fate in fates {
            for above in if first { &[true][..] } else { &[true, false] } {
                all.push((*sort, *above, *fate));
            }
        }
    }
    all
}

/// Every sequence of `length` choices.
fn sequences(length: usize, of: impl Fn(bool) -> Vec<Choice>) -> Vec<Vec<Choice>> {
    let mut all: Vec<Vec<Choice>> = vec![Vec::new()];
    for at in 0..length {
        let next = of(at == 0);
        all = all.iter().flat_map(|one| next.iter().map(|c| [one.as_slice(), &[*c]].concat())).collect();
    }
    all
}

/// The ranks at which steps end, in every order in which nothing ends before what it waits for.
fn orders(plan: &Plan) -> Vec<Vec<usize>> {
    let steps = &plan.graph.steps;
    let place = |name: &String| steps.iter().position(|step| step.id == *name);
    let fits = |order: &Vec<usize>| {
        let pairs = steps
            .iter()
            .enumerate()
            .flat_map(|(at, step)| step.needs.iter().filter_map(place).map(move |n| (n, at)));
        pairs.into_iter().all(|(need, at)| order[need] < order[at])
    };
    permutations(steps.len()).into_iter().filter(fits).collect()
}

fn permutations(length: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..length {
        all = all
            .iter()
            .flat_map(|one| (0..length).filter(|n| !one.contains(n)).map(|n| [one.as_slice(), &[n]].concat()))
            .collect();
    }
    all
}

fn build(choices: &[Choice]) -> Plan {
    let mut steps = Vec::new();
    for (at, (sort, above, _)) in choices.iter().enumerate() {
        let id = format!("s{at}");
        let (mut node, mut values) = match sort {
            Sort::Read => act(&id, Effect::Read),
            Sort::Write | Sort::Keyed | Sort::Probed => act(&id, Effect::Write),
            Sort::Approve => gate(&id, Kind::Approve, 1, &[]),
            Sort::Confirm => gate(&id, Kind::Confirm, 1, &[]),
        };
        node.above = *above;
        node.keyed = *sort == Sort::Keyed;
        if *sort == Sort::Probed {
            node.verify = Some(VerifyNode { first: false, absent: true });
            values.verify = Some(probe("verify"));
        }
        steps.push((node, values));
    }
    let mut plan = plan_of(steps);
    for at in 0..plan.graph.steps.len() {
        if plan.graph.steps[at].kind == Kind::Approve {
            let name = plan.graph.steps[at].id.clone();
            let behind = plan.graph.steps[at + 1..].iter();
            let behind =
                behind.filter(|step| step.effect == Effect::Write && upstream(&plan, step).contains(&name));
            let covers = behind.map(|step| step.id.clone()).collect();
            if let Some(gate) = &mut plan.graph.steps[at].gate {
                gate.covers = covers;
            }
        }
    }
    plan
}

fn life<'a>(plan: &'a Plan, choices: &[Choice], order: &[usize]) -> Life<'a> {
    let mut life = Life::new(plan, Rng::new(7), Rates::default());
    life.sim.world.calm = true;
    for (at, (_, _, fate)) in choices.iter().enumerate() {
        // Longer than all that ends before, one after the other.
        let after = 10 * 8_u64.pow(u32::try_from(order[at]).unwrap_or(0));
        life.sim.world.script.insert(format!("s{at}"), (*fate, after));
    }
    life
}

/// Runs one plan in one order, and again from every entry of it. Gives the number of runs.
fn every_crash(plan: &Plan, choices: &[Choice], order: &[usize], torn_only: bool) -> Result<u64, String> {
    let whole = judged(0, plan, || {
        let mut life = life(plan, choices, order);
        life.sim.world.snapshots = Some(Vec::new());
        life.begin_attended();
        life.settle();
        life.done()
    })?;
    let mut runs = 1;
    let mut before = Historian::new(plan);
    for kept in 0..=whole.entries.len() {
        before.recall(&whole.entries[kept.saturating_sub(1)..kept]);
        let busy = before.model.running() > 0;
        for (torn, did) in [(true, true), (true, false), (false, true), (false, false)] {
            let beyond = if torn { kept == whole.entries.len() } else { kept == 0 || torn_only };
            if beyond || (!did && (!busy || torn_only)) {
                continue;
            }
            judged(0, plan, || {
                let mut life = life(plan, choices, order);
                life.revive(&whole, kept, torn, |_| did);
                life.settle();
                life.done()
            })?;
            runs += 1;
        }
    }
    Ok(runs)
}

fn explore(plans: &[Vec<Choice>], torn_only: bool) -> u64 {
    all(0, plans.len() as u64, |at| {
        let choices = &plans[usize::try_from(at).unwrap_or(0)];
        let plan = build(choices);
        orders(&plan).iter().map(|order| every_crash(&plan, choices, order, torn_only)).sum()
    })
}

const GATES: [Fate; 2] = [Fate::Good, Fate::Bad];

#[test]
fn every_plan_of_one_and_two_steps() {
    use Sort::*;
    let fates = [Fate::Good, Fate::Bad, Fate::UnknownDid, Fate::UnknownNot];
    let of = |first| choices(&[Read, Write, Keyed, Probed, Approve, Confirm], &fates, &GATES, first);
    let plans = [sequences(1, of), sequences(2, of)].concat();
    let runs = explore(&plans, false);
    assert!(runs > 10_000, "{runs}");
}

#[test]
fn every_plan_of_three_steps() {
    let of =
        |first| choices(&[Sort::Write, Sort::Approve], &[Fate::Good, Fate::UnknownDid], &[Fate::Good], first);
    let runs = explore(&sequences(3, of), false);
    assert!(runs > 5_000, "{runs}");
}

#[test]
fn every_plan_of_four_steps() {
    let of = |first| choices(&[Sort::Write, Sort::Approve], &[Fate::Good], &[Fate::Good], first);
    let runs = explore(&sequences(4, of), true);
    assert!(runs > 5_000, "{runs}");
}
