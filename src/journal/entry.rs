//! One line of the journal: an entry, the events that one input caused.
//!
//! Owns the wire form of entries and events: `{v, seq, at, mono, run, prev, nonce, events}`, each event as `{type, step,
//! item, attempt, actor, data}` with what is absent left out. Under `data` stand the fact's public fields and, in
//! parallel, `sd_names` and `_sd`: the names of its hidden fields and their salted digests. Strings from outside are
//! made fit for a line here (see `outside`); whether a history is legal is for the fold to say.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::canonical::{Fault, MAX_INTEGER, Unwritable, canonical_value, parse_canonical};
use super::disclosure::{Commitment, Disclosure};
use super::error::JournalError;
use super::outside::{Outside, outside_json};
use super::place::Malformed;
use super::salt::Salt;
use super::tree::{Hash, leaf_hash};
use crate::clock::Timestamp;
use crate::core::{Actor, Event, Fact, Hidden};

/// The version of the line format.
pub const VERSION: u64 = 1;

/// What is to become an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub at: Timestamp,
    /// Milliseconds on the writing process's own scale, which never steps.
    pub mono: u64,
    pub events: Vec<Event>,
}

/// One entry. Hidden fields are there as far as they are disclosed to the reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub seq: u64,
    pub at: Timestamp,
    pub mono: u64,
    pub run: String,
    /// Leaf hash of the line before.
    pub prev: Hash,
    /// 128 bits, so that a withheld line cannot be guessed from its hash.
    pub nonce: [u8; 16],
    /// Public key that signs the next tree head, once keys are chained.
    pub next_key: Option<String>,
    pub events: Vec<Event>,
}

/// An entry as bytes: its line, and what opens its hidden fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Without its line feed.
    pub line: String,
    pub leaf: Hash,
    pub open: Vec<Disclosure>,
}

/// A line as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub entry: Entry,
    pub leaf: Hash,
    /// Every hidden field, disclosed or not.
    pub commitments: Vec<Commitment>,
}

/// Disclosures by their digest.
pub type Disclosed = BTreeMap<String, Disclosure>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    #[serde(rename = "v")]
    _version: u64,
    seq: u64,
    at: String,
    mono: u64,
    run: String,
    prev: String,
    nonce: String,
    next_key: Option<String>,
    events: Vec<WireEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    step: Option<String>,
    item: Option<u32>,
    attempt: Option<u32>,
    actor: Option<Actor>,
    data: Map<String, Value>,
}

impl Entry {
    /// The line, with fresh salts for what is hidden.
    ///
    /// # Errors
    /// A bug: something in it has no canonical form. Or the system gave no random numbers.
    pub fn encode(&self, salt: &mut dyn Salt) -> Result<Encoded, JournalError> {
        let mut open = Vec::new();
        let mut events = Vec::with_capacity(self.events.len());
        for (at, event) in self.events.iter().enumerate() {
            events.push(wire_event(at, event, salt, &mut open)?);
        }
        let mut line = json!({
            "v": VERSION,
            "seq": self.seq,
            "at": self.at,
            "mono": self.mono.min(MAX_INTEGER),
            "run": self.run,
            "prev": self.prev.to_string(),
            "nonce": hex(&self.nonce),
            "events": events,
        });
        if let Some(key) = &self.next_key {
            line["next_key"] = json!(key);
        }
        let line = canonical_value(line)?;
        Ok(Encoded { leaf: leaf_hash(line.as_bytes()), line, open })
    }

    /// Reads a line, without its line feed. Bytes in the error count from its start.
    ///
    /// # Errors
    /// It is not exactly what this module writes, or a disclosure has another name than the field it opens.
    pub fn parse(line: &[u8], disclosed: &Disclosed) -> Result<Parsed, Malformed> {
        let value = parse_canonical(line)?;
        let version = value.get("v").and_then(Value::as_u64);
        if version != Some(VERSION) {
            let found = version.map_or_else(|| "none".to_owned(), |v| v.to_string());
            return Err(Malformed::start(format!("an entry of version {found}, expected {VERSION}")));
        }
        let wire: WireEntry =
            serde_json::from_value(value).map_err(|e| Malformed::start(format!("not an entry: {e}")))?;
        let mut commitments = Vec::new();
        let mut events = Vec::with_capacity(wire.events.len());
        for (at, event) in wire.events.into_iter().enumerate() {
            events.push(read_event(wire.seq, at, event, disclosed, &mut commitments)?);
        }
        let entry = Self {
            seq: wire.seq,
            at: read_time(&wire.at)?,
            mono: wire.mono,
            run: wire.run,
            prev: wire.prev.parse().map_err(|e| Malformed::start(format!("`prev` is {e}")))?,
            nonce: from_hex(&wire.nonce)?,
            next_key: wire.next_key,
            events,
        };
        Ok(Parsed { entry, leaf: leaf_hash(line), commitments })
    }
}

fn read_time(text: &str) -> Result<Timestamp, Malformed> {
    let at: Option<Timestamp> = text.parse().ok();
    at.filter(|at| at.to_string() == text).ok_or_else(|| {
        Malformed::start(format!("`at` is {text:?}, expected an instant in UTC with milliseconds"))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Result<[u8; 16], Malformed> {
    let bytes = u128::from_str_radix(text, 16).map(u128::to_be_bytes).ok();
    bytes
        .filter(|bytes| hex(bytes) == text)
        .ok_or_else(|| Malformed::start("`nonce` is not 32 lower-case hexadecimal digits"))
}

fn wire_event(
    at: usize,
    event: &Event,
    salt: &mut dyn Salt,
    open: &mut Vec<Disclosure>,
) -> Result<Value, JournalError> {
    let mut data = fact_data(at, &event.fact)?;
    let (mut names, mut digests) = (Vec::new(), Vec::new());
    for (name, text) in &event.hidden.0 {
        let stored = stored(at, name, text)?;
        let disclosure = Disclosure::new(salt.next().map_err(JournalError::Random)?, name, &stored)?;
        names.push(json!(name));
        digests.push(json!(disclosure.digest()));
        open.push(disclosure);
    }
    if !names.is_empty() {
        data.insert("sd_names".into(), Value::Array(names));
        data.insert("_sd".into(), Value::Array(digests));
    }
    let mut wire = Map::new();
    wire.insert("type".into(), json!(event.fact.name()));
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            wire.insert(key.into(), fit(value));
        }
    };
    put("step", json!(event.step));
    put("item", json!(event.item));
    put("attempt", json!(event.attempt));
    put("actor", json!(event.actor));
    wire.insert("data".into(), Value::Object(data));
    Ok(Value::Object(wire))
}

/// The public fields of a fact, fit for a line.
fn fact_data(at: usize, fact: &Fact) -> Result<Map<String, Value>, JournalError> {
    let bug = |what: String| Unwritable { path: format!("events[{at}]"), what: Fault::Serialize(what) };
    let mut value = serde_json::to_value(fact).map_err(|e| bug(e.to_string()))?;
    let Value::Object(data) = value["data"].take() else {
        return Err(bug("a fact without fields".into()).into());
    };
    let mut data: Map<String, Value> = data.into_iter().filter(|(_, v)| !v.is_null()).collect();
    if let Fact::AttemptFinished { outputs, .. } = fact {
        let mut texts = Map::new();
        for (name, text) in outputs {
            texts.insert(name.clone(), Value::String(stored(at, name, text)?));
        }
        data.insert("outputs".into(), Value::Object(texts));
    }
    Ok(data.into_iter().map(|(key, value)| (key, fit(value))).collect())
}

fn stored(at: usize, name: &str, text: &str) -> Result<String, Unwritable> {
    outside_json(text).map_err(|e| Unwritable {
        path: format!("events[{at}].data.{name}"),
        what: Fault::Serialize(e.to_string()),
    })
}

/// A reason or a worker's name may come from outside: what no line can hold is replaced, integers saturate.
fn fit(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\u{7f}') => Value::String(text.replace('\u{7f}', "\u{fffd}")),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => json!(n.min(MAX_INTEGER)),
            (None, Some(n)) => json!(n.max(-MAX_INTEGER.cast_signed())),
            (None, None) => Value::Number(n),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(fit).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, fit(value))).collect()),
        other => other,
    }
}

fn read_event(
    seq: u64,
    at: usize,
    mut wire: WireEvent,
    disclosed: &Disclosed,
    commitments: &mut Vec<Commitment>,
) -> Result<Event, Malformed> {
    let bad = |what: String| Malformed::start(format!("event {at}: {what}"));
    let (names, digests) = (wire.data.remove("sd_names"), wire.data.remove("_sd"));
    let mut hidden = BTreeMap::new();
    for (name, digest) in hidden_fields(names, digests).map_err(|what| bad(what.into()))? {
        if let Some(opened) = disclosed.get(&digest) {
            let is_json = matches!(Outside::parse(opened.value()), Ok(Outside::Json(_)));
            if opened.name() != name || !is_json {
                return Err(bad(format!("the disclosure of `{name}` is not one of a value of that name")));
            }
            hidden.insert(name.clone(), opened.value().to_owned());
        }
        commitments.push(Commitment { seq, event: at, name, digest });
    }
    let fact = json!({"type": wire.kind, "data": wire.data});
    let fact: Fact = serde_json::from_value(fact).map_err(|e| bad(format!("not an event: {e}")))?;
    if let Fact::AttemptFinished { outputs, .. } = &fact
        && outputs.values().any(|text| !matches!(Outside::parse(text), Ok(Outside::Json(_))))
    {
        return Err(bad("an output is not stored as JSON text".into()));
    }
    let WireEvent { step, item, attempt, actor, .. } = wire;
    Ok(Event { step, item, attempt, actor, fact, hidden: Hidden(hidden) })
}

/// Names and digests of hidden fields: two lists of the same length, the names sorted and distinct.
fn hidden_fields(
    names: Option<Value>,
    digests: Option<Value>,
) -> Result<Vec<(String, String)>, &'static str> {
    let (Some(names), Some(digests)) = (&names, &digests) else {
        return if names == digests {
            Ok(Vec::new())
        } else {
            Err("`_sd` and `sd_names` stand together or not at all")
        };
    };
    let texts = |value: &Value| serde_json::from_value::<Vec<String>>(value.clone()).ok();
    let (Some(names), Some(digests)) = (texts(names), texts(digests)) else {
        return Err("`_sd` and `sd_names` are not lists of strings");
    };
    if names.is_empty() || names.len() != digests.len() {
        return Err("`_sd` and `sd_names` are empty or not of the same length");
    }
    if !names.is_sorted_by(|a, b| a < b) {
        return Err("`sd_names` is not sorted");
    }
    Ok(names.into_iter().zip(digests).collect())
}

#[cfg(test)]
pub(crate) mod tests;
