//! A child that takes the terminal: opens it, makes itself its foreground, sets it raw, and does not let go.

use std::os::fd::AsFd;

use rexpect::session::{PtySession, spawn_command};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr, tcsetpgrp};

use super::house::{House, until};

const GRABS: &str = "CONSIGNE_TEST_GRABS_THE_TERMINAL";

/// Not a test of its own: what the step of the others starts.
#[test]
fn plays_the_grabber() {
    if std::env::var_os(GRABS).is_none() {
        return;
    }
    let tty = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").unwrap();
    tcsetpgrp(tty.as_fd(), rustix::process::getpgrp()).unwrap();
    let mut modes = tcgetattr(&tty).unwrap();
    modes.make_raw();
    tcsetattr(&tty, OptionalActions::Now, &modes).unwrap();
    std::fs::write("grabbed", "").unwrap();
    loop {
        std::thread::park();
    }
}

fn book(more: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    format!(
        "consigne: v1\nid: grabs\nsteps:\n  - id: grabs\n    needs: []\n    shell: |\n      trap '' TTOU TTIN TERM HUP INT\n      exec {} --exact terminal::plays_the_grabber --nocapture\n    env: {{{GRABS}: \"1\"}}\n    effect: read\n    timeout: 1500ms\n    on_failure: continue\n{more}",
        exe.display()
    )
}

fn open(house: &House) -> PtySession {
    // As a shell does it, the session is led by somebody else.
    let inner = house.command(&["run", "book.yaml", "--run-id", "r"]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "\"$0\" \"$@\"; echo ended $?; exec sleep 60"])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    spawn_command(command, Some(60_000)).unwrap()
}

fn is_cooked(pty: &PtySession) -> bool {
    let modes = tcgetattr(pty.process().get_file_handle().unwrap()).unwrap().local_modes;
    modes.contains(LocalModes::ICANON | LocalModes::ISIG)
}

#[test]
fn the_terminal_is_restored_when_its_grabber_is_gone() {
    let house = House::new(&book(""));
    let mut pty = open(&house);
    assert!(is_cooked(&pty));
    until("it has the terminal", || house.path("grabbed").exists());
    pty.exp_string("ended").unwrap();
    assert!(is_cooked(&pty), "the terminal is as it was found");
    assert_eq!(house.reason_of("grabs"), "timeout");
    // The shell is in front again: it may read.
    until("the grabber is gone", || !house.left().iter().any(|line| line.contains("plays_the_grabber")));
}

#[test]
fn a_prompt_works_while_a_child_holds_the_terminal_and_after() {
    let asks = "  - id: ask\n    needs: []\n    confirm: {}\n    message: \"Now?\"\n";
    let house = House::new(&book(asks).replace("    on_failure: continue\n", ""));
    let mut pty = open(&house);
    pty.exp_string("Now?").unwrap();
    pty.exp_string("> ").unwrap();
    until("it has the terminal", || house.path("grabbed").exists());
    pty.send_line("yes").unwrap();
    pty.exp_string("comment (Enter: none) > ").unwrap();
    pty.send_line("").unwrap();
    pty.exp_string("grabs (retry/by_hand/skip/end) > ").unwrap();
    // The end of the input pauses the run.
    pty.send("\u{4}").unwrap();
    pty.flush().unwrap();
    pty.exp_string("ended").unwrap();
    assert!(is_cooked(&pty), "the terminal is as it was found");
}
