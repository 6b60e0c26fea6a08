//! The certificate of a rehearsal that a run relied upon: whether it was asked for, and counted when the run began.

use super::super::certificate::{Certificate, FILE, Wanted, files_of};
use super::super::history::History;
use super::super::layout;
use super::{Aspect, Checker};
use crate::journal::{JournalError, file};

/// The digest of its file is checked where those of the plan are.
pub(super) fn check(
    checker: &mut Checker<'_>,
    history: &History,
    names: Option<(&str, &str)>,
) -> Result<(), JournalError> {
    let Some(rule) = history.graph().certificate else { return Ok(()) };
    let plan = history.plan();
    if !plan.contains_key(FILE) {
        let what = "the environment asks for a rehearsal certificate, and the run began without one";
        checker.fail(Aspect::Authorisation, file::EVENTS, Some(1), what);
        return Ok(());
    }
    // Withheld, which is noted elsewhere, or yet without anybody's signature.
    let (Some(bytes), Some((org, _)), Some(first)) =
        (checker.bytes(&name())?, names, history.entries.first())
    else {
        return Ok(());
    };
    let files = files_of(&plan);
    let wanted =
        Wanted { runbook: &history.graph().runbook, files: &files, rule, org: Some(org), at: first.at };
    let judged = Certificate::read(&bytes, checker.trust, first.at).and_then(|read| {
        read.serves(&wanted)?;
        Ok(read.certificate)
    });
    match judged {
        Ok(Certificate { rehearsal, issuer, expires_on, .. }) => {
            let (run, by) = (rehearsal.run, issuer.principal);
            let what = format!("the run relied upon rehearsal {run}, certified by {by} until {expires_on}");
            checker.note(Aspect::Authorisation, &name(), what);
        }
        Err(refusal) => {
            checker.fail(Aspect::Authorisation, &name(), None, format!("it does not count: {refusal}"));
        }
    }
    Ok(())
}

fn name() -> String {
    format!("{}/{FILE}", layout::PLAN)
}
