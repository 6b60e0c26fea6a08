//! A form that is filled in before there is a run: what it still has to know, asked field by field at the terminal.
//!
//! Asks and returns; starts nothing and keeps nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::dialog::{self, Break, Offer, Reader};
use super::line::Line;
use super::parse;
use super::prompt::{Heeded, Prompt};
use super::question::Field;
use super::screen::{Screen, TerminalError, harmless, one_line};
use super::wording::{Lang, Text};

/// A field that has to be filled in.
#[derive(Debug)]
pub struct Blank {
    pub field: Field,
    /// Why what was given for it cannot be taken.
    pub why: Option<String>,
}

/// Why a form was not filled in.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Ctrl-C, Ctrl-D, or the terminal is gone.
    #[error("the form was left")]
    Left,
}

/// Asks for every field until each has a value that `fits`.
///
/// # Errors
/// There is no terminal, or whoever is there leaves the form.
pub fn fill(
    lang: Lang,
    blanks: &[Blank],
    fits: &dyn Fn(&str, &Value) -> Result<(), String>,
) -> Result<BTreeMap<String, Value>, FormError> {
    let mut desk = Desk { prompt: Prompt::on(Screen::open()?) };
    desk.prompt.lang = lang;
    desk.prompt.screen.print(&format!("{}\n", lang.text(Text::FormAsked)));
    desk.prompt.screen.raw();
    desk.prompt.forget_typed();
    let columns = desk.prompt.screen.columns();
    let filled = asked(&mut desk, lang, blanks, fits, columns);
    desk.prompt.screen.cooked();
    filled.map_err(|_| FormError::Left)
}

fn asked(
    reader: &mut dyn Reader,
    lang: Lang,
    blanks: &[Blank],
    fits: &dyn Fn(&str, &Value) -> Result<(), String>,
    columns: usize,
) -> Result<BTreeMap<String, Value>, Break> {
    let wrapped = textwrap::Options::new(columns).subsequent_indent("  ");
    let mut values = BTreeMap::new();
    for Blank { field, why } in blanks {
        let mut text = format!("\n{}\n", textwrap::fill(&described(lang, field), &wrapped));
        if let Some(why) = why {
            text.push_str(&format!("  {}\n", lang.fill(Text::FormNotTaken, &[("why", &one_line(why))])));
        }
        reader.print(&harmless(&text));
        loop {
            let value = dialog::field(reader, lang, field, &field.name)?;
            match fits(&field.name, &value) {
                Ok(()) => {
                    values.insert(field.name.clone(), value);
                    break;
                }
                Err(why) => reader.print(&format!("  {}\n", one_line(&why))),
            }
        }
    }
    Ok(values)
}

/// What a field is called, and what fits.
fn described(lang: Lang, field: &Field) -> String {
    let mut text = format!("{}: {}", field.title, lang.text(parse::kind_name(&field.kind)));
    let mut add = |name, values: &[(&str, &str)]| text.push_str(&format!(", {}", lang.fill(name, values)));
    if let Some(min) = field.min {
        add(Text::TooSmall, &[("min", &min.to_string())]);
    }
    if let Some(max) = field.max {
        add(Text::TooBig, &[("max", &max.to_string())]);
    }
    if let Some(pattern) = &field.pattern {
        add(Text::FormPattern, &[("pattern", pattern)]);
    }
    if let Some(values) = &field.one_of {
        let values: Vec<String> = values.iter().map(parse::shown).collect();
        add(Text::NotAllowed, &[("values", &values.join(", "))]);
    }
    text
}

/// Somebody at the terminal, and nothing else going on.
struct Desk {
    prompt: Prompt,
}

impl Reader for Desk {
    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        let mut line = Line::default();
        self.prompt.draw(&mut line, prompt);
        loop {
            match self.prompt.step(&mut line, prompt, offer)? {
                Heeded::Going => {}
                Heeded::Entered => {
                    self.prompt.remember(line.text());
                    return Ok(line.text().to_owned());
                }
                Heeded::Interrupt => return Err(Break::Closed),
            }
        }
    }

    fn print(&mut self, text: &str) {
        self.prompt.screen.print(text);
    }
}
