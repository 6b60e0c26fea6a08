//! `consigne completions`, and the answers to the shells that ask back: runbooks, runs, steps, environments.
//!
//! While a shell waits nothing is written, nothing is started and nothing is said: whatever goes wrong, there is
//! simply nothing to complete with.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

use super::args::{Cli, ShellArg};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::shelf::Shelf;
use super::ui::Ui;
use crate::plan::Graph;
use crate::plan::digest::GRAPH_FILE;
use crate::runbook::environment::Environment;

/// Set by the script in the shell, when it wants an answer.
const VARIABLE: &str = "CONSIGNE_COMPLETE";

/// Prints the script that makes a shell ask this program.
pub(super) fn completions(shell: ShellArg) -> Result<Exit, CliError> {
    let shell: &dyn EnvCompleter = match shell {
        ShellArg::Bash => &Bash,
        ShellArg::Zsh => &Zsh,
        ShellArg::Fish => &Fish,
    };
    let program = std::env::current_exe().map_or_else(|_| "consigne".into(), PathBuf::into_os_string);
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "consigne", "consigne", &program.to_string_lossy(), &mut script)
        .map_err(|error| CliError::new(Exit::Bug, format!("the script cannot be made: {error}")))?;
    Ui::new(false).bytes(&script);
    Ok(Exit::Done)
}

/// Answers a shell that asks for completions; false when none does.
pub(super) fn answered() -> bool {
    if std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()) {
        return false;
    }
    std::panic::set_hook(Box::new(|_| {}));
    let answer = || {
        let here = std::env::current_dir().ok();
        CompleteEnv::with_factory(command)
            .var(VARIABLE)
            .try_complete(std::env::args_os(), here.as_deref())
            .is_ok()
    };
    let _nothing_to_complete_with = catch_unwind(AssertUnwindSafe(answer));
    true
}

/// Verbs whose `file` or `files` are runbooks.
const OF_RUNBOOKS: [&str; 7] = ["check", "run", "drill", "print", "preflight", "plan", "graph"];

/// The command line with what its words are completed with: by their names, so that no verb can forget it.
fn command() -> clap::Command {
    Cli::command().mut_subcommands(|verb| {
        let of_runbooks = OF_RUNBOOKS.contains(&verb.get_name());
        let rerun = verb.get_name() == "rerun";
        verb.mut_args(|arg| match arg.get_id().as_str() {
            "run" => arg.add(ArgValueCompleter::new(Runs)),
            "step" => arg.add(ArgValueCompleter::new(Steps)),
            "from" if rerun => arg.add(ArgValueCompleter::new(Steps)),
            "env" => arg.add(ArgValueCompleter::new(Environments)),
            "runbook" => arg.add(ArgValueCompleter::new(Runbooks)),
            "file" | "files" if of_runbooks => arg.add(ArgValueCompleter::new(Runbooks)),
            _ => arg,
        })
    })
}

/// Files and ids of runbooks.
#[derive(Debug, Clone, Copy)]
struct Runbooks;

/// Ids of runs.
#[derive(Debug, Clone, Copy)]
struct Runs;

/// Steps of the run that is named before, and the items of its lists.
#[derive(Debug, Clone, Copy)]
struct Steps;

/// Environments of the runbook that is named before, or of any.
#[derive(Debug, Clone, Copy)]
struct Environments;

impl ValueCompleter for Runbooks {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let ids: BTreeSet<String> = known_runbooks().into_iter().filter_map(|(_, id)| id).collect();
        let mut all = beginning(current, ids.into_iter());
        all.extend(PathCompleter::file().filter(looks_like_a_runbook).complete(current));
        all
    }
}

impl ValueCompleter for Runs {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let words = Typed::now();
        let ids = home(&words).and_then(|home| home.run_ids().ok()).unwrap_or_default();
        let mut all = beginning(current, ids.into_iter().rev());
        if current.to_string_lossy().contains('/') {
            all.extend(PathCompleter::dir().complete(current));
        }
        all
    }
}

impl ValueCompleter for Steps {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let words = Typed::now();
        let steps = words.positional.first().and_then(|run| steps_of(&home(&words)?, run));
        beginning(current, steps.unwrap_or_default().into_iter())
    }
}

impl ValueCompleter for Environments {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let typed = Typed::now();
        let named = typed.positional.first().map(PathBuf::from);
        let mut runbooks: Vec<PathBuf> = known_runbooks()
            .into_iter()
            .filter(|(_, id)| named.as_ref().is_none_or(|named| id.as_deref() == named.to_str()))
            .map(|(path, _)| path)
            .collect();
        runbooks.extend(named.filter(|path| path.exists()));
        if runbooks.is_empty() {
            runbooks.push(PathBuf::from("./runbook"));
        }
        let mut names: Vec<String> =
            runbooks.iter().flat_map(|runbook| Environment::names(runbook)).collect();
        names.sort();
        names.dedup();
        beginning(current, names.into_iter())
    }
}

fn beginning(current: &OsStr, all: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    all.filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// A YAML file that is no environment, and nothing that lies beside a runbook.
fn looks_like_a_runbook(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let beside = path.parent().is_some_and(|folder| folder.ends_with("environments"));
    let other = [".inputs.yaml", ".answers.yaml", ".fixture.yaml", ".scenario.yaml", ".test.yaml"]
        .iter()
        .any(|end| name.ends_with(end));
    name.ends_with(".yaml") && !other && !beside
}

/// The runbooks here, each with the id that it can be named by.
fn known_runbooks() -> Vec<(PathBuf, Option<String>)> {
    let found = Shelf::find(&[]).catalogue.found;
    found.into_iter().map(|entry| (entry.path.clone(), entry.id().map(str::to_owned))).collect()
}

fn home(typed: &Typed) -> Option<Home> {
    Home::find(typed.runs.as_deref()).ok()
}

fn steps_of(home: &Home, run: &str) -> Option<Vec<String>> {
    let dir = home.run_dir(run).ok()?;
    let text = std::fs::read(dir.join("plan").join(GRAPH_FILE)).ok()?;
    let graph: Graph = serde_json::from_slice(&text).ok()?;
    let mut names: Vec<String> = graph.guards.into_iter().map(|guard| guard.id).collect();
    for step in graph.steps {
        names.extend(step.items.iter().map(|item| format!("{}/{}", step.id, item.id)));
        names.push(step.id);
    }
    Some(names)
}

/// What stands on the command line in front of the word that is being completed.
struct Typed {
    positional: Vec<String>,
    /// Value of `--runs`.
    runs: Option<PathBuf>,
}

impl Typed {
    /// The shell hands over its words behind `--`.
    fn now() -> Self {
        let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(2).collect();
        let index: usize = std::env::var("_CLAP_COMPLETE_INDEX")
            .ok()
            .and_then(|index| index.parse().ok())
            .unwrap_or(words.len());
        let before = words.iter().take(index.saturating_sub(1));
        Self::of(before.map(|word| word.to_string_lossy().into_owned()))
    }

    fn of(words: impl Iterator<Item = String>) -> Self {
        let mut typed = Self { positional: Vec::new(), runs: None };
        let mut command = Cli::command();
        let mut verb = None;
        let mut words = words;
        while let Some(word) = words.next() {
            if let Some(flag) = word.strip_prefix("--") {
                let (name, value) =
                    flag.split_once('=').map_or((flag, None), |(name, v)| (name, Some(v.to_owned())));
                let takes = takes_value(&command, |arg| arg.get_long() == Some(name));
                let value = value.or_else(|| takes.then(|| words.next()).flatten());
                typed.runs = value.filter(|_| name == "runs").map(PathBuf::from).or(typed.runs);
            } else if let Some(flag) = word.strip_prefix('-').filter(|flag| flag.len() == 1) {
                if takes_value(&command, |arg| arg.get_short() == flag.chars().next()) {
                    words.next();
                }
            } else if verb.is_none() {
                if let Some(found) = command.find_subcommand(&word).cloned() {
                    command = found;
                }
                verb = Some(word);
            } else {
                typed.positional.push(word);
            }
        }
        typed
    }
}

fn takes_value(command: &clap::Command, which: impl Fn(&clap::Arg) -> bool) -> bool {
    command
        .get_arguments()
        .find(|arg| which(arg))
        .is_some_and(|arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_not_taken_for_what_is_named() {
        let typed = |line: &str| Typed::of(line.split(' ').map(str::to_owned));
        let answer = typed("answer --as bob --runs=/r --resume run-1 go");
        assert_eq!(answer.positional, ["run-1", "go"]);
        assert_eq!(answer.runs, Some(PathBuf::from("/r")));
        assert_eq!(typed("print -o x.md a.yaml").positional, ["a.yaml"]);
        assert_eq!(typed("--version").positional, [""; 0]);
    }
}
