//! The platform of a drill outlives a killed executor, is found again, and is started again if it died as well.

use rustix::process::Signal;

use crate::world::{House, call, is_alive, signal, until};

/// A drill that is killed while it waits.
fn killed_while_waiting(run: &str) -> House {
    let house = House::new(run, &["tests/kill/parked.yaml"]);
    let mut drill = house.start(&house.begin("parked.yaml", &["--input", "wait=long"]));
    until("the wait", || house.has_event("wait.started").then_some(()));
    assert!(drill.kill());
    house
}

#[test]
fn a_living_platform_is_adopted() {
    let house = killed_while_waiting("adopted");
    let (port, before) = house.service();
    assert!(is_alive(before));
    let mut resume = house.start(&["resume", &house.run]);
    until("the resuming", || house.has_event("run.resumed").then_some(()));
    assert_eq!(house.service(), (port, before), "no other is started");
    assert!(is_alive(before));
    assert_eq!(call(port, "GET", "/practice/requests", None, "").0, 200);
    resume.signal(Signal::INT);
    assert_eq!(resume.code(), Some(4), "{}", house.log());
    assert!(!is_alive(before), "a parked run keeps no process");
}

#[test]
fn a_dead_platform_is_started_again_with_its_port_and_state() {
    let house = killed_while_waiting("restarted");
    let (port, before) = house.service();
    signal(before, Signal::KILL);
    until("the end of the platform", || (!is_alive(before)).then_some(()));
    let mut resume = house.start(&["resume", &house.run]);
    until("the resuming", || house.has_event("run.resumed").then_some(()));
    let (same_port, after) = house.service();
    assert_eq!(same_port, port);
    assert_ne!(after, before);
    let (_, log) = call(port, "GET", "/practice/requests", None, "");
    assert!(
        log.contains("/admin/notifications/send"),
        "what reached the first one is known to the second: {log}"
    );
    resume.signal(Signal::INT);
    assert_eq!(resume.code(), Some(4), "{}", house.log());
    assert!(!is_alive(after));
}

#[test]
fn of_two_that_resume_one_goes_on() {
    let house = killed_while_waiting("raced");
    let mut both = [house.start(&["resume", &house.run]), house.start(&["resume", &house.run])];
    let loser = until("one that gives up", || both.iter_mut().position(|one| !one.is_running()));
    assert_eq!(both[loser].code(), Some(6), "{}", house.log());
    let winner = &mut both[1 - loser];
    let held = format!("driven by process {}", winner.pid());
    assert!(house.log().contains(&held), "expected `{held}`: {}", house.log());
    until("the resuming", || house.has_event("run.resumed").then_some(()));
    assert!(house.say(&["resume", "raced"]).exits(6).err.contains(&held));
    let told = house.say(&["answer", "raced", "notice", "done"]).exits(2).err;
    assert!(told.contains("nothing is asked about `notice`"), "the driver itself says so: {told}");
    assert_eq!(house.show()["driven"], true);
    winner.signal(Signal::INT);
    assert_eq!(winner.code(), Some(4), "{}", house.log());
}

#[test]
fn a_run_of_the_same_name_in_another_home_is_somebody_else() {
    let [one, other] = [killed_while_waiting("twin"), killed_while_waiting("twin")];
    let (_, pid) = other.service();
    one.say(&["cancel", "twin"]).exits(4);
    assert!(is_alive(pid), "it belongs to the other run");
    assert_eq!(one.processes(), [] as [u32; 0]);
    other.say(&["cancel", "twin"]).exits(4);
    assert!(!is_alive(pid));
}
