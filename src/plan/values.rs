//! The held-back half of a plan: inputs, literals and templates. Names and sources of secrets, never a secret.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::Action;
use super::graph::{ActOf, InputKind};
use super::host::Reach;
use crate::runbook::template::{Expr, Rendered, Template, WORK};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    pub title: Localized<String>,
    pub inputs: BTreeMap<String, Value>,
    pub vars: BTreeMap<String, Value>,
    pub secrets: BTreeMap<String, SecretSource>,
    /// Those that are fetched again when they are older than that, in milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refresh: BTreeMap<String, u64>,
    /// Outputs that are secrets, as texts name them: `steps.rotate.key`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub born: BTreeSet<String>,
    /// Names of variables that children inherit besides the fixed few.
    pub env_inherit: Vec<String>,
    /// Names of the locks, rendered.
    pub locks: Vec<String>,
    #[serde(default, skip_serializing_if = "OnBusy::is_ask")]
    pub on_busy: OnBusy,
    /// When it may be run; never said of a drill, which may be at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<OpenAt>,
    /// The environment takes no reason for running it outside of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub windows_required: bool,
    /// By step id.
    pub steps: BTreeMap<String, StepValues>,
    /// By the id of the guard: what is asked, and what people are told when it does not hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guards: BTreeMap<String, StepValues>,
    /// Pages to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link<String>>,
    /// The hosts that steps may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Reach>,
}

impl Values {
    /// Everything that sends or starts something: the steps, then the guards.
    pub fn all(&self) -> impl Iterator<Item = (&String, &StepValues)> {
        self.steps.iter().chain(&self.guards)
    }

    /// Under which name a runner finds what a path stands for, where that is a secret: an input of class secret, or an
    /// output that is born in the run. (`secrets.name` is told apart by its form.)
    pub fn secret(&self, path: &str) -> Option<String> {
        (self.born.contains(path) || (path.starts_with("inputs.") && self.secrets.contains_key(path)))
            .then(|| path.to_owned())
    }
}

/// The step and the output that the name of a secret means, where it was born in the run.
pub fn born(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("steps.")?.rsplit_once('.')
}

/// What follows when another run holds one of the locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBusy {
    /// Whoever is at the terminal; fails where nobody is.
    #[default]
    Ask,
    Fail,
    Queue,
}

impl OnBusy {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) const fn is_ask(&self) -> bool {
        matches!(self, Self::Ask)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Fail => "fail",
            Self::Queue => "queue",
        }
    }
}

/// A time in which the runbook may be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAt {
    pub cron: String,
    pub zone: String,
    pub open_ms: u64,
    pub title: Localized<String>,
}

/// A page to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link<S> {
    pub url: S,
    pub title: Localized<S>,
}

/// A text that operators read, in one or both of their languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Localized<S> {
    pub fr: Option<S>,
    pub en: Option<S>,
}

impl<S> Default for Localized<S> {
    fn default() -> Self {
        Self { fr: None, en: None }
    }
}

impl<S: Clone> Localized<S> {
    /// The same text whatever the language.
    pub fn both(text: S) -> Self {
        Self { fr: Some(text.clone()), en: Some(text) }
    }
}

impl<S> Localized<S> {
    /// The text in `lang` (`fr` or `en`), else in the other one.
    pub fn in_lang(&self, lang: &str) -> Option<&S> {
        if lang == "fr" {
            self.fr.as_ref().or(self.en.as_ref())
        } else {
            self.en.as_ref().or(self.fr.as_ref())
        }
    }
}

/// Where a runner finds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    Env(String),
    File(String),
    /// Printed by a program; one trailing line break is cut.
    Command(Vec<String>),
    /// Asked on the terminal, again on resume.
    Prompt,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepValues {
    pub title: Localized<Template>,
    pub message: Localized<Template>,
    /// What people see with its questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub show: Vec<Template>,
    pub when: Option<Expr>,
    /// For http, shell and argv.
    pub act: Option<Probe>,
    pub verify: Option<Probe>,
    pub undo: Option<Probe>,
    pub put_back: Option<Probe>,
    pub only_if: Option<Probe>,
    /// What taking it back does to the world, where that is more than a write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_effect: Option<super::Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_back_effect: Option<super::Effect>,
    /// Key given by the runbook instead of `auto`.
    pub idempotency_key: Option<Template>,
    /// For `confirm`: the word to type.
    pub typed: Option<Template>,
    /// For `checklist`, by item id.
    pub items: BTreeMap<String, Item>,
    /// For `input`.
    pub fields: IndexMap<String, InputField>,
    /// For `choice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choosing>,
    /// For `assert`.
    pub assertions: Vec<Assertion>,
    /// For `wait: {until}`.
    pub until: Option<Template>,
    /// For a gate: what is sent to those who may answer, and when.
    #[serde(skip_serializing_if = "Told::is_empty")]
    pub told: Told,
    /// The declared answer of an unattended run.
    pub unattended: Option<Value>,
    /// For `for_each`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// For `approve`: what a target that is decided later has to satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expr>,
    /// For `repeat`: no further round once it holds, judged with what the last round gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_until: Option<Expr>,
    /// Pages to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link<Template>>,
    /// How long it usually takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_ms: Option<u64>,
    /// For a step that need not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
}

/// What is sent about a question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Told {
    /// As soon as it is open.
    pub opened: Option<Probe>,
    /// Once it was passed on.
    pub escalated: Option<Probe>,
}

impl Told {
    pub const fn is_empty(&self) -> bool {
        self.opened.is_none() && self.escalated.is_none()
    }
}

/// What a step did and gave in an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Of its request, in the form that approvals bind: lower-case hex SHA-256.
    pub digest: String,
    /// Output name to JSON text.
    pub outputs: BTreeMap<String, String>,
}

/// An action and how its result is judged, as written in a plan.
pub type Probe = ProbeOf<Template>;

/// An action and how its result is judged. `S` is [`Template`] in a plan, [`Rendered`] in a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeOf<S> {
    pub action: Action<S>,
    pub accept: Accept,
    /// Per attempt, where it differs from its step's.
    pub timeout_ms: Option<u64>,
    /// Files that it leaves.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactOf<S>>,
}

/// A file that an action leaves once it has succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactOf<S> {
    pub name: String,
    /// From the folder that the program runs in.
    pub path: S,
    /// It need not be there.
    pub optional: bool,
}

/// How a result document is judged and what is taken from it. Filters are jq over the document.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accept {
    pub expect: Expect,
    /// For `verify`: how "not done" looks.
    pub absent: Option<Expect>,
    pub poll: Option<Poll>,
    /// Output name to filter.
    pub outputs: IndexMap<String, String>,
    /// The same of outputs that are secrets: taken by the runner, and never given on.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: IndexMap<String, String>,
}

/// Conditions on a result document; all that are given must hold. Nothing given: exit 0, or HTTP 2xx.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    pub exit: Vec<i32>,
    pub status: Vec<u16>,
    pub contains: Vec<String>,
    /// Regular expressions.
    pub matches: Vec<String>,
    pub that: Vec<String>,
    /// JSON Schema of the body (HTTP) or of `json` (programs).
    pub schema: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    pub every_ms: u64,
    pub within_ms: u64,
    pub until: Option<String>,
    pub fail_if: Option<String>,
    /// The condition must hold this long without a break.
    pub steady_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub text: Localized<Template>,
    /// Absent where the probe is another step's `verify`: see `step`.
    pub probe: Option<Probe>,
    /// The step whose `verify` proves this item.
    pub step: Option<String>,
    /// What is to be typed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back: Option<Template>,
}

/// Where the list of a choice comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choosing {
    Listed(Vec<Listed>),
    Computed(Computed),
}

/// An option that stands in the runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub id: String,
    pub text: Localized<Template>,
}

/// Options that an earlier step gave; `id` and `label` are about one entry, called `item`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    pub from: Expr,
    pub id: Expr,
    pub label: Option<Expr>,
}

/// The list that a step is done for, item by item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    pub items: Expr,
    /// The name of one item, for whatever is done with it.
    pub name: String,
    /// An expression about one item: its name in the run, unlike that of every other. Without it an item is its own
    /// name, and has to be a text or a number.
    pub key: Option<Expr>,
}

/// A typed question, as for inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputField {
    pub kind: InputKind,
    pub title: Localized<String>,
    pub default: Option<Value>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    pub one_of: Option<Vec<Value>>,
    pub public: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    pub expr: Expr,
    pub message: Localized<Template>,
}

impl StepValues {
    /// What takes the step back, by name, and what that does to the world.
    pub fn reversals(&self) -> impl Iterator<Item = (&'static str, &Probe, super::Effect)> {
        let all =
            [("undo", &self.undo, self.undo_effect), ("put_back", &self.put_back, self.put_back_effect)];
        all.into_iter().filter_map(|(name, probe, effect)| {
            Some((name, probe.as_ref()?, effect.unwrap_or(super::Effect::Write)))
        })
    }

    pub const fn act_of(&self, which: ActOf) -> Option<&Probe> {
        match which {
            ActOf::Do => self.act.as_ref(),
            ActOf::Undo => self.undo.as_ref(),
            ActOf::PutBack => self.put_back.as_ref(),
        }
    }

    /// Every action of the step, those of its checks and reversals included.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        let own = [&self.act, &self.verify, &self.undo, &self.put_back, &self.only_if];
        let own = own.into_iter().chain([&self.told.opened, &self.told.escalated]);
        own.flatten().chain(self.items.values().filter_map(|item| item.probe.as_ref()))
    }

    /// Whether it reads or leaves files that are its run's alone.
    pub fn has_files(&self) -> bool {
        let texts = self.act.iter().flat_map(|act| act.action.texts());
        let scratched = texts.flat_map(Template::refs).any(|name| name == WORK);
        scratched || self.act.iter().any(|act| !act.artifacts.is_empty())
    }

    /// Every name that something in the step reads when it runs.
    pub fn refs(&self) -> impl Iterator<Item = &str> {
        let (items, probes) = (self.items.values(), self.probes());
        let artifacts = self.act.iter().flat_map(|act| &act.artifacts);
        let texts = [&self.title, &self.message].into_iter().chain(items.map(|item| &item.text));
        let texts = texts.chain(self.assertions.iter().map(|assertion| &assertion.message));
        let (listed, computed) = match &self.choice {
            Some(Choosing::Listed(all)) => (all.as_slice(), None),
            Some(Choosing::Computed(list)) => (&[][..], Some(list)),
            None => (&[][..], None),
        };
        let texts = texts.chain(listed.iter().map(|option| &option.text));
        let texts = texts.flat_map(|text| [&text.fr, &text.en]).flatten();
        let texts = texts.chain(&self.show);
        let texts = texts.chain(self.items.values().filter_map(|item| item.read_back.as_ref()));
        let texts = texts.chain([&self.idempotency_key, &self.typed, &self.until].into_iter().flatten());
        let exprs = self.when.iter().chain(self.assertions.iter().map(|assertion| &assertion.expr));
        let exprs = exprs.chain(computed.map(|list| &list.from));
        let exprs = exprs.chain(self.each.as_ref().map(|each| &each.items)).chain(&self.repeat_until);
        texts
            .flat_map(Template::refs)
            .chain(probes.flat_map(|probe| probe.action.texts()).flat_map(Template::refs))
            .chain(self.probes().filter_map(|probe| probe.action.auth_secret()))
            .chain(artifacts.flat_map(|artifact| artifact.path.refs()))
            .chain(exprs.flat_map(|expr| expr.refs().iter().map(String::as_str)))
    }
}

impl Probe {
    /// # Errors
    /// See [`Template::render`].
    pub fn render(
        &self,
        scope: &dyn crate::runbook::template::Scope,
    ) -> Result<ProbeOf<Rendered>, crate::runbook::template::RenderError> {
        let artifact = |it: &ArtifactOf<Template>| {
            let (name, optional) = (it.name.clone(), it.optional);
            Ok(ArtifactOf { name, path: it.path.render(scope)?, optional })
        };
        Ok(ProbeOf {
            action: self.action.render(scope)?,
            accept: self.accept.clone(),
            timeout_ms: self.timeout_ms,
            artifacts: self.artifacts.iter().map(artifact).collect::<Result<_, _>>()?,
        })
    }
}
