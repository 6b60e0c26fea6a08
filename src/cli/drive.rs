//! What the verbs that drive a run share, and `consigne resume`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::args::{DriveArgs, Lang, ResumeArgs, WindowArgs};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::secret::Asked;
use super::ui::Ui;
use super::window;
use crate::clock::{Clock, SystemClock};
use crate::core::{Actor, Input, RunStatus, State};
use crate::diag::{Diagnostic, Place};
use crate::engine::book::BookError;
use crate::engine::launch::{self, Answering, Host, LaunchError, Reopened, Rest};
use crate::engine::local::{DriveError, Stopped};
use crate::engine::services::ServiceError;
use crate::engine::{identity, unbegun};
use crate::journal::{JournalError, LockError};
use crate::operator::{Operator, Scripted, ScriptedAnswer, Setup, Terminal, Unattended, elsewhere};
use crate::plan::Plan;
use crate::record::build::RecordError;
use crate::record::keys::{DEFAULT_ORG, ExecutorKey};
use crate::record::sshsig::FileKey;
use crate::record::verify::Overall;
use crate::runbook::answers::{self, Answers, FileAnswer};

pub(super) fn resume(args: &ResumeArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let answers = answers(args.answers.as_deref())?;
    if super::rehearse::is_rehearsal(&dir) {
        return super::rehearse::resume(&dir, &args.common, answers, None);
    }
    let mut reopened = reopen(&dir, &home)?;
    known_steps(&answers, &reopened.plan)?;
    surroundings(&mut reopened, &args.common, args.accept.accept_environment, ui)?;
    if let Some(finished) = &reopened.state.run.finished {
        ui.say(&format!("{} was over already, at {}", reopened.id, finished.at));
    }
    let then = outside(&reopened, &args.window)?.into_iter().collect();
    resume_dir_with(reopened, &dir, &home, &args.common, answers, then, ui)
}

/// What is written down about a run that is taken up outside of its windows. A run that is ending only puts things
/// back: it may at any time.
pub(super) fn outside(reopened: &Reopened, args: &WindowArgs) -> Result<Option<Input>, CliError> {
    let run = &reopened.state.run;
    if run.finished.is_some() || run.ending.is_some() {
        return Ok(None);
    }
    let reason = args.outside_window.as_deref();
    window::within(&reopened.plan, reason, run.lang == "fr", clock().as_ref())
}

/// Takes a run from its directory. One that died before it began is removed, since nothing can come of it.
pub(super) fn reopen(dir: &Path, home: &Home) -> Result<Reopened, CliError> {
    match launch::reopen(dir, &home.root, &clock()) {
        Err(error @ LaunchError::NeverBegan { .. }) => {
            super::runtime()?.block_on(unbegun::remove(dir, &home.root, &clock())).map_err(launch_error)?;
            Err(launch_error(error)
                .hint("nothing was done, and what it left behind is removed: start it again"))
        }
        reopened => reopened.map_err(launch_error),
    }
}

/// Takes up a run whose lock is held, with `then` as the first thing after the resuming.
pub(super) fn resume_dir_with(
    reopened: Reopened,
    dir: &Path,
    home: &Home,
    common: &DriveArgs,
    answers: Answers,
    then: Vec<Input>,
    ui: Ui,
) -> Result<Exit, CliError> {
    let host = host(home, common, Arc::new(Asked::ask(&reopened.plan, common)?))?;
    let answering = answering(common, answers, dir, &reopened.plan)?;
    let resumed = super::runtime()?.block_on(reopened.resume(then, &host, answering));
    let (rest, swept) = resumed.map_err(|error| match error {
        // It stands where it stood.
        LaunchError::Interrupted => CliError::new(Exit::Waiting, error.to_string()),
        error => launch_error(error),
    })?;
    for leftover in swept {
        let end = if leftover.gone { "ended" } else { "could not be ended" };
        ui.say(&format!("left behind by the last process, {end}: {} {}", leftover.pid, leftover.command));
    }
    Ok(report(&rest, home, ui))
}

/// The machine's clock, for everything this process does.
pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// The answers file, read; none gives no answers.
pub(super) fn answers(file: Option<&Path>) -> Result<Answers, CliError> {
    let Some(file) = file else { return Ok(Answers::new()) };
    let (answers, problems) = answers::read(file);
    if crate::diag::has_errors(&problems) {
        let message = format!("{} holds no usable answers", file.display());
        return Err(CliError::new(Exit::Invalid, message).with(problems));
    }
    Ok(answers)
}

/// Every answer is meant for a step of the plan: one that is not would pause a run for no visible reason.
pub(super) fn known_steps(answers: &Answers, plan: &Plan) -> Result<(), CliError> {
    let wrong = unknown_steps(answers.iter().map(|(id, answer)| (id, &answer.at)), plan);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(CliError::new(Exit::Invalid, "the answers do not fit the runbook; nothing was started").with(wrong))
}

/// The answer ids that mean nothing in the plan.
pub(super) fn unknown_steps<'i>(
    ids: impl Iterator<Item = (&'i String, &'i Place)>,
    plan: &Plan,
) -> Vec<Diagnostic> {
    let steps = &plan.graph.steps;
    let guards = plan.graph.guards.iter().map(|guard| guard.id.clone());
    let items =
        steps.iter().flat_map(|step| step.items.iter().map(|item| format!("{}/{}", step.id, item.id)));
    let names: BTreeSet<String> =
        steps.iter().map(|step| step.id.clone()).chain(items).chain(guards).collect();
    let known = |id: &str| {
        // `list:key/item` is an item of the list, done for one item of a loop.
        let base = id.split_once(':').map_or(id, |(base, _)| base);
        let item = id
            .rsplit_once('/')
            .map(|(list, item)| format!("{}/{item}", list.split(':').next().unwrap_or(list)));
        names.contains(id) || names.contains(base) || item.is_some_and(|item| names.contains(&item))
    };
    let unknown = ids.filter(|(id, _)| !known(id)).map(|(id, at)| {
        let message = format!("the runbook has no step `{id}`");
        let problem = Diagnostic::error("unknown-step", at.clone(), message);
        problem.suggest(id, names.iter().map(String::as_str))
    });
    unknown.collect()
}

/// Where this process works. What `prompts` holds was asked before anything else had the terminal.
pub(super) fn host(home: &Home, common: &DriveArgs, prompts: Arc<Asked>) -> Result<Host, CliError> {
    // Without it, what a step leaves behind would be adopted by somebody who does not clean up.
    if let Err(error) = crate::runner::become_subreaper() {
        tracing::warn!(%error, "processes that detach themselves from a step are found by their marks only");
    }
    Ok(Host {
        home: home.root.clone(),
        clock: clock(),
        tool: super::tool(),
        attended: !common.unattended,
        alone: common.unattended || !std::io::stdin().is_terminal(),
        no_wait: common.no_wait,
        prompt_secret: Some(prompts),
        key: own_key(common)?,
    })
}

/// The key that the person at this process signs with, where he gives one.
pub(super) fn own_key(common: &DriveArgs) -> Result<Option<Arc<FileKey>>, CliError> {
    let Some(path) = &common.key else { return Ok(None) };
    match FileKey::load(path) {
        Ok(key) => Ok(Some(Arc::new(key))),
        Err(error) => {
            let hint = error.hint();
            Err(hinted(CliError::new(Exit::Usage, error.to_string()), hint))
        }
    }
}

/// Who answers in this process: the file first, then the person at the terminal.
pub(super) fn answering(
    common: &DriveArgs,
    answers: Answers,
    dir: &Path,
    plan: &Plan,
) -> Result<Answering, CliError> {
    let me = identity::actor(&plan.graph.people, &identity::os_user());
    answering_as(&me, common, answers, dir, clock())
}

/// The same for a person who is known, by another clock.
pub(super) fn answering_as(
    me: &Actor,
    common: &DriveArgs,
    answers: Answers,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Answering, CliError> {
    if common.plain {
        anstream::ColorChoice::Never.write_global();
    }
    let (send, replies) = mpsc::unbounded_channel();
    let alone = common.unattended || !std::io::stdin().is_terminal();
    let inner: Box<dyn Operator> = if alone {
        Box::new(Unattended::new())
    } else {
        let setup = Setup {
            me: me.who.clone(),
            signs: common.key.is_some(),
            clock,
            evidence: evidence(dir),
            replies: send.clone(),
        };
        let terminal =
            Terminal::open(setup).map_err(|error| CliError::new(Exit::Usage, error.to_string()))?;
        Box::new(terminal)
    };
    let operator: Box<dyn Operator> = if answers.is_empty() {
        inner
    } else {
        let scripted = answers.into_iter().map(|(id, answer)| (id, scripted(answer))).collect();
        Box::new(Scripted::new(scripted, &me.who, evidence(dir), send, inner))
    };
    Ok(Answering { operator, replies })
}

pub(super) fn scripted(answer: FileAnswer) -> ScriptedAnswer {
    ScriptedAnswer {
        value: answer.value,
        comment: answer.comment,
        evidence: answer.evidence.into_iter().map(Into::into).collect(),
        plays: answer.played_as,
        then: answer.then.into_iter().map(scripted).collect(),
    }
}

pub(super) fn evidence(dir: &Path) -> Box<dyn crate::operator::EvidenceStore> {
    Box::new(crate::engine::evidence::Kept::in_run(dir))
}

/// Language of prompts and report: as asked, else as the locale says.
pub(super) fn lang(common: &DriveArgs) -> Lang {
    spoken(common.lang)
}

/// As asked, else as the locale says.
pub(super) fn spoken(asked: Option<Lang>) -> Lang {
    asked.unwrap_or_else(locale)
}

/// The language that the locale says.
pub(super) fn locale() -> Lang {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG")).unwrap_or_default();
    if locale.starts_with("fr") { Lang::Fr } else { Lang::En }
}

/// Makes the executor's key where there is none, and says so. What an interrupted making left out is completed; a key
/// that somebody took out of a list of trusted ones is not put back.
pub(super) fn key(home: &Path, ui: Ui) -> Result<(), CliError> {
    let trust = home.join("trust");
    let files = ["executor", "executor.pub", "executor.spki.pem", "executor.vkey"];
    let made = files.iter().all(|name| home.join("keys").join(name).exists());
    if made && std::fs::metadata(trust.join("allowed_signers")).is_ok_and(|list| list.len() > 0) {
        return Ok(());
    }
    let key = if made {
        ExecutorKey::load(home).and_then(|key| key.enrol(&trust).map(|()| key))
    } else {
        ExecutorKey::init(home, DEFAULT_ORG, &super::keys::host_name())
    };
    let key = key.map_err(super::keys::key_error)?;
    let (principal, folder) = (key.principal(), home.join("keys"));
    ui.say(&match spoken(None) {
        Lang::Fr => format!("clé de l'exécuteur faite : {principal}, dans {}", folder.display()),
        Lang::En => format!("made the executor's key {principal} in {}", folder.display()),
    });
    Ok(())
}

/// Says how the run came to rest.
pub(super) fn report(rest: &Rest, home: &Home, ui: Ui) -> Exit {
    let state = &rest.state;
    let mut exit = exit_of(state, rest.stopped);
    let name = shown_name(&state.run.id, &rest.dir, home);
    if ui.json {
        ui.json(&super::show::summary(state, &rest.dir, Some(&rest.head)));
        return exit;
    }
    let french = state.run.lang == "fr";
    let pick = |fr: &str, en: &str| if french { fr.to_owned() } else { en.to_owned() };
    match &state.run.finished {
        Some(finished) => {
            ui.say(&format!("{}: {} ({})", state.run.id, finished.status.name(), finished.reason));
            for open in &finished.still_open {
                ui.say(&format!("{}: {open}", pick("encore ouvert", "still open")));
            }
            ui.say(&format!("{}: {}", pick("dossier", "record"), rest.dir.display()));
            // For the person who is there; a script that ran unattended verifies where it reports.
            if state.run.attended {
                match super::verify::verified(&rest.dir, home, None, None) {
                    Ok(found) => {
                        ui.say(&super::verify::one_line(&found, french));
                        if found.overall() == Overall::Failed {
                            exit = Exit::Damaged;
                        }
                    }
                    Err(error) => {
                        ui.error(&error);
                        exit = error.exit;
                    }
                }
            }
            ui.hint(&format!("consigne report {name}"));
            ui.hint(&format!("consigne verify {name}"));
        }
        None => {
            ui.say(&format!("{}: {}", state.run.id, pick("en pause", "paused")));
            for line in super::waiting::waits(&rest.plan, state) {
                ui.told("  ", &line);
            }
            blocks(rest, home, &name, ui);
            for answer in super::waiting::answers(&rest.plan, state, &name) {
                ui.hint(&answer);
            }
            ui.hint(&format!("consigne resume {name}"));
        }
    }
    ui.say(&format!(
        "{}: {} {}",
        pick("tête du journal", "journal head"),
        rest.head.size,
        rest.head.root_base64()
    ));
    exit
}

/// What can be signed elsewhere. Whoever was at the terminal has seen it, and is told how to see it again.
fn blocks(rest: &Rest, home: &Home, name: &str, ui: Ui) {
    let there = rest.state.run.attended && std::io::stdin().is_terminal();
    for mut question in super::show::gates_to_sign(&rest.plan, &rest.state) {
        if there {
            ui.hint(&format!("consigne show {name} --block {}", question.step));
            continue;
        }
        match super::show::to_sign(&rest.dir, home, &rest.plan, &rest.state, &question) {
            Ok(to_sign) => question.to_sign = to_sign,
            Err(error) => ui.error(&error),
        }
        if let Some(block) = elsewhere::block(&question, name) {
            ui.say(block.trim_end_matches('\n'));
        }
    }
}

/// How a run is named on the command line: its id where that finds it, else its directory.
pub(super) fn shown_name(id: &str, dir: &Path, home: &Home) -> String {
    if home.runs.join(id) == dir { id.to_owned() } else { dir.display().to_string() }
}

fn exit_of(state: &State, stopped: Stopped) -> Exit {
    match (stopped, state.status()) {
        (Stopped::Finished, RunStatus::Succeeded) => Exit::Done,
        (Stopped::Finished, _) => Exit::RunFailed,
        (Stopped::Parked, _) => Exit::Waiting,
    }
}

/// The exit code and the hints of whatever kept a run from being driven.
pub(super) fn launch_error(error: LaunchError) -> CliError {
    let message = error.to_string();
    match &error {
        LaunchError::Lock(LockError::TargetHeld { dir, .. }) => {
            let dir = dir.display();
            CliError::new(Exit::Held, message)
                .hint(format!("consigne show {dir}    (what it waits for)"))
                .hint(format!("consigne resume {dir}    (goes on with it)"))
                .hint(format!("consigne cancel {dir}    (ends it: the target is free)"))
        }
        LaunchError::Lock(lock) => {
            let held = matches!(lock, LockError::Held { .. } | LockError::TargetAwaited { .. });
            let exit = if held { Exit::Held } else { Exit::Unwritable };
            hinted(CliError::new(exit, message), lock.hint())
        }
        LaunchError::Journal(journal) => journal_error(journal),
        LaunchError::Book(book) | LaunchError::Drive(DriveError::Book(book)) => book_error(book),
        LaunchError::Corrupt { .. } => CliError::new(Exit::Damaged, message).hint(UNTOUCHED),
        LaunchError::Service(ServiceError::NotReady { .. } | ServiceError::Start { .. }) => {
            CliError::new(Exit::Invalid, message).hint("no step was started")
        }
        LaunchError::Service(_) | LaunchError::Leftovers(_) => CliError::new(Exit::Unwritable, message),
        LaunchError::Sealed(_) | LaunchError::Drive(DriveError::Sealed(_)) => {
            CliError::new(Exit::Unwritable, message).hint("resuming goes on where it stopped")
        }
        LaunchError::Key(key) => hinted(CliError::new(Exit::Invalid, message), key.hint()),
        LaunchError::Drive(DriveError::Signals(_)) => CliError::new(Exit::Bug, message),
        LaunchError::File { verb: "find a run in", .. } => CliError::new(Exit::Usage, message),
        LaunchError::File { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            CliError::new(Exit::Usage, message).hint("a run id is used once")
        }
        LaunchError::File { .. } => CliError::new(Exit::Unwritable, message),
        LaunchError::NotCertified(error) => super::certificate::not_certified(error),
        LaunchError::Missing(list) => {
            CliError::new(Exit::Invalid, list.join("\nerror: ")).hint("nothing was started")
        }
        LaunchError::Surroundings(_) => {
            CliError::new(Exit::Invalid, message).hint(ACCEPT).hint("nothing was started")
        }
        LaunchError::Rehearsal(_) => CliError::new(Exit::Usage, message).hint(
            "`consigne resume RUN` goes on with one that is not over; else rehearse again: it costs nothing",
        ),
        LaunchError::Random(_) => CliError::new(Exit::Bug, message),
        LaunchError::Interrupted => CliError::new(Exit::RunFailed, message).hint("nothing was done"),
        LaunchError::NeverBegan { .. } | LaunchError::Over => CliError::new(Exit::Usage, message),
    }
}

/// The way to go on in other surroundings.
const ACCEPT: &str =
    "set them as they were, or accept the change with --accept-environment: the record will say so";

/// Asks whether a run may go on although what its steps find around them has changed since it started; somebody's
/// word for it goes into the record.
pub(super) fn surroundings(
    reopened: &mut Reopened,
    common: &DriveArgs,
    accept: bool,
    ui: Ui,
) -> Result<(), CliError> {
    let changed = reopened.changed_surroundings();
    let french = common.lang.map_or(reopened.state.run.lang == "fr", |lang| lang == Lang::Fr);
    if let Some((actor, text)) = accepted(changed, &reopened.plan, french, common, accept, ui)? {
        reopened.accept_surroundings(actor, text);
    }
    Ok(())
}

/// Who goes on in surroundings that have changed, and what he is told of them. None: nothing has changed.
///
/// # Errors
/// Nobody wants to.
pub(super) fn accepted(
    changed: Vec<String>,
    plan: &Plan,
    french: bool,
    common: &DriveArgs,
    accept: bool,
    ui: Ui,
) -> Result<Option<(Actor, String)>, CliError> {
    if changed.is_empty() {
        return Ok(None);
    }
    let names = changed.join(", ");
    let alone = common.unattended || !std::io::stdin().is_terminal();
    if !accept && (alone || !go_on_with(&names, french, ui)) {
        return Err(launch_error(LaunchError::Surroundings(changed)));
    }
    let text = if french {
        format!("poursuivie dans un environnement qui n'est plus celui du départ : {names}")
    } else {
        format!("resumed in an environment that is not the one it started in: {names}")
    };
    ui.say(&text);
    Ok(Some((identity::actor(&plan.graph.people, &identity::os_user()), text)))
}

/// Anything but a clear yes is a no.
fn go_on_with(names: &str, french: bool, ui: Ui) -> bool {
    let (what, question) = if french {
        ("Ce que les étapes trouvent autour d'elles a changé depuis le départ", "Continuer avec cela ? [o/N]")
    } else {
        ("What steps find around them has changed since the start", "Go on with it? [y/N]")
    };
    ui.say(&format!("{what}: {names}"));
    ui.prompt(question);
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes" | "o" | "oui")
}

/// What can be said about a run that is not what it was.
const UNTOUCHED: &str = "nothing was changed; keep the folder as it is";

fn book_error(error: &BookError) -> CliError {
    match error {
        BookError::Journal(journal) => journal_error(journal),
        BookError::Record(record) => record_error(record),
        BookError::Refused(refused) => {
            hinted(CliError::new(Exit::Usage, error.to_string()), refused.hint.clone())
        }
    }
}

pub(super) fn record_error(error: &RecordError) -> CliError {
    match error {
        RecordError::Journal(journal) => journal_error(journal),
        RecordError::History(_) | RecordError::Graph { .. } => {
            CliError::new(Exit::Damaged, error.to_string()).hint(UNTOUCHED)
        }
        _ => CliError::new(Exit::Unwritable, error.to_string())
            .hint("`consigne resume` completes what is missing"),
    }
}

pub(super) fn journal_error(error: &JournalError) -> CliError {
    let exit = match error {
        JournalError::Damaged { .. } | JournalError::Missing { .. } => Exit::Damaged,
        JournalError::Exists { .. } | JournalError::Sealed => Exit::Usage,
        JournalError::Unwritable(_) => Exit::Bug,
        JournalError::Io { .. } | JournalError::Random(_) | JournalError::Broken => Exit::Unwritable,
    };
    hinted(CliError::new(exit, error.to_string()), error.hint())
}

fn hinted(error: CliError, hint: Option<impl Into<String>>) -> CliError {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
