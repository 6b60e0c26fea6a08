//! The command line: one file per verb, one place that prints, one table of exit codes.

mod answer;
mod args;
mod busy;
mod cancel;
mod certificate;
mod certify;
mod check;
mod chosen;
mod completions;
mod coverage;
mod drive;
mod error;
mod exit;
mod first;
mod fixture;
mod form;
mod graph;
mod home;
mod keys;
mod list;
mod live;
mod man;
mod new;
mod overview;
mod past;
mod picture;
mod plan;
mod practice;
mod preflight;
mod print;
mod rehearse;
mod report;
mod rerun;
mod review;
mod run;
mod runbooks;
mod secret;
mod sheet;
mod shelf;
mod show;
mod sign;
mod test;
mod ui;
mod unlock;
mod verify;
mod waiting;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Verb};
use error::CliError;
use exit::Exit;
use ui::Ui;

use crate::runbook::{cases, environment, scenario, schema};

/// Parses, dispatches, prints what went wrong, and says so by the exit code.
pub fn main() -> ExitCode {
    if completions::answered() {
        return Exit::Done.into();
    }
    log_to_stderr();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _closed_pipe = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let ui = Ui::new(false);
    // The default hook has printed where; what it means to the person at the terminal is said here.
    match catch_unwind(AssertUnwindSafe(|| match cli.verb {
        Some(verb) => dispatch(verb),
        None => first::first(&cli),
    })) {
        Ok(Ok(Exit::Done)) if ui::data_lost() => {
            ui.say("error: what was to be printed could not be written; is the disk full?");
            Exit::Unwritable.into()
        }
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => {
            ui.error(&error);
            error.exit.into()
        }
        Err(_panic) => {
            ui.say("error: a bug in consigne; the journal is sound and `consigne resume` is safe");
            Exit::Bug.into()
        }
    }
}

fn dispatch(verb: Verb) -> Result<Exit, CliError> {
    match verb {
        Verb::Check(args) => check::check(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Graph(args) => graph::graph(&args),
        Verb::Preflight(args) => preflight::preflight(&args),
        Verb::Run(args) => run::run(args, crate::plan::Mode::Live),
        Verb::Drill(args) => run::run(args, crate::plan::Mode::Drill),
        Verb::Rehearse(args) => rehearse::rehearse(&args),
        Verb::Test(args) => test::test(&args),
        Verb::Certify(args) => certify::certify(&args),
        Verb::Resume(args) => drive::resume(&args),
        Verb::Rerun(args) => rerun::rerun(&args),
        Verb::Unlock(args) => unlock::unlock(&args),
        Verb::Answer(args) => answer::answer(&args),
        Verb::Sign(args) => sign::sign(&args),
        Verb::Review(args) => review::review(&args),
        Verb::Cancel(args) => cancel::cancel(&args),
        Verb::List(args) => list::list(&args),
        Verb::Runbooks(args) => runbooks::runbooks(&args),
        Verb::Show(args) => show::show(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Verify(args) => verify::verify(&args),
        Verb::Keys(args) => keys::keys(&args),
        Verb::New(args) => new::new(&args),
        Verb::Print(args) => print::print(&args),
        Verb::Man(args) => man::man(&args),
        Verb::Completions(args) => completions::completions(args.shell),
        Verb::Schema(args) => {
            let schema = match (args.environment, args.tests, args.scenarios) {
                (true, ..) => environment::json_schema(),
                (_, true, _) => cases::json_schema(),
                (.., true) => scenario::json_schema(),
                _ => schema::json_schema(),
            };
            Ui::new(true).json(&schema);
            Ok(Exit::Done)
        }
        Verb::Practice(args) => practice::practice(&args),
    }
}

/// Diagnostics of the program itself, off unless asked for.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CONSIGNE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    let _second_time =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// The runtime of the verbs that do something.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Bug, format!("cannot start: {error}")))
}

/// Name and version of this program, as the journal has it.
fn tool() -> String {
    concat!("consigne ", env!("CARGO_PKG_VERSION")).to_owned()
}
