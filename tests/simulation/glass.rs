//! Gates that somebody opens alone: the rule, the people who try it, and the rule's own proof.

use std::collections::BTreeSet;
use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::plan::*;
use serde_json::json;

use crate::checkers::{Historian, ensure};
use crate::drive::begin;
use crate::model::Model;
use crate::people::{actor, answer};
use crate::rng::Rng;
use crate::sabotage::{act, gate, plan_of, scripted};
use crate::world::Town;

/// No gate is opened by breaking its glass before it is time, without the role, in a way that proves nobody, or without
/// a reason (rule 4).
pub fn glass(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::AskAnswered { ask, decision: Decision::BreakGlass, .. } = event.fact else { return Ok(()) };
    let ask = model.asks.get(&ask).ok_or("nothing was asked")?;
    ensure(ask.end.is_none(), "the question is closed")?;
    let gate = model.node(&ask.step).gate.as_ref().filter(|_| ask.kind == AskKind::Approve);
    let glass = gate.and_then(|gate| gate.break_glass.as_ref()).ok_or("it has no glass")?;
    ensure(model.now >= ask.opened.plus(glass.after_ms), "it is too early")?;
    let actor = event.actor.as_ref().ok_or("nobody did it")?;
    ensure(in_person(model, actor), "nobody is proved to have done it")?;
    ensure(holds(model, actor, glass), "he has not the role")?;
    let why = event.hidden.text("comment").unwrap_or_default();
    ensure(!why.trim().is_empty(), "there is no reason")
}

fn in_person(model: &Model<'_>, actor: &Actor) -> bool {
    let graph = &model.plan.graph;
    match actor.how {
        How::OsUser => graph.identity == Identity::Any,
        How::SshKey => true,
        How::Played => graph.role_play && graph.mode != Mode::Live,
        How::Answers | How::Policy | How::Executor => false,
    }
}

fn holds(model: &Model<'_>, actor: &Actor, glass: &GlassNode) -> bool {
    let people = &model.plan.graph.people;
    let has = |role: &String| people.roles.get(role).is_some_and(|all| all.contains(&actor.who));
    people.people.contains_key(&actor.who) && glass.roles.iter().any(has)
}

impl Town<'_> {
    /// Those who try to open it alone: too early, in time, without the role.
    pub fn breaks_glass(&mut self, state: &State, ask: u32) -> Vec<(u64, Answer)> {
        let Some(open) = state.ask(ask) else { return Vec::new() };
        let Some(gate) = state.shape().node(open.step).gate.as_ref() else { return Vec::new() };
        let Some(glass) = gate.break_glass.clone() else { return Vec::new() };
        let mut said = Vec::new();
        for who in ["alice", "bob", "carol", "dave", "erin"] {
            if self.rng.percent(30) {
                let how = self.rng.pick(&[How::OsUser, How::SshKey, How::Played]);
                let after = if self.rng.percent(40) { glass.after_ms / 2 } else { glass.after_ms + 1 };
                let mut word = answer(ask, json!("break_glass"), actor(who, how));
                word.comment = self.rng.percent(80).then(|| "nobody comes".to_owned());
                said.push((after + self.rng.below(50), word));
            }
        }
        said
    }
}

/// Bob may approve; dave holds no role but the one that breaks the glass.
fn behind_glass(after_ms: u64) -> Plan {
    let mut plan = plan_of(vec![gate("go", Kind::Approve, 2, &["write"]), act("write", Effect::Write)]);
    plan.graph.people.roles.insert("night".into(), vec!["dave".into(), "alice".into()]);
    let gate = plan.graph.steps[0].gate.as_mut().expect("it is a gate");
    gate.break_glass = Some(GlassNode {
        roles: vec!["night".into()],
        after_ms,
        review_roles: vec!["lead".into()],
        review_within_ms: 1_000,
    });
    plan
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(0).plus(millis)
}

/// A run of alice's whose gate is asked at 0.
fn asked(plan: &Plan) -> State {
    let shape = Arc::new(Shape::new(plan.graph.clone()).expect("a sound plan"));
    let mut state = State::new(shape, "r");
    let _begun = decide(plan, &mut state, at(0), begin(&mut Rng::new(7), true)).expect("it begins");
    assert_eq!(state.open_asks().count(), 1);
    state
}

fn says(plan: &Plan, state: &State, millis: u64, who: Actor, why: Option<&str>) -> Result<Status, String> {
    let mut word = answer(1, json!("break_glass"), who);
    word.comment = why.map(str::to_owned);
    let mut state = state.clone();
    match decide(plan, &mut state, at(millis), Input::Answer(Box::new(word))) {
        Ok(_) => Ok(state.step(0).status),
        Err(refused) => Err(refused.code.to_owned()),
    }
}

#[test]
fn rule_4_a_gate_is_opened_alone_in_time_by_the_role_and_with_a_reason() {
    let plan = behind_glass(1_000);
    let state = asked(&plan);
    let night = || actor("dave", How::OsUser);
    let says = |millis, who, why| says(&plan, &state, millis, who, why);
    assert_eq!(says(999, night(), Some("nobody comes")), Err("too-early".into()));
    assert_eq!(says(1_000, night(), None), Err("no-reason".into()));
    assert_eq!(says(1_000, night(), Some("  ")), Err("no-reason".into()));
    for (who, how) in [
        ("bob", How::OsUser),
        ("os:root", How::OsUser),
        ("dave", How::Answers),
        ("dave", How::Played),
        ("dave", How::Policy),
        ("dave", How::Executor),
    ] {
        assert_eq!(says(1_000, actor(who, how), Some("x")), Err("not-entitled".into()), "{who} {how:?}");
    }
    assert_eq!(says(1_000, night(), Some("nobody comes")), Ok(Status::Succeeded));
    // The starter, who may never approve.
    assert_eq!(says(5_000, actor("alice", How::OsUser), Some("alone")), Ok(Status::Succeeded));
    let mut strict = plan.clone();
    strict.graph.identity = Identity::SshKey;
    let signed = |who| self::says(&strict, &asked(&strict), 1_000, who, Some("nobody comes"));
    assert_eq!(signed(night()), Err("not-entitled".into()));
    assert_eq!(signed(actor("dave", How::SshKey)), Ok(Status::Succeeded));
    let shut = plan_of(vec![gate("go", Kind::Approve, 2, &["write"]), act("write", Effect::Write)]);
    let none = self::says(&shut, &asked(&shut), 5_000, night(), Some("x"));
    assert_eq!(none, Err("not-entitled".into()), "it has no glass: a word like any other");
}

/// The names of the checkers that object to a history in which somebody broke the glass.
fn objectors(plan: &Plan, who: &Actor, why: Option<&str>, kept: u64) -> BTreeSet<&'static str> {
    let mut life = scripted(plan, &[]);
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    let mut historian = Historian::new(plan);
    let mut opened: Option<Timestamp> = None;
    for entry in &life.sim.entries {
        let mut entry = entry.clone();
        // Whatever follows the question happens so much later.
        entry.at = opened.map_or(entry.at, |opened| entry.at.max(opened.plus(kept)));
        for event in &mut entry.events {
            opened = opened.or(matches!(event.fact, Fact::AskOpened { .. }).then_some(entry.at));
            if let Fact::AskAnswered { decision, .. } = &mut event.fact {
                *decision = Decision::BreakGlass;
                event.actor = Some(who.clone());
                event.hidden.0.remove("comment");
                if let Some(why) = why {
                    event.hidden.put_text("comment", why);
                }
            }
        }
        historian.entry(&entry);
    }
    historian.objections.iter().map(|(name, _)| *name).collect()
}

#[test]
fn glass_that_is_broken_early_by_nobody_entitled_or_for_no_reason() {
    let (plan, dave) = (behind_glass(0), actor("dave", How::OsUser));
    let object = |who: &Actor, why| objectors(&plan, who, why, 0);
    assert_eq!(object(&dave, Some("nobody comes")), BTreeSet::new());
    let glass = BTreeSet::from(["glass"]);
    assert_eq!(object(&dave, None), glass);
    for who in [actor("bob", How::OsUser), actor("dave", How::Answers), actor("dave", How::Executor)] {
        assert_eq!(object(&who, Some("nobody comes")), glass, "{who:?}");
    }
    let late = behind_glass(100_000_000);
    assert_eq!(objectors(&late, &dave, Some("nobody comes"), 99_000_000), glass);
    assert_eq!(objectors(&late, &dave, Some("nobody comes"), 100_000_000), BTreeSet::new());
}
