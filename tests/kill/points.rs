//! SIGKILL at points spread over the journal: in the drill, in the resume, in the resume of the resume.
//!
//! `CONSIGNE_KILLS` says how many times (40 unless told otherwise).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::world::{House, Numbers, Platform, Started, signal, until};

const TOGETHER: usize = 3;

/// A runbook under test, and how to find out what its steps did.
struct Subject {
    name: &'static str,
    files: &'static [&'static str],
    file: &'static str,
    more: &'static [&'static str],
    answers: &'static str,
    /// Lines of the journal of a drill that nobody kills, about.
    lines: u64,
    ends: i32,
    /// Whether a step whose outcome is unknown took effect.
    truth: fn(&House, &Platform, &str) -> bool,
    /// What the world looks like after one run, however often it was killed.
    world: fn(&House, &Platform),
}

const EVERYTHING: &[&str] = &["tests/kill/everything.yaml", "tests/kill/everything.answers.yaml"];
const SUSPEND: &[&str] = &[
    "runbooks/tenants/suspend.yaml",
    "runbooks/tenants/suspend.inputs.yaml",
    "runbooks/tenants/suspend.answers.yaml",
];

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: "everything",
        files: EVERYTHING,
        file: "everything.yaml",
        more: &[],
        answers: "everything.answers.yaml",
        lines: 19,
        ends: 0,
        truth: everything_truth,
        world: |house, platform| {
            everything_world(house, platform);
            assert_eq!(platform.status("initech-3"), "active");
        },
    },
    Subject {
        name: "broken",
        files: EVERYTHING,
        file: "everything.yaml",
        more: &["--input", "breaks=true"],
        answers: "everything.answers.yaml",
        lines: 21,
        ends: 1,
        truth: everything_truth,
        world: |house, platform| {
            everything_world(house, platform);
            assert_eq!(platform.status("initech-3"), "suspended", "undone");
        },
    },
    Subject {
        name: "suspend",
        files: SUSPEND,
        file: "suspend.yaml",
        more: &[],
        answers: "suspend.answers.yaml",
        lines: 15,
        ends: 0,
        truth: |_, _, step| panic!("nothing of this runbook may be asked about, and {step} is"),
        world: |_, platform| {
            assert_eq!(platform.status("acme-42"), "suspended");
            assert_eq!(platform.notices("acme-42", "suspension_notice"), 1);
        },
    },
];

#[test]
fn a_run_that_is_killed_anywhere_ends_as_if_it_had_not_been() {
    let kills = std::env::var("CONSIGNE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let (next, resumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= kills {
                        return;
                    }
                    let began = kill_and_resume(number as u64, kills as u64);
                    resumed.fetch_add(usize::from(began), Ordering::Relaxed);
                }
            });
        }
    });
    let resumed = resumed.into_inner();
    assert!(resumed * 2 > kills, "of {kills} drills only {resumed} were killed between beginning and end");
}

/// Whether the drill had begun and not ended when it was killed.
fn kill_and_resume(number: u64, of: u64) -> bool {
    let subject = &SUBJECTS[usize::try_from(number % SUBJECTS.len() as u64).unwrap()];
    let house = House::new(&format!("{}-{number}", subject.name), subject.files);
    let mut numbers = Numbers(number);
    // Every part of the journal gets its turn, from before the first line to after the last.
    let target = number * (subject.lines + 2) / of;
    let answers = ["--answers", subject.answers];
    let mut drill = house.start(&house.begin(subject.file, &[subject.more, &answers].concat()));
    let killed = kill_at(&house, &mut drill, target, numbers.below(3_000));
    let began = house.lines() > 0;
    if !began {
        // It may have died before or within its first line.
        assert!(killed, "{}", house.log());
        if house.dir().exists() {
            house.say(&["resume", &house.run]).exits(2);
        }
        assert!(!house.dir().exists());
        assert_eq!(house.processes(), [] as [u32; 0]);
        assert_eq!(house.locks(), [] as [String; 0]);
        return false;
    }
    if number % 5 == 4 {
        kill_the_platform(&house);
    }
    for _ in 0..number % 3 {
        let mut resume = house.start(&["resume", &house.run, answers[0], answers[1]]);
        let further = house.lines() as u64 + numbers.below(4);
        kill_at(&house, &mut resume, further, numbers.below(5_000));
    }
    let code = resume_to_the_end(&house, &answers, subject.truth);
    assert_eq!(code, subject.ends, "{}", house.log());
    house.is_over();
    assert!(!house.log().contains("bug"), "{}", house.log());
    (subject.world)(&house, &house.platform());
    killed
}

/// Kills a program some microseconds after the journal of its run has so many lines. False: it ended before.
fn kill_at(house: &House, program: &mut Started, lines: u64, micros: u64) -> bool {
    until("the point to kill at", || (house.lines() as u64 >= lines || !program.is_running()).then_some(()));
    let at = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < at {
        std::hint::spin_loop();
    }
    program.kill()
}

/// The machine went down: nothing of the drill is left.
fn kill_the_platform(house: &House) {
    until("the end of all processes", || {
        let living = house.processes();
        // Again each time: one of them may have started another between the look and the kill.
        living.iter().for_each(|pid| signal(*pid, Signal::KILL));
        living.is_empty().then_some(())
    });
}

fn resume_to_the_end(house: &House, answers: &[&str; 2], truth: fn(&House, &Platform, &str) -> bool) -> i32 {
    for _ in 0..20 {
        let said = house.say(&["resume", &house.run, answers[0], answers[1]]);
        match said.code {
            Some(4) => answer_truthfully(house, truth),
            Some(code @ (0 | 1)) => return code,
            _ => panic!("{said:?}\n{}", house.log()),
        }
    }
    panic!("the run does not end: {}", house.show());
}

/// Looks at the world, and says what is asked about it.
pub fn answer_truthfully(house: &House, truth: fn(&House, &Platform, &str) -> bool) {
    let asks = house.asks();
    assert!(!asks.is_empty(), "it pauses for nobody: {}", house.show());
    let platform = house.platform();
    for (kind, step) in asks {
        match kind.as_str() {
            "unknown" => {
                house.answer(&step, if truth(house, &platform, &step) { "done" } else { "not_done" })
            }
            "put_back" => house.answer(&step, "put_back"),
            other => panic!("{step} asks for {other}: {}", house.show()),
        }
    }
}

fn booked(house: &House, line: &str) -> usize {
    let book = std::fs::read_to_string(house.books().join("book")).unwrap_or_default();
    book.lines().filter(|found| *found == line).count()
}

fn everything_truth(house: &House, platform: &Platform, step: &str) -> bool {
    match step {
        "children" | "closing" => booked(house, step) > 0,
        "notice" => platform.notices("hooli-19", "plain_notice") > 0,
        other => panic!("{other} settles itself: {}", house.show()),
    }
}

fn everything_world(house: &House, platform: &Platform) {
    assert_eq!((booked(house, "children"), booked(house, "closing")), (1, 1));
    assert_eq!(platform.status("acme-42"), "suspended");
    assert_eq!(platform.status("globex-7"), "active", "the toggle is put back");
    assert_eq!(platform.notices("hooli-19", "plain_notice"), 1);
    let writes = platform.writes();
    let count = |method: &str, path: &str, test: &dyn Fn(&Value) -> bool| {
        let of = |entry: &&Value| entry["method"] == method && entry["path"] == path;
        writes.iter().filter(of).filter(|entry| test(entry)).count()
    };
    // Without answer and without effect: the platform was killed before it did anything.
    let any = |entry: &Value| entry["effect"] == true || !entry["status"].is_null();
    let effect = |entry: &Value| entry["effect"] == true;
    assert_eq!(
        count("POST", "/admin/notifications/send", &any),
        1,
        "no key, no probe: sent once. {writes:?}"
    );
    assert_eq!(count("POST", "/admin/tenants", &any), 1, "settled by its probe. {writes:?}");
    assert_eq!(count("PATCH", "/admin/tenants/acme-42", &effect), 1, "{writes:?}");
    let keys: std::collections::BTreeSet<&str> = writes
        .iter()
        .filter(|entry| entry["path"] == "/admin/tenants/acme-42")
        .map(|entry| entry["idempotencyKey"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 1, "every attempt has the same key: {writes:?}");
    assert_eq!(count("PATCH", "/admin/tenants/globex-7", &effect), 2, "switched and put back. {writes:?}");
}
