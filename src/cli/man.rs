//! `consigne man`: the manual, made of the same words as the help.

use clap::CommandFactory;

use super::args::{Cli, ManArgs};
use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;

pub(super) fn man(args: &ManArgs) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| CliError::new(Exit::Bug, format!("the page cannot be made: {error}")))?;
        Ui::new(false).bytes(&page);
        return Ok(Exit::Done);
    };
    let unwritable = |error: std::io::Error| CliError::file(Exit::Usage, "write to", dir, &error);
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    clap_mangen::generate_to(command, dir).map_err(unwritable)?;
    Ui::new(false).say(&format!("the pages are in {}", dir.display()));
    Ui::new(false).hint(&format!("man -l {}/consigne.1", dir.display()));
    Ok(Exit::Done)
}
