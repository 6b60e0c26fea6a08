//! The seal: the list of files, the signature over it, the envelope, and the report that was made of the journal.

use super::super::build::subjects;
use super::super::dsse::Envelope;
use super::super::history::History;
use super::super::layout;
use super::super::namespace;
use super::super::note::TreeHead;
use super::super::render::{self, TEMPLATE};
use super::super::sshsig::SshSignature;
use super::super::summary;
use super::super::sums::Sums;
use super::lines::{Heads, Read};
use super::{Aspect, Checker, ReportCheck};
use crate::core::Fact;
use crate::journal::{Hash, JournalError};

pub(super) fn check(
    checker: &mut Checker<'_>,
    read: &Read,
    history: Option<&History>,
    heads: &Heads,
) -> Result<ReportCheck, JournalError> {
    let sums = checker.bytes(layout::SUMS)?;
    if let Some(bytes) = &sums {
        check_sums(checker, bytes)?;
    }
    if let Some(armor) = checker.bytes(layout::SEAL)? {
        match &sums {
            Some(sums) => check_seal(checker, sums, &armor, history, heads),
            None => checker.broken(layout::SUMS, format!("it is missing, and {} is over it", layout::SEAL)),
        }
    }
    let (Some(history), Some(names)) = (history, heads.names()) else { return Ok(ReportCheck::NotCompared) };
    let head = last_head(read, names);
    if let Some(bytes) = checker.bytes(layout::ENVELOPE)? {
        check_envelope(checker, &bytes, history, &head, names)?;
    }
    check_report(checker, read, history, &head, names)
}

fn last_head(read: &Read, (org, host): (&str, &str)) -> TreeHead {
    let tree = read.chain.tree();
    let origin = super::super::note::origin(org, host, read.chain.run());
    TreeHead { origin, size: read.chain.size(), root: tree.root() }
}

fn check_sums(checker: &mut Checker<'_>, bytes: &[u8]) -> Result<(), JournalError> {
    let sums = match Sums::parse(bytes) {
        Ok(sums) => sums,
        Err(malformed) => {
            checker.malformed(layout::SUMS, malformed);
            return Ok(());
        }
    };
    for (name, expected) in sums.iter() {
        match checker.bytes(name)? {
            None => checker.broken(name, "it is missing, and the seal is over it"),
            Some(bytes) if Hash::of(&bytes) != expected => {
                checker.broken(name, format!("its SHA-256 is not the one in {}", layout::SUMS));
            }
            Some(_) => {}
        }
    }
    for name in layout::sealed_files(checker.dir)? {
        if sums.get(&name).is_none() && checker.dir.join(&name).exists() {
            checker.broken(&name, format!("it is not listed in {}", layout::SUMS));
        }
    }
    Ok(())
}

fn check_seal(
    checker: &mut Checker<'_>,
    sums: &[u8],
    armor: &[u8],
    history: Option<&History>,
    heads: &Heads,
) {
    let signature = match SshSignature::parse(armor) {
        Ok(signature) => signature,
        Err(malformed) => return checker.malformed(layout::SEAL, malformed),
    };
    let (Some(history), Some((org, host))) = (history, heads.names()) else { return };
    let namespace = namespace::seal(history.graph().mode.name(), org);
    if let Err(e) = signature.verify(&namespace, sums) {
        return checker.broken(layout::SEAL, e.to_string());
    }
    let Some(key) = signature.key().ed25519() else {
        let what = "not the key of an executor, expected an Ed25519 key";
        return checker.fail(Aspect::Authorisation, layout::SEAL, None, what);
    };
    if let Err(untrusted) = checker.trust.executor(key, &namespace, host, history.last_at()) {
        checker.fail(Aspect::Authorisation, layout::SEAL, None, untrusted.to_string());
    }
    let sealed_by = signature.key().fingerprint();
    if let Some(Fact::RunStarted { executor, .. }) = history.start()
        && *executor != sealed_by
    {
        let what =
            format!("line 1 of the journal names the executor's key {executor}, and {sealed_by} sealed it");
        checker.fail(Aspect::Authorisation, layout::SEAL, None, what);
    }
}

fn check_envelope(
    checker: &mut Checker<'_>,
    bytes: &[u8],
    history: &History,
    head: &TreeHead,
    names: (&str, &str),
) -> Result<(), JournalError> {
    let envelope = match Envelope::parse(bytes) {
        Ok(envelope) => envelope,
        Err(malformed) => {
            checker.malformed(layout::ENVELOPE, malformed);
            return Ok(());
        }
    };
    let mode = history.graph().mode.name();
    let key = match checker.trust.envelope_key(&envelope, mode, names, history.last_at()) {
        Ok((_, key)) => key,
        Err(untrusted) => {
            checker.fail(Aspect::Authorisation, layout::ENVELOPE, None, untrusted.to_string());
            return Ok(());
        }
    };
    let found = match envelope.verify(&key) {
        Ok(statement) => statement,
        Err(e) => {
            checker.broken(layout::ENVELOPE, e.to_string());
            return Ok(());
        }
    };
    // A file that is missing is found elsewhere.
    let Ok(subjects) = subjects(checker.dir, head.size) else { return Ok(()) };
    let expected = summary::statement(history, head, names, &subjects);
    if found.predicate_type != expected.predicate_type {
        checker.broken(
            layout::ENVELOPE,
            format!("a {:?} statement, expected {:?}", found.predicate_type, expected.predicate_type),
        );
    } else if found.subjects != expected.subjects {
        checker.broken(layout::ENVELOPE, "the digests in it are not those of the files");
    } else if found.predicate != expected.predicate {
        checker.broken(layout::ENVELOPE, "the summary in it is not what the journal says");
    }
    Ok(())
}

fn check_report(
    checker: &mut Checker<'_>,
    read: &Read,
    history: &History,
    head: &TreeHead,
    names: (&str, &str),
) -> Result<ReportCheck, JournalError> {
    let Some(found) = checker.bytes(layout::REPORT)? else { return Ok(ReportCheck::NotCompared) };
    let version = match history.start() {
        Some(Fact::RunStarted { template, .. }) => *template,
        _ => 0,
    };
    if version != TEMPLATE {
        let what = format!("not compared: made by version {version} of the templates, this is {TEMPLATE}");
        checker.note(Aspect::Integrity, layout::REPORT, what);
        return Ok(ReportCheck::NotCompared);
    }
    let made = render::report(history, &read.commitments, head, names.1, false);
    let page = render::verify_page(history, head, names);
    let (Ok(made), Ok(page)) = (made, page) else { return Ok(ReportCheck::NotCompared) };
    let page_found = checker.bytes(layout::VERIFY)?.unwrap_or_default();
    let mut same = true;
    for (name, found, made) in [(layout::REPORT, found, made), (layout::VERIFY, page_found, page)] {
        if found != made.as_bytes() {
            same = false;
            let at = found.iter().zip(made.as_bytes()).take_while(|(a, b)| a == b).count();
            let line = 1 + found[..at].iter().filter(|b| **b == b'\n').count();
            let what = "not what the journal says, made again".to_owned();
            checker.malformed(name, super::Malformed { line, offset: at, what });
        }
    }
    Ok(if same { ReportCheck::Same } else { ReportCheck::Differs })
}
