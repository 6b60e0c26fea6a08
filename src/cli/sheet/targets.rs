//! The targets that a run takes, what it touches by effect, and the windows in which it may be run.

use super::super::args::Lang;
use super::{Sheet, duration};
use crate::operator::request::plain;
use crate::plan::preview::{Preview, TouchedKind};
use crate::plan::{Effect, OnBusy};
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

impl Sheet {
    /// What is touched, the mildest effect first; what only reversals touch stands last of its effect.
    pub(super) fn touched(&mut self, preview: &Preview) {
        let mut last = None;
        for touched in &preview.touched {
            let own = (touched.effect, touched.reversal);
            if last != Some(own) {
                last = Some(own);
                let effect = match touched.effect {
                    Effect::Read => self.pick("lit", "reads"),
                    Effect::Write => self.pick("modifie", "changes"),
                    Effect::Destructive => self.pick("DÉTRUIT", "DESTROYS"),
                    Effect::Notify => self.pick("prévient", "tells"),
                };
                let back = if touched.reversal {
                    self.pick(" en revenant en arrière", " in going back")
                } else {
                    ""
                };
                self.out.push(format!("  {effect}{back}"));
            }
            let kind = match touched.kind {
                TouchedKind::Address => self.pick("adresse", "address"),
                TouchedKind::Host => self.pick("hôte", "host"),
                TouchedKind::Program => self.pick("programme", "program"),
                TouchedKind::KubeContext => self.pick("contexte kube", "kube context"),
                TouchedKind::Recipient => self.pick("personne", "recipient"),
                TouchedKind::ByHand => self.pick("à la main", "by hand"),
            };
            let (what, steps) = (&touched.what, touched.steps.join(", "));
            let what = if what.is_empty() { String::new() } else { format!(" {what}") };
            self.wrapped(&format!("{kind}{what} ({steps})"), "    ", "        ");
        }
        for list in &preview.lists {
            let most = match (list.at_most, self.lang) {
                (Some(most), Lang::Fr) => format!("{most} au plus"),
                (Some(most), Lang::En) => format!("{most} at most"),
                (None, _) => self.pick("sans limite", "no limit").to_owned(),
            };
            let known = list.known.as_ref().map(|names| {
                let count = names.len();
                match self.lang {
                    Lang::Fr => format!(" ; déjà connue, {count} : {}", names.join(", ")),
                    Lang::En => format!("; known already, {count}: {}", names.join(", ")),
                }
            });
            let text = format!("{} = {}, {most}{}", list.step, list.items, known.unwrap_or_default());
            self.entry(self.pick("liste", "list"), &text);
        }
    }
}
