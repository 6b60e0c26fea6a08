//! What may be typed behind `consigne check`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Runbooks: files or ids
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Environment to check against
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Show which ways through the runbook nobody ever walked, in a rehearsal, a drill or a run
    #[arg(long)]
    pub coverage: bool,
    /// With --coverage: show who walked the others, too
    #[arg(long, requires = "coverage")]
    pub all: bool,
    /// With --coverage: end with exit code 1 where less was walked
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = clap::value_parser!(u8).range(..=100))]
    pub min: Option<u8>,
    /// With --coverage: end with exit code 1 where nobody drilled or rehearsed it for so long (marked from 90 on)
    #[arg(long, value_name = "DAYS", requires = "coverage")]
    pub max_age: Option<u32>,
    /// With --coverage: folder of the runs
    #[arg(long, value_name = "DIR", requires = "coverage")]
    pub runs: Option<PathBuf>,
    /// Print findings as JSON
    #[arg(long)]
    pub json: bool,
}
