//! A second opinion: what a run's events say, folded with no code of the core. Deliberately plain and slow.

use std::collections::{BTreeMap, BTreeSet};

use consigne::core::event::{Override, SkipReason};
use consigne::core::*;
use consigne::plan::*;

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
}

#[derive(Debug, Clone)]
pub struct AskSeen {
    pub step: String,
    pub kind: AskKind,
    pub answers: Vec<(Actor, Option<String>, Decision)>,
    pub end: Option<AskEnd>,
    pub escalated: bool,
    pub covers: Vec<String>,
    /// Step to the action that was shown, as JSON.
    pub shown: BTreeMap<String, serde_json::Value>,
    /// Of a choice: the ids of its list.
    pub options: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Toggle {
    pub step: String,
    pub kind: Reversal,
    pub closed: Option<ReversalEnd>,
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
    pub steps: BTreeMap<String, Seen>,
    pub asks: BTreeMap<u32, AskSeen>,
    pub toggles: Vec<Toggle>,
    pub keys: BTreeMap<(String, Role), String>,
}

impl<'a> Model<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let steps = plan.graph.steps.iter().map(|step| (step.id.clone(), Seen::default())).collect();
        Self {
            plan,
            starter: None,
            attended: false,
            paused: false,
            ending: None,
            ending_reason: String::new(),
            finished: None,
            steps,
            asks: BTreeMap::new(),
            toggles: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    pub fn node(&self, name: &str) -> &'a StepNode {
        self.plan.graph.steps.iter().find(|step| step.id == name).expect("events name steps of the plan")
    }

    pub fn seen(&self, event: &Event) -> Option<(&'a StepNode, &Seen)> {
        let name = event.step.as_ref()?;
        Some((self.node(name), self.steps.get(name)?))
    }

    pub fn running(&self) -> usize {
        self.steps.values().filter(|step| step.running.is_some()).count()
    }

    /// Everything that has to end before the step.
    pub fn before(&self, node: &StepNode) -> Vec<&'a StepNode> {
        let all = self.plan.graph.steps.iter();
        if node.above {
            all.take_while(|step| step.id != node.id).filter(|step| step.section == node.section).collect()
        } else {
            all.filter(|step| node.needs.contains(&step.id)).collect()
        }
    }

    pub fn covering<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a StepNode> + use<'a, 'n> {
        let covers = move |step: &&StepNode| {
            step.gate.as_ref().is_some_and(|gate| gate.covers.iter().any(|c| c == name))
        };
        self.plan.graph.steps.iter().filter(covers)
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
        let main = self.plan.graph.steps.iter().filter(|step| step.section == Section::Main);
        main.into_iter().all(|step| self.steps[&step.id].settled.is_some())
    }

    /// The newest toggle or undo that is still open.
    pub fn top(&self) -> Option<&Toggle> {
        self.toggles.iter().rfind(|toggle| toggle.closed.is_none())
    }

    fn top_mut(&mut self) -> Option<&mut Toggle> {
        self.toggles.iter_mut().rfind(|toggle| toggle.closed.is_none())
    }

    pub fn take(&mut self, event: &Event) {
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
        for node in self.plan.graph.steps.iter().filter(|step| step.section == Section::Main) {
            let Some(seen) = self.steps.get_mut(&node.id) else { continue };
            if seen.settled.is_none() && (!seen.begun || seen.turn_again) {
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
        if ask.kind == AskKind::PutBack
            && let Some(top) = self.top_mut()
        {
            top.said.push(decision);
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
        for covered in covers {
            if let Some(seen) = self.steps.get_mut(&covered).filter(|seen| seen.retry_due) {
                seen.retry_due = false;
                seen.turn_again = true;
            }
        }
    }

    fn take_of_step(&mut self, event: &Event) {
        let Some(name) = event.step.clone() else { return };
        let node = self.node(&name);
        let writes = node.effect != Effect::Read;
        let Some(seen) = self.steps.get_mut(&name) else { return };
        match &event.fact {
            Fact::StepSkipped { reason, .. } => seen.settled = Some((Status::Skipped, Some(*reason))),
            Fact::StepSettled { status, .. } => {
                seen.begun = true;
                seen.settled = Some((*status, None));
                seen.retry_due = false;
            }
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
                    self.arm(node);
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
                        if let Some(top) = self.top_mut() {
                            top.only_if = Some(*result == AttemptResult::Succeeded);
                        }
                    }
                    Some(Role::Undo | Role::PutBack) => {
                        if let Some(top) = self.top_mut() {
                            top.last = Some(*result);
                        }
                    }
                    _ => {}
                }
            }
            Fact::AttemptInterrupted {} => {
                let role = seen.running.take().map(|(_, role)| role);
                seen.doubt |= writes && role == Some(Role::Do);
                if let (Some(Role::Undo | Role::PutBack), Some(top)) = (role, self.top_mut()) {
                    top.last = Some(AttemptResult::Unknown);
                }
            }
            Fact::RetryScheduled { .. } => seen.retry_due = true,
            Fact::WaitStarted { .. } => seen.begun = true,
            Fact::AskOpened { ask, kind, covers, .. } => {
                seen.begun = true;
                seen.turn_again = false;
                seen.open_ask = Some(*ask);
                let opened = AskSeen {
                    step: name,
                    kind: *kind,
                    answers: Vec::new(),
                    end: None,
                    escalated: false,
                    covers: covers.clone(),
                    shown: shown_of(event),
                    options: crate::choices::options_of(event),
                };
                self.asks.insert(*ask, opened);
            }
            Fact::ReversalClosed { how, .. } => {
                if let Some(top) = self.top_mut() {
                    top.closed = Some(*how);
                }
            }
            _ => {}
        }
    }

    fn arm(&mut self, node: &StepNode) {
        let armed = [(node.undo, Reversal::Undo), (node.put_back.is_some(), Reversal::PutBack)];
        for (_, kind) in armed.into_iter().filter(|(wanted, _)| *wanted) {
            let step = node.id.clone();
            self.toggles.push(Toggle { step, kind, closed: None, only_if: None, said: vec![], last: None });
        }
    }
}

/// The request that stands in an event, as JSON.
pub fn request_of(event: &Event) -> Option<serde_json::Value> {
    serde_json::from_str(event.hidden.0.get("request")?).ok()
}

pub fn key_of(event: &Event) -> Option<String> {
    Some(request_of(event)?.get("idempotency_key")?.as_str()?.to_owned())
}

fn shown_of(event: &Event) -> BTreeMap<String, serde_json::Value> {
    let list =
        event.hidden.0.get("shown").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let list = list.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    list.into_iter()
        .filter_map(|one| Some((one["step"].as_str()?.to_owned(), one["action"].clone())))
        .collect()
}
