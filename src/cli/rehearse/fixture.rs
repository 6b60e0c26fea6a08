//! A real run as a fixture: what the outside said, in the form of a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::exit::Exit;
use super::Real;
use crate::core::{AttemptResult, Outcome, Role};
use crate::engine::rehearsal::past::Attempt;
use crate::plan::{Action, Plan, Probe};

/// Ways to fail that a scenario has words for.
const FAILS: [&str; 5] = ["connect", "spawn", "timeout", "reset", "signal"];

/// Writes what a real run was answered. Values that the run holds back are left out unless they are asked for, and are
/// made up when the fixture is used.
///
/// # Errors
/// There is no such run, or the file cannot be made.
pub(super) fn record(file: &Path, real: Option<&Real>, plan: &Plan, held_back: bool) -> Result<(), CliError> {
    let Some(real) = real else {
        let message =
            format!("there is no finished run of `{}` with real effects to record", plan.graph.runbook);
        return Err(CliError::new(Exit::Usage, message).hint("name one with --from RUN"));
    };
    let text = fixture(real, held_back);
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).open(file);
    opened
        .and_then(|mut out| std::io::Write::write_all(&mut out, text.as_bytes()))
        .map_err(|error| CliError::file(Exit::Unwritable, "write", file, &error))
}

fn fixture(real: &Real, held_back: bool) -> String {
    let graph = &real.plan.graph;
    let public = graph.steps.iter().flat_map(|step| {
        let names = step.outputs.iter().filter(|output| output.public || held_back);
        names.map(|output| (step.id.as_str(), output.name.as_str()))
    });
    let public: BTreeSet<(&str, &str)> = public.collect();
    let mut places: BTreeMap<String, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    for Attempt { label, role, part, outcome, .. } in real.attempts() {
        let step = label.split(':').next().unwrap_or_default();
        let shown = |name: &str| public.contains(&(step, name));
        let http = probes(real, step).any(|probe| matches!(probe.action, Action::Http(_)));
        let Some(told) = told(&outcome, http, &shown) else { continue };
        let id = part
            .filter(|_| role == Role::Item)
            .map_or_else(|| label.clone(), |item| format!("{label}/{item}"));
        let name = if matches!(role, Role::Item | Role::Guard) { "do" } else { role.name() };
        places.entry(id).or_default().entry(name).or_default().push(told);
    }
    let mut out = format!("# What run {} was answered.\nsteps:\n", real.state.run.id);
    for (id, parts) in places {
        // JSON is YAML.
        let _infallible = writeln!(out, "  {}:", Value::from(id));
        for (name, list) in parts {
            let _infallible = writeln!(out, "    {name}:");
            for told in list {
                let _infallible = writeln!(out, "      - {told}");
            }
        }
    }
    out
}

/// What a step or a guard calls, itself, to prove something or to reverse it.
fn probes<'r>(real: &'r Real, step: &str) -> impl Iterator<Item = &'r Probe> {
    let values = &real.plan.values;
    let found = values.steps.get(step).or_else(|| values.guards.get(step));
    let proofs =
        found.into_iter().flat_map(|found| found.items.values()).filter_map(|item| item.step.as_ref());
    let proofs = proofs.filter_map(|step| values.steps.get(step)?.verify.as_ref());
    found.into_iter().flat_map(|found| found.probes()).chain(proofs)
}

/// One outcome as a scenario has it; none where it has no word for it.
fn told(outcome: &Outcome, http: bool, shown: &dyn Fn(&str) -> bool) -> Option<Value> {
    let takes = format!("{}ms", outcome.finished.since(outcome.started).max(1));
    let outputs = outcome.outputs.iter().filter(|(name, _)| shown(name));
    let outputs: BTreeMap<&String, Value> = outputs.map(|(name, value)| (name, value.value())).collect();
    let mut told = match (outcome.result, outcome.reason.as_str(), outcome.code) {
        (AttemptResult::Succeeded, _, code) => {
            let mut told = json!({"outputs": outputs});
            if let Some(code) = code {
                told[if http { "status" } else { "exit" }] = code.into();
            }
            told
        }
        (_, reason, _) if FAILS.contains(&reason) => json!({"fails": reason}),
        // The document behind it is held back: its code has to do.
        (AttemptResult::Failed | AttemptResult::Unknown, _, Some(code)) if http => json!({"status": code}),
        (AttemptResult::Failed | AttemptResult::Unknown, _, Some(code)) => json!({"exit": code}),
        (AttemptResult::Unknown | AttemptResult::TimedOut, ..) => json!({"unknown": true}),
        _ => return None,
    };
    told["takes"] = takes.into();
    Some(told)
}
