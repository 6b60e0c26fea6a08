//! Who may answer a question, and who may open a gate alone: the rules of the core as names to be shown.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::core::state::Ask;
use crate::core::{AskKind, State};
use crate::plan::{Plan, StepNode, Who};

/// Who may answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entitled {
    /// Anybody but `not`; else exactly `people`.
    pub anybody: bool,
    /// Those named by roles; for anybody, those whom the environment knows.
    pub people: Vec<String>,
    pub not: Vec<String>,
    /// Different people that must say yes.
    pub quorum: u32,
}

impl Entitled {
    pub fn may(&self, who: &str) -> bool {
        let named = self.people.iter().any(|person| person == who);
        (self.anybody || named) && !self.not.iter().any(|person| person == who)
    }
}

/// Who may open an approval alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glass {
    pub people: Vec<String>,
    pub from: Timestamp,
}

pub(super) fn glass(plan: &Plan, ask: &Ask, node: &StepNode) -> Option<Glass> {
    let glass = node.gate.as_ref()?.break_glass.as_ref()?;
    let holders = glass.roles.iter().filter_map(|role| plan.graph.people.roles.get(role)).flatten();
    let people: BTreeSet<&String> =
        holders.filter(|person| plan.graph.people.people.contains_key(*person)).collect();
    Some(Glass { people: people.into_iter().cloned().collect(), from: ask.glass? })
}

/// The same rules by which the core admits an answer, turned into names.
pub(super) fn who(plan: &Plan, state: &State, ask: &Ask, node: &StepNode) -> Entitled {
    let nobody = Who::default();
    let gate = node.gate.as_ref();
    let (who, closed) = match ask.kind {
        AskKind::Approve => (gate.map_or(&nobody, |gate| &gate.who), true),
        AskKind::Confirm => (gate.map_or(&nobody, |gate| &gate.who), false),
        AskKind::Input | AskKind::Choice | AskKind::Checklist | AskKind::Manual => {
            (node.by.as_ref().unwrap_or(&nobody), false)
        }
        AskKind::Failure | AskKind::Unknown | AskKind::PutBack | AskKind::Canary => (&nobody, false),
    };
    let mut roles: Vec<&String> = who.roles.iter().collect();
    if ask.kind == AskKind::Approve && ask.escalated {
        roles.extend(gate.into_iter().flat_map(|gate| &gate.escalate_to));
    }
    let mut not: BTreeSet<String> = BTreeSet::new();
    not.extend(state.run.starter.iter().filter(|_| who.not_starter).map(|actor| actor.who.clone()));
    let answered = |at: usize| state.step(at).human.as_ref().map(|human| human.by.who.clone());
    let by = |name: &String| state.shape().meant_from(name, ask.step).into_iter().filter_map(answered);
    not.extend(who.not_steps.iter().flat_map(by));
    let populace = &plan.graph.people;
    let anybody = roles.is_empty() && !closed;
    let named: BTreeSet<&String> = if anybody {
        populace.people.keys().collect()
    } else {
        let holders = roles.iter().filter_map(|role| populace.roles.get(*role)).flatten();
        holders.filter(|person| populace.people.contains_key(*person)).collect()
    };
    Entitled {
        anybody,
        people: named.into_iter().filter(|person| !not.contains(*person)).cloned().collect(),
        not: not.into_iter().collect(),
        quorum: gate.map_or(1, |gate| gate.quorum.max(1)),
    }
}
