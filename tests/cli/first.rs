//! `consigne` alone, and the list of runbooks: what somebody learns who types it at three in the morning, and who
//! types it for the first time.

use crate::environment::{Said, TestEnvironment, shows};

const TOGGLE: &str = r#"consigne: v1
id: toggle
title: "A toggle"
category: emergency
owners: [ops]
review_by: 2020-01-31
steps:
  - id: pause
    shell: "echo off >> @/touched"
    effect: write
    put_back:
      shell: "echo on >> @/touched"
      effect: write
      only_if: {shell: "test -e @/well", effect: read}
  - id: work
    shell: "exit 3"
    effect: write
"#;

const UNKNOWN: &str = "consigne: v1\nid: unknown\ntitle: {fr: \"Une issue inconnue\", en: \"An unknown outcome\"}\n\
    review_by: 2999-12-31\nsteps:\n  - {id: cut, shell: \"echo cut >> @/touched; kill -9 $$\", effect: write}\n";

const WAIT: &str = "consigne: v1\nid: wait\ntitle: {en: \"A wait\"}\nsteps:\n\
    \x20 - {id: rest, wait: {for: 1h}}\n\x20 - {id: after, shell: \"true\", effect: read}\n";

fn filled() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/real.yaml", "people:\n  bob: {}\nroles:\n  ops: [bob]\n");
    std::fs::create_dir_all(env.work("runbooks/deep")).unwrap();
    for (name, text) in [("toggle", TOGGLE), ("deep/unknown", UNKNOWN), ("wait", WAIT)] {
        env.write(&format!("runbooks/{name}.yaml"), text);
    }
    env
}

/// Moments differ in length by the day that they fall on.
fn steady(mut all: Vec<Said>) -> Vec<Said> {
    let moments = regex::Regex::new(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d UTC").unwrap();
    let days = regex::Regex::new(r"(drill|live|exercice|réel) \d{4}-\d\d-\d\d").unwrap();
    let me = regex::Regex::new(r#"(\(|"user":")[^ "]+(, \[DIR\]|")"#).unwrap();
    for said in &mut all {
        for text in [&mut said.stdout, &mut said.stderr] {
            *text = moments.replace_all(text, "[MOMENT]").into_owned();
            *text = days.replace_all(text, "$1 [DAY]").into_owned();
            *text = me.replace_all(text, "$1[ME]$2").into_owned();
        }
    }
    all
}

#[test]
fn the_first_time() {
    let mut env = TestEnvironment::new();
    std::fs::remove_file(env.work("small.yaml")).unwrap();
    let mut all = vec![env.consigne(&[]).ends(0), env.consigne(&["runbooks"]).ends(0)];
    env.set("LANG", "fr_FR.UTF-8");
    all.push(env.consigne(&[]).ends(0));
    env.write("small.yaml", "consigne: v1\nid: small\ntitle: {fr: \"Une petite\"}\nsteps: []\n");
    all.push(env.consigne(&[]).ends(0));
    all.push(env.consigne(&["--json"]).ends(0));
    shows!(steady(all));
    assert!(!env.path("consigne").exists(), "looking makes nothing");
}

#[test]
fn everything_that_needs_somebody() {
    let mut env = filled();
    let drill = |id: &str, file: &str| {
        let args = ["drill", file, "--env", "plain", "--run-id", id, "--unattended", "--no-wait"];
        env.consigne(&args).ends(4).code.unwrap();
    };
    drill("r1-toggle", "toggle");
    drill("r2-unknown", "unknown");
    drill("r3-wait", "wait");
    drill("r4-small", "small");
    drill("r5-toggle", "toggle");
    let args = ["run", "small", "--input", "name=y", "--env", "real", "--run-id", "r6-small", "--unattended"];
    env.consigne(&args).ends(4).code.unwrap();
    env.consigne(&["answer", "r6-small", "ask", "yes", "--resume"]).ends(4).code.unwrap();
    let open = r#"{"choice": "leave_open", "owner": "bob", "review_at": "2999-01-01T00:00:00Z"}"#;
    let args = ["answer", "r1-toggle", "pause", open, "--resume", "--comment", "still sick"];
    env.consigne(&args).ends(1).code.unwrap();
    let mut all = vec![env.consigne(&[]).ends(0), env.consigne(&["--json"]).ends(0)];
    std::fs::create_dir_all(env.run("r9-damaged").join("plan")).unwrap();
    std::fs::write(env.run("r9-damaged").join("events.jsonl"), "nonsense\n").unwrap();
    env.set("LC_ALL", "fr_FR.UTF-8");
    all.push(env.consigne(&[]).ends(5));
    shows!(steady(all));
}

#[test]
fn runbooks_are_listed_and_searched() {
    let env = filled();
    env.write("runbooks/again.yaml", "consigne: v1\nid: wait\ntitle: \"Another wait\"\nsteps: []\n");
    env.write("runbooks/broken.yaml", "consigne: v1\nid: [\n");
    env.write("runbooks/wait.inputs.yaml", "name: x\n");
    std::fs::write(env.work("runbooks/latin.yaml"), b"consigne: v1\ntitle: caf\xe9\n").unwrap();
    env.consigne(&["drill", "unknown", "--env", "plain", "--run-id", "r1", "--unattended"])
        .ends(4)
        .code
        .unwrap();
    env.consigne(&["answer", "r1", "cut", "done", "--comment", "seen", "--resume"]).ends(0).code.unwrap();
    let mut all = vec![
        env.consigne(&["runbooks"]).ends(0),
        env.consigne(&["runbooks", "ISSUE", "inconnué"]).ends(0),
        env.consigne(&["runbooks", "nothing", "says", "this"]).ends(0),
        env.consigne(&["runbooks", "--dir", "runbooks/deep", "--json"]).ends(0),
        env.consigne(&["runbooks", "--dir", "gone"]).ends(0),
        env.consigne(&["drill", "wait", "--env", "plain"]).ends(3),
        env.consigne(&["drill", "wiat", "--env", "plain"]).ends(3),
        env.consigne(&["check", "petite"]).ends(3),
        env.consigne(&["check", "environments"]).ends(3),
        env.consigne(&["check", "small"]).ends(0),
    ];
    all.push(env.shell("cd runbooks/deep && consigne check unknown").ends(0));
    all.push(env.shell("CONSIGNE_RUNBOOKS=environments:runbooks/deep consigne runbooks").ends(0));
    shows!(steady(all));
    std::fs::write(env.path("consigne/ledger.jsonl"), "nonsense\n").unwrap();
    for bare in [&["runbooks"][..], &[]] {
        let said = env.consigne(bare).ends(5);
        assert!(said.stdout.contains("Une") || said.stdout.contains("An unknown outcome"), "{said}");
        assert!(said.stderr.contains("ledger.jsonl is damaged"), "{said}");
    }
}
