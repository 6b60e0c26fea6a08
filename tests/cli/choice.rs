//! Choices of a list: asked, answered in every way, read by what follows.

use crate::environment::{TestEnvironment, shows};

const PICK: &str = r#"consigne: v1
id: pick
title: {fr: "Choisir", en: "Choose"}
steps:
  - id: find
    argv: ["cat", "@/shops.json"]
    effect: read
    outputs: {shops: ".json"}
  - id: how
    choice:
      options:
        - {id: roll-back, text: {fr: "Revenir en arrière", en: "Roll back"}}
        - {id: go-on, text: {fr: "Continuer", en: "Go on"}}
    message: {fr: "Et maintenant ?", en: "What now?"}
    unattended: go-on
  - id: which
    when: steps.how.answer == "roll-back"
    choice:
      from: steps.find.shops
      id: item.id
      label: item.city ~ ", " ~ item.staff ~ " people"
      many: {min: 1, max: 2}
    message: {fr: "Quels magasins ?", en: "Which shops?"}
  - id: back
    when: '"lyon" in (steps.which.answer | default([]))'
    argv: ["sh", "@/note", "{{ steps.which.answer | default([]) | join(' ') }}"]
    effect: write
  - id: forward
    when: steps.how.answer == "go-on"
    argv: ["sh", "@/note", "on"]
    effect: write
"#;

const SHOPS: &str = r#"[{"id": "lyon", "city": "Lyon", "staff": 3}, {"id": "lille", "city": "Lille", "staff": 12}, {"id": 75, "city": "Paris", "staff": 40}]"#;

fn shop() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("pick.yaml", PICK);
    env.write("shops.json", SHOPS);
    env.write("note", "echo \"$1\" >> @/touched\n");
    env
}

#[test]
fn a_choice_is_answered_from_the_command_line_and_steers_the_run() {
    let env = shop();
    let drill = env.consigne(&["drill", "pick.yaml", "--env", "plain", "--run-id", "r"]).ends(4);
    // What the question was opened with is what is chosen from.
    env.write("shops.json", "[]");
    let answer = |args: &[&str], code: i32| env.consigne(&[&["answer", "r"], args].concat()).ends(code);
    let mut all = vec![
        drill,
        env.consigne(&["show", "r"]).ends(0),
        answer(&["how", "rollback"], 2),
        answer(&["how", "roll-back,go-on"], 2),
        answer(&["how", "yes"], 2),
        answer(&["how", "roll-back", "--comment", "too many errors"], 4),
        answer(&["how", "roll-back"], 4),
        answer(&["how", "go-on"], 2),
        env.consigne(&["resume", "r"]).ends(4),
        answer(&["which", "lyon,lille,75"], 2),
        answer(&["which", "[]"], 2),
        answer(&["which", "lyon,lyon"], 2),
        answer(&["which", "[\"lyon\", {}]"], 2),
        answer(&["which", "75,lyon", "--resume"], 0),
    ];
    all.push(env.consigne(&["verify", "r"]).ends(0));
    shows!(all);
    assert_eq!(env.touched(), ["lyon 75"], "in the order of the list");
    let plain = env.consigne(&["report", "r"]).ends(0);
    assert!(!plain.stdout.contains("Lille, 12"), "the list is confidential: {plain}");
    let open = env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(open.stdout.contains("Lille, 12 people"), "{open}");
}

#[test]
fn a_choice_is_answered_by_a_file_and_by_nobody() {
    let env = shop();
    env.write("a.yaml", "how: roll-back\nwhich: {answer: [lille, lyon], comment: both}\n");
    let drill = ["drill", "pick.yaml", "--env", "plain", "--run-id"];
    let said = env.consigne(&[&drill[..], &["f", "--answers", "a.yaml"]].concat()).ends(0);
    assert_eq!(env.touched(), ["lyon lille"], "{said}");
    let said = env.consigne(&[&drill[..], &["u", "--unattended"]].concat()).ends(0);
    assert_eq!(env.touched(), ["lyon lille", "on"], "{said}");
    env.write("b.yaml", "how: roll-back\nwhich: paris\n");
    let said = env.consigne(&[&drill[..], &["m", "--answers", "b.yaml"]].concat()).ends(4);
    assert!(said.stderr.contains("does not fit this question"), "{said}");
}

#[test]
fn a_choice_is_printed_planned_and_drawn() {
    let env = shop();
    let mut all = Vec::new();
    for lang in ["en", "fr"] {
        all.push(env.consigne(&["print", "pick.yaml", "--lang", lang]).ends(0));
        all.push(env.consigne(&["graph", "pick.yaml", "--lang", lang]).ends(0));
    }
    all.push(env.consigne(&["graph", "pick.yaml", "--mermaid"]).ends(0));
    all.push(env.consigne(&["plan", "pick.yaml", "--env", "plain"]).ends(0));
    shows!(all);
}

#[test]
fn an_empty_list_asks_nobody() {
    let env = shop();
    env.write("shops.json", "[]");
    env.write("a.yaml", "how: roll-back\n");
    let drill = ["drill", "pick.yaml", "--env", "plain", "--run-id", "r", "--answers", "a.yaml"];
    let said = env.consigne(&drill).ends(4);
    let shown = env.consigne(&["show", "r"]).ends(0);
    assert!(shown.stdout.contains("options"), "{said}\n{shown}");
}

#[test]
fn rule_08_whoever_takes_the_place_of_a_choice_says_what_is_chosen() {
    let env = shop();
    env.write(
        "book.yaml",
        r#"consigne: v1
id: book
steps:
  - {id: find, argv: ["cat", "@/shops.json"], effect: read, outputs: {shops: ".json"}}
  - {id: which, choice: {from: steps.find.shops, id: item.id, label: item.city}, message: "Which?"}
  - {id: go, argv: ["sh", "@/note", "{{ steps.which.answer }}"], effect: write}
"#,
    );
    env.write("shops.json", "[]");
    let _failed = env.consigne(&["drill", "book.yaml", "--env", "plain", "--run-id", "r"]).ends(4);
    let skip = ["answer", "r", "which", "skip", "--comment", "by phone"];
    let refused = env.consigne(&skip).ends(2).to_string();
    assert!(refused.contains("a later step reads the output `answer`"), "{refused}");
    let said = r#"{"choice": "skip", "outputs": {"answer": "lille"}}"#;
    let _done = env.consigne(&["answer", "r", "which", said, "--comment", "by phone", "--resume"]).ends(0);
    assert_eq!(env.touched(), ["lille"]);
    env.consigne(&["verify", "r"]).ends(0).code.unwrap();
}
