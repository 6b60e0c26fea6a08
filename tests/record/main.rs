//! A small run with a gate, an override, a blob and hidden fields: sealed, verified, and then changed in every way.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod certificate;
mod ending;
mod stock;
mod tampering;
mod verdicts;
mod world;
