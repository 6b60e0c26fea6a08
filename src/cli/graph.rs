//! `consigne graph`: the steps of a runbook as a picture. Needs no environment and no inputs; opens and starts nothing.

use super::args::GraphArgs;
use super::error::CliError;
use super::exit::Exit;
use super::shelf::file_of;
use super::ui::Ui;
use super::{drive, picture};
use crate::plan::outline;
use crate::runbook::check_file;

pub(super) fn graph(args: &GraphArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(false);
    let file = file_of(&args.file, ui)?;
    let report = check_file(&file, None);
    let wrong = report.has_errors();
    let Some(document) = report.document.filter(|_| !wrong) else {
        let message = format!("{} cannot be drawn", file.display());
        return Err(CliError::new(Exit::Invalid, message).with(report.diagnostics));
    };
    ui.diagnostics(&report.diagnostics);
    let plan = outline(&document);
    let lang = drive::spoken(args.lang);
    let lines = if args.mermaid { picture::mermaid(&plan, lang) } else { picture::terminal(&plan, lang) };
    lines.iter().for_each(|line| ui.data(line));
    Ok(Exit::Done)
}
