//! Secrets that are typed: asked once, before anything else has the terminal, without echo.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use secrecy::SecretString;

use super::args::DriveArgs;
use super::error::CliError;
use super::exit::Exit;
use crate::plan::{Plan, SecretSource};
use crate::runner::{Boxed, PromptSecret};

/// What was typed, by name.
#[derive(Default)]
pub(super) struct Asked(BTreeMap<String, SecretString>);

impl Asked {
    /// Asks for every secret of the plan that is typed.
    ///
    /// # Errors
    /// Nobody is there to type one.
    pub(super) fn ask(plan: &Plan, common: &DriveArgs) -> Result<Self, CliError> {
        let mut asked = BTreeMap::new();
        let names = plan.values.secrets.iter().filter(|(_, source)| **source == SecretSource::Prompt);
        for (name, _) in names {
            if common.unattended || !std::io::stdin().is_terminal() {
                let message = format!("secret `{name}` is typed, and nobody is at a terminal");
                return Err(CliError::new(Exit::Invalid, message).hint("nothing was started"));
            }
            // An input of class secret is called what the runbook calls it.
            let called = name.strip_prefix("inputs.").unwrap_or(name);
            let typed = rpassword::prompt_password(format!("{called}: ")).map_err(|error| {
                CliError::new(Exit::Invalid, format!("cannot read secret `{name}`: {error}"))
            })?;
            asked.insert(name.clone(), SecretString::from(typed));
        }
        Ok(Self(asked))
    }
}

impl PromptSecret for Asked {
    fn ask<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<SecretString>> {
        Box::pin(std::future::ready(self.0.get(name).cloned()))
    }
}
