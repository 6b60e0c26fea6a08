//! A first runbook for somebody who has never written one: whole, commented, and drilled at once.

use super::written::{comment, literal, quoted};
use crate::runbook::schema::Category;

/// What is known of the runbook that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct First<'a> {
    pub id: &'a str,
    pub title: Option<&'a str>,
    pub category: Category,
    pub french: bool,
    /// The runbook as the commands in its comments name it.
    pub file: &'a str,
    pub answers: &'a str,
}

impl First<'_> {
    pub fn runbook(&self) -> String {
        let (fr, en) = match self.title {
            Some(title) => (title.to_owned(), title.to_owned()),
            None => (format!("Première consigne : {}", self.id), format!("First runbook: {}", self.id)),
        };
        let text = self.filled(
            include_str!("../../templates/first.fr.yaml"),
            include_str!("../../templates/first.en.yaml"),
        );
        let text = text.replace("@CATEGORY@", self.category.name());
        // Last: whatever the title says is not looked at again.
        let written = |title: &str| quoted(&literal(title));
        let mut parts = text.splitn(2, "@TITLE_FR@");
        let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{before}{}{}", written(&fr), after.replacen("@TITLE_EN@", &written(&en), 1))
    }

    pub fn inputs(&self) -> String {
        self.filled(
            include_str!("../../templates/first.inputs.fr.yaml"),
            include_str!("../../templates/first.inputs.en.yaml"),
        )
    }

    pub fn answers(&self) -> String {
        self.filled(
            include_str!("../../templates/first.answers.fr.yaml"),
            include_str!("../../templates/first.answers.en.yaml"),
        )
    }

    fn filled(&self, fr: &str, en: &str) -> String {
        let text = if self.french { fr } else { en };
        text.replace("@ID@", self.id)
            .replace("@FILE@", &comment(self.file))
            .replace("@ANSWERS@", &comment(self.answers))
    }
}

/// An environment to drill in, where everybody is played.
pub const fn practice(french: bool) -> &'static str {
    if french {
        include_str!("../../templates/first.practice.fr.yaml")
    } else {
        include_str!("../../templates/first.practice.en.yaml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::runbook::{check, load};

    #[test]
    fn a_first_runbook_makes_sense_whatever_its_title() {
        for french in [true, false] {
            for title in [None, Some("a: \"b\" {{ c }} @TITLE_EN@ \\ # d")] {
                let first = First {
                    id: "x-1",
                    title,
                    category: Category::Maintenance,
                    french,
                    file: "a/x-1.yaml",
                    answers: "a/x-1.answers.yaml",
                };
                let text = first.runbook();
                let (document, problems) = load::runbook(&Source::new("x-1.yaml", text.clone()));
                assert!(problems.is_empty(), "{problems:?}");
                let document = document.unwrap();
                assert_eq!(check::check(&document, None), [], "{text}");
                for left in ["@ID@", "@FILE@", "@CATEGORY@", "@TITLE_FR@", "@ANSWERS@"] {
                    let all = [first.runbook(), first.inputs(), first.answers()].concat();
                    assert!(!all.contains(left), "{left}");
                }
            }
        }
    }
}
