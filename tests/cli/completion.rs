//! Completion as a shell asks for it: its own script is sourced, and its own function is called.

use std::process::Command;

use crate::environment::TestEnvironment;

/// What bash would offer for the last word of each line.
fn bash(env: &TestEnvironment, lines: &[&[&str]]) -> Vec<String> {
    let mut script = "source <(\"$CONSIGNE\" completions bash)\n\
        offer() {\n\
          COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n\
          _clap_complete_consigne consigne \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n\
          echo \"${COMPREPLY[*]}\"\n\
        }\n\
        complete -p consigne > /dev/null || exit 9\n"
        .to_owned();
    for line in lines {
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        script.push_str(&format!("offer consigne {}\n", words.join(" ")));
    }
    let mut command = env.command_of("bash");
    command.args(["--norc", "-c", &script]).env("CONSIGNE", env!("CARGO_BIN_EXE_consigne"));
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "completion says nothing");
    assert!(output.status.success(), "{:?}", output.status);
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_runbooks_runs_steps_and_environments() {
    let env = TestEnvironment::new();
    std::fs::create_dir(env.work("runbooks")).unwrap();
    std::fs::copy(env.work("small.yaml"), env.work("runbooks/big.yaml")).unwrap();
    env.write("small.inputs.yaml", "name: x\n");
    for (id, name) in [("alpha-1", "name=a"), ("alpha-2", "name=b"), ("beta", "name=c")] {
        let drill = ["drill", "small.yaml", "--env", "plain", "--run-id", id, "--input", name];
        env.consigne(&drill).ends(4).code.unwrap();
    }
    let offered = bash(
        &env,
        &[
            &["dri"],
            &["show", "alpha"],
            &["resume", "b"],
            &["answer", "beta", "tick"],
            &["answer", "--as", "bob", "alpha-1", "a"],
            &["answer", "nowhere", "a"],
            &["check", "sm"],
            &["drill", "runbooks/b"],
            &["drill", "small.yaml", "--env", "p"],
            &["print", "small.yaml", "--lang", ""],
            &["show", "--runs", "/nowhere", "a"],
            &["rerun", "beta", "--from", "o"],
        ],
    );
    assert_eq!(
        offered,
        [
            "drill",
            "alpha-2 alpha-1",
            "beta",
            "tick/first tick/second tick",
            "ask",
            "",
            "small small.yaml",
            "runbooks/big.yaml",
            "plain practice",
            "fr en",
            "",
            "one",
        ]
    );
}

#[test]
fn completion_makes_nothing_and_says_nothing() {
    let mut env = TestEnvironment::new();
    env.set("CONSIGNE_HOME", "/dev/null/nowhere");
    let lines: &[&[&str]] = &[
        &["show", "x"],
        &["answer", "x", "y"],
        &["drill", "nowhere/x"],
        &["drill", "--env", "q"],
        &["nonsense", "x"],
    ];
    assert_eq!(bash(&env, lines), [""; 5]);
    assert!(!env.path("consigne").exists());
    // A shell that nobody knows, and a call that makes no sense, are answered with silence as well.
    for args in [&["--", "consigne", "show", ""][..], &["--"], &[]] {
        let mut command = env.command(args);
        let output = command.env("CONSIGNE_COMPLETE", "csh").output().unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
}

#[test]
fn other_shells_read_their_scripts() {
    let env = TestEnvironment::new();
    for shell in ["zsh", "fish"] {
        let script = env.consigne(&["completions", shell]).ends(0).stdout;
        assert!(script.contains("CONSIGNE_COMPLETE") && script.contains("consigne"), "{script}");
        if Command::new(shell).arg("--version").output().is_err() {
            crate::environment::not_run(&format!("{shell} is not installed"));
            continue;
        }
        std::fs::write(env.work("script"), script).unwrap();
        let output = env.command_of(shell).args(["-n", "script"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    env.consigne(&["completions", "csh"]).ends(2).code.unwrap();
}
