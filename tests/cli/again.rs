//! A part of a finished run done again.

use crate::environment::{TestEnvironment, shows};

const RUNBOOK: &str = r#"consigne: v1
id: again
title: "Again"
steps:
  - id: look
    argv: ["cat", "@/state"]
    effect: read
    outputs: {found: ".stdout"}
  - id: go
    confirm: {}
    message: "Go on?"
  - id: write
    argv: ["sh", "@/note", "write", "{{ steps.look.found }}"]
    effect: write
    outputs: {said: ".stdout"}
  - id: last
    shell: "test -e @/ready; echo \"last $SAID\" >> @/touched"
    env: {SAID: "{{ steps.write.said }}"}
    effect: write
"#;

fn failed_run() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("again.yaml", RUNBOOK);
    env.write("state", "calm");
    env.write("note", "echo \"$1 $2\" >> @/touched; printf done\n");
    env.write("answers.yaml", "go: yes\n");
    let drill = [
        "drill",
        "again.yaml",
        "--env",
        "plain",
        "--run-id",
        "r1",
        "--answers",
        "answers.yaml",
        "--unattended",
    ];
    let _failed = env.consigne(&drill).ends(1);
    assert_eq!(env.touched(), ["write calm"]);
    env
}

#[test]
fn what_succeeded_is_taken_over_and_people_are_asked_again() {
    let env = failed_run();
    env.write("ready", "");
    let parked = env.consigne(&["rerun", "r1", "--from", "last", "--run-id", "r2", "--unattended"]).ends(4);
    assert_eq!(env.touched(), ["write calm"], "the gate is asked again, and nothing is done before");
    let answered = env.consigne(&["answer", "r2", "go", "yes", "--resume"]).ends(0);
    assert_eq!(env.touched(), ["write calm", "last done"], "with the value of the run before");
    let verified = env.consigne(&["verify", "r2"]).ends(0);
    let report = env.consigne(&["report", "r2"]).ends(0);
    assert!(report.stdout.contains("r1") && report.stdout.contains("imported"), "{report}");
    shows!([parked, answered, verified]);
}

#[test]
fn what_would_be_another_request_is_done() {
    let env = failed_run();
    env.write("ready", "");
    env.write("mended.yaml", &RUNBOOK.replace("\"write\", \"{{", "\"mended\", \"{{"));
    let args = [
        "rerun",
        "r1",
        "--from",
        "last",
        "--runbook",
        "mended.yaml",
        "--answers",
        "answers.yaml",
        "--run-id",
        "r2",
    ];
    let _done = env.consigne(&args).ends(0);
    assert_eq!(env.touched(), ["write calm", "mended calm", "last done"]);
}

#[test]
fn reruns_that_are_refused() {
    let env = failed_run();
    let unknown = env.consigne(&["rerun", "r1", "--from", "lasst"]).ends(2);
    env.write("other.yaml", &RUNBOOK.replace("id: again", "id: other"));
    let other = env.consigne(&["rerun", "r1", "--from", "last", "--runbook", "other.yaml"]).ends(2);
    let _parked = env.consigne(&["drill", "again.yaml", "--env", "plain", "--run-id", "r3"]).ends(4);
    let open = env.consigne(&["rerun", "r3", "--from", "last"]).ends(2);
    let path = env.run("r1").join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"reason\":\"ok\"", "\"reason\":\"no\"", 1)).unwrap();
    let damaged = env.consigne(&["rerun", "r1", "--from", "last"]).ends(5);
    shows!([unknown, other, open, damaged]);
    assert_eq!(env.touched(), ["write calm"]);
}

#[test]
fn what_has_become_a_part_of_the_ending_is_done_again() {
    let env = failed_run();
    env.write("ready", "");
    let write = RUNBOOK.split("  - id: write\n").nth(1).unwrap().split("  - id: last\n").next().unwrap();
    let rest =
        RUNBOOK.replace(&format!("  - id: write\n{write}"), "").replace("{{ steps.write.said }}", "on");
    let write = write.replace("steps.look.found }}", "steps.look.found | default('none') }}");
    env.write("mended.yaml", &format!("{rest}finally:\n  - id: write\n{write}"));
    let args = ["rerun", "r1", "--from", "last", "--runbook", "mended.yaml", "--answers", "answers.yaml"];
    let _done = env.consigne(&args).ends(0);
    assert_eq!(env.touched(), ["write calm", "last on", "write calm"]);
}

#[test]
fn rule_21_what_says_on_what_steps_work_is_asked_about_and_variables_are_frozen_anew() {
    let mut env = TestEnvironment::new();
    env.write("environments/inherits.yaml", "role_play: true\nenv_inherit: [FLAVOUR]\n");
    env.write(
        "book.yaml",
        "consigne: v1\nid: book\nsteps:\n  - {id: look, shell: \"echo kubectl\", effect: read}\n  - {id: last, shell: \"kubectl() { test -e @/ready; }; kubectl get\", effect: read, on_failure: stop}\n",
    );
    std::fs::create_dir_all(env.path("user/.kube")).unwrap();
    let context = |env: &TestEnvironment, name: &str| {
        std::fs::write(env.path("user/.kube/config"), format!("apiVersion: v1\ncurrent-context: {name}\n"))
            .unwrap();
    };
    context(&env, "first");
    env.set("FLAVOUR", "one");
    env.consigne(&["drill", "book.yaml", "--env", "inherits", "--run-id", "r1"]).ends(1).code.unwrap();
    env.write("ready", "");
    let again = |id: &str| {
        vec![
            "rerun".to_owned(),
            "r1".into(),
            "--from".into(),
            "last".into(),
            "--run-id".into(),
            id.to_owned(),
        ]
    };
    let rerun = |env: &TestEnvironment, id: &str, more: &[&str], code: i32| {
        let args = again(id);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        env.consigne(&args).ends(code)
    };
    // A run of its own: its children have its own PATH, time zone and language.
    env.set("TZ", "Europe/Paris");
    env.set("PATH", &format!("{}:/nowhere", std::env::var("PATH").unwrap()));
    let free = rerun(&env, "r2", &[], 0);
    assert!(!free.stderr.contains("environment that is not"), "{free}");
    context(&env, "second");
    env.set("FLAVOUR", "two");
    let refused = rerun(&env, "r3", &[], 3);
    assert!(refused.stderr.contains("FLAVOUR, kube context differ") && !env.run("r3").exists(), "{refused}");
    let accepted = rerun(&env, "r3", &["--accept-environment"], 0);
    assert!(accepted.stderr.contains("FLAVOUR, kube context"), "{accepted}");
    let journal = std::fs::read_to_string(env.run("r3").join("events.jsonl")).unwrap();
    assert!(journal.contains("note.recorded"), "{journal}");
}

/// The keys that `act` was run with, in order.
fn keys(env: &TestEnvironment) -> Vec<String> {
    env.touched().iter().filter_map(|word| word.strip_prefix("key=")).map(str::to_owned).collect()
}

#[test]
fn rule_14_a_step_keeps_its_key_when_its_approval_is_voided_between_two_attempts() {
    let env = TestEnvironment::new();
    env.write("found.json", r#"[{"id": "test-1"}, {"id": "prod-1"}]"#);
    env.write(
        "book.yaml",
        r#"consigne: v1
id: book
steps:
  - {id: go, message: "Go?", approve: {roles: [ops], filter: tenant.id is startingwith("test-"), max_targets: 5}}
  - {id: find, shell: "cat @/found.json", effect: read, outputs: {all: ".json", first: ".json[0].id"}}
  - id: both
    group:
      parallel: true
      steps:
        - id: act
          shell: 'echo "key=$CONSIGNE_IDEMPOTENCY_KEY" >> @/touched; test -e @/well'
          env: {WHAT: "{{ steps.find.first }}"}
          effect: write
          idempotency_key: auto
        - id: delete
          for_each: {items: steps.find.all, as: tenant, key: tenant.id, max_targets: 9}
          shell: "echo {{ tenant.id }} >> @/touched"
          effect: destructive
"#,
    );
    let drill = ["drill", "book.yaml", "--env", "plain", "--run-id", "r1"];
    let _asked = env.consigne(&drill).ends(4);
    let approve = ["answer", "r1", "go", "approve", "--as", "bob", "--resume"];
    let void = env.consigne(&approve).ends(4).to_string();
    assert!(void.contains("approval void"), "{void}");
    let again = env.consigne(&approve).ends(4).to_string();
    assert_eq!(keys(&env).len(), 1, "it has failed once: {again}");
    env.write("well", "");
    let _done = env.consigne(&["answer", "r1", "act", "retry", "--resume"]).ends(0);
    let keys = keys(&env);
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}

#[test]
fn rule_14_an_item_that_is_done_again_keeps_its_key_unless_it_was_put_back() {
    let book = |extra: &str| {
        format!(
            r#"consigne: v1
id: book
steps:
  - id: each
    for_each: {{items: '["a", "b"]', as: it, max_targets: 9}}
    on_failure: ask
    group:
      steps:
        - id: act
          shell: 'echo "key=$CONSIGNE_IDEMPOTENCY_KEY" >> @/touched'
          env: {{IT: "{{{{ it }}}}"}}
          effect: write
          idempotency_key: auto
{extra}        - {{id: prove, shell: 'test "$IT" = a || test -e @/well', env: {{IT: "{{{{ it }}}}"}}, effect: read, on_failure: continue}}
"#
        )
    };
    for (extra, same) in
        [("", true), ("          put_back: {shell: \"true\", effect: write, otherwise: auto}\n", false)]
    {
        let env = TestEnvironment::new();
        env.write("book.yaml", &book(extra));
        let failed = env.consigne(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"]).to_string();
        env.write("well", "");
        let retried = env.consigne(&["answer", "r1", "each", "retry", "--resume"]).to_string();
        let keys = keys(&env);
        assert_eq!(keys.len(), 3, "{failed}{retried}");
        assert_ne!(keys[0], keys[1], "each item has its own");
        assert_eq!(keys[1] == keys[2], same, "{keys:?}");
    }
}
