//! What a plan touches, by what is done to it: addresses, hosts, programs, clusters, people who are told, and lists.
//!
//! Only what is visible: a program that another program starts, or that stands in a script for a second shell, is not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::super::action::{Action, Program, ProgramCall, ShellCall};
use super::super::graph::{Effect, Kind, StepNode};
use super::super::translate::{Known, origin};
use super::super::values::{Each, StepValues};
use super::{DECIDED_LATER, Lenient};
use crate::plan::{Plan, Reach};
use crate::runbook::shell::{Called, Pointed, Word, called_by, called_by_script, is_builtin};
use crate::runbook::template::{Expr, Lookup, Scope, Template};

/// For a program that talks to a cluster and does not say to which.
const CURRENT: &str = "<current>";

/// Something that steps and guards touch in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    pub effect: Effect,
    /// Only when something is undone or put back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reversal: bool,
    pub kind: TouchedKind,
    pub what: String,
    pub steps: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TouchedKind {
    /// Scheme, host and port.
    Address,
    /// A host that programs run on.
    Host,
    Program,
    /// A context of kubectl and its kin.
    KubeContext,
    /// Somebody who is told.
    Recipient,
    /// Whatever a person does outside.
    ByHand,
}

/// A list that something is done for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListPreview {
    pub step: String,
    /// The strongest that is done to an item.
    pub effect: Effect,
    pub items: String,
    /// More items are refused.
    pub at_most: Option<u32>,
    /// The names of its items, where they are known already.
    pub known: Option<Vec<String>>,
}

type Key = (Effect, bool, TouchedKind, String);

/// What a plan touches, the mildest effect first.
pub(super) fn touched(plan: &Plan) -> Vec<Touched> {
    let mut look = Look { plan, known: Known::of(&plan.values), found: BTreeMap::new() };
    for (at, node) in plan.graph.steps.iter().enumerate() {
        let Some(values) = plan.step_values(at) else { continue };
        look.step(node, values);
    }
    for guard in &plan.graph.guards {
        if let Some(values) = plan.values.guards.get(&guard.id) {
            look.step(&guard.node(), values);
        }
    }
    let touched = |((effect, reversal, kind, what), steps)| Touched { effect, reversal, kind, what, steps };
    look.found.into_iter().map(touched).collect()
}

struct Look<'a> {
    plan: &'a Plan,
    known: Known<'a>,
    found: BTreeMap<Key, Vec<String>>,
}

impl Look<'_> {
    fn step(&mut self, node: &StepNode, values: &StepValues) {
        let reads = [&values.verify, &values.only_if].into_iter().flatten();
        let reads = reads.chain(values.items.values().filter_map(|item| item.probe.as_ref()));
        let own = values.act.iter().map(|act| (node.effect, false, act));
        let told = [&values.told.opened, &values.told.escalated].into_iter().flatten();
        let all = own
            .chain(reads.map(|probe| (Effect::Read, false, probe)))
            .chain(told.map(|probe| (Effect::Notify, false, probe)))
            .chain(values.reversals().map(|(_, probe, effect)| (effect, true, probe)));
        for (effect, reversal, probe) in all {
            for (kind, what) in self.things(&probe.action) {
                self.add((effect, reversal, kind, what), &node.id);
            }
        }
        if node.kind == Kind::Manual && node.effect != Effect::Read {
            self.add((node.effect, false, TouchedKind::ByHand, String::new()), &node.id);
        }
    }

    fn add(&mut self, key: Key, step: &str) {
        let steps = self.found.entry(key).or_default();
        if steps.last().is_none_or(|last| last != step) {
            steps.push(step.to_owned());
        }
    }

    fn things(&self, action: &Action<Template>) -> Vec<(TouchedKind, String)> {
        match action {
            Action::Http(call) => {
                let to = origin(&call.url, &Lenient(self.known)).unwrap_or_else(|| DECIDED_LATER.to_owned());
                vec![(TouchedKind::Address, to)]
            }
            Action::Shell(call) => self.called(self.script(call), &call.env, ""),
            Action::Argv(call) => self.called(self.argv(call), &call.env, ""),
            Action::Remote(call) => {
                let name = self.plain(&call.host);
                let reach = name.as_ref().and_then(|name| self.plan.values.hosts.get(name));
                let shown = match (&name, reach) {
                    (Some(name), Some(reach)) => format!("{name} ({})", reach.shown()),
                    (Some(name), None) => name.clone(),
                    (None, _) => DECIDED_LATER.to_owned(),
                };
                let on = format!(" @ {}", name.as_deref().unwrap_or(DECIDED_LATER));
                let mut out = vec![(TouchedKind::Host, shown)];
                if let Some(Reach::Via(prefix)) = reach {
                    let words: Vec<Word> = prefix.iter().map(|word| literal(word)).collect();
                    out.extend(self.called(called_by(&words), &[], ""));
                }
                out.extend(match &call.program {
                    Program::Shell(call) => self.called(self.script(call), &call.env, &on),
                    Program::Argv(call) => self.called(self.argv(call), &call.env, &on),
                });
                out
            }
            Action::Notify(notice) => {
                let over = |to: &super::super::notice::Recipient| {
                    let channels: Vec<String> =
                        to.channels.iter().map(super::super::Channel::shown).collect();
                    (TouchedKind::Recipient, format!("{} ({})", to.name, channels.join(", ")))
                };
                notice.to.iter().map(over).collect()
            }
        }
    }

    fn script(&self, call: &ShellCall<Template>) -> Vec<Called> {
        let mut all = called_by_script(&call.script);
        all.retain(|called| !is_builtin(&called.program));
        if all.is_empty() {
            all.push(Called { program: "bash".to_owned(), cluster: None });
        }
        all
    }

    fn argv(&self, call: &ProgramCall<Template>) -> Vec<Called> {
        let word =
            |text: &Template| self.plain(text).map_or_else(|| Word::argument(text), |text| literal(&text));
        let words: Vec<Word> = call.argv.iter().map(word).collect();
        let all = called_by(&words);
        if all.is_empty() { vec![Called { program: DECIDED_LATER.to_owned(), cluster: None }] } else { all }
    }

    /// Programs and the clusters that they talk to; `on`: where they run, if not here.
    fn called(&self, all: Vec<Called>, env: &[(String, Template)], on: &str) -> Vec<(TouchedKind, String)> {
        let variable = |name: &String| {
            let own = env.iter().find(|(own, _)| own == name).map(|(_, value)| value);
            own.map_or_else(
                || format!("${name}"),
                |value| self.plain(value).unwrap_or_else(|| DECIDED_LATER.to_owned()),
            )
        };
        let mut out = Vec::new();
        for called in all {
            out.push((TouchedKind::Program, format!("{}{on}", called.program)));
            let context = called.cluster.map(|cluster| match cluster {
                Pointed::Current => CURRENT.to_owned(),
                Pointed::Named(name) => name,
                Pointed::Variable(name) => variable(&name),
                Pointed::Later => DECIDED_LATER.to_owned(),
            });
            out.extend(context.map(|context| (TouchedKind::KubeContext, format!("{context}{on}"))));
        }
        out
    }

    fn plain(&self, text: &Template) -> Option<String> {
        text.render(&self.known).ok().and_then(|text| text.as_plain().map(str::to_owned))
    }
}

fn literal(text: &str) -> Word {
    Word::argument(&Template::literal(text))
}

/// Every list that something is done for, in the order of the steps.
pub(super) fn lists(plan: &Plan) -> Vec<ListPreview> {
    let steps = &plan.graph.steps;
    let list = |(at, node): (usize, &StepNode)| {
        let (each, list) = (node.each.as_ref()?, plan.step_values(at)?.each.as_ref()?);
        Some(ListPreview {
            step: node.id.clone(),
            effect: strongest(steps, at),
            items: list.items.source().to_owned(),
            at_most: each.max_targets,
            known: names(list, Known::of(&plan.values)),
        })
    };
    steps.iter().enumerate().filter_map(list).collect()
}

/// Of a step and all that stands in it.
fn strongest(steps: &[StepNode], at: usize) -> Effect {
    inside(steps, at).iter().map(|node| node.effect).fold(steps[at].effect, Ord::max)
}

/// The steps of a group, which stand right behind it.
pub(super) fn inside(steps: &[StepNode], at: usize) -> &[StepNode] {
    let mut groups = BTreeSet::from([steps[at].id.as_str()]);
    let behind = &steps[at + 1..];
    let end = behind.iter().position(|node| {
        let own = node.within.as_deref().is_some_and(|group| groups.contains(group));
        if own && node.group.is_some() {
            groups.insert(&node.id);
        }
        !own
    });
    &behind[..end.unwrap_or(behind.len())]
}

fn names(list: &Each, known: Known<'_>) -> Option<Vec<String>> {
    let items = list.items.value(&known).ok()?;
    let name = |item: &Value| {
        let value = match &list.key {
            Some(key) => key.value(&Item { known, name: &list.name, item }).ok()?,
            None => item.clone(),
        };
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    items.as_array()?.iter().map(name).collect()
}

/// What is known, and one item of a list.
struct Item<'a> {
    known: Known<'a>,
    name: &'a str,
    item: &'a Value,
}

impl Scope for Item<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        self.known.lookup(root, name)
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        if root == self.name { Some(Lookup::Known(self.item.clone())) } else { self.known.whole(root) }
    }

    fn secret(&self, path: &str) -> Option<String> {
        self.known.secret(path)
    }
}

/// The steps that decide what an expression is, and `run` for what only the run brings.
pub(super) fn deciders(plan: &Plan, node: &StepNode, expr: &Expr) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let list_of = |name: &str| {
        let mut at = Some(node);
        while let Some(here) = at {
            let list = plan.values.steps.get(&here.id).and_then(|values| values.each.as_ref());
            if list.is_some_and(|list| list.name == name) {
                return Some(here.id.clone());
            }
            at = here.within.as_ref().and_then(|id| plan.graph.steps.iter().find(|step| step.id == *id));
        }
        None
    };
    for path in expr.refs() {
        let mut parts = path.split('.');
        let by = match (parts.next().unwrap_or_default(), parts.next()) {
            ("inputs" | "vars" | "secrets", _) => None,
            ("steps", Some(step)) => Some(step.to_owned()),
            ("run" | "step", _) => Some("run".to_owned()),
            (name, _) => list_of(name),
        };
        out.extend(by.filter(|by| !out.contains(by)));
    }
    out
}
