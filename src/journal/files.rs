//! Files of a run: on disk when a function that wrote them returns, and no more open than their folder says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::error::JournalError;
use crate::ownership;

/// Makes a directory, and those above it.
pub(crate) fn make_dir(path: &Path) -> Result<(), JournalError> {
    ownership::make_folder(path).map_err(JournalError::io("create", path))
}

/// Its entries are on disk.
pub(crate) fn sync_dir(path: &Path) -> Result<(), JournalError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(JournalError::io("sync", path))
}

/// The whole file appears at once, or not at all; an older one is replaced.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let fail = JournalError::io("write", path);
    let written = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        ownership::hand_over(file.as_file(), dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    written().map_err(fail)?;
    sync_dir(dir)
}

/// Opens a file for appending, making it if need be.
pub(crate) fn append_to(path: &Path) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    ownership::open(&mut options, path).map_err(JournalError::io("open", path))
}

/// None if it does not exist. A pipe or a device, which might never end, is not read.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    let read = || match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(io::Error::other("not a file")),
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(JournalError::io("read", path)(e)),
    }
}

/// Removes it if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(JournalError::io("remove", path)(e)),
        _ => Ok(()),
    }
}
