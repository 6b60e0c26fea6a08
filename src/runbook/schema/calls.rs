//! What a step asks a machine to do, how the answer is judged, and when it is asked again.

use super::Class;
use crate::diag::{Diagnostic, Span};
use crate::runbook::decode::{Decode, Reader, Spanned, record, words};
use crate::runbook::scalar::{Data, Entries, Filter, Many, Millis};
use crate::runbook::shell::Script;
use crate::runbook::template::Template;
use crate::runbook::yaml::{Node, Value};

record! {
    /// One HTTP call: exactly one method.
    pub struct Http {
        /// Address to GET: a read.
        may get: Spanned<Template>,
        /// Address to PUT to.
        may put: Spanned<Template>,
        /// Address to POST to.
        may post: Spanned<Template>,
        /// Address to PATCH.
        may patch: Spanned<Template>,
        /// Address to DELETE: destructive by itself.
        may delete: Spanned<Template>,
        /// Address to HEAD: a read.
        may head: Spanned<Template>,
        /// Headers of this call.
        may headers: Entries<Spanned<Template>>,
        /// What stands behind `?`, encoded by itself.
        may query: Entries<Spanned<Template>>,
        /// Body as data; its texts may hold `{{ }}`.
        may json: Data,
        /// Body as a form.
        may form: Entries<Spanned<Template>>,
        /// Body as text.
        may body: Spanned<Template>,
        /// Path of a file that is sent.
        may file: Spanned<Template>,
        /// Name of a secret, or `none` to switch the default off.
        may bearer: Spanned<String>,
        /// User and password.
        may basic: Basic,
        /// A secret in a header of its own.
        may header: HeaderAuth,
        /// PEM file of additional trusted roots.
        may ca_file: Spanned<String>,
    }
}

record! {
    /// User and password of HTTP basic authentication.
    pub struct Basic {
        /// Name of the user.
        must user: Spanned<Template>,
        /// Name of the secret that is the password.
        must secret: Spanned<String>,
    }
}

record! {
    /// A secret in a header of its own.
    pub struct HeaderAuth {
        /// Name of the header.
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
    /// Where it says, at once or by its class, that it is a secret.
    pub secret: Option<Span>,
}

record! {
    /// A filter, and who may read what it gives: exactly one of `filter` and `secret`.
    pub struct OutputDecl {
        /// jq filter over the result.
        may filter: Spanned<Filter>,
        /// jq filter that gives a secret: kept sealed, usable by name, erased at the end.
        may secret: Spanned<Filter>,
        /// Who may read it in the record.
        may class: Class,
    }
}

/// A file that a step leaves: its path, or its path and more about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    pub path: Spanned<Template>,
    pub class: Option<Spanned<Class>>,
    pub optional: bool,
}

record! {
    /// A file that a step leaves.
    pub struct ArtifactDecl {
        /// Where it lies, from the folder that the program runs in.
        must path: Spanned<Template>,
        /// Who may read its size and hash in the record.
        may class: Spanned<Class>,
        /// The step succeeds without it, too.
        may optional: bool,
    }
}

record! {
    /// What counts as success; everything that is given must hold.
    pub struct Expect {
        /// Exit codes that are success.
        may exit: Many<Spanned<i32>>,
        /// HTTP statuses that are success.
        may status: Many<Spanned<u16>>,
        /// Texts that the output or body must hold.
        may contains: Many<Spanned<String>>,
        /// Regular expressions that must match the output or body.
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
        /// One HTTP call.
        may http: Box<Http>,
        /// A script for bash. Each `{{ }}` in it becomes an environment variable.
        may shell: Spanned<Script>,
        /// A program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on: that of its step, unless it says so.
        may host: Spanned<Template>,
        /// `read`, where the call does not look like one.
        may effect: Spanned<EffectWord>,
        /// How "done" looks.
        may expect: Box<Expect>,
        /// How "not done" looks: only then may it be tried again.
        may absent: Expect,
        /// Asks again until something holds.
        may poll: Box<Poll>,
        /// Outputs of the step that the probe gives as well.
        may outputs: Entries<Output>,
        /// How long one attempt may take.
        may timeout: Spanned<Millis>,
        /// Probe before acting: already so is skipped.
        may first: bool,
    }
}

record! {
    /// What takes a step back.
    pub struct Undo {
        /// One HTTP call.
        may http: Box<Http>,
        /// A script for bash. Each `{{ }}` in it becomes an environment variable.
        may shell: Spanned<Script>,
        /// A program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on: that of its step, unless it says so.
        may host: Spanned<Template>,
        /// What it does to the world.
        may effect: Spanned<EffectWord>,
        /// What counts as success.
        may expect: Box<Expect>,
        /// Asks again until something holds.
        may poll: Box<Poll>,
        /// How long one attempt may take.
        may timeout: Spanned<Millis>,
    }
}

record! {
    /// What switches a toggle back.
    pub struct PutBack {
        /// One HTTP call.
        may http: Box<Http>,
        /// A script for bash. Each `{{ }}` in it becomes an environment variable.
        may shell: Spanned<Script>,
        /// A program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on: that of its step, unless it says so.
        may host: Spanned<Template>,
        /// What it does to the world.
        may effect: Spanned<EffectWord>,
        /// What counts as success.
        may expect: Box<Expect>,
        /// Asks again until something holds.
        may poll: Box<Poll>,
        /// How long one attempt may take.
        may timeout: Spanned<Millis>,
        /// It is put back by itself only if this holds.
        may only_if: Box<ProbeDecl>,
        /// Whether a person decides when it does not hold.
        may otherwise: OtherwiseWord,
    }
}

record! {
    /// A question to a system.
    pub struct ProbeDecl {
        /// Runs that step's `verify` again (checklists only).
        may step: Spanned<String>,
        /// One HTTP call.
        may http: Box<Http>,
        /// A script for bash. Each `{{ }}` in it becomes an environment variable.
        may shell: Spanned<Script>,
        /// A program and its arguments, without a shell.
        may argv: Spanned<Vec<Spanned<Template>>>,
        /// Environment variables of the program.
        may env: Entries<Spanned<Template>>,
        /// Folder the program runs in.
        may cwd: Spanned<Template>,
        /// Host of the environment that the program runs on: that of its step, unless it says so.
        may host: Spanned<Template>,
        /// What it does to the world.
        may effect: Spanned<EffectWord>,
        /// What counts as success.
        may expect: Box<Expect>,
        /// Asks again until something holds.
        may poll: Box<Poll>,
        /// How long one attempt may take.
        may timeout: Spanned<Millis>,
    }
}

record! {
    /// When an attempt is worth another.
    pub struct Retry {
        /// All attempts, the first included.
        must max_attempts: Spanned<u32>,
        /// Time before the second attempt.
        may delay: Spanned<Millis>,
        /// Factor by which the time grows.
        may backoff: Spanned<f64>,
        /// The longest time between two attempts.
        may max_delay: Spanned<Millis>,
        /// What is worth another attempt.
        may errors: Vec<Spanned<ErrorWord>>,
    }
}

record! {
    /// Asking again and again.
    pub struct Poll {
        /// Time between two probes.
        must every: Spanned<Millis>,
        /// When to give up.
        must within: Spanned<Millis>,
        /// jq filter that ends the polling well.
        may until: Spanned<Filter>,
        /// jq filter that ends it badly.
        may fail_if: Spanned<Filter>,
        /// How long it must hold without a break.
        may steady: Spanned<Millis>,
    }
}

words! {
    /// What a step does to the world.
    pub enum EffectWord { Read = "read", Write = "write", Destructive = "destructive", Notify = "notify", }
}

words! {
    /// Who decides when a toggle cannot be put back by itself.
    pub enum OtherwiseWord { Ask = "ask", Auto = "auto", }
}

words! {
    /// What went wrong.
    pub enum ErrorWord {
        Connect = "connect",
        Timeout = "timeout",
        TooMany = "429",
        Server = "5xx",
        Expect = "expect",
    }
}

impl Output {
    /// Whether what it gives is a secret; `step` is the class that its step gives to all its outputs.
    pub fn is_secret(&self, step: Option<Class>) -> bool {
        self.secret.is_some() || self.class.or(step) == Some(Class::Secret)
    }
}

impl OutputDecl {
    /// Its one filter. A wrong key was reported already, and may have been meant for either.
    fn output(self, node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Output> {
        let class = self.class;
        let secret = self.keys.get("secret");
        match (self.filter, self.secret) {
            (Some(filter), None) => Some(Output { filter, class, secret }),
            (None, Some(filter)) => Some(Output { filter, class, secret }),
            (Some(_), Some(_)) => {
                let at = secret.unwrap_or(self.span).at(reader.source);
                let message = "an output has one filter, found `filter` and `secret`";
                let problem = Diagnostic::error("key-not-for-kind", at, message);
                reader.problems.push(problem.help("keep `secret` for what nobody may read, else `filter`"));
                None
            }
            (None, None) => {
                if !self.keys.foreign && !self.keys.has("filter") && secret.is_none() {
                    reader.missing(node, "filter");
                }
                None
            }
        }
    }
}

impl Decode for Artifact {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Map { .. } = &node.value {
            let decl: ArtifactDecl = reader.value(node)?;
            return Some(Self { path: decl.path, class: decl.class, optional: decl.optional == Some(true) });
        }
        Some(Self { path: reader.value(node)?, class: None, optional: false })
    }
}

impl schemars::JsonSchema for Artifact {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Artifact".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let path = generator.subschema_for::<Template>();
        let full = generator.subschema_for::<ArtifactDecl>();
        schemars::json_schema!({
            "description": "The path of a file, or its path and more about it.",
            "anyOf": [path, full]
        })
    }
}

impl Decode for Output {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Map { .. } = &node.value {
            let decl: OutputDecl = reader.value(node)?;
            return decl.output(node, reader);
        }
        Some(Self { filter: reader.value(node)?, class: None, secret: None })
    }
}

impl schemars::JsonSchema for Output {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let filter = generator.subschema_for::<Filter>();
        let full = generator.subschema_for::<OutputDecl>();
        schemars::json_schema!({
            "description": "A jq filter over the result, or a filter and who may read what it gives.",
            "anyOf": [filter, full]
        })
    }
}
