//! Whether a run may begin for want of a rehearsal certificate, and how that stands before anybody begins one.
//!
//! Owns asking: at the beginning and never again, so that a run which began goes on whatever expires meanwhile. What a
//! certificate is, and when it counts, is the record's to say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::identity;
use super::launch::NewRun;
use crate::clock::Timestamp;
use crate::core::Input;
use crate::journal::JournalError;
use crate::plan::{Localized, Plan, digest};
use crate::record::certificate::{Certificate, FILE, Kept, Refusal, Standing, Wanted, files_of, kept};
use crate::record::keys::{ExecutorKey, KeyError};
use crate::record::trust::{Trust, TrustError};

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub enum NotCertified {
    #[error("this environment asks for a rehearsal certificate, and there is none for `{runbook}`")]
    Missing { runbook: String },
    #[error("this environment asks for a rehearsal certificate, and {} does not count: {refusal}", path.display())]
    Refused { path: PathBuf, refusal: Refusal },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How a plan stands. None where it needs no certificate.
///
/// # Errors
/// There are no keys to check one by, or one cannot be read.
pub fn standing(
    plan: &Plan,
    frozen: &BTreeMap<String, Vec<u8>>,
    home: &Path,
    at: Timestamp,
) -> Result<Option<Standing>, NotCertified> {
    let Some(rule) = plan.graph.certificate else { return Ok(None) };
    let key = match ExecutorKey::load(home) {
        // Nobody has signed anything here yet.
        Err(KeyError::Missing { .. }) => return Ok(Some(Standing::Missing)),
        key => key?,
    };
    let trust = Trust::load(&home.join("trust"))?;
    let files = files_of(&digest::digests(frozen));
    let wanted = Wanted { runbook: &plan.graph.runbook, files: &files, rule, org: Some(key.org()), at };
    Ok(Some(kept::standing(home, &trust, &wanted)?))
}

/// The certificate that a new run would rely upon. None where it needs none.
///
/// # Errors
/// It needs one, and there is none that counts.
pub(super) fn check(new: &NewRun, home: &Path, at: Timestamp) -> Result<Option<Box<Kept>>, NotCertified> {
    match standing(&new.plan, &new.frozen, home, at)? {
        None => Ok(None),
        Some(Standing::Valid(kept)) => Ok(Some(kept)),
        Some(Standing::Missing) => Err(NotCertified::Missing { runbook: new.plan.graph.runbook.clone() }),
        Some(Standing::Refused(path, refusal)) => Err(NotCertified::Refused { path, refusal }),
    }
}

/// Takes it among the frozen files of the run, and has it written down.
///
/// # Errors
/// As for [`check`].
pub(super) fn rely(new: &mut NewRun, home: &Path, at: Timestamp) -> Result<(), NotCertified> {
    if let Some(kept) = check(new, home, at)? {
        let actor = identity::actor(&new.plan.graph.people, &identity::os_user());
        let text = shown(&kept.certificate, new.lang == "fr");
        new.first.insert(0, Input::Note { actor, text });
        new.frozen.insert(FILE.to_owned(), kept.bytes);
    }
    Ok(())
}

/// How it stands, for people who plan a run.
pub fn told(standing: &Standing) -> Localized<String> {
    let both = |fr: String, en: String| Localized { fr: Some(fr), en: Some(en) };
    match standing {
        Standing::Valid(kept) => {
            let Certificate { rehearsal, issuer, expires_on, .. } = &kept.certificate;
            let (run, by) = (&rehearsal.run, &issuer.principal);
            both(
                format!("valable jusqu'au {expires_on} ({run}, par {by})"),
                format!("valid until {expires_on} ({run}, by {by})"),
            )
        }
        Standing::Missing => both(
            "il n'y en a pas : répéter, puis `consigne certify RUN`".to_owned(),
            "there is none: rehearse, then `consigne certify RUN`".to_owned(),
        ),
        Standing::Refused(path, refusal) => {
            let (name, fr) = (path.display(), en_francais(refusal));
            both(format!("{fr} ({name})"), format!("{refusal} ({name})"))
        }
    }
}

/// Why one does not count. What nobody meets who did not tamper with something is said in English alone.
fn en_francais(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Expired(at) => format!("expiré depuis le {at}"),
        Refusal::NotYet(at) => format!("établi le {at}, qui est encore à venir"),
        Refusal::OtherVersion { found, expected } => {
            format!("établi pour une autre version du runbook : {found}, attendu {expected}")
        }
        Refusal::TooOld { rehearsed, .. } => format!("la répétition, du {rehearsed}, est trop ancienne"),
        Refusal::TooLittle { percent, least } => {
            format!("{percent} % des arêtes parcourues, attendu {least} %")
        }
        other => other.to_string(),
    }
}

/// A certificate in one line.
pub fn shown(certificate: &Certificate, french: bool) -> String {
    let Certificate { rehearsal, issuer, expires_on, coverage, .. } = certificate;
    let (run, principal, percent) = (&rehearsal.run, &issuer.principal, coverage.percent);
    if french {
        format!(
            "certificat de répétition : {run}, {percent} % parcourus, par {principal}, jusqu'au {expires_on}"
        )
    } else {
        format!("rehearsal certificate: {run}, {percent} % walked, by {principal}, until {expires_on}")
    }
}
