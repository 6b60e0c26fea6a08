//! What a rehearsal did, in the order in which it did it: read off its plan and its journal, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::core::event::Override;
use crate::core::{AskKind, AttemptRequest, AttemptResult, Event, Fact, ReversalEnd, Role, Shape, State};
use crate::journal::Entry;
use crate::operator::Question;
use crate::plan::{Action, Auth, Body, Plan, Program, ProgramCall, ShellCall};
use crate::runbook::template::{Rendered, Segment, Tree};

/// Everything that people ask about afterwards.
#[derive(Debug, Default)]
pub struct Trace {
    pub points: Vec<Point>,
    pub asked: Vec<Asked>,
    pub requests: Vec<Request>,
    /// `succeeded`, `failed`, …; `paused` where somebody would have had to answer.
    pub status: String,
    pub reason: String,
    pub open: Vec<String>,
}

/// Something that came to an end: a step, an item, a proof, a reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// As people write it: `suspend`, `suspend.undo`, `control_points/api`, `drain:web-01`.
    pub name: String,
    pub fate: String,
    pub reason: String,
    /// It belongs to the path: a step that was not skipped, or a reversal.
    pub walked: bool,
}

/// A question, as it was when it was asked.
#[derive(Debug)]
pub struct Asked {
    pub step: String,
    pub kind: String,
    pub by: Vec<String>,
    pub reason: String,
    pub prompt: String,
}

/// A request that was made.
#[derive(Debug)]
pub struct Request {
    pub step: String,
    pub part: &'static str,
    /// What filters see of it.
    pub document: Value,
}

/// Attempts that have begun: what for, and of what.
type Begun = BTreeMap<(Option<String>, Option<u32>, Option<u32>), (Role, Option<String>)>;

impl Trace {
    /// # Errors
    /// The entries are no history of this plan.
    pub fn of(plan: &Plan, run: &str, entries: &[Entry]) -> Result<Self, String> {
        let mut state = State::new(Arc::new(Shape::new(plan.graph.clone())?), run);
        let mut trace = Self::default();
        let mut begun = Begun::new();
        for entry in entries {
            for event in &entry.events {
                state.apply(entry.at, event).map_err(|illegal| illegal.to_string())?;
                trace.take(plan, &state, event, &mut begun);
            }
        }
        Ok(trace)
    }

    fn take(&mut self, plan: &Plan, state: &State, event: &Event, begun: &mut Begun) {
        let label = event.step.as_ref().map(|step| {
            let place = state.find_item(step, event.item);
            place.map_or_else(|| step.clone(), |(at, _)| state.shape().label(at))
        });
        let label = label.unwrap_or_default();
        let key = (event.step.clone(), event.item, event.attempt);
        match &event.fact {
            Fact::StepSettled { status, reason } => self.point(label, status.name(), reason, true),
            Fact::StepSkipped { reason, .. } => self.point(label, "skipped", &word(reason), false),
            Fact::StepOverridden { how } => {
                let again = matches!(how, Override::Retry | Override::NotDone | Override::GoOn);
                self.point(label, "overridden", how.name(), !again);
            }
            Fact::ReversalClosed { kind, how, .. } => {
                let walked = *how != ReversalEnd::NotChosen;
                self.point(format!("{label}.{}", word(kind)), &word(how), "", walked);
            }
            Fact::AskAnswered { part: Some(part), decision, .. } => {
                self.point(format!("{label}/{part}"), &word(decision), "", false);
            }
            Fact::AttemptStarted { role, part, .. } => {
                begun.insert(key, (*role, part.clone()));
                let request = event.hidden.0.get("request");
                if let Some(request) = request.and_then(|text| serde_json::from_str(text).ok()) {
                    self.requests.push(made(&label, &request));
                }
            }
            Fact::AttemptFinished { result, reason, .. } => {
                if let Some((role, part)) = begun.remove(&key)
                    && let Some(name) = probed(&label, role, part.as_deref())
                {
                    self.point(name, verdict(*result, reason), reason, false);
                }
            }
            Fact::AskOpened { ask, kind, reason, .. } => {
                let question = Question::of(plan, state, *ask);
                self.asked.push(asked(label, *kind, reason.as_deref(), question.as_ref()));
            }
            Fact::RunPaused { reason, .. } => {
                (self.status, self.reason) = ("paused".to_owned(), reason.clone());
                self.open = state.still_open();
            }
            Fact::RunFinished { status, reason, still_open } => {
                (self.status, self.reason) = (status.name().to_owned(), reason.clone());
                self.open.clone_from(still_open);
            }
            _ => {}
        }
    }

    fn point(&mut self, name: String, fate: &str, reason: &str, walked: bool) {
        let (fate, reason) = (fate.to_owned(), reason.to_owned());
        self.points.push(Point { name, fate, reason, walked });
    }
}

/// The name that something has in the journal.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn asked(step: String, kind: AskKind, reason: Option<&str>, question: Option<&Question>) -> Asked {
    Asked {
        step,
        kind: word(&kind),
        by: question.map(|question| question.who.people.clone()).unwrap_or_default(),
        reason: reason.unwrap_or_default().to_owned(),
        prompt: question.and_then(|question| question.prompt.clone()).unwrap_or_default(),
    }
}

/// What a probe is called; none for what does something.
fn probed(label: &str, role: Role, part: Option<&str>) -> Option<String> {
    Some(match role {
        Role::Do | Role::Undo | Role::PutBack => return None,
        Role::Item => format!("{label}/{}", part.unwrap_or_default()),
        Role::First => format!("{label}.first"),
        Role::Verify => format!("{label}.verify"),
        Role::OnlyIf => format!("{label}.only_if"),
        Role::Guard => label.to_owned(),
    })
}

fn verdict(result: AttemptResult, reason: &str) -> &'static str {
    match result {
        AttemptResult::Succeeded => "holds",
        AttemptResult::Failed if reason == crate::core::attempt::ABSENT => "absent",
        AttemptResult::Failed => "fails",
        AttemptResult::TimedOut | AttemptResult::Unknown => "unknown",
        AttemptResult::Cancelled => "cancelled",
    }
}

fn made(label: &str, request: &AttemptRequest) -> Request {
    let (part, step) = match request.role {
        Role::Do => ("do", label.to_owned()),
        Role::First => ("first", label.to_owned()),
        Role::Verify => ("verify", label.to_owned()),
        Role::Undo => ("undo", label.to_owned()),
        Role::PutBack => ("put_back", label.to_owned()),
        Role::OnlyIf => ("only_if", label.to_owned()),
        Role::Item => ("probe", format!("{label}/{}", request.part.as_deref().unwrap_or_default())),
        Role::Guard => ("guard", label.to_owned()),
    };
    let mut out = Map::new();
    action(&request.probe.action, &mut out);
    out.insert("step".to_owned(), step.clone().into());
    out.insert("part".to_owned(), part.into());
    out.insert("key".to_owned(), request.idempotency_key.clone().into());
    Request { step, part, document: Value::Object(out) }
}

fn action(action: &Action<Rendered>, out: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    match action {
        Action::Http(call) => {
            put("method", call.method.as_str().into());
            put("url", plain(&call.url).into());
            put("query", pairs(&call.query));
            put("headers", pairs(&call.headers));
            put(
                "auth",
                match &call.auth {
                    Auth::None => Value::Null,
                    Auth::Bearer(name) => format!("bearer {name}").into(),
                    Auth::Basic(user, name) => format!("basic {} {name}", plain(user)).into(),
                    Auth::Header(header, name) => format!("{header} {name}").into(),
                },
            );
            put(
                "body",
                match &call.body {
                    Body::None => Value::Null,
                    Body::Json(body) => tree(body),
                    Body::Form(fields) => pairs(fields),
                    Body::Text(text) => plain(text).into(),
                    Body::File(path) => json!({"file": plain(path)}),
                },
            );
        }
        Action::Shell(call) => script(call, out),
        Action::Argv(call) => program(call, out),
        Action::Remote(call) => {
            put("host", plain(&call.host).into());
            match &call.program {
                Program::Shell(call) => script(call, out),
                Program::Argv(call) => program(call, out),
            }
        }
        Action::Notify(notice) => {
            put("to", notice.to.iter().map(|to| Value::from(to.name.as_str())).collect());
            let pages = notice.pages().into_iter();
            let pages = pages.map(|(lang, subject, text)| {
                (lang.to_string(), json!({"subject": plain(subject), "text": plain(text)}))
            });
            put("letters", Value::Object(pages.collect()));
        }
    }
}

fn script(call: &ShellCall<Rendered>, out: &mut Map<String, Value>) {
    out.insert("shell".to_owned(), call.script.as_str().into());
    out.insert("env".to_owned(), pairs(&call.env));
    out.insert("cwd".to_owned(), call.cwd.as_ref().map(plain).into());
}

fn program(call: &ProgramCall<Rendered>, out: &mut Map<String, Value>) {
    out.insert("argv".to_owned(), call.argv.iter().map(|word| Value::from(plain(word))).collect());
    out.insert("env".to_owned(), pairs(&call.env));
    out.insert("cwd".to_owned(), call.cwd.as_ref().map(plain).into());
}

fn pairs(pairs: &[(String, Rendered)]) -> Value {
    let pairs = pairs.iter().map(|(name, value)| (name.clone(), Value::from(plain(value))));
    Value::Object(pairs.collect())
}

/// What is no text stands as it stands before people: a secret by its name.
fn plain(text: &Rendered) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Text(text) => text.clone(),
        Segment::Secret(name) => format!("<secret {name}>"),
        Segment::Later(expr) => format!("<later {expr}>"),
        Segment::Work => "<run.work>".to_owned(),
    };
    text.segments().iter().map(part).collect()
}

fn tree(body: &Tree<Rendered>) -> Value {
    match body {
        Tree::Null => Value::Null,
        Tree::Bool(yes) => (*yes).into(),
        Tree::Number(number) => serde_json::from_str(number).unwrap_or_else(|_| number.as_str().into()),
        Tree::Text(text) => plain(text).into(),
        Tree::List(list) => list.iter().map(tree).collect(),
        Tree::Map(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.clone(), tree(value))).collect())
        }
    }
}
