//! `consigne plan`: what a run would do, step by step, and nothing of it done. No effect, no connection, no process,
//! nothing written. Inputs that are missing are asked where somebody is at the terminal.

use super::args::{ChoiceArgs, Lang, PlanArgs, PlanMode};
use super::certificate;
use super::chosen::{Chosen, invalid};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::form;
use super::sheet;
use super::shelf::located;
use super::ui::Ui;
use super::window;
use crate::plan::preview::Preview;
use crate::plan::{Mode, service};
use crate::runbook::environment::{Environment, ServiceAt, Services};
use crate::runbook::inputs::Given;
use crate::runbook::load::Document;

pub(super) fn plan(args: &PlanArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let asked = args.mode.map(|mode| match mode {
        PlanMode::Live => Mode::Live,
        PlanMode::Drill => Mode::Drill,
        PlanMode::Rehearsal => Mode::Rehearsal,
    });
    let mode = mode(&args.choice, asked)?;
    let practise = |error| or_practise(error, &args.choice, mode);
    let ask = |document: &Document, given: &mut Given| match form::is_attended(args.json) {
        true => form::complete(document, given, drive::spoken(args.lang)),
        false => Ok(()),
    };
    let chosen = Chosen::asking(&args.choice, mode, ui, &ask).map_err(practise)?;
    let services = undecided(&chosen);
    let plan = chosen.plan(&services).map_err(practise)?;
    let practice = chosen.environment.as_ref().filter(|_| chosen.mode == Mode::Drill);
    let started = match practice {
        Some(environment) => service::services(environment, &services).map_err(invalid)?,
        None => Vec::new(),
    };
    let preview = Preview::of(&plan, &started)
        .map_err(|error| CliError::new(Exit::Invalid, format!("the plan cannot be written: {error}")))?;
    if args.json {
        let value = preview
            .document()
            .map_err(|error| CliError::new(Exit::Bug, format!("the plan cannot be written: {error}")))?;
        ui.json(&value);
    } else {
        let lang = drive::spoken(args.lang);
        sheet::lines(&preview, lang).iter().for_each(|line| ui.data(line));
        let now = drive::clock().now();
        if let Some(line) = window::standing(&preview.windows, now, lang == Lang::Fr) {
            ui.data(&format!("\n{} {line}", lang.pick("Fenêtre :", "Window:")));
        }
        if let Some(line) = certificate::standing(&plan, &chosen.frozen(), now, lang)? {
            ui.data(&format!(
                "\n{} {line}",
                lang.pick("Certificat de répétition :", "Rehearsal certificate:")
            ));
        }
    }
    Ok(Exit::Done)
}

/// As asked; else a drill where the environment is one for practice, since nothing else can be done there.
pub(super) fn mode(choice: &ChoiceArgs, asked: Option<Mode>) -> Result<Mode, CliError> {
    Ok(match asked {
        Some(mode) => mode,
        None => {
            let file = located(&choice.file)?;
            let named = choice.env.as_ref().and_then(|name| Environment::find(&file, name).ok());
            let practice =
                named.and_then(|path| Environment::load(&path).0).is_some_and(|found| found.has_services());
            if practice { Mode::Drill } else { Mode::Live }
        }
    })
}

/// What is missing for a live run is often there for a drill.
pub(super) fn or_practise(error: CliError, choice: &ChoiceArgs, mode: Mode) -> CliError {
    if mode == Mode::Live && choice.env.is_none() && error.exit == Exit::Invalid {
        error.hint("--mode drill looks at a drill: the practice environment, the inputs beside the runbook")
    } else {
        error
    }
}

/// The services of a run that nobody has started.
pub(super) fn undecided(chosen: &Chosen) -> Services {
    let environment = chosen.environment.as_ref().filter(|_| chosen.mode != Mode::Live);
    let needs = environment.map(service::needs).unwrap_or_default();
    needs.into_iter().map(|needs| (needs.name, ServiceAt::at_start())).collect()
}
