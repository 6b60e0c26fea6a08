//! What a plan says before anything is done: every step with its requests rendered as far as they are known, who may
//! open which gate, what each branch decides, and how long machines may take.
//!
//! Pure, and the same for the same plan. What is not known yet stays a reference, as a secret does; nothing here
//! evaluates a filter, looks at the host or asks anybody. The JSON of a [`Preview`] is a format: fields are added,
//! never removed or reused.

mod drawn;
mod forks;
mod lists;
mod people;
mod touched;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

pub use drawn::{Drawn, DrawnStep};
pub use forks::{Fork, ForkKind, On, Then, Way};
pub use people::PeopleTime;
pub use touched::{ListPreview, Touched, TouchedKind};

use super::graph::{Graph, InputKind, Kind, Populace, StepNode, Who};
use super::host;
use super::service::Service;
use super::translate::{Known, origin};
use super::values::{
    Choosing, Computed, Each, Link, Localized, OnBusy, OpenAt, Probe, ProbeOf, SecretSource, StepValues,
};
use super::{Action, Effect, Plan, digest};
use crate::runbook::template::{Expr, Lookup, RenderError, Rendered, Scope, Template};

/// Name and version of the format.
pub const FORMAT: &str = "consigne.plan/v1";
/// The field of the document that is over all others.
const DIGEST: &str = "plan_digest";
/// Where a request goes whose host is not known yet.
pub const DECIDED_LATER: &str = "<decided later>";

#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    pub format: &'static str,
    /// SHA-256 over `files`, as `sha256sum` would list them.
    pub digest: String,
    /// Name to SHA-256 of the files that a run of this plan would freeze.
    pub files: BTreeMap<String, String>,
    pub runbook: String,
    pub title: Localized<String>,
    pub mode: super::Mode,
    pub environment: Option<String>,
    pub protected: bool,
    pub role_play: bool,
    pub identity: super::Identity,
    pub inputs: BTreeMap<String, Value>,
    pub vars: BTreeMap<String, Value>,
    /// Names and sources.
    pub secrets: BTreeMap<String, SecretSource>,
    pub env_inherit: Vec<String>,
    pub locks: Vec<String>,
    #[serde(skip_serializing_if = "OnBusy::is_ask")]
    pub on_busy: OnBusy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<OpenAt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<super::CertificateRule>,
    pub services: Vec<ServicePreview>,
    pub deadline_ms: Option<u64>,
    pub max_in_flight: u32,
    pub targets: Vec<Target>,
    /// The same and whatever else is touched, by effect.
    pub touched: Vec<Touched>,
    pub lists: Vec<ListPreview>,
    pub machine_time: MachineTime,
    pub people_time: PeopleTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link<String>>,
    /// Where it can go one way or another, in the order of the steps.
    pub forks: Vec<Fork>,
    pub steps: Vec<StepPreview>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<StepPreview>,
}

/// A process that a practice environment starts beside the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServicePreview {
    pub name: String,
    pub argv: Vec<String>,
}

/// Scheme, host and port, and the steps and guards that send something there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    pub target: String,
    pub steps: Vec<String>,
    /// Of a host that programs run on: its name in the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// How long machines may take at most, along the longest way through the plan. People and what they have repeated,
/// reversals and guards come on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineTime {
    pub at_most_ms: u64,
    /// What it may take to undo and to put back whatever can be: on top of it.
    pub reversals_ms: u64,
    /// Steps that wait until an instant: their time is not in it.
    pub open_ended: Vec<String>,
    /// Lists without a limit: the time of one item is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of_one_item: Vec<String>,
}

/// How long the run usually takes, along the longest way through the plan, as far as its steps say; lists and rounds
/// count once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    pub usually_ms: u64,
    /// Steps that say nothing.
    pub silent: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct StepPreview {
    /// As in `plan/graph.json`.
    pub node: StepNode,
    pub title: Localized<Rendered>,
    pub message: Localized<Rendered>,
    /// What people see with its questions.
    pub show: Vec<Rendered>,
    pub when: Option<Branch>,
    /// The list that it is done for; how is in the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// For a group that is done in rounds: no further one once it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_until: Option<Branch>,
    pub act: Option<Foreseen>,
    pub verify: Option<Foreseen>,
    pub undo: Option<Foreseen>,
    pub put_back: Option<Foreseen>,
    pub only_if: Option<Foreseen>,
    /// Given by the runbook instead of `auto`.
    pub idempotency_key: Option<Rendered>,
    /// For a `confirm`: the word to type.
    pub typed: Option<Rendered>,
    /// For an `approve`: what a target that is decided later has to satisfy; how many may go through is in the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Branch>,
    pub items: Vec<ItemPreview>,
    /// For a `choice`: its list, or where that will come from.
    pub choice: Option<ChoicePreview>,
    pub assertions: Vec<AssertionPreview>,
    pub until: Option<Rendered>,
    /// The answer that an unattended run takes.
    pub unattended: Option<Value>,
    /// For a question: who may answer it.
    pub answers: Option<Entitled>,
    /// For a gate: steps with an effect that lie behind it, up to the next gate. Those that an approval binds are
    /// `covers` in the node.
    pub behind: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link<Rendered>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_ms: Option<u64>,
}

/// A request, rendered as far as it is known, or why it cannot be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    Request(Box<ProbeOf<Rendered>>),
    Fails(String),
}

/// A condition, and what it comes to if that is known already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    pub expr: String,
    pub reads: Vec<String>,
    /// The steps that decide it, and `run` for what only the run brings; empty where it is known.
    pub decided_by: Vec<String>,
    pub known: Option<bool>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ItemPreview {
    pub id: String,
    pub text: Localized<Rendered>,
    pub probe: Option<Foreseen>,
    /// The step whose `verify` proves it.
    pub step: Option<String>,
    /// What is to be typed back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_back: Option<Rendered>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoicePreview {
    Listed(Vec<OptionPreview>),
    Computed(Computed),
}

#[derive(Debug, Clone, Serialize)]
pub struct OptionPreview {
    pub id: String,
    pub text: Localized<Rendered>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AssertionPreview {
    pub claim: Branch,
    pub message: Localized<Rendered>,
}

/// The kind of a value, as the runbook spells it.
pub fn kind_name(kind: &InputKind) -> String {
    match kind {
        InputKind::Any => "any".to_owned(),
        InputKind::String => "string".to_owned(),
        InputKind::Integer => "integer".to_owned(),
        InputKind::Number => "number".to_owned(),
        InputKind::Boolean => "boolean".to_owned(),
        InputKind::Datetime => "datetime".to_owned(),
        InputKind::File => "file".to_owned(),
        InputKind::List(of) => format!("list of {}", kind_name(of)),
    }
}

/// Who may answer a question, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entitled {
    /// Empty: `people` says it, or anybody may.
    pub roles: Vec<String>,
    pub people: Vec<String>,
    pub anybody: bool,
    pub quorum: u32,
    pub not_starter: bool,
    /// Not who answered these.
    pub not_steps: Vec<String>,
    /// Entitled besides, once the first time-out has passed.
    pub escalated: Vec<String>,
}

impl Preview {
    /// # Errors
    /// A number in the inputs that JSON cannot hold.
    pub fn of(plan: &Plan, services: &[Service]) -> Result<Self, serde_json::Error> {
        let files = digest::digests(&digest::files(plan)?);
        let (graph, values) = (&plan.graph, &plan.values);
        let none = StepValues::default();
        let steps = graph.steps.iter().enumerate().map(|(at, node)| {
            let values = values.steps.get(&node.id).unwrap_or(&none);
            step(plan, at, node, values)
        });
        let guards = graph.guards.iter().map(|guard| {
            let values = plan.values.guards.get(&guard.id).unwrap_or(&none);
            step(plan, graph.steps.len(), &guard.node(), values)
        });
        Ok(Self {
            format: FORMAT,
            digest: digest::of_files(&files),
            files,
            runbook: graph.runbook.clone(),
            title: values.title.clone(),
            mode: graph.mode,
            environment: graph.environment.clone(),
            protected: graph.protected,
            role_play: graph.role_play,
            identity: graph.identity,
            inputs: values.inputs.clone(),
            vars: values.vars.clone(),
            secrets: values.secrets.clone(),
            env_inherit: values.env_inherit.clone(),
            locks: values.locks.clone(),
            on_busy: values.on_busy,
            windows: values.windows.clone(),
            certificate: graph.certificate,
            services: services
                .iter()
                .map(|service| ServicePreview { name: service.name.clone(), argv: service.argv.clone() })
                .collect(),
            deadline_ms: graph.deadline_ms,
            max_in_flight: graph.max_in_flight,
            targets: targets(plan),
            touched: touched::touched(plan),
            lists: touched::lists(plan),
            machine_time: machine_time(plan),
            people_time: people::time(plan),
            estimate: estimate(plan),
            links: values.links.clone(),
            forks: forks::forks(plan, true),
            steps: steps.collect(),
            guards: guards.collect(),
        })
    }
}

impl Preview {
    /// The plan as scripts read it: with `plan_digest`, the SHA-256 over its canonical form (RFC 8785) without that
    /// field.
    ///
    /// # Errors
    /// Something in it cannot be written as JSON.
    pub fn document(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let digest = digest::sha256(&serde_json_canonicalizer::to_vec(&value)?);
        if let Some(document) = value.as_object_mut() {
            document.insert(DIGEST.to_owned(), digest.into());
        }
        Ok(value)
    }
}

/// The view from before the run: inputs and variables are known, everything else is decided later.
struct Beforehand<'a>(Known<'a>, &'a Graph);

impl<'a> Beforehand<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self(Known::of(&plan.values), &plan.graph)
    }

    fn foreseen(&self, probe: Option<&Probe>) -> Option<Foreseen> {
        Some(match probe?.render(self) {
            Ok(request) => Foreseen::Request(Box::new(request)),
            Err(error) => Foreseen::Fails(error.to_string()),
        })
    }

    /// A text for people: what fails is shown as it is written.
    fn text(&self, text: &Template) -> Rendered {
        text.render(self).unwrap_or_else(|_: RenderError| Rendered::literal(text.source()))
    }

    fn texts(&self, texts: &Localized<Template>) -> Localized<Rendered> {
        let of = |text: &Option<Template>| text.as_ref().map(|text| self.text(text));
        Localized { fr: of(&texts.fr), en: of(&texts.en) }
    }

    fn link(&self, link: &Link<Template>) -> Link<Rendered> {
        let url = link.url.render_address(&self.0);
        let url = url.unwrap_or_else(|_| Rendered::literal(link.url.source()));
        Link { url, title: self.texts(&link.title) }
    }

    fn branch(&self, plan: &Plan, node: &StepNode, expr: &Expr) -> Branch {
        let known = expr.holds(&self.0).ok();
        let decided_by = if known.is_some() { Vec::new() } else { touched::deciders(plan, node, expr) };
        Branch { expr: expr.source().to_owned(), reads: expr.refs().to_vec(), decided_by, known }
    }
}

/// Inputs that nobody has given yet are decided later, too.
struct Lenient<'a>(Known<'a>);

/// What people read may name the runbook and the mode, which are known beforehand.
impl Scope for Beforehand<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        match (root, name) {
            ("run", "runbook") => Lookup::Known(self.1.runbook.as_str().into()),
            ("run", "mode") => Lookup::Known(self.1.mode.name().into()),
            _ => self.0.lookup(root, name),
        }
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        self.0.whole(root)
    }

    fn secret(&self, path: &str) -> Option<String> {
        self.0.secret(path)
    }

    fn host(&self, name: &str) -> Lookup {
        self.0.host(name)
    }
}

impl Scope for Lenient<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        match self.0.lookup(root, name) {
            Lookup::Missing => Lookup::Later,
            found => found,
        }
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        self.0.whole(root)
    }

    fn secret(&self, path: &str) -> Option<String> {
        self.0.secret(path)
    }
}

fn step(plan: &Plan, at: usize, node: &StepNode, values: &StepValues) -> StepPreview {
    let view = Beforehand::of(plan);
    let items = node.items.iter().filter_map(|item| Some((&item.id, values.items.get(&item.id)?)));
    StepPreview {
        node: node.clone(),
        title: view.texts(&values.title),
        message: view.texts(&values.message),
        show: values.show.iter().map(|text| view.text(text)).collect(),
        when: values.when.as_ref().map(|when| view.branch(plan, node, when)),
        each: values.each.clone(),
        repeat_until: values.repeat_until.as_ref().map(|until| view.branch(plan, node, until)),
        act: view.foreseen(values.act.as_ref()),
        verify: view.foreseen(values.verify.as_ref()),
        undo: view.foreseen(values.undo.as_ref()),
        put_back: view.foreseen(values.put_back.as_ref()),
        only_if: view.foreseen(values.only_if.as_ref()),
        idempotency_key: values.idempotency_key.as_ref().map(|key| view.text(key)),
        typed: values.typed.as_ref().map(|typed| view.text(typed)),
        filter: values.filter.as_ref().map(|filter| view.branch(plan, node, filter)),
        items: items
            .map(|(id, item)| ItemPreview {
                id: id.clone(),
                text: view.texts(&item.text),
                probe: view.foreseen(item.probe.as_ref()),
                step: item.step.clone(),
                read_back: item.read_back.as_ref().map(|text| view.text(text)),
            })
            .collect(),
        choice: values.choice.as_ref().map(|choice| match choice {
            Choosing::Listed(all) => ChoicePreview::Listed(
                all.iter()
                    .map(|option| OptionPreview { id: option.id.clone(), text: view.texts(&option.text) })
                    .collect(),
            ),
            Choosing::Computed(list) => ChoicePreview::Computed(list.clone()),
        }),
        assertions: values
            .assertions
            .iter()
            .map(|claim| AssertionPreview {
                claim: view.branch(plan, node, &claim.expr),
                message: view.texts(&claim.message),
            })
            .collect(),
        until: values.until.as_ref().map(|until| view.text(until)),
        unattended: values.unattended.clone(),
        answers: answers(&plan.graph.people, node),
        behind: if node.kind.is_gate() { behind(plan, at) } else { Vec::new() },
        links: values.links.iter().map(|link| view.link(link)).collect(),
        estimate_ms: values.estimate_ms,
    }
}

fn answers(people: &Populace, node: &StepNode) -> Option<Entitled> {
    let nobody_special = Who::default();
    let who = match (&node.gate, &node.by) {
        (Some(gate), _) => &gate.who,
        (None, Some(by)) => by,
        (None, None) if node.kind.asks() && !node.kind.is_gate() => &nobody_special,
        (None, None) => return None,
    };
    let holders = |roles: &[String]| -> Vec<String> {
        let all: BTreeSet<&String> =
            roles.iter().filter_map(|role| people.roles.get(role)).flatten().collect();
        all.into_iter().cloned().collect()
    };
    let gate = node.gate.as_ref();
    Some(Entitled {
        roles: who.roles.clone(),
        people: holders(&who.roles),
        anybody: who.roles.is_empty() && node.kind != Kind::Approve,
        quorum: gate.map_or(1, |gate| gate.quorum),
        not_starter: who.not_starter,
        not_steps: who.not_steps.clone(),
        escalated: gate.map(|gate| holders(&gate.escalate_to)).unwrap_or_default(),
    })
}

/// Steps with an effect that wait for the gate, up to the next gate that cannot be skipped.
fn behind(plan: &Plan, gate: usize) -> Vec<String> {
    let steps = &plan.graph.steps;
    let groups = steps.iter().filter(|node| node.group.is_some());
    let groups: BTreeMap<&str, &StepNode> = groups.map(|node| (node.id.as_str(), node)).collect();
    let around = |of: &StepNode| {
        let mut out = Vec::new();
        let mut within = of.within.as_deref();
        while let Some(group) = within.and_then(|id| groups.get(id).copied()) {
            out.push(group);
            within = group.within.as_deref();
        }
        out
    };
    // What its followers are behind, and the groups that begin behind it.
    let mut passed: BTreeSet<&str> = BTreeSet::from([steps[gate].id.as_str()]);
    let leaves = around(&steps[gate]).into_iter().take_while(|group| !lists::says_nothing(group));
    passed.extend(leaves.map(|group| group.id.as_str()));
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut out = Vec::new();
    for node in steps.iter().skip(gate + 1).filter(|node| node.section == steps[gate].section) {
        let first = node.needs.is_empty() && node.within.as_deref().is_some_and(|id| begun.contains(id));
        if !first && !node.needs.iter().any(|need| passed.contains(need.as_str())) {
            continue;
        }
        if node.kind.is_gate() && !node.conditional && node.each.is_none() {
            for group in around(node).into_iter().take_while(|group| !lists::says_nothing(group)) {
                passed.remove(group.id.as_str());
            }
            continue;
        }
        passed.insert(&node.id);
        if node.kind == Kind::Group {
            begun.insert(&node.id);
        }
        if node.effect != Effect::Read && !node.kind.is_gate() {
            out.push(node.id.clone());
        }
    }
    out
}

/// Where the calls of a plan go, in the order of its steps.
pub fn targets(plan: &Plan) -> Vec<Target> {
    let known = Lenient(Known::of(&plan.values));
    let mut out: Vec<Target> = Vec::new();
    let steps = plan.graph.steps.iter().filter_map(|node| Some((&node.id, plan.values.steps.get(&node.id)?)));
    for (id, values) in steps.chain(&plan.values.guards) {
        for probe in values.probes() {
            let Action::Http(call) = &probe.action else { continue };
            let target = origin(&call.url, &known).unwrap_or_else(|| DECIDED_LATER.to_owned());
            match out.iter_mut().find(|known| known.target == target) {
                Some(known) if known.steps.contains(id) => {}
                Some(known) => known.steps.push(id.clone()),
                None => out.push(Target { target, steps: vec![id.clone()], host: None }),
            }
        }
    }
    out.extend(host::used(plan).into_iter().map(|used| {
        let reach = used.name.as_ref().and_then(|name| Some((name, plan.values.hosts.get(name)?)));
        let target = reach.map(|(name, reach)| format!("{name} ({})", reach.shown()));
        let target = target.unwrap_or_else(|| DECIDED_LATER.to_owned());
        Target { target, steps: used.steps, host: used.name }
    }));
    out
}

fn machine_time(plan: &Plan) -> MachineTime {
    let waits = |node: &&StepNode| plan.values.steps.get(&node.id).is_some_and(|step| step.until.is_some());
    let open_ended = plan.graph.steps.iter().filter(waits).map(|node| node.id.clone()).collect();
    let at_most_ms = lists::along(plan, |node, values| longest(plan, node, values), lists::at_most);
    let reversals_ms = people::reversals(plan);
    MachineTime { at_most_ms, reversals_ms, open_ended, of_one_item: lists::without_limit(plan) }
}

/// `None` when no step says anything.
fn estimate(plan: &Plan) -> Option<Estimate> {
    let says =
        |node: &&StepNode| plan.values.steps.get(&node.id).is_some_and(|step| step.estimate_ms.is_some());
    let silent: Vec<String> =
        plan.graph.steps.iter().filter(|node| !says(node)).map(|node| node.id.clone()).collect();
    let usually_ms = lists::along(plan, |_, values| values.estimate_ms.unwrap_or(0), |_, once| once);
    (silent.len() < plan.graph.steps.len()).then_some(Estimate { usually_ms, silent })
}

/// How long a step may keep machines busy, all its attempts together.
fn longest(plan: &Plan, node: &StepNode, values: &StepValues) -> u64 {
    let once = |probe: &Probe| {
        let within = probe.accept.poll.as_ref().map_or(0, |poll| poll.within_ms);
        within.saturating_add(probe.timeout_ms.unwrap_or(0))
    };
    let verify = values.verify.as_ref().map_or(0, once);
    let proof = |item: &super::Item| match (&item.probe, &item.step) {
        (Some(probe), _) => once(probe),
        (None, Some(step)) => {
            plan.values.steps.get(step).and_then(|other| other.verify.as_ref()).map_or(0, once)
        }
        (None, None) => 0,
    };
    let items: u64 = values.items.values().map(proof).sum();
    let Some(act) = &values.act else { return items.saturating_add(node.wait_ms.unwrap_or(0)) };
    let attempt = once(act).saturating_add(verify);
    let tries = node.retry.max_attempts.max(1);
    let delays = (1..tries).map(|tries| node.retry.longest_delay(tries)).fold(0, u64::saturating_add);
    let all = attempt.saturating_mul(u64::from(tries)).saturating_add(delays);
    // What has begun before the deadline may go on.
    let all = node.deadline_ms.map_or(all, |deadline| all.min(deadline.saturating_add(attempt)));
    let first = node.verify.is_some_and(|verify| verify.first);
    all.saturating_add(if first { verify } else { 0 })
}
