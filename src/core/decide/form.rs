//! Answers to forms: whether each field fits what was declared for it.

use serde_json::Value;

use super::super::event::Hidden;
use super::super::state::State;
use super::Refused;
use crate::clock::Timestamp;
use crate::plan::{InputField, InputKind, Plan};

/// The fields of a form, each of its declared kind, as outputs.
pub(super) fn fields(
    plan: &Plan,
    state: &State,
    step: usize,
    value: &Value,
    hidden: &mut Hidden,
) -> Result<(), Refused> {
    let Some(values) = state.values(plan, step) else { return Ok(()) };
    let Value::Object(given) = value else {
        return Err(Refused::new("ill-typed", "the answer to a form is an object of its fields"));
    };
    if let Some(unknown) = given.keys().find(|name| !values.fields.contains_key(*name)) {
        return Err(Refused::new("unknown-field", format!("the form has no field `{unknown}`")));
    }
    for (name, field) in &values.fields {
        let value = given.get(name).or(field.default.as_ref());
        let Some(value) = value else {
            return Err(Refused::new("incomplete", format!("field `{name}` is missing")));
        };
        fits(name, field, value)?;
        hidden.put(&format!("output.{name}"), value);
    }
    Ok(())
}

fn fits(name: &str, field: &InputField, value: &Value) -> Result<(), Refused> {
    let ill = |what: &str| Err(Refused::new("ill-typed", format!("field `{name}`: {what}")));
    if !has_kind(&field.kind, value) {
        return ill(&format!("expected {}", kind_name(&field.kind)));
    }
    if let Some(number) = value.as_f64() {
        let low = field.min.is_some_and(|min| number < min);
        if low || field.max.is_some_and(|max| number > max) {
            return ill("out of range");
        }
    }
    if let (Some(pattern), Some(text)) = (&field.pattern, value.as_str())
        && !regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
    {
        return ill(&format!("does not match `{pattern}`"));
    }
    match &field.one_of {
        Some(allowed) if !allowed.contains(value) => ill("is none of the allowed values"),
        _ => Ok(()),
    }
}

fn has_kind(kind: &InputKind, value: &Value) -> bool {
    match kind {
        InputKind::Any => true,
        InputKind::String | InputKind::File => value.is_string(),
        InputKind::Integer => value.is_i64() || value.is_u64(),
        InputKind::Number => value.is_number(),
        InputKind::Boolean => value.is_boolean(),
        InputKind::Datetime => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        InputKind::List(of) => {
            value.as_array().is_some_and(|list| list.iter().all(|item| has_kind(of, item)))
        }
    }
}

const fn kind_name(kind: &InputKind) -> &'static str {
    match kind {
        InputKind::Any => "a value",
        InputKind::String => "a string",
        InputKind::Integer => "an integer",
        InputKind::Number => "a number",
        InputKind::Boolean => "true or false",
        InputKind::Datetime => "an RFC 3339 instant with an offset",
        InputKind::File => "the name of a file",
        InputKind::List(_) => "a list",
    }
}
