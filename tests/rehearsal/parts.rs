//! Faults at what a step does besides itself: its proof, its undo, its put_back and the condition of that.

use serde_json::Value;

use crate::world::{Made, Rehearsals, said};

const PARTS: &str = r#"consigne: v1
id: parts
title: {fr: "Parties", en: "Parts"}
steps:
  - id: look
    http: {get: "http://127.0.0.1:9/state"}
  - id: write
    http: {post: "http://127.0.0.1:9/rows"}
    effect: write
    verify: {first: true, http: {get: "http://127.0.0.1:9/rows"}, expect: {status: [200]}, absent: {status: [404]}}
    undo: {http: {post: "http://127.0.0.1:9/rows/1/drop"}}
  - id: switch
    http: {post: "http://127.0.0.1:9/switch/on"}
    effect: write
    put_back:
      http: {post: "http://127.0.0.1:9/switch/off"}
      only_if: {http: {get: "http://127.0.0.1:9/switch"}, expect: {status: [200]}}
      otherwise: auto
  - id: last
    http: {post: "http://127.0.0.1:9/last"}
    effect: write
"#;

/// Whoever is asked wants everything back.
const ANSWERS: &str = "last: undo_end\nwrite: put_back\nswitch: {answer: {choice: leave_open, owner: me, review_at: '2030-01-01T00:00:00Z'}, comment: later}\n";

fn world() -> (Rehearsals, String) {
    let world = Rehearsals::new();
    world.write("parts.yaml", PARTS);
    let answers = world.write("a.yaml", ANSWERS).display().to_string();
    (world, answers)
}

fn with(faults: &[&str], code: i32) -> (Rehearsals, Made) {
    let (world, answers) = world();
    let mut args = vec!["--answers", &answers];
    faults.iter().for_each(|fault| args.extend(["--fault", fault]));
    let made = world.rehearse("out", &world.path("parts.yaml"), &args, code);
    (world, made)
}

/// How the attempts of a step in that role ended, and who says so.
fn ended(made: &Made, step: &str, role: &str) -> Vec<(String, String)> {
    let (mut begun, mut out) = (Vec::new(), Vec::new());
    for event in made.events().into_iter().filter(|event| event["step"] == step) {
        if event["type"] == "attempt.started" && event["data"]["role"] == role {
            begun.push(event["attempt"].clone());
        }
        if event["type"] == "attempt.finished" && begun.contains(&event["attempt"]) {
            let text = |name: &str| event["data"][name].as_str().unwrap_or_default().to_owned();
            out.push((text("result"), text("worker")));
        }
    }
    out
}

fn one(result: &str, worker: &str) -> Vec<(String, String)> {
    vec![(result.to_owned(), worker.to_owned())]
}

#[test]
fn an_undo_that_fails_is_left_open_and_told() {
    let (_world, made) = with(&["last=failure", "write.undo=failure"], 1);
    assert_eq!(ended(&made, "write", "undo"), one("failed", "fault failure"));
    assert_eq!(made.of("reversal.closed", "write")[0]["data"]["how"], "failed");
    made.says("fault write.undo=failure: came to pass");
    made.says("1 put back, 1 left open or failed");
    // Its own act is another part.
    assert_eq!(ended(&made, "write", "do"), one("succeeded", "placeholder"));
}

#[test]
fn a_put_back_that_fails_is_decided_about_by_somebody() {
    let (_world, made) = with(&["last=failure", "switch.put_back=failure"], 1);
    assert_eq!(ended(&made, "switch", "put_back"), one("failed", "fault failure"));
    assert_eq!(made.of("reversal.closed", "switch")[0]["data"]["how"], "left_open");
    made.says("still open: put_back of switch");
}

#[test]
fn a_condition_that_does_not_hold_keeps_a_toggle_from_being_put_back() {
    let (world, answers) = world();
    let asking = world.write("asking.yaml", &PARTS.replace("otherwise: auto", "otherwise: ask"));
    let args = ["--answers", &answers, "--fault", "switch.only_if=failure"];
    let made = world.rehearse("out", &asking, &args, 0);
    assert_eq!(ended(&made, "switch", "only_if"), one("failed", "fault failure"));
    assert_eq!(ended(&made, "switch", "put_back"), []);
}

#[test]
fn proofs_are_struck_before_and_after_by_their_own_names() {
    let (_world, made) = with(&["write.verify=failure"], 4);
    assert_eq!(ended(&made, "write", "first")[0].1, "placeholder");
    assert_eq!(ended(&made, "write", "do"), one("succeeded", "placeholder"));
    assert_eq!(ended(&made, "write", "verify")[0], ("failed".to_owned(), "fault failure".to_owned()));
    // A proof that says "done already" for nothing: the step is never done.
    let (_world, made) = with(&["write.first=wrong"], 0);
    assert_eq!(ended(&made, "write", "do"), []);
    made.says("fault write.first=wrong: came to pass, and nobody noticed");
}

#[test]
fn a_lost_answer_and_a_crash_strike_an_undo_once() {
    let (_world, made) = with(&["last=failure", "write.undo=crash-after"], 1);
    assert_eq!(made.events().iter().filter(|event| event["type"] == "run.resumed").count(), 1);
    made.says("fault write.undo=crash-after: came to pass");
    let (_world, made) = with(&["last=failure", "write.undo=dropped"], 1);
    assert_eq!(ended(&made, "write", "undo")[0], ("unknown".to_owned(), "fault dropped".to_owned()));
}

#[test]
fn a_scenario_names_parts_as_it_does_for_outcomes() {
    let (world, answers) = world();
    let text = "faults: {last: failure, write.undo: [timeout]}\nsteps: {write: {undo: {status: 204}}}\n";
    let scenario = world.write("s.yaml", text).display().to_string();
    let args = ["--answers", &answers, "--scenario", &scenario];
    let made = world.rehearse("out", &world.path("parts.yaml"), &args, 4);
    made.says("fault write.undo=timeout: came to pass");
    assert_eq!(ended(&made, "write", "undo")[0].1, "fault timeout");
    for (fault, why) in [
        ("look.undo=failure", "the runbook has no step `look` with undo"),
        ("write.put_back=failure", "the runbook has no step `write` with put_back"),
        ("write.verify=dropped", "it can meet: failure, timeout, wrong, crash-before"),
        ("nowhere.verify=failure", "no step `nowhere`"),
    ] {
        world.rehearse("no", &world.path("parts.yaml"), &["--fault", fault], 2).says(why);
    }
    let wrong = world.write("w.yaml", "faults: {look.undo: failure}\n").display().to_string();
    world
        .rehearse("no", &world.path("parts.yaml"), &["--scenario", &wrong], 3)
        .says("no step `look` with undo");
}

#[test]
fn a_wrong_answer_that_nobody_noticed_is_named() {
    // Whoever expects nothing of an answer takes every one.
    let (_world, made) = with(&["look=wrong"], 0);
    made.says("fault look=wrong: came to pass, and nobody noticed");
    let (_world, made) = with(&["write=wrong"], 4);
    assert!(!made.said.contains("nobody noticed"), "its proof has: {}", made.said);
}

fn sweep(world: &Rehearsals, target: &str) -> Value {
    let output = world.consigne(&["rehearse", target, "--every-fault", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_sweep_finds_a_way_to_every_part() {
    let (world, _) = world();
    let told = sweep(&world, world.path("parts.yaml").to_str().unwrap());
    let runbook = &told["runbooks"][0];
    let all = runbook["rehearsals"].as_array().unwrap();
    let of = |fault: &str| all.iter().find(|one| one["fault"] == fault).unwrap_or_else(|| panic!("{fault}"));
    for part in ["write.first", "write.verify"] {
        assert_eq!(of(&format!("{part}=failure"))["after"], Value::Null, "{part} has its turn anyway");
    }
    for part in ["write.undo", "switch.put_back", "switch.only_if"] {
        for kind in
            ["failure", "timeout", "wrong", "crash-before", "crash-after", "clock-back", "clock-forward"]
        {
            let one = of(&format!("{part}={kind}"));
            assert_eq!(one["met"], true, "{one}");
            // Nothing is reversed where nothing fails. `switch` is always put back.
            assert_eq!(one["after"].is_null(), part.starts_with("switch"), "{one}");
        }
    }
    assert_eq!(of("write.undo=failure")["after"].as_str().unwrap().rsplit_once('=').unwrap().1, "failure");
    let unnoticed: Vec<&str> =
        runbook["unnoticed"].as_array().unwrap().iter().map(|spot| spot.as_str().unwrap()).collect();
    assert!(unnoticed.contains(&"look") && unnoticed.contains(&"write.undo"), "{unnoticed:?}");
    assert!(!unnoticed.contains(&"write"), "{unnoticed:?}");
}
