//! Output that nobody reads: a closed pipe ends nothing but the printing.

use std::process::{Command, Stdio};

use crate::environment::TestEnvironment;

/// A pipe whose reading end is closed already.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn code(mut command: Command) -> i32 {
    command.stdout(unread()).stderr(unread()).status().unwrap().code().expect("no signal ended it")
}

#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let env = TestEnvironment::new();
    env.write("go.answers.yaml", "ask: yes\ngo: {answer: approve, as: bob}\ntick: yes\n");
    let drill = ["drill", "small.yaml", "--env", "plain", "--run-id", "r", "--answers", "go.answers.yaml"];
    assert_eq!(code(env.command(&drill)), 0);
    for (args, expected) in [
        (&["--help"][..], 0),
        (&["nonsense"], 2),
        (&["schema"], 0),
        (&["check", "gone.yaml"], 3),
        (&["check", "--json", "gone.yaml"], 3),
        (&["list", "--all"], 0),
        (&["list", "--all", "--json"], 0),
        (&["show", "r"], 0),
        (&["report", "r", "--verified"], 0),
        (&["verify", "r"], 0),
        (&["verify", "r", "--json"], 0),
        (&["keys", "show"], 0),
        (&["show", "nope"], 2),
        (&["drill", "small.yaml", "--json", "--env", "plain", "--run-id", "r2"], 4),
    ] {
        assert_eq!(code(env.command(args)), expected, "{args:?}");
    }
}

#[test]
fn output_that_a_full_disk_swallows_is_no_success() {
    let env = TestEnvironment::new();
    for args in [&["schema"][..], &["print", "small.yaml"], &["man"], &["runbooks", "--json"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = env.command(args).stdout(full).stderr(unread()).status().unwrap();
        assert_eq!(status.code(), Some(74), "{args:?}");
    }
}
