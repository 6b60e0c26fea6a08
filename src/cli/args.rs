//! What may be typed. The doc comments are the help.

mod certify;
mod check;
mod plan;
mod rehearse;
mod review;
mod schema;
mod show;
mod test;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use certify::CertifyArgs;
pub use check::CheckArgs;
pub use plan::{PlanArgs, PlanMode};
pub use rehearse::RehearseArgs;
pub use review::{ReviewArgs, VerdictWord};
pub use schema::SchemaArgs;
pub use show::ShowArgs;
pub use test::TestArgs;
pub use verify::{ModeArg, VerifyArgs};

/// Runbooks as code: guided procedures that survive a crash and end in a signed record
#[derive(Debug, Parser)]
#[command(name = "consigne", version, after_help = exit_codes(), disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Without a command: folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Without a command: print what waits as JSON
    #[arg(long)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Say whether a runbook makes sense, and where not
    Check(CheckArgs),
    /// Show what a run would do, and do nothing
    Plan(PlanArgs),
    /// Draw the steps of a runbook
    Graph(GraphArgs),
    /// Look whether what a run needs is here
    Preflight(PreflightArgs),
    /// Run a runbook for real
    Run(RunArgs),
    /// Run a runbook for real in a practice environment
    Drill(RunArgs),
    /// Walk a runbook with real people and simulated effects
    Rehearse(RehearseArgs),
    /// Rehearse the cases of runbook tests, and say which do not come out as expected
    Test(TestArgs),
    /// Certify that a runbook was rehearsed: signed, expiring, for exactly this version
    Certify(CertifyArgs),
    /// Go on with a run that is paused, or whose process died
    Resume(ResumeArgs),
    /// Do a part of a finished run again, as a new run
    Rerun(RerunArgs),
    /// Answer an open question of a run
    Answer(AnswerArgs),
    /// Sign a decision that a run elsewhere asks for, with your SSH key
    Sign(SignArgs),
    /// Look at a gate that somebody opened by breaking the glass
    Review(ReviewArgs),
    /// End a run: reversals and `finally` still happen
    Cancel(CancelArgs),
    /// Show who holds which target, or take one away from a run
    Unlock(UnlockArgs),
    /// Show the runs, what they wait for, and open toggles
    List(ListArgs),
    /// Show the runbooks, with their last drill and live run
    Runbooks(RunbooksArgs),
    /// Show where a run stands
    Show(ShowArgs),
    /// Print the report of a run
    Report(ReportArgs),
    /// Verify the record of a run, or a rehearsal certificate
    Verify(VerifyArgs),
    /// The executor's key, and the keys of people
    Keys(KeysArgs),
    /// Write a first runbook, or make one of a Markdown procedure
    New(NewArgs),
    /// Print a runbook as a checklist for paper, in Markdown
    Print(PrintArgs),
    /// Print the manual page
    Man(ManArgs),
    /// Print what makes a shell complete runbooks, runs and steps
    Completions(CompletionsArgs),
    /// Print the JSON Schema of the runbook language, for editors
    Schema(SchemaArgs),
    /// Serve the practice platform on loopback
    Practice(PracticeArgs),
}

/// Which runbook, where, with which inputs.
#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// The runbook: a file, or the id of one that `consigne runbooks` finds
    pub file: PathBuf,
    /// Environment (a drill or rehearsal uses `practice` unless told otherwise)
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// An input, instead of the one in the file; may be given several times
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// File of inputs (a drill or rehearsal takes NAME.inputs.yaml beside the runbook unless told otherwise)
    #[arg(long = "inputs", value_name = "FILE")]
    pub inputs_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeChoice {
    Live,
    Drill,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The runbook
    pub file: PathBuf,
    /// Print Mermaid text
    #[arg(long, conflicts_with_all = ["svg", "json"])]
    pub mermaid: bool,
    /// Print an SVG file
    #[arg(long, conflicts_with = "json")]
    pub svg: bool,
    /// Print steps, arrows and branches as JSON
    #[arg(long)]
    pub json: bool,
    /// Language of the picture
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Args)]
pub struct PreflightArgs {
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// What the run would be (live, unless the environment is one for practice)
    #[arg(long, value_name = "MODE", value_enum)]
    pub mode: Option<ModeChoice>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Language of the findings
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// File of answers
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Id of the new run
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// When it is over, write what it was answered as a fixture for rehearsals; FILE.har gets the HTTP exchanges
    #[arg(long, value_name = "FILE")]
    pub record: Vec<PathBuf>,
    /// With --record: write what the run holds back as well, which may be confidential
    #[arg(long, requires = "record")]
    pub held_back: bool,
    #[command(flatten)]
    pub window: WindowArgs,
    #[command(flatten)]
    pub common: DriveArgs,
}

/// What every verb that drives a run understands.
#[derive(Debug, Args)]
pub struct DriveArgs {
    /// Ask nobody: declared answers count, anything else pauses the run
    #[arg(long)]
    pub unattended: bool,
    /// Park the run instead of sleeping through a wait
    #[arg(long)]
    pub no_wait: bool,
    /// Sign your own decisions at gates with this SSH private key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Plain lines, no colour
    #[arg(long)]
    pub plain: bool,
    /// Print the result as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Language of prompts and report
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    Fr,
    En,
}

impl Lang {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
        }
    }

    /// One of two texts.
    pub const fn pick<'t>(self, fr: &'t str, en: &'t str) -> &'t str {
        match self {
            Self::Fr => fr,
            Self::En => en,
        }
    }
}

/// For verbs that take up a run.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Go on although variables or contexts that steps find have changed since the start
    #[arg(long)]
    pub accept_environment: bool,
}

/// For verbs that begin or take up a run.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// Go on although no window of the runbook is open; the record says why
    #[arg(long, value_name = "REASON")]
    pub outside_window: Option<String>,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Id, beginning of the id, or directory of the run
    pub run: String,
    /// File of answers
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub window: WindowArgs,
    #[command(flatten)]
    pub common: DriveArgs,
}

#[derive(Debug, Args)]
pub struct RerunArgs {
    /// Id, beginning of the id, or directory of a finished run
    pub run: String,
    /// The first step to do again; what succeeded before it, by the same request, is taken over
    #[arg(long, value_name = "STEP")]
    pub from: String,
    /// A mended runbook, instead of the one that the run was made of
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// File of answers
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Id of the new run
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub window: WindowArgs,
    #[command(flatten)]
    pub common: DriveArgs,
}

#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The target, as `lock:` of the runbook names it; without one, every held target is shown
    pub target: Option<String>,
    /// Why it is taken away
    #[arg(long, value_name = "TEXT", requires = "target")]
    pub reason: Option<String>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// Id, beginning of the id, or directory of the run
    pub run: String,
    /// The step, or `list/item` for an item of a checklist
    pub step: String,
    /// The answer: a word, or JSON for forms and outputs
    pub value: String,
    /// Answer as this person (role play in a practice environment)
    #[arg(long = "as", value_name = "NAME")]
    pub as_person: Option<String>,
    /// Reason or remark
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// File kept as evidence; may be given several times
    #[arg(long, value_name = "FILE")]
    pub evidence: Vec<PathBuf>,
    /// The decision as somebody signed it: what `consigne sign` or `ssh-keygen -Y sign` gave (-: paste it)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["as_person", "evidence", "key"])]
    pub signature: Option<PathBuf>,
    /// Go on with the run after the answer, where no process drives it
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub window: WindowArgs,
    #[command(flatten)]
    pub common: DriveArgs,
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// The block that the run shows, in a file; without it, it is pasted
    pub file: Option<PathBuf>,
    /// Your name among the people of the run
    #[arg(long = "as", value_name = "NAME")]
    pub as_person: Option<String>,
    /// Private key, or the public key of one that an agent holds (~/.ssh/id_ed25519, else id_ecdsa)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Sign that it must not be done
    #[arg(long)]
    pub reject: bool,
    /// Sign that you open it alone, for the reason in the comment
    #[arg(long, conflicts_with = "reject", requires = "comment")]
    pub break_glass: bool,
    /// Reason or remark, part of what is signed
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Sign without being asked
    #[arg(long)]
    pub yes: bool,
    /// Write what is signed to a new file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Id, beginning of the id, or directory of the run
    pub run: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub comment: String,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub common: DriveArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Finished runs too
    #[arg(long)]
    pub all: bool,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunbooksArgs {
    /// Words that have to stand in id, title, description, owners, category or path
    pub words: Vec<String>,
    /// Folder to look below, instead of $CONSIGNE_RUNBOOKS, else of this folder and the nearest `runbooks`
    #[arg(long, value_name = "DIR")]
    pub dir: Vec<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON, a line each
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct OneRun {
    /// Id, beginning of the id, or directory of the run
    pub run: String,
    /// Folder of the runs
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub run: OneRun,
    /// Language of the report (the run's own unless told otherwise)
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
    /// Add what is disclosed
    #[arg(long)]
    pub open: bool,
    /// Add the verdicts of a verification made now
    #[arg(long)]
    pub verified: bool,
    /// Folder of keys to trust
    #[arg(long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    pub verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Make the executor's key and enrol it in the trust folder
    Init {
        /// Organisation that signatures speak for
        #[arg(long, default_value = crate::record::keys::DEFAULT_ORG)]
        org: String,
    },
    /// Show the executor's key
    Show {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust somebody's SSH key with approvals
    Enrol {
        /// The `ssh` of that person in the environment, such as alice@example.com
        principal: String,
        /// The public key
        file: PathBuf,
        /// Trust it with this runbook only
        #[arg(long, value_name = "ID")]
        runbook: Option<String>,
    },
    /// Add the key of rehearsals, which everybody has, to a folder of keys, for checking rehearsals with stock tools
    Rehearsals {
        /// The folder, made where there is none
        dir: PathBuf,
    },
    /// Show the keys that are trusted here, and with what
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Id of the new runbook: small letters, digits and `-` (with --from: made of the file's name unless told)
    #[arg(required_unless_present = "from")]
    pub id: Option<String>,
    /// Title
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Category
    #[arg(long, value_parser = ["routine", "emergency", "maintenance", "check"], default_value = "routine")]
    pub category: String,
    /// Folder to write to (`runbooks` if there is one here, else this folder)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Make it of this Markdown procedure: each list item becomes a step by hand
    #[arg(long, value_name = "FILE.md", value_hint = clap::ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Of the Markdown, only what stands below the heading that holds this text
    #[arg(long, value_name = "HEADING", requires = "from")]
    pub section: Option<String>,
    /// Language of the comments
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Args)]
pub struct PrintArgs {
    /// The runbook
    pub file: PathBuf,
    /// Environment, for its variables and the people of its roles
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// An input that is known already; may be given several times
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// File to write to, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Language of the checklist
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder, instead of the main page to stdout
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: ShellArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellArg {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct PracticeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: std::net::IpAddr,
    /// Port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Folder of the platform's state
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Serve the mailbox instead: SMTP, each mail a file in `new` of the state
    #[arg(long, conflicts_with = "strict")]
    pub mailbox: bool,
    /// Refuse bodies without a JSON content type everywhere
    #[arg(long)]
    pub strict: bool,
}

fn exit_codes() -> String {
    let lines = super::exit::Exit::ALL.iter().map(|exit| format!("  {:>2}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}
