//! A toggle inside a list is never forgotten and never put back blindly, wherever its executor is killed: `kill -9` after
//! every line of the journal of a drill that takes hosts out one by one.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::points::answer_truthfully;
use crate::world::{House, Platform, until};

const FILES: [&str; 3] = ["tests/kill/hosts.yaml", "tests/kill/hosts.answers.yaml", "tests/kill/hosts"];
const HOSTS: [&str; 2] = ["web-1", "web-2"];

/// Whether a step whose outcome is unknown took effect, by what it leaves behind.
fn truth(house: &House, _: &Platform, step: &str) -> bool {
    let numbered = |at: usize| step.ends_with(&format!("[{}]", at + 1));
    let host = HOSTS.iter().enumerate().find(|(at, host)| step.contains(**host) || numbered(*at));
    let (_, host) = host.unwrap_or_else(|| panic!("{step} is about no host: {}", house.show()));
    let done = if step.starts_with("drain") { "drained" } else { "updated" };
    house.books().join(format!("{done}-{host}")).exists()
}

fn book(house: &House) -> Vec<String> {
    let text = std::fs::read_to_string(house.books().join("book")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lines of the journal of a drill that nobody kills.
fn undisturbed() -> usize {
    let house = House::new("hosts", &FILES);
    house.say(&house.begin("hosts.yaml", &[])).exits(0);
    house.is_over();
    assert_eq!(book(&house), ["drain web-1", "enable web-1", "drain web-2", "enable web-2"]);
    house.lines()
}

fn killed_after(lines: usize) {
    let house = House::new(&format!("hosts-{lines}"), &FILES);
    let mut drill = house.start(&house.begin("hosts.yaml", &[]));
    until("the line to kill after", || (house.lines() >= lines || !drill.is_running()).then_some(()));
    let _killed = drill.kill();
    for _ in 0..20 {
        let said = house.say(&["resume", &house.run, "--answers", "hosts.answers.yaml"]);
        match said.code {
            Some(4) => answer_truthfully(&house, truth),
            Some(0) => break,
            _ => panic!("after {lines} lines: {said:?}\n{}", house.log()),
        }
    }
    house.is_over();
    let book = book(&house);
    for host in HOSTS {
        assert!(
            !house.books().join(format!("drained-{host}")).exists(),
            "{lines}: {host} is still out: {book:?}"
        );
        assert!(book.contains(&format!("enable {host}")), "{lines}: {book:?}");
        assert!(!book.contains(&format!("blind {host}")), "{lines}: {book:?}");
    }
}

#[test]
fn rule_10_a_toggle_inside_a_list_outlives_a_kill_after_every_line() {
    let lines = undisturbed();
    assert!(lines > 8, "{lines}");
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at > lines {
                        return;
                    }
                    killed_after(at);
                }
            });
        }
    });
}
