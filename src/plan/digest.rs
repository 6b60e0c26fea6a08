//! The files of a plan: their bytes, their digests, and reading them back.
//!
//! The digests stand in entry 0 of a journal; the files stand beside it. Reading is strict: what is not exactly what
//! was digested is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Graph, Plan, SEMANTICS, Values};

/// Name of the public half.
pub const GRAPH_FILE: &str = "graph.json";
/// Name of the half that is held back.
pub const VALUES_FILE: &str = "values.json";

/// A plan that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("reading {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{file} is not the file that the journal names: its SHA-256 is {found}, expected {expected}")]
    Digest { file: String, found: String, expected: String },
    #[error("the journal names no digest for {0}")]
    Missing(&'static str),
    #[error("{file} is not a plan of this version: {source}")]
    Format { file: &'static str, source: serde_json::Error },
    #[error("the plan was made under rules {found}, this version knows up to {SEMANTICS}")]
    Semantics { found: u32 },
}

/// The files of a plan, ready to be written: name to bytes. The same plan gives the same bytes.
///
/// # Errors
/// A number in the inputs that JSON cannot hold.
pub fn files(plan: &Plan) -> Result<BTreeMap<String, Vec<u8>>, serde_json::Error> {
    Ok(BTreeMap::from([
        (GRAPH_FILE.to_owned(), lines(&plan.graph)?),
        (VALUES_FILE.to_owned(), lines(&plan.values)?),
    ]))
}

/// File name to lower-case hex SHA-256.
pub fn digests(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect()
}

/// One digest for all of them: over the lines that `sha256sum` prints.
pub fn of_files(digests: &BTreeMap<String, String>) -> String {
    let lines: String = digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    sha256(lines.as_bytes())
}

/// Reads a plan back from its folder; its files must be those of `digests`.
///
/// # Errors
/// A file cannot be read, is another one, or was made by a later version.
pub fn load(folder: &Path, digests: &BTreeMap<String, String>) -> Result<Plan, PlanError> {
    let mut files = BTreeMap::new();
    for name in [GRAPH_FILE, VALUES_FILE] {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|source| PlanError::Read { path, source })?;
        files.insert(name.to_owned(), bytes);
    }
    from_files(&files, digests)
}

/// As [`load`], from bytes.
///
/// # Errors
/// As [`load`].
pub fn from_files(
    files: &BTreeMap<String, Vec<u8>>,
    digests: &BTreeMap<String, String>,
) -> Result<Plan, PlanError> {
    let graph = graph(checked(files, digests, GRAPH_FILE)?)?;
    let bytes = checked(files, digests, VALUES_FILE)?;
    let values: Values =
        serde_json::from_slice(bytes).map_err(|source| PlanError::Format { file: VALUES_FILE, source })?;
    Ok(Plan { graph, values })
}

/// Reads the public half alone, as an auditor does.
///
/// # Errors
/// It is not one, or was made by a later version.
pub fn graph(bytes: &[u8]) -> Result<Graph, PlanError> {
    let graph: Graph =
        serde_json::from_slice(bytes).map_err(|source| PlanError::Format { file: GRAPH_FILE, source })?;
    if graph.semantics > SEMANTICS {
        return Err(PlanError::Semantics { found: graph.semantics });
    }
    Ok(graph)
}

fn checked<'f>(
    files: &'f BTreeMap<String, Vec<u8>>,
    digests: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'f [u8], PlanError> {
    let (Some(bytes), Some(expected)) = (files.get(name), digests.get(name)) else {
        return Err(PlanError::Missing(name));
    };
    let found = sha256(bytes);
    if found != *expected {
        return Err(PlanError::Digest { file: name.to_owned(), found, expected: expected.clone() });
    }
    Ok(bytes)
}

fn lines<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
