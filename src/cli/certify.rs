//! `consigne certify`: from the verified record of a rehearsal to a certificate that others rely upon.
//!
//! Nothing is certified that does not verify, that did not end well, or whose runbook is another one today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::CertifyArgs;
use super::certificate;
use super::chosen::frozen_runbook;
use super::drive::{self, journal_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::keys::key_error;
use super::shelf;
use super::ui::Ui;
use super::verify::{verified, verified_as_rehearsal};
use crate::clock::Timestamp;
use crate::core::RunStatus;
use crate::engine::identity;
use crate::journal::Journal;
use crate::plan::{Graph, Mode, StepNode, digest, outline};
use crate::record::build;
use crate::record::certificate::{
    Answered, Certificate, Counted, Issuer, Proof, Refusal, Rehearsal, Walked, digest_of, files_of, kept,
};
use crate::record::coverage::{Coverage, Past};
use crate::record::history::History;
use crate::record::keys::ExecutorKey;
use crate::record::sshsig::FileKey;
use crate::record::trust::Trust;
use crate::record::verify::{Overall, Verification};
use crate::runbook::check_file;
use crate::runbook::load::Document;

pub(super) fn certify(args: &CertifyArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let (found, history) = good_rehearsal(&dir, &args.run)?;
    let files = files_of(&history.plan());
    let document = same_today(args, &history, &files)?;
    let now = drive::clock().now();
    let past = Past::read(&dir).map_err(|error| CliError::new(Exit::Damaged, error.to_string()))?;
    let rehearsal = Rehearsal {
        run: found.run.clone(),
        lines: found.lines,
        root: found.root.clone(),
        environment: history.graph().environment.clone(),
        // A file that is dated in the future says nothing about when.
        on: past.at.min(now),
    };
    let coverage = walked(&home, &document, &past, &found, ui)?;
    if let Some(least) = args.min_coverage.map(u16::from).filter(|least| coverage.percent < *least) {
        let refusal = Refusal::TooLittle { percent: coverage.percent, least };
        return Err(CliError::new(Exit::RunFailed, refusal.to_string())
            .hint("`consigne check FILE --coverage` shows what nobody ever walked")
            .hint("runs of exactly this version count whose records verify; --runs DIR names their folder"));
    }
    drive::key(&home.root, ui)?;
    let signer = Signer::of(args, &home)?;
    let made = Certificate {
        runbook: history.graph().runbook.clone(),
        digest: digest_of(&files),
        issuer: signer.issuer(),
        issued_on: now,
        expires_on: now.plus(args.expires),
        rehearsal,
        proof: Proof::of(&history),
        answered: Answered::of(&history),
        coverage,
    };
    let bytes = signer.sign(&made, &files, now)?;
    let path = kept::keep(&home.root, &made, &bytes).map_err(|error| journal_error(&error))?;
    if let Some(out) = &args.out {
        std::fs::write(out, &bytes)
            .map_err(|error| CliError::file(Exit::Unwritable, "write", out, &error))?;
    }
    if args.json {
        ui.json(&json!({"certificate": made, "file": path}));
    } else {
        let lang = drive::spoken(args.lang);
        certificate::lines(&made, lang).iter().for_each(|line| ui.data(line));
        ui.data(&format!("{}: {}", lang.pick("certificat", "certificate"), path.display()));
    }
    Ok(Exit::Done)
}

/// The record of a rehearsal that verifies and ended well.
fn good_rehearsal(dir: &Path, name: &str) -> Result<(Verification, History), CliError> {
    let damaged = |error: &dyn std::fmt::Display| CliError::new(Exit::Damaged, error.to_string());
    let graph = build::graph(dir).map_err(|error| damaged(&error))?;
    if graph.mode != Mode::Rehearsal {
        let message =
            format!("run {name} is a {} run, and a certificate is of a rehearsal", graph.mode.name());
        return Err(CliError::new(Exit::Usage, message).hint("consigne rehearse FILE"));
    }
    let found = verified_as_rehearsal(dir)?;
    match found.overall() {
        Overall::Verified => {}
        Overall::Unfinished => {
            let message = format!("rehearsal {name} is not over: nothing is certified");
            return Err(CliError::new(Exit::Waiting, message).hint("rehearse again, with every answer"));
        }
        Overall::Failed => {
            let message = format!("the record of rehearsal {name} does not verify: nothing is certified");
            let error = CliError::new(Exit::Damaged, message).hint(format!("consigne verify {name}"));
            return Err(found.failures().take(3).fold(error, |error, what| error.hint(what.to_string())));
        }
    }
    if let Some(status) = found.status.filter(|status| *status != RunStatus::Succeeded) {
        let message = format!("rehearsal {name} ended `{}`: nothing is certified", status.name());
        return Err(
            CliError::new(Exit::RunFailed, message).hint("a certificate is of a rehearsal that succeeded")
        );
    }
    let entries = Journal::read(dir).map_err(|error| journal_error(&error))?;
    let history = History::fold(graph, entries).map_err(|error| damaged(&error))?;
    Ok((found, history))
}

/// The runbook as it is today, which must be the one that was rehearsed.
fn same_today(
    args: &CertifyArgs,
    history: &History,
    files: &BTreeMap<String, String>,
) -> Result<Document, CliError> {
    let runbook = &history.graph().runbook;
    let named = args.runbook.clone().unwrap_or_else(|| PathBuf::from(runbook));
    let file = shelf::located(&named)
        .map_err(|error| error.hint("--runbook FILE says where the runbook is that was rehearsed"))?;
    let today = today(&file)?;
    let found = files_of(&digest::digests(&frozen_runbook(&today)));
    if found == *files {
        // Everybody has the key of rehearsals: a record may name this file, and be of another plan.
        return if is_plan_of(history.graph(), &today) {
            Ok(today)
        } else {
            let message = format!("the plan of rehearsal {} is none of {}", args.run, file.display());
            Err(CliError::new(Exit::Damaged, message).hint("rehearse again: nothing is certified"))
        };
    }
    let refusal = Refusal::OtherVersion { found: digest_of(files), expected: digest_of(&found) };
    let message = format!("the rehearsal is of another version than {}", file.display());
    let names = changed(files, &found);
    Err(CliError::new(Exit::Invalid, message)
        .hint(refusal.to_string())
        .hint(format!("changed since: {}", names.join(", ")))
        .hint(format!("consigne rehearse {}", file.display())))
}

/// The steps of a plan are those of the runbook, as far as neither inputs nor an environment has a say.
fn is_plan_of(graph: &Graph, document: &Document) -> bool {
    let same = |one: &StepNode, other: &StepNode| {
        (&one.id, one.kind, one.effect, one.section, &one.needs)
            == (&other.id, other.kind, other.effect, other.section, &other.needs)
    };
    let expected = outline(document).graph;
    graph.runbook == expected.runbook
        && graph.steps.len() == expected.steps.len()
        && graph.steps.iter().zip(&expected.steps).all(|(one, other)| same(one, other))
}

/// The files of two versions that differ, as a run calls them.
fn changed(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<String> = one.keys().chain(other.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| one.get(name) != other.get(name));
    names
}

/// A runbook that makes sense.
pub(super) fn today(file: &Path) -> Result<Document, CliError> {
    let report = check_file(file, None);
    let wrong = report.has_errors();
    report.document.filter(|_| !wrong).ok_or_else(|| {
        CliError::new(Exit::Invalid, format!("{} makes no sense today", file.display()))
            .with(report.diagnostics)
    })
}

/// What was ever walked of this version, by runs whose records verify.
fn walked(
    home: &Home,
    document: &Document,
    past: &Past,
    found: &Verification,
    ui: Ui,
) -> Result<Walked, CliError> {
    let mut all = Coverage::of(document);
    let mut own = all.clone();
    own.add(past);
    all.add(past);
    let mut runs = vec![counted(found, Mode::Rehearsal)];
    for id in home.run_ids()? {
        let dir = home.runs.join(&id);
        let not_counted = |why: &str| ui.say(&format!("warning: run {id} counts for nothing: {why}"));
        let other = match Past::read_if(&dir, all.runbook()) {
            Ok(Some(other)) if all.is_of(&other.version) => other,
            Ok(_) => continue,
            Err(error) => {
                not_counted(&error.to_string());
                continue;
            }
        };
        match verified(&dir, home, None, None) {
            // Rehearsals may have one name, and a record may lie here twice: the root tells runs apart.
            Ok(found) if runs.iter().any(|known: &Counted| known.root == found.root) => {}
            // As of the rehearsal itself: a record may name these files, and be of another plan.
            Ok(_) if !is_plan_of(&other.graph, document) => not_counted("its plan is none of this runbook"),
            Ok(found) if found.overall() == Overall::Verified => {
                all.add(&other);
                runs.push(counted(&found, other.graph.mode));
            }
            Ok(_) | Err(_) => not_counted("its record does not verify"),
        }
    }
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Walked {
        edges: number(all.all()),
        walked: number(all.walked()),
        percent: u16::try_from(all.percent()).unwrap_or(100),
        by_rehearsal: number(own.walked()),
        never: all.never().map(ToString::to_string).collect(),
        runs,
    })
}

fn counted(found: &Verification, mode: Mode) -> Counted {
    Counted { run: found.run.clone(), mode, root: found.root.clone() }
}

/// Whose key it is signed with, and what is believed here.
struct Signer {
    key: ed25519_dalek::SigningKey,
    principal: String,
    personal: bool,
    org: String,
    trust: Trust,
}

impl Signer {
    /// The executor, or whoever gives a key that is enrolled here.
    fn of(args: &CertifyArgs, home: &Home) -> Result<Self, CliError> {
        let executor = ExecutorKey::load(&home.root).map_err(key_error)?;
        let trust = Trust::load(&home.root.join("trust"))
            .map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?;
        let org = executor.org().to_owned();
        let Some(path) = &args.key else {
            let (key, principal) = (executor.signing().clone(), executor.principal());
            return Ok(Self { key, principal, personal: false, org, trust });
        };
        let own = FileKey::load(path).map_err(|error| CliError::new(Exit::Usage, error.to_string()))?;
        let Some(key) = own.ed25519() else {
            let message = format!("{} is no Ed25519 key, and only those sign certificates", path.display());
            return Err(CliError::new(Exit::Usage, message).hint("ssh-keygen -t ed25519 makes one"));
        };
        let enrolled = trust.signers().signers().iter().find(|signer| *signer.key() == own.public());
        let principal = enrolled.map(|signer| signer.principals().to_owned()).ok_or_else(|| {
            CliError::new(Exit::Usage, format!("the key in {} is nobody's here", path.display()))
                .hint(format!("consigne keys enrol NAME {}.pub", path.display()))
        })?;
        if principal.contains([',', '*', '?', '!']) {
            let message = format!(
                "the key in {} is that of `{principal}`: a certificate is by one person",
                path.display()
            );
            return Err(CliError::new(Exit::Usage, message)
                .hint("give the key a line of its own in allowed_signers, with one name"));
        }
        Ok(Self { key, principal, personal: true, org, trust })
    }

    fn issuer(&self) -> Issuer {
        Issuer {
            org: self.org.clone(),
            principal: self.principal.clone(),
            personal: self.personal,
            user: identity::os_user(),
        }
    }

    /// The file; it is nothing that would not count here.
    fn sign(
        &self,
        certificate: &Certificate,
        files: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Vec<u8>, CliError> {
        let bytes = certificate.sign(files, &self.key).map_err(|error| {
            CliError::new(Exit::Bug, format!("the certificate cannot be written: {error}"))
        })?;
        Certificate::read(&bytes, &self.trust, now).map_err(|refusal| {
            let message = format!("the certificate would not count here: {refusal}");
            CliError::new(Exit::Usage, message).hint("`consigne keys list` shows who may sign what")
        })?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wipe.yaml");
        std::fs::write(&path, text).unwrap();
        today(&path).unwrap()
    }

    #[test]
    fn a_plan_is_told_from_that_of_another_runbook() {
        let text = "consigne: v1\nid: wipe\nsteps:\n  - {id: go, confirm: {}, message: Go?}\n  - {id: wipe, shell: rm x, effect: destructive}\n";
        let wipe = document(text);
        assert!(is_plan_of(&outline(&wipe).graph, &wipe));
        for other in [
            text.replace("id: wipe\n", "id: other\n"),
            text.replace("effect: destructive", "effect: write").replace("rm x", "touch x"),
            format!("{text}  - {{id: more, wait: {{for: 1s}}}}\n"),
            text.replace("{id: wipe,", "{id: wiped,"),
        ] {
            assert!(!is_plan_of(&outline(&document(&other)).graph, &wipe), "{other}");
        }
    }
}
