//! A part of a finished run done again: what stands is taken over, what comes after is done, and people are asked anew.

use std::collections::BTreeSet;

use consigne::clock::Timestamp;
use consigne::core::rerun::{again, imports, take_over};
use consigne::core::*;
use consigne::plan::*;

use crate::drive::{Driven, judged, swarm};
use crate::nests;
use crate::plans;
use crate::rng::Rng;
use crate::runs::all;
use crate::sabotage::{act, gate, plan_of, scripted};
use crate::world::Fate;

fn end_of(plan: &Plan, driven: &Driven) -> State {
    let shape = Shape::new(plan.graph.clone()).expect("well formed");
    let mut state = State::new(std::sync::Arc::new(shape), "run");
    for entry in &driven.entries {
        for event in &entry.events {
            state.apply(entry.at, event).expect("a run folds");
        }
    }
    state
}

fn rerun_of(plan: &Plan, state: &State, from: &str) -> Plan {
    let mut next = plan.clone();
    let over = again(&plan.graph, from).expect("a step of the main section");
    let found = imports(plan, state, &over);
    let rerun = Rerun { run: "run".into(), from: from.into(), size: 1, root: "root".into() };
    take_over(&mut next, found, rerun);
    next
}

fn imported(driven: &Driven) -> BTreeSet<String> {
    let events = driven.entries.iter().flat_map(|entry| &entry.events);
    events
        .filter(|event| matches!(event.fact, Fact::StepImported { .. }))
        .filter_map(|event| event.step.clone())
        .collect()
}

#[test]
fn random_runs_done_again_from_any_step() {
    let taken_over = all(1, 600, |seed| one_again(seed, &plans::random(&mut Rng::stream(seed, 21), 12)));
    assert!(taken_over > 150, "{taken_over}");
}

/// Items and rounds are done again always; what stands in a plain group is taken over like what stands in none.
#[test]
fn random_runs_with_groups_and_lists_done_again_from_any_step() {
    let taken_over = all(1, 300, |seed| one_again(seed, &nests::random(&mut Rng::stream(seed, 23), 8)));
    assert!(taken_over > 30, "{taken_over}");
}

/// How many steps were taken over.
fn one_again(seed: u64, plan: &Plan) -> Result<u64, String> {
    let first = judged(seed, plan, || swarm(plan, seed))?;
    let state = end_of(plan, &first);
    let main: Vec<&StepNode> = plan.graph.steps.iter().filter(|step| step.section == Section::Main).collect();
    if state.run.finished.is_none() || main.is_empty() {
        return Ok(0);
    }
    let from = Rng::stream(seed, 22).pick(&main).id.clone();
    let next = rerun_of(plan, &state, &from);
    let second = judged(seed, &next, || swarm(&next, seed + 7))?;
    let taken = imported(&second);
    if taken.contains(&from) {
        return Err(format!("{from} was to be done again"));
    }
    for name in &taken {
        let node = nests::find(plan, name);
        if !nests::own_loops(plan, node).is_empty() || node.handles {
            return Err(format!("{name} is in a list, in rounds or a handler, and was taken over"));
        }
        let (_, before) = state.find(name).expect("a step of both");
        if before.status != Status::Succeeded {
            return Err(format!("{name} did not succeed, and was taken over"));
        }
        let again = second.entries.iter().flat_map(|entry| &entry.events).any(|event| {
            event.step.as_ref() == Some(name)
                && matches!(event.fact, Fact::AttemptStarted { role: Role::Do, .. })
        });
        if again {
            return Err(format!("{name} was taken over, and done again"));
        }
    }
    Ok(taken.len() as u64)
}

/// From a step inside a group: what stands before it there is taken over, what comes after it is not, nor what comes
/// after the group; and no list is.
#[test]
fn what_comes_before_a_step_of_a_group_is_taken_over() {
    let mut group = StepNode { above: true, ..StepNode::new("all", Kind::Group, Effect::Read) };
    group.group = Some(GroupNode::default());
    let inside = |id: &str| {
        let (node, values) = act(id, Effect::Write);
        (StepNode { within: Some("all".into()), ..node }, values)
    };
    let mut plan = plan_of(vec![
        act("before", Effect::Write),
        (group, StepValues::default()),
        inside("one"),
        inside("two"),
        inside("three"),
        act("after", Effect::Write),
        act("each", Effect::Write),
    ]);
    plan.graph.steps[6].above = false;
    plan.graph.steps[6].needs.clear();
    plan.graph.steps[6].each = Some(EachNode {
        max_parallel: 1,
        canary: None,
        max_targets: Some(3),
        max_failures: None,
        empty_ok: false,
        when_each: false,
    });
    let list = Each { items: nests::expr("[\"a\"]"), name: "of".into(), key: None };
    plan.values.steps.get_mut("each").expect("the list").each = Some(list);
    let (state, _) = ended(&plan, &[]);
    let next = rerun_of(&plan, &state, "two");
    let (_, driven) = ended(&next, &[]);
    assert_eq!(imported(&driven), BTreeSet::from(["before".into(), "one".into()]));
}

fn world() -> Plan {
    plan_of(vec![
        act("read", Effect::Read),
        gate("go", Kind::Approve, 1, &["write"]),
        act("write", Effect::Write),
        act("after", Effect::Write),
    ])
}

fn ended(plan: &Plan, script: &[(&str, Fate)]) -> (State, Driven) {
    let mut life = scripted(plan, script);
    life.calm();
    let driven = life.done();
    assert!(driven.objections.is_empty(), "{:?}", driven.objections);
    (end_of(plan, &driven), driven)
}

#[test]
fn the_gate_is_asked_again_and_what_stands_is_not_done_twice() {
    let plan = world();
    let (state, _) = ended(&plan, &[]);
    let next = rerun_of(&plan, &state, "after");
    let (second, driven) = ended(&next, &[]);
    assert_eq!(imported(&driven), BTreeSet::from(["read".into(), "write".into()]));
    let gate = second.find("go").expect("the gate").1;
    assert_eq!(gate.status, Status::Succeeded);
    assert!(second.asks().any(|ask| !ask.answers.is_empty()), "somebody was asked again");
    assert_eq!(second.find("write").expect("the write").1.reason.as_deref(), Some("imported"));
}

#[test]
fn a_step_whose_request_has_changed_is_done() {
    let plan = world();
    let (state, _) = ended(&plan, &[]);
    let mut next = rerun_of(&plan, &state, "after");
    next.values.inputs.insert("color".into(), serde_json::json!("blue"));
    let (_, driven) = ended(&next, &[]);
    assert_eq!(imported(&driven), BTreeSet::new());
}

#[test]
fn what_did_not_succeed_and_what_was_reversed_is_done_again() {
    let plan = world();
    let (state, _) = ended(&plan, &[("write", Fate::UnknownDid)]);
    if state.find("write").expect("the write").1.status != Status::Succeeded {
        assert!(!rerun_of(&plan, &state, "after").graph.steps[2].imported);
    }
    let mut undone = world();
    undone.graph.steps[2].put_back = Some(PutBackNode { only_if: false, otherwise: OtherwisePutBack::Auto });
    undone.values.steps.get_mut("write").expect("the write").put_back = Some(plans::probe("back"));
    let (state, _) = ended(&undone, &[]);
    assert_eq!(state.find("write").expect("the write").1.status, Status::Succeeded);
    assert!(!rerun_of(&undone, &state, "after").graph.steps[2].imported, "it was switched back");
}

#[test]
fn an_import_without_its_mark_is_no_history() {
    let plan = world();
    let shape = Shape::new(plan.graph.clone()).expect("well formed");
    let mut state = State::new(std::sync::Arc::new(shape), "run");
    let (_, driven) = ended(&plan, &[]);
    for event in &driven.entries[0].events {
        if event.step.is_none() {
            state.apply(Timestamp::default(), event).expect("the start");
        }
    }
    let mut event = driven.entries[0].events[0].clone();
    event.step = Some("read".into());
    event.fact = Fact::StepImported { outputs: std::collections::BTreeMap::new() };
    let why = state.apply(Timestamp::default(), &event).expect_err("no earlier run did it").to_string();
    assert!(why.contains("no earlier run did it"), "{why}");
}
