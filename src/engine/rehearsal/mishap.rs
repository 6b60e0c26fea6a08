//! Faults that the outside has no part in: the executor dies, its clock is set, somebody says no.
//!
//! A crash loses what a process holds in memory and nothing else: the journal is read back from its folder, and the run
//! goes on by the same input as after a crash of a live run.

use std::sync::Arc;

use serde_json::json;

use super::Driver;
use super::beyond::Messages;
use super::faults::{Fault, FaultKind, NOTE, no};
use crate::core::state::ItemState;
use crate::core::{Actor, Answer, AskKind, Decided, How, Input, Phase};
use crate::engine::book::Book;
use crate::engine::launch::LaunchError;
use crate::journal::{Journal, SeededSalt};
use crate::record::keys::ExecutorKey;
use crate::runbook::scenario::Part;

impl Driver<'_> {
    /// Carries out what has struck.
    pub(super) fn mishaps(&mut self) -> Result<(), LaunchError> {
        if let Some(fault) = self.sim.world.crashed.take() {
            self.take_up()?;
            self.note(&fault)?;
        }
        if let Some((fault, millis)) = self.sim.world.clock_step.take() {
            self.sim.step_clock(millis);
            self.note(&fault)?;
        }
        Ok(())
    }

    /// A fault stands in the record.
    fn note(&mut self, fault: &Fault) -> Result<(), LaunchError> {
        if self.sim.state.phase() == Phase::Finished {
            return Ok(());
        }
        self.input(Input::Note { actor: Actor::executor(), text: format!("{NOTE}{fault}") })
    }

    /// The process has died; a new one goes on from the journal.
    fn take_up(&mut self) -> Result<(), LaunchError> {
        while self.replies.try_recv().is_ok() {}
        self.unrefusable.clear();
        self.board.clear(self.sim.world.operator.as_mut());
        let opened = Journal::open(self.dir)?;
        let lines = opened.entries.len() as u64;
        // A journal without a line does not know its run yet: the one that was made for it is as good as new.
        if lines > 0 {
            let salt = SeededSalt::new(self.seed.wrapping_add(lines));
            let journal = opened.journal.relaxed().salted(Box::new(salt));
            let key = Arc::new(ExecutorKey::of_rehearsals());
            self.sim.world.book = Book::new(journal, &opened.entries, key, self.dir, self.sim.world.clock())?;
        }
        self.sim.world.forget();
        let decided =
            opened.entries.iter().map(|entry| Decided { at: entry.at, events: entry.events.clone() });
        let known: Vec<Decided> = decided.collect();
        self.messages = Messages::of(self.plan, known.iter());
        let corrupt = |what| LaunchError::Corrupt { path: self.dir.to_owned(), what };
        self.sim.take_up(known).map_err(corrupt)?;
        match self.sim.state.phase() {
            Phase::New => self.input(Input::Begin(self.begin.clone())),
            Phase::Finished => Ok(()),
            _ => {
                for input in self.sim.world.book.unattested(&self.sim.state)? {
                    self.input(input)?;
                }
                self.input(Input::Resume {
                    actor: self.actor.clone(),
                    attended: self.begin.attended,
                    tool: self.begin.tool.clone(),
                    end: None,
                })
            }
        }
    }

    /// Says no where that was wished for, in the name of somebody who may. True: somebody has.
    pub(super) fn refuse(&mut self) -> Result<bool, LaunchError> {
        let state = &self.sim.state;
        if state.run.paused.is_some() {
            return Ok(false);
        }
        let open = state.derived().open_asks.iter().copied();
        let open = open.filter(|ask| !self.unrefusable.contains(ask));
        let found = open.filter(|ask| self.sim.world.meets(state, *ask, FaultKind::Refusal)).min();
        let Some(ask) = found else { return Ok(false) };
        // Whoever cannot be refused is asked as ever.
        self.unrefusable.insert(ask);
        let Some(asked) = state.ask(ask) else { return Ok(false) };
        let (place, kind) = (state.shape().label(asked.step), asked.kind);
        let Some(word) = no(kind) else { return Ok(false) };
        let items = state.shape().node(asked.step).items.iter().zip(&state.step(asked.step).items);
        let mut open_items = items.filter(|(_, now)| ItemState::is_open(**now));
        let part = open_items.next().map(|(item, _)| item.id.clone()).filter(|_| kind == AskKind::Checklist);
        for who in self.people() {
            let answer = Answer {
                ask,
                part: part.clone(),
                value: json!(word),
                comment: Some("a fault of this rehearsal".to_owned()),
                evidence: Vec::new(),
                actor: who,
                shown: None,
            };
            let taken = self.sim.input(Input::Answer(Box::new(answer)));
            self.unbroken()?;
            if taken.is_ok() {
                self.note(&Fault { place, part: Part::Own, kind: FaultKind::Refusal })?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Everybody, played by whoever rehearses.
    fn people(&self) -> Vec<Actor> {
        let me = &self.actor.who;
        let played = |who: &String| Actor { who: who.clone(), how: How::Played, played_by: Some(me.clone()) };
        let others = self.plan.graph.people.people.keys().map(played);
        others.chain([self.actor.clone()]).collect()
    }
}
