//! The public half of a plan: what an auditor needs to fold a journal without seeing a single value.

mod compound;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use compound::{CanaryNode, EachNode, GroupNode, RepeatNode, Share, UsedNode};

/// How a run touches the world. Part of every signature namespace, so that none passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Live,
    /// Real effects in a practice environment.
    Drill,
    /// Simulated effects.
    Rehearsal,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Drill => "drill",
            Self::Rehearsal => "rehearsal",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// [`crate::plan::SEMANTICS`] when the plan was built.
    pub semantics: u32,
    /// Id of the runbook, `[a-z0-9-]+`.
    pub runbook: String,
    pub mode: Mode,
    /// Name of the environment, where there is one.
    pub environment: Option<String>,
    pub protected: bool,
    /// Each human answer says who it is played by (practice only).
    pub role_play: bool,
    pub identity: Identity,
    pub people: Populace,
    /// Attempts at once, at most.
    pub max_in_flight: u32,
    pub deadline_ms: Option<u64>,
    /// Names of the secrets that the run may use.
    pub secrets: Vec<String>,
    /// Steps in an order that respects `needs`; those of `finally` after the others, those of a group behind it. What
    /// stands inside `for_each` or `repeat` stands here once and is begun once for each item or round.
    pub steps: Vec<StepNode>,
    /// What has to hold while the main section changes anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardNode>,
    /// The run that this one does again, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<Rerun>,
    /// A certificate of its rehearsal is needed to begin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<super::CertificateRule>,
}

/// A condition that is asked at intervals, and for each attempt at whatever is no read. Its id is unlike that of every
/// step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardNode {
    pub id: String,
    /// Http, shell or argv.
    pub kind: Kind,
    /// From the end of one probe to the next, where no step asks before.
    pub every_ms: u64,
}

/// A finished run, a part of which is done again. Its journal is named by its head, so that nobody can exchange it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rerun {
    pub run: String,
    /// The first step that is done again.
    pub from: String,
    /// Number of lines of its journal.
    pub size: u64,
    /// Root of the tree over them, in base64.
    pub root: String,
}

/// How an approver must prove who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    #[default]
    Any,
    SshKey,
}

/// The people of an environment and the roles they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Populace {
    pub people: BTreeMap<String, Person>,
    pub roles: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub os_user: Option<String>,
    /// Principal in `allowed_signers`.
    pub ssh: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Http,
    Shell,
    Argv,
    Confirm,
    Approve,
    Input,
    Checklist,
    Manual,
    Wait,
    Assert,
    End,
    Choice,
    Notify,
    /// Steps that belong together: it ends when they have.
    Group,
    /// Closes reversals of earlier steps before the end of the run.
    Revert,
}

impl Kind {
    /// Done by a runner, in attempts.
    pub const fn runs(self) -> bool {
        matches!(self, Self::Http | Self::Shell | Self::Argv | Self::Notify)
    }

    pub const fn is_gate(self) -> bool {
        matches!(self, Self::Confirm | Self::Approve)
    }

    /// A question to people. What became of a step may be asked of any.
    pub const fn asks(self) -> bool {
        matches!(
            self,
            Self::Confirm | Self::Approve | Self::Input | Self::Choice | Self::Checklist | Self::Manual
        )
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Shell => "shell",
            Self::Argv => "argv",
            Self::Confirm => "confirm",
            Self::Approve => "approve",
            Self::Input => "input",
            Self::Checklist => "checklist",
            Self::Manual => "manual",
            Self::Wait => "wait",
            Self::Assert => "assert",
            Self::End => "end",
            Self::Choice => "choice",
            Self::Notify => "notify",
            Self::Group => "group",
            Self::Revert => "revert",
        }
    }
}

/// What a step does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Read,
    Write,
    Destructive,
    Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Main,
    Finally,
    /// No step, but what steps wait for: a guard.
    Guard,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepNode {
    pub id: String,
    pub kind: Kind,
    pub effect: Effect,
    pub section: Section,
    /// The group it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// It belongs to what its group does when a step of it has failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handles: bool,
    /// Steps of the same list that must have ended before. For a step without `needs` in the runbook: those above it
    /// in its list that nothing else above needs (the rest follows), and `above` is set.
    pub needs: Vec<String>,
    /// The step waits for everything above it in its list, and is satisfied only if all of it is.
    pub above: bool,
    pub run_on: RunOn,
    /// For `run_on` failure or finished: every gate upstream, all of which must be open.
    pub gates: Vec<String>,
    /// It has a `when`.
    pub conditional: bool,
    /// Per attempt; for people, how long the question stays open.
    pub timeout_ms: Option<u64>,
    /// From the first attempt to the last.
    pub deadline_ms: Option<u64>,
    pub retry: RetryPolicy,
    /// `None`: ask when attended, stop when not.
    pub on_failure: Option<OnFailure>,
    /// Its failure does not make the run fail.
    pub allowed: bool,
    /// It has an idempotency key.
    pub keyed: bool,
    pub verify: Option<VerifyNode>,
    pub undo: bool,
    pub put_back: Option<PutBackNode>,
    /// For `approve` and `confirm`.
    pub gate: Option<GateNode>,
    /// Who may answer, for the other human kinds.
    pub by: Option<Who>,
    /// For `checklist`.
    pub items: Vec<ItemNode>,
    /// The checklist is read item by item, in order.
    pub in_order: bool,
    /// For `manual`.
    pub evidence: Option<Evidence>,
    /// For `input`: field names and kinds.
    pub fields: Vec<OutputNode>,
    /// For `choice`: several may be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub many: Option<ManyNode>,
    /// An answer is declared for unattended runs.
    pub unattended: bool,
    pub outputs: Vec<OutputNode>,
    /// Names of the outputs that are secrets: only runners ever know more of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Files that it leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactNode>,
    /// For `end`.
    pub end: Option<EndStatus>,
    /// How long people should take over a question of it. Nothing ends by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timebox_ms: Option<u64>,
    /// For `wait`: how long, when it is not until an instant (which stands in the values).
    pub wait_ms: Option<u64>,
    /// For `end`: the step whose used runbook it ends, where it does not end the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// For `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupNode>,
    /// For a group that holds the steps of another runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<UsedNode>,
    /// It is done once for each item of a list. Of all other fields only `needs`, `above`, `run_on`, `gates`,
    /// `conditional` (unless [`EachNode::when_each`]), `on_failure` and `allowed` are about the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachNode>,
    /// A group that is done in rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatNode>,
    /// For `revert`: whose reversals it closes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverts: Vec<String>,
    /// For a guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// It succeeded in the run that this one does again, and need not run if its request is still the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

impl StepNode {
    /// A step of this id and kind with every policy at its default.
    pub fn new(id: &str, kind: Kind, effect: Effect) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            effect,
            section: Section::Main,
            within: None,
            handles: false,
            needs: Vec::new(),
            above: false,
            run_on: RunOn::Success,
            gates: Vec::new(),
            conditional: false,
            timeout_ms: None,
            deadline_ms: None,
            retry: RetryPolicy::default(),
            on_failure: None,
            allowed: false,
            keyed: false,
            verify: None,
            undo: false,
            put_back: None,
            gate: None,
            by: None,
            items: Vec::new(),
            in_order: false,
            evidence: None,
            fields: Vec::new(),
            many: None,
            unattended: false,
            outputs: Vec::new(),
            secrets: Vec::new(),
            artifacts: Vec::new(),
            end: None,
            timebox_ms: None,
            wait_ms: None,
            ends: None,
            group: None,
            used: None,
            each: None,
            repeat: None,
            reverts: Vec::new(),
            every_ms: None,
            imported: false,
        }
    }
}

impl StepNode {
    /// A message that reached nobody: what comes after it goes on, and the run is not failed.
    pub fn is_no_obstacle(&self) -> bool {
        self.kind == Kind::Notify && self.allowed && self.on_failure == Some(OnFailure::Continue)
    }
}

impl GuardNode {
    /// How a run goes about it.
    pub fn node(&self) -> StepNode {
        StepNode {
            section: Section::Guard,
            every_ms: Some(self.every_ms),
            ..StepNode::new(&self.id, self.kind, Effect::Read)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOn {
    Success,
    Failure,
    Finished,
}

/// When and how often a failed attempt is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// All attempts, the first included; at least 1.
    pub max_attempts: u32,
    pub delay_ms: u64,
    /// Factor between delays, in per mille (2000 doubles).
    pub backoff: u32,
    pub max_delay_ms: u64,
    pub errors: Vec<ErrorClass>,
}

impl RetryPolicy {
    /// Milliseconds before the attempt after `tries` finished ones, before any jitter.
    pub fn longest_delay(&self, tries: u32) -> u64 {
        let mut delay = self.delay_ms;
        for _ in 1..tries.min(64) {
            delay = delay.saturating_mul(u64::from(self.backoff)) / 1_000;
            if delay >= self.max_delay_ms {
                break;
            }
        }
        delay.min(self.max_delay_ms)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 1, delay_ms: 1_000, backoff: 2_000, max_delay_ms: 60_000, errors: Vec::new() }
    }
}

/// Why an attempt did not succeed, as far as retrying cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ErrorClass {
    #[serde(rename = "connect")]
    Connect,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "429")]
    TooMany,
    #[serde(rename = "5xx")]
    Server,
    #[serde(rename = "expect")]
    Expect,
    /// Anything else: never repeated by itself.
    #[serde(rename = "other")]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    Ask,
    Stop,
    Continue,
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyNode {
    /// Probe before acting.
    pub first: bool,
    /// It says how "not done" looks.
    pub absent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutBackNode {
    /// A probe must hold before it is put back.
    pub only_if: bool,
    pub otherwise: OtherwisePutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherwisePutBack {
    Ask,
    Auto,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateNode {
    /// Different people that must say yes.
    pub quorum: u32,
    /// For `approve`: the roles entitled (never empty). For `confirm`: its `by`, anybody when empty.
    pub who: Who,
    /// Entitled once the first time-out has passed.
    pub escalate_to: Vec<String>,
    pub on_timeout: OnTimeout,
    /// A rejection skips the dependents instead of ending the run.
    pub on_reject_continue: bool,
    /// The steps whose requests it binds.
    pub covers: Vec<String>,
    /// A word must be typed.
    pub typed: bool,
    /// Who may open it alone when nobody entitled comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<GlassNode>,
    /// What goes through one approval at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitNode>,
}

/// A bound on the destructive targets that go through one approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitNode {
    pub max_targets: u32,
    /// The steps that it counts, and what of each is destructive.
    pub of: BTreeMap<String, Vec<ActOf>>,
    /// What is decided later has to satisfy a filter, which stands in the values.
    pub filtered: bool,
}

/// Which of the actions of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActOf {
    Do,
    Undo,
    PutBack,
}

/// Opening an approval alone, with a reason, and the look that somebody else takes at it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassNode {
    /// Never empty.
    pub roles: Vec<String>,
    /// Not before the question has been open for so long.
    pub after_ms: u64,
    pub review_roles: Vec<String>,
    pub review_within_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    Refuse,
    Escalate,
}

/// Who may answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Empty: anybody.
    pub roles: Vec<String>,
    /// Not the person who started the run.
    pub not_starter: bool,
    /// Not the people who answered these steps.
    pub not_steps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemNode {
    pub id: String,
    /// It is proved by a probe (a person decides only if the probe does not hold).
    pub probe: bool,
    pub evidence: Evidence,
    /// It is ticked by what it shows, typed back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_back: bool,
}

/// How many of a list may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManyNode {
    pub min: u32,
    /// `None`: all.
    pub max: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    #[default]
    None,
    Optional,
    Required,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputNode {
    pub name: String,
    /// May stand in the journal in clear.
    pub public: bool,
    pub kind: InputKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactNode {
    pub name: String,
    /// Its size and hash may stand in the journal in clear.
    pub public: bool,
    /// The step succeeds without it.
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// Whatever a filter gives.
    Any,
    String,
    Integer,
    Number,
    Boolean,
    Datetime,
    File,
    List(Box<InputKind>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndStatus {
    Succeeded,
    Failed,
}
