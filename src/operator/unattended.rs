//! Nobody is there: lines are printed, questions stay open and say how they can be answered.

use super::Operator;
use super::question::Question;
use super::screen::{Talk, harmless};
use super::wording::{Text, kind};
use crate::core::Refused;
use crate::plan::Mode;

/// The operator of a run without a person at a terminal.
pub struct Unattended {
    talk: Talk,
    announced: std::collections::BTreeSet<u32>,
}

impl Unattended {
    pub fn new() -> Self {
        Self { talk: Talk::stderr(), announced: std::collections::BTreeSet::new() }
    }
}

impl Default for Unattended {
    fn default() -> Self {
        Self::new()
    }
}

impl Operator for Unattended {
    fn ask(&mut self, question: Question) {
        if self.announced.insert(question.ask) {
            let lang = question.lang;
            let kind = lang.text(kind(question.kind));
            // Nobody answers a rehearsal from elsewhere: it has no command line.
            let rehearsal = question.mode == Mode::Rehearsal;
            let (place, words) = if rehearsal {
                let (place, words) = question.may_be_said();
                (place, words.join("|"))
            } else {
                question.on_a_command_line()
            };
            let values = [
                ("step", question.step.as_str()),
                ("kind", kind),
                ("run", question.run.as_str()),
                ("place", place.as_str()),
                ("words", words.as_str()),
            ];
            let text = if rehearsal { Text::LeftOpenInRehearsal } else { Text::LeftOpen };
            self.talk.line(&harmless(&lang.fill(text, &values)));
        }
    }

    fn withdraw(&mut self, ask: u32, _note: &str) {
        self.announced.remove(&ask);
    }

    fn refused(&mut self, _ask: u32, _why: &Refused) {}

    fn say(&mut self, line: &str) {
        self.talk.line(&harmless(line));
    }

    fn redraw(&mut self) {}

    fn close(&mut self) {}
}
