//! What goes through one approval at most, as a plan freezes it: how many targets, of which steps.

use super::graph::{ActOf, LimitNode};
use crate::runbook::schema::{Approve, EffectWord, Step};

/// `covers`: the steps that the approval binds.
pub(super) fn node(approve: &Approve, covers: &[&Step]) -> Option<LimitNode> {
    let max_targets = approve.max_targets.as_ref()?.value;
    let counted = covers.iter().map(|step| (step.name().to_owned(), destroys(step)));
    let of = counted.filter(|(_, acts)| !acts.is_empty()).collect();
    Some(LimitNode { max_targets, of, filtered: approve.filter.is_some() })
}

fn destroys(step: &Step) -> Vec<ActOf> {
    let own = (ActOf::Do, Some(step.effect_word()));
    let undo = (ActOf::Undo, step.undo.as_ref().map(|undo| undo.act().effect()));
    let put_back = (ActOf::PutBack, step.put_back.as_ref().map(|back| back.act().effect()));
    let all = [own, undo, put_back].into_iter();
    all.filter(|(_, effect)| *effect == Some(EffectWord::Destructive)).map(|(act, _)| act).collect()
}
