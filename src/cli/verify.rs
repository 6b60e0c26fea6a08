//! `consigne verify`: no network, no runbook, nothing written; trust comes from the reader's own folder.

use serde_json::json;

use super::args::{ModeArg, VerifyArgs};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::plan::Mode;
use crate::record::trust::Trust;
use crate::record::verify::{self, Options, Verdict};

pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.run.json);
    let home = Home::find(args.run.runs.as_deref())?;
    let dir = home.run_dir(&args.run.run)?;
    let folder = args.trust.clone().unwrap_or_else(|| home.root.join("trust"));
    let trust = Trust::load(&folder).map_err(|error| {
        CliError::new(Exit::Damaged, error.to_string())
            .hint("give the folder of the keys you trust with --trust DIR")
    })?;
    let options = Options { mode: args.as_mode.map(mode) };
    let report = verify::verify(&dir, &trust, &options);
    if args.run.json {
        ui.json(&json!(report));
    } else {
        for line in report.lines() {
            ui.data(&line);
        }
    }
    Ok(match report.verdict() {
        Verdict::Good => Exit::Done,
        Verdict::Unfinished => Exit::Waiting,
        Verdict::Bad => Exit::Damaged,
    })
}

const fn mode(arg: ModeArg) -> Mode {
    match arg {
        ModeArg::Live => Mode::Live,
        ModeArg::Drill => Mode::Drill,
        ModeArg::Rehearsal => Mode::Rehearsal,
    }
}
