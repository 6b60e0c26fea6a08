//! A process that dies before the first line has done nothing, and what it left behind can be removed.

use crate::world::{House, until};

#[test]
fn a_run_that_never_began_leaves_nothing_behind() {
    let house = House::new("unbegun", &["tests/kill/everything.yaml"]);
    let mut drill = house.start(&house.begin("everything.yaml", &[]));
    // Stopped, it cannot get further than this while we look at it.
    until("the platform's process", || (!house.processes().is_empty()).then_some(()));
    drill.signal(rustix::process::Signal::STOP);
    let begun = house.lines() > 0;
    drill.kill();
    assert!(!begun, "the first line came too early for this test");
    assert_ne!(house.locks(), [] as [String; 0]);

    let said = house.say(&["resume", "unbegun"]).exits(2);
    assert!(said.err.contains("never began"), "{said:?}");
    assert_eq!(house.processes(), [] as [u32; 0]);
    assert_eq!(house.locks(), [] as [String; 0]);
    assert!(!house.dir().exists());
    house.say(&house.begin("everything.yaml", &[])).exits(0);
}

#[test]
fn the_lock_of_a_run_that_never_began_keeps_nobody_out() {
    let house = House::new("first", &["tests/kill/everything.yaml"]);
    let mut drill = house.start(&house.begin("everything.yaml", &[]));
    until("a lock", || (house.locks().len() == 2).then_some(()));
    drill.signal(rustix::process::Signal::STOP);
    let begun = house.lines() > 0;
    house.say(&["drill", "everything.yaml", "--run-id", "second"]).exits(6);
    drill.kill();
    assert!(!begun, "the first line came too early for this test");
    house.say(&["drill", "everything.yaml", "--run-id", "second"]).exits(0);
    assert_eq!(house.processes(), [] as [u32; 0], "what the first one left is removed as well");
}
