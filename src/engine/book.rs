//! The book of a run: its journal and the keeper of its record, written together.
//!
//! Owns the one way anything is written down: append with one sync, then tree heads, then the texts of decisions,
//! and what the journal has to say about those. Nothing that an entry enables starts before this returns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::signed::{BadSignature, Desk, Signed};
use super::word::{Unheard, Word, question};
use crate::clock::Clock;
use crate::core::event::{AskKind, Decision};
use crate::core::{
    Actor, Answer, Decided, Event, Fact, How, Input, JournalInput, Phase, Refused, State, decide, decision,
};
use crate::journal::{Append, Entry, Journal, JournalError, Pending};
use crate::operator::{Question, ToSign};
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

/// More than can come together. What was refused stays among them until later ones push it out.
const MOST_HELD: usize = 64;

/// The journal of a run that this process drives, and its record.
pub struct Book {
    journal: Journal,
    keeper: RecordKeeper,
    clock: Arc<dyn Clock>,
    /// Folder of the keys that people here sign with.
    trust: PathBuf,
    /// The person at this process and his key, where he signs himself.
    own: Option<(String, Arc<FileKey>)>,
    /// Signed decisions that are not written down yet, with who brought them.
    held: Vec<(Signed, Option<Actor>)>,
}

impl Book {
    /// # Errors
    /// The tree heads that are there cannot be listed, or one that is due cannot be written.
    pub fn new(
        mut journal: Journal,
        entries: &[Entry],
        key: Arc<ExecutorKey>,
        home: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BookError> {
        let mut keeper = RecordKeeper::new(&journal, key)?;
        keeper.follow(&mut journal, entries)?;
        let trust = home.join("trust");
        Ok(Self { journal, keeper, clock, trust, own: None, held: Vec::new() })
    }

    /// From here on the decisions of `who`, the person at this process, are signed with his own key.
    pub fn sign_with(&mut self, who: &str, key: Arc<FileKey>) {
        self.own = Some((who.to_owned(), key));
    }

    /// What is said from outside the prompt, as an answer. What was signed elsewhere is its signer's answer, whoever
    /// brings it.
    ///
    /// # Errors
    /// There is no such question, `speaker` cannot say it the way he wants to, or the signature does not count.
    pub fn hear(
        &mut self,
        plan: &Plan,
        state: &State,
        word: Word,
        speaker: &Actor,
    ) -> Result<Answer, Unheard> {
        let Some(pasted) = word.signature.clone() else {
            return word.answer(plan, state, self.journal.dir(), speaker);
        };
        let (step, part) = word.place(state);
        let (ask, part) = (question(state, step)?, part.is_some());
        let text = |actor: &Actor, decided: (Decision, Option<&str>)| {
            self.keeper.approval(&self.journal, state, ask.id, actor, decided)
        };
        let desk = Desk { plan, trust: &self.trust, now: self.clock.now(), text: &text };
        let signed = desk.handed_in((ask, part), &word, &pasted)?;
        let actor = Actor { who: signed.approval.who.clone(), how: How::SshKey, played_by: None };
        let comment = signed.approval.comment.clone();
        let ask = ask.id;
        self.hold(signed, Some(speaker.clone()));
        let (value, evidence) = (word.value, Vec::new());
        Ok(Answer { ask, part: None, value, comment, evidence, actor, shown: None })
    }

    /// The answer under the signature of the person at this process, if it is a decision and he signs himself. A key on
    /// this machine speaks for the person at it, never for one who is played.
    ///
    /// # Errors
    /// The key is not his, or may not sign this.
    pub fn signed(&mut self, plan: &Plan, state: &State, mut answer: Answer) -> Result<Answer, BadSignature> {
        let gate = state.ask(answer.ask).filter(|ask| is_gate(ask.kind));
        let own = self.own.as_ref().filter(|(who, _)| *who == answer.actor.who);
        let (Some((_, key)), Some(ask), How::OsUser) = (own, gate, answer.actor.how) else {
            return Ok(answer);
        };
        // What is no answer at all is for the core to refuse.
        let Ok(decision) = decision(ask, &answer.value) else { return Ok(answer) };
        let actor = Actor { how: How::SshKey, ..answer.actor.clone() };
        let text = |actor: &Actor, decided: (Decision, Option<&str>)| {
            self.keeper.approval(&self.journal, state, ask.id, actor, decided)
        };
        let approval = text(&actor, (decision, answer.comment.as_deref()))?;
        let signature = key.sign(&approval.namespace(true), approval.text().as_bytes())?;
        let desk = Desk { plan, trust: &self.trust, now: self.clock.now(), text: &text };
        let signed = desk.check(Signed { approval, signature })?;
        self.hold(signed, None);
        answer.actor = actor;
        Ok(answer)
    }

    fn hold(&mut self, signed: Signed, by: Option<Actor>) {
        // Not by person and question: of two that come together the first is taken, and the other one is refused.
        self.held.retain(|(held, _)| held.approval != signed.approval);
        if self.held.len() >= MOST_HELD {
            self.held.remove(0);
        }
        self.held.push((signed, by));
    }

    /// What somebody elsewhere can sign to answer an open gate; none if nobody who may has a key in the environment.
    pub fn to_sign(&self, plan: &Plan, state: &State, question: &Question) -> Option<ToSign> {
        super::signed::to_sign(plan, question, |actor, decision| {
            self.keeper.approval(&self.journal, state, question.ask, actor, (decision, None))
        })
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
            for input in self.put(state, std::mem::take(&mut batch), tell)? {
                let decided = decide(plan, state, self.clock.now(), input)?;
                batch.extend((!decided.events.is_empty()).then_some(decided));
            }
        }
        Ok(())
    }

    /// Writes what was decided, with one sync. What it gives has to be written down next, before anything else happens.
    ///
    /// # Errors
    /// Nothing of the batch counts where the journal cannot be written.
    pub fn put(
        &mut self,
        state: &State,
        batch: Vec<Decided>,
        tell: &mut dyn FnMut(&State, &Event),
    ) -> Result<Vec<Input>, BookError> {
        let brought = self.leave_signatures(state, &batch)?;
        let mono = self.clock.mono();
        let pending =
            batch.into_iter().map(|decided| Pending { at: decided.at, mono, events: decided.events });
        let entries = self.journal.append(pending.collect())?;
        self.keeper.follow(&mut self.journal, &entries)?;
        let events = || entries.iter().flat_map(|entry| &entry.events);
        events().for_each(|event| tell(state, event));
        let mut next = Vec::new();
        if events().any(is_decision) {
            next.extend(self.attest(state)?.into_iter().map(Input::Journal));
        }
        next.extend(brought);
        Ok(next)
    }

    /// Puts the signatures of the decisions in a batch on disk before the decisions are: a crash in between loses no
    /// signature. Says who brought them.
    fn leave_signatures(&mut self, state: &State, batch: &[Decided]) -> Result<Vec<Input>, BookError> {
        let mut brought = Vec::new();
        for event in batch.iter().flat_map(|decided| &decided.events) {
            let (Fact::AskAnswered { ask, decision, .. }, Some(actor)) = (&event.fact, &event.actor) else {
                continue;
            };
            if actor.how != How::SshKey {
                continue;
            }
            let comment = event.hidden.text("comment");
            let approval =
                self.keeper.approval(&self.journal, state, *ask, actor, (*decision, comment.as_deref()))?;
            let held = self.held.iter().position(|(held, _)| held.approval == approval);
            // Nobody gets that far without a signature.
            let missing = || Refused {
                code: "bad-signature",
                message: format!("nobody signed the decision of {}", actor.who),
                hint: None,
            };
            let (signed, by) = self.held.remove(held.ok_or_else(missing)?);
            self.keeper.leave(&signed.approval, &signed.signature)?;
            brought.extend(by.filter(|by| by.who != actor.who).map(|by| {
                let step = &signed.approval.step;
                let text = format!("handed in the decision that {} signed about `{step}`", actor.who);
                Input::Note { actor: by, text }
            }));
        }
        Ok(brought)
    }

    /// Files the text of every decision about a gate that has none yet: also of those that a crash left without.
    fn attest(&self, state: &State) -> Result<Vec<JournalInput>, BookError> {
        let mut attested = Vec::new();
        for ask in state.asks().filter(|ask| is_gate(ask.kind)) {
            for given in ask.answers.iter().skip(ask.attested.len()) {
                let decided = (given.decision, given.comment.as_deref());
                let approval = self.keeper.approval(&self.journal, state, ask.id, &given.actor, decided)?;
                attested.push(self.keeper.attest(&approval)?);
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

/// Whether somebody's own signature goes with it.
pub(super) fn is_signed(decided: &Decided) -> bool {
    let by_key = |event: &Event| event.actor.as_ref().is_some_and(|actor| actor.how == How::SshKey);
    decided.events.iter().any(|event| is_decision(event) && by_key(event))
}

fn is_decision(event: &Event) -> bool {
    matches!(event.fact, Fact::AskAnswered { .. })
}

const fn is_gate(kind: AskKind) -> bool {
    matches!(kind, AskKind::Approve | AskKind::Confirm)
}
