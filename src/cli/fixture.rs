//! Fixtures beside runbooks: which there are, whether they fit, and what of them is not so any more. Shared by every verb
//! that rehearses, and by those that look at them.

mod listed;
pub(super) mod recording;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub(super) use listed::Listing;

use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::diag::Diagnostic;
use crate::engine::rehearsal::drift::{self, Drift};
use crate::engine::rehearsal::past::Real;
use crate::plan::{Mode, Plan};
use crate::runbook::scenario::{self, Scenario};

/// How the names of fixtures end, behind the name of the runbook, in the order in which they are asked.
const ENDINGS: [&str; 2] = ["fixture.yaml", "fixture.har"];

/// Days after which a fixture is called old, where nobody says otherwise.
pub(super) const OLD: u32 = 90;

/// The fixtures beside a runbook.
pub(super) fn beside(runbook: &Path) -> Vec<PathBuf> {
    ENDINGS.iter().map(|ending| runbook.with_extension(ending)).filter(|file| file.is_file()).collect()
}

/// What does not fit the runbook. A recorded fixture that speaks of a step that is gone drifts; in one that somebody
/// wrote it is a slip.
pub(super) fn misfits(fixture: &Scenario, plan: &Plan) -> Vec<Diagnostic> {
    let slips =
        fixture.ids().filter(|(id, _)| fixture.recorded.is_none() || !fixture.steps.contains_key(*id));
    drive::unknown_steps(slips, plan)
}

/// A fixture that fits the plan.
pub(super) fn read(file: &Path, plan: &Plan) -> Result<Scenario, CliError> {
    let (fixture, mut problems) = scenario::read(file);
    problems.extend(misfits(&fixture, plan));
    if crate::diag::has_errors(&problems) {
        let message = format!("{} does not fit the runbook; nothing was rehearsed", file.display());
        return Err(CliError::new(Exit::Invalid, message).with(problems));
    }
    Ok(fixture)
}

/// What drifts, file by file.
#[derive(Default)]
pub(super) struct Drifting(Vec<(PathBuf, Drift)>);

impl Drifting {
    /// Takes in a fixture. What stands in the record about it comes back: all but its age, which is another one every
    /// day.
    pub(super) fn take(
        &mut self,
        file: &Path,
        fixture: &Scenario,
        plan: &Plan,
        newest: Option<&Real>,
        max_days: Option<u32>,
    ) -> Vec<String> {
        let found = drift::of(fixture, plan, newest);
        let notes = found.iter().map(|drift| format!("drifting fixture: {}", drift.says(false))).collect();
        let old = max_days.and_then(|days| drift::age(fixture, drive::clock().now(), days));
        self.0.extend(found.into_iter().chain(old).map(|drift| (file.to_owned(), drift)));
        notes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For people.
    pub(super) fn say(&self, french: bool, ui: Ui) {
        for line in self.lines(french) {
            ui.told("", &line);
        }
    }

    pub(super) fn lines(&self, french: bool) -> Vec<String> {
        let title = if french { "enregistrement à revoir" } else { "drifting" };
        let line = |(file, drift): &(PathBuf, Drift)| {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            format!("{title}: {name}: {}", drift.says(french))
        };
        self.0.iter().map(line).collect()
    }

    pub(super) fn json(&self) -> Value {
        let one = |(file, drift): &(PathBuf, Drift)| {
            json!({
                "file": file.display().to_string(),
                "place": drift.place,
                "kind": drift.why.kind(),
                "because": drift.why.says(false),
            })
        };
        self.0.iter().map(one).collect()
    }
}

/// The newest real run of a runbook that is over and can be read.
///
/// # Errors
/// The folder of the runs cannot be read.
pub(super) fn newest(home: &Home, runbook: &str) -> Result<Option<Real>, CliError> {
    let mut newest: Option<Real> = None;
    for id in home.run_ids()? {
        let dir = home.runs.join(&id);
        // Most are of other runbooks: their graph says so.
        let Ok(graph) = crate::record::build::graph(&dir) else { continue };
        if graph.runbook != runbook || graph.mode == Mode::Rehearsal {
            continue;
        }
        // What cannot be read is for `verify` to complain about.
        let Ok(found) = Real::read(&dir) else { continue };
        let later = newest.as_ref().is_none_or(|known| known.state.run.started < found.state.run.started);
        if found.is_of_use() && later {
            newest = Some(found);
        }
    }
    Ok(newest)
}
