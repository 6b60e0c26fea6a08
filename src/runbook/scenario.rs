//! Scenarios: what the outside and people say in a rehearsal. Fixtures are scenarios that lie beside a runbook.
//!
//! Owns the form of the file and its diagnostics. What becomes of an outcome is not known here. A file of HTTP exchanges
//! ([`super::har`]) is a scenario, too.

mod recorded;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

pub use recorded::{Exchange, Recorded, Wanted, base_of};

use super::answers::{self, AnswerDecl, Answers};
use super::decode::{Decode, Reader, Spanned, record, words};
use super::fault::{Fault, FaultKind};
use super::scalar::{Data, Entries, Many, Millis};
use super::schema::schema_of;
use super::yaml::{self, Key, Node};
use super::{har, load};
use crate::clock::Timestamp;
use crate::diag::{Diagnostic, Place, Source, Span};

words! {
    /// How a call fails without an answer.
    pub enum FailWord {
        Connect = "connect",
        Spawn = "spawn",
        Timeout = "timeout",
        Reset = "reset",
        Signal = "signal",
    }
}

record! {
    /// What one call is answered.
    pub struct ToldDecl {
        /// Of an HTTP call: its status.
        may status: u16,
        may headers: Entries<String>,
        /// A text, or data that becomes JSON.
        may body: Data,
        /// Of a program: its exit code.
        may exit: i32,
        /// A text, or data that becomes JSON.
        may stdout: Data,
        may stderr: String,
        /// Instead of an answer: it succeeds, and these are its outputs (`status` or `exit` beside them is only told).
        may outputs: Entries<Data>,
        /// Instead of an answer: there is none.
        may fails: FailWord,
        /// Instead of an answer: nobody knows what became of it.
        may unknown: bool,
        /// How long it takes.
        may takes: Millis,
    }
}

/// What a step does that may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The step itself, the probe of an item, a guard.
    Own,
    /// Its `verify`, before it acts.
    First,
    Verify,
    Undo,
    PutBack,
    OnlyIf,
}

const PARTS: [(&str, Part); 8] = [
    ("do", Part::Own),
    ("probe", Part::Own),
    ("guard", Part::Own),
    ("first", Part::First),
    ("verify", Part::Verify),
    ("undo", Part::Undo),
    ("put_back", Part::PutBack),
    ("only_if", Part::OnlyIf),
];

/// One outcome of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub what: What,
    pub takes_ms: Option<u64>,
    pub at: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Http {
        status: u16,
        headers: BTreeMap<String, String>,
        body: String,
    },
    Program {
        exit: i32,
        stdout: String,
        stderr: String,
    },
    /// It succeeds with these, and with this status or exit code.
    Outputs {
        outputs: BTreeMap<String, Value>,
        code: Option<i64>,
    },
    Fails(FailWord),
    Unknown,
}

/// The outcomes of one step, and where its id stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTold {
    pub parts: BTreeMap<Part, Vec<Told>>,
    pub at: Place,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scenario {
    /// What the clock says at the start.
    pub start: Option<Timestamp>,
    pub seed: Option<u64>,
    /// By answer id: `step`, `step:key`, `list/item`, the id of a guard.
    pub steps: BTreeMap<String, StepTold>,
    pub answers: Answers,
    /// Questions that nobody answers: time passes instead.
    pub absent: BTreeMap<String, Place>,
    /// What goes wrong, and where it stands.
    pub faults: Vec<(Fault, Place)>,
    /// Steps whose effect may stay where a later step would have changed it again.
    pub may_stay: BTreeMap<String, Place>,
    /// Of a fixture that was recorded: where it comes from.
    pub recorded: Option<Recorded>,
    /// HTTP exchanges, given to whatever sends the same request.
    pub exchanges: Vec<Exchange>,
}

impl Scenario {
    /// Every id that it names, and where.
    pub fn ids(&self) -> impl Iterator<Item = (&String, &Place)> {
        let steps = self.steps.iter().map(|(id, step)| (id, &step.at));
        let answers = self.answers.iter().map(|(id, answer)| (id, &answer.at));
        let faults = self.faults.iter().map(|(fault, at)| (&fault.place, at));
        steps.chain(answers).chain(&self.absent).chain(faults).chain(&self.may_stay)
    }
}

/// Reads a scenario file, or one of HTTP exchanges.
pub fn read(path: &Path) -> (Scenario, Vec<Diagnostic>) {
    if har::is_har(path) {
        return har::read(path);
    }
    match load::source(path) {
        Ok(source) => from_source(&source),
        Err(problem) => (Scenario::default(), vec![problem]),
    }
}

const KEYS: [&str; 8] = ["start", "seed", "steps", "answers", "absent", "faults", "may_stay", "recorded"];

/// As [`read`], from a source.
pub fn from_source(source: &Arc<Source>) -> (Scenario, Vec<Diagnostic>) {
    let (node, mut problems) = yaml::parse(source);
    let Some(node) = node.filter(|node| !node.is_null()) else { return (Scenario::default(), problems) };
    let mut reader = Reader::new(source);
    let out = of_node(&node, &mut reader);
    problems.append(&mut reader.problems);
    (out, problems)
}

/// As [`read`], where it stands inside another file.
pub(super) fn of_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Scenario {
    let mut out = Scenario::default();
    let Some((entries, flow)) = reader.mapping(node) else { return out };
    for (key, value) in entries {
        match &*key.text {
            "start" => out.start = instant(value, reader),
            "seed" => out.seed = reader.value(value),
            "steps" => out.steps = steps(value, reader),
            "answers" => out.answers = answers::of_node(value, reader),
            "absent" => out.absent = places(value, reader),
            "faults" => out.faults = faults(value, reader),
            "may_stay" => out.may_stay = places(value, reader),
            "recorded" => out.recorded = recorded::of_node(value, reader),
            _ => reader.foreign_key(key, value, flow, &KEYS, &[]),
        }
    }
    out
}

/// The JSON Schema (draft 7) of a scenario, for editors.
pub fn json_schema() -> Value {
    schema_of::<Scenario>("consigne scenario or fixture")
}

fn instant(node: &Node, reader: &mut Reader<'_>) -> Option<Timestamp> {
    let text = reader.raw(node, "an instant such as 2026-01-05T09:00:00Z")?;
    let at = text.parse().ok();
    if at.is_none() {
        let message = format!("`{text}` is no instant such as 2026-01-05T09:00:00Z");
        return reader.refuse("bad-value", node.span, message);
    }
    at
}

fn places(node: &Node, reader: &mut Reader<'_>) -> BTreeMap<String, Place> {
    let ids: Vec<Spanned<String>> = reader.value(node).unwrap_or_default();
    ids.into_iter().map(|id| (id.value, id.span.at(reader.source).into())).collect()
}

/// Below each id one kind of fault, or a list.
fn faults(node: &Node, reader: &mut Reader<'_>) -> Vec<(Fault, Place)> {
    let mut out = Vec::new();
    let Some((entries, _)) = reader.mapping(node) else { return out };
    for (key, value) in entries {
        let at: Place = key.span.at(reader.source).into();
        let kinds = reader.value::<Many<FaultKind>>(value).map(|many| many.0).unwrap_or_default();
        out.extend(kinds.into_iter().map(|kind| (Fault::at(&key.text, kind), at.clone())));
    }
    out
}

fn steps(node: &Node, reader: &mut Reader<'_>) -> BTreeMap<String, StepTold> {
    let mut out = BTreeMap::new();
    let Some((entries, _)) = reader.mapping(node) else { return out };
    for (key, value) in entries {
        let at = key.span.at(reader.source).into();
        out.insert(key.text.to_string(), StepTold { parts: parts(value, reader), at });
    }
    out
}

/// A list of outcomes, one outcome, or those by what the step does.
fn parts(node: &Node, reader: &mut Reader<'_>) -> BTreeMap<Part, Vec<Told>> {
    let part = |key: &Key| PARTS.iter().find(|(name, _)| *name == key.text).map(|(_, part)| *part);
    match &node.value {
        yaml::Value::Map { entries, flow } if entries.iter().any(|(key, _)| part(key).is_some()) => {
            let mut out = BTreeMap::new();
            for (key, value) in entries {
                match part(key) {
                    Some(part) => drop(out.insert(part, list(value, reader))),
                    None => reader.foreign_key(key, value, *flow, &PARTS.map(|(name, _)| name), &[]),
                }
            }
            out
        }
        _ => BTreeMap::from([(Part::Own, list(node, reader))]),
    }
}

fn list(node: &Node, reader: &mut Reader<'_>) -> Vec<Told> {
    match &node.value {
        yaml::Value::List(all) => all.iter().filter_map(|one| told(one, reader)).collect(),
        _ => told(node, reader).into_iter().collect(),
    }
}

fn told(node: &Node, reader: &mut Reader<'_>) -> Option<Told> {
    let decl = ToldDecl::decode(node, reader)?;
    let at: Place = node.span.at(reader.source).into();
    // Beside outputs a code says only what it was.
    let judged = decl.outputs.is_none();
    let ways = [
        ("status", decl.status.is_some() && judged || decl.body.is_some() || decl.headers.is_some()),
        ("exit", decl.exit.is_some() && judged || decl.stdout.is_some() || decl.stderr.is_some()),
        ("outputs", decl.outputs.is_some()),
        ("fails", decl.fails.is_some()),
        ("unknown", decl.unknown == Some(true)),
    ];
    let named: Vec<&str> = ways.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    let what = match named.as_slice() {
        ["status"] => What::Http {
            status: decl.status.unwrap_or(200),
            headers: decl.headers.into_iter().flat_map(|all| all.0).map(|(k, v)| (k.value, v)).collect(),
            body: decl.body.as_ref().map(text).unwrap_or_default(),
        },
        ["exit"] => What::Program {
            exit: decl.exit.unwrap_or(0),
            stdout: decl.stdout.as_ref().map(text).unwrap_or_default(),
            stderr: decl.stderr.unwrap_or_default(),
        },
        ["outputs"] => {
            let outputs = decl.outputs.into_iter().flat_map(|all| all.0);
            let outputs = outputs.map(|(name, data)| (name.value, data.literal())).collect();
            What::Outputs { outputs, code: decl.status.map(i64::from).or(decl.exit.map(i64::from)) }
        }
        ["fails"] => What::Fails(decl.fails?),
        ["unknown"] => What::Unknown,
        [] => return unclear(node.span, "it says nothing", reader),
        several => return unclear(node.span, &format!("it says {}", several.join(" and ")), reader),
    };
    Some(Told { what, takes_ms: decl.takes.map(|takes| takes.0), at })
}

fn unclear(span: Span, found: &str, reader: &mut Reader<'_>) -> Option<Told> {
    let message = format!("what is answered is one thing, but {found}");
    let help = "status and body · exit and stdout · outputs · fails · unknown";
    reader.problems.push(Diagnostic::error("bad-value", span.at(reader.source), message).help(help));
    None
}

/// A text stays as it is, other data becomes JSON.
fn text(data: &Data) -> String {
    match data.literal() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl JsonSchema for Scenario {
    fn schema_name() -> Cow<'static, str> {
        "Scenario".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let told = generator.subschema_for::<ToldDecl>();
        let outcomes = json_schema!({"anyOf": [told, {"type": "array", "items": told}]});
        let parts = PARTS.map(|(name, _)| (name.to_owned(), Value::from(outcomes.clone())));
        let parts = Value::Object(parts.into_iter().collect());
        let kind = generator.subschema_for::<FaultKind>();
        let answer = generator.subschema_for::<AnswerDecl>();
        let ids = json_schema!({"type": "array", "items": {"type": "string"}});
        let wanted = json_schema!({"type": "object", "additionalProperties": {"type": "string"}});
        json_schema!({
            "description": "What the outside and people say in a rehearsal.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "start": {"type": "string", "description": "What the clock says at the start, such as 2026-01-05T09:00:00Z."},
                "seed": {"type": "integer", "minimum": 0, "description": "What is random comes from this number."},
                "steps": {
                    "type": "object",
                    "description": "What the outside answers, by answer id: one outcome or several, or those by what the step does.",
                    "additionalProperties": {"anyOf": [
                        told, {"type": "array", "items": told},
                        {"type": "object", "additionalProperties": false, "properties": parts}
                    ]}
                },
                "answers": {
                    "type": "object",
                    "description": "What people answer, by answer id.",
                    "additionalProperties": {"anyOf": [answer, {"type": ["string", "boolean", "number", "array", "object"]}]}
                },
                "absent": {"allOf": [ids], "description": "Questions that nobody answers: time passes instead."},
                "faults": {
                    "type": "object",
                    "description": "What goes wrong, by step: a kind of fault, or several.",
                    "additionalProperties": {"anyOf": [kind, {"type": "array", "items": kind}]}
                },
                "may_stay": {"allOf": [ids], "description": "Steps whose effect may stay where a later step would have changed it again."},
                "recorded": {
                    "type": "object",
                    "description": "Of a fixture that was recorded: where it comes from. Written by `rehearse --record`.",
                    "additionalProperties": false,
                    "required": ["run", "at"],
                    "properties": {
                        "run": {"type": "string", "description": "The run."},
                        "at": {"type": "string", "description": "When it began."},
                        "requests": {
                            "type": "object",
                            "description": "What was asked for, by step and part: a digest, and words for people.",
                            "additionalProperties": wanted
                        }
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<(&'static str, String)> {
        let (_, problems) = from_source(&Source::new("s.yaml", text));
        problems.into_iter().map(|problem| (problem.code, problem.message)).collect()
    }

    #[test]
    fn a_scenario_is_read() {
        let text = "start: 2026-01-05T09:00:00+01:00\nseed: 7\nsteps:\n  a: {status: 200, body: {n: 1}}\n  b:\n    do: [{fails: timeout}, {exit: 0, stdout: ok, takes: 2m}]\n    undo: {unknown: true}\n  c:x: {outputs: {name: x, n: [1]}}\nanswers:\n  go: {answer: approve, as: bob}\nabsent: [late]\nfaults: {a: dropped, b.undo: [failure, clock-back]}\nmay_stay: [b]\n";
        let (scenario, problems) = from_source(&Source::new("s.yaml", text));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(scenario.start.unwrap().to_string(), "2026-01-05T08:00:00.000Z");
        assert_eq!(scenario.seed, Some(7));
        let own = &scenario.steps["a"].parts[&Part::Own];
        let body = r#"{"n":1}"#.to_owned();
        assert_eq!(own[0].what, What::Http { status: 200, headers: BTreeMap::new(), body });
        let b = &scenario.steps["b"].parts;
        assert_eq!(b[&Part::Own][0].what, What::Fails(FailWord::Timeout));
        assert_eq!((b[&Part::Own][1].takes_ms, &b[&Part::Undo][0].what), (Some(120_000), &What::Unknown));
        assert_eq!(scenario.answers["go"].played_as.as_deref(), Some("bob"));
        let ids: Vec<&String> = scenario.ids().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a", "b", "c:x", "go", "late", "a", "b", "b", "b"]);
        let faults: Vec<String> = scenario.faults.iter().map(|(fault, _)| fault.to_string()).collect();
        assert_eq!(faults, ["a=dropped", "b.undo=failure", "b.undo=clock-back"]);
        assert!(scenario.may_stay.contains_key("b"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(codes("stat: x\n")[0].0, "unknown-key");
        assert_eq!(codes("steps: {a: {status: 200, exit: 0}}\n")[0].0, "bad-value");
        assert!(codes("steps: {a: {status: 200, exit: 0}}\n")[0].1.contains("status and exit"));
        assert_eq!(codes("steps: {a: {takes: 2m}}\n")[0].0, "bad-value");
        assert_eq!(codes("steps: {a: {do: {status: 200}, redo: {status: 1}}}\n")[0].0, "unknown-key");
        assert_eq!(codes("steps: {a: {fails: often}}\n")[0].0, "bad-value");
        assert_eq!(codes("start: tomorrow\n")[0].0, "bad-value");
        assert_eq!(codes("answers: {go: {anser: yes}}\n")[0].0, "unknown-key");
        assert_eq!(codes("faults: {go: oops}\n")[0].0, "bad-value");
    }
}
