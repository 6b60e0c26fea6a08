//! Enrolling people: their public keys become lines of the `allowed_signers` that decisions are checked against.
//!
//! Owns what such a line may say. It is never wider than approvals of one organisation, a key is one person's, and a
//! private key is not even quoted.

use std::path::{Path, PathBuf};

use super::allowed_signers::AllowedSigners;
use super::keys::{self, KeyError};
use super::namespace;
use super::place::Malformed;
use super::sshsig::{SUPPORTED, SignerKey, is_supported_name};

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is a private key", path.display())]
    Private { path: PathBuf },
    #[error("{} is not one OpenSSH public key", path.display())]
    NotAKey { path: PathBuf },
    #[error("{} is a {found} key, expected {SUPPORTED}", path.display())]
    Unsupported { path: PathBuf, found: String },
    #[error("{name:?} is no principal: expected one name without spaces, quotes, commas and wildcards")]
    Principal { name: String },
    #[error("{name:?} is no id of a runbook: expected letters, digits and '-'")]
    Runbook { name: String },
    #[error("{principal} has this key already, in line {line} of allowed_signers")]
    Already { principal: String, line: usize },
    #[error("the key is {owner}'s, in line {line} of allowed_signers")]
    OtherPerson { owner: String, line: usize },
    #[error("{}, {malformed}", path.display())]
    Malformed { path: PathBuf, malformed: Malformed },
    #[error(transparent)]
    Write(#[from] KeyError),
}

impl EnrolError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Private { .. } => Some("it never leaves its owner; name the .pub beside it"),
            Self::NotAKey { .. } => Some("the file ends in .pub, and holds one line: type, key, comment"),
            Self::OtherPerson { .. } => Some("with one key for two names, one person could be two"),
            Self::Principal { .. } => {
                Some("the `ssh` of that person in the environment, such as alice@example.com")
            }
            Self::Unsupported { .. } => Some("ssh-keygen -t ed25519 makes one"),
            _ => None,
        }
    }
}

/// A key that has been enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    pub principal: String,
    pub key: SignerKey,
    pub namespaces: String,
}

/// Adds the key in `file` to a trust folder, for decisions about every runbook of `org`, or about one.
///
/// # Errors
/// It is no public key that can count here, it is there already, or the folder cannot be written.
pub fn enrol(
    trust: &Path,
    org: &str,
    principal: &str,
    file: &Path,
    runbook: Option<&str>,
) -> Result<Enrolled, EnrolError> {
    let one = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '\\' | '*' | '?' | '!' | '#');
    if principal.is_empty() || !principal.chars().all(one) || principal.starts_with("executor@") {
        return Err(EnrolError::Principal { name: principal.into() });
    }
    let id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if let Some(name) = runbook.filter(|name| name.is_empty() || !name.chars().all(id)) {
        return Err(EnrolError::Runbook { name: name.into() });
    }
    let key = public_key(file)?;
    let path = trust.join("allowed_signers");
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|source| EnrolError::Read { path: path.clone(), source })?,
    };
    let present = AllowedSigners::parse(&bytes)
        .map_err(|malformed| EnrolError::Malformed { path: path.clone(), malformed })?;
    let (namespaces, all) = (namespace::of_person(runbook, org), namespace::of_person(None, org));
    for signer in present.signers().iter().filter(|signer| *signer.key() == key) {
        let line = signer.line;
        if signer.principals() != principal {
            return Err(EnrolError::OtherPerson { owner: signer.principals().into(), line });
        }
        let mut patterns = signer.namespaces().unwrap_or_default().split(',');
        if patterns.any(|pattern| pattern == namespaces || pattern == all) {
            return Err(EnrolError::Already { principal: principal.into(), line });
        }
    }
    let line = format!("{principal} namespaces=\"{namespaces}\" {key}\n");
    keys::append(&path, line.as_bytes())?;
    Ok(Enrolled { principal: principal.into(), key, namespaces })
}

fn public_key(file: &Path) -> Result<SignerKey, EnrolError> {
    let bytes = std::fs::read(file).map_err(|source| EnrolError::Read { path: file.into(), source })?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    if text.contains("PRIVATE KEY") {
        return Err(EnrolError::Private { path: file.into() });
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let one = lines.next().filter(|_| lines.next().is_none());
    let key = one.and_then(SignerKey::parse_openssh);
    let key = key.ok_or_else(|| EnrolError::NotAKey { path: file.into() })?;
    if !is_supported_name(key.algorithm()) {
        return Err(EnrolError::Unsupported { path: file.into(), found: key.algorithm().into() });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::sshsig::FileKey;
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_key_is_enrolled_once_for_one_person_and_no_wider_than_asked() {
        let folder = tempfile::tempdir().unwrap();
        let own = FileKey::from_ed25519(&SigningKey::from_bytes(&[5; 32]));
        let file = folder.path().join("a.pub");
        std::fs::write(&file, format!("{} alice@laptop\n", own.public())).unwrap();
        let enrol = |name, runbook| enrol(folder.path(), "x.example", name, &file, runbook);
        let refused = |name, runbook| enrol(name, runbook).unwrap_err().to_string();
        for name in ["", "a b", "a,b", "*@x", "executor@prod", "a\"", "#a", "!a"] {
            assert!(refused(name, None).contains("is no principal"), "{name}");
        }
        assert!(refused("alice@x", Some("a.*")).contains("no id of a runbook"));
        assert!(!folder.path().join("allowed_signers").exists());
        assert_eq!(enrol("alice@x", Some("leak")).unwrap().namespaces, "approve.*.leak.*@x.example");
        assert!(refused("alice@x", Some("leak")).contains("already, in line 1"));
        assert!(refused("bob@x", None).contains("alice@x's, in line 1"));
        assert_eq!(enrol("alice@x", None).unwrap().namespaces, "approve.*@x.example");
        assert!(refused("alice@x", Some("other")).contains("already, in line 2"));
        let text = std::fs::read(folder.path().join("allowed_signers")).unwrap();
        assert_eq!(AllowedSigners::parse(&text).unwrap().lints(), []);

        std::fs::write(&file, own.to_openssh("alice").unwrap().as_bytes()).unwrap();
        assert!(refused("bob@x", None).ends_with("is a private key"));
        let two = FileKey::from_ed25519(&SigningKey::from_bytes(&[6; 32])).public();
        std::fs::write(&file, format!("{two}\n{}\n", own.public())).unwrap();
        assert!(refused("bob@x", None).contains("not one OpenSSH public key"));
    }
}
