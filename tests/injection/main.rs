//! Hostile values in every place that takes one: none is executed, none breaks out of its place, each arrives as it is
//! or is refused with a reason.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod files;
mod forged;
mod house;
mod messages;
mod people;
mod places;
mod recorder;
mod roles;
mod scripts;
#[path = "../runner/sshd.rs"]
#[allow(dead_code, reason = "the tests of runners ask more of it")]
mod sshd;
mod values;
