//! What may be said to a question here: what the core takes, without what would lead nowhere.

use super::question::{Choice, Output};
use crate::core::state::Ask;
use crate::core::{AskKind, Decision, Reversal, State, choices, given_by, needed_outputs, needed_secrets};
use crate::plan::{OutputNode, Plan};

pub(super) fn offered(plan: &Plan, state: &State, ask: &Ask, outputs: &[Output]) -> Vec<Choice> {
    let undoable = state.reversals().iter().any(|r| r.kind == Reversal::Undo && r.end.is_none());
    // Nobody but the step itself can give what later ones use as a secret.
    let replaceable = needed_secrets(plan, state, ask.step).is_empty();
    // What comes after a group or a list counts on the gates in it.
    let replaceable = replaceable && !state.is_behind_shut_gate(ask.step);
    choices(ask, false)
        .into_iter()
        .map(|(words, decision)| Choice { word: words[0], decision })
        .filter(|choice| match choice.decision {
            Decision::UndoEnd => undoable,
            Decision::SetOutput => !outputs.is_empty() && replaceable,
            Decision::ByHand | Decision::Skip => replaceable,
            // Told with who may and when, and said on a command line: nobody does it by the way.
            Decision::BreakGlass => false,
            Decision::Done => replaceable || ask.kind != AskKind::Unknown,
            _ => true,
        })
        .collect()
}

/// The outputs that somebody may give, and has to where they are needed.
pub(super) fn outputs(plan: &Plan, state: &State, ask: &Ask) -> Vec<Output> {
    let needed = needed_outputs(plan, state, ask.step);
    let known = &state.step(ask.step).outputs;
    let output = |node: OutputNode| Output {
        needed: needed.contains(&node.name) && !known.contains_key(&node.name),
        name: node.name,
        kind: node.kind,
    };
    given_by(state.shape().node(ask.step)).into_iter().map(output).collect()
}
