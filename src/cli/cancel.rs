//! `consigne cancel`: ends a run; what is armed is undone or put back, `finally` runs, the record is sealed.

use super::args::CancelArgs;
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::core::Input;
use crate::engine::identity;
use crate::runbook::answers::Answers;

pub(super) fn cancel(args: &CancelArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let mut reopened = drive::reopen(&dir, &home)?;
    if reopened.state.run.finished.is_some() {
        return Err(CliError::new(Exit::Usage, format!("run {} is over", reopened.id)));
    }
    drive::surroundings(&mut reopened, &args.common, args.accept.accept_environment, ui)?;
    let actor = identity::actor(&reopened.plan.graph.people, &identity::os_user());
    let then = if reopened.state.run.ending.is_some() {
        Vec::new()
    } else {
        vec![Input::Cancel { actor, reason: args.comment.clone() }]
    };
    drive::resume_dir_with(reopened, &dir, &home, &args.common, Answers::new(), then, ui)
}
