//! Steps on hosts, through the whole program.

use crate::environment::{Said, TestEnvironment};

/// Stand-ins for machines: each puts its name into a variable of what runs behind it.
const FAR: &str = r#"role_play: true
people: {bob: {}}
roles: {ops: [bob]}
hosts:
  web-01: {via: ["env", "PLACE=web-01"]}
  web-02: {via: ["env", "PLACE=web-02"]}
  gone: {via: ["sh", "-c", "echo 'no route to host' >&2; exit 255"]}
  far: {ssh: "127.0.0.1", port: 1}
"#;

const RUNBOOK: &str = r#"consigne: v1
id: rolling
title: "Rolling"
inputs:
  where: {type: string, default: "web-02"}
steps:
  - id: look
    shell: "echo \"$PLACE $CONSIGNE_STEP $CONSIGNE_RUN\""
    host: web-01
    effect: read
    outputs: {said: ".stdout"}
  - id: go
    approve: {roles: [ops]}
    message: "Drain {{ inputs.where }}?"
  - id: drain
    argv: ["sh", "-c", "echo \"$PLACE drained $1\" >> @/touched", "x", "{{ steps.look.said }}"]
    host: "{{ inputs.where }}"
    effect: write
    verify:
      shell: "echo \"$PLACE looked\" >> @/touched; test -s @/touched"
    put_back:
      shell: "echo \"$PLACE enabled\" >> @/touched"
      only_if:
        argv: ["sh", "-c", "test \"$PLACE\" = web-01"]
        host: web-01
  - id: looked
    host: web-01
    checklist:
      items:
        - {id: own, text: "There", probe: {shell: "echo \"$PLACE ticked\" >> @/touched"}}
        - {id: other, text: "And there", probe: {shell: "test \"$PLACE\" = web-02", host: web-02}}
"#;

fn world() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/far.yaml", FAR);
    env.write("rolling.yaml", RUNBOOK);
    env.write("answers.yaml", "go: {answer: approve, as: bob}\n");
    env
}

fn drill(env: &TestEnvironment, more: &[&str]) -> Said {
    let mut args = vec!["drill", "rolling.yaml", "--env", "far", "--run-id", "r1", "--unattended"];
    args.extend(more);
    env.consigne(&args)
}

#[test]
fn rule_21_a_step_its_proof_and_its_reversal_run_on_its_host() {
    let env = world();
    let _done = drill(&env, &["--answers", "answers.yaml"]).ends(0);
    assert_eq!(
        env.touched(),
        ["web-02 drained web-01 look r1", "", "web-02 looked", "web-01 ticked", "web-02 enabled"],
        "an input names the host, the rest inherits it"
    );
    let _verified = env.consigne(&["verify", "r1"]).ends(0);
}

#[test]
fn an_item_of_a_list_names_its_host() {
    let env = world();
    env.write(
        "each.yaml",
        r#"consigne: v1
id: each
steps:
  - id: restart
    for_each: {items: "['web-01', 'web-02']", as: machine, max_targets: 5}
    shell: "echo \"$PLACE restarted\" >> @/touched"
    host: "{{ machine }}"
    effect: write
"#,
    );
    let args = ["drill", "each.yaml", "--env", "far", "--run-id", "r1", "--unattended"];
    let _done = env.consigne(&args).ends(0);
    assert_eq!(env.touched(), ["web-01 restarted", "web-02 restarted"]);
}

#[test]
fn an_approval_is_over_the_host_and_the_way_there() {
    let env = world();
    let _done = drill(&env, &["--answers", "answers.yaml"]).ends(0);
    let approved = env.approved("r1");
    assert!(approved.contains("  host web-02 (via env 'PLACE=web-02')\nshown:   argv \"sh\""), "{approved}");
    let plan = env.consigne(&["plan", "rolling.yaml", "--env", "far", "--mode", "drill"]).ends(0);
    assert!(plan.stdout.contains("web-01 (via env 'PLACE=web-01')"), "{plan}");
    assert!(!plan.stdout.contains("127.0.0.1"), "hosts that nothing runs on are no part of it: {plan}");
}

#[test]
fn a_host_that_is_not_declared_is_refused_before_anything_happens() {
    let env = world();
    let refused = drill(&env, &["--input", "where=web-03"]).ends(3);
    assert!(refused.stderr.contains("unknown-host") && refused.stderr.contains("web-0"), "{refused}");
    // Known only while it runs.
    let later = RUNBOOK.replace("host: \"{{ inputs.where }}\"", "host: \"{{ steps.look.said | trim }}\"");
    env.write(
        "rolling.yaml",
        &later.replace("effect: write\n    verify", "effect: write\n    on_failure: stop\n    verify"),
    );
    let failed = drill(&env, &["--answers", "answers.yaml"]).ends(1);
    assert!(env.touched().is_empty(), "{failed}");
    let report = env.consigne(&["report", "r1"]).ends(0);
    assert!(report.stdout.contains("render"), "{failed}{report}");
}

#[test]
fn a_host_that_is_not_reached_has_done_nothing() {
    for (host, why) in [("gone", "no route to host"), ("far", "refused")] {
        let env = world();
        let (alone, _) = RUNBOOK.split_once("    put_back:").unwrap();
        env.write("rolling.yaml", alone);
        let failed = drill(&env, &["--answers", "answers.yaml", "--input", &format!("where={host}")]).ends(1);
        let report = env.consigne(&["report", "r1", "--open"]).ends(0);
        assert!(report.stdout.contains("failed (connect"), "{host}: {failed}{report}");
        assert!(report.stdout.contains(why), "{host}: {report}");
    }
}

#[test]
fn preflight_asks_each_host_whether_a_step_could_begin_there() {
    let env = world();
    let args = ["preflight", "rolling.yaml", "--env", "far", "--mode", "drill"];
    let fine = env.consigne(&args).ends(0);
    assert!(fine.stdout.contains("host       web-01: via env 'PLACE=web-01'"), "{fine}");
    let missing = env.consigne(&[&args[..], &["--input", "where=gone"]].concat()).ends(3);
    assert!(missing.stdout.contains("MISSING") && missing.stdout.contains("no route to host"), "{missing}");
}
