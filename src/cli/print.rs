//! `consigne print`
use super::args::PrintArgs;
use super::error::CliError;
use super::exit::Exit;

pub(super) fn print(_args: &PrintArgs) -> Result<Exit, CliError> {
    Ok(Exit::Done)
}
