//! Words for a run, whoever drives it: the process that does, or nobody, and then its lock is taken.
//!
//! Owns finding out which of the two it is while processes come and go. Decides nothing about the word.

use std::path::Path;
use std::time::Duration;

use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::{Seen, look, seen_summary};
use super::ui::Ui;
use super::waiting;
use crate::engine::launch::Reopened;
use crate::engine::socket::{self, Said, SpeakError, Spoken, Verb};

/// How often, and after what pause, a run is tried again that a process holds without listening: it is just
/// beginning, or about to let go.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) enum Reached {
    /// The process that drives the run has taken it in. Whether it was news.
    Taken(bool),
    /// Nobody drives it: its lock is held here.
    Parked(Box<Reopened>),
}

/// Says something to a run.
pub(super) fn reach(dir: &Path, home: &Home, verb: &Verb) -> Result<Reached, CliError> {
    let mut looks = 0;
    loop {
        match socket::speak(dir, verb).map_err(unspoken)? {
            Spoken::Replied(said) => return taken(said).map(Reached::Taken),
            Spoken::Nobody => {}
            Spoken::Lost => {
                let message = "the process that drives the run was gone before it replied";
                return Err(
                    CliError::new(Exit::Waiting, message).hint("`consigne show` says whether it was taken")
                );
            }
        }
        match drive::reopen(dir, home) {
            Err(held) if held.exit == Exit::Held && looks < LOOKS => {
                looks += 1;
                std::thread::sleep(PAUSE);
            }
            reopened => return reopened.map(|reopened| Reached::Parked(Box::new(reopened))),
        }
    }
}

fn taken(said: Said) -> Result<bool, CliError> {
    match said {
        Said::Taken { news } => Ok(news),
        Said::Refused { message, hint, .. } => {
            let error = CliError::new(Exit::Usage, message);
            Err(match hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
        Said::Unkept { message } => Err(CliError::new(Exit::Unwritable, message)),
        Said::Leaving {} => Err(CliError::new(Exit::Held, "the process that drives the run is leaving")),
    }
}

fn unspoken(error: SpeakError) -> CliError {
    let message = error.to_string();
    match error {
        SpeakError::Connect(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            CliError::new(Exit::Usage, message)
                .hint("a run is open to its owner, and to a group where its folder says so")
        }
        SpeakError::TooLong(_) => CliError::new(Exit::Usage, message).hint("leave out some of the evidence"),
        SpeakError::Connect(_) | SpeakError::Silent | SpeakError::Version(_) => {
            CliError::new(Exit::Held, message)
        }
        SpeakError::Unwritable(_) => CliError::new(Exit::Bug, message),
    }
}

/// Says where a run stands that another process goes on with.
pub(super) fn goes_on(dir: &Path, home: &Home, ui: Ui) -> Result<Exit, CliError> {
    // What was said is on disk: that it cannot be read here takes nothing back.
    let seen = match look(dir) {
        Ok(seen) => seen,
        Err(error) => {
            ui.say(&format!("it is taken; where the run stands cannot be read here: {}", error.message));
            return Ok(Exit::Done);
        }
    };
    let Seen { plan, state, driven } = seen;
    let over = state.run.finished.is_some();
    let parks = state.run.paused.is_some() && !over;
    if ui.json {
        ui.json(&seen_summary(&state, dir, driven));
        return Ok(if parks { Exit::Waiting } else { Exit::Done });
    }
    let name = drive::shown_name(&state.run.id, dir, home);
    if let Some(finished) = &state.run.finished {
        ui.say(&format!("{}: {} ({})", state.run.id, finished.status.name(), finished.reason));
    }
    for line in waiting::waits(&plan, &state) {
        ui.told("  ", &line);
    }
    if !over {
        for answer in waiting::answers(&plan, &state, &name) {
            ui.hint(&answer);
        }
    }
    if parks {
        ui.say("the run is paused: the process that drives it is about to let go");
        ui.hint(&format!("consigne resume {name}"));
        return Ok(Exit::Waiting);
    }
    Ok(Exit::Done)
}
