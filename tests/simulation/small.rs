//! Small plans with groups, lists and rounds, all of them.
//!
//! The declared space: plans of one and two parts, each a write, an approval that binds what is behind it, a group of
//! two writes that run one after the other, a list of two items, or a group in two rounds at most that goes on until its
//! step has succeeded; the second part stands above-ordered or with no needs. What runs first in a part is good or bad, or
//! (alone) unknown and done; a gate is opened or shut. Every plan is run in both orders of its parts, and taken up by a
//! new process after every entry: the entry whole or torn (with two parts: torn), what was under way done or not.

use consigne::plan::*;

use crate::doctored::{PLAIN, each, group, lenient, rounds, within};
use crate::drive::{Life, judged};
use crate::rng::Rng;
use crate::runs::all;
use crate::sabotage::{act, gate, plan_of};
use crate::world::{Fate, Rates};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Write,
    Approve,
    Group,
    List,
    Rounds,
}

type Choice = (Part, bool, Fate);

fn choices(fates: &[Fate], above: &[bool]) -> Vec<Choice> {
    let parts = [Part::Write, Part::Approve, Part::Group, Part::List, Part::Rounds];
    let of_part = |part: Part| {
        let fates = if part == Part::Approve { &[Fate::Good, Fate::Bad] } else { fates };
        fates.iter().flat_map(move |fate| above.iter().map(move |above| (part, *above, *fate)))
    };
    parts.into_iter().flat_map(of_part).collect()
}

fn build(choices: &[Choice]) -> Plan {
    let mut steps = Vec::new();
    for (at, (part, above, _)) in choices.iter().enumerate() {
        let (id, one, two) = (format!("s{at}"), format!("s{at}a"), format!("s{at}b"));
        let from = steps.len();
        match part {
            Part::Write => steps.push(act(&id, Effect::Write)),
            Part::Approve => steps.push(gate(&id, Kind::Approve, 1, &[])),
            Part::Group => {
                steps.push(group(&id, GroupNode::default()));
                steps.push(within(&id, act(&one, Effect::Write)));
                steps.push(within(&id, act(&two, Effect::Write)));
            }
            Part::List => steps.push(each("[\"a\", \"b\"]", PLAIN, act(&id, Effect::Write))),
            Part::Rounds => {
                let until = format!("steps.{one}.outcome == \"succeeded\"");
                steps.push(rounds(2, &until, group(&id, GroupNode::default())));
                let (mut node, values) = lenient(within(&id, act(&one, Effect::Write)));
                node.allowed = true;
                steps.push((node, values));
            }
        }
        steps[from].0.above = *above;
    }
    let mut plan = plan_of(steps);
    let second_follows = choices.get(1).is_some_and(|(_, above, _)| *above);
    if choices[0].0 == Part::Approve && second_follows {
        let behind = plan.graph.steps[1..].iter().filter(|step| step.kind.runs());
        let covers = behind.map(|step| step.id.clone()).collect();
        plan.graph.steps[0].gate.as_mut().expect("a gate").covers = covers;
    }
    plan
}

fn life<'a>(plan: &'a Plan, choices: &[Choice], swapped: bool) -> Life<'a> {
    let mut life = Life::new(plan, Rng::new(7), Rates::default());
    life.sim.world.calm = true;
    for (at, (part, _, fate)) in choices.iter().enumerate() {
        let after = if (at == 1) == swapped { 10 } else { 100 };
        // What is first in it: a step, an item, or what a round does.
        let first = match part {
            Part::Write | Part::Approve => format!("s{at}"),
            Part::Group => format!("s{at}a"),
            Part::List => format!("s{at}[1]"),
            Part::Rounds => format!("s{at}a[1]"),
        };
        for id in plan.graph.steps.iter().filter(|step| step.id.starts_with(&format!("s{at}"))) {
            life.sim.world.script.insert(id.id.clone(), (Fate::Good, after));
        }
        life.sim.world.script.insert(first, (*fate, after));
    }
    life
}

/// Runs one plan, and again from every entry of it. Gives the number of runs.
fn every_crash(choices: &[Choice], swapped: bool, torn_only: bool) -> Result<u64, String> {
    let plan = build(choices);
    let whole = judged(0, &plan, || {
        let mut life = life(&plan, choices, swapped);
        life.sim.world.snapshots = Some(Vec::new());
        life.begin_attended();
        life.settle();
        life.done()
    })?;
    let mut runs = 1;
    for kept in 0..=whole.entries.len() {
        for (torn, did) in [(true, true), (true, false), (false, true), (false, false)] {
            let beyond = if torn { kept == whole.entries.len() } else { kept == 0 || torn_only };
            if !beyond {
                judged(0, &plan, || {
                    let mut life = life(&plan, choices, swapped);
                    life.revive(&whole, kept, torn, |_| did);
                    life.settle();
                    life.done()
                })?;
                runs += 1;
            }
        }
    }
    Ok(runs)
}

#[test]
fn every_plan_of_one_part() {
    let fates = [Fate::Good, Fate::Bad, Fate::UnknownDid, Fate::UnknownNot];
    let plans = choices(&fates, &[true]);
    let runs = all(0, plans.len() as u64, |at| {
        every_crash(&[plans[usize::try_from(at).unwrap_or(0)]], false, false)
    });
    assert!(runs > 250, "{runs}");
}

#[test]
fn every_plan_of_two_parts() {
    let firsts = choices(&[Fate::Good, Fate::Bad], &[true]);
    let seconds = choices(&[Fate::Good, Fate::Bad], &[true, false]);
    let pair = |first: &Choice| seconds.iter().map(|second| [*first, *second]).collect::<Vec<_>>();
    let plans: Vec<[Choice; 2]> = firsts.iter().flat_map(pair).collect();
    let runs = all(0, plans.len() as u64, |at| {
        let choices = &plans[usize::try_from(at).unwrap_or(0)];
        let orders = if choices[1].1 { &[false][..] } else { &[false, true] };
        orders.iter().map(|swapped| every_crash(choices, *swapped, true)).sum()
    });
    assert!(runs > 2_500, "{runs}");
}
