//! What a run needs and does not find: said before its first step, and nothing is left of the attempt.

use crate::environment::{Ear, TestEnvironment, shows};

const CALL: &str = r#"consigne: v1
id: call
title: "Call"
secrets:
  token: {env: CALL_TOKEN}
  other: {file: "@/other-token"}
lock: ["thing"]
steps:
  - id: before
    shell: "echo before >> @/touched"
    effect: read
  - id: call
    http:
      post: "http://ADDRESS/"
      bearer: token
      headers: {X-Other: "{{ secrets.other }}"}
"#;

#[test]
fn a_secret_that_is_not_there() {
    let (mut env, ear) = (TestEnvironment::new(), Ear::open());
    env.write("call.yaml", &CALL.replace("ADDRESS", &ear.address().to_string()));
    let mut all = vec![
        env.consigne(&["drill", "call.yaml"]).ends(3),
        env.consigne(&["run", "call.yaml", "--unattended"]).ends(3),
    ];
    env.set("CALL_TOKEN", "short");
    env.write("other-token", "long enough\n");
    all.push(env.consigne(&["drill", "call.yaml"]).ends(3));
    shows!(all);
    env.assert_nothing_happened();
    ear.assert_silence();
}

#[test]
fn a_secret_that_nobody_can_type() {
    let env = TestEnvironment::new();
    let text = CALL.replace("{env: CALL_TOKEN}", "{prompt: true}").replace("ADDRESS", "127.0.0.1:9");
    env.write("call.yaml", &text);
    shows!([env.consigne(&["drill", "call.yaml"]).ends(3)]);
    env.assert_nothing_happened();
}

#[test]
fn a_program_that_is_not_there() {
    let env = TestEnvironment::new();
    env.write(
        "tools.yaml",
        "consigne: v1\nid: tools\ntitle: \"Tools\"\nlock: [\"thing\"]\nsteps:\n\
         \x20 - {id: first, shell: \"echo first >> @/touched\", effect: write}\n\
         \x20 - {id: fetch, argv: [\"frobnicate-42\", \"-v\"], effect: read}\n\
         \x20 - {id: place, argv: [\"/nowhere/tool\"], effect: read}\n",
    );
    shows!([
        env.consigne(&["drill", "tools.yaml"]).ends(3),
        env.consigne(&["run", "tools.yaml", "--unattended"]).ends(3),
    ]);
    env.assert_nothing_happened();
}

/// The time that it has to get ready, half a minute here, is not waited out.
#[test]
fn a_service_that_ends_before_it_is_ready() {
    let env = TestEnvironment::new();
    env.write("one.yaml", "consigne: v1\nid: one\nsteps:\n  - {id: a, argv: [\"true\"], effect: read}\n");
    env.write(
        "environments/practice.yaml",
        "services:\n  bell:\n    argv: [\"sh\", \"-c\", \"exit 3\"]\n    port: auto\n\
         \x20   ready: {http: {get: \"http://127.0.0.1:{{ services.bell.port }}/\"}}\n",
    );
    let begin = std::time::Instant::now();
    let said = env.consigne(&["drill", "one.yaml"]).ends(3);
    assert!(said.stderr.contains("service `bell` did not get ready (it has ended)"), "{said}");
    assert!(begin.elapsed() < std::time::Duration::from_secs(20), "it waited {:?}", begin.elapsed());
}

#[test]
fn a_service_that_cannot_be_started() {
    let env = TestEnvironment::new();
    env.write("environments/practice.yaml", "services:\n  bell:\n    argv: [\"frobnicate-42\"]\n");
    env.write(
        "one.yaml",
        "consigne: v1\nid: one\ntitle: \"One\"\nsteps:\n  - {id: a, shell: \"echo a >> @/touched\", effect: write}\n",
    );
    let not_there = env.consigne(&["drill", "one.yaml", "--run-id", "r1"]).ends(3);
    env.write(
        "environments/practice.yaml",
        "services:\n  bell:\n    argv: [\"sh\", \"-c\", \"echo no bell today; exec sleep 600\"]\n    port: auto\n\
         \x20   ready: {http: {get: \"http://127.0.0.1:{{ services.bell.port }}/\"}, poll: {every: 100ms, within: 1s}}\n",
    );
    let not_ready = env.consigne(&["drill", "one.yaml", "--run-id", "r2"]).ends(3);
    let log = std::fs::read_to_string(env.path("consigne/failed/r2.bell.log")).unwrap();
    assert_eq!(log, "no bell today\n");
    shows!([not_there, not_ready]);
    env.assert_nothing_happened();
}
