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

impl EvidenceStore for Kept {
    fn keep(&self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
        let evidence = measure(path)?;
        let failed = |source| EvidenceError { verb: "keep", path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(failed)?;
        let kept = Blobs::of(&self.dir).put(&bytes).map_err(|error| failed(std::io::Error::other(error)))?;
        // What was measured and what was kept are the same bytes, or the file changed in between.
        if kept.sha256 == evidence.sha256 {
            Ok(evidence)
        } else {
            Err(failed(std::io::Error::other("it changed while it was read")))
        }
    }
}
