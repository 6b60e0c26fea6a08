//! A result document that meets what can be read off a step: a status, an exit code, equalities and bounds in jq, a JSON
//! Schema. What cannot be read off is left alone; whether the draft will do is for the judge of all answers to say.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::plan::{Accept, Expect, Values};

static PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\["[^"]+"\]|\[\d+\])*)$"#).expect("a pattern of our own")
});
static CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"^(\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\["[^"]+"\]|\[\d+\])*)(\s*\|\s*length)?\s*(==|!=|>=|<=|>|<)\s*(.+)$"#;
    Regex::new(pattern).expect("a pattern of our own")
});
static PART: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\.([A-Za-z_]\w*)|\["([^"]+)"\]|\[(\d+)\]"#).expect("a pattern of our own")
});

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Field(String),
    At(usize),
}

/// A result document in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    root: Map<String, Value>,
    /// What a text has to contain.
    texts: Vec<String>,
}

impl Draft {
    /// What `accept` wants to see.
    pub(super) fn of(accept: &Accept, values: &Values) -> Self {
        let mut draft = Self::default();
        draft.expect(&accept.expect, values);
        if let Some(until) = accept.poll.as_ref().and_then(|poll| poll.until.as_ref()) {
            draft.wish(until, values);
        }
        draft
    }

    /// The document of an answer with this body.
    pub(super) fn of_body(body: Value) -> Self {
        let mut draft = Self::default();
        draft.root.insert("body".to_owned(), body);
        draft
    }

    fn expect(&mut self, expect: &Expect, values: &Values) {
        if let Some(schema) = &expect.schema {
            let sample = sample(schema, 0);
            self.root.insert("body".to_owned(), sample.clone());
            self.root.insert("json".to_owned(), sample);
        }
        if let Some(status) = expect.status.first() {
            self.root.insert("status".to_owned(), json!(status));
        }
        if let Some(exit) = expect.exit.first() {
            self.root.insert("exit".to_owned(), json!(exit));
        }
        self.texts.extend(expect.contains.iter().cloned());
        expect.that.iter().for_each(|filter| self.wish(filter, values));
    }

    /// Takes over what a filter says plainly.
    fn wish(&mut self, filter: &str, values: &Values) {
        for clause in filter.split(" and ").map(str::trim) {
            if PATH.is_match(clause) {
                self.put(clause, json!(true));
            } else if let Some(found) = CLAUSE.captures(clause)
                && let Some(wanted) = literal(found[4].trim(), values)
            {
                let value = if found.get(2).is_some() {
                    listed(&found[3], &wanted)
                } else {
                    related(&found[3], wanted)
                };
                self.put(&found[1], value);
            }
        }
    }

    /// What stands at a path, when the filter is nothing else.
    pub(super) fn get(&self, filter: &str) -> Option<Value> {
        let mut parts = parts(filter)?.into_iter();
        let Part::Field(first) = parts.next()? else { return None };
        let mut at = self.root.get(&first)?;
        for part in parts {
            at = match part {
                Part::Field(name) => at.get(name)?,
                Part::At(index) => at.get(index)?,
            };
        }
        (!at.is_null()).then(|| at.clone())
    }

    /// Puts a value at a path, when the filter is nothing else, and nothing stands there.
    pub(super) fn fill(&mut self, filter: &str, value: Value) {
        if self.get(filter).is_none() {
            self.put(filter, value);
        }
    }

    /// Puts a value at a path, when the filter is nothing else.
    pub(super) fn put(&mut self, path: &str, value: Value) {
        let Some(parts) = parts(path) else { return };
        let mut parts = parts.into_iter();
        let Some(Part::Field(first)) = parts.next() else { return };
        let mut at = self.root.entry(first).or_insert(Value::Null);
        for part in parts {
            at = match part {
                Part::Field(name) => {
                    if !at.is_object() {
                        *at = Value::Object(Map::new());
                    }
                    let Some(object) = at.as_object_mut() else { return };
                    object.entry(name).or_insert(Value::Null)
                }
                Part::At(index) => {
                    if !at.is_array() {
                        *at = Value::Array(Vec::new());
                    }
                    let Some(list) = at.as_array_mut().filter(|_| index < 64) else { return };
                    while list.len() <= index {
                        list.push(Value::Null);
                    }
                    &mut list[index]
                }
            };
        }
        *at = value;
    }

    pub(super) fn status(&self) -> u16 {
        let status = self.root.get("status").and_then(Value::as_u64);
        status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200)
    }

    pub(super) fn exit(&self) -> i32 {
        let exit = self.root.get("exit").and_then(Value::as_i64);
        exit.and_then(|exit| i32::try_from(exit).ok()).unwrap_or(0)
    }

    /// Of an HTTP answer.
    pub(super) fn body(&self) -> String {
        self.text(self.root.get("body"))
    }

    pub(super) fn stdout(&self) -> String {
        self.text(self.root.get("stdout").or_else(|| self.root.get("json")))
    }

    fn text(&self, value: Option<&Value>) -> String {
        match value {
            None => self.texts.join("\n"),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

fn parts(path: &str) -> Option<Vec<Part>> {
    let path = path.trim();
    if !PATH.is_match(path) {
        return None;
    }
    let found = PART.captures_iter(path).map(|found| match (found.get(1).or(found.get(2)), found.get(3)) {
        (Some(name), _) => Some(Part::Field(name.as_str().to_owned())),
        (None, Some(index)) => index.as_str().parse().ok().map(Part::At),
        (None, None) => None,
    });
    found.collect()
}

/// A literal of jq, or an input or variable.
fn literal(text: &str, values: &Values) -> Option<Value> {
    for (root, known) in [("$inputs.", &values.inputs), ("$vars.", &values.vars)] {
        if let Some(name) = text.strip_prefix(root) {
            return known.get(name).cloned();
        }
    }
    serde_json::from_str(text).ok()
}

/// Something that stands in this relation to what is wanted.
fn related(relation: &str, wanted: Value) -> Value {
    match (relation, wanted.as_i64()) {
        (">", Some(number)) => json!(number.saturating_add(1)),
        ("<", Some(number)) => json!(number.saturating_sub(1)),
        ("!=", Some(number)) => json!(number.saturating_add(1)),
        ("!=", None) => json!("placeholder"),
        _ => wanted,
    }
}

fn listed(relation: &str, wanted: &Value) -> Value {
    let number = wanted.as_u64().unwrap_or(1).min(64);
    let length = match relation {
        ">" | "!=" => number + 1,
        "<" => number.saturating_sub(1),
        _ => number,
    };
    (0..length).map(|_| json!("placeholder")).collect()
}

/// Something that a JSON Schema is likely to take.
fn sample(schema: &Value, depth: u32) -> Value {
    if depth > 16 {
        return Value::Null;
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|all| all.get(0)) {
        return first.clone();
    }
    let named = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    let shaped = schema.get("properties").or_else(|| schema.get("required")).map(|_| "object");
    match named.or(shaped) {
        Some("object") => {
            let mut out = Map::new();
            let known = schema.get("properties").and_then(Value::as_object);
            for (name, property) in known.into_iter().flatten() {
                out.insert(name.clone(), sample(property, depth + 1));
            }
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                out.entry(name).or_insert_with(|| json!("placeholder"));
            }
            Value::Object(out)
        }
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(64);
            let one =
                schema.get("items").map_or_else(|| json!("placeholder"), |items| sample(items, depth + 1));
            (0..least).map(|_| one.clone()).collect()
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!("placeholder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(that: &[&str]) -> Draft {
        let that = that.iter().map(|filter| (*filter).to_owned()).collect();
        let expect = Expect { status: vec![403], that, ..Expect::default() };
        let mut values = Values::default();
        values.inputs.insert("id".into(), json!("acme"));
        Draft::of(&Accept { expect, ..Accept::default() }, &values)
    }

    #[test]
    fn equalities_become_a_document() {
        let mut draft = draft(&[
            ".body.status == \"suspended\" and .body.users > 3",
            ".body.id == $inputs.id",
            ".body.open[1].name == \"x\"",
            ".body[\"a b\"] | length >= 2",
            ".body.ok",
        ]);
        draft.fill(".body.name", json!("n"));
        draft.fill(".body.id", json!("never"));
        let body: Value = serde_json::from_str(&draft.body()).unwrap();
        assert_eq!(draft.status(), 403);
        assert_eq!(
            body,
            json!({"status": "suspended", "users": 4, "id": "acme", "open": [null, {"name": "x"}],
                   "a b": ["placeholder", "placeholder"], "ok": true, "name": "n"})
        );
    }

    #[test]
    fn what_is_no_plain_path_is_left_alone() {
        let mut draft = draft(&[".body.items | map(.id) | index(\"x\")", ".body.n == .body.m"]);
        draft.fill(".body | keys", json!(1));
        assert_eq!(draft.body(), "");
    }

    #[test]
    fn a_schema_gives_a_sample_that_it_takes() {
        let schema = json!({"type": "object", "required": ["id", "free"], "properties": {
            "id": {"type": "integer", "minimum": 5}, "kind": {"enum": ["a", "b"]},
            "list": {"type": "array", "minItems": 2, "items": {"type": "boolean"}}}});
        let sample = sample(&schema, 0);
        assert_eq!(crate::runbook::extract::breach(&schema, &sample).unwrap(), None, "{sample}");
    }
}
