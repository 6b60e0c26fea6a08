//! Capture: takes a byte stream from outside, masked before it is kept anywhere, in bounded memory.
//!
//! Up to [`INLINE_LIMIT`] bytes stay in memory; more goes to a blob, whole, with an excerpt of its first and last
//! part. Every digest is over masked bytes, so no digest can be used to guess a secret.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RunContext;
use super::blobs::{BlobError, BlobWriter, Blobs};
use super::mask::{Masks, StreamMasker};
use super::newborn::{NOT_KEPT, Raw};
use super::tail::Tail;
use crate::core::BlobRef;

/// What stays in memory and in the journal.
pub const INLINE_LIMIT: usize = 32 * 1024;
/// What may be read back from a blob to be judged or extracted from.
pub const MEMORY_LIMIT: u64 = 16 * 1024 * 1024;
/// First and last part of what is longer than [`INLINE_LIMIT`].
const EXCERPT: usize = 4 * 1024;

/// One stream being captured.
pub(crate) struct Capture {
    blobs: Arc<Blobs>,
    masks: Arc<Masks>,
    /// Kept as it came, because a secret is to be taken from it; nothing of it is masked, shown or written.
    raw: Option<Raw>,
    stream: StreamMasker,
    /// All of it until it grows beyond the limit, then its beginning.
    head: Vec<u8>,
    last: VecDeque<u8>,
    blob: Option<BlobWriter>,
    total: u64,
    out: Vec<u8>,
    tail: Option<Tail>,
}

/// A captured stream.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// The whole stream, when it is short.
    inline: Option<Vec<u8>>,
    pub(crate) excerpt: String,
    pub(crate) blob: Option<BlobRef>,
    /// The stream as it came, where a secret is to be taken from it.
    pub(super) raw: Raw,
}

impl Capture {
    pub(crate) fn new(blobs: Arc<Blobs>, masks: Arc<Masks>, tail: Option<Tail>) -> Self {
        Self {
            blobs,
            masks,
            raw: None,
            stream: StreamMasker::new(),
            head: Vec::new(),
            last: VecDeque::new(),
            blob: None,
            total: 0,
            out: Vec::new(),
            tail,
        }
    }

    /// Holds what comes in memory, for [`super::newborn`].
    pub(crate) fn raw(context: &RunContext) -> Self {
        let raw = Raw { whole: true, ..Raw::default() };
        Self { raw: Some(raw), ..Self::new(Arc::clone(&context.blobs), context.secrets.masks(), None) }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        if let Some(raw) = &mut self.raw {
            let fits = raw.bytes.len() as u64 + chunk.len() as u64 <= MEMORY_LIMIT;
            raw.whole &= fits;
            if raw.whole {
                raw.bytes.extend_from_slice(chunk);
            }
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.stream.push(&self.masks.now(), chunk, &mut out);
        let kept = self.keep(&out);
        self.out = out;
        kept
    }

    /// The stream is over, or nobody waits for the rest.
    pub(crate) async fn finish(mut self) -> Result<Captured, BlobError> {
        if let Some(raw) = self.raw.take() {
            return Ok(Captured { raw, ..Captured::of_note(NOT_KEPT) });
        }
        if self.blob.is_none() && self.head.len() + self.stream.held() <= INLINE_LIMIT {
            return self.settle();
        }
        match tokio::task::spawn_blocking(move || self.settle()).await {
            Ok(captured) => captured,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Blocks on the disk when there is a blob.
    fn settle(mut self) -> Result<Captured, BlobError> {
        let mut out = Vec::new();
        std::mem::replace(&mut self.stream, StreamMasker::new()).finish(&self.masks.now(), &mut out);
        self.keep(&out)?;
        if let Some(tail) = &mut self.tail {
            tail.finish();
        }
        let Some(blob) = self.blob.take() else {
            let excerpt = String::from_utf8_lossy(&self.head).into_owned();
            return Ok(Captured { inline: Some(self.head), excerpt, ..Captured::default() });
        };
        let left_out = self.total - (self.head.len() + self.last.len()) as u64;
        let last: Vec<u8> = self.last.into();
        let excerpt = format!(
            "{}\n… {left_out} bytes left out …\n{}",
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(&last)
        );
        Ok(Captured { excerpt, blob: Some(blob.keep()?), ..Captured::default() })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.total += bytes.len() as u64;
        if let Some(tail) = &mut self.tail {
            tail.push(bytes);
        }
        if let Some(blob) = &mut self.blob {
            blob.write(bytes)?;
        } else if self.head.len() + bytes.len() <= INLINE_LIMIT {
            self.head.extend_from_slice(bytes);
            return Ok(());
        } else {
            let mut blob = self.blobs.create()?;
            blob.write(&self.head)?;
            blob.write(bytes)?;
            self.blob = Some(blob);
            let rest = self.head.split_off(self.head.len().min(EXCERPT));
            self.last.extend(rest);
            let missing = (EXCERPT - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..missing]);
            self.remember(&bytes[missing..]);
            return Ok(());
        }
        self.remember(bytes);
        Ok(())
    }

    fn remember(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(EXCERPT)..];
        self.last.extend(bytes);
        let surplus = self.last.len().saturating_sub(EXCERPT);
        self.last.drain(..surplus);
    }
}

/// Masks and keeps what came before its secrets were known.
pub(crate) async fn masked(context: &RunContext, bytes: &[u8]) -> Result<Captured, BlobError> {
    let mut capture = Capture::new(Arc::clone(&context.blobs), context.secrets.masks(), None);
    capture.push(bytes)?;
    capture.finish().await
}

impl Captured {
    /// Nothing but a note in its place.
    pub(crate) fn of_note(note: &str) -> Self {
        Self { inline: Some(Vec::new()), excerpt: note.to_owned(), ..Self::default() }
    }

    /// The whole stream; `None` when it is larger than what may be held in memory.
    pub(crate) fn whole(&self, blobs: &Blobs) -> std::io::Result<Option<Vec<u8>>> {
        match (&self.inline, &self.blob) {
            (Some(bytes), _) => Ok(Some(bytes.clone())),
            (None, Some(blob)) if blob.bytes <= MEMORY_LIMIT => std::fs::read(blobs.path(blob)).map(Some),
            (None, Some(_)) => Ok(None),
            (None, None) => Ok(Some(Vec::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mask::Masker;
    use super::*;

    const CANARY: &str = "canary-s3cret";

    fn capture(chunks: &[&[u8]]) -> (tempfile::TempDir, Arc<Blobs>, Captured) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::below(folder.path().join("blobs")));
        let mut capture = Capture::new(Arc::clone(&blobs), Masks::of(Masker::of([CANARY])), None);
        for chunk in chunks {
            capture.push(chunk).unwrap();
        }
        let captured = capture.settle().unwrap();
        (folder, blobs, captured)
    }

    #[test]
    fn short_streams_stay_inline_and_are_masked() {
        let (_folder, blobs, captured) = capture(&[b"a canary-", b"s3cret b"]);
        assert_eq!((captured.excerpt.as_str(), &captured.blob), ("a *** b", &None));
        assert_eq!(captured.whole(&blobs).unwrap().unwrap(), b"a *** b");
        assert!(!blobs.folder_exists());
    }

    #[test]
    fn long_streams_go_to_a_blob_with_both_ends_in_the_excerpt() {
        let line = [b"x".as_slice(), &[0xff], CANARY.as_bytes(), b"\n"].concat();
        let many = vec![line.as_slice(); 10_000];
        let (_folder, blobs, captured) =
            capture(&[&[b"first ".as_slice()][..], &many[..], &[b" last".as_slice()][..]].concat());
        let whole = captured.whole(&blobs).unwrap().unwrap();
        let expected = [b"first ".as_slice(), &b"x\xff***\n".repeat(10_000), b" last"].concat();
        assert_eq!(whole, expected, "exact in the blob, masked");
        let blob = captured.blob.unwrap();
        assert_eq!(blob.bytes, expected.len() as u64);
        assert_eq!(blob.sha256, super::super::blobs::sha256(&expected));
        assert!(captured.excerpt.starts_with("first ") && captured.excerpt.ends_with(" last"));
        assert!(captured.excerpt.len() < 20_000 && captured.excerpt.contains("bytes left out"));
    }

    #[test]
    fn one_large_chunk_is_counted_once() {
        let chunk: Vec<u8> = (0..100_000_u32).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
        let (_folder, blobs, captured) = capture(&[&chunk]);
        assert_eq!(captured.whole(&blobs).unwrap().unwrap(), chunk);
        assert!(
            captured.excerpt.contains(&format!("{} bytes left out", 100_000 - 8_192)),
            "{}",
            captured.excerpt
        );
    }
}
