//! Tree heads: C2SP checkpoints, signed notes over the root of the journal's tree.
//!
//! Owns the format, the verifier key (`vkey`) and the key id. A head of ours is three lines (origin, size,
//! root) and exactly one signature by a key of the same name as the origin. What parses encodes to the same
//! bytes again. Whether the key is trusted is for `trust` to say.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::encoding::{base64, from_base64};
use super::place::{Line, Malformed, lines, utf8};
use crate::journal::Hash;

const ED25519: u8 = 1;

/// The name a run's tree heads are signed under.
pub fn origin(org: &str, host: &str, run: &str) -> String {
    format!("{org}/{host}/run/{run}")
}

/// A key with the name it signs notes under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// None if the name cannot stand in a note: empty, or with white space or a plus sign.
    pub fn new(name: &str, key: VerifyingKey) -> Option<Self> {
        is_key_name(name).then(|| Self { name: name.into(), key })
    }

    /// Reads `name+<key id>+<base64>`, with or without one line feed at the end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = utf8(bytes)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let place = Line { number: 1, offset: 0, text };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(place.malformed("not a verifier key, expected name+id+base64"));
        };
        let bad_key =
            || place.malformed_at(text.len() - encoded.len(), "not an Ed25519 verifier key in base64");
        let key = from_base64(encoded).ok_or_else(bad_key)?;
        let Some((&ED25519, key)) = key.split_first() else { return Err(bad_key()) };
        let key = <&[u8; 32]>::try_from(key).map_err(|_| bad_key())?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| bad_key())?;
        let parsed = Self::new(name, key).ok_or_else(|| place.malformed("not a name for a verifier key"))?;
        if parsed.to_string() != text {
            return Err(place.malformed_at(name.len() + 1, "the key id is not that of this name and key"));
        }
        Ok(parsed)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The same key under the name of one run, where this one is named `<org>/<host>`.
    #[must_use]
    pub fn for_run(&self, run: &str) -> Option<Self> {
        Self::new(&format!("{}/run/{run}", self.name), self.key)
    }

    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), base64(&key))
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// What a tree head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// `<org>/<host>/run/<id>`, see [`origin`].
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl TreeHead {
    /// The signed text, with its last line feed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(self.root.as_bytes()))
    }

    /// The root as approvals and tree heads write it.
    pub fn root_base64(&self) -> String {
        base64(self.root.as_bytes())
    }

    /// The note, to be stored as `checkpoints/<size, six digits>.note`. None if the origin cannot be a name.
    pub fn sign(&self, key: &SigningKey) -> Option<SignedTreeHead> {
        if !is_key_name(&self.origin) {
            return None;
        }
        let signature = key.sign(self.text().as_bytes());
        Some(SignedTreeHead {
            head: self.clone(),
            key_id: key_id(&self.origin, &key.verifying_key()),
            signature,
        })
    }
}

/// A tree head with its one signature, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTreeHead {
    head: TreeHead,
    key_id: [u8; 4],
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("the tree head is signed by key {found:08x}, expected {expected:08x}")]
    OtherKey { found: u32, expected: u32 },
    #[error("the signature of the tree head does not match its text")]
    BadSignature,
}

impl SignedTreeHead {
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let all = lines(bytes)?;
        let [origin, size, root, blank, signature] = all.as_slice() else {
            return Err(Malformed::start(format!(
                "not a tree head: found {} lines, expected origin, size, root, an empty line and one signature",
                all.len()
            )));
        };
        if !is_key_name(origin.text) {
            return Err(origin.malformed("not an origin"));
        }
        let head = TreeHead { origin: origin.text.into(), size: parse_size(size)?, root: parse_root(root)? };
        if !blank.text.is_empty() {
            return Err(blank.malformed("found text, expected the empty line before the signature"));
        }
        let bad = || signature.malformed("not a signature line, expected a dash, the origin and base64");
        let (name, encoded) =
            signature.text.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(bad)?;
        if name != head.origin {
            return Err(
                signature.malformed(format!("signed as {name:?}, expected the origin {:?}", head.origin))
            );
        }
        let decoded = from_base64(encoded).ok_or_else(bad)?;
        let (key_id, signature) = decoded.split_first_chunk::<4>().ok_or_else(bad)?;
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        Ok(Self { head, key_id: *key_id, signature })
    }

    /// The head, unverified: for saying what a file claims.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The head, if `key` signed it under its origin.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&TreeHead, NoteError> {
        let expected = key_id(&self.head.origin, key);
        if self.key_id != expected {
            let (found, expected) = (u32::from_be_bytes(self.key_id), u32::from_be_bytes(expected));
            return Err(NoteError::OtherKey { found, expected });
        }
        key.verify_strict(self.head.text().as_bytes(), &self.signature)
            .map_err(|_| NoteError::BadSignature)?;
        Ok(&self.head)
    }
}

/// The bytes of the file.
impl fmt::Display for SignedTreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut signature = self.key_id.to_vec();
        signature.extend_from_slice(&self.signature.to_bytes());
        write!(f, "{}\n\u{2014} {} {}\n", self.head.text(), self.head.origin, base64(&signature))
    }
}

fn parse_size(line: &Line) -> Result<u64, Malformed> {
    line.text
        .parse()
        .ok()
        .filter(|size: &u64| size.to_string() == line.text)
        .ok_or_else(|| line.malformed("not a tree size, expected a decimal number"))
}

fn parse_root(line: &Line) -> Result<Hash, Malformed> {
    from_base64(line.text)
        .and_then(|root| root.try_into().ok())
        .map(Hash::new)
        .ok_or_else(|| line.malformed("not a root, expected 32 bytes in base64"))
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::every_changed_byte_is_refused;
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn head() -> TreeHead {
        TreeHead { origin: origin("consigne.example", "prod-1", "r1"), size: 12, root: Hash::of(b"root") }
    }

    /// The example of the signed-note specification.
    #[test]
    fn reads_the_verifier_key_of_the_specification() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let vkey = VerifierKey::parse(text.as_bytes()).unwrap();
        assert_eq!((vkey.name(), vkey.to_string()), ("PeterNeumann", text.into()));
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let encoded =
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let decoded = from_base64(encoded).unwrap();
        assert_eq!(decoded[..4], vkey.id());
        vkey.key().verify_strict(note.as_bytes(), &Signature::from_slice(&decoded[4..]).unwrap()).unwrap();
    }

    #[test]
    fn a_head_comes_back() {
        let signed = head().sign(&key(1)).unwrap();
        let read = SignedTreeHead::parse(signed.to_string().as_bytes()).unwrap();
        assert_eq!(read.verify(&key(1).verifying_key()), Ok(&head()));
        assert!(matches!(read.verify(&key(2).verifying_key()), Err(NoteError::OtherKey { .. })));
        let vkey = VerifierKey::new("consigne.example/prod-1", key(1).verifying_key()).unwrap();
        assert_eq!(vkey.for_run("r1").unwrap().name(), head().origin);
    }

    #[test]
    fn no_byte_can_be_changed() {
        let note = head().sign(&key(1)).unwrap().to_string();
        let public = key(1).verifying_key();
        every_changed_byte_is_refused(note.as_bytes(), |bytes| {
            SignedTreeHead::parse(bytes).is_ok_and(|head| head.verify(&public).is_ok())
        });
        let vkey = VerifierKey::new("a/b", public).unwrap();
        for at in 0..vkey.to_string().len() {
            let mut bytes = vkey.to_string().into_bytes();
            bytes[at] ^= 1;
            assert_ne!(VerifierKey::parse(&bytes).ok(), Some(vkey.clone()));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let note = head().sign(&key(1)).unwrap().to_string();
        for size in ["+12", "012", "1_2", "18446744073709551616", ""] {
            let error =
                SignedTreeHead::parse(note.replace("\n12\n", &format!("\n{size}\n")).as_bytes()).unwrap_err();
            assert_eq!((error.line, error.offset), (2, 31), "{size:?}");
        }
    }

    #[test]
    fn a_second_signature_is_refused() {
        let note = head().sign(&key(1)).unwrap().to_string();
        let last = note.lines().last().unwrap();
        let error = SignedTreeHead::parse(format!("{note}{last}\n").as_bytes()).unwrap_err();
        assert!(error.what.contains("found 6 lines"), "{error}");
        assert!(TreeHead { origin: "two words".into(), ..head() }.sign(&key(1)).is_none());
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[a+0-9\u{2014}= \\n]{0,40}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let _ = (SignedTreeHead::parse(bytes), VerifierKey::parse(bytes));
            }
        }

        #[test]
        fn what_parses_encodes_to_itself(size in any::<u64>(), seed in any::<u8>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = TreeHead { size, ..head() }.sign(&key(seed)).unwrap().to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(parsed) = SignedTreeHead::parse(&bytes) {
                prop_assert_eq!(parsed.to_string().into_bytes(), bytes);
            }
        }
    }
}
