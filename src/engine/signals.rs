//! Signals of the process: Ctrl-C, TERM, HUP and CONT, as things that wake the driver.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ctrl-C, or a polite request to end.
    Interrupt,
    /// The terminal is gone.
    Hangup,
    /// The process was stopped and goes on.
    Continued,
}

pub(super) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    continued: Stream,
}

impl Signals {
    pub(super) fn watch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            continued: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    /// Returns once the process is asked to end, in whatever way.
    pub(super) async fn end(&mut self) {
        while self.next().await == Signal::Continued {}
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.continued.recv() => Signal::Continued,
        }
    }
}
