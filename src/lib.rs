//! consigne: runbooks as code. See ARCHITECTURE.md for the map of the modules and the laws.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod author;
pub mod cli;
pub mod clock;
pub mod core;
pub mod diag;
pub mod engine;
pub mod journal;
pub mod operator;
pub mod plan;
pub mod practice;
pub mod record;
pub mod runbook;
pub mod runner;
