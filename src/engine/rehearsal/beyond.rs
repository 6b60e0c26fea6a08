//! What would leave the machine in a run, and does not in a rehearsal: messages about questions, and files that steps leave.
//! The record says what it would have been, as a note of the executor.
//!
//! Messages are level-triggered, as in a live run: who takes a rehearsal up notes what has not been noted.

use std::collections::BTreeSet;

use super::Driver;
use crate::core::notice::notice;
use crate::core::{Actor, AttemptRequest, Decided, Event, Fact, Input, Phase};
use crate::engine::launch::LaunchError;
use crate::plan::{Action, Notice, Plan};
use crate::runbook::template::Rendered;

/// What a note about a message begins with.
pub const NOT_SENT: &str = "simulated, nothing was sent: ";
/// What a note about files begins with.
pub const NOT_KEPT: &str = "simulated, nothing was kept: ";

/// Which messages are noted.
pub(super) struct Messages {
    /// Some question of the runbook has one.
    any: bool,
    /// By question, and whether it is about passing it on.
    noted: BTreeSet<(u32, bool)>,
    /// What a process that is gone has noted.
    before: Vec<String>,
}

impl Messages {
    pub(super) fn of<'e>(plan: &Plan, entries: impl Iterator<Item = &'e Decided>) -> Self {
        let any = plan
            .values
            .steps
            .values()
            .any(|step| step.told.opened.is_some() || step.told.escalated.is_some());
        let notes = entries.flat_map(|entry| &entry.events).filter_map(note);
        Self {
            any,
            noted: BTreeSet::new(),
            before: notes.filter(|note| note.starts_with(NOT_SENT)).collect(),
        }
    }
}

/// The text of a note.
pub fn note(event: &Event) -> Option<String> {
    matches!(event.fact, Fact::NoteRecorded {}).then(|| event.hidden.text("text")).flatten()
}

impl Driver<'_> {
    /// Notes what would be sent about the questions that are open. True: something was noted.
    pub(super) fn tell(&mut self) -> Result<bool, LaunchError> {
        let state = &self.sim.state;
        if !self.messages.any || state.run.paused.is_some() || state.phase() == Phase::Finished {
            return Ok(false);
        }
        let mut texts = Vec::new();
        for ask in state.derived().open_asks.iter().copied() {
            let escalated = state.ask(ask).is_some_and(|ask| ask.escalated);
            for moment in [false, true] {
                if (moment && !escalated) || !self.messages.noted.insert((ask, moment)) {
                    continue;
                }
                let Some(request) = notice(self.plan, state, ask, moment) else { continue };
                let step = state.ask(ask).map(|ask| state.shape().label(ask.step)).unwrap_or_default();
                let about = if moment { "was passed on to them" } else { "waits for an answer" };
                let text = match request.as_ref().map(|request| &request.probe.action) {
                    Ok(Action::Notify(notice)) => {
                        let (to, subject) = (whom(notice), subject(notice, &state.run.lang));
                        format!("{NOT_SENT}{to} would be told that `{step}` {about}: {subject}")
                    }
                    Ok(_) => continue,
                    Err(error) => format!("{NOT_SENT}nobody could be told that `{step}` {about}: {error}"),
                };
                match self.messages.before.iter().position(|before| *before == text) {
                    Some(at) => drop(self.messages.before.remove(at)),
                    None => texts.push(text),
                }
            }
        }
        let news = !texts.is_empty();
        for text in texts {
            self.input(Input::Note { actor: Actor::executor(), text })?;
        }
        Ok(news)
    }
}

/// Who would get it, and over what.
pub fn whom(notice: &Notice<Rendered>) -> String {
    let one = |to: &crate::plan::Recipient| {
        let channels: Vec<String> = to.channels.iter().map(crate::plan::Channel::shown).collect();
        let channels = if channels.is_empty() { "no channel".to_owned() } else { channels.join(", ") };
        format!("{} ({channels})", to.name)
    };
    let all = notice.to.iter().map(one).collect::<Vec<_>>().join(", ");
    if notice.first && notice.to.len() > 1 { format!("the first who is reached of {all}") } else { all }
}

/// What it is about, in the language of the run or else the other one.
pub fn subject(notice: &Notice<Rendered>, lang: &str) -> String {
    notice.subject.in_lang(lang).map(|subject| format!("\"{subject}\"")).unwrap_or_default()
}

/// What an attempt would leave; none where it leaves nothing.
pub(super) fn left(label: &str, request: &AttemptRequest) -> Option<String> {
    let all = request.probe.artifacts.iter().map(|artifact| {
        let optional = if artifact.optional { ", if there" } else { "" };
        format!("{} ({}{optional})", artifact.name, artifact.path)
    });
    let all = all.collect::<Vec<_>>().join(", ");
    (!all.is_empty()).then(|| format!("{NOT_KEPT}`{label}` would leave {all}"))
}
