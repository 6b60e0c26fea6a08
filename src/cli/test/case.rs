//! One case: its rehearsal, in a folder of its own, and what it shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::Suite;
use super::fit::fits;
use crate::cli::chosen::Chosen;
use crate::cli::drive;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::plan::undecided;
use crate::cli::rehearse::wished;
use crate::clock::VirtualClock;
use crate::core::{Actor, How, Refused};
use crate::diag::Place;
use crate::engine::launch::Answering;
use crate::engine::rehearsal::faults::Faults;
use crate::engine::rehearsal::placeholder::Placeholders;
use crate::engine::rehearsal::sources::{Source, Written};
use crate::engine::rehearsal::stage::Cast;
use crate::engine::rehearsal::trace::Trace;
use crate::engine::rehearsal::verdict::{self, Miss};
use crate::engine::rehearsal::{self, NewRehearsal};
use crate::journal::Journal;
use crate::operator::{Operator, Question, Scripted};
use crate::plan::{Mode, Plan};
use crate::record::origin::Origin;
use crate::runbook::answers::Answers;
use crate::runbook::cases::{CaseDecl, Said};
use crate::runbook::inputs::{Given, GivenValue};
use crate::runbook::scalar::{Data, Entries};
use crate::runbook::scenario::Scenario;

/// Who starts a case that does not say so: nobody whom an environment knows.
const STARTER: &str = "os:test";

/// Nobody is there, and nobody reads.
struct Nobody;

impl Operator for Nobody {
    fn ask(&mut self, _: Question) {}

    fn withdraw(&mut self, _: u32, _: &str) {}

    fn refused(&mut self, _: u32, _: &Refused) {}

    fn say(&mut self, _: &str) {}

    fn redraw(&mut self) {}

    fn close(&mut self) {}
}

/// Rehearses a case, and says what is not as expected.
///
/// # Errors
/// It cannot be rehearsed at all: its inputs do not fit, or it names steps that the runbook does not have.
pub(super) fn judge(suite: &Suite, number: usize, dir: &Path) -> Result<Vec<Miss>, CliError> {
    let decl = &suite.tests.decl;
    let case = &decl.cases[number];
    let chosen = chosen(suite, case)?;
    let plan = chosen.plan(&undecided(&chosen))?;
    let scenario = &suite.scenarios[number];
    fits(suite, case, scenario, &plan)?;
    let values = plan.values.clone();
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let (new, answers) = rehearsal(suite, case, scenario, (&chosen, plan), &dir)?;
    let id = new.id.clone();
    let answering = answering(suite, answers, &new);
    let rehearsed = rehearsal::rehearse(new, answering).map_err(drive::launch_error)?;
    let entries = Journal::read(&dir).map_err(|error| drive::journal_error(&error))?;
    let trace = Trace::of(&rehearsed.rest.plan, &id, &entries).map_err(|error| {
        CliError::new(Exit::Bug, format!("the rehearsal is no history of its plan: {error}"))
    })?;
    Ok(verdict::judge(&case.expect, &trace, &values))
}

fn chosen(suite: &Suite, case: &CaseDecl) -> Result<Chosen, CliError> {
    let decl = &suite.tests.decl;
    let env = case.environment.as_ref().or(decl.environment.as_ref()).map(|env| env.value.clone());
    // Every environment of a case was read with the file.
    let readable = suite.readable.get(&env).cloned();
    let readable = readable.ok_or_else(|| CliError::new(Exit::Bug, "an environment was not read"))?;
    let mut given = Given::default();
    let beside = suite.runbook.with_extension("inputs.yaml");
    if beside.is_file() {
        let problems = given.read_file(&beside);
        if crate::diag::has_errors(&problems) {
            return Err(crate::cli::chosen::invalid(problems));
        }
    }
    give(&mut given, decl.inputs.as_ref(), suite);
    give(&mut given, case.inputs.as_ref(), suite);
    Chosen::resolved(suite.runbook.clone(), Mode::Rehearsal, readable, &given, |_| true)
}

fn give(given: &mut Given, inputs: Option<&Entries<Data>>, suite: &Suite) {
    for (name, data) in inputs.iter().flat_map(|inputs| inputs.iter()) {
        let at: Place = name.span.at(&suite.tests.source).into();
        given.values.insert(name.value.clone(), GivenValue { value: data.literal(), at: Some(at) });
    }
}

fn rehearsal(
    suite: &Suite,
    case: &CaseDecl,
    scenario: &Scenario,
    (chosen, plan): (&Chosen, Plan),
    dir: &Path,
) -> Result<(NewRehearsal, Answers), CliError> {
    let mut answers = suite.scenario.answers.clone();
    for Said(said) in suite.tests.decl.answers.iter() {
        answers.extend(said.clone());
    }
    answers.extend(scenario.answers.clone());
    for Said(said) in case.answers.iter() {
        answers.extend(said.clone());
    }
    let mut sources: Vec<Box<dyn Source>> = vec![
        Box::new(Written::new(scenario, Origin::Scenario)),
        Box::new(Written::new(&suite.scenario, Origin::Scenario)),
    ];
    for (_, fixture) in &suite.fixtures {
        sources.push(Box::new(Written::new(fixture, Origin::Fixture)));
    }
    let seed = match scenario.seed.or(suite.scenario.seed) {
        Some(seed) => seed,
        None => seed(case, &plan)?,
    };
    let mut faults = wished::of_scenario(&plan, &suite.scenario)?;
    faults.extend(wished::of_scenario(&plan, scenario)?);
    let clock = VirtualClock::at(scenario.start.or(suite.scenario.start).unwrap_or(rehearsal::START));
    let who = case.starter.as_ref().map_or(STARTER, |starter| &starter.value).to_owned();
    let absent = suite.scenario.absent.keys().chain(scenario.absent.keys());
    // Who is absent in all cases may be there in this one.
    let here = |id: &&String| !scenario.answers.contains_key(*id) || scenario.absent.contains_key(*id);
    let new = NewRehearsal {
        dir: dir.to_owned(),
        id: rehearsal::id_of(&plan.graph.runbook, seed),
        frozen: chosen.frozen(),
        lang: "en".to_owned(),
        tool: crate::cli::tool(),
        seed,
        clock: Arc::new(clock),
        cast: Cast {
            faults: Faults::new(faults),
            sources,
            placeholders: Placeholders::of(&Arc::new(plan.clone())),
            live: None,
        },
        actor: Actor { who, how: How::OsUser, played_by: None },
        // A failure is asked about, as on the night itself.
        attended: true,
        alone: true,
        absent: absent.filter(here).cloned().collect(),
        interrupts: None,
        reading: None,
        plan,
    };
    Ok((new, answers))
}

/// The same for the same plan and the same case, another one for another case.
fn seed(case: &CaseDecl, plan: &Plan) -> Result<u64, CliError> {
    let of_plan = rehearsal::seed_of(plan)
        .map_err(|error| CliError::new(Exit::Invalid, format!("the plan cannot be written: {error}")))?;
    let digest = Sha256::digest(format!("consigne test {}", case.name.value));
    Ok(digest.iter().take(8).fold(of_plan, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte)))
}

/// Answers as they are declared; nobody else is asked. Evidence is looked for beside the file of tests.
fn answering(suite: &Suite, answers: Answers, new: &NewRehearsal) -> Answering {
    let (send, replies) = mpsc::unbounded_channel();
    let scripted: BTreeMap<_, _> = answers
        .into_iter()
        .map(|(id, answer)| {
            let mut answer = drive::scripted(answer);
            for path in &mut answer.evidence {
                *path = suite.path.with_file_name("").join(&*path);
            }
            (id, answer)
        })
        .collect();
    let evidence = drive::evidence(&new.dir);
    let operator = Box::new(Scripted::new(scripted, &new.actor.who, evidence, send, Box::new(Nobody)));
    Answering { operator, replies }
}
