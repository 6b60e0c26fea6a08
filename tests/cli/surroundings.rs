//! What steps find around them is frozen when a run starts: a resume that would find something else asks, or refuses
//! where nobody is there.

use std::process::Stdio;

use rexpect::session::spawn_command;

use crate::environment::{Said, TestEnvironment, bytes_below, shows};

const VALUE: &str = "canary-value-of-a-variable";

/// A run that is parked in a wait, in an environment that hands on `FLAVOUR`.
fn parked(id: &str) -> TestEnvironment {
    let mut env = TestEnvironment::new();
    env.write("environments/inherits.yaml", "env_inherit: [FLAVOUR]\n");
    env.write(
        "waits.yaml",
        "consigne: v1\nid: waits\ntitle: \"Waits\"\nsteps:\n\
         \x20 - {id: pause, wait: {for: 10h}}\n\
         \x20 - {id: pods, shell: \"echo pods >> @/touched # kubectl\", effect: write}\n",
    );
    std::fs::create_dir_all(env.path("user/.kube")).unwrap();
    context(&env, "first-cluster");
    env.set("FLAVOUR", VALUE);
    env.set("SSH_AUTH_SOCK", "/tmp/one");
    let drill = ["drill", "waits.yaml", "--env", "inherits", "--no-wait", "--run-id", id];
    env.consigne(&drill).ends(4).code.unwrap();
    env
}

fn context(env: &TestEnvironment, name: &str) {
    let text = format!("apiVersion: v1\ncurrent-context: {name}\n");
    std::fs::write(env.path("user/.kube/config"), text).unwrap();
}

fn resume(env: &TestEnvironment) -> Said {
    env.consigne(&["resume", "r", "--no-wait"])
}

fn report(env: &TestEnvironment) -> String {
    env.consigne(&["report", "r", "--open"]).ends(0).stdout
}

#[test]
fn nothing_has_changed_and_nothing_is_asked() {
    let mut env = parked("r");
    let resumed = resume(&env).ends(4);
    assert!(!resumed.stderr.contains("around"), "{resumed}");
    env.set("SSH_AUTH_SOCK", "/tmp/another-login");
    env.set("TERM", "xterm");
    resume(&env).ends(4).code.unwrap();
    assert!(!report(&env).contains("note.recorded"));
}

#[test]
fn what_has_changed_is_named_and_refused_until_somebody_accepts_it() {
    let mut env = parked("r");
    env.set("FLAVOUR", "canary-of-another-value");
    env.set("TZ", "Europe/Paris");
    context(&env, "second-cluster");
    let before = bytes_below(&env.run("r"));
    let all = vec![resume(&env).ends(3), env.consigne(&["cancel", "r"]).ends(3)];
    assert_eq!(bytes_below(&env.run("r")), before, "nothing was written");
    let accepted = env.consigne(&["resume", "r", "--no-wait", "--accept-environment"]).ends(4);
    let cancelled = env.consigne(&["cancel", "r", "--accept-environment"]).ends(1);
    assert_eq!(env.touched(), [""; 0]);
    let report = report(&env);
    let told = "resumed in an environment that is not the one it started in: FLAVOUR, TZ, kube context";
    assert_eq!(report.matches(told).count(), 2, "{report}");
    env.consigne(&["verify", "r"]).ends(0).code.unwrap();
    let everything = String::from_utf8_lossy(&bytes_below(&env.run("r")).concat_bytes()).into_owned();
    for hidden in ["canary", "first-cluster", "second-cluster", "Europe/Paris"] {
        assert!(!everything.contains(hidden), "{hidden} in the run's folder");
        assert!(!all.iter().any(|said| said.stderr.contains(hidden)), "{hidden} was shown");
    }
    shows!([all, vec![accepted, cancelled]].concat());
}

trait Bytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Bytes for Vec<(std::path::PathBuf, Vec<u8>)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

#[test]
fn a_variable_that_is_gone_and_an_agent_that_is_gone_count() {
    let mut env = TestEnvironment::new();
    env.set("SSH_AUTH_SOCK", "/tmp/one");
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    let without = |name: &str| {
        let mut command = env.command(&["resume", "r"]);
        command.env_remove(name);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(without("SSH_AUTH_SOCK").contains(": SSH_AUTH_SOCK differs"));
    assert!(without("LANG").contains(": LANG differs"));
    // Without a path there is no bash either, but what has changed is what is said.
    assert!(without("PATH").contains(": PATH differs"));
}

#[test]
fn an_answer_that_drives_nothing_needs_no_question() {
    let mut env = TestEnvironment::new();
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    env.set("TZ", "Europe/Paris");
    let answer = ["answer", "r", "ask", "yes"];
    let refused = env.consigne(&[&answer[..], &["--resume"]].concat()).ends(3);
    assert!(refused.stderr.contains("--accept-environment"), "{refused}");
    env.consigne(&answer).ends(4).code.unwrap();
    assert!(!report(&env).contains("note.recorded"));
    env.consigne(&["resume", "r", "--accept-environment"]).ends(4).code.unwrap();
    assert!(report(&env).contains("is not the one it started in: TZ"));
    let approve = ["answer", "r", "go", "approve", "--as", "bob", "--resume", "--accept-environment"];
    env.consigne(&approve).ends(4).code.unwrap();
    assert_eq!(env.touched(), ["one"]);
}

/// A resume at a terminal, which has to end so.
fn at_terminal(env: &TestEnvironment, question: &str, answer: &str, end: i32) {
    let mut command = env.command_of("sh");
    let script = "\"$0\" resume r --no-wait; echo \"exit: $?\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_consigne")]).env("TERM", "xterm");
    command.stdin(Stdio::inherit());
    let mut pty = spawn_command(command, Some(20_000)).unwrap();
    pty.exp_string(question).unwrap();
    pty.send_line(answer).unwrap();
    pty.exp_string(&format!("exit: {end}")).unwrap();
    pty.exp_eof().unwrap();
}

#[test]
fn at_a_terminal_a_person_decides_and_the_record_says_so() {
    let env = parked("r");
    context(&env, "second-cluster");
    let question = "kube context\r\nGo on with it? [y/N]";
    at_terminal(&env, question, "", 3);
    at_terminal(&env, question, "n", 3);
    assert!(!report(&env).contains("note.recorded"));
    at_terminal(&env, question, "y", 4);
    assert!(report(&env).contains("is not the one it started in: kube context"), "{}", report(&env));
}
