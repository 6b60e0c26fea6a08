//! Secrets that are planted everywhere, and looked for everywhere afterwards.
//!
//! Real runs of the built program: everything below the home, everything that was said, everything on the screen.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod born;
mod canary;
mod echo;
mod house;
mod places;
mod typed;
