//! What has to hold while a run changes anything.

use crate::runbook::decode::{Spanned, record};
use crate::runbook::scalar::{Entries, Millis, Text};
use crate::runbook::shell::Script;
use crate::runbook::template::Template;

use super::calls::{EffectWord, Expect, Http, Poll};

record! {
    /// A condition that is asked at intervals and before each write. While it does not hold, the run waits and asks.
    pub struct GuardDecl {
        /// Name of the guard, unlike that of every step.
        must id: Spanned<String>,
        /// How often it is asked, when no write asks for it.
        must every: Spanned<Millis>,
        /// What people are told when it does not hold.
        may message: Text,
        /// One HTTP call.
        may http: Box<Http>,
        /// A script for bash. Values come in through `env`.
        may shell: Spanned<Script>,
        /// A program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on.
        may host: Spanned<Template>,
        /// `read`, where the call does not look like one.
        may effect: Spanned<EffectWord>,
        /// How it looks when it holds.
        may expect: Box<Expect>,
        /// Asks again until something holds.
        may poll: Box<Poll>,
        /// How long one attempt may take.
        may timeout: Spanned<Millis>,
    }
}
