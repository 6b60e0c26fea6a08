//! A second opinion: what a run's events say, folded with no code of the core. Deliberately plain and slow.

use std::collections::{BTreeMap, BTreeSet};

use consigne::clock::Timestamp;
use consigne::core::event::{Override, SkipReason};
use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::{Lookup, Scope};
use serde_json::{Value, json};

use crate::places::{Place, Places};
use crate::told::shown_of;
pub use crate::told::{key_of, keys_of, place_of, request_of};

/// What is known of one step.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// It has had its turn.
    pub begun: bool,
    pub settled: Option<(Status, Option<SkipReason>)>,
    pub running: Option<(u32, Role)>,
    pub attempts: BTreeSet<u32>,
    /// Attempts of role `do` that were started.
    pub dos: u32,
    /// Nobody knows whether its last attempt took effect.
    pub doubt: bool,
    /// It has its turn again, and nothing has come of it yet.
    pub turn_again: bool,
    pub retry_due: bool,
    /// How often a person allowed it to be done once more.
    pub granted: u32,
    pub open_ask: Option<u32>,
    pub outputs: BTreeMap<String, Value>,
    /// For a group, a list, rounds or a revert.
    pub entered: bool,
    pub handling: bool,
    /// How often items were made, and the grants that were used up by it.
    pub batches: u32,
    pub heeded: u32,
    /// Items at first.
    pub targets: usize,
    pub released: usize,
    /// A time to wait between two rounds, or before the other items.
    pub due: Option<Timestamp>,
    /// It has been waited for.
    pub soaked: bool,
    /// A reversal of what belongs to it failed.
    pub unclean: bool,
}

#[derive(Debug, Clone)]
pub struct AskSeen {
    pub step: String,
    pub kind: AskKind,
    pub opened: Timestamp,
    pub answers: Vec<(Actor, Option<String>, Decision)>,
    pub end: Option<AskEnd>,
    pub escalated: bool,
    pub covers: Vec<String>,
    /// Step to the action that was shown, as JSON.
    pub shown: BTreeMap<String, serde_json::Value>,
    /// The destructive targets begun by it, as people call them.
    pub through: BTreeSet<String>,
    /// Of a choice: the ids of its list.
    pub options: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Toggle {
    pub step: String,
    pub kind: Reversal,
    pub scope: Option<String>,
    pub closed: Option<ReversalEnd>,
    /// It was begun to be reversed, and may be to its end.
    pub tried: bool,
    pub only_if: Option<bool>,
    /// What people said about it.
    pub said: Vec<Decision>,
    pub last: Option<AttemptResult>,
}

#[derive(Debug, Clone)]
pub struct Model<'a> {
    pub plan: &'a Plan,
    pub starter: Option<String>,
    pub attended: bool,
    pub paused: bool,
    pub ending: Option<(Ended, bool, bool)>,
    pub ending_reason: String,
    pub finished: Option<RunStatus>,
    pub places: Places,
    /// By place.
    pub steps: BTreeMap<String, Seen>,
    pub now: Timestamp,
    pub asks: BTreeMap<u32, AskSeen>,
    pub toggles: Vec<Toggle>,
    pub keys: BTreeMap<(String, Role), String>,
    pub guards: crate::guards::Guards,
    /// Secrets that were born: `steps.x.key`, by the place of x.
    pub born: BTreeSet<String>,
}

impl<'a> Model<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let places = Places::new(&plan.graph);
        let steps = places.order.iter().map(|name| (name.clone(), Seen::default())).collect();
        Self {
            plan,
            starter: None,
            attended: false,
            paused: false,
            ending: None,
            ending_reason: String::new(),
            finished: None,
            places,
            steps,
            now: Timestamp::default(),
            asks: BTreeMap::new(),
            toggles: Vec::new(),
            keys: BTreeMap::new(),
            born: BTreeSet::new(),
            guards: plan
                .graph
                .guards
                .iter()
                .map(|guard| (guard.id.clone(), crate::guards::Watched::default()))
                .collect(),
        }
    }

    /// What is done at a place.
    pub fn node(&self, name: &str) -> &StepNode {
        &self.place(name).node
    }

    pub fn place(&self, name: &str) -> &Place {
        self.places.all.get(name).expect("events name steps of the plan, and items that were made")
    }

    pub fn seen(&self, event: &Event) -> Option<(&StepNode, &Seen)> {
        let name = place_of(event)?;
        Some((self.node(&name), self.steps.get(&name)?))
    }

    pub fn running(&self) -> usize {
        let guards = self.guards.values().filter(|guard| guard.running.is_some()).count();
        guards + self.steps.values().filter(|step| step.running.is_some()).count()
    }

    /// Everything that has to end before the step.
    pub fn before(&self, node: &StepNode) -> Vec<&StepNode> {
        let place = self.place(&node.id);
        let list = self.places.list(place.owner.as_deref(), place.handles);
        if node.above {
            let above = list.filter(|other| other.at < place.at && other.node.section == node.section);
            above.map(|other| &other.node).collect()
        } else {
            node.needs.iter().filter_map(|need| self.resolve(need, &place.frame)).collect()
        }
    }

    /// What a name means inside an item or a round.
    pub fn resolve(&self, step: &str, frame: &str) -> Option<&StepNode> {
        self.places.resolve(&self.plan.graph, step, frame).map(|place| &place.node)
    }

    /// The gates that a step names as having to be open.
    pub fn named_gates(&self, node: &StepNode) -> Vec<&StepNode> {
        let frame = &self.place(&node.id).frame;
        node.gates.iter().filter_map(|gate| self.resolve(gate, frame)).collect()
    }

    pub fn covering(&self, name: &str) -> Vec<&StepNode> {
        let place = self.place(name);
        let id = &self.plan.graph.steps[place.at].id;
        let covers = |step: &&StepNode| step.gate.as_ref().is_some_and(|gate| gate.covers.contains(id));
        let gates = self.plan.graph.steps.iter().filter(covers);
        gates.filter_map(|gate| self.resolve(&gate.id, &place.frame)).collect()
    }

    /// Language rules 2 and 7: what lets dependents go on.
    pub fn satisfied(&self, node: &StepNode) -> bool {
        match self.steps[&node.id].settled {
            Some((Status::Succeeded | Status::Overridden, _)) => true,
            Some((Status::Skipped, Some(SkipReason::When | SkipReason::AlreadyDone))) => true,
            Some((Status::Skipped, Some(SkipReason::NotNeeded))) => !node.kind.is_gate(),
            Some((Status::Failed | Status::TimedOut, _)) => Self::is_let_pass(node),
            _ => false,
        }
    }

    /// Language rule 8: a message that reached nobody stops nothing, unless its runbook says so.
    fn is_let_pass(node: &StepNode) -> bool {
        node.kind == Kind::Notify && node.allowed && node.on_failure == Some(OnFailure::Continue)
    }

    pub fn failed(&self, node: &StepNode) -> bool {
        !self.satisfied(node)
            && matches!(
                self.steps[&node.id].settled,
                Some((Status::Failed | Status::TimedOut | Status::Cancelled | Status::Unknown, _))
            )
    }

    pub fn main_settled(&self) -> bool {
        let main = self.places.all.values().filter(|place| place.node.section == Section::Main);
        main.into_iter().all(|place| self.steps[&place.name].settled.is_some())
    }

    /// It failed in a way that counts.
    pub fn counts(&self, node: &StepNode) -> bool {
        let cancelled = matches!(self.steps[&node.id].settled, Some((Status::Cancelled, _)));
        self.failed(node) && !cancelled && !node.allowed
    }

    /// The newest of the items of a list that are over and not done.
    pub fn failed_items(&self, whole: &str) -> Vec<&Place> {
        let over = |place: &&Place| self.steps[&place.name].settled.is_some() && !self.satisfied(&place.node);
        self.places.newest(whole).into_values().filter(over).collect()
    }

    /// The newest toggle or undo that is still open.
    pub fn top(&self) -> Option<&Toggle> {
        self.toggles.iter().rfind(|toggle| toggle.closed.is_none())
    }

    /// The open reversal of a step.
    pub fn toggle(&self, step: &str, kind: Reversal) -> Option<&Toggle> {
        let open = |toggle: &&Toggle| toggle.closed.is_none() && toggle.step == step && toggle.kind == kind;
        self.toggles.iter().find(open)
    }

    fn toggle_mut(&mut self, step: &str, kind: Reversal) -> Option<&mut Toggle> {
        let open =
            |toggle: &&mut Toggle| toggle.closed.is_none() && toggle.step == step && toggle.kind == kind;
        self.toggles.iter_mut().find(open)
    }

    /// The reversal of a step that is asked about: the newest of those whose turn may have come.
    fn asked_about(&mut self, step: &str) -> Option<&mut Toggle> {
        let open = |toggle: &&mut Toggle| toggle.closed.is_none() && toggle.step == step;
        self.toggles.iter_mut().rfind(open)
    }

    /// The time is that of the next entry.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
        for seen in self.steps.values_mut() {
            seen.soaked |= seen.due.is_some_and(|due| due <= now);
        }
    }

    pub fn take(&mut self, event: &Event) {
        if crate::guards::is_about(self.plan, event) {
            return crate::guards::take(self, event);
        }
        crate::guards::hear(self, event);
        crate::leavings::take(self, event);
        crate::limits::take(self, event);
        match &event.fact {
            Fact::RunStarted { attended, .. } => {
                self.starter = event.actor.as_ref().map(|actor| actor.who.clone());
                self.attended = *attended;
            }
            Fact::RunResumed { attended, .. } => {
                self.attended = *attended;
                self.paused = false;
            }
            Fact::RunPaused { .. } => self.paused = true,
            Fact::RunEnding { outcome, reason, undo, stop } => {
                self.ending = Some((*outcome, *undo, *stop));
                self.ending_reason.clone_from(reason);
                self.paused = false;
                self.end_main();
            }
            Fact::RunFinished { status, .. } => self.finished = Some(*status),
            Fact::AskAnswered { ask, part, decision } => self.answered(event, *ask, part.as_ref(), *decision),
            Fact::AskEscalated { ask, .. } => {
                if let Some(ask) = self.asks.get_mut(ask) {
                    ask.escalated = true;
                }
            }
            Fact::AskClosed { ask, how } => {
                if let Some(ask) = self.asks.get_mut(ask) {
                    ask.end = Some(*how);
                    if let Some(step) = self.steps.get_mut(&ask.step) {
                        step.open_ask = None;
                    }
                }
            }
            Fact::ApprovalVoided { ask, .. } => self.voided(*ask),
            _ => self.take_of_step(event),
        }
    }

    fn end_main(&mut self) {
        for name in self.places.order.clone() {
            if self.node(&name).section != Section::Main {
                continue;
            }
            let Some(seen) = self.steps.get_mut(&name) else { continue };
            if seen.settled.is_none() && (!seen.begun || seen.turn_again) && !seen.entered {
                let status = match (seen.dos, seen.doubt) {
                    (0, _) => Status::Skipped,
                    (_, true) => Status::Unknown,
                    _ => Status::Failed,
                };
                seen.settled = Some((status, (seen.dos == 0).then_some(SkipReason::Ended)));
            }
        }
    }

    fn answered(&mut self, event: &Event, id: u32, part: Option<&String>, decision: Decision) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        if let Some(actor) = &event.actor {
            ask.answers.push((actor.clone(), part.cloned(), decision));
        }
        let (kind, step) = (ask.kind, ask.step.clone());
        if kind == AskKind::PutBack
            && let Some(toggle) = self.asked_about(&step)
        {
            toggle.said.push(decision);
        }
        if !matches!(kind, AskKind::PutBack | AskKind::Failure | AskKind::Unknown | AskKind::Canary) {
            self.gives(event, &step);
        }
    }

    fn voided(&mut self, id: u32) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        ask.end = Some(AskEnd::Voided);
        let (gate, covers) = (ask.step.clone(), ask.covers.clone());
        if let Some(seen) = self.steps.get_mut(&gate) {
            seen.settled = None;
            seen.turn_again = true;
        }
        let frame = self.place(&gate).frame.clone();
        let meant = |place: &&Place| {
            let named = covers.contains(&place.name) || covers.contains(&self.plan.graph.steps[place.at].id);
            named && self.places.frames(&place.frame).contains(&frame)
        };
        let covers: Vec<String> =
            self.places.all.values().filter(meant).map(|place| place.name.clone()).collect();
        for covered in covers {
            if let Some(seen) = self.steps.get_mut(&covered).filter(|seen| seen.retry_due) {
                seen.retry_due = false;
                seen.turn_again = true;
            }
        }
    }

    fn take_of_step(&mut self, event: &Event) {
        let Some(name) = place_of(event) else { return };
        if matches!(event.fact, Fact::StepExpanded { .. }) {
            return self.expanded(event, &name);
        }
        if matches!(
            event.fact,
            Fact::AttemptFinished { .. } | Fact::StepImported { .. } | Fact::StepOverridden { .. }
        ) {
            self.gives(event, &name);
        }
        let node = self.node(&name).clone();
        let writes = node.effect != Effect::Read;
        let Some(seen) = self.steps.get_mut(&name) else { return };
        match &event.fact {
            Fact::StepSkipped { reason, .. } => {
                seen.settled = Some((Status::Skipped, Some(*reason)));
                self.over_inside(&name);
            }
            Fact::StepSettled { status, .. } => {
                seen.begun = true;
                seen.settled = Some((*status, None));
                seen.retry_due = false;
                self.over_inside(&name);
            }
            Fact::StepEntered {} => (seen.begun, seen.entered, seen.turn_again) = (true, true, false),
            Fact::StepHandling {} => seen.handling = true,
            Fact::StepReleased { items } => seen.released = *items as usize,
            Fact::StepImported { .. } => {
                seen.begun = true;
                seen.settled = Some((Status::Succeeded, None));
            }
            Fact::StepUnknown { .. } => seen.doubt = true,
            Fact::StepOverridden { how } => {
                match how {
                    Override::Retry => {
                        seen.granted += 1;
                        seen.turn_again = true;
                        return;
                    }
                    Override::NotDone => seen.granted += 1,
                    _ => seen.settled = Some((Status::Overridden, None)),
                }
                seen.doubt = false;
                if seen.settled.is_some() {
                    self.over_inside(&name);
                }
            }
            Fact::AttemptStarted { role, .. } => {
                seen.begun = true;
                seen.turn_again = false;
                seen.retry_due = false;
                let attempt = event.attempt.unwrap_or(0);
                seen.attempts.insert(attempt);
                seen.running = Some((attempt, *role));
                seen.dos += u32::from(*role == Role::Do);
                if *role == Role::Do && seen.dos == 1 {
                    self.arm(&node);
                }
                if let Some(toggle) =
                    self.toggle_mut(&name, Reversal::PutBack).filter(|_| *role == Role::PutBack)
                {
                    toggle.tried = true;
                }
                if let (Some(key), false) = (key_of(event), role.is_probe()) {
                    self.keys.entry((name, *role)).or_insert(key);
                }
            }
            Fact::AttemptFinished { result, reason, .. } => {
                let role = seen.running.take().map(|(_, role)| role);
                match role {
                    Some(Role::Do) if writes => seen.doubt = *result == AttemptResult::Unknown,
                    Some(Role::Verify) => {
                        let absent = *result == AttemptResult::Failed && reason == "absent";
                        seen.doubt &= !(absent || *result == AttemptResult::Succeeded);
                    }
                    Some(Role::OnlyIf) => {
                        if let Some(toggle) = self.toggle_mut(&name, Reversal::PutBack) {
                            toggle.only_if = Some(*result == AttemptResult::Succeeded);
                        }
                    }
                    Some(role @ (Role::Undo | Role::PutBack)) => {
                        if let Some(toggle) = self.toggle_mut(&name, reversal_of(role)) {
                            toggle.last = Some(*result);
                        }
                    }
                    _ => {}
                }
            }
            Fact::AttemptInterrupted {} => {
                let role = seen.running.take().map(|(_, role)| role);
                seen.doubt |= writes && role == Some(Role::Do);
                if let Some(role @ (Role::Undo | Role::PutBack)) = role
                    && let Some(toggle) = self.toggle_mut(&name, reversal_of(role))
                {
                    toggle.last = Some(AttemptResult::Unknown);
                }
            }
            Fact::RetryScheduled { .. } => seen.retry_due = true,
            Fact::WaitStarted { due } => (seen.begun, seen.due) = (true, Some(*due)),
            Fact::AskOpened { ask, kind, covers, .. } => {
                seen.begun = true;
                seen.turn_again = false;
                seen.open_ask = Some(*ask);
                let opened = AskSeen {
                    step: name,
                    kind: *kind,
                    opened: self.now,
                    answers: Vec::new(),
                    end: None,
                    escalated: false,
                    covers: covers.clone(),
                    shown: shown_of(event),
                    through: BTreeSet::new(),
                    options: crate::choices::options_of(event),
                };
                self.asks.insert(*ask, opened);
            }
            Fact::ReversalClosed { kind, how, .. } => {
                let Some(toggle) = self.toggle_mut(&name, *kind) else { return };
                toggle.closed = Some(*how);
                let scope = toggle.scope.clone().filter(|_| *kind == Reversal::PutBack);
                if let Some(seen) = scope.and_then(|scope| self.steps.get_mut(&scope)) {
                    seen.unclean |= *how == ReversalEnd::Failed;
                }
            }
            _ => {}
        }
    }

    fn arm(&mut self, node: &StepNode) {
        let armed = [(node.undo, Reversal::Undo), (node.put_back.is_some(), Reversal::PutBack)];
        for (_, kind) in armed.into_iter().filter(|(wanted, _)| *wanted) {
            let (step, scope) = (node.id.clone(), self.places.scope(&node.id));
            let toggle = Toggle {
                step,
                kind,
                scope,
                closed: None,
                tried: false,
                only_if: None,
                said: vec![],
                last: None,
            };
            self.toggles.push(toggle);
        }
    }

    /// A list became known, or a part of it is done again, or a round begins.
    fn expanded(&mut self, event: &Event, name: &str) {
        let Fact::StepExpanded { items } = event.fact else { return };
        let rounds = self.node(name).repeat.is_some();
        let keys = keys_of(event);
        let before: BTreeMap<String, usize> =
            self.places.items(name).filter_map(|item| Some((item.key.clone()?, item.nth?))).collect();
        let Some(seen) = self.steps.get_mut(name) else { return };
        let (batch, granted) = (seen.batches as usize, seen.granted);
        (seen.batches, seen.heeded, seen.due) = (seen.batches + 1, granted, None);
        seen.soaked &= !rounds;
        seen.turn_again &= !seen.entered;
        if batch == 0 {
            seen.targets = items as usize;
        }
        let new: Vec<(usize, Option<String>)> = if rounds {
            vec![(batch, None)]
        } else {
            let nth = |at: usize, key: &String| before.get(key).copied().unwrap_or(at);
            keys.iter().enumerate().map(|(at, key)| (nth(at, key), Some(key.clone()))).collect()
        };
        self.places.expand(&self.plan.graph, name, &new);
        for place in &self.places.order {
            self.steps.entry(place.clone()).or_default();
        }
        // What failed is done again at once; the first items wait to be released.
        let members = self.places.items(name).count();
        if let Some(seen) = self.steps.get_mut(name).filter(|_| batch > 0 || rounds) {
            seen.released = members;
        }
    }

    /// What belongs to something that is over, and has not begun, is over with it.
    fn over_inside(&mut self, name: &str) {
        for inner in self.places.inside(name) {
            if let Some(seen) = self.steps.get_mut(&inner).filter(|seen| seen.settled.is_none()) {
                seen.settled = Some((Status::Skipped, Some(SkipReason::Group)));
            }
        }
    }

    fn gives(&mut self, event: &Event, name: &str) {
        let mut all = BTreeMap::new();
        if let Fact::AttemptFinished { outputs, .. } | Fact::StepImported { outputs } = &event.fact {
            all.extend(outputs.iter().map(|(name, text)| (name.clone(), text.clone())));
        }
        let hidden = event.hidden.0.iter();
        all.extend(
            hidden.filter_map(|(name, text)| Some((name.strip_prefix("output.")?.to_owned(), text.clone()))),
        );
        let Some(seen) = self.steps.get_mut(name) else { return };
        let probe = matches!(seen.running, Some((_, Role::First | Role::Verify)));
        for (name, text) in all {
            let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
            if !(probe && seen.outputs.contains_key(&name)) {
                seen.outputs.insert(name, value);
            }
        }
    }
}

/// The names of an item or a round, as the model knows them.
pub struct Inside<'m, 'p> {
    pub model: &'m Model<'p>,
    pub frame: String,
}

impl Scope for Inside<'_, '_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        if root == "inputs" {
            return self.model.plan.values.inputs.get(name).cloned().map_or(Lookup::Missing, Lookup::Known);
        }
        let Some(node) = self.model.resolve(name, &self.frame).filter(|_| root == "steps") else {
            return Lookup::Missing;
        };
        let seen = &self.model.steps[&node.id];
        let Some((status, _)) = seen.settled else { return Lookup::Later };
        let mut values: serde_json::Map<String, Value> = seen.outputs.clone().into_iter().collect();
        values.insert("outcome".into(), json!(status.name()));
        Lookup::Known(Value::Object(values))
    }
}

fn reversal_of(role: Role) -> Reversal {
    if role == Role::Undo { Reversal::Undo } else { Reversal::PutBack }
}
