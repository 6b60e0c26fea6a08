//! The small values of the language: durations, filters, localized texts, data with templates, ordered mappings.

use std::borrow::Cow;
use std::time::Duration;

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Decode, Reader, Spanned, quoted, text_schema};
use super::template::{Expr, Template, Tree};
use super::yaml::{Key, Node, Plain, Style, Value, resolve, trap};
use crate::diag::Diagnostic;

/// A duration with its unit, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl JsonSchema for Millis {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*[0-9]+\s*[a-zA-Zµ]",
            "description": "A duration with its unit.",
            "examples": ["30s", "5m", "1h 30m"]
        })
    }
}

impl Decode for Millis {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.raw(node, "a duration such as 30s")?;
        if matches!(resolve(text), Plain::Integer(_) | Plain::Float(_)) {
            let message = format!("`{text}` has no unit, expected a duration such as 30s, 5m, 1h");
            let problem = Diagnostic::error("bad-duration", node.span.at(reader.source), message);
            reader.problems.push(problem.help(format!("write {text}s if seconds are meant")));
            return None;
        }
        match humantime::parse_duration(text) {
            Ok(duration) => Some(Self(millis(duration))),
            Err(_) => {
                let message = format!("`{text}` is not a duration such as 30s, 5m, 1h 30m");
                reader.refuse("bad-duration", node.span, message)
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub NaiveDate);

text_schema!(Day, "Day", "string", "A day of the calendar.", "2027-03-31");

impl Decode for Day {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.raw(node, "a day such as 2027-03-31")?;
        // The parser takes a year of any length, and parts of one digit.
        let day = text.parse().ok().filter(|day: &NaiveDate| day.to_string() == text);
        if day.is_none() {
            let message = format!("`{text}` is not a day such as 2027-03-31");
            return reader.refuse("bad-value", node.span, message);
        }
        day.map(Self)
    }
}

/// A jq filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(pub String);

text_schema!(
    Filter,
    "Filter",
    ["string", "boolean", "number"],
    "A jq filter over the result.",
    ".body.status"
);

impl Decode for Filter {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::List(_) | Value::Map { .. } = &node.value {
            return filter_accident(node, reader);
        }
        let text = reader.raw(node, "a jq filter")?.to_owned();
        if let Value::Scalar { style: Style::Plain, .. } = &node.value {
            let rest = reader.source.behind(node.span);
            let line = rest.lines().next().unwrap_or("");
            if line.trim_start().starts_with('#') && line.starts_with([' ', '\t']) {
                let problem = Diagnostic::error(
                    "comment-in-filter",
                    node.span.at(reader.source),
                    "everything from ` #` on is a comment, not a part of the filter",
                )
                .help(format!("quote the filter: {}", quoted(&text)))
                .help("a comment stands on a line of its own, or after a quoted filter");
                reader.problems.push(problem);
                return None;
            }
        }
        Some(Self(text))
    }
}

fn filter_accident(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Filter> {
    let written = reader.source.slice(node.span).lines().next().unwrap_or("").trim();
    let message = format!("expected a jq filter, found {}", node.kind());
    let problem = Diagnostic::error("flow-accident", node.span.at(reader.source), message)
        .help(format!("quote the filter: {}", quoted(written)));
    reader.problems.push(problem);
    None
}

/// A text that people read: one for all languages, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    One(Spanned<Template>),
    Each { fr: Option<Spanned<Template>>, en: Option<Spanned<Template>> },
}

const LANGUAGES: &[&str] = &["fr", "en"];

impl Text {
    pub const fn fr(&self) -> Option<&Spanned<Template>> {
        match self {
            Self::One(text) => Some(text),
            Self::Each { fr, .. } => fr.as_ref(),
        }
    }

    pub const fn en(&self) -> Option<&Spanned<Template>> {
        match self {
            Self::One(text) => Some(text),
            Self::Each { en, .. } => en.as_ref(),
        }
    }

    /// What was written, each once.
    pub fn templates(&self) -> impl Iterator<Item = &Spanned<Template>> {
        let (first, second) = match self {
            Self::One(text) => (Some(text), None),
            Self::Each { fr, en } => (fr.as_ref(), en.as_ref()),
        };
        first.into_iter().chain(second)
    }
}

impl Decode for Text {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Map { entries, flow } = &node.value else {
            return reader.value(node).map(Self::One);
        };
        if !*flow && !entries.iter().any(|(key, _)| LANGUAGES.contains(&&*key.text)) {
            return reader.wrong(node, "a text");
        }
        let (mut fr, mut en) = (None, None);
        for (key, value) in entries {
            match &*key.text {
                "fr" => fr = reader.value(value),
                "en" => en = reader.value(value),
                _ => reader.foreign_key(key, value, *flow, LANGUAGES, &[]),
            }
        }
        if entries.is_empty() {
            let problem = Diagnostic::error("empty", node.span.at(reader.source), "a text in no language");
            reader.problems.push(problem.help("write it in one language, or as `{fr: \"…\", en: \"…\"}`"));
        }
        Some(Self::Each { fr, en })
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text that people read, in one language or in both (`fr`, `en`).",
            "examples": ["Suspend the tenant?", {"fr": "Suspendre le tenant ?", "en": "Suspend the tenant?"}],
            "anyOf": [
                {"type": "string"},
                {"type": "object", "minProperties": 1, "additionalProperties": false,
                 "properties": {
                     "fr": {"type": "string", "description": "In French."},
                     "en": {"type": "string", "description": "In English."}
                 }}
            ]
        })
    }
}

/// One value or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Many<T>(pub Vec<T>);

impl<T: Decode> Decode for Many<T> {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(_) => reader.value(node).map(Self),
            _ => Some(Self(vec![reader.value(node)?])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

/// A mapping whose keys the author chooses, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<T>(pub Vec<(Spanned<String>, T)>);

impl<T> Entries<T> {
    pub fn iter(&self) -> std::slice::Iter<'_, (Spanned<String>, T)> {
        self.0.iter()
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }
}

impl<T: Decode> Decode for Entries<T> {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let (entries, flow) = reader.mapping(node)?;
        let mut out = Vec::with_capacity(entries.len());
        for (Key { text, span, .. }, value) in entries {
            if flow && value.is_null() {
                let message = format!("`{text}` has no value: a comma or bracket ended the text before it");
                let help = "inside `{ }` and `[ ]` a text with commas, colons or brackets must be quoted";
                reader
                    .problems
                    .push(Diagnostic::error("flow-accident", span.at(reader.source), message).help(help));
            } else if let Some(value) = reader.value(value) {
                out.push((Spanned { value: text.to_string(), span: *span }, value));
            }
        }
        Some(Self(out))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": one})
    }
}

/// Any data; its texts may hold templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Spanned<Template>),
    List(Vec<Data>),
    Map(Vec<(String, Data)>),
}

impl Data {
    pub fn templates<'d>(&'d self, out: &mut Vec<&'d Spanned<Template>>) {
        match self {
            Self::Text(text) => out.push(text),
            Self::List(list) => list.iter().for_each(|data| data.templates(out)),
            Self::Map(map) => map.iter().for_each(|(_, data)| data.templates(out)),
            Self::Null | Self::Bool(_) | Self::Number(_) => {}
        }
    }

    /// Whether a key holds what would be an expression in a text.
    pub fn names_values(&self) -> bool {
        match self {
            Self::List(list) => list.iter().any(Self::names_values),
            Self::Map(map) => map.iter().any(|(key, data)| key.contains("{{") || data.names_values()),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    pub fn tree(&self) -> Tree<Template> {
        match self {
            Self::Null => Tree::Null,
            Self::Bool(yes) => Tree::Bool(*yes),
            Self::Number(number) => Tree::Number(number.to_string()),
            Self::Text(text) => Tree::Text(text.value.clone()),
            Self::List(list) => Tree::List(list.iter().map(Self::tree).collect()),
            Self::Map(map) => Tree::Map(map.iter().map(|(key, data)| (key.clone(), data.tree())).collect()),
        }
    }

    /// The data with its templates as they are written.
    pub fn literal(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Number(number) => serde_json::Value::Number(number.clone()),
            Self::Text(text) => text.value.source().into(),
            Self::List(list) => list.iter().map(Self::literal).collect(),
            Self::Map(map) => map.iter().map(|(key, data)| (key.clone(), data.literal())).collect(),
        }
    }
}

impl Decode for Data {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match &node.value {
            Value::List(list) => Self::List(list.iter().filter_map(|node| reader.value(node)).collect()),
            Value::Map { entries, flow } => {
                let mut out = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    if *flow && value.is_null() && reader.source.slice(value.span).is_empty() {
                        reader.foreign_key(key, value, true, &[], &[]);
                    } else if let Some(value) = reader.value(value) {
                        out.push((key.text.to_string(), value));
                    }
                }
                Self::Map(out)
            }
            Value::Scalar { text, style: Style::Plain } => match resolve(text) {
                Plain::Null => Self::Null,
                Plain::Bool(yes) => Self::Bool(yes),
                Plain::Integer(_) if text.len() > 1 && text.starts_with('0') => {
                    reader.text(node)?;
                    return None;
                }
                Plain::Integer(number) => Self::Number(number.into()),
                Plain::Float(number) if loses_its_zero(text, number) => {
                    let message = format!("unquoted `{text}` reads as the number {number}");
                    let problem = Diagnostic::error("unquoted", node.span.at(reader.source), message).help(
                        format!("write {} to mean the text, {number} to mean the number", quoted(text)),
                    );
                    reader.problems.push(problem);
                    return None;
                }
                Plain::Float(number) => match serde_json::Number::from_f64(number) {
                    Some(number) => Self::Number(number),
                    None => return reader.refuse("bad-value", node.span, "this number is too large"),
                },
                Plain::Text if trap(text).is_some() => {
                    reader.text(node)?;
                    return None;
                }
                Plain::Text => Self::Text(reader.value(node)?),
            },
            Value::Scalar { .. } => Self::Text(reader.value(node)?),
        })
    }
}

/// `1.10` is the number 1.1, and most often it is a version.
fn loses_its_zero(text: &str, number: f64) -> bool {
    text.contains('.') && text.ends_with('0') && !text.ends_with(".0") && text != number.to_string()
}

impl JsonSchema for Data {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Any data; its texts may hold `{{ expression }}`."})
    }
}

/// A condition: an expression, or `true` or `false`.
pub type Condition = Spanned<Expr>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::runbook::yaml;

    fn read<T: Decode>(text: &str) -> (Option<T>, Vec<&'static str>) {
        let source = Source::new("t.yaml", text);
        let (node, problems) = yaml::parse(&source);
        let mut reader = Reader { problems, ..Reader::new(&source) };
        let found = node.and_then(|node| reader.value(&node));
        (found, reader.problems.into_iter().map(|p| p.code).collect())
    }

    #[test]
    fn durations_carry_units() {
        assert_eq!(read::<Millis>("1h 30m").0, Some(Millis(5_400_000)));
        assert_eq!(read::<Millis>("0s").0, Some(Millis(0)));
        assert_eq!(read::<Millis>("30").1, ["bad-duration"]);
        assert_eq!(read::<Millis>("soon").1, ["bad-duration"]);
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        let day = read::<Day>("2027-03-31").0.unwrap();
        assert_eq!(read::<Day>("\"2027-03-31\"").0, Some(day));
        for wrong in ["2027-02-30", "31.03.2027", "2027-3-31", "soon", "20270331", "2027-03-31T00:00:00Z"] {
            assert_eq!(read::<Day>(wrong).1, ["bad-value"], "{wrong}");
        }
    }

    #[test]
    fn a_comment_does_not_cut_a_filter_short() {
        assert_eq!(read::<Vec<Filter>>("- .a # b\n").1, ["comment-in-filter"]);
        assert_eq!(read::<Vec<Filter>>("- \".a # b\"  # c\n- .b\n").1, [""; 0]);
        assert_eq!(read::<Entries<Filter>>("x: []\n").1, ["flow-accident"]);
    }

    #[test]
    fn accidents_of_flow_style_are_told_apart() {
        assert_eq!(read::<Text>("{fr: Suspendre, puis vérifier}").1, ["flow-accident"]);
        assert_eq!(read::<Vec<Text>>("- Vérifier : le tenant\n").1, ["flow-accident"]);
        assert_eq!(read::<Text>("{fr: \"a, b\", en: c}").1, [""; 0]);
        assert_eq!(read::<Data>("{a: {{ x }}}").1, ["flow-accident"]);
    }

    #[test]
    fn data_keeps_its_types() {
        let (data, problems) = read::<Data>("{a: 1, b: 1.5, c: \"1\", d: null, e: [true, x]}");
        assert!(problems.is_empty());
        let expected = serde_json::json!({"a": 1, "b": 1.5, "c": "1", "d": null, "e": [true, "x"]});
        assert_eq!(data.unwrap().literal(), expected);
        assert_eq!(read::<Data>("{a: yes, b: 012, c: 12:30, d: 1.10, e: 2026-11-23}").1, ["unquoted"; 5]);
        assert_eq!(read::<Data>("[1.0, 10, 0.5, 2.25, 1e3]").1, [""; 0]);
    }
}
