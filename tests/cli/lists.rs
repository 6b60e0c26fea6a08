//! `consigne list`: what waits, what is switched, what is unknown, what died, what is damaged.

use crate::environment::{TestEnvironment, shows};

const TOGGLE: &str = r#"consigne: v1
id: toggle
title: "A toggle"
steps:
  - id: pause
    shell: "echo off >> @/touched"
    effect: write
    put_back:
      shell: "echo on >> @/touched"
      effect: write
      only_if:
        shell: "test -e @/well"
        effect: read
  - id: work
    shell: "exit 3"
    effect: write
"#;

const UNKNOWN: &str = "consigne: v1\nid: unknown\ntitle: \"An unknown outcome\"\nsteps:\n\
    \x20 - {id: cut, shell: \"echo cut >> @/touched; kill -9 $$\", effect: write}\n";

const WAIT: &str = "consigne: v1\nid: wait\ntitle: \"A wait\"\nsteps:\n\
    \x20 - {id: rest, wait: {for: 1h}}\n\x20 - {id: after, shell: \"true\", effect: read}\n";

const SLOW: &str = "consigne: v1\nid: slow\ntitle: \"Slow\"\nsteps:\n\
    \x20 - {id: long, shell: \"echo long >> @/touched; sleep 300\", effect: write}\n";

fn filled() -> TestEnvironment {
    let env = TestEnvironment::new();
    for (name, text) in [("toggle", TOGGLE), ("unknown", UNKNOWN), ("wait", WAIT), ("slow", SLOW)] {
        env.write(&format!("{name}.yaml"), text);
    }
    env
}

#[test]
fn nothing_waits() {
    let env = TestEnvironment::new();
    shows!([env.consigne(&["list"]).ends(0), env.consigne(&["list", "--all"]).ends(0)]);
}

#[test]
fn everything_that_needs_somebody() {
    let env = filled();
    let drill = |id: &str, file: &str, code: i32| {
        let args = ["drill", file, "--env", "plain", "--run-id", id, "--unattended", "--no-wait"];
        env.consigne(&args).ends(code)
    };
    drill("r1-toggle", "toggle.yaml", 4).code.unwrap();
    drill("r2-unknown", "unknown.yaml", 4).code.unwrap();
    drill("r3-wait", "wait.yaml", 4).code.unwrap();
    drill("r4-small", "small.yaml", 4).code.unwrap();
    env.consigne(&["answer", "r4-small", "ask", "yes"]).ends(4).code.unwrap();
    let mut child = env.start(&["drill", "slow.yaml", "--env", "plain", "--run-id", "r5-slow"]);
    env.until("the step runs", || env.touched().iter().any(|word| word == "long"));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::create_dir_all(env.run("r6-damaged").join("plan")).unwrap();
    std::fs::write(env.run("r6-damaged").join("events.jsonl"), "nonsense\n").unwrap();

    let mut all = vec![env.consigne(&["list"]).ends(5)];
    let open = r#"{"choice": "leave_open", "owner": "bob", "review_at": "2030-01-01T00:00:00Z"}"#;
    let args = ["answer", "r1-toggle", "pause", open, "--resume"];
    all.push(env.consigne(&args).ends(2));
    all.push(env.consigne(&[&args[..], &["--comment", "the pipeline is still sick"]].concat()).ends(1));
    all.push(
        env.consigne(&["answer", "r2-unknown", "cut", "done", "--comment", "seen it", "--resume"]).ends(0),
    );
    all.push(env.consigne(&["cancel", "r5-slow"]).ends(1));
    all.push(env.consigne(&["list"]).ends(5));
    all.push(env.consigne(&["show", "r1-toggle"]).ends(0));
    // Who was left behind by the killed process has a number of its own each time.
    let numbers = regex::Regex::new(r"ended: \d+").unwrap();
    for said in &mut all {
        said.stderr = numbers.replace_all(&said.stderr, "ended: [PID]").into_owned();
    }
    shows!(all);
    assert_eq!(env.touched(), ["off", "cut", "long"]);
}

#[test]
fn what_a_system_answered_does_not_drive_the_terminal_of_whoever_looks() {
    let env = TestEnvironment::new();
    let book = "consigne: v1\nid: loud\ntitle: Loud\nsteps:\n  - id: ask_it\n    shell: \"printf 'a\\\\033[2Jb'\"\n    \
         effect: read\n    outputs: {said: \".stdout\"}\n  - id: go\n    confirm: {}\n    message: \"Now \
         {{ steps.ask_it.said }}?\"\n";
    env.write("loud.yaml", book);
    let run = env.consigne(&["drill", "loud.yaml", "--env", "plain", "--run-id", "r"]).ends(4);
    for said in [run, env.consigne(&["show", "r"]).ends(0), env.consigne(&["list"]).ends(0)] {
        assert!(format!("{}{}", said.stdout, said.stderr).contains("(confirm) Now a␛[2Jb"), "{said}");
        assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{said}");
    }
}
