//! Rule 23: several runs that want the same targets, as real processes.

use std::io::Read;
use std::process::{Child, Stdio};

use crate::environment::TestEnvironment;

/// Goes on once its word is in the folder; leaves its word when it has the targets.
const WANTS: &str = r#"consigne: v1
id: wants
inputs:
  targets: {type: string, default: "a"}
  word: {type: string}
lock:
  names: ["thing/{{ inputs.targets[0] }}", "thing/{{ inputs.targets[1:] or inputs.targets[0] }}"]
  on_busy: queue
steps:
  - id: work
    shell: "echo $WORD >> @/touched; until [ -e @/go-$WORD ]; do sleep 0.05; done; echo end-$WORD >> @/touched"
    env: {WORD: "{{ inputs.word }}"}
    effect: write
"#;

struct House(TestEnvironment);

impl House {
    fn new() -> Self {
        let env = TestEnvironment::new();
        env.write("wants.yaml", WANTS);
        Self(env)
    }

    fn start(&self, id: &str, targets: &str) -> Child {
        let (targets, word) = (format!("targets={targets}"), format!("word={id}"));
        let args =
            ["drill", "wants.yaml", "--env", "plain", "--run-id", id, "--input", &targets, "--input", &word];
        self.0.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it and waits until others see it in the queue.
    fn queue(&self, id: &str, targets: &str) -> Child {
        let child = self.start(id, targets);
        self.0.until("it waits", || self.waiting().iter().any(|run| run == id));
        child
    }

    fn works(&self, id: &str) {
        self.0.until("it works", || self.0.touched().iter().any(|word| word == id));
    }

    fn finish(&self, id: &str) {
        self.0.write(&format!("go-{id}"), "");
    }

    /// The queue as `list` tells it.
    fn waiting(&self) -> Vec<String> {
        let listed = self.0.consigne(&["list", "--json"]).ends(0).stdout;
        let lines = listed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let queued = lines.filter(|line| line["status"] == "queued");
        queued.map(|line| line["run"].as_str().unwrap().to_owned()).collect()
    }
}

fn ends(mut child: Child, code: Option<i32>) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), code, "{said}");
    said
}

#[test]
fn rule_23_a_queue_is_first_come_first_served_and_visible() {
    let house = House::new();
    let holder = house.start("r0", "a");
    house.works("r0");
    let waiting: Vec<Child> = ["r1", "r2", "r3"].iter().map(|id| house.queue(id, "a")).collect();
    assert_eq!(house.waiting(), ["r1", "r2", "r3"]);
    // A run that waits has not begun.
    assert!(!house.0.run("r1").exists());
    let listed = house.0.consigne(&["list"]).ends(0);
    assert!(
        listed.stdout.contains("r3  wants  queued      place 3 for thing/a, thing/a, behind r0, r1, r2"),
        "{listed}"
    );
    let shown = house.0.consigne(&["show", "r2"]).ends(0);
    assert!(shown.stdout.contains("place 2 for"), "{shown}");
    let shown = house.0.consigne(&["show", "r0"]).ends(0);
    assert!(shown.stdout.contains("waiting for its targets: r1, r2, r3"), "{shown}");
    for id in ["r0", "r1", "r2", "r3"] {
        house.works(id);
        house.finish(id);
    }
    ends(holder, Some(0));
    let said: Vec<String> = waiting.into_iter().map(|child| ends(child, Some(0))).collect();
    assert!(said[0].contains("waiting for `thing/a`, place 1: held by run r0"), "{}", said[0]);
    assert!(said[2].contains("waiting for `thing/a`, place 3: behind r1, r2"), "{}", said[2]);
    assert_eq!(house.0.touched(), ["r0", "end-r0", "r1", "end-r1", "r2", "end-r2", "r3", "end-r3"]);
    assert_eq!(std::fs::read_dir(house.0.path("consigne/queue")).unwrap().count(), 0);
}

#[test]
fn rule_23_who_is_killed_or_leaves_is_out_of_the_queue() {
    let house = House::new();
    let holder = house.start("r0", "a");
    house.works("r0");
    let mut killed = house.queue("r1", "a");
    let left = house.queue("r2", "a");
    let last = house.queue("r3", "a");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(house.waiting(), ["r2", "r3"]);
    rustix::process::kill_process(rustix::process::Pid::from_child(&left), rustix::process::Signal::INT)
        .unwrap();
    assert!(ends(left, Some(1)).contains("interrupted before anything was started"));
    assert_eq!(house.waiting(), ["r3"]);
    assert!(!house.0.run("r1").exists() && !house.0.run("r2").exists());
    house.finish("r0");
    house.finish("r3");
    ends(holder, Some(0));
    ends(last, Some(0));
    assert_eq!(house.0.touched(), ["r0", "end-r0", "r3", "end-r3"]);
}

#[test]
fn rule_23_all_or_none_so_that_crossing_sets_never_wait_for_each_other() {
    let house = House::new();
    let holder = house.start("r0", "ab");
    house.works("r0");
    let crossing: Vec<Child> =
        [("r1", "bc"), ("r2", "ca"), ("r3", "ab")].iter().map(|(id, set)| house.queue(id, set)).collect();
    // Nobody who waits holds anything, so what the first one does not want is free.
    let locks = house.0.consigne(&["unlock", "--json"]).ends(0).stdout;
    assert!(!locks.contains("thing/c"), "{locks}");
    let other = house.start("r4", "d");
    house.works("r4");
    for id in ["r0", "r1", "r2", "r3", "r4"] {
        house.finish(id);
    }
    for child in crossing.into_iter().chain([holder, other]) {
        ends(child, Some(0));
    }
    let order: Vec<String> = house.0.touched().into_iter().filter(|word| word.starts_with("end-r")).collect();
    let at = |id: &str| order.iter().position(|word| word == id).unwrap();
    assert!(at("end-r1") < at("end-r2") && at("end-r2") < at("end-r3"), "{order:?}");
}

#[test]
fn rule_23_nobody_goes_past_the_queue_and_a_take_over_needs_a_reason() {
    let house = House::new();
    let env = &house.0;
    env.write(
        "asks.yaml",
        &WANTS
            .replace("queue", "ask")
            .replace("shell: ", "manual: {}\n    message: ")
            .replace("    env: {WORD: \"{{ inputs.word }}\"}\n", ""),
    );
    env.write("fails.yaml", &WANTS.replace("queue", "fail"));
    let drill = |file: &str, id: &str| {
        env.consigne(&["drill", file, "--env", "plain", "--run-id", id, "--input", "word=x"])
    };
    // It holds its target and waits for a person.
    let parked = drill("asks.yaml", "r0").ends(4);
    let first = house.queue("r1", "a");
    let refused = drill("fails.yaml", "r2").ends(6);
    assert!(refused.stderr.contains("is locked by run r0"), "{refused}");
    let unasked = drill("asks.yaml", "r2").ends(6);
    assert!(unasked.stderr.contains("is locked by run r0"), "nobody is there to be asked: {unasked}");
    let second = house.queue("r3", "a");
    let _no_reason = env.consigne(&["unlock", "thing/a"]).ends(2);
    assert_eq!(house.waiting(), ["r1", "r3"], "nothing was taken over without a reason");
    let _taken = env.consigne(&["unlock", "thing/a", "--reason", "nobody is on it"]).ends(0);
    house.works("r1");
    // The run it was taken from is behind those who waited.
    let resumed = env.consigne(&["resume", "r0"]).ends(6);
    assert!(resumed.stderr.contains("run r1") || resumed.stderr.contains("run r3"), "{resumed}");
    for id in ["r1", "r3"] {
        house.finish(id);
    }
    ends(first, Some(0));
    ends(second, Some(0));
    drop(parked);
    assert!(std::fs::read_to_string(env.path("consigne/ledger.jsonl")).unwrap().contains("nobody is on it"));
}
