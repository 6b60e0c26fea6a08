//! The rules of the language that are about the core, one small run each. The numbers are those of `docs/language.md`;
//! what random runs hold of each rule is in `checkers` and `compounds`.

use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::Template;

use crate::doctored::{PLAIN, each, group, handler, lenient, rounds, within};
use crate::drive::{Life, begin};
use crate::nests::expr;
use crate::plans::probe;
use crate::rng::Rng;
use crate::sabotage::{act, gate, plan_of, scripted};
use crate::world::Fate;

/// How a run ends whose steps go by the script; nobody objects to it.
fn end<'a>(plan: &'a Plan, attended: bool, script: &[(&str, Fate)]) -> Life<'a> {
    let mut life = scripted(plan, script);
    let _begun = life.sim.input(begin(&mut Rng::new(7), attended));
    life.settle();
    assert_eq!(life.sim.world.verdict(), Vec::new());
    life
}

/// What became of a step or an item.
fn status(life: &Life<'_>, place: &str) -> Status {
    life.sim.state.find(place).unwrap_or_else(|| panic!("{place} is a step")).1.status
}

fn reason(life: &Life<'_>, place: &str) -> String {
    life.sim.state.find(place).and_then(|(_, step)| step.reason.clone()).unwrap_or_default()
}

/// Which of the events of these names come first, by the places that they are about.
fn order(life: &Life<'_>, name: &str) -> Vec<String> {
    life.sim.events().filter(|event| event.fact.name() == name).filter_map(Event::place).collect()
}

fn finished(life: &Life<'_>) -> RunStatus {
    life.sim.state.run.finished.as_ref().map(|finished| finished.status).expect("the run is over")
}

fn write(id: &str) -> (StepNode, StepValues) {
    act(id, Effect::Write)
}

#[test]
fn rule_01_without_needs_a_step_comes_after_everything_above_it_in_its_list() {
    let mut beside = [write("left"), write("right")].map(|step| within("both", step));
    beside.iter_mut().for_each(|(node, _)| node.above = false);
    let [left, right] = beside;
    let plan = plan_of(vec![write("first"), group("both", GroupNode::default()), left, right, write("last")]);
    let life = end(&plan, true, &[("left", Fate::Good), ("right", Fate::Good)]);
    assert_eq!(order(&life, "attempt.started"), ["first", "left", "right", "last"]);
    let left_ends = life
        .sim
        .events()
        .position(|e| e.fact.name() == "step.settled" && e.place().as_deref() == Some("left"));
    let right_starts = life
        .sim
        .events()
        .position(|e| e.fact.name() == "attempt.started" && e.place().as_deref() == Some("right"));
    assert!(right_starts < left_ends, "they run side by side");
}

#[test]
fn rule_02_a_rejected_gate_satisfies_nobody_also_through_its_group() {
    let mut no = gate("go", Kind::Approve, 1, &["write"]);
    no.0.gate.as_mut().expect("a gate").on_reject_continue = true;
    let plan = plan_of(vec![
        group("asked", GroupNode { handlers: false, then_continue: true }),
        within("asked", no),
        write("write"),
    ]);
    let life = end(&plan, true, &[("go", Fate::Bad)]);
    assert_eq!((status(&life, "go"), status(&life, "asked")), (Status::Rejected, Status::Rejected));
    assert_eq!((status(&life, "write"), reason(&life, "write")), (Status::Skipped, "upstream".to_owned()));
    let life = end(&plan, true, &[("go", Fate::Good)]);
    assert_eq!(status(&life, "write"), Status::Succeeded);
}

/// An item that changes under the run voids the approval that showed it, and is asked again.
#[test]
fn rule_03_an_approval_binds_each_item_of_a_list() {
    let (node, mut values) = write("each");
    let argv = ["paint", "{{ of }}", "{{ inputs.color }}"];
    let argv = argv.iter().map(|text| Template::parse(text).expect("well formed")).collect();
    if let Some(act) = &mut values.act {
        act.action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
    }
    let plan =
        plan_of(vec![gate("go", Kind::Approve, 1, &["each"]), each("[\"a\", \"b\"]", PLAIN, (node, values))]);
    let life = end(&plan, true, &[]);
    let ask = life.sim.state.ask(1).expect("it was asked");
    assert_eq!(ask.covers, ["each[1]", "each[2]"]);
    let binds = ask.binds.as_ref().expect("it binds");
    assert_ne!(binds.digests["each[1]"], binds.digests["each[2]"], "each item by itself");
    let names = goes_on_otherwise(&plan, &life, "each", Some(1));
    assert!(names.contains(&"approval.voided") && names.contains(&"ask.opened"), "{names:?}");
    assert!(!names.contains(&"attempt.started"), "{names:?}");
}

/// What would take a step back is shown and bound as well: who starts the step arms it.
#[test]
fn rule_03_an_approval_binds_what_takes_a_step_back() {
    let (mut node, mut values) = write("paint");
    (node.undo, values.undo_effect, values.undo) = (true, Some(Effect::Destructive), values.act.clone());
    if let Some(undo) = &mut values.undo {
        let argv = ["strip", "{{ inputs.color }}"];
        let argv = argv.iter().map(|text| Template::parse(text).expect("well formed")).collect();
        undo.action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
    }
    let plan = plan_of(vec![
        gate("go", Kind::Approve, 1, &["first", "paint", "last"]),
        write("first"),
        (node, values),
        write("last"),
    ]);
    let life = end(&plan, true, &[]);
    let ask = life.sim.state.ask(1).expect("it was asked");
    let shown: Vec<Shown> = serde_json::from_str(&ask.shown["shown"]).expect("requests");
    let shown: Vec<_> = shown.iter().map(|shown| (shown.step.as_str(), shown.effect)).collect();
    let back = ("paint (undo)", Effect::Destructive);
    assert_eq!(shown, [("first", Effect::Write), ("paint", Effect::Write), back, ("last", Effect::Write)]);
    let names = goes_on_otherwise(&plan, &life, "first", None);
    assert!(names.contains(&"approval.voided") && !names.contains(&"attempt.started"), "{names:?}");
}

/// What follows in a run whose input has changed, when that step has been done.
fn goes_on_otherwise(plan: &Plan, life: &Life<'_>, step: &str, item: Option<u32>) -> Vec<&'static str> {
    let mut other = plan.clone();
    other.values.inputs.insert("color".into(), "blue".into());
    let begins = |event: &Event| {
        event.fact.name() == "attempt.started" && (event.step.as_deref(), event.item) == (Some(step), item)
    };
    let upto = life.sim.entries.iter().position(|entry| entry.events.iter().any(begins));
    let entries = &life.sim.entries[..=upto.expect("it began")];
    let mut state =
        State::new(std::sync::Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
    for entry in entries {
        entry.events.iter().for_each(|event| state.apply(entry.at, event).expect("its own history"));
    }
    let key = AttemptKey { step: step.into(), item, attempt: 1 };
    let outcome = Box::new(Outcome::bare(AttemptResult::Succeeded, "ok", state.run.last_at));
    let now = state.run.last_at;
    let next = decide(&other, &mut state, now, Input::Finished { key, outcome }).expect("never refused");
    next.events.iter().map(|event| event.fact.name()).collect()
}

#[test]
fn rule_07_what_its_own_when_skips_satisfies_and_what_failed_above_spreads() {
    let (mut node, mut values) = write("no");
    (node.conditional, values.when) = (true, Some(expr("inputs.color == \"blue\"")));
    let mut mend = write("mend");
    mend.0.run_on = RunOn::Failure;
    let plan = plan_of(vec![(node, values), lenient(write("bad")), write("spread"), mend]);
    let life = end(&plan, true, &[("bad", Fate::Bad)]);
    assert_eq!(reason(&life, "no"), "when");
    assert_eq!((status(&life, "bad"), reason(&life, "spread")), (Status::Failed, "upstream".to_owned()));
    assert_eq!(status(&life, "mend"), Status::Succeeded, "it runs on failure");
    let life = end(&plan, true, &[]);
    assert_eq!(
        (status(&life, "spread"), reason(&life, "mend")),
        (Status::Succeeded, "not_needed".to_owned())
    );
}

#[test]
fn rule_08_a_failure_is_asked_about_stops_goes_on_or_is_handled() {
    let bad = [("bad", Fate::Bad)];
    let plan = plan_of(vec![write("bad"), write("after")]);
    assert_eq!(status(&end(&plan, true, &bad), "bad"), Status::Overridden, "somebody was asked");
    assert_eq!(status(&end(&plan, false, &bad), "after"), Status::Skipped, "nobody is there: it stops");
    let plan = plan_of(vec![lenient(write("bad")), write("after")]);
    assert_eq!(finished(&end(&plan, true, &bad)), RunStatus::Failed, "others go on, and the run has failed");
    for then_continue in [false, true] {
        let plan = plan_of(vec![
            group("all", GroupNode { handlers: true, then_continue }),
            within("all", write("bad")),
            within("all", write("rest")),
            handler("all", write("mend")),
            write("after"),
        ]);
        let life = end(&plan, true, &bad);
        assert_eq!((status(&life, "rest"), status(&life, "mend")), (Status::Skipped, Status::Succeeded));
        let (all, after) = if then_continue {
            (Status::Succeeded, Status::Succeeded)
        } else {
            (Status::Failed, Status::Skipped)
        };
        assert_eq!((status(&life, "all"), status(&life, "after")), (all, after));
    }
}

#[test]
fn rule_09_every_ending_reverses_newest_first_and_then_runs_finally() {
    let mut steps = vec![write("one"), write("two"), write("tidy")];
    for (node, values) in &mut steps[..2] {
        node.put_back = Some(PutBackNode { only_if: false, otherwise: OtherwisePutBack::Auto });
        values.put_back = Some(probe("back"));
    }
    steps[2].0.section = Section::Finally;
    let plan = plan_of(steps);
    for script in [&[][..], &[("two", Fate::UnknownDid)]] {
        let life = end(&plan, true, script);
        assert_eq!(order(&life, "reversal.closed"), ["two", "one"]);
        assert_eq!(order(&life, "attempt.started").last().map(String::as_str), Some("tidy"));
    }
}

#[test]
fn rule_09_a_gate_that_is_refused_at_the_end_is_a_refusal_and_hides_no_earlier_end() {
    let plan = |goes_on: bool| {
        let (mut go, mut tidy) = (gate("go", Kind::Approve, 1, &["tidy"]), write("tidy"));
        go.0.gate.as_mut().expect("a gate").on_reject_continue = goes_on;
        (go.0.section, tidy.0.section) = (Section::Finally, Section::Finally);
        tidy.0.needs = vec!["go".to_owned()];
        plan_of(vec![write("one"), go, tidy])
    };
    let refused = plan(false);
    let life = end(&refused, true, &[("go", Fate::Bad)]);
    assert_eq!((status(&life, "tidy"), finished(&life)), (Status::Skipped, RunStatus::Refused));
    let life = end(&refused, false, &[("one", Fate::Bad), ("go", Fate::Bad)]);
    assert_eq!(finished(&life), RunStatus::Failed, "the first error stays");
    let pushed_back = plan(true);
    let life = end(&pushed_back, true, &[("go", Fate::Bad)]);
    assert_eq!(finished(&life), RunStatus::Succeeded);
}

#[test]
fn rule_13_attempts_are_counted_in_all_and_wait_longer_each_time() {
    let (mut node, values) = write("write");
    node.retry = RetryPolicy { max_attempts: 2, errors: vec![ErrorClass::Connect], ..RetryPolicy::default() };
    assert!(node.retry.longest_delay(2) > node.retry.longest_delay(1));
    node.on_failure = Some(OnFailure::Stop);
    let plan = plan_of(vec![(node, values)]);
    let mut state =
        State::new(std::sync::Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
    let mut now = consigne::clock::Timestamp::from_millis(1_000);
    let _begun = decide(&plan, &mut state, now, begin(&mut Rng::new(7), false)).expect("it begins");
    for attempt in 1..=2 {
        let key = AttemptKey { step: "write".into(), item: None, attempt };
        let mut outcome = Outcome::bare(AttemptResult::Failed, "connect", now);
        outcome.class = Some(ErrorClass::Connect);
        let _next = decide(&plan, &mut state, now, Input::Finished { key, outcome: Box::new(outcome) });
        now = now.plus(60_000);
        let _tick = decide(&plan, &mut state, now, Input::Tick);
    }
    let step = state.find("write").expect("a step").1;
    assert_eq!((step.attempts, step.status), (2, Status::Failed), "no third one");
}

#[test]
fn rule_14_what_may_have_happened_is_proved_sent_again_by_its_key_or_asked_about() {
    let doubt = [("write", Fate::UnknownDid)];
    let plain = plan_of(vec![write("write")]);
    let life = end(&plain, true, &doubt);
    assert_eq!((status(&life, "write"), reason(&life, "write")), (Status::Overridden, "done".to_owned()));
    let mut keyed = plain.clone();
    keyed.graph.steps[0].keyed = true;
    let life = end(&keyed, true, &doubt);
    assert_eq!((status(&life, "write"), life.sim.state.asks().count()), (Status::Succeeded, 0));
    let mut proved = plain;
    proved.graph.steps[0].verify = Some(VerifyNode { first: false, absent: true });
    proved.values.steps.get_mut("write").expect("a step").verify = Some(probe("verify"));
    let life = end(&proved, true, &doubt);
    assert_eq!((status(&life, "write"), reason(&life, "write")), (Status::Succeeded, "verified".to_owned()));
}

#[test]
fn rule_15_a_success_is_proved_and_what_is_already_so_is_not_done() {
    let (mut node, mut values) = write("write");
    node.verify = Some(VerifyNode { first: true, absent: false });
    values.verify = Some(probe("verify"));
    let plan = plan_of(vec![(node, values)]);
    let life = end(&plan, true, &[]);
    assert_eq!(reason(&life, "write"), "verified");
    let mut life = scripted(&plan, &[]);
    let _already = life.sim.world.truth.effects.insert("write".into(), vec![(0, None)]);
    let _begun = life.sim.input(begin(&mut Rng::new(7), true));
    life.settle();
    assert_eq!(reason(&life, "write"), "already_done");
}

#[test]
fn rule_02_a_list_of_gates_of_which_one_stays_shut_satisfies_nothing() {
    let of = EachNode { max_failures: Some(Share::Count(2)), ..PLAIN };
    let (mut node, values) = gate("each", Kind::Approve, 1, &[]);
    if let Some(gate) = &mut node.gate {
        gate.on_reject_continue = true;
    }
    let (aside, doing) = write("aside");
    let aside = (StepNode { above: false, ..aside }, doing);
    let plan = plan_of(vec![each("[\"a\", \"b\"]", of, (node, values)), write("after"), aside]);
    let open = end(&plan, true, &[]);
    assert_eq!(["each", "after"].map(|at| status(&open, at)), [Status::Succeeded; 2]);
    let shut = end(&plan, true, &[("each[1]", Fate::Bad)]);
    assert_eq!(
        ["each", "after", "aside"].map(|at| status(&shut, at)),
        [Status::Rejected, Status::Skipped, Status::Succeeded]
    );
}

#[test]
fn rule_17_a_list_is_gone_through_item_by_item_the_first_before_the_others() {
    let canary = Some(CanaryNode { count: 1, ask: true, soak_ms: None });
    let of = EachNode { max_parallel: 2, canary, max_failures: Some(Share::Count(1)), ..PLAIN };
    let plan = plan_of(vec![each("[\"a\", \"b\", \"c\"]", of, write("each")), write("after")]);
    let life = end(&plan, true, &[("each[2]", Fate::Bad)]);
    assert_eq!(order(&life, "ask.opened"), ["each"], "go on after the first?");
    let items = ["each:a", "each:b", "each:c"].map(|item| status(&life, item));
    assert_eq!(items, [Status::Succeeded, Status::Failed, Status::Succeeded]);
    assert_eq!(
        (reason(&life, "each"), status(&life, "after")),
        ("some_failed".to_owned(), Status::Succeeded)
    );
    // One more failure than may be: nothing further begins, and the list has failed.
    let of = EachNode { max_failures: Some(Share::Count(0)), ..PLAIN };
    let plan = plan_of(vec![lenient(each("[\"a\", \"b\", \"c\"]", of, write("each")))]);
    let life = end(&plan, true, &[("each[1]", Fate::Bad)]);
    let items = ["each:a", "each:b", "each:c", "each"].map(|item| status(&life, item));
    assert_eq!(items, [Status::Failed, Status::Skipped, Status::Skipped, Status::Failed]);
    for (items, reason_of) in [("[]", "empty"), ("[\"a\", \"a\"]", "keys"), ("inputs.color", "list")] {
        let plan = plan_of(vec![lenient(each(items, PLAIN, write("each")))]);
        assert_eq!(reason(&end(&plan, true, &[]), "each"), reason_of);
    }
}

#[test]
fn rule_18_rounds_follow_each_other_until_it_is_as_it_is_to_be() {
    let until = "steps.one.outcome == \"succeeded\"";
    let mut one = lenient(write("one"));
    one.0.allowed = true;
    let plan =
        plan_of(vec![lenient(rounds(3, until, group("all", GroupNode::default()))), within("all", one)]);
    let life = end(&plan, true, &[("one[1]", Fate::Bad)]);
    assert_eq!(
        ["one:1", "one:2", "all"].map(|at| status(&life, at)),
        [Status::Failed, Status::Succeeded, Status::Succeeded]
    );
    assert!(life.sim.state.find("one:3").is_none(), "no round too many");
    let never = ["one[1]", "one[2]", "one[3]"].map(|at| (at, Fate::Bad));
    let life = end(&plan, true, &never);
    assert_eq!((status(&life, "all"), reason(&life, "all")), (Status::Failed, "max_rounds".to_owned()));
}

#[test]
fn rule_25_every_step_has_a_final_status_with_a_reason_when_the_run_is_over() {
    let plan = plan_of(vec![
        group("all", GroupNode { handlers: true, then_continue: true }),
        within("all", each("[\"a\", \"b\"]", PLAIN, write("each"))),
        handler("all", write("mend")),
        lenient(write("bad")),
        write("after"),
    ]);
    let life = end(&plan, true, &[("bad", Fate::Bad)]);
    for (node, step) in life.sim.state.steps() {
        assert!(step.settled && step.status.is_final() && step.reason.is_some(), "{}", node.id);
    }
    assert_eq!(finished(&life), RunStatus::Failed);
}
