//! The certificates of a home, and the one that counts for a runbook.
//!
//! They lie in `certificates/` beside the runs, each named after its runbook, so that whoever looks for one opens no
//! others. Nothing in a name is believed.

use std::path::{Path, PathBuf};

use super::{Certificate, Read, Refusal, Wanted};
use crate::journal::JournalError;
use crate::record::layout;
use crate::record::trust::Trust;

/// The folder below the home.
pub const FOLDER: &str = "certificates";
const ENDING: &str = ".dsse.json";
/// How much of the digest stands in a name.
const SHORT: usize = 12;

/// A certificate that counts, with the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub certificate: Certificate,
}

/// How a runbook stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Valid(Box<Kept>),
    /// There are some, and none of them counts: the one that comes closest.
    Refused(PathBuf, Refusal),
    Missing,
}

/// Puts a certificate among those of a home.
///
/// # Errors
/// It cannot be written.
pub fn keep(home: &Path, certificate: &Certificate, bytes: &[u8]) -> Result<PathBuf, JournalError> {
    let digits = |at: String| at.chars().filter(char::is_ascii_digit).collect::<String>();
    let short: String = certificate.digest.chars().take(SHORT).collect();
    let on = digits(certificate.issued_on.to_string());
    let name = format!("{}.{short}.{on}{ENDING}", certificate.runbook);
    layout::put(home, &format!("{FOLDER}/{name}"), bytes)?;
    Ok(home.join(FOLDER).join(name))
}

/// The certificate that counts longest, else why the best of those there are does not.
///
/// # Errors
/// The folder cannot be read.
pub fn standing(home: &Path, trust: &Trust, wanted: &Wanted<'_>) -> Result<Standing, JournalError> {
    let mut best: Option<Kept> = None;
    let mut refused: Option<(PathBuf, Refusal)> = None;
    let prefix = format!("{}.", wanted.runbook);
    for name in layout::names_in(home, FOLDER)? {
        if !name.starts_with(&prefix) || !name.ends_with(ENDING) {
            continue;
        }
        let path = home.join(FOLDER).join(name);
        // One that cannot be read keeps nobody from another that counts.
        let found = Certificate::bytes_of(&path).map_err(|error| Refusal::Unreadable(error.to_string()));
        let judged = found.and_then(|bytes| {
            let read = Certificate::read(&bytes, trust, wanted.at)?;
            read.serves(wanted)?;
            Ok((read, bytes))
        });
        match judged {
            Ok((Read { certificate, .. }, bytes)) => {
                let longer = |kept: &Kept| kept.certificate.expires_on < certificate.expires_on;
                if best.as_ref().is_none_or(longer) {
                    best = Some(Kept { path, bytes, certificate });
                }
            }
            // The newest of those that come equally close.
            Err(refusal)
                if refused.as_ref().is_none_or(|(_, known)| closeness(known) <= closeness(&refusal)) =>
            {
                refused = Some((path, refusal));
            }
            Err(_) => {}
        }
    }
    Ok(match (best, refused) {
        (Some(kept), _) => Standing::Valid(Box::new(kept)),
        (None, Some((path, refusal))) => Standing::Refused(path, refusal),
        (None, None) => Standing::Missing,
    })
}

/// How far a certificate came: what is wrong with the last of them is what somebody wants to know.
const fn closeness(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Unreadable(_) | Refusal::TooLong | Refusal::Malformed(_) | Refusal::OtherType { .. } => 0,
        Refusal::UnknownKeyId(_) | Refusal::OtherFiles | Refusal::Signature(_) => 1,
        Refusal::NotAllowed(_) | Refusal::OtherPrincipal { .. } | Refusal::OtherOrg { .. } => 2,
        Refusal::OtherRunbook { .. } | Refusal::OtherVersion { .. } => 3,
        Refusal::NotYet(_) => 4,
        Refusal::Expired(_) => 5,
        Refusal::TooOld { .. } | Refusal::TooLittle { .. } => 6,
    }
}
