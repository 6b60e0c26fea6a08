//! Whom the verifier trusts: a directory of their own, never the copy in a record.
//!
//! Owns loading it and finding the executor's key behind a tree head or an envelope. `allowed_signers` alone
//! grants; the `.vkey` and `.spki.pem` files beside it are for stock tools and must be of a key it names, so
//! that they and we trust the same keys.

use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;

use super::allowed_signers::{AllowedSigners, NotAllowed, Signer};
use super::dsse::{self, Envelope};
use super::keys::{ExecutorKey, spki_pem};
use super::namespace;
use super::note::{NoteError, SignedTreeHead, VerifierKey};
use super::place::Malformed;
use super::sshsig::SignerKey;
use crate::clock::Timestamp;

#[derive(Debug, Clone)]
pub struct Trust {
    dir: PathBuf,
    signers: AllowedSigners,
}

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}, {malformed}", path.display())]
    Malformed { path: PathBuf, malformed: Malformed },
    #[error("{} is of a key that allowed_signers does not name", path.display())]
    Stray { path: PathBuf },
}

/// Why the executor's signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("no key in allowed_signers has the key id {0}")]
    UnknownKeyId(String),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error("the tree head is of {origin:?}, expected {expected:?}")]
    OtherOrigin { origin: String, expected: String },
    #[error("line {line}: the key is {principals}'s, expected {expected}")]
    OtherPrincipal { line: usize, principals: String, expected: String },
}

impl Trust {
    pub fn load(dir: &Path) -> Result<Self, TrustError> {
        let path = dir.join("allowed_signers");
        let signers = AllowedSigners::parse(&read(&path)?)
            .map_err(|malformed| TrustError::Malformed { path, malformed })?;
        let trust = Self { dir: dir.into(), signers };
        trust.check_public_files()?;
        Ok(trust)
    }

    /// The key of rehearsals alone, for a reader who has no folder of keys.
    pub fn of_rehearsals() -> Self {
        let none = AllowedSigners::parse(b"").expect("no line is malformed");
        Self { dir: PathBuf::new(), signers: none }.with_rehearsals()
    }

    /// The key of rehearsals as well: everybody has it, and it signs nothing else.
    #[must_use]
    pub fn with_rehearsals(mut self) -> Self {
        let key = ExecutorKey::of_rehearsals();
        let line = key.allowed_line(&namespace::of_rehearsals(key.org()));
        self.signers.also(AllowedSigners::parse(line.as_bytes()).expect("a line of our own"));
        self
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn signers(&self) -> &AllowedSigners {
        &self.signers
    }

    /// The key that signed a tree head of run `run` on `host`, and the entry that allows it at `at`. The
    /// signature itself is still to be verified with it.
    pub fn tree_head_key(
        &self,
        signed: &SignedTreeHead,
        (org, host, run): (&str, &str, &str),
        at: Timestamp,
    ) -> Result<(&Signer, VerifyingKey), Untrusted> {
        let (origin, expected) = (&signed.head().origin, super::note::origin(org, host, run));
        if *origin != expected {
            return Err(Untrusted::OtherOrigin { origin: origin.clone(), expected });
        }
        let mut key_id = None;
        for key in self.ed25519_keys() {
            match signed.verify(&key) {
                Err(NoteError::OtherKey { found, .. }) => key_id = Some(found),
                Ok(_) | Err(NoteError::BadSignature) => {
                    return self.executor(key, &namespace::tree_head(org), host, at);
                }
            }
        }
        Err(Untrusted::UnknownKeyId(key_id.map_or_else(String::new, |id| format!("{id:08x}"))))
    }

    /// The key that the envelope names, and the entry that allows it to seal. The signature itself is still to
    /// be verified with it.
    pub fn envelope_key(
        &self,
        envelope: &Envelope,
        mode: &str,
        (org, host): (&str, &str),
        at: Timestamp,
    ) -> Result<(&Signer, VerifyingKey), Untrusted> {
        let key = self.ed25519(envelope.key_id());
        let key = key.ok_or_else(|| Untrusted::UnknownKeyId(envelope.key_id().into()))?;
        self.executor(key, &namespace::seal(mode, org), host, at)
    }

    /// Whether the executor of `host` may sign in `namespace` with `key`.
    pub fn executor(
        &self,
        key: VerifyingKey,
        namespace: &str,
        host: &str,
        at: Timestamp,
    ) -> Result<(&Signer, VerifyingKey), Untrusted> {
        let signer = self.signers.authorise(&SignerKey::from_ed25519(&key), namespace, at)?;
        let expected = format!("executor@{host}");
        if !signer.is_principal(&expected) {
            let (line, principals) = (signer.line, signer.principals().to_string());
            return Err(Untrusted::OtherPrincipal { line, principals, expected });
        }
        Ok((signer, key))
    }

    /// The trusted key of that id; what it may sign is still to be asked.
    pub fn ed25519(&self, key_id: &str) -> Option<VerifyingKey> {
        self.ed25519_keys().into_iter().find(|key| dsse::key_id(key) == key_id)
    }

    fn ed25519_keys(&self) -> Vec<VerifyingKey> {
        self.signers.signers().iter().filter_map(|signer| signer.key().ed25519()).collect()
    }

    fn check_public_files(&self) -> Result<(), TrustError> {
        let fail = |source| TrustError::Read { path: self.dir.clone(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(fail)? {
            paths.push(entry.map_err(fail)?.path());
        }
        paths.sort();
        let known = self.ed25519_keys();
        for path in paths {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let key = if name.ends_with(".vkey") {
                VerifierKey::parse(&read(&path)?).map(|vkey| *vkey.key())
            } else if name.ends_with(".spki.pem") {
                parse_spki(&read(&path)?)
            } else {
                continue;
            };
            let key = key.map_err(|malformed| TrustError::Malformed { path: path.clone(), malformed })?;
            if !known.contains(&key) {
                return Err(TrustError::Stray { path });
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(path).map_err(|source| TrustError::Read { path: path.into(), source })
}

fn parse_spki(bytes: &[u8]) -> Result<VerifyingKey, Malformed> {
    let bad = || Malformed::start("not an Ed25519 public key in PEM");
    let key = std::str::from_utf8(bytes).ok().and_then(|pem| VerifyingKey::from_public_key_pem(pem).ok());
    key.filter(|key| spki_pem(key).as_bytes() == bytes).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::super::note::{TreeHead, origin};
    use super::super::{Statement, Subject};
    use super::*;
    use crate::journal::Hash;
    use proptest::prelude::*;
    use std::fs;

    const RUN: (&str, &str, &str) = ("consigne.example", "prod-1", "r1");

    fn home() -> (tempfile::TempDir, ExecutorKey) {
        let home = tempfile::tempdir().unwrap();
        let key = ExecutorKey::init(home.path(), RUN.0, RUN.1).unwrap();
        (home, key)
    }

    fn head(key: &ExecutorKey) -> SignedTreeHead {
        let head = TreeHead { origin: origin(RUN.0, RUN.1, RUN.2), size: 1, root: Hash::ZERO };
        head.sign(key.signing()).unwrap()
    }

    #[test]
    fn finds_the_key_behind_a_tree_head() {
        let (home, key) = home();
        let (_other_home, other) = self::home();
        let trust = Trust::load(&home.path().join("trust")).unwrap();
        let ask = |signed: &SignedTreeHead, run| trust.tree_head_key(signed, run, Timestamp::default());
        let (signer, found) = ask(&head(&key), RUN).unwrap();
        assert_eq!((signer.principals(), found), ("executor@prod-1", key.public()));
        assert!(matches!(ask(&head(&other), RUN), Err(Untrusted::UnknownKeyId(id)) if id.len() == 8));
        assert!(matches!(ask(&head(&key), (RUN.0, RUN.1, "r2")), Err(Untrusted::OtherOrigin { .. })));
    }

    #[test]
    fn finds_the_key_behind_an_envelope() {
        let (home, key) = home();
        let (_other_home, other) = self::home();
        let trust = Trust::load(&home.path().join("trust")).unwrap();
        let statement = Statement::new(vec![Subject::new("a", Hash::ZERO)], "t", serde_json::Value::Null);
        let ask = |key: &ExecutorKey, org, host| {
            let envelope = Envelope::sign(&statement, key.signing()).unwrap();
            trust.envelope_key(&envelope, "live", (org, host), Timestamp::default()).map(|(_, key)| key)
        };
        assert_eq!(ask(&key, RUN.0, RUN.1), Ok(key.public()));
        assert!(matches!(ask(&other, RUN.0, RUN.1), Err(Untrusted::UnknownKeyId(_))));
        assert!(matches!(ask(&key, RUN.0, "prod-2"), Err(Untrusted::OtherPrincipal { .. })));
        assert!(matches!(
            ask(&key, "other.example", RUN.1),
            Err(Untrusted::NotAllowed(NotAllowed::Namespace { .. }))
        ));
    }

    #[test]
    fn public_files_of_other_keys_are_refused() {
        let (home, key) = home();
        let (other, _) = self::home();
        let trust = home.path().join("trust");
        for name in ["executor.vkey", "executor.spki.pem"] {
            let path = trust.join(format!("stray-{name}"));
            fs::copy(other.path().join("keys").join(name), &path).unwrap();
            assert!(matches!(Trust::load(&trust), Err(TrustError::Stray { .. })), "{name}");
            fs::write(&path, "garbage\n").unwrap();
            assert!(matches!(Trust::load(&trust), Err(TrustError::Malformed { .. })), "{name}");
            fs::remove_file(&path).unwrap();
        }
        assert!(parse_spki(key.spki_pem().replace('\n', "\r\n").as_bytes()).is_err());
        fs::remove_file(trust.join("allowed_signers")).unwrap();
        assert!(Trust::load(&trust).unwrap_err().to_string().contains("allowed_signers"));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_spki(&bytes);
        }
    }
}
