//! The transition table: every status of a step, every event, and what comes of it: the next status, or why the
//! event is illegal. Made by `State::apply` on small states; `CONSIGNE_UPDATE=1` writes it anew.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod compounds;
mod guards;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::event::{Override, SkipReason};
use consigne::core::*;
use consigne::plan::*;

const TABLE: &str = include_str!("table.txt");

fn now() -> Timestamp {
    Timestamp::from_millis(1_000_000)
}

fn later() -> Timestamp {
    now().plus(60_000)
}

fn bob() -> Actor {
    Actor { who: "bob".into(), how: How::OsUser, played_by: None }
}

fn run(fact: Fact) -> Event {
    Event::of_run(fact).by(bob())
}

/// An event of the step under test.
fn of(fact: Fact) -> Event {
    Event::of_step("s", fact).by(bob())
}

fn nth(attempt: u32, event: Event) -> Event {
    Event { attempt: Some(attempt), ..event }
}

fn started() -> Event {
    run(Fact::RunStarted {
        semantics: SEMANTICS,
        mode: Mode::Live,
        runbook: "t".into(),
        environment: None,
        plan: BTreeMap::new(),
        tool: "t".into(),
        lang: "en".into(),
        template: 1,
        attended: true,
        executor: "t".into(),
    })
}

fn start(attempt: u32, role: Role) -> Event {
    let part = (role == Role::Item).then(|| "i".to_owned());
    nth(attempt, of(Fact::AttemptStarted { role, part, timeout_ms: 1, keyed: true }))
}

fn finish(attempt: u32, result: AttemptResult, reason: &str) -> Event {
    nth(
        attempt,
        of(Fact::AttemptFinished {
            result,
            reason: reason.into(),
            class: None,
            code: None,
            retry_after_ms: None,
            started: now(),
            finished: now(),
            worker: "local".into(),
            outputs: BTreeMap::new(),
            sealed: Vec::new(),
            artifacts: BTreeMap::new(),
        }),
    )
}

fn interrupted(attempt: u32) -> Event {
    nth(attempt, of(Fact::AttemptInterrupted {}))
}

fn settled(status: Status) -> Event {
    of(Fact::StepSettled { status, reason: "r".into() })
}

fn opened(ask: u32, kind: AskKind) -> Event {
    of(Fact::AskOpened { ask, kind, expires: Some(later()), covers: vec![], parts: vec![], reason: None })
}

fn answered(ask: u32, decision: Decision) -> Event {
    of(Fact::AskAnswered { ask, part: None, decision })
}

fn closed(ask: u32, how: AskEnd) -> Event {
    of(Fact::AskClosed { ask, how })
}

fn ending(undo: bool) -> Event {
    run(Fact::RunEnding { outcome: Ended::Failed, reason: "r".into(), undo, stop: false })
}

fn plan(kind: Kind) -> Graph {
    let mut node = StepNode::new("s", kind, Effect::Write);
    node.conditional = true;
    if kind == Kind::Argv {
        node.keyed = true;
        node.verify = Some(VerifyNode { first: true, absent: true });
        node.undo = true;
    }
    if kind.is_gate() {
        node.gate = Some(GateNode {
            quorum: 1,
            who: Who::default(),
            escalate_to: vec![],
            on_timeout: OnTimeout::Escalate,
            on_reject_continue: false,
            covers: vec![],
            typed: false,
            break_glass: Some(GlassNode {
                roles: vec!["r".into()],
                after_ms: 0,
                review_roles: vec!["r".into()],
                review_within_ms: 1,
            }),
            limit: None,
        });
    }
    if kind == Kind::Checklist {
        node.items =
            vec![ItemNode { id: "i".into(), probe: true, evidence: Evidence::None, read_back: false }];
    }
    Graph {
        semantics: SEMANTICS,
        runbook: "t".into(),
        mode: Mode::Live,
        environment: None,
        protected: false,
        role_play: false,
        identity: Identity::Any,
        people: Populace::default(),
        max_in_flight: 4,
        deadline_ms: None,
        secrets: vec![],
        steps: vec![node],
        guards: vec![],
        rerun: None,
        certificate: None,
    }
}

fn fold(graph: Graph, events: &[Event]) -> State {
    let mut state = State::new(Arc::new(Shape::new(graph).expect("well formed")), "run");
    for event in events {
        state.apply(now(), event).expect("the way to each state is legal");
    }
    state
}

/// Every state of a step worth telling apart, and the way to it.
fn states() -> Vec<(&'static str, State)> {
    use AttemptResult::{Failed, Succeeded, Unknown};
    let mut pending = plan(Kind::Argv);
    pending.steps.insert(0, StepNode::new("other", Kind::Argv, Effect::Read));
    pending.steps[1].needs = vec!["other".into()];
    let mut all = vec![("pending", fold(pending, &[started()]))];
    let mut add = |name, kind, events: &[Event]| {
        all.push((name, fold(plan(kind), &[&[started()], events].concat())));
    };
    let attempt = |result| [start(1, Role::Do), finish(1, result, "r")];
    let then = |result, more: &[Event]| [&attempt(result), more].concat();
    let doubt = of(Fact::StepUnknown { reason: "r".into() });
    let failed = [opened(1, AskKind::Failure), answered(1, Decision::Skip), closed(1, AskEnd::Answered)];
    let overridden = of(Fact::StepOverridden { how: Override::Skip });
    add("ready", Kind::Argv, &[]);
    add("running, an attempt is under way", Kind::Argv, &[start(1, Role::Do)]);
    add("running, its probe is under way", Kind::Argv, &then(Succeeded, &[start(2, Role::Verify)]));
    add("running, between attempts", Kind::Argv, &attempt(Failed));
    add("retrying", Kind::Argv, &then(Failed, &[of(Fact::RetryScheduled { due: later() })]));
    add("interrupted", Kind::Argv, &[start(1, Role::Do), interrupted(1)]);
    add("unknown", Kind::Argv, &then(Unknown, std::slice::from_ref(&doubt)));
    add(
        "unknown, its probe is under way",
        Kind::Argv,
        &then(Unknown, &[doubt.clone(), start(2, Role::Verify)]),
    );
    add("unknown, a question is open", Kind::Argv, &then(Unknown, &[doubt, opened(1, AskKind::Unknown)]));
    add("waiting, a question about its failure is open", Kind::Argv, &then(Failed, &failed[..1]));
    add("waiting, that question is answered", Kind::Argv, &then(Failed, &failed));
    add("succeeded", Kind::Argv, &then(Succeeded, &[settled(Status::Succeeded)]));
    add("failed", Kind::Argv, &then(Failed, &[settled(Status::Failed)]));
    add("timed_out", Kind::Argv, &then(Failed, &[settled(Status::TimedOut)]));
    add("cancelled", Kind::Argv, &then(Failed, &[settled(Status::Cancelled)]));
    add("skipped", Kind::Argv, &[of(Fact::StepSkipped { reason: SkipReason::When, cause: None })]);
    add("overridden", Kind::Argv, &then(Failed, &[&failed[..], &[overridden]].concat()));
    add("failed, its undo is due", Kind::Argv, &then(Failed, &[settled(Status::Failed), ending(true)]));
    add(
        "failed, its undo was not chosen",
        Kind::Argv,
        &then(Failed, &[settled(Status::Failed), ending(false)]),
    );
    let ask = opened(1, AskKind::Approve);
    let yes = [ask.clone(), answered(1, Decision::Approve), closed(1, AskEnd::Answered)];
    let alone = [ask.clone(), answered(1, Decision::BreakGlass), closed(1, AskEnd::Answered)];
    let no = [ask.clone(), answered(1, Decision::Reject), closed(1, AskEnd::Answered)];
    add("gate ready", Kind::Approve, &[]);
    add("gate waiting", Kind::Approve, std::slice::from_ref(&ask));
    add("gate waiting, approved", Kind::Approve, &yes);
    add("gate waiting, opened alone", Kind::Approve, &alone);
    add("gate waiting, rejected", Kind::Approve, &no);
    add("gate waiting, timed out", Kind::Approve, &[ask, closed(1, AskEnd::TimedOut)]);
    add("gate succeeded", Kind::Approve, &[&yes[..], &[settled(Status::Succeeded)]].concat());
    add("gate rejected", Kind::Approve, &[&no[..], &[settled(Status::Rejected)]].concat());
    add("wait ready", Kind::Wait, &[]);
    add("wait waiting", Kind::Wait, &[of(Fact::WaitStarted { due: later() })]);
    let pick = [opened(1, AskKind::Choice), answered(1, Decision::Chosen), closed(1, AskEnd::Answered)];
    add("choice ready", Kind::Choice, &[]);
    add("choice waiting", Kind::Choice, &pick[..1]);
    add("choice waiting, chosen", Kind::Choice, &pick);
    add("choice waiting, timed out", Kind::Choice, &[pick[0].clone(), closed(1, AskEnd::TimedOut)]);
    add("choice succeeded", Kind::Choice, &[&pick[..], &[settled(Status::Succeeded)]].concat());
    add("checklist ready", Kind::Checklist, &[]);
    add("checklist waiting", Kind::Checklist, &[opened(1, AskKind::Checklist)]);
    all.extend(compounds::states());
    all.extend(guards::states());
    all
}

/// Every event, with the numbers that would be right now.
fn events(state: &State) -> Vec<(String, Event)> {
    let step = state.find("s").expect("the step under test").1;
    let next = step.attempts + 1;
    let ask = step.ask.or(step.last_ask).unwrap_or(1);
    let new = u32::try_from(state.asks().count() + 1).unwrap_or(1);
    let mut all: Vec<Event> = Vec::new();
    for reason in [SkipReason::When, SkipReason::AlreadyDone, SkipReason::Upstream, SkipReason::NotNeeded] {
        all.push(of(Fact::StepSkipped { reason, cause: None }));
    }
    use Status::*;
    for status in
        [Pending, Running, Succeeded, Failed, TimedOut, Cancelled, Rejected, Skipped, Unknown, Overridden]
    {
        all.push(settled(status));
    }
    all.push(of(Fact::StepUnknown { reason: "r".into() }));
    use Override as O;
    for how in [O::Retry, O::ByHand, O::Skip, O::SetOutput, O::Done, O::NotDone, O::GoOn] {
        all.push(of(Fact::StepOverridden { how }));
    }
    use Role as R;
    for role in [R::Do, R::First, R::Verify, R::Item, R::Undo, R::PutBack, R::OnlyIf, R::Guard] {
        all.push(start(next, role));
    }
    use AttemptResult as A;
    for result in [A::Succeeded, A::Failed, A::TimedOut, A::Cancelled, A::Unknown] {
        all.push(finish(step.attempts, result, "r"));
    }
    all.push(interrupted(step.attempts));
    all.push(of(Fact::RetryScheduled { due: later() }));
    all.push(of(Fact::WaitStarted { due: later() }));
    use AskKind as K;
    for kind in [
        K::Approve,
        K::Confirm,
        K::Input,
        K::Choice,
        K::Checklist,
        K::Manual,
        K::Failure,
        K::Unknown,
        K::PutBack,
        K::Canary,
        K::Guard,
    ] {
        all.push(opened(new, kind));
    }
    all.push(answered(ask, Decision::Approve));
    all.push(answered(ask, Decision::BreakGlass));
    all.push(of(Fact::AskEscalated { ask, expires: Some(later()) }));
    for how in [AskEnd::Answered, AskEnd::TimedOut, AskEnd::Withdrawn] {
        all.push(closed(ask, how));
    }
    all.push(of(Fact::ApprovalVoided { ask, because: "x".into(), reason: VoidReason::Changed }));
    for how in [ReversalEnd::Done, ReversalEnd::LeftOpen, ReversalEnd::Failed, ReversalEnd::NotChosen] {
        all.push(of(Fact::ReversalClosed { kind: Reversal::Undo, how, review_at: None }));
    }
    all.push(of(Fact::StepImported { outputs: BTreeMap::new() }));
    all.push(of(Fact::StepEntered {}));
    all.push(of(Fact::StepHandling {}));
    for items in [1, 2, 3] {
        all.push(of(Fact::StepExpanded { items }));
        all.push(of(Fact::StepReleased { items }));
    }
    all.push(started());
    all.push(run(Fact::RunResumed { attended: true, tool: "t".into() }));
    all.push(run(Fact::RunPaused { reason: "r".into(), stop: false }));
    all.push(ending(false));
    all.push(run(Fact::RunFinished { status: RunStatus::Failed, reason: "r".into(), still_open: vec![] }));
    all.push(run(Fact::RunSealed {}));
    all.into_iter().map(|event| (label(&event), event)).collect()
}

/// The wire name and the one field that tells variants apart.
fn label(event: &Event) -> String {
    let fact = serde_json::to_value(&event.fact).expect("facts are JSON");
    let fields = ["status", "reason", "how", "role", "result", "kind"];
    let skipped = event.fact.name() == "step.skipped";
    let field = fields
        .iter()
        .filter(|name| **name != "reason" || skipped)
        .find_map(|name| fact["data"][*name].as_str());
    let alone = matches!(event.fact, Fact::AskAnswered { decision: Decision::BreakGlass, .. });
    let field = field.or(alone.then_some("break_glass"));
    let items = fact["data"]["items"].as_u64().map(|items| items.to_string());
    let parts = [Some(event.fact.name()), field, items.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn describe(state: &State) -> String {
    let step = state.find("s").expect("the step under test").1;
    let mut text = step.status.name().to_owned();
    if step.settled {
        text.push_str(", settled");
    }
    if let Some(running) = &step.running {
        let _ = write!(text, ", {} under way", running.role.name());
    }
    if step.ask.is_some() {
        text.push_str(", asked");
    }
    if let Some(compound) = step.compound.as_ref().filter(|compound| compound.entered || compound.batches > 0)
    {
        text.push_str(if compound.entered { ", entered" } else { ", not entered" });
        text.push_str(if compound.handling { ", handling" } else { "" });
        if !compound.order.is_empty() {
            let _ = write!(text, ", {} of {} released", compound.released, compound.order.len());
        }
    }
    text
}

fn table() -> String {
    let mut out = String::from(
        "# A state of a step, each event, and the state after it. Written by the test itself.\n",
    );
    for (name, state) in states() {
        let _ = writeln!(out, "\n## {name}");
        let mut illegal: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (label, event) in events(&state) {
            let mut next = state.clone();
            match next.apply(now(), &event) {
                Ok(()) => {
                    assert_eq!(next.scan(), *next.derived(), "{name}: {label}");
                    let _ = writeln!(out, "{label:<32} {}", describe(&next));
                }
                Err(error) => illegal.entry(error.why).or_default().push(label),
            }
        }
        for (why, labels) in illegal {
            let _ = writeln!(out, "illegal, {why}: {}", labels.join("; "));
        }
    }
    out
}

#[test]
fn the_table_is_as_written() {
    let table = table();
    if std::env::var_os("CONSIGNE_UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transitions/table.txt");
        std::fs::write(path, &table).expect("the table can be written");
        return;
    }
    let changed = TABLE.lines().zip(table.lines()).position(|(old, new)| old != new);
    let at = changed.unwrap_or_else(|| TABLE.lines().count().min(table.lines().count()));
    assert!(
        TABLE == table,
        "line {}: written `{}`, now `{}`; look at the change, then set CONSIGNE_UPDATE=1",
        at + 1,
        TABLE.lines().nth(at).unwrap_or_default(),
        table.lines().nth(at).unwrap_or_default()
    );
}

/// A final status is final: nothing but the voiding of an approval takes it back.
#[test]
fn what_is_settled_stays_settled() {
    for (name, state) in states() {
        let before = state.find("s").expect("the step under test").1.clone();
        for (label, event) in events(&state).into_iter().filter(|_| before.settled) {
            let mut next = state.clone();
            if next.apply(now(), &event).is_ok() && label != "approval.voided" {
                let after = next.find("s").expect("the step under test").1;
                assert_eq!((after.settled, after.status), (true, before.status), "{name}: {label}");
            }
        }
    }
}
