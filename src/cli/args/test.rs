//! What may be typed behind `consigne test`.

use std::path::PathBuf;

use clap::Args;

use super::Lang;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files of tests, runbooks with tests beside them, or folders (`runbooks`, here or above, unless told)
    #[arg(value_name = "FILE|FOLDER")]
    pub files: Vec<PathBuf>,
    /// Only the cases with this in their name
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Write the outcome as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// A fixture that does not fit its runbook any more is a failure, too
    #[arg(long)]
    pub strict_fixtures: bool,
    /// Keep the rehearsals in this folder, which has to be new
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Cases at a time (as many as there are processors unless told)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Print the outcome as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Language of what is said (that of the locale unless told)
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}
