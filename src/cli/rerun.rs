//! `consigne rerun`: a new run that does a part of a finished one again.
//!
//! It is made of the very plan of that run, or of a mended runbook with the same inputs. Nothing is taken over from a
//! run whose record does not verify.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::args::{ChoiceArgs, RerunArgs};
use super::busy;
use super::chosen::{Chosen, USED};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::run::{checked_id, new_id, unused};
use super::secret::Asked;
use super::show::{Seen, look};
use super::ui::Ui;
use super::verify::verified;
use super::window;
use crate::core::Input;
use crate::core::rerun::{again, imports, take_over};
use crate::diag::has_errors;
use crate::engine::launch::{self, Hosting, LaunchError, NewRun};
use crate::plan::service::Service;
use crate::plan::{Mode, Plan, Rerun, rule_of};
use crate::record::verify::Overall;
use crate::runbook::environment::{Environment, ServiceAt, Services};
use crate::runbook::inputs::{Given, GivenValue};

/// The name under which a run freezes its runbook.
const RUNBOOK: &str = "runbook.yaml";

pub(super) fn rerun(args: &RerunArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let old_dir = home.run_dir(&args.run)?;
    let Seen { plan: old, state, .. } = look(&old_dir)?;
    if old.graph.mode == Mode::Rehearsal {
        return Err(drive::launch_error(LaunchError::Rehearsal(state.run.id)));
    }
    let name = drive::shown_name(&state.run.id, &old_dir, &home);
    if state.run.finished.is_none() {
        return Err(CliError::new(Exit::Usage, format!("run {} is not over", state.run.id))
            .hint(format!("`consigne resume {name}` goes on with it, `consigne cancel {name}` ends it")));
    }
    let found = verified(&old_dir, &home, None, None)?;
    if found.overall() != Overall::Verified {
        let message = format!("the record of run {} does not verify: nothing is taken over", state.run.id);
        return Err(CliError::new(Exit::Damaged, message).hint(format!("consigne verify {name}")));
    }
    let hosting = hosting(&old_dir)?;
    let (mut plan, frozen) = match &args.runbook {
        None => (old.clone(), frozen(&old_dir)?),
        Some(file) => mended(args, file, &old, &hosting.services, ui)?,
    };
    asked_today(&mut plan, &hosting)?;
    let over = again(&plan.graph, &args.from).ok_or_else(|| no_step(&plan, &args.from))?;
    let rerun = Rerun {
        run: state.run.id.clone(),
        from: args.from.clone(),
        size: found.lines,
        root: found.root.clone(),
    };
    take_over(&mut plan, imports(&old, &state, &over), rerun);
    let answers = drive::answers(args.answers.as_deref())?;
    drive::known_steps(&answers, &plan)?;
    let id = match &args.run_id {
        Some(id) => checked_id(id)?,
        None => new_id(&plan.graph.runbook)?,
    };
    let dir = unused(&home, &id)?;
    drive::key(&home.root, ui)?;
    let lang = args.common.lang.map_or_else(|| state.run.lang.clone(), |lang| lang.code().to_owned());
    // What is taken over was found in the surroundings of then.
    let changed = hosting.surroundings.as_ref().map(|then| then.differing_again(&plan, &hosting.base_dir));
    let (accept, changed) = (args.accept.accept_environment, changed.unwrap_or_default());
    let accepted = drive::accepted(changed, &plan, lang == "fr", &args.common, accept, ui)?;
    let reason = args.window.outside_window.as_deref();
    let outside = window::within(&plan, reason, lang == "fr", drive::clock().as_ref())?;
    let accepted = accepted.into_iter().map(|(actor, text)| Input::Note { actor, text });
    let first = accepted.chain(outside).collect();
    let mut new = NewRun { id, dir, plan, hosting, frozen, lang, first, waits: false };
    busy::settle(&mut new, &home, &args.common, ui)?;
    let host = drive::host(&home, &args.common, Arc::new(Asked::ask(&new.plan, &args.common)?))?;
    let answering = drive::answering(&args.common, answers, &new.dir, &new.plan)?;
    let rest =
        super::runtime()?.block_on(launch::begin(new, &host, answering)).map_err(drive::launch_error)?;
    Ok(drive::report(&rest, &home, ui))
}

/// The same host: a practice platform goes on in the state in which the run left it.
fn hosting(dir: &Path) -> Result<Hosting, CliError> {
    let entries = crate::journal::Journal::read(dir).map_err(|error| drive::journal_error(&error))?;
    let (_, hosting, _) = launch::fold(dir, &entries).map_err(drive::launch_error)?;
    Ok(hosting)
}

/// What the environment asks for before a run begins is asked of this one as it stands today: the plan may be older.
fn asked_today(plan: &mut Plan, hosting: &Hosting) -> Result<(), CliError> {
    let Some(name) = &plan.graph.environment else { return Ok(()) };
    // Where it is gone, what it asked then is asked now.
    let Ok(path) = Environment::find(&hosting.base_dir.join(RUNBOOK), name) else { return Ok(()) };
    let (environment, problems) = Environment::load(&path);
    let Some(environment) = environment.filter(|_| !has_errors(&problems)) else {
        return Err(CliError::new(Exit::Invalid, format!("environment `{name}` makes no sense today"))
            .with(problems)
            .hint("nothing was started"));
    };
    if let Some(rule) = rule_of(plan, &environment) {
        plan.graph.certificate = Some(rule);
    }
    Ok(())
}

/// The YAML that the plan was made of, as the run froze it.
fn frozen(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let folder = dir.join("plan");
    let unreadable = |path: &Path, error: &io::Error| CliError::file(Exit::Damaged, "read", path, error);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
        let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let used = name.starts_with(USED) && name.ends_with(".yaml");
        if used || [RUNBOOK, "environment.yaml"].contains(&name.as_str()) {
            files.insert(name, std::fs::read(&path).map_err(|error| unreadable(&path, &error))?);
        }
    }
    Ok(files)
}

/// A plan of another version of the runbook, in the same environment, with the same inputs.
fn mended(
    args: &RerunArgs,
    file: &Path,
    old: &Plan,
    services: &[Service],
    ui: Ui,
) -> Result<(Plan, BTreeMap<String, Vec<u8>>), CliError> {
    let choice = ChoiceArgs {
        file: file.to_owned(),
        env: old.graph.environment.clone(),
        inputs: Vec::new(),
        inputs_file: None,
    };
    let mut given = Given::default();
    for (name, value) in &old.values.inputs {
        given.values.insert(name.clone(), GivenValue { value: value.clone(), at: None });
    }
    let chosen = Chosen::with(&choice, old.graph.mode, &given, ui)?;
    let id = &chosen.document.runbook.id.value;
    if *id != old.graph.runbook {
        let message = format!(
            "{} is runbook `{id}`, but run {} was one of `{}`",
            file.display(),
            args.run,
            old.graph.runbook
        );
        return Err(CliError::new(Exit::Usage, message));
    }
    let at = |service: &Service| {
        (service.name.clone(), ServiceAt { port: Some(service.port), state: service.state.clone() })
    };
    let plan = chosen.plan(&services.iter().map(at).collect::<Services>())?;
    Ok((plan, chosen.frozen()))
}

fn no_step(plan: &Plan, from: &str) -> CliError {
    let names = plan.graph.steps.iter().map(|step| step.id.as_str());
    let error = CliError::new(Exit::Usage, format!("no step `{from}` to begin again with"));
    match crate::diag::closest(from, names) {
        Some(near) if near != from => error.hint(format!("did you mean `{near}`?")),
        _ => error.hint("a step of the main section; `finally` is always done again"),
    }
}
