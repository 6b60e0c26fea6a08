//! What `consigne review` understands.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// Id, beginning of the id, or directory of the run
    pub run: String,
    /// The gate that was opened by breaking the glass
    pub step: String,
    /// Whether it was right to open it
    #[arg(value_enum)]
    pub verdict: VerdictWord,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub comment: String,
    /// Review as this person (role play in a practice environment)
    #[arg(long = "as", value_name = "NAME", conflicts_with = "key")]
    pub as_person: Option<String>,
    /// Sign it with this SSH private key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictWord {
    Accept,
    Object,
}
