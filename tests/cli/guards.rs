//! Rule 22 for real: a guard that turns false in the middle of a drill holds the run until somebody decides.

use crate::environment::{TestEnvironment, shows};

const GUARDED: &str = r#"consigne: v1
id: guarded
title: {fr: "Gardé", en: "Guarded"}
guards:
  - id: window
    every: 1h
    shell: "test ! -e @/closed"
    message: {fr: "La fenêtre est close.", en: "The window is closed."}
steps:
  - id: one
    shell: "echo one >> @/touched; touch @/closed"
    effect: write
  - id: look
    shell: "echo look >> @/touched"
    effect: read
  - id: two
    shell: "echo two >> @/touched"
    effect: write
  - id: three
    shell: "echo three >> @/touched"
    effect: write
finally:
  - id: tidy
    shell: "echo tidy >> @/touched"
    effect: write
"#;

#[test]
fn rule_22_a_guard_that_turns_false_in_the_middle_holds_the_run() {
    let env = TestEnvironment::new();
    env.write("guarded.yaml", GUARDED);
    let mut all = vec![
        env.consigne(&["check", "guarded.yaml"]).ends(0),
        env.consigne(&["drill", "guarded.yaml", "--env", "plain", "--run-id", "r", "--unattended"]).ends(4),
    ];
    assert_eq!(env.touched(), ["one", "look"]);
    all.push(env.consigne(&["show", "r"]).ends(0));
    all.push(env.consigne(&["answer", "r", "window", "go_on"]).ends(2));
    let go_on =
        ["answer", "r", "window", "go_on", "--comment", "the window was prolonged by phone", "--resume"];
    all.push(env.consigne(&go_on).ends(4));
    assert_eq!(env.touched(), ["one", "look", "two"], "overruled once, for one write");
    all.push(env.consigne(&["verify", "r"]).ends(4));
    std::fs::remove_file(env.work("closed")).unwrap();
    all.push(env.consigne(&["answer", "r", "window", "retry", "--resume"]).ends(0));
    assert_eq!(env.touched(), ["one", "look", "two", "three", "tidy"]);
    all.push(env.consigne(&["verify", "r"]).ends(0));
    let report = env.consigne(&["report", "r"]).ends(0);
    assert!(report.stdout.contains("go_on"), "{report}");
    shows!(all);
}

#[test]
fn rule_22_a_guard_that_cannot_be_asked_holds_the_run_and_its_end_is_a_failure() {
    let env = TestEnvironment::new();
    let away = GUARDED.replace("shell: \"test ! -e @/closed\"", "http: {get: \"http://127.0.0.1:9/\"}");
    env.write("away.yaml", &away);
    let drill =
        env.consigne(&["drill", "away.yaml", "--env", "plain", "--run-id", "r", "--unattended"]).ends(4);
    assert!(env.touched().is_empty());
    let ended = env.consigne(&["answer", "r", "window", "end", "--resume"]).ends(1);
    assert_eq!(env.touched(), ["tidy"], "what repairs is not guarded");
    assert!(format!("{ended}").contains("guard:window"), "{ended}");
    drop(drill);
}

#[test]
fn a_plan_shows_what_guards_ask() {
    let env = TestEnvironment::new();
    env.write("guarded.yaml", GUARDED);
    let mut french = TestEnvironment::new();
    french.set("LANG", "fr_FR.UTF-8");
    french.write("guarded.yaml", GUARDED);
    let plan = |env: &TestEnvironment| env.consigne(&["plan", "guarded.yaml", "--env", "plain"]).ends(0);
    let head = |said: crate::environment::Said| {
        let lines = said.stdout.lines().map(str::to_owned).skip_while(|line| !line.starts_with("──"));
        lines.collect::<Vec<String>>()
    };
    let (english, french) = (head(plan(&env)), head(plan(&french)));
    assert!(english.iter().any(|line| line.contains("window [shell, every")), "{english:?}");
    assert!(english.iter().any(|line| line.contains("The window is closed.")), "{english:?}");
    assert!(french.iter().any(|line| line.contains("La fenêtre est close.")), "{french:?}");
    let json = env.consigne(&["plan", "guarded.yaml", "--env", "plain", "--json"]).ends(0).json();
    assert_eq!(json["guards"][0]["node"]["id"], "window");
}
