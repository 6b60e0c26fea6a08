//! Children and servers at their worst, against the built program: what they print, how they cling to life, and what
//! they do to the terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod clinging;
mod flood;
mod house;
mod terminal;
