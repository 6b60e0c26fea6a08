//! Masking: finds secrets in bytes, raw or encoded, and writes `***` in their place.
//!
//! Owns how a stream is masked so that it does not matter where its chunks end: what comes out equals the masking of
//! the whole. Which forms of a secret are looked for is decided in [`super::forms`].

use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use zeroize::Zeroizing;

use super::forms::forms;

/// What stands where a secret stood.
pub const MASK: &str = "***";
/// What begins a secret at the end of a text counts from this length on.
const SHORTEST_BEGUN: usize = 8;
/// Up to this many bytes of all forms the fastest automaton is used. Its memory is hundreds of times as large.
const FAST_BYTES: usize = 32 * 1024;

/// All known forms of a set of secrets.
pub struct Masker {
    finder: Option<AhoCorasick>,
    /// Sorted.
    forms: Vec<Zeroizing<Vec<u8>>>,
    longest: usize,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker")
    }
}

impl Masker {
    /// Finds nothing.
    pub const fn none() -> Self {
        Self { finder: None, forms: Vec::new(), longest: 1 }
    }

    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<Zeroizing<Vec<u8>>> = secrets.into_iter().flat_map(forms).collect();
        forms.sort_by(|a, b| a.as_slice().cmp(b));
        forms.dedup();
        let longest = forms.iter().map(|form| form.len()).max().unwrap_or(1);
        if forms.is_empty() {
            return Self::none();
        }
        let small = forms.iter().map(|form| form.len()).sum::<usize>() <= FAST_BYTES;
        let kind = if small { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let finder = AhoCorasick::builder()
            .kind(Some(kind))
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms.iter().map(|form| form.as_slice()))
            .expect("the forms of a run's secrets are far below the size an automaton can have");
        Self { finder: Some(finder), forms, longest }
    }

    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        self.replace_all(bytes, &mut out);
        out
    }

    /// Masks a text to its end. Whoever prints a secret may have been stopped on the way: what begins one is masked
    /// as well.
    fn replace_all(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        let last = self.replace(bytes, bytes.len(), out).1;
        let begun = (last.max((bytes.len() + 1).saturating_sub(self.longest))..bytes.len())
            .take_while(|at| bytes.len() - at >= SHORTEST_BEGUN)
            .find(|at| self.begins_a_form(&bytes[*at..]));
        if let Some(at) = begun {
            out.truncate(out.len() - (bytes.len() - at));
            debug_assert!(out.len() >= before, "what is cut off was appended here");
            out.extend_from_slice(MASK.as_bytes());
        }
    }

    fn begins_a_form(&self, end: &[u8]) -> bool {
        let at = self.forms.partition_point(|form| form.as_slice() < end);
        self.forms.get(at).is_some_and(|form| form.starts_with(end))
    }

    /// Masks what begins before `until`; gives the places where the rest begins and where the last secret ended.
    fn replace(&self, bytes: &[u8], until: usize, out: &mut Vec<u8>) -> (usize, usize) {
        let mut at = 0;
        if let Some(finder) = &self.finder {
            for found in finder.find_iter(bytes).take_while(|found| found.start() < until) {
                out.extend_from_slice(&bytes[at..found.start()]);
                out.extend_from_slice(MASK.as_bytes());
                at = found.end();
            }
        }
        let end = until.max(at);
        out.extend_from_slice(&bytes[at..end]);
        (end, at)
    }
}

/// The masker of the moment: whoever keeps it sees what becomes known later.
pub(crate) struct Masks(Mutex<Arc<Masker>>);

impl Masks {
    pub(crate) fn of(masker: Masker) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(masker))))
    }

    pub(crate) fn now(&self) -> Arc<Masker> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn know(&self, masker: Masker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(masker);
    }
}

/// Masks a stream, holding back at the end of each chunk what might begin a secret.
pub(crate) struct StreamMasker {
    held: Vec<u8>,
}

impl StreamMasker {
    pub(crate) const fn new() -> Self {
        Self { held: Vec::new() }
    }

    /// Appends to `out` what can be decided by now.
    pub(crate) fn push(&mut self, masker: &Masker, chunk: &[u8], out: &mut Vec<u8>) {
        if masker.finder.is_none() && self.held.is_empty() {
            out.extend_from_slice(chunk);
            return;
        }
        self.held.extend_from_slice(chunk);
        // A match that starts at p is certain, and the longest there, once `longest` bytes follow p.
        let certain = (self.held.len() + 1).saturating_sub(masker.longest);
        let (rest, _) = masker.replace(&self.held, certain, out);
        self.held.drain(..rest);
    }

    /// Bytes held back by now.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// The stream is over.
    pub(crate) fn finish(self, masker: &Masker, out: &mut Vec<u8>) {
        masker.replace_all(&self.held, out);
    }
}

impl Drop for StreamMasker {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const CANARY: &str = "c4n\"ary/é <k>&y+==~ ß\nline";

    fn streamed(masker: &Masker, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut stream, mut out, mut at) = (StreamMasker::new(), Vec::new(), 0);
        for cut in cuts {
            let end = (at + cut).min(text.len());
            stream.push(masker, &text[at..end], &mut out);
            at = end;
        }
        stream.push(masker, &text[at..], &mut out);
        stream.finish(masker, &mut out);
        out
    }

    #[test]
    fn every_encoding_is_found() {
        let masker = Masker::of([CANARY]);
        for before in ["", "a", "ab", "abc", "user:"] {
            let plain = format!("{before}{CANARY}tail of the text");
            for engine in [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let masked = masker.text(&engine.encode(&plain));
                assert!(masked.contains(MASK), "{masked}");
                assert!(masked.len() < engine.encode(&plain).len() - CANARY.len(), "{masked}");
            }
            let json = serde_json::to_string(&plain).unwrap();
            assert_eq!(masker.text(&json), format!("\"{before}***tail of the text\""));
            let twice = serde_json::to_string(&json).unwrap();
            assert_eq!(masker.text(&twice), format!("\"\\\"{before}***tail of the text\\\"\""));
        }
        let escaped = r#"c4n\"ary\/\u00e9 \u003ck\u003e\u0026y+==~ \u00df\nline"#;
        assert_eq!(masker.text(escaped), "***");
        let url = "c4n%22ary%2F%C3%A9%20%3Ck%3E%26y%2B%3D%3D~%20%C3%9F%0Aline";
        assert_eq!(masker.text(url), "***");
        assert_eq!(masker.text(&url.to_lowercase()), "***");
        for url in [
            "c4n%22ary/%C3%A9%20%3Ck%3E%26y%2B%3D%3D~%20%C3%9F%0Aline",
            "c4n%22ary/%C3%A9+%3Ck%3E%26y%2B%3D%3D~+%C3%9F%0Aline",
            "c4n%22ary/%C3%A9%20%3Ck%3E&y+==~%20%C3%9F%0Aline",
        ] {
            assert_eq!(masker.text(url), "***");
        }
    }

    #[test]
    fn every_form_is_found_byte_by_byte() {
        for secret in [CANARY, "hunter2hunter2", "12345678"] {
            let masker = Masker::of([secret, "hunter2hunter2"]);
            for form in forms(secret) {
                let text = [b"-".as_slice(), &form, b"-"].concat();
                assert_eq!(streamed(&masker, &text, &vec![1; text.len()]), masker.bytes(&text));
                let masked = masker.bytes(&form);
                assert!(masked.starts_with(MASK.as_bytes()), "{}", String::from_utf8_lossy(&masked));
            }
        }
    }

    #[test]
    fn wrapped_base64_of_a_long_secret_is_found() {
        let secret = "0123456789abcdef".repeat(10);
        let text = STANDARD.encode(&secret);
        let lines: Vec<&str> = text.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).unwrap()).collect();
        assert_eq!(Masker::of([secret.as_str()]).text(&lines.join("\n")), MASK);
    }

    #[test]
    fn a_secret_that_begins_another_does_not_uncover_its_tail() {
        let masker = Masker::of(["abcdefgh", "abcdefghijkl"]);
        let text = b"x abcdefghijkl y abcdefghi z";
        for cut in 0..text.len() {
            assert_eq!(streamed(&masker, text, &[cut]), b"x *** y ***i z");
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_at_the_end_is_masked() {
        let masker = Masker::of([CANARY]);
        for (text, masked) in [
            (format!("a {}", &CANARY[..11]), "a ***".to_owned()),
            (format!("a {}", &STANDARD.encode(CANARY)[..17]), "a ***".to_owned()),
            (format!("{CANARY}{}", &CANARY[..8]), "******".to_owned()),
            (format!("a {}", &CANARY[..7]), format!("a {}", &CANARY[..7])),
            (format!("{} b", &CANARY[..11]), format!("{} b", &CANARY[..11])),
        ] {
            assert_eq!(masker.text(&text), masked);
            assert_eq!(streamed(&masker, text.as_bytes(), &vec![1; text.len()]), masked.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            parts in prop::collection::vec(prop_oneof![
                Just(CANARY.to_owned()), Just(CANARY[..12].to_owned()), Just("hunter2hunter2".to_owned()),
                Just("hunter2hunter".to_owned()), Just(STANDARD.encode(CANARY)), "[a-z]{0,5}",
            ], 0..12),
            cuts in prop::collection::vec(0_usize..20, 0..30),
        ) {
            let masker = Masker::of([CANARY, "hunter2hunter2", "hunter2hunter2and-more"]);
            let text = parts.concat();
            let out = streamed(&masker, text.as_bytes(), &cuts);
            prop_assert_eq!(&out, &masker.bytes(text.as_bytes()));
            let out = String::from_utf8_lossy(&out);
            prop_assert!(!out.contains(CANARY) && !out.contains("hunter2hunter2"));
        }
    }
}
