//! What can happen to a terminal and to the process in it while something is asked.

use rustix::process::Signal;

use crate::session::{Desk, Session};

const GATE: &str = "consigne: v1\nid: gate\ntitle: \"A gate\"\nsteps:\n\
    \x20 - {id: sure, confirm: {}, message: \"Go on with what takes more than a few words to say, so that it has to wrap?\"}\n\
    \x20 - {id: tick, shell: \"echo tick\", effect: read}\n";

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 60, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn says_yes(mut s: Session) {
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    let (said, code) = s.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("record verified"), "{said}");
}

#[test]
fn a_terminal_that_goes_away_pauses_the_run() {
    let desk = Desk::new(GATE);
    let mut command = desk.command("sh", &["-c"]);
    command.arg(desk.script("consigne drill book.yaml --env plain --run-id r1; exit"));
    let mut s = Session::of(command);
    s.sees("(yes/no) > ");
    s.keys("ye");
    s.hangs_up();
    until("it is paused", || desk.log().contains("run.paused"));
    until("the process is gone", || !desk.runs(&["list"]).1.contains("driven by a process"));
    says_yes(desk.resumes());
}

#[test]
fn sighup_pauses_the_run_and_leaves_the_terminal_as_it_was() {
    let desk = Desk::new(GATE);
    let mut s = desk.drills();
    s.sees("(yes/no) > ");
    assert!(s.is_raw());
    s.signal(rexpect::process::Signal::SIGHUP);
    let (said, code) = s.ends();
    assert_eq!(code, Some(4), "{said}");
    says_yes(desk.resumes());
}

#[test]
fn sigterm_pauses_the_run() {
    let desk = Desk::new(GATE);
    let mut s = desk.drills();
    s.sees("(yes/no) > ");
    s.signal(rexpect::process::Signal::SIGTERM);
    assert_eq!(s.ends().1, Some(4));
    says_yes(desk.resumes());
}

/// By the key, and by a signal from elsewhere that stops the process in the middle of a line.
#[test]
fn a_stopped_process_goes_on_where_it_was() {
    for by_key in [true, false] {
        let desk = Desk::new(GATE);
        let mut shell = Session::of(desk.command("bash", &["--norc", "--noprofile", "-i"]));
        shell.types("PS1='$ '; bind 'set enable-bracketed-paste off'; echo re''ady");
        shell.sees("ready");
        shell.types(&desk.script("consigne drill book.yaml --env plain --run-id r1"));
        shell.sees("(yes/no) > ");
        shell.keys("y");
        if by_key {
            shell.keys("\u{1a}");
        } else {
            let pid = driver(&desk);
            rustix::process::kill_process(pid, Signal::TSTP).unwrap();
        }
        shell.sees("Stopped");
        shell.types("echo still a she''ll");
        shell.sees("still a shell");
        shell.types("fg");
        shell.sees("(yes/no) > ");
        shell.types("es");
        shell.answers("comment", "");
        shell.sees("record verified");
        shell.types("echo code $?");
        shell.sees("code 0");
    }
}

/// The process that drives the run.
fn driver(desk: &Desk) -> rustix::process::Pid {
    let held = desk.runs(&["resume", "r1"]).1;
    let pid = held.split("process ").nth(1).and_then(|rest| rest.split_whitespace().next());
    rustix::process::Pid::from_raw(
        pid.unwrap().trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap(),
    )
    .unwrap()
}

#[test]
fn a_resized_terminal_keeps_what_was_typed() {
    let desk = Desk::new(GATE);
    let mut s = desk.drills();
    s.sees("(yes/no) > ");
    s.keys("ye");
    for columns in [20, 200, 7, 80] {
        s.resize(columns, 24);
        s.keys("x\u{7f}");
    }
    s.types("s");
    s.answers("comment", "");
    assert_eq!(s.ends().1, Some(0));
}

#[test]
fn a_narrow_terminal_is_not_overrun() {
    let desk = Desk::new(GATE);
    let mut command = desk.command("sh", &["-c"]);
    command.arg(desk.script("stty cols 40 rows 20; exec consigne drill book.yaml --env plain --run-id r1"));
    let mut s = Session::of(command);
    let shown = s.sees("(yes/no) > ");
    let question = &shown[shown.find("Go on with").expect("the question")..];
    for line in question.lines() {
        assert!(line.trim_end().chars().count() <= 40, "{line:?}");
    }
    s.keys("\u{3}");
    assert_eq!(s.ends().1, Some(4));
}

#[test]
fn that_the_timebox_is_over_is_said_and_ends_nothing() {
    let desk = Desk::new(&GATE.replace("confirm: {}", "confirm: {}, timebox: 1s"));
    let mut s = desk.drills();
    s.sees("Timebox: ");
    s.sees("(yes/no) > ");
    s.sees("sure: its timebox is over (open for ");
    says_yes(s);
    let (code, said) = desk.runs(&["show", "r1"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("over its timebox: sure took"), "{said}");
}
