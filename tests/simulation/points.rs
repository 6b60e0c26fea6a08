//! Items of a checklist that are read back: the rule, and small runs.

use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::state::ItemState;
use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::{Rendered, Template};
use serde_json::{Value, json};

use crate::checkers::ensure;
use crate::drive::begin;
use crate::model::{Inside, Model};
use crate::people::{actor, answer};
use crate::rng::Rng;
use crate::sabotage::{find, history, only, plan_of};

/// An item that is read back is ticked by its value and by nothing else; no other item is ticked so.
pub fn read_back(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::AskAnswered { ask, part: Some(part), decision } = &event.fact else { return Ok(()) };
    let asked = model.asks.get(ask).ok_or("nothing was asked")?;
    let node = model.node(&asked.step);
    let item = node.items.iter().find(|item| item.id == *part).ok_or("there is no such item")?;
    if !item.read_back {
        return ensure(*decision != Decision::ReadBack, "there is nothing to read back");
    }
    if *decision == Decision::No {
        return Ok(());
    }
    ensure(*decision == Decision::ReadBack, "it is ticked without having been read back")?;
    let written = crate::places::id_of(&asked.step);
    let wanted = model.plan.values.steps[written].items[part].read_back.as_ref();
    let frame = model.place(&asked.step).frame.clone();
    let wanted = wanted.and_then(|wanted| wanted.render(&Inside { model, frame }).ok());
    let said = event.hidden.text("value");
    let wanted = wanted.as_ref().and_then(Rendered::as_plain);
    ensure(wanted.is_some() && said.as_deref().map(str::trim) == wanted, "something else was read back")
}

fn listed(text: &str, unattended: bool) -> Plan {
    let mut node = StepNode { above: true, ..StepNode::new("list", Kind::Checklist, Effect::Read) };
    let item =
        |id: &str, read_back| ItemNode { id: id.into(), probe: false, evidence: Evidence::None, read_back };
    node.items = vec![item("said", true), item("plain", false)];
    node.unattended = unattended;
    let mut values = StepValues { unattended: unattended.then(|| json!("yes")), ..StepValues::default() };
    for (id, read_back) in [("said", Some(Template::parse(text).expect("well formed"))), ("plain", None)] {
        values
            .items
            .insert(id.into(), Item { text: Localized::default(), probe: None, step: None, read_back });
    }
    plan_of(vec![(node, values)])
}

fn asked(plan: &Plan, attended: bool) -> State {
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "r");
    let _begun = decide(plan, &mut state, at(0), begin(&mut Rng::new(7), attended)).expect("it begins");
    state
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(0).plus(millis)
}

/// What becomes of an item, or why the answer is refused.
fn says(
    plan: &Plan,
    state: &mut State,
    part: Option<&str>,
    word: Value,
) -> Result<Vec<Decision>, &'static str> {
    let answer = Answer { part: part.map(str::to_owned), ..answer(1, word, actor("bob", How::OsUser)) };
    let decided = decide(plan, state, at(1), Input::Answer(Box::new(answer)));
    let decided = decided.map_err(|refused| {
        let told = refused.code == "not-read-back" && format!("{refused:?}").contains("red");
        assert!(!told, "the value is not told: {refused:?}");
        refused.code
    })?;
    let said = decided.events.iter().filter_map(|event| match event.fact {
        Fact::AskAnswered { decision, .. } => Some(decision),
        _ => None,
    });
    Ok(said.collect())
}

#[test]
fn an_item_that_is_read_back_is_ticked_by_its_value_and_by_nothing_else() {
    let plan = listed(" {{ inputs.color }} ", false);
    let mut state = asked(&plan, true);
    for wrong in ["yes", "done", "by_hand", "blue", "RED", ""] {
        assert_eq!(says(&plan, &mut state, Some("said"), json!(wrong)), Err("not-read-back"), "{wrong}");
    }
    assert_eq!(says(&plan, &mut state, None, json!("red")), Err("not-a-choice"), "of the item alone");
    assert_eq!(says(&plan, &mut state, Some("plain"), json!("red")), Err("not-a-choice"));
    assert_eq!(says(&plan, &mut state, None, json!("yes")), Ok(vec![Decision::Done]), "the other one");
    assert_eq!(state.step(0).status, Status::Waiting);
    let ticked = says(&plan, &mut state, Some("said"), json!(" red "));
    assert_eq!((ticked, state.step(0).status), (Ok(vec![Decision::ReadBack]), Status::Succeeded));
    let mut state = asked(&plan, true);
    assert_eq!(says(&plan, &mut state, Some("said"), json!("no")), Ok(vec![Decision::No]));
    // Where the value is one of the words that tick others, it is the value.
    let plan = listed("yes", false);
    assert_eq!(
        says(&plan, &mut asked(&plan, true), Some("said"), json!("yes")),
        Ok(vec![Decision::ReadBack])
    );
}

#[test]
fn what_cannot_be_read_back_fails_the_list_before_it_is_asked() {
    for text in ["{{ inputs.nothing }}", "{{ secrets.token }}", "  "] {
        let plan = listed(text, false);
        let state = asked(&plan, true);
        let ask = state.ask(1).expect("somebody decides what now");
        assert_eq!((ask.kind, ask.reason.as_deref()), (AskKind::Failure, Some("read_back")), "{text}");
    }
}

#[test]
fn nobody_reads_back_in_an_unattended_run() {
    let state = asked(&listed("{{ inputs.color }}", true), false);
    assert_eq!(state.step(0).items, [ItemState::Open, ItemState::Confirmed]);
    assert_eq!(state.open_asks().count(), 1);
}

#[test]
fn a_journal_that_ticks_it_otherwise_is_illegal() {
    let plan = listed("{{ inputs.color }}", false);
    let entries = history(&plan, &[]);
    let told = |doctor: &dyn Fn(&mut Event)| {
        let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
        for entry in &entries {
            for event in &entry.events {
                let mut event = event.clone();
                if matches!(&event.fact, Fact::AskAnswered { part: Some(part), .. } if part == "said") {
                    doctor(&mut event);
                }
                state.apply(entry.at, &event).map_err(|illegal| illegal.why)?;
            }
        }
        Ok(())
    };
    assert_eq!(told(&|_| {}), Ok(()));
    assert_eq!(
        told(&|event| event.hidden = Hidden::default()),
        Ok(()),
        "who sees nothing folds it all the same"
    );
    let other = |event: &mut Event| event.hidden.put_text("value", "blue");
    assert_eq!(told(&other), Err("that is not what was to be read back"));
    let bare = |event: &mut Event| {
        if let Fact::AskAnswered { decision, .. } = &mut event.fact {
            *decision = Decision::Done;
        }
    };
    assert_eq!(told(&bare), Err("that is no answer to an item"));
}

#[test]
fn an_item_that_is_ticked_without_being_read_back() {
    let plan = listed("{{ inputs.color }}", false);
    only("read_back", &plan, &history(&plan, &[]), |events| {
        let said =
            |event: &Event| matches!(event.fact, Fact::AskAnswered { decision: Decision::ReadBack, .. });
        let at = find(events, 0, said);
        events[at].hidden.put_text("value", "blue");
    });
}
