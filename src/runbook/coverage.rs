//! Which steps an approval binds when it does not name them.

use std::collections::BTreeMap;

use super::flow::Flow;
use super::schema::{EffectWord, Step};

/// By gate: every step with an effect on the world that lies behind it, up to the next gate.
pub fn covered(flow: &Flow, steps: &[&Step]) -> BTreeMap<usize, Vec<usize>> {
    let gates: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].is_gate()).collect();
    // A gate that its own `when` may skip ends nothing: what lies behind it is still bound by the one before.
    let stop: Vec<bool> = steps.iter().map(|step| step.is_gate() && step.when.is_none()).collect();
    let bound = |at: usize| steps[at].runs() && steps[at].effect_word() != EffectWord::Read;
    let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, found) in flow.nearest(&gates, &stop, bound).iter().enumerate() {
        for gate in found {
            out.entry(gates[*gate as usize]).or_default().push(at);
        }
    }
    out
}
