//! Evidence: files that people attach to an answer, kept by digest among the blobs of the run.

use std::path::{Path, PathBuf};

use crate::core::EvidenceRef;
use crate::journal::Blobs;
use crate::operator::{EvidenceError, EvidenceStore, measure};

/// Keeps evidence in a run's directory.
#[derive(Debug)]
pub struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub fn in_run(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }
}
