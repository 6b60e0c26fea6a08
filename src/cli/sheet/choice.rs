//! What there is to choose, as a plan foresees it.

use super::Sheet;
use crate::operator::request::plain;
use crate::plan::preview::{ChoicePreview, StepPreview};

impl Sheet {
    pub(super) fn choice(&mut self, step: &StepPreview) {
        match &step.choice {
            Some(ChoicePreview::Listed(options)) => {
                for option in options {
                    let text = self.of(&option.text).map(plain).unwrap_or_default();
                    self.note(&format!("( ) {}: {text}", option.id));
                }
            }
            Some(ChoicePreview::Computed(list)) => {
                let text = self.pick("à choisir dans", "to be chosen from");
                self.note(&format!("{text} {}", list.from.source()));
            }
            None => {}
        }
        if let Some(many) = step.node.many {
            let most = many.max.map_or_else(|| self.pick("tous", "all").to_owned(), |max| max.to_string());
            self.note(&format!("{} {} {} {most}", self.pick("de", "from"), many.min, self.pick("à", "to")));
        }
    }
}
