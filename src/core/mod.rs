//! The core decides. It owns what a run *is*: events, the state that is their fold, and what ought to happen next.
//!
//! Three functions and their laws (ARCHITECTURE.md has them all, each with its test):
//! - [`decide`](decide::decide) turns one input into the events it causes, or refuses it. Pure and total.
//! - [`State::apply`](state::State::apply) is the only mutation; live, resume, simulation and verification all use it.
//! - [`wanted`](wanted::wanted) says what ought to be in flight now, from the state alone.
//!
//! Nothing here is asynchronous, reads a clock, a file, the environment or randomness, starts anything, logs, or
//! ever sees a secret. Time, outcomes, answers and seeds arrive as inputs.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod apply;
pub mod attempt;
mod bind;
pub mod decide;
mod derived;
pub mod event;
mod hidden;
pub mod input;
mod limits;
pub mod notice;
pub mod rerun;
pub mod retry;
mod scope;
pub mod shape;
pub mod state;
pub mod wanted;

pub use apply::Illegal;
pub use attempt::{AttemptKey, AttemptRequest, AttemptResult, BlobRef, Json, Outcome, Role};
pub use decide::{
    Choosable, Decided, Exhibit, Refused, Shown, choices, decide, decision, exhibited, expected, given_by,
    listed, needed_outputs, needed_secrets, picked,
};
pub use event::{
    Actor, AskEnd, AskKind, Decision, Ended, Event, Fact, Hidden, How, Reversal, ReversalEnd, RunStatus,
    Status, VoidReason,
};
pub use input::{Answer, Begin, EvidenceRef, Input, JournalInput};
pub use limits::Limit;
pub use shape::Shape;
pub use state::{Ask, Phase, State};
pub use wanted::{Command, wanted};
