//! What may be typed behind `consigne rehearse`.

use std::path::PathBuf;

use clap::Args;

use super::{ChoiceArgs, DriveArgs, Lang};

#[derive(Debug, Args)]
pub struct RehearseArgs {
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// With --every-fault: further runbooks, and folders with runbooks
    #[arg(value_name = "MORE", requires = "every_fault")]
    pub more: Vec<PathBuf>,
    /// Something that goes wrong at a step, or at STEP.PART (first, verify, undo, put_back, only_if); may be given several times (kinds: failure, timeout, wrong, dropped, refusal, absent, crash-before, crash-after, clock-forward, clock-back)
    #[arg(long, value_name = "STEP=KIND")]
    pub fault: Vec<String>,
    /// A few things that go wrong, drawn from this number
    #[arg(long, value_name = "SEED")]
    pub faults: Option<u64>,
    /// Rehearse once for every kind of fault at every step, with people played; exit code 1 if something is found
    #[arg(
        long,
        conflicts_with_all = ["fault", "faults", "out", "from", "record", "held_back", "live_reads", "unattended"]
    )]
    pub every_fault: bool,
    /// File of what the outside and people say
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// File of answers; they go before those of the scenario
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// What is random elsewhere comes from this number (of the runbook, its environment and inputs unless told)
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Folder of this rehearsal, which has to be new (one among the runs unless told)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The real run whose answers are used (the newest one of the runbook unless told)
    #[arg(long, value_name = "RUN", conflicts_with = "no_past")]
    pub from: Option<String>,
    /// Use the answers of no real run
    #[arg(long)]
    pub no_past: bool,
    /// Leave the fixtures beside the runbook alone
    #[arg(long)]
    pub no_fixture: bool,
    /// A fixture instead of those beside the runbook: YAML, or HTTP exchanges as HAR; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "no_fixture")]
    pub fixture: Vec<PathBuf>,
    /// Write what the real run was answered as a fixture, and rehearse with it; FILE.har gets the HTTP exchanges
    #[arg(long, value_name = "FILE", conflicts_with = "fixture")]
    pub record: Vec<PathBuf>,
    /// With --record: write what the run holds back as well, which may be confidential
    #[arg(long, requires = "record")]
    pub held_back: bool,
    /// Do steps of effect `read` for real
    #[arg(long)]
    pub live_reads: bool,
    /// Ask nobody: declared answers count, anything else ends the rehearsal
    #[arg(long)]
    pub unattended: bool,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Plain lines, no colour
    #[arg(long)]
    pub plain: bool,
    /// Print the result as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Language of prompts and report (English where nobody is asked)
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

impl RehearseArgs {
    /// What the verbs that drive a run share.
    pub fn common(&self) -> DriveArgs {
        DriveArgs {
            unattended: self.unattended,
            no_wait: false,
            key: None,
            runs: self.runs.clone(),
            plain: self.plain,
            json: self.json,
            lang: self.lang,
        }
    }
}
