//! Several people, each a user of the machine: one drives a run, others answer it, and strangers do not get in.
//!
//! Users are real user ids of the system; becoming one of them takes root. Without it these tests print "not run".
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod answers;
mod handover;
mod prompt;
mod wire;
mod world;
