//! What may be typed behind `consigne verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Id, beginning of the id, or directory of the run; or the file of a rehearsal certificate
    pub run: String,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// Folder of keys to trust (yours, never the bundle's)
    #[arg(long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
    /// What the record must be: live, drill or rehearsal
    #[arg(long = "as", value_name = "MODE", value_enum)]
    pub as_mode: Option<ModeArg>,
    /// Of a certificate: the runbook that it must be for, a file or an id
    #[arg(long, value_name = "FILE", conflicts_with = "as_mode")]
    pub runbook: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    Live,
    Drill,
    Rehearsal,
}
