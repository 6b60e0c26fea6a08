//! `check` says that something destructive lies behind a gate: true in every execution of thousands of small graphs.
//!
//! The oracle (`executions`) knows nothing of the check: it goes through all that may happen. What `check` accepts, no
//! execution may get round. What it refuses, some execution gets round, up to these refusals on purpose, where the proof
//! would be harder to follow than a gate is to move:
//!
//! - it never starts in any execution, such as what runs on the failure of something that cannot fail;
//! - it belongs to what a group does on a failure, and the group holds a gate: whether that was asked before is not
//!   looked at;
//! - a group with a `when`, `then: continue` or `run_on: failure` holds a gate, and could only be left out where the
//!   step is, too, or not before the gate was asked;
//! - a gate with a `when` stands in a group: it counts inside the group alone, also for steps of the same `when`;
//! - a step that is allowed to fail, or a gate that runs on a failure, stands before a gate in a group;
//! - a `run_on` other than success in front of it, which lets several gates take turns.

mod executions;
mod graphs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use consigne::runbook::{check, load};
use graphs::{Danger, Graph, Kind, Node, RunOn};

const GRAPHS: u64 = 1_500;
const STEPS: usize = 7;

/// The dangerous steps that `check` finds ungated.
fn refused(graph: &Graph) -> BTreeSet<usize> {
    let source = load::from_bytes("t.yaml", graph.yaml().into_bytes()).unwrap();
    let (document, problems) = load::runbook(&source);
    assert!(problems.is_empty(), "{problems:?}\n{}", graph.yaml());
    let found = check::check(&document.unwrap(), None);
    let about = |danger: Option<Danger>, id: usize| match danger {
        Some(Danger::Itself) => Some(format!("step `s{id}` is destructive")),
        Some(Danger::Undo) => Some(format!("the undo of `s{id}` is destructive")),
        Some(Danger::PutBack) => Some(format!("the put_back of `s{id}` is destructive")),
        None => None,
    };
    let is_refused = |node: &&&Node| {
        let words = about(node.danger, node.id);
        words.is_some_and(|words| found.iter().any(|d| d.code == "ungated" && d.message.starts_with(&words)))
    };
    graph.all().iter().filter(is_refused).map(|node| node.id).collect()
}

/// A graph, and what its executions show.
type Case = (Graph, Option<BTreeMap<usize, executions::Seen>>);

/// The same for every verdict on it.
fn case(seed: u64) -> Arc<Case> {
    static KNOWN: Mutex<BTreeMap<u64, Arc<Case>>> = Mutex::new(BTreeMap::new());
    if let Some(known) = KNOWN.lock().unwrap().get(&seed) {
        return Arc::clone(known);
    }
    let graph = graphs::graph(seed, STEPS);
    let seen = executions::all(&graph);
    let case = Arc::new((graph, seen));
    KNOWN.lock().unwrap().insert(seed, Arc::clone(&case));
    case
}

/// What a verdict on many graphs came to.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    too_many: usize,
    /// Refused, and never started.
    idle: usize,
    /// Refused on purpose, and nothing gets round.
    for_caution: usize,
    /// Accepted, and an execution gets round.
    unsound: Vec<String>,
    /// Refused, nothing gets round, and no reason on purpose.
    needless: Vec<String>,
}

/// Judges all of these graphs, or up to the first one that a wrong verdict shows at.
fn judge(seeds: u64, to_the_end: bool, verdict: impl Fn(&Graph) -> BTreeSet<usize>) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..seeds {
        let shown = !tally.unsound.is_empty() || !tally.needless.is_empty();
        if shown && !to_the_end {
            break;
        }
        let case = case(seed);
        let (graph, seen) = (&case.0, &case.1);
        let Some(seen) = seen else {
            tally.too_many += 1;
            continue;
        };
        let refused = verdict(graph);
        let dangers = graph.all().into_iter().filter(|node| node.danger.is_some()).map(|node| node.id);
        for danger in dangers {
            let shown = seen.get(&danger).copied().unwrap_or_default();
            match (refused.contains(&danger), shown.bypassed) {
                (false, true) => tally.unsound.push(format!("seed {seed}, s{danger}:\n{}", graph.yaml())),
                (false, false) => tally.accepted += 1,
                (true, true) => tally.refused += 1,
                (true, false) if !shown.starts => tally.idle += 1,
                (true, false) if on_purpose(graph, danger) => tally.for_caution += 1,
                (true, false) => tally.needless.push(format!("seed {seed}, s{danger}:\n{}", graph.yaml())),
            }
        }
    }
    tally
}

/// The refusals on purpose, by what a graph looks like.
fn on_purpose(graph: &Graph, danger: usize) -> bool {
    let mut around = Vec::new();
    path(graph.main.iter().chain(&graph.finally), danger, &mut around);
    let holds_gate = |node: &Node| {
        let mut all = vec![node];
        let mut found = false;
        while let Some(node) = all.pop() {
            found |= node.kind == Kind::Gate;
            all.extend(node.steps.iter().chain(&node.handlers));
        }
        found
    };
    let handled = around.windows(2).any(|pair| {
        pair[0].handlers.iter().any(|node| node.id == pair[1].id) && pair[0].steps.iter().any(holds_gate)
    });
    let mut blind = graph.all().into_iter().filter(|node| node.kind == Kind::Group && holds_gate(node));
    handled
        || blind.any(|node| {
            let lax = |of: &Node| of.allowed || (of.kind == Kind::Gate && of.run_on == RunOn::Failure);
            let within = node.steps.iter().any(lax);
            let conditional = node.steps.iter().any(|of| of.kind == Kind::Gate && of.when.is_some());
            node.when.is_some()
                || node.then_continue
                || node.run_on == RunOn::Failure
                || within
                || conditional
        })
        || graph.all().iter().any(|node| node.run_on != RunOn::Success && node.id <= danger)
}

/// The groups around a step, and itself.
fn path<'a>(nodes: impl Iterator<Item = &'a Node>, id: usize, out: &mut Vec<&'a Node>) -> bool {
    for node in nodes {
        out.push(node);
        if node.id == id || path(node.steps.iter().chain(&node.handlers), id, out) {
            return true;
        }
        out.pop();
    }
    false
}

#[test]
fn rule_6_nothing_gets_round_what_check_accepts() {
    let tally = judge(GRAPHS, true, refused);
    let first = |all: &[String]| all.first().cloned().unwrap_or_default();
    assert!(tally.unsound.is_empty(), "{} are got round: {}", tally.unsound.len(), first(&tally.unsound));
    assert!(tally.needless.is_empty(), "{} for nothing: {}", tally.needless.len(), first(&tally.needless));
    println!(
        "{} accepted, {} refused and got round, {} refused for caution, {} never start, {} graphs too large",
        tally.accepted, tally.refused, tally.for_caution, tally.idle, tally.too_many
    );
    // The suite says something only if all of this occurs.
    assert!(tally.accepted > 200 && tally.refused > 200, "{tally:?}");
    assert!(tally.for_caution * 4 < tally.refused, "{tally:?}");
    assert!(tally.too_many * 5 < usize::try_from(GRAPHS).unwrap(), "{tally:?}");
}

/// Verdicts that are wrong in one way each: the suite has to notice every one.
#[test]
fn a_wrong_verdict_is_noticed() {
    let all = |graph: &Graph| -> BTreeSet<usize> {
        graph.all().iter().filter(|node| node.danger.is_some()).map(|node| node.id).collect()
    };
    assert!(!judge(100, true, |_| BTreeSet::new()).unsound.is_empty(), "everything is accepted");
    assert!(!judge(100, true, |graph| all(graph)).needless.is_empty(), "everything is refused");
    type Forget = fn(&mut Node);
    let wrong: [(&str, Forget); 6] = [
        ("conditions are forgotten", |node| node.when = None),
        ("lists are never empty", |node| node.each = false),
        ("nothing goes on after a failure", |node| node.then_continue = false),
        ("no failure is allowed", |node| node.allowed = false),
        ("run_on is forgotten", |node| node.run_on = RunOn::Success),
        ("needs are forgotten", |node| node.needs = None),
    ];
    for (what, forget) in wrong {
        let tally = judge(4 * GRAPHS, false, |graph| {
            let mut graph = graph.clone();
            graph.main.iter_mut().chain(&mut graph.finally).for_each(|node| each(node, &forget));
            refused(&graph)
        });
        assert!(!tally.unsound.is_empty(), "not noticed: {what}");
    }
}

fn each(node: &mut Node, change: &impl Fn(&mut Node)) {
    change(node);
    node.steps.iter_mut().chain(&mut node.handlers).for_each(|node| each(node, change));
}

/// What the graphs are made of, so that none of it is missing unnoticed.
#[test]
fn the_graphs_hold_everything() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..GRAPHS {
        let graph = graphs::graph(seed, STEPS);
        for node in graph.all() {
            for (what, has) in [
                ("gate", node.kind == Kind::Gate),
                ("gate with when", node.kind == Kind::Gate && node.when.is_some()),
                ("gate in a list", node.kind == Kind::Gate && node.each),
                ("group in a list", node.kind == Kind::Group && node.each),
                ("rounds", node.repeat),
                ("parallel", node.parallel),
                ("handlers", !node.handlers.is_empty()),
                ("then continue", node.then_continue),
                ("needs", node.needs.is_some()),
                ("allowed", node.allowed),
                ("push back", node.reject_continues),
                ("run_on failure", node.run_on == RunOn::Failure),
                ("run_on finished", node.run_on == RunOn::Finished),
                ("undo", node.danger == Some(Danger::Undo)),
                ("put_back", node.danger == Some(Danger::PutBack)),
                ("groups in groups", node.steps.iter().any(|step| step.kind == Kind::Group)),
            ] {
                *counts.entry(what).or_default() += usize::from(has);
            }
        }
        *counts.entry("finally").or_default() += usize::from(!graph.finally.is_empty());
    }
    assert!(counts.values().all(|count| *count >= 20), "{counts:?}");
}
