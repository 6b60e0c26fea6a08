//! What a run walks are edges of its plan, whatever happens to it; and there is something to see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use consigne::plan::{Kind, Plan};
use consigne::record::coverage::{Edge, Edges, Walk, Way};

use crate::drive::{Driven, judged, swarm};
use crate::nests;
use crate::plans;
use crate::rng::Rng;
use crate::runs::{all, setting};

fn walked(plan: &Plan, driven: &Driven) -> BTreeSet<Edge> {
    let mut walk = Walk::new(&plan.graph, "run").expect("plans of these tests are well formed");
    for entry in &driven.entries {
        for event in &entry.events {
            walk.take(entry.at, event).expect("it was decided");
        }
    }
    walk.into_edges()
}

/// Name of the way alone, and how often it was walked.
type Tally = BTreeMap<String, usize>;

fn one(seed: u64, seen: &Mutex<Tally>) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 51);
    let most = rng.pick(&[2, 4, 6, 10, 16]);
    let plan = if rng.percent(50) { nests::random(&mut rng, most) } else { plans::random(&mut rng, most) };
    let driven = judged(seed, &plan, || swarm(&plan, seed))?;
    let (edges, walked) = (Edges::of(&plan), walked(&plan, &driven));
    // What a list gave that was not there when the plan was made is no edge.
    let computed = |edge: &Edge| {
        let step = plan.graph.steps.iter().find(|step| Some(&step.id) == edge.step.as_ref());
        matches!(edge.way, Way::Option(_)) && step.is_some_and(|step| step.kind == Kind::Choice)
    };
    let strange: Vec<_> = walked.iter().filter(|edge| !edges.contains(edge) && !computed(edge)).collect();
    if !strange.is_empty() {
        let about = |step: Option<&str>| strange.iter().any(|edge| edge.step.as_deref() == step);
        let steps =
            plan.graph.steps.iter().filter(|step| about(Some(&step.id)) || about(step.within.as_deref()));
        let steps: Vec<String> = steps.map(|step| serde_json::to_string(step).unwrap_or_default()).collect();
        let events = driven.entries.iter().flat_map(|entry| &entry.events);
        let within = |id: Option<&str>| {
            plan.graph.steps.iter().any(|step| Some(step.id.as_str()) == id && about(step.within.as_deref()))
        };
        let events = events.filter(|event| about(event.step.as_deref()) || within(event.step.as_deref()));
        let events: Vec<String> =
            events.map(|event| format!("{:?} {:?}", event.place(), event.fact)).collect();
        return Err(format!("seed {seed}: {strange:?}\n{}\n{}", steps.join("\n"), events.join("\n")));
    }
    let mut seen = seen.lock().unwrap();
    for edge in walked {
        let way = if matches!(edge.way, Way::Option(_)) { "option".to_owned() } else { edge.way.to_string() };
        *seen.entry(way).or_default() += 1;
    }
    Ok(1)
}

#[test]
fn what_a_run_walks_are_edges_of_its_plan() {
    let seen = Mutex::new(Tally::new());
    let runs = setting("CONSIGNE_SIM_RUNS").unwrap_or(1_000);
    all(setting("CONSIGNE_SIM_SEED").unwrap_or(1), runs, |seed| one(seed, &seen));
    let seen = seen.into_inner().unwrap();
    for way in ["absent", "break_glass", "canary_went_on", "left_open", "max_rounds", "stopped", "undone"] {
        assert!(seen.contains_key(way) || runs < 1_000, "nothing walked {way}: {seen:?}");
    }
}
