//! What the operator has in front of him: the open questions of a run, shown as they come, anew when something about
//! them changes, and taken away with the reason. A view of the state, for every driver that has people.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Book;
use super::narrate;
use crate::core::State;
use crate::core::state::ItemState;
use crate::operator::{Operator, Question};
use crate::plan::Plan;

/// How far a question is answered: whatever of it changes is shown anew.
type Progress = (usize, bool, Vec<ItemState>);

#[derive(Default)]
pub(super) struct Board {
    /// What the operator has been asked, and how far it was answered then.
    shown: BTreeMap<u32, Progress>,
    /// Questions that the operator has just answered and waits to hear about.
    answered: Vec<u32>,
}

impl Board {
    /// An answer of the operator was taken.
    pub(super) fn taken(&mut self, ask: u32) {
        self.answered.push(ask);
    }

    /// The process has died: nothing is shown any more.
    pub(super) fn clear(&mut self, operator: &mut dyn Operator) {
        for ask in std::mem::take(self).shown.into_keys() {
            operator.withdraw(ask, "");
        }
        operator.forget();
    }

    /// Shows what is open now.
    pub(super) fn show(
        &mut self,
        asks: &BTreeSet<u32>,
        (plan, state): (&Plan, &State),
        book: &Book,
        operator: &mut dyn Operator,
    ) {
        // Taken: the operator hears that the question is closed, or sees what is still open of it.
        for ask in std::mem::take(&mut self.answered) {
            self.shown.remove(&ask);
            if !asks.contains(&ask) {
                operator.withdraw(ask, "");
            }
        }
        let gone: Vec<u32> = self.shown.keys().copied().filter(|ask| !asks.contains(ask)).collect();
        for ask in gone {
            self.shown.remove(&ask);
            operator.withdraw(ask, &narrate::closed(state, ask));
        }
        for ask in asks {
            let progress = progress(state, *ask);
            if self.shown.get(ask) != progress.as_ref()
                && let Some(mut question) = Question::of(plan, state, *ask)
            {
                self.shown.extend(progress.map(|progress| (*ask, progress)));
                question.to_sign = book.to_sign(plan, state, &question);
                operator.ask(question);
            }
        }
    }
}

fn progress(state: &State, ask: u32) -> Option<Progress> {
    let ask = state.ask(ask)?;
    Some((ask.answers.len(), ask.escalated, state.step(ask.step).items.clone()))
}
