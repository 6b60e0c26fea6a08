//! Being asked to end: Ctrl-C while no prompt is up, TERM, and the terminal going away.
//!
//! A descriptor and no handler: a rehearsal opens no socket, and those of asynchronous runtimes wake themselves by one. It
//! has to be watched before any other thread begins, since threads inherit what is held back.

use std::io;
use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

pub struct Interrupts(SignalFd);

impl Interrupts {
    /// # Errors
    /// The system gives no descriptor.
    pub fn watch() -> io::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Whether one came since the last look.
    pub(super) fn came(&self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }

    /// Waits until whoever is at the terminal presses Enter. False: he wants to stop, or is gone. No prompt is up then, so
    /// nobody else reads.
    pub(super) fn enter(&self) -> bool {
        let stdin = io::stdin();
        loop {
            let mut ready =
                [PollFd::new(&stdin, PollFlags::IN), PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
            match poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return false,
                Ok(_) => {}
            }
            let [typed, signal] = ready.map(|ready| !ready.revents().is_empty());
            if signal && self.came() {
                return false;
            }
            let mut bytes = [0; 1024];
            match typed.then(|| rustix::io::read(&stdin, &mut bytes)) {
                Some(Ok(read)) if bytes[..read].contains(&b'\n') => return true,
                Some(Ok(0) | Err(_)) => return false,
                _ => {}
            }
        }
    }
}
