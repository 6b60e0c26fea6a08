//! Choices of a list: the list is one that can be chosen from, an answer is on it and of the right length, and what
//! later steps read is that answer, whatever has become of the step that gave the list.

use std::collections::BTreeSet;

use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::{Expr, Template};
use serde_json::{Value, json};

use crate::checkers::{Historian, ensure};
use crate::drive::begin;
use crate::model::Model;
use crate::people::{actor, answer};
use crate::rng::Rng;
use crate::sabotage::{act, plan_of, scripted};

/// The ids that a question was opened with.
pub fn options_of(event: &Event) -> Vec<String> {
    let list: Option<Value> = event.hidden.0.get("options").and_then(|text| serde_json::from_str(text).ok());
    let list = list.as_ref().and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|option| option["id"].as_str().map(str::to_owned)).collect()
}

/// The list is fixed by the question; what is chosen is of it, in its order, as many as may be.
pub fn choice(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some((node, _)) = model.seen(event) else { return Ok(()) };
    let least = node.many.map_or(1, |many| many.min as usize);
    match &event.fact {
        Fact::AskOpened { kind: AskKind::Choice, .. } => {
            let options = options_of(event);
            let ids: BTreeSet<&String> = options.iter().collect();
            ensure(ids.len() == options.len(), "two options have one id")?;
            ensure(!ids.is_empty() && ids.len() >= least, "there is too little to choose from")
        }
        Fact::AskAnswered { ask, decision, .. } => {
            let Some(ask) = model.asks.get(ask).filter(|ask| ask.kind == AskKind::Choice) else {
                return Ok(());
            };
            ensure(*decision == Decision::Chosen, "a choice is answered by choosing")?;
            let value = event.hidden.0.get("value").and_then(|text| serde_json::from_str(text).ok());
            let chosen: Vec<Value> = match (value, node.many) {
                (Some(Value::Array(list)), Some(_)) => list,
                (Some(Value::String(id)), None) => vec![id.into()],
                _ => return Err("it is of the wrong shape".into()),
            };
            let places: Option<Vec<usize>> = chosen
                .iter()
                .map(|id| ask.options.iter().position(|option| Some(option.as_str()) == id.as_str()))
                .collect();
            let places = places.ok_or("what was chosen is not on the list")?;
            let most = node.many.map_or(1, |many| many.max.map_or(usize::MAX, |max| max as usize));
            ensure(places.is_sorted_by(|a, b| a < b), "not in the order of the list, or twice")?;
            ensure(places.len() >= least && places.len() <= most, "too few or too many were chosen")
        }
        Fact::StepSettled { status: Status::Succeeded, .. }
            if node.kind == Kind::Choice && !model.place(&node.id).whole =>
        {
            let ask = model.asks.values().rfind(|ask| ask.step == node.id);
            let chosen = ask.is_some_and(|ask| ask.end == Some(AskEnd::Answered) && !ask.answers.is_empty());
            ensure(chosen, "nobody has chosen")
        }
        _ => Ok(()),
    }
}

fn expr(source: &str) -> Expr {
    Expr::parse(source).expect("well formed")
}

/// A choice of what `find` gave, and a step that does what was chosen.
fn chosen_and_done(many: Option<ManyNode>) -> Plan {
    let (mut find, found) = act("find", Effect::Read);
    find.outputs.push(OutputNode { name: "v".into(), public: false, kind: InputKind::Any });
    let mut pick = StepNode { above: true, ..StepNode::new("pick", Kind::Choice, Effect::Read) };
    pick.many = many;
    let list = Computed { from: expr("[steps.find.v, \"x\", \"y\"]"), id: expr("item"), label: None };
    let values = StepValues { choice: Some(Choosing::Computed(list)), ..StepValues::default() };
    let (mut done, mut doing) = act("done", Effect::Write);
    done.conditional = true;
    doing.when = Some(expr("\"x\" in steps.pick.answer"));
    let read = Template::parse("{{ steps.pick.answer }}").expect("well formed");
    let argv = vec![Template::literal("act"), read];
    if let Some(act) = &mut doing.act {
        act.action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
    }
    plan_of(vec![(find, found), (pick, values), (done, doing)])
}

fn history(plan: &Plan) -> Vec<Decided> {
    let mut life = scripted(plan, &[]);
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

#[test]
fn what_was_not_on_the_list_is_objected_to() {
    for many in [None, Some(ManyNode { min: 1, max: Some(2) })] {
        let plan = chosen_and_done(many);
        let entries = history(&plan);
        assert_eq!(objectors(&plan, &entries), BTreeSet::new(), "before");
        let chosen = |event: &&mut Event| matches!(event.fact, Fact::AskAnswered { .. });
        let wrongs = if many.is_some() {
            vec![json!(["z"]), json!([]), json!(["y", "x"]), json!(["x", "x"]), json!("x")]
        } else {
            vec![json!("z"), json!(["x"]), Value::Null]
        };
        for wrong in wrongs {
            let mut doctored = entries.clone();
            let event = doctored.iter_mut().flat_map(|entry| &mut entry.events).find(chosen);
            event.expect("somebody chose").hidden.0.insert("value".into(), wrong.to_string());
            assert_eq!(objectors(&plan, &doctored), BTreeSet::from(["choice"]), "{wrong}");
        }
        let mut doctored = entries.clone();
        let opened = |event: &&mut Event| matches!(event.fact, Fact::AskOpened { .. });
        let event = doctored.iter_mut().flat_map(|entry| &mut entry.events).find(opened);
        event.expect("it was asked").hidden.0.insert("options".into(), "[]".into());
        assert_eq!(objectors(&plan, &doctored), BTreeSet::from(["choice"]));
    }
}

/// Resuming reads the list from the question: the same ids are taken after a crash, and no others.
#[test]
fn the_list_outlives_a_crash_and_steers_what_follows() {
    let plan = chosen_and_done(None);
    let mut life = scripted(&plan, &[]);
    life.sim.world.calm = false;
    life.sim.world.rates.absent = 100;
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    let before = listed(life.sim.state.ask(1).expect("it is asked"));
    let resume =
        Input::Resume { actor: actor("alice", How::OsUser), attended: true, tool: "t".into(), end: None };
    assert_eq!(life.sim.input(resume), Ok(()));
    assert_eq!(listed(life.sim.state.ask(1).expect("it is asked still")), before);
    let say = |value: Value| Input::Answer(Box::new(answer(1, value, actor("bob", How::OsUser))));
    for wrong in [json!("z"), json!("x,y"), json!(["x", "y"]), json!([]), json!(null), json!({"a": 1})] {
        assert!(life.sim.input(say(wrong.clone())).is_err(), "{wrong}");
    }
    assert_eq!(life.sim.input(say(json!("x"))), Ok(()));
    let entries = life.sim.entries.len();
    assert_eq!(life.sim.input(say(json!(["x"]))), Ok(()), "the same again is no news");
    assert_eq!(life.sim.entries.len(), entries);
    let other = life.sim.input(say(json!("y"))).expect_err("the first answer stands");
    assert_eq!((other.code, other.message.contains("bob said \"x\"")), ("conflict", true), "{other}");
    life.settle();
    let (_, done) = life.sim.state.find("done").expect("a step");
    assert_eq!(done.status, Status::Succeeded);
    // Nobody answered at first, which is all there is to object to.
    let found: BTreeSet<_> = life.done().objections.into_iter().map(|(name, _)| name).collect();
    assert!(found.is_subset(&BTreeSet::from(["liveness"])), "{found:?}");
}

/// A list that nobody could choose from fails the step; asked again, the list is read again.
#[test]
fn a_list_without_a_choice_fails_its_step() {
    let too_many = format!("{:?}", (0..1_001).collect::<Vec<_>>());
    for (from, why) in [
        ("[]", "nothing to choose"),
        ("inputs.color", "gives no list"),
        ("[\"a\", \"a\"]", "two entries have the id `a`"),
        ("[[]]", "neither text nor number"),
        ("[\" a\"]", "white space"),
        (&too_many, "the limit is 1000"),
    ] {
        let mut pick = StepNode { above: true, ..StepNode::new("pick", Kind::Choice, Effect::Read) };
        pick.on_failure = Some(OnFailure::Stop);
        let list = Computed { from: expr(from), id: expr("item"), label: None };
        let values = StepValues { choice: Some(Choosing::Computed(list)), ..StepValues::default() };
        let plan = plan_of(vec![(pick, values)]);
        let entries = history(&plan);
        let settled = entries.iter().flat_map(|entry| &entry.events).find(
            |event| matches!(&event.fact, Fact::StepSettled { status: Status::Failed, reason } if reason == "options"),
        );
        let said = settled.and_then(|event| event.hidden.text("why")).unwrap_or_default();
        assert!(said.contains(why), "{from}: {said}");
    }
}
