//! The targets that a run takes, and when it may.

use super::Sheet;
use crate::operator::request::plain;
use crate::plan::OnBusy;
use crate::plan::preview::Preview;
use crate::runbook::template::Rendered;

impl Sheet {
    pub(super) fn locks(&mut self, preview: &Preview) {
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
    }
}
