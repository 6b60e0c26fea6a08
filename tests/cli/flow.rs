//! Whole flows on the command line, and what scripts read of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::environment::{Said, TestEnvironment, shows};

fn suspend() -> String {
    format!("{}/runbooks/tenants/suspend.yaml", env!("CARGO_MANIFEST_DIR"))
}

/// From a drill that nobody attends to a verified record.
fn whole_flow(lang: &str) -> Vec<Said> {
    let mut env = TestEnvironment::new();
    env.set("LANG", if lang == "fr" { "fr_FR.UTF-8" } else { "en_US.UTF-8" });
    let (runbook, id) = (suspend(), format!("flow-{lang}"));
    let id = id.as_str();
    [
        (&["drill", &runbook, "--run-id", id, "--unattended"][..], 4),
        (&["list"], 0),
        (&["show", id], 0),
        (&["verify", id], 4),
        (&["answer", id, "go", "approve", "--as", "bob", "--comment", "45 days overdue"], 4),
        (&["resume", id], 0),
        (&["show", id], 0),
        (&["list"], 0),
        (&["verify", id], 0),
        (&["verify", id, "--as", "live"], 5),
    ]
    .iter()
    .map(|(args, code)| env.consigne(args).ends(*code))
    .collect()
}

#[test]
fn a_parked_drill_is_answered_and_resumed() {
    shows!(whole_flow("en"));
}

#[test]
fn the_same_in_french() {
    shows!(whole_flow("fr"));
}

#[test]
fn a_report_opens_what_it_is_asked_to_open() {
    let env = TestEnvironment::new();
    env.write("go.answers.yaml", "ask: yes\ngo: {answer: approve, as: bob, comment: seen}\ntick: yes\n");
    let drill = ["drill", "small.yaml", "--env", "plain", "--run-id", "r", "--answers", "go.answers.yaml"];
    env.consigne(&drill).ends(0).code.unwrap();
    let plain = env.consigne(&["report", "r"]).ends(0);
    assert!(!plain.stdout.contains("Really?") && plain.stdout.contains("# Record of run"), "{plain}");
    let open = env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(open.stdout.contains("Really?"), "{open}");
    let french = env.consigne(&["report", "r", "--lang", "fr", "--verified"]).ends(0);
    assert!(french.stdout.contains("VERIFIED as a drill record"), "{french}");
    assert!(french.stdout.contains("Décisions"), "{french}");
    let data: Value = env.consigne(&["report", "r", "--json"]).ends(0).json();
    assert_eq!(keys(&data), ["report", "verification"]);
}

fn keys(value: &Value) -> Vec<String> {
    let names: BTreeSet<&String> = value.as_object().unwrap().keys().collect();
    names.into_iter().cloned().collect()
}

/// Scripts rely on these names: one may be added, none may go.
#[test]
fn what_scripts_read_has_stable_names() {
    let env = TestEnvironment::new();
    let mut lines = Vec::new();
    let mut note = |what: &str, value: &Value| lines.push(format!("{what}: {}", keys(value).join(" ")));
    let drill =
        env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r", "--json"]).ends(4).json();
    note("drill", &drill);
    note("drill.steps", &drill["steps"][0]);
    note("drill.asks", &drill["asks"][0]);
    note("drill.head", &drill["head"]);
    note("answer", &env.consigne(&["answer", "r", "ask", "yes", "--json"]).ends(4).json());
    note("resume", &env.consigne(&["resume", "r", "--json"]).ends(4).json());
    note("show", &env.consigne(&["show", "r", "--json"]).ends(0).json());
    note("list", &env.consigne(&["list", "--json"]).ends(0).json());
    note("cancel", &env.consigne(&["cancel", "r", "--json"]).ends(1).json());
    let verified = env.consigne(&["verify", "r", "--json"]).ends(0).json();
    note("verify", &verified);
    note("keys show", &env.consigne(&["keys", "show", "--json"]).ends(0).json());
    env.write("bad.yaml", "consigne: v1\nid: bad\ntitle: \"B\"\nsteps:\n  - {id: a, shel: \"true\"}\n");
    note("check", &env.consigne(&["check", "bad.yaml", "--json"]).ends(3).json());
    note("schema", &env.consigne(&["schema"]).ends(0).json());
    std::fs::write(env.run("r").join("events.jsonl"), "x\n").unwrap();
    note("list of a damaged run", &env.consigne(&["list", "--json"]).ends(5).json());
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(lines.join("\n")) });
}
