//! One rehearsal for each fault that a runbook can meet: is what must not be, anywhere?
//!
//! What a step does besides itself is met in a second round: where the rehearsal without a fault comes to it, as it is; else
//! behind the first fault of a step that led there in the first round.
//!
//! Owns the order of the jobs, the folders they need for a moment, and what is counted. A rehearsal of a sweep is one like
//! every other; people are played by their answers files, and where those are silent by a stand-in that says yes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::unbounded_channel;

use super::faults::{Fault, FaultKind, Faults, every, every_part};
use super::findings::{self, Finding, What};
use super::placeholder::Placeholders;
use super::sources::{Source, Written, part_of};
use super::stage::Cast;
use super::switched::Switches;
use super::unnoticed::is_unnoticed;
use super::{NewRehearsal, Rehearsed, id_of, rehearse};
use crate::clock::{Timestamp, VirtualClock};
use crate::core::event::ReversalEnd;
use crate::core::{Actor, Fact, Reversal, RunStatus, Status};
use crate::engine::evidence::Kept;
use crate::engine::launch::{Answering, HOST_FILE, LaunchError};
use crate::operator::{Scripted, ScriptedAnswer, StandIn};
use crate::plan::{Plan, Section};
use crate::record::origin::Origin;
use crate::runbook::scenario::{Part, Scenario};

/// A runbook, and who says what in its rehearsals.
pub struct Subject {
    /// What it is called where it is told about.
    pub name: String,
    pub plan: Plan,
    pub frozen: BTreeMap<String, Vec<u8>>,
    pub scenarios: Vec<(Scenario, Origin)>,
    pub answers: BTreeMap<String, ScriptedAnswer>,
    pub start: Timestamp,
    pub seed: u64,
    pub actor: Actor,
    pub tool: String,
}

/// What came of one rehearsal.
#[derive(Debug, Clone)]
pub struct Swept {
    /// `None`: the one in which nothing goes wrong.
    pub fault: Option<Fault>,
    /// What had to go wrong first, so that it is met.
    pub after: Option<Fault>,
    /// The fault came to pass.
    pub met: bool,
    /// It is a wrong answer that came to pass, and everything went on as if it were a good one.
    pub unnoticed: bool,
    /// How it ended; `None` if it did not.
    pub ended: Option<(RunStatus, String)>,
    pub did: Did,
    pub findings: Vec<Finding>,
    /// What was begun of steps besides themselves.
    walked: BTreeSet<(String, Part)>,
}

/// What is to be rehearsed: of which subject, with which fault, behind which other one.
type Job = (usize, Fault, Option<Fault>);

/// What was done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Did {
    pub undone: usize,
    pub put_back: usize,
    /// Reversals that did not work, or that somebody let be.
    pub open: usize,
    pub finally: usize,
    pub escalated: usize,
}

impl Did {
    pub fn of(rehearsed: &Rehearsed) -> Self {
        let state = &rehearsed.rest.state;
        let closed = |kind, how| {
            let all = state.reversals().iter();
            all.filter(|reversal| reversal.kind == kind && reversal.end == Some(how)).count()
        };
        let both = |how| closed(Reversal::Undo, how) + closed(Reversal::PutBack, how);
        let finally = state.places().filter(|at| {
            state.shape().node(*at).section == Section::Finally
                && matches!(state.step(*at).status, Status::Succeeded | Status::Overridden)
        });
        let events = rehearsed.entries.iter().flat_map(|entry| &entry.events);
        Self {
            undone: closed(Reversal::Undo, ReversalEnd::Done),
            put_back: closed(Reversal::PutBack, ReversalEnd::Done),
            open: both(ReversalEnd::Failed) + both(ReversalEnd::LeftOpen),
            finally: finally.count(),
            escalated: events.filter(|event| matches!(event.fact, Fact::AskEscalated { .. })).count(),
        }
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            undone: self.undone + other.undone,
            put_back: self.put_back + other.put_back,
            open: self.open + other.open,
            finally: self.finally + other.finally,
            escalated: self.escalated + other.escalated,
        }
    }
}

/// A rehearsal without faults and one for each fault, for each runbook, in their order. `scratch` is a folder of the
/// sweep's own; nothing stays in it.
///
/// # Panics
/// On a bug: a job of a sweep itself panics.
pub fn sweep(subjects: &[Subject], scratch: &Path, threads: usize) -> Vec<Vec<Swept>> {
    let calm: Vec<(Swept, Switches)> = subjects
        .iter()
        .enumerate()
        .map(|(at, subject)| {
            let dir = scratch.join(format!("{at}"));
            match one(subject, &[], &dir) {
                Ok(made) => {
                    let switches = Switches::of(&made);
                    (judged(subject, None, Ok(made), &switches), switches)
                }
                Err(error) => (judged(subject, None, Err(error), &Switches::default()), Switches::default()),
            }
        })
        .collect();
    let switches: Vec<&Switches> = calm.iter().map(|(_, switches)| switches).collect();
    let of_steps = |at: usize, subject: &Subject| -> Vec<Job> {
        every(&subject.plan).into_iter().map(|fault| (at, fault, None)).collect()
    };
    let jobs = subjects.iter().enumerate().flat_map(|(at, subject)| of_steps(at, subject)).collect();
    let steps = side_by_side(subjects, jobs, &switches, scratch, threads);
    let mut out: Vec<Vec<Swept>> =
        calm.iter().zip(steps).map(|((calm, _), steps)| [vec![calm.clone()], steps].concat()).collect();
    let of_parts = |at: usize, subject: &Subject| -> Vec<Job> {
        let led = |fault: Fault| {
            let after = leads(&out[at], &(fault.place.clone(), fault.part));
            (at, fault, after)
        };
        every_part(&subject.plan).into_iter().map(led).collect()
    };
    let jobs = subjects.iter().enumerate().flat_map(|(at, subject)| of_parts(at, subject)).collect();
    let parts = side_by_side(subjects, jobs, &switches, scratch, threads);
    out.iter_mut().zip(parts).for_each(|(out, parts)| out.extend(parts));
    out
}

/// What has to go wrong so that a part of a step has its turn. None where it has one anyway, or never.
fn leads(swept: &[Swept], part: &(String, Part)) -> Option<Fault> {
    let mut there = swept.iter().filter(|swept| swept.walked.contains(part));
    if there.clone().any(|swept| swept.fault.is_none()) {
        return None;
    }
    // The plainest one: that a step fails.
    let plain =
        there.clone().find(|swept| swept.fault.as_ref().map(|fault| fault.kind) == Some(FaultKind::Failure));
    plain.or_else(|| there.next())?.fault.clone()
}

/// The jobs, by subject, each subject's in their order.
fn side_by_side(
    subjects: &[Subject],
    jobs: Vec<Job>,
    switches: &[&Switches],
    scratch: &Path,
    threads: usize,
) -> Vec<Vec<Swept>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Swept>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some((at, fault, after)) = jobs.get(nth) else { break };
                    let faults: Vec<Fault> = after.iter().chain([fault]).cloned().collect();
                    let made = one(&subjects[*at], &faults, &scratch.join(format!("{at}-{nth}")));
                    let swept = judged(&subjects[*at], Some((fault, after)), made, switches[*at]);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(nth, swept);
                }
            });
        }
    });
    let mut out: Vec<Vec<Swept>> = subjects.iter().map(|_| Vec::new()).collect();
    for (nth, swept) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        out[jobs[nth].0].push(swept);
    }
    out
}

/// One rehearsal; its folder is gone when it is over.
fn one(subject: &Subject, faults: &[Fault], dir: &Path) -> Result<Rehearsed, LaunchError> {
    let made = rehearse(new(subject, faults, dir), answering(subject, dir));
    // What stays is in the folder of the sweep, which is removed as a whole.
    let _gone = std::fs::remove_dir_all(dir);
    made
}

fn new(subject: &Subject, faults: &[Fault], dir: &Path) -> NewRehearsal {
    let written = subject
        .scenarios
        .iter()
        .map(|(scenario, origin)| Box::new(Written::new(scenario, origin.clone())) as Box<dyn Source>);
    let cast = Cast {
        faults: Faults::new(faults.to_vec()),
        sources: written.collect(),
        placeholders: Placeholders::of(&Arc::new(subject.plan.clone())),
        live: None,
    };
    let absent = subject.scenarios.iter().flat_map(|(scenario, _)| scenario.absent.keys().cloned());
    NewRehearsal {
        dir: dir.to_owned(),
        id: id_of(&subject.plan.graph.runbook, subject.seed),
        plan: subject.plan.clone(),
        frozen: subject.frozen.clone(),
        lang: "en".to_owned(),
        tool: subject.tool.clone(),
        seed: subject.seed,
        clock: Arc::new(VirtualClock::at(subject.start)),
        cast,
        actor: subject.actor.clone(),
        attended: true,
        alone: true,
        absent: absent.collect(),
        interrupts: None,
        reading: None,
    }
}

fn answering(subject: &Subject, dir: &Path) -> Answering {
    let (send, replies) = unbounded_channel();
    let people: Vec<String> = subject.plan.graph.people.people.keys().cloned().collect();
    let me = &subject.actor.who;
    let evidence = || Box::new(Kept::in_run(dir));
    let proof: PathBuf = dir.join("plan").join(HOST_FILE);
    let stand_in = StandIn::new(me, people, (evidence(), proof), send.clone());
    let answers = subject.answers.clone();
    let operator = Box::new(Scripted::new(answers, me, evidence(), send, Box::new(stand_in)));
    Answering { operator, replies }
}

fn judged(
    subject: &Subject,
    fault: Option<(&Fault, &Option<Fault>)>,
    made: Result<Rehearsed, LaunchError>,
    switches: &Switches,
) -> Swept {
    let (fault, after) = fault.map_or((None, None), |(fault, after)| (Some(fault.clone()), after.clone()));
    let rehearsed = match made {
        Ok(rehearsed) => rehearsed,
        Err(error) => {
            let place = fault.as_ref().map_or_else(|| subject.name.clone(), |fault| fault.place.clone());
            let findings = vec![Finding { what: What::Broken, place, why: error.to_string() }];
            let (did, walked) = (Did::default(), BTreeSet::new());
            return Swept { fault, after, met: true, unnoticed: false, ended: None, did, findings, walked };
        }
    };
    let scenarios = subject.scenarios.iter();
    let may_stay: BTreeSet<String> =
        scenarios.flat_map(|(scenario, _)| scenario.may_stay.keys().cloned()).collect();
    let finished = rehearsed.rest.state.run.finished.as_ref();
    Swept {
        met: rehearsed.faults.iter().any(|(known, met)| *met && Some(known) == fault.as_ref()),
        unnoticed: fault.as_ref().is_some_and(|fault| is_unnoticed(&rehearsed, fault)),
        fault,
        after,
        ended: finished.map(|finished| (finished.status, finished.reason.clone())),
        did: Did::of(&rehearsed),
        findings: findings::of(&rehearsed, switches, &may_stay),
        walked: walked(&rehearsed),
    }
}

fn walked(rehearsed: &Rehearsed) -> BTreeSet<(String, Part)> {
    let events = rehearsed.entries.iter().flat_map(|entry| &entry.events);
    let begun = events.filter_map(|event| match &event.fact {
        Fact::AttemptStarted { role, .. } => Some((event.step.clone()?, part_of(*role))),
        _ => None,
    });
    begun.filter(|(_, part)| *part != Part::Own).collect()
}
