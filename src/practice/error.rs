//! Why the platform could not start. What goes wrong inside one request is that request's answer instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PracticeError {
    #[error("cannot {verb} {}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot listen on {bind}")]
    Listen { bind: SocketAddr, source: io::Error },
    #[error("cannot {verb} the practice state {}", path.display())]
    Database { verb: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("the practice state {} is in use by another process", path.display())]
    Busy { path: PathBuf },
    #[error("the practice state {} has layout {found}, expected {expected}", path.display())]
    Layout { path: PathBuf, found: i64, expected: i64 },
    #[error("{} is empty, expected a secret; remove the file to get a new one", path.display())]
    EmptySecret { path: PathBuf },
    #[error("no randomness from the operating system")]
    Randomness(#[source] io::Error),
}
