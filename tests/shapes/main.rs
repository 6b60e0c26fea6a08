//! Shapes of procedures that real teams run, written as runbooks: each is checked without a finding, gone through in a
//! practice environment, and what it did to the world is compared with what it is for.

#![allow(clippy::disallowed_methods, reason = "these tests are the outside world")]

mod rotation;
mod shapes;
mod world;
