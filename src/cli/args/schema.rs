//! What may be typed behind `consigne schema`.

use clap::Args;

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of environment files instead of runbooks
    #[arg(long)]
    pub environment: bool,
    /// Of files of runbook tests instead of runbooks
    #[arg(long, conflicts_with = "environment")]
    pub tests: bool,
    /// Of scenarios and fixtures instead of runbooks
    #[arg(long, conflicts_with_all = ["environment", "tests"])]
    pub scenarios: bool,
}
