//! Time, failures and people in a rehearsal.

use crate::world::{Rehearsals, said};

const WAITING: &str = r#"consigne: v1
id: waiting
title: {fr: "Attendre", en: "Waiting"}
steps:
  - id: rest
    wait: {for: 3h}
  - id: flaky
    http: {get: "http://127.0.0.1:9/"}
    retry: {max_attempts: 3, delay: 10m, errors: [connect]}
  - id: polled
    http: {get: "http://127.0.0.1:9/state"}
    poll: {every: 1m, within: 1h, until: '.body.state == "ready"'}
  - id: go
    approve: {roles: [ops], on_timeout: refuse}
    timeout: 2h
    message: "Go on?"
  - id: act
    http: {post: "http://127.0.0.1:9/act"}
"#;

const SCENARIO: &str = r#"start: 2026-03-02T10:00:00Z
steps:
  flaky: [{fails: connect}, {fails: connect, takes: 5s}, {status: 200}]
  polled: [{status: 200, body: {state: busy}}, {status: 200, body: {state: busy}}, {status: 200, body: {state: ready}}]
"#;

fn world() -> (Rehearsals, std::path::PathBuf) {
    let world = Rehearsals::new();
    world.write("environments/practice.yaml", "people: {bob: {}}\nroles: {ops: [bob]}\n");
    let runbook = world.write("waiting.yaml", WAITING);
    (world, runbook)
}

#[test]
fn nobody_waits_for_time_to_pass() {
    let (world, runbook) = world();
    let scenario =
        world.write("s.yaml", &format!("{SCENARIO}answers:\n  go: {{answer: approve, as: bob}}\n"));
    let made = world.rehearse("out", &runbook, &["--scenario", scenario.to_str().unwrap()], 0);
    let finished = made.of("attempt.finished", "flaky");
    let reasons: Vec<_> = finished.iter().map(|event| event["data"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["connect", "connect", "ok"]);
    assert_eq!(finished[0]["data"]["started"], "2026-03-02T13:00:00.000Z");
    // Twice a minute until it was ready, in one attempt.
    let polled = &made.of("attempt.finished", "polled")[0]["data"];
    let at = |name: &str| polled[name].as_str().unwrap().parse::<consigne::clock::Timestamp>().unwrap();
    assert_eq!(at("finished").since(at("started")), 2 * 60_000 + 100);
    assert_eq!(made.events().iter().filter(|event| event["type"] == "approval.attested").count(), 1);
}

#[test]
fn an_approver_who_never_comes_leaves_the_gate_shut() {
    let (world, runbook) = world();
    let scenario = world.write("s.yaml", &format!("{SCENARIO}absent: [go]\n"));
    let made = world.rehearse("out", &runbook, &["--scenario", scenario.to_str().unwrap()], 1);
    let closed = &made.of("ask.closed", "go")[0]["data"];
    assert_eq!(closed["how"], "timed_out");
    assert!(made.of("attempt.started", "act").is_empty());
    made.says("not walked: act");
}

#[test]
fn a_question_without_an_answer_ends_an_unattended_rehearsal() {
    let (world, runbook) = world();
    let scenario = world.write("s.yaml", SCENARIO);
    let made = world.rehearse("out", &runbook, &["--scenario", scenario.to_str().unwrap()], 4);
    made.says("the answer go (approve|reject) is missing");
    let refused = world.write("refused.yaml", "go: approve\n");
    let args = ["--scenario", scenario.to_str().unwrap(), "--answers", refused.to_str().unwrap()];
    let made = world.rehearse("again", &runbook, &args, 4);
    made.says("an answers file never opens an approval");
}

#[test]
fn among_the_runs_it_waits_for_nobody() {
    let (world, runbook) = world();
    let run = |_| {
        let output = world.consigne(&["rehearse", runbook.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    };
    (0..2).for_each(run);
    let list = |args: &[&str]| said(&world.consigne(args));
    for all in [list(&["list"]), list(&["list", "--all"])] {
        let folders: Vec<&str> = all.lines().filter(|line| line.starts_with("rehearsal-waiting-")).collect();
        assert_eq!(folders.len(), 2, "each has a folder of its own: {all}");
        assert_eq!(all.matches("goes on with: consigne resume rehearsal-waiting-").count(), 2, "{all}");
        assert!(!all.contains("waits for"), "{all}");
    }
    assert!(!list(&[]).contains("WAITS"), "{}", list(&[]));
}
