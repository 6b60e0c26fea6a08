//! What must hold after every entry, each rule by itself and with no code of the core.
//!
//! The checkers of history look at events alone, so a history can be doctored to show that they object
//! (`sabotage.rs`). Those of the live state compare it with its own fold and scan.

use std::collections::BTreeSet;

use consigne::clock::Timestamp;
use consigne::core::event::{Override, SkipReason};
use consigne::core::state::{Derived, Timer};
use consigne::core::*;
use consigne::plan::*;
use serde_json::Value;

use crate::compounds::{Due, came_to, due};
use crate::model::{AskSeen, Model, Toggle, key_of, place_of, request_of};
use crate::places::id_of;
use crate::plans::SECRET;

/// A checker's name and what it found.
pub type Objection = (&'static str, String);

type Rule = fn(&Model<'_>, &Event) -> Result<(), String>;

/// The rules over history. Each sees the events before, and the one that is about to be taken in.
pub const RULES: [(&str, Rule); 27] = [
    ("L5", once),
    ("L7", no_secret),
    ("max_in_flight", slots),
    ("order", order),
    ("gate", gates),
    ("glass", crate::glass::glass),
    ("choice", crate::choices::choice),
    ("read_back", crate::points::read_back),
    ("binding", binding),
    ("limits", crate::limits::limits),
    ("unknown", unknown),
    ("imports", imports),
    ("put_back", put_back),
    ("reversals", reversals),
    ("ending", ending),
    ("keys", keys),
    ("outcome", outcome),
    ("inside", crate::compounds::inside),
    ("lists", crate::compounds::lists),
    ("rounds", crate::compounds::rounds),
    ("groups", crate::compounds::groups),
    ("scopes", crate::compounds::scopes),
    ("ahead", crate::compounds::ahead),
    ("guards", crate::guards::guards),
    ("secrets", crate::leavings::secrets),
    ("artifacts", crate::leavings::artifacts),
    ("hosts", crate::leavings::hosts),
];

/// Those that are about guards too, which are no steps.
const OF_GUARDS: [&str; 3] = ["L7", "max_in_flight", "guards"];

/// Folds events and collects what the rules object to.
#[derive(Debug, Clone)]
pub struct Historian<'a> {
    pub model: Model<'a>,
    pub objections: Vec<Objection>,
    last: Timestamp,
}

impl<'a> Historian<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        Self { model: Model::new(plan), objections: Vec::new(), last: Timestamp::from_millis(i64::MIN) }
    }

    /// What came before, without judging it.
    pub fn recall(&mut self, entries: &[Decided]) {
        for entry in entries {
            self.last = entry.at;
            self.model.at(entry.at);
            entry.events.iter().for_each(|event| self.model.take(event));
        }
    }

    pub fn entry(&mut self, entry: &Decided) {
        if entry.events.is_empty() || entry.at < self.last {
            self.objections.push(("L8", format!("an empty entry, or one before its predecessor: {entry:?}")));
        }
        self.last = entry.at;
        self.model.at(entry.at);
        for event in &entry.events {
            let guard = crate::guards::is_about(self.model.plan, event);
            let about = |name: &str| !guard || OF_GUARDS.contains(&name);
            for (name, rule) in RULES.into_iter().filter(|(name, _)| about(name)) {
                if let Err(why) = rule(&self.model, event) {
                    let of = place_of(event).unwrap_or_else(|| "run".into());
                    self.objections.push((name, format!("{of} {}: {why}", event.fact.name())));
                }
            }
            self.model.take(event);
        }
    }
}

pub fn ensure(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

/// L5: an attempt is started once, and attempts are counted without gaps.
fn once(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let (Fact::AttemptStarted { .. }, Some((_, seen))) = (&event.fact, model.seen(event)) else {
        return Ok(());
    };
    let number = event.attempt.unwrap_or(0);
    ensure(!seen.attempts.contains(&number), "this attempt was started before")?;
    ensure(number as usize == seen.attempts.len() + 1, "an attempt number was left out")?;
    ensure(seen.running.is_none(), "another attempt at the step is running")
}

/// L7: a planted secret never shows.
fn no_secret(_: &Model<'_>, event: &Event) -> Result<(), String> {
    let public = serde_json::to_string(&event.fact).unwrap_or_default();
    let hidden = event.hidden.0.values().any(|text| text.contains(SECRET));
    let step = event.step.as_ref().is_some_and(|step| step.contains(SECRET));
    ensure(!hidden && !step && !public.contains(SECRET), "the planted secret stands in it")
}

fn slots(model: &Model<'_>, event: &Event) -> Result<(), String> {
    if !matches!(event.fact, Fact::AttemptStarted { .. }) {
        return Ok(());
    }
    ensure(!model.paused, "an attempt starts while the run is paused")?;
    ensure(model.running() < model.plan.graph.max_in_flight as usize, "too many attempts at once")
}

/// Order, `above`, `run_on` and the reasons of skips (language rules 1, 2, 7).
fn order(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some((node, seen)) = model.seen(event) else { return Ok(()) };
    let before = model.before(node);
    let ended = before.iter().all(|step| model.steps[&step.id].settled.is_some());
    let shut = before.iter().copied().chain(model.covering(&node.id)).any(|step| !model.satisfied(step))
        || crate::compounds::has_stopped(model, model.place(&node.id));
    let gates_shut = guards(model, node).iter().any(|gate| !model.satisfied(gate));
    let none_failed = !before.iter().any(|step| model.failed(step));
    match &event.fact {
        Fact::StepSkipped { reason, .. } => {
            ensure(seen.settled.is_none(), "it is settled already")?;
            match reason {
                SkipReason::Ended if crate::compounds::ended(model, model.place(&node.id)).is_some() => {}
                SkipReason::Ended | SkipReason::Group => {
                    return Err("a step ends with its run in the entry of the ending".into());
                }
                SkipReason::When => ensure(node.conditional, "it has no condition")?,
                SkipReason::AlreadyDone => {
                    ensure(node.verify.is_some_and(|v| v.first), "nothing was asked first")?
                }
                SkipReason::Upstream if node.run_on == RunOn::Success => {
                    ensure(shut || gates_shut, "everything before it is fine")?
                }
                SkipReason::Upstream => ensure(gates_shut, "every gate before it is open")?,
                SkipReason::NotNeeded => {
                    ensure(
                        node.run_on == RunOn::Failure && none_failed,
                        "something failed, or it runs anyway",
                    )?;
                }
            }
            ensure(ended, "what stands before it has not ended")
        }
        Fact::AttemptStarted { role: Role::Undo | Role::PutBack | Role::OnlyIf, .. }
        | Fact::AskOpened { kind: AskKind::PutBack, .. }
        | Fact::ReversalClosed { .. } => Ok(()),
        Fact::AttemptStarted { .. }
        | Fact::AskOpened { .. }
        | Fact::WaitStarted { .. }
        | Fact::StepImported { .. }
        | Fact::StepEntered {}
        | Fact::StepSettled { .. }
            if !seen.begun =>
        {
            ensure(ended, "what stands before it has not ended")?;
            match node.run_on {
                RunOn::Success => ensure(!shut, "something before it did not succeed"),
                RunOn::Failure => ensure(!gates_shut && !none_failed, "a gate is shut, or nothing failed"),
                RunOn::Finished => ensure(!gates_shut, "a gate is shut"),
            }
        }
        _ => Ok(()),
    }
}

/// Whether the person may answer: language rules 4 to 6.
pub fn may_answer(model: &Model<'_>, ask: &AskSeen, actor: &Actor) -> bool {
    let graph = &model.plan.graph;
    if ask.kind == AskKind::Guard {
        return match actor.how {
            How::Executor | How::Policy => false,
            How::Played => graph.role_play && graph.mode != Mode::Live,
            _ => true,
        };
    }
    let node = model.node(&ask.step);
    let human = [
        AskKind::Approve,
        AskKind::Confirm,
        AskKind::Input,
        AskKind::Choice,
        AskKind::Checklist,
        AskKind::Manual,
    ];
    let known = match actor.how {
        How::Executor => false,
        How::Played => graph.role_play && graph.mode != Mode::Live,
        How::Policy => {
            let asks = human.contains(&ask.kind) && ask.kind != AskKind::Approve;
            return asks && node.unattended && !model.attended;
        }
        How::OsUser => ask.kind != AskKind::Approve || graph.identity == Identity::Any,
        How::Answers => ask.kind != AskKind::Approve,
        How::SshKey => true,
    };
    let who = match ask.kind {
        AskKind::Approve | AskKind::Confirm => node.gate.as_ref().map(|gate| &gate.who),
        AskKind::Input | AskKind::Choice | AskKind::Checklist | AskKind::Manual => node.by.as_ref(),
        AskKind::Failure | AskKind::Unknown | AskKind::PutBack | AskKind::Canary | AskKind::Guard => None,
    };
    let Some(who) = who else { return known };
    let mut roles = who.roles.clone();
    if let (true, Some(gate)) = (ask.escalated, &node.gate) {
        roles.extend(gate.escalate_to.iter().cloned());
    }
    let holds =
        roles.iter().any(|role| graph.people.roles.get(role).is_some_and(|all| all.contains(&actor.who)));
    let starter = who.not_starter && model.starter.as_ref() == Some(&actor.who);
    let other = model.asks.values().filter(|other| {
        is_meant(model, &who.not_steps, &other.step, &ask.step) && human.contains(&other.kind)
    });
    let excluded = other.into_iter().flat_map(|other| &other.answers).any(|(by, ..)| by.who == actor.who);
    known && (holds || (roles.is_empty() && ask.kind != AskKind::Approve)) && !starter && !excluded
}

/// Whether a place is what one of these names means to another place: a step of the same item, or any item of a list.
fn is_meant(model: &Model<'_>, names: &[String], place: &str, from: &str) -> bool {
    let Some(name) = names.iter().find(|name| *name == id_of(place)) else { return false };
    match model.resolve(name, &model.place(from).frame) {
        Some(node) if !model.place(&node.id).whole => node.id == place,
        _ => true,
    }
}

/// No gate opens without enough entitled people, and nobody answers what is not his (rules 2, 4, 5, 6).
fn gates(model: &Model<'_>, event: &Event) -> Result<(), String> {
    match &event.fact {
        Fact::AskAnswered { ask, decision, .. } if *decision != Decision::BreakGlass => {
            let ask = model.asks.get(ask).ok_or("nothing was asked")?;
            ensure(ask.end.is_none(), "the question is closed")?;
            let actor = event.actor.as_ref().ok_or("nobody said it")?;
            ensure(may_answer(model, ask, actor), "he is not entitled")
        }
        Fact::StepSettled { status: Status::Succeeded, .. } => {
            let Some((node, _)) = model.seen(event) else { return Ok(()) };
            let Some(gate) = node.gate.as_ref().filter(|_| !model.place(&node.id).whole) else {
                return Ok(());
            };
            let ask = model.asks.values().rfind(|ask| ask.step == node.id).ok_or("nobody was asked")?;
            let (mut yes, mut no, mut alone) = (BTreeSet::new(), 0, false);
            for (actor, _, decision) in &ask.answers {
                match decision {
                    Decision::BreakGlass => alone = true,
                    Decision::Approve | Decision::Yes => {
                        yes.insert(&actor.who);
                    }
                    _ => no += 1,
                }
            }
            ensure(ask.end == Some(AskEnd::Answered) && no == 0, "it was not answered with yes")?;
            ensure(alone || yes.len() >= gate.quorum.max(1) as usize, "too few different people said yes")
        }
        Fact::StepOverridden { how } => {
            let Some((node, _)) = model.seen(event) else { return Ok(()) };
            ensure(!node.kind.is_gate(), "a gate is not overridden")?;
            let person = event.actor.as_ref().is_some_and(|a| !matches!(a.how, How::Policy | How::Executor));
            ensure(person, "no person did it")?;
            let second = model.plan.graph.protected && node.effect == Effect::Destructive;
            let replaces = !matches!(how, Override::Retry | Override::NotDone);
            let starter = event.actor.as_ref().map(|actor| &actor.who) == model.starter.as_ref();
            ensure(!(second && replaces && starter), "it takes a second person")
        }
        Fact::AttemptStarted { role: Role::Do, .. } => {
            let Some((node, _)) = model.seen(event) else { return Ok(()) };
            let shut = guards(model, node).into_iter().find(|gate| !model.satisfied(gate));
            shut.map_or(Ok(()), |gate| Err(format!("gate {} in front of it is not open", gate.id)))
        }
        _ => Ok(()),
    }
}

/// Every gate in front of a step, and of what it is inside.
fn guards<'m>(model: &'m Model<'_>, node: &'m StepNode) -> Vec<&'m StepNode> {
    let around = model.places.around(&node.id);
    let all = std::iter::once(node).chain(around.into_iter().map(|place| &place.node));
    let of = |step: &'m StepNode| {
        let needs = model.before(step).into_iter();
        let needs = needs.filter(|need| step.needs.iter().any(|name| name == id_of(&need.id)));
        let needs = needs.filter(|need| need.kind.is_gate());
        [needs.collect(), model.covering(&step.id), model.named_gates(step)].concat()
    };
    all.flat_map(of).collect()
}

/// A covered step starts with the request that was shown (rule 3).
fn binding(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::AttemptStarted { role: Role::Do, .. } = event.fact else { return Ok(()) };
    let Some((node, _)) = model.seen(event) else { return Ok(()) };
    let request = request_of(event).ok_or("there is no request in it")?;
    let place = model.place(&node.id);
    for gate in model.covering(&node.id).into_iter().filter(|gate| gate.kind == Kind::Approve) {
        let Some(ask) = model.asks.values().rfind(|ask| ask.step == gate.id) else { continue };
        if ask.end == Some(AskEnd::Answered) {
            // What was known by then was shown item by item; what was not, by what all items have in common.
            let known = |name: &String| model.place(name).label == place.label;
            let item = ask.covers.iter().any(|name| model.places.all.contains_key(name) && known(name));
            let name = if item { place.label.as_str() } else { id_of(&place.name) };
            let shown = ask.shown.get(name).ok_or("it was not shown")?;
            ensure(fills(shown, &request["probe"]["action"]), "what was approved is something else")?;
        }
    }
    Ok(())
}

/// Whether `full` is `shown` with nothing but its references to later values filled in.
fn fills(shown: &Value, full: &Value) -> bool {
    if let Some(pieces) = rendered(shown) {
        return rendered(full).is_some_and(|full| matches(&pieces, &full));
    }
    if let Some(pieces) = shown.get("text").and_then(rendered)
        && matches!(pieces.as_slice(), [Piece::Later])
    {
        return true;
    }
    match (shown, full) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fills(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| fills(a, b)))
        }
        // Approvals call a secret that was born what the runbook calls it, attempts name the item that it is of.
        (Value::String(a), Value::String(b)) => *a == crate::leavings::as_written(b),
        _ => shown == full,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Char(char),
    Secret(String),
    Later,
}

fn rendered(value: &Value) -> Option<Vec<Piece>> {
    let list = value.as_array()?;
    let mut out = Vec::new();
    for segment in list {
        let (kind, text) = segment.as_object().filter(|o| o.len() == 1)?.iter().next()?;
        let text = text.as_str()?;
        match kind.as_str() {
            "text" => out.extend(text.chars().map(Piece::Char)),
            "secret" => out.push(Piece::Secret(crate::leavings::as_written(text))),
            "later" => out.push(Piece::Later),
            _ => return None,
        }
    }
    Some(out)
}

fn matches(shown: &[Piece], full: &[Piece]) -> bool {
    match shown {
        [] => full.is_empty(),
        [Piece::Later, rest @ ..] => (0..=full.len()).any(|skip| {
            full[..skip].iter().all(|p| matches!(p, Piece::Char(_))) && matches(rest, &full[skip..])
        }),
        [first, rest @ ..] => full.first() == Some(first) && matches(rest, &full[1..]),
    }
}

/// What nobody knows is not run again by itself, and not told as known (rule 14).
fn unknown(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some((node, seen)) = model.seen(event) else { return Ok(()) };
    if !seen.doubt {
        return Ok(());
    }
    match &event.fact {
        Fact::AttemptStarted { role: Role::Do, .. } => {
            let by_key = node.keyed && node.verify.is_none();
            ensure(by_key || seen.turn_again, "its outcome is unknown, and nothing has settled it")
        }
        Fact::StepSettled { status, .. } => ensure(*status == Status::Unknown, "its outcome is unknown"),
        Fact::StepSkipped { reason, .. } => {
            ensure(*reason == SkipReason::AlreadyDone, "its outcome is unknown")
        }
        _ => Ok(()),
    }
}

/// Only what an earlier run did, and this one has not touched, is taken over.
fn imports(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let (Fact::StepImported { .. }, Some((node, seen))) = (&event.fact, model.seen(event)) else {
        return Ok(());
    };
    ensure(node.imported && model.plan.graph.rerun.is_some(), "no earlier run did it")?;
    ensure(!seen.begun && seen.settled.is_none(), "it has begun in this run")?;
    ensure(node.put_back.is_none() && node.kind.runs(), "it is not of a kind that can be taken over")?;
    ensure(model.ending.is_none(), "the run is ending")
}

/// Rule 10: no toggle is forgotten, none switched back blindly.
fn put_back(model: &Model<'_>, event: &Event) -> Result<(), String> {
    if matches!(event.fact, Fact::RunFinished { .. }) {
        let open = model.toggles.iter().find(|toggle| toggle.closed.is_none());
        return open.map_or(Ok(()), |toggle| Err(format!("{} is still switched", toggle.step)));
    }
    let Some((node, _)) = model.seen(event) else { return Ok(()) };
    let (Some(toggle), Some(policy)) = (model.toggle(&node.id, Reversal::PutBack), node.put_back) else {
        return Ok(());
    };
    match &event.fact {
        Fact::AttemptStarted { role: Role::PutBack, .. } => {
            let holds = is_clean(model, toggle) && (!policy.only_if || toggle.only_if == Some(true));
            let told = toggle.said.contains(&Decision::PutBack);
            ensure(
                holds || told || toggle.tried || policy.otherwise == OtherwisePutBack::Auto,
                "nobody allowed to put it back",
            )
        }
        Fact::ReversalClosed { how, kind: Reversal::PutBack, .. } => {
            let said = toggle.said.last();
            let decided = match how {
                ReversalEnd::Done => {
                    toggle.last == Some(AttemptResult::Succeeded) || said == Some(&Decision::Done)
                }
                ReversalEnd::LeftOpen => said == Some(&Decision::LeaveOpen),
                ReversalEnd::Failed | ReversalEnd::NotChosen => false,
            };
            ensure(decided, "nobody decided about it")
        }
        _ => Ok(()),
    }
}

/// What a toggle is put back after has gone well: its group, the run, or the steps before a revert.
fn is_clean(model: &Model<'_>, toggle: &Toggle) -> bool {
    match due(model, &toggle.step, Reversal::PutBack) {
        Some(Due::Group(group)) => came_to(model, &group) == (false, false),
        Some(Due::Revert) => true,
        Some(Due::Run) | None => {
            let main = |place: &&crate::places::Place| {
                place.owner.is_none() && place.node.section == Section::Main && model.counts(&place.node)
            };
            let failed = model.places.all.values().any(|place| main(&place));
            !failed && model.ending.is_some_and(|(outcome, ..)| outcome == Ended::Succeeded)
        }
    }
}

/// Reversals run newest first, and when their turn has come; an undo only if it was chosen (rules 9, 10).
fn reversals(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let kind = match event.fact {
        Fact::AttemptStarted { role: Role::Undo, .. } => Reversal::Undo,
        Fact::AttemptStarted { role: Role::PutBack | Role::OnlyIf, .. } => Reversal::PutBack,
        Fact::ReversalClosed { kind, .. } => kind,
        _ => return Ok(()),
    };
    let Some(place) = place_of(event) else { return Ok(()) };
    model.toggle(&place, kind).ok_or("there is nothing to be reversed, or it was")?;
    let turn = due(model, &place, kind).ok_or("it is not the newest, or its turn has not come")?;
    let chosen = turn == Due::Revert || model.ending.is_some_and(|(_, undo, _)| undo);
    let skipped = matches!(event.fact, Fact::ReversalClosed { how: ReversalEnd::NotChosen, .. });
    ensure(kind != Reversal::Undo || skipped || chosen, "nobody chose to undo")?;
    ensure(!(skipped && chosen), "undo was chosen")
}

/// Once a run ends nothing of its main section begins; `finally` begins when all of it is over.
fn ending(model: &Model<'_>, event: &Event) -> Result<(), String> {
    if let Fact::RunFinished { .. } = event.fact {
        ensure(model.ending.is_some() && model.running() == 0, "something is still running")?;
        let all = model.steps.iter().find(|(_, seen)| seen.settled.is_none());
        return all.map_or(Ok(()), |(name, _)| Err(format!("{name} is not settled")));
    }
    let Some((node, seen)) = model.seen(event) else { return Ok(()) };
    let cancelled = matches!(event.fact, Fact::StepSettled { status: Status::Cancelled, .. });
    ensure(!cancelled || model.ending.is_some(), "a step is cancelled with its run only")?;
    let begins = match &event.fact {
        Fact::AttemptStarted { role, .. } => matches!(role, Role::Do | Role::First | Role::Item),
        Fact::AskOpened { kind, .. } => *kind != AskKind::PutBack,
        Fact::StepEntered {} => true,
        Fact::WaitStarted { .. } | Fact::RetryScheduled { .. } => seen.settled.is_none(),
        _ => false,
    };
    let finally = |place: &crate::places::Place| place.node.section == Section::Finally;
    match node.section {
        Section::Main => ensure(!begins || model.ending.is_none(), "the run is ending"),
        Section::Guard => Ok(()),
        Section::Finally => {
            let open = |toggle: &Toggle| toggle.closed.is_none() && !finally(model.place(&toggle.step));
            let open = model.toggles.iter().any(open);
            ensure(
                !begins || (model.ending.is_some() && model.main_settled() && !open),
                "its turn has not come",
            )
        }
    }
}

/// Every attempt at the same thing bears the same key.
fn keys(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let (Fact::AttemptStarted { role, .. }, Some((node, _))) = (&event.fact, model.seen(event)) else {
        return Ok(());
    };
    if role.is_probe() || !node.keyed {
        return Ok(());
    }
    let key = key_of(event).ok_or("it has no key")?;
    let first = model.keys.get(&(node.id.clone(), *role));
    ensure(first.is_none_or(|first| *first == key), "the key has changed")
}

/// The run's own word on how it went.
fn outcome(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::RunFinished { status: RunStatus::Succeeded, .. } = event.fact else { return Ok(()) };
    for place in model.places.all.values().filter(|place| place.owner.is_none()) {
        let node = &place.node;
        let failed = model.failed(node) && !node.allowed;
        let cancelled = matches!(model.steps[&node.id].settled, Some((Status::Cancelled, _)));
        let early = model.ending_reason == "end";
        ensure(!failed || (cancelled && early), "a step failed, and the run says it succeeded")?;
    }
    Ok(())
}

/// L2 and the derived sets: the live state is the fold of its entries, and its sets are what a scan gives.
pub fn at_live(state: &State, shadow: &State) -> Vec<Objection> {
    let mut found = Vec::new();
    if state != shadow {
        found.push(("L2", "the live state is not the fold of its entries".to_owned()));
    }
    found.extend(same_sets(state.derived(), &state.scan()));
    found
}

pub fn same_sets(kept: &Derived, scanned: &Derived) -> Option<Objection> {
    (kept != scanned).then(|| ("derived", format!("kept {kept:?}\nscan {scanned:?}")))
}

/// L4: an input that says nothing new leaves everything as it was.
pub fn nothing_new(before: (&State, usize), after: (&State, usize)) -> Option<Objection> {
    (before != after).then(|| ("L4", "a stale input did something".to_owned()))
}

/// L3: nothing but the inputs decides.
pub fn same_entries(one: &[Decided], other: &[Decided]) -> Option<Objection> {
    (one != other).then(|| ("L3", "the same inputs made different entries".to_owned()))
}

/// L8: one input makes one entry at most.
pub fn one_entry(before: usize, after: usize) -> Option<(&'static str, String)> {
    (after > before + 1).then(|| ("L8", format!("one input made {} entries", after - before)))
}

/// L6: while a run goes on, something is wanted, and a wake-up lies ahead.
pub fn moves(state: &State, commands: &BTreeSet<Command>) -> Option<Objection> {
    if matches!(state.phase(), Phase::New | Phase::Finished) || state.run.paused.is_some() {
        return None;
    }
    if commands.is_empty() {
        return Some(("L6", "the run goes on, and nothing is wanted".to_owned()));
    }
    let past =
        commands.iter().find(|command| matches!(command, Command::WakeAt(at) if *at <= state.run.last_at));
    past.map(|command| ("L6", format!("{command:?} is not later than {}", state.run.last_at)))
}

/// Timers of the state that are overdue though nothing holds them up.
pub fn overdue(state: &State) -> Option<Objection> {
    let late =
        state.derived().timers.iter().find(|(at, timer)| {
            *at <= state.run.last_at && !matches!(timer, Timer::Retry(_) | Timer::Guard(_))
        });
    let runs = state.run.paused.is_none() && state.phase() != Phase::Finished;
    late.filter(|_| runs).map(|late| ("L6", format!("{late:?} is overdue at {}", state.run.last_at)))
}
