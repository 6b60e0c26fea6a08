//! `consigne rehearse … --every-fault`: every fault at every step of every runbook, and what must not be after any.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::args::{ChoiceArgs, RehearseArgs};
use super::super::chosen::Chosen;
use super::super::drive;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::fixture;
use super::super::plan::undecided;
use super::super::shelf;
use super::super::ui::Ui;
use super::{me, script};
use crate::core::RunStatus;
use crate::engine::rehearsal::faults::FaultKind;
use crate::engine::rehearsal::sweep::{Did, Subject, Swept, sweep};
use crate::engine::rehearsal::{self};
use crate::plan::Mode;
use crate::record::origin::Origin;

pub(super) fn every(args: &RehearseArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let named: Vec<PathBuf> = std::iter::once(&args.choice.file).chain(&args.more).cloned().collect();
    let files = shelf::files_of(&named, ui)?;
    let subjects: Vec<Subject> =
        files.iter().map(|file| subject(args, file, ui)).collect::<Result<_, CliError>>()?;
    let scratch = Scratch::make()?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let swept = sweep(&subjects, &scratch.0, threads);
    let found = swept.iter().flatten().any(|swept| !swept.findings.is_empty());
    if args.json {
        ui.json(&as_json(&subjects, &swept));
    } else {
        for (subject, swept) in subjects.iter().zip(&swept) {
            tell(subject, swept, ui);
        }
        table(&swept, ui);
    }
    Ok(if found { Exit::RunFailed } else { Exit::Done })
}

/// A folder for as long as the sweep takes, for nobody else to look into.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, CliError> {
        let base = std::env::temp_dir();
        let nth = |number: u32| base.join(format!("consigne-rehearsals-{}-{number}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        let builder = builder.mode(0o700);
        let mut last = None;
        for dir in (1..=9).map(nth) {
            match builder.create(&dir) {
                Ok(()) => return Ok(Self(dir)),
                Err(error) => last = Some((dir, error)),
            }
        }
        let (dir, error) = last.unwrap_or_else(|| (base.clone(), std::io::Error::other("no name is free")));
        Err(CliError::file(Exit::Unwritable, "make", &dir, &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _whatever_stays_is_private = std::fs::remove_dir_all(&self.0);
    }
}

/// A runbook with the inputs, answers and fixture that lie beside it.
fn subject(args: &RehearseArgs, file: &Path, ui: Ui) -> Result<Subject, CliError> {
    let choice = ChoiceArgs {
        file: file.to_owned(),
        env: args.choice.env.clone(),
        inputs: args.choice.inputs.clone(),
        inputs_file: args.choice.inputs_file.clone(),
    };
    let chosen = Chosen::of(&choice, Mode::Rehearsal, ui)?;
    let plan = chosen.plan(&undecided(&chosen))?;
    let mut scenarios = Vec::new();
    if let Some(file) = &args.scenario {
        scenarios.push((script(file, &plan)?, Origin::Scenario));
    }
    let beside = |what: &str| {
        let path = chosen.file.with_extension(what);
        path.is_file().then_some(path)
    };
    let named = if args.no_fixture { Vec::new() } else { fixture::beside(&chosen.file) };
    for file in if args.fixture.is_empty() { &named } else { &args.fixture } {
        scenarios.push((fixture::read(file, &plan)?, Origin::Fixture));
    }
    let mut answers = BTreeMap::new();
    for (scenario, _) in scenarios.iter().rev() {
        answers.extend(scenario.answers.clone());
    }
    let given = drive::answers(args.answers.clone().or_else(|| beside("answers.yaml")).as_deref())?;
    drive::known_steps(&given, &plan)?;
    answers.extend(given);
    let told = |at: fn(&crate::runbook::scenario::Scenario) -> Option<u64>| {
        scenarios.iter().find_map(|(scenario, _)| at(scenario))
    };
    let seed = match args.seed.or_else(|| told(|scenario| scenario.seed)) {
        Some(seed) => seed,
        None => rehearsal::seed_of(&plan)
            .map_err(|error| CliError::new(Exit::Invalid, format!("the plan cannot be written: {error}")))?,
    };
    let start = scenarios.iter().find_map(|(scenario, _)| scenario.start).unwrap_or(rehearsal::START);
    Ok(Subject {
        name: file.display().to_string(),
        frozen: chosen.frozen(),
        answers: answers.into_iter().map(|(id, answer)| (id, drive::scripted(answer))).collect(),
        actor: me(&plan),
        tool: super::super::tool(),
        scenarios,
        start,
        seed,
        plan,
    })
}

fn fault_of(swept: &Swept) -> String {
    match (&swept.fault, &swept.after) {
        (None, _) => "without a fault".to_owned(),
        (Some(fault), None) => fault.to_string(),
        (Some(fault), Some(first)) => format!("{first} and {fault}"),
    }
}

/// Where faults of some kind struck, each place once.
fn spots<'s>(swept: impl Iterator<Item = &'s Swept>) -> String {
    let spots: BTreeSet<String> = swept.filter_map(|swept| Some(swept.fault.as_ref()?.spot())).collect();
    spots.into_iter().collect::<Vec<_>>().join(", ")
}

fn ended(swept: &Swept) -> String {
    swept
        .ended
        .as_ref()
        .map_or_else(|| "no end".to_owned(), |(status, reason)| format!("{} ({reason})", status.name()))
}

/// Faults that a finding names.
const NAMED: usize = 4;

/// One line for each finding of a runbook; the same one under several faults stands once, with all of them.
fn tell(subject: &Subject, swept: &[Swept], ui: Ui) {
    let calm = swept.first();
    let met = swept.iter().skip(1).filter(|swept| swept.met).count();
    let unmet = || swept.iter().skip(1).filter(|swept| !swept.met);
    ui.line(&format!(
        "{}: {} faults, {met} came to pass; without one: {}",
        subject.name,
        swept.len().saturating_sub(1),
        calm.map(ended).unwrap_or_default()
    ));
    let (count, places) = (unmet().count(), spots(unmet()));
    if count > 0 {
        ui.listed("  ", &format!("{count} faults found nothing to strike, at: {places}"));
    }
    let unnoticed = spots(swept.iter().filter(|swept| swept.unnoticed));
    if !unnoticed.is_empty() {
        ui.listed("  ", &format!("a wrong answer went unnoticed at: {unnoticed}"));
    }
    let mut findings: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for swept in swept {
        for finding in &swept.findings {
            let how = format!("{} -> {}", fault_of(swept), ended(swept));
            findings.entry((finding.what, &finding.place, &finding.why)).or_default().push(how);
        }
    }
    for ((what, place, why), faults) in findings {
        let more = match faults.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named = faults.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        ui.line(&format!("  ! {} {place}: {why} [{named}{more}]", what.name()));
    }
}

/// What was done, by kind of fault.
fn table(swept: &[Vec<Swept>], ui: Ui) {
    ui.line(&format!(
        "{:<14}{:>6}{:>6}{:>6}{:>8}{:>9}{:>11}{:>8}{:>10}{:>9}{:>11}{:>10}",
        "fault",
        "tried",
        "met",
        "done",
        "failed",
        "refused",
        "cancelled",
        "undone",
        "put_back",
        "finally",
        "escalated",
        "findings"
    ));
    let mut all = Row::default();
    for kind in FaultKind::ALL {
        let of_kind = swept
            .iter()
            .flatten()
            .filter(|swept| swept.fault.as_ref().is_some_and(|fault| fault.kind == kind));
        let row = of_kind.fold(Row::default(), Row::and);
        row.print(kind.name(), ui);
        all = all.plus(row);
    }
    all.print("all", ui);
}

#[derive(Default, Clone, Copy)]
struct Row {
    tried: usize,
    met: usize,
    done: usize,
    failed: usize,
    refused: usize,
    cancelled: usize,
    did: Did,
    findings: usize,
}

impl Row {
    fn and(self, swept: &Swept) -> Self {
        let is = |status| usize::from(swept.ended.as_ref().is_some_and(|(found, _)| *found == status));
        self.plus(Self {
            tried: 1,
            met: usize::from(swept.met),
            done: is(RunStatus::Succeeded),
            failed: is(RunStatus::Failed),
            refused: is(RunStatus::Refused),
            cancelled: is(RunStatus::Cancelled),
            did: swept.did,
            findings: swept.findings.len(),
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            tried: self.tried + other.tried,
            met: self.met + other.met,
            done: self.done + other.done,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            cancelled: self.cancelled + other.cancelled,
            did: self.did.and(other.did),
            findings: self.findings + other.findings,
        }
    }

    fn print(self, name: &str, ui: Ui) {
        let Self { tried, met, done, failed, refused, cancelled, did, findings } = self;
        ui.line(&format!(
            "{name:<14}{tried:>6}{met:>6}{done:>6}{failed:>8}{refused:>9}{cancelled:>11}{:>8}{:>10}{:>9}{:>11}{findings:>10}",
            did.undone, did.put_back, did.finally, did.escalated
        ));
    }
}

fn as_json(subjects: &[Subject], swept: &[Vec<Swept>]) -> serde_json::Value {
    let one = |swept: &Swept| {
        let findings = swept
            .findings
            .iter()
            .map(|finding| json!({"what": finding.what.name(), "step": finding.place, "why": finding.why}));
        json!({
            "fault": swept.fault.as_ref().map(ToString::to_string),
            "after": swept.after.as_ref().map(ToString::to_string),
            "met": swept.met,
            "unnoticed": swept.unnoticed,
            "status": swept.ended.as_ref().map(|(status, _)| status.name()),
            "reason": swept.ended.as_ref().map(|(_, reason)| reason),
            "did": did_json(swept.did),
            "findings": findings.collect::<Vec<_>>(),
        })
    };
    let runbooks = subjects.iter().zip(swept).map(|(subject, swept)| {
        let unnoticed = swept.iter().filter(|swept| swept.unnoticed);
        let unnoticed: Vec<String> =
            unnoticed.filter_map(|swept| Some(swept.fault.as_ref()?.spot())).collect();
        let swept: Vec<_> = swept.iter().map(one).collect();
        json!({
            "runbook": subject.plan.graph.runbook, "file": subject.name, "rehearsals": swept,
            "unnoticed": unnoticed,
        })
    });
    json!({ "runbooks": runbooks.collect::<Vec<_>>() })
}

pub(super) fn did_json(did: Did) -> serde_json::Value {
    json!({
        "undone": did.undone, "put_back": did.put_back, "still_open": did.open, "finally": did.finally,
        "escalated": did.escalated,
    })
}
