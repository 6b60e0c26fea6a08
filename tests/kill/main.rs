//! Real drills of the built program, killed at points spread over their whole life, then resumed.
//!
//! What is asserted afterwards is what the product promises: the run ends, no write that could not be repeated safely
//! reached the platform twice, no process, lock or toggle is left that nobody knows of, and the record verifies.

#![allow(clippy::disallowed_methods, reason = "these tests are the outside world")]

mod ending;
mod points;
mod services;
mod signals;
mod spoken;
mod toggles;
mod unbegun;
mod world;
