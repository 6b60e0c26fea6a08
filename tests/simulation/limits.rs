//! What goes through an approval without having been shown: the rule, plans that have such approvals, and small runs.

use std::sync::Arc;

use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::Template;
use serde_json::{Value, json};

use crate::checkers::ensure;
use crate::doctored::{PLAIN, each, group, within};
use crate::drive::{Life, begin};
use crate::model::{Model, place_of, request_of};
use crate::nests::expr;
use crate::places::id_of;
use crate::rng::Rng;
use crate::sabotage::{act, find, gate, only, plan_of, scripted, starts};

/// What filters of random plans let through: anything else that is decided later.
const UNWANTED: &str = "blue";

/// Bounds some of the approvals of a plan, where they cover something destructive.
pub fn some(rng: &mut Rng, plan: &mut Plan) {
    for at in 0..plan.graph.steps.len() {
        let Some(gate) = plan.graph.steps[at].gate.as_ref().filter(|_| rng.percent(50)) else { continue };
        let destroys = |name: &&String| {
            plan.graph.steps.iter().any(|step| step.id == **name && step.effect == Effect::Destructive)
        };
        let of: Vec<String> = gate.covers.iter().filter(destroys).cloned().collect();
        if plan.graph.steps[at].kind == Kind::Approve && !of.is_empty() {
            let max_targets = 1 + u32::try_from(rng.upto(3)).unwrap_or(0);
            let filter = rng.percent(70).then(|| format!("target != \"{UNWANTED}\""));
            bound(plan, at, &of, max_targets, filter.as_deref());
        }
    }
}

fn bound(plan: &mut Plan, at: usize, of: &[String], max_targets: u32, filter: Option<&str>) {
    let node = &mut plan.graph.steps[at];
    let of = of.iter().map(|name| (name.clone(), vec![ActOf::Do])).collect();
    let limit = LimitNode { max_targets, of, filtered: filter.is_some() };
    node.gate.as_mut().expect("it is a gate").limit = Some(limit);
    plan.values.steps.get_mut(&node.id).expect("it has values").filter = filter.map(expr);
}

/// No more destructive targets begin by one approval than it says, and none of those decided later that its filter does
/// not let through (rule 3).
pub fn limits(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::AttemptStarted { role: Role::Do, .. } = event.fact else { return Ok(()) };
    let Some(name) = place_of(event) else { return Ok(()) };
    let place = model.place(&name);
    for (limit, filter, ask) in counting(model, &name) {
        let ask = &model.asks[&ask];
        let again = ask.through.contains(&place.label);
        ensure(again || ask.through.len() < limit.max_targets as usize, "more targets than were approved")?;
        let own = ask.shown.get(&place.label);
        let Some(shown) = own.or_else(|| ask.shown.get(id_of(&name))).filter(|_| filter) else { continue };
        let request = request_of(event).ok_or("there is no request in it")?;
        let mut filled = Vec::new();
        holes(shown, &request["probe"]["action"], &mut filled);
        ensure(!filled.iter().any(|value| value == UNWANTED), "its filter does not let that target through")?;
    }
    Ok(())
}

/// The limits in force on a place: each with its question.
fn counting<'m>(model: &'m Model<'_>, name: &str) -> Vec<(&'m LimitNode, bool, u32)> {
    let mut all = Vec::new();
    for gate in model.covering(name) {
        let limit = gate.gate.as_ref().and_then(|gate| gate.limit.as_ref());
        let asked = model.asks.iter().rfind(|(_, ask)| ask.step == gate.id);
        if let (Some(limit), Some((id, ask))) = (limit, asked)
            && limit.of.contains_key(id_of(name))
            && ask.end == Some(AskEnd::Answered)
        {
            all.push((limit, limit.filtered, *id));
        }
    }
    all
}

/// Keeps count of what goes through.
pub fn take(model: &mut Model<'_>, event: &Event) {
    let Fact::AttemptStarted { role: Role::Do, .. } = event.fact else { return };
    let Some(name) = place_of(event) else { return };
    let label = model.place(&name).label.clone();
    let asks: Vec<u32> = counting(model, &name).into_iter().map(|(.., ask)| ask).collect();
    for ask in asks {
        model.asks.get_mut(&ask).expect("it was asked").through.insert(label.clone());
    }
}

/// What fills each reference that was shown, where a text has only one.
fn holes(shown: &Value, full: &Value, out: &mut Vec<String>) {
    if let (Some([before, after]), Some(text)) = (around_hole(shown), text_of(full)) {
        let rest = text.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after));
        out.extend(rest.map(str::to_owned));
    }
    match (shown, full) {
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).for_each(|(a, b)| holes(a, b, out)),
        (Value::Object(a), Value::Object(b)) => {
            a.iter().for_each(|(name, a)| b.get(name).into_iter().for_each(|b| holes(a, b, out)));
        }
        _ => {}
    }
}

fn around_hole(shown: &Value) -> Option<[String; 2]> {
    let text = |segment: &Value| segment.get("text").and_then(Value::as_str).map(str::to_owned);
    let list = shown.as_array()?;
    let at = list.iter().position(|segment| segment.get("later").is_some())?;
    let join = |part: &[Value]| part.iter().map(text).collect::<Option<String>>();
    Some([join(&list[..at])?, join(&list[at + 1..])?])
}

fn text_of(full: &Value) -> Option<String> {
    match full.as_array()?.as_slice() {
        [] => Some(String::new()),
        [one] => one.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

/// A destructive step that reads its target.
fn wipe(id: &str, target: &str) -> (StepNode, StepValues) {
    let (node, mut values) = act(id, Effect::Destructive);
    let argv = ["wipe", target].map(|text| Template::parse(text).expect("well formed")).into();
    let action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
    values.act = Some(ProbeOf { action, accept: Accept::default(), timeout_ms: None, artifacts: Vec::new() });
    (node, values)
}

fn reads(id: &str, output: &str) -> (StepNode, StepValues) {
    let (mut node, values) = act(id, Effect::Read);
    node.outputs.push(OutputNode { name: output.into(), public: false, kind: InputKind::Any });
    (node, values)
}

/// An approval is asked first, then a step decides what is wiped.
fn decided_later(max_targets: u32, filter: Option<&str>) -> Plan {
    let mut plan = plan_of(vec![
        gate("go", Kind::Approve, 1, &["wipe"]),
        reads("pick", "v"),
        wipe("wipe", "{{ steps.pick.v }}"),
    ]);
    bound(&mut plan, 0, &["wipe".into()], max_targets, filter);
    plan
}

/// The approval is asked first, then a step gives a list, and each item of it is looked at and wiped.
fn listed(max_targets: u32, filter: &str) -> Plan {
    let mut plan = plan_of(vec![
        gate("go", Kind::Approve, 1, &["wipe"]),
        reads("pick", "v"),
        each("steps.pick.v", PLAIN, group("all", GroupNode { handlers: false, then_continue: false })),
        within("all", reads("look", "w")),
        within("all", wipe("wipe", "{{ steps.look.w }}-{{ of }}")),
    ]);
    bound(&mut plan, 0, &["wipe".into()], max_targets, Some(filter));
    plan
}

/// What each read gives, step by step; everything else goes well, and bob approves whatever is asked.
fn run<'a>(plan: &'a Plan, gives: &[(&str, &str, Value)]) -> Life<'a> {
    let mut life = scripted(plan, &[]);
    for (step, output, value) in gives {
        life.sim.world.gives.insert(((*step).to_owned(), (*output).to_owned()), value.clone());
    }
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    assert_eq!(life.sim.world.verdict(), Vec::new());
    life
}

fn voids(life: &Life<'_>) -> Vec<(String, &'static str)> {
    let why = |event: &Event| match &event.fact {
        Fact::ApprovalVoided { because, reason, .. } => Some((
            because.clone(),
            match reason {
                VoidReason::Changed => "changed",
                VoidReason::Filter => "filter",
                VoidReason::MaxTargets => "max_targets",
            },
        )),
        _ => None,
    };
    life.sim.events().filter_map(why).collect()
}

fn started(life: &Life<'_>, step: &str) -> usize {
    let of = |event: &&Event| starts(Role::Do)(event) && event.step.as_deref() == Some(step);
    life.sim.events().filter(of).count()
}

#[test]
fn rule_03_a_target_decided_later_goes_through_if_the_filter_lets_it() {
    let plan = decided_later(1, Some("target is startingwith(inputs.color)"));
    let life = run(&plan, &[("pick", "v", json!("red-1"))]);
    assert_eq!((voids(&life), started(&life, "wipe")), (vec![], 1));
    let ask = life.sim.state.ask(1).expect("it was asked");
    let limit = ask.binds.as_ref().and_then(|binds| binds.limit.as_ref()).expect("it is bound");
    assert_eq!(limit.reads.get("inputs.color"), Some(&json!("red")), "with what the filter reads");
}

#[test]
fn rule_03_a_target_outside_of_the_filter_is_asked_for_and_shown() {
    for outside in [json!("blue-1"), json!(17), json!(null)] {
        let plan = decided_later(1, Some("target is startingwith(inputs.color)"));
        let life = run(&plan, &[("pick", "v", outside.clone())]);
        assert_eq!(voids(&life), [("wipe".to_owned(), "filter")], "{outside}");
        let begun = life.sim.events().position(starts_of("wipe")).expect("it was approved then");
        let asked = life
            .sim
            .events()
            .position(|event| matches!(&event.fact, Fact::AskOpened { ask: 2, kind: AskKind::Approve, .. }));
        assert!(asked.is_some_and(|asked| asked < begun), "nothing began before it was asked again");
        let shown = &life.sim.state.ask(2).expect("it was asked again").shown["shown"];
        assert!(!shown.contains("later"), "{shown}");
    }
}

fn starts_of(step: &'static str) -> impl Fn(&Event) -> bool {
    move |event| starts(Role::Do)(event) && event.step.as_deref() == Some(step)
}

#[test]
fn rule_17_items_of_a_list_decided_later_go_through_by_the_filter_and_the_number() {
    let gives = |names: Value| [("pick", "v", names), ("look", "w", json!("x"))];
    let fine = listed(2, "of != \"prod\"");
    let life = run(&fine, &gives(json!(["a", "b"])));
    assert_eq!((voids(&life), started(&life, "wipe")), (vec![], 2));
    let life = run(&fine, &gives(json!(["a", "b", "c"])));
    assert_eq!(voids(&life), [("wipe[3]".to_owned(), "max_targets")]);
    assert_eq!(started(&life, "wipe"), 3, "with another approval");
    let life = run(&fine, &gives(json!(["prod", "a", "b"])));
    assert_eq!(voids(&life), [("wipe[1]".to_owned(), "filter"), ("wipe[3]".to_owned(), "max_targets")]);
    // What was found out about the item by then is shown, and asked for once.
    let strict = listed(9, "target in [\"a\", \"b\"]");
    let life = run(&strict, &gives(json!(["a", "b"])));
    let voids = voids(&life);
    assert_eq!(voids, [("wipe[1]".to_owned(), "filter"), ("wipe[2]".to_owned(), "filter")]);
    let binds = life.sim.state.ask(2).and_then(|ask| ask.binds.clone()).expect("it binds");
    assert!(binds.known.contains_key("wipe[1]") && !binds.known.contains_key("wipe[2]"), "{binds:?}");
}

/// Takes in a history up to the first start of `wipe`, which is changed; what the state says to that.
fn told(plan: &Plan, life: &Life<'_>, change: impl Fn(&mut Event)) -> Result<(), &'static str> {
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
    for entry in &life.sim.entries {
        for event in &entry.events {
            let mut event = event.clone();
            if starts_of("wipe")(&event) {
                change(&mut event);
                state.apply(entry.at, &event).map_err(|illegal| illegal.why)?;
                continue;
            }
            state.apply(entry.at, &event).expect("its own history");
        }
    }
    Ok(())
}

#[test]
fn rule_03_a_journal_that_exceeds_its_approval_is_illegal() {
    let plan = listed(2, "target != \"x-prod\" and of != \"prod\"");
    let life = run(&plan, &[("pick", "v", json!(["a", "b"])), ("look", "w", json!("x"))]);
    assert_eq!(told(&plan, &life, |_| {}), Ok(()));
    let prod = |event: &mut Event| {
        let judged = event.hidden.0.get_mut("targets").expect("it says what was judged");
        assert!(judged.contains("\"a\"") || judged.contains("\"b\""), "{judged}");
        *judged = judged.replace("\"a\"", "\"prod\"");
    };
    assert_eq!(told(&plan, &life, prod), Err("its target is not one that was approved"));
    // Who sees nothing hidden counts all the same.
    let mut fewer = plan.clone();
    fewer.graph.steps[0].gate.as_mut().and_then(|gate| gate.limit.as_mut()).expect("bounded").max_targets = 1;
    let bare = |event: &mut Event| event.hidden = Hidden::default();
    assert_eq!(told(&fewer, &life, bare), Err("as many targets as were approved have been begun"));
}

#[test]
fn a_target_that_the_filter_does_not_let_through() {
    let plan = decided_later(1, Some("target != \"blue\""));
    let entries = run(&plan, &[("pick", "v", json!("red"))]).sim.entries.clone();
    only("limits", &plan, &entries, |events| {
        let start = find(events, 0, starts_of("wipe"));
        let request = events[start].hidden.0.get_mut("request").expect("an attempt has a request");
        *request = request.replace("red", "blue");
    });
}

#[test]
fn one_target_more_than_was_approved() {
    let plan = listed(2, "target != \"blue\"");
    let mut fewer = plan.clone();
    fewer.graph.steps[0].gate.as_mut().and_then(|gate| gate.limit.as_mut()).expect("bounded").max_targets = 1;
    let life = run(&plan, &[("pick", "v", json!(["a", "b"])), ("look", "w", json!("x"))]);
    let objectors = crate::sabotage::objectors(&fewer, &life.sim.entries);
    assert_eq!(objectors, std::collections::BTreeSet::from(["limits"]));
}
