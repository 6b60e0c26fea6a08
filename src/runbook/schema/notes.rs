//! What a runbook says about itself and where more is to be read: for people alone, nothing here decides anything.

use crate::runbook::decode::{Spanned, record};
use crate::runbook::scalar::{Day, Text};
use crate::runbook::template::Template;

record! {
    /// A page to look at.
    pub struct LinkDecl {
        /// Address of the page: `https://…` or `http://…`.
        must url: Spanned<Template>,
        /// What people call the page.
        may title: Text,
    }
}

record! {
    /// A change of the runbook.
    pub struct ChangeDecl {
        /// Day of the change.
        must date: Day,
        /// What changed, and why.
        must text: Text,
        /// Who changed it.
        may by: Spanned<String>,
    }
}
