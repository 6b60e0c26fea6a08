//! What names in templates and conditions stand for, given a plan and a state.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::state::State;
use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::runbook::template::{Lookup, Scope};

/// Before the name of a loop: what it does is looked at without knowing the item.
pub(super) const ANY_ITEM: char = '*';

/// The names that a step may read.
pub(super) struct Names<'a> {
    plan: &'a Plan,
    state: &'a State,
    /// The step that asks: it sees its own outputs, once it has any.
    own: Option<usize>,
    /// The item or round it is in.
    frame: usize,
    /// Steps to treat as not known yet, whatever is known by now: the view of an earlier moment.
    later: Option<&'a BTreeSet<String>>,
    /// The first attempt of the step that asks, once its turn has come.
    started: Option<Timestamp>,
}

impl<'a> Names<'a> {
    pub(super) fn of(plan: &'a Plan, state: &'a State, own: Option<usize>) -> Self {
        let frame = own.map_or(0, |own| state.shape().frame(own));
        Self { plan, state, own, frame, later: None, started: None }
    }

    /// What is known inside an item or a round.
    pub(super) fn within(plan: &'a Plan, state: &'a State, frame: usize) -> Self {
        Self { frame, ..Self::of(plan, state, None) }
    }

    /// The view of the moment when `later` was not known.
    pub(super) fn as_of(plan: &'a Plan, state: &'a State, own: usize, later: &'a BTreeSet<String>) -> Self {
        Self { later: Some(later), ..Self::of(plan, state, Some(own)) }
    }

    /// The same for a step that has no place yet, read from an item or a round around it.
    pub(super) fn not_yet(
        plan: &'a Plan,
        state: &'a State,
        frame: usize,
        later: &'a BTreeSet<String>,
    ) -> Self {
        Self { later: Some(later), ..Self::within(plan, state, frame) }
    }

    /// The view of a step whose first attempt began at that time.
    pub(super) fn started(plan: &'a Plan, state: &'a State, own: usize, at: Timestamp) -> Self {
        Self { started: Some(at), ..Self::of(plan, state, Some(own)) }
    }

    fn step(&self, name: &str) -> Lookup {
        if self.later.is_some_and(|later| later.contains(name)) {
            return Lookup::Later;
        }
        let Some(at) = self.state.shape().resolve(name, self.frame) else {
            // What stands inside a list that is not known yet will be known, if ever, when it is.
            let planned = self.plan.values.steps.contains_key(name);
            return if planned && self.later.is_some() { Lookup::Later } else { Lookup::Missing };
        };
        let step = self.state.step(at);
        let own = self.own == Some(at) && !step.outputs.is_empty();
        if !(step.settled || own) {
            return Lookup::Later;
        }
        Lookup::Known(Value::Object(self.exported(at)))
    }

    /// What a step gives to those that read it.
    fn exported(&self, at: usize) -> Map<String, Value> {
        let (shape, step) = (self.state.shape(), self.state.step(at));
        let mut values = Map::new();
        values.extend(step.outputs.iter().map(|(name, value)| (name.clone(), value.value())));
        values.insert("outcome".into(), json!(step.status.name()));
        if let Some(human) = &step.human {
            values.insert("answer".into(), human.answer.as_ref().map_or(Value::Null, super::Json::value));
            values.insert("by".into(), json!(human.by.who));
            values.insert("at".into(), json!(human.at));
            values.insert("comment".into(), json!(human.comment));
        }
        if let Some(compound) = &step.compound {
            values.insert("begun".into(), json!(compound.entered));
        }
        if let Some(list) = shape.members(at).filter(|_| shape.is_whole(at)) {
            let items = shape.lists()[list].members.iter().map(|item| self.item(*item));
            values.insert("items".into(), items.collect());
        }
        values
    }

    /// One item of a list: what became of it, and what it gave.
    fn item(&self, at: usize) -> Value {
        let (shape, step) = (self.state.shape(), self.state.step(at));
        let frame = shape.frame_of(shape.frame(at));
        let key = frame.key.clone().unwrap_or_else(|| (frame.nth + 1).to_string());
        let mut item = Map::new();
        item.insert("key".into(), json!(key));
        item.insert("outcome".into(), json!(step.status.name()));
        if shape.is_compound(at) {
            let lists = [shape.members(at), shape.handlers(at)];
            let members = lists.into_iter().flatten().flat_map(|list| &shape.lists()[list].members);
            let members = members.filter(|member| !shape.is_whole(**member));
            let of =
                |member: &usize| (shape.written(*member).id.clone(), Value::Object(self.exported(*member)));
            item.insert("steps".into(), Value::Object(members.map(of).collect()));
        } else {
            let outputs = step.outputs.iter().map(|(name, value)| (name.clone(), value.value()));
            item.insert("outputs".into(), Value::Object(outputs.collect()));
        }
        Value::Object(item)
    }

    /// The item that a name stands for: of the innermost loop that calls it so.
    fn loop_item(&self, name: &str) -> Option<Lookup> {
        let shape = self.state.shape();
        let mut at = self.frame;
        while let Some(of) = shape.frame_of(at).of {
            let id = &shape.graph().steps[of].id;
            let each = self.plan.values.steps.get(id).and_then(|values| values.each.as_ref());
            if each.is_some_and(|each| each.name == name) {
                if self.is_any(id) {
                    return Some(Lookup::Later);
                }
                let value = shape.frame_of(at).value.as_ref();
                return Some(value.map_or(Lookup::Missing, |value| Lookup::Known(value.value())));
            }
            at = shape.frame_of(at).parent;
        }
        let any = self.later.into_iter().flatten().filter_map(|name| name.strip_prefix(ANY_ITEM));
        let called = |id: &str| {
            let each = self.plan.values.steps.get(id).and_then(|values| values.each.as_ref());
            each.is_some_and(|each| each.name == name)
        };
        any.into_iter().any(called).then_some(Lookup::Later)
    }

    fn is_any(&self, id: &str) -> bool {
        let any = |name: &String| name.strip_prefix(ANY_ITEM) == Some(id);
        self.later.is_some_and(|later| later.iter().any(any))
    }
}

impl Scope for Names<'_> {
    /// Inputs that are secrets, and outputs that are: by what the plan says, whatever is known by now. In the form that
    /// approvals bind it is called what the runbook calls it, so that a request has the same digest before and after;
    /// a request that runs names the item that it is of.
    fn secret(&self, path: &str) -> Option<String> {
        let written = self.plan.values.secret(path)?;
        let (Some((step, output)), None) = (crate::plan::values::born(&written), self.later) else {
            return Some(written);
        };
        let shape = self.state.shape();
        let item = shape.resolve(step, self.frame).and_then(|at| shape.item(at));
        Some(item.map_or_else(|| written.clone(), |item| format!("steps.{step}[{item}].{output}")))
    }

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

    fn host(&self, name: &str) -> Lookup {
        let reach = self.plan.values.hosts.get(name);
        reach.map_or(Lookup::Missing, |reach| Lookup::Known(json!(reach)))
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        self.loop_item(root)
    }
}

/// The names of a step, and one item of its list.
pub(super) struct Item<'a> {
    pub(super) names: &'a Names<'a>,
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

impl Scope for Item<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        self.names.lookup(root, name)
    }

    fn host(&self, name: &str) -> Lookup {
        self.names.host(name)
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        if root == self.name { Some(Lookup::Known(self.value.clone())) } else { self.names.whole(root) }
    }
}
