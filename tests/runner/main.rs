//! The runners against real processes, real sockets and real secrets.
#![allow(clippy::disallowed_methods, reason = "these tests are the outside world")]

mod hosts;
mod messages;
mod processes;
mod remote;
mod secrets;
mod sockets;
mod sshd;
mod world;
