//! Where everything stands in the directory of a run, and what of it the seal is over.

use std::path::Path;

use super::sums::Sums;
use crate::journal::{Hash, JournalError, file, files};

pub const HEADS: &str = "heads";
pub const APPROVALS: &str = "approvals";
pub const REVIEWS: &str = "reviews";
pub const PLAN: &str = "plan";
/// Secrets that were born in the run, until it is over; runners alone look into it.
pub const SEALED: &str = "sealed";
pub const GRAPH: &str = "graph.json";
pub const REPORT: &str = "report.md";
pub const VERIFY: &str = "VERIFY.md";
pub const ENVELOPE: &str = "record.dsse.json";
pub const SUMS: &str = "SHA256SUMS";
pub const SEAL: &str = "SHA256SUMS.sig";

/// Name of the file of a tree head.
pub(crate) fn head_name(size: u64) -> String {
    format!("{size:06}.note")
}

/// The size a tree head's file name stands for.
pub(crate) fn head_size(name: &str) -> Option<u64> {
    let size = name.strip_suffix(".note")?.parse().ok()?;
    (head_name(size) == name).then_some(size)
}

/// Names of the files in a directory below the run, sorted; none if it is not there.
pub(crate) fn names_in(dir: &Path, below: &str) -> Result<Vec<String>, JournalError> {
    let path = dir.join(below);
    let listing = match std::fs::read_dir(&path) {
        Ok(listing) => listing,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(JournalError::io("read", &path)(e)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(JournalError::io("read", &path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(".new-") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Adds every file below a directory of the run, however deep.
pub(crate) fn files_below(dir: &Path, below: &str, into: &mut Vec<String>) -> Result<(), JournalError> {
    for name in names_in(dir, below)? {
        let name = format!("{below}/{name}");
        let path = dir.join(&name);
        let kind = std::fs::symlink_metadata(&path).map_err(JournalError::io("read", &path))?;
        if kind.is_dir() {
            files_below(dir, &name, into)?;
        } else {
            into.push(name);
        }
    }
    Ok(())
}

/// The sizes for which there are tree heads.
pub(crate) fn head_sizes(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut sizes: Vec<u64> = names_in(dir, HEADS)?.iter().filter_map(|name| head_size(name)).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

/// The files the seal is over. Held back, and so never among them: disclosures and blobs, which the journal commits to
/// with salts; approval texts and `plan/values.json`, whose digests stand in its lines.
pub(crate) fn sealed_files(dir: &Path) -> Result<Vec<String>, JournalError> {
    let mut names: Vec<String> = [file::EVENTS, REPORT, VERIFY, ENVELOPE].map(str::to_owned).into();
    names.push(format!("{PLAN}/{GRAPH}"));
    names.extend(head_sizes(dir)?.into_iter().map(|size| format!("{HEADS}/{}", head_name(size))));
    names.sort();
    Ok(names)
}

pub(crate) fn sums(dir: &Path) -> Result<Sums, JournalError> {
    let mut sums = Sums::new();
    for name in sealed_files(dir)? {
        let path = dir.join(&name);
        let bytes = std::fs::read(&path).map_err(JournalError::io("read", &path))?;
        sums.add_hash(&name, Hash::of(&bytes)).expect("names of our own, each once");
    }
    Ok(sums)
}

/// Writes a file whole unless it holds these bytes already.
pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
    let path = dir.join(name);
    if files::read_if_there(&path)?.as_deref() == Some(bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        files::make_dir(parent)?;
    }
    files::write_whole(&path, bytes)
}
