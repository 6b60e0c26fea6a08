//! The JSON Schema that editors complete and explain with.

use serde_json::Value;

use super::Runbook;

/// The JSON Schema (draft 7) of a runbook file, for editors.
pub fn json_schema() -> Value {
    schema_of::<Runbook>("consigne runbook")
}

/// As [`json_schema`], of one kind of file.
pub(in crate::runbook) fn schema_of<T: schemars::JsonSchema>(title: &str) -> Value {
    let settings = schemars::generate::SchemaSettings::draft07();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    let definitions = schema["definitions"].clone();
    complete(&mut schema, &definitions);
    schema["title"] = title.into();
    schema
}

/// A key that may be left out may not be written without a value.
fn without_null(property: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|word| word != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = property.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|word| word != "null"));
    if choices.len() == 1
        && let Some(only) = property.remove("anyOf")
    {
        // Beside a reference nothing else would be read.
        property.insert("allOf".to_owned(), only);
    }
}

/// Gives every key its own name as title and its own description. Editors explain a key by what it refers to, so a
/// reference to a small type is replaced by the type, and only mappings stay references.
fn complete(schema: &mut Value, definitions: &Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                for (name, property) in properties {
                    if let Some(property) = property.as_object_mut() {
                        without_null(property);
                        spell_out(property, definitions);
                        property.insert("title".to_owned(), name.as_str().into());
                    }
                }
            }
            map.values_mut().for_each(|value| complete(value, definitions));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| complete(value, definitions)),
        _ => {}
    }
}

fn spell_out(property: &mut serde_json::Map<String, Value>, definitions: &Value) {
    let reference = property.get("$ref").or_else(|| property.get("allOf")?.get(0)?.get("$ref"));
    let name = reference.and_then(Value::as_str).and_then(|path| path.strip_prefix("#/definitions/"));
    let Some(small) = name.and_then(|name| definitions.get(name)?.as_object()) else { return };
    if small.contains_key("properties") {
        return;
    }
    let small = small.clone();
    property.remove("$ref");
    property.remove("allOf");
    for (key, value) in small {
        property.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::environment;
    use crate::runbook::schema::Step;

    #[test]
    fn the_json_schema_knows_every_key_of_a_step() {
        let schema = json_schema();
        let step = &schema["definitions"]["Step"];
        let known: Vec<&str> = step["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, Step::NAMES);
        assert_eq!(step["additionalProperties"], false);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(jsonschema::validator_for(&schema).is_ok());
    }

    fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
        let Some(map) = schema.as_object() else { return };
        for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property["description"].as_str().is_none_or(str::is_empty)
                || property["title"].as_str().is_none()
            {
                found.push(format!("{at}.{name}"));
            }
        }
    }

    #[test]
    fn every_key_is_described() {
        for schema in [json_schema(), environment::json_schema()] {
            let mut found = Vec::new();
            undescribed(&schema, "", &mut found);
            for (name, definition) in schema["definitions"].as_object().unwrap() {
                undescribed(definition, name, &mut found);
                assert!(definition["description"].is_string(), "{name} is not described");
            }
            assert!(found.is_empty(), "keys without a description: {found:?}");
        }
    }
}
