//! What somebody chose to run: a runbook that makes sense, its environment, and inputs that fit. Shared by every verb
//! that needs a plan; starts nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::args::ChoiceArgs;
use super::error::CliError;
use super::exit::Exit;
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
        let given = given(args, mode, ui)?;
        Self::with(args, mode, &given, ui)
    }

    /// The same, with inputs that were given in another way.
    ///
    /// # Errors
    /// As for [`Chosen::of`].
    pub(super) fn with(args: &ChoiceArgs, mode: Mode, given: &Given, ui: Ui) -> Result<Self, CliError> {
        let (document, environment, others) = read(args, mode, ui)?;
        let (values, problems) = inputs::resolve(&document, given);
        if crate::diag::has_errors(&problems) {
            let error =
                CliError::new(Exit::Invalid, "the inputs are not what the runbook asks for").with(problems);
            return Err(error.hint("give them with --input NAME=VALUE or --inputs FILE"));
        }
        Ok(Self { mode, document, environment, others, values })
    }

    /// The YAML that a plan is made of, by the names under which a run freezes it.
    pub(super) fn frozen(&self) -> BTreeMap<String, Vec<u8>> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let mut frozen = BTreeMap::from([("runbook.yaml".to_owned(), bytes(self.document.source.text()))]);
        if let Some(environment) = &self.environment {
            frozen.insert("environment.yaml".to_owned(), bytes(environment.source.text()));
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

/// The runbook and its environments; every error at once.
fn read(
    args: &ChoiceArgs,
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

fn given(args: &ChoiceArgs, mode: Mode, ui: Ui) -> Result<Given, CliError> {
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

pub(super) fn invalid(problems: Vec<Diagnostic>) -> CliError {
    CliError::new(Exit::Invalid, "nothing was started").with(problems)
}
