//! `consigne print`: any runbook as a checklist on paper. Starts nothing, opens nothing, writes one file at most.

use std::collections::BTreeMap;

use serde_json::Value;

use super::args::{Lang, PrintArgs};
use super::error::CliError;
use super::exit::Exit;
use super::shelf::file_of;
use super::ui::Ui;
use crate::author::paper::Paper;
use crate::operator::harmless;
use crate::runbook::check_file;
use crate::runbook::inputs;
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;

pub(super) fn print(args: &PrintArgs) -> Result<Exit, CliError> {
    let file = file_of(&args.file, Ui::new(false))?;
    let report = check_file(&file, args.env.as_deref());
    let wrong = report.has_errors();
    let Some(document) = report.document.filter(|_| !wrong) else {
        let message = format!("{} cannot be printed", file.display());
        return Err(CliError::new(Exit::Invalid, message).with(report.diagnostics));
    };
    let inputs = known(args, &document)?;
    let french = args.lang.unwrap_or_else(super::drive::locale) == Lang::Fr;
    let paper =
        Paper { document: &document, environment: report.environment.as_ref(), inputs: &inputs, french };
    // Tabs belong to scripts.
    let text = paper.markdown().split('\t').map(harmless).collect::<Vec<_>>().join("\t");
    let Some(path) = &args.output else {
        Ui::new(false).bytes(text.as_bytes());
        return Ok(Exit::Done);
    };
    std::fs::write(path, text).map_err(|error| CliError::file(Exit::Usage, "write", path, &error))?;
    Ui::new(false).say(&format!("wrote {}", path.display()));
    Ok(Exit::Done)
}

/// The inputs that are known already. Those that are not stay blank, their defaults too: it is for the day to say.
fn known(args: &PrintArgs, document: &Document) -> Result<BTreeMap<String, Value>, CliError> {
    let mut known = BTreeMap::new();
    for option in &args.inputs {
        let usage = |message: String| CliError::new(Exit::Usage, message);
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| usage(format!("`--input {option}` has no `=`, expected NAME=VALUE")))?;
        let mut declared = document.runbook.inputs.iter().flat_map(Entries::iter);
        let decl = declared.find(|(known, _)| known.value == name).map(|(_, decl)| decl);
        let decl = decl.ok_or_else(|| usage(format!("the runbook declares no input `{name}`")))?;
        let value = inputs::from_text(decl, value)
            .map_err(|message| CliError::new(Exit::Invalid, format!("input `{name}`: {message}")))?;
        known.insert(name.to_owned(), value);
    }
    Ok(known)
}
