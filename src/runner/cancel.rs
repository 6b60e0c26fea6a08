//! Telling an attempt to end: politely, then not.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelLevel {
    Go,
    /// End soon: programs get TERM and their grace.
    Stop,
    /// End now.
    Kill,
}

/// The side that tells.
#[derive(Debug, Clone)]
pub struct CancelHandle(watch::Sender<CancelLevel>);

/// The side that is told.
#[derive(Debug, Clone)]
pub struct CancelToken(Option<watch::Receiver<CancelLevel>>);

pub fn cancellation() -> (CancelHandle, CancelToken) {
    let (sender, receiver) = watch::channel(CancelLevel::Go);
    (CancelHandle(sender), CancelToken(Some(receiver)))
}

impl CancelHandle {
    pub fn stop(&self) {
        self.raise(CancelLevel::Stop);
    }

    pub fn kill(&self) {
        self.raise(CancelLevel::Kill);
    }

    fn raise(&self, to: CancelLevel) {
        self.0.send_if_modified(|level| {
            let higher = to > *level;
            *level = to.max(*level);
            higher
        });
    }
}

impl CancelToken {
    /// Is never told.
    pub const fn never() -> Self {
        Self(None)
    }

    pub fn level(&self) -> CancelLevel {
        self.0.as_ref().map_or(CancelLevel::Go, |receiver| *receiver.borrow())
    }

    /// Waits until told at least that much; for ever, when nobody is left to tell.
    pub async fn reached(&self, level: CancelLevel) {
        if let Some(mut receiver) = self.0.clone()
            && receiver.wait_for(|now| *now >= level).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
