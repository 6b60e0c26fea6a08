//! What goes through one approval at most, as a plan freezes it: how many targets, of which steps.

use super::graph::{ActOf, LimitNode, StepNode};
use crate::runbook::schema::{EffectWord, Step};

/// Says of an approval what it counts, once it is known what it binds.
pub(super) fn bound<'s>(node: &mut StepNode, step: &Step, find: impl Fn(&str) -> Option<&'s Step>) {
    let limit =
        step.approve.as_ref().and_then(|approve| Some((approve, approve.max_targets.as_ref()?.value)));
    let (Some(gate), Some((approve, max_targets))) = (node.gate.as_mut(), limit) else { return };
    let covers = gate.covers.iter().filter_map(|name| Some((name.clone(), destroys(find(name)?))));
    let of = covers.filter(|(_, acts)| !acts.is_empty()).collect();
    gate.limit = Some(LimitNode { max_targets, of, filtered: approve.filter.is_some() });
}

fn destroys(step: &Step) -> Vec<ActOf> {
    let own = (ActOf::Do, Some(step.effect_word()));
    let undo = (ActOf::Undo, step.undo.as_ref().map(|undo| undo.act().effect()));
    let put_back = (ActOf::PutBack, step.put_back.as_ref().map(|back| back.act().effect()));
    let all = [own, undo, put_back].into_iter();
    all.filter(|(_, effect)| *effect == Some(EffectWord::Destructive)).map(|(act, _)| act).collect()
}
