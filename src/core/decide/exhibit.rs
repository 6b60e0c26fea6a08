//! What is put before people with a question: texts and values, as they were when it opened.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::scope::Names;
use super::super::state::Ask;
use crate::runbook::template::Template;

/// Bytes of one of them, at most. What is longer is cut, and says so.
const MOST: usize = 32 * 1024;

/// One text or value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exhibit {
    /// The expression, where it is the value of one.
    pub of: Option<String>,
    pub text: String,
}

/// A text that cannot be rendered is shown as it is written.
pub(super) fn exhibits(show: &[Template], names: &Names<'_>) -> Vec<Exhibit> {
    let exhibit = |template: &Template| match template.whole() {
        Some(expr) => {
            let text = match expr.value(names) {
                Ok(Value::String(text)) => text,
                Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string()),
                Err(error) => format!("<{error}>"),
            };
            Exhibit { of: Some(expr.source().to_owned()), text: cut(text) }
        }
        None => {
            let text = template.render(names);
            let text = text.map_or_else(|_| template.source().to_owned(), |text| text.to_string());
            Exhibit { of: None, text: cut(text) }
        }
    };
    show.iter().map(exhibit).collect()
}

fn cut(mut text: String) -> String {
    if text.len() > MOST {
        let whole = text.len();
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str(&format!("\n… {} bytes more, of {whole}", whole - end));
    }
    text
}

/// What stands in a question; none where it is not disclosed.
pub fn exhibited(ask: &Ask) -> Vec<Exhibit> {
    ask.shown.get("show").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
