//! What an event says beyond its fact, read from its hidden fields.

use std::collections::BTreeMap;

use consigne::core::*;

use crate::places::named;

/// The place that an event is about.
pub fn place_of(event: &Event) -> Option<String> {
    Some(named(event.step.as_ref()?, event.item))
}

/// The names of the items that an expansion made.
pub fn keys_of(event: &Event) -> Vec<String> {
    event.hidden.0.get("keys").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The request that stands in an event, as JSON.
pub fn request_of(event: &Event) -> Option<serde_json::Value> {
    serde_json::from_str(event.hidden.0.get("request")?).ok()
}

pub fn key_of(event: &Event) -> Option<String> {
    Some(request_of(event)?.get("idempotency_key")?.as_str()?.to_owned())
}

pub fn shown_of(event: &Event) -> BTreeMap<String, serde_json::Value> {
    let list =
        event.hidden.0.get("shown").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let list = list.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    list.into_iter()
        .filter_map(|one| Some((one["step"].as_str()?.to_owned(), one["action"].clone())))
        .collect()
}
