//! What a graph says of steps that have steps of their own: groups, lists and rounds.

use serde::{Deserialize, Serialize};

/// What a group does when a step of it has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNode {
    /// It has steps that run then.
    pub handlers: bool,
    /// And if those succeed, so has the group.
    pub then_continue: bool,
}

/// The runbook whose steps a group holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedNode {
    pub runbook: String,
    /// Of its file: lower-case hex SHA-256.
    pub digest: String,
}

/// How a list is gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EachNode {
    /// Items under way at once, at least 1.
    pub max_parallel: u32,
    pub canary: Option<CanaryNode>,
    /// More items than this are refused.
    pub max_targets: Option<u32>,
    /// More failed items than this, and no further one begins.
    pub max_failures: Option<Share>,
    /// A list without items is no failure.
    pub empty_ok: bool,
    /// Its `when` reads the item: it is about each, not about the whole.
    pub when_each: bool,
}

/// The first items, which go before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryNode {
    pub count: u32,
    /// Somebody says whether to go on.
    pub ask: bool,
    /// How long the first ones are watched before.
    pub soak_ms: Option<u64>,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    Count(u32),
    Percent(u32),
}

impl Share {
    /// How many of `all` that is; parts of one do not count.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => all.saturating_mul(percent as usize) / 100,
        }
    }
}

/// How often a group is gone through; until when is an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatNode {
    /// Rounds, at least 1.
    pub max: u32,
    /// Between two rounds.
    pub every_ms: Option<u64>,
}
