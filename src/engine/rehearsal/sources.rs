//! What the outside says in a rehearsal: sources, asked one after the other until one knows.
//!
//! A [`Source`] is asked once for each call of an attempt, in the order in which a rehearsal makes them. What it knows
//! nothing about it leaves to the next one; the last one makes something up. Faults are a source in front of all others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::core::{AttemptRequest, Outcome, Role};
use crate::record::origin::Origin;
use crate::runbook::scenario::{FailWord, Part, Scenario, Told, What};
use crate::runner::{Failing, Reply};

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
}

impl Asked<'_> {
    /// The ids under which an answer may stand, the narrower one first.
    pub fn ids(self) -> Vec<String> {
        let base = self.request.key.step.as_str();
        let of = |step: &str| match (self.request.role, &self.request.part) {
            (Role::Item, Some(item)) => format!("{step}/{item}"),
            _ => step.to_owned(),
        };
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

/// A scenario or a fixture: for each place its outcomes one after the other, the last one again and again.
pub struct Written {
    steps: BTreeMap<String, BTreeMap<Part, Vec<Told>>>,
    origin: Origin,
    /// How many were drawn, by id in the file, place and part.
    drawn: BTreeMap<(String, String, Part), usize>,
    used: BTreeSet<(String, Part)>,
}

impl Written {
    pub fn new(scenario: &Scenario, origin: Origin) -> Self {
        let steps = scenario.steps.iter().map(|(id, step)| (id.clone(), step.parts.clone())).collect();
        Self { steps, origin, drawn: BTreeMap::new(), used: BTreeSet::new() }
    }
}

impl Source for Written {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let part = asked.part();
        let (id, told) = asked.ids().into_iter().find_map(|id| {
            let told = self.steps.get(&id)?.get(&part)?;
            (!told.is_empty()).then_some((id, told))
        })?;
        let item = asked.request.part.as_deref().unwrap_or_default();
        let drawn = self.drawn.entry((id.clone(), format!("{}/{item}", asked.label), part)).or_default();
        let one = told.get(*drawn).or_else(|| told.last())?;
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
        unused
            .map(|(id, part)| match part {
                Part::Own => id.clone(),
                Part::First => format!("{id} (first)"),
                Part::Verify => format!("{id} (verify)"),
                Part::Undo => format!("{id} (undo)"),
                Part::PutBack => format!("{id} (put_back)"),
                Part::OnlyIf => format!("{id} (only_if)"),
            })
            .collect()
    }
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
