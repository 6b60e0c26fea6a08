//! Every kind of question in one run, each left by Ctrl-C and taken up again before it is answered.

use crate::session::{Desk, Session};

/// Every kind of question there is: seven that steps are, and three about what became of steps.
const KINDS: &str = r#"consigne: v1
id: kinds
title: "Every kind of question"
steps:
  - id: toggle
    argv: ["true"]
    effect: write
    put_back: {argv: ["touch", "back"]}
  - id: form
    input:
      fields:
        count: {type: integer, title: "How many", max: 9}
    message: "A form"
  - id: which
    choice: {options: [{id: red, text: "The red one"}, {id: blue, text: "The blue one"}]}
    message: "Which one"
  - id: sure
    confirm: {}
    message: "Go on?"
  - id: word
    confirm: {typed: "acme"}
    message: "Really acme?"
  - id: go
    approve: {roles: [ops], exclude: []}
    message: "All of it?"
  - id: points
    checklist:
      items:
        - {id: up, text: "It is up", probe: {argv: ["true"]}}
        - {id: told, text: "They are told", evidence: required}
  - id: hand
    manual: {evidence: optional}
    message: "Pull the plug"
    effect: write
  - id: lost
    shell: "kill -9 $$"
    effect: write
  - id: breaks
    shell: "echo it is broken >&2; exit 3"
    effect: write
"#;

/// Interrupts at the prompt: the run is paused, the terminal as it was, the exit code says so.
fn interrupted(desk: &Desk, mut s: Session, prompt: &str) -> Session {
    s.sees(prompt);
    assert!(s.is_raw());
    s.keys("half\u{3}");
    let (said, code) = s.ends();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("r1: paused") && said.contains("resume r1"), "{said}");
    assert!(!said.contains("no longer asked"), "the question is still open: {said}");
    let mut s = desk.resumes();
    s.sees("resumed");
    s
}

#[test]
fn each_kind_is_asked_left_and_answered() {
    let desk = Desk::new(KINDS);
    let mut s = interrupted(&desk, desk.drills(), "How many > ");
    s.answers("How many > ", "12");
    s.sees("at most 9");
    s.answers("How many > ", "3");
    let mut s = interrupted(&desk, s, "number or id > ");
    s.answers("number or id > ", "2");
    s.answers("comment", "");
    let mut s = interrupted(&desk, s, "(yes/no) > ");
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    let mut s = interrupted(&desk, s, "word > ");
    s.sees("type exactly: acme");
    s.answers("word > ", "acme");
    s.answers("comment", "");
    let mut s = interrupted(&desk, s, "(approve/reject) > ");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "seen");
    let mut s = interrupted(&desk, s, "number (and answer), or all > ");
    s.answers("number (and answer), or all > ", "2 yes");
    s.answers("file as evidence (required) > ", "proof.txt");
    s.answers("another file", "");
    let mut s = interrupted(&desk, s, "(done/not_done) > ");
    s.answers("(done/not_done) > ", "done");
    s.answers("file as evidence", "");
    s.answers("comment", "");
    let mut s = interrupted(&desk, s, "(done/not_done/retry/end) > ");
    s.answers("(done/not_done/retry/end) > ", "done");
    s.answers("reason (required) > ", "it is there");
    s.answers("file as evidence", "");
    s.sees("it is broken");
    let mut s = interrupted(&desk, s, "(retry/by_hand/skip/end) > ");
    s.answers("(retry/by_hand/skip/end) > ", "end");
    s.answers("comment", "");
    let mut s = interrupted(&desk, s, "(put_back/done/leave_open) > ");
    s.answers("(put_back/done/leave_open) > ", "put_back");
    s.answers("comment", "");
    let (said, code) = s.ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("record verified"), "{said}");
    assert!(desk.path("back").exists());
    let report = desk.runs(&["report", "r1"]).1;
    for step in ["form", "which", "sure", "word", "go", "points", "hand", "lost", "breaks"] {
        assert!(report.contains(step), "{step} is missing: {report}");
    }
}
