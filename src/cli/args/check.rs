//! What may be typed behind `consigne check`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Runbooks: files, ids, or folders with runbooks
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
    /// Show what the fixtures beside it say that is not so any more; exit code 1 if there is something
    #[arg(long, conflicts_with = "coverage")]
    pub fixtures: bool,
    /// With --coverage: end with exit code 1 where nobody drilled or rehearsed it for so long (marked from 90 on); with --fixtures: those that are older are named (90)
    #[arg(long, value_name = "DAYS")]
    pub max_age: Option<u32>,
    /// With --coverage or --fixtures: folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print findings as JSON
    #[arg(long)]
    pub json: bool,
}
