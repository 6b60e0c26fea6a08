//! Evidence: a file that somebody attaches to an answer.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::core::EvidenceRef;

/// Keeps the bytes of evidence beside the journal, before the answer that names them is given.
pub trait EvidenceStore: Send {
    /// # Errors
    /// The file cannot be read, or its bytes cannot be kept.
    fn keep(&self, path: &Path) -> Result<EvidenceRef, EvidenceError>;
}

/// A file that could not become evidence.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{}`: {source}", path.display())]
pub struct EvidenceError {
    pub verb: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// Size and digest of a file, read in pieces.
///
/// # Errors
/// It is no regular file, or cannot be read.
pub fn measure(path: &Path) -> Result<EvidenceRef, EvidenceError> {
    let failed = |verb| move |source| EvidenceError { verb, path: path.to_owned(), source };
    let kind = std::fs::metadata(path).map_err(failed("open"))?;
    if !kind.is_file() {
        return Err(failed("read")(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut file = File::open(path).map_err(failed("open"))?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut piece).map_err(failed("read"))?;
        if count == 0 {
            break;
        }
        digest.update(&piece[..count]);
        bytes += count as u64;
    }
    let name = path.file_name().map_or_else(|| "evidence".into(), |name| name.to_string_lossy().into_owned());
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(EvidenceRef { name, sha256, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_measured_and_anything_else_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof.txt");
        std::fs::write(&path, "abc").unwrap();
        let evidence = measure(&path).unwrap();
        assert_eq!((evidence.name.as_str(), evidence.bytes), ("proof.txt", 3));
        assert!(evidence.sha256.starts_with("ba7816bf8f01cfea"));
        let error = measure(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(&folder.path().display().to_string()) && error.contains("not a regular file"),
            "{error}"
        );
        assert!(measure(&folder.path().join("none")).is_err());
    }
}
