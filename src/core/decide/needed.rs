//! What steps still to come need of a step: whoever takes its place has to give that, too.

use std::collections::BTreeSet;

use super::super::state::State;
use crate::plan::{InputKind, Kind, OutputNode, Plan, StepNode};

/// The outputs of a step that some step still to come reads.
pub fn needed_outputs(plan: &Plan, state: &State, step: usize) -> BTreeSet<String> {
    let given = given_by(state.shape().node(step));
    read_later(plan, state, step, &given.iter().map(|output| output.name.as_str()).collect())
}

/// What whoever takes the place of a step may give: its outputs, and what would have been chosen.
pub fn given_by(node: &StepNode) -> Vec<OutputNode> {
    let mut all = node.outputs.clone();
    if node.kind == Kind::Choice {
        let one = InputKind::String;
        let kind = if node.many.is_some() { InputKind::List(Box::new(one)) } else { one };
        all.push(OutputNode { name: "answer".to_owned(), public: false, kind });
    }
    all
}

/// The secrets that some step still to come uses, and that this step has not given. Nobody can give them in its place:
/// what people answer goes through the journal.
pub fn needed_secrets(plan: &Plan, state: &State, step: usize) -> BTreeSet<String> {
    let declared = state.shape().node(step).secrets.iter().map(String::as_str);
    let known = &state.step(step).sealed;
    read_later(plan, state, step, &declared.filter(|name| !known.contains(*name)).collect())
}

fn read_later(plan: &Plan, state: &State, step: usize, declared: &BTreeSet<&str>) -> BTreeSet<String> {
    let prefix = format!("steps.{}.", state.shape().written(step).id);
    let (mut needed, mut seen) = (BTreeSet::new(), BTreeSet::new());
    if declared.is_empty() {
        return needed;
    }
    for (at, (_, other)) in state.steps().enumerate() {
        // What stands inside a list that is not known yet is still to come.
        let mut reads = vec![&state.shape().written(at).id];
        if state.shape().is_whole(at) && !other.settled {
            reads.extend(state.shape().inside(at));
        }
        if other.settled || at == step {
            continue;
        }
        reads.retain(|name| seen.insert(*name));
        for path in
            reads.into_iter().filter_map(|name| plan.values.steps.get(name)).flat_map(|values| values.refs())
        {
            let name = path.strip_prefix(&prefix).and_then(|rest| rest.split('.').next());
            needed.extend(name.filter(|name| declared.contains(name)).map(str::to_owned));
        }
    }
    needed
}
