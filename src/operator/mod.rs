//! Operators: how people are asked, and how their answers come back.
//!
//! A driver hands questions to an [`Operator`] and gets replies over a channel. Nothing here decides anything: who
//! may answer what, whether an answer is taken and what follows from it is the core's. An operator never touches
//! the run, never sees a secret, and prints only through `screen.rs`.
//!
//! The contract: after every [`Reply::Answer`] the driver calls, for that question, one of [`Operator::refused`]
//! (it was not taken, with the reason), [`Operator::ask`] (taken, and still open: a further item, a further person)
//! or [`Operator::withdraw`] (it is closed). Until then the operator asks nothing else. SIGINT and SIGHUP stay with
//! the driver: no operator touches signals.

mod dialog;
pub mod elsewhere;
mod evidence;
mod foreground;
mod form;
mod keys;
mod layout;
mod line;
mod offer;
mod parse;
mod prompt;
mod question;
mod quoted;
pub mod request;
mod screen;
mod scripted;
mod stand_in;
mod terminal;
mod unattended;
mod wording;

pub use evidence::{EvidenceError, EvidenceStore, measure};
pub use form::{Blank, FormError, fill};
pub use layout::Layout;
pub use question::{Choice, Entitled, Field, Output, Point, Question, ToSign, Tried};
pub(crate) use quoted::quoted;
pub use screen::{TerminalError, harmless, one_line};
pub use scripted::{Scripted, ScriptedAnswer};
pub use stand_in::StandIn;
pub use terminal::{Setup, Terminal};
pub use unattended::Unattended;
pub use wording::{Lang, Text};

use crate::core::{Answer, Refused};

#[cfg(test)]
use crate as consigne;
#[cfg(test)]
#[path = "../../tests/operator/sample.rs"]
mod sample;

/// Somebody, or something, that answers questions. None of the calls blocks.
pub trait Operator: Send {
    /// Asks a question, or shows the newer state of one that was asked before (by its number).
    fn ask(&mut self, question: Question);

    /// The question is no longer open. `note` says why ("answered by bob"); empty when it was answered here.
    fn withdraw(&mut self, ask: u32, note: &str);

    /// The last answer to the question was not taken.
    fn refused(&mut self, ask: u32, why: &Refused);

    /// A line of progress.
    fn say(&mut self, line: &str);

    /// A line about a question that has been open for long: somebody may have to be called.
    fn remind(&mut self, line: &str) {
        self.say(line);
    }

    /// The process was stopped and goes on: somebody else had the screen.
    fn redraw(&mut self);

    /// The process has died, in a rehearsal, and a new one asks anew: whatever was said and not heard is said again.
    fn forget(&mut self) {}

    /// Asks nothing more and restores whatever was changed. Returns when that is done.
    fn close(&mut self);
}

/// What comes back.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answer(Box<Answer>),
    /// Ctrl-C. While no prompt is up it arrives as the signal instead.
    Interrupt,
    /// The end of input, or the terminal is gone. No more answers will come.
    Hangup,
}
