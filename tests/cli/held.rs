//! Runs and targets that another run or process holds.

use crate::environment::{TestEnvironment, shows};

const SLOW: &str = "consigne: v1\nid: slow\ntitle: \"Slow\"\nsteps:\n\
    \x20 - {id: long, shell: \"echo long >> @/touched; sleep 300\", effect: write}\n";

#[test]
fn a_run_that_a_process_drives_is_left_to_it() {
    let env = TestEnvironment::new();
    env.write("slow.yaml", SLOW);
    let mut child = env.start(&["drill", "slow.yaml", "--env", "plain", "--run-id", "held"]);
    env.until("the step runs", || !env.touched().is_empty());
    let resumed = env.consigne(&["resume", "held"]).ends(6);
    assert!(!resumed.stderr.contains(&child.id().to_string()), "the filter took the pid: {resumed}");
    let raw = env.command(&["resume", "held"]).output().unwrap();
    assert!(String::from_utf8(raw.stderr).unwrap().contains(&format!("process {}", child.id())));
    let all = [
        resumed,
        env.consigne(&["list"]).ends(0),
        env.consigne(&["show", "held"]).ends(0),
        env.consigne(&["answer", "held", "long", "yes"]).ends(2),
    ];
    // It takes what is said to the run all the same; how far it has come with that by then is its own affair.
    let cancelled = env.consigne(&["cancel", "held", "--comment", "enough"]).ends(0);
    assert!(
        cancelled.stderr.contains("the run is ending: the process that drives it goes on"),
        "{cancelled}"
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
    shows!([&all[..], &[env.consigne(&["show", "held"]).ends(0)]].concat());
    assert_eq!(env.touched(), ["long"]);
}

#[test]
fn a_target_that_another_run_holds() {
    let env = TestEnvironment::new();
    let drill = |id: &str, name: &str| {
        let input = format!("name={name}");
        env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", id, "--input", &input])
    };
    drill("r1", "same").ends(4).code.unwrap();
    let refused = drill("r2", "same").ends(6);
    assert!(!env.run("r2").exists());
    drill("r3", "other").ends(4).code.unwrap();
    let cancelled = env.consigne(&["cancel", "r1"]).ends(1);
    shows!([refused, cancelled, drill("r4", "same").ends(4)]);
}

#[test]
fn a_target_is_taken_away_with_a_reason() {
    let env = TestEnvironment::new();
    let drill = |id: &str, name: &str| {
        let input = format!("name={name}");
        env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", id, "--input", &input])
    };
    let _parked = [drill("r1", "same").ends(4), drill("r2", "gone").ends(4)];
    let held = env.consigne(&["unlock"]).ends(0);
    let no_reason = env.consigne(&["unlock", "thing/same"]).ends(2);
    let unknown = env.consigne(&["unlock", "thing/sane", "--reason", "x"]).ends(2);
    let taken = env.consigne(&["unlock", "thing/same", "--reason", "nobody is on it"]).ends(0);
    let second = drill("r3", "same").ends(4);
    let resumed = env.consigne(&["answer", "r1", "ask", "yes", "--resume"]).ends(6);
    std::fs::remove_dir_all(env.run("r2")).unwrap();
    let gone = env.consigne(&["unlock", "thing/gone", "--reason", "it was deleted"]).ends(0);
    let none_left = env.consigne(&["unlock", "--json"]).ends(0);
    let ledger = std::fs::read_to_string(env.path("consigne/ledger.jsonl")).unwrap();
    assert!(ledger.contains("nobody is on it") && ledger.contains("it was deleted"), "{ledger}");
    let log = std::fs::read_to_string(env.run("r1").join("wal.jsonl")).unwrap();
    assert!(log.contains("note.recorded"), "{log}");
    shows!([held, no_reason, unknown, taken, resumed, gone, none_left]);
    drop(second);
}

#[test]
fn no_target_is_taken_from_a_run_that_goes_on() {
    let env = TestEnvironment::new();
    let slow = SLOW.replace("sleep 300", "echo $$ > @/left; exec sleep 300");
    env.write("slow.yaml", &slow.replace("steps:", "lock: [\"thing/slow\"]\nsteps:"));
    let mut child = env.start(&["drill", "slow.yaml", "--env", "plain", "--run-id", "held"]);
    env.until("the step runs", || env.work("left").metadata().is_ok_and(|left| left.len() > 0));
    let refused = env.consigne(&["unlock", "thing/slow", "--reason", "now"]).ends(6);
    assert!(env.path("consigne/locks/thing%2fslow").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let _freed = env.consigne(&["unlock", "thing/slow", "--reason", "now"]).ends(0);
    assert!(!env.path("consigne/locks/thing%2fslow").exists());
    let left = std::fs::read_to_string(env.work("left")).unwrap();
    let command = std::fs::read(format!("/proc/{}/cmdline", left.trim())).unwrap_or_default();
    assert!(!command.starts_with(b"sleep"), "what the killed run had started is still at work on the target");
    let _ended = env.consigne(&["cancel", "held"]);
    shows!([refused]);
}
