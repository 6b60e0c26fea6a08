//! `consigne run` and `consigne drill`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::RunArgs;
use super::busy;
use super::chosen::{Chosen, invalid};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::fixture::recording::Recording;
use super::form;
use super::home::Home;
use super::secret::Asked;
use super::ui::Ui;
use super::window;
use crate::clock::{Clock, SystemClock};
use crate::engine::launch::{self, Hosting, NewRun, Rest};
use crate::engine::rehearsal::past::Real;
use crate::engine::services::{free_port, state_folder};
use crate::plan::service::{self, Service};
use crate::plan::{Mode, Plan};
use crate::runbook::environment::{Environment, ServiceAt, Services};
use crate::runbook::inputs::Given;
use crate::runbook::load::Document;

pub(super) fn run(args: RunArgs, mode: Mode) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let chosen = if form::can_be_asked(&args.common) {
        let ask = |document: &Document, given: &mut Given| {
            form::complete(document, given, drive::lang(&args.common))
        };
        Chosen::asking(&args.choice, mode, ui, &ask)?
    } else {
        Chosen::of(&args.choice, mode, ui)?
    };
    let recording = Recording { files: &args.record, held_back: args.held_back };
    recording.ready()?;
    let answers = drive::answers(args.answers.as_deref())?;
    let id = match &args.run_id {
        Some(id) => checked_id(id)?,
        None => new_id(&chosen.document.runbook.id.value)?,
    };
    let dir = unused(&home, &id)?;
    let services = choose_services(chosen.environment.as_ref(), mode, &dir)?;
    let plan = chosen.plan(&services)?;
    drive::known_steps(&answers, &plan)?;
    let to_start = match &chosen.environment {
        Some(environment) if mode == Mode::Drill => {
            service::services(environment, &services).map_err(invalid)?
        }
        _ => Vec::new(),
    };
    let mut new = new_run(&args, id, dir, plan, to_start, &chosen)?;
    let reason = args.window.outside_window.as_deref();
    if mode == Mode::Drill && reason.is_some() {
        return Err(CliError::new(Exit::Usage, "a drill is bound to no window: it needs no reason"));
    }
    new.first.extend(window::within(&new.plan, reason, new.lang == "fr", drive::clock().as_ref())?);
    // With the place of every word it takes more memory than the run itself, and only the plan is needed from here on.
    drop(chosen);
    drive::key(&home.root, ui)?;
    busy::settle(&mut new, &home, &args.common, ui)?;
    let host = drive::host(&home, &args.common, Arc::new(Asked::ask(&new.plan, &args.common)?))?;
    let answering = drive::answering(&args.common, answers, &new.dir, &new.plan)?;
    let rest =
        super::runtime()?.block_on(launch::begin(new, &host, answering)).map_err(drive::launch_error)?;
    let exit = drive::report(&rest, &home, ui);
    if !args.record.is_empty() {
        record(&recording, &rest, ui)?;
    }
    Ok(exit)
}

/// What the run was answered. One that is not over yet can be recorded when it is.
fn record(recording: &Recording<'_>, rest: &Rest, ui: Ui) -> Result<(), CliError> {
    let id = &rest.state.run.id;
    if rest.state.run.finished.is_none() {
        ui.say(&format!("not recorded: {id} is not over"));
        ui.hint(&format!("when it is: consigne rehearse RUNBOOK --from {id} --record FILE"));
        return Ok(());
    }
    recording.write(&Real::read(&rest.dir).map_err(drive::launch_error)?, ui)
}

fn choose_services(environment: Option<&Environment>, mode: Mode, dir: &Path) -> Result<Services, CliError> {
    let mut services = Services::new();
    let Some(environment) = environment.filter(|_| mode == Mode::Drill) else { return Ok(services) };
    for needs in service::needs(environment) {
        let port = if needs.port {
            free_port().map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?
        } else {
            0
        };
        let state = state_folder(dir, &needs.name).display().to_string();
        services.insert(needs.name, ServiceAt { port: Some(port), state });
    }
    Ok(services)
}

fn new_run(
    args: &RunArgs,
    id: String,
    dir: PathBuf,
    plan: Plan,
    services: Vec<Service>,
    chosen: &Chosen,
) -> Result<NewRun, CliError> {
    let folder =
        chosen.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base_dir = std::fs::canonicalize(folder)
        .map_err(|error| CliError::file(Exit::Invalid, "find the folder of", &chosen.file, &error))?;
    let lang = drive::lang(&args.common).code().to_owned();
    let hosting = Hosting { base_dir, services, surroundings: None };
    Ok(NewRun { id, dir, plan, hosting, frozen: chosen.frozen(), lang, first: Vec::new(), waits: false })
}

/// The directory of a new run.
pub(super) fn unused(home: &Home, id: &str) -> Result<PathBuf, CliError> {
    let dir = home.runs.join(id);
    if dir.exists() {
        return Err(CliError::new(Exit::Usage, format!("run `{id}` exists already"))
            .hint("a run id is used once; leave --run-id out for a new one")
            .hint(format!("`consigne resume {id}` goes on with that run")));
    }
    Ok(dir)
}

/// An id that says when and what, and is its own.
pub(super) fn new_id(runbook: &str) -> Result<String, CliError> {
    let now = SystemClock::new().now().to_string();
    let stamp: String = now[..19].chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut random = [0_u8; 3];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Exit::Bug, format!("the system gave no random numbers: {error}")))?;
    let tail: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{runbook}-{tail}", stamp.to_lowercase()))
}

pub(super) fn checked_id(id: &str) -> Result<String, CliError> {
    let fine = !id.is_empty()
        && id.len() <= 100
        && !id.starts_with(['-', '.'])
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fine {
        return Ok(id.to_owned());
    }
    Err(CliError::new(Exit::Usage, format!("`{id}` is no run id"))
        .hint("letters, digits, `-`, `_` and `.`, at most 100, not beginning with `-` or `.`"))
}
