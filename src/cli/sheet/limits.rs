//! What goes through an approval without having been shown: which targets, and how many.

use super::Sheet;
use crate::plan::preview::StepPreview;

impl Sheet {
    pub(super) fn limit(&mut self, step: &StepPreview) {
        let Some(limit) = step.node.gate.as_ref().and_then(|gate| gate.limit.as_ref()) else { return };
        if let Some(filter) = &step.filter {
            let text = self.pick("cibles décidées plus tard :", "targets decided later:");
            self.note(&format!("{text} {}", filter.expr));
        }
        let text = self.pick("cibles destructives, au plus :", "destructive targets, at most:");
        self.note(&format!("{text} {}", limit.max_targets));
    }
}
