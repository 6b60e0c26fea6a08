//! A process that dies before the first line has done nothing, and what it left behind can be removed.

use rustix::process::Signal;

use crate::world::{House, Started, until};

/// A drill stopped before its first line, once there is what the test wants to see.
fn stopped_before_it_begins(seen: fn(&House) -> bool) -> (House, Started) {
    until("a drill that is slow enough", || {
        let house = House::new("first", &["tests/kill/everything.yaml"]);
        let mut drill = house.start(&house.begin("everything.yaml", &[]));
        until("what it makes first", || (seen(&house) || !drill.is_running()).then_some(()));
        drill.freeze();
        (house.lines() == 0).then_some((house, drill))
    })
}

#[test]
fn a_run_that_never_began_leaves_nothing_behind() {
    let (house, mut drill) = stopped_before_it_begins(|house| !house.processes().is_empty());
    drill.kill();
    assert_ne!(house.locks(), [] as [String; 0]);

    let listed = house.say(&["list"]).exits(0).out;
    assert!(listed.contains("never began"), "{listed}");
    let said = house.say(&["resume", "first"]).exits(2);
    assert!(said.err.contains("never began"), "{said:?}");
    assert_eq!(house.processes(), [] as [u32; 0]);
    assert_eq!(house.locks(), [] as [String; 0]);
    assert!(!house.dir().exists());
    house.say(&house.begin("everything.yaml", &[])).exits(0);
}

#[test]
fn the_lock_of_a_run_that_never_began_keeps_nobody_out() {
    let (house, mut drill) = stopped_before_it_begins(|house| house.locks().len() == 2);
    let second = ["drill", "everything.yaml", "--run-id", "second"];
    house.say(&second).exits(6);
    drill.kill();
    house.say(&second).exits(0);
    assert_eq!(house.processes(), [] as [u32; 0], "what the first one left is removed as well");
    assert!(!house.dir().exists());
}

#[test]
fn a_run_that_is_interrupted_before_it_begins_leaves_nothing_behind() {
    let house = House::new("early", &["tests/kill/everything.yaml"]);
    let mut drill = house.start(&house.begin("everything.yaml", &[]));
    until("the platform's process", || (!house.processes().is_empty()).then_some(()));
    drill.signal(Signal::INT);
    let code = drill.code();
    if code == Some(4) {
        // It had just begun: then it is paused, as ever.
        assert!(house.has_event("run.paused"));
        return;
    }
    assert_eq!(code, Some(1), "{}", house.log());
    assert_eq!(house.processes(), [] as [u32; 0]);
    assert_eq!(house.locks(), [] as [String; 0]);
    assert!(!house.dir().exists());
}
