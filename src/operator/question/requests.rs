//! What a question shows of what would be done: the requests that an approval binds, or what puts a toggle back.

use std::collections::BTreeSet;

use crate::core::state::{Ask, State};
use crate::core::{AskKind, Reversal, Shown};
use crate::plan::{Effect, Plan, RunOn};
use crate::runbook::template::Rendered;

pub(super) fn requests(plan: &Plan, state: &State, ask: &Ask) -> Vec<Shown> {
    if let Some(shown) = ask.shown.get("shown") {
        return serde_json::from_str(shown).unwrap_or_default();
    }
    if ask.kind != AskKind::PutBack {
        return Vec::new();
    }
    let open = state.reversals().iter().rfind(|r| r.step == ask.step && r.end.is_none());
    let Some(reversal) = open else { return Vec::new() };
    let name = if reversal.kind == Reversal::Undo { "undo" } else { "put_back" };
    let request = reversal
        .requests
        .get(name)
        .and_then(|text| serde_json::from_str::<crate::plan::ProbeOf<Rendered>>(text).ok());
    let shown = request.map(|probe| Shown {
        step: format!("{} ({name})", state.shape().label(ask.step)),
        effect: state
            .values(plan, ask.step)
            .and_then(|values| values.reversals().find(|(role, ..)| *role == name))
            .map_or(Effect::Write, |(.., effect)| effect),
        digest: String::new(),
        action: probe.action,
    });
    shown.into_iter().collect()
}

/// Those of them that are done only if something has failed: what stands in handlers, and what runs on failure.
pub(super) fn rescues(state: &State, ask: &Ask) -> BTreeSet<String> {
    let Some(shown) = ask.shown.get("shown") else { return BTreeSet::new() };
    let shown: Vec<Shown> = serde_json::from_str(shown).unwrap_or_default();
    let shape = state.shape();
    let is_rescue = |name: &str| {
        let label = name.split(' ').next().unwrap_or_default();
        let (mut at, graph) = (Some(label.split(':').next().unwrap_or_default()), shape.graph());
        while let Some(node) = at.and_then(|id| graph.steps.iter().find(|node| node.id == id)) {
            if node.handles || node.run_on == RunOn::Failure {
                return true;
            }
            at = node.within.as_deref();
        }
        false
    };
    shown.into_iter().map(|shown| shown.step).filter(|name| is_rescue(name)).collect()
}

#[cfg(test)]
mod tests {
    use crate::operator::sample::*;
    use crate::plan::{Kind, Mode, RunOn};

    #[test]
    fn what_is_done_only_on_failure_is_marked() {
        let mut mend = call("mend");
        (mend.0.run_on, mend.0.gates) = (RunOn::Failure, vec!["go".into()]);
        let go = gate("go", Kind::Approve, &["suspend", "mend"]);
        let question =
            World::new(Mode::Live, false, "en", vec![go, call("suspend"), mend]).questions().remove(0);
        assert_eq!(question.rescues, ["mend".to_owned()].into());
    }
}
