//! The shape of a runbook file, as written. Kinds of step are nested keys; positions stay with the values.
//!
//! Says what may be written and nothing about whether it makes sense: that is `check`. The same declarations give
//! the JSON Schema for editors.

use super::decode::{Decode, Reader, Spanned, record, words};
use super::scalar::{Condition, Data, Entries, Filter, Many, Millis, Text};
use super::template::Template;
use super::yaml::Node;

record! {
    /// A procedure: what it needs to know, what it does, and in which order.
    pub struct Runbook {
        /// Version of the language.
        must consigne: Version,
        /// Name of the runbook, `[a-z0-9-]+`.
        must id: Spanned<String>,
        may title: Text,
        may category: Category,
        may description: Text,
        /// Who looks after it.
        may owners: Vec<Spanned<String>>,
        /// What has to be known before a run.
        may inputs: Entries<InputDecl>,
        /// What the environment supplies, or a default.
        may vars: Entries<Var>,
        may secrets: Entries<SecretDecl>,
        may defaults: Defaults,
        /// Names that no two runs may hold at once.
        may lock: Vec<Spanned<Template>>,
        must steps: Vec<Step>,
        /// Runs at every ending.
        may finally: Vec<Step>,
        /// For the whole run.
        may deadline: Millis,
    } later ["guards", "windows", "alerts", "links", "review_by", "changelog"]
}

words! {
    pub enum Version { V1 = "v1", }
}

words! {
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
        must r#type: Spanned<TypeWord>,
        /// For a list: the type of its members.
        may of: Spanned<TypeWord>,
        may title: Text,
        may default: Spanned<Data>,
        may min: Spanned<f64>,
        may max: Spanned<f64>,
        /// A regular expression that must match somewhere: anchor it with `^` and `$`.
        may pattern: Spanned<String>,
        may r#enum: Spanned<Vec<Data>>,
        may class: Class,
    }
}

words! {
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
        /// A program that prints it.
        may command: Spanned<Vec<Spanned<Template>>>,
        /// Asked on the terminal.
        may prompt: bool,
    } later ["refresh"]
}

record! {
    pub struct Defaults {
        may http: HttpDefaults,
    }
}

record! {
    /// For every call whose address begins with `/`; credentials go to that host only.
    pub struct HttpDefaults {
        may base: Spanned<Template>,
        may bearer: Spanned<String>,
        may timeout: Millis,
        may headers: Entries<Spanned<Template>>,
        /// PEM file of additional trusted roots.
        may ca_file: Spanned<String>,
    }
}

record! {
    /// One step, of exactly one kind.
    pub struct Step {
        /// `[a-z][a-z0-9_]*`
        may id: Spanned<String>,
        may title: Text,
        may message: Text,
        may http: Box<Http>,
        /// A script for bash.
        may shell: Spanned<String>,
        /// A program and its arguments.
        may argv: Spanned<Vec<Spanned<Template>>>,
        may confirm: Confirm,
        may approve: Approve,
        may input: Form,
        may checklist: Checklist,
        may manual: Manual,
        may wait: Wait,
        may assert: Assert,
        may end: EndWord,
        may needs: Vec<Spanned<String>>,
        may past: Vec<Spanned<String>>,
        may when: Condition,
        may effect: Spanned<EffectWord>,
        may env: Entries<Spanned<Template>>,
        may cwd: Spanned<Template>,
        may outputs: Entries<Output>,
        may expect: Expect,
        may verify: Box<Verify>,
        may retry: Retry,
        may poll: Poll,
        may timeout: Spanned<Millis>,
        may deadline: Spanned<Millis>,
        may idempotency_key: Spanned<Template>,
        may undo: Box<Undo>,
        may put_back: Box<PutBack>,
        may on_failure: Spanned<FailureWord>,
        may allowed: bool,
        may run_on: Spanned<RunOnWord>,
        may by: By,
        /// Of all its outputs.
        may class: Class,
        may unattended: Spanned<Data>,
        /// Why no gate stands in front of it.
        may ungated: Spanned<String>,
    } later ["choice", "notify", "revert", "runbook", "group", "links", "estimate", "host", "for_each", "repeat",
        "timebox", "show", "artifacts", "pool"]
}

record! {
    /// One HTTP call: exactly one method.
    pub struct Http {
        may get: Spanned<Template>,
        may put: Spanned<Template>,
        may post: Spanned<Template>,
        may patch: Spanned<Template>,
        may delete: Spanned<Template>,
        may head: Spanned<Template>,
        may headers: Entries<Spanned<Template>>,
        may query: Entries<Spanned<Template>>,
        may json: Data,
        may form: Entries<Spanned<Template>>,
        may body: Spanned<Template>,
        /// Path of a file that is sent.
        may file: Spanned<Template>,
        /// Name of a secret, or `none` to switch the default off.
        may bearer: Spanned<String>,
        may basic: Basic,
        may header: HeaderAuth,
        may ca_file: Spanned<String>,
    }
}

record! {
    pub struct Basic {
        must user: Spanned<Template>,
        /// Name of the secret that is the password.
        must secret: Spanned<String>,
    }
}

record! {
    pub struct HeaderAuth {
        must name: Spanned<String>,
        /// Name of the secret that is its value.
        must secret: Spanned<String>,
    }
}

/// An output: a filter, or a filter and who may read what it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub filter: Spanned<Filter>,
    pub class: Option<Class>,
}

record! {
    pub struct OutputDecl {
        must filter: Spanned<Filter>,
        may class: Class,
    } later ["secret"]
}

record! {
    /// What counts as success; everything that is given must hold.
    pub struct Expect {
        may exit: Many<Spanned<i32>>,
        may status: Many<Spanned<u16>>,
        may contains: Many<Spanned<String>>,
        may matches: Many<Spanned<String>>,
        /// jq filters that must be true.
        may that: Many<Spanned<Filter>>,
        /// JSON Schema of the body.
        may schema: Spanned<Data>,
    }
}

record! {
    /// The proof that a step took effect.
    pub struct Verify {
        may http: Box<Http>,
        may shell: Spanned<String>,
        may argv: Spanned<Vec<Spanned<Template>>>,
        may env: Entries<Spanned<Template>>,
        may cwd: Spanned<Template>,
        /// `read`, where the call does not look like one.
        may effect: Spanned<EffectWord>,
        may expect: Expect,
        /// How "not done" looks.
        may absent: Expect,
        may poll: Poll,
        may outputs: Entries<Output>,
        may timeout: Spanned<Millis>,
        /// Probe before acting.
        may first: bool,
    }
}

record! {
    /// What takes a step back.
    pub struct Undo {
        may http: Box<Http>,
        may shell: Spanned<String>,
        may argv: Spanned<Vec<Spanned<Template>>>,
        may env: Entries<Spanned<Template>>,
        may cwd: Spanned<Template>,
        may effect: Spanned<EffectWord>,
        may expect: Expect,
        may poll: Poll,
        may timeout: Spanned<Millis>,
    }
}

record! {
    /// What switches a toggle back.
    pub struct PutBack {
        may http: Box<Http>,
        may shell: Spanned<String>,
        may argv: Spanned<Vec<Spanned<Template>>>,
        may env: Entries<Spanned<Template>>,
        may cwd: Spanned<Template>,
        may effect: Spanned<EffectWord>,
        may expect: Expect,
        may poll: Poll,
        may timeout: Spanned<Millis>,
        /// It is put back by itself only if this holds.
        may only_if: Box<ProbeDecl>,
        may otherwise: OtherwiseWord,
    }
}

record! {
    /// A question to a system.
    pub struct ProbeDecl {
        /// Runs that step's `verify` again (checklists only).
        may step: Spanned<String>,
        may http: Box<Http>,
        may shell: Spanned<String>,
        may argv: Spanned<Vec<Spanned<Template>>>,
        may env: Entries<Spanned<Template>>,
        may cwd: Spanned<Template>,
        may effect: Spanned<EffectWord>,
        may expect: Expect,
        may poll: Poll,
        may timeout: Spanned<Millis>,
    }
}

record! {
    /// A yes-or-no gate.
    pub struct Confirm {
        /// A word that must be typed.
        may typed: Spanned<Template>,
        may on_reject: RejectWord,
    }
}

record! {
    /// A gate that several people open.
    pub struct Approve {
        must roles: Spanned<Vec<Spanned<String>>>,
        may quorum: Spanned<u32>,
        may exclude: Vec<Spanned<String>>,
        may timeout: Spanned<Millis>,
        may on_timeout: Spanned<TimeoutWord>,
        may escalate_to: Vec<Spanned<String>>,
        may covers: Vec<Spanned<String>>,
        may on_reject: RejectWord,
    } later ["break_glass", "filter", "max_targets"]
}

record! {
    pub struct Form {
        must fields: Entries<InputDecl>,
    }
}

record! {
    pub struct Checklist {
        may mode: ModeWord,
        must items: Spanned<Vec<ItemDecl>>,
    }
}

record! {
    pub struct ItemDecl {
        must id: Spanned<String>,
        must text: Text,
        may probe: Box<ProbeDecl>,
        may evidence: EvidenceWord,
    } later ["read_back"]
}

record! {
    pub struct Manual {
        may evidence: EvidenceWord,
    }
}

record! {
    pub struct Wait {
        may r#for: Spanned<Millis>,
        may until: Spanned<Template>,
    }
}

record! {
    pub struct Assert {
        must that: Vec<Claim>,
    }
}

record! {
    pub struct Claim {
        must expr: Condition,
        may message: Text,
    }
}

record! {
    pub struct Retry {
        /// All attempts, the first included.
        must max_attempts: Spanned<u32>,
        may delay: Spanned<Millis>,
        may backoff: Spanned<f64>,
        may max_delay: Spanned<Millis>,
        may errors: Vec<Spanned<ErrorWord>>,
    }
}

record! {
    pub struct Poll {
        must every: Spanned<Millis>,
        must within: Spanned<Millis>,
        may until: Spanned<Filter>,
        may fail_if: Spanned<Filter>,
        may steady: Spanned<Millis>,
    }
}

record! {
    /// Who may answer.
    pub struct By {
        may roles: Vec<Spanned<String>>,
        /// `starter`, or `steps.x`: another person than who answered x.
        may exclude: Vec<Spanned<String>>,
    }
}

words! { pub enum EffectWord { Read = "read", Write = "write", Destructive = "destructive", Notify = "notify", } }
words! { pub enum FailureWord { Ask = "ask", Stop = "stop", Continue = "continue", Undo = "undo", } }
words! { pub enum RunOnWord { Success = "success", Failure = "failure", Finished = "finished", } }
words! { pub enum OtherwiseWord { Ask = "ask", Auto = "auto", } }
words! { pub enum RejectWord { Refuse = "refuse", Continue = "continue", } }
words! { pub enum TimeoutWord { Refuse = "refuse", Escalate = "escalate", } }
words! { pub enum ModeWord { DoConfirm = "do-confirm", ReadDo = "read-do", } }
words! { pub enum EvidenceWord { Required = "required", Optional = "optional", None = "none", } }
words! { pub enum EndWord { Succeeded = "succeeded", Failed = "failed", } }
words! {
    pub enum ErrorWord {
        Connect = "connect",
        Timeout = "timeout",
        TooMany = "429",
        Server = "5xx",
        Expect = "expect",
    }
}

/// Where a key belongs that stands in a wrong place, in words.
pub fn home_of(key: &str) -> Option<&'static str> {
    const HOMES: [(&str, &[&str]); 13] = [
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
        ("an item of a checklist", ItemDecl::NAMES),
        ("`defaults: {http: …}`", HttpDefaults::NAMES),
        ("an input", InputDecl::NAMES),
    ];
    HOMES.iter().find(|(_, names)| names.contains(&key)).map(|(home, _)| *home)
}

impl Decode for Var {
    fn decode(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let data: Spanned<Data> = reader.value(node)?;
        match &data.value {
            Data::Text(text) if text.value.source() == "required" => Some(Self::Required),
            _ => Some(Self::Value(data)),
        }
    }
}

impl Decode for Output {
    fn decode(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let crate::runbook::yaml::Value::Map { .. } = &node.value {
            let decl: OutputDecl = reader.value(node)?;
            return Some(Self { filter: decl.filter, class: decl.class });
        }
        Some(Self { filter: reader.value(node)?, class: None })
    }
}

impl schemars::JsonSchema for Var {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Var".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "`required` from the environment, or a default"})
    }
}

impl schemars::JsonSchema for Output {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let filter = generator.subschema_for::<Filter>();
        let full = generator.subschema_for::<OutputDecl>();
        schemars::json_schema!({"anyOf": [filter, full]})
    }
}

/// The JSON Schema (draft 7) of a runbook file, for editors.
pub fn json_schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<Runbook>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_schema_knows_every_key_of_a_step() {
        let schema = json_schema();
        let step = &schema["definitions"]["Step"];
        let known: Vec<&str> = step["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, Step::NAMES);
        assert_eq!(step["additionalProperties"], false);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(jsonschema::validator_for(&schema).is_ok());
    }
}
