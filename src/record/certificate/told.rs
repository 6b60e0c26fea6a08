//! What a certificate repeats of the record of a rehearsal: what it was, what it proved and what not, and who answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::core::{Fact, How, Status};
use crate::record::history::History;
use crate::record::origin::{self, Origin};

/// What the notes of the executor about faults begin with.
const FAULT: &str = "fault: ";

/// The rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rehearsal {
    pub run: String,
    /// Of its journal.
    pub lines: u64,
    /// Root over them, in base64.
    pub root: String,
    pub environment: Option<String>,
    /// When it was made, by the clock of the machine: its own is made up.
    pub on: Timestamp,
}

/// What it proved, and what it could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// How it ended.
    pub ending: String,
    /// How many attempts were answered from where: `scenario`, `fixture`, `run`, `placeholder`, `live`, `fault`.
    pub answers: BTreeMap<String, u64>,
    /// Attempts that were answered with something made up, as a whole or in some of their outputs.
    pub made_up: Vec<String>,
    /// What went wrong on purpose.
    pub faults: Vec<String>,
    /// Steps that were not done, with what became of them.
    pub not_done: BTreeMap<String, String>,
}

/// Somebody who answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answered {
    pub who: String,
    pub how: How,
    /// Of a played answer: the user at the terminal.
    pub played_by: Option<String>,
    pub answers: u64,
}

impl Proof {
    pub fn of(history: &History) -> Self {
        let events = || history.entries.iter().flat_map(|entry| &entry.events);
        let rows = origin::rows(events(), &history.state);
        let mut answers = BTreeMap::new();
        for row in &rows {
            *answers.entry(kind(&row.origins.whole).to_owned()).or_default() += 1;
        }
        let made_up: BTreeSet<String> =
            rows.iter().filter(|row| row.origins.is_made_up()).map(|row| row.place.clone()).collect();
        let mut faults: BTreeSet<String> = rows
            .iter()
            .filter_map(|row| match &row.origins.whole {
                Origin::Fault(kind) => Some(format!("{}={kind}", row.place)),
                _ => None,
            })
            .collect();
        let notes = events().filter(|event| matches!(event.fact, Fact::NoteRecorded {}));
        let noted = notes.filter_map(|event| event.hidden.text("text"));
        faults.extend(noted.filter_map(|text| Some(text.strip_prefix(FAULT)?.to_owned())));
        let state = &history.state;
        let steps = state.places().map(|at| (state.shape().label(at), state.step(at).status));
        let not_done = steps.filter(|(_, status)| *status != Status::Succeeded);
        Self {
            ending: state.status().name().to_owned(),
            answers,
            made_up: made_up.into_iter().collect(),
            faults: faults.into_iter().collect(),
            not_done: not_done.map(|(step, status)| (step, status.name().to_owned())).collect(),
        }
    }
}

impl Answered {
    /// Everybody who answered something, each with how often.
    pub fn of(history: &History) -> Vec<Self> {
        let mut count = BTreeMap::new();
        for event in history.entries.iter().flat_map(|entry| &entry.events) {
            if let (Fact::AskAnswered { .. }, Some(actor)) = (&event.fact, &event.actor) {
                *count.entry(actor.clone()).or_default() += 1;
            }
        }
        let of = |(actor, answers): (crate::core::Actor, u64)| Self {
            who: actor.who,
            how: actor.how,
            played_by: actor.played_by,
            answers,
        };
        count.into_iter().map(of).collect()
    }
}

const fn kind(origin: &Origin) -> &'static str {
    match origin {
        Origin::Scenario => "scenario",
        Origin::Fixture => "fixture",
        Origin::Run(_) => "run",
        Origin::Placeholder => "placeholder",
        Origin::Live => "live",
        Origin::Fault(_) => "fault",
    }
}
