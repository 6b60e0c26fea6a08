//! Groups, lists and rounds of a runbook as those of a plan, with every default filled in.

use super::graph::{CanaryNode, EachNode, GroupNode, OnFailure, RepeatNode, Share, StepNode};
use super::values::Each;
use crate::runbook::schema::{CanaryWord, EachDecl, EmptyWord, MaxWord, ShareDecl, Step, ThenWord};

/// What a step says about the steps in it, the items it is done for, its rounds, and what it reverts.
pub(super) fn fields(step: &Step, node: &mut StepNode) {
    node.group = step.group.as_ref().map(|group| GroupNode {
        handlers: group.on_failure.as_ref().is_some_and(|steps| !steps.is_empty()),
        then_continue: group.then == Some(ThenWord::Continue),
    });
    node.each = step.for_each.as_ref().map(|decl| each(step, decl));
    node.repeat = step.repeat.as_ref().map(|repeat| RepeatNode {
        max: repeat.max.value,
        every_ms: repeat.every.as_ref().map(|every| every.value.0),
    });
    if let Some(repeat) = &step.repeat
        && node.on_failure.is_none()
    {
        node.on_failure = repeat.on_max.map(|word| match word {
            MaxWord::Ask => OnFailure::Ask,
            MaxWord::Fail => OnFailure::Stop,
        });
    }
    let reverted = step.revert.iter().flat_map(|named| &named.value);
    node.reverts = reverted.map(|id| id.value.clone()).collect();
}

fn each(step: &Step, decl: &EachDecl) -> EachNode {
    let reads_item = |path: &String| path.split('.').next() == Some(decl.r#as.value.as_str());
    EachNode {
        max_parallel: decl.max_parallel.as_ref().map_or(1, |most| most.value.max(1)),
        canary: decl.canary.as_ref().map(|canary| CanaryNode {
            count: canary.count.value,
            ask: canary.then != Some(CanaryWord::Go),
            soak_ms: canary.soak.as_ref().map(|soak| soak.value.0),
        }),
        max_targets: decl.max_targets.as_ref().map(|most| most.value),
        max_failures: decl.max_failures.as_ref().map(|most| match most.value {
            ShareDecl::Count(count) => Share::Count(count),
            ShareDecl::Percent(percent) => Share::Percent(percent),
        }),
        empty_ok: decl.empty == Some(EmptyWord::Ok),
        when_each: step.when.as_ref().is_some_and(|when| when.value.refs().iter().any(reads_item)),
    }
}

pub(super) fn values(decl: &EachDecl) -> Each {
    Each {
        items: decl.items.value.clone(),
        name: decl.r#as.value.clone(),
        key: decl.key.as_ref().map(|key| key.value.clone()),
    }
}
