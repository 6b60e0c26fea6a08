//! The world of a rehearsal: attempts end as the sources say, every entry is written down before anything it enables
//! begins, and nothing outside of the run's folder is touched. Only reads that were asked for are done for real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;

use super::beyond::left;
use super::faults::{CLOCK_STEP_MS, Fault, FaultKind, Faults};
use super::placeholder::Placeholders;
use super::sources::{Asked, Drawn, Imagined, Source};
use crate::clock::{Clock, Timestamp, VirtualClock};
use crate::core::{
    Actor, Answer, AttemptKey, AttemptRequest, AttemptResult, Decided, Event, Fact, Input, Json, Outcome,
    Role, State,
};
use crate::engine::book::{Book, BookError};
use crate::engine::narrate;
use crate::engine::sim::World;
use crate::operator::Operator;
use crate::plan::{Effect, Plan};
use crate::record::origin::{Origin, Origins};
use crate::runner::{CancelToken, Failing, Reply, RunContext, Runners, TailSink, Teller, simulate, succeed};

/// What makes an attempt of a rehearsal end.
pub struct Cast {
    /// What goes wrong: asked before all others.
    pub faults: Faults,
    /// Asked one after the other.
    pub sources: Vec<Box<dyn Source>>,
    /// Asked when none of them knows.
    pub placeholders: Placeholders,
    /// Reads are done for real.
    pub live: Option<Runners>,
}

/// The world of a rehearsal, and the book of its run.
pub struct Stage {
    pub(super) book: Book,
    pub(super) operator: Box<dyn Operator>,
    /// What keeps anything from being written down: nothing starts any more.
    pub(super) broken: Option<BookError>,
    /// The fault by which the process has died: nothing is written down or starts any more.
    pub(super) crashed: Option<Fault>,
    /// The fault that sets the clock, and by how much.
    pub(super) clock_step: Option<(Fault, i64)>,
    pub(super) cast: Mutex<Cast>,
    /// Its clock is the attempts' own: each begins at the time of the run.
    context: RunContext,
    pub(super) attempts: Arc<VirtualClock>,
    clock: Arc<VirtualClock>,
    runtime: Runtime,
    due: Vec<Input>,
    /// What attempts that are under way would leave, for people.
    leaves: BTreeMap<AttemptKey, String>,
    /// How people call the places of attempts that are to start.
    labels: BTreeMap<AttemptKey, String>,
    reads: BTreeMap<AttemptKey, bool>,
}

/// Answers the calls of one attempt.
struct Prompter<'a> {
    cast: &'a Mutex<Cast>,
    label: &'a str,
    /// Drawn already.
    first: Mutex<Option<(Reply, u64)>>,
}

impl Stage {
    pub(super) fn new(
        (book, operator): (Book, Box<dyn Operator>),
        cast: Cast,
        (context, attempts): (RunContext, Arc<VirtualClock>),
        clock: Arc<VirtualClock>,
        runtime: Runtime,
    ) -> Self {
        Self {
            book,
            operator,
            broken: None,
            crashed: None,
            clock_step: None,
            cast: Mutex::new(cast),
            context,
            attempts,
            clock,
            runtime,
            due: Vec::new(),
            leaves: BTreeMap::new(),
            labels: BTreeMap::new(),
            reads: BTreeMap::new(),
        }
    }

    /// Waits for something from outside.
    pub(super) fn wait<T>(&self, something: impl Future<Output = T>) -> T {
        self.runtime.block_on(something)
    }

    /// What the sources had to say and nobody asked about.
    pub(super) fn unused(&self) -> Vec<String> {
        let cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner);
        cast.sources.iter().flat_map(|source| source.unused()).collect()
    }

    /// What there is to say in the record about the sources.
    pub(super) fn notes(&self) -> Vec<String> {
        let cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner);
        cast.sources.iter().flat_map(|source| source.notes()).collect()
    }

    /// The faults, and whether they came to pass.
    pub(super) fn faults(&self) -> Vec<(Fault, bool)> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).faults.came()
    }

    /// Whether a question meets a fault of that kind.
    pub(super) fn meets(&self, state: &State, ask: u32, kind: FaultKind) -> bool {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).faults.meets(state, ask, kind)
    }

    /// A fault that came to pass before.
    pub(super) fn recall_fault(&self, note: &str) {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).faults.recall(note);
    }

    fn strikes(&self, state: &State, entry: &Decided, kinds: &[FaultKind]) -> Option<Fault> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).faults.strikes(state, entry, kinds)
    }

    pub(super) fn clock(&self) -> Arc<VirtualClock> {
        self.clock.clone()
    }

    /// A new process knows nothing of what the dead one was about to do.
    pub(super) fn forget(&mut self) {
        self.due.clear();
        self.leaves.clear();
        self.labels.clear();
        self.reads.clear();
    }

    pub(super) fn context(&self) -> &RunContext {
        &self.context
    }

    /// One attempt, to its end.
    pub(super) fn perform(&self, label: &str, request: &AttemptRequest) -> Outcome {
        let asked = Asked { label, request };
        let live = {
            let cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner);
            let read = request.role == Role::Do && request.effect == Effect::Read;
            cast.live.as_ref().filter(|_| read).map(|runners| {
                let done =
                    runners.run(request.clone(), &self.context, CancelToken::never(), TailSink::none());
                self.runtime.block_on(done)
            })
        };
        if let Some(outcome) = live {
            return Outcome { worker: Origins::of(Origin::Live).to_string(), ..outcome };
        }
        let Drawn { imagined, takes_ms, origin } = draw(&self.cast, asked);
        let outcome = match imagined {
            Imagined::Reply(reply) => {
                let first = Mutex::new(Some((reply, takes_ms)));
                let prompter = Prompter { cast: &self.cast, label, first };
                let outcome = self.runtime.block_on(simulate(&prompter, request, &self.context));
                if origin == Origin::Placeholder && outcome.result != AttemptResult::Succeeded {
                    // Nothing was found that the step would take: then it simply succeeds.
                    return self.outputs(asked, BTreeMap::new(), takes_ms, Origin::Placeholder);
                }
                outcome
            }
            Imagined::Outputs { outputs, code } => {
                return Outcome { code, ..self.outputs(asked, outputs, takes_ms, origin) };
            }
            Imagined::Ended(outcome) => return self.ended(asked, *outcome, takes_ms, origin),
        };
        Outcome { worker: Origins::of(origin).to_string(), ..outcome }
    }

    /// A success with these outputs; what is missing of them is made up.
    fn outputs(
        &self,
        asked: Asked<'_>,
        given: BTreeMap<String, serde_json::Value>,
        takes_ms: u64,
        origin: Origin,
    ) -> Outcome {
        let mut origins = Origins::of(origin);
        let mut outputs = self.made_up(asked);
        for name in outputs.keys().filter(|name| !given.contains_key(*name)) {
            // What a probe gives besides its word is used by nobody.
            let used = matches!(asked.request.role, Role::Do | Role::First | Role::Verify);
            if origins.whole != Origin::Placeholder && used {
                origins.outputs.insert(name.clone(), Origin::Placeholder);
            }
        }
        outputs.extend(given);
        let made = self.runtime.block_on(succeed(asked.request, &self.context, outputs, takes_ms));
        let outcome = made.unwrap_or_else(|why| {
            let mut failed = Outcome::bare(AttemptResult::Failed, "seal", self.context.clock.now());
            failed.excerpts.insert("error".to_owned(), why);
            failed
        });
        Outcome { worker: origins.to_string(), ..outcome }
    }

    /// As it ended once. Outputs that it did not give then are made up.
    fn ended(&self, asked: Asked<'_>, then: Outcome, takes_ms: u64, origin: Origin) -> Outcome {
        if then.result == AttemptResult::Succeeded {
            let given = then.outputs.iter().map(|(name, json)| (name.clone(), json.value()));
            let now = self.outputs(asked, given.collect(), takes_ms, origin);
            // The spelling of its numbers is kept.
            let declared = &asked.request.probe.accept.outputs;
            let kept = then.outputs.into_iter().filter(|(name, _)| declared.contains_key(name));
            let outputs = now.outputs.clone().into_iter().chain(kept).collect::<BTreeMap<String, Json>>();
            return Outcome { reason: then.reason, code: then.code, outputs, ..now };
        }
        let started = self.context.clock.now();
        self.attempts.advance(takes_ms);
        Outcome {
            started,
            finished: self.context.clock.now(),
            outputs: BTreeMap::new(),
            worker: Origins::of(origin).to_string(),
            ..then
        }
    }

    fn made_up(&self, asked: Asked<'_>) -> BTreeMap<String, serde_json::Value> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).placeholders.outputs(asked)
    }
}

/// What an attempt was asked to do.
pub(super) fn requested(event: &Event) -> Option<AttemptRequest> {
    serde_json::from_str(event.hidden.0.get("request")?).ok()
}

fn draw(cast: &Mutex<Cast>, asked: Asked<'_>) -> Drawn {
    let mut cast = cast.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = cast.faults.draw(asked);
    let found = fault.or_else(|| cast.sources.iter_mut().find_map(|source| source.draw(asked)));
    found.or_else(|| cast.placeholders.draw(asked)).unwrap_or_else(|| Drawn {
        imagined: Imagined::Outputs { outputs: BTreeMap::new(), code: None },
        takes_ms: 0,
        origin: Origin::Placeholder,
    })
}

impl Teller for Prompter<'_> {
    fn tell(&self, request: &AttemptRequest) -> (Reply, u64) {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(first) = first {
            return first;
        }
        let drawn = draw(self.cast, Asked { label: self.label, request });
        match drawn.imagined {
            Imagined::Reply(reply) => (reply, drawn.takes_ms),
            // In the middle of a poll there is an answer or none.
            Imagined::Outputs { .. } | Imagined::Ended(_) => {
                (Reply::Trouble(Failing::Unknown), drawn.takes_ms)
            }
        }
    }
}

impl World for Stage {
    fn start(&mut self, request: &AttemptRequest, now: Timestamp) -> Option<(u64, Outcome)> {
        if self.broken.is_some() || self.crashed.is_some() {
            return None;
        }
        let label = self.labels.remove(&request.key).unwrap_or_else(|| request.key.step.clone());
        let past = self.attempts.now();
        self.attempts.step(now.millis().saturating_sub(past.millis()));
        let outcome = self.perform(&label, request);
        let read = request.role.is_probe() || request.effect == Effect::Read;
        self.reads.insert(request.key.clone(), read);
        Some((self.attempts.now().since(now), outcome))
    }

    fn stop(&mut self, key: &AttemptKey, now: Timestamp) -> (u64, Outcome) {
        let read = self.reads.get(key).copied().unwrap_or(false);
        let result = if read { AttemptResult::Cancelled } else { AttemptResult::Unknown };
        (0, Outcome { worker: "local".to_owned(), ..Outcome::bare(result, "cancelled", now) })
    }

    fn asked(&mut self, _: &Plan, _: &State, _: u32, _: Timestamp) -> Vec<(u64, Answer)> {
        // The board shows it; whoever answers does so when he does.
        Vec::new()
    }

    fn entered(&mut self, plan: &Plan, state: &State, entry: &Decided) {
        if self.broken.is_some() || self.crashed.is_some() {
            return;
        }
        self.crashed = self.strikes(state, entry, &[FaultKind::CrashBefore]);
        if self.crashed.is_some() {
            return;
        }
        self.clock.advance_to(entry.at);
        for event in &entry.events {
            let (Some(step), Some(attempt)) = (&event.step, event.attempt) else { continue };
            let key = AttemptKey { step: step.clone(), item: event.item, attempt };
            match &event.fact {
                Fact::AttemptStarted { .. } => {
                    if let Some((at, _)) = state.find_item(step, event.item) {
                        let label = state.shape().label(at);
                        let leaves = !state.shape().node(at).artifacts.is_empty();
                        let request = leaves.then(|| requested(event)).flatten();
                        let left = request.and_then(|request| left(&label, &request));
                        self.leaves.extend(left.map(|left| (key.clone(), left)));
                        self.labels.insert(key, label);
                    }
                }
                Fact::AttemptFinished { result, .. } => {
                    self.reads.remove(&key);
                    let left = self.leaves.remove(&key).filter(|_| *result == AttemptResult::Succeeded);
                    let note = |text| Input::Note { actor: Actor::executor(), text };
                    self.due.extend(left.map(note));
                }
                _ => {}
            }
        }
        let operator = &mut self.operator;
        let put = self.book.put(state, vec![entry.clone()], &mut |state, event| {
            if let Some(line) = narrate::line(plan, state, event) {
                operator.say(&line);
            }
        });
        match put {
            Ok(due) => self.due.extend(due),
            Err(error) => self.broken = Some(error),
        }
        self.crashed = self.strikes(state, entry, &[FaultKind::CrashAfter]);
        let clock = self.strikes(state, entry, &[FaultKind::ClockForward, FaultKind::ClockBack]);
        self.clock_step = self.clock_step.take().or(clock.map(|fault| match fault.kind {
            FaultKind::ClockBack => (fault, -CLOCK_STEP_MS),
            _ => (fault, CLOCK_STEP_MS),
        }));
    }

    fn follow_up(&mut self) -> Vec<Input> {
        if self.crashed.is_some() {
            return Vec::new();
        }
        std::mem::take(&mut self.due)
    }
}
