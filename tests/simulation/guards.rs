//! Guards, as the model of these tests sees them, and what must hold for them (language rule 22): nothing that changes
//! anything starts in the main section unless each guard's newest probe for it held, or somebody overruled that.

use std::collections::{BTreeMap, BTreeSet};

use consigne::core::event::{Override, SkipReason};
use consigne::core::*;
use consigne::plan::*;

use crate::checkers::ensure;
use crate::drive::{Life, swarm};
use crate::model::{AskSeen, Model, place_of};
use crate::people::{actor, answer};
use crate::plans::{self, probe};
use crate::rng::Rng;
use crate::sabotage::{act, find, history, objectors, only, plan_of, starts};
use crate::world::{Rates, Town};

/// What is known of one guard.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    pub running: Option<u32>,
    pub attempts: u32,
    /// The step that the newest probe was for.
    of: Option<String>,
    /// The steps that it holds for.
    held: BTreeSet<String>,
    /// Its newest probe did not say that it holds.
    doubt: bool,
    open_ask: Option<u32>,
}

pub type Guards = BTreeMap<String, Watched>;

/// None, one or two guards for a random plan.
pub fn some(rng: &mut Rng, plan: &mut Plan) {
    let count = if rng.percent(60) { 0 } else { 1 + rng.upto(2) };
    for at in 0..count {
        add(plan, &format!("g{at}"), 2_000 + rng.below(10_000));
    }
}

fn add(plan: &mut Plan, id: &str, every_ms: u64) {
    plan.graph.guards.push(GuardNode { id: id.into(), kind: Kind::Argv, every_ms });
    let values = StepValues { act: Some(probe("guard")), ..StepValues::default() };
    plan.values.guards.insert(id.into(), values);
}

pub fn is_guard(plan: &Plan, name: &str) -> bool {
    plan.graph.guards.iter().any(|guard| guard.id == name)
}

/// The event is about a guard, not about a step.
pub fn is_about(plan: &Plan, event: &Event) -> bool {
    event.step.as_ref().is_some_and(|step| is_guard(plan, step))
}

/// The rule itself.
pub fn guards(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some(name) = event.step.as_ref() else { return Ok(()) };
    if let Some(seen) = model.guards.get(name) {
        return of_guard(model, seen, event);
    }
    let Some((node, _)) = model.seen(event).filter(|(node, _)| node.section == Section::Main) else {
        return Ok(());
    };
    let begins = match &event.fact {
        Fact::AttemptStarted { role, .. } => matches!(role, Role::Do | Role::First),
        Fact::AskOpened { kind, .. } => matches!(
            kind,
            AskKind::Approve | AskKind::Confirm | AskKind::Input | AskKind::Choice | AskKind::Manual
        ),
        Fact::StepEntered {} | Fact::StepImported { .. } => true,
        Fact::StepSkipped { reason, .. } => *reason == SkipReason::When,
        _ => false,
    };
    let held_up = model.guards.values().any(|guard| guard.open_ask.is_some());
    ensure(!(begins && held_up), "a guard is in question")?;
    if !matches!(event.fact, Fact::AttemptStarted { role: Role::Do, .. }) || node.effect == Effect::Read {
        return Ok(());
    }
    let missing = model.guards.iter().find(|(_, guard)| !guard.held.contains(&node.id));
    missing.map_or(Ok(()), |(guard, _)| Err(format!("guard {guard} has not held for it")))
}

fn of_guard(model: &Model<'_>, seen: &Watched, event: &Event) -> Result<(), String> {
    match &event.fact {
        Fact::AttemptStarted { role, part, .. } => {
            ensure(*role == Role::Guard, "a guard is only asked")?;
            ensure(model.ending.is_none(), "what ends is not guarded")?;
            ensure(
                event.attempt == Some(seen.attempts + 1),
                "an attempt number was left out, or used twice",
            )?;
            ensure(seen.running.is_none() && seen.open_ask.is_none(), "it is being asked, or asked about")?;
            let Some(part) = part else { return Ok(()) };
            let node = model.places.all.get(part).map(|place| &place.node).ok_or("no such step")?;
            let guarded = node.section == Section::Main && node.effect != Effect::Read;
            ensure(guarded && model.steps[part].settled.is_none(), "that step waits for no guard")
        }
        Fact::AskOpened { kind, .. } => {
            ensure(*kind == AskKind::Guard && seen.doubt, "nothing is wrong with it")
        }
        Fact::StepOverridden { how } => {
            let person = event.actor.as_ref().is_some_and(|a| !matches!(a.how, How::Policy | How::Executor));
            ensure(*how == Override::GoOn && person && seen.doubt, "nobody overruled it")?;
            let asked = model.asks.values().rfind(|ask| Some(&ask.step) == event.step.as_ref());
            let said = asked.and_then(|ask| ask.answers.last()).map(|(.., said)| *said);
            ensure(said == Some(Decision::GoOn), "nobody said to go on")
        }
        Fact::StepSettled { .. } | Fact::StepSkipped { .. } | Fact::RetryScheduled { .. } => {
            Err("a guard is no step".into())
        }
        _ => Ok(()),
    }
}

/// Takes in an event about a guard.
pub fn take(model: &mut Model<'_>, event: &Event) {
    let Some(name) = event.step.clone() else { return };
    let ends = model.ending.is_some();
    let Some(seen) = model.guards.get_mut(&name) else { return };
    match &event.fact {
        Fact::AttemptStarted { part, .. } => {
            seen.attempts += 1;
            seen.running = event.attempt;
            seen.of.clone_from(part);
            seen.doubt = false;
        }
        Fact::AttemptFinished { result, .. } => {
            seen.running = None;
            match result {
                AttemptResult::Succeeded => seen.held.extend(seen.of.clone()),
                AttemptResult::Cancelled => {}
                _ => {
                    seen.doubt = !ends;
                    model.guards.values_mut().for_each(|guard| guard.held.clear());
                }
            }
        }
        Fact::AttemptInterrupted {} => seen.running = None,
        Fact::AskOpened { ask, kind, covers, .. } => {
            seen.open_ask = Some(*ask);
            let opened = AskSeen {
                step: name,
                kind: *kind,
                opened: model.now,
                answers: Vec::new(),
                end: None,
                escalated: false,
                covers: covers.clone(),
                shown: BTreeMap::new(),
                through: BTreeSet::new(),
                options: Vec::new(),
            };
            model.asks.insert(*ask, opened);
        }
        Fact::AskAnswered { ask, part, decision } => {
            if let (Some(ask), Some(actor)) = (model.asks.get_mut(ask), &event.actor) {
                ask.answers.push((actor.clone(), part.clone(), *decision));
            }
        }
        Fact::AskClosed { ask, how } => {
            seen.open_ask = None;
            if let Some(ask) = model.asks.get_mut(ask) {
                ask.end = Some(*how);
            }
        }
        Fact::StepOverridden { .. } => {
            seen.doubt = false;
            seen.held.extend(seen.of.clone());
        }
        _ => {}
    }
}

/// What other events mean to guards: an attempt uses up that they held, a pause too.
pub fn hear(model: &mut Model<'_>, event: &Event) {
    match &event.fact {
        Fact::AttemptStarted { role: Role::Do, .. } => {
            let Some(place) = place_of(event) else { return };
            model.guards.values_mut().for_each(|guard| {
                guard.held.remove(&place);
            });
        }
        Fact::RunResumed { .. } => model.guards.values_mut().for_each(|guard| {
            guard.held.clear();
            guard.doubt &= guard.open_ask.is_some();
        }),
        _ => {}
    }
}

impl Town<'_> {
    /// Whether a guard holds: true, false, not to be asked, each as the seed draws it.
    pub fn guard(&mut self, now: consigne::clock::Timestamp) -> Outcome {
        if !self.calm && self.rng.percent(self.rates.fail) {
            return Outcome::bare(AttemptResult::Failed, "expect", now);
        }
        if !self.calm && self.rng.percent(self.rates.unreachable) {
            let result = self.rng.pick(&[AttemptResult::Unknown, AttemptResult::TimedOut]);
            return Outcome::bare(result, "unreachable", now);
        }
        Outcome::bare(AttemptResult::Succeeded, "ok", now)
    }

    pub fn about_guard(&mut self, ask: u32) -> Vec<Answer> {
        let words = ["retry", "retry", "go_on", "go_on", "end"];
        let word = if self.calm { "go_on" } else { self.rng.pick(&words) };
        self.one(ask, serde_json::json!(word))
    }
}

fn guarded() -> Plan {
    let mut plan = plan_of(vec![act("look", Effect::Read), act("write", Effect::Write)]);
    add(&mut plan, "window", 60_000);
    plan
}

/// A run of which only the guards go wrong.
fn doubted(plan: &Plan) -> Vec<Decided> {
    let rates = Rates { unreachable: 100, ..Rates::default() };
    let mut life = Life::new(plan, Rng::new(5), rates);
    life.begin_attended();
    for _ in 0..40 {
        if life.sim.state.open_asks().next().is_some() || !life.sim.step() {
            break;
        }
    }
    life.calm();
    let driven = life.done();
    assert_eq!(driven.objections, vec![]);
    driven.entries
}

#[test]
fn rule_22_guards_are_asked_before_each_write_and_not_for_a_read() {
    let plan = guarded();
    let events: Vec<Event> = history(&plan, &[]).into_iter().flat_map(|entry| entry.events).collect();
    let write = find(&events, 1, starts(Role::Do));
    let asked = |event: &Event| matches!(&event.fact, Fact::AttemptStarted { part: Some(part), .. } if part == "write");
    let probe = find(&events, 0, asked);
    assert!(probe < write && events[probe].step.as_deref() == Some("window"));
    let for_reads = |event: &&Event| matches!(&event.fact, Fact::AttemptStarted { part: Some(part), .. } if part == "look");
    assert_eq!(events.iter().filter(for_reads).count(), 0);
}

#[test]
fn a_write_that_does_not_wait_for_its_guard() {
    let plan = guarded();
    only("guards", &plan, &history(&plan, &[]), |events| {
        let asked = |event: &Event| matches!(&event.fact, Fact::AttemptStarted { part: Some(_), .. });
        let probe = find(events, 0, asked);
        if let Fact::AttemptFinished { result, .. } = &mut events[probe + 1].fact {
            *result = AttemptResult::Failed;
        } else {
            panic!("it ends before anything else happens");
        }
    });
}

#[test]
fn a_guard_that_is_overruled_by_nobody() {
    let plan = guarded();
    let entries = doubted(&plan);
    assert_eq!(objectors(&plan, &entries), BTreeSet::new());
    only("guards", &plan, &entries, |events| {
        let said =
            find(events, 0, |event| matches!(event.fact, Fact::AskAnswered { decision: Decision::GoOn, .. }));
        let Fact::AskAnswered { decision, .. } = &mut events[said].fact else { panic!("found as one") };
        *decision = Decision::Retry;
    });
}

#[test]
fn rule_22_a_false_guard_holds_the_run_until_somebody_decides_with_a_reason() {
    let mut plan = plan_of(vec![act("write", Effect::Write)]);
    add(&mut plan, "window", 60_000);
    let mut life = Life::new(&plan, Rng::new(5), Rates { fail: 100, absent: 100, ..Rates::default() });
    life.begin_attended();
    while life.sim.step() {}
    let asked: Vec<(u32, AskKind)> = life.sim.state.open_asks().map(|ask| (ask.id, ask.kind)).collect();
    assert_eq!(asked, vec![(1, AskKind::Guard)]);
    assert_eq!(life.sim.state.status(), RunStatus::Waiting);
    assert!(life.sim.state.find("write").is_some_and(|(_, step)| step.attempts == 0));
    let say = |comment: Option<&str>, word: &str| {
        let said = answer(1, serde_json::json!(word), actor("bob", How::OsUser));
        Input::Answer(Box::new(Answer { comment: comment.map(str::to_owned), ..said }))
    };
    let refused = life.sim.input(say(None, "go_on")).expect_err("no reason is given");
    assert_eq!(refused.code, "no-reason");
    assert_eq!(life.sim.input(say(Some("enough"), "end")), Ok(()));
    assert_eq!(life.sim.state.status(), RunStatus::Failed);
    let finished = life.sim.state.run.finished.clone().expect("it has ended");
    assert_eq!(finished.reason, "guard:window");
}

#[test]
fn rule_22_no_write_starts_without_its_guards_whatever_happens() {
    let mut overruled = 0;
    for seed in 0..100 {
        let mut plan = plans::random(&mut Rng::stream(seed, 77), 6);
        if plan.graph.guards.is_empty() {
            add(&mut plan, "g", 3_000);
        }
        let driven =
            crate::drive::judged(seed, &plan, || swarm(&plan, seed)).unwrap_or_else(|why| panic!("{why}"));
        let events = driven.entries.iter().flat_map(|entry| &entry.events);
        let by_hand = |event: &&Event| matches!(event.fact, Fact::StepOverridden { how: Override::GoOn });
        overruled += events.filter(by_hand).count();
    }
    assert!(overruled > 10, "{overruled}");
}

/// The journal itself says so: with the probe taken out, nobody can fold it.
#[test]
fn rule_22_a_journal_in_which_a_write_started_without_its_guards_does_not_fold() {
    let plan = guarded();
    let entries = history(&plan, &[]);
    let fold = |part: Option<&str>| {
        let shape = Shape::new(plan.graph.clone()).expect("well formed");
        let mut state = State::new(std::sync::Arc::new(shape), "run");
        for entry in &entries {
            for event in &entry.events {
                let mut event = event.clone();
                if let Fact::AttemptStarted { role: Role::Guard, part: of, .. } = &mut event.fact {
                    *of = of.take().filter(|of| part == Some(of.as_str()));
                }
                state.apply(entry.at, &event)?;
            }
        }
        Ok::<_, Illegal>(state)
    };
    assert!(fold(Some("write")).is_ok());
    assert_eq!(fold(None).expect_err("no guard was asked for it").why, "a guard has not held for it");
}
