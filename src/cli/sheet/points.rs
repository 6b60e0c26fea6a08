//! The points of a checklist: what ticks each of them.

use super::Sheet;
use crate::operator::request::plain;
use crate::plan::preview::StepPreview;

impl Sheet {
    pub(super) fn points(&mut self, step: &StepPreview) {
        for item in &step.items {
            let text = self.of(&item.text).map(plain).unwrap_or_default();
            let node = step.node.items.iter().find(|node| node.id == item.id);
            let evidence = node.map_or("", |node| self.evidence(node.evidence));
            self.note(&format!("[ ] {}: {text}{evidence}", item.id));
            if let Some(of) = &item.step {
                let text = self.pick("prouvé comme l'effet de", "proved like the effect of");
                self.note(&format!("    {text} {of}"));
            }
            if let Some(value) = &item.read_back {
                let text = self.pick("coché en relisant :", "ticked by reading back:");
                self.note(&format!("    {text} {}", plain(value)));
            }
            if let Some(probe) = &item.probe {
                self.request(self.pick("prouvé par :", "proved by:"), 3, Some(probe));
            }
        }
    }
}
