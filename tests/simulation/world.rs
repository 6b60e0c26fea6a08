//! The world of a simulated run: what really happened, runners that fail in every way, people of every sort, and
//! the moment at which the process dies. It feeds the checkers, and is the only one who knows the truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::engine::sim::World;
use consigne::plan::*;

use crate::checkers::{self, Historian, Objection};
use crate::places::named;
use crate::plans::WORDS;
use crate::rng::Rng;

/// How likely things are, in percent; every seed draws its own, and many are zero.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    pub fail: u64,
    pub unknown: u64,
    /// It says it succeeded, and nothing happened.
    pub lie: u64,
    pub lost: u64,
    /// The effect shows only after a while.
    pub slow: u64,
    pub unreachable: u64,
    pub absent: u64,
    pub reject: u64,
    /// Answers of people who may not give them, and nonsense.
    pub noise: u64,
    pub crash: u64,
    pub pause: u64,
    pub cancel: u64,
    pub clock: u64,
    pub stale: u64,
}

impl Rates {
    pub fn swarm(rng: &mut Rng) -> Self {
        let mut draw = |most| if rng.percent(45) { 0 } else { rng.below(most) + 1 };
        Self {
            fail: draw(40),
            unknown: draw(40),
            lie: draw(20),
            lost: draw(10),
            slow: draw(40),
            unreachable: draw(30),
            absent: draw(30),
            reject: draw(25),
            noise: draw(60),
            crash: draw(12),
            pause: draw(6),
            cancel: draw(3),
            clock: draw(10),
            stale: draw(40),
        }
    }

    /// Trouble from runners and people, none from the machine.
    pub fn without_crashes(rng: &mut Rng) -> Self {
        Self { crash: 0, pause: 0, cancel: 0, clock: 0, lost: 0, absent: 0, ..Self::swarm(rng) }
    }
}

/// What really happened. It survives every crash.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Step and attempts that took effect; a target that knows the key of an earlier one does nothing.
    pub effects: BTreeMap<String, Vec<(u32, Option<String>)>>,
    /// When the effect can be seen.
    pub visible: BTreeMap<String, Timestamp>,
    /// Attempts that were begun, over all processes.
    pub begun: BTreeMap<AttemptKey, (Role, Option<String>)>,
    /// Whether a toggle might be put back, as it was told last.
    pub only_if: BTreeMap<String, bool>,
}

impl Truth {
    fn happens(&mut self, key: &AttemptKey, idempotency: Option<&String>) {
        let all = self.effects.entry(named(&key.step, key.item)).or_default();
        let known = idempotency.is_some() && all.iter().any(|(_, other)| other.as_ref() == idempotency);
        if !known {
            all.push((key.attempt, idempotency.cloned()));
        }
    }

    fn did(&self, step: &str) -> bool {
        self.effects.get(step).is_some_and(|all| !all.is_empty())
    }

    /// An attempt was under way when the process died: whether it took effect is anybody's guess.
    pub fn guess(&mut self, key: &AttemptKey, request: &AttemptRequest, happened: bool) {
        if request.role != Role::Do || request.effect == Effect::Read {
            return;
        }
        self.begun.insert(key.clone(), (request.role, request.idempotency_key.clone()));
        let place = named(&key.step, key.item);
        let did = self.effects.get(&place).is_some_and(|all| all.iter().any(|(a, _)| *a == key.attempt));
        if happened && !did {
            self.happens(key, request.idempotency_key.as_ref());
        } else if happened {
            // It had happened before the process died.
        } else if let Some(all) = self.effects.get_mut(&place) {
            all.retain(|(attempt, _)| *attempt != key.attempt);
        }
    }
}

/// The process is about to die: how many entries are lost, and how many effects of the last one still begin.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    lost: usize,
    entries: usize,
    effects: usize,
}

impl Fuse {
    /// Entries that are lost if it dies now.
    pub fn drops(self) -> usize {
        self.entries.min(self.lost)
    }

    pub fn burnt(self) -> bool {
        self.entries >= self.lost
    }
}

/// What is to come of the first attempt at a step, or of a question, when nothing is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// It failed; a gate is refused.
    Bad,
    /// Nobody knows, and it happened.
    UnknownDid,
    /// Nobody knows, and it did not happen.
    UnknownNot,
}

pub struct Town<'a> {
    pub plan: &'a Plan,
    pub rng: Rng,
    pub rates: Rates,
    /// Nothing goes wrong any more, and people come and answer.
    pub calm: bool,
    pub truth: Truth,
    /// The truth at the moment of each entry, before its effects.
    pub snapshots: Option<Vec<Truth>>,
    pub historian: Historian<'a>,
    pub shadow: State,
    pub objections: Vec<Objection>,
    pub fuse: Option<Fuse>,
    /// Completions that were sent, to be sent again.
    pub sent: Vec<(AttemptKey, Outcome)>,
    /// Answers that were given, likewise.
    pub said: Vec<Answer>,
    /// By step: what comes of it, and when.
    pub script: BTreeMap<String, (Fate, u64)>,
    /// By step and output: what it gives, instead of some word.
    pub gives: BTreeMap<(String, String), serde_json::Value>,
}

impl<'a> Town<'a> {
    pub fn new(plan: &'a Plan, rng: Rng, rates: Rates) -> Self {
        let shape = Shape::new(plan.graph.clone()).expect("plans of these tests are well formed");
        Self {
            plan,
            rng,
            rates,
            calm: false,
            truth: Truth::default(),
            snapshots: None,
            historian: Historian::new(plan),
            shadow: State::new(Arc::new(shape), "run"),
            objections: Vec::new(),
            fuse: None,
            sent: Vec::new(),
            said: Vec::new(),
            script: BTreeMap::new(),
            gives: BTreeMap::new(),
        }
    }

    /// A new process reads what is on disk.
    pub fn reborn(self, entries: &[Decided]) -> Self {
        let mut objections = self.objections;
        objections.extend(self.historian.objections);
        let rng = self.rng;
        let mut town = Self::new(self.plan, rng, self.rates);
        town.calm = self.calm;
        town.truth = self.truth;
        town.script = self.script;
        town.gives = self.gives;
        town.snapshots = self.snapshots;
        town.objections = objections;
        town.historian.recall(entries);
        entries.iter().for_each(|entry| town.fold(entry));
        town
    }

    /// The fold by way of JSON, as a reader of the journal does it.
    fn fold(&mut self, entry: &Decided) {
        for event in &entry.events {
            let fact = serde_json::to_string(&event.fact).and_then(|text| serde_json::from_str(&text));
            let actor = serde_json::to_string(&event.actor).and_then(|text| serde_json::from_str(&text));
            let hidden = serde_json::to_string(&event.hidden).and_then(|text| serde_json::from_str(&text));
            let read = match (fact, actor, hidden) {
                (Ok(fact), Ok(actor), Ok(hidden)) => Event { fact, actor, hidden, ..event.clone() },
                _ => {
                    return self.objections.push(("L2", format!("an event cannot be read again: {event:?}")));
                }
            };
            if let Err(illegal) = self.shadow.apply(entry.at, &read) {
                self.objections.push(("L2", format!("its own history is illegal: {illegal}")));
            }
        }
    }

    /// Everything the checkers found, the truth included.
    pub fn verdict(&self) -> Vec<Objection> {
        let mut all = self.objections.clone();
        all.extend(self.historian.objections.iter().cloned());
        all.extend(at_most_once(&self.historian, &self.truth));
        all
    }

    /// The process is dying, and nothing it starts begins any more.
    fn dies(&mut self) -> bool {
        let Some(fuse) = &mut self.fuse else { return false };
        let dies = fuse.effects == 0;
        fuse.effects = fuse.effects.saturating_sub(1);
        dies
    }

    fn chance(&mut self, percent: u64) -> bool {
        !self.calm && self.rng.percent(percent)
    }

    fn outcome_of(&mut self, request: &AttemptRequest, now: Timestamp) -> Outcome {
        let place = named(&request.key.step, request.key.item);
        match request.role {
            Role::Do | Role::First | Role::Verify => {
                let node = &self.historian.model.node(&place).clone();
                match request.role {
                    Role::Do if request.effect == Effect::Read => self.read(node, now),
                    Role::Do => self.write(node, request, now),
                    _ => self.probe(&node.id, node, now),
                }
            }
            Role::Guard => self.guard(now),
            Role::Item => self.item(request, now),
            Role::OnlyIf => {
                let holds = self.calm || self.rng.percent(60);
                let said =
                    self.clear(if holds { AttemptResult::Succeeded } else { AttemptResult::Failed }, now);
                self.truth.only_if.insert(place, said.result == AttemptResult::Succeeded);
                said
            }
            Role::Undo | Role::PutBack => self.reversal(now),
        }
    }

    fn clear(&mut self, result: AttemptResult, now: Timestamp) -> Outcome {
        if self.chance(self.rates.unreachable) {
            return Outcome::bare(AttemptResult::Unknown, "unreachable", now);
        }
        Outcome::bare(result, if result == AttemptResult::Succeeded { "ok" } else { "expect" }, now)
    }

    fn failed(&mut self, now: Timestamp) -> Outcome {
        let (reason, class) = self.rng.pick(&[
            ("connect", ErrorClass::Connect),
            ("status", ErrorClass::TooMany),
            ("exit", ErrorClass::Other),
            ("expect", ErrorClass::Expect),
        ]);
        let mut outcome = Outcome::bare(AttemptResult::Failed, reason, now);
        outcome.class = Some(class);
        outcome.code = Some(7);
        outcome.retry_after_ms = (class == ErrorClass::TooMany).then(|| self.rng.below(800));
        outcome.excerpts.insert("stderr".into(), "it went wrong".into());
        outcome
    }

    fn with_outputs(&mut self, node: &StepNode, mut outcome: Outcome) -> Outcome {
        for output in &node.outputs {
            let value = if output.name == "l" { self.some_words() } else { self.rng.pick(&WORDS).into() };
            let given = self.gives.get(&(crate::places::id_of(&node.id).to_owned(), output.name.clone()));
            outcome.outputs.insert(output.name.clone(), Json::of(given.unwrap_or(&value)));
        }
        outcome
    }

    /// A list: some of the words, now and then one of them twice.
    fn some_words(&mut self) -> serde_json::Value {
        let mut words: Vec<&str> = WORDS.into_iter().filter(|_| self.rng.percent(70)).collect();
        if !self.calm && self.rng.percent(8) {
            words.push(self.rng.pick(&WORDS));
        }
        words.into()
    }

    fn read(&mut self, node: &StepNode, now: Timestamp) -> Outcome {
        if self.chance(self.rates.fail) {
            return self.failed(now);
        }
        if self.chance(self.rates.unknown) {
            let mut outcome = Outcome::bare(AttemptResult::TimedOut, "timeout", now);
            outcome.class = Some(ErrorClass::Timeout);
            return outcome;
        }
        let outcome = Outcome::bare(AttemptResult::Succeeded, "ok", now);
        self.with_outputs(node, outcome)
    }

    fn write(&mut self, node: &StepNode, request: &AttemptRequest, now: Timestamp) -> Outcome {
        let key = request.idempotency_key.as_ref();
        if self.chance(self.rates.fail) {
            return self.failed(now);
        }
        if self.chance(self.rates.slow) {
            let late = self.rng.below(4_000);
            self.truth.visible.insert(node.id.clone(), now.plus(late));
        }
        if self.chance(self.rates.unknown) {
            if self.rng.percent(50) {
                self.truth.happens(&request.key, key);
            }
            let (reason, class) =
                self.rng.pick(&[("reset", ErrorClass::Server), ("timeout", ErrorClass::Timeout)]);
            let mut outcome = Outcome::bare(AttemptResult::Unknown, reason, now);
            outcome.class = Some(class);
            return outcome;
        }
        if !(node.verify.is_some() && self.chance(self.rates.lie)) {
            self.truth.happens(&request.key, key);
        }
        let outcome = Outcome::bare(AttemptResult::Succeeded, "ok", now);
        self.with_outputs(node, outcome)
    }

    /// The probe of an effect tells the truth, once it shows.
    fn probe(&mut self, step: &str, node: &StepNode, now: Timestamp) -> Outcome {
        if self.chance(self.rates.unreachable) {
            return Outcome::bare(AttemptResult::Unknown, "unreachable", now);
        }
        if self.truth.did(step) {
            let hidden = !self.calm && self.truth.visible.get(step).is_some_and(|at| *at > now);
            if hidden {
                return Outcome::bare(AttemptResult::Failed, "expect", now);
            }
            let outcome = Outcome::bare(AttemptResult::Succeeded, "ok", now);
            return if self.rng.percent(50) { self.with_outputs(node, outcome) } else { outcome };
        }
        let absent = node.verify.is_some_and(|verify| verify.absent);
        Outcome::bare(AttemptResult::Failed, if absent { "absent" } else { "expect" }, now)
    }

    fn item(&mut self, request: &AttemptRequest, now: Timestamp) -> Outcome {
        let item =
            request.part.as_ref().and_then(|part| self.plan.values.steps[&request.key.step].items.get(part));
        let model = &self.historian.model;
        let frame = model.place(&named(&request.key.step, request.key.item)).frame.clone();
        let of = item.and_then(|item| item.step.as_ref()).and_then(|of| model.resolve(of, &frame)).cloned();
        match of {
            Some(of) => self.probe(&of.id, &of, now),
            None => {
                let holds = self.calm || self.rng.percent(70);
                self.clear(if holds { AttemptResult::Succeeded } else { AttemptResult::Failed }, now)
            }
        }
    }

    fn reversal(&mut self, now: Timestamp) -> Outcome {
        if self.chance(self.rates.fail) {
            return self.failed(now);
        }
        self.clear(AttemptResult::Succeeded, now)
    }

    fn fated(&mut self, request: &AttemptRequest, fate: Fate, now: Timestamp) -> Outcome {
        if matches!(fate, Fate::Good | Fate::UnknownDid) && request.effect != Effect::Read {
            self.truth.happens(&request.key, request.idempotency_key.as_ref());
        }
        let (result, reason) = match fate {
            Fate::Good => (AttemptResult::Succeeded, "ok"),
            Fate::Bad => (AttemptResult::Failed, "exit"),
            Fate::UnknownDid | Fate::UnknownNot => (AttemptResult::Unknown, "reset"),
        };
        Outcome::bare(result, reason, now)
    }

    /// The probe says that it may not be put back, and nobody said that it is to be all the same.
    fn is_blind(&self, place: &str) -> bool {
        let asks = self.historian.model.node(place).put_back;
        let asks = asks.is_some_and(|policy| policy.only_if && policy.otherwise == OtherwisePutBack::Ask);
        let toggle = self.historian.model.toggle(place, Reversal::PutBack);
        let told = toggle.is_some_and(|toggle| toggle.said.contains(&Decision::PutBack));
        asks && !told && self.truth.only_if.get(place) != Some(&true)
    }

    fn light_a_fuse(&mut self) {
        if let Some(fuse) = &mut self.fuse {
            fuse.entries += 1;
        } else if self.chance(self.rates.crash) {
            let lost = self.rng.pick(&[0, 0, 1, 1, 2, 3]);
            let effects = if lost == 0 { self.rng.upto(3) } else { 0 };
            self.fuse = Some(Fuse { lost, entries: usize::from(lost > 0), effects });
        }
    }
}

/// What nobody allowed to be done again has taken effect once at most, whoever crashed when.
pub fn at_most_once(historian: &Historian<'_>, truth: &Truth) -> Vec<Objection> {
    let mut found = Vec::new();
    for (step, effects) in &truth.effects {
        let granted = historian.model.steps[step].granted as usize;
        if effects.len() > 1 + granted {
            found.push(("at_most_once", format!("{step} took effect {} times: {effects:?}", effects.len())));
        }
    }
    found
}

impl World for Town<'_> {
    fn start(&mut self, request: &AttemptRequest, now: Timestamp) -> Option<(u64, Outcome)> {
        if self.dies() {
            return None;
        }
        let place = named(&request.key.step, request.key.item);
        let model = &self.historian.model;
        let known = match model.guards.get(&place) {
            Some(guard) => guard.running == Some(request.key.attempt),
            None => model.steps[&place].attempts.contains(&request.key.attempt),
        };
        if !known {
            self.objections.push(("L1", format!("{} starts before its entry", request.key)));
        }
        let begun = (request.role, request.idempotency_key.clone());
        if self.truth.begun.insert(request.key.clone(), begun).is_some() {
            self.objections.push(("L5", format!("{} is started again", request.key)));
        }
        if request.role == Role::PutBack && self.is_blind(&place) {
            self.objections.push(("put_back", format!("{place} is put back while it may not be")));
        }
        let script = self.script.get(&place).or_else(|| self.script.get(&request.key.step));
        if let Some((fate, after)) = script.copied().filter(|_| request.role == Role::Do) {
            let fate = if request.key.attempt == 1 { fate } else { Fate::Good };
            let mut outcome = self.fated(request, fate, now);
            self.leave(&place, request.role, &mut outcome);
            return Some((after, outcome));
        }
        let mut outcome = self.outcome_of(request, now);
        self.leave(&place, request.role, &mut outcome);
        let most = if self.rng.percent(30) { 2_000 } else { 100 };
        let after = 1 + self.rng.below(most);
        self.sent.push((request.key.clone(), outcome.clone()));
        if self.chance(self.rates.lost) {
            return None;
        }
        Some((after.min(request.timeout_ms), outcome))
    }

    fn stop(&mut self, key: &AttemptKey, now: Timestamp) -> (u64, Outcome) {
        let place = named(&key.step, key.item);
        if crate::guards::is_guard(self.plan, &place) {
            return (1, Outcome::bare(AttemptResult::Cancelled, "cancelled", now));
        }
        let writes = match self.truth.begun.get(key) {
            Some((Role::Do, _)) => self.historian.model.node(&place).effect != Effect::Read,
            Some((role, _)) => !role.is_probe(),
            None => false,
        };
        let did =
            self.truth.effects.get(&place).is_some_and(|all| all.iter().any(|(a, _)| *a == key.attempt));
        let keyed = self.historian.model.node(&place).keyed;
        let after = 1 + self.rng.below(50);
        if writes && (did || keyed || self.rng.percent(60)) {
            return (after, Outcome::bare(AttemptResult::Unknown, "cancelled", now));
        }
        (after, Outcome::bare(AttemptResult::Cancelled, "cancelled", now))
    }

    fn asked(&mut self, plan: &Plan, state: &State, ask: u32, _now: Timestamp) -> Vec<(u64, Answer)> {
        if self.dies() {
            return Vec::new();
        }
        if !self.historian.model.asks.contains_key(&ask) {
            self.objections.push(("L1", format!("question {ask} is shown before its entry")));
        }
        let answers = self.people(plan, state, ask);
        self.said.extend(answers.iter().map(|(_, answer)| answer.clone()));
        answers
    }

    fn entered(&mut self, _plan: &Plan, state: &State, entry: &Decided) {
        if let Some(all) = &mut self.snapshots {
            all.push(self.truth.clone());
        }
        crate::drive::note(entry);
        self.historian.entry(entry);
        self.fold(entry);
        self.objections.extend(checkers::at_live(state, &self.shadow));
        self.objections.extend(checkers::moves(state, &wanted(state)));
        self.objections.extend(checkers::overdue(state));
        self.light_a_fuse();
    }
}
