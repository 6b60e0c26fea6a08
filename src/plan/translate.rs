//! From what is written to what a runner is asked: actions, proofs and texts, with every default filled in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::action::{Action, Auth, Body, HttpCall, Program, ProgramCall, RemoteCall, ShellCall};
use super::graph::{ArtifactNode, Effect, Evidence, GlassNode, InputKind, Mode};
use super::host::Reach;
use super::values::{Accept, ArtifactOf, Expect, InputField, Localized, OnBusy, OpenAt, Poll, Probe, Values};
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::environment::AT_START;
use crate::runbook::load::Document;
use crate::runbook::scalar::{Data, Entries, Many, Text};
use crate::runbook::schema::{
    BusyWord, Class, EffectWord, EvidenceWord, Expect as ExpectDecl, GlassDecl, Http, HttpDefaults,
    InputDecl, Output, Poll as PollDecl, Runbook, Step, TypeWord, WindowDecl,
};
use crate::runbook::shell;
use crate::runbook::template::{Lookup, ROOTS, Rendered, Scope, Template, Tree};
use crate::runbook::used;

pub(super) const HTTP_TIMEOUT: u64 = 30_000;
pub(super) const PROGRAM_TIMEOUT: u64 = 600_000;

/// What is known before a run: inputs and variables. Everything else comes later.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub inputs: &'a BTreeMap<String, Value>,
    pub vars: &'a BTreeMap<String, Value>,
    pub hosts: &'a BTreeMap<String, Reach>,
    /// What is a secret, where that is known by now.
    pub values: Option<&'a Values>,
}

impl<'a> Known<'a> {
    pub const fn of(values: &'a Values) -> Self {
        Self { inputs: &values.inputs, vars: &values.vars, hosts: &values.hosts, values: Some(values) }
    }
}

impl Scope for Known<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        let values = match root {
            "inputs" => self.inputs,
            "vars" => self.vars,
            _ => return Lookup::Later,
        };
        values.get(name).map_or(Lookup::Missing, |value| Lookup::Known(value.clone()))
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        (!ROOTS.contains(&root)).then_some(Lookup::Later)
    }

    fn secret(&self, path: &str) -> Option<String> {
        self.values?.secret(path)
    }

    fn host(&self, name: &str) -> Lookup {
        self.hosts.get(name).map_or(Lookup::Missing, |reach| Lookup::Known(serde_json::json!(reach)))
    }
}

pub(super) fn break_glass(decl: &GlassDecl) -> GlassNode {
    let names = |list: &[Spanned<String>]| list.iter().map(|name| name.value.clone()).collect();
    GlassNode {
        roles: names(&decl.roles.value),
        after_ms: decl.after.value.0,
        review_roles: names(&decl.review.roles.value),
        review_within_ms: decl.review.within.value.0,
    }
}

/// The windows of a live run.
pub(super) fn windows(runbook: &Runbook, mode: Mode, known: &Known<'_>) -> Vec<OpenAt> {
    let windows = runbook.windows.iter().flatten().filter(|_| mode == Mode::Live);
    let open_at = |window: &WindowDecl| OpenAt {
        cron: window.cron.value.clone(),
        zone: window.zone.value.clone(),
        open_ms: window.r#for.value.0,
        title: rendered(window.title.as_ref(), known),
    };
    windows.map(open_at).collect()
}

pub(super) fn on_busy(runbook: &Runbook) -> OnBusy {
    match runbook.lock.as_ref().and_then(|lock| lock.0.on_busy) {
        None | Some(BusyWord::Ask) => OnBusy::Ask,
        Some(BusyWord::Fail) => OnBusy::Fail,
        Some(BusyWord::Queue) => OnBusy::Queue,
    }
}

/// The translators of a runbook and of those that it uses, each with the defaults of its own calls.
pub(super) struct Translators<'a> {
    pub own: Translator<'a>,
    /// By the id of the step that uses it.
    used: BTreeMap<&'a str, Translator<'a>>,
}

impl<'a> Translators<'a> {
    pub fn new(document: &'a Document, known: Known<'a>) -> Self {
        let defaults = document.runbook.defaults.as_ref().and_then(|defaults| defaults.http.as_ref());
        let used = document.used.iter();
        let used = used.map(|(id, used)| (id.as_str(), Translator::new(used.defaults.as_ref(), known)));
        Self { used: used.collect(), own: Translator::new(defaults, known) }
    }

    /// That of the runbook which a step stands in.
    pub fn of(&self, step: &Step) -> &Translator<'a> {
        used::parent_of(step.name()).and_then(|parent| self.used.get(parent)).unwrap_or(&self.own)
    }
}

/// Turns actions as written into actions of a plan.
pub(super) struct Translator<'a> {
    pub defaults: Option<&'a HttpDefaults>,
    pub known: Known<'a>,
    /// Scheme, host and port of the default base, once rendered.
    pub origin: Option<String>,
}

impl<'a> Translator<'a> {
    pub fn new(defaults: Option<&'a HttpDefaults>, known: Known<'a>) -> Self {
        let base = defaults.and_then(|defaults| defaults.base.as_ref());
        let origin = base.and_then(|base| origin(&base.value, &known));
        Self { defaults, known, origin }
    }

    /// The action of a step, a proof or a reversal, judged by its `expect`.
    pub fn probe(&self, act: Act<'_>) -> Option<Probe> {
        let (action, default_timeout) = self.action(act)?;
        let timeout = act.timeout.map_or(default_timeout, |timeout| timeout.value.0);
        let accept = Accept { expect: expect(act.expect), poll: act.poll.map(poll), ..Accept::default() };
        Some(Probe { action, accept, timeout_ms: Some(timeout), artifacts: Vec::new() })
    }

    fn action(&self, act: Act<'_>) -> Option<(Action<Template>, u64)> {
        let env = pairs(act.env);
        let cwd = act.cwd.map(|cwd| cwd.value.clone());
        if let Some(http) = act.http {
            let timeout = self.defaults.and_then(|d| d.timeout).map_or(HTTP_TIMEOUT, |timeout| timeout.0);
            return Some((Action::Http(Box::new(self.http(http)?)), timeout));
        }
        let program = if let Some(script) = act.shell {
            // What could not be lowered was refused when the runbook was checked.
            let lowered = shell::lower(&script.value).ok()?;
            let env = env.into_iter().chain(lowered.values).collect();
            Program::Shell(ShellCall { script: lowered.text, env, cwd })
        } else {
            let argv = act.argv?.value.iter().map(|arg| arg.value.clone()).collect();
            Program::Argv(ProgramCall { argv, env, cwd })
        };
        let action = match (act.host, program) {
            (Some(host), program) => {
                Action::Remote(Box::new(RemoteCall { host: host.value.clone(), reach: None, program }))
            }
            (None, Program::Shell(call)) => Action::Shell(call),
            (None, Program::Argv(call)) => Action::Argv(call),
        };
        Some((action, PROGRAM_TIMEOUT))
    }

    fn http(&self, http: &Http) -> Option<HttpCall<Template>> {
        let (method, address) = http.calls().next()?;
        let (url, ours) = self.address(&address.value)?;
        let defaults = self.defaults.filter(|_| ours);
        let mut headers = pairs(http.headers.as_ref());
        for (name, value) in pairs(defaults.and_then(|d| d.headers.as_ref())) {
            if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
                headers.push((name, value));
            }
        }
        let ca_file = http.ca_file.as_ref().or(defaults.and_then(|d| d.ca_file.as_ref()));
        Some(HttpCall {
            method: method.to_owned(),
            url,
            headers,
            query: pairs(http.query.as_ref()),
            body: body(http),
            auth: auth(http, defaults),
            ca_file: ca_file.map(|path| path.value.clone()),
        })
    }

    /// The whole address, and whether it is that of the defaults: credentials go to that host only.
    fn address(&self, address: &Template) -> Option<(Template, bool)> {
        if !address.source().starts_with('/') {
            let own = origin(address, &self.known);
            return Some((address.clone(), own.is_some() && own == self.origin));
        }
        let base = self.defaults?.base.as_ref()?;
        let joined = format!("{}{}", base.value.source().trim_end_matches('/'), address.source());
        Some((Template::parse(&joined).ok()?, true))
    }
}

/// Scheme, host and port of an address, in lower case, as far as they are known before the run.
pub(super) fn origin(address: &Template, known: &dyn Scope) -> Option<String> {
    let rendered = address.render_address(known).ok()?;
    let text = match rendered.segments().first()? {
        crate::runbook::template::Segment::Text(text) => text.as_str(),
        _ => return None,
    };
    // Something decided later right behind the host could still change it.
    let whole = rendered.as_plain().is_some();
    origin_of(text, whole)
}

/// As [`origin`], of a plain text. Unless it is `whole`, a host must be followed by a path to count.
pub(super) fn origin_of(text: &str, whole: bool) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']);
    if end.is_none() && !whole {
        return None;
    }
    let authority = &rest[..end.unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let is_port = |port: &str| port == AT_START || port.bytes().all(|b| b.is_ascii_digit());
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
    (!host.is_empty()).then(|| format!("{scheme}://{host}{}", if has_port { "" } else { port }))
}

fn body(http: &Http) -> Body<Template> {
    if let Some(data) = &http.json {
        return Body::Json(data.tree());
    }
    if http.form.is_some() {
        return Body::Form(pairs(http.form.as_ref()));
    }
    if let Some(text) = &http.body {
        return Body::Text(text.value.clone());
    }
    http.file.as_ref().map_or(Body::None, |path| Body::File(path.value.clone()))
}

fn auth(http: &Http, defaults: Option<&HttpDefaults>) -> Auth<Template> {
    if let Some(name) = &http.bearer {
        return if name.value == "none" { Auth::None } else { Auth::Bearer(name.value.clone()) };
    }
    if let Some(basic) = &http.basic {
        return Auth::Basic(basic.user.value.clone(), basic.secret.value.clone());
    }
    if let Some(header) = &http.header {
        return Auth::Header(header.name.value.clone(), header.secret.value.clone());
    }
    defaults.and_then(|d| d.bearer.as_ref()).map_or(Auth::None, |name| Auth::Bearer(name.value.clone()))
}

pub(super) fn pairs(entries: Option<&Entries<Spanned<Template>>>) -> Vec<(String, Template)> {
    entries
        .into_iter()
        .flat_map(Entries::iter)
        .map(|(name, text)| (name.value.clone(), text.value.clone()))
        .collect()
}

pub(super) fn expect(decl: Option<&ExpectDecl>) -> Expect {
    let Some(decl) = decl else { return Expect::default() };
    Expect {
        exit: list(decl.exit.as_ref(), |exit| exit.value),
        status: list(decl.status.as_ref(), |status| status.value),
        contains: list(decl.contains.as_ref(), |text| text.value.clone()),
        matches: list(decl.matches.as_ref(), |pattern| pattern.value.clone()),
        that: list(decl.that.as_ref(), |filter| filter.value.0.clone()),
        schema: decl.schema.as_ref().map(|schema| schema.value.literal()),
    }
}

fn list<T, U>(many: Option<&Many<T>>, map: impl Fn(&T) -> U) -> Vec<U> {
    many.into_iter().flat_map(|many| &many.0).map(map).collect()
}

pub(super) fn poll(decl: &PollDecl) -> Poll {
    Poll {
        every_ms: decl.every.value.0,
        within_ms: decl.within.value.0,
        until: decl.until.as_ref().map(|filter| filter.value.0.clone()),
        fail_if: decl.fail_if.as_ref().map(|filter| filter.value.0.clone()),
        steady_ms: decl.steady.as_ref().map(|steady| steady.value.0),
    }
}

/// What is taken from an answer: what is known to the run, and what only the runner will know.
pub(super) fn take(accept: &mut Accept, decl: Option<&Entries<Output>>, class: Option<Class>) {
    for (name, output) in decl.into_iter().flat_map(Entries::iter) {
        let of = if output.is_secret(class) { &mut accept.secrets } else { &mut accept.outputs };
        of.insert(name.value.clone(), output.filter.value.0.clone());
    }
}

pub(super) fn artifacts(step: &Step) -> Vec<ArtifactOf<Template>> {
    let all = step.artifacts.iter().flat_map(Entries::iter);
    all.map(|(name, artifact)| {
        let path = artifact.path.value.clone();
        ArtifactOf { name: name.value.clone(), path, optional: artifact.optional }
    })
    .collect()
}

pub(super) fn artifact_nodes(step: &Step) -> Vec<ArtifactNode> {
    let all = step.artifacts.iter().flat_map(Entries::iter);
    all.map(|(name, artifact)| ArtifactNode {
        name: name.value.clone(),
        public: artifact.class.as_ref().is_some_and(|class| class.value == Class::Public),
        optional: artifact.optional,
    })
    .collect()
}

pub(super) fn text(text: Option<&Text>) -> Localized<Template> {
    let Some(text) = text else { return Localized::default() };
    let of = |text: Option<&Spanned<Template>>| text.map(|text| text.value.clone());
    Localized { fr: of(text.fr()), en: of(text.en()) }
}

/// A text that stands before the run begins.
pub(super) fn rendered(source: Option<&Text>, known: &Known<'_>) -> Localized<String> {
    let Localized { fr, en } = text(source);
    let render = |t: Option<Template>| t.and_then(|t| t.render(known).ok()).map(|text| text.to_string());
    Localized { fr: render(fr), en: render(en) }
}

pub(super) fn field(decl: &InputDecl, known: &Known<'_>) -> InputField {
    InputField { title: rendered(decl.title.as_ref(), known), ..InputField::of(decl) }
}

impl InputField {
    /// Before anything is known: its title as it is written.
    pub fn of(decl: &InputDecl) -> Self {
        let Localized { fr, en } = text(decl.title.as_ref());
        let written = |t: Option<Template>| t.map(|t| t.source().to_owned());
        Self {
            kind: input_kind(decl),
            title: Localized { fr: written(fr), en: written(en) },
            default: decl.default.as_ref().map(|default| default.value.literal()),
            min: decl.min.as_ref().map(|min| min.value),
            max: decl.max.as_ref().map(|max| max.value),
            pattern: decl.pattern.as_ref().map(|pattern| pattern.value.clone()),
            one_of: decl.r#enum.as_ref().map(|words| words.value.iter().map(Data::literal).collect()),
            public: decl.class == Some(Class::Public),
        }
    }
}

pub(super) fn input_kind(decl: &InputDecl) -> InputKind {
    let one = |word: TypeWord| match word {
        TypeWord::String | TypeWord::List => InputKind::String,
        TypeWord::Integer => InputKind::Integer,
        TypeWord::Number => InputKind::Number,
        TypeWord::Boolean => InputKind::Boolean,
        TypeWord::Datetime => InputKind::Datetime,
        TypeWord::File => InputKind::File,
    };
    match decl.r#type.value {
        TypeWord::List => {
            InputKind::List(Box::new(one(decl.of.as_ref().map_or(TypeWord::String, |of| of.value))))
        }
        word => one(word),
    }
}

pub(super) const fn effect(word: EffectWord) -> Effect {
    match word {
        EffectWord::Read => Effect::Read,
        EffectWord::Write => Effect::Write,
        EffectWord::Destructive => Effect::Destructive,
        EffectWord::Notify => Effect::Notify,
    }
}

pub(super) fn evidence(word: Option<EvidenceWord>) -> Evidence {
    match word {
        Some(EvidenceWord::Required) => Evidence::Required,
        Some(EvidenceWord::Optional) => Evidence::Optional,
        Some(EvidenceWord::None) | None => Evidence::None,
    }
}

/// A rendered structure as a JSON value; `None` when something in it is a secret or not known yet.
pub(super) fn plain(tree: &Tree<Rendered>) -> Option<Value> {
    Some(match tree {
        Tree::Null => Value::Null,
        Tree::Bool(yes) => (*yes).into(),
        Tree::Number(number) => serde_json::from_str(number).ok()?,
        Tree::Text(text) => text.as_plain()?.into(),
        Tree::List(list) => list.iter().map(plain).collect::<Option<_>>()?,
        Tree::Map(map) => {
            map.iter().map(|(key, tree)| Some((key.clone(), plain(tree)?))).collect::<Option<_>>()?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_its_port_and_no_credentials() {
        assert_eq!(
            origin_of("https://U:p@API.example.com/x", true).as_deref(),
            Some("https://api.example.com:443")
        );
        assert_eq!(origin_of("http://127.0.0.1:80", true), origin_of("http://127.0.0.1/", true));
        assert_eq!(origin_of("http://example", false), None, "the host may go on");
        assert_eq!(origin_of("/path", true), None);
    }
}
