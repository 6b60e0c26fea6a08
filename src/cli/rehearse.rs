//! `consigne rehearse`: the whole procedure, with people and without effects.

mod every;
mod told;
pub(super) mod wished;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Lang, RehearseArgs};
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
use crate::engine::rehearsal::past::{PastRun, Real};
use crate::engine::rehearsal::placeholder::Placeholders;
use crate::engine::rehearsal::sources::{Source, Written};
use crate::engine::rehearsal::stage::Cast;
use crate::engine::rehearsal::{self, NewRehearsal, Passing, Reading, Rehearsed};
use crate::plan::{Mode, Plan};
use crate::record::origin::Origin;
use crate::runbook::inputs::Given;
use crate::runbook::load::Document;
use crate::runbook::scenario::{self, Scenario};
use crate::runner::Runners;

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
    let (cast, drifting) = cast(args, &chosen, &plan, &scenario, ui)?;
    let seed = match args.seed.or(scenario.seed) {
        Some(seed) => seed,
        None => rehearsal::seed_of(&plan)
            .map_err(|error| CliError::new(Exit::Invalid, format!("the plan cannot be written: {error}")))?,
    };
    let id = rehearsal::id_of(&plan.graph.runbook, seed);
    let dir = folder(args, &id)?;
    let me = me(&plan);
    let alone = args.unattended || !std::io::stdin().is_terminal();
    let clock = Arc::new(VirtualClock::at(scenario.start.unwrap_or(rehearsal::START)));
    let answering = drive::answering_as(&me, &common, answers, &dir, clock.clone())?;
    let new = NewRehearsal {
        dir,
        id,
        frozen: chosen.frozen(),
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
        passing: (!alone).then(|| Box::new(next_line) as Passing),
        reading: args.live_reads.then(|| reading(&chosen, &plan, args)).transpose()?,
        plan,
    };
    let rehearsed = rehearsal::rehearse(new, answering).map_err(drive::launch_error)?;
    told::report(&rehearsed, &drifting, args, ui)
}

/// Whoever is there presses Enter. No prompt is up then, so nobody else reads.
fn next_line() {
    let _whatever = std::io::stdin().read_line(&mut String::new());
}

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

/// Who says what the outside says, in their order; and what fixtures say that is not so any more.
fn cast(
    args: &RehearseArgs,
    chosen: &Chosen,
    plan: &Plan,
    scenario: &Scenario,
    ui: Ui,
) -> Result<(Cast, Drifting), CliError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if let Some(file) = &args.scenario {
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
        recording.write(real.as_ref().ok_or_else(nothing)?, ui)?;
    }
    let mut drifting = Drifting::default();
    for file in fixtures(args, chosen) {
        ui.say(&format!("fixture: {}", file.display()));
        let said = fixture::read(&file, plan)?;
        let notes = drifting.take(&file, &said, plan, real.as_ref(), Some(fixture::OLD));
        sources.push(Box::new(Written::new(&said, Origin::Fixture).noting(notes)));
    }
    if let Some(real) = real {
        ui.say(&format!("real run: {}", real.state.run.id));
        sources.push(Box::new(PastRun::new(&real)));
    }
    let live = args.live_reads.then(Runners::new);
    let cast = Cast {
        faults: wished::faults(args, plan, scenario, ui)?,
        sources,
        placeholders: Placeholders::of(&Arc::new(plan.clone())),
        live,
    };
    Ok((cast, drifting))
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

/// The run that was named, else the newest real one of the runbook that can be read.
fn real(args: &RehearseArgs, plan: &Plan) -> Result<Option<Real>, CliError> {
    let read = |dir: &Path| Real::read(dir).map_err(drive::launch_error);
    if let Some(name) = &args.from {
        let real = read(&Home::find(args.runs.as_deref())?.run_dir(name)?)?;
        if real.plan.graph.runbook != plan.graph.runbook || !real.is_of_use() {
            let message =
                format!("run {name} is no finished run of `{}` with real effects", plan.graph.runbook);
            return Err(CliError::new(Exit::Usage, message));
        }
        return Ok(Some(real));
    }
    let Ok(home) = Home::find(args.runs.as_deref()) else { return Ok(None) };
    fixture::newest(&home, &plan.graph.runbook)
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
fn reading(chosen: &Chosen, plan: &Plan, args: &RehearseArgs) -> Result<Reading, CliError> {
    let folder = chosen.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let base_dir = std::fs::canonicalize(folder.unwrap_or(Path::new(".")))
        .map_err(|error| CliError::file(Exit::Invalid, "find the folder of", &chosen.file, &error))?;
    if let Err(error) = crate::runner::become_subreaper() {
        tracing::warn!(%error, "processes that detach themselves from a step are found by their marks only");
    }
    let prompt_secret = Arc::new(Asked::ask(plan, &args.common())?);
    Ok(Reading { base_dir, prompt_secret: Some(prompt_secret) })
}
