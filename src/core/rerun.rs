//! Doing a part of a finished run again: what stays to be done, and what need not be done twice.
//!
//! Pure. A step is taken over only where it is sure to have taken effect and nothing has reversed it since; whether its
//! request is still the same is seen when its turn comes, over the same bytes that an approval binds. People are always
//! asked again.

use std::collections::{BTreeMap, BTreeSet};

use super::bind;
use super::event::{ReversalEnd, Status};
use super::state::State;
use crate::plan::{Graph, Import, Plan, Rerun, Section};

/// A step, and everything that comes after it. `None`: there is no such step in the main section.
pub fn again(graph: &Graph, from: &str) -> Option<BTreeSet<String>> {
    let mut again = BTreeSet::new();
    let mut started = false;
    for step in graph.steps.iter().filter(|step| step.section == Section::Main) {
        let after = step.needs.iter().any(|need| again.contains(need)) || (step.above && started);
        if step.id == from || after {
            started = true;
            again.insert(step.id.clone());
        }
    }
    started.then_some(again)
}

/// What the steps of a finished run did, but for those in `again`.
pub fn imports(plan: &Plan, state: &State, again: &BTreeSet<String>) -> BTreeMap<String, Import> {
    let mut found = BTreeMap::new();
    for (at, (node, step)) in state.steps().enumerate() {
        let reversed = state.reversals().iter().any(|reversal| {
            reversal.step == at && matches!(reversal.end, Some(ReversalEnd::Done | ReversalEnd::Failed))
        });
        let stands = step.status == Status::Succeeded && !reversed && node.put_back.is_none();
        // A secret that was born in that run was erased at its end: it is made anew, and used anew, though requests that
        // name it look the same.
        let values = state.values(plan, at);
        let uses = values.is_some_and(|values| values.refs().any(|path| plan.values.born.contains(path)));
        let stands = stands && node.secrets.is_empty() && !uses;
        if !stands || !node.kind.runs() || !state.shape().is_main(at) || again.contains(&node.id) {
            continue;
        }
        // What cannot be rendered any more cannot be compared, and runs again.
        if let Ok(Some(digest)) = bind::digest(plan, state, at, &BTreeSet::new()) {
            let outputs = step.outputs.iter().map(|(name, value)| (name.clone(), value.text().to_owned()));
            found.insert(node.id.clone(), Import { digest, outputs: outputs.collect() });
        }
    }
    found
}

/// Makes `plan` a rerun. Steps that it does not have, or has in another kind, are left to themselves.
pub fn take_over(plan: &mut Plan, imports: BTreeMap<String, Import>, rerun: Rerun) {
    for node in &mut plan.graph.steps {
        // What has become a part of `finally` is for every ending anew.
        let stays = node.section == Section::Main && node.kind.runs() && node.put_back.is_none();
        let stays = stays && node.secrets.is_empty();
        let import = imports.get(&node.id).filter(|_| stays);
        node.imported = import.is_some();
        if let Some(values) = plan.values.steps.get_mut(&node.id) {
            values.import = import.cloned();
        }
    }
    plan.graph.rerun = Some(rerun);
}
