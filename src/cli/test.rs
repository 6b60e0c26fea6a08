//! `consigne test`: the cases beside runbooks, rehearsed side by side and held against what they expect.

mod case;
mod fit;
mod junit;
mod told;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{Lang, TestArgs};
use super::chosen::{Readable, readable};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::fixture::{self, Drifting};
use super::shelf;
use super::ui::Ui;
use crate::diag::{Diagnostic, has_errors};
use crate::engine::rehearsal::verdict::Miss;
use crate::plan::Mode;
use crate::runbook::cases::{self, CaseDecl, Script, Tests};
use crate::runbook::scenario::{self, Scenario};

/// Folders below the one that was named.
const DEPTH: usize = 16;

/// A file of tests, with all that its cases share.
struct Suite {
    path: PathBuf,
    /// The runbook that is tested.
    runbook: PathBuf,
    tests: Tests,
    scenario: Scenario,
    /// Scenarios of the cases, where a case has one of its own.
    scenarios: Vec<Scenario>,
    fixtures: Vec<(PathBuf, Scenario)>,
    /// The runbook in each environment that a case names.
    readable: BTreeMap<Option<String>, Readable>,
}

/// How a case came out.
struct Outcome {
    suite: usize,
    case: usize,
    verdict: Result<Vec<Miss>, Box<CliError>>,
    took: Duration,
}

impl Outcome {
    fn passed(&self) -> bool {
        self.verdict.as_ref().is_ok_and(Vec::is_empty)
    }
}

pub(super) fn test(args: &TestArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let lang = drive::spoken(args.lang);
    let suites = suites(&files(args, ui)?)?;
    let chosen = chosen(&suites, args.filter.as_deref());
    if chosen.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        let names = suites.iter().flat_map(|suite| &suite.tests.decl.cases).map(|case| &*case.name.value);
        let error = CliError::new(Exit::Usage, format!("no case has `{filter}` in its name"));
        return Err(match crate::diag::closest(filter, names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("without --filter all cases are rehearsed"),
        });
    }
    let folder = tempfile::tempdir()
        .map_err(|error| CliError::new(Exit::Unwritable, format!("no folder for the rehearsals: {error}")))?;
    let kept = args.keep.as_deref();
    if let Some(kept) = kept {
        if std::fs::read_dir(kept).is_ok_and(|mut found| found.next().is_some()) || kept.is_file() {
            let message = format!("{} is not empty", kept.display());
            return Err(CliError::new(Exit::Usage, message).hint("the rehearsals have a folder of their own"));
        }
        std::fs::create_dir_all(kept)
            .map_err(|error| CliError::file(Exit::Unwritable, "make", kept, &error))?;
    }
    let begun = Instant::now();
    let outcomes = rehearse_all(&suites, &chosen, kept.unwrap_or(folder.path()), args.jobs);
    let drifting = drifting(&suites);
    told::tell(&suites, &outcomes, begun.elapsed(), lang, ui);
    if let Some(file) = &args.junit {
        let xml = junit::xml(&suites, &outcomes, begun.elapsed(), lang);
        std::fs::write(file, xml).map_err(|error| CliError::file(Exit::Unwritable, "write", file, &error))?;
    }
    if ui.json && !drifting.is_empty() {
        ui.json(&json!({"drifting": drifting.json()}));
    }
    drifting.say(lang == Lang::Fr, ui);
    let fit = drifting.is_empty() || !args.strict_fixtures;
    Ok(if fit && outcomes.iter().all(Outcome::passed) { Exit::Done } else { Exit::RunFailed })
}

/// What the fixtures say that their runbooks do not any more. Neither runs nor the day are asked: the same files come out
/// the same.
fn drifting(suites: &[Suite]) -> Drifting {
    let mut out = Drifting::default();
    for suite in suites {
        let Some((document, ..)) = suite.readable.values().next() else { continue };
        let plan = crate::plan::outline(document);
        for (path, fixture) in &suite.fixtures {
            let _for_the_record_of_a_rehearsal = out.take(path, fixture, &plan, None, None);
        }
    }
    out
}

/// The cases that are meant, by file and by number, in their order.
fn chosen(suites: &[Suite], filter: Option<&str>) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for (at, suite) in suites.iter().enumerate() {
        let cases = suite.tests.decl.cases.iter().enumerate();
        let meant = |case: &CaseDecl| filter.is_none_or(|filter| case.name.value.contains(filter));
        out.extend(cases.filter(|(_, case)| meant(case)).map(|(number, _)| (at, number)));
    }
    out
}

/// As many at a time as there are processors; told in their order.
fn rehearse_all(suites: &[Suite], chosen: &[(usize, usize)], dir: &Path, jobs: Option<u16>) -> Vec<Outcome> {
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = jobs.map_or(here, usize::from).min(chosen.len());
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<BTreeMap<(usize, usize), Outcome>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((suite, case)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let begun = Instant::now();
                    let number = format!("{suite:04}-{case:04}");
                    let verdict = case::judge(&suites[suite], case, &dir.join(number)).map_err(Box::new);
                    let outcome = Outcome { suite, case, verdict, took: begun.elapsed() };
                    let mut all = outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.insert((suite, case), outcome);
                }
            });
        }
    });
    let all = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.into_values().collect()
}

/// The files of tests that are meant.
fn files(args: &TestArgs, ui: Ui) -> Result<Vec<PathBuf>, CliError> {
    let mut out = Vec::new();
    let mut places = args.files.clone();
    if places.is_empty() {
        let here = std::env::current_dir().unwrap_or_default();
        let above = here.ancestors().map(|folder| folder.join("runbooks")).find(|folder| folder.is_dir());
        places.push(above.unwrap_or_else(|| PathBuf::from(".")));
    }
    for place in &places {
        if place.is_dir() {
            let found = below(place)?;
            if found.is_empty() {
                let message = format!("there are no tests below {}", place.display());
                return Err(CliError::new(Exit::Usage, message)
                    .hint(format!("the tests of NAME.yaml stand in NAME.{} beside it", cases::ENDING)));
            }
            out.extend(found);
        } else if is_tests(place) {
            out.push(place.clone());
        } else {
            let runbook = shelf::file_of(place, ui)?;
            let beside = runbook.with_extension(cases::ENDING);
            if !beside.is_file() {
                let message = format!("{} has no tests: there is no {}", runbook.display(), beside.display());
                return Err(CliError::new(Exit::Usage, message));
            }
            out.push(beside);
        }
    }
    let mut seen = BTreeSet::new();
    out.retain(|file| seen.insert(file.clone()));
    Ok(out)
}

fn is_tests(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&format!(".{}", cases::ENDING)))
}

/// Every file of tests below a folder, in the order of their names. A link to a folder is not gone into.
fn below(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let (mut out, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        let failed = |error: std::io::Error| CliError::file(Exit::Usage, "read", &folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                if !path.is_symlink() && depth < DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if is_tests(&path) {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// All files, read; every error of all of them at once.
fn suites(files: &[PathBuf]) -> Result<Vec<Suite>, CliError> {
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        let mut found = Vec::new();
        let suite = suite(file, &mut found)?;
        let wrong = has_errors(&found);
        problems.append(&mut found);
        out.extend(suite.filter(|_| !wrong));
    }
    if has_errors(&problems) {
        return Err(CliError::new(Exit::Invalid, "nothing was rehearsed").with(problems));
    }
    Ok(out)
}

/// `None` with the reasons among the problems.
fn suite(file: &Path, problems: &mut Vec<Diagnostic>) -> Result<Option<Suite>, CliError> {
    let (tests, mut found) = cases::read(file);
    problems.append(&mut found);
    let Some(tests) = tests else { return Ok(None) };
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(cases::ENDING).unwrap_or(&name);
    let runbook = file.with_file_name(format!("{stem}yaml"));
    if !runbook.is_file() {
        let message = format!("there is no runbook {} to test", runbook.display());
        return Err(CliError::new(Exit::Invalid, message)
            .hint(format!("the tests of NAME.yaml stand in NAME.{} beside it", cases::ENDING)));
    }
    let decl = &tests.decl;
    let scenario = script(decl.scenario.as_ref(), file, &tests, problems);
    let scenarios =
        decl.cases.iter().map(|case| script(case.scenario.as_ref(), file, &tests, problems)).collect();
    let beside = if decl.fixture == Some(false) { Vec::new() } else { fixture::beside(&runbook) };
    let fixtures = beside.into_iter().map(|path| {
        let (fixture, mut found) = scenario::read(&path);
        problems.append(&mut found);
        (path, fixture)
    });
    let fixtures = fixtures.collect();
    let shared = decl.environment.as_ref().map(|env| env.value.clone());
    let mut environments = BTreeMap::new();
    for case in &decl.cases {
        let env = case.environment.as_ref().map(|env| env.value.clone()).or_else(|| shared.clone());
        if let Entry::Vacant(missing) = environments.entry(env) {
            // What else there is to say about a runbook, `check` says.
            let (readable, _warnings) = readable(&runbook, missing.key().as_ref(), Mode::Rehearsal)?;
            missing.insert(readable);
        }
    }
    let path = file.to_owned();
    Ok(Some(Suite { path, runbook, tests, scenario, scenarios, fixtures, readable: environments }))
}

fn script(script: Option<&Script>, file: &Path, tests: &Tests, problems: &mut Vec<Diagnostic>) -> Scenario {
    match script {
        None => Scenario::default(),
        Some(Script::Inline(scenario)) => scenario.clone(),
        Some(Script::File(path)) => {
            let (scenario, mut found) = scenario::read(&file.with_file_name("").join(&path.value));
            for problem in &mut found {
                if problem.at.is_none() {
                    *problem = problem.clone().also(path.span.at(&tests.source), "named here");
                }
            }
            problems.append(&mut found);
            scenario
        }
    }
}
