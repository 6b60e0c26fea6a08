//! The checkers of groups, lists, rounds and reverts object, each to a history that was doctored in its way or is
//! judged by another plan, and no other does.

use std::collections::BTreeSet;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::plan::*;
use serde_json::json;

use crate::checkers::Historian;
use crate::drive::begin;
use crate::nests::expr;
use crate::plans::probe;
use crate::rng::Rng;
use crate::sabotage::{act, gate, plan_of, scripted};
use crate::world::Fate;

type Pair = (StepNode, StepValues);

pub fn group(id: &str, of: GroupNode) -> Pair {
    let node = StepNode { above: true, ..StepNode::new(id, Kind::Group, Effect::Read) };
    (StepNode { group: Some(of), ..node }, StepValues::default())
}

pub fn within(group: &str, (node, values): Pair) -> Pair {
    (StepNode { within: Some(group.into()), ..node }, values)
}

pub fn handler(group: &str, pair: Pair) -> Pair {
    let (node, values) = within(group, pair);
    (StepNode { handles: true, ..node }, values)
}

/// Goes on after a failure.
pub fn lenient((node, values): Pair) -> Pair {
    (StepNode { on_failure: Some(OnFailure::Continue), ..node }, values)
}

pub const PLAIN: EachNode = EachNode {
    max_parallel: 1,
    canary: None,
    max_targets: Some(9),
    max_failures: None,
    empty_ok: false,
    when_each: false,
};

pub fn each(items: &str, of: EachNode, (mut node, mut values): Pair) -> Pair {
    node.each = Some(of);
    values.each = Some(Each { items: expr(items), name: "of".into(), key: None });
    (node, values)
}

pub fn rounds(max: u32, until: &str, (mut node, mut values): Pair) -> Pair {
    node.repeat = Some(RepeatNode { max, every_ms: None });
    values.repeat_until = Some(expr(until));
    (node, values)
}

pub fn history(plan: &Plan, script: &[(&str, Fate)]) -> Vec<Decided> {
    let mut life = scripted(plan, script);
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    assert_eq!(life.sim.state.phase(), Phase::Finished);
    life.sim.entries.clone()
}

fn objectors(plan: &Plan, entries: &[Decided]) -> BTreeSet<&'static str> {
    let mut historian = Historian::new(plan);
    entries.iter().for_each(|entry| historian.entry(entry));
    historian.objections.iter().map(|(name, _)| *name).collect()
}

/// The history is fine as it is, and these alone object once it is doctored.
fn only(names: &[&'static str], plan: &Plan, entries: &[Decided], doctor: impl Fn(&mut Vec<Event>)) {
    assert_eq!(objectors(plan, entries), BTreeSet::new(), "before");
    let mut events: Vec<Event> = entries.iter().flat_map(|entry| entry.events.clone()).collect();
    doctor(&mut events);
    let doctored = [Decided { at: Timestamp::from_millis(2_000_000), events }];
    assert_eq!(objectors(plan, &doctored), names.iter().copied().collect());
}

/// The history is fine by its own plan, and these alone object by a stricter one.
fn judged_by(names: &[&'static str], plan: &Plan, entries: &[Decided], stricter: impl Fn(&mut Plan)) {
    assert_eq!(objectors(plan, entries), BTreeSet::new(), "before");
    let mut other = plan.clone();
    stricter(&mut other);
    assert_eq!(objectors(&other, entries), names.iter().copied().collect());
}

fn find(events: &[Event], nth: usize, is: impl Fn(&Event) -> bool) -> usize {
    (0..events.len()).filter(|at| is(&events[*at])).nth(nth).expect("the history has it")
}

fn named(name: &'static str, place: &'static str) -> impl Fn(&Event) -> bool {
    move |event| event.fact.name() == name && event.place().as_deref() == Some(place)
}

fn of_list(of: EachNode) -> Plan {
    plan_of(vec![lenient(each("[\"a\", \"b\", \"c\"]", of, act("each", Effect::Write)))])
}

fn list_of(plan: &mut Plan) -> &mut EachNode {
    plan.graph.steps[0].each.as_mut().expect("it is a list")
}

#[test]
fn a_step_that_begins_before_its_group() {
    let plan = plan_of(vec![group("all", GroupNode::default()), within("all", act("one", Effect::Write))]);
    only(&["inside"], &plan, &history(&plan, &[]), |events| {
        let entered = find(events, 0, named("step.entered", "all"));
        events.swap(entered, entered + 1);
    });
}

fn handled() -> Plan {
    plan_of(vec![
        lenient(group("all", GroupNode { handlers: true, then_continue: false })),
        within("all", act("one", Effect::Write)),
        handler("all", act("mend", Effect::Write)),
    ])
}

#[test]
fn a_handler_that_begins_by_itself() {
    let plan = handled();
    let entries = history(&plan, &[("one", Fate::Bad)]);
    only(&["inside"], &plan, &entries, |events| {
        let at = find(events, 0, named("step.handling", "all"));
        let _gone = events.remove(at);
    });
    only(&["groups"], &plan, &entries, |events| {
        let handling = find(events, 0, named("step.handling", "all"));
        let failed = find(events, 0, named("step.settled", "one"));
        events.swap(handling, failed);
    });
}

#[test]
fn a_group_that_is_better_than_its_steps() {
    let plan = handled();
    only(&["groups"], &plan, &history(&plan, &[("one", Fate::Bad)]), |events| {
        let at = find(events, 0, named("step.settled", "all"));
        events[at].fact = Fact::StepSettled { status: Status::Succeeded, reason: "done".into() };
    });
}

#[test]
fn a_list_with_more_items_or_two_of_one_name() {
    let plan = of_list(PLAIN);
    let entries = history(&plan, &[]);
    judged_by(&["lists"], &plan, &entries, |plan| list_of(plan).max_targets = Some(2));
    only(&["lists"], &plan, &entries, |events| {
        let at = find(events, 0, named("step.expanded", "each"));
        events[at].hidden.put("keys", &["a", "b", "a"]);
    });
}

#[test]
fn more_items_at_once_than_may_be() {
    let plan = of_list(EachNode { max_parallel: 2, ..PLAIN });
    judged_by(&["lists"], &plan, &history(&plan, &[]), |plan| list_of(plan).max_parallel = 1);
}

#[test]
fn others_that_do_not_wait_for_the_first() {
    let plan = of_list(PLAIN);
    let entries = history(&plan, &[]);
    for (ask, soak_ms) in [(true, None), (false, Some(1_000))] {
        let canary = Some(CanaryNode { count: 1, ask, soak_ms });
        judged_by(&["lists"], &plan, &entries, |plan| list_of(plan).canary = canary);
    }
    let plan = of_list(EachNode { canary: Some(CanaryNode { count: 1, ask: true, soak_ms: None }), ..PLAIN });
    only(&["lists"], &plan, &history(&plan, &[]), |events| {
        let said = find(events, 0, |event| matches!(event.fact, Fact::AskAnswered { .. }));
        if let Fact::AskAnswered { decision, .. } = &mut events[said].fact {
            *decision = Decision::No;
        }
    });
}

#[test]
fn items_that_begin_when_too_many_have_failed() {
    let plan = of_list(EachNode { max_failures: Some(Share::Count(1)), ..PLAIN });
    let entries = history(&plan, &[("each[1]", Fate::Bad)]);
    judged_by(&["groups", "lists", "order"], &plan, &entries, |plan| list_of(plan).max_failures = None);
}

/// Failed items done again, because somebody said so.
fn done_again() -> (Plan, Vec<Decided>) {
    let mut plan = of_list(EachNode { max_failures: Some(Share::Count(0)), ..PLAIN });
    plan.graph.steps[0].on_failure = Some(OnFailure::Ask);
    let again = |seed| {
        let mut life = scripted(&plan, &[("each[2]", Fate::Bad)]);
        life.sim.world.rng = Rng::new(seed);
        let _begun = life.sim.input(begin(&mut Rng::new(7), true));
        life.settle();
        life.sim.entries.clone()
    };
    // One seed in which whoever is asked says to try again.
    let twice = |entries: &Vec<Decided>| {
        let events = entries.iter().flat_map(|entry| &entry.events);
        events.filter(|event| event.fact.name() == "step.expanded").count() > 1
    };
    let entries = (1..100).map(again).find(twice).expect("somebody says to try again");
    (plan.clone(), entries)
}

#[test]
fn items_that_are_done_again_by_themselves_or_though_they_were_done() {
    let (mut plan, entries) = done_again();
    plan.graph.steps[0].on_failure = Some(OnFailure::Ask);
    only(&["lists"], &plan, &entries, |events| {
        let at = find(events, 0, named("step.overridden", "each"));
        let _gone = events.remove(at);
    });
    only(&["groups", "lists", "order"], &plan, &entries, |events| {
        let at = find(events, 1, named("step.expanded", "each"));
        events[at].hidden.put("keys", &["a"]);
    });
}

fn in_rounds(until: &str) -> Plan {
    let (all, of) = lenient(rounds(2, until, group("all", GroupNode::default())));
    plan_of(vec![(all, of), within("all", act("one", Effect::Write))])
}

#[test]
fn rounds_that_go_on_though_they_may_not() {
    let plan = in_rounds("false");
    let entries = history(&plan, &[]);
    judged_by(&["rounds"], &plan, &entries, |plan| {
        plan.graph.steps[0].repeat = Some(RepeatNode { max: 1, every_ms: None });
    });
    judged_by(&["rounds"], &plan, &entries, |plan| {
        plan.graph.steps[0].repeat = Some(RepeatNode { max: 2, every_ms: Some(1_000) });
    });
    judged_by(&["rounds"], &plan, &entries, |plan| {
        plan.values.steps.get_mut("all").expect("the rounds").repeat_until = Some(expr("true"));
    });
    let plan = in_rounds("true");
    judged_by(&["rounds"], &plan, &history(&plan, &[]), |plan| {
        plan.values.steps.get_mut("all").expect("the rounds").repeat_until = Some(expr("false"));
    });
}

#[test]
fn a_group_that_ends_while_something_of_it_is_switched() {
    let (mut node, mut values) = act("drain", Effect::Write);
    node.put_back = Some(PutBackNode { only_if: false, otherwise: OtherwisePutBack::Auto });
    values.put_back = Some(probe("undrain"));
    let plan = plan_of(vec![group("all", GroupNode::default()), within("all", (node, values))]);
    only(&["reversals", "scopes"], &plan, &history(&plan, &[]), |events| {
        let (closed, over) = (
            find(events, 0, named("reversal.closed", "drain")),
            find(events, 0, named("step.settled", "all")),
        );
        events.swap(closed, over);
    });
}

#[test]
fn a_revert_that_does_not_reverse_or_has_no_turn() {
    let (mut node, mut values) = act("one", Effect::Write);
    node.undo = true;
    values.undo = Some(probe("undo"));
    let mut revert = StepNode { above: true, ..StepNode::new("back", Kind::Revert, Effect::Write) };
    revert.reverts = vec!["one".into()];
    let plan = plan_of(vec![(node, values), (revert, StepValues::default())]);
    let entries = history(&plan, &[]);
    only(&["put_back", "scopes"], &plan, &entries, |events| {
        events.retain(|event| !matches!(event.fact, Fact::ReversalClosed { .. }));
    });
    only(&["reversals"], &plan, &entries, |events| {
        events.retain(|event| !matches!(event.fact, Fact::StepEntered {}));
    });
    only(&["reversals"], &plan, &entries, |events| {
        let at = find(events, 0, named("reversal.closed", "one"));
        let twice = events[at].clone();
        events.insert(at, twice);
    });
}

#[test]
fn a_list_that_is_read_after_its_approval_was_asked() {
    let mut plan = plan_of(vec![
        gate("go", Kind::Approve, 1, &["each"]),
        each("inputs.names", PLAIN, act("each", Effect::Write)),
    ]);
    plan.values.inputs.insert("names".into(), json!(["a", "b"]));
    only(&["ahead"], &plan, &history(&plan, &[]), |events| {
        let read = find(events, 0, named("step.expanded", "each"));
        events.swap(read, read + 1);
    });
}
