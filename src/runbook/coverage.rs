//! Which steps an approval binds when it does not name them, and what a `revert` does to the world.

use std::collections::BTreeMap;

use super::flow::Flow;
use super::schema::{EffectWord, Step};

/// By gate: every step with an effect on the world that lies behind it, up to the next gate.
pub fn covered(flow: &Flow, steps: &[&Step]) -> BTreeMap<usize, Vec<usize>> {
    let gates: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].is_gate()).collect();
    // A gate that its own `when` or an empty list may skip ends nothing: what lies behind it is still bound by the one
    // before. One that is asked for each item binds nothing behind it, as it is asked about that item alone.
    let asked = |step: &Step| step.is_gate() && step.for_each.is_none();
    let stop: Vec<bool> = steps.iter().map(|step| asked(step) && step.when.is_none()).collect();
    let gates: Vec<usize> = gates.into_iter().filter(|gate| asked(steps[*gate])).collect();
    let bound = |step: &&Step| step.runs() && step.effect_word() != EffectWord::Read;
    let bound: Vec<bool> = steps.iter().map(bound).collect();
    let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, found) in flow.nearest(&gates, &stop, |at| bound[at]).iter().enumerate() {
        for gate in found {
            out.entry(gates[*gate as usize]).or_default().push(at);
        }
    }
    out
}

/// What a step does to the world: as it says, or as its kind does; a `revert` does the most of what it reverts.
pub fn effect(flow: &Flow, steps: &[&Step], at: usize) -> EffectWord {
    let Some(named) = &steps[at].revert else { return steps[at].effect_word() };
    let named = named.value.iter().filter_map(|id| flow.find(&id.value)).map(|target| steps[target]);
    named.flat_map(reversals).fold(EffectWord::Read, stronger)
}

/// What taking a step back does to the world.
fn reversals(step: &Step) -> impl Iterator<Item = EffectWord> {
    let undo = step.undo.iter().map(|undo| undo.act().effect());
    undo.chain(step.put_back.iter().map(|back| back.act().effect()))
}

fn stronger(one: EffectWord, other: EffectWord) -> EffectWord {
    let weight = |word: EffectWord| match word {
        EffectWord::Read => 0,
        EffectWord::Notify => 1,
        EffectWord::Write => 2,
        EffectWord::Destructive => 3,
    };
    if weight(other) > weight(one) { other } else { one }
}
