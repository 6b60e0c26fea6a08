//! What is made up where nobody knows better: an answer that the step would take, and outputs of the type that their
//! use asks for. The last of all sources: it always answers, and everything it gives says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::sources::{Asked, Drawn, Imagined, Source, TAKES_MS};
use crate::clock::Timestamp;
use crate::core::attempt::ABSENT;
use crate::core::{AttemptResult, Outcome, Role};
use crate::plan::{Action, Choosing, ErrorClass, InputKind, Plan};
use crate::record::origin::Origin;
use crate::runner::{Reply, invented_text};

static COMPARED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"steps\.(\w+)\.(\w+)\s*(\|\s*length\b|==|!=|>=|<=|>|<)?\s*(-?\d|true\b|false\b)?";
    Regex::new(pattern).expect("a pattern of our own")
});

static ASSERTED: LazyLock<Regex> = LazyLock::new(|| {
    let text = r#"'([^'\\]*)'|"([^"\\]*)""#;
    Regex::new(&format!(r"steps\.(\w+)\.(\w+)\s*==\s*(?:{text})")).expect("a pattern of our own")
});

/// How many items a list has that nobody knows.
const ITEMS: usize = 2;

/// Answers that are made up.
pub struct Placeholders {
    plan: Arc<Plan>,
    /// Of outputs that are used as something else than a text, by step and name.
    typed: BTreeMap<(String, String), Value>,
    /// Where steps stand in the graph.
    steps: BTreeMap<String, usize>,
}

impl Placeholders {
    pub fn of(plan: &Arc<Plan>) -> Self {
        let mut typed = compared(plan);
        typed.extend(asserted(plan));
        typed.extend(listed(plan));
        let steps = plan.graph.steps.iter().enumerate().map(|(at, step)| (step.id.clone(), at)).collect();
        Self { plan: plan.clone(), typed, steps }
    }

    /// The outputs of an attempt, made up.
    pub fn outputs(&self, asked: Asked<'_>) -> BTreeMap<String, Value> {
        let accept = &asked.request.probe.accept;
        let draft = Draft::of(accept, &self.plan.values);
        let value = |name: &String, filter: &String| {
            draft.get(filter).unwrap_or_else(|| self.output(&asked.request.key.step, name))
        };
        accept.outputs.iter().map(|(name, filter)| (name.clone(), value(name, filter))).collect()
    }

    /// One output, of the type that its declaration or its use asks for.
    pub fn output(&self, step: &str, name: &str) -> Value {
        let node = self.steps.get(step).map(|at| &self.plan.graph.steps[*at]);
        let kind = node.and_then(|node| node.outputs.iter().find(|output| output.name == name));
        match kind.map(|output| &output.kind) {
            None | Some(InputKind::Any) => {
                let typed = self.typed.get(&(step.to_owned(), name.to_owned()));
                typed.cloned().unwrap_or_else(|| text(name))
            }
            Some(kind) => of_kind(kind, name),
        }
    }

    fn reply(&self, asked: Asked<'_>) -> Reply {
        let accept = &asked.request.probe.accept;
        let step = &asked.request.key.step;
        let mut draft = Draft::of(accept, &self.plan.values);
        for (name, filter) in &accept.outputs {
            draft.fill(filter, self.output(step, name));
        }
        for (name, filter) in &accept.secrets {
            draft.fill(filter, json!(invented_text(step, name)));
        }
        match &asked.request.probe.action {
            Action::Http(_) => {
                Reply::Http { status: draft.status(), headers: BTreeMap::new(), body: draft.body() }
            }
            Action::Notify(notice) => Reply::Notice {
                sent: notice.to.iter().map(|recipient| recipient.name.clone()).collect(),
                failed: Vec::new(),
            },
            Action::Shell(_) | Action::Argv(_) | Action::Remote(_) => {
                Reply::Program { exit: draft.exit(), stdout: draft.stdout(), stderr: String::new() }
            }
        }
    }
}

impl Source for Placeholders {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let imagined = if asked.request.role == Role::First {
            // Before a step has acted its proof does not hold: else nothing of it would be walked.
            let said = if asked.request.probe.accept.absent.is_some() { ABSENT } else { "not_true" };
            let not_yet = Outcome::bare(AttemptResult::Failed, said, Timestamp::default());
            Imagined::Ended(Box::new(Outcome { class: Some(ErrorClass::Expect), ..not_yet }))
        } else {
            Imagined::Reply(self.reply(asked))
        };
        Some(Drawn { imagined, takes_ms: TAKES_MS, origin: Origin::Placeholder })
    }
}

fn text(name: &str) -> Value {
    json!(format!("placeholder-{name}"))
}

fn of_kind(kind: &InputKind, name: &str) -> Value {
    match kind {
        InputKind::Any | InputKind::String | InputKind::File => text(name),
        InputKind::Integer => json!(1),
        InputKind::Number => json!(1.5),
        InputKind::Boolean => json!(true),
        InputKind::Datetime => json!("2026-01-05T09:00:00Z"),
        InputKind::List(kind) => (1..=ITEMS).map(|nth| of_kind(kind, &format!("{name}-{nth}"))).collect(),
    }
}

/// Outputs that conditions compare with numbers or truth, or count.
fn compared(plan: &Plan) -> BTreeMap<(String, String), Value> {
    let mut out = BTreeMap::new();
    for (_, values) in plan.values.all() {
        let written = values.when.iter().chain(values.assertions.iter().map(|assertion| &assertion.expr));
        for expr in written.chain(&values.repeat_until) {
            for found in COMPARED.captures_iter(expr.source()) {
                let value = match (found.get(3).map(|sign| sign.as_str()), found.get(4).map(|it| it.as_str()))
                {
                    (Some(sign), _) if sign.starts_with('|') => json!([text("1"), text("2")]),
                    (Some(_), Some("true" | "false")) => json!(true),
                    (Some(_), Some(_)) => json!(1),
                    // It is a condition by itself.
                    (None, None) if expr.source().trim() == found[0].trim() => json!(true),
                    _ => continue,
                };
                out.insert((found[1].to_owned(), found[2].to_owned()), value);
            }
        }
    }
    out
}

/// Texts that are asserted: whoever rehearses wants to see what comes behind an assertion. Which branch is taken is
/// another matter, and left open.
fn asserted(plan: &Plan) -> BTreeMap<(String, String), Value> {
    let mut out = BTreeMap::new();
    let asserted = plan.values.all().flat_map(|(_, values)| &values.assertions);
    for assertion in asserted {
        for found in ASSERTED.captures_iter(assertion.expr.source()) {
            let text = found.get(3).or(found.get(4)).map_or("", |text| text.as_str());
            out.insert((found[1].to_owned(), found[2].to_owned()), json!(text));
        }
    }
    out
}

/// Outputs that something is done or chosen for, item by item: each has what is read of an item.
fn listed(plan: &Plan) -> BTreeMap<(String, String), Value> {
    let mut out = BTreeMap::new();
    let mut lists = Vec::new();
    for (_, values) in plan.values.all() {
        if let Some(each) = &values.each {
            lists.push((&each.items, each.name.clone()));
        }
        if let Some(Choosing::Computed(computed)) = &values.choice {
            lists.push((&computed.from, "item".to_owned()));
        }
    }
    if lists.is_empty() {
        return out;
    }
    let refs: BTreeSet<&str> = plan.values.all().flat_map(|(_, values)| values.refs()).collect();
    let keys = plan.values.all().filter_map(|(_, values)| values.each.as_ref()?.key.as_ref());
    let computed = plan.values.all().filter_map(|(_, values)| match &values.choice {
        Some(Choosing::Computed(computed)) => Some([Some(&computed.id), computed.label.as_ref()]),
        _ => None,
    });
    let exprs: Vec<_> = keys.chain(computed.flatten().flatten()).collect();
    for (list, name) in lists {
        let Some((step, output)) = list.path().and_then(|path| path.strip_prefix("steps.")?.split_once('.'))
        else {
            continue;
        };
        let prefix = format!("{name}.");
        let read =
            refs.iter().copied().chain(exprs.iter().flat_map(|expr| expr.refs().iter().map(String::as_str)));
        let fields: BTreeSet<&str> = read.filter_map(|path| path.strip_prefix(&prefix)).collect();
        let item = |nth: usize| {
            if fields.is_empty() {
                return text(&nth.to_string());
            }
            let field = |name: &&str| {
                let name = name.split('.').next().unwrap_or(name);
                (name.to_owned(), text(&format!("{name}-{nth}")))
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        };
        out.insert((step.to_owned(), output.to_owned()), (1..=ITEMS).map(item).collect());
    }
    out
}
