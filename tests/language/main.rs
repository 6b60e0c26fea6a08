//! The language from outside: every code has a file that shows it, the shipped runbooks are clean, plans are
//! deterministic, and checking stays linear.
//!
//! A file of `tests/diagnostics` may begin with lines `#! env NAME`, `#! input NAME=VALUE`, `#! build drill`: then
//! inputs are resolved and a plan is built as well. Its name begins with the code that it must show.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod diagnostics;
mod dominance;
mod editing;
mod editor;
mod nesting;
mod oracle;
mod page;
mod plans;
mod shipped;
mod speed;
mod used;
