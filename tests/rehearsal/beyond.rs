//! What would leave the machine: told and noted, and nothing of it sent, kept or reached.

use crate::world::Rehearsals;

const ENVIRONMENT: &str = r#"people:
  bob: {mail: bob@example.org}
  carol: {command: ["touch", "told"]}
roles: {ops: [bob], leads: [carol]}
contacts: {wall: {command: ["touch", "told"]}}
mail: {server: "127.0.0.1:9", from: "runbooks@example.org", tls: none}
hosts: {web-01: {via: ["touch", "reached"]}}
"#;

const RUNBOOK: &str = r#"consigne: v1
id: beyond
title: {fr: "Au dehors", en: "Beyond"}
steps:
  - id: go
    approve: {roles: [ops], timeout: 30m, on_timeout: escalate, escalate_to: [leads], notify: true}
    message: "Go on?"
  - id: pack
    shell: "echo x > report.csv"
    cwd: "{{ run.work }}"
    effect: write
    artifacts:
      report: "{{ run.work }}/report.csv"
      warnings: {path: "{{ run.work }}/warnings.txt", optional: true}
  - id: drain
    shell: "drain"
    host: web-01
    effect: write
  - id: tell
    notify: {to: [wall], subject: "Drained", text: "All of it."}
"#;

fn world() -> Rehearsals {
    let world = Rehearsals::new();
    world.write("environments/practice.yaml", ENVIRONMENT);
    world.write("beyond.yaml", RUNBOOK);
    world
}

#[test]
fn messages_files_and_hosts_are_told_and_nothing_leaves() {
    let world = world();
    let answers = world.write("a.yaml", "go: {answer: approve, as: carol}\n").display().to_string();
    let args = ["--answers", &answers, "--fault", "go=absent"];
    let made = world.rehearse("out", &world.path("beyond.yaml"), &args, 0);
    for line in [
        "go: passed on to bob, carol",
        "message, not sent: bob (mail bob@example.org) would be told that `go` waits for an answer: \"",
        "carol (program touch told)",
        "would be told that `go` was passed on to them: \"",
        "message, not sent: wall (program touch told) would be told by `tell`: \"[rehearsal] Drained\"",
        "files, not kept: `pack` would leave report (<run.work>/report.csv), warnings (<run.work>/warnings.txt, if there)",
        "host, not reached web-01: drain",
    ] {
        made.says(line);
    }
    assert!(!world.path("told").exists() && !world.path("reached").exists());
    let report = world.consigne(&["report", made.dir.to_str().unwrap(), "--open"]);
    let report = String::from_utf8(report.stdout).unwrap();
    for note in ["simulated, nothing was sent: bob", "simulated, nothing was kept: "] {
        assert!(report.contains(note), "{note}: {report}");
    }
}

#[test]
fn a_crash_notes_no_message_twice_and_scripts_read_them() {
    let world = world();
    let answers = world.write("a.yaml", "go: {answer: approve, as: bob}\n").display().to_string();
    let args = ["--answers", &answers, "--fault", "pack=crash-before", "--json"];
    let made = world.rehearse("out", &world.path("beyond.yaml"), &args, 0);
    let told: serde_json::Value = serde_json::from_str(&made.said[made.said.find('{').unwrap()..])
        .unwrap_or_else(|_| {
            let (start, end) = (made.said.find('{').unwrap(), made.said.rfind('}').unwrap());
            serde_json::from_str(&made.said[start..=end]).unwrap()
        });
    let beyond = &told["rehearsal"]["beyond"];
    assert_eq!(beyond["messages"].as_array().unwrap().len(), 2, "{beyond}");
    assert_eq!(beyond["hosts"]["web-01"], serde_json::json!(["drain"]));
    let notes = made.events().iter().filter(|event| event["type"] == "note.recorded").count();
    assert_eq!(notes, 3, "a message, the fault, the files");
}
