//! From a checked runbook to a plan: order, gates, policies, all of it explicit.
//!
//! A plan is built once, before entry 0; resuming reads it and never the YAML. The same runbook, inputs and
//! environment give the same bytes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::{
    EndStatus, ErrorClass, GateNode, Graph, Identity, ItemNode, Kind, ManyNode, Mode, OnFailure, OnTimeout,
    OtherwisePutBack, OutputNode, PutBackNode, RetryPolicy, RunOn, Section, StepNode, VerifyNode, Who,
};
use super::guards;
use super::host;
use super::limits;
use super::locks;
use super::loops;
use super::notice;
use super::people;
use super::secret;
use super::translate::{self, Known, Translators, effect, evidence, field, input_kind, text};
use super::used;
use super::values::{Assertion, Choosing, Computed, Item, Link, Listed, SecretSource, StepValues, Values};
use super::{Plan, SEMANTICS, certified, drill};
use crate::diag::{Diagnostic, has_errors};
use crate::runbook::check;
use crate::runbook::coverage::{self, covered};
use crate::runbook::decode::Spanned;
use crate::runbook::environment::{Environment, IdentityWord, ServiceScope, Services};
use crate::runbook::flow::{self, Flow};
use crate::runbook::load::Document;
use crate::runbook::reach::Reach;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{
    Approve, By, Checklist, ChoiceDecl, Class, EndWord, ErrorWord, FailureWord, LinkDecl, ModeWord,
    OptionDecl, OtherwiseWord, RejectWord, Retry, RunOnWord, Step, TimeoutWord, Var,
};

/// Attempts of one run at once.
pub const MAX_IN_FLIGHT: u32 = 64;
const APPROVE_TIMEOUT: u64 = 3_600_000;

/// What a run is to be.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    pub mode: Mode,
    pub environment: Option<&'a Environment>,
    /// Every environment beside it: a drill keeps away from what the protected ones name.
    pub others: &'a [Environment],
    /// Resolved and checked, see [`crate::runbook::inputs::resolve`].
    pub inputs: &'a BTreeMap<String, Value>,
    pub services: &'a Services,
}

/// Builds the plan of a run.
///
/// # Errors
/// Every error of `check`, and what only shows with an environment and inputs at hand.
pub fn build(document: &Document, request: &BuildRequest<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut problems = check::check(document, request.environment);
    problems.retain(Diagnostic::is_error);
    let vars = vars(document, request, &mut problems);
    let mut secrets = secret::sources(document, request, &mut problems);
    secrets.extend(notice::secrets(document, request, &mut problems));
    if has_errors(&problems) {
        return Err(problems);
    }
    // A host has no say in anything that is rendered before the run.
    let none = BTreeMap::new();
    let known = Known { inputs: request.inputs, vars: &vars, hosts: &none, values: None };
    let builder =
        Builder { document, flow: Flow::new(&document.runbook), calls: Translators::new(document, known) };
    let mut plan =
        Plan { graph: builder.graph(request, &secrets), values: builder.values(request, &vars, secrets) };
    plan.graph.certificate = certified::rule(&plan, request);
    plan.values.hosts = host::of(document, request, &plan.values, &mut problems);
    if has_errors(&problems) {
        return Err(problems);
    }
    problems.extend(used::unfit(document, &builder.calls.own.known));
    if has_errors(&problems) {
        return Err(problems);
    }
    drill::check(document, &plan, request)?;
    locks::check(document, &builder.calls.own.known)?;
    Ok(plan)
}

/// The outline of a checked runbook: its graph and templates, with no environment and no inputs. For pictures; it is
/// nothing that could be run.
pub fn outline(document: &Document) -> Plan {
    let (nothing, services) = (BTreeMap::new(), Services::new());
    let hosts = BTreeMap::new();
    let known = Known { inputs: &nothing, vars: &nothing, hosts: &hosts, values: None };
    let builder =
        Builder { document, flow: Flow::new(&document.runbook), calls: Translators::new(document, known) };
    let request = BuildRequest {
        mode: Mode::Live,
        environment: None,
        others: &[],
        inputs: &nothing,
        services: &services,
    };
    let graph = builder.graph(&request, &BTreeMap::new());
    Plan { graph, values: builder.values(&request, &nothing, BTreeMap::new()) }
}

/// The variables: those of the environment in place of the runbook's.
fn vars(
    document: &Document,
    request: &BuildRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    let given = request.environment.and_then(|env| env.decl.vars.as_ref());
    for (name, var) in document.runbook.vars.iter().flat_map(Entries::iter) {
        let data = match (given.and_then(|vars| vars.get(&name.value)), var) {
            (Some(given), _) => given,
            (None, Var::Value(default)) => default,
            // Reported by `check`, when there is an environment.
            (None, Var::Required) => {
                if request.environment.is_none() {
                    let message = format!("variable `{}` must come from an environment", name.value);
                    let problem = Diagnostic::error("environment", name.span.at(&document.source), message);
                    problems.push(problem.help("name one with --env NAME"));
                }
                continue;
            }
        };
        let rendered = data.value.tree().render(&ServiceScope(request.services));
        match rendered.as_ref().ok().and_then(translate::plain) {
            Some(value) => {
                out.insert(name.value.clone(), value);
            }
            None => problems.push(unresolved(document, request, &name.value, data.span)),
        }
    }
    out
}

pub(super) fn unresolved(
    document: &Document,
    request: &BuildRequest<'_>,
    name: &str,
    span: crate::diag::Span,
) -> Diagnostic {
    let source = request.environment.map_or(&document.source, |env| &env.source);
    let message = format!("the value of `{name}` cannot be resolved: is its service known?");
    Diagnostic::error("environment", span.at(source), message)
}

struct Builder<'a> {
    document: &'a Document,
    flow: Flow,
    calls: Translators<'a>,
}

impl Builder<'_> {
    fn graph(&self, request: &BuildRequest<'_>, secrets: &BTreeMap<String, SecretSource>) -> Graph {
        let runbook = &self.document.runbook;
        let environment = request.environment;
        let decl = environment.map(|env| &env.decl);
        let steps: Vec<&Step> = flow::steps(runbook).collect();
        let gates: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].is_gate()).collect();
        let waits = |at: usize| steps[at].run_on.is_some();
        let gates: Vec<usize> = gates.into_iter().filter(|at| steps[*at].for_each.is_none()).collect();
        let upstream = self.flow.upstream(&gates, Reach::Open, waits);
        let covered = covered(&self.flow, &steps);
        let order = self.flow.order().unwrap_or(&[]);
        let nodes = order.iter().map(|at| {
            let mut node = self.node(*at, &steps);
            if node.run_on != RunOn::Success {
                // Those in front of its group were open when the group began.
                let within = self.flow.lists.places[*at].within;
                let found = upstream[*at].iter().map(|gate| gates[*gate as usize]);
                let found = found.filter(|gate| within.is_none_or(|group| *gate > group));
                node.gates = found.map(|gate| steps[gate].name().to_owned()).collect();
            }
            if let Some(gate) =
                node.gate.as_mut().filter(|_| node.kind == Kind::Approve && gate_decl(steps[*at]).is_none())
            {
                let bound = covered.get(at).into_iter().flatten();
                gate.covers = bound.map(|step| steps[*step].name().to_owned()).collect();
            }
            limits::bound(&mut node, steps[*at], |name| self.flow.find(name).map(|at| steps[at]));
            node
        });
        Graph {
            semantics: SEMANTICS,
            runbook: runbook.id.value.clone(),
            mode: request.mode,
            environment: environment.map(|env| env.name.clone()),
            protected: environment.is_some_and(Environment::is_protected),
            // Whoever rehearses says what each of the people would say, and signs for nobody.
            role_play: request.mode == Mode::Rehearsal
                || request.mode == Mode::Drill && decl.is_some_and(|decl| decl.role_play == Some(true)),
            identity: match decl.and_then(|decl| decl.identity) {
                Some(IdentityWord::SshKey) if request.mode != Mode::Rehearsal => Identity::SshKey,
                Some(IdentityWord::SshKey | IdentityWord::Any) | None => Identity::Any,
            },
            people: environment.map(people::of).unwrap_or_default(),
            max_in_flight: MAX_IN_FLIGHT,
            deadline_ms: runbook.deadline.map(|deadline| deadline.0),
            secrets: secrets.keys().cloned().collect(),
            steps: nodes.collect(),
            guards: guards::nodes(runbook),
            rerun: None,
            certificate: None,
        }
    }

    fn node(&self, at: usize, steps: &[&Step]) -> StepNode {
        let step = steps[at];
        let kind = kind(step);
        let mut node = StepNode::new(step.name(), kind, effect(coverage::effect(&self.flow, steps, at)));
        let place = self.flow.lists.places[at];
        node.within = place.within.map(|group| steps[group].name().to_owned());
        node.handles = place.handles;
        node.section = if at < self.flow.main { Section::Main } else { Section::Finally };
        node.needs = self.flow.needs[at].iter().map(|need| steps[*need].name().to_owned()).collect();
        node.above = self.flow.above[at];
        node.run_on = match step.run_on.as_ref().map(|word| word.value) {
            Some(RunOnWord::Failure) => RunOn::Failure,
            Some(RunOnWord::Finished) => RunOn::Finished,
            Some(RunOnWord::Success) | None => RunOn::Success,
        };
        node.conditional = step.when.is_some();
        node.timeout_ms = self.timeout(step, kind);
        node.deadline_ms = step.deadline.as_ref().map(|deadline| deadline.value.0);
        node.retry = retry(step);
        node.on_failure = step.on_failure.as_ref().map(|word| match word.value {
            FailureWord::Ask => OnFailure::Ask,
            FailureWord::Stop => OnFailure::Stop,
            FailureWord::Continue => OnFailure::Continue,
            FailureWord::Undo => OnFailure::Undo,
        });
        node.allowed = step.allowed == Some(true);
        node.keyed = step.idempotency_key.is_some();
        if kind == Kind::Notify {
            // Nobody's work stops because a message did not arrive, and its key tells who has it already.
            node.on_failure.get_or_insert(OnFailure::Continue);
            node.allowed = step.allowed != Some(false);
            node.keyed = true;
        }
        node.verify = step
            .verify
            .as_ref()
            .map(|verify| VerifyNode { first: verify.first == Some(true), absent: verify.absent.is_some() });
        node.undo = step.undo.is_some();
        node.put_back = step.put_back.as_ref().map(|back| PutBackNode {
            only_if: back.only_if.is_some(),
            otherwise: match back.otherwise {
                Some(OtherwiseWord::Auto) => OtherwisePutBack::Auto,
                Some(OtherwiseWord::Ask) | None => OtherwisePutBack::Ask,
            },
        });
        node.gate = gate(step);
        node.by = step.by.as_deref().filter(|_| !kind.is_gate()).map(who);
        node.unattended = step.unattended.is_some();
        node.outputs = output_nodes(step);
        node.secrets = secret::outputs(step);
        node.artifacts = translate::artifact_nodes(step);
        kind_fields(step, &mut node);
        loops::fields(step, &mut node);
        let used = self.document.used.get(step.name()).filter(|_| step.runbook.is_some());
        node.used = used.map(used::node);
        node.ends = step.end.and_then(|_| {
            let around = self.flow.lists.around(at).find(|group| steps[*group].runbook.is_some());
            around.map(|used| steps[used].name().to_owned())
        });
        node
    }

    fn timeout(&self, step: &Step, kind: Kind) -> Option<u64> {
        let own = step.timeout.as_ref().map(|timeout| timeout.value.0);
        match kind {
            Kind::Notify => own.or(Some(notice::TIMEOUT)),
            _ if kind.runs() => self.calls.of(step).probe(step.act()).and_then(|probe| probe.timeout_ms),
            Kind::Approve => {
                let gate = step.approve.as_ref().and_then(|approve| approve.timeout.as_ref());
                gate.map(|timeout| timeout.value.0).or(own).or(Some(APPROVE_TIMEOUT))
            }
            _ => own,
        }
    }

    fn values(
        &self,
        request: &BuildRequest<'_>,
        vars: &BTreeMap<String, Value>,
        secrets: BTreeMap<String, SecretSource>,
    ) -> Values {
        let runbook = &self.document.runbook;
        let locks = runbook.locks().filter_map(|lock| lock.value.render(&self.calls.own.known).ok());
        let inherit = request.environment.and_then(|env| env.decl.env_inherit.as_ref());
        Values {
            title: translate::rendered(runbook.title.as_ref(), &self.calls.own.known),
            inputs: request.inputs.clone(),
            vars: vars.clone(),
            secrets,
            refresh: secret::refresh(self.document, request),
            born: secret::born(runbook),
            env_inherit: inherit.into_iter().flatten().map(|name| name.value.clone()).collect(),
            locks: locks.map(|lock| lock.to_string()).collect(),
            on_busy: translate::on_busy(runbook),
            windows: translate::windows(runbook, request.mode, &self.calls.own.known),
            windows_required: request.environment.is_some_and(Environment::requires_window),
            steps: flow::steps(runbook)
                .map(|step| (step.name().to_owned(), self.step_values(step, request)))
                .collect(),
            guards: guards::values(runbook, &self.calls.own),
            links: runbook.links.iter().flatten().map(|link| self.link(link)).collect(),
            hosts: BTreeMap::new(),
        }
    }

    fn link(&self, link: &LinkDecl) -> Link<String> {
        let known = &self.calls.own.known;
        let url = link.url.value.render_address(known);
        let url = url.map_or_else(|_| link.url.value.source().to_owned(), |url| url.to_string());
        Link { url, title: translate::rendered(link.title.as_ref(), known) }
    }

    fn step_values(&self, step: &Step, request: &BuildRequest<'_>) -> StepValues {
        let host = step.host.as_ref();
        let key = step.idempotency_key.as_ref().map(|key| &key.value).filter(|key| key.source() != "auto");
        let verify = step.verify.as_ref().and_then(|verify| {
            let mut probe = self.calls.of(step).probe(verify.act().on(host))?;
            probe.accept.absent = verify.absent.as_ref().map(|absent| translate::expect(Some(absent)));
            translate::take(&mut probe.accept, verify.outputs.as_ref(), step.class);
            Some(probe)
        });
        let (sent, told) = notice::of_step(self.document, step, request);
        let act = if step.runs() { sent.or_else(|| self.calls.of(step).probe(step.act())) } else { None };
        StepValues {
            title: text(step.title.as_ref()),
            message: text(step.message.as_ref()),
            show: step.show.iter().flat_map(|show| &show.0).map(|text| text.value.clone()).collect(),
            when: step.when.as_ref().map(|when| when.value.clone()),
            act: act.map(|mut probe| {
                translate::take(&mut probe.accept, step.outputs.as_ref(), step.class);
                probe.artifacts = translate::artifacts(step);
                probe
            }),
            verify,
            undo: step.undo.as_ref().and_then(|undo| self.calls.of(step).probe(undo.act().on(host))),
            put_back: step.put_back.as_ref().and_then(|back| self.calls.of(step).probe(back.act().on(host))),
            only_if: step
                .put_back
                .as_ref()
                .and_then(|back| self.calls.of(step).probe(back.only_if.as_ref()?.act().on(host))),
            undo_effect: step.undo.as_ref().and_then(|undo| more_than_a_write(undo.act())),
            put_back_effect: step.put_back.as_ref().and_then(|back| more_than_a_write(back.act())),
            idempotency_key: key.cloned(),
            typed: step.confirm.as_ref().and_then(|confirm| Some(confirm.typed.as_ref()?.value.clone())),
            items: step.checklist.as_ref().map(|list| self.items(list, step)).unwrap_or_default(),
            fields: step
                .input
                .iter()
                .flat_map(|form| form.fields.iter())
                .map(|(name, decl)| (name.value.clone(), field(decl, &self.calls.own.known)))
                .collect(),
            choice: step.choice.as_deref().and_then(choosing),
            assertions: step
                .assert
                .iter()
                .flat_map(|assert| &assert.that)
                .map(|claim| Assertion {
                    expr: claim.expr.value.clone(),
                    message: text(claim.message.as_ref()),
                })
                .collect(),
            until: step.wait.as_ref().and_then(|wait| Some(wait.until.as_ref()?.value.clone())),
            told,
            unattended: step.unattended.as_ref().map(|answer| answer.value.literal()),
            each: step.for_each.as_deref().map(loops::values),
            filter: step.approve.as_ref().and_then(|approve| Some(approve.filter.as_ref()?.value.clone())),
            repeat_until: step.repeat.as_ref().map(|repeat| repeat.until.value.clone()),
            links: step
                .links
                .iter()
                .flatten()
                .map(|link| Link { url: link.url.value.clone(), title: text(link.title.as_ref()) })
                .collect(),
            estimate_ms: step.estimate.as_ref().map(|estimate| estimate.value.0),
            import: None,
        }
    }

    fn items(&self, list: &Checklist, step: &Step) -> BTreeMap<String, Item> {
        let item = |item: &crate::runbook::schema::ItemDecl| Item {
            text: text(Some(&item.text)),
            probe: item
                .probe
                .as_ref()
                .filter(|probe| probe.step.is_none())
                .and_then(|p| self.calls.of(step).probe(p.act().on(step.host.as_ref()))),
            step: item.probe.as_ref().and_then(|probe| Some(probe.step.as_ref()?.value.clone())),
            read_back: item.read_back.as_ref().map(|text| text.value.clone()),
        };
        list.items.value.iter().map(|decl| (decl.id.value.clone(), item(decl))).collect()
    }
}

fn kind(step: &Step) -> Kind {
    match step.kind() {
        Some("http") => Kind::Http,
        Some("shell") => Kind::Shell,
        Some("argv") => Kind::Argv,
        Some("confirm") => Kind::Confirm,
        Some("approve") => Kind::Approve,
        Some("input") => Kind::Input,
        Some("choice") => Kind::Choice,
        Some("checklist") => Kind::Checklist,
        Some("wait") => Kind::Wait,
        Some("assert") => Kind::Assert,
        Some("end") => Kind::End,
        Some("notify") => Kind::Notify,
        Some("group" | "runbook") => Kind::Group,
        Some("revert") => Kind::Revert,
        // The only one left: `check` has refused a step without a kind.
        _ => Kind::Manual,
    }
}

fn kind_fields(step: &Step, node: &mut StepNode) {
    if let Some(list) = &step.checklist {
        node.in_order = list.mode == Some(ModeWord::ReadDo);
        node.items = list
            .items
            .value
            .iter()
            .map(|item| ItemNode {
                id: item.id.value.clone(),
                probe: item.probe.is_some(),
                evidence: evidence(item.evidence),
                read_back: item.read_back.is_some(),
            })
            .collect();
    }
    node.many = step.choice.as_ref().and_then(|choice| {
        let many = choice.many.as_ref()?;
        Some(ManyNode {
            min: many.min.as_ref().map_or(1, |min| min.value),
            max: many.max.as_ref().map(|max| max.value),
        })
    });
    node.evidence = step.manual.as_ref().map(|manual| evidence(manual.evidence));
    if let Some(form) = &step.input {
        node.fields = form
            .fields
            .iter()
            .map(|(name, decl)| OutputNode {
                name: name.value.clone(),
                public: decl.class == Some(Class::Public),
                kind: input_kind(decl),
            })
            .collect();
    }
    node.end = step.end.map(|word| match word {
        EndWord::Succeeded => EndStatus::Succeeded,
        EndWord::Failed => EndStatus::Failed,
    });
    node.timebox_ms = step.timebox.as_ref().map(|timebox| timebox.value.0);
    node.wait_ms = step.wait.as_ref().and_then(|wait| Some(wait.r#for.as_ref()?.value.0));
}

/// `None` for what `check` refuses.
fn choosing(choice: &ChoiceDecl) -> Option<Choosing> {
    if let Some(options) = &choice.options {
        let listed =
            |option: &OptionDecl| Listed { id: option.id.value.clone(), text: text(Some(&option.text)) };
        return Some(Choosing::Listed(options.value.iter().map(listed).collect()));
    }
    Some(Choosing::Computed(Computed {
        from: choice.from.as_ref()?.value.clone(),
        id: choice.id.as_ref()?.value.clone(),
        label: choice.label.as_ref().map(|label| label.value.clone()),
    }))
}

fn output_nodes(step: &Step) -> Vec<OutputNode> {
    let public = |class: Option<Class>| class.or(step.class) == Some(Class::Public);
    step.outputs
        .iter()
        .flat_map(Entries::iter)
        .filter(|(_, output)| !output.is_secret(step.class))
        .map(|(name, output)| OutputNode {
            name: name.value.clone(),
            public: public(output.class),
            kind: super::InputKind::Any,
        })
        .collect()
}

/// The steps that an approval names itself.
fn gate_decl(step: &Step) -> Option<&[Spanned<String>]> {
    step.approve.as_ref()?.covers.as_deref()
}

fn more_than_a_write(act: crate::runbook::act::Act<'_>) -> Option<super::Effect> {
    Some(translate::effect(act.effect())).filter(|effect| *effect == super::Effect::Destructive)
}

fn gate(step: &Step) -> Option<GateNode> {
    let names = |list: Option<&[Spanned<String>]>| -> Vec<String> {
        list.into_iter().flatten().map(|name| name.value.clone()).collect()
    };
    let open = GateNode {
        quorum: 1,
        who: step.by.as_deref().map(who).unwrap_or_default(),
        escalate_to: Vec::new(),
        on_timeout: OnTimeout::Refuse,
        on_reject_continue: false,
        covers: Vec::new(),
        typed: false,
        break_glass: None,
        limit: None,
    };
    if let Some(confirm) = &step.confirm {
        let on_reject_continue = confirm.on_reject == Some(RejectWord::Continue);
        return Some(GateNode { typed: confirm.typed.is_some(), on_reject_continue, ..open });
    }
    let approve: &Approve = step.approve.as_ref()?;
    let exclude = names(approve.exclude.as_deref());
    Some(GateNode {
        quorum: approve.quorum.as_ref().map_or(1, |quorum| quorum.value),
        who: Who {
            roles: names(Some(&approve.roles.value)),
            not_starter: approve.exclude.is_none() || exclude.iter().any(|name| name == "starter"),
            not_steps: step_names(&exclude),
        },
        escalate_to: names(approve.escalate_to.as_deref()),
        on_timeout: match approve.on_timeout.as_ref().map(|word| word.value) {
            Some(TimeoutWord::Escalate) => OnTimeout::Escalate,
            Some(TimeoutWord::Refuse) | None => OnTimeout::Refuse,
        },
        on_reject_continue: approve.on_reject == Some(RejectWord::Continue),
        covers: names(gate_decl(step)),
        break_glass: approve.break_glass.as_ref().map(translate::break_glass),
        ..open
    })
}

fn who(by: &By) -> Who {
    let names = |list: &Option<Vec<Spanned<String>>>| -> Vec<String> {
        list.iter().flatten().map(|name| name.value.clone()).collect()
    };
    let exclude = names(&by.exclude);
    Who {
        roles: names(&by.roles),
        not_starter: exclude.iter().any(|name| name == "starter"),
        not_steps: step_names(&exclude),
    }
}

fn step_names(exclude: &[String]) -> Vec<String> {
    exclude.iter().filter_map(|name| name.strip_prefix("steps.")).map(str::to_owned).collect()
}

/// Reads over HTTP are tried three times; nothing else is repeated unless the runbook says so.
fn retry(step: &Step) -> RetryPolicy {
    let read = step.effect_word() == crate::runbook::schema::EffectWord::Read;
    let all = [ErrorClass::Connect, ErrorClass::Timeout, ErrorClass::TooMany, ErrorClass::Server];
    let Some(decl) = &step.retry else {
        if read && step.kind() == Some("http") && step.poll.is_none() {
            return RetryPolicy { max_attempts: 3, errors: all.to_vec(), ..RetryPolicy::default() };
        }
        return RetryPolicy::default();
    };
    let default = if read { all.to_vec() } else { vec![ErrorClass::Connect, ErrorClass::TooMany] };
    declared(decl, default)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn declared(decl: &Retry, default: Vec<ErrorClass>) -> RetryPolicy {
    let base = RetryPolicy::default();
    let delay_ms = decl.delay.as_ref().map_or(base.delay_ms, |delay| delay.value.0);
    let errors = decl.errors.as_ref().map(|list| list.iter().map(|word| error_class(word.value)).collect());
    RetryPolicy {
        max_attempts: decl.max_attempts.value.max(1),
        delay_ms,
        backoff: decl.backoff.as_ref().map_or(base.backoff, |factor| {
            (factor.value * 1_000.0).round().clamp(1_000.0, 1_000_000.0) as u32
        }),
        max_delay_ms: decl.max_delay.as_ref().map_or(base.max_delay_ms.max(delay_ms), |delay| delay.value.0),
        errors: errors.unwrap_or(default),
    }
}

const fn error_class(word: ErrorWord) -> ErrorClass {
    match word {
        ErrorWord::Connect => ErrorClass::Connect,
        ErrorWord::Timeout => ErrorClass::Timeout,
        ErrorWord::TooMany => ErrorClass::TooMany,
        ErrorWord::Server => ErrorClass::Server,
        ErrorWord::Expect => ErrorClass::Expect,
    }
}
