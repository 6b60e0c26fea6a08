//! A person who rehearses: the questions are real, and time passes when he says so.

use crate::session::Desk;

const BOOK: &str = "consigne: v1\nid: book\ntitle: \"A book\"\nsteps:\n\
    \x20 - {id: rest, wait: {for: 3h}}\n\
    \x20 - {id: by_hand, manual: {}, effect: write, message: \"Pull the lever\"}\n\
    \x20 - {id: sure, confirm: {}, message: \"Go on?\"}\n\
    \x20 - {id: act, argv: [\"touch\", \"acted\"], effect: write}\n";

#[test]
fn whoever_rehearses_says_what_he_would_do() {
    let desk = Desk::new(BOOK);
    let args = ["rehearse", "book.yaml", "--env", "plain", "--out", "made"];
    let mut s = desk.sits(&args, &[]);
    s.sees("rest: would wait for 3h (Enter goes on)");
    s.types("");
    s.sees("Pull the lever");
    s.answers("as", "me");
    s.answers("> ", "done");
    s.answers("comment", "");
    s.sees("rehearsal: do not do this, say what you would do");
    s.sees("Go on?");
    s.answers("as", "me");
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    let (said, code) = s.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not proved, being made up: act"), "{said}");
    assert!(said.contains("record verified"), "{said}");
    assert!(!desk.path("acted").exists());
}

#[test]
fn in_french_as_well() {
    let desk = Desk::new(BOOK);
    let args = ["rehearse", "book.yaml", "--env", "plain", "--out", "made", "--lang", "fr"];
    let mut s = desk.sits(&args, &[]);
    s.sees("rest: attendrait 3h (Entrée continue)");
    s.types("");
    s.sees("répétition : ne le faites pas, dites ce que vous feriez");
    s.keys("\u{3}");
    let (said, code) = s.ends();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("personne ne répond"), "{said}");
}
