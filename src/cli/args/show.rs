//! What may be typed behind `consigne show`.

use clap::Args;

use super::OneRun;

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Print the text that somebody elsewhere signs to answer this gate, and nothing else
    #[arg(long, value_name = "STEP", conflicts_with = "json")]
    pub block: Option<String>,
    /// Print its HTTP exchanges as a HAR file, what the run holds back included (secrets are struck out)
    #[arg(long, conflicts_with_all = ["json", "block"])]
    pub har: bool,
}
