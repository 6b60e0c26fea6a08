//! The plan: a runbook with its inputs resolved and every policy explicit, ready to be decided upon.
//!
//! Owns the immutable description that a run folds over. It is stored beside the journal in two files: the
//! [`Graph`] is public (ids, kinds, effects, order, policies: an auditor folds with it alone), the [`Values`] are
//! held back (inputs, templates, literals). Neither ever holds a secret, only names and sources of secrets.
//! Resuming reads the plan, never the YAML.

pub mod action;
pub mod build;
mod certified;
pub mod digest;
mod drill;
pub mod graph;
mod guards;
pub mod host;
mod limits;
mod locks;
mod loops;
pub mod notice;
mod people;
pub mod preview;
mod requests;
mod secret;
pub mod service;
mod translate;
mod used;
pub mod values;

pub use action::{Action, Auth, Body, Fill, HttpCall, Program, ProgramCall, RemoteCall, ShellCall};
pub use build::{BuildRequest, build, outline};
pub use certified::{CertificateRule, rule_of};
pub use graph::{
    ActOf, ArtifactNode, CanaryNode, EachNode, Effect, EndStatus, ErrorClass, Evidence, GateNode, GlassNode,
    Graph, GroupNode, GuardNode, Identity, InputKind, ItemNode, Kind, LimitNode, ManyNode, Mode, OnFailure,
    OnTimeout, OtherwisePutBack, OutputNode, Person, Populace, PutBackNode, RepeatNode, Rerun, RetryPolicy,
    RunOn, Section, Share, StepNode, UsedNode, VerifyNode, Who,
};
pub use host::{Reach, SshHost};
pub use notice::{Channel, MailServer, Notice, Recipient};
pub use requests::requests;
pub use service::{Service, ServiceNeeds};
pub use values::{
    Accept, ArtifactOf, Assertion, Choosing, Computed, Each, Expect, Import, InputField, Item, Link, Listed,
    Localized, OnBusy, OpenAt, Poll, Probe, ProbeOf, SecretSource, StepValues, Told, Values,
};

use serde::{Deserialize, Serialize};

/// The rules of deciding. An old run ends by the rules it began with.
///
/// - 1: first release.
pub const SEMANTICS: u32 = 1;

/// A runbook, checked and resolved. See the module documentation for why it has two halves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub graph: Graph,
    pub values: Values,
}

impl Plan {
    /// What people call the runbook: its id, where it has no title.
    pub fn title(&self, lang: &str) -> &str {
        self.values.title.in_lang(lang).unwrap_or(&self.graph.runbook)
    }

    /// The values of the step at `index` of the graph.
    pub fn step_values(&self, index: usize) -> Option<&StepValues> {
        self.graph.steps.get(index).and_then(|step| self.values.steps.get(&step.id))
    }
}
