//! A runbook that another one uses: it ends by itself, has its ending at the end of the run, and is kept as it was.

use crate::environment::{TestEnvironment, bytes_below, shows};

const CHILD: &str = r#"consigne: v1
id: child
title: "Look and note"
inputs:
  name: {type: string, pattern: '^[a-z]+\n?$'}
  key: {type: string, class: secret}
vars: {place: here}
lock: ["everything"]
steps:
  - id: look
    argv: ["printf", "%s", "{{ inputs.name }} {{ vars.place }}"]
    effect: read
    outputs: {said: .stdout}
  - {id: over, when: inputs.name == "done", end: succeeded, message: "Nothing to do"}
  - id: go
    confirm: {}
    message: "Note {{ steps.look.said }}?"
  - id: note
    shell: "echo {{ steps.look.said }} ${#KEY} > @/noted"
    env: {KEY: "{{ inputs.key }}"}
    effect: write
finally:
  - id: bye
    shell: "echo bye {{ inputs.name }} {{ run.outcome }} >> @/said"
    effect: write
"#;

const USER: &str = r#"consigne: v1
id: user
inputs: {stop: {type: boolean, default: false}}
secrets: {key: {file: "@/key"}}
steps:
  - {id: find, shell: "cat @/found", effect: read, outputs: {name: .stdout}}
  - {id: never, when: inputs.stop, end: succeeded, message: "Not today"}
  - id: work
    runbook:
      use: child
      inputs: {name: "{{ steps.find.name }}", key: "{{ secrets.key }}"}
  - {id: after, shell: "echo {{ steps['work/look'].said | default('none') }} > @/after", effect: write}
finally:
  - {id: last, shell: "echo last >> @/said", effect: write}
"#;

const KEY: &str = "a-key-that-nobody-sees";

fn world(found: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("child.yaml", CHILD);
    env.write("user.yaml", USER);
    env.write("found", found);
    env.write("key", KEY);
    env.write("answers.yaml", "work/go: yes\n");
    env
}

fn drill(env: &TestEnvironment, more: &[&str]) -> crate::environment::Said {
    let fixed = ["drill", "user.yaml", "--answers", "answers.yaml", "--run-id", "r1", "--plain"];
    env.consigne(&[&fixed[..], more].concat())
}

fn read(env: &TestEnvironment, name: &str) -> String {
    std::fs::read_to_string(env.work(name)).unwrap_or_default()
}

#[test]
fn its_steps_are_done_where_it_is_used() {
    let env = world("acme");
    let drilled = drill(&env, &[]).ends(0);
    shows!([env.consigne(&["plan", "user.yaml", "--mode", "drill"]).ends(0), drilled]);
    assert_eq!(read(&env, "noted"), format!("acme here {}\n", KEY.len()));
    assert_eq!(read(&env, "after"), "acme here\n");
    assert_eq!(read(&env, "said"), "bye acme succeeded\nlast\n");
    assert!(env.consigne(&["verify", "r1"]).ends(0).stdout.contains("intact"));
    for (path, bytes) in bytes_below(&env.run("r1")) {
        let shown = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!shown, "{}", path.display());
    }
}

#[test]
fn rule_24_it_is_kept_as_it_was() {
    let env = world("acme");
    let _said = env.consigne(&["drill", "user.yaml", "--unattended", "--run-id", "r1", "--plain"]).ends(4);
    let kept = std::fs::read_to_string(env.run("r1").join("plan/uses-child.yaml")).unwrap();
    assert_eq!(kept, read(&env, "child.yaml"));
    env.write("child.yaml", &CHILD.replace("noted", "elsewhere"));
    let _said = env.consigne(&["resume", "r1", "--answers", "answers.yaml", "--plain"]).ends(0);
    assert_eq!(read(&env, "noted"), format!("acme here {}\n", KEY.len()));
    assert!(!env.work("elsewhere").exists());
    let path = env.run("r1").join("plan/uses-child.yaml");
    std::fs::write(&path, kept.replace("Look", "Book")).unwrap();
    let _said = env.consigne(&["verify", "r1"]).ends(5);
}

#[test]
fn its_early_end_is_not_that_of_the_run() {
    let env = world("done");
    let said = drill(&env, &[]).ends(0);
    assert!(said.stderr.contains("work/go skipped (ended: work/over)"), "{said}");
    assert_eq!((read(&env, "noted"), read(&env, "after")), (String::new(), "done here\n".to_owned()));
    assert_eq!(read(&env, "said"), "bye done succeeded\nlast\n");
}

#[test]
fn what_never_began_has_no_ending() {
    let env = world("acme");
    let _said = drill(&env, &["--input", "stop=true"]).ends(0);
    assert_eq!(read(&env, "said"), "last\n");
}

#[test]
fn an_input_that_it_does_not_take_stops_it_before_its_first_step() {
    let env = world("Acme");
    let said = drill(&env, &["--unattended"]).ends(1);
    assert!(said.stderr.contains("input `name` of `child` is not what it asks for"), "{said}");
    assert_eq!((read(&env, "noted"), read(&env, "after")), (String::new(), String::new()));
    assert_eq!(read(&env, "said"), "bye Acme failed\nlast\n", "it had begun");
}

const ASKING: &str = r#"consigne: v1
id: asking
steps:
  - {id: go, confirm: {}, message: "Go on?"}
  - id: points
    checklist:
      items:
        - {id: one, text: "The first"}
        - {id: two, text: "The second"}
"#;

fn asking() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("asking.yaml", ASKING);
    env.write("outer.yaml", "consigne: v1\nid: outer\nsteps:\n  - {id: work, runbook: {use: asking}}\n");
    env
}

#[test]
fn its_questions_are_answered_by_the_names_they_are_shown_with() {
    let env = asking();
    let drill = ["drill", "outer.yaml", "--run-id", "r1", "--unattended", "--plain"];
    let said = env.consigne(&drill).ends(4);
    assert!(said.stderr.contains("consigne answer r1 work/go 'yes|no'"), "{said}");
    let _said = env.consigne(&["answer", "r1", "work/go", "yes"]).ends(4);
    let _said = env.consigne(&["resume", "r1", "--unattended", "--plain"]).ends(4);
    let said = env.consigne(&["answer", "r1", "nowhere/go", "yes"]).ends(2);
    assert!(said.stderr.contains("`nowhere/go`"), "{said}");
    let _said = env.consigne(&["answer", "r1", "work/points/one", "yes"]).ends(4);
    let _said = env.consigne(&["answer", "r1", "work/points/two", "yes"]).ends(4);
    let _said = env.consigne(&["resume", "r1", "--unattended", "--plain"]).ends(0);
}

#[test]
fn a_file_of_answers_names_its_points() {
    let env = asking();
    env.write("answers.yaml", "work/go: yes\nwork/points/one: yes\nwork/points/two: yes\n");
    let drill = ["drill", "outer.yaml", "--run-id", "r1", "--answers", "answers.yaml", "--plain"];
    let _said = env.consigne(&drill).ends(0);
    env.write("answers.yaml", "work/points/three: yes\n");
    let drill = ["drill", "outer.yaml", "--run-id", "r2", "--answers", "answers.yaml", "--plain"];
    let said = env.consigne(&drill).ends(3);
    assert!(said.stderr.contains("the runbook has no step `work/points/three`"), "{said}");
}
