//! Secrets that are born: taken from an answer before anything of it is kept.
//!
//! An answer that a secret is taken from is held in memory as it came, and nowhere else, until its secrets are known;
//! then it is masked and kept like every other. Where they cannot be taken, what was answered is not kept at all: it may
//! hold them in a place or a form that nobody looked for. An HTTP status from 400 to 499 says that nothing was made, and
//! such a body is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::capture::{self, Captured};
use super::judge::{self, Answer, Breach, Parts};
use super::{BlobError, Call, Observation};

/// How long all filters may take together.
const DEADLINE: Duration = Duration::from_secs(10);
/// What stands in place of what was answered.
pub const NOT_KEPT: &str = "(not kept: it may hold a secret that could not be taken from it)";

/// A stream as it came, whole or cut off at what may be held in memory.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) whole: bool,
}

impl Raw {
    /// `None`: it is too long, or no text, and nothing can be taken from it for sure.
    fn text(&self) -> Option<String> {
        if !self.whole {
            return None;
        }
        std::str::from_utf8(&self.bytes).ok().map(str::to_owned)
    }
}

impl Call<'_> {
    /// Whether secrets are to be taken from what it brings back.
    pub(super) fn bears_secrets(&self) -> bool {
        !self.request.probe.accept.secrets.is_empty()
    }
}

/// Takes the secrets of an HTTP answer, and then keeps what may be kept of it. Gives the masked parts.
pub(super) async fn of_http(
    call: &Call<'_>,
    (status, headers, is_json): (u16, BTreeMap<String, String>, bool),
    raw: &Raw,
    observation: &mut Observation,
) -> Result<Parts, BlobError> {
    let parts = Parts::Http { status, headers: headers.clone(), body: raw.text(), is_json };
    take(call, parts, observation).await;
    let clean = observation.born.is_ok() || (400..500).contains(&status);
    keep(call, "body", raw, clean, observation).await?;
    let masker = call.context.secrets.masker();
    let headers = headers.into_iter().map(|(name, value)| (name, masker.text(&value))).collect();
    Ok(Parts::Http { status, headers, body: raw.text().map(|text| masker.text(&text)), is_json })
}

/// As [`of_http`], of a program that ended by itself.
pub(super) async fn of_program(
    call: &Call<'_>,
    exit: i32,
    (stdout, stderr): (&Raw, &Raw),
    observation: &mut Observation,
) -> Result<Parts, BlobError> {
    take(call, Parts::Program { exit, stdout: stdout.text(), stderr: stderr.text() }, observation).await;
    let clean = observation.born.is_ok();
    for (name, raw) in [("stdout", stdout), ("stderr", stderr)] {
        keep(call, name, raw, clean, observation).await?;
    }
    let masker = call.context.secrets.masker();
    let masked = |raw: &Raw| raw.text().map(|text| masker.text(&text));
    Ok(Parts::Program { exit, stdout: masked(stdout), stderr: masked(stderr) })
}

/// Every secret that could be taken is masked from here on, also where another could not, or nothing comes of it.
async fn take(call: &Call<'_>, parts: Parts, observation: &mut Observation) {
    let (filters, globals) = (call.request.probe.accept.secrets.clone(), call.context.globals.clone());
    let answer = Answer::new(parts, 0);
    let taking = tokio::task::spawn_blocking(move || judge::secrets(&answer, &filters, &globals));
    let broke_off = |why: &str| {
        let breach = Breach { reason: "extract", message: why.to_owned() };
        (BTreeMap::<String, SecretString>::new(), Some(breach))
    };
    let (taken, breach) = match tokio::time::timeout(DEADLINE, taking).await {
        Ok(Ok(found)) => found,
        // What it says about its end might quote the answer.
        Ok(Err(_)) => broke_off("a filter broke off"),
        Err(_) => broke_off(&format!("the filters took longer than {} s", DEADLINE.as_secs())),
    };
    call.context.secrets.born(taken.values());
    observation.born = breach.map_or(Ok(taken), Err);
}

async fn keep(
    call: &Call<'_>,
    name: &str,
    raw: &Raw,
    clean: bool,
    observation: &mut Observation,
) -> Result<(), BlobError> {
    let captured = if clean && raw.whole {
        capture::masked(call.context, &raw.bytes).await?
    } else {
        Captured::of_note(NOT_KEPT)
    };
    observation.excerpts.insert(name.to_owned(), captured.excerpt.clone());
    observation.blobs.extend(captured.blob.map(|blob| (name.to_owned(), blob)));
    Ok(())
}
