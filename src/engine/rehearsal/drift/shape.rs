//! The shape of data: keys and types, no values.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is known of a value without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing, or things of several kinds: fits everything.
    Any,
    Truth,
    Number,
    Text,
    /// Of what all items have in common.
    List(Box<Shape>),
    /// By key, and whether every item of the list that it stands in has it.
    Map(BTreeMap<String, (Shape, bool)>),
}

/// One difference, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: String,
    what: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Gone,
    New,
    Type(&'static str, &'static str),
}

impl Shape {
    /// The parser has bounded its depth.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Any,
            Value::Bool(_) => Self::Truth,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(list) => {
                let all = list.iter().map(Self::of).reduce(Self::both);
                Self::List(Box::new(all.unwrap_or(Self::Any)))
            }
            Value::Object(map) => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), (Self::of(value), true))).collect())
            }
        }
    }

    /// Of two items of one list.
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.both(*other))),
            (Self::Map(one), Self::Map(mut other)) => {
                let mut out = BTreeMap::new();
                for (key, (shape, always)) in one {
                    let joined = match other.remove(&key) {
                        Some((also, everywhere)) => (shape.both(also), always && everywhere),
                        None => (shape, false),
                    };
                    out.insert(key, joined);
                }
                out.extend(other.into_iter().map(|(key, (shape, _))| (key, (shape, false))));
                Self::Map(out)
            }
            _ => Self::Any,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Any => "null",
            Self::Truth => "boolean",
            Self::Number => "number",
            Self::Text => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }
}

/// What is otherwise in `now`. A key that only some items of a list have may be missing in others.
pub(super) fn changes(was: &Shape, now: &Shape, path: &str) -> Vec<Change> {
    let mut out = Vec::new();
    compare(was, now, path, &mut out);
    out
}

fn compare(was: &Shape, now: &Shape, path: &str, out: &mut Vec<Change>) {
    match (was, now) {
        (Shape::Any, _) | (_, Shape::Any) => {}
        (Shape::List(was), Shape::List(now)) => compare(was, now, &format!("{path}[]"), out),
        (Shape::Map(was), Shape::Map(now)) => {
            for (key, (shape, always)) in was {
                let path = format!("{path}.{key}");
                match now.get(key) {
                    Some((is, _)) => compare(shape, is, &path, out),
                    None if *always => out.push(Change { path, what: Kind::Gone }),
                    None => {}
                }
            }
            let new = now.iter().filter(|(key, (_, always))| *always && !was.contains_key(*key));
            out.extend(new.map(|(key, _)| Change { path: format!("{path}.{key}"), what: Kind::New }));
        }
        (was, now) if was.name() == now.name() => {}
        (was, now) => out.push(Change { path: path.to_owned(), what: Kind::Type(was.name(), now.name()) }),
    }
}

impl Change {
    pub(super) fn is_new(&self) -> bool {
        self.what == Kind::New
    }

    pub(super) fn says(&self, french: bool) -> String {
        let path = &self.path;
        match (&self.what, french) {
            (Kind::Gone, true) => format!("`{path}` manque"),
            (Kind::Gone, false) => format!("`{path}` is gone"),
            (Kind::New, true) => format!("`{path}` est nouveau"),
            (Kind::New, false) => format!("`{path}` is new"),
            (Kind::Type(was, now), true) => format!("`{path}` était {was} et est {now}"),
            (Kind::Type(was, now), false) => format!("`{path}` was {was} and is {now}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(was: &Value, now: &Value) -> Vec<String> {
        let changes = changes(&Shape::of(was), &Shape::of(now), ".body");
        changes.iter().map(|change| change.says(false)).collect()
    }

    #[test]
    fn values_are_no_difference() {
        for (was, now) in [
            (json!({"a": 1, "b": [{"x": "y"}]}), json!({"b": [{"x": "z"}, {"x": ""}], "a": 2.5})),
            (json!({"a": null}), json!({"a": {"b": 1}})),
            (json!([]), json!([1, 2])),
            (json!([{"a": 1}, {"a": 1, "b": 2}]), json!([{"a": 1}])),
            (json!([1, "x"]), json!([true])),
        ] {
            assert_eq!(said(&was, &now), [""; 0], "{was} {now}");
        }
    }

    #[test]
    fn keys_and_types_are() {
        let was = json!({"id": "x", "n": 1, "list": [{"a": 1}, {"a": 2}], "deep": {"k": true}});
        let now = json!({"id": 7, "list": [{"b": 1}], "deep": [], "more": 1});
        assert_eq!(
            said(&was, &now),
            [
                "`.body.deep` was object and is array",
                "`.body.id` was string and is number",
                "`.body.list[].a` is gone",
                "`.body.list[].b` is new",
                "`.body.n` is gone",
                "`.body.more` is new"
            ]
        );
        assert_eq!(said(&json!("x"), &json!({})), ["`.body` was string and is object"]);
    }
}
