//! Faults: what goes wrong in a rehearsal because somebody wished for it.
//!
//! Owns which fault may be at which step, what the outside answers under one, and when the others strike. It is the first
//! of the sources: what it has nothing to say about is left to the next one. It decides nothing: crashes and the clock are
//! carried out by the driver, refusals are answers like any other.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::sources::{Asked, Drawn, Imagined, Source, TAKES_MS, part_of};
use crate::clock::Timestamp;
use crate::core::attempt::ABSENT;
use crate::core::{AskKind, AttemptResult, Decided, Event, Fact, Outcome, Role, State};
use crate::plan::{Action, Effect, ErrorClass, Kind, Plan};
use crate::record::origin::Origin;
pub use crate::runbook::fault::{Fault, FaultKind};
use crate::runbook::scenario::Part;
use crate::runner::{Failing, Reply};

/// How far the clock is set.
pub const CLOCK_STEP_MS: i64 = 3_600_000;

/// What the note of a fault begins with.
pub(super) const NOTE: &str = "fault: ";

/// The most that are drawn from one seed.
const DRAWN: u64 = 3;

/// The faults of a rehearsal, and which of them came to pass.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    all: Vec<Fault>,
    met: BTreeSet<usize>,
    /// Places and parts whose connection was dropped: once each.
    dropped: BTreeSet<(String, Part)>,
}

/// What a step does besides itself.
pub const PARTS: [Part; 5] = [Part::First, Part::Verify, Part::Undo, Part::PutBack, Part::OnlyIf];

/// The kinds that can come to pass at a part of a step; none where the step has no such part.
fn kinds_of(plan: &Plan, place: &str, part: Part) -> Vec<FaultKind> {
    use FaultKind::{ClockBack, ClockForward, CrashAfter, CrashBefore, Dropped, Failure, Timeout, Wrong};
    let id = place.split(':').next().unwrap_or_default();
    let Some(node) = plan.graph.steps.iter().find(|node| node.id == id) else { return Vec::new() };
    let reverses = matches!(part, Part::Undo | Part::PutBack);
    let there = match part {
        Part::Own => return kinds_at(plan, place),
        Part::Verify => node.verify.is_some(),
        Part::First => node.verify.is_some_and(|verify| verify.first),
        Part::Undo => node.undo,
        Part::PutBack => node.put_back.is_some(),
        Part::OnlyIf => node.put_back.is_some_and(|put_back| put_back.only_if),
    };
    let all = [Failure, Timeout, Wrong, Dropped, CrashBefore, CrashAfter, ClockForward, ClockBack];
    // What only asks has no effect that could be lost sight of.
    all.into_iter().filter(|kind| there && (reverses || *kind != Dropped)).collect()
}

/// Why a fault cannot come to pass where it is wished for: the kinds that can. None if it can.
pub fn cannot_meet(plan: &Plan, fault: &Fault) -> Option<Vec<FaultKind>> {
    let kinds = kinds_of(plan, &fault.place, fault.part);
    (!kinds.contains(&fault.kind)).then_some(kinds)
}

/// The kinds that can come to pass at a place: a step, an item of a list of control points, a guard.
fn kinds_at(plan: &Plan, place: &str) -> Vec<FaultKind> {
    use FaultKind::{
        Absent, ClockBack, ClockForward, CrashAfter, CrashBefore, Dropped, Failure, Refusal, Timeout, Wrong,
    };
    let graph = &plan.graph;
    let (list, item) = place.rsplit_once('/').unwrap_or((place, ""));
    let id = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    let found = |name: &str| graph.steps.iter().find(|node| node.id == id(name));
    let Some(node) = found(place) else {
        let probed =
            |at: &crate::plan::StepNode| at.items.iter().any(|known| known.id == item && known.probe);
        let is_probe = found(list).is_some_and(probed) || graph.guards.iter().any(|guard| guard.id == place);
        return if is_probe { vec![Failure, Timeout] } else { Vec::new() };
    };
    let mut kinds = Vec::new();
    if node.kind.runs() {
        kinds.extend([Failure, Timeout]);
        kinds.extend((node.kind != Kind::Notify).then_some(Wrong));
        kinds.extend((node.effect != Effect::Read).then_some(Dropped));
    }
    if matches!(node.kind, Kind::Approve | Kind::Confirm | Kind::Manual | Kind::Checklist) {
        kinds.push(Refusal);
    }
    if node.kind.asks() && node.timeout_ms.is_some() {
        kinds.push(Absent);
    }
    kinds.extend([CrashBefore, CrashAfter, ClockForward, ClockBack]);
    kinds
}

/// Every fault that a runbook can meet: each kind that applies, at each step, item and guard.
pub fn every(plan: &Plan) -> Vec<Fault> {
    let steps = plan.graph.steps.iter().map(|node| node.id.clone());
    let items = plan.graph.steps.iter().flat_map(|node| {
        let probed = node.items.iter().filter(|item| item.probe);
        probed.map(|item| format!("{}/{}", node.id, item.id)).collect::<Vec<_>>()
    });
    let guards = plan.graph.guards.iter().map(|guard| guard.id.clone());
    let places = steps.chain(items).chain(guards);
    let at = |place: String| {
        let kinds = kinds_at(plan, &place).into_iter();
        kinds.map(move |kind| Fault { place: place.clone(), part: Part::Own, kind })
    };
    places.flat_map(at).collect()
}

/// The same for what steps do besides themselves.
pub fn every_part(plan: &Plan) -> Vec<Fault> {
    let parts = plan.graph.steps.iter().flat_map(|node| PARTS.map(|part| (node.id.clone(), part)));
    let at = |(place, part): (String, Part)| {
        let kinds = kinds_of(plan, &place, part).into_iter();
        kinds.map(move |kind| Fault { place: place.clone(), part, kind })
    };
    parts.flat_map(at).collect()
}

/// A few of them, the same for the same plan and number.
pub fn drawn(plan: &Plan, seed: u64) -> Vec<Fault> {
    let every = every(plan);
    let count = 1 + number(seed, 0) % DRAWN;
    let most = every.len() as u64;
    let picked =
        (1..=count).filter_map(|nth| every.get(usize::try_from(number(seed, nth) % most.max(1)).ok()?));
    picked.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn number(seed: u64, nth: u64) -> u64 {
    super::first_of(&Sha256::digest(format!("consigne faults {seed} {nth}")))
}

impl Faults {
    pub fn new(all: Vec<Fault>) -> Self {
        Self { all, ..Self::default() }
    }

    /// Each of them, and whether it came to pass.
    pub fn came(&self) -> Vec<(Fault, bool)> {
        self.all.iter().cloned().enumerate().map(|(at, fault)| (fault, self.met.contains(&at))).collect()
    }

    /// What the journal says of a fault that came to pass: the note of it.
    pub(super) fn recall(&mut self, note: &str) {
        let Some(noted) = note.strip_prefix(NOTE).and_then(Fault::parse) else { return };
        let base = noted.place.split(':').next().unwrap_or_default();
        let is = |fault: &Fault| {
            let here = fault.place == noted.place || fault.place == base;
            here && (fault.part, fault.kind) == (noted.part, noted.kind)
        };
        let met = self.all.iter().enumerate().filter(|(_, fault)| is(fault)).map(|(at, _)| at);
        self.met.extend(met);
    }

    /// A fault of one of these kinds that strikes as something begins in this entry. Each strikes once.
    pub(super) fn strikes(&mut self, state: &State, entry: &Decided, kinds: &[FaultKind]) -> Option<Fault> {
        let begun: Vec<(&Event, [String; 2])> =
            entry.events.iter().filter_map(|event| Some((event, ids(state, event)?))).collect();
        let at = self.all.iter().enumerate().position(|(at, fault)| {
            kinds.contains(&fault.kind)
                && !self.met.contains(&at)
                && begun.iter().any(|(event, ids)| begins(event, fault.part) && ids.contains(&fault.place))
        })?;
        self.met.insert(at);
        Some(self.all[at].clone())
    }

    /// Whether a question meets a fault of that kind.
    pub(super) fn meets(&mut self, state: &State, ask: u32, kind: FaultKind) -> bool {
        let Some(asked) = state.ask(ask).filter(|asked| !asked.kind.is_trouble()) else { return false };
        let ids = [state.shape().label(asked.step), state.shape().written(asked.step).id.clone()];
        let here = |fault: &Fault| fault.kind == kind && ids.contains(&fault.place);
        let Some(at) = self.all.iter().position(here) else { return false };
        // Whom it was passed on to is there.
        let applies = match kind {
            FaultKind::Absent => !asked.escalated && asked.expires.is_some(),
            _ => no(asked.kind).is_some(),
        };
        if applies {
            self.met.insert(at);
        }
        applies
    }

    /// What the outside answers to a part of a step under a fault that is wished for there.
    fn answers_part(&mut self, kind: FaultKind, asked: Asked<'_>) -> Option<(Imagined, u64)> {
        let request = asked.request;
        match kind {
            FaultKind::Failure => Some((failed(asked), TAKES_MS)),
            FaultKind::Timeout => {
                Some((Imagined::Reply(Reply::Trouble(Failing::Timeout)), request.timeout_ms))
            }
            FaultKind::Wrong => Some((Imagined::Reply(wrong(&request.probe.action)?), TAKES_MS)),
            FaultKind::Dropped if self.dropped.insert((asked.label.to_owned(), asked.part())) => {
                Some((Imagined::Reply(Reply::Trouble(Failing::Reset)), TAKES_MS))
            }
            _ => None,
        }
    }

    /// What the outside answers under a fault.
    fn answers(&mut self, kind: FaultKind, asked: Asked<'_>, met: bool) -> Option<(Imagined, u64)> {
        let request = asked.request;
        let own = matches!(request.role, Role::Do | Role::Item | Role::Guard);
        // Nothing was done: a proof says so.
        let disproved = request.role == Role::Verify && met;
        match kind {
            FaultKind::Failure if own => Some((failed(asked), TAKES_MS)),
            FaultKind::Timeout if own => {
                Some((Imagined::Reply(Reply::Trouble(Failing::Timeout)), request.timeout_ms))
            }
            FaultKind::Timeout | FaultKind::Wrong if disproved => Some((not_done(asked), TAKES_MS)),
            FaultKind::Wrong if own => Some((Imagined::Reply(wrong(&request.probe.action)?), TAKES_MS)),
            FaultKind::Dropped
                if request.role == Role::Do && self.dropped.insert((asked.label.to_owned(), Part::Own)) =>
            {
                Some((Imagined::Reply(Reply::Trouble(Failing::Reset)), TAKES_MS))
            }
            _ => None,
        }
    }
}

impl Source for Faults {
    fn draw(&mut self, asked: Asked<'_>) -> Option<Drawn> {
        let ids = asked.ids();
        // What is wished for a part goes before what follows for it from a fault of the step itself.
        let (own, parts): (Vec<usize>, Vec<usize>) =
            (0..self.all.len()).partition(|at| self.all[*at].part == Part::Own);
        for at in parts.into_iter().chain(own) {
            let (kind, part) = (self.all[at].kind, self.all[at].part);
            let here = part == Part::Own || part == asked.part();
            if !kind.is_answered() || !here || !ids.contains(&self.all[at].place) {
                continue;
            }
            let answered = match part {
                Part::Own => self.answers(kind, asked, self.met.contains(&at)),
                _ => self.answers_part(kind, asked),
            };
            let Some((imagined, takes_ms)) = answered else { continue };
            self.met.insert(at);
            return Some(Drawn { imagined, takes_ms, origin: Origin::Fault(kind.name().to_owned()) });
        }
        None
    }
}

/// A clear no: it was not done.
fn failed(asked: Asked<'_>) -> Imagined {
    if asked.request.role.is_probe() {
        return not_done(asked);
    }
    let (reason, code, class) = match asked.request.probe.action {
        Action::Http(_) => ("status", Some(500), ErrorClass::Server),
        Action::Notify(_) => ("connect", None, ErrorClass::Connect),
        Action::Shell(_) | Action::Argv(_) | Action::Remote(_) => ("exit", Some(1), ErrorClass::Other),
    };
    let bare = Outcome::bare(AttemptResult::Failed, reason, Timestamp::default());
    Imagined::Ended(Box::new(Outcome { code, class: Some(class), ..bare }))
}

fn not_done(asked: Asked<'_>) -> Imagined {
    let said = if asked.request.probe.accept.absent.is_some() { ABSENT } else { "not_true" };
    let bare = Outcome::bare(AttemptResult::Failed, said, Timestamp::default());
    Imagined::Ended(Box::new(Outcome { class: Some(ErrorClass::Expect), ..bare }))
}

/// An answer that sounds well and says nothing.
fn wrong(action: &Action<crate::runbook::template::Rendered>) -> Option<Reply> {
    match action {
        Action::Http(_) => Some(Reply::Http { status: 200, headers: [].into(), body: "{}".to_owned() }),
        Action::Notify(_) => None,
        Action::Shell(_) | Action::Argv(_) | Action::Remote(_) => {
            Some(Reply::Program { exit: 0, stdout: String::new(), stderr: String::new() })
        }
    }
}

/// The word that says no to a question, where it has one.
pub(super) const fn no(kind: AskKind) -> Option<&'static str> {
    match kind {
        AskKind::Approve => Some("reject"),
        AskKind::Confirm | AskKind::Checklist => Some("no"),
        AskKind::Manual => Some("not_done"),
        _ => None,
    }
}

/// Whether that part of a step begins with it; of the step itself, whatever of it comes first.
fn begins(event: &Event, part: Part) -> bool {
    if part != Part::Own {
        return matches!(&event.fact, Fact::AttemptStarted { role, .. } if part_of(*role) == part);
    }
    match &event.fact {
        Fact::AttemptStarted { role, .. } => matches!(role, Role::Do | Role::First | Role::Item),
        Fact::AskOpened { kind, .. } => !kind.is_trouble(),
        Fact::WaitStarted { .. }
        | Fact::StepEntered {}
        | Fact::StepExpanded { .. }
        | Fact::StepSkipped { .. }
        | Fact::StepSettled { .. } => true,
        _ => false,
    }
}

fn ids(state: &State, event: &Event) -> Option<[String; 2]> {
    let step = event.step.as_ref()?;
    let (at, _) = state.find_item(step, event.item)?;
    Some([state.shape().label(at), step.clone()])
}
