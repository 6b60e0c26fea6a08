//! The runners against real processes, real sockets and real secrets.

mod processes;
mod secrets;
mod sockets;
mod world;
