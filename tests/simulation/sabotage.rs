//! A checker that has never failed proves nothing: here the core, the driver or the history is broken on purpose,
//! each time in one way, and exactly the checker that is meant for it objects.

use std::collections::BTreeSet;

use consigne::clock::Timestamp;
use consigne::core::state::Timer;
use consigne::core::*;
use consigne::engine::sim::{Sim, World};
use consigne::plan::*;
use consigne::runbook::template::Template;

use crate::checkers::{Historian, at_live, moves, nothing_new, one_entry, overdue, same_entries, same_sets};
use crate::drive::{Life, begin, swarm};
use crate::people::{actor, answer};
use crate::plans::{self, SECRET, graph_of, probe};
use crate::rng::Rng;
use crate::world::{Fate, Rates, Town, at_most_once};

/// A step that runs, after everything above it.
pub fn act(id: &str, effect: Effect) -> (StepNode, StepValues) {
    let mut values = StepValues { act: Some(probe("act")), ..StepValues::default() };
    let argv = vec![Template::literal("act"), Template::parse("{{ inputs.color }}").expect("well formed")];
    values.act = values
        .act
        .map(|act| ProbeOf { action: Action::Argv(ProgramCall { argv, env: vec![], cwd: None }), ..act });
    (StepNode { above: true, ..StepNode::new(id, Kind::Argv, effect) }, values)
}

pub fn gate(id: &str, kind: Kind, quorum: u32, covers: &[&str]) -> (StepNode, StepValues) {
    let mut node = StepNode { above: true, ..StepNode::new(id, kind, Effect::Read) };
    node.gate = Some(GateNode {
        quorum,
        who: Who { roles: vec!["lead".into()], not_starter: true, not_steps: vec![] },
        escalate_to: vec![],
        on_timeout: OnTimeout::Refuse,
        on_reject_continue: false,
        covers: covers.iter().map(|name| (*name).to_owned()).collect(),
        typed: false,
        break_glass: None,
        limit: None,
    });
    (node, StepValues::default())
}

pub fn plan_of(steps: Vec<(StepNode, StepValues)>) -> Plan {
    let mut plan = Plan { graph: graph_of(Mode::Live), values: Values::default() };
    plan.values.inputs.insert("color".into(), serde_json::json!("red"));
    for (mut node, values) in steps {
        if node.above {
            node.needs = plans::sinks(&plan, &node);
        }
        plan.values.steps.insert(node.id.clone(), values);
        plan.graph.steps.push(node);
    }
    plan
}

/// A run without chance: each step as its script says, otherwise well.
pub fn scripted<'a>(plan: &'a Plan, script: &[(&str, Fate)]) -> Life<'a> {
    let mut life = Life::new(plan, Rng::new(7), Rates::default());
    life.sim.world.calm = true;
    for (at, (step, fate)) in script.iter().enumerate() {
        life.sim.world.script.insert((*step).to_owned(), (*fate, 10 + at as u64));
    }
    life
}

pub fn history(plan: &Plan, script: &[(&str, Fate)]) -> Vec<Decided> {
    let mut life = scripted(plan, script);
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    assert_eq!(life.sim.state.phase(), Phase::Finished);
    life.sim.entries.clone()
}

/// The names of the checkers that object to a history.
pub fn objectors(plan: &Plan, entries: &[Decided]) -> BTreeSet<&'static str> {
    let mut historian = Historian::new(plan);
    entries.iter().for_each(|entry| historian.entry(entry));
    historian.objections.iter().map(|(name, _)| *name).collect()
}

/// The history is fine as it is, and `name` alone objects once it is doctored.
pub fn only(name: &str, plan: &Plan, entries: &[Decided], doctor: impl Fn(&mut Vec<Event>)) {
    assert_eq!(objectors(plan, entries), BTreeSet::new(), "before");
    let mut events: Vec<Event> = entries.iter().flat_map(|entry| entry.events.clone()).collect();
    doctor(&mut events);
    let doctored = [Decided { at: Timestamp::from_millis(2_000_000), events }];
    assert_eq!(objectors(plan, &doctored), BTreeSet::from([name]));
}

pub fn starts(role: Role) -> impl Fn(&Event) -> bool {
    move |event| matches!(event.fact, Fact::AttemptStarted { role: of, .. } if of == role)
}

pub fn find(events: &[Event], nth: usize, is: impl Fn(&Event) -> bool) -> usize {
    (0..events.len()).filter(|at| is(&events[*at])).nth(nth).expect("the history has it")
}

fn tried_again() -> Plan {
    let (mut node, values) = act("write", Effect::Write);
    node.keyed = true;
    node.retry.max_attempts = 3;
    plan_of(vec![(node, values)])
}

#[test]
fn an_attempt_number_used_twice() {
    let plan = tried_again();
    only("L5", &plan, &history(&plan, &[("write", Fate::UnknownNot)]), |events| {
        let second = find(events, 1, starts(Role::Do));
        events[second].attempt = Some(1);
        events[second + 1].attempt = Some(1);
    });
}

#[test]
fn a_secret_in_what_a_program_printed() {
    let plan = tried_again();
    only("L7", &plan, &history(&plan, &[]), |events| {
        let end = find(events, 0, |event| matches!(event.fact, Fact::AttemptFinished { .. }));
        events[end].hidden.put_text("excerpt.stdout", &format!("token={SECRET}"));
    });
}

#[test]
fn a_key_that_changes_between_attempts() {
    let plan = tried_again();
    only("keys", &plan, &history(&plan, &[("write", Fate::UnknownNot)]), |events| {
        let second = find(events, 1, starts(Role::Do));
        let request = events[second].hidden.0.get_mut("request").expect("an attempt has a request");
        *request = request.replace("\"idempotency_key\":\"", "\"idempotency_key\":\"0");
    });
}

fn side_by_side() -> Plan {
    let mut steps = vec![act("one", Effect::Write), act("two", Effect::Write)];
    steps[1].0.above = false;
    plan_of(steps)
}

#[test]
fn more_attempts_at_once_than_the_plan_allows() {
    let plan = side_by_side();
    let entries = history(&plan, &[]);
    let mut narrow = plan.clone();
    narrow.graph.max_in_flight = 1;
    assert_eq!(objectors(&plan, &entries), BTreeSet::new());
    assert_eq!(objectors(&narrow, &entries), BTreeSet::from(["max_in_flight"]));
}

#[test]
fn a_step_that_does_not_wait_for_its_needs() {
    let plan = side_by_side();
    let entries = history(&plan, &[]);
    for above in [false, true] {
        let mut other = plan.clone();
        other.graph.steps[1].needs = vec!["one".into()];
        other.graph.steps[1].above = above;
        assert_eq!(objectors(&other, &entries), BTreeSet::from(["order"]));
    }
}

#[test]
fn a_step_that_is_skipped_without_a_reason() {
    let plan = plan_of(vec![act("one", Effect::Write), act("two", Effect::Write)]);
    let entries = history(&plan, &[("one", Fate::Bad)]);
    assert_eq!(objectors(&plan, &entries), BTreeSet::new());
    let mut allowing = plan_of(vec![act("one", Effect::Write), act("two", Effect::Write)]);
    allowing.graph.steps[0].on_failure = Some(OnFailure::Continue);
    only("order", &allowing, &history(&allowing, &[("one", Fate::Bad)]), |events| {
        let skip = find(events, 0, |event| matches!(event.fact, Fact::StepSkipped { .. }));
        events[skip].fact = Fact::StepSkipped { reason: event::SkipReason::NotNeeded, cause: None };
    });
}

fn approved(quorum: u32) -> Plan {
    plan_of(vec![gate("go", Kind::Approve, quorum, &["write"]), act("write", Effect::Write)])
}

#[test]
fn an_approval_by_somebody_not_entitled() {
    let plan = approved(1);
    for actor in [
        actor("dave", How::OsUser),
        actor("bob", How::Answers),
        actor("bob", How::Policy),
        actor("bob", How::Played),
        actor("os:root", How::OsUser),
    ] {
        only("gate", &plan, &history(&plan, &[]), |events| {
            let said = find(events, 0, |event| matches!(event.fact, Fact::AskAnswered { .. }));
            events[said].actor = Some(actor.clone());
        });
    }
}

#[test]
fn one_person_counted_twice() {
    let plan = approved(2);
    only("gate", &plan, &history(&plan, &[]), |events| {
        let is = |event: &Event| matches!(event.fact, Fact::AskAnswered { .. });
        let (one, two) = (find(events, 0, is), find(events, 1, is));
        events[two].actor = events[one].actor.clone();
    });
}

#[test]
fn a_gate_that_opens_by_itself() {
    let plan = approved(1);
    only("gate", &plan, &history(&plan, &[]), |events| {
        let said = find(events, 0, |event| matches!(event.fact, Fact::AskAnswered { .. }));
        events.remove(said);
    });
    only("gate", &plan, &history(&plan, &[]), |events| {
        let closed = find(events, 0, |event| matches!(event.fact, Fact::AskClosed { .. }));
        if let Fact::AskClosed { how, .. } = &mut events[closed].fact {
            *how = AskEnd::TimedOut;
        }
    });
}

#[test]
fn another_request_than_the_approved_one() {
    let plan = approved(1);
    only("binding", &plan, &history(&plan, &[]), |events| {
        let start = find(events, 0, starts(Role::Do));
        let request = events[start].hidden.0.get_mut("request").expect("an attempt has a request");
        *request = request.replace("red", "blue");
    });
}

fn plain_write() -> Plan {
    plan_of(vec![act("write", Effect::Write)])
}

#[test]
fn an_unknown_write_that_runs_again_by_itself() {
    let mut plan = plain_write();
    plan.graph.steps[0].retry.max_attempts = 3;
    only("unknown", &plan, &history(&plan, &[("write", Fate::UnknownNot)]), |events| {
        events.retain(|event| !matches!(event.fact, Fact::StepOverridden { .. }));
    });
}

#[test]
fn an_unknown_write_that_is_told_as_done() {
    let plan = plain_write();
    only("unknown", &plan, &history(&plan, &[("write", Fate::UnknownDid)]), |events| {
        let told = find(events, 0, |event| matches!(event.fact, Fact::StepOverridden { .. }));
        events[told].fact = Fact::StepSettled { status: Status::Succeeded, reason: "ok".into() };
    });
}

fn toggled() -> Plan {
    let (mut node, mut values) = act("drain", Effect::Write);
    node.put_back = Some(PutBackNode { only_if: true, otherwise: OtherwisePutBack::Ask });
    values.put_back = Some(probe("undrain"));
    values.only_if = Some(probe("drained"));
    plan_of(vec![(node, values)])
}

#[test]
fn a_toggle_that_is_forgotten() {
    let plan = toggled();
    only("put_back", &plan, &history(&plan, &[]), |events| {
        events.retain(|event| !matches!(event.fact, Fact::ReversalClosed { .. }));
    });
}

#[test]
fn a_toggle_that_is_put_back_blindly() {
    let plan = toggled();
    only("put_back", &plan, &history(&plan, &[]), |events| {
        let probed = find(events, 0, starts(Role::OnlyIf)) + 1;
        if let Fact::AttemptFinished { result, .. } = &mut events[probed].fact {
            *result = AttemptResult::Failed;
        }
    });
}

#[test]
fn reversals_in_the_wrong_order_or_not_chosen() {
    let mut steps = vec![act("one", Effect::Write), act("two", Effect::Write)];
    for (node, values) in &mut steps {
        node.undo = true;
        values.undo = Some(probe("undo"));
    }
    let plan = plan_of(steps);
    let closed = |event: &Event| matches!(event.fact, Fact::ReversalClosed { .. });
    only("reversals", &plan, &history(&plan, &[]), |events| {
        let (one, two) = (find(events, 0, closed), find(events, 1, closed));
        events.swap(one, two);
    });
    only("reversals", &plan, &history(&plan, &[]), |events| {
        let at = find(events, 0, closed);
        let end = Fact::ReversalClosed { kind: Reversal::Undo, how: ReversalEnd::Done, review_at: None };
        events[at].fact = end;
    });
}

#[test]
fn a_step_that_begins_after_the_end() {
    let plan = plan_of(vec![act("one", Effect::Write), act("two", Effect::Write)]);
    only("ending", &plan, &history(&plan, &[]), |events| {
        let ending = find(events, 0, |event| matches!(event.fact, Fact::RunEnding { .. }));
        let ending = events.remove(ending);
        let second = find(events, 1, starts(Role::Do));
        events.insert(second, ending);
    });
}

#[test]
fn a_run_that_says_it_succeeded() {
    let plan = plain_write();
    only("outcome", &plan, &history(&plan, &[]), |events| {
        let settled = find(events, 0, |event| matches!(event.fact, Fact::StepSettled { .. }));
        events[settled].fact = Fact::StepSettled { status: Status::Failed, reason: "exit".into() };
    });
}

#[test]
fn entries_that_are_empty_or_go_back_in_time() {
    let plan = plain_write();
    let entries = history(&plan, &[]);
    let mut empty = entries.clone();
    empty[1].events.clear();
    assert!(objectors(&plan, &empty).contains("L8"));
    let mut back = entries;
    back[1].at = Timestamp::from_millis(1);
    assert_eq!(objectors(&plan, &back), BTreeSet::from(["L8"]));
}

#[test]
fn a_live_state_that_is_not_the_fold() {
    let plan = approved(1);
    let entries = history(&plan, &[]);
    let whole =
        Sim::resumed(&plan, "run", entries.clone(), Timestamp::default(), town(&plan)).expect("legal");
    let less =
        Sim::resumed(&plan, "run", entries[..2].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    assert!(at_live(&whole.state, &whole.state).is_empty());
    assert_eq!(at_live(&whole.state, &less.state)[0].0, "L2");
}

fn town(plan: &Plan) -> Town<'_> {
    Town::new(plan, Rng::new(1), Rates::default())
}

#[test]
fn sets_that_are_not_kept_up() {
    let plan = side_by_side();
    let entries = history(&plan, &[]);
    let sim =
        Sim::resumed(&plan, "run", entries[..1].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    let scan = sim.state.scan();
    assert_eq!(same_sets(sim.state.derived(), &scan), None);
    type Change = fn(&mut state::Derived);
    let changes: [Change; 6] = [
        |d| {
            let _new = d.ready.insert(0);
        },
        |d| {
            let _new = d.loose.insert(0);
        },
        |d| {
            let _new = d.in_flight.remove(&0);
        },
        |d| {
            let _new = d.open_asks.insert(1);
        },
        |d| {
            let _new = d.timers.insert((Timestamp::default(), Timer::RunDeadline));
        },
        |d| d.lists[0].undecided += 1,
    ];
    for change in changes {
        let mut kept = sim.state.derived().clone();
        change(&mut kept);
        assert_eq!(same_sets(&kept, &scan).map(|(name, _)| name), Some("derived"));
    }
}

#[test]
fn a_driver_that_wants_nothing_or_wakes_in_the_past() {
    let plan = side_by_side();
    let entries = history(&plan, &[]);
    let sim =
        Sim::resumed(&plan, "run", entries[..1].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    assert_eq!(moves(&sim.state, &wanted(&sim.state)), None);
    assert_eq!(moves(&sim.state, &BTreeSet::new()).map(|(name, _)| name), Some("L6"));
    let past = BTreeSet::from([Command::WakeAt(sim.state.run.last_at)]);
    assert_eq!(moves(&sim.state, &past).map(|(name, _)| name), Some("L6"));
}

#[test]
fn a_timer_that_nobody_looks_at() {
    let mut node = StepNode::new("nap", Kind::Wait, Effect::Read);
    node.wait_ms = Some(1_000);
    let plan = plan_of(vec![(node, StepValues::default())]);
    let entries = history(&plan, &[]);
    let sim =
        Sim::resumed(&plan, "run", entries[..1].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    assert_eq!(overdue(&sim.state), None);
    let mut late = sim.state.clone();
    late.apply(Timestamp::from_millis(9_000_000), &Event::of_run(Fact::NoteRecorded {}))
        .expect("a note is legal");
    assert_eq!(overdue(&late).map(|(name, _)| name), Some("L6"));
}

#[test]
fn a_driver_that_acts_before_the_entry() {
    let plan = plain_write();
    let entries = history(&plan, &[]);
    let sim =
        Sim::resumed(&plan, "run", entries[..1].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    let key = AttemptKey { step: "write".into(), item: None, attempt: 1 };
    let request = sim.state.request(&key).expect("it is running");
    let mut eager = town(&plan);
    let _outcome = eager.start(&request, Timestamp::default());
    assert_eq!(names(&eager), BTreeSet::from(["L1"]));
    let mut patient = town(&plan);
    patient.historian.entry(&entries[0]);
    let _outcome = patient.start(&request, Timestamp::default());
    assert_eq!(names(&patient), BTreeSet::new());
}

fn names(town: &Town<'_>) -> BTreeSet<&'static str> {
    town.verdict().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_driver_that_cuts_what_one_input_caused_into_entries() {
    let plan = plain_write();
    let entries = history(&plan, &[]);
    let whole = entries.iter().find(|entry| entry.events.len() > 1).expect("an end and what follows from it");
    let cut: Vec<Decided> =
        whole.events.iter().map(|event| Decided { at: whole.at, events: vec![event.clone()] }).collect();
    assert_eq!(one_entry(0, cut.len()).map(|(name, _)| name), Some("L8"));
    assert_eq!(one_entry(0, 1), None);
    assert_eq!(one_entry(0, 0), None, "a stale input makes none");
}

#[test]
fn a_driver_that_starts_an_attempt_twice() {
    let plan = plain_write();
    let entries = history(&plan, &[]);
    let sim =
        Sim::resumed(&plan, "run", entries[..1].to_vec(), Timestamp::default(), town(&plan)).expect("legal");
    let key = AttemptKey { step: "write".into(), item: None, attempt: 1 };
    let request = sim.state.request(&key).expect("it is running");
    let mut town = town(&plan);
    town.calm = true;
    town.historian.entry(&entries[0]);
    for _ in 0..2 {
        let _outcome = town.start(&request, Timestamp::default());
    }
    assert_eq!(names(&town), BTreeSet::from(["L5", "at_most_once"]));
    assert_eq!(at_most_once(&town.historian, &town.truth).len(), 1);
}

#[test]
fn a_driver_that_takes_an_old_completion_for_a_new_one() {
    let plan = tried_again();
    let entries = history(&plan, &[("write", Fate::UnknownNot)]);
    let upto =
        entries.iter().position(|entry| entry.events.iter().any(|e| e.attempt == Some(2))).expect("a retry");
    let sim = Sim::resumed(&plan, "run", entries[..=upto].to_vec(), Timestamp::default(), town(&plan))
        .expect("legal");
    let outcome = Outcome::bare(AttemptResult::Unknown, "reset", Timestamp::default());
    for (attempt, found) in [(1, None), (2, Some("L4"))] {
        let mut state = sim.state.clone();
        let key = AttemptKey { step: "write".into(), item: None, attempt };
        let input = Input::Finished { key, outcome: Box::new(outcome.clone()) };
        let decided = decide(&plan, &mut state, sim.now(), input).expect("completions are never refused");
        let after = usize::from(!decided.events.is_empty());
        assert_eq!(nothing_new((&sim.state, 0), (&state, after)).map(|(name, _)| name), found);
    }
}

#[test]
fn a_driver_with_a_will_of_its_own() {
    let mut rng = Rng::new(3);
    let plan = plans::random(&mut rng, 8);
    let (one, two, other) = (swarm(&plan, 11), swarm(&plan, 11), swarm(&plan, 12));
    assert_eq!(same_entries(&one.entries, &two.entries), None);
    assert_eq!(same_entries(&one.entries, &other.entries).map(|(name, _)| name), Some("L3"));
}

#[test]
fn a_driver_that_loses_what_ends() {
    let plan = plain_write();
    let mut life = scripted(&plan, &[]);
    life.sim.world.calm = false;
    life.sim.world.rates.lost = 100;
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    let found: BTreeSet<_> = life.done().objections.into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, BTreeSet::from(["liveness"]));
}

#[test]
fn a_driver_that_shows_a_question_to_nobody() {
    let plan = approved(1);
    let mut life = scripted(&plan, &[]);
    life.sim.world.calm = false;
    life.sim.world.rates.absent = 100;
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    assert_eq!(life.sim.state.status(), RunStatus::Waiting);
    let late = answer(1, serde_json::json!("approve"), actor("bob", How::OsUser));
    assert_eq!(life.sim.input(Input::Answer(Box::new(late))), Ok(()));
    let found: BTreeSet<_> = life.done().objections.into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, BTreeSet::from(["liveness"]));
}
