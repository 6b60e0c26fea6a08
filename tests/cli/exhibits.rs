//! What is put before people with a question: seen by who answers, part of what is signed, confidential in the record.

use crate::environment::{TestEnvironment, shows};

const LOOK: &str = r#"consigne: v1
id: look
title: "Look first"
steps:
  - id: check
    shell: "printf '{\"rows\": 3, \"note\": \"one\\\\ntwo\"}'"
    effect: read
    outputs: {found: ".json", note: ".json.note"}
  - id: sure
    confirm: {}
    message: "Go on?"
    show: "{{ steps.check.found }}"
  - id: go
    approve: {roles: [ops]}
    message: "Really?"
    show: ["Rows to go: {{ steps.check.found.rows }}", "{{ steps.check.note }}"]
  - id: one
    shell: "echo one >> @/touched; exit 3"
    effect: write
    show: ["{{ steps.go.by }}"]
"#;

#[test]
fn what_is_shown_is_asked_signed_and_held_back() {
    let env = TestEnvironment::new();
    env.write("look.yaml", LOOK);
    let drill = ["drill", "look.yaml", "--env", "plain", "--run-id", "r"];
    env.consigne(&drill).ends(4).code.unwrap();
    env.consigne(&["answer", "r", "sure", "yes", "--resume"]).ends(4).code.unwrap();
    env.consigne(&["answer", "r", "go", "approve", "--as", "bob", "--resume"]).ends(4).code.unwrap();
    let folder = env.run("r").join("approvals");
    let texts = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<String> = texts
        .filter(|path| path.extension().is_none_or(|ending| ending != "sig"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let shown = |text: &String| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("shown:")).map(str::to_owned);
        // The request has its own tests, and a path of this folder.
        lines.take_while(|line| !line.contains(" sha256:")).collect()
    };
    let mut all: Vec<Vec<String>> = texts.iter().map(shown).collect();
    all.sort();
    insta::with_settings!({omit_expression => true}, { insta::assert_debug_snapshot!(all) });
    env.consigne(&["answer", "r", "one", "end", "--resume"]).ends(1).code.unwrap();
    let said = env.consigne(&["verify", "r"]).ends(0);
    assert!(said.stdout.contains("VERIFIED"), "{said}");
    let plain = env.consigne(&["report", "r"]).ends(0);
    assert!(!plain.stdout.contains("Rows to go"), "{plain}");
    let open = env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(open.stdout.contains("Rows to go: 3") && open.stdout.contains("steps.go.by"), "{open}");
}

#[test]
fn what_is_shown_is_planned_and_printed() {
    let env = TestEnvironment::new();
    env.write("look.yaml", LOOK);
    let all = [
        env.consigne(&["plan", "look.yaml", "--env", "plain"]).ends(0),
        env.consigne(&["print", "look.yaml"]).ends(0),
    ];
    shows!(all);
}
