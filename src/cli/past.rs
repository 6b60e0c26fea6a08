//! What became of the last runs of each runbook, as the ledger of this home has it. Reads only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::drive::journal_error;
use super::error::CliError;
use super::home::Home;
use crate::clock::Timestamp;
use crate::plan::Mode;
use crate::record::ledger::{Ledger, Moment};

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
        Ok(Self(last))
    }

    pub(super) fn last(&self, runbook: &str, mode: Mode) -> Option<&Last> {
        self.0.get(&(runbook.to_owned(), mode.name()))
    }
}

impl Last {
    /// The day and how it ended.
    pub(super) fn shown(&self, french: bool) -> String {
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
        format!("{day} {status}")
    }

    pub(super) fn json(&self) -> Value {
        json!({"run": self.run, "at": self.at, "status": self.status})
    }
}
