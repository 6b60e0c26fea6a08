//! The laws, one test each, over the same few hundred runs with every fault. That each test can fail is shown by
//! `sabotage.rs`; the thousands of runs of `runs.rs` hold all of them at once.

use std::sync::OnceLock;

use consigne::core::Decided;

use crate::checkers::{Objection, same_entries};
use crate::drive::{revived, steady, swarm};
use crate::plans;
use crate::rng::Rng;

const RUNS: u64 = 200;

struct Seen {
    objections: Vec<Objection>,
    entries: Vec<Vec<Decided>>,
}

/// Swarm runs, and a process that takes up another one's run in the middle.
fn runs() -> Seen {
    let mut seen = Seen { objections: Vec::new(), entries: Vec::new() };
    for seed in 1..=RUNS {
        let plan = plans::random(&mut Rng::stream(seed, 12), 12);
        let whole = steady(&plan, seed);
        let half = revived(&plan, &whole, whole.entries.len() / 2, false, seed);
        for driven in [swarm(&plan, seed), whole, half] {
            seen.objections.extend(driven.objections);
            seen.entries.push(driven.entries);
        }
    }
    seen
}

fn seen() -> &'static Seen {
    static SEEN: OnceLock<Seen> = OnceLock::new();
    SEEN.get_or_init(runs)
}

fn nobody_objects(law: &str) {
    let found: Vec<&Objection> = seen().objections.iter().filter(|(name, _)| *name == law).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(seen().entries.len() as u64, 3 * RUNS);
}

#[test]
fn no_effect_starts_before_its_entry() {
    nobody_objects("L1");
}

#[test]
fn replaying_the_entries_gives_the_live_state() {
    nobody_objects("L2");
    nobody_objects("derived");
}

#[test]
fn the_same_seed_gives_the_same_entries() {
    let again = runs();
    for (one, other) in seen().entries.iter().zip(&again.entries) {
        assert_eq!(same_entries(one, other), None);
    }
}

#[test]
fn stale_and_duplicate_inputs_cause_no_event() {
    nobody_objects("L4");
}

#[test]
fn no_attempt_starts_twice() {
    nobody_objects("L5");
    nobody_objects("at_most_once");
}

#[test]
fn a_run_is_never_stuck_and_never_busy() {
    nobody_objects("L6");
    nobody_objects("liveness");
}

#[test]
fn a_planted_secret_is_in_no_event() {
    nobody_objects("L7");
    let text = format!("{:?}", seen().entries);
    assert!(text.contains("token") && !text.contains(plans::SECRET), "it is named, and not there");
}

#[test]
fn one_input_makes_one_entry() {
    nobody_objects("L8");
}
