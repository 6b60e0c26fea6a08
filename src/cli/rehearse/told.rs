//! How a rehearsal ends for whoever made it: what was walked, what was proved, and what was not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::args::DriveArgs;
use super::super::drive;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::fixture::Drifting;
use super::super::ui::Ui;
use super::super::verify::{one_line, verified_as_rehearsal};
use super::Rehearsed;
use super::beyond::Beyond;
use super::resume::name_of;
use super::wished::Aftermath;
use crate::core::{Fact, Role, RunStatus, Status};
use crate::engine::local::Stopped;
use crate::journal::Journal;
use crate::record::origin::{self, Origin, Row};
use crate::record::verify::Overall;

/// What a rehearsal proved, and what it could not.
struct Tally {
    /// How many attempts by where their answers come from, as people read it.
    from: BTreeMap<String, usize>,
    /// What was made up: places, and outputs of others.
    made_up: BTreeSet<String>,
    /// Steps, reversals and answers that never came to pass.
    not_walked: Vec<String>,
}

pub(super) fn report(
    rehearsed: &Rehearsed,
    drifting: &Drifting,
    common: &DriveArgs,
    ui: Ui,
) -> Result<Exit, CliError> {
    let rest = &rehearsed.rest;
    let (state, french) = (&rest.state, rest.state.run.lang == "fr");
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let entries = Journal::read(&rest.dir).map_err(|error| drive::journal_error(&error))?;
    let rows = origin::rows(entries.iter().flat_map(|entry| &entry.events), state);
    let tally = Tally::of(&rows, rehearsed, french);
    let beyond = Beyond::of(rehearsed);
    let aftermath = Aftermath::of(rehearsed, rest.stopped == Stopped::Finished);
    let exit = match (rest.stopped, state.status()) {
        (Stopped::Finished, RunStatus::Succeeded) => Exit::Done,
        (Stopped::Finished, _) => Exit::RunFailed,
        (Stopped::Parked, _) => Exit::Waiting,
    };
    if ui.json {
        let mut value = super::super::show::summary(state, &rest.dir, Some(&rest.head));
        value["rehearsal"] = json!({
            "from": tally.from, "made_up": tally.made_up, "not_walked": tally.not_walked,
            "unused": rehearsed.unused, "beyond": beyond.json(), "drifting": drifting.json(),
        });
        if let Some(aftermath) = &aftermath {
            value["rehearsal"]["faults"] = aftermath.json();
        }
        ui.json(&value);
        return Ok(exit);
    }
    match &state.run.finished {
        Some(finished) => {
            ui.say(&format!("{}: {} ({})", state.run.id, finished.status.name(), finished.reason));
            for open in &finished.still_open {
                ui.say(&format!("{}: {open}", pick("encore ouvert", "still open")));
            }
        }
        None => stands_still(rehearsed, common, french, ui)?,
    }
    tally.say(&rehearsed.unused, french, ui);
    beyond.say(french, ui);
    drifting.say(french, ui);
    if let Some(aftermath) = &aftermath {
        aftermath.say(french, ui);
    }
    ui.say(&format!("{}: {}", pick("dossier", "record"), rest.dir.display()));
    if rest.stopped == Stopped::Finished {
        let found = verified_as_rehearsal(&rest.dir)?;
        ui.say(&one_line(&found, french));
        if found.overall() == Overall::Failed {
            return Ok(Exit::Damaged);
        }
    }
    let head = pick("tête du journal", "journal head");
    ui.say(&format!("{head}: {} {}", rest.head.size, rest.head.root_base64()));
    Ok(exit)
}

/// Why it stands still, what it waits for, and how it goes on.
fn stands_still(rehearsed: &Rehearsed, common: &DriveArgs, french: bool, ui: Ui) -> Result<(), CliError> {
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let (rest, interrupted) = (&rehearsed.rest, was_interrupted(rehearsed));
    let why = match interrupted {
        true => pick("interrompue", "interrupted"),
        false => pick("personne ne répond", "nobody answers"),
    };
    ui.say(&format!("{}: {why}", rest.state.run.id));
    for line in super::super::waiting::waits(&rest.plan, &rest.state) {
        ui.told("  ", &line);
    }
    let goes_on = format!("consigne resume {}", name_of(&rest.dir, common)?);
    let how = pick("à un terminal ou avec --answers FICHIER", "at a terminal or with --answers FILE");
    ui.hint(&if interrupted { goes_on } else { format!("{goes_on}, {how}") });
    Ok(())
}

/// Whether it stands still because somebody wanted it to.
fn was_interrupted(rehearsed: &Rehearsed) -> bool {
    let events = rehearsed.entries.iter().rev().flat_map(|entry| &entry.events);
    let mut paused = events.filter_map(|event| match &event.fact {
        Fact::RunPaused { reason, .. } => Some(reason == "interrupted"),
        _ => None,
    });
    paused.next().unwrap_or(false)
}

impl Tally {
    fn of(rows: &[Row], rehearsed: &Rehearsed, french: bool) -> Self {
        let mut from = BTreeMap::new();
        let mut made_up = BTreeSet::new();
        for Row { place, role, origins } in rows {
            *from.entry(origins.whole.in_lang(french)).or_default() += 1;
            let place = if *role == Role::Do { place.clone() } else { format!("{place} ({})", role.name()) };
            if origins.whole == Origin::Placeholder {
                made_up.insert(place);
                continue;
            }
            let outputs = origins.outputs.iter().filter(|(_, origin)| **origin == Origin::Placeholder);
            made_up.extend(outputs.map(|(name, _)| format!("{place}: {name}")));
        }
        Self { from, made_up, not_walked: not_walked(rows, rehearsed) }
    }

    fn say(&self, unused: &[String], french: bool, ui: Ui) {
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        let from = self.from.iter().map(|(origin, count)| format!("{count} {origin}"));
        let from = from.collect::<Vec<_>>().join(", ");
        let nothing = pick("rien", "nothing").to_owned();
        ui.say(&format!(
            "{}: {}",
            pick("réponses du dehors, par origine", "answers of the outside, by origin"),
            if from.is_empty() { &nothing } else { &from }
        ));
        let lists = [
            (pick("non prouvé, car inventé", "not proved, being made up"), self.made_up.iter().collect()),
            (pick("non parcouru", "not walked"), self.not_walked.iter().collect::<Vec<_>>()),
            (pick("prévu et jamais demandé", "given and never asked for"), unused.iter().collect()),
        ];
        for (title, list) in lists {
            if !list.is_empty() {
                ui.told("", &format!("{title}: {}", shortened(&list)));
            }
        }
    }
}

/// Enough of a list to see what it is about.
fn shortened(list: &[&String]) -> String {
    const NAMED: usize = 24;
    let named = list.iter().take(NAMED).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}, … (+{more})"),
    }
}

/// Steps that were skipped or never came, and reversals that nothing called for.
fn not_walked(rows: &[Row], rehearsed: &Rehearsed) -> Vec<String> {
    let state = &rehearsed.rest.state;
    let walked: BTreeSet<(&str, Role)> = rows.iter().map(|row| (row.place.as_str(), row.role)).collect();
    let mut out = Vec::new();
    for at in state.places() {
        let (node, label) = (state.shape().node(at), state.shape().label(at));
        if matches!(state.step(at).status, Status::Pending | Status::Skipped) {
            out.push(label);
            continue;
        }
        for (has, role) in [(node.undo, Role::Undo), (node.put_back.is_some(), Role::PutBack)] {
            if has && !walked.contains(&(label.as_str(), role)) {
                out.push(format!("{label} ({})", role.name()));
            }
        }
    }
    out
}
