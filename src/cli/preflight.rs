//! `consigne preflight`

use super::args::PreflightArgs;
use super::error::CliError;
use super::exit::Exit;

pub(super) fn preflight(_args: &PreflightArgs) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}
