//! What names in templates and conditions stand for, given a plan and a state.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::state::State;
use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::runbook::template::{Lookup, Scope};

/// The names that a step may read.
pub(super) struct Names<'a> {
    plan: &'a Plan,
    state: &'a State,
    /// The step that asks: it sees its own outputs, once it has any.
    own: Option<usize>,
    /// Steps to treat as not known yet, whatever is known by now: the view of an earlier moment.
    later: Option<&'a BTreeSet<String>>,
    /// The first attempt of the step that asks, once its turn has come.
    started: Option<Timestamp>,
}

impl<'a> Names<'a> {
    pub(super) fn of(plan: &'a Plan, state: &'a State, own: Option<usize>) -> Self {
        Self { plan, state, own, later: None, started: None }
    }

    /// The view of the moment when `later` was not known.
    pub(super) fn as_of(plan: &'a Plan, state: &'a State, own: usize, later: &'a BTreeSet<String>) -> Self {
        Self { plan, state, own: Some(own), later: Some(later), started: None }
    }

    /// The view of a step whose first attempt began at that time.
    pub(super) fn started(plan: &'a Plan, state: &'a State, own: usize, at: Timestamp) -> Self {
        Self { started: Some(at), ..Self::of(plan, state, Some(own)) }
    }

    fn step(&self, name: &str) -> Lookup {
        let Some((at, step)) = self.state.find(name) else { return Lookup::Missing };
        let hidden = self.later.is_some_and(|later| later.contains(name));
        let own = self.own == Some(at) && !step.outputs.is_empty();
        if hidden || !(step.settled || own) {
            return Lookup::Later;
        }
        let mut values = Map::new();
        values.extend(step.outputs.iter().map(|(name, value)| (name.clone(), value.value())));
        values.insert("outcome".into(), json!(step.status.name()));
        if let Some(human) = &step.human {
            values.insert("answer".into(), human.answer.as_ref().map_or(Value::Null, super::Json::value));
            values.insert("by".into(), json!(human.by.who));
            values.insert("at".into(), json!(human.at));
            values.insert("comment".into(), json!(human.comment));
        }
        Lookup::Known(Value::Object(values))
    }
}

impl Scope for Names<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        let run = &self.state.run;
        let known = |value: Option<&Value>| value.map_or(Lookup::Missing, |v| Lookup::Known(v.clone()));
        match (root, name) {
            ("inputs", _) => known(self.plan.values.inputs.get(name)),
            ("vars", _) => known(self.plan.values.vars.get(name)),
            ("steps", _) => self.step(name),
            ("step", "started_at") => self.started.map_or(Lookup::Later, |at| Lookup::Known(json!(at))),
            ("run", "id") => Lookup::Known(json!(run.id)),
            ("run", "mode") => Lookup::Known(json!(self.plan.graph.mode.name())),
            ("run", "started_at") => run.started.map_or(Lookup::Later, |at| Lookup::Known(json!(at))),
            ("run", "starter") => run.starter.as_ref().map_or(Lookup::Later, |a| Lookup::Known(json!(a.who))),
            ("run", "runbook") => Lookup::Known(json!(self.plan.graph.runbook)),
            // Never known to whoever approves.
            ("run", "outcome") if self.later.is_some() => Lookup::Later,
            ("run", "outcome") => match &run.ending {
                Some(ending) => Lookup::Known(json!(ending.outcome)),
                None => Lookup::Later,
            },
            _ => Lookup::Missing,
        }
    }
}
