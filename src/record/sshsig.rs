//! SSHSIG: signatures that `ssh-keygen -Y verify` checks, by keys that people already own.
//!
//! Owns signing with key files, the strict armor (what parses encodes to the same bytes) and verification:
//! Ed25519 and ECDSA P-256 by plain keys. Security keys, certificates and agents are not accepted here: a
//! security key's signature is worth nothing until somebody reads its flags. Whether a key may sign is
//! for `allowed_signers` to say; the key inside a signature only says who claims to have signed.

use std::fmt;
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::public::{Ed25519PublicKey, KeyData, PublicKey};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, SshSig};

use super::encoding::{base64, from_base64};
use super::place::{Malformed, utf8};

/// A public key as SSH writes it. Equal if the bytes are; any key type, so that a foreign one can be named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignerKey {
    algorithm: String,
    blob: Vec<u8>,
}

impl SignerKey {
    /// Reads `<type> <base64>`, with or without a comment.
    pub fn parse_openssh(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace();
        Self::from_parts(parts.next()?, parts.next()?)
    }

    /// None if the base64 has another spelling or the blob is of another type than it says.
    pub fn from_parts(algorithm: &str, encoded: &str) -> Option<Self> {
        let blob = from_base64(encoded)?;
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (rest.get(..length)? == algorithm.as_bytes()).then(|| Self { algorithm: algorithm.into(), blob })
    }

    pub fn from_ed25519(key: &VerifyingKey) -> Self {
        let data = KeyData::Ed25519(Ed25519PublicKey(key.to_bytes()));
        Self::from_key_data(data).expect("an Ed25519 key always has an SSH form")
    }

    fn from_key_data(data: KeyData) -> Option<Self> {
        let key = PublicKey::new(data, "");
        Some(Self { algorithm: key.algorithm().to_string(), blob: key.to_bytes().ok()? })
    }

    /// The key, if it is a plain Ed25519 key: the kind that can also sign notes and envelopes.
    pub fn ed25519(&self) -> Option<VerifyingKey> {
        let key = PublicKey::from_bytes(&self.blob).ok()?;
        VerifyingKey::from_bytes(&key.key_data().ed25519()?.0).ok()
    }

    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", base64(&Sha256::digest(&self.blob)).trim_end_matches('='))
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, base64(&self.blob))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({} {})", self.algorithm, self.fingerprint())
    }
}

/// A signature read from its armor, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature {
    key: SignerKey,
    inner: SshSig,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshSigError {
    #[error("signed in namespace {found:?}, expected {expected:?}")]
    OtherNamespace { found: String, expected: String },
    #[error("the signature does not match the text")]
    BadSignature,
}

impl SshSignature {
    pub fn parse(armor: &[u8]) -> Result<Self, Malformed> {
        let text = utf8(armor)?;
        let bad = |what: &str| Malformed::start(what);
        let inner = SshSig::from_pem(text).map_err(|_| bad("not an SSH signature"))?;
        let again = inner.to_pem(LineEnding::LF).map_err(|_| bad("not an SSH signature"))?;
        if let Some(offset) = first_difference(again.as_bytes(), armor) {
            let line = 1 + armor[..offset].iter().filter(|b| **b == b'\n').count();
            return Err(Malformed { line, offset, what: "the armor is not as ssh-keygen writes it".into() });
        }
        if inner.version() != SshSig::VERSION || !inner.reserved().is_empty() {
            return Err(bad("an SSH signature of another version"));
        }
        let algorithm = inner.public_key().algorithm();
        if !is_supported(&algorithm) {
            return Err(bad(&format!("signed by a {algorithm} key, expected {SUPPORTED}")));
        }
        if inner.algorithm() != algorithm {
            return Err(bad(&format!("a {} signature by a {algorithm} key", inner.algorithm())));
        }
        let key = SignerKey::from_key_data(inner.public_key().clone()).ok_or_else(|| bad("not a key"))?;
        Ok(Self { key, inner })
    }

    /// Who claims to have signed.
    pub fn key(&self) -> &SignerKey {
        &self.key
    }

    pub fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    /// The bytes of the file.
    pub fn armor(&self) -> String {
        self.inner.to_pem(LineEnding::LF).expect("parsed from this form or signed by a supported key")
    }

    /// Whether the key in the signature signed exactly `message` in exactly `namespace`.
    pub fn verify(&self, namespace: &str, message: &[u8]) -> Result<(), SshSigError> {
        if self.namespace() != namespace {
            return Err(SshSigError::OtherNamespace {
                found: self.namespace().into(),
                expected: namespace.into(),
            });
        }
        let bad = |_| SshSigError::BadSignature;
        match self.key.ed25519() {
            // Not the library's own check: it takes signatures that others refuse.
            Some(key) => {
                let signed = SshSig::signed_data(namespace, self.inner.hash_alg(), message).map_err(bad)?;
                let signature = ed25519_dalek::Signature::from_slice(self.inner.signature_bytes())
                    .map_err(|_| SshSigError::BadSignature)?;
                key.verify_strict(&signed, &signature).map_err(|_| SshSigError::BadSignature)
            }
            None => PublicKey::new(self.inner.public_key().clone(), "")
                .verify(namespace, message, &self.inner)
                .map_err(bad),
        }
    }
}

pub(super) const SUPPORTED: &str = "ssh-ed25519 or ecdsa-sha2-nistp256";

/// Whether a key of that type can count.
pub(super) fn is_supported_name(algorithm: &str) -> bool {
    algorithm.parse().is_ok_and(|algorithm| is_supported(&algorithm))
}

fn is_supported(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ed25519 | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 })
}

fn first_difference(expected: &[u8], found: &[u8]) -> Option<usize> {
    let common = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    (common < expected.len() || common < found.len()).then_some(common)
}

/// A private key in a file, without a passphrase.
pub struct FileKey {
    key: PrivateKey,
}

#[derive(Debug, thiserror::Error)]
pub enum FileKeyError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not an OpenSSH private key", path.display())]
    NotAKey { path: PathBuf },
    #[error("{} is protected by a passphrase", path.display())]
    Passphrase { path: PathBuf },
    #[error("{} holds a {found} key, expected {SUPPORTED}", path.display())]
    Unsupported { path: PathBuf, found: String },
    #[error("the key cannot sign in namespace {0:?}")]
    Sign(String),
}

impl FileKeyError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Passphrase { .. } | Self::Unsupported { .. } => {
                Some("sign the shown text with ssh-keygen -Y sign and hand the signature in")
            }
            Self::NotAKey { .. } => Some("name the private key, not the .pub beside it"),
            Self::Read { .. } | Self::Sign(_) => None,
        }
    }
}

impl FileKey {
    pub fn load(path: &Path) -> Result<Self, FileKeyError> {
        let read = |source| FileKeyError::Read { path: path.into(), source };
        let text = zeroize::Zeroizing::new(std::fs::read(path).map_err(read)?);
        Self::parse(&text, path)
    }

    /// `path` only names the key in errors.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, FileKeyError> {
        let key = PrivateKey::from_openssh(text).map_err(|_| FileKeyError::NotAKey { path: path.into() })?;
        if key.is_encrypted() {
            return Err(FileKeyError::Passphrase { path: path.into() });
        }
        if !is_supported(&key.algorithm()) {
            return Err(FileKeyError::Unsupported { path: path.into(), found: key.algorithm().to_string() });
        }
        Ok(Self { key })
    }

    pub fn from_ed25519(key: &SigningKey) -> Self {
        Self { key: PrivateKey::from(Ed25519Keypair::from(key)) }
    }

    pub fn public(&self) -> SignerKey {
        SignerKey::from_key_data(self.key.public_key().key_data().clone())
            .expect("the key of a parsed private key has an SSH form")
    }

    /// The key for notes and envelopes, if it is an Ed25519 key.
    pub(crate) fn ed25519(&self) -> Option<SigningKey> {
        self.key.key_data().ed25519().map(|pair| SigningKey::from(&pair.private))
    }

    pub(crate) fn to_openssh(&self, comment: &str) -> Option<zeroize::Zeroizing<String>> {
        let mut key = self.key.clone();
        key.set_comment(comment);
        key.to_openssh(LineEnding::LF).ok()
    }

    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<SshSignature, FileKeyError> {
        let failed = || FileKeyError::Sign(namespace.into());
        let inner = self.key.sign(namespace, HashAlg::Sha512, message).map_err(|_| failed())?;
        Ok(SshSignature { key: self.public(), inner })
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "a check that could not run must say so")]
mod tests {
    use super::super::place::tests::every_changed_byte_is_refused;
    use super::*;
    use proptest::prelude::*;
    use std::process::{Command, Stdio};

    const NS: &str = "approve.live.leak.isolate@consigne.example";

    fn key() -> FileKey {
        FileKey::from_ed25519(&SigningKey::from_bytes(&[3; 32]))
    }

    /// None, said on the screen, where OpenSSH is not installed.
    fn ssh_keygen(args: &[&str], dir: &Path, stdin: Option<&str>) -> Option<std::process::Output> {
        let stdin = stdin.map_or(Stdio::null(), |name| std::fs::File::open(dir.join(name)).unwrap().into());
        let output = Command::new("ssh-keygen").args(args).current_dir(dir).stdin(stdin).output();
        output.inspect_err(|_| println!("not run: ssh-keygen is missing")).ok()
    }

    #[test]
    fn a_signature_comes_back() {
        let signature = key().sign(NS, b"text").unwrap();
        let read = SshSignature::parse(signature.armor().as_bytes()).unwrap();
        assert_eq!(read.verify(NS, b"text"), Ok(()));
        assert_eq!(read.verify(NS, b"test"), Err(SshSigError::BadSignature));
        assert!(matches!(read.verify("seal.live@x", b"text"), Err(SshSigError::OtherNamespace { .. })));
        assert_eq!(read.key(), &key().public());
        assert_eq!(SignerKey::parse_openssh(&format!("{} me", read.key())), Some(read.key().clone()));
        assert!(key().sign("", b"text").is_err());
    }

    #[test]
    fn no_byte_can_be_changed() {
        let armor = key().sign(NS, b"text").unwrap().armor();
        every_changed_byte_is_refused(armor.as_bytes(), |bytes| {
            SshSignature::parse(bytes).is_ok_and(|s| s.key == key().public() && s.verify(NS, b"text").is_ok())
        });
        let rewrapped = armor.replacen('\n', "\r\n", 1);
        assert!(SshSignature::parse(rewrapped.as_bytes()).is_err());
    }

    fn armored(blob: &[u8]) -> String {
        let body = base64(blob);
        let lines: Vec<_> = body.as_bytes().chunks(70).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
    }

    fn unarmored(armor: &str) -> Vec<u8> {
        from_base64(&armor.lines().filter(|l| !l.starts_with('-')).collect::<String>()).unwrap()
    }

    #[test]
    fn the_reserved_field_and_the_version_are_checked() {
        let good = unarmored(&key().sign(NS, b"text").unwrap().armor());
        assert!(SshSignature::parse(armored(&good).as_bytes()).is_ok());
        let reserved = 6 + 4 + 4 + 51 + 4 + NS.len();
        assert_eq!(good[reserved..reserved + 4], [0; 4]);
        let mut filled = good.clone();
        filled.splice(reserved..reserved + 4, *b"\0\0\0\x01x");
        let mut older = good;
        older[9] = 0;
        for blob in [filled, older] {
            let error = SshSignature::parse(armored(&blob).as_bytes()).unwrap_err();
            assert!(error.what.contains("another version"), "{error}");
        }
    }

    #[test]
    fn ssh_keygen_accepts_ours() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        file("text", "text");
        file("text.sig", &key().sign(NS, b"text").unwrap().armor());
        file(
            "allowed",
            &format!("alice@example.com namespaces=\"approve.live.*@consigne.example\" {}\n", key().public()),
        );
        let verify = |ns| {
            let args =
                ["-Y", "verify", "-f", "allowed", "-I", "alice@example.com", "-n", ns, "-s", "text.sig"];
            ssh_keygen(&args, dir.path(), Some("text"))
        };
        let Some(good) = verify(NS) else { return };
        assert!(good.status.success(), "{good:?}");
        assert!(!verify("approve.drill.leak.isolate@consigne.example").unwrap().status.success());
        file("key.pub", &format!("{} me\n", key().public()));
        let listed = ssh_keygen(&["-l", "-f", "key.pub"], dir.path(), None).unwrap();
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&key().public().fingerprint()));
    }

    #[test]
    fn we_accept_those_of_ssh_keygen() {
        for kind in [&["ed25519"][..], &["ecdsa", "-b", "256"]] {
            let dir = tempfile::tempdir().unwrap();
            let generate = [&["-q", "-N", "", "-C", "me", "-f", "key", "-t"], kind].concat();
            if ssh_keygen(&generate, dir.path(), None).is_none() {
                return;
            }
            std::fs::write(dir.path().join("text"), "text").unwrap();
            let signed =
                ssh_keygen(&["-Y", "sign", "-f", "key", "-n", NS, "text"], dir.path(), None).unwrap();
            assert!(signed.status.success(), "{signed:?}");
            let read = |name| std::fs::read(dir.path().join(name)).unwrap();
            let signature = SshSignature::parse(&read("text.sig")).unwrap();
            assert_eq!(signature.verify(NS, b"text"), Ok(()), "{kind:?}");
            assert_eq!(signature.verify(NS, b"test"), Err(SshSigError::BadSignature));
            let public = SignerKey::parse_openssh(std::str::from_utf8(&read("key.pub")).unwrap()).unwrap();
            assert_eq!(signature.key(), &public);
            every_changed_byte_is_refused(&read("text.sig"), |bytes| {
                SshSignature::parse(bytes).is_ok_and(|s| s.key == public && s.verify(NS, b"text").is_ok())
            });
            let ours = FileKey::load(&dir.path().join("key")).unwrap().sign(NS, b"text").unwrap();
            assert_eq!(ours.verify(NS, b"text"), Ok(()));
            let error = FileKey::load(&dir.path().join("key.pub")).err().unwrap();
            assert!(
                error.to_string().ends_with("key.pub is not an OpenSSH private key")
                    && error.hint().is_some()
            );
        }
    }

    #[test]
    fn keys_that_cannot_sign_here_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let generate = |args: &[&str]| ssh_keygen(&[&["-q", "-f", "key"], args].concat(), dir.path(), None);
        if generate(&["-t", "ed25519", "-N", "secret"]).is_none() {
            return;
        }
        let error = FileKey::load(&dir.path().join("key")).err().unwrap();
        assert!(matches!(error, FileKeyError::Passphrase { .. }), "{error}");
        std::fs::remove_file(dir.path().join("key")).unwrap();
        generate(&["-t", "ecdsa", "-b", "384", "-N", ""]).unwrap();
        let error = FileKey::load(&dir.path().join("key")).err().unwrap();
        assert!(error.to_string().contains("ecdsa-sha2-nistp384 key, expected ssh-ed25519"), "{error}");
        assert!(matches!(FileKey::load(&dir.path().join("none")), Err(FileKeyError::Read { .. })));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
            let _ = (SshSignature::parse(&bytes), SignerKey::parse_openssh(&text));
            let armor = format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", base64(&bytes));
            let _ = (SshSignature::parse(armor.as_bytes()), SignerKey::from_parts("ssh-ed25519", &base64(&bytes)));
            let _ = FileKey::parse(&bytes, Path::new("key"));
        }

        #[test]
        fn a_mangled_signature_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let armor = key().sign(NS, b"text").unwrap().armor();
            let mut blob = unarmored(&armor);
            let at = at.index(blob.len());
            blob[at] = byte;
            let mangled = armored(&blob);
            if let Ok(parsed) = SshSignature::parse(mangled.as_bytes()) {
                prop_assert_eq!(parsed.verify(NS, b"text").is_ok(), mangled == armor);
            }
        }
    }
}
