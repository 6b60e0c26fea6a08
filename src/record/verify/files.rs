//! Everything else in the directory: the plan's files, blobs, and files that nothing covers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::history::History;
use super::super::layout;
use super::lines::Read;
use super::{Aspect, Checker};
use crate::core::Fact;
use crate::journal::{Hash, JournalError, blobs, file};

pub(super) fn check(
    checker: &mut Checker<'_>,
    read: &Read,
    history: Option<&History>,
) -> Result<(), JournalError> {
    let plan = history.map(History::plan).unwrap_or_default();
    for (name, expected) in &plan {
        let file = format!("{}/{name}", layout::PLAN);
        match checker.bytes(&file)? {
            Some(bytes) if Hash::of(&bytes).to_string() != *expected => {
                checker.broken(&file, "its SHA-256 is not the one in line 1 of the journal");
            }
            None if name != layout::GRAPH => checker.note(Aspect::Integrity, &file, "withheld"),
            _ => {}
        }
    }
    if history.is_some() && !plan.contains_key(layout::GRAPH) {
        let what = format!("the journal does not say which {} it is about", layout::GRAPH);
        checker.fail(Aspect::Integrity, file::EVENTS, Some(1), what);
    }
    check_blobs(checker, read)?;
    uncovered(checker, &plan.keys().map(|name| format!("{}/{name}", layout::PLAN)).collect(), history)
}

fn check_blobs(checker: &mut Checker<'_>, read: &Read) -> Result<(), JournalError> {
    let mut named = BTreeSet::new();
    for event in read.entries.iter().flat_map(|entry| &entry.events) {
        for text in event.hidden.0.values() {
            if let Ok(value) = serde_json::from_str(text) {
                digests(&value, &mut named);
            }
        }
        if let Fact::AttemptFinished { artifacts, .. } = &event.fact {
            named.extend(artifacts.values().map(|blob| blob.sha256.clone()));
        }
    }
    for name in layout::names_in(checker.dir, blobs::DIR)? {
        let file = format!("{}/{name}", blobs::DIR);
        let hash = blobs::Blobs::of(checker.dir).hash(&name)?;
        if hash.is_none_or(|hash| hash.to_string() != name) {
            checker.broken(&file, "its bytes do not hash to its name");
        } else if !named.contains(&name) {
            checker.note(Aspect::Integrity, &file, "nothing that is disclosed refers to it");
        }
    }
    Ok(())
}

/// Digests of blobs that a disclosed value names: objects with `sha256` in them.
fn digests(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(digest)) = map.get("sha256") {
                into.insert(digest.clone());
            }
            map.values().for_each(|value| digests(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| digests(value, into)),
        _ => {}
    }
}

/// Names that belong to a run and need no cover: they are held back, checked elsewhere, or of the host's own use.
const OWN: [&str; 12] = [
    layout::SEALED,
    file::WAL,
    file::DISCLOSURES,
    file::QUARANTINE,
    blobs::DIR,
    layout::HEADS,
    layout::SUMS,
    layout::SEAL,
    "lock",
    "procs.jsonl",
    "services",
    "work",
];

fn uncovered(
    checker: &mut Checker<'_>,
    plan: &BTreeSet<String>,
    history: Option<&History>,
) -> Result<(), JournalError> {
    let mut covered: BTreeSet<String> = layout::sealed_files(checker.dir)?.into_iter().collect();
    covered.extend(plan.iter().cloned());
    for text in history.map(History::attested).unwrap_or_default() {
        covered.insert(format!("{}.sig", text.file));
        covered.insert(text.file);
    }
    let mut found: Vec<String> =
        layout::names_in(checker.dir, "")?.into_iter().filter(|name| !OWN.contains(&name.as_str())).collect();
    // Reviews come after the seal, and are judged where gates are.
    found.retain(|name| ![layout::PLAN, layout::APPROVALS, layout::REVIEWS].contains(&name.as_str()));
    for below in [layout::PLAN, layout::APPROVALS] {
        layout::files_below(checker.dir, below, &mut found)?;
    }
    for name in found.into_iter().filter(|name| !covered.contains(name)) {
        checker.note(Aspect::Integrity, &name, "nothing covers this file: it is not part of the record");
    }
    Ok(())
}
