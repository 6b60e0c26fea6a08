//! Doing a part of a finished run again: what stays to be done, and what need not be done twice.
//!
//! Pure. A step is taken over only where it is sure to have taken effect and nothing has reversed it since; whether its
//! request is still the same is seen when its turn comes, over the same bytes that an approval binds. People are always
//! asked again.

use std::collections::{BTreeMap, BTreeSet};

use super::bind;
use super::event::{ReversalEnd, Status};
use super::state::State;
use crate::plan::{Graph, Import, Plan, Rerun, Section, StepNode, StepValues};

/// A step with all that is in it, and everything that comes after it. What is around it is begun again, but not what
/// stands there before it. `None`: there is no such step in the main section.
pub fn again(graph: &Graph, from: &str) -> Option<BTreeSet<String>> {
    let mut again = BTreeSet::new();
    // Done again, or something in it is; and the lists in which something is.
    let (mut begun, mut lists) = (BTreeSet::new(), BTreeSet::new());
    for step in graph.steps.iter().filter(|step| step.section == Section::Main) {
        let inside = step.within.as_ref().is_some_and(|group| again.contains(group));
        let above = step.above && lists.contains(&(&step.within, step.handles));
        if step.id == from || inside || above || step.needs.iter().any(|need| begun.contains(need)) {
            again.insert(step.id.clone());
            for of in std::iter::once(step).chain(around(graph, step)) {
                begun.insert(&of.id);
                lists.insert((&of.within, of.handles));
            }
        }
    }
    (!again.is_empty()).then_some(again)
}

/// The groups that a step is in, the innermost first.
fn around<'a>(graph: &'a Graph, step: &'a StepNode) -> impl Iterator<Item = &'a StepNode> {
    let group = |step: &StepNode| graph.steps.iter().find(|other| step.within.as_ref() == Some(&other.id));
    std::iter::successors(group(step), move |of| group(of))
}

/// It is done once, and by itself: neither for each of a list, nor in rounds, nor because something failed.
fn is_single(graph: &Graph, step: &StepNode) -> bool {
    let loops = |of: &StepNode| of.each.is_some() || of.repeat.is_some();
    !std::iter::once(step).chain(around(graph, step)).any(|of| loops(of) || of.handles)
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
        // What lay in the scratch folder is gone with its run, and what it left is in that run's record.
        if values.is_some_and(StepValues::has_files) {
            continue;
        }
        let single = is_single(&plan.graph, state.shape().written(at));
        let may = stands && single && node.kind.runs() && state.shape().is_main(at);
        if !may || again.contains(&node.id) {
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
    let single: Vec<bool> = plan.graph.steps.iter().map(|step| is_single(&plan.graph, step)).collect();
    for (node, single) in plan.graph.steps.iter_mut().zip(single) {
        // What has become a part of `finally` is for every ending anew; what has become a list, for each item.
        let stays = node.section == Section::Main && node.kind.runs() && node.put_back.is_none() && single;
        let stays = stays && node.secrets.is_empty();
        let import = imports.get(&node.id).filter(|_| stays);
        node.imported = import.is_some();
        if let Some(values) = plan.values.steps.get_mut(&node.id) {
            values.import = import.cloned();
        }
    }
    plan.graph.rerun = Some(rerun);
}
