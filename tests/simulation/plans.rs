//! Random plans: every kind and policy of the language, in the normal form that a plan builder gives them. `nests`,
//! `guards` and `leavings` draw the rest.
//!
//! The core cannot see, so that no plan of the simulation can be about it: how a secret is fetched and after how long
//! again (`refresh`), what `expect`, `poll` and filters make of an answer, who is told about a question (`told`), how
//! many runs hold or wait for a target (`locks`, `on_busy`), when a run may begin (`windows`), which variables are
//! inherited, how long something usually takes (`estimate`), and pages of the runbook itself.

use std::collections::BTreeSet;

use consigne::plan::*;
use consigne::runbook::template::{Expr, Template};
use serde_json::json;

use crate::nests;
use crate::rng::Rng;

/// Value of the secret `token`: no event may ever hold it.
pub const SECRET: &str = "hunter2-canary-4711";

/// What outputs and inputs are drawn from.
pub const WORDS: [&str; 3] = ["red", "green", "blue"];

/// A plan of 1 to `most` steps in the main section, and now and then a few in `finally`.
pub fn random(rng: &mut Rng, most: usize) -> Plan {
    let main = 1 + rng.upto(most);
    let finally = if rng.percent(35) { 1 + rng.upto(3) } else { 0 };
    let mut plan = empty(rng);
    for at in 0..main {
        add(rng, &mut plan, &format!("s{at}"), Section::Main);
    }
    for at in 0..finally {
        add(rng, &mut plan, &format!("f{at}"), Section::Finally);
    }
    cover(rng, &mut plan);
    crate::guards::some(rng, &mut plan);
    crate::leavings::some(rng, &mut plan);
    crate::limits::some(rng, &mut plan);
    plan
}

pub fn empty(rng: &mut Rng) -> Plan {
    let mode = rng.pick(&[Mode::Live, Mode::Live, Mode::Drill, Mode::Rehearsal]);
    let mut graph = graph_of(mode);
    graph.protected = rng.percent(30);
    graph.role_play = rng.percent(40);
    graph.identity = if rng.percent(25) { Identity::SshKey } else { Identity::Any };
    graph.max_in_flight = 1 + u32::try_from(rng.upto(5)).unwrap_or(0);
    graph.deadline_ms = rng.percent(12).then(|| 50 + rng.below(20_000));
    let mut values = Values::default();
    values.inputs.insert("color".into(), json!(rng.pick(&WORDS)));
    values.secrets.insert("token".into(), SecretSource::Env("TOKEN".into()));
    Plan { graph, values }
}

/// A graph without steps, with the people that these tests know.
pub fn graph_of(mode: Mode) -> Graph {
    let mut people = Populace::default();
    for name in ["alice", "bob", "carol", "dave", "erin"] {
        people.people.insert(name.into(), Person::default());
    }
    for (role, who) in [
        ("lead", vec!["alice", "bob", "carol"]),
        ("ops", vec!["bob", "dave"]),
        ("boss", vec!["carol", "erin"]),
    ] {
        people.roles.insert(role.into(), who.into_iter().map(String::from).collect());
    }
    Graph {
        semantics: SEMANTICS,
        runbook: "simulated".into(),
        mode,
        environment: None,
        protected: false,
        role_play: false,
        identity: Identity::Any,
        people,
        max_in_flight: 4,
        deadline_ms: None,
        secrets: vec!["token".into()],
        steps: Vec::new(),
        guards: Vec::new(),
        rerun: None,
        certificate: None,
    }
}

fn add(rng: &mut Rng, plan: &mut Plan, id: &str, section: Section) {
    let mut node = any_kind(rng, id);
    node.section = section;
    put(rng, plan, node, StepValues::default());
}

/// A step of any kind that has no steps of its own.
pub fn any_kind(rng: &mut Rng, id: &str) -> StepNode {
    let kind = match rng.upto(100) {
        0..=24 => Kind::Http,
        25..=34 => Kind::Shell,
        35..=43 => Kind::Argv,
        44..=49 => Kind::Notify,
        50..=56 => Kind::Confirm,
        57..=66 => Kind::Approve,
        67..=69 => Kind::Input,
        70 | 71 => Kind::Choice,
        72..=78 => Kind::Checklist,
        79..=83 => Kind::Manual,
        84..=90 => Kind::Wait,
        91..=97 => Kind::Assert,
        _ => Kind::End,
    };
    let effect = match kind {
        Kind::Http | Kind::Shell | Kind::Argv => {
            rng.pick(&[Effect::Read, Effect::Write, Effect::Write, Effect::Destructive, Effect::Notify])
        }
        Kind::Manual => Effect::Write,
        Kind::Notify => Effect::Notify,
        _ => Effect::Read,
    };
    StepNode::new(id, kind, effect)
}

/// Draws everything else about a step, and puts it last into the plan.
pub fn put(rng: &mut Rng, plan: &mut Plan, mut node: StepNode, mut values: StepValues) {
    order(rng, plan, &mut node);
    values.message = Localized::both(text(rng, plan, &node, false));
    if rng.percent(20) {
        values.show = vec![text(rng, plan, &node, false), text(rng, plan, &node, false)];
    }
    if rng.percent(15) {
        values.when = Some(condition(rng, plan, &node));
        node.conditional = true;
        nests::about_each(rng, &mut node, &mut values);
    }
    policies(rng, &mut node);
    match node.kind {
        Kind::Http | Kind::Shell | Kind::Argv => run_kind(rng, plan, &mut node, &mut values),
        Kind::Notify => notify(rng, plan, &mut node, &mut values),
        Kind::Confirm | Kind::Approve => gate(rng, plan, &mut node, &mut values),
        Kind::Input => form(rng, &mut node, &mut values),
        Kind::Choice => choice(rng, plan, &mut node, &mut values),
        Kind::Checklist => checklist(rng, plan, &mut node, &mut values),
        Kind::Manual => {
            node.evidence = Some(rng.pick(&[Evidence::None, Evidence::Optional, Evidence::Required]));
            declare(rng, &mut node, &mut values, json!("done"));
        }
        Kind::Wait => node.wait_ms = Some(rng.below(3_000)),
        Kind::Assert => {
            let expr = condition(rng, plan, &node);
            values.assertions.push(Assertion { expr, message: Localized::default() });
        }
        Kind::End => node.end = Some(rng.pick(&[EndStatus::Succeeded, EndStatus::Failed])),
        Kind::Group | Kind::Revert => {}
    }
    plan.values.steps.insert(node.id.clone(), values);
    plan.graph.steps.push(node);
}

/// Steps of the same list so far.
pub fn above<'a>(plan: &'a Plan, node: &'a StepNode) -> impl Iterator<Item = &'a StepNode> {
    let list = |step: &'a StepNode| (step.section, &step.within, step.handles);
    plan.graph.steps.iter().filter(move |step| list(step) == list(node))
}

/// `needs`, named or above, and the gates that `run_on` must find open.
fn order(rng: &mut Rng, plan: &Plan, node: &mut StepNode) {
    let names: Vec<String> = above(plan, node).map(|step| step.id.clone()).collect();
    match rng.upto(10) {
        // What stands side by side has no needs where it names none.
        0..=5 if nests::is_beside(plan, node) => {}
        0..=5 => {
            node.above = true;
            node.needs = sinks(plan, node);
        }
        6..=8 => {
            let most = if names.is_empty() { 0 } else { 1 + rng.upto(3) };
            let some: BTreeSet<String> = (0..most).map(|_| rng.pick(&names)).collect();
            node.needs = names.iter().filter(|name| some.contains(*name)).cloned().collect();
        }
        _ => {}
    }
    node.run_on = rng.pick(&[
        RunOn::Success,
        RunOn::Success,
        RunOn::Success,
        RunOn::Success,
        RunOn::Failure,
        RunOn::Finished,
    ]);
    if node.run_on != RunOn::Success {
        let upstream = upstream(plan, node);
        let gates = plan.graph.steps.iter().filter(|step| step.section == node.section);
        let near = |step: &&StepNode| nests::loops_of(plan, node).starts_with(&nests::loops_of(plan, step));
        let gates = gates.filter(|step| step.kind.is_gate() && upstream.contains(&step.id)).filter(near);
        node.gates = gates.map(|step| step.id.clone()).collect();
    }
}

/// What stands above in the section and nothing else above needs.
pub fn sinks(plan: &Plan, node: &StepNode) -> Vec<String> {
    let needed: BTreeSet<&String> = above(plan, node).flat_map(|step| &step.needs).collect();
    above(plan, node).filter(|step| !needed.contains(&step.id)).map(|step| step.id.clone()).collect()
}

/// Everything a step comes after, and cannot come before. Of the groups among it, what is sure to have been begun if
/// they were.
pub fn upstream(plan: &Plan, node: &StepNode) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = node.needs.iter().cloned().collect();
    let mut size = usize::MAX;
    while size != found.len() {
        size = found.len();
        for step in plan.graph.steps.iter().rev() {
            if found.contains(&step.id) {
                found.extend(step.needs.iter().cloned());
            }
            let inside = step.within.as_ref().is_some_and(|group| {
                let group = plan.graph.steps.iter().find(|of| of.id == *group);
                let sure = |of: &StepNode| !of.conditional && of.each.is_none() && of.repeat.is_none();
                found.contains(&step.within.clone().unwrap_or_default())
                    && group.is_some_and(sure)
                    && sure(step)
            });
            if inside && !step.handles {
                found.insert(step.id.clone());
            }
        }
    }
    if let Some(group) = node.within.as_ref().and_then(|name| plan.graph.steps.iter().find(|s| s.id == *name))
    {
        found.extend(upstream(plan, group));
    }
    found
}

fn policies(rng: &mut Rng, node: &mut StepNode) {
    node.on_failure = match rng.upto(10) {
        0..=3 => None,
        4 | 5 => Some(OnFailure::Ask),
        6 => Some(OnFailure::Stop),
        7 | 8 => Some(OnFailure::Continue),
        _ => Some(OnFailure::Undo),
    };
    node.allowed = rng.percent(15);
    if node.kind.runs() {
        node.timeout_ms = rng.percent(30).then(|| 20 + rng.below(2_000));
        node.deadline_ms = rng.percent(12).then(|| 100 + rng.below(5_000));
        if rng.percent(60) {
            let all = [
                ErrorClass::Connect,
                ErrorClass::Timeout,
                ErrorClass::TooMany,
                ErrorClass::Server,
                ErrorClass::Expect,
            ];
            node.retry = RetryPolicy {
                max_attempts: 1 + u32::try_from(rng.upto(4)).unwrap_or(0),
                delay_ms: 10 + rng.below(500),
                backoff: rng.pick(&[1_000, 2_000]),
                max_delay_ms: 2_000,
                errors: all.into_iter().filter(|_| rng.percent(60)).collect(),
            };
        }
    }
}

fn run_kind(rng: &mut Rng, plan: &Plan, node: &mut StepNode, values: &mut StepValues) {
    values.act = Some(act(rng, plan, node));
    for name in ["v", "w"].into_iter().take(rng.upto(3)) {
        node.outputs.push(OutputNode { name: name.into(), public: rng.percent(40), kind: InputKind::Any });
    }
    nests::gives_a_list(rng, plan, node);
    if node.effect == Effect::Read {
        return;
    }
    node.keyed = rng.percent(40);
    if rng.percent(35) {
        node.verify = Some(VerifyNode { first: rng.percent(40), absent: rng.percent(60) });
        let mut verify = probe("verify");
        if let Action::Argv(call) = &mut verify.action {
            // Now and then one that cannot be asked.
            let broken = rng.percent(10);
            call.argv.push(if broken { parsed("{{ inputs.nothing }}") } else { text(rng, plan, node, true) });
        }
        values.verify = Some(verify);
    }
    if rng.percent(25) {
        node.undo = true;
        values.undo = Some(probe("undo"));
    }
    if rng.percent(20) {
        let only_if = rng.percent(60);
        let otherwise = rng.pick(&[OtherwisePutBack::Ask, OtherwisePutBack::Ask, OtherwisePutBack::Auto]);
        node.put_back = Some(PutBackNode { only_if, otherwise });
        values.put_back = Some(probe("put_back"));
        values.only_if = only_if.then(|| probe("only_if"));
    }
}

/// A message: it has a key, no proof and nothing that takes it back, and mostly it is no obstacle.
fn notify(rng: &mut Rng, plan: &Plan, node: &mut StepNode, values: &mut StepValues) {
    values.act = Some(act(rng, plan, node));
    node.outputs.push(OutputNode { name: "v".into(), public: rng.percent(40), kind: InputKind::Any });
    node.keyed = true;
    if rng.percent(80) {
        node.on_failure = Some(OnFailure::Continue);
        node.allowed = rng.percent(80);
    }
}

/// A call without any template.
pub fn probe(what: &str) -> Probe {
    let argv = vec![Template::literal(what)];
    ProbeOf {
        action: Action::Argv(ProgramCall { argv, env: vec![], cwd: None }),
        accept: Accept::default(),
        timeout_ms: None,
        artifacts: Vec::new(),
    }
}

fn act(rng: &mut Rng, plan: &Plan, node: &StepNode) -> Probe {
    let one = text(rng, plan, node, true);
    let other = text(rng, plan, node, true);
    let action = match node.kind {
        Kind::Http => Action::Http(Box::new(HttpCall {
            method: if node.effect == Effect::Read { "GET" } else { "POST" }.into(),
            url: Template::literal("http://target/x"),
            headers: vec![("X-One".into(), one)],
            query: vec![],
            body: Body::Json(consigne::runbook::template::Tree::Map(vec![(
                "k".into(),
                consigne::runbook::template::Tree::Text(other),
            )])),
            auth: if rng.percent(50) { Auth::Bearer("token".into()) } else { Auth::None },
            ca_file: None,
        })),
        Kind::Shell => {
            Action::Shell(ShellCall { script: "act".into(), env: vec![("ONE".into(), one)], cwd: None })
        }
        Kind::Notify => Action::Notify(Box::new(Notice {
            to: vec![Recipient {
                name: "bob".into(),
                lang: None,
                channels: vec![Channel::Mail("bob@example.com".into()), Channel::Slack("token".into())],
            }],
            first: rng.percent(20),
            mail: None,
            subject: Localized::both(text(rng, plan, node, false)),
            text: Localized::both(text(rng, plan, node, false)),
        })),
        _ => Action::Argv(ProgramCall {
            argv: vec![Template::literal("act"), one, other],
            env: vec![],
            cwd: None,
        }),
    };
    ProbeOf { action, accept: Accept::default(), timeout_ms: None, artifacts: Vec::new() }
}

/// A text that may read what other steps gave.
fn text(rng: &mut Rng, plan: &Plan, node: &StepNode, of_request: bool) -> Template {
    let source = match rng.upto(8) {
        0 | 1 => reading(rng, plan, node).map_or("plain".into(), |path| format!("a-{{{{ {path} }}}}-b")),
        2 => reading(rng, plan, node).map_or("plain".into(), |path| format!("{{{{ {path} }}}}")),
        3 if of_request => "{{ step.started_at }}".into(),
        6 if nests::items_around(plan, node).next().is_some() => {
            let names: Vec<String> = nests::items_around(plan, node).collect();
            format!("{{{{ {} }}}}", rng.pick(&names))
        }
        4 => "{{ inputs.color }}".into(),
        5 if of_request => "x{{ secrets.token }}".into(),
        _ => "plain".into(),
    };
    parsed(&source)
}

pub fn parsed(source: &str) -> Template {
    Template::parse(source).expect("templates of these tests are well formed")
}

/// A path into a step upstream (now and then one that is not: its value may be missing when it is read).
pub fn reading(rng: &mut Rng, plan: &Plan, node: &StepNode) -> Option<String> {
    let mut upstream = upstream(plan, node);
    upstream.extend(nests::ended_before(plan, node, &upstream));
    let anywhere = rng.percent(4);
    let from: Vec<&StepNode> = plan
        .graph
        .steps
        .iter()
        .filter(|step| anywhere || upstream.contains(&step.id) || step.section != node.section)
        .collect();
    if from.is_empty() {
        return None;
    }
    let of = rng.pick(&from);
    if of.each.is_some() && rng.percent(60) {
        return Some(format!("steps.{}.items | default([]) | length", of.id));
    }
    let field = match of.outputs.first() {
        Some(output) if rng.percent(70) => output.name.as_str(),
        None if of.kind == Kind::Choice && rng.percent(70) => "answer",
        _ => "outcome",
    };
    Some(format!("steps.{}.{field} | default(\"none\")", of.id))
}

pub fn condition(rng: &mut Rng, plan: &Plan, node: &StepNode) -> Expr {
    let word = rng.pick(&["red", "green", "succeeded", "failed", "none"]);
    let test = rng.pick(&["==", "!=", "!="]);
    let source = match reading(rng, plan, node) {
        Some(path) => format!("({path}) {test} \"{word}\""),
        None => format!("inputs.color {test} \"{word}\""),
    };
    Expr::parse(&source).expect("conditions of these tests are well formed")
}

fn who(rng: &mut Rng, plan: &Plan, node: &StepNode, must_name: bool) -> Who {
    let mut roles: Vec<String> =
        ["lead", "ops", "boss"].into_iter().filter(|_| rng.percent(40)).map(String::from).collect();
    if must_name && roles.is_empty() {
        roles.push("lead".into());
    }
    let human: Vec<String> = above(plan, node)
        .filter(|s| {
            matches!(s.kind, Kind::Approve | Kind::Confirm | Kind::Manual | Kind::Input | Kind::Choice)
        })
        .map(|s| s.id.clone())
        .collect();
    let not_steps = if rng.percent(15) && !human.is_empty() { vec![rng.pick(&human)] } else { vec![] };
    Who { roles, not_starter: rng.percent(30), not_steps }
}

fn gate(rng: &mut Rng, plan: &Plan, node: &mut StepNode, values: &mut StepValues) {
    let approve = node.kind == Kind::Approve;
    let escalate = approve && rng.percent(30);
    let typed = !approve && rng.percent(40);
    node.timeout_ms = rng.percent(50).then(|| 200 + rng.below(5_000));
    node.gate = Some(GateNode {
        quorum: if approve { rng.pick(&[1, 1, 2, 3]) } else { 1 },
        who: if approve || rng.percent(30) { who(rng, plan, node, approve) } else { Who::default() },
        escalate_to: if escalate { vec!["boss".into()] } else { vec![] },
        on_timeout: if escalate { OnTimeout::Escalate } else { OnTimeout::Refuse },
        on_reject_continue: rng.percent(25),
        covers: vec![],
        typed,
        break_glass: (approve && rng.percent(30)).then(|| GlassNode {
            roles: vec![rng.pick(&["boss", "ops"]).to_owned()],
            after_ms: rng.pick(&[0, 100, 1_000]),
            review_roles: vec!["boss".into()],
            review_within_ms: 1_000,
        }),
        limit: None,
    });
    if typed {
        values.typed = Some(Template::parse("go-{{ inputs.color }}").expect("well formed"));
    }
    if !approve {
        let word = if typed && rng.percent(50) {
            format!("go-{}", plan.values.inputs["color"].as_str().unwrap_or_default())
        } else {
            rng.pick(&["yes", "yes", "no"]).to_owned()
        };
        declare(rng, node, values, json!(word));
    }
}

/// An answer for unattended runs.
fn declare(rng: &mut Rng, node: &mut StepNode, values: &mut StepValues, answer: serde_json::Value) {
    if rng.percent(40) {
        node.unattended = true;
        values.unattended = Some(answer);
    }
}

fn form(rng: &mut Rng, node: &mut StepNode, values: &mut StepValues) {
    node.timeout_ms = rng.percent(25).then(|| 200 + rng.below(5_000));
    let field = InputField {
        kind: InputKind::String,
        title: Localized::default(),
        default: rng.percent(30).then(|| json!("red")),
        min: None,
        max: None,
        pattern: None,
        one_of: rng.percent(30).then(|| WORDS.iter().map(|word| json!(word)).collect()),
        public: false,
    };
    values.fields.insert("v".into(), field);
    let output = OutputNode { name: "v".into(), public: false, kind: InputKind::String };
    node.fields.push(output.clone());
    node.outputs.push(output);
    declare(rng, node, values, json!({"v": "green"}));
}

fn choice(rng: &mut Rng, plan: &Plan, node: &mut StepNode, values: &mut StepValues) {
    node.timeout_ms = rng.percent(25).then(|| 200 + rng.below(5_000));
    if rng.percent(30) {
        node.by = Some(who(rng, plan, node, false));
    }
    if rng.percent(50) {
        let min = u32::try_from(rng.upto(3)).unwrap_or(0);
        node.many = Some(ManyNode { min, max: rng.percent(50).then(|| min.max(1)) });
    }
    let listed = |id: &str| Listed { id: id.to_owned(), text: Localized::both(text_of_option(id)) };
    let expr = |source: &str| Expr::parse(source).expect("well formed");
    values.choice = Some(match (rng.percent(50), reading(rng, plan, node)) {
        (true, Some(path)) => {
            // What a step gave, with more to choose from; twice the same, or too few, now and then.
            let from = match rng.upto(4) {
                0 => format!("[({path})]"),
                _ => format!("[({path}), \"red\", \"x\", \"y\"]"),
            };
            let label = rng.percent(50).then(|| expr("\"the \" ~ item"));
            Choosing::Computed(Computed { from: expr(&from), id: expr("item"), label })
        }
        _ => Choosing::Listed(WORDS.iter().map(|id| listed(id)).collect()),
    });
    let answer = if node.many.is_some() { json!(["green", "red"]) } else { json!("green") };
    declare(rng, node, values, answer);
}

fn text_of_option(id: &str) -> Template {
    parsed(&format!("{id} or {{{{ inputs.color }}}}"))
}

fn checklist(rng: &mut Rng, plan: &Plan, node: &mut StepNode, values: &mut StepValues) {
    node.in_order = rng.percent(40);
    node.timeout_ms = rng.percent(25).then(|| 200 + rng.below(5_000));
    if rng.percent(30) {
        node.by = Some(who(rng, plan, node, false));
    }
    let near = |step: &&StepNode| nests::loops_of(plan, node).starts_with(&nests::loops_of(plan, step));
    let verified = plan.graph.steps.iter().filter(|step| step.verify.is_some() && step.each.is_none());
    let verified: Vec<String> = verified.filter(near).map(|step| step.id.clone()).collect();
    for at in 0..1 + rng.upto(3) {
        let id = format!("i{at}");
        let proved = rng.percent(50);
        let of_step = (proved && !verified.is_empty() && rng.percent(40)).then(|| rng.pick(&verified));
        let evidence = rng.pick(&[Evidence::None, Evidence::Optional, Evidence::Required]);
        let read_back = !proved && rng.percent(30);
        node.items.push(ItemNode { id: id.clone(), probe: proved, evidence, read_back });
        let own = (proved && of_step.is_none()).then(|| probe("item"));
        let read_back = read_back.then(|| parsed("say {{ 1 + 1 }}"));
        values.items.insert(id, Item { text: Localized::default(), probe: own, step: of_step, read_back });
    }
    declare(rng, node, values, json!("yes"));
}

/// Approvals bind the writes that come after them, up to the next gate.
pub fn cover(rng: &mut Rng, plan: &mut Plan) {
    let ids: Vec<usize> =
        (0..plan.graph.steps.len()).filter(|at| plan.graph.steps[*at].kind == Kind::Approve).collect();
    for gate in ids {
        let name = plan.graph.steps[gate].id.clone();
        let around = nests::own_loops(plan, &plan.graph.steps[gate]);
        let mut covers = Vec::new();
        for step in &plan.graph.steps[gate + 1..] {
            let behind = upstream(plan, step).contains(&name);
            if step.kind.is_gate() && behind {
                break;
            }
            let near = nests::loops_of(plan, step).starts_with(&around);
            if step.kind.runs() && step.effect != Effect::Read && behind && near && rng.percent(85) {
                covers.push(step.id.clone());
            }
        }
        if let Some(gate) = &mut plan.graph.steps[gate].gate {
            gate.covers = covers;
        }
    }
}

/// Makes every step that an approval covers read an input, and the people easy to find. How many there are.
pub fn color_what_is_covered(plan: &mut Plan) -> usize {
    let gates = plan.graph.steps.iter_mut().filter_map(|step| step.gate.as_mut());
    let mut covered: BTreeSet<String> = BTreeSet::new();
    for gate in gates {
        gate.quorum = 1;
        gate.who.not_steps.clear();
        covered.extend(gate.covers.iter().cloned());
    }
    for name in &covered {
        if let Some(values) = plan.values.steps.get_mut(name) {
            let argv = vec![parsed("paint"), parsed("{{ inputs.color }}")];
            let action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
            values.act =
                Some(ProbeOf { action, accept: Accept::default(), timeout_ms: None, artifacts: Vec::new() });
        }
    }
    covered.len()
}
