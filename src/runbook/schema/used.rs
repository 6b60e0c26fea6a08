//! A runbook as a step of another one.

use crate::runbook::decode::{Spanned, record};
use crate::runbook::scalar::{Data, Entries};

record! {
    /// Another runbook, whose steps are done here, as `STEP/THEIRS`.
    pub struct UseDecl {
        /// Its id.
        must r#use: Spanned<String>,
        /// Its inputs, in the names of this runbook.
        may inputs: Entries<Spanned<Data>>,
    }
}
