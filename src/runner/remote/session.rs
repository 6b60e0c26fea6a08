//! The conversation with the far side of a remote step, over the standard input and output of what leads there.
//!
//! First the preamble goes out: a script that knows program, variables and folder, of which none therefore stands in
//! any argument list, here or there. The far side says `ready`; only then `go` is sent, and only after `go` anything
//! begins. So whoever has not sent `go` knows that nothing happened. At the end it says `ended STATUS`; without that
//! word nobody knows how it ended, whatever the exit code of what led there. What it says stands on lines that begin
//! with a random mark; they are taken out of what is captured. Our end of the line stays open as long as we are there:
//! when it closes, the far side ends its program.

use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::super::fill::Plain;

/// How much of what a login prints is kept, in case it never gets further.
const NOISE: usize = 8 * 1024;
/// A line of the far side is shorter than this.
const LONGEST_WORD: usize = 256;

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runner) enum Stage {
    Opening,
    /// It waits for our word.
    Ready,
    /// It will not begin: `environment`, `folder` or `program`.
    Refused(String),
    /// Our word has gone out.
    Begun,
    Ended(i32),
}

pub(in crate::runner) struct Session {
    preamble: Plain,
    stage: watch::Sender<Stage>,
    hung_up: watch::Sender<bool>,
    ear: Mutex<Ear>,
}

/// Finds the words of the far side in what comes back.
struct Ear {
    /// Absent only if the mark were no pattern, which hexadecimal digits are.
    needle: Option<AhoCorasick>,
    length: usize,
    held: Zeroizing<Vec<u8>>,
    noise: Vec<u8>,
}

impl Session {
    pub(in crate::runner) fn new(mark: &str, preamble: Plain) -> Self {
        let needle = format!("\n{mark} ");
        let ear = Ear {
            length: needle.len(),
            needle: AhoCorasick::new([needle]).ok(),
            held: Zeroizing::default(),
            noise: Vec::new(),
        };
        Self {
            preamble,
            stage: watch::Sender::new(Stage::Opening),
            hung_up: watch::Sender::new(false),
            ear: Mutex::new(ear),
        }
    }

    pub(in crate::runner) fn preamble(&self) -> &str {
        &self.preamble
    }

    pub(in crate::runner) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Whether something may have happened over there.
    pub(in crate::runner) fn has_begun(&self) -> bool {
        matches!(self.stage(), Stage::Begun | Stage::Ended(_))
    }

    /// Closes our end.
    pub(in crate::runner) fn hang_up(&self) {
        self.hung_up.send_replace(true);
    }

    /// Until the far side has said how it ended, or that it will not begin.
    pub(in crate::runner) async fn over(&self) {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as this.
        let _ended = stage.wait_for(|stage| matches!(stage, Stage::Ended(_) | Stage::Refused(_))).await;
    }

    /// Says our part, then holds the line until it is hung up.
    pub(in crate::runner) async fn speak(&self, mut line: ChildStdin) {
        let mut hung_up = self.hung_up.subscribe();
        let said = async {
            // Whoever does not listen any more is about to end, which says more than this error.
            if line.write_all(self.preamble.as_bytes()).await.is_err() {
                return;
            }
            let mut stage = self.stage.subscribe();
            let ready = stage.wait_for(|stage| *stage != Stage::Opening).await;
            if !ready.is_ok_and(|stage| *stage == Stage::Ready) {
                return;
            }
            self.stage.send_replace(Stage::Begun);
            let _gone = line.write_all(b"go\n").await;
        };
        tokio::select! {
            biased;
            _ = hung_up.wait_for(|yes| *yes) => return,
            () = said => {}
        }
        let _hung_up = hung_up.wait_for(|yes| *yes).await;
    }

    /// Takes in what came back, and gives what the program said of it.
    pub(in crate::runner) fn hear(&self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        ear.held.extend_from_slice(bytes);
        let mut out = Zeroizing::new(Vec::new());
        while let Some((before, word)) = ear.word() {
            match self.stage() {
                Stage::Opening => ear.overhear(&before),
                Stage::Begun => out.extend_from_slice(&before),
                _ => {}
            }
            self.said(&word);
        }
        let rest = ear.certain();
        match self.stage() {
            Stage::Opening => ear.overhear(&rest),
            Stage::Begun => out.extend_from_slice(&rest),
            _ => {}
        }
        out
    }

    /// What was held back in case it became a word; and where nothing ever began, what was said instead.
    pub(in crate::runner) fn rest(&self) -> Zeroizing<Vec<u8>> {
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        let held = std::mem::take(&mut ear.held);
        match self.stage() {
            Stage::Opening => {
                ear.overhear(&held);
                Zeroizing::new(std::mem::take(&mut ear.noise))
            }
            Stage::Begun => held,
            Stage::Ready | Stage::Refused(_) | Stage::Ended(_) => Zeroizing::default(),
        }
    }

    fn said(&self, word: &str) {
        let (verb, what) = word.split_once(' ').unwrap_or((word, ""));
        let next = match (self.stage(), verb, what.parse()) {
            (Stage::Opening, "ready", _) => Stage::Ready,
            (Stage::Opening, "refused", _) => Stage::Refused(what.to_owned()),
            (Stage::Begun, "ended", Ok(status)) => Stage::Ended(status),
            _ => return,
        };
        self.stage.send_replace(next);
    }
}

impl Ear {
    /// The next word of the far side, and what stands before it.
    fn word(&mut self) -> Option<(Zeroizing<Vec<u8>>, String)> {
        let at = self.needle.as_ref()?.find(self.held.as_slice())?.start();
        let begin = at + self.length;
        let end = begin + self.held[begin..].iter().position(|byte| *byte == b'\n')?;
        let word = String::from_utf8_lossy(&self.held[begin..end]).into_owned();
        let before = Zeroizing::new(self.held[..at].to_vec());
        self.held.drain(..=end);
        Some((before, word))
    }

    /// What cannot become a part of a word any more.
    fn certain(&mut self) -> Zeroizing<Vec<u8>> {
        let found = self.needle.as_ref().and_then(|needle| needle.find(self.held.as_slice()));
        let until = match found {
            // Its line is still to end.
            Some(found) if self.held.len() - found.start() < LONGEST_WORD => found.start(),
            _ => self.held.len().saturating_sub(self.length - 1),
        };
        Zeroizing::new(self.held.drain(..until).collect())
    }

    fn overhear(&mut self, bytes: &[u8]) {
        let room = NOISE.saturating_sub(self.noise.len()).min(bytes.len());
        self.noise.extend_from_slice(&bytes[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "f00df00df00df00d";

    fn session() -> Session {
        Session::new(MARK, Zeroizing::new(String::new()))
    }

    /// What the program said, whatever pieces it comes in; our own word is sent as soon as it may be.
    fn heard(text: &[u8], piece: usize) -> (Session, Vec<u8>) {
        let session = session();
        let mut out = Vec::new();
        for bytes in text.chunks(piece) {
            out.extend_from_slice(&session.hear(bytes));
            if session.stage() == Stage::Ready {
                session.stage.send_replace(Stage::Begun);
            }
        }
        out.extend_from_slice(&session.rest());
        (session, out)
    }

    #[test]
    fn words_are_taken_out_of_what_the_program_said_in_pieces_of_any_size() {
        let text = format!("Welcome!\n\n{MARK} ready\nline\n\nno end\n\u{e9}\n{MARK} ended 3\nlate\n");
        // Our word goes out between the two: what follows `ready` in the same piece is not the program's.
        for piece in 1..=20 {
            let (session, out) = heard(text.as_bytes(), piece);
            assert_eq!(session.stage(), Stage::Ended(3), "{piece}");
            let tail = String::from_utf8(out).unwrap();
            assert!(
                "line\n\nno end\n\u{e9}".ends_with(&tail) && tail.ends_with("no end\n\u{e9}"),
                "{tail:?}"
            );
        }
    }

    #[test]
    fn what_looks_like_a_word_and_is_none_stays() {
        let text = format!("x\n{MARK} ready\n");
        let session = session();
        assert!(session.hear(text.as_bytes()).is_empty());
        session.stage.send_replace(Stage::Begun);
        let odd = format!("a\n{MARK}b\n{}\n{MARK} ended zero\nz", &MARK[1..]);
        let mut out = session.hear(odd.as_bytes()).to_vec();
        out.extend_from_slice(&session.rest());
        assert_eq!(String::from_utf8(out).unwrap(), format!("a\n{MARK}b\n{}z", &MARK[1..]));
        assert_eq!(session.stage(), Stage::Begun);
    }

    #[test]
    fn a_login_that_never_gets_further_is_quoted() {
        let (session, out) = heard(b"This account is not available.\n", 4);
        assert_eq!(
            (session.stage(), out.as_slice()),
            (Stage::Opening, &b"This account is not available.\n"[..])
        );
        let (session, out) = heard(format!("hello\n\n{MARK} refused program\n").as_bytes(), 3);
        assert_eq!((session.stage(), out.as_slice()), (Stage::Refused("program".into()), &b""[..]));
        assert!(!session.has_begun());
    }
}
