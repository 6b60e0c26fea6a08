//! Templates on paper: what is known stands there, what is not is a placeholder that a person replaces.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::runbook::decode::Spanned;
use crate::runbook::scalar::{Data, Text};
use crate::runbook::template::{Expr, Lookup, Part, ROOTS, Scope, Segment, Template};

/// What is known before the day the paper is used, and the numbers that the steps have on it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub inputs: BTreeMap<String, Value>,
    pub vars: BTreeMap<String, Value>,
    /// Ids of the steps to their numbers.
    pub numbers: BTreeMap<String, usize>,
    pub french: bool,
}

impl Scope for Known {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        let values = match root {
            "inputs" => &self.inputs,
            "vars" => &self.vars,
            _ => return Lookup::Later,
        };
        values.get(name).map_or(Lookup::Later, |value| Lookup::Known(value.clone()))
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        (!ROOTS.contains(&root)).then_some(Lookup::Later)
    }
}

impl Known {
    /// A template as it is typed: `<tenant_id>`, `<secret token>`.
    pub(super) fn plain(&self, template: &Template) -> String {
        self.pieces(template).into_iter().map(|(text, _)| text).collect()
    }

    /// An address as it is typed: what is known is encoded as the tool encodes it, so that it changes no target.
    pub(super) fn address(&self, template: &Template) -> String {
        let Ok(rendered) = template.render_address(self) else { return self.plain(template) };
        let piece = |segment: &Segment| match segment {
            Segment::Text(text) => text.clone(),
            Segment::Secret(name) => format!("<secret {name}>"),
            Segment::Later(expr) => format!("<{}>", self.placeholder(expr)),
            Segment::Work => "<run.work>".to_owned(),
        };
        rendered.segments().iter().map(piece).collect()
    }

    /// A template within prose: placeholders stand as code, so that no renderer takes them for tags.
    pub(super) fn prose(&self, template: &Template) -> String {
        let pieces = self.pieces(template);
        pieces.into_iter().map(|(text, open)| if open { code(&text) } else { text }).collect()
    }

    /// A text for people, in the language of the paper, else in the other.
    pub(super) fn words(&self, text: &Text) -> String {
        let (first, second) = if self.french { (text.fr(), text.en()) } else { (text.en(), text.fr()) };
        first.or(second).map_or_else(String::new, |text| self.prose(&text.value))
    }

    pub(super) fn line(&self, text: &Text) -> String {
        self.words(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Data with its templates filled; a template that is one whole expression keeps the type of its value.
    pub(super) fn json(&self, data: &Data) -> Value {
        match data {
            Data::Text(text) => match text.value.whole() {
                Some(expr) if expr.value(self).is_ok() => expr.value(self).unwrap_or_default(),
                _ => self.plain(&text.value).into(),
            },
            Data::List(list) => list.iter().map(|data| self.json(data)).collect(),
            Data::Map(map) => map.iter().map(|(key, data)| (key.clone(), self.json(data))).collect(),
            other => other.literal(),
        }
    }

    /// A condition as it is read on paper: `[state, step 1] == "suspended"`.
    pub(super) fn condition(&self, condition: &Spanned<Expr>) -> String {
        code(&self.names(condition.value.source()))
    }

    fn pieces(&self, template: &Template) -> Vec<(String, bool)> {
        let piece = |part: Part<'_>| match part {
            Part::Text(text) => (text.to_owned(), false),
            Part::Expr(expr) => match (expr.secret(), expr.value(self)) {
                (Some(name), _) => (format!("<secret {name}>"), true),
                (None, Ok(Value::String(text))) => (text, false),
                (None, Ok(Value::Null)) => (String::new(), false),
                (None, Ok(value)) => (value.to_string(), false),
                (None, Err(_)) => (format!("<{}>", self.placeholder(expr.source())), true),
            },
        };
        template.parts().map(piece).collect()
    }

    fn placeholder(&self, source: &str) -> String {
        let words = |fr: &str, en: &str| if self.french { fr.to_owned() } else { en.to_owned() };
        match source {
            "step.started_at" => words("heure de cette étape, RFC 3339", "time of this step, RFC 3339"),
            "run.id" => words("numéro de cette exécution", "number of this run"),
            "run.outcome" => words("issue : réussi, échoué…", "outcome: succeeded, failed…"),
            "run.runbook" => words("nom du runbook", "name of the runbook"),
            "run.mode" => words("réel ou exercice", "live or drill"),
            "run.starter" => words("qui l'a lancée", "who started it"),
            "run.started_at" => words("heure du début, RFC 3339", "time of the start, RFC 3339"),
            source => {
                let named = self.names(source);
                named
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .map_or(named.clone(), str::to_owned)
            }
        }
    }

    /// Names as they stand on paper: `inputs.x` is `x`, `steps.before.state` is `[state, step 1]`.
    fn names(&self, source: &str) -> String {
        let mut out = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_' || c == '"' || c == '\'') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            let end = match quote {
                Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
                None => rest.find(|c: char| !(c.is_alphanumeric() || "_.".contains(c))).unwrap_or(rest.len()),
            };
            let (word, behind) = rest.split_at(end);
            out.push_str(&self.name(word));
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    fn name(&self, word: &str) -> String {
        let mut parts = word.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("inputs" | "vars"), Some(name), None) => name.to_owned(),
            (Some("steps"), Some(step), Some(output)) => match self.numbers.get(step) {
                Some(number) => {
                    format!("[{output}, {} {number}]", if self.french { "étape" } else { "step" })
                }
                None => word.to_owned(),
            },
            _ => word.to_owned(),
        }
    }
}

/// Text as code within prose, whatever marks it holds.
pub(super) fn code(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let mark = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{mark}{space}{text}{space}{mark}")
}

/// A block of code that nothing in it can close.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n'))
}
