//! Events: the facts of a run. Wire type, live feed and audit trail at once.
//!
//! Formats live for ever: a field is added, never removed or reused; a new variant needs a design note and a row in
//! the table of ARCHITECTURE.md. An event's public part says everything that [`super::state::State::apply`] needs to
//! find it legal; what is confidential stands in [`Hidden`] and may be withheld from a reader.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptResult, BlobRef, Role};
use crate::clock::Timestamp;
use crate::plan::{ErrorClass, Mode};

/// One fact, and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub step: Option<String>,
    pub item: Option<u32>,
    pub attempt: Option<u32>,
    pub actor: Option<Actor>,
    pub fact: Fact,
    pub hidden: Hidden,
}

impl Event {
    /// The step that it is about, or the item of one: `isolate[3]`.
    pub fn place(&self) -> Option<String> {
        let step = self.step.as_ref()?;
        Some(self.item.map_or_else(|| step.clone(), |item| format!("{step}[{item}]")))
    }
}

/// Confidential fields: name to JSON text. A reader without the disclosures sees fewer of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub BTreeMap<String, String>);

/// Who said or did something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// A person of the environment, `os:NAME` for anybody else, `consigne` for the executor itself.
    pub who: String,
    pub how: How,
    /// For a played answer: the user at the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub played_by: Option<String>,
}

/// How we know who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The user of this process, or of the peer on the socket.
    OsUser,
    SshKey,
    /// Role play in a practice environment.
    Played,
    /// The answers file of the user of this process.
    Answers,
    /// An answer that the runbook declares for unattended runs.
    Policy,
    /// The executor itself.
    Executor,
}

impl Actor {
    pub fn executor() -> Self {
        Self { who: "consigne".into(), how: How::Executor, played_by: None }
    }

    pub fn policy() -> Self {
        Self { who: "consigne".into(), how: How::Policy, played_by: None }
    }
}

/// The kinds of fact. Wire names are part of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Fact {
    #[serde(rename = "run.started")]
    RunStarted {
        semantics: u32,
        mode: Mode,
        runbook: String,
        environment: Option<String>,
        plan: BTreeMap<String, String>,
        tool: String,
        lang: String,
        template: u32,
        attended: bool,
        executor: String,
    },
    #[serde(rename = "run.resumed")]
    RunResumed { attended: bool, tool: String },
    #[serde(rename = "run.paused")]
    RunPaused { reason: String, stop: bool },
    /// Nothing more starts in the main section; reversals and `finally` follow.
    #[serde(rename = "run.ending")]
    RunEnding {
        outcome: Ended,
        reason: String,
        /// Armed undos run too.
        undo: bool,
        /// What runs is stopped instead of awaited.
        stop: bool,
    },
    #[serde(rename = "run.finished")]
    RunFinished { status: RunStatus, reason: String, still_open: Vec<String> },
    #[serde(rename = "run.sealed")]
    RunSealed {},
    #[serde(rename = "step.skipped")]
    StepSkipped { reason: SkipReason, cause: Option<String> },
    /// The step has its final status.
    #[serde(rename = "step.settled")]
    StepSettled { status: Status, reason: String },
    /// Whether the step took effect is not known; what will settle it comes next.
    #[serde(rename = "step.unknown")]
    StepUnknown { reason: String },
    #[serde(rename = "step.overridden")]
    StepOverridden { how: Override },
    /// It succeeded in the run that this one does again, by the same request: it is not done again.
    #[serde(rename = "step.imported")]
    StepImported {
        /// Declared public; all other outputs are hidden, as `output.NAME`.
        outputs: BTreeMap<String, String>,
    },
    /// The turn of a group, a list, rounds or a revert has come.
    #[serde(rename = "step.entered")]
    StepEntered {},
    /// The list of a step became known, what failed of it is done again, or a round begins: from here its items are
    /// ordinary steps. Keys are hidden.
    #[serde(rename = "step.expanded")]
    StepExpanded { items: u32 },
    /// So many items may have been begun from here.
    #[serde(rename = "step.released")]
    StepReleased { items: u32 },
    /// A step of a group has failed, and what the group does then begins.
    #[serde(rename = "step.handling")]
    StepHandling {},
    #[serde(rename = "attempt.started")]
    AttemptStarted { role: Role, part: Option<String>, timeout_ms: u64, keyed: bool },
    #[serde(rename = "attempt.finished")]
    AttemptFinished {
        result: AttemptResult,
        reason: String,
        class: Option<ErrorClass>,
        code: Option<i64>,
        retry_after_ms: Option<u64>,
        started: Timestamp,
        finished: Timestamp,
        worker: String,
        /// Declared public; all other outputs are hidden, as `output.NAME`.
        outputs: BTreeMap<String, String>,
        /// Names of the outputs that are secrets, and are kept sealed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sealed: Vec<String>,
        /// Declared public; all other files that it left are hidden, as `blob.artifact.NAME`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        artifacts: BTreeMap<String, BlobRef>,
    },
    /// The process died, or was told to stop caring, while it ran.
    #[serde(rename = "attempt.interrupted")]
    AttemptInterrupted {},
    #[serde(rename = "retry.scheduled")]
    RetryScheduled { due: Timestamp },
    #[serde(rename = "wait.started")]
    WaitStarted { due: Timestamp },
    #[serde(rename = "ask.opened")]
    AskOpened {
        ask: u32,
        kind: AskKind,
        expires: Option<Timestamp>,
        /// Steps whose requests the answer binds.
        covers: Vec<String>,
        /// Items still to be answered.
        parts: Vec<String>,
        /// For a failure or an unknown outcome: its reason code.
        reason: Option<String>,
    },
    #[serde(rename = "ask.answered")]
    AskAnswered { ask: u32, part: Option<String>, decision: Decision },
    #[serde(rename = "ask.escalated")]
    AskEscalated { ask: u32, expires: Option<Timestamp> },
    #[serde(rename = "ask.closed")]
    AskClosed { ask: u32, how: AskEnd },
    /// What was approved is no longer what would be done.
    #[serde(rename = "approval.voided")]
    ApprovalVoided {
        ask: u32,
        /// The step that does not start.
        because: String,
        #[serde(default, skip_serializing_if = "VoidReason::is_changed")]
        reason: VoidReason,
    },
    /// The text of a decision stands in a file of the run, signed.
    #[serde(rename = "approval.attested")]
    ApprovalAttested { ask: u32, file: String, sha256: String, signer: String, personal: bool },
    /// An undo or put_back needs no more attention.
    #[serde(rename = "reversal.closed")]
    ReversalClosed { kind: Reversal, how: ReversalEnd, review_at: Option<Timestamp> },
    #[serde(rename = "clock.stepped")]
    ClockStepped { back_ms: u64 },
    #[serde(rename = "journal.recovered")]
    JournalRecovered { bytes: u64, sha256: String },
    #[serde(rename = "journal.exported")]
    JournalExported { size: u64, head: String },
    #[serde(rename = "note.recorded")]
    NoteRecorded {},
}

impl Fact {
    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run.started",
            Self::RunResumed { .. } => "run.resumed",
            Self::RunPaused { .. } => "run.paused",
            Self::RunEnding { .. } => "run.ending",
            Self::RunFinished { .. } => "run.finished",
            Self::RunSealed {} => "run.sealed",
            Self::StepSkipped { .. } => "step.skipped",
            Self::StepSettled { .. } => "step.settled",
            Self::StepUnknown { .. } => "step.unknown",
            Self::StepOverridden { .. } => "step.overridden",
            Self::StepImported { .. } => "step.imported",
            Self::StepEntered {} => "step.entered",
            Self::StepExpanded { .. } => "step.expanded",
            Self::StepReleased { .. } => "step.released",
            Self::StepHandling {} => "step.handling",
            Self::AttemptStarted { .. } => "attempt.started",
            Self::AttemptFinished { .. } => "attempt.finished",
            Self::AttemptInterrupted {} => "attempt.interrupted",
            Self::RetryScheduled { .. } => "retry.scheduled",
            Self::WaitStarted { .. } => "wait.started",
            Self::AskOpened { .. } => "ask.opened",
            Self::AskAnswered { .. } => "ask.answered",
            Self::AskEscalated { .. } => "ask.escalated",
            Self::AskClosed { .. } => "ask.closed",
            Self::ApprovalVoided { .. } => "approval.voided",
            Self::ApprovalAttested { .. } => "approval.attested",
            Self::ReversalClosed { .. } => "reversal.closed",
            Self::ClockStepped { .. } => "clock.stepped",
            Self::JournalRecovered { .. } => "journal.recovered",
            Self::JournalExported { .. } => "journal.exported",
            Self::NoteRecorded {} => "note.recorded",
        }
    }
}

/// Statuses of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Ready,
    Running,
    Waiting,
    Retrying,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Skipped,
    Rejected,
    Unknown,
    Interrupted,
    Overridden,
}

impl Status {
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::Failed
                | Self::TimedOut
                | Self::Cancelled
                | Self::Skipped
                | Self::Rejected
                | Self::Overridden
        )
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Interrupted => "interrupted",
            Self::Overridden => "overridden",
        }
    }
}

/// Statuses of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Running,
    Waiting,
    Paused,
    Succeeded,
    Failed,
    Refused,
    Cancelled,
}

impl RunStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How the main section came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Succeeded,
    Failed,
    Refused,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its own `when` is false: satisfies dependents.
    When,
    /// Its `verify` says it is done already: satisfies dependents.
    AlreadyDone,
    /// Something it needs did not succeed.
    Upstream,
    /// It runs on failure, and nothing failed.
    NotNeeded,
    /// The run, or the used runbook that it stands in, ended before its turn.
    Ended,
    /// What it belongs to was skipped, or ended before its turn.
    Group,
}

/// What a person did instead of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// Tried again beyond its policy.
    Retry,
    ByHand,
    Skip,
    SetOutput,
    /// An unknown outcome declared by a person: it happened.
    Done,
    /// An unknown outcome declared by a person: it did not happen.
    NotDone,
    /// A guard that did not hold, overruled once.
    GoOn,
}

impl Override {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::ByHand => "by_hand",
            Self::Skip => "skip",
            Self::SetOutput => "set_output",
            Self::Done => "done",
            Self::NotDone => "not_done",
            Self::GoOn => "go_on",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    Approve,
    Confirm,
    Input,
    Checklist,
    Manual,
    /// A step failed: what now?
    Failure,
    /// A step's outcome is unknown: what happened?
    Unknown,
    /// A toggle is open at the end: put it back, or leave it?
    PutBack,
    /// One or many of a list, which stands in the hidden field `options` as it was when the question opened.
    Choice,
    /// The first items of a list are done: go on with the others?
    Canary,
    /// A guard does not hold, or could not be asked: what now?
    Guard,
}

impl AskKind {
    /// It is asked because something went wrong, and not because the runbook says so.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Failure | Self::Unknown | Self::PutBack | Self::Guard)
    }
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Reject,
    Yes,
    No,
    /// Fields of a form.
    Given,
    Done,
    NotDone,
    Retry,
    ByHand,
    Skip,
    SetOutput,
    UndoEnd,
    End,
    PutBack,
    LeaveOpen,
    /// Of a list; what it was is hidden, as `value`.
    Chosen,
    /// An approval opened alone, with a reason, to be reviewed.
    BreakGlass,
    /// An item of a checklist, ticked by what it shows; what was typed is hidden, as `value`.
    ReadBack,
    /// On with it, whatever the guard says: this once.
    GoOn,
}

/// Why an approval no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// What would be done is not what was approved.
    #[default]
    Changed,
    /// A target that was decided later does not satisfy the filter of the approval. Which one is hidden, as `target`.
    Filter,
    /// As many targets as may go through it have been begun.
    MaxTargets,
}

impl VoidReason {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    const fn is_changed(&self) -> bool {
        matches!(self, Self::Changed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskEnd {
    Answered,
    TimedOut,
    Voided,
    /// The run ends, or what it was about is settled otherwise.
    Withdrawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    Undo,
    PutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReversalEnd {
    Done,
    /// A person decided to leave it so.
    LeftOpen,
    Failed,
    /// An undo that nobody chose.
    NotChosen,
}
