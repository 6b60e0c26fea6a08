//! A person who rehearses: the questions are real, and time passes when he says so.

use rexpect::process::Signal;

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
    assert!(said.contains("interrompue"), "{said}");
}

const REHEARSE: [&str; 4] = ["rehearse", "book.yaml", "--env", "plain"];

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 60, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The next look shows it and says what to do; that goes on to the end.
fn goes_on(desk: &Desk, waiting: bool) {
    let (code, seen) = desk.runs(&[]);
    assert_eq!(code, Some(0), "{seen}");
    let line = seen.lines().find(|line| line.contains("consigne resume")).unwrap_or_else(|| panic!("{seen}"));
    let run = line.split_whitespace().last().unwrap();
    assert!(run.starts_with("rehearsal-book-") && seen.contains("rehearsal: A book"), "{seen}");
    let mut s = desk.sits(&["resume", run], &[]);
    if waiting {
        s.sees("rest: would wait for 3h (Enter goes on)");
        s.types("");
    }
    s.sees("Pull the lever");
    s.answers("as", "me");
    s.answers("> ", "done");
    s.answers("comment", "");
    s.sees("Go on?");
    s.answers("as", "me");
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    let (said, code) = s.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("record verified"), "{said}");
    assert!(!desk.path("acted").exists());
    assert!(!desk.runs(&[]).1.contains("consigne resume"));
}

#[test]
fn ctrl_c_while_a_wait_is_passed_leaves_something_to_go_on_with() {
    let desk = Desk::new(BOOK);
    let mut s = desk.sits(&REHEARSE, &[]);
    s.sees("rest: would wait for 3h (Enter goes on)");
    s.keys("\u{3}");
    let (said, code) = s.ends();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("interrupted") && said.contains("consigne resume rehearsal-book-"), "{said}");
    goes_on(&desk, true);
}

#[test]
fn signals_leave_something_to_go_on_with() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let desk = Desk::new(BOOK);
        let mut s = desk.sits(&REHEARSE, &[]);
        s.sees("(Enter goes on)");
        s.types("");
        s.sees("Pull the lever");
        s.sees("as");
        s.signal(signal);
        let (said, code) = s.ends();
        assert_eq!(code, Some(4), "{signal}: {said}");
        goes_on(&desk, false);
    }
}

#[test]
fn a_terminal_that_goes_away_does_too() {
    for waiting in [true, false] {
        let desk = Desk::new(BOOK);
        let mut s = desk.sits(&REHEARSE, &[]);
        s.sees("(Enter goes on)");
        if !waiting {
            s.types("");
            s.sees("Pull the lever");
            s.sees("as");
        }
        s.hangs_up();
        until("nobody drives it", || {
            let seen = desk.runs(&[]).1;
            seen.contains("consigne resume") && !seen.contains("driven by a process")
        });
        goes_on(&desk, waiting);
    }
}

#[test]
fn a_process_that_is_killed_does_too() {
    for waiting in [true, false] {
        let desk = Desk::new(BOOK);
        let mut s = desk.sits(&REHEARSE, &[]);
        s.sees("(Enter goes on)");
        if !waiting {
            s.types("");
            s.sees("Pull the lever");
            s.sees("as");
        }
        assert!(desk.runs(&[]).1.contains("driven by a process"), "{}", desk.runs(&[]).1);
        s.signal(Signal::SIGKILL);
        s.ends();
        assert!(desk.runs(&[]).1.contains("rehearsal: A book · interrupted"), "{}", desk.runs(&[]).1);
        goes_on(&desk, waiting);
    }
}
