//! Somebody who says yes to everything: for rehearsals in which nobody is asked and nothing must wait.
//!
//! What it says is what a person would say who wants the procedure to go on and everything to be put back: gates are
//! opened by whoever may, lists are confirmed, what failed is undone and ended, toggles are put back. It plays people, so
//! the core refuses it anywhere else.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::evidence::EvidenceStore;
use super::question::{Field, Question, actor};
use super::{Operator, Reply};
use crate::core::state::ItemState;
use crate::core::{Actor, Answer, AskKind, How, Refused};
use crate::plan::{Evidence, InputKind};

/// When somebody looks again at what could not be put back.
const REVIEW_AT: &str = "2030-01-01T00:00:00Z";

/// An operator that answers by itself.
pub struct StandIn {
    me: String,
    /// Everybody whom it may play.
    people: Vec<String>,
    evidence: Box<dyn EvidenceStore>,
    /// What stands for every evidence.
    proof: PathBuf,
    replies: UnboundedSender<Reply>,
    /// What is left to be tried, by question.
    left: BTreeMap<u32, VecDeque<Answer>>,
    /// How often each step was asked about being put back.
    put_back: BTreeMap<String, u32>,
}

impl StandIn {
    pub fn new(
        me: &str,
        people: Vec<String>,
        (evidence, proof): (Box<dyn EvidenceStore>, PathBuf),
        replies: UnboundedSender<Reply>,
    ) -> Self {
        let me = me.to_owned();
        Self { me, people, evidence, proof, replies, left: BTreeMap::new(), put_back: BTreeMap::new() }
    }

    fn next(&mut self, ask: u32) {
        let answer = self.left.get_mut(&ask).and_then(VecDeque::pop_front);
        // A driver that does not listen any more is about to close.
        let _ = answer.map(|answer| self.replies.send(Reply::Answer(Box::new(answer))));
    }

    /// What could be said, the likeliest first.
    fn answers(&mut self, question: &Question) -> VecDeque<Answer> {
        let values = self.values(question);
        let part = question.open_items().next().map(|item| item.id.clone());
        let wanted = question.evidence == Evidence::Required
            || question.open_items().next().is_some_and(|item| item.evidence == Evidence::Required);
        let evidence = if wanted { self.evidence.keep(&self.proof).ok() } else { None };
        let said = |actor: &Actor, value: &Value| Answer {
            ask: question.ask,
            part: part.clone(),
            value: value.clone(),
            comment: Some("said by the stand-in of a rehearsal".to_owned()),
            evidence: evidence.clone().into_iter().collect(),
            actor: actor.clone(),
            shown: None,
        };
        let own = actor(&self.me, None, How::Answers);
        let played = self.people.iter().map(|who| actor(&self.me, Some(who), How::Answers));
        let given = |who: &Actor| question.given.iter().any(|given| given.actor.who == who.who);
        let gate = matches!(question.kind, AskKind::Approve | AskKind::Confirm);
        let people: Vec<Actor> =
            std::iter::once(own).chain(played).filter(|who| !gate || !given(who)).collect();
        values
            .iter()
            .flat_map(|value| people.iter().map(|who| said(who, value)).collect::<Vec<_>>())
            .collect()
    }

    fn values(&mut self, question: &Question) -> Vec<Value> {
        let outputs: Map<String, Value> = question
            .outputs
            .iter()
            .filter(|output| output.needed)
            .map(|output| (output.name.clone(), sample(&output.kind, &output.name)))
            .collect();
        let words = |words: &[&str]| words.iter().map(|word| json!(word)).collect::<Vec<_>>();
        let with_outputs = |all: &[&str]| {
            all.iter().map(|word| json!({"choice": word, "outputs": outputs})).collect::<Vec<_>>()
        };
        match question.kind {
            AskKind::Approve => words(&["approve"]),
            AskKind::Confirm => vec![json!(question.typed.as_deref().unwrap_or("yes"))],
            AskKind::Canary => words(&["yes"]),
            AskKind::Manual => words(&["done"]),
            AskKind::Checklist => {
                let refuted = question.open_items().next().map(|item| item.state) == Some(ItemState::Refuted);
                words(if refuted { &["by_hand", "no"] } else { &["yes", "by_hand"] })
            }
            AskKind::Input => {
                let field = |field: &Field| (field.name.clone(), field_value(field));
                vec![Value::Object(question.fields.iter().map(field).collect())]
            }
            AskKind::Choice => {
                let least = question.many.map_or(1, |many| many.min.max(1)) as usize;
                let ids: Vec<&String> =
                    question.options.iter().take(least).map(|option| &option.id).collect();
                vec![if question.many.is_some() { json!(ids) } else { json!(ids.first()) }]
            }
            AskKind::Failure | AskKind::Unknown => {
                [words(&["undo_end", "end"]), with_outputs(&["by_hand", "not_done", "done", "skip"])].concat()
            }
            AskKind::Guard => words(&["end", "go_on"]),
            AskKind::PutBack => {
                let asked = self.put_back.entry(question.step.clone()).or_default();
                *asked += 1;
                let leave = json!({"choice": "leave_open", "owner": self.me, "review_at": REVIEW_AT});
                if *asked > 1 { vec![leave] } else { vec![json!("put_back"), leave] }
            }
        }
    }
}

impl Operator for StandIn {
    fn ask(&mut self, question: Question) {
        let answers = self.answers(&question);
        self.left.insert(question.ask, answers);
        self.next(question.ask);
    }

    fn withdraw(&mut self, ask: u32, _note: &str) {
        self.left.remove(&ask);
    }

    fn refused(&mut self, ask: u32, _why: &Refused) {
        self.next(ask);
    }

    fn say(&mut self, _line: &str) {}

    fn redraw(&mut self) {}

    fn forget(&mut self) {
        self.left.clear();
    }

    fn close(&mut self) {}
}

fn field_value(field: &Field) -> Value {
    let one = field.one_of.as_ref().and_then(|all| all.first());
    if let Some(value) = field.default.as_ref().or(one) {
        return value.clone();
    }
    match field.min {
        Some(min) if matches!(field.kind, InputKind::Integer) => json!(min.ceil() as i64),
        Some(min) if matches!(field.kind, InputKind::Number) => json!(min),
        _ => sample(&field.kind, &field.name),
    }
}

fn sample(kind: &InputKind, name: &str) -> Value {
    match kind {
        InputKind::Any | InputKind::String | InputKind::File => json!(format!("placeholder-{name}")),
        InputKind::Integer => json!(1),
        InputKind::Number => json!(1.5),
        InputKind::Boolean => json!(true),
        InputKind::Datetime => json!("2026-01-05T09:00:00Z"),
        InputKind::List(kind) => json!([sample(kind, name)]),
    }
}
