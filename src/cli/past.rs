//! What became of the last runs of each runbook, as the ledger of this home has it. Rehearsals stand in no ledger: of them
//! the folders tell. Reads only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::drive::journal_error;
use super::error::CliError;
use super::home::Home;
use crate::clock::Timestamp;
use crate::core::Fact;
use crate::journal::Journal;
use crate::plan::Mode;
use crate::record::build::{self, is_complete};
use crate::record::coverage::written;
use crate::record::ledger::{Ledger, Moment};

const DAY_MS: u64 = 86_400_000;

/// The last runs, by runbook and mode.
#[derive(Default)]
pub(super) struct Past(BTreeMap<(String, &'static str), Last>);

/// The run of a runbook that was started last.
#[derive(Clone)]
pub(super) struct Last {
    run: String,
    /// When it ended, or else began.
    at: Timestamp,
    /// Absent while it is not over.
    status: Option<String>,
}

impl Past {
    /// # Errors
    /// The ledger cannot be read, or is damaged.
    pub(super) fn of(home: &Home) -> Result<Self, CliError> {
        let mut last: BTreeMap<(String, &'static str), Last> = BTreeMap::new();
        for line in Ledger::of(&home.root).lines().map_err(|error| journal_error(&error))? {
            let key = (line.runbook, line.mode.name());
            let run = Last { run: line.run, at: line.at, status: line.status };
            match (line.moment, last.get_mut(&key)) {
                (Moment::Start, _) => drop(last.insert(key, run)),
                (Moment::End, Some(known)) if known.run == run.run => *known = run,
                // It ended after a later one had begun; or it lost a target, which ends nothing.
                (Moment::End | Moment::Unlocked | Moment::Reviewed, _) => {}
            }
        }
        rehearsals(home, &mut last);
        Ok(Self(last))
    }

    pub(super) fn last(&self, runbook: &str, mode: Mode) -> Option<&Last> {
        self.0.get(&(runbook.to_owned(), mode.name()))
    }
}

/// The last rehearsal of each runbook that came to its end. What cannot be read tells nothing.
fn rehearsals(home: &Home, last: &mut BTreeMap<(String, &'static str), Last>) {
    let mut newest: BTreeMap<String, (Timestamp, String)> = BTreeMap::new();
    for id in home.run_ids().unwrap_or_default() {
        let dir = home.runs.join(&id);
        // Each is named so; the graph says whether it is one.
        let graph = id.starts_with("rehearsal-").then(|| build::graph(&dir).ok()).flatten();
        let Some(graph) = graph.filter(|graph| graph.mode == Mode::Rehearsal && is_complete(&dir)) else {
            continue;
        };
        let Some(at) = written(&dir) else { continue };
        if newest.get(&graph.runbook).is_none_or(|(known, _)| *known < at) {
            newest.insert(graph.runbook, (at, id));
        }
    }
    for (runbook, (at, run)) in newest {
        let entries = Journal::read(&home.runs.join(&run)).unwrap_or_default();
        let mut ends = entries.iter().flat_map(|entry| &entry.events).filter_map(|event| match &event.fact {
            Fact::RunFinished { status, .. } => Some(status.name().to_owned()),
            _ => None,
        });
        let status = ends.next_back();
        last.insert((runbook, Mode::Rehearsal.name()), Last { run, at, status });
    }
}

impl Last {
    /// The day, how it ended, and how long ago that is.
    pub(super) fn shown(&self, french: bool, now: Timestamp) -> String {
        let days = now.since(self.at) / DAY_MS;
        let ago = match (days, french) {
            (0, true) => "aujourd'hui".to_owned(),
            (0, false) => "today".to_owned(),
            (1, true) => "il y a 1 jour".to_owned(),
            (1, false) => "1 day ago".to_owned(),
            (days, true) => format!("il y a {days} jours"),
            (days, false) => format!("{days} days ago"),
        };
        let at = self.at.to_string();
        let day = at.split('T').next().unwrap_or(&at);
        let status = match (self.status.as_deref(), french) {
            (None, true) => "pas terminé",
            (None, false) => "not over",
            (Some("succeeded"), true) => "réussi",
            (Some("failed"), true) => "échoué",
            (Some("refused"), true) => "refusé",
            (Some("cancelled"), true) => "annulé",
            (Some(other), _) => other,
        };
        format!("{day} {status} ({ago})")
    }

    pub(super) fn json(&self) -> Value {
        json!({"run": self.run, "at": self.at, "status": self.status})
    }
}
