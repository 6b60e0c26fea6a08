//! Where a run can go one way or another, what decides it, and where each way leads.
//!
//! In the order of the steps, so that what stands in a group stands behind it. What is decided already says so, and
//! the other way is there all the same. A step that fails without a word about it is none of these: what follows then
//! is the same for all.

use serde::Serialize;

use super::super::graph::{EndStatus, GateNode, OnFailure, OnTimeout, RunOn, StepNode};
use super::super::translate::Known;
use super::super::values::{Choosing, StepValues};
use super::touched::{deciders, inside};
use crate::plan::Plan;
use crate::runbook::template::{Expr, Lookup, Scope};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fork {
    pub step: String,
    pub kind: ForkKind,
    /// The condition, the list, or what ends the rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Steps, and `run` for what only the run brings. Empty: known already, or decided by how its own step goes.
    pub decided_by: Vec<String>,
    /// For a condition that is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<bool>,
    pub ways: Vec<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForkKind {
    /// Its `when`.
    When,
    /// An end without a condition.
    End,
    /// Its `run_on`.
    RunOn,
    /// Its `for_each`.
    List,
    /// Its `repeat`.
    Rounds,
    /// People open it or do not.
    Gate,
    /// People choose.
    Choice,
    /// Its proof is sought before anything is done.
    Proof,
    /// What follows if it fails.
    Failure,
    /// What its group does if a step of it fails.
    Handlers,
    /// What is switched back when its scope has ended.
    PutBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    pub on: On,
    pub then: Then,
    /// Which option, of a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// After how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// How many items, rounds or failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What takes place, or who is asked as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Steps that do not take place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    Always,
    Yes,
    No,
    NoAnswer,
    BreakGlass,
    Option,
    /// Every item of a list.
    Items,
    Empty,
    TooMany,
    /// The first items have gone well.
    Canary,
    TooManyFailed,
    /// The condition of `repeat` holds.
    Holds,
    LastRound,
    FailedBefore,
    NothingFailed,
    AlreadyDone,
    Failed,
    /// Its scope has succeeded, and `only_if` holds.
    ScopeSucceeded,
    Otherwise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The step takes place.
    Taken,
    Skipped,
    GoesOn,
    /// Those in `names`, for each item.
    Each,
    Succeeded,
    FailedRun,
    Refused,
    /// The used runbook in `names` ends so.
    UsedSucceeded,
    UsedFailed,
    SkipsDependents,
    AsksPeople,
    /// Those in `names` may answer as well, for as long again; then it is a no.
    Escalates,
    /// Those in `names` may open it alone, with a reason.
    OpensAlone,
    Undoes,
    Fails,
    /// Those in `names` run, and if they succeed what follows goes on.
    HandlesAndGoesOn,
    /// Those in `names` run, and the group has failed.
    HandlesAndFails,
    NoFurtherItem,
    PutsBack,
}

fn way(on: On, then: Then) -> Way {
    Way { on, then, option: None, after_ms: None, limit: None, names: Vec::new(), skips: Vec::new() }
}

/// `given`: whether the plan has its inputs and variables.
pub(super) fn forks(plan: &Plan, given: bool) -> Vec<Fork> {
    let mut out = Vec::new();
    for (at, node) in plan.graph.steps.iter().enumerate() {
        let Some(values) = plan.step_values(at) else { continue };
        out.extend(Of { plan, given, at, node, values }.all());
    }
    out
}

struct Of<'a> {
    plan: &'a Plan,
    given: bool,
    at: usize,
    node: &'a StepNode,
    values: &'a StepValues,
}

impl Of<'_> {
    fn all(&self) -> Vec<Fork> {
        let all = [
            self.run_on(),
            self.when(),
            self.list(),
            self.rounds(),
            self.node.gate.as_ref().map(|gate| self.gate(gate)),
            self.choice(),
            self.proof(),
            self.handlers(),
            self.failure(),
            self.put_back(),
        ];
        all.into_iter().flatten().collect()
    }

    fn fork(&self, kind: ForkKind, expr: Option<&Expr>, ways: Vec<Way>) -> Fork {
        let decided_by = expr.map(|expr| deciders(self.plan, self.node, expr)).unwrap_or_default();
        let expr = expr.map(|expr| expr.source().to_owned());
        Fork { step: self.node.id.clone(), kind, expr, decided_by, known: None, ways }
    }

    fn run_on(&self) -> Option<Fork> {
        let otherwise = match self.node.run_on {
            RunOn::Success => return None,
            RunOn::Failure => Then::Skipped,
            RunOn::Finished => Then::Taken,
        };
        let ways = vec![way(On::FailedBefore, Then::Taken), way(On::NothingFailed, otherwise)];
        Some(Fork { decided_by: self.node.needs.clone(), ..self.fork(ForkKind::RunOn, None, ways) })
    }

    fn when(&self) -> Option<Fork> {
        let ends = |end: EndStatus| match (&self.node.ends, end) {
            (None, EndStatus::Succeeded) => way(On::Yes, Then::Succeeded),
            (None, EndStatus::Failed) => way(On::Yes, Then::FailedRun),
            (Some(used), EndStatus::Succeeded) => {
                Way { names: vec![used.clone()], ..way(On::Yes, Then::UsedSucceeded) }
            }
            (Some(used), EndStatus::Failed) => {
                Way { names: vec![used.clone()], ..way(On::Yes, Then::UsedFailed) }
            }
        };
        let yes = self.node.end.map(ends);
        let Some(when) = &self.values.when else {
            let always = Way { on: On::Always, ..yes? };
            return Some(self.fork(ForkKind::End, None, vec![always]));
        };
        let ways = vec![yes.unwrap_or_else(|| way(On::Yes, Then::Taken)), way(On::No, Then::Skipped)];
        let known = when.holds(&Known::of(&self.plan.values)).ok().filter(|_| self.given);
        let fork = self.fork(ForkKind::When, Some(when), ways);
        Some(if known.is_some() { Fork { decided_by: Vec::new(), known, ..fork } } else { fork })
    }

    fn list(&self) -> Option<Fork> {
        let (each, list) = (self.node.each.as_ref()?, self.values.each.as_ref()?);
        let mut ways = Vec::new();
        if let Some(canary) = &each.canary {
            let then = if canary.ask { Then::AsksPeople } else { Then::GoesOn };
            let limit = Some(canary.count.to_string());
            ways.push(Way { limit, after_ms: canary.soak_ms, ..way(On::Canary, then) });
        }
        ways.push(Way { names: self.members(false), ..way(On::Items, Then::Each) });
        ways.push(way(On::Empty, if each.empty_ok { Then::GoesOn } else { Then::Fails }));
        ways.extend(
            each.max_targets
                .map(|most| Way { limit: Some(most.to_string()), ..way(On::TooMany, Then::Fails) }),
        );
        ways.extend(each.max_failures.map(|most| {
            let limit = Some(match most {
                super::super::Share::Count(count) => count.to_string(),
                super::super::Share::Percent(percent) => format!("{percent}%"),
            });
            Way { limit, ..way(On::TooManyFailed, Then::NoFurtherItem) }
        }));
        Some(self.fork(ForkKind::List, Some(&list.items), ways))
    }

    fn rounds(&self) -> Option<Fork> {
        let (repeat, until) = (self.node.repeat?, self.values.repeat_until.as_ref()?);
        let last = Way {
            limit: Some(repeat.max.to_string()),
            ..way(On::LastRound, self.node.on_failure.map_or(Then::Fails, failing))
        };
        Some(self.fork(ForkKind::Rounds, Some(until), vec![way(On::Holds, Then::GoesOn), last]))
    }

    fn gate(&self, gate: &GateNode) -> Fork {
        let refused = if gate.on_reject_continue { Then::SkipsDependents } else { Then::Refused };
        let opens = super::behind(self.plan, self.at);
        let mut ways = vec![Way { names: opens, ..way(On::Yes, Then::GoesOn) }, way(On::No, refused)];
        if let Some(timeout) = self.node.timeout_ms {
            let after_ms = Some(timeout);
            ways.push(match gate.on_timeout {
                OnTimeout::Refuse => Way { after_ms, ..way(On::NoAnswer, refused) },
                OnTimeout::Escalate => {
                    Way { after_ms, names: gate.escalate_to.clone(), ..way(On::NoAnswer, Then::Escalates) }
                }
            });
        }
        ways.extend(gate.break_glass.as_ref().map(|glass| Way {
            after_ms: Some(glass.after_ms),
            names: glass.roles.clone(),
            ..way(On::BreakGlass, Then::OpensAlone)
        }));
        Fork { decided_by: vec![self.node.id.clone()], ..self.fork(ForkKind::Gate, None, ways) }
    }

    fn choice(&self) -> Option<Fork> {
        let own = vec![self.node.id.clone()];
        let (expr, mut ways) = match self.values.choice.as_ref()? {
            Choosing::Listed(options) => {
                (None, options.iter().map(|option| self.option(&option.id)).collect())
            }
            Choosing::Computed(list) => (Some(&list.from), vec![way(On::Option, Then::GoesOn)]),
        };
        if let Some(timeout) = self.node.timeout_ms {
            let then = self.node.on_failure.map_or(Then::Fails, failing);
            ways.push(Way { after_ms: Some(timeout), ..way(On::NoAnswer, then) });
        }
        let fork = self.fork(ForkKind::Choice, expr, ways);
        Some(Fork { decided_by: own.into_iter().chain(fork.decided_by).collect(), ..fork })
    }

    /// Which conditions an option settles.
    fn option(&self, id: &str) -> Way {
        let mut out = Way { option: Some(id.to_owned()), ..way(On::Option, Then::GoesOn) };
        if self.node.many.is_some() || !self.given {
            return out;
        }
        let chosen = Chosen { known: Known::of(&self.plan.values), step: &self.node.id, answer: id };
        for step in &self.plan.graph.steps[self.at + 1..] {
            let when = self.plan.values.steps.get(&step.id).and_then(|values| values.when.as_ref());
            let Some(when) = when else { continue };
            if !deciders(self.plan, step, when).contains(&self.node.id) {
                continue;
            }
            match when.holds(&chosen) {
                Ok(true) => out.names.push(step.id.clone()),
                Ok(false) => out.skips.push(step.id.clone()),
                Err(_) => {}
            }
        }
        out
    }

    fn proof(&self) -> Option<Fork> {
        self.node.verify.filter(|verify| verify.first)?;
        let ways = vec![way(On::AlreadyDone, Then::Skipped), way(On::Otherwise, Then::Taken)];
        Some(self.fork(ForkKind::Proof, None, ways))
    }

    fn handlers(&self) -> Option<Fork> {
        let group = self.node.group.filter(|group| group.handlers)?;
        let then = if group.then_continue { Then::HandlesAndGoesOn } else { Then::HandlesAndFails };
        let ways = vec![Way { names: self.members(true), ..way(On::Failed, then) }];
        Some(self.fork(ForkKind::Handlers, None, ways))
    }

    fn failure(&self) -> Option<Fork> {
        let then = self.node.on_failure.map(failing);
        let then = if self.node.allowed { Some(then.unwrap_or(Then::GoesOn)) } else { then };
        // Of rounds it is said at the last one.
        let then = then.filter(|_| self.node.repeat.is_none());
        Some(self.fork(ForkKind::Failure, None, vec![way(On::Failed, then?)]))
    }

    fn put_back(&self) -> Option<Fork> {
        let back = self.node.put_back?;
        let otherwise = match back.otherwise {
            super::super::OtherwisePutBack::Ask => Then::AsksPeople,
            super::super::OtherwisePutBack::Auto => Then::PutsBack,
        };
        let ways = vec![way(On::ScopeSucceeded, Then::PutsBack), way(On::Otherwise, otherwise)];
        Some(self.fork(ForkKind::PutBack, None, ways))
    }

    fn members(&self, handles: bool) -> Vec<String> {
        let own = |step: &&StepNode| step.within.as_ref() == Some(&self.node.id) && step.handles == handles;
        inside(&self.plan.graph.steps, self.at).iter().filter(own).map(|step| step.id.clone()).collect()
    }
}

const fn failing(on_failure: OnFailure) -> Then {
    match on_failure {
        OnFailure::Ask => Then::AsksPeople,
        OnFailure::Stop => Then::FailedRun,
        OnFailure::Continue => Then::SkipsDependents,
        OnFailure::Undo => Then::Undoes,
    }
}

/// What is known once an option has been chosen.
struct Chosen<'a> {
    known: Known<'a>,
    step: &'a str,
    answer: &'a str,
}

impl Scope for Chosen<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        if root == "steps" && name == self.step {
            return Lookup::Known(serde_json::json!({"answer": self.answer, "outcome": "succeeded"}));
        }
        self.known.lookup(root, name)
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        self.known.whole(root)
    }

    fn secret(&self, path: &str) -> Option<String> {
        self.known.secret(path)
    }
}
