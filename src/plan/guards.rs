//! The guards of a runbook as those of a plan.

use std::collections::BTreeMap;

use super::graph::{GuardNode, Kind};
use super::translate::{Translator, text};
use super::values::StepValues;
use crate::runbook::schema::{GuardDecl, Runbook};

pub(super) fn nodes(runbook: &Runbook) -> Vec<GuardNode> {
    runbook.guards.iter().flatten().map(node).collect()
}

fn node(guard: &GuardDecl) -> GuardNode {
    let kind = match guard.act().kinds().next() {
        Some(("http", _)) => Kind::Http,
        Some(("argv", _)) => Kind::Argv,
        // The only one left: `check` has refused a guard that asks nothing.
        _ => Kind::Shell,
    };
    GuardNode { id: guard.id.value.clone(), kind, every_ms: guard.every.value.0 }
}

pub(super) fn values(runbook: &Runbook, calls: &Translator<'_>) -> BTreeMap<String, StepValues> {
    let values = |guard: &GuardDecl| StepValues {
        message: text(guard.message.as_ref()),
        act: calls.probe(guard.act()),
        ..StepValues::default()
    };
    runbook.guards.iter().flatten().map(|guard| (guard.id.value.clone(), values(guard))).collect()
}
