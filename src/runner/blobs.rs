//! Blobs: bytes kept beside the journal, named by the SHA-256 of what they hold.
//!
//! Owns how a blob comes to be: written to a temporary file that only its owner reads, hashed on the way, synced,
//! then renamed. What is written here has been masked before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::core::BlobRef;
use crate::ownership;

/// A blob that could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}", path.display())]
pub struct BlobError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The blobs of one run.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    next: AtomicU64,
}

impl Blobs {
    /// Blobs below `folder`, which is made when the first one is written.
    pub fn below(folder: PathBuf) -> Self {
        Self { folder, next: AtomicU64::new(0) }
    }

    pub fn path(&self, blob: &BlobRef) -> PathBuf {
        self.folder.join(&blob.sha256)
    }

    #[cfg(test)]
    pub(crate) fn folder_exists(&self) -> bool {
        self.folder.exists()
    }

    pub(crate) fn create(&self) -> Result<BlobWriter, BlobError> {
        let failed = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| BlobError { verb, path, source }
        };
        ownership::make_folder(&self.folder).map_err(failed("create", &self.folder))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!(".new-{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file = ownership::open(&mut options, &path).map_err(failed("create", &path))?;
        Ok(BlobWriter { file, path, folder: self.folder.clone(), hash: Sha256::new(), bytes: 0, kept: false })
    }
}

/// A blob in the making. Dropped without [`BlobWriter::keep`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    hash: Sha256,
    bytes: u64,
    kept: bool,
}

impl BlobWriter {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| self.failed("write", source))
    }

    /// Syncs and names the blob. Blocks on the disk.
    pub(crate) fn keep(mut self) -> Result<BlobRef, BlobError> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))?;
        let blob = BlobRef { sha256: hex(&self.hash.clone().finalize()), bytes: self.bytes };
        let to = self.folder.join(&blob.sha256);
        fs::rename(&self.path, &to).map_err(|source| self.failed("rename", source))?;
        self.kept = true;
        // The entry that names the blob follows: the name has to be on disk before it.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| self.failed("sync", source))?;
        Ok(blob)
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> BlobError {
        BlobError { verb, path: self.path.clone(), source }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing refers to it; a remainder is swept with the run's folder.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
