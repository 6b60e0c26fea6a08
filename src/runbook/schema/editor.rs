//! The JSON Schema that editors complete and explain with.

use super::Runbook;

/// The JSON Schema (draft 7) of a runbook file, for editors.
pub fn json_schema() -> serde_json::Value {
    schema_of::<Runbook>("consigne runbook")
}

/// As [`json_schema`], of one kind of file.
pub(in crate::runbook) fn schema_of<T: schemars::JsonSchema>(title: &str) -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft07();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    name_keys(&mut schema);
    schema["title"] = title.into();
    schema
}

/// Gives every key its own name as title: editors put it above the description.
fn name_keys(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get_mut("properties") {
                for (name, property) in properties {
                    if let Some(property) = property.as_object_mut() {
                        property.entry("title").or_insert_with(|| name.as_str().into());
                    }
                }
            }
            map.values_mut().for_each(name_keys);
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(name_keys),
        _ => {}
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

    fn undescribed(schema: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        let Some(map) = schema.as_object() else { return };
        for (name, property) in
            map.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten()
        {
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
