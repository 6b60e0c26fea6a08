//! What the screen is made of: colours only where they are wanted, no control sequence where none is understood, data
//! on stdout and talk on stderr.

use crate::session::{Desk, Session};

const GATE: &str = "consigne: v1\nid: gate\ntitle: \"A gate\"\nsteps:\n\
    \x20 - {id: sure, confirm: {}, message: \"Go on?\"}\n\
    \x20 - {id: tick, shell: \"echo tick\", effect: read}\n";

fn whole_run(desk: &Desk, args: &[&str], set: &[(&str, &str)]) -> String {
    let mut all = vec!["drill", "book.yaml", "--env", "plain", "--run-id", "r1"];
    all.extend(args);
    let mut s = desk.sits(&all, set);
    let mut shown = s.sees("(yes/no) > ");
    s.types("yes");
    shown += &s.sees("comment");
    s.types("");
    let (rest, code) = s.ends();
    assert_eq!(code, Some(0), "{rest}");
    shown + &rest
}

/// Sequences that colour: CSI … m.
fn colours(shown: &str) -> usize {
    let after = shown.split("\u{1b}[").skip(1);
    after
        .filter(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
        .count()
}

#[test]
fn colours_can_be_switched_off_and_are_there_otherwise() {
    let plain = whole_run(&Desk::new(GATE), &[], &[("NO_COLOR", "1")]);
    assert_eq!(colours(&plain), 0, "{plain:?}");
    let plain = whole_run(&Desk::new(GATE), &["--plain"], &[]);
    assert_eq!(colours(&plain), 0, "{plain:?}");
    let coloured = whole_run(&Desk::new(GATE), &[], &[("CLICOLOR_FORCE", "1")]);
    assert!(colours(&coloured) > 0, "{coloured:?}");
}

#[test]
fn a_terminal_that_understands_nothing_gets_nothing_to_understand() {
    let shown = whole_run(&Desk::new(GATE), &[], &[("TERM", "dumb")]);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_pipe_gets_the_data_and_the_terminal_the_questions() {
    let desk = Desk::new(GATE);
    let mut command = desk.command("sh", &["-c"]);
    let line = "consigne drill book.yaml --env plain --run-id r1 --json | tee out.json >/dev/null; cat out.json | wc -l";
    command.arg(desk.script(line));
    let mut s = Session::of(command);
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    let (_, code) = s.ends();
    assert_eq!(code, Some(0));
    let data = std::fs::read_to_string(desk.path("out.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(summary["status"], "succeeded", "{summary}");
}

#[test]
fn a_log_file_gets_the_lines_and_the_terminal_the_questions() {
    let desk = Desk::new(GATE);
    let mut command = desk.command("sh", &["-c"]);
    command.arg(desk.script("consigne drill book.yaml --env plain --run-id r1 2>log"));
    let mut s = Session::of(command);
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    assert_eq!(s.ends().1, Some(0));
    let log = std::fs::read_to_string(desk.path("log")).unwrap();
    assert!(log.contains("tick") && log.contains("record verified") && !log.contains('\u{1b}'), "{log:?}");
    assert!(!log.contains("(yes/no)"), "{log}");
}

#[test]
fn without_anybody_to_ask_a_run_parks() {
    let desk = Desk::new(GATE);
    let (code, said) = desk.runs(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("consigne answer r1 sure 'yes|no'") && !said.contains('\u{1b}'), "{said}");
}
