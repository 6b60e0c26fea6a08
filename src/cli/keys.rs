//! `consigne keys`: the executor's key, and whose signatures count here.

use std::path::Path;

use super::args::{KeysArgs, KeysVerb};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::record::enrol::{self, EnrolError};
use crate::record::keys::{ExecutorKey, KeyError};
use crate::record::{Signer, Trust};

pub(super) fn keys(args: &KeysArgs) -> Result<Exit, CliError> {
    let home = Home::find(None)?;
    match &args.verb {
        KeysVerb::Init { org } => {
            let key = ExecutorKey::init(&home.root, org, &host_name()).map_err(key_error)?;
            let ui = Ui::new(false);
            ui.say(&format!("made {} in {}", key.principal(), home.root.join("keys").display()));
            ui.data(&key.signer_key().to_string());
        }
        KeysVerb::Show { json } => {
            let key = ExecutorKey::load(&home.root).map_err(key_error)?;
            let ui = Ui::new(*json);
            if *json {
                ui.json(&serde_json::json!({
                    "principal": key.principal(),
                    "org": key.org(),
                    "host": key.host(),
                    "fingerprint": key.signer_key().fingerprint(),
                    "ssh": key.signer_key().to_string(),
                    "vkey": key.vkey().to_string(),
                    "trust": home.root.join("trust"),
                }));
            } else {
                ui.data(&format!("{}  {}", key.principal(), key.signer_key().fingerprint()));
                ui.data(&key.signer_key().to_string());
                ui.data(&format!("trust folder: {}", home.root.join("trust").display()));
            }
        }
        KeysVerb::Enrol { principal, file, runbook } => {
            let executor = ExecutorKey::load(&home.root).map_err(key_error)?;
            enrol(&home.root.join("trust"), executor.org(), principal, file, runbook.as_deref())?;
        }
        KeysVerb::Rehearsals { dir } => {
            ExecutorKey::enrol_rehearsals(dir).map_err(key_error)?;
            Ui::new(false).say(&format!("the key of rehearsals is in {}", dir.display()));
        }
        KeysVerb::List { json } => list(&home.root.join("trust"), *json)?,
    }
    Ok(Exit::Done)
}

fn enrol(
    trust: &Path,
    org: &str,
    principal: &str,
    file: &Path,
    runbook: Option<&str>,
) -> Result<(), CliError> {
    let enrolled = enrol::enrol(trust, org, principal, file, runbook).map_err(|error| {
        let exit = if matches!(error, EnrolError::Write(_)) { Exit::Unwritable } else { Exit::Usage };
        let cli = CliError::new(exit, error.to_string());
        match error.hint() {
            Some(hint) => cli.hint(hint),
            None => cli,
        }
    })?;
    let ui = Ui::new(false);
    ui.say(&format!(
        "{} may sign {} with {}",
        enrolled.principal,
        enrolled.namespaces,
        enrolled.key.fingerprint()
    ));
    ui.hint(&format!(
        "compare that fingerprint with {principal} in person: `ssh-keygen -l -f FILE.pub` prints it"
    ));
    Ok(())
}

fn list(trust: &Path, json: bool) -> Result<(), CliError> {
    let trust = Trust::load(trust).map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?;
    let (ui, signers) = (Ui::new(json), trust.signers());
    let entry = |signer: &Signer| {
        serde_json::json!({
            "line": signer.line,
            "principals": signer.principals(),
            "namespaces": signer.namespaces(),
            "type": signer.key().algorithm(),
            "fingerprint": signer.key().fingerprint(),
        })
    };
    if json {
        ui.json(&signers.signers().iter().map(entry).collect());
        return Ok(());
    }
    for signer in signers.signers() {
        let namespaces = signer.namespaces().unwrap_or("nothing: no namespaces are named").replace(',', " ");
        let (key, who) = (signer.key(), signer.principals());
        ui.data(&format!("{who}  {} {}\n    {namespaces}", key.algorithm(), key.fingerprint()));
    }
    for lint in signers.lints() {
        ui.say(&format!("warning: line {} of allowed_signers: {}", lint.line, lint.what));
    }
    Ok(())
}

pub(super) fn key_error(error: KeyError) -> CliError {
    let hint = error.hint();
    let cli = CliError::new(Exit::Invalid, error.to_string());
    match hint {
        Some(hint) => cli.hint(hint),
        None => cli,
    }
}

/// The name of this host, as far as it can stand in a principal.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    if name.is_empty() { "localhost".to_owned() } else { name.to_lowercase() }
}
