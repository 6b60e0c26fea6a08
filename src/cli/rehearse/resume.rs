//! Going on with a rehearsal that was parked, or whose process died: with the sources that its folder has frozen.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use super::super::args::DriveArgs;
use super::super::drive;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::fixture::{self, Drifting};
use super::super::home::Home;
use super::super::ui::Ui;
use super::{interrupts, me, reads_in, script, told};
use crate::clock::VirtualClock;
use crate::engine::rehearsal::faults::{Fault, Faults};
use crate::engine::rehearsal::frozen::{self, Begun, FrozenRun};
use crate::engine::rehearsal::past::{PastRun, Real};
use crate::engine::rehearsal::placeholder::Placeholders;
use crate::engine::rehearsal::sources::{Source, Written};
use crate::engine::rehearsal::stage::Cast;
use crate::engine::rehearsal::{self, NewRehearsal};
use crate::engine::unbegun;
use crate::plan::{Mode, Plan};
use crate::record::build;
use crate::record::origin::Origin;
use crate::runbook::answers::Answers;
use crate::runbook::scenario::Scenario;
use crate::runner::Runners;

/// Whether the folder holds a rehearsal that has begun.
pub(in crate::cli) fn is_rehearsal(dir: &Path) -> bool {
    !unbegun::is_unbegun(dir) && build::graph(dir).is_ok_and(|graph| graph.mode == Mode::Rehearsal)
}

/// How a rehearsal is named on the command line: by its folder, since several may have the same id.
pub(super) fn name_of(dir: &Path, common: &DriveArgs) -> Result<String, CliError> {
    let home = Home::find(common.runs.as_deref())?;
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let usual = dir.parent() == Some(&home.root.join("runs"));
    Ok(name.filter(|_| usual).unwrap_or_else(|| dir.display().to_string()))
}

/// Goes on, with these answers before those that it began with. `end`: only to end it.
pub(in crate::cli) fn resume(
    dir: &Path,
    common: &DriveArgs,
    given: Answers,
    end: Option<String>,
) -> Result<Exit, CliError> {
    let ui = Ui::new(common.json);
    if common.key.is_some() {
        let message = "nobody signs a decision of a rehearsal with a key of his own";
        return Err(CliError::new(Exit::Usage, message).hint("leave --key out"));
    }
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let begun = Begun::read(&dir).map_err(drive::launch_error)?;
    if begun.state.run.sealed {
        let message = format!("the rehearsal {} is over", begun.state.run.id);
        return Err(CliError::new(Exit::Usage, message).hint("consigne rehearse FILE makes another one"));
    }
    drive::known_steps(&given, &begun.plan)?;
    let (cast, scenario) = cast(&begun, common)?;
    let mut answers = scenario.answers.clone();
    answers.extend(drive::answers(begun.file(frozen::ANSWERS).map_err(drive::launch_error)?.as_deref())?);
    answers.extend(given);
    let interrupts = interrupts()?;
    let alone = common.unattended || !std::io::stdin().is_terminal();
    let me = me(&begun.plan);
    let clock = Arc::new(VirtualClock::at(begun.state.run.last_at));
    let answering = drive::answering_as(&me, common, answers, &dir, clock.clone())?;
    let reading = begun.frozen.reads.clone();
    let new = NewRehearsal {
        id: begun.state.run.id.clone(),
        frozen: std::collections::BTreeMap::new(),
        lang: begun.state.run.lang.clone(),
        tool: super::super::tool(),
        seed: begun.frozen.seed,
        clock,
        cast,
        actor: me,
        attended: !common.unattended,
        alone,
        absent: scenario.absent.keys().cloned().collect(),
        interrupts: Some(interrupts),
        reading: reading.map(|folder| reads_in(folder, &begun.plan, common)).transpose()?,
        plan: begun.plan,
        dir,
    };
    let rehearsed = rehearsal::resume(new, answering, end).map_err(drive::launch_error)?;
    told::report(&rehearsed, &Drifting::default(), common, ui)
}

/// Who says what the outside says, in the order in which they did.
fn cast(begun: &Begun, common: &DriveArgs) -> Result<(Cast, Scenario), CliError> {
    let plan = &begun.plan;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let file = begun.file(frozen::SCENARIO).map_err(drive::launch_error)?;
    let scenario = file.map(|file| script(&file, plan)).transpose()?;
    if let Some(scenario) = &scenario {
        sources.push(Box::new(Written::new(scenario, Origin::Scenario)));
    }
    for file in begun.fixtures().map_err(drive::launch_error)? {
        sources.push(Box::new(Written::new(&fixture::read(&file, plan)?, Origin::Fixture)));
    }
    if let Some(past) = &begun.frozen.past {
        sources.push(Box::new(PastRun::new(&real(past, plan, common)?)));
    }
    // They were held against the plan when it began.
    let faults = begun.frozen.faults.iter().filter_map(|text| Fault::parse(text)).collect();
    let cast = Cast {
        faults: Faults::new(faults),
        sources,
        placeholders: Placeholders::of(&Arc::new(plan.clone())),
        live: begun.frozen.reads.is_some().then(Runners::new),
    };
    Ok((cast, scenario.unwrap_or_default()))
}

/// The real run that it began with, as it was then.
fn real(past: &FrozenRun, plan: &Plan, common: &DriveArgs) -> Result<Real, CliError> {
    let dir = Home::find(common.runs.as_deref())?.run_dir(&past.run)?;
    if FrozenRun::of(&dir, &past.run).map_err(drive::launch_error)? != *past {
        let message = format!("run {}, whose answers the rehearsal uses, is not what it was", past.run);
        let hint = format!("rehearse `{}` again", plan.graph.runbook);
        return Err(CliError::new(Exit::Invalid, message).hint(hint));
    }
    Real::read(&dir).map_err(drive::launch_error)
}
