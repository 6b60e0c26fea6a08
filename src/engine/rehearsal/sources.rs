//! What the outside says in a rehearsal: sources, asked one after the other until one knows.
//!
//! A [`Source`] is asked once for each call of an attempt, in the order in which a rehearsal makes them. What it knows
//! nothing about it leaves to the next one; the last one makes something up. Faults are a source in front of all others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::draft::Draft;
use super::exchanges;
use super::matching::Target;
use crate::core::{AttemptRequest, Outcome, Role};
use crate::plan::Action;
use crate::record::origin::Origin;
use crate::runbook::scenario::{Exchange, FailWord, Part, Scenario, Told, What};
use crate::runner::{Failing, MASK, Reply, invented_text};

/// How long a call takes where nobody says so.
pub const TAKES_MS: u64 = 100;

/// One call of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How people call the place: `isolate:acme-42`.
    pub label: &'a str,
    pub request: &'a AttemptRequest,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Imagined {
    /// To be judged.
    Reply(Reply),
    /// It succeeds, with these outputs and this status or exit code.
    Outputs { outputs: BTreeMap<String, Value>, code: Option<i64> },
    /// How it ended once, its outputs included.
    Ended(Box<Outcome>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    pub imagined: Imagined,
    pub takes_ms: u64,
    pub origin: Origin,
}

/// Somebody who may know what a call is answered.
pub trait Source: Send {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn>;

    /// What it had to say and nobody asked about, for people.
    fn unused(&self) -> Vec<String> {
        Vec::new()
    }

    /// What there is to say about it in the record.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Asked<'_> {
    /// The ids under which an answer may stand, the narrower one first.
    pub fn ids(self) -> Vec<String> {
        let base = self.request.key.step.as_str();
        let of = |step: &str| place_of(step, self.request.role, self.request.part.as_deref()).0;
        let mut ids = vec![of(self.label)];
        if self.label != base {
            ids.push(of(base));
        }
        ids
    }

    pub const fn part(self) -> Part {
        part_of(self.request.role)
    }
}

/// What of a step an attempt is.
pub(super) const fn part_of(role: Role) -> Part {
    match role {
        Role::Do | Role::Item | Role::Guard => Part::Own,
        Role::First => Part::First,
        Role::Verify => Part::Verify,
        Role::Undo => Part::Undo,
        Role::PutBack => Part::PutBack,
        Role::OnlyIf => Part::OnlyIf,
    }
}

/// The id and the part under which the answer to an attempt stands in a file.
pub fn place_of(label: &str, role: Role, part: Option<&str>) -> (String, Part) {
    let id = match (role, part) {
        (Role::Item, Some(item)) => format!("{label}/{item}"),
        _ => label.to_owned(),
    };
    (id, part_of(role))
}

/// A scenario or a fixture: for each place its outcomes one after the other, the last one again and again.
pub struct Written {
    steps: BTreeMap<String, BTreeMap<Part, Vec<Told>>>,
    exchanges: Vec<Exchange>,
    /// What each exchange is about.
    targets: Vec<Target>,
    /// Hosts that the exchanges know.
    hosts: BTreeSet<String>,
    origin: Origin,
    notes: Vec<String>,
    /// How many were drawn, by id in the file, place and part.
    drawn: BTreeMap<(String, String, Part), usize>,
    used: BTreeSet<(String, Part)>,
    /// How many were drawn of the exchanges that fit one request.
    given: BTreeMap<(Vec<usize>, String), usize>,
    used_exchanges: BTreeSet<usize>,
}

impl Written {
    pub fn new(scenario: &Scenario, origin: Origin) -> Self {
        let steps = scenario.steps.iter().map(|(id, step)| (id.clone(), step.parts.clone())).collect();
        let exchanges = scenario.exchanges.clone();
        let targets: Vec<Target> =
            exchanges.iter().map(|exchange| Target::of(&exchange.method, &exchange.url)).collect();
        let hosts = targets.iter().map(|target| target.origin().to_owned()).collect();
        Self {
            steps,
            exchanges,
            targets,
            hosts,
            origin,
            notes: Vec::new(),
            drawn: BTreeMap::new(),
            used: BTreeSet::new(),
            given: BTreeMap::new(),
            used_exchanges: BTreeSet::new(),
        }
    }

    /// The same, with what there is to say about it in the record.
    #[must_use]
    pub fn noting(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// What a call is answered in the end, when it is asked for often enough.
    pub fn last(&self, asked: Asked<'_>) -> Option<&What> {
        if let Some((_, told)) = self.told(asked) {
            return told.last().map(|told| &told.what);
        }
        self.fitting(asked).last().map(|at| &self.exchanges[*at].what)
    }

    /// The outcomes of the place, and the id under which they stand.
    fn told(&self, asked: Asked<'_>) -> Option<(String, &Vec<Told>)> {
        asked.ids().into_iter().find_map(|id| {
            let told = self.steps.get(&id)?.get(&asked.part())?;
            (!told.is_empty()).then_some((id, told))
        })
    }

    /// The exchanges for a call, in their order. Those that say which place they are of are for that place alone: the
    /// ones that are about the same request, else (other inputs make another address) all of them. The others are for
    /// whoever sends the same request.
    fn fitting(&self, asked: Asked<'_>) -> Vec<usize> {
        let Action::Http(call) = &asked.request.probe.action else { return Vec::new() };
        if self.exchanges.is_empty() {
            return Vec::new();
        }
        let target = Target::of(&call.method, &exchanges::url(call));
        let fits = |at: &usize| target.fits(&self.targets[*at], &self.hosts);
        for id in asked.ids() {
            let place = Some((id, asked.part()));
            let of_place = |at: &usize| self.exchanges[*at].place == place;
            let all: Vec<usize> = (0..self.exchanges.len()).filter(of_place).collect();
            let same: Vec<usize> = all.iter().copied().filter(fits).collect();
            if !all.is_empty() {
                return if same.is_empty() { all } else { same };
            }
        }
        let anybodys = |at: &usize| self.exchanges[*at].place.is_none();
        (0..self.exchanges.len()).filter(anybodys).filter(fits).collect()
    }

    fn exchange(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let fitting = self.fitting(asked);
        let of_place = fitting.first().is_some_and(|at| self.exchanges[*at].place.is_some());
        let whose = if of_place { asked.label.to_owned() } else { String::new() };
        let last = *fitting.last()?;
        let given = self.given.entry((fitting.clone(), whose)).or_default();
        let at = fitting.get(*given).copied().unwrap_or(last);
        *given += 1;
        self.used_exchanges.insert(at);
        let exchange = &self.exchanges[at];
        let what = with_secrets(&exchange.what, asked);
        let takes_ms = exchange.takes_ms.unwrap_or(TAKES_MS);
        Some(Drawn { imagined: imagined(&what), takes_ms, origin: self.origin.clone() })
    }
}

impl Source for Written {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let part = asked.part();
        let Some((id, last)) = self.told(asked).map(|(id, told)| (id, told.len() - 1)) else {
            return self.exchange(asked);
        };
        let item = asked.request.part.as_deref().unwrap_or_default();
        let drawn = self.drawn.entry((id.clone(), format!("{}/{item}", asked.label), part)).or_default();
        let one = &self.steps[&id][&part][last.min(*drawn)];
        *drawn += 1;
        let out = Drawn {
            imagined: imagined(&one.what),
            takes_ms: one.takes_ms.unwrap_or(TAKES_MS),
            origin: self.origin.clone(),
        };
        self.used.insert((id, part));
        Some(out)
    }

    fn unused(&self) -> Vec<String> {
        let parts = self.steps.iter().flat_map(|(id, parts)| parts.keys().map(move |part| (id, *part)));
        let unused = parts.filter(|(id, part)| !self.used.contains(&((*id).clone(), *part)));
        let mut out: Vec<String> = unused.map(|(id, part)| part.at(id)).collect();
        for (at, exchange) in self.exchanges.iter().enumerate() {
            if !self.used_exchanges.contains(&at) {
                let place = exchange.place.as_ref().map(|(id, part)| part.at(id));
                out.push(place.unwrap_or_else(|| self.targets[at].shown()));
            }
        }
        out
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// Nobody has the secrets that were born in another run: where they were struck out, invented ones stand.
fn with_secrets(what: &What, asked: Asked<'_>) -> What {
    let secrets = &asked.request.probe.accept.secrets;
    let What::Http { status, headers, body } = what else { return what.clone() };
    let Some(json) = serde_json::from_str(body).ok().filter(|_| !secrets.is_empty()) else {
        return what.clone();
    };
    let mut draft = Draft::of_body(json);
    for (name, filter) in secrets {
        if draft.get(filter).is_none_or(|found| found == MASK) {
            draft.put(filter, Value::from(invented_text(&asked.request.key.step, name)));
        }
    }
    What::Http { status: *status, headers: headers.clone(), body: draft.body() }
}

fn imagined(what: &What) -> Imagined {
    match what.clone() {
        What::Http { status, headers, body } => Imagined::Reply(Reply::Http { status, headers, body }),
        What::Program { exit, stdout, stderr } => Imagined::Reply(Reply::Program { exit, stdout, stderr }),
        What::Outputs { outputs, code } => Imagined::Outputs { outputs, code },
        What::Fails(word) => Imagined::Reply(Reply::Trouble(failing(word))),
        What::Unknown => Imagined::Reply(Reply::Trouble(Failing::Unknown)),
    }
}

const fn failing(word: FailWord) -> Failing {
    match word {
        FailWord::Connect => Failing::Connect,
        FailWord::Spawn => Failing::Spawn,
        FailWord::Timeout => Failing::Timeout,
        FailWord::Reset => Failing::Reset,
        FailWord::Signal => Failing::Signal,
    }
}
