//! `consigne rehearse`: the whole procedure, with people and without effects.

mod beyond;
mod every;
mod resume;
mod told;
pub(super) mod wished;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{DriveArgs, Lang, RehearseArgs};
use super::chosen::Chosen;
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::fixture::recording::Recording;
use super::fixture::{self, Drifting};
use super::form;
use super::home::Home;
use super::plan::undecided;
use super::secret::Asked;
use super::ui::Ui;
use crate::clock::VirtualClock;
use crate::core::Actor;
use crate::engine::identity;
use crate::engine::rehearsal::frozen::{self, Frozen, FrozenRun};
use crate::engine::rehearsal::past::{PastRun, Real};
use crate::engine::rehearsal::placeholder::Placeholders;
use crate::engine::rehearsal::sources::{Source, Written};
use crate::engine::rehearsal::stage::Cast;
use crate::engine::rehearsal::{self, Interrupts, NewRehearsal, Reading, Rehearsed};
use crate::journal::files;
use crate::plan::{Mode, Plan};
use crate::record::origin::Origin;
use crate::runbook::inputs::Given;
use crate::runbook::load::Document;
use crate::runbook::scenario::{self, Scenario};
use crate::runbook::{har, yaml};
use crate::runner::Runners;

pub(super) use resume::{is_rehearsal, resume};

pub(super) fn rehearse(args: &RehearseArgs) -> Result<Exit, CliError> {
    if args.every_fault {
        return every::every(args);
    }
    let ui = Ui::new(args.json);
    let common = args.common();
    let chosen = if form::can_be_asked(&common) {
        let ask =
            |document: &Document, given: &mut Given| form::complete(document, given, drive::lang(&common));
        Chosen::asking(&args.choice, Mode::Rehearsal, ui, &ask)?
    } else {
        Chosen::of(&args.choice, Mode::Rehearsal, ui)?
    };
    let plan = chosen.plan(&undecided(&chosen))?;
    let scenario = match &args.scenario {
        Some(file) => script(file, &plan)?,
        None => Scenario::default(),
    };
    let mut answers = scenario.answers.clone();
    let given = drive::answers(args.answers.as_deref())?;
    drive::known_steps(&given, &plan)?;
    answers.extend(given);
    let (cast, drifting, mut files, past) = cast(args, &chosen, &plan, &scenario, ui)?;
    let seed = match args.seed.or(scenario.seed) {
        Some(seed) => seed,
        None => rehearsal::seed_of(&plan)
            .map_err(|error| CliError::new(Exit::Invalid, format!("the plan cannot be written: {error}")))?,
    };
    let id = rehearsal::id_of(&plan.graph.runbook, seed);
    let dir = folder(args, &id)?;
    let me = me(&plan);
    let reading = args.live_reads.then(|| reading(&chosen.file, &plan, &common)).transpose()?;
    let frozen = Frozen {
        seed,
        faults: cast.faults.came().iter().map(|(fault, _)| fault.to_string()).collect(),
        past,
        reads: reading.as_ref().map(|reading| reading.base_dir.clone()),
    };
    files.insert(frozen::FROZEN.to_owned(), frozen.bytes());
    if let Some(file) = &args.answers {
        freeze(&mut files, frozen::ANSWERS, file)?;
    }
    files.extend(chosen.frozen());
    let interrupts = interrupts()?;
    let alone = args.unattended || !std::io::stdin().is_terminal();
    let clock = Arc::new(VirtualClock::at(scenario.start.unwrap_or(rehearsal::START)));
    let answering = drive::answering_as(&me, &common, answers, &dir, clock.clone())?;
    let new = NewRehearsal {
        dir,
        id,
        frozen: files,
        // The same bytes wherever nobody is asked, whatever the locale.
        lang: args.lang.unwrap_or_else(|| if alone { Lang::En } else { drive::locale() }).code().to_owned(),
        tool: super::tool(),
        seed,
        clock,
        cast,
        actor: me,
        attended: !args.unattended,
        alone,
        absent: scenario.absent.keys().cloned().collect(),
        interrupts: Some(interrupts),
        reading,
        plan,
    };
    let rehearsed = rehearsal::rehearse(new, answering).map_err(drive::launch_error)?;
    told::report(&rehearsed, &drifting, &common, ui)
}

/// By which a rehearsal is asked to end; before any thread begins.
fn interrupts() -> Result<Interrupts, CliError> {
    Interrupts::watch().map_err(|error| CliError::new(Exit::Bug, format!("cannot watch signals: {error}")))
}

/// Keeps a copy of a file that the rehearsal is made with.
fn freeze(files: &mut Files, name: &str, file: &Path) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::file(Exit::Invalid, "read", file, &error);
    // It is read twice, and what a pipe said is gone by then.
    let bytes = files::read_at_most(file, yaml::MAX_BYTES.max(har::MAX_BYTES)).map_err(|error| {
        failed(error).hint("a rehearsal keeps a copy of it: give a file that can be read again")
    })?;
    files.insert(name.to_owned(), bytes);
    Ok(())
}

/// Further files of the plan.
type Files = std::collections::BTreeMap<String, Vec<u8>>;

/// The user of this process, without asking a service of names.
fn me(plan: &Plan) -> Actor {
    identity::actor(&plan.graph.people, &identity::local_user())
}

/// A scenario that fits the plan.
fn script(file: &Path, plan: &Plan) -> Result<Scenario, CliError> {
    let (scenario, mut problems) = scenario::read(file);
    problems.extend(drive::unknown_steps(scenario.ids(), plan));
    if crate::diag::has_errors(&problems) {
        let message = format!("{} does not fit the runbook; nothing was rehearsed", file.display());
        return Err(CliError::new(Exit::Invalid, message).with(problems));
    }
    Ok(scenario)
}

/// Who says what the outside says, in their order; what fixtures say that is not so any more; what of it is frozen, and the
/// real run that it is of.
fn cast(
    args: &RehearseArgs,
    chosen: &Chosen,
    plan: &Plan,
    scenario: &Scenario,
    ui: Ui,
) -> Result<(Cast, Drifting, Files, Option<FrozenRun>), CliError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let (mut files, mut past) = (Files::new(), None);
    if let Some(file) = &args.scenario {
        freeze(&mut files, frozen::SCENARIO, file)?;
        ui.say(&format!("scenario: {}", file.display()));
        sources.push(Box::new(Written::new(scenario, Origin::Scenario)));
    }
    let recording = Recording { files: &args.record, held_back: args.held_back };
    recording.ready()?;
    let real = if args.no_past { None } else { real(args, plan)? };
    if !args.record.is_empty() {
        let message =
            format!("there is no finished run of `{}` with real effects to record", plan.graph.runbook);
        let nothing = || CliError::new(Exit::Usage, message).hint("name one with --from RUN");
        recording.write(&real.as_ref().ok_or_else(nothing)?.1, ui)?;
    }
    let mut drifting = Drifting::default();
    for (nth, file) in fixtures(args, chosen).into_iter().enumerate() {
        ui.say(&format!("fixture: {}", file.display()));
        freeze(&mut files, &frozen::fixture(nth, &file), &file)?;
        let said = fixture::read(&file, plan)?;
        let notes =
            drifting.take(&file, &said, plan, real.as_ref().map(|(_, real)| real), Some(fixture::OLD));
        sources.push(Box::new(Written::new(&said, Origin::Fixture).noting(notes)));
    }
    if let Some((dir, real)) = real {
        ui.say(&format!("real run: {}", real.state.run.id));
        past = Some(FrozenRun::of(&dir, &real.state.run.id).map_err(drive::launch_error)?);
        sources.push(Box::new(PastRun::new(&real)));
    }
    let live = args.live_reads.then(Runners::new);
    let cast = Cast {
        faults: wished::faults(args, plan, scenario, ui)?,
        sources,
        placeholders: Placeholders::of(&Arc::new(plan.clone())),
        live,
    };
    Ok((cast, drifting, files, past))
}

/// Those that were just recorded, else those that were named, else those beside the runbook.
fn fixtures(args: &RehearseArgs, chosen: &Chosen) -> Vec<PathBuf> {
    match (args.record.as_slice(), args.fixture.as_slice()) {
        ([], []) if args.no_fixture => Vec::new(),
        ([], []) => fixture::beside(&chosen.file),
        ([], named) => named.to_vec(),
        (recorded, _) => recorded.to_vec(),
    }
}

/// The run that was named, else the newest real one of the runbook that can be read; and its folder.
fn real(args: &RehearseArgs, plan: &Plan) -> Result<Option<(PathBuf, Real)>, CliError> {
    let read = |dir: &Path| Real::read(dir).map_err(drive::launch_error);
    if let Some(name) = &args.from {
        let dir = Home::find(args.runs.as_deref())?.run_dir(name)?;
        let real = read(&dir)?;
        if real.plan.graph.runbook != plan.graph.runbook || !real.is_of_use() {
            let message =
                format!("run {name} is no finished run of `{}` with real effects", plan.graph.runbook);
            return Err(CliError::new(Exit::Usage, message));
        }
        return Ok(Some((dir, real)));
    }
    let Ok(home) = Home::find(args.runs.as_deref()) else { return Ok(None) };
    let newest = fixture::newest(&home, &plan.graph.runbook)?;
    Ok(newest.map(|real| (home.runs.join(&real.state.run.id), real)))
}

/// The folder of the rehearsal: the one that was named, else one among the runs. A rehearsal that was made before keeps
/// its own.
fn folder(args: &RehearseArgs, id: &str) -> Result<PathBuf, CliError> {
    if let Some(out) = &args.out {
        let taken = std::fs::read_dir(out).is_ok_and(|mut found| found.next().is_some());
        if taken || out.is_file() {
            let message = format!("{} is not empty", out.display());
            return Err(CliError::new(Exit::Usage, message).hint("a rehearsal has a folder of its own"));
        }
        return Ok(std::path::absolute(out).unwrap_or_else(|_| out.clone()));
    }
    let home = Home::find(args.runs.as_deref())?;
    let nth = |number: u32| match number {
        1 => home.runs.join(id),
        number => home.runs.join(format!("{id}-{number}")),
    };
    let free = (1..).map(nth).find(|dir| !dir.exists());
    free.ok_or_else(|| CliError::new(Exit::Usage, "no folder is left for this rehearsal"))
}

/// What reads that are done for real need of this machine.
fn reading(file: &Path, plan: &Plan, common: &DriveArgs) -> Result<Reading, CliError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let base_dir = std::fs::canonicalize(folder.unwrap_or(Path::new(".")))
        .map_err(|error| CliError::file(Exit::Invalid, "find the folder of", file, &error))?;
    reads_in(base_dir, plan, common)
}

/// The same, where relative paths begin in that folder.
fn reads_in(base_dir: PathBuf, plan: &Plan, common: &DriveArgs) -> Result<Reading, CliError> {
    if let Err(error) = crate::runner::become_subreaper() {
        tracing::warn!(%error, "processes that detach themselves from a step are found by their marks only");
    }
    let prompt_secret = Arc::new(Asked::ask(plan, common)?);
    Ok(Reading { base_dir, prompt_secret: Some(prompt_secret) })
}
