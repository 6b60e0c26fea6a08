//! Deciding: one input in, the events it causes out, or a refusal that explains itself.
//!
//! An input is first *admitted* against the unchanged state, and can be refused only there; what is admitted is then
//! carried out, each event through `State::apply`. So nothing ever has to be rolled back, and a refused input leaves
//! no trace. After the input's own events, `advance` decides everything that follows from the state as it is now,
//! whatever led to it: a crash, a resume and an ordinary completion take the same way.

mod advance;
mod answer;
mod asks;
mod attempts;
mod choose;
mod compound;
mod ending;
mod entitled;
mod exhibit;
mod form;
mod guards;
mod needed;
mod read_back;

pub use answer::{choices, decision};
pub use asks::Shown;
pub use choose::{Choosable, listed, picked};
pub use exhibit::{Exhibit, exhibited};
pub use needed::{given_by, needed_outputs, needed_secrets};
pub use read_back::expected;

use std::collections::BTreeMap;

use super::event::{Actor, Ended, Event, Fact, Hidden};
use super::input::{Begin, Input, JournalInput};
use super::state::{Phase, State};
use crate::clock::Timestamp;
use crate::plan::{Plan, SEMANTICS, StepValues};

/// Backward steps of the clock below this many milliseconds are jitter, not news.
const CLOCK_NEWS_MS: u64 = 1_000;

/// A request that cannot be met, explained for the person who made it. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Stable code, such as `not-entitled`.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Refused {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The events of one entry. Empty: the input was stale, and there is nothing to write.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Decided {
    /// The time of the entry: never earlier than the entry before.
    pub at: Timestamp,
    pub events: Vec<Event>,
}

/// Decides about one input and takes the events into `state`.
///
/// # Errors
/// The input is refused; the state is as before.
///
/// # Panics
/// On a bug in the core: an event that the state finds illegal. Resuming from the journal is safe.
pub fn decide(plan: &Plan, state: &mut State, now: Timestamp, input: Input) -> Result<Decided, Refused> {
    let last = state.run.last_at;
    let admitted = admit(plan, state, now.max(last), input)?;
    let mut draft = Draft { plan, at: now.max(last), state, events: Vec::new() };
    let quiet = matches!(admitted, Admitted::Stale);
    draft.carry_out(admitted);
    if !quiet {
        draft.advance();
    }
    let Draft { at, mut events, .. } = draft;
    let back_ms = last.since(now);
    if !events.is_empty() && back_ms >= CLOCK_NEWS_MS {
        events.insert(0, Event::of_run(Fact::ClockStepped { back_ms }));
    }
    Ok(Decided { at, events })
}

/// An input that will be carried out.
enum Admitted {
    /// It says nothing new.
    Stale,
    Input(Box<Input>),
    Answer(Box<answer::Admitted>),
}

fn admit(plan: &Plan, state: &State, at: Timestamp, input: Input) -> Result<Admitted, Refused> {
    let phase = state.phase();
    let over = || Refused::new("run-over", "the run is over");
    match input {
        Input::Begin(_) if phase != Phase::New => {
            Err(Refused::new("already-started", "the run has started already"))
        }
        Input::Begin(_) => Ok(Admitted::Input(Box::new(input))),
        Input::Journal(JournalInput::Sealed) if state.run.sealed => Ok(Admitted::Stale),
        Input::Journal(JournalInput::Sealed) if phase != Phase::Finished => {
            Err(Refused::new("unfinished", "the run is not finished"))
        }
        Input::Journal(_) if state.run.sealed => Ok(Admitted::Stale),
        _ if phase == Phase::New => Err(Refused::new("not-started", "the run has not started")),
        Input::Journal(JournalInput::Attested { ask, .. })
            if state.ask(ask).is_none_or(|ask| ask.attested.len() >= ask.answers.len()) =>
        {
            Ok(Admitted::Stale)
        }
        Input::Finished { ref key, .. } => {
            let running = state.find_item(&key.step, key.item);
            let running = running.and_then(|(at, _)| state.running_key(at));
            Ok(if running.as_ref() == Some(key) { Admitted::Input(Box::new(input)) } else { Admitted::Stale })
        }
        Input::Tick if phase == Phase::Finished => Ok(Admitted::Stale),
        Input::Answer(answer) => Ok(match answer::admit(plan, state, at, *answer)? {
            Some(admitted) => Admitted::Answer(Box::new(admitted)),
            None => Admitted::Stale,
        }),
        Input::Pause { stop, .. } => match (phase, &state.run.paused) {
            (Phase::Finished, _) => Err(over()),
            (_, Some(paused)) if paused.stop || !stop => Ok(Admitted::Stale),
            _ => Ok(Admitted::Input(Box::new(input))),
        },
        Input::Cancel { .. } => match (phase, &state.run.ending) {
            (Phase::Finished, _) => Err(over()),
            (_, Some(_)) => Err(Refused::new("ending-already", "the run is ending already")
                .hint("reversals and `finally` still run; `show` says what it waits for")),
            _ => Ok(Admitted::Input(Box::new(input))),
        },
        Input::Resume { .. } if phase == Phase::Finished => Err(over()),
        Input::Note { .. } if state.run.sealed => Err(over()),
        Input::Resume { .. } | Input::Note { .. } | Input::Tick | Input::Journal(_) => {
            Ok(Admitted::Input(Box::new(input)))
        }
    }
}

/// Events in the making: each is taken into the state as it is emitted.
struct Draft<'a> {
    plan: &'a Plan,
    state: &'a mut State,
    at: Timestamp,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    fn emit(&mut self, event: Event) {
        if let Err(illegal) = self.state.apply(self.at, &event) {
            panic!("bug in the core: {illegal}; the journal is sound, resume the run");
        }
        self.events.push(event);
    }

    fn emit_run(&mut self, fact: Fact) {
        self.emit(Event::of_run(fact));
    }

    fn emit_step(&mut self, step: usize, fact: Fact) {
        let event = self.about(step, fact);
        self.emit(event);
    }

    /// An event about a step, or about one item of it.
    fn about(&self, step: usize, fact: Fact) -> Event {
        let shape = self.state.shape();
        Event { item: shape.item(step), ..Event::of_step(&shape.written(step).id, fact) }
    }

    fn values(&self, step: usize) -> Option<&'a StepValues> {
        self.state.values(self.plan, step)
    }

    fn name(&self, step: usize) -> String {
        self.state.shape().node(step).id.clone()
    }

    fn carry_out(&mut self, admitted: Admitted) {
        match admitted {
            Admitted::Stale => {}
            Admitted::Answer(answer) => self.answer(*answer),
            Admitted::Input(input) => match *input {
                Input::Begin(begin) => self.begin(begin),
                Input::Resume { actor, attended, tool, end } => self.resume(actor, attended, tool, end),
                Input::Finished { key, outcome } => self.finished(&key, *outcome),
                Input::Note { actor, text } => {
                    let mut event = Event::of_run(Fact::NoteRecorded {}).by(actor);
                    event.hidden.put_text("text", &text);
                    self.emit(event);
                }
                Input::Pause { actor, reason, stop } => {
                    self.emit(Event::of_run(Fact::RunPaused { reason, stop }).by(actor));
                }
                Input::Cancel { actor, reason } => {
                    self.end_run(Ended::Cancelled, "cancelled", false, true, Some((actor, reason)));
                }
                Input::Journal(input) => self.journal(input),
                Input::Answer(_) | Input::Tick => {}
            },
        }
    }

    fn begin(&mut self, begin: Begin) {
        let graph = &self.plan.graph;
        let fact = Fact::RunStarted {
            semantics: SEMANTICS,
            mode: graph.mode,
            runbook: graph.runbook.clone(),
            environment: graph.environment.clone(),
            plan: begin.plan,
            tool: begin.tool,
            lang: begin.lang,
            template: begin.template,
            attended: begin.attended,
            executor: begin.executor,
        };
        self.emit(Event::of_run(fact).by(begin.actor));
    }

    fn resume(&mut self, actor: Actor, attended: bool, tool: String, end: Option<String>) {
        let cut_off: Vec<usize> = self.state.derived().in_flight.iter().copied().collect();
        for step in cut_off {
            let attempt = self.state.step(step).running.as_ref().map(|running| running.attempt);
            let event = self.about(step, Fact::AttemptInterrupted {});
            self.emit(Event { attempt, ..event });
        }
        self.emit(Event::of_run(Fact::RunResumed { attended, tool }).by(actor.clone()));
        if let Some(reason) = end.filter(|_| self.state.run.ending.is_none()) {
            return self.end_run(Ended::Cancelled, "cancelled", false, true, Some((actor, reason)));
        }
        // What was asked while somebody was there may have a declared answer now that nobody is.
        let open = self.state.open_asks().filter(|ask| entitled::is_own(ask.kind));
        let open: Vec<(usize, u32)> = open.map(|ask| (ask.step, ask.id)).collect();
        for (step, ask) in open {
            self.answer_by_policy(step, ask);
        }
    }

    fn journal(&mut self, input: JournalInput) {
        match input {
            JournalInput::Recovered { bytes, sha256 } => {
                self.emit_run(Fact::JournalRecovered { bytes, sha256 })
            }
            JournalInput::Sealed => self.emit_run(Fact::RunSealed {}),
            JournalInput::Exported { size, head } => self.emit_run(Fact::JournalExported { size, head }),
            JournalInput::Attested { ask, file, sha256, signer, personal } => {
                self.emit_run(Fact::ApprovalAttested { ask, file, sha256, signer, personal });
            }
        }
    }
}

impl Event {
    /// An event about the run as a whole.
    pub fn of_run(fact: Fact) -> Self {
        Self { step: None, item: None, attempt: None, actor: None, fact, hidden: Hidden(BTreeMap::new()) }
    }

    pub fn of_step(step: &str, fact: Fact) -> Self {
        Self { step: Some(step.to_owned()), ..Self::of_run(fact) }
    }

    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }
}

impl Hidden {
    pub fn put_text(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), serde_json::Value::from(text).to_string());
    }

    pub fn put(&mut self, name: &str, value: &impl serde::Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.0.insert(name.to_owned(), text);
        }
    }
}
