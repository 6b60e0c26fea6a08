//! `consigne verify`: no network, no runbook, nothing written; trust comes from the reader's own folder.

use std::path::Path;

use serde_json::json;

use super::args::{ModeArg, VerifyArgs};
use super::certificate;
use super::drive::journal_error;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::journal::JournalError;
use crate::plan::Mode;
use crate::record::build;
use crate::record::trust::Trust;
use crate::record::verify::{self, Options, Overall, Verification};

pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CliError> {
    let named = Path::new(&args.run);
    if named.extension().is_some_and(|ending| ending == "json") && named.exists() && !named.is_dir() {
        return certificate::verify(args, named);
    }
    if args.runbook.is_some() {
        let message = format!("{} is the file of no certificate: `--runbook` is for certificates", args.run);
        return Err(CliError::new(Exit::Usage, message));
    }
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let found = verified(&dir, &home, args.trust.as_deref(), args.as_mode.map(mode))?;
    if args.json {
        ui.json(&json!(found));
    } else {
        for line in verdict_lines(&found) {
            ui.data(&line);
        }
    }
    Ok(match found.overall() {
        Overall::Verified => Exit::Done,
        Overall::Unfinished => Exit::Waiting,
        Overall::Failed => Exit::Damaged,
    })
}

/// Verifies a record with the keys that the reader trusts.
pub(super) fn verified(
    dir: &Path,
    home: &Home,
    trust: Option<&Path>,
    expected: Option<Mode>,
) -> Result<Verification, CliError> {
    // Whoever names no folder of keys checks a rehearsal with the key that everybody has.
    if trust.is_none() && build::graph(dir).is_ok_and(|graph| graph.mode == Mode::Rehearsal) {
        return with(dir, &Trust::of_rehearsals(), expected);
    }
    let folder = trust.map_or_else(|| home.root.join("trust"), Path::to_owned);
    let trust = Trust::load(&folder).map_err(|error| {
        CliError::new(Exit::Damaged, error.to_string())
            .hint("give the folder of the keys you trust with --trust DIR")
    })?;
    with(dir, &trust, expected)
}

/// Verifies the record of a rehearsal: that its files belong together.
pub(super) fn verified_as_rehearsal(dir: &Path) -> Result<Verification, CliError> {
    with(dir, &Trust::of_rehearsals(), Some(Mode::Rehearsal))
}

fn with(dir: &Path, trust: &Trust, expected: Option<Mode>) -> Result<Verification, CliError> {
    verify::verify(dir, trust, Options { expected }).map_err(|error| match &error {
        // Nothing is written here: what cannot be read cannot be verified.
        JournalError::Io { .. } => CliError::new(Exit::Damaged, error.to_string()),
        other => journal_error(other),
    })
}

/// The verdicts, each on its own line: one never hides another.
pub(super) fn verdict_lines(found: &Verification) -> Vec<String> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let mode = found.mode.map_or("unknown mode", Mode::name);
    let status = found.status.map_or("unknown status", crate::core::RunStatus::name);
    let mut lines = vec![
        format!(
            "{} {}: {} record, {status}, {} lines",
            found.run,
            found.runbook,
            mode.to_uppercase(),
            found.lines
        ),
        format!("INTEGRITY     {}", word(json!(found.integrity))),
        format!("COMPLETENESS  {}", word(json!(found.completeness))),
        format!("AUTHORISATION {}", word(json!(found.authorisation))),
        format!("report        {}", word(json!(found.report))),
        format!("disclosed     {} of {} hidden fields", found.disclosed, found.hidden),
    ];
    if !found.withheld.is_empty() {
        let names: Vec<String> =
            found.withheld.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        lines.push(format!("withheld      {}", names.join(", ")));
    }
    lines.push(format!("journal head  {} {}", found.lines, found.root));
    lines.extend(
        found
            .findings
            .iter()
            .map(|finding| format!("{} {finding}", if finding.failure { "FAILED" } else { "note  " })),
    );
    let verdict = match found.overall() {
        Overall::Verified => {
            format!("VERIFIED as a {mode} record; compare the journal head with a copy kept elsewhere")
        }
        Overall::Unfinished => "intact, but unfinished: it could have been cut short".to_owned(),
        Overall::Failed => "NOT VERIFIED".to_owned(),
    };
    lines.push(verdict);
    lines
}

/// The verdicts in one line, for the end of a run.
pub(super) fn one_line(found: &Verification, french: bool) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace(['_', '-'], " ");
    let verdict = match (found.overall(), french) {
        (Overall::Verified, true) => "dossier vérifié",
        (Overall::Verified, false) => "record verified",
        (_, true) => "DOSSIER NON VÉRIFIÉ",
        (_, false) => "RECORD NOT VERIFIED",
    };
    let authorisation = word(json!(found.authorisation));
    format!(
        "{verdict}: INTEGRITY {}, COMPLETENESS {}, AUTHORISATION {authorisation}",
        word(json!(found.integrity)),
        word(json!(found.completeness)),
    )
}

const fn mode(arg: ModeArg) -> Mode {
    match arg {
        ModeArg::Live => Mode::Live,
        ModeArg::Drill => Mode::Drill,
        ModeArg::Rehearsal => Mode::Rehearsal,
    }
}
