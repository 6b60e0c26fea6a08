//! Shell text: what a script is before bash sees it.
//!
//! Owns reading of scripts by the grammar of bash ([`tree`]), the words of their commands ([`word`]), who reads which
//! word as code ([`reader`]), which programs it calls ([`called`]), what a command would remove or change ([`danger`]), and how `{{ }}` in a script becomes
//! environment variables ([`lower`]). No value is ever part of what bash parses: a script that is sent is constant.
//! Nothing here runs anything, and nothing recurses: scripts nest as deep as their author, or an attacker, likes.

mod called;
mod carried;
mod danger;
mod git;
mod interpreter;
mod lower;
mod reader;
mod refusal;
mod scratch;
mod statement;
#[cfg(test)]
mod tests;
mod tree;
mod verb;
mod wipe;
mod word;
mod wrapper;
mod writer;

use serde::{Deserialize, Serialize};

pub use called::{Called, Pointed, called_by, called_by_script, is_builtin};
pub use carried::{Carried, carried, carried_by};
pub use danger::{Danger, Level, in_argv, in_script};
pub use interpreter::steers;
pub use lower::{Lowered, Lowering, PREFIX, lower};
pub use reader::{Hazard, hazards};
pub use refusal::{Refusal, Refused};
pub use scratch::Scratch;
pub use tree::Reading;
pub use wipe::{Wipe, wipes};
pub use word::Word;

use super::template::{Renaming, Template, TemplateError};

/// The longest script that the system hands to bash: one argument, with the zero behind it.
pub const SCRIPT_BYTES: usize = 128 * 1024 - 1;

/// A script as written. `{{ expression }}` is a value in it; `{%` and `{#` are text, as bash uses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Script(Template);

impl Script {
    /// # Errors
    /// Unclosed or empty `{{ }}` and bad expressions, all of them with their byte offsets.
    pub fn parse_all(source: &str) -> Result<Self, Vec<TemplateError>> {
        Template::parse_script(source).map(Self)
    }

    pub fn source(&self) -> &str {
        self.0.source()
    }

    pub const fn template(&self) -> &Template {
        &self.0
    }

    /// The same script in the names of whoever uses the runbook.
    ///
    /// # Errors
    /// An expression that cannot be read any more.
    pub fn renamed(&self, by: &Renaming) -> Result<Self, TemplateError> {
        self.0.renamed(by, true).map(Self)
    }
}

impl TryFrom<String> for Script {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse_all(&source).map_err(|mut errors| errors.swap_remove(0))
    }
}

impl From<Script> for String {
    fn from(script: Script) -> Self {
        script.0.into()
    }
}
