//! `consigne check`

use std::path::Path;

use super::args::CheckArgs;
use super::coverage::Covering;
use super::error::CliError;
use super::exit::Exit;
use super::fixture::Listing;
use super::shelf;
use super::ui::Ui;
use crate::runbook::{CheckReport, check_file};

pub(super) fn check(args: &CheckArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let mut wrong = false;
    let covering = args.coverage.then(|| Covering::new(args, ui)).transpose()?;
    let mut short = false;
    let listing = args.fixtures.then(|| Listing::new(args, ui)).transpose()?;
    if listing.is_none() && covering.is_none() && (args.max_age.is_some() || args.runs.is_some()) {
        let message = "--max-age and --runs say something about --coverage or --fixtures only";
        return Err(CliError::new(Exit::Usage, message));
    }
    let files = shelf::files_of(&args.files, ui)?;
    for file in &files {
        let report = check_file(file, args.env.as_deref());
        wrong |= report.has_errors() || report.document.is_none();
        if args.json {
            for diagnostic in &report.diagnostics {
                ui.json(&crate::diag::to_json(diagnostic));
            }
        } else {
            say(file, &report, ui);
        }
        if let (Some(covering), Some(document), false) = (&covering, &report.document, report.has_errors()) {
            short |= covering.report(file, document);
        }
        if let (Some(listing), Some(document), false) = (&listing, &report.document, report.has_errors()) {
            short |= listing.report(file, document)?;
        }
    }
    Ok(match (wrong, short) {
        (true, _) => Exit::Invalid,
        (false, true) => Exit::RunFailed,
        (false, false) => Exit::Done,
    })
}

fn say(file: &Path, report: &CheckReport, ui: Ui) {
    ui.diagnostics(&report.diagnostics);
    let errors = report.diagnostics.iter().filter(|d| d.is_error()).count();
    let warnings = report.diagnostics.len() - errors;
    let verdict = match (errors, warnings) {
        (0, 0) => format!("ok, {} steps", report.steps),
        (0, n) => format!("ok, {} steps, {n} warning{}", report.steps, plural(n)),
        (n, 0) => format!("{n} error{}", plural(n)),
        (n, m) => format!("{n} error{}, {m} warning{}", plural(n), plural(m)),
    };
    ui.say(&format!("{}: {verdict}", file.display()));
}

const fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
