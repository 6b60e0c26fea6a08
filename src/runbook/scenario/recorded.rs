//! What a recorded fixture says about itself: which run it is of, and what the steps asked for when they were answered.

use std::collections::BTreeMap;
use std::fmt;

use super::{FailWord, PARTS, Part, What};
use crate::clock::Timestamp;
use crate::runbook::decode::Reader;
use crate::runbook::yaml::Node;

/// Where a recorded fixture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub run: String,
    /// When that run began.
    pub at: Timestamp,
    /// What was asked for, by step (never one item of a loop) and part.
    pub requests: BTreeMap<(String, Part), Wanted>,
}

/// What a step asks of the outside, as its runbook has it: before anything is rendered, so it holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The beginning of the SHA-256 of everything that makes the request.
    pub digest: String,
    /// For people: `PATCH {{ vars.api }}/tenants/{{ inputs.id }}`.
    pub says: String,
}

/// One HTTP exchange of a HAR file.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The answer id and the part that it was recorded for; none in files of others.
    pub place: Option<(String, Part)>,
    pub method: String,
    pub url: String,
    pub what: What,
    pub takes_ms: Option<u64>,
}

impl Wanted {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (digest, says) = text.split_once(' ')?;
        Some(Self { digest: digest.to_owned(), says: says.to_owned() })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.digest, self.says)
    }
}

impl Part {
    /// As recorded files name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "do",
            Self::First => "first",
            Self::Verify => "verify",
            Self::Undo => "undo",
            Self::PutBack => "put_back",
            Self::OnlyIf => "only_if",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }

    /// A place as people read it: `suspend`, `suspend (verify)`.
    pub fn at(self, id: &str) -> String {
        if self == Self::Own { id.to_owned() } else { format!("{id} ({})", self.name()) }
    }
}

impl FailWord {
    pub fn of(word: &str) -> Option<Self> {
        [Self::Connect, Self::Spawn, Self::Timeout, Self::Reset, Self::Signal]
            .into_iter()
            .find(|known| known.name() == word)
    }
}

/// The step that an answer id is about, whatever item of a loop: `drain:web-01` is `drain`, `list:key/item` `list/item`.
pub fn base_of(id: &str) -> String {
    match id.split_once(':') {
        Some((step, rest)) => match rest.rsplit_once('/') {
            Some((_, item)) => format!("{step}/{item}"),
            None => step.to_owned(),
        },
        None => id.to_owned(),
    }
}

const KEYS: [&str; 3] = ["run", "at", "requests"];

/// As it stands in a file; what is wrong with it is among the problems of the reader.
pub(super) fn of_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Recorded> {
    let (entries, flow) = reader.mapping(node)?;
    let (mut run, mut at, mut requests) = (None, None, BTreeMap::new());
    for (key, value) in entries {
        match &*key.text {
            "run" => run = reader.raw(value, "the id of a run").map(str::to_owned),
            "at" => at = super::instant(value, reader),
            "requests" => requests = of_steps(value, reader),
            _ => reader.foreign_key(key, value, flow, &KEYS, &[]),
        }
    }
    for (name, missing) in [("run", run.is_none()), ("at", at.is_none())] {
        if missing && !entries.iter().any(|(key, _)| key.text == name) {
            reader.missing(node, name);
        }
    }
    Some(Recorded { run: run?, at: at?, requests })
}

fn of_steps(node: &Node<'_>, reader: &mut Reader<'_>) -> BTreeMap<(String, Part), Wanted> {
    let mut out = BTreeMap::new();
    let Some((steps, _)) = reader.mapping(node) else { return out };
    for (id, parts) in steps {
        let Some((parts, flow)) = reader.mapping(parts) else { continue };
        for (key, value) in parts {
            let Some(part) = Part::of(&key.text) else {
                reader.foreign_key(key, value, flow, &PARTS.map(|(name, _)| name), &[]);
                continue;
            };
            let Some(text) = reader.raw(value, "a digest, and what was asked for") else { continue };
            match Wanted::parse(text) {
                Some(wanted) => drop(out.insert((id.text.to_string(), part), wanted)),
                None => {
                    let message = "expected a digest, a blank, and what was asked for";
                    reader.refuse::<()>("bad-value", value.span, message);
                }
            }
        }
    }
    out
}
