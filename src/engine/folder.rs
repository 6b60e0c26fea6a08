//! The folder of a run and the files that are frozen in it: made once, for nobody else's eyes.

use std::path::Path;

use super::launch::LaunchError;
use crate::ownership;

pub(super) fn make_folder(path: &Path) -> Result<(), LaunchError> {
    ownership::make_folder(path).map_err(|source| LaunchError::File {
        verb: "make",
        path: path.to_owned(),
        source,
    })
}

pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), LaunchError> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let file = ownership::open(options.write(true).create_new(true), path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| LaunchError::File { verb: "write", path: path.to_owned(), source })
}
