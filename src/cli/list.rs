//! `consigne list`: the runs, newest last, with what waits for people and what is still switched.

use super::args::ListArgs;
use super::drive::shown_name;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::{Seen, look, seen_summary};
use super::ui::Ui;
use super::waiting::{self, UNSEALED, standing};

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
                    ui.data(&format!("{id}  damaged or unreadable: {}", error.message));
                }
                shown += 1;
                continue;
            }
        };
        let Seen { plan, state, driven } = seen;
        let open = waiting::toggles(&state);
        let status = standing(&state, driven, &dir);
        let done = state.run.finished.is_some() && status != UNSEALED;
        if done && open.is_empty() && !args.all {
            continue;
        }
        shown += 1;
        if args.json {
            ui.json(&seen_summary(&state, &dir, driven));
            continue;
        }
        let title = plan.values.title.in_lang(&state.run.lang).cloned().unwrap_or_default();
        ui.data(&format!("{id}  {:<9} {:<11} {title}", plan.graph.mode.name(), status));
        if driven {
            ui.data("    driven by a process");
        }
        let waits = waiting::waits(&plan, &state);
        for line in &waits {
            ui.data(&format!("    {line}"));
        }
        if status == UNSEALED {
            ui.data(&format!(
                "    the record is not complete: consigne resume {}",
                shown_name(&id, &dir, &home)
            ));
        } else if !driven && !done && (waits.is_empty() || status == "interrupted") {
            ui.data(&format!("    goes on with: consigne resume {}", shown_name(&id, &dir, &home)));
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
