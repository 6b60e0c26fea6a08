//! The program itself in a pseudo-terminal, as a person meets it: every kind of question, and everything that can
//! happen to a terminal in between. What is typed and read is real; so are the journal and the record afterwards.
#![allow(clippy::disallowed_methods, reason = "what the core must not do, tests may")]

mod busy;
mod happens;
mod hostile;
mod kinds;
mod looks;
mod rehearses;
mod session;
