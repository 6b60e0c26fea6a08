//! `consigne report`: the run in words. Public fields only, unless asked to open what is disclosed.

use super::args::ReportArgs;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use super::{drive, verify};
use crate::record::build;
use crate::record::keys::ExecutorKey;

pub(super) fn report(args: &ReportArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.run.json);
    let home = Home::find(args.run.runs.as_deref())?;
    let dir = home.run_dir(&args.run.run)?;
    let verified =
        if args.verified { Some(verify::verified(&dir, &home, args.trust.as_deref(), None)?) } else { None };
    let host =
        ExecutorKey::load(&home.root).map_or_else(|_| super::keys::host_name(), |key| key.host().to_owned());
    let text = build::report(&dir, ("x", &host), args.open, args.lang.map(super::args::Lang::code))
        .map_err(|error| drive::record_error(&error))?;
    if args.run.json {
        ui.json(&serde_json::json!({"report": text, "verification": verified}));
        return Ok(Exit::Done);
    }
    if let Some(found) = verified {
        ui.data("```");
        for line in verify::verdict_lines(&found) {
            ui.data(&line);
        }
        ui.data("```\n");
    }
    ui.data(text.trim_end());
    Ok(Exit::Done)
}
