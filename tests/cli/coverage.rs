//! What `check --coverage` says: what was never walked and where it stands, by whom the rest was walked, and what a change
//! of the runbook leaves of it.

use crate::environment::{TestEnvironment, shows};

const CHILD: &str = r#"consigne: v1
id: child
steps:
  - {id: look, shell: "cat @/found", effect: read}
"#;

const IT: &str = r#"consigne: v1
id: it
title: "It"
steps:
  - id: first
    shell: "echo first"
    effect: read
  - id: second
    shell: "test ! -e @/broken"
    effect: write
    on_failure: stop
  - id: go
    confirm: {}
    message: "Go on?"
  - id: work
    runbook: {use: child}
"#;

fn world() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("child.yaml", CHILD);
    env.write("it.yaml", IT);
    env.write("found", "x");
    env.write("answers.yaml", "go: yes\n");
    env
}

fn drill(env: &TestEnvironment, id: &str) {
    let args =
        ["drill", "it.yaml", "--env", "plain", "--run-id", id, "--answers", "answers.yaml", "--unattended"];
    let _said = env.consigne(&args).ends(0);
}

#[test]
fn what_was_never_walked_is_named_where_it_stands() {
    let env = world();
    let check = |more: &[&str]| env.consigne(&[&["check", "it.yaml", "--coverage"], more].concat());
    let mut all =
        vec![check(&[]).ends(0), check(&["--min", "1"]).ends(1), check(&["--max-age", "9"]).ends(1)];
    drill(&env, "d1");
    env.write("no.yaml", "go: no\n");
    let rehearse = [
        "rehearse",
        "it.yaml",
        "--seed",
        "1",
        "--no-past",
        "--env",
        "plain",
        "--answers",
        "no.yaml",
        "--unattended",
    ];
    let _said = env.consigne(&rehearse).ends(1);
    all.push(check(&["--all", "--min", "50", "--max-age", "9"]).ends(0));
    all.push(check(&["--min", "55"]).ends(1));
    all.push(env.consigne(&["check", "it.yaml", "--min", "50"]).ends(2));
    shows!(all);
}

#[test]
fn as_data_each_edge_has_its_evidence() {
    let env = world();
    drill(&env, "d1");
    let found = env.consigne(&["check", "it.yaml", "--coverage", "--json"]).ends(0).json();
    let coverage = &found["coverage"];
    assert_eq!(coverage["old"], false);
    assert_eq!(coverage["last"]["drill"]["run"], "d1");
    assert_eq!(coverage["edges"], coverage["list"].as_array().unwrap().len());
    let edge = |step: &str, way: &str| {
        let list = coverage["list"].as_array().unwrap();
        list.iter().find(|edge| edge["step"] == step && edge["way"] == way).unwrap().clone()
    };
    let walked = edge("work/look", "succeeded");
    assert_eq!((&walked["line"], &walked["best"]), (&4.into(), &"drill".into()));
    assert!(walked["file"].as_str().unwrap().ends_with("child.yaml"), "{walked}");
    assert_eq!(walked["walked"]["drill"]["run"], "d1");
    assert!(walked["walked"]["live"].is_null(), "{walked}");
    let never = edge("second", "failed");
    assert_eq!((&never["line"], &never["walked"]), (&8.into(), &serde_json::Value::Null));
}

#[test]
fn an_older_version_counts_for_what_is_still_written_so() {
    let env = world();
    drill(&env, "d1");
    let walked = || {
        let found = env.consigne(&["check", "it.yaml", "--coverage", "--json"]).ends(0).json();
        let list = found["coverage"]["list"].as_array().unwrap().clone();
        let walked = list.into_iter().filter(|edge| !edge["walked"].is_null());
        walked.map(|edge| edge["step"].as_str().unwrap_or("finally").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(walked(), ["first", "second", "go", "work", "work/look"]);
    // A comment and a new step in front move what follows, and change none of it.
    let moved = IT.replace("  - id: second", "  # why\n  - {id: new, wait: {for: 1s}}\n  - id: second");
    env.write("it.yaml", &moved);
    assert_eq!(walked(), ["first", "second", "go", "work", "work/look"]);
    env.write("it.yaml", &moved.replace("test ! -e @/broken", "true"));
    assert_eq!(walked(), ["first", "go", "work", "work/look"]);
    env.write("child.yaml", &CHILD.replace("cat", "wc"));
    assert_eq!(walked(), ["first", "go", "work"]);
    env.write("it.yaml", &moved.replace("id: it", "id: other"));
    assert!(walked().is_empty());
}

#[test]
fn a_run_that_cannot_be_read_counts_for_nothing_and_is_named() {
    let env = world();
    drill(&env, "d1");
    drill(&env, "d2");
    let journal = env.run("d2").join("events.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("step.settled", "step.skipped", 1)).unwrap();
    let said = env.consigne(&["check", "it.yaml", "--coverage", "--json"]).ends(0);
    assert_eq!(said.json()["coverage"]["last"]["drill"]["run"], "d1", "{said}");
    assert!(said.stderr.contains("run d2 counts for nothing"), "{said}");
}

/// A graph says what was walked, and in which mode: line 1 of the journal says which one it was.
#[test]
fn a_run_whose_graph_was_changed_counts_for_nothing_and_is_named() {
    let env = world();
    drill(&env, "d1");
    drill(&env, "d2");
    let graph = env.run("d2").join("plan/graph.json");
    let honest = std::fs::read_to_string(&graph).unwrap();
    let live = honest.replacen("\"mode\": \"drill\"", "\"mode\": \"live\"", 1);
    assert_ne!(live, honest);
    for changed in [live.clone(), format!("{honest}\n")] {
        std::fs::write(&graph, changed).unwrap();
        let said = env.consigne(&["check", "it.yaml", "--coverage", "--json"]).ends(0);
        let last = said.json()["coverage"]["last"].clone();
        assert_eq!(
            (&last["drill"]["run"], &last["live"]),
            (&"d1".into(), &serde_json::Value::Null),
            "{said}"
        );
        let why = "d2/plan/graph.json: its graph was changed: its SHA-256 is not the one in line 1";
        assert!(said.stderr.contains("run d2 counts for nothing") && said.stderr.contains(why), "{said}");
    }
    // Not even where the journal was written anew to name the other graph: it still says that it is a drill.
    std::fs::write(&graph, &live).unwrap();
    name_anew(&env, "d2", &honest, &live);
    let said = env.consigne(&["check", "it.yaml", "--coverage", "--json"]).ends(0);
    assert_eq!(said.json()["coverage"]["last"]["live"], serde_json::Value::Null, "{said}");
    assert!(said.stderr.contains("does not start a run of this graph: another mode"), "{said}");
}

/// The journal of a run, written anew with the digest of another graph.
fn name_anew(env: &TestEnvironment, run: &str, old: &str, new: &str) {
    let digest = |bytes: &[u8]| consigne::journal::Hash::of(bytes).to_string();
    let journal = env.run(run).join("events.jsonl");
    let (mut written, mut before) = (String::new(), "0".repeat(64));
    for line in std::fs::read_to_string(&journal).unwrap().lines() {
        let line = line.replace(&digest(old.as_bytes()), &digest(new.as_bytes()));
        let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["prev"] = before.into();
        let line = line.to_string();
        before = digest(&[b"\0", line.as_bytes()].concat());
        written.push_str(&line);
        written.push('\n');
    }
    std::fs::write(&journal, written).unwrap();
}
