//! The live tail: masked lines of what runs, for a screen. Lossy, and never a source of facts.

use tokio::sync::broadcast;

use crate::core::AttemptKey;

/// Longer lines are cut for the screen.
const LINE_LIMIT: usize = 4 * 1024;

/// A line that an attempt printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLine {
    pub key: AttemptKey,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    pub text: String,
}

/// Where the lines go. A slow reader misses lines; nobody waits for it.
#[derive(Debug, Clone, Default)]
pub struct TailSink(Option<broadcast::Sender<TailLine>>);

impl TailSink {
    /// Nobody looks.
    pub const fn none() -> Self {
        Self(None)
    }

    pub const fn to(sender: broadcast::Sender<TailLine>) -> Self {
        Self(Some(sender))
    }

    pub(crate) fn stream(&self, key: &AttemptKey, stream: &'static str) -> Option<Tail> {
        let sender = self.0.as_ref().filter(|sender| sender.receiver_count() > 0)?.clone();
        Some(Tail { sender, key: key.clone(), stream, line: Vec::new() })
    }
}

/// Cuts one stream into lines.
pub(crate) struct Tail {
    sender: broadcast::Sender<TailLine>,
    key: AttemptKey,
    stream: &'static str,
    line: Vec<u8>,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_LIMIT.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
            if piece.ends_with(b"\n") {
                self.send();
            }
        }
    }

    pub(crate) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.send();
        }
    }

    fn send(&mut self) {
        let text = String::from_utf8_lossy(&self.line).trim_end_matches(['\n', '\r']).to_owned();
        self.line.clear();
        // No receiver is no error: the tail is lossy.
        let _ = self.sender.send(TailLine { key: self.key.clone(), stream: self.stream, text });
    }
}
