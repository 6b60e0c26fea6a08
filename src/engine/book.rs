//! The book of a run: its journal and the keeper of its record, written together.
//!
//! Owns the one way anything is written down: append with one sync, then tree heads, then the texts of decisions,
//! and what the journal has to say about those. Nothing that an entry enables starts before this returns.

use std::sync::Arc;

use crate::clock::Clock;
use crate::core::event::AskKind;
use crate::core::{Actor, Decided, Event, Fact, How, Input, JournalInput, Phase, Refused, State, decide};
use crate::journal::{Append, Entry, Journal, JournalError, Pending};
use crate::plan::Plan;
use crate::record::build::{RecordError, RecordKeeper};
use crate::record::keys::ExecutorKey;
use crate::record::note::TreeHead;
use crate::record::sshsig::FileKey;

/// What keeps anything from being written. The journal says what is true; resuming is safe.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// The journal of a run that this process drives, and its record.
pub struct Book {
    journal: Journal,
    keeper: RecordKeeper,
    clock: Arc<dyn Clock>,
    /// The person at this process and his key, where he signs himself.
    own: Option<(String, Arc<FileKey>)>,
}

impl Book {
    /// # Errors
    /// The tree heads that are there cannot be listed, or one that is due cannot be written.
    pub fn new(
        mut journal: Journal,
        entries: &[Entry],
        key: Arc<ExecutorKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BookError> {
        let mut keeper = RecordKeeper::new(&journal, key)?;
        keeper.follow(&mut journal, entries)?;
        Ok(Self { journal, keeper, clock, own: None })
    }

    /// From here on the decisions of `who`, the person at this process, are signed with his own key.
    pub fn sign_with(&mut self, who: &str, key: Arc<FileKey>) {
        self.own = Some((who.to_owned(), key));
    }

    /// Takes in inputs one after the other, each written before the next.
    ///
    /// # Errors
    /// One of them is refused, or cannot be written.
    pub fn take_in(
        &mut self,
        plan: &Plan,
        state: &mut State,
        inputs: Vec<Input>,
        tell: &mut dyn FnMut(&State, &Event),
    ) -> Result<(), BookError> {
        for input in inputs {
            let decided = decide(plan, state, self.clock.now(), input)?;
            self.write(plan, state, vec![decided], tell)?;
        }
        Ok(())
    }

    /// Writes what was decided, with one sync, and all that follows from its being written. `tell` hears of every
    /// event once it is on disk.
    ///
    /// # Errors
    /// Nothing of the batch counts where the journal cannot be written.
    pub fn write(
        &mut self,
        plan: &Plan,
        state: &mut State,
        batch: Vec<Decided>,
        tell: &mut dyn FnMut(&State, &Event),
    ) -> Result<(), BookError> {
        let mut batch: Vec<Decided> =
            batch.into_iter().filter(|decided| !decided.events.is_empty()).collect();
        while !batch.is_empty() {
            let mono = self.clock.mono();
            let pending =
                batch.drain(..).map(|decided| Pending { at: decided.at, mono, events: decided.events });
            let entries = self.journal.append(pending.collect())?;
            self.keeper.follow(&mut self.journal, &entries)?;
            entries.iter().flat_map(|entry| &entry.events).for_each(|event| tell(state, event));
            if entries.iter().flat_map(|entry| &entry.events).any(is_decision) {
                for input in self.attest(state)? {
                    let decided = decide(plan, state, self.clock.now(), Input::Journal(input))?;
                    batch.extend((!decided.events.is_empty()).then_some(decided));
                }
            }
        }
        Ok(())
    }

    /// Files the text of every decision about a gate that has none yet: also of those that a crash left without.
    fn attest(&self, state: &State) -> Result<Vec<JournalInput>, BookError> {
        let mut attested = Vec::new();
        let gates = state.asks().filter(|ask| matches!(ask.kind, AskKind::Approve | AskKind::Confirm));
        for ask in gates {
            for given in ask.answers.iter().skip(ask.attested.len()) {
                let comment = given.comment.as_deref();
                let approval = self.keeper.approval(
                    &self.journal,
                    state,
                    ask.id,
                    &given.actor,
                    (given.decision, comment),
                )?;
                let own = self.own.as_ref().filter(|(who, _)| signs_himself(&given.actor, who));
                let namespace = approval.namespace(self.keeper.key().org(), true);
                let personal = own.map(|(_, key)| key.sign(&namespace, approval.text().as_bytes()));
                let personal = personal.transpose().map_err(RecordError::from)?;
                attested.push(self.keeper.attest(&approval, personal.as_ref())?);
            }
        }
        Ok(attested)
    }

    /// What a crash kept from being written down about decisions.
    ///
    /// # Errors
    /// A text cannot be filed.
    pub fn unattested(&self, state: &State) -> Result<Vec<Input>, BookError> {
        Ok(self.attest(state)?.into_iter().map(Input::Journal).collect())
    }

    /// The tree head over all entries so far, signed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sign_head(&mut self) -> Result<TreeHead, BookError> {
        Ok(self.keeper.sign_head(&mut self.journal)?)
    }

    /// The ending sequence, or what is missing of it.
    ///
    /// # Errors
    /// A part cannot be made; calling again goes on where it stopped.
    pub fn seal(&mut self, plan: &Plan, state: &mut State) -> Result<TreeHead, BookError> {
        debug_assert_eq!(state.phase(), Phase::Finished);
        self.take_in(plan, state, vec![Input::Journal(JournalInput::Sealed)], &mut |_, _| {})?;
        Ok(self.keeper.seal(&mut self.journal)?)
    }
}

fn is_decision(event: &Event) -> bool {
    matches!(event.fact, Fact::AskAnswered { .. })
}

/// A key at this process speaks for the person at it: never for one who is played, nor for one who speaks from
/// elsewhere.
fn signs_himself(actor: &Actor, at_this_process: &str) -> bool {
    matches!(actor.how, How::OsUser | How::SshKey) && actor.who == at_this_process
}
