//! The shape of a runbook file, as written. Kinds of step are nested keys; positions stay with the values.
//!
//! Says what may be written and nothing about whether it makes sense: that is `check`. The same declarations give
//! the JSON Schema for editors.

mod calls;
mod editor;
mod guards;
mod lists;
mod notes;
mod people;
mod targets;
mod used;

use super::decode::{Decode, Reader, Spanned, record, words};
use super::scalar::{Condition, Data, Day, Entries, Many, Millis, Text};
use super::shell::Script;
use super::template::Template;
use super::yaml::Node;

pub use calls::*;
pub use editor::json_schema;
pub(super) use editor::schema_of;
pub use guards::*;
pub use lists::*;
pub use notes::*;
pub use people::*;
pub use targets::*;
pub use used::*;

record! {
    /// A procedure: what it needs to know, what it does, and in which order.
    pub struct Runbook {
        /// Version of the language: `v1`.
        must consigne: Version,
        /// Name of the runbook: small letters, digits and `-`.
        must id: Spanned<String>,
        /// What people call it, in one language or in both.
        may title: Text,
        /// What kind of procedure it is.
        may category: Category,
        /// When to use it, and when not.
        may description: Text,
        /// Who looks after it.
        may owners: Vec<Spanned<String>>,
        /// What has to be known before a run: read as `inputs.NAME`.
        may inputs: Entries<InputDecl>,
        /// What the environment supplies (`required`), or a default: read as `vars.NAME`.
        may vars: Entries<Var>,
        /// Where secrets come from. Their values never reach a record or a screen.
        may secrets: Entries<SecretDecl>,
        /// What every call has in common.
        may defaults: Defaults,
        /// Names that no two runs may hold at once, such as `tenant/{{ inputs.tenant_id }}`.
        may lock: Locks,
        /// When it may be run; without one, always. Drills may be run at any time.
        may windows: Vec<WindowDecl>,
        /// What has to hold while it changes anything: asked at intervals, and before each write.
        may guards: Vec<GuardDecl>,
        /// What is done, in order: a step without `needs` waits for everything above it.
        must steps: Vec<Step>,
        /// Steps that run at every ending: success, failure, refusal, cancel.
        may finally: Vec<Step>,
        /// How long the whole run may take.
        may deadline: Millis,
        /// Until when somebody has to read it again. Whether that is over is said where runbooks are listed.
        may review_by: Day,
        /// Names of the alerts that it answers: `consigne runbooks NAME` finds it by them.
        may alerts: Vec<Spanned<String>>,
        /// Pages to look at: dashboards, the wiki, a contract.
        may links: Vec<LinkDecl>,
        /// What was changed in it, newest first.
        may changelog: Vec<ChangeDecl>,
    }
}

impl Runbook {
    /// The names that no two runs may hold at once.
    pub fn locks(&self) -> impl Iterator<Item = &Spanned<Template>> {
        self.lock.iter().flat_map(|lock| &lock.0.names)
    }
}

words! {
    /// Version of the language.
    pub enum Version { V1 = "v1", }
}

words! {
    /// What kind of procedure it is.
    pub enum Category {
        Routine = "routine",
        Emergency = "emergency",
        Maintenance = "maintenance",
        Check = "check",
    }
}

record! {
    /// An input of a run, or a field of a form.
    pub struct InputDecl {
        /// Type of the value.
        must r#type: Spanned<TypeWord>,
        /// For a list: the type of its members.
        may of: Spanned<TypeWord>,
        /// What people are asked.
        may title: Text,
        /// The value when none is given.
        may default: Spanned<Data>,
        /// The least number that is allowed.
        may min: Spanned<f64>,
        /// The greatest number that is allowed.
        may max: Spanned<f64>,
        /// A regular expression that must match somewhere: anchor it with `^` and `$`.
        may pattern: Spanned<String>,
        /// The values that are allowed.
        may r#enum: Spanned<Vec<Data>>,
        /// Who may read it in the record.
        may class: Class,
    }
}

words! {
    /// Type of a value.
    pub enum TypeWord {
        String = "string",
        Integer = "integer",
        Number = "number",
        Boolean = "boolean",
        Datetime = "datetime",
        File = "file",
        List = "list",
    }
}

words! {
    /// Who may read a value.
    pub enum Class {
        Public = "public",
        Confidential = "confidential",
        Secret = "secret",
    }
}

/// A variable: `required` from the environment, or its value unless the environment gives another.
#[derive(Debug, Clone, PartialEq)]
pub enum Var {
    Required,
    Value(Spanned<Data>),
}

record! {
    /// Where a secret comes from: exactly one of these.
    pub struct SecretDecl {
        /// Name of an environment variable.
        may env: Spanned<String>,
        /// Path of a file.
        may file: Spanned<Template>,
        /// A program that prints it, with its arguments.
        may command: Spanned<Vec<Spanned<Template>>>,
        /// Asked on the terminal, never echoed.
        may prompt: bool,
        /// Fetched again when what is known is older than this.
        may refresh: Spanned<Millis>,
    }
}

record! {
    /// What every call has in common.
    pub struct Defaults {
        /// For every HTTP call.
        may http: HttpDefaults,
    }
}

record! {
    /// For every call whose address begins with `/`; credentials go to that host only.
    pub struct HttpDefaults {
        /// What an address that begins with `/` is put behind. Credentials go to its host only.
        may base: Spanned<Template>,
        /// Name of the secret that is sent as bearer token.
        may bearer: Spanned<String>,
        /// How long one attempt may take.
        may timeout: Millis,
        /// Headers that every call sends.
        may headers: Entries<Spanned<Template>>,
        /// PEM file of additional trusted roots.
        may ca_file: Spanned<String>,
    }
}

record! {
    /// One step, of exactly one kind.
    pub struct Step {
        /// Name of the step: a small letter, then letters, digits and `_`. Read as `steps.ID`.
        may id: Spanned<String>,
        /// What people call it.
        may title: Text,
        /// What people are told or asked here.
        may message: Text,
        /// What people see with its questions: texts, and values that earlier steps gave.
        may show: Many<Spanned<Template>>,
        /// Pages to look at in this step.
        may links: Vec<LinkDecl>,
        /// How long it usually takes. Nothing waits for it, nothing ends by it.
        may estimate: Spanned<Millis>,
        /// Kind: one HTTP call.
        may http: Box<Http>,
        /// Kind: a script for bash. Each `{{ }}` in it becomes an environment variable, never text.
        may shell: Spanned<Script>,
        /// Kind: a program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Kind: a gate that one person opens with yes or no.
        may confirm: Box<Confirm>,
        /// Kind: a gate that entitled people open over the exact requests behind it.
        may approve: Box<Approve>,
        /// Kind: a form that a person fills in.
        may input: Box<Form>,
        /// Kind: one or many of a list, which a person chooses and later steps read.
        may choice: Box<ChoiceDecl>,
        /// Kind: points that are proven by probes or ticked by people.
        may checklist: Box<Checklist>,
        /// Kind: something a person does outside, told in `message`.
        may manual: Box<Manual>,
        /// Kind: a time to let pass, or an instant to wait for.
        may wait: Box<Wait>,
        /// Kind: claims that must hold.
        may assert: Box<Assert>,
        /// Kind: ends the run early.
        may end: EndWord,
        /// Kind: a message to people, by mail, webhook or a program of theirs.
        may notify: Box<NotifyDecl>,
        /// Kind: steps that belong together. It ends when they have.
        may group: Box<GroupDecl>,
        /// Kind: the steps of another runbook, here. It ends when they have.
        may runbook: Box<UseDecl>,
        /// Kind: runs the `put_back` or the `undo` of these steps now, and not again later.
        may revert: Spanned<Vec<Spanned<String>>>,
        /// Does it once for each item of a list.
        may for_each: Box<EachDecl>,
        /// For a group: goes through its steps again, until something holds.
        may repeat: Box<RepeatDecl>,
        /// Steps it waits for, instead of everything above it. `[]`: nothing.
        may needs: Vec<Spanned<String>>,
        /// Gates that `needs` reach round on purpose.
        may past: Vec<Spanned<String>>,
        /// An expression without braces: the step is skipped unless it holds.
        may when: Condition,
        /// What it does to the world. Destructive steps need a gate in front of them.
        may effect: Spanned<EffectWord>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on, and those that prove it or take it back.
        may host: Spanned<Template>,
        /// Names for parts of the result, by jq filter: read as `steps.ID.NAME`.
        may outputs: Entries<Output>,
        /// Files that its program leaves, by name: kept beside the record once it has succeeded.
        may artifacts: Entries<Artifact>,
        /// What counts as success, instead of exit 0 or a status of 2xx.
        may expect: Box<Expect>,
        /// The proof that it took effect: settles an attempt whose answer was lost.
        may verify: Box<Verify>,
        /// How often, and after what, it is tried again.
        may retry: Box<Retry>,
        /// For a read: asks again until something holds.
        may poll: Box<Poll>,
        /// How long one attempt, or the wait for an answer, may take.
        may timeout: Spanned<Millis>,
        /// How long all attempts together may take.
        may deadline: Spanned<Millis>,
        /// `auto`, or a key with which repeating the call is safe.
        may idempotency_key: Spanned<Template>,
        /// What takes it back, when somebody decides so.
        may undo: Box<Undo>,
        /// What switches a toggle back at the end.
        may put_back: Box<PutBack>,
        /// What follows when it fails for good.
        may on_failure: Spanned<FailureWord>,
        /// With `on_failure: continue`: a failure does not make the run failed.
        may allowed: bool,
        /// After which endings of the steps before it starts.
        may run_on: Spanned<RunOnWord>,
        /// How long people should take over its questions. Nothing ends by it; what took longer is told.
        may timebox: Spanned<Millis>,
        /// Who may answer.
        may by: Box<By>,
        /// Who may read its outputs in the record.
        may class: Class,
        /// The answer of a run that nobody attends.
        may unattended: Spanned<Data>,
        /// Why no gate stands in front of it, although it is destructive.
        may ungated: Spanned<String>,
    } later ["pool"]
}

record! {
    /// A time to let pass (`for`), or an instant to wait for (`until`).
    pub struct Wait {
        /// How long.
        may r#for: Spanned<Millis>,
        /// An instant with its offset, such as `2026-11-23T06:30:00+01:00`.
        may until: Spanned<Template>,
    }
}

record! {
    /// Claims that must hold.
    pub struct Assert {
        /// The claims; all must hold.
        must that: Vec<Claim>,
    }
}

record! {
    /// One claim.
    pub struct Claim {
        /// An expression without braces.
        must expr: Condition,
        /// What is said when it does not hold.
        may message: Text,
    }
}

words! {
    /// What follows a failure.
    pub enum FailureWord { Ask = "ask", Stop = "stop", Continue = "continue", Undo = "undo", }
}

words! {
    /// After which endings a step starts.
    pub enum RunOnWord { Success = "success", Failure = "failure", Finished = "finished", }
}

words! {
    /// How the run ends.
    pub enum EndWord { Succeeded = "succeeded", Failed = "failed", }
}

/// Where a key belongs that stands in a wrong place, in words.
pub fn home_of(key: &str) -> Option<&'static str> {
    const HOMES: [(&str, &[&str]); 21] = [
        ("a step", Step::NAMES),
        ("`http`", Http::NAMES),
        ("the runbook itself", Runbook::NAMES),
        ("`verify`", Verify::NAMES),
        ("`put_back`", PutBack::NAMES),
        ("`expect`", Expect::NAMES),
        ("`retry`", Retry::NAMES),
        ("`poll`", Poll::NAMES),
        ("`approve`", Approve::NAMES),
        ("`checklist`", Checklist::NAMES),
        ("`choice`", ChoiceDecl::NAMES),
        ("`notify`", NotifyDecl::NAMES),
        ("`group`", GroupDecl::NAMES),
        ("`for_each`", EachDecl::NAMES),
        ("`canary`", CanaryDecl::NAMES),
        ("`repeat`", RepeatDecl::NAMES),
        ("`runbook`", UseDecl::NAMES),
        ("a guard", GuardDecl::NAMES),
        ("an item of a checklist", ItemDecl::NAMES),
        ("`defaults: {http: …}`", HttpDefaults::NAMES),
        ("an input", InputDecl::NAMES),
    ];
    HOMES.iter().find(|(_, names)| names.contains(&key)).map(|(home, _)| *home)
}

impl Decode for Var {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let data: Spanned<Data> = reader.value(node)?;
        match &data.value {
            Data::Text(text) if text.value.source() == "required" => Some(Self::Required),
            _ => Some(Self::Value(data)),
        }
    }
}

impl schemars::JsonSchema for Var {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Var".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "`required`: from the environment; anything else is the default."})
    }
}
