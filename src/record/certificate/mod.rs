//! The certificate of a rehearsal: that exactly this runbook was rehearsed, to a good end, and until when that counts.
//!
//! Owns its form (an in-toto statement in a DSSE envelope, about the files of the runbook) and what makes it count: who
//! signed it, for which version, until when. The key of rehearsals is no secret, so it signs none: the executor does, or a
//! person, each in a namespace of their own. It is read only after its signature has been verified.
//!
//! - [`mod@told`]: what the record of a rehearsal says that a certificate repeats.
//! - [`mod@kept`]: the certificates of a home, and the one that counts for a runbook.

pub mod kept;
pub mod told;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

pub use kept::{Kept, Standing};
pub use told::{Answered, Proof, Rehearsal};

use super::allowed_signers::NotAllowed;
use super::dsse::{DsseError, Envelope, Statement, Subject};
use super::namespace;
use super::place::Malformed;
use super::sshsig::SignerKey;
use super::trust::Trust;
use crate::clock::Timestamp;
use crate::journal::{Hash, Unwritable, files};
use crate::plan::{CertificateRule, Mode, digest};

/// Its name below `plan/` of a run that relied upon it.
pub const FILE: &str = "certificate.dsse.json";
/// The name under which a run freezes its runbook, and what the names of those begin with that it uses.
const RUNBOOK: &str = "runbook.yaml";
const USED: &str = "uses-";

/// How long one may be, in bytes: more is neither read nor parsed, wherever it came from.
pub const MOST: usize = 32 << 20;

/// What a certificate says: the predicate of its statement. Its subjects are the files of the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// Id of the runbook.
    pub runbook: String,
    /// One digest over the runbook and every runbook that it uses, see [`digest_of`].
    pub digest: String,
    pub issuer: Issuer,
    pub issued_on: Timestamp,
    pub expires_on: Timestamp,
    pub rehearsal: Rehearsal,
    pub proof: Proof,
    /// Who said what people say, and how often.
    pub answered: Vec<Answered>,
    pub coverage: Walked,
}

/// Who stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    pub org: String,
    /// As in `allowed_signers`: `executor@HOST`, or a person.
    pub principal: String,
    /// A person signed with a key of their own.
    pub personal: bool,
    /// The user who had it made.
    pub user: String,
}

/// How much of exactly this version of the runbook was ever walked, by this rehearsal and by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Walked {
    pub edges: u64,
    pub walked: u64,
    /// Rounded down.
    pub percent: u16,
    /// By the rehearsal itself.
    pub by_rehearsal: u64,
    /// What nobody ever walked.
    pub never: Vec<String>,
    /// The verified runs that count.
    pub runs: Vec<Counted>,
}

/// A run of this version whose record verifies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counted {
    pub run: String,
    pub mode: Mode,
    /// Root over its journal, in base64.
    pub root: String,
}

/// Why a certificate does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Unreadable(String),
    #[error("not a certificate: it is longer than {} MiB", MOST >> 20)]
    TooLong,
    #[error("not a certificate: {0}")]
    Malformed(Malformed),
    #[error("not trusted: no key in allowed_signers has the key id {0}")]
    UnknownKeyId(String),
    #[error("not trusted: {0}")]
    NotAllowed(NotAllowed),
    #[error("not trusted: line {line}: the key is {principals}'s, and the certificate is by {found}")]
    OtherPrincipal { line: usize, principals: String, found: String },
    #[error("its signature: {0}")]
    Signature(DsseError),
    #[error("it is a statement of type {found:?}, expected {expected:?}")]
    OtherType { found: String, expected: String },
    #[error("its digest is not that of the files that it is about")]
    OtherFiles,
    #[error("it is of organisation {found:?}, expected {expected:?}")]
    OtherOrg { found: String, expected: String },
    #[error("it is for runbook `{found}`, expected `{expected}`")]
    OtherRunbook { found: String, expected: String },
    #[error("it is for another version of the runbook: {found}, expected {expected}")]
    OtherVersion { found: String, expected: String },
    #[error("it expired at {0}")]
    Expired(Timestamp),
    #[error("it was issued at {0}, which is still to come")]
    NotYet(Timestamp),
    #[error("the rehearsal was at {rehearsed}, longer ago than {} days", .max_age_ms / DAY_MS)]
    TooOld { rehearsed: Timestamp, max_age_ms: u64 },
    #[error("{percent} % of the edges were walked, expected {least} %")]
    TooLittle { percent: u16, least: u16 },
}

const DAY_MS: u64 = 86_400_000;

/// What a certificate is to be for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub runbook: &'a str,
    /// The files of the runbook, see [`files_of`].
    pub files: &'a BTreeMap<String, String>,
    pub rule: CertificateRule,
    /// Absent: whichever organisation the trusted keys may sign for.
    pub org: Option<&'a str>,
    pub at: Timestamp,
}

/// A certificate whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub certificate: Certificate,
    /// Its subjects: name to SHA-256.
    pub files: BTreeMap<String, String>,
}

/// Of all files of a plan: the runbook and every runbook that it uses, name to SHA-256.
pub fn files_of(plan: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let counts = |name: &str| name == RUNBOOK || name.starts_with(USED) && name.ends_with(".yaml");
    plan.iter()
        .filter(|(name, _)| counts(name))
        .map(|(name, sha256)| (name.clone(), sha256.clone()))
        .collect()
}

/// One digest over the files of a runbook: that of the lines which `sha256sum runbook.yaml uses-*.yaml` prints.
pub fn digest_of(files: &BTreeMap<String, String>) -> String {
    digest::of_files(files)
}

impl Certificate {
    /// The bytes of the file. `files` are what it is about.
    ///
    /// # Errors
    /// A number in it that canonical JSON has not.
    pub fn sign(&self, files: &BTreeMap<String, String>, key: &SigningKey) -> Result<Vec<u8>, Unwritable> {
        let subject =
            |(name, sha256): (&String, &String)| Some(Subject::new(name, sha256.parse::<Hash>().ok()?));
        let subjects = files.iter().filter_map(subject).collect();
        let predicate = serde_json::to_value(self).expect("texts, whole numbers and lists of them");
        let statement = Statement::new(subjects, predicate_type(&self.issuer.org), predicate);
        Ok(Envelope::sign(&statement, key)?.to_bytes())
    }

    /// The bytes of a file that may be one. Of one that is too long no more than it takes to refuse it.
    ///
    /// # Errors
    /// It cannot be read, or is a folder, a pipe or a device.
    pub fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
        files::read_at_most(path, MOST)
    }

    /// Reads one whose signature counts now, and counted when it was issued: a key that was taken back takes its
    /// certificates with it.
    ///
    /// # Errors
    /// Why it does not count. Nothing of it is believed then.
    pub fn read(bytes: &[u8], trust: &Trust, at: Timestamp) -> Result<Read, Refusal> {
        if bytes.len() > MOST {
            return Err(Refusal::TooLong);
        }
        let envelope = Envelope::parse(bytes).map_err(Refusal::Malformed)?;
        let key = trust.ed25519(envelope.key_id());
        let key = key.ok_or_else(|| Refusal::UnknownKeyId(envelope.key_id().to_owned()))?;
        let statement = envelope.verify(&key).map_err(Refusal::Signature)?;
        let files: BTreeMap<String, String> = statement
            .subjects
            .iter()
            .filter_map(|subject| Some((subject.name.clone(), subject.sha256()?.to_string())))
            .collect();
        let certificate: Self = serde_json::from_value(statement.predicate).map_err(|error| {
            let expected = "the fields of a rehearsal certificate";
            Refusal::Malformed(Malformed::start(format!("{error}, expected {expected}")))
        })?;
        if certificate.coverage.percent > 100 {
            let message = format!("{} % of the edges, expected at most 100", certificate.coverage.percent);
            return Err(Refusal::Malformed(Malformed::start(message)));
        }
        let (found, expected) = (statement.predicate_type, predicate_type(&certificate.issuer.org));
        if found != expected {
            return Err(Refusal::OtherType { found, expected });
        }
        certificate.is_by(&SignerKey::from_ed25519(&key), trust, at)?;
        if files.len() != statement.subjects.len() || certificate.digest != digest_of(&files) {
            return Err(Refusal::OtherFiles);
        }
        Ok(Read { certificate, files })
    }

    /// Whether that key may sign what this says.
    fn is_by(&self, key: &SignerKey, trust: &Trust, at: Timestamp) -> Result<(), Refusal> {
        let Issuer { org, principal, personal, .. } = &self.issuer;
        let namespace = namespace::certificate(*personal, &self.runbook, org);
        for when in [self.issued_on, at] {
            let signer = trust.signers().authorise(key, &namespace, when).map_err(Refusal::NotAllowed)?;
            if !signer.is_principal(principal) {
                let (line, principals) = (signer.line, signer.principals().to_owned());
                return Err(Refusal::OtherPrincipal { line, principals, found: principal.clone() });
            }
        }
        Ok(())
    }

    /// Whether it counts at an instant, whatever it is wanted for.
    ///
    /// # Errors
    /// It has expired, or is still to come.
    pub fn is_current(&self, at: Timestamp) -> Result<(), Refusal> {
        if at < self.issued_on {
            return Err(Refusal::NotYet(self.issued_on));
        }
        if at >= self.expires_on {
            return Err(Refusal::Expired(self.expires_on));
        }
        Ok(())
    }
}

impl Read {
    /// Whether it is about these files.
    ///
    /// # Errors
    /// It is about others.
    pub fn is_for(&self, runbook: &str, files: &BTreeMap<String, String>) -> Result<(), Refusal> {
        if self.certificate.runbook != runbook {
            let (found, expected) = (self.certificate.runbook.clone(), runbook.to_owned());
            return Err(Refusal::OtherRunbook { found, expected });
        }
        if self.files != *files {
            let (found, expected) = (self.certificate.digest.clone(), digest_of(files));
            return Err(Refusal::OtherVersion { found, expected });
        }
        Ok(())
    }

    /// Whether it does for what is wanted.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn serves(&self, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let Certificate { issuer, rehearsal, coverage, .. } = &self.certificate;
        if let Some(expected) = wanted.org.filter(|org| **org != *issuer.org) {
            let (found, expected) = (issuer.org.clone(), expected.to_owned());
            return Err(Refusal::OtherOrg { found, expected });
        }
        self.is_for(wanted.runbook, wanted.files)?;
        self.certificate.is_current(wanted.at)?;
        if let Some(max_age_ms) = wanted.rule.max_age_ms.filter(|age| wanted.at.since(rehearsal.on) > *age) {
            return Err(Refusal::TooOld { rehearsed: rehearsal.on, max_age_ms });
        }
        match wanted.rule.min_coverage {
            Some(least) if coverage.percent < least => {
                Err(Refusal::TooLittle { percent: coverage.percent, least })
            }
            _ => Ok(()),
        }
    }
}

fn predicate_type(org: &str) -> String {
    format!("https://{org}/attestation/rehearsal-certificate/v1")
}

#[cfg(test)]
mod tests;
