//! Answers that are not taken: the reason, the way on, and nothing has changed. And one that its giver signs himself.

use crate::environment::{TestEnvironment, bytes_below, shows};

/// A run that is parked at its first question.
fn parked(environment: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/real.yaml", "people:\n  bob: {}\nroles:\n  ops: [bob]\n");
    let verb = if environment == "real" { "run" } else { "drill" };
    env.consigne(&[verb, "small.yaml", "--env", environment, "--run-id", "r"]).ends(4).code.unwrap();
    env
}

#[test]
fn answers_that_are_refused() {
    let env = parked("plain");
    let answer = |args: &[&str]| env.consigne(&[&["answer", "r"], args].concat()).ends(2);
    let mut all = vec![
        answer(&["nope", "yes"]),
        answer(&["akk", "yes"]),
        answer(&["one", "yes"]),
        answer(&["ask", "maybe"]),
        answer(&["ask/first", "yes"]),
        answer(&["ask", "yes", "--evidence", "gone.txt"]),
        answer(&["ask", "yes", "--key", "gone"]),
    ];
    all.push(env.consigne(&["answer", "r", "ask", "yes"]).ends(4));
    all.push(env.consigne(&["answer", "r", "ask", "yes"]).ends(4));
    all.push(answer(&["ask", "no"]));
    all.push(env.consigne(&["resume", "r"]).ends(4));
    all.push(answer(&["go", "approve"]));
    all.push(answer(&["go", "approve", "--as", "carol"]));
    all.push(answer(&["go", "approve", "--as", "eve"]));
    all.push(env.consigne(&["answer", "r", "go", "approve", "--as", "bob", "--resume"]).ends(4));
    all.push(answer(&["go", "reject", "--as", "bob"]));
    all.push(answer(&["tick/third", "yes"]));
    all.push(env.consigne(&["cancel", "r", "--comment", "enough"]).ends(1));
    all.push(answer(&["tick/first", "yes"]));
    all.push(env.consigne(&["cancel", "r"]).ends(2));
    all.push(env.consigne(&["resume", "r"]).ends(1));
    shows!(all);
    assert_eq!(env.touched(), ["one"]);
}

const LIST: &str = "consigne: v1\nid: list\ntitle: \"A list\"\nsteps:\n\
    \x20 - id: tick\n    checklist:\n      items:\n        - {id: first, text: \"First\"}\n        - {id: second, text: \"Second\"}\n\
    \x20 - {id: sure, confirm: {}, message: \"Sure?\"}\n";

#[test]
fn a_list_that_is_complete_and_a_run_that_is_answered_to_the_end() {
    let env = TestEnvironment::new();
    env.write("list.yaml", LIST);
    env.consigne(&["drill", "list.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    let answer = |step: &str, value: &str| env.consigne(&["answer", "r", step, value]);
    let as_bob = |step: &str, value: &str| env.consigne(&["answer", "r", step, value, "--as", "bob"]);
    let all = [
        answer("tick/zz", "yes").ends(2),
        answer("tick/first", "yes").ends(4),
        as_bob("tick/first", "yes").ends(2),
        as_bob("tick/second", "yes").ends(4),
        answer("tick/zz", "yes").ends(2),
        answer("tick/first", "yes").ends(4),
        answer("tick/first", "no").ends(2),
        env.consigne(&["resume", "r"]).ends(4),
        answer("sure", "yes").ends(4),
        // Taking it up would end it as it stands; it is to end otherwise.
        env.consigne(&["cancel", "r", "--comment", "not tonight"]).ends(1),
    ];
    shows!(all);
}

#[test]
fn nobody_is_played_where_answers_are_real() {
    let env = parked("real");
    let before = bytes_below(&env.run("r"));
    shows!([
        env.consigne(&["answer", "r", "ask", "yes", "--as", "bob"]).ends(2),
        env.consigne(&["answer", "r", "go", "approve"]).ends(2),
    ]);
    assert_eq!(bytes_below(&env.run("r")), before);
}

#[test]
fn nobody_has_a_name_that_could_draw_on_a_screen() {
    let env = TestEnvironment::new();
    env.write("list.yaml", LIST);
    env.consigne(&["drill", "list.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    let before = bytes_below(&env.run("r"));
    for name in ["", "bob\nr: succeeded", "\u{1b}[2J"] {
        let said = env.consigne(&["answer", "r", "tick/first", "yes", "--as", name]).ends(2);
        assert!(said.stderr.contains(&format!("{name:?} is nobody's name")), "{said}");
    }
    assert_eq!(bytes_below(&env.run("r")), before);
}

#[test]
fn a_rejection_refuses_the_run() {
    let env = parked("plain");
    let all = [
        env.consigne(&["answer", "r", "ask", "no", "--comment", "not tonight", "--resume"]).ends(1),
        env.consigne(&["verify", "r"]).ends(0),
    ];
    shows!(all);
    assert_eq!(env.touched(), [""; 0]);
}

#[test]
fn a_decision_that_its_giver_signs_himself() {
    let env = TestEnvironment::new();
    if std::process::Command::new("ssh-keygen").arg("-?").output().is_err() {
        crate::environment::not_run("there is no ssh-keygen");
        return;
    }
    let user = String::from_utf8(env.command_of("id").arg("-un").output().unwrap().stdout).unwrap();
    let person = format!(
        "people:\n  alice: {{os_user: \"{}\", ssh: alice@example.com}}\nroles:\n  lead: [alice]\n",
        user.trim()
    );
    std::fs::write(env.work("environments/own.yaml"), person).unwrap();
    env.write(
        "own.yaml",
        "consigne: v1\nid: own\ntitle: {en: Own}\nsteps:\n  - id: go\n    approve: {roles: [lead], exclude: []}\n",
    );
    let made = env.command_of("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "alice"]).status();
    assert!(made.unwrap().success());
    let said = env.consigne(&["run", "own.yaml", "--env", "own", "--run-id", "r", "--unattended"]).ends(4);
    assert!(said.stderr.contains("go"), "{said}");
    let answer = ["answer", "r", "go", "approve", "--key", "alice", "--resume"];
    let before = bytes_below(&env.run("r"));
    let said = env.consigne(&answer).ends(2);
    assert!(said.stderr.contains("is not in allowed_signers"), "nobody has enrolled this key: {said}");
    assert!(said.stderr.contains("consigne keys enrol alice@example.com FILE.pub --runbook own"), "{said}");
    assert_eq!(bytes_below(&env.run("r")), before);
    env.consigne(&["keys", "enrol", "alice@example.com", "alice.pub", "--runbook", "own"])
        .ends(0)
        .code
        .unwrap();
    env.consigne(&answer).ends(0).code.unwrap();
    let said = env.consigne(&["verify", "r"]).ends(0);
    assert!(said.stdout.contains("AUTHORISATION personal"), "{said}");
}

#[test]
fn a_new_round_says_why_the_last_one_was_pushed_back() {
    let env = TestEnvironment::new();
    env.write(
        "book.yaml",
        r#"consigne: v1
id: book
steps:
  - id: rounds
    group:
      steps:
        - {id: draft, shell: "echo draft", effect: read}
        - {id: accept, message: "Publish?", approve: {roles: [ops], on_reject: continue}}
    repeat: {until: 'steps.accept.outcome == "succeeded"', max: 3}
"#,
    );
    let drill = ["drill", "book.yaml", "--env", "plain", "--run-id", "r1"];
    let _asked = env.consigne(&drill).ends(4);
    let no = ["answer", "r1", "accept:1", "reject", "--as", "bob", "--comment", "no date", "--resume"];
    let _again = env.consigne(&no).ends(4);
    let shown = env.consigne(&["show", "r1"]).ends(0).to_string();
    assert!(shown.contains("accept:2") && shown.contains("Round 1: bob said no: no date"), "{shown}");
    // As it stands, what is to be copied is no pipe.
    let hint =
        shown.lines().find_map(|line| line.split_once("consigne answer")).expect("a hint").1.to_owned();
    assert!(hint.contains("accept:2 'approve|reject' --as bob"), "{hint}");
}
