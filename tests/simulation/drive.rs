//! Driving one run through everything that can happen to it, and on to its end.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::engine::sim::Sim;
use consigne::plan::*;

use crate::checkers::{Objection, nothing_new, one_entry};
use crate::model::place_of;
use crate::people::actor;
use crate::rng::Rng;
use crate::world::{Rates, Town, Truth};

thread_local! {
    /// A panic of this thread is going to be reported in another way.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The journal of the run under way, for a failure to show. Filled only when a failure is run again.
    static NOTES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

pub fn note(entry: &Decided) {
    NOTES.with_borrow_mut(|notes| {
        if let Some(notes) = notes {
            for event in &entry.events {
                let (step, attempt) = (place_of(event).unwrap_or("-".into()), event.attempt.unwrap_or(0));
                let who =
                    event.actor.as_ref().map_or(String::new(), |a| format!(" by {} {:?}", a.who, a.how));
                let fact = serde_json::to_string(&event.fact).unwrap_or_default();
                notes.push(format!("{:>8} {step}#{attempt}{who} {fact}", entry.at.millis()));
            }
        }
    });
}

fn remark(text: String) {
    NOTES.with_borrow_mut(|notes| notes.iter_mut().for_each(|notes| notes.push(text.clone())));
}

/// What a run came to.
pub struct Driven {
    pub entries: Vec<Decided>,
    pub objections: Vec<Objection>,
    pub snapshots: Vec<Truth>,
}

/// Catches panics without their noise; other threads keep theirs.
fn quietly<T>(of: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(of));
    QUIET.set(false);
    result
}

/// Runs `of`; a panic or an objection becomes a report with seed, plan and journal.
pub fn judged(seed: u64, plan: &Plan, of: impl Fn() -> Driven) -> Result<Driven, String> {
    let found = match quietly(&of) {
        Ok(driven) if driven.objections.is_empty() => return Ok(driven),
        Ok(driven) => driven.objections,
        Err(panic) => vec![("panic", panic_text(&*panic))],
    };
    NOTES.set(Some(Vec::new()));
    let _again = quietly(of);
    let notes = NOTES.take().unwrap_or_default().join("\n");
    let steps: Vec<String> = plan.graph.steps.iter().map(brief).collect();
    let values: Vec<String> =
        plan.values.steps.iter().map(|(name, values)| format!("{name} {}", brief(values))).collect();
    let values = values.join("\n");
    let graph = Graph { steps: Vec::new(), ..plan.graph.clone() };
    let graph = serde_json::to_string(&graph).unwrap_or_default();
    let found: Vec<String> = found.iter().take(5).map(|(name, why)| format!("{name}: {why}")).collect();
    let (steps, found) = (steps.join("\n"), found.join("\n"));
    Err(format!("{found}\nseed {seed}\n{graph}\n{steps}\n{values}\n{notes}\n{found}"))
}

/// A part of a plan as JSON, without what is null, empty or false.
fn brief(part: &impl serde::Serialize) -> String {
    fn prune(value: serde_json::Value) -> Option<serde_json::Value> {
        use serde_json::Value;
        match value {
            Value::Null | Value::Bool(false) => None,
            Value::Array(list) if list.is_empty() => None,
            Value::Array(list) => Some(list.into_iter().filter_map(prune).collect()),
            Value::Object(map) => {
                let map: serde_json::Map<_, _> =
                    map.into_iter().filter_map(|(k, v)| Some((k, prune(v)?))).collect();
                (!map.is_empty()).then_some(Value::Object(map))
            }
            other => Some(other),
        }
    }
    serde_json::to_value(part).ok().and_then(prune).map_or(String::new(), |value| value.to_string())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

pub fn begin(rng: &mut Rng, attended: bool) -> Input {
    Input::Begin(Begin {
        actor: actor(rng.pick(&["alice", "os:root"]), How::OsUser),
        attended,
        tool: "consigne test".into(),
        lang: rng.pick(&["en", "fr"]).into(),
        template: 1,
        plan: std::collections::BTreeMap::default(),
        executor: "test".into(),
    })
}

/// One life of a run: chaos as its seed draws it, then calm until it is over.
pub struct Life<'a> {
    plan: &'a Plan,
    rng: Rng,
    pub sim: Sim<'a, Town<'a>>,
    /// The same plan with other inputs, which a later process may find in its place.
    other: Option<&'a Plan>,
    still: (Timestamp, usize),
}

/// A run with every fault of the model.
pub fn swarm(plan: &Plan, seed: u64) -> Driven {
    let mut rng = Rng::stream(seed, 2);
    let rates = Rates::swarm(&mut rng);
    let mut life = Life::new(plan, rng, rates);
    life.chaos(40 + plan.graph.steps.len() * 8);
    life.calm();
    life.done()
}

/// A run whose inputs are changed under it, time and again. Its keys change with its requests.
pub fn tampered(plan: &Plan, other: &Plan, seed: u64) -> Driven {
    let mut rng = Rng::stream(seed, 10);
    let rates = Rates { crash: 25, cancel: 0, absent: 0, reject: 5, ..Rates::swarm(&mut rng) };
    let mut life = Life::new(plan, rng, rates);
    life.other = Some(other);
    life.chaos(40 + plan.graph.steps.len() * 8);
    life.calm();
    let mut driven = life.done();
    driven.objections.retain(|(name, _)| !matches!(*name, "keys" | "at_most_once"));
    driven
}

/// A run in which the process never dies, with the truth at each entry.
pub fn steady(plan: &Plan, seed: u64) -> Driven {
    let mut rng = Rng::stream(seed, 3);
    let rates = Rates::without_crashes(&mut rng);
    let mut life = Life::new(plan, rng, rates);
    life.sim.world.snapshots = Some(Vec::new());
    life.begin();
    life.chaos(40 + plan.graph.steps.len() * 8);
    let mut driven = Driven { entries: life.sim.entries.clone(), ..life.done() };
    driven.objections.retain(|(name, _)| *name != "liveness");
    driven
}

/// A new process takes up the first `kept` entries of `of`. The truth is that of the moment after them; what was
/// under way may or may not have happened.
pub fn revived(plan: &Plan, of: &Driven, kept: usize, torn: bool, seed: u64) -> Driven {
    let mut rng = Rng::stream(seed, 5 + 2 * kept as u64 + u64::from(torn));
    let rates = Rates::without_crashes(&mut rng);
    let mut life = Life::new(plan, rng, rates);
    life.revive(of, kept, torn, |rng| rng.percent(50));
    life.chaos(20 + plan.graph.steps.len() * 4);
    life.calm();
    life.done()
}

impl<'a> Life<'a> {
    pub fn new(plan: &'a Plan, mut rng: Rng, rates: Rates) -> Self {
        let town = Town::new(plan, Rng::new(rng.next()), rates);
        let now = Timestamp::from_millis(1_000_000);
        let sim = Sim::new(plan, "run", now, town).expect("plans of these tests are well formed");
        Self { plan, rng, sim, other: None, still: (now, 0) }
    }

    pub fn done(self) -> Driven {
        Driven {
            objections: self.sim.world.verdict(),
            snapshots: self.sim.world.snapshots.unwrap_or_default(),
            entries: self.sim.entries,
        }
    }

    fn object(&mut self, name: &'static str, why: String) {
        self.sim.world.objections.push((name, why));
    }

    pub fn begin(&mut self) {
        let attended = self.rng.percent(70);
        let input = begin(&mut self.rng, attended);
        self.input(input);
    }

    pub fn begin_attended(&mut self) {
        let input = begin(&mut self.rng, true);
        let _begun = self.sim.input(input);
    }

    /// A new process over these entries, before it has said anything.
    fn take_up(&mut self, entries: Vec<Decided>) {
        let now = self.sim.now();
        let placeholder = Town::new(self.plan, Rng::new(0), Rates::default());
        let town = std::mem::replace(&mut self.sim.world, placeholder).reborn(&entries);
        let last = entries.last().map_or(now, |entry| entry.at.max(now));
        let other = self.other.filter(|_| self.rng.percent(50));
        match Sim::resumed(other.unwrap_or(self.plan), "run", entries, last, town) {
            Ok(sim) => self.sim = sim,
            Err(illegal) => self.object("L2", format!("its own history is illegal: {illegal}")),
        }
    }

    /// A new process takes up the first `kept` entries of another life; `did` says whether what was under way had
    /// taken effect.
    pub fn revive(&mut self, of: &Driven, kept: usize, torn: bool, did: impl Fn(&mut Rng) -> bool) {
        // Clean: the last entry is on disk, and some of its effects may have begun. Torn: the next is on disk half.
        let at = if torn { kept } else { kept.saturating_sub(1) };
        self.sim.world.truth = of.snapshots.get(at).cloned().unwrap_or_default();
        self.take_up(of.entries[..kept].to_vec());
        let state = &self.sim.state;
        let keys = state.derived().in_flight.iter().filter_map(|step| state.running_key(*step));
        let requests: Vec<_> = keys.filter_map(|key| Some((state.request(&key)?, key))).collect();
        for (request, key) in requests {
            let happened = did(&mut self.rng);
            self.sim.world.truth.guess(&key, &request, happened);
        }
        if self.sim.state.phase() != Phase::Finished {
            self.resume();
        }
    }

    /// The process dies, and another one takes up the run.
    fn crash(&mut self) {
        let lost = self.sim.world.fuse.take().map_or(0, crate::world::Fuse::drops);
        remark(format!("-- crash, {lost} entries lost"));
        let kept = self.sim.entries.len().saturating_sub(lost);
        let entries = self.sim.entries[..kept].to_vec();
        self.take_up(entries);
        self.resume();
    }

    fn resume(&mut self) {
        if self.sim.state.phase() == Phase::New {
            return self.begin();
        }
        if self.rng.percent(20) {
            let input = Input::Journal(JournalInput::Recovered { bytes: 17, sha256: "00".repeat(32) });
            self.input(input);
        }
        let attended = self.rng.percent(70);
        let actor = actor("bob", How::OsUser);
        let end = self.rng.percent(3).then(|| "not now".to_owned());
        self.input(Input::Resume { actor, attended, tool: "consigne test".into(), end });
    }

    fn input(&mut self, input: Input) {
        let before = self.sim.entries.len();
        let _refused_or_not = self.sim.input(input);
        if let Some((law, why)) = one_entry(before, self.sim.entries.len()) {
            self.object(law, why);
        }
    }

    fn step(&mut self) -> bool {
        let before = self.sim.entries.len();
        let goes_on = self.sim.step();
        if let Some((law, why)) = one_entry(before, self.sim.entries.len()) {
            self.object(law, why);
        }
        if self.still.0 == self.sim.now() {
            self.still.1 += 1;
            if self.still.1 == 500 {
                self.object("L6", format!("500 things happened at {}", self.still.0));
            }
        } else {
            self.still = (self.sim.now(), 0);
        }
        goes_on
    }

    /// Things happen as the seed draws them, `most` at most.
    pub fn chaos(&mut self, most: usize) {
        if self.sim.entries.is_empty() {
            self.begin();
        }
        for _ in 0..most {
            while self.sim.world.fuse.is_some_and(crate::world::Fuse::burnt) {
                self.crash();
            }
            if self.sim.state.phase() == Phase::Finished {
                return;
            }
            if !self.step() {
                if self.sim.state.run.paused.is_none() && self.sim.world.rates.crash == 0 {
                    return;
                }
                self.crash();
            }
            self.meddle();
        }
    }

    fn meddle(&mut self) {
        let rates = self.sim.world.rates.clone();
        if self.rng.percent(rates.pause) {
            let stop = self.rng.percent(50);
            self.input(Input::Pause { actor: actor("alice", How::OsUser), reason: "lunch".into(), stop });
        }
        if self.rng.percent(rates.cancel) {
            self.input(Input::Cancel { actor: actor("alice", How::OsUser), reason: "enough".into() });
        }
        if self.rng.percent(rates.pause) {
            self.input(Input::Note { actor: actor("alice", How::OsUser), text: "hm".into() });
        }
        if self.rng.percent(rates.clock) {
            let now = self.sim.now();
            let step = i64::try_from(self.rng.below(4_000)).unwrap_or(0);
            let step = if self.rng.percent(50) { -step } else { step };
            self.sim.set_clock(Timestamp::from_millis(now.millis() + step));
        }
        if self.rng.percent(rates.stale) {
            self.stale();
        }
    }

    /// L4: what comes twice, or too late, changes nothing.
    fn stale(&mut self) {
        if !self.sim.world.sent.is_empty() {
            let (key, outcome) = self.rng.pick(&self.sim.world.sent);
            let step = self.sim.state.find_item(&key.step, key.item).map(|(at, _)| at);
            // Of one that still runs: it comes early, and the real one will be the stale one.
            let runs = step.and_then(|at| self.sim.state.running_key(at)).as_ref() == Some(&key);
            self.again(Input::Finished { key, outcome: Box::new(outcome) }, runs);
        }
        if !self.sim.world.said.is_empty() {
            let answer = self.rng.pick(&self.sim.world.said);
            let open = self.sim.state.ask(answer.ask).is_none_or(|ask| ask.end.is_none());
            self.again(Input::Answer(Box::new(answer)), open);
        }
    }

    fn again(&mut self, input: Input, may_matter: bool) {
        let (state, entries) = (self.sim.state.clone(), self.sim.entries.len());
        self.input(input);
        if !may_matter {
            let found = nothing_new((&state, entries), (&self.sim.state, self.sim.entries.len()));
            self.sim.world.objections.extend(found);
        }
    }

    /// The faults stop: the run ends, or waits for people who cannot come.
    pub fn calm(&mut self) {
        self.sim.world.calm = true;
        self.sim.world.rates = Rates::default();
        self.sim.world.fuse = None;
        if self.sim.state.phase() == Phase::Finished {
            return;
        }
        remark("-- calm".into());
        self.crash();
        self.settle();
        if self.sim.state.phase() != Phase::Finished && self.sim.state.run.ending.is_none() {
            self.input(Input::Cancel { actor: actor("alice", How::OsUser), reason: "nobody comes".into() });
            self.settle();
        }
    }

    /// Until nothing more happens: then only people who do not exist may be waited for.
    pub fn settle(&mut self) {
        let most = 400 + 60 * self.sim.state.shape().len();
        for _ in 0..most {
            if self.sim.state.phase() == Phase::Finished || !self.step() {
                break;
            }
        }
        if self.sim.state.phase() == Phase::Finished {
            return;
        }
        let asks: Vec<u32> = self.sim.state.open_asks().map(|ask| ask.id).collect();
        let idle = self.sim.in_flight().is_empty();
        let node =
            |ask: &u32| self.sim.state.ask(*ask).map(|ask| self.sim.state.shape().node(ask.step).clone());
        let nobody = |ask: &u32| {
            let quorum = node(ask).and_then(|node| node.gate).map_or(1, |gate| gate.quorum.max(1) as usize);
            let more = self.sim.state.ask(*ask).map_or(0, |ask| ask.answers.len());
            self.sim.world.entitled(*ask).len() < quorum || more > 0
        };
        if !idle || asks.is_empty() || !asks.iter().all(nobody) {
            let status = self.sim.state.status();
            self.object(
                "liveness",
                format!("stuck: {status:?}, questions {asks:?}, in flight {:?}", self.sim.in_flight()),
            );
        }
    }
}
