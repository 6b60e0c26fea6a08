//! Whole processes of consigne against what the machine asks for the same work. See `benches/README.md`.
//!
//! `cargo bench --profile ci --bench whole -- [SUITE ...] [--rounds N]`
#![allow(clippy::disallowed_methods, reason = "benches are not the core")]

mod commands;
mod floor;
mod programs;
mod rounds;
mod runbooks;
mod steps;

use programs::Place;

type Suite = (&'static str, fn(&Place, usize));

const SUITES: [Suite; 9] = [
    ("chain", steps::chain),
    ("fan", steps::fan),
    ("syncs", steps::syncs),
    ("growth", steps::growth),
    ("rehearse", steps::rehearse),
    ("start", commands::start),
    ("plan", commands::plan),
    ("record", commands::record),
    ("output", commands::output),
];

fn main() {
    if floor::run_if_asked() {
        return;
    }
    let (mut rounds, mut named) = (7, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--rounds" => {
                rounds = arguments.next().and_then(|n| n.parse().ok()).expect("--rounds takes a number")
            }
            name if SUITES.iter().any(|(suite, _)| *suite == name) => named.push(name.to_owned()),
            other => {
                let known: Vec<_> = SUITES.iter().map(|(name, _)| *name).collect();
                panic!("no suite {other}; there are {}", known.join(", "));
            }
        }
    }
    let place = Place::new(env!("CARGO_TARGET_TMPDIR").as_ref());
    for (name, suite) in SUITES {
        if named.is_empty() || named.iter().any(|wanted| wanted == name) {
            println!("\n{name}");
            suite(&place, rounds);
        }
    }
}
