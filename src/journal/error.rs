//! What can go wrong with a journal and the files beside it.

use std::io;
use std::path::{Path, PathBuf};

use super::canonical::Unwritable;
use super::place::Malformed;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} holds no journal", path.display())]
    Missing { path: PathBuf },
    #[error("{} is damaged: {malformed}", path.display())]
    Damaged { path: PathBuf, malformed: Malformed },
    #[error("an entry cannot be written: {0}")]
    Unwritable(#[from] Unwritable),
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("an earlier write to the journal failed")]
    Broken,
    #[error("the journal is sealed")]
    Sealed,
}

impl JournalError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } | Self::Broken => {
                Some("nothing was started that is not on disk: see to the disk, then resume the run")
            }
            Self::Damaged { .. } => Some("the file was changed after it was written: compare it with a copy"),
            Self::Unwritable(_) => Some("this is a bug in consigne: resuming the run is safe"),
            _ => None,
        }
    }

    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { verb, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, malformed: Malformed) -> Self {
        Self::Damaged { path: path.to_owned(), malformed }
    }
}
