//! `consigne run` and `consigne drill`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::RunArgs;
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::secret::Asked;
use super::ui::Ui;
use crate::clock::{Clock, SystemClock};
use crate::diag::Diagnostic;
use crate::engine::launch::{self, Hosting, NewRun};
use crate::engine::services::{free_port, state_folder};
use crate::plan::service::{self, Service};
use crate::plan::{BuildRequest, Mode, Plan};
use crate::runbook::check_file;
use crate::runbook::environment::{Environment, ServiceAt, Services};
use crate::runbook::inputs::{self, Given};
use crate::runbook::load::{self, Document};

pub(super) fn run(args: RunArgs, mode: Mode) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let (document, environment, others) = read(&args, mode, ui)?;
    let answers = drive::answers(args.answers.as_deref())?;
    let given = given(&args, mode, ui)?;
    let (values, problems) = inputs::resolve(&document, &given);
    if crate::diag::has_errors(&problems) {
        let error =
            CliError::new(Exit::Invalid, "the inputs are not what the runbook asks for").with(problems);
        return Err(error.hint("give them with --input NAME=VALUE or --inputs FILE"));
    }
    let id = match &args.run_id {
        Some(id) => checked_id(id)?,
        None => new_id(&document)?,
    };
    let dir = home.runs.join(&id);
    if dir.exists() {
        return Err(CliError::new(Exit::Usage, format!("run `{id}` exists already"))
            .hint("a run id is used once; leave --run-id out for a new one")
            .hint(format!("`consigne resume {id}` goes on with that run")));
    }
    let services = choose_services(environment.as_ref(), mode, &dir)?;
    let request = BuildRequest {
        mode,
        environment: environment.as_ref(),
        others: &others,
        inputs: &values,
        services: &services,
    };
    let plan = crate::plan::build(&document, &request).map_err(invalid)?;
    drive::known_steps(&answers, &plan)?;
    let to_start = match &environment {
        Some(environment) if mode == Mode::Drill => {
            service::services(environment, &services).map_err(invalid)?
        }
        _ => Vec::new(),
    };
    let new = new_run(&args, id, dir, plan, to_start, &document, environment.as_ref())?;
    // With the place of every word it takes more memory than the run itself, and only the plan is needed from here on.
    drop(document);
    drive::key(&home.root, ui)?;
    let host = drive::host(&home, &args.common, Arc::new(Asked::ask(&new.plan, &args.common)?))?;
    let answering = drive::answering(&args.common, answers, &new.dir, &new.plan)?;
    let rest =
        super::runtime()?.block_on(launch::begin(new, &host, answering)).map_err(drive::launch_error)?;
    Ok(drive::report(&rest, &home, ui))
}

/// The runbook and its environments; every error at once.
fn read(
    args: &RunArgs,
    mode: Mode,
    ui: Ui,
) -> Result<(Document, Option<Environment>, Vec<Environment>), CliError> {
    let env = args.env.clone().or_else(|| (mode == Mode::Drill).then(|| "practice".to_owned()));
    let unusable = |problems: Vec<Diagnostic>| {
        let elsewhere =
            problems.iter().any(|problem| problem.code == "environment" && problem.help.is_empty());
        let error =
            CliError::new(Exit::Invalid, format!("{} cannot be run", args.file.display())).with(problems);
        match &env {
            Some(name) if elsewhere => error.hint(format!(
                "an environment is a file environments/{name}.yaml beside the runbook or above it"
            )),
            _ => error,
        }
    };
    if let Err(problem) = load::source(&args.file) {
        return Err(unusable(vec![problem]));
    }
    let report = check_file(&args.file, env.as_deref());
    let wrong = report.has_errors();
    let Some(document) = report.document.filter(|_| !wrong) else {
        return Err(unusable(report.diagnostics));
    };
    ui.diagnostics(&report.diagnostics);
    let (others, _shown_by_check) = Environment::all(&args.file);
    let protected: Vec<&str> =
        others.iter().filter(|other| other.is_protected()).map(|other| other.name.as_str()).collect();
    if mode == Mode::Live && env.is_none() && !protected.is_empty() {
        let message = "which environment? one of those here is protected, so it has to be named";
        return Err(
            CliError::new(Exit::Usage, message).hint(format!("--env {}", protected.join(" or --env ")))
        );
    }
    if let Some(practice) = report.environment.as_ref().filter(|env| mode == Mode::Live && env.has_services())
    {
        let message =
            format!("environment `{}` is for practice: it starts services of its own", practice.name);
        return Err(
            CliError::new(Exit::Invalid, message).hint(format!("consigne drill {}", args.file.display()))
        );
    }
    Ok((document, report.environment, others))
}

fn given(args: &RunArgs, mode: Mode, ui: Ui) -> Result<Given, CliError> {
    let mut given = Given::default();
    for option in &args.inputs {
        let Some((name, value)) = option.split_once('=') else {
            let message = format!("`--input {option}` has no `=`, expected NAME=VALUE");
            return Err(CliError::new(Exit::Usage, message).hint(format!("--input {option}=VALUE")));
        };
        given.options.push((name.to_owned(), value.to_owned()));
    }
    let beside = args.file.with_extension("inputs.yaml");
    let practice = mode == Mode::Drill && beside.is_file();
    let file: Option<&Path> = match &args.inputs_file {
        Some(file) => Some(file),
        None if practice => {
            ui.say(&format!("inputs: {}", beside.display()));
            Some(&beside)
        }
        None => None,
    };
    if let Some(file) = file {
        let problems = given.read_file(file);
        if crate::diag::has_errors(&problems) {
            return Err(invalid(problems));
        }
    }
    Ok(given)
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
        services.insert(needs.name, ServiceAt { port, state });
    }
    Ok(services)
}

fn new_run(
    args: &RunArgs,
    id: String,
    dir: PathBuf,
    plan: Plan,
    services: Vec<Service>,
    document: &Document,
    environment: Option<&Environment>,
) -> Result<NewRun, CliError> {
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base_dir = std::fs::canonicalize(folder)
        .map_err(|error| CliError::file(Exit::Invalid, "find the folder of", &args.file, &error))?;
    let mut frozen =
        BTreeMap::from([("runbook.yaml".to_owned(), document.source.text().as_bytes().to_vec())]);
    if let Some(environment) = environment {
        frozen.insert("environment.yaml".to_owned(), environment.source.text().as_bytes().to_vec());
    }
    let lang = drive::lang(&args.common).code().to_owned();
    Ok(NewRun { id, dir, plan, hosting: Hosting { base_dir, services }, frozen, lang })
}

fn invalid(problems: Vec<Diagnostic>) -> CliError {
    CliError::new(Exit::Invalid, "nothing was started").with(problems)
}

/// An id that says when and what, and is its own.
fn new_id(document: &Document) -> Result<String, CliError> {
    let now = SystemClock::new().now().to_string();
    let stamp: String = now[..19].chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut random = [0_u8; 3];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Exit::Bug, format!("the system gave no random numbers: {error}")))?;
    let tail: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{tail}", stamp.to_lowercase(), document.runbook.id.value))
}

fn checked_id(id: &str) -> Result<String, CliError> {
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
