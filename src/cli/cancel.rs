//! `consigne cancel`: ends a run; what is armed is undone or put back, `finally` runs, the record is sealed. Where a
//! process drives the run, it does that; otherwise this one.

use super::args::CancelArgs;
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::live::{self, Reached};
use super::ui::Ui;
use crate::engine::socket::Verb;
use crate::runbook::answers::Answers;

pub(super) fn cancel(args: &CancelArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    if super::rehearse::is_rehearsal(&dir) {
        return super::rehearse::resume(&dir, &args.common, Answers::new(), Some(args.comment.clone()));
    }
    let verb = Verb::Cancel { reason: args.comment.clone() };
    let mut reopened = match live::reach(&dir, &home, &verb)? {
        Reached::Taken(news) => {
            let ending = if news { "the run is ending" } else { "the run was ending already" };
            ui.say(&format!("{ending}: the process that drives it goes on with that"));
            return live::goes_on(&dir, &home, ui);
        }
        Reached::Parked(reopened) => *reopened,
    };
    if reopened.state.run.finished.is_some() {
        return Err(CliError::new(Exit::Usage, format!("run {} is over", reopened.id)));
    }
    drive::surroundings(&mut reopened, &args.common, args.accept.accept_environment, ui)?;
    reopened.to_end(args.comment.clone());
    drive::resume_dir_with(reopened, &dir, &home, &args.common, Answers::new(), Vec::new(), ui)
}
