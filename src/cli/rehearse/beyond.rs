//! What would have left this machine, told at the end: messages, files, hosts, and whom questions were passed on to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::ui::Ui;
use super::Rehearsed;
use crate::core::{AttemptRequest, Fact, Shape, State};
use crate::engine::rehearsal::beyond::{NOT_KEPT, NOT_SENT, note, subject, whom};
use crate::operator::Question;
use crate::plan::Action;

/// Each once, in the order in which they came.
#[derive(Default)]
pub(super) struct Beyond {
    messages: Vec<String>,
    files: Vec<String>,
    /// By host: what would have been done there.
    hosts: BTreeMap<String, BTreeSet<String>>,
    escalated: Vec<(String, Vec<String>)>,
}

/// Who could answer each question when it was passed on: the state of that moment says so.
fn entitled(rehearsed: &Rehearsed) -> Option<Vec<Vec<String>>> {
    let plan = &rehearsed.rest.plan;
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).ok()?), &rehearsed.rest.state.run.id);
    let mut out = Vec::new();
    for entry in &rehearsed.entries {
        for event in &entry.events {
            state.apply(entry.at, event).ok()?;
            if let Fact::AskEscalated { ask, .. } = &event.fact {
                let question = Question::of(plan, &state, *ask);
                out.push(question.map(|question| question.who.people).unwrap_or_default());
            }
        }
    }
    Some(out)
}

impl Beyond {
    pub(super) fn of(rehearsed: &Rehearsed) -> Self {
        let mut this = Self::default();
        let state = &rehearsed.rest.state;
        for event in rehearsed.entries.iter().flat_map(|entry| &entry.events) {
            let label = event.step.as_ref().map(|step| {
                let place = state.find_item(step, event.item);
                place.map_or_else(|| step.clone(), |(at, _)| state.shape().label(at))
            });
            let label = label.unwrap_or_default();
            match &event.fact {
                Fact::NoteRecorded {} => {
                    let text = note(event).unwrap_or_default();
                    this.messages.extend(text.strip_prefix(NOT_SENT).map(ToOwned::to_owned));
                    this.files.extend(text.strip_prefix(NOT_KEPT).map(ToOwned::to_owned));
                }
                Fact::AttemptStarted { .. } => {
                    let request = event.hidden.0.get("request");
                    let request = request.and_then(|text| serde_json::from_str::<AttemptRequest>(text).ok());
                    match request.map(|request| request.probe.action) {
                        Some(Action::Notify(notice)) => {
                            let subject = subject(&notice, &state.run.lang);
                            this.messages
                                .push(format!("{} would be told by `{label}`: {subject}", whom(&notice)));
                        }
                        Some(Action::Remote(call)) => {
                            this.hosts.entry(call.host.to_string()).or_default().insert(label);
                        }
                        _ => {}
                    }
                }
                Fact::AskEscalated { .. } => this.escalated.push((label, Vec::new())),
                _ => {}
            }
        }
        if !this.escalated.is_empty() {
            let people = entitled(rehearsed).unwrap_or_default();
            this.escalated.iter_mut().zip(people).for_each(|((_, known), people)| *known = people);
        }
        let mut seen = BTreeSet::new();
        this.messages.retain(|message| seen.insert(message.clone()));
        this
    }

    pub(super) fn say(&self, french: bool, ui: Ui) {
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        for (step, people) in &self.escalated {
            let to = pick("passée à", "passed on to");
            ui.told("", &format!("{step}: {to} {}", people.join(", ")));
        }
        let told = |title: &str, lines: &[String]| {
            lines.iter().for_each(|line| ui.told("", &format!("{title}: {line}")));
        };
        told(pick("message, non envoyé", "message, not sent"), &self.messages);
        told(pick("fichiers, non conservés", "files, not kept"), &self.files);
        for (host, steps) in &self.hosts {
            let steps = steps.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            ui.told("", &format!("{} {host}: {steps}", pick("hôte, non joint :", "host, not reached")));
        }
    }

    pub(super) fn json(&self) -> Value {
        let escalated = self.escalated.iter().map(|(step, people)| json!({"step": step, "people": people}));
        json!({
            "messages": self.messages, "files": self.files, "hosts": self.hosts,
            "escalated": escalated.collect::<Vec<_>>(),
        })
    }
}
