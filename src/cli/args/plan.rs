//! What may be typed behind `consigne plan`.

use clap::{Args, ValueEnum};

use super::{ChoiceArgs, Lang};

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// What the run would be (live, unless the environment is one for practice)
    #[arg(long, value_name = "MODE", value_enum)]
    pub mode: Option<PlanMode>,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Language of the plan
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanMode {
    Live,
    Drill,
    Rehearsal,
}
