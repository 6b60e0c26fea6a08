//! What may be typed behind `consigne certify`.

use std::path::PathBuf;

use clap::Args;

use super::Lang;

#[derive(Debug, Args)]
pub struct CertifyArgs {
    /// Id, beginning of the id, or directory of the rehearsal
    pub run: String,
    /// The runbook as it is today: a file or an id (the id of the rehearsal's runbook unless told otherwise)
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// How long the certificate counts, such as 30d
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = duration)]
    pub expires: u64,
    /// Refuse where less of exactly this runbook was ever walked
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub min_coverage: Option<u8>,
    /// Sign it with this SSH private key, an Ed25519 key that is enrolled here (the executor's key unless given)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Write it here as well
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Language of what is said
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// In milliseconds: ten years at most, since nobody knows what a runbook does then.
fn duration(text: &str) -> Result<u64, String> {
    const MOST: u64 = 10 * 366 * 86_400_000;
    let found =
        humantime::parse_duration(text).map_err(|_| "not a duration such as 30d or 12h".to_owned())?;
    let millis = u64::try_from(found.as_millis()).unwrap_or(u64::MAX);
    if (1..=MOST).contains(&millis) {
        Ok(millis)
    } else {
        Err("more than nothing, and ten years at most".to_owned())
    }
}
