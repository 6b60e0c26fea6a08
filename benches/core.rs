//! What the core and the journal's encoding cost a step, in one process and without a disk, at growing sizes.
//!
//! `cargo bench --profile ci --bench core`. A curve that bends up here is a fault of the core, whatever else runs on
//! the machine.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "benches are not the core")]

#[path = "whole/runbooks.rs"]
mod runbooks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consigne::clock::Timestamp;
use consigne::core::{
    Actor, AttemptResult, Begin, Command, Decided, How, Input, Outcome, Phase, Shape as Graph, State, decide,
    wanted,
};
use consigne::journal::{Append, Memory, Pending};
use consigne::plan::{BuildRequest, Mode, Plan};
use consigne::runbook::environment::Services;
use consigne::runbook::load;
use runbooks::{Shape, Work};

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

fn main() {
    for (shape, work) in [
        (Shape::Chain, Work::Shell),
        (Shape::Fan, Work::True),
        (Shape::Layers, Work::True),
        (Shape::Layers, Work::Assert),
    ] {
        for (what, hashed) in [("decide and apply", false), ("with journal lines", true)] {
            let each: Vec<f64> = SIZES
                .iter()
                .map(|steps| {
                    let plan = planned(shape, work, *steps);
                    let rounds = (20_000 / steps).clamp(1, 50);
                    let best = (0..rounds).map(|_| driven(&plan, hashed)).min().unwrap_or_default();
                    best.as_secs_f64() * 1e6 / *steps as f64
                })
                .collect();
            let shown: Vec<String> = each.iter().map(|micros| format!("{micros:6.2}")).collect();
            println!(
                "{:6} {:6} {what:18}  us a step at {SIZES:?}: {}   100,000 / 1,000: {:.2}x",
                shape.name(),
                work.name(),
                shown.join(" "),
                each[3] / each[1]
            );
        }
    }
}

fn planned(shape: Shape, work: Work, steps: usize) -> Arc<Plan> {
    let text = runbooks::text(shape, work, steps);
    let source = load::from_bytes("bench.yaml", text.into_bytes()).expect("the generator writes text");
    let document = load::runbook(&source).0.expect("the generator writes runbooks");
    let (inputs, services) = (BTreeMap::new(), Services::new());
    let request = BuildRequest {
        mode: Mode::Live,
        environment: None,
        others: &[],
        inputs: &inputs,
        services: &services,
    };
    Arc::new(
        consigne::plan::build(&document, &request)
            .expect("the generator writes runbooks that can be planned"),
    )
}

/// Drives a run to its end: whatever is wanted succeeds at once.
fn driven(plan: &Plan, hashed: bool) -> Duration {
    let shape = Arc::new(Graph::new(plan.graph.clone()).expect("a plan has a graph"));
    let mut state = State::new(shape, "bench");
    let mut journal = if hashed { Memory::hashed("bench", 7) } else { Memory::plain("bench") };
    let at = Timestamp::from_millis(1);
    let start = Instant::now();
    take(plan, &mut state, &mut journal, begin());
    while state.phase() != Phase::Finished {
        for command in wanted(&state) {
            if let Command::Attempt(key) = command {
                let outcome = Box::new(Outcome::bare(AttemptResult::Succeeded, "ok", at));
                take(plan, &mut state, &mut journal, Input::Finished { key, outcome });
                break;
            }
        }
    }
    start.elapsed()
}

fn take(plan: &Plan, state: &mut State, journal: &mut Memory, input: Input) {
    let Decided { at, events } =
        decide(plan, state, Timestamp::from_millis(1), input).expect("what is wanted is not refused");
    assert!(!events.is_empty(), "an input that changes nothing would be taken for ever");
    journal.append(vec![Pending { at, mono: 0, events }]).expect("memory takes it");
}

fn begin() -> Input {
    Input::Begin(Begin {
        actor: Actor { who: "bench".into(), how: How::OsUser, played_by: None },
        attended: false,
        tool: "bench".into(),
        lang: "en".into(),
        template: 1,
        plan: BTreeMap::new(),
        executor: String::new(),
    })
}
