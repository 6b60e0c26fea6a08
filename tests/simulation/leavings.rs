//! What an attempt leaves besides its outputs, and where it is made: secrets that are born, files, hosts.
//!
//! Draws them onto a plan that is complete otherwise, plays the runner that leaves them, and holds what must be: a
//! secret is known by its name alone, is used once it is there and never replaced by people; a file is in the record
//! exactly if the attempt that left it succeeded; a program goes to the host that is declared under its name.

use std::collections::BTreeSet;

use consigne::core::event::Override;
use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::{Rendered, Template};
use serde_json::json;

use crate::checkers::ensure;
use crate::drive::swarm;
use crate::model::{Model, place_of, request_of};
use crate::nests;
use crate::places::id_of;
use crate::plans::{self, WORDS, parsed, upstream};
use crate::rng::Rng;
use crate::sabotage::{act, find, history, objectors, only, plan_of, starts};
use crate::world::{Fate, Town};

/// The name of every secret that is born here.
const KEY: &str = "key";

/// What begins the names of files that are left, among all that is kept of an attempt.
const FILE: &str = "artifact.";

/// A value of one: people know it, the runner keeps it, no event may hold it.
pub const BORN: &str = "born-canary-0815";

/// Puts secrets, files, hosts, pages and time-boxes onto some of the steps.
pub fn some(rng: &mut Rng, plan: &mut Plan) {
    for word in WORDS {
        plan.values.hosts.insert(word.into(), Reach::Via(vec!["env".into(), format!("PLACE={word}")]));
    }
    // An input of class secret: it is no value of the plan, and named like one.
    plan.values.secrets.insert("inputs.pin".into(), SecretSource::Prompt);
    plan.values.refresh.insert("token".into(), 1_000);
    let ids: Vec<String> = plan.graph.steps.iter().map(|step| step.id.clone()).collect();
    for (at, id) in ids.iter().enumerate() {
        let runs = matches!(plan.graph.steps[at].kind, Kind::Http | Kind::Shell | Kind::Argv);
        if runs && rng.percent(20) {
            plan.graph.steps[at].secrets.push(KEY.into());
            plan.values.born.insert(format!("steps.{id}.{KEY}"));
        }
        if runs && rng.percent(20) {
            files(rng, plan, at);
        }
        let born: Vec<String> = upstream(plan, &plan.graph.steps[at])
            .into_iter()
            .filter(|of| plan.values.born.contains(&format!("steps.{of}.{KEY}")))
            .collect();
        let node = plan.graph.steps[at].clone();
        let Some(values) = plan.values.steps.get_mut(id) else { continue };
        if runs && !born.is_empty() && rng.percent(60) {
            use_of(values, &format!("steps.{}.{KEY}", rng.pick(&born)));
        }
        if runs && rng.percent(5) {
            use_of(values, "inputs.pin");
        }
        if runs && rng.percent(20) {
            elsewhere(rng, values);
        }
        if rng.percent(10) {
            let url = parsed("https://example.com/{{ inputs.color }}");
            values.links.push(Link { title: Localized::default(), url });
        }
        if node.kind.is_gate() && rng.percent(20) {
            plan.graph.steps[at].timebox_ms = Some(rng.below(500));
        }
    }
}

fn files(rng: &mut Rng, plan: &mut Plan, at: usize) {
    let id = plan.graph.steps[at].id.clone();
    for name in ["one", "two"].into_iter().take(1 + rng.upto(2)) {
        let (public, optional) = (rng.percent(50), rng.percent(30));
        plan.graph.steps[at].artifacts.push(ArtifactNode { name: name.into(), public, optional });
        let path = parsed(rng.pick(&["{{ run.work }}/out", "out-{{ inputs.color }}"]));
        if let Some(act) = plan.values.steps.get_mut(&id).and_then(|values| values.act.as_mut()) {
            act.artifacts.push(ArtifactOf { name: name.into(), path, optional });
        }
    }
}

/// The request hands it over, whole or in part.
fn use_of(values: &mut StepValues, path: &str) {
    let text = parsed(&format!("{{{{ {path} }}}}"));
    match values.act.as_mut().map(|act| &mut act.action) {
        Some(Action::Http(call)) if path.ends_with(KEY) => call.auth = Auth::Bearer(path.to_owned()),
        Some(Action::Http(call)) => call.headers.push(("X-Secret".into(), text)),
        Some(Action::Shell(call)) => call.env.push(("SECRET".into(), text)),
        Some(Action::Argv(call)) => call.env.push(("SECRET".into(), text)),
        _ => {}
    }
}

/// The same on a host, which is named or computed; now and then by a name that nobody declared.
fn elsewhere(rng: &mut Rng, values: &mut StepValues) {
    let host = match rng.upto(8) {
        0..=3 => Template::literal(rng.pick(&WORDS)),
        4..=6 => parsed("{{ inputs.color }}"),
        _ => Template::literal("nowhere"),
    };
    let Some(act) = values.act.as_mut() else { return };
    let program = match &act.action {
        Action::Shell(call) => Program::Shell(call.clone()),
        Action::Argv(call) => Program::Argv(call.clone()),
        _ => return,
    };
    act.action = Action::Remote(Box::new(RemoteCall { host, reach: None, program }));
}

impl Town<'_> {
    /// What a runner leaves with an attempt that succeeded.
    pub fn leave(&mut self, place: &str, role: Role, outcome: &mut Outcome) {
        if outcome.result != AttemptResult::Succeeded || role == Role::Guard {
            return;
        }
        let node = self.historian.model.node(place).clone();
        if matches!(role, Role::Do | Role::First | Role::Verify) {
            let all = node.secrets.iter().filter(|_| role == Role::Do || self.rng.percent(50));
            outcome.sealed = all.cloned().collect();
        }
        for artifact in node.artifacts.iter().filter(|_| role == Role::Do) {
            if !artifact.optional || self.rng.percent(50) {
                let blob = BlobRef { sha256: "0a".repeat(32), bytes: 3 };
                outcome.blobs.insert(format!("{FILE}{}", artifact.name), blob);
            }
        }
    }
}

/// Takes in what became known.
pub fn take(model: &mut Model<'_>, event: &Event) {
    let (Fact::AttemptFinished { sealed, .. }, Some(place)) = (&event.fact, place_of(event)) else { return };
    model.born.extend(sealed.iter().map(|name| format!("steps.{place}.{name}")));
}

/// A secret that is born is known by its name alone, and used by whoever comes after its birth.
pub fn secrets(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let told = [serde_json::to_string(&event.fact).unwrap_or_default()].into_iter();
    let mut told = told.chain(event.hidden.0.values().cloned());
    ensure(!told.any(|text| text.contains(BORN)), "the secret itself stands in it")?;
    let Some((node, seen)) = model.seen(event) else { return Ok(()) };
    let named = |name: &str| node.secrets.iter().any(|own| own == name);
    let hidden = event.hidden.0.keys().filter_map(|field| field.strip_prefix("output."));
    ensure(!hidden.into_iter().any(named), "a secret stands among the values")?;
    match &event.fact {
        Fact::AttemptFinished { sealed, outputs, result, .. } => {
            ensure(!outputs.keys().any(|name| named(name)), "a secret stands among the outputs")?;
            ensure(sealed.iter().all(|name| named(name)), "it gives a secret that it does not declare")?;
            let all =
                seen.running.is_none_or(|(_, role)| role != Role::Do) || *result != AttemptResult::Succeeded;
            ensure(all || sealed.len() == node.secrets.len(), "it succeeded, and its secret is nowhere")
        }
        Fact::AttemptStarted { .. } => {
            let request: Option<AttemptRequest> =
                request_of(event).and_then(|request| serde_json::from_value(request).ok());
            let request = request.ok_or("an attempt without a request")?;
            let frame = &model.place(&node.id).frame;
            for name in request.probe.action.secrets().into_iter().filter(|name| name.starts_with("steps.")) {
                ensure(model.born.contains(name), "it uses a secret that was not born")?;
                let meant =
                    name.strip_prefix("steps.").and_then(|name| name.strip_suffix(".key")).unwrap_or(name);
                let near = model.resolve(id_of(meant), frame).is_some_and(|node| node.id == meant);
                ensure(near, "it uses the secret of another item")?;
            }
            Ok(())
        }
        Fact::StepImported { .. } => ensure(node.secrets.is_empty(), "its secret died with the other run"),
        Fact::StepOverridden { how }
            if !matches!(how, Override::Retry | Override::NotDone | Override::GoOn) =>
        {
            let id = id_of(&node.id);
            let missing = |name: &&String| !model.born.contains(&format!("steps.{}.{name}", node.id));
            let used = |name: &String| users(model, &node.id, &format!("steps.{id}.{name}"));
            let lost = node.secrets.iter().filter(missing).any(used);
            ensure(!lost, "somebody replaces a step whose secret a later step uses")
        }
        _ => Ok(()),
    }
}

/// The name of a secret as the runbook has it: without the number of an item.
pub fn as_written(name: &str) -> String {
    match (name.split_once('['), name.split_once(']')) {
        (Some((step, _)), Some((_, output))) if name.starts_with("steps.") => format!("{step}{output}"),
        _ => name.to_owned(),
    }
}

/// Whether a step that has not ended, apart from this one, uses what is called so.
fn users(model: &Model<'_>, but: &str, path: &str) -> bool {
    model.steps.iter().any(|(place, seen)| {
        let values = model.plan.values.steps.get(id_of(place));
        place != but
            && seen.settled.is_none()
            && values.is_some_and(|values| values.refs().any(|name| name == path))
    })
}

/// A file is in the record exactly if the attempt that left it succeeded, and openly if it is public.
pub fn artifacts(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Fact::AttemptFinished { result, artifacts, .. } = &event.fact else { return Ok(()) };
    let Some((node, seen)) = model.seen(event) else { return Ok(()) };
    let prefix = format!("blob.{FILE}");
    let hidden: BTreeSet<&str> =
        event.hidden.0.keys().filter_map(|field| field.strip_prefix(&prefix)).collect();
    let open: BTreeSet<&str> = artifacts.keys().map(String::as_str).collect();
    let did = seen.running.is_some_and(|(_, role)| role == Role::Do) && *result == AttemptResult::Succeeded;
    ensure(did || (hidden.is_empty() && open.is_empty()), "an attempt that did nothing left a file")?;
    for artifact in node.artifacts.iter().filter(|_| did) {
        let (own, other) = if artifact.public { (&open, &hidden) } else { (&hidden, &open) };
        ensure(!other.contains(artifact.name.as_str()), "a file is told to others than it is meant for")?;
        ensure(
            artifact.optional || own.contains(artifact.name.as_str()),
            "a file that was left is not there",
        )?;
    }
    let declared = |name: &&str| node.artifacts.iter().any(|artifact| artifact.name == **name);
    ensure(open.iter().chain(&hidden).all(declared), "nobody declared this file")
}

/// A program elsewhere goes the way that is declared for its host.
pub fn hosts(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let (Fact::AttemptStarted { .. }, Some(request)) = (&event.fact, request_of(event)) else {
        return Ok(());
    };
    let action: Option<Action<Rendered>> = serde_json::from_value(request["probe"]["action"].clone()).ok();
    let Some(Action::Remote(call)) = action else { return Ok(()) };
    let name = call.host.as_plain().ok_or("its host is not known")?;
    let declared = model.plan.values.hosts.get(name);
    ensure(declared.is_some() && declared == call.reach.as_ref(), "another way than the one that is declared")
}

/// An answer that gives a secret in place of its step: nobody may.
pub fn in_its_place() -> serde_json::Value {
    json!({"choice": "set_output", "outputs": {KEY: BORN}})
}

/// A step that makes a secret and leaves a file, and one elsewhere that uses it.
fn issued() -> Plan {
    let (mut issue, issuing) = act("issue", Effect::Write);
    issue.secrets.push(KEY.into());
    issue.artifacts.push(ArtifactNode { name: "one".into(), public: true, optional: false });
    let (used, mut using) = act("using", Effect::Write);
    use_of(&mut using, "steps.issue.key");
    if let Some(ProbeOf { action, .. }) = &mut using.act
        && let Action::Argv(call) = action.clone()
    {
        let program = Program::Argv(call);
        *action =
            Action::Remote(Box::new(RemoteCall { host: Template::literal("red"), reach: None, program }));
    }
    let mut plan = plan_of(vec![(issue, issuing), (used, using)]);
    plan.values.born.insert("steps.issue.key".into());
    plan.values.hosts.insert("red".into(), Reach::Via(vec!["bridge".into()]));
    plan
}

fn finish(events: &mut [Event], nth: usize) -> &mut Event {
    let at = find(events, nth, |event| matches!(event.fact, Fact::AttemptFinished { .. }));
    &mut events[at]
}

#[test]
fn a_secret_that_is_more_than_a_name() {
    let plan = issued();
    let entries = history(&plan, &[]);
    let wrong: [fn(&mut Event); 4] = [
        |event| event.hidden.put_text("excerpt.stdout", BORN),
        |event| event.hidden.put("output.key", &"x"),
        |event| {
            if let Fact::AttemptFinished { outputs, .. } = &mut event.fact {
                outputs.insert(KEY.into(), "\"x\"".into());
            }
        },
        |event| {
            if let Fact::AttemptFinished { sealed, .. } = &mut event.fact {
                sealed.push("other".into());
            }
        },
    ];
    for wrong in wrong {
        only("secrets", &plan, &entries, |events| wrong(finish(events, 0)));
    }
}

#[test]
fn a_secret_that_is_used_before_its_birth() {
    let plan = issued();
    only("secrets", &plan, &history(&plan, &[]), |events| {
        let begun = find(events, 1, starts(Role::Do));
        let request = events[begun].hidden.0.get_mut("request").expect("an attempt has a request");
        *request = request.replace("steps.issue.key", "steps.using.key");
    });
    only("secrets", &plan, &history(&plan, &[]), |events| {
        if let Fact::AttemptFinished { sealed, .. } = &mut finish(events, 0).fact {
            sealed.clear();
        }
    });
}

#[test]
fn a_step_that_somebody_replaces_while_its_secret_is_used() {
    let mut plan = issued();
    plan.values.steps.get_mut("using").and_then(|values| values.act.as_mut()).expect("it runs").timeout_ms =
        Some(5);
    let mut without = plan.clone();
    without.graph.steps[0].secrets.clear();
    without.values.born.clear();
    // A run in which nothing is a secret may skip the step; where its secret is used that is an objection.
    without.graph.steps[1].run_on = RunOn::Finished;
    let skipped = history(&without, &[("issue", Fate::Bad)]);
    let skips = |event: &Event| matches!(event.fact, Fact::StepOverridden { how: Override::Skip });
    assert!(skipped.iter().flat_map(|entry| &entry.events).any(skips));
    plan.graph.steps[1].run_on = RunOn::Finished;
    assert!(objectors(&plan, &skipped).contains("secrets"));
}

#[test]
fn a_file_that_is_there_without_its_attempt_or_the_reverse() {
    let plan = issued();
    let entries = history(&plan, &[]);
    let drop_it = |event: &mut Event| {
        if let Fact::AttemptFinished { artifacts, .. } = &mut event.fact {
            artifacts.clear();
        }
    };
    only("artifacts", &plan, &entries, |events| drop_it(finish(events, 0)));
    only("artifacts", &plan, &entries, |events| {
        let event = finish(events, 0);
        drop_it(event);
        event.hidden.put("blob.artifact.one", &json!({"sha256": "00", "bytes": 1}));
    });
    only("artifacts", &plan, &entries, |events| {
        finish(events, 1).hidden.put("blob.artifact.one", &json!({"sha256": "00", "bytes": 1}));
    });
}

#[test]
fn a_way_that_nobody_declared() {
    let plan = issued();
    only("hosts", &plan, &history(&plan, &[]), |events| {
        let begun = find(events, 1, starts(Role::Do));
        let request = events[begun].hidden.0.get_mut("request").expect("an attempt has a request");
        *request = request.replace("\"bridge\"", "\"tunnel\"");
    });
}

/// What is drawn happens: births, uses, files of both kinds, hosts that are there and hosts that are not.
#[test]
fn all_of_it_happens() {
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    for seed in 1..=240 {
        let rng = &mut Rng::stream(seed, 91);
        let plan = if seed % 4 == 0 { plans::random(rng, 12) } else { nests::random(rng, 10) };
        for event in swarm(&plan, seed).entries.iter().flat_map(|entry| &entry.events) {
            let request = event.hidden.0.get("request").cloned().unwrap_or_default();
            let kept = event.hidden.0.keys().any(|field| field.starts_with("blob.artifact."));
            let why = event.hidden.text("why").unwrap_or_default();
            let (mut births, mut open) = (false, false);
            if let Fact::AttemptFinished { sealed, artifacts, .. } = &event.fact {
                (births, open) = (!sealed.is_empty(), !artifacts.is_empty());
            }
            for (name, is) in [
                ("birth", births),
                ("birth in an item", births && event.item.is_some()),
                ("use", request.contains(".key")),
                ("use in an item", request.contains("].key")),
                ("input", request.contains("inputs.pin")),
                ("file", kept),
                ("public file", open),
                ("host", request.contains("\"reach\"")),
                ("no such host", why.contains("no host of this name")),
                ("scratch", request.contains("\"work\"") || request.contains("run.work")),
                ("page", event.hidden.0.contains_key("links")),
            ] {
                if is {
                    seen.insert(name);
                }
            }
        }
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}
