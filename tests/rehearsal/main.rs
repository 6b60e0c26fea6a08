//! Rehearsals as a whole, by the program: what they do without touching anything, that they are the same wherever they
//! are made, and that they pass for nothing else.
#![allow(clippy::print_stderr, reason = "a check that could not run must say so")]
#![allow(clippy::disallowed_methods, reason = "what the core must not do, tests may")]

mod beyond;
mod cases;
mod coverage;
mod faults;
mod fixtures;
mod outside;
mod parts;
mod people;
mod quiet;
mod record;
mod resumed;
mod same;
mod sources;
mod world;
