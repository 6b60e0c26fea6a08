//! `consigne keys`: the executor's key.

use super::args::{KeysArgs, KeysVerb};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use crate::record::keys::{ExecutorKey, KeyError};

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
    }
    Ok(Exit::Done)
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
