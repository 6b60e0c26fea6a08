//! The targets that a run takes, and the windows in which it may be run.

use super::{Sheet, duration};
use crate::operator::request::plain;
use crate::plan::OnBusy;
use crate::plan::preview::Preview;
use crate::runbook::template::Rendered;

impl Sheet {
    pub(super) fn targets(&mut self, preview: &Preview) {
        let busy = match preview.on_busy {
            OnBusy::Ask => "",
            OnBusy::Fail => self.pick(" (prise ailleurs : échoue)", " (where it is held: fails)"),
            OnBusy::Queue => {
                self.pick(" (prise ailleurs : attend son tour)", " (where it is held: waits its turn)")
            }
        };
        for lock in &preview.locks {
            let line = format!("{}{busy}", plain(&Rendered::literal(lock)));
            self.entry(self.pick("verrou", "lock"), &line);
        }
        for window in &preview.windows {
            let title = window.title.in_lang(self.lang.code()).map(|title| format!(" ({title})"));
            let (cron, zone, open) = (&window.cron, &window.zone, duration(window.open_ms));
            let line = format!("{cron} {zone}, {open}{}", title.unwrap_or_default());
            self.entry(self.pick("fenêtre", "window"), &line);
        }
    }
}
