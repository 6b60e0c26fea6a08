//! What helps beside a plan and decides nothing: pages to look at, and how long it usually takes.

use super::{Sheet, duration};
use crate::operator::request::plain;
use crate::plan::preview::{Estimate, Preview, StepPreview};

impl Sheet {
    pub(super) fn beside(&mut self, preview: &Preview) {
        if let Some(Estimate { usually_ms, silent }) = &preview.estimate {
            let mut text = duration(*usually_ms);
            if !silent.is_empty() {
                let silent = silent.join(", ");
                text.push_str(&format!(
                    "{} {silent}",
                    self.pick(" ; rien n'est dit de", "; nothing is said of")
                ));
            }
            self.entry(self.pick("d'habitude", "usually"), &text);
        }
        for link in &preview.links {
            let title = self.of(&link.title).map(|title| format!("{title}: ")).unwrap_or_default();
            self.entry(self.pick("lien", "link"), &format!("{title}{}", link.url));
        }
    }

    pub(super) fn beside_step(&mut self, step: &StepPreview) {
        for link in &step.links {
            let title = self.of(&link.title).map(|title| format!("{}: ", plain(title))).unwrap_or_default();
            self.note(&format!("→ {title}{}", plain(&link.url)));
        }
        if let Some(estimate) = step.estimate_ms {
            self.note(&format!("{} {}", self.pick("d'habitude", "usually takes"), duration(estimate)));
        }
    }
}
