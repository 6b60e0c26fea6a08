//! Bytes too long for a line, kept beside the journal under their SHA-256 in `<run>/blobs/`.
//!
//! Never part of what is signed: the journal commits to them through hidden fields, so one can be withheld or erased.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::JournalError;
use super::files;
use super::tree::Hash;
use crate::core::BlobRef;
use crate::ownership;

pub const DIR: &str = "blobs";

#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Those of the run in `run_dir`.
    pub fn of(run_dir: &Path) -> Self {
        Self { dir: run_dir.join(DIR) }
    }

    /// # Errors
    /// The bytes are not on disk.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, JournalError> {
        self.put_from(&mut &bytes[..])
    }

    /// Streams `source` into a blob.
    ///
    /// # Errors
    /// `source` fails, or the bytes are not on disk.
    pub fn put_from(&self, source: &mut dyn Read) -> Result<BlobRef, JournalError> {
        files::make_dir(&self.dir)?;
        let fail = |e| JournalError::io("write", &self.dir)(e);
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir).map_err(fail)?;
        ownership::hand_over(file.as_file(), &self.dir).map_err(fail)?;
        let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; 64 * 1024]);
        loop {
            match source.read(&mut chunk).map_err(fail)? {
                0 => break,
                n => {
                    hash.update(&chunk[..n]);
                    file.write_all(&chunk[..n]).map_err(fail)?;
                    bytes += n as u64;
                }
            }
        }
        let sha256 = Hash::new(hash.finalize().into()).to_string();
        let path = self.dir.join(&sha256);
        if !path.exists() {
            file.as_file().sync_all().map_err(fail)?;
            file.persist(&path).map_err(|e| JournalError::io("write", &path)(e.error))?;
            files::sync_dir(&self.dir)?;
        }
        Ok(BlobRef { sha256, bytes })
    }

    /// The bytes, if they are kept here.
    ///
    /// # Errors
    /// They cannot be read, or are not those of that digest.
    pub fn get(&self, sha256: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let Ok(hash) = sha256.parse::<Hash>() else { return Ok(None) };
        let path = self.dir.join(hash.to_string());
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        if Hash::of(&bytes) != hash {
            let what = "its bytes do not hash to its name";
            return Err(JournalError::damaged(&path, super::place::Malformed::start(what)));
        }
        Ok(Some(bytes))
    }

    /// The hash of what is kept under a name, however large, without holding it in memory; none if there is nothing.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn hash(&self, name: &str) -> Result<Option<Hash>, JournalError> {
        let path = self.dir.join(name);
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("read", &path)(error)),
        };
        let (mut hash, mut chunk) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match file.read(&mut chunk).map_err(JournalError::io("read", &path))? {
                0 => return Ok(Some(Hash::new(hash.finalize().into()))),
                n => hash.update(&chunk[..n]),
            }
        }
    }

    /// The names of all blobs, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, JournalError> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let fail = |e| JournalError::io("read", &self.dir)(e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_blob_comes_back_and_a_changed_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::of(dir.path());
        assert!(blobs.names().unwrap().is_empty());
        let kept = blobs.put(b"abc").unwrap();
        assert_eq!(blobs.put(b"abc").unwrap(), kept);
        assert_eq!(blobs.names().unwrap(), std::slice::from_ref(&kept.sha256));
        assert_eq!(blobs.get(&kept.sha256).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(blobs.get("../lock").unwrap(), None);
        assert_eq!(blobs.get(&Hash::ZERO.to_string()).unwrap(), None);
        let path = dir.path().join("blobs").join(&kept.sha256);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(blobs.hash(&kept.sha256).unwrap(), Some(Hash::of(b"abc")));
        assert_eq!(blobs.hash("absent").unwrap(), None);
        std::fs::write(&path, "abd").unwrap();
        assert!(blobs.get(&kept.sha256).unwrap_err().to_string().contains("do not hash to its name"));
    }
}
