//! What the outside said in a run that was real: attempt by attempt, with the values that its directory holds back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::sources::{Asked, Drawn, Imagined, Source};
use crate::core::event::Hidden;
use crate::core::{
    AttemptKey, AttemptRequest, AttemptResult, BlobRef, Event, Fact, Json, Outcome, Role, State,
};
use crate::engine::launch::{self, LaunchError};
use crate::journal::{Entry, Journal};
use crate::plan::{Mode, Plan};
use crate::record::origin::Origin;

/// A place of a run, what an attempt there was for, and the item of a list.
type Key = (String, Role, Option<String>);

/// A real run as a source: for each place its outcomes one after the other, the last one again and again.
pub struct PastRun {
    id: String,
    outcomes: BTreeMap<Key, Vec<Outcome>>,
    drawn: BTreeMap<Key, usize>,
}

/// A run that was real, as its directory tells it.
pub struct Real {
    pub dir: PathBuf,
    pub plan: Plan,
    pub state: State,
    pub entries: Vec<Entry>,
}

impl Real {
    /// # Errors
    /// It cannot be read.
    pub fn read(dir: &Path) -> Result<Self, LaunchError> {
        let entries = Journal::read(dir)?;
        let (plan, _, state) = launch::fold(dir, &entries)?;
        Ok(Self { dir: dir.to_owned(), plan, state, entries })
    }

    /// Something was really done, and it is over.
    pub const fn is_of_use(&self) -> bool {
        !matches!(self.plan.graph.mode, Mode::Rehearsal) && self.state.run.finished.is_some()
    }

    /// Every attempt that ended by itself, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        let mut begun = BTreeMap::new();
        let mut out = Vec::new();
        for event in self.entries.iter().flat_map(|entry| &entry.events) {
            let (Some(step), Some(attempt)) = (&event.step, event.attempt) else { continue };
            let key = AttemptKey { step: step.clone(), item: event.item, attempt };
            if let Fact::AttemptStarted { role, part, .. } = &event.fact {
                let request = event.hidden.0.get("request");
                let request = request.and_then(|text| serde_json::from_str(text).ok());
                begun.insert(key, (*role, part.clone(), request));
            } else if let Some(outcome) = outcome(event)
                && let Some((role, part, request)) = begun.remove(&key)
            {
                let place = self.state.find_item(step, event.item);
                let label = place.map_or_else(|| step.clone(), |(at, _)| self.state.shape().label(at));
                let hidden = event.hidden.clone();
                out.push(Attempt { label, role, part, request, outcome, hidden });
            }
        }
        out
    }
}

/// An attempt of a real run.
pub struct Attempt {
    /// As people call its place.
    pub label: String,
    pub role: Role,
    pub part: Option<String>,
    /// As it was sent, secrets by their names.
    pub request: Option<AttemptRequest>,
    /// How it ended; without what was held back of the answer itself.
    pub outcome: Outcome,
    hidden: Hidden,
}

impl Attempt {
    /// The beginning of what was answered or printed, masked when it came: `body`, `headers`, `stdout`.
    pub fn excerpt(&self, name: &str) -> Option<String> {
        self.hidden.text(&format!("excerpt.{name}"))
    }

    /// What is kept of it beside the journal, where it is longer than an excerpt.
    pub fn blob(&self, name: &str) -> Option<BlobRef> {
        self.hidden.blobs().remove(name)
    }
}

/// How an attempt ended, as far as the journal knows. One that was told to stop says nothing about the outside.
fn outcome(event: &Event) -> Option<Outcome> {
    let Fact::AttemptFinished {
        result, reason, class, code, retry_after_ms, started, finished, outputs, ..
    } = &event.fact
    else {
        return None;
    };
    if *result == AttemptResult::Cancelled {
        return None;
    }
    let public = outputs.iter().map(|(name, text)| (name.clone(), text.clone()));
    let hidden = event.hidden.0.iter();
    let hidden =
        hidden.filter_map(|(name, text)| Some((name.strip_prefix("output.")?.to_owned(), text.clone())));
    let values = public.chain(hidden).filter_map(|(name, text)| Some((name, Json::parse(&text).ok()?)));
    Some(Outcome {
        class: *class,
        code: *code,
        retry_after_ms: *retry_after_ms,
        outputs: values.collect(),
        started: *started,
        finished: *finished,
        ..Outcome::bare(*result, reason, *started)
    })
}

impl PastRun {
    pub fn new(real: &Real) -> Self {
        let mut outcomes: BTreeMap<Key, Vec<Outcome>> = BTreeMap::new();
        for Attempt { label, role, part, outcome, .. } in real.attempts() {
            outcomes.entry((label, role, part)).or_default().push(outcome);
        }
        Self { id: real.state.run.id.clone(), outcomes, drawn: BTreeMap::new() }
    }
}

impl Source for PastRun {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let AttemptRequest { role, part, .. } = asked.request;
        let key = (asked.label.to_owned(), *role, part.clone());
        let all = self.outcomes.get(&key)?;
        let drawn = self.drawn.entry(key).or_default();
        let outcome = all.get(*drawn).or_else(|| all.last())?.clone();
        *drawn += 1;
        let takes_ms = outcome.finished.since(outcome.started);
        let origin = Origin::Run(self.id.clone());
        Some(Drawn { imagined: Imagined::Ended(Box::new(outcome)), takes_ms, origin })
    }
}
