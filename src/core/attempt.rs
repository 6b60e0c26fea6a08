//! What a runner is asked to do, and what it gives back. All that a new step kind has to know of the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::plan::{Effect, ErrorClass, ProbeOf};
use crate::runbook::template::Rendered;

/// One try of one step. Started at most once (law L5); a retry has a new number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptKey {
    pub step: String,
    /// Position in an expanded list, where the step has one.
    pub item: Option<u32>,
    /// Counts from 1 over all roles of the step.
    pub attempt: u32,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "{}[{item}]#{}", self.step, self.attempt),
            None => write!(f, "{}#{}", self.step, self.attempt),
        }
    }
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The step itself.
    Do,
    /// Its `verify`, before acting.
    First,
    /// Its `verify`, after acting: the proof of effect, or what settles an unknown outcome.
    Verify,
    Undo,
    PutBack,
    /// Whether a toggle may be put back.
    OnlyIf,
    /// The probe of a checklist item.
    Item,
    /// Whether a guard holds.
    Guard,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::First => "first",
            Self::Verify => "verify",
            Self::Undo => "undo",
            Self::PutBack => "put_back",
            Self::OnlyIf => "only_if",
            Self::Item => "item",
            Self::Guard => "guard",
        }
    }

    /// A question about the world that may be asked again without harm.
    pub const fn is_probe(self) -> bool {
        matches!(self, Self::First | Self::Verify | Self::OnlyIf | Self::Item | Self::Guard)
    }
}

/// One attempt, rendered; secrets stand as references.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRequest {
    pub key: AttemptKey,
    pub role: Role,
    /// For role `item`: the item's id. For role `guard`: the step that it is asked for, if any.
    pub part: Option<String>,
    /// Of this attempt: `read` for every probe.
    pub effect: Effect,
    pub probe: ProbeOf<Rendered>,
    pub timeout_ms: u64,
    /// Sent as `Idempotency-Key`, or as `CONSIGNE_IDEMPOTENCY_KEY` to programs.
    pub idempotency_key: Option<String>,
}

/// How an attempt ended.
///
/// For a probe (see [`Role::is_probe`]): *succeeded* it holds; *failed* with reason `absent` it says "not done";
/// *failed* otherwise it does not hold; *unknown* it could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    Succeeded,
    /// Nothing happened, or the answer was clear and not what was expected.
    Failed,
    TimedOut,
    Cancelled,
    /// Something may have happened.
    Unknown,
}

/// Reason of a probe that explicitly says "not done".
pub const ABSENT: &str = "absent";

/// What begins the names of blobs that are files which the step left.
pub const ARTIFACT: &str = "artifact.";

/// What a runner gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub result: AttemptResult,
    /// A code such as `ok`, `exit`, `signal`, `status`, `connect`, `timeout`, `reset`, `expect`, `extract`, `spawn`,
    /// `secret`, `cancelled`, `absent`. Public, so it never quotes data.
    pub reason: String,
    pub class: Option<ErrorClass>,
    /// Exit code or HTTP status.
    pub code: Option<i64>,
    pub retry_after_ms: Option<u64>,
    /// Declared outputs, by name.
    pub outputs: BTreeMap<String, Json>,
    /// Names of the declared outputs that are secrets, and are sealed on disk by now.
    #[serde(default)]
    pub sealed: BTreeSet<String>,
    /// Bounded, masked beginnings of what was printed or answered: `stdout`, `stderr`, `body`, `headers`, and `error`
    /// for the explanation of a failure.
    pub excerpts: BTreeMap<String, String>,
    /// What was longer than an excerpt, whole, by digest.
    pub blobs: BTreeMap<String, BlobRef>,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// Who did it: `local` for this process.
    pub worker: String,
}

impl Outcome {
    /// An outcome without outputs, begun and ended at `at`.
    pub fn bare(result: AttemptResult, reason: &str, at: Timestamp) -> Self {
        Self {
            result,
            reason: reason.to_owned(),
            class: None,
            code: None,
            retry_after_ms: None,
            outputs: BTreeMap::new(),
            sealed: BTreeSet::new(),
            excerpts: BTreeMap::new(),
            blobs: BTreeMap::new(),
            started: at,
            finished: at,
            worker: "local".to_owned(),
        }
    }
}

/// Bytes kept beside the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// Lower-case hex.
    pub sha256: String,
    pub bytes: u64,
}

/// A value from outside as its JSON text, numbers in their original spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(String);

impl Json {
    pub fn of(value: &Value) -> Self {
        Self(value.to_string())
    }

    /// # Errors
    /// The text is not JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&serde_json::value::RawValue>(text)?;
        Ok(Self(text.to_owned()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// The value; null for a text that is not JSON, which only a damaged journal could hold.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}
