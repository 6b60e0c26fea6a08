//! What somebody chose to run: a runbook that makes sense, its environment, and inputs that fit. Shared by every verb
//! that needs a plan; starts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::args::ChoiceArgs;
use super::error::CliError;
use super::exit::Exit;
use super::shelf;
use super::ui::Ui;
use crate::diag::Diagnostic;
use crate::plan::{BuildRequest, Mode, Plan};
use crate::runbook::check_file;
use crate::runbook::environment::{Environment, Services};
use crate::runbook::inputs::{self, Given};
use crate::runbook::load::{self, Document};

/// A runbook with all that is needed to make a plan of it.
pub(super) struct Chosen {
    pub mode: Mode,
    /// Its file, also where it was named by its id.
    pub file: PathBuf,
    pub document: Document,
    pub environment: Option<Environment>,
    /// Every environment that the runbook could run in.
    others: Vec<Environment>,
    values: BTreeMap<String, Value>,
}

impl Chosen {
    /// # Errors
    /// The runbook, its environment or the inputs make no sense, or do not go together.
    pub(super) fn of(args: &ChoiceArgs, mode: Mode, ui: Ui) -> Result<Self, CliError> {
        Self::asking(args, mode, ui, &|_, _| Ok(()))
    }

    /// The same; `complete` may add to what was given.
    ///
    /// # Errors
    /// As for [`Chosen::of`], and what `complete` says.
    pub(super) fn asking(
        args: &ChoiceArgs,
        mode: Mode,
        ui: Ui,
        complete: &dyn Fn(&Document, &mut Given) -> Result<(), CliError>,
    ) -> Result<Self, CliError> {
        let file = shelf::file_of(&args.file, ui)?;
        let readable = read(&file, args, mode, ui)?;
        let mut given = given(&file, args, mode, ui)?;
        complete(&readable.0, &mut given)?;
        Self::resolved(file, mode, readable, &given, |_| true)
    }

    /// The same, with inputs that were given in another way.
    ///
    /// # Errors
    /// As for [`Chosen::of`].
    pub(super) fn with(args: &ChoiceArgs, mode: Mode, given: &Given, ui: Ui) -> Result<Self, CliError> {
        let file = shelf::file_of(&args.file, ui)?;
        let readable = read(&file, args, mode, ui)?;
        Self::resolved(file, mode, readable, given, |_| true)
    }

    /// As [`Chosen::of`]; inputs may be left out.
    ///
    /// # Errors
    /// As for [`Chosen::of`].
    pub(super) fn of_any_inputs(args: &ChoiceArgs, mode: Mode, ui: Ui) -> Result<Self, CliError> {
        let file = shelf::file_of(&args.file, ui)?;
        let given = given(&file, args, mode, ui)?;
        let readable = read(&file, args, mode, ui)?;
        Self::resolved(file, mode, readable, &given, |problem| problem.code != "missing-input")
    }

    /// As [`Chosen::of`], of what was read before.
    ///
    /// # Errors
    /// The inputs do not fit.
    pub(super) fn resolved(
        file: PathBuf,
        mode: Mode,
        readable: Readable,
        given: &Given,
        counts: impl Fn(&Diagnostic) -> bool,
    ) -> Result<Self, CliError> {
        let (document, environment, others) = readable;
        let (values, mut problems) = inputs::resolve(&document, given);
        problems.retain(counts);
        if crate::diag::has_errors(&problems) {
            let error =
                CliError::new(Exit::Invalid, "the inputs are not what the runbook asks for").with(problems);
            return Err(error.hint("give them with --input NAME=VALUE or --inputs FILE"));
        }
        Ok(Self { mode, file, document, environment, others, values })
    }

    /// The YAML that a plan is made of, by the names under which a run freezes it.
    pub(super) fn frozen(&self) -> BTreeMap<String, Vec<u8>> {
        let mut frozen = frozen_runbook(&self.document);
        if let Some(environment) = &self.environment {
            frozen.insert("environment.yaml".to_owned(), environment.source.text().as_bytes().to_vec());
        }
        frozen
    }

    /// # Errors
    /// What is wrong with it all together.
    pub(super) fn plan(&self, services: &Services) -> Result<Plan, CliError> {
        let request = BuildRequest {
            mode: self.mode,
            environment: self.environment.as_ref(),
            others: &self.others,
            inputs: &self.values,
            services,
        };
        crate::plan::build(&self.document, &request).map_err(invalid)
    }
}

/// The YAML of a runbook and of every runbook that it uses, by the names under which a run freezes it.
pub(super) fn frozen_runbook(document: &Document) -> BTreeMap<String, Vec<u8>> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mut frozen = BTreeMap::from([("runbook.yaml".to_owned(), bytes(document.source.text()))]);
    for used in document.used.values() {
        let text = used.source.as_ref().map_or("", |source| source.text());
        frozen.insert(format!("{USED}{}.yaml", used.runbook), bytes(text));
    }
    frozen
}

/// What the name of a file begins with that holds a runbook which another one uses.
pub(super) const USED: &str = "uses-";

/// A runbook, its environment, and every environment that it could run in.
pub(super) type Readable = (Document, Option<Environment>, Vec<Environment>);

/// The runbook and its environments; every error at once.
fn read(file: &Path, args: &ChoiceArgs, mode: Mode, ui: Ui) -> Result<Readable, CliError> {
    let (readable, warnings) = readable(file, args.env.as_ref(), mode)?;
    ui.diagnostics(&warnings);
    Ok(readable)
}

/// The same, and what there is to say about them; told to nobody.
///
/// # Errors
/// Something of it makes no sense.
pub(super) fn readable(
    file: &Path,
    env: Option<&String>,
    mode: Mode,
) -> Result<(Readable, Vec<Diagnostic>), CliError> {
    let practice = match mode {
        Mode::Live => false,
        Mode::Drill => true,
        // Whatever needs no environment can be rehearsed without one.
        Mode::Rehearsal => Environment::find(file, "practice").is_ok(),
    };
    let env = env.cloned().or_else(|| practice.then(|| "practice".to_owned()));
    let unusable = |problems: Vec<Diagnostic>| {
        let elsewhere =
            problems.iter().any(|problem| problem.code == "environment" && problem.help.is_empty());
        let error = CliError::new(Exit::Invalid, format!("{} cannot be run", file.display())).with(problems);
        match &env {
            Some(name) if elsewhere => error.hint(format!(
                "an environment is a file environments/{name}.yaml beside the runbook or above it"
            )),
            _ => error,
        }
    };
    if let Err(problem) = load::source(file) {
        return Err(unusable(vec![problem]));
    }
    let report = check_file(file, env.as_deref());
    let wrong = report.has_errors();
    let Some(document) = report.document.filter(|_| !wrong) else {
        return Err(unusable(report.diagnostics));
    };
    let (others, _shown_by_check) = Environment::all(file);
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
        return Err(CliError::new(Exit::Invalid, message).hint(format!("consigne drill {}", file.display())));
    }
    Ok(((document, report.environment, others), report.diagnostics))
}

fn given(file: &Path, args: &ChoiceArgs, mode: Mode, ui: Ui) -> Result<Given, CliError> {
    let mut given = Given::default();
    for option in &args.inputs {
        let Some((name, value)) = option.split_once('=') else {
            let message = format!("`--input {option}` has no `=`, expected NAME=VALUE");
            return Err(CliError::new(Exit::Usage, message).hint(format!("--input {option}=VALUE")));
        };
        given.options.push((name.to_owned(), value.to_owned()));
    }
    let beside = file.with_extension("inputs.yaml");
    let practice = mode != Mode::Live && beside.is_file();
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

pub(super) fn invalid(problems: Vec<Diagnostic>) -> CliError {
    CliError::new(Exit::Invalid, "nothing was started").with(problems)
}
