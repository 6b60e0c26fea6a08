//! A message on paper: whom to tell, and what to say, in the language of the sheet where it exists.

use super::fill::{Known, code, fenced};
use super::{BLANK, Paper};
use crate::runbook::schema::{NotifyDecl, Step};

impl Paper<'_> {
    pub(super) fn message(&self, known: &Known, notify: &NotifyDecl) -> Vec<String> {
        let owners = self.document.runbook.owners.as_deref().unwrap_or_default();
        let names = notify.to.value.iter().flat_map(|name| match name.value.as_str() {
            "owners" => owners,
            _ => std::slice::from_ref(name),
        });
        let names: Vec<String> = names.map(|name| code(&name.value)).collect();
        let how = if notify.first == Some(true) {
            self.say("Prévenir le premier qui est joignable :", "Tell the first who can be reached:")
        } else {
            self.say("Prévenir :", "Tell:")
        };
        let mut out =
            vec![format!("{how} {}. {} {BLANK}", names.join(", "), self.say("Joints :", "Reached:"))];
        if let Some((subject, text)) = self.said(known, notify) {
            out.push(fenced("text", &format!("{subject}\n\n{text}")));
        }
        out
    }

    fn said(&self, known: &Known, notify: &NotifyDecl) -> Option<(String, String)> {
        if let Some(name) = &notify.template {
            let letter = self.document.letters.get(&name.value)?;
            let pages = if self.french { (&letter.fr, &letter.en) } else { (&letter.en, &letter.fr) };
            let page = pages.0.as_ref().or(pages.1.as_ref())?;
            return Some((known.plain(&page.subject.value), known.plain(&page.text.value)));
        }
        let of = |text: &crate::runbook::scalar::Text| {
            let own = if self.french { text.fr() } else { text.en() };
            let text = own.or(text.fr()).or(text.en())?;
            Some(known.plain(&text.value))
        };
        Some((of(notify.subject.as_ref()?)?, of(notify.text.as_ref()?)?))
    }

    /// What to do when nobody can be reached, unless the step says so itself.
    pub(super) fn unreached(&self, step: &Step) -> Option<&'static str> {
        let lenient = step.notify.is_some() && step.on_failure.is_none() && step.allowed != Some(false);
        lenient.then(|| {
            self.say("noter qui n'a pas été joint, et continuer.", "note who was not reached, and go on.")
        })
    }
}
