//! Files and words that cannot be used: every command says where, why and how to go on, and nothing happens.

use crate::environment::{TestEnvironment, shows};

#[test]
fn a_runbook_that_cannot_be_read() {
    let env = TestEnvironment::new();
    std::fs::write(env.work("latin.yaml"), b"consigne: v1\nid: caf\xe9\n").unwrap();
    env.write("broken.yaml", "consigne: v1\nsteps: [\n");
    env.write("empty.yaml", "");
    env.write("shape.yaml", "consigne: v1\nid: shape\ntitle: \"T\"\nsteps:\n  - id: a\n    shel: \"true\"\n");
    let files = ["gone.yaml", "environments", "latin.yaml", "broken.yaml", "empty.yaml", "shape.yaml"];
    let drills = files.iter().map(|file| env.consigne(&["drill", file]).ends(3));
    let checks = files.iter().map(|file| env.consigne(&["check", file]).ends(3));
    shows!(drills.chain(checks).collect::<Vec<_>>());
    env.assert_nothing_happened();
}

#[test]
fn an_environment_that_is_not_there_or_not_meant() {
    let env = TestEnvironment::new();
    env.write("environments/prod.yaml", "protected: true\npeople:\n  bob: {}\nroles:\n  ops: [bob]\n");
    std::fs::copy(env.work("small.yaml"), env.path("user").join("alone.yaml")).unwrap();
    shows!([
        env.consigne(&["drill", "small.yaml", "--env", "practise"]).ends(3),
        env.consigne(&["drill", "small.yaml", "--env", "qqq"]).ends(3),
        env.consigne(&["drill", "../user/alone.yaml"]).ends(3),
        env.consigne(&["run", "small.yaml"]).ends(2),
        env.consigne(&["run", "small.yaml", "--env", "practice"]).ends(3),
        env.consigne(&["drill", "small.yaml", "--env", "prod"]).ends(3),
    ]);
    env.assert_nothing_happened();
}

#[test]
fn inputs_that_do_not_fit() {
    let env = TestEnvironment::new();
    let text = std::fs::read_to_string(env.work("small.yaml")).unwrap();
    let bare = text.replace(", default: \"x\"", "").replace(", default: 1", "");
    env.write("bare.yaml", &bare);
    env.write("typed.inputs.yaml", "name: abc\ncount: many\n");
    env.write("unknown.inputs.yaml", "nam: abc\n");
    env.write("broken.inputs.yaml", "name: [\n");
    env.write("list.inputs.yaml", "- name\n");
    let drill = |args: &[&str]| env.consigne(&[&["drill", "bare.yaml"], args].concat());
    shows!([
        drill(&[]).ends(3),
        drill(&["--input", "name=abc", "--input", "count=1.5"]).ends(3),
        drill(&["--input", "name=ABC", "--input", "count=1"]).ends(3),
        drill(&["--input", "name=abc", "--input", "count=1", "--input", "cuont=2"]).ends(3),
        drill(&["--input", "name"]).ends(2),
        drill(&["--inputs", "gone.yaml"]).ends(3),
        drill(&["--inputs", "typed.inputs.yaml"]).ends(3),
        drill(&["--inputs", "unknown.inputs.yaml", "--input", "name=abc", "--input", "count=1"]).ends(3),
        drill(&["--inputs", "broken.inputs.yaml"]).ends(3),
        drill(&["--inputs", "list.inputs.yaml"]).ends(3),
    ]);
    env.assert_nothing_happened();
}

#[test]
fn a_drill_takes_the_inputs_beside_it_and_an_option_wins() {
    let env = TestEnvironment::new();
    env.write("small.inputs.yaml", "name: beside\ncount: 2\n");
    let drill =
        env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r", "--input", "name=mine"]);
    assert!(drill.ends(4).stderr.contains("inputs: small.inputs.yaml"));
    let values: serde_json::Value =
        serde_json::from_slice(&std::fs::read(env.run("r").join("plan/values.json")).unwrap()).unwrap();
    assert_eq!((&values["inputs"]["name"], &values["inputs"]["count"]), (&"mine".into(), &2.into()));
}

#[test]
fn answers_that_do_not_fit() {
    let env = TestEnvironment::new();
    env.write("unknown.answers.yaml", "ask: yes\ngoo: {answer: approve, as: bob}\ntick/frist: yes\n");
    env.write("keys.answers.yaml", "go: {answr: approve}\n");
    env.write("broken.answers.yaml", "go: [\n");
    let drill = |file: &str| env.consigne(&["drill", "small.yaml", "--answers", file]).ends(3);
    shows!([
        drill("gone.answers.yaml"),
        drill("unknown.answers.yaml"),
        drill("keys.answers.yaml"),
        drill("broken.answers.yaml"),
    ]);
    env.assert_nothing_happened();

    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    let resumed = env.consigne(&["resume", "r", "--answers", "unknown.answers.yaml"]).ends(3);
    assert!(resumed.stderr.contains("did you mean `go`?"), "{resumed}");
    assert_eq!(env.touched(), [""; 0]);
}

#[test]
fn words_that_name_no_run() {
    let env = TestEnvironment::new();
    for id in ["r1", "r2"] {
        let args = ["drill", "small.yaml", "--env", "plain", "--run-id", id, "--input"];
        env.consigne(&[&args[..], &[if id == "r1" { "name=a" } else { "name=b" }]].concat())
            .ends(4)
            .code
            .unwrap();
    }
    let mut all = vec![
        env.consigne(&["drill", "small.yaml", "--run-id", "../x"]).ends(2),
        env.consigne(&["drill", "small.yaml", "--run-id", "r1"]).ends(2),
    ];
    for args in [
        &["show", "nope"][..],
        &["show", "r"],
        &["show", ""],
        &["show", "./nope"],
        &["verify", "../user"],
        &["resume", "nope"],
        &["cancel", "nope"],
        &["report", "nope"],
        &["answer", "nope", "ask", "yes"],
    ] {
        all.push(env.consigne(args).ends(2));
    }
    shows!(all);
}
