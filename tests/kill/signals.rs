//! Ctrl-C once, twice; the terminal gone; a polite end. And `cancel` of what is parked.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use crate::world::{House, Started, until};

fn book(house: &House) -> Vec<String> {
    let text = fs::read_to_string(house.books().join("book")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A drill whose program is running.
fn at_work(run: &str, work: &str) -> (House, Started) {
    let house = House::new(run, &["tests/kill/parked.yaml", "tests/kill/everything.answers.yaml"]);
    let work = format!("work={work}");
    let more = ["--input", "wait=none", "--input", &work, "--answers", "everything.answers.yaml"];
    let drill = house.start(&house.begin("parked.yaml", &more));
    until("the program", || (book(&house) == ["begun"]).then_some(()));
    (house, drill)
}

fn resume_to_success(house: &House) {
    house.say(&["resume", &house.run, "--answers", "everything.answers.yaml"]).exits(0);
    house.is_over();
    let platform = house.platform();
    assert_eq!(platform.notices("hooli-19", "plain_notice"), 1);
    assert_eq!(platform.status("globex-7"), "active");
}

#[test]
fn once_lets_what_runs_come_to_its_end() {
    for (number, which) in [Signal::INT, Signal::TERM, Signal::HUP].into_iter().enumerate() {
        let (house, mut drill) = at_work(&format!("once-{number}"), "");
        drill.signal(which);
        until("the pause", || house.has_event("run.paused").then_some(()));
        assert!(drill.is_running(), "the program is awaited");
        fs::write(house.books().join("go_on"), "").unwrap();
        assert_eq!(drill.code(), Some(4), "{}", house.log());
        assert_eq!(book(&house), ["begun", "done"]);
        assert_eq!(house.status_of("program"), "running", "its end is in the journal, what follows is not");
        assert_eq!(house.processes(), [] as [u32; 0]);
        assert!(!house.has_event("run.ending"));
        resume_to_success(&house);
        assert_eq!(book(&house), ["begun", "done", "closing"]);
    }
}

#[test]
fn twice_stops_what_runs() {
    for work in ["", "stubborn"] {
        let (house, mut drill) = at_work(&format!("twice-{work}"), work);
        drill.signal(Signal::INT);
        until("the pause", || house.has_event("run.paused").then_some(()));
        drill.signal(Signal::INT);
        assert_eq!(drill.code(), Some(4), "{}", house.log());
        assert_eq!(book(&house), ["begun"], "it was stopped, by force if need be");
        assert_eq!(house.processes(), [] as [u32; 0]);
        house.say(&["resume", &house.run]).exits(4);
        assert_eq!(house.asks(), [("unknown".to_owned(), "program".to_owned())]);
        house.answer("program", "done");
        resume_to_success(&house);
        assert_eq!(book(&house), ["begun", "closing"]);
    }
}

#[test]
fn three_times_leaves_at_once() {
    let (house, mut drill) = at_work("thrice", "stubborn");
    for (number, kind) in ["run.paused", "run.paused"].iter().enumerate() {
        drill.signal(Signal::INT);
        let seen = || house.events().iter().filter(|event| event["type"] == *kind).count();
        until("the pause", || (seen() > number).then_some(()));
    }
    drill.signal(Signal::INT);
    assert_eq!(drill.code(), Some(4), "{}", house.log());
    assert_eq!(house.processes(), [] as [u32; 0], "not even what ignores a polite end");
    house.say(&["resume", &house.run]).exits(4);
    house.answer("program", "done");
    resume_to_success(&house);
}

#[test]
fn a_wait_is_interrupted_and_gone_on_with() {
    let house = House::new("waits", &["tests/kill/parked.yaml"]);
    let mut drill = house.start(&house.begin("parked.yaml", &["--input", "wait=long"]));
    until("the wait", || house.has_event("wait.started").then_some(()));
    drill.signal(Signal::INT);
    assert_eq!(drill.code(), Some(4), "{}", house.log());
    assert_eq!(house.status_of("long"), "waiting");
    let said = house.say(&["resume", &house.run, "--no-wait"]).exits(4);
    assert!(said.err.contains("until"), "{said:?}");
    assert_eq!(house.processes(), [] as [u32; 0]);
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let house = House::new("unread", &["tests/kill/parked.yaml"]);
    let mut drill = house.command(&house.begin("parked.yaml", &["--input", "wait=short"]));
    let mut drill = drill.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((drill.stdout.take(), drill.stderr.take()));
    // The toggle is put back by itself at the end: it has no condition.
    assert_eq!(Started(drill).code(), Some(0), "{}", house.show());
    house.is_over();
}

#[test]
fn cancelling_a_parked_run_drives_its_ending() {
    let house = House::new("cancelled", &["tests/kill/parked.yaml"]);
    let mut drill = house.start(&house.begin("parked.yaml", &["--input", "wait=long"]));
    until("the wait", || house.has_event("wait.started").then_some(()));
    drill.signal(Signal::INT);
    assert_eq!(drill.code(), Some(4), "{}", house.log());

    house.say(&["cancel", &house.run, "--comment", "not tonight"]).exits(4);
    assert_eq!(house.asks(), [("put_back".to_owned(), "toggle".to_owned())]);
    let listed = house.say(&["list"]).exits(0).out;
    assert!(listed.contains("OPEN TOGGLE: "), "{listed}");
    assert_eq!(house.platform().status("globex-7"), "maintenance", "nobody switched it back blindly");
    assert_eq!(book(&house), [] as [&str; 0], "`finally` comes after the reversals");
    assert_ne!(house.locks(), [] as [String; 0]);

    house.answer("toggle", "put_back");
    house.say(&["resume", &house.run]).exits(1);
    house.is_over();
    assert_eq!(house.show()["status"], "cancelled");
    assert_eq!(book(&house), ["closing"]);
    let platform = house.platform();
    assert_eq!(platform.status("globex-7"), "active");
    assert_eq!(platform.notices("hooli-19", "taken_back"), 0, "nobody chose to undo");
}

#[test]
fn cancelling_what_was_killed_removes_what_it_left() {
    let (house, mut drill) = at_work("cancel-killed", "stubborn");
    assert!(drill.kill());
    assert_ne!(house.processes(), [] as [u32; 0]);
    house.say(&["cancel", &house.run]).exits(4);
    assert_eq!(house.processes(), [] as [u32; 0]);
    assert_eq!(house.status_of("program"), "unknown", "it may have happened, and the record says so");
    let owner = r#"{"choice": "leave_open", "owner": "ops", "review_at": "2030-01-01T08:00:00Z"}"#;
    house.answer("toggle", owner);
    house.say(&["resume", &house.run]).exits(1);
    house.is_over();
    let listed = house.say(&["list"]).exits(0).out;
    assert!(listed.contains("OPEN TOGGLE: "), "left open with a reason, and still listed: {listed}");
}

#[test]
fn an_answer_to_a_killed_run_starts_nothing() {
    let house = House::new("answered", &["tests/kill/asking.yaml"]);
    let mut drill = house.start(&house.begin("asking.yaml", &[]));
    until("the question", || (book(&house) == ["begun"] && house.has_event("ask.opened")).then_some(()));
    assert!(drill.kill());
    assert!(!house.has_event("run.paused"));
    house.say(&["answer", &house.run, "sure", "yes"]).exits(4);
    let of_notice = house.events().iter().filter(|event| event["step"] == "notice").count();
    assert_eq!(of_notice, 0, "what nobody starts is not written down as started");
    house.say(&["resume", &house.run]).exits(4);
    assert_eq!(house.asks(), [("unknown".to_owned(), "program".to_owned())]);
    house.answer("program", "done");
    house.say(&["resume", &house.run]).exits(0);
    house.is_over();
    assert_eq!(house.platform().writes().len(), 1);
}

/// Taking the run up starts its read again, and the cancel behind it stops that before it has begun.
#[test]
fn a_cancel_after_a_kill_stops_reads_that_were_to_begin_again() {
    let house = House::new("dead-reader", &[]);
    let script = "echo begun >> book; while [ ! -e go_on ]; do sleep 0.02; done";
    let runbook = "consigne: v1\nid: reader\ntitle: Reader\nowners: [ops]\nsteps:\n  - {id: look, effect: read, argv: [bash, look.sh]}\n";
    fs::write(house.books().join("look.sh"), script).unwrap();
    fs::write(house.books().join("reader.yaml"), runbook).unwrap();
    let mut drill = house.start(&house.begin("reader.yaml", &[]));
    until("the program", || (book(&house) == ["begun"]).then_some(()));
    drill.kill();
    let mut cancel = house.start(&["cancel", &house.run]);
    assert_eq!(cancel.code(), Some(1), "{}", house.log());
    assert_eq!(book(&house), ["begun"], "nothing was started for a run that ends");
    house.is_over();
}
