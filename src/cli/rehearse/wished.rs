//! The faults of one rehearsal: read off the command line and the scenario, and told about at its end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::args::RehearseArgs;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::ui::Ui;
use super::Rehearsed;
use super::every::did_json;
use crate::diag::Diagnostic;
use crate::engine::rehearsal::faults::{Fault, FaultKind, Faults, cannot_meet, drawn};
use crate::engine::rehearsal::findings;
use crate::engine::rehearsal::sweep::Did;
use crate::engine::rehearsal::switched::Switches;
use crate::engine::rehearsal::unnoticed::is_unnoticed;
use crate::plan::Plan;
use crate::runbook::scenario::{Part, Scenario};

/// Those of the command line, of the scenario, and those that are drawn.
pub(super) fn faults(
    args: &RehearseArgs,
    plan: &Plan,
    scenario: &Scenario,
    ui: Ui,
) -> Result<Faults, CliError> {
    let mut all = Vec::new();
    for text in &args.fault {
        let fault = parse(text)?;
        if let Some(why) = misfit(plan, &fault) {
            return Err(why.1.iter().fold(CliError::new(Exit::Usage, why.0), |error, hint| error.hint(hint)));
        }
        all.push(fault);
    }
    all.extend(of_scenario(plan, scenario)?);
    if let Some(seed) = args.faults {
        let drawn = drawn(plan, seed);
        for fault in &drawn {
            ui.say(&format!("fault: {fault}"));
        }
        all.extend(drawn);
    }
    let mut seen = BTreeSet::new();
    all.retain(|fault| seen.insert(fault.clone()));
    Ok(Faults::new(all))
}

/// Those of a scenario.
///
/// # Errors
/// One cannot come to pass where it is wished for.
pub(in crate::cli) fn of_scenario(plan: &Plan, scenario: &Scenario) -> Result<Vec<Fault>, CliError> {
    let misfits = scenario.faults.iter().filter_map(|(fault, at)| {
        let (why, hint) = misfit(plan, fault)?;
        let problem = Diagnostic::error("bad-value", at.clone(), why);
        Some(hint.iter().fold(problem, |problem, hint| problem.help(hint)))
    });
    let misfits: Vec<Diagnostic> = misfits.collect();
    if !misfits.is_empty() {
        let message = "the faults of the scenario do not fit the runbook; nothing was rehearsed";
        return Err(CliError::new(Exit::Invalid, message).with(misfits));
    }
    Ok(scenario.faults.iter().map(|(fault, _)| fault.clone()).collect())
}

fn parse(text: &str) -> Result<Fault, CliError> {
    Fault::parse(text).ok_or_else(|| {
        let message = format!("`--fault {text}` is no fault, expected STEP=KIND or STEP.PART=KIND");
        CliError::new(Exit::Usage, message).hint(format!("kinds: {}", FaultKind::WORDS.join(", ")))
    })
}

/// Why a fault cannot come to pass where it is wished for, and what can.
fn misfit(plan: &Plan, fault: &Fault) -> Option<(String, Option<String>)> {
    let kinds = cannot_meet(plan, fault)?;
    let Fault { place, part, kind } = fault;
    if kinds.is_empty() && *part != Part::Own {
        return Some((format!("the runbook has no step `{place}` with {}", part.name()), None));
    }
    if kinds.is_empty() {
        return Some((format!("the runbook has no step `{place}` that a fault could strike"), None));
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let message = format!("`{}` cannot meet `{}`", fault.spot(), kind.name());
    Some((message, Some(format!("it can meet: {}", names.join(", ")))))
}

/// What went wrong, what was done about it, and what must not be and is. Nothing where no fault was wished for.
pub(super) struct Aftermath {
    faults: Vec<(Fault, bool)>,
    /// Those of them that are wrong answers, and were taken for good ones.
    unnoticed: Vec<Fault>,
    did: Did,
    findings: Vec<findings::Finding>,
}

impl Aftermath {
    pub(super) fn of(rehearsed: &Rehearsed, finished: bool) -> Option<Self> {
        if rehearsed.faults.is_empty() {
            return None;
        }
        // Whoever waits for an answer is not stuck: somebody can give it.
        let nothing = (Switches::default(), BTreeSet::new());
        let findings = if finished { findings::of(rehearsed, &nothing.0, &nothing.1) } else { Vec::new() };
        let all = rehearsed.faults.iter().map(|(fault, _)| fault.clone());
        let unnoticed = all.filter(|fault| is_unnoticed(rehearsed, fault)).collect();
        Some(Self { faults: rehearsed.faults.clone(), unnoticed, did: Did::of(rehearsed), findings })
    }

    pub(super) fn say(&self, french: bool, ui: Ui) {
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        for (fault, met) in &self.faults {
            let met = if self.unnoticed.contains(fault) {
                pick("survenue, et personne ne l'a remarquée", "came to pass, and nobody noticed")
            } else if *met {
                pick("survenue", "came to pass")
            } else {
                pick("jamais survenue", "never came to pass")
            };
            ui.told("", &format!("{} {fault}: {met}", pick("panne", "fault")));
        }
        let Did { undone, put_back, open, finally, escalated } = self.did;
        ui.told(
            "",
            &format!(
                "{}: {undone} {}, {put_back} {}, {open} {}, {finally} {}, {escalated} {}",
                pick("ce qui a été fait", "what was done"),
                pick("annulées (undo)", "undone"),
                pick("remises (put_back)", "put back"),
                pick("laissées ou en échec", "left open or failed"),
                pick("étapes de finally", "steps of finally"),
                pick("escalades", "escalated"),
            ),
        );
        for finding in &self.findings {
            ui.told("", &format!("! {} {}: {}", finding.what.name(), finding.place, finding.why));
        }
    }

    pub(super) fn json(&self) -> Value {
        let faults = self.faults.iter().map(|(fault, met)| {
            let unnoticed = self.unnoticed.contains(fault);
            json!({"fault": fault.to_string(), "met": met, "unnoticed": unnoticed})
        });
        let findings = self
            .findings
            .iter()
            .map(|finding| json!({"what": finding.what.name(), "step": finding.place, "why": finding.why}));
        json!({
            "faults": faults.collect::<Vec<_>>(), "did": did_json(self.did),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}
