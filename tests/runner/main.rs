//! The runners against real processes, real sockets and real secrets.
#![allow(clippy::disallowed_methods, reason = "these tests are the outside world")]

mod messages;
mod processes;
mod secrets;
mod sockets;
mod world;
