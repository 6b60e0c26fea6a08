//! From a Markdown procedure to a first version of a runbook.
//!
//! Every list item becomes a step that a person does. Commands are quoted in what the person reads: nothing of the
//! Markdown is ever executed, or made into something that would be. Nothing is lost in silence: a text that belongs
//! to no item goes into the description or the nearest step, and what cannot be carried over is noted with its line.

mod outline;

use super::slug::StepIds;
use super::written::{comment, literal, quoted, scalar};
use outline::{Heading, Item, Outline};

/// Characters of an item's text that its title takes.
const TITLE_CHARS: usize = 70;

/// What is known of the runbook besides the Markdown.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    pub markdown: &'a str,
    /// Name of the file, for those who read the result.
    pub name: &'a str,
    pub id: &'a str,
    pub title: Option<&'a str>,
    /// Only what stands below the first heading that holds this text.
    pub section: Option<&'a str>,
    pub french: bool,
}

/// A runbook made of Markdown, and what its author should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procedure {
    pub runbook: String,
    pub steps: usize,
    /// In the order of the lines.
    pub notes: Vec<Note>,
}

/// Something that stands elsewhere than in the Markdown, or was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub line: usize,
    pub message: String,
}

/// Markdown that no runbook can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("the file holds no list and no text below a title, so there is nothing to do")]
    Empty,
    #[error("no heading holds `{wanted}`, expected one of: {}", known.join(", "))]
    NoSection { wanted: String, known: Vec<String> },
}

impl Import<'_> {
    /// # Errors
    /// There is nothing to make a runbook of.
    pub fn procedure(&self) -> Result<Procedure, ImportError> {
        let mut outline = Outline::read(self.markdown, self.section)?;
        if outline.items.is_empty() {
            outline.one_item().ok_or(ImportError::Empty)?;
        }
        let mut ids = StepIds::default();
        let ids: Vec<String> = outline.items.iter().map(|item| ids.of(&outline.slug_text(item))).collect();
        let notes = outline.notes(&ids);
        Ok(Procedure { runbook: self.write(&outline, &ids), steps: ids.len(), notes })
    }

    fn write(&self, outline: &Outline, ids: &[String]) -> String {
        let name = comment(self.name);
        let mut out = if self.french {
            format!(
                "# Tiré de {name} par `consigne new --from`. Chaque élément de liste est une étape faite à la main.\n\
                 # Les commandes citées dans un message sont montrées, jamais exécutées : récrivez-les en étapes\n\
                 # `http`, `shell` ou `argv`, avec `effect` et `verify`, une par une.\n"
            )
        } else {
            format!(
                "# From {name} by `consigne new --from`. Each list item is a step that a person does.\n\
                 # Commands quoted in a message are shown, never executed: turn them into `http`, `shell` or `argv`\n\
                 # steps with `effect` and `verify`, one by one.\n"
            )
        };
        let title = self.title.or(outline.title.as_deref()).unwrap_or(self.name);
        out.push_str("consigne: v1\n");
        out.push_str(&format!("id: {}\n", quoted(self.id)));
        out.push_str(&format!("title: {}\n", quoted(&literal(title))));
        // A title given elsewhere takes the place of the document's, which is not lost for that.
        let own = outline.title.as_ref().filter(|own| self.title.is_some_and(|given| given != own.as_str()));
        let description: Vec<&str> =
            own.into_iter().chain(&outline.description).map(String::as_str).collect();
        if !description.is_empty() {
            let text = description.join("\n\n");
            out.push_str(&format!("description: {}\n", scalar(&literal(&text), 0)));
        }
        out.push_str("steps:\n");
        let mut section = None;
        for (item, id) in outline.items.iter().zip(ids) {
            let path = outline.path(item);
            if section.as_ref() != Some(&path) {
                if !path.is_empty() {
                    out.push_str(&format!("  # {}\n", comment(&path.join(" / "))));
                }
                section = Some(path);
            }
            let message = scalar(&literal(&item.message()), 4);
            out.push_str(&format!("  - id: {}\n", quoted(id)));
            out.push_str(&format!("    title: {}\n", quoted(&literal(&outline.item_title(item, title)))));
            out.push_str(&format!("    message: {message}\n    manual: {{}}\n    effect: write\n\n"));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

impl Outline {
    /// Headings above an item, the outermost first.
    fn path(&self, item: &Item) -> Vec<String> {
        item.headings.iter().map(|at| self.headings[*at].text.clone()).collect()
    }

    /// The nearest heading, after the one above it where that alone would not say which; then the item itself.
    fn item_title(&self, item: &Item, title: &str) -> String {
        let mut parts: Vec<String> = Vec::new();
        if let [above @ .., last] = item.headings.as_slice() {
            let heading = |at: &usize| self.headings[*at].text.clone();
            let twins = self.headings.iter().filter(|other| other.text == heading(last)).count();
            parts.extend(above.last().filter(|_| twins > 1).map(heading));
            parts.push(heading(last));
        }
        if let Some(parent) = item.parent {
            parts.extend(self.items[parent].summary());
        }
        parts.extend(item.summary());
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { title.to_owned() } else { parts.join(" / ") }
    }

    fn slug_text(&self, item: &Item) -> String {
        let heading = || item.headings.last().map(|at| self.headings[*at].text.clone());
        item.summary().or_else(heading).unwrap_or_default()
    }

    fn notes(&self, ids: &[String]) -> Vec<Note> {
        let mut notes = self.left.clone();
        for (line, item, what) in &self.moved {
            let message = format!("{what} `{}`", ids[*item]);
            notes.push(Note { line: *line, message });
        }
        let carried =
            |at: usize| self.headings[at].used || self.items.iter().any(|item| item.headings.contains(&at));
        for (at, heading) in self.headings.iter().enumerate() {
            let Heading { line, text, .. } = heading;
            if !carried(at) {
                let message = format!("nothing stands below the heading `{text}`: left out");
                notes.push(Note { line: *line, message });
            }
        }
        notes.sort();
        notes
    }
}

impl Item {
    fn message(&self) -> String {
        self.blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n\n")
    }

    /// The first line that the item itself says, as short as a title.
    fn summary(&self) -> Option<String> {
        let own = self.blocks.iter().skip(self.lead).find(|block| !block.code)?;
        let line = own.text.lines().next()?;
        if line.chars().count() <= TITLE_CHARS {
            return Some(line.to_owned());
        }
        let mut short = String::new();
        for word in line.split(' ') {
            if !short.is_empty() && short.chars().count() + word.chars().count() >= TITLE_CHARS {
                break;
            }
            short.push_str(if short.is_empty() { "" } else { " " });
            short.push_str(word);
        }
        let cut: String = short.chars().take(TITLE_CHARS).collect();
        Some(format!("{}…", cut.trim_end_matches([',', ';', ':', ' '])))
    }
}

#[cfg(test)]
mod tests;
