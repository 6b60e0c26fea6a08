//! What has to hold while anything is changed: on paper, somebody looks before each write.

use super::Paper;
use super::fill::{Known, code};
use super::step::{duration, indented};
use crate::runbook::schema::GuardDecl;

impl Paper<'_> {
    pub(super) fn guards(&self, known: &Known) -> Vec<String> {
        let guards = self.document.runbook.guards.as_deref().unwrap_or_default();
        if guards.is_empty() {
            return Vec::new();
        }
        let head = format!("## {}", self.say("Doit tenir pendant tout le travail", "Has to hold all along"));
        let why = self.say(
            "À vérifier avant chaque étape qui change quelque chose. Si cela ne tient pas : ne rien commencer, décider.",
            "To be looked at before each step that changes anything. If it does not hold: begin nothing, decide.",
        );
        let mut blocks = vec![head, why.to_owned()];
        blocks.extend(guards.iter().map(|guard| self.guard(known, guard)));
        blocks
    }

    fn guard(&self, known: &Known, guard: &GuardDecl) -> String {
        let every = self.say("au moins toutes les", "at least every");
        let message = guard.message.as_ref().map(|message| format!(": {}", known.line(message)));
        let head = format!(
            "- {} ({every} {}){}",
            code(&guard.id.value),
            duration(guard.every.value),
            message.unwrap_or_default()
        );
        let blocks = self.probe(known, guard.act());
        let blocks = blocks.iter().map(|block| indented(block));
        std::iter::once(head).chain(blocks).collect::<Vec<_>>().join("\n\n")
    }
}
