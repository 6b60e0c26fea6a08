//! What a leave is good for beyond what it names: which targets, and how many.

use super::Paper;
use super::fill::Known;
use crate::runbook::schema::Approve;

impl Paper<'_> {
    pub(super) fn limit(&self, known: &Known, approve: &Approve) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(filter) = &approve.filter {
            out.push(format!(
                "{} {}. {}",
                self.say(
                    "Ce qui n'est décidé que plus tard doit satisfaire :",
                    "What is only decided later has to satisfy:"
                ),
                known.condition(filter),
                self.say("Sinon, redemander.", "If it does not, ask again.")
            ));
        }
        if let Some(most) = &approve.max_targets {
            out.push(match self.french {
                true => format!("L'accord vaut pour {} cible(s) au plus. Au-delà, redemander.", most.value),
                false => format!("The leave is good for {} target(s). For more, ask again.", most.value),
            });
        }
        out
    }
}
