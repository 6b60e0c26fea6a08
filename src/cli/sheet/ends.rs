//! What is decided at a step: whether it takes place, and whether anything ends there.

use super::Sheet;
use crate::plan::preview::Branch;
use crate::plan::{EndStatus, StepNode};

impl Sheet {
    pub(super) fn when(&mut self, when: &Branch, node: &StepNode) {
        let state = match when.known {
            Some(true) => self.pick("déjà connu : oui", "known already: yes").to_owned(),
            Some(false) => self.pick("déjà connu : non", "known already: no").to_owned(),
            None if when.decided_by.is_empty() => self.pick("décidé plus tard", "decided later").to_owned(),
            None => {
                let by = when.decided_by.join(", ");
                format!("{} {by}", self.pick("décidé plus tard par", "decided later by"))
            }
        };
        self.note(&format!("{} {}  <{state}>", self.pick("si", "if"), when.expr));
        let yes = match node.end {
            Some(end) => self.ends(node, end),
            None => self.pick("l'étape a lieu", "the step takes place").to_owned(),
        };
        let no =
            self.pick("l'étape est sautée, la suite continue", "the step is skipped, what follows goes on");
        self.note(&format!("  {} {yes}", self.pick("oui :", "yes:")));
        self.note(&format!("  {} {no}", self.pick("non :", "no: ")));
    }

    /// What an `end` ends: the run, or the used runbook that it stands in.
    pub(super) fn ends(&self, node: &StepNode, end: EndStatus) -> String {
        let words = match &node.ends {
            Some(step) => format!("{} {step}", self.pick("ici s'arrête", "here ends")),
            None => self.pick("l'exécution s'arrête ici", "the run ends here").to_owned(),
        };
        format!("{words} ({})", end_word(self, end))
    }
}

fn end_word(sheet: &Sheet, end: EndStatus) -> &'static str {
    match end {
        EndStatus::Succeeded => sheet.pick("réussie", "succeeded"),
        EndStatus::Failed => sheet.pick("en échec", "failed"),
    }
}
