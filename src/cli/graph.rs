//! `consigne graph`: the steps of a runbook as a picture. Needs no environment and no inputs; opens and starts nothing.

use super::args::GraphArgs;
use super::error::CliError;
use super::exit::Exit;
use super::shelf::file_of;
use super::ui::Ui;
use super::{drive, picture};
use crate::plan::outline;
use crate::plan::preview::Drawn;
use crate::runbook::check_file;

pub(super) fn graph(args: &GraphArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
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
    if args.json {
        let drawn = Drawn::of(&plan, &picture::arrows(&plan.graph.steps));
        let value = serde_json::to_value(&drawn)
            .map_err(|error| CliError::new(Exit::Bug, format!("the picture cannot be written: {error}")))?;
        ui.json(&value);
        return Ok(Exit::Done);
    }
    let draw = match (args.mermaid, args.svg) {
        (true, _) => picture::mermaid,
        (_, true) => picture::svg,
        _ => picture::terminal,
    };
    let lines = draw(&plan, lang);
    lines.iter().for_each(|line| ui.data(line));
    Ok(Exit::Done)
}
