//! The simulated driver: the same three functions as the local one, a virtual clock, outcomes and answers from a
//! [`World`]. Rehearsals and the simulation tests are this one file: a dry run with its own logic would be a lie.
//!
//! It owns no truth: what survives a crash is its list of entries, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::core::{
    Answer, AttemptKey, AttemptRequest, Command, Decided, Event, Input, Outcome, Phase, Refused, Shape,
    State, decide, wanted,
};
use crate::plan::Plan;

/// What the outside does. Implemented by scenarios, fixtures and test worlds.
pub trait World {
    /// An attempt starts: when it ends, and how. `None`: it is lost and never ends by itself.
    fn start(&mut self, request: &AttemptRequest, now: Timestamp) -> Option<(u64, Outcome)>;

    /// An attempt is told to stop: when it ends, and how.
    fn stop(&mut self, key: &AttemptKey, now: Timestamp) -> (u64, Outcome);

    /// A question is shown: when it is answered, and how. `None`: nobody is there.
    fn asked(&mut self, plan: &Plan, state: &State, ask: u32, now: Timestamp) -> Vec<(u64, Answer)>;

    /// An answer was refused.
    fn refused(&mut self, _answer: &Answer, _why: &Refused) {}

    /// After each entry, before anything it enables starts.
    fn entered(&mut self, _plan: &Plan, _state: &State, _entry: &Decided) {}

    /// What has to be written down because of that entry, before anything it enables starts.
    fn follow_up(&mut self) -> Vec<Input> {
        Vec::new()
    }
}

/// What will happen at a moment.
#[derive(Debug, Clone)]
enum Happening {
    Input(Box<Input>),
    Tick,
}

/// A run in virtual time.
pub struct Sim<'a, W> {
    plan: &'a Plan,
    pub state: State,
    pub entries: Vec<Decided>,
    pub world: W,
    now: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    scheduled: u64,
    in_flight: BTreeSet<AttemptKey>,
    stopping: BTreeSet<AttemptKey>,
    asked: BTreeSet<u32>,
    wake: Option<Timestamp>,
    /// The attempts in the state are those of a process that died, until the run is resumed.
    dormant: bool,
}

impl<'a, W: World> Sim<'a, W> {
    /// # Errors
    /// The graph of the plan is not one that a plan builder makes.
    pub fn new(plan: &'a Plan, run: &str, now: Timestamp, world: W) -> Result<Self, String> {
        let state = State::new(Arc::new(Shape::new(plan.graph.clone())?), run);
        Ok(Self::over(plan, state, Vec::new(), now, world))
    }

    /// A new process takes up what `entries` hold. Until `Input::Resume` has told the core that nothing of the
    /// old process runs any more, nothing is started: it would be a second start of the same attempt (law L5).
    ///
    /// # Errors
    /// The entries are no legal history of this plan.
    pub fn resumed(
        plan: &'a Plan,
        run: &str,
        entries: Vec<Decided>,
        now: Timestamp,
        world: W,
    ) -> Result<Self, String> {
        let state = folded(plan, run, &entries)?;
        let dormant = state.phase() != Phase::New;
        Ok(Self { dormant, ..Self::over(plan, state, entries, now, world) })
    }

    fn over(plan: &'a Plan, state: State, entries: Vec<Decided>, now: Timestamp, world: W) -> Self {
        Self {
            plan,
            state,
            entries,
            world,
            now,
            agenda: BTreeMap::new(),
            scheduled: 0,
            in_flight: BTreeSet::new(),
            stopping: BTreeSet::new(),
            asked: BTreeSet::new(),
            wake: None,
            dormant: false,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Somebody sets the clock.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub fn in_flight(&self) -> &BTreeSet<AttemptKey> {
        &self.in_flight
    }

    /// Somebody sets the clock while things are under way: they take as long as ever, and whatever is due at an instant
    /// is due at that instant of the new clock.
    pub fn step_clock(&mut self, millis: i64) {
        let moved = |at: Timestamp| Timestamp::from_millis(at.millis().saturating_add(millis));
        self.now = moved(self.now);
        let agenda = std::mem::take(&mut self.agenda).into_iter();
        let under_way = agenda.filter(|(_, happening)| matches!(happening, Happening::Input(_)));
        self.agenda = under_way.map(|((at, nth), happening)| ((moved(at), nth), happening)).collect();
        self.wake = None;
        self.reconcile();
    }

    /// The process dies, and a new one takes up what `entries` hold; what was under way is lost. As after
    /// [`Sim::resumed`], nothing is started before the core has been told.
    ///
    /// # Errors
    /// The entries are no legal history of this plan.
    pub fn take_up(&mut self, entries: Vec<Decided>) -> Result<(), String> {
        self.state = folded(self.plan, &self.state.run.id, &entries)?;
        self.entries = entries;
        self.agenda.clear();
        self.in_flight.clear();
        self.stopping.clear();
        self.asked.clear();
        self.wake = None;
        self.dormant = self.state.phase() != Phase::New;
        Ok(())
    }

    /// Takes in one input now, and starts what follows from it.
    ///
    /// # Errors
    /// The input is refused.
    pub fn input(&mut self, input: Input) -> Result<(), Refused> {
        if let Input::Finished { key, .. } = &input {
            self.in_flight.remove(key);
            self.stopping.remove(key);
        }
        let resumes = matches!(input, Input::Resume { .. });
        self.take(input)?;
        self.dormant &= !resumes;
        if !self.dormant {
            self.reconcile();
        }
        Ok(())
    }

    /// Takes in one input, and what has to be written down because of it.
    fn take(&mut self, input: Input) -> Result<(), Refused> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let decided = decide(self.plan, &mut self.state, self.now, input)?;
            if !decided.events.is_empty() {
                self.world.entered(self.plan, &self.state, &decided);
                self.entries.push(decided);
                inputs.extend(self.world.follow_up());
            }
        }
        Ok(())
    }

    /// When the next thing happens, and whether it is only that time passes.
    pub fn next(&self) -> Option<(Timestamp, bool)> {
        let ((at, _), happening) = self.agenda.first_key_value()?;
        Some((*at, matches!(happening, Happening::Tick)))
    }

    /// Goes on to the next thing that happens. False: nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), happening)) = self.agenda.pop_first() else { return false };
        self.now = self.now.max(at);
        match happening {
            Happening::Tick => {
                self.wake = None;
                let _stale_or_not = self.input(Input::Tick);
            }
            Happening::Input(input) => {
                let answer = match input.as_ref() {
                    Input::Answer(answer) => Some(answer.clone()),
                    _ => None,
                };
                if let (Err(why), Some(answer)) = (self.input(*input), answer) {
                    self.world.refused(&answer, &why);
                }
            }
        }
        true
    }

    /// Runs until the run is over, or nothing more happens, or after `limit` happenings.
    pub fn run(&mut self, limit: usize) -> Phase {
        for _ in 0..limit {
            if self.state.phase() == Phase::Finished || !self.step() {
                break;
            }
        }
        self.state.phase()
    }

    /// Something will happen later by itself.
    pub fn schedule(&mut self, after_ms: u64, input: Input) {
        self.at(after_ms, Happening::Input(Box::new(input)));
    }

    fn at(&mut self, after_ms: u64, happening: Happening) {
        self.scheduled += 1;
        self.agenda.insert((self.now.plus(after_ms), self.scheduled), happening);
    }

    /// Compares what ought to be in flight with what is.
    fn reconcile(&mut self) {
        let mut wake = None;
        for command in wanted(&self.state) {
            match command {
                Command::Attempt(key) => self.start(key),
                Command::Stop(key) => {
                    if self.stopping.insert(key.clone()) {
                        let (after, outcome) = self.world.stop(&key, self.now);
                        self.schedule(after, Input::Finished { key, outcome: Box::new(outcome) });
                    }
                }
                Command::Ask(ask) => {
                    if self.asked.insert(ask) {
                        for (after, answer) in self.world.asked(self.plan, &self.state, ask, self.now) {
                            self.schedule(after, Input::Answer(Box::new(answer)));
                        }
                    }
                }
                Command::WakeAt(at) => wake = Some(at),
            }
        }
        if let Some(at) = wake.filter(|at| self.wake.is_none_or(|set| *at < set)) {
            self.wake = Some(at);
            self.at(at.since(self.now), Happening::Tick);
        }
    }

    fn start(&mut self, key: AttemptKey) {
        if !self.in_flight.insert(key.clone()) {
            return;
        }
        let Some(request) = self.state.request(&key) else { return };
        if let Some((after, outcome)) = self.world.start(&request, self.now) {
            self.schedule(after, Input::Finished { key, outcome: Box::new(outcome) });
        }
    }

    /// The events so far, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().flat_map(|entry| &entry.events)
    }
}

fn folded(plan: &Plan, run: &str, entries: &[Decided]) -> Result<State, String> {
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone())?), run);
    for entry in entries {
        for event in &entry.events {
            state.apply(entry.at, event).map_err(|illegal| illegal.to_string())?;
        }
    }
    Ok(state)
}
