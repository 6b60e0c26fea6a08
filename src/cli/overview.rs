//! What needs somebody, over all runs of a home: questions, toggles, unknown outcomes, runs that stand still.
//!
//! Owns gathering it and its form for scripts. Reads only; a run that cannot be read is part of what it says.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::{Seen, look};
use super::waiting::{self, UNSEALED, standing};
use crate::clock::Timestamp;
use crate::core::event::{Reversal, ReversalEnd};
use crate::core::{AskKind, State, Status};
use crate::engine::identity;
use crate::engine::rehearsal::frozen::is_frozen;
use crate::operator::Question;
use crate::plan::{Mode, Plan};

/// Length of the moment that the id of a run begins with.
const STAMP: usize = "20261123t111659".len();

/// Everything that needs somebody.
#[derive(Default)]
pub(super) struct Overview {
    pub questions: Vec<Open>,
    pub toggles: Vec<Toggle>,
    pub unknown: Vec<Unknown>,
    /// Runs that are not over.
    pub runs: Vec<Going>,
    pub unreadable: Vec<(String, CliError)>,
}

/// The run that something is about.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub id: String,
    /// As it is named on the command line: no longer than it must be.
    pub name: String,
    pub dir: PathBuf,
    pub runbook: String,
    pub title: String,
    pub mode: Mode,
}

/// An open question.
pub(super) struct Open {
    pub run: About,
    pub question: Question,
    /// The user of this process may answer it.
    pub mine: bool,
    pub answer: String,
}

/// Something that is switched, or could not be undone.
pub(super) struct Toggle {
    pub run: About,
    pub step: String,
    pub state: ToggleState,
    pub review_at: Option<Timestamp>,
    /// The question about it, if one is open.
    pub answer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToggleState {
    /// Nobody has decided about it; the run is not over.
    Undecided,
    LeftOpen,
    /// Taking it back has failed.
    Failed,
}

impl ToggleState {
    const fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::LeftOpen => "left_open",
            Self::Failed => "failed",
        }
    }
}

/// A step of which nobody knows whether it took effect.
pub(super) struct Unknown {
    pub run: About,
    pub step: String,
    pub reason: Option<String>,
    pub answer: Option<String>,
}

/// A run that is not over.
pub(super) struct Going {
    pub run: About,
    pub standing: &'static str,
    pub driven: bool,
    /// What it waits for by itself.
    pub until: Option<(String, Timestamp)>,
    pub questions: usize,
}

impl Going {
    /// The command that goes on with it, where no process does.
    pub(super) fn next(&self) -> Option<String> {
        (!self.driven).then(|| format!("consigne resume {}", self.run.name))
    }
}

impl Overview {
    /// # Errors
    /// The folder of the runs cannot be read.
    pub(super) fn of(home: &Home) -> Result<Self, CliError> {
        let mut this = Self::default();
        let user = identity::os_user();
        let ids = home.run_ids()?;
        for id in &ids {
            match look(&home.runs.join(id)) {
                Ok(seen) => this.take(seen, home, id, short(id, &ids), &user),
                Err(error) => this.unreadable.push((id.clone(), error)),
            }
        }
        let urgency =
            |open: &Open| (open.question.expires.is_none(), open.question.expires, open.question.opened);
        this.questions.sort_by_key(urgency);
        Ok(this)
    }

    fn take(&mut self, seen: Seen, home: &Home, id: &str, name: &str, user: &str) {
        let Seen { plan, state, driven } = seen;
        let dir = home.runs.join(id);
        let standing = standing(&state, driven, &dir);
        let unfinished = state.run.finished.is_none() || standing == UNSEALED;
        if plan.graph.mode == Mode::Rehearsal {
            // Nothing of it is real: nobody is waited for, and nothing is switched. But somebody may go on with it.
            if unfinished && is_frozen(&dir) {
                let run = About::of(home, id, id, &plan, &state);
                self.runs.push(Going { run, standing, driven, until: None, questions: 0 });
            }
            return;
        }
        let run = About::of(home, id, name, &plan, &state);
        let me = identity::actor(&plan.graph.people, user).who;
        let questions: Vec<Question> = waiting::questions(&plan, &state).collect();
        let answer_of = |step: &str, kind: AskKind| {
            let about = questions.iter().find(|question| question.step == step && question.kind == kind);
            about.map(|question| waiting::answer_line(question, &run.name))
        };
        for reversal in state.reversals() {
            let state_of = match (reversal.end, reversal.kind) {
                (Some(ReversalEnd::LeftOpen), _) => ToggleState::LeftOpen,
                (Some(ReversalEnd::Failed), _) => ToggleState::Failed,
                (None, Reversal::PutBack) => ToggleState::Undecided,
                _ => continue,
            };
            let step = state.shape().label(reversal.step);
            self.toggles.push(Toggle {
                answer: answer_of(&step, AskKind::PutBack),
                run: run.clone(),
                step,
                state: state_of,
                review_at: reversal.review_at,
            });
        }
        for at in 0..state.shape().len() {
            let step = state.step(at);
            if step.status != Status::Unknown {
                continue;
            }
            let name = state.shape().label(at);
            self.unknown.push(Unknown {
                answer: answer_of(&name, AskKind::Unknown),
                run: run.clone(),
                step: name,
                reason: step.reason.clone(),
            });
        }
        if unfinished {
            let due = state.places().filter(|at| !state.step(*at).settled);
            let due = due.filter_map(|at| Some((state.shape().node(at).id.clone(), state.step(at).due?)));
            let until = due.min_by_key(|due| due.1);
            let questions = questions.len();
            self.runs.push(Going { run: run.clone(), standing, driven, until, questions });
        }
        self.questions.extend(questions.into_iter().map(|question| Open {
            run: run.clone(),
            mine: may_answer(&question, &me),
            answer: waiting::answer_line(&question, &run.name),
            question,
        }));
    }

    /// The exit code of whoever shows it.
    pub(super) fn exit(&self) -> Exit {
        let damaged = self.unreadable.iter().any(|(_, error)| error.exit == Exit::Damaged);
        if damaged { Exit::Damaged } else { Exit::Done }
    }

    pub(super) fn json(&self) -> Value {
        let questions = self.questions.iter().map(|open| {
            let Question { step, kind, who, opened, expires, .. } = &open.question;
            open.run.json(json!({
                "step": step, "kind": kind, "mine": open.mine, "text": text(&open.question), "anybody": who.anybody,
                "people": who.people, "opened": opened, "expires": expires, "answer": open.answer,
            }))
        });
        let toggles = self.toggles.iter().map(|toggle| {
            let Toggle { step, state, review_at, answer, .. } = toggle;
            let state = state.name();
            toggle.run.json(json!({"step": step, "state": state, "review_at": review_at, "answer": answer}))
        });
        let unknown = self.unknown.iter().map(|unknown| {
            let Unknown { step, reason, answer, .. } = unknown;
            unknown.run.json(json!({"step": step, "reason": reason, "answer": answer}))
        });
        let runs = self.runs.iter().map(|going| {
            let Going { standing, driven, questions, .. } = going;
            going.run.json(json!({
                "title": going.run.title, "standing": standing, "driven": driven, "questions": questions,
                "until": going.until.as_ref().map(|(_, at)| at), "next": going.next(),
            }))
        });
        let unreadable = self.unreadable.iter().map(|(id, error)| json!({"run": id, "error": error.message}));
        json!({
            "questions": questions.collect::<Vec<_>>(),
            "toggles": toggles.collect::<Vec<_>>(),
            "unknown": unknown.collect::<Vec<_>>(),
            "runs": runs.collect::<Vec<_>>(),
            "unreadable": unreadable.collect::<Vec<_>>(),
        })
    }
}

impl About {
    fn of(home: &Home, id: &str, name: &str, plan: &Plan, state: &State) -> Self {
        let dir = home.runs.join(id);
        Self {
            id: id.to_owned(),
            // An id finds only what is where runs usually are.
            name: if home.runs == home.root.join("runs") {
                name.to_owned()
            } else {
                dir.display().to_string()
            },
            runbook: plan.graph.runbook.clone(),
            title: plan.title(&state.run.lang).to_owned(),
            mode: plan.graph.mode,
            dir,
        }
    }

    /// The run, and what is to be said about it.
    fn json(&self, more: Value) -> Value {
        let mut value =
            json!({"run": self.id, "dir": self.dir, "runbook": self.runbook, "mode": self.mode.name()});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    }
}

/// The beginning of an id that tells it from all others. An id that somebody chose is left whole.
fn short<'a>(id: &'a str, ids: &[String]) -> &'a str {
    let stamp = id.get(..STAMP).filter(|stamp| stamp.bytes().all(|b| b.is_ascii_digit() || b == b't'));
    if stamp.is_none() {
        return id;
    }
    let alone = |end: &usize| {
        let start = id.get(..*end);
        start.is_some_and(|start| ids.iter().filter(|other| other.starts_with(start)).count() == 1)
    };
    (STAMP..id.len()).find(alone).and_then(|end| id.get(..end)).unwrap_or(id)
}

/// What the question asks, in a line.
pub(super) fn text(question: &Question) -> &str {
    let text = question.prompt.as_deref().or(question.title.as_deref()).unwrap_or_default();
    text.lines().next().unwrap_or_default()
}

/// Whether it is up to this person, at a terminal or by a signature.
fn may_answer(question: &Question, me: &str) -> bool {
    let gate = matches!(question.kind, AskKind::Approve | AskKind::Confirm);
    let said = gate && question.given.iter().any(|given| given.actor.who == me);
    question.role_play || question.who.may(me) && !said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_short_as_they_can_be_told_apart() {
        let ids = ["20261123t111659-ab-1", "20261123t111659-ac-1", "20261123t111700-ab-1", "r1", "r10"];
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let shown: Vec<&str> = ids.iter().map(|id| short(id, &ids)).collect();
        assert_eq!(shown, ["20261123t111659-ab", "20261123t111659-ac", "20261123t111700", "r1", "r10"]);
    }
}
