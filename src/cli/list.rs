//! `consigne list`: the runs, newest last, with what waits for people and what is still switched.

use super::args::ListArgs;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::{Seen, look, summary, waiting_for};
use super::ui::Ui;
use crate::record::build::is_complete;

pub(super) fn list(args: &ListArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let (mut damaged, mut shown) = (false, 0);
    for id in home.run_ids()? {
        let dir = home.runs.join(&id);
        let seen = match look(&dir) {
            Ok(seen) => seen,
            Err(error) => {
                damaged |= error.exit == Exit::Damaged;
                if args.json {
                    ui.json(&serde_json::json!({"run": id, "dir": dir, "error": error.message}));
                } else {
                    ui.data(&format!("{id}  unreadable: {}", error.message));
                }
                shown += 1;
                continue;
            }
        };
        let Seen { plan, state, driven } = seen;
        let open = state.still_open();
        // A crash during the sealing leaves a run that is over and keeps its locks.
        let unsealed = state.run.finished.is_some() && !driven && !is_complete(&dir);
        if state.run.finished.is_some() && open.is_empty() && !unsealed && !args.all {
            continue;
        }
        shown += 1;
        if args.json {
            let mut value = summary(&state, &dir, None);
            value["driven"] = driven.into();
            ui.json(&value);
            continue;
        }
        let title = plan.values.title.in_lang(&state.run.lang).cloned().unwrap_or_default();
        let status = if driven { "driven" } else { state.status().name() };
        ui.data(&format!("{id}  {:<9} {:<9} {title}", plan.graph.mode.name(), status));
        for line in waiting_for(&state) {
            ui.data(&format!("    {line}"));
        }
        if unsealed {
            ui.data(&format!("    the record is not complete: consigne resume {id}"));
        }
        for toggle in open {
            ui.data(&format!("    OPEN TOGGLE: {toggle}"));
        }
    }
    if shown == 0 && !args.json {
        ui.say(if args.all { "no runs" } else { "nothing waits; `consigne list --all` shows finished runs" });
    }
    Ok(if damaged { Exit::Damaged } else { Exit::Done })
}
