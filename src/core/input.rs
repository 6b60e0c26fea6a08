//! What happened outside: the only way anything reaches the core.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attempt::{AttemptKey, Outcome};
use super::event::Actor;

/// One thing that happened. One input makes at most one entry (law L8).
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The first input of a run.
    Begin(Begin),
    /// The run is taken up again, by a new process.
    Resume {
        actor: Actor,
        attended: bool,
        tool: String,
        /// Why it is to end: then nothing that has become possible since it stood still is started.
        end: Option<String>,
    },
    Finished {
        key: AttemptKey,
        outcome: Box<Outcome>,
    },
    Answer(Box<Answer>),
    /// A remark for the record.
    Note {
        actor: Actor,
        text: String,
    },
    /// Nothing new starts; with `stop`, what runs is stopped too.
    Pause {
        actor: Actor,
        reason: String,
        stop: bool,
    },
    /// The run is to end. A second one changes nothing.
    Cancel {
        actor: Actor,
        reason: String,
    },
    /// Time has passed.
    Tick,
    Journal(JournalInput),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    pub actor: Actor,
    pub attended: bool,
    /// Name and version of the program.
    pub tool: String,
    /// Language of prompts and report, `fr` or `en`.
    pub lang: String,
    /// Version of the report template.
    pub template: u32,
    /// File name below `plan/` to lower-case hex SHA-256.
    pub plan: std::collections::BTreeMap<String, String>,
    /// Fingerprint of the executor's key.
    pub executor: String,
}

/// Somebody's word on an open question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Number of the question.
    pub ask: u32,
    /// Item of a checklist.
    pub part: Option<String>,
    /// What was said: `"approve"`, `"yes"`, an object of fields, …
    pub value: Value,
    pub comment: Option<String>,
    pub evidence: Vec<EvidenceRef>,
    pub actor: Actor,
    /// For a gate: the request digests that were shown. Absent when the answer came with no view of them.
    pub shown: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRef {
    pub name: String,
    /// Lower-case hex.
    pub sha256: String,
    pub bytes: u64,
}

/// What the journal's keeper did that belongs into the record.
#[derive(Debug, Clone, PartialEq)]
pub enum JournalInput {
    /// A torn last line was set aside.
    Recovered { bytes: u64, sha256: String },
    /// The run is over and about to be signed.
    Sealed,
    /// The text of a decision was written and signed.
    Attested { ask: u32, file: String, sha256: String, signer: String, personal: bool },
    /// The journal was handed out up to this head.
    Exported { size: u64, head: String },
}
