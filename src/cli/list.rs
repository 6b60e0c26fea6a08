//! `consigne list`: the runs, newest last, with what waits for people and what is still switched.

use std::path::Path;

use super::args::ListArgs;
use super::busy;
use super::drive::shown_name;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::review;
use super::show::{Seen, look, seen_summary};
use super::ui::Ui;
use super::waiting::{self, UNSEALED, standing};
use crate::engine::rehearsal::frozen::is_frozen;
use crate::plan::Mode;

pub(super) fn list(args: &ListArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let (mut damaged, mut shown, now) = (false, 0, super::drive::clock().now());
    for id in home.run_ids()? {
        let dir = home.runs.join(&id);
        let seen = match look(&dir) {
            Ok(seen) => seen,
            Err(error) => {
                damaged |= error.exit == Exit::Damaged;
                if args.json {
                    ui.json(&serde_json::json!({"run": id, "dir": dir, "error": error.message}));
                } else {
                    ui.listed("", &format!("{id}  damaged or unreadable: {}", error.message));
                }
                shown += 1;
                continue;
            }
        };
        let Seen { plan, state, driven } = seen;
        if plan.graph.mode == Mode::Rehearsal {
            shown += rehearsal(&Seen { plan, state, driven }, (&dir, &id), &home, args);
            continue;
        }
        let open = waiting::toggles(&state);
        let status = standing(&state, driven, &dir);
        let done = state.run.finished.is_some() && status != UNSEALED;
        let glass = review::of_run(&dir, &home, &state);
        let unreviewed = glass.iter().any(review::is_open);
        if done && open.is_empty() && !unreviewed && !args.all {
            continue;
        }
        shown += 1;
        if args.json {
            let mut value = seen_summary(&state, &dir, driven);
            value["broken_glass"] = review::json(&glass, now);
            ui.json(&value);
            continue;
        }
        let title = plan.title(&state.run.lang);
        let french = state.run.lang == "fr";
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        ui.listed("", &format!("{id}  {:<9} {:<11} {title}", plan.graph.mode.name(), status));
        if driven {
            ui.data(pick("    menée par un processus", "    driven by a process"));
        }
        let waits = waiting::waits(&plan, &state);
        for line in &waits {
            ui.listed("    ", line);
        }
        if status == UNSEALED {
            let why = pick("le dossier n'est pas complet :", "the record is not complete:");
            ui.data(&format!("    {why} consigne resume {}", shown_name(&id, &dir, &home)));
        } else if !driven && !done && (waits.is_empty() || status == "interrupted") {
            let how = pick("pour continuer :", "goes on with:");
            ui.data(&format!("    {how} consigne resume {}", shown_name(&id, &dir, &home)));
        }
        for line in glass.iter().flat_map(|gate| review::lines(gate, french, now)) {
            ui.listed("    ", &line);
        }
        for toggle in open {
            ui.listed("    ", &format!("{} {toggle}", pick("ENCORE BASCULÉ :", "OPEN TOGGLE:")));
        }
    }
    shown += queue(&home, ui)?;
    if shown == 0 && !args.json {
        ui.say(if args.all { "no runs" } else { "nothing waits; `consigne list --all` shows finished runs" });
    }
    Ok(if damaged { Exit::Damaged } else { Exit::Done })
}

/// A rehearsal, if it is to be shown: how many are. Nothing of it is real: nobody is waited for, and nothing is switched.
/// One that stands still is gone on with by its folder, since several may have the same id.
fn rehearsal(seen: &Seen, (dir, id): (&Path, &str), home: &Home, args: &ListArgs) -> usize {
    let (ui, Seen { plan, state, driven }) = (Ui::new(args.json), seen);
    let goes_on = !driven && state.run.finished.is_none() && is_frozen(dir);
    if !args.all && !goes_on {
        return 0;
    }
    if ui.json {
        ui.json(&seen_summary(state, dir, false));
        return 1;
    }
    let title = plan.values.title.in_lang(&state.run.lang).cloned().unwrap_or_default();
    let (mode, status) = (plan.graph.mode.name(), state.status().name());
    ui.listed("", &format!("{id}  {mode:<9} {status:<11} {title}"));
    if goes_on {
        let usual = home.runs == home.root.join("runs");
        let name = if usual { id.to_owned() } else { dir.display().to_string() };
        let how = if state.run.lang == "fr" { "pour continuer :" } else { "goes on with:" };
        ui.data(&format!("    {how} consigne resume {name}"));
    }
    1
}

/// Says who waits for which targets, and how many they are.
fn queue(home: &Home, ui: Ui) -> Result<usize, CliError> {
    let all = busy::queued(home)?;
    for queued in &all {
        if ui.json {
            ui.json(&queued.json());
        } else {
            ui.listed("", &queued.line());
        }
    }
    Ok(all.len())
}
