//! Drift: what a fixture says that is not so any more. A step that is gone, a request that was changed in the runbook
//! since, a newer real run that was answered otherwise, or simply its age.
//!
//! Answers are held against each other by what came of them and by the shape of their data, never by values. Nothing
//! is decided by it; it is only said.

mod shape;

use std::collections::{BTreeMap, BTreeSet};

use self::shape::{Change, Shape};
use super::exchanges;
use super::past::{Attempt, Real};
use super::sources::{Asked, Written, place_of};
use crate::clock::Timestamp;
use crate::core::AttemptResult;
use crate::journal::Blobs;
use crate::plan::{Action, Plan, requests};
use crate::record::origin::Origin;
use crate::runbook::scenario::{FailWord, Part, Scenario, What, base_of};

/// Changes of a shape that are named.
const NAMED: usize = 3;
const DAY_MS: u64 = 86_400_000;

/// One thing that is not so any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Of the runbook, as people call it; none where it is about the file.
    pub place: Option<String>,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The runbook has no such step.
    Gone,
    /// The step asks for something else since; or for nothing.
    Request {
        was: String,
        now: Option<String>,
    },
    /// A newer run was answered otherwise.
    Ended {
        run: String,
        was: Ended,
        now: Ended,
    },
    /// The same, by the shape of the data.
    Shape {
        run: String,
        changes: Vec<Change>,
    },
    Old {
        days: u64,
    },
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Status(i64),
    Exit(i64),
    Success,
    Fails(&'static str),
    Unknown,
}

/// What drifts, but for age: the same on every day.
pub fn of(fixture: &Scenario, plan: &Plan, newest: Option<&Real>) -> Vec<Drift> {
    let mut out = by_runbook(fixture, plan);
    let recorded = fixture.recorded.as_ref();
    if let Some(real) = newest.filter(|real| recorded.is_none_or(|it| it.run != real.state.run.id)) {
        out.extend(by_run(fixture, real));
    }
    out
}

/// Whether it was recorded longer ago than that.
pub fn age(fixture: &Scenario, now: Timestamp, max_days: u32) -> Option<Drift> {
    let days = now.since(fixture.recorded.as_ref()?.at) / DAY_MS;
    (days > u64::from(max_days)).then_some(Drift { place: None, why: Why::Old { days } })
}

/// Every place that the fixture speaks of.
fn places(fixture: &Scenario) -> BTreeSet<(String, Part)> {
    let steps = fixture.steps.iter();
    let steps = steps.flat_map(|(id, told)| told.parts.keys().map(|part| (id.clone(), *part)));
    steps.chain(fixture.exchanges.iter().filter_map(|exchange| exchange.place.clone())).collect()
}

fn by_runbook(fixture: &Scenario, plan: &Plan) -> Vec<Drift> {
    let items = plan.graph.steps.iter();
    let items = items.flat_map(|step| step.items.iter().map(|item| format!("{}/{}", step.id, item.id)));
    let steps = plan.graph.steps.iter().map(|step| step.id.clone());
    let guards = plan.graph.guards.iter().map(|guard| guard.id.clone());
    let known: BTreeSet<String> = steps.chain(items).chain(guards).collect();
    let (now, none) = (requests(plan), BTreeMap::new());
    let then = fixture.recorded.as_ref().map_or(&none, |recorded| &recorded.requests);
    let (mut out, mut seen) = (Vec::new(), BTreeSet::new());
    for (id, part) in places(fixture) {
        let place = (base_of(&id), part);
        if !known.contains(&place.0) {
            out.push(Drift { place: Some(part.at(&id)), why: Why::Gone });
            continue;
        }
        let Some(was) = then.get(&place) else { continue };
        let is = now.get(&place);
        if is.is_none_or(|is| is.digest != was.digest) && seen.insert(place.clone()) {
            let why = Why::Request { was: was.says.clone(), now: is.map(|is| is.says.clone()) };
            out.push(Drift { place: Some(part.at(&place.0)), why });
        }
    }
    out
}

fn by_run(fixture: &Scenario, real: &Real) -> Vec<Drift> {
    let written = Written::new(fixture, Origin::Fixture);
    let (blobs, run) = (Blobs::of(&real.dir), &real.state.run.id);
    // The last attempt of a place is how it ended.
    let mut last = BTreeMap::new();
    for attempt in real.attempts() {
        last.insert(place_of(&attempt.label, attempt.role, attempt.part.as_deref()), attempt);
    }
    let mut out = Vec::new();
    for ((id, part), attempt) in &last {
        let Some(request) = &attempt.request else { continue };
        let Some(what) = written.last(Asked { label: &attempt.label, request }) else { continue };
        let drift = |why| Drift { place: Some(part.at(id)), why };
        let (was, now) = (ended(what, attempt), ended_really(attempt));
        let succeeded = attempt.outcome.result == AttemptResult::Succeeded;
        if was != now && !(was == Ended::Success && succeeded) {
            out.push(drift(Why::Ended { run: run.clone(), was, now }));
            continue;
        }
        let changes = changes(what, attempt, fixture.recorded.is_some(), &blobs);
        if !changes.is_empty() {
            out.push(drift(Why::Shape { run: run.clone(), changes }));
        }
    }
    out
}

fn is_http(attempt: &Attempt) -> bool {
    attempt.request.as_ref().is_some_and(|request| matches!(request.probe.action, Action::Http(_)))
}

fn code(code: Option<i64>, attempt: &Attempt) -> Option<Ended> {
    code.map(|code| if is_http(attempt) { Ended::Status(code) } else { Ended::Exit(code) })
}

fn ended(what: &What, attempt: &Attempt) -> Ended {
    match what {
        What::Http { status, .. } => Ended::Status(i64::from(*status)),
        What::Program { exit, .. } => Ended::Exit(i64::from(*exit)),
        What::Outputs { code: given, .. } => code(*given, attempt).unwrap_or(Ended::Success),
        What::Fails(word) => Ended::Fails(word.name()),
        What::Unknown => Ended::Unknown,
    }
}

fn ended_really(attempt: &Attempt) -> Ended {
    let outcome = &attempt.outcome;
    if let Some(fails) = FailWord::of(&outcome.reason) {
        return Ended::Fails(fails.name());
    }
    match (code(outcome.code, attempt), outcome.result) {
        (Some(ended), _) => ended,
        (None, AttemptResult::Succeeded) => Ended::Success,
        (None, _) => Ended::Unknown,
    }
}

/// What has another shape than in the fixture. What a fixture that somebody wrote leaves out, it leaves out.
fn changes(what: &What, attempt: &Attempt, recorded: bool, blobs: &Blobs) -> Vec<Change> {
    let parse = |text: &str| serde_json::from_str(text).ok();
    let found = match what {
        What::Http { body, .. } => {
            // What cannot be read back is for `verify` to say.
            let now = exchanges::body(attempt, blobs).ok().filter(|(_, missing)| missing.is_none());
            let pair = parse(body).zip(now.and_then(|(now, _)| parse(&now)));
            pair.map(|(was, now)| shape::changes(&Shape::of(&was), &Shape::of(&now), ".body"))
        }
        What::Program { stdout, .. } => {
            let pair = parse(stdout).zip(attempt.excerpt("stdout").and_then(|now| parse(&now)));
            pair.map(|(was, now)| shape::changes(&Shape::of(&was), &Shape::of(&now), ".json"))
        }
        What::Outputs { outputs, .. } => {
            let both = outputs.iter().filter_map(|(name, was)| {
                let now = attempt.outcome.outputs.get(name)?.value();
                Some(shape::changes(&Shape::of(was), &Shape::of(&now), name))
            });
            Some(both.flatten().collect())
        }
        What::Fails(_) | What::Unknown => None,
    };
    let mut found = found.unwrap_or_default();
    found.retain(|change| recorded || !change.is_new());
    found
}

impl Drift {
    /// For people: the place and the reason.
    pub fn says(&self, french: bool) -> String {
        let why = self.why.says(french);
        match &self.place {
            Some(place) => format!("{place}: {why}"),
            None => why,
        }
    }
}

impl Why {
    /// The word of it in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Request { .. } => "request",
            Self::Ended { .. } | Self::Shape { .. } => "answer",
            Self::Old { .. } => "old",
        }
    }

    pub fn says(&self, french: bool) -> String {
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        match self {
            Self::Gone => {
                pick("le runbook n'a plus cette étape", "the runbook has no such step any more").to_owned()
            }
            Self::Request { was, now: Some(now) } if was == now => {
                let said = pick(
                    "sa demande a changé depuis (même adresse ou programme)",
                    "its request has changed since (not its address or program)",
                );
                format!("{said}: {was}")
            }
            Self::Request { was, now: Some(now) } => {
                format!(
                    "{} {was}, {} {now}",
                    pick("demandait", "it asked for"),
                    pick("demande maintenant", "and now asks for")
                )
            }
            Self::Request { was, now: None } => {
                format!(
                    "{} {was}, {}",
                    pick("demandait", "it asked for"),
                    pick("et ne demande plus rien", "and now asks for nothing")
                )
            }
            Self::Ended { run, was, now } => {
                let (was, now) = (was.says(french), now.says(french));
                format!(
                    "{} {was}, {} {run} {} {now}",
                    pick("rejoue", "it gives"),
                    pick("l'exécution", "run"),
                    pick("a reçu", "was answered")
                )
            }
            Self::Shape { run, changes } => {
                let mut named: Vec<String> =
                    changes.iter().take(NAMED).map(|change| change.says(french)).collect();
                if changes.len() > NAMED {
                    named.push(format!("… (+{})", changes.len() - NAMED));
                }
                format!(
                    "{} {run} {}: {}",
                    pick("l'exécution", "run"),
                    pick("a reçu une autre forme", "was answered in another shape"),
                    named.join(", ")
                )
            }
            Self::Old { days } => match french {
                true => format!("enregistré il y a {days} jours"),
                false => format!("recorded {days} days ago"),
            },
        }
    }
}

impl Ended {
    fn says(&self, french: bool) -> String {
        let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
        match self {
            Self::Status(code) => format!("{} {code}", pick("statut", "status")),
            Self::Exit(code) => format!("{} {code}", pick("code de sortie", "exit code")),
            Self::Success => pick("un succès", "success").to_owned(),
            Self::Fails(word) => format!("{} ({word})", pick("aucune réponse", "no answer")),
            Self::Unknown => pick("une issue inconnue", "an unknown outcome").to_owned(),
        }
    }
}
