//! Gates, exhaustively: every sequence of what people, the clock and the machine can do to one, in every kind of
//! environment. An approval opens by enough entitled answers and by nothing else; a confirmation by a person, an
//! answers file, or the answer that its runbook declares for unattended runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::plan::*;
use consigne::runbook::template::Template;
use serde_json::json;

use crate::drive::begin;
use crate::people::{actor, answer};
use crate::rng::Rng;
use crate::sabotage::{act, gate, plan_of};

/// What can happen to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Says(&'static str, How, &'static str),
    /// Its time-out passes.
    Late,
    Cancel,
    Pause,
    Resume {
        attended: bool,
    },
}

const TIMEOUT: u64 = 1_000;

/// Alice starts the run and is an approver; bob and carol are approvers; erin becomes one by escalation; dave never.
fn moves(yes: &'static str) -> Vec<Move> {
    use How::*;
    vec![
        Move::Says("bob", OsUser, yes),
        Move::Says("carol", SshKey, yes),
        Move::Says("bob", Played, yes),
        Move::Says("carol", Answers, yes),
        Move::Says("alice", OsUser, yes),
        Move::Says("dave", OsUser, yes),
        Move::Says("erin", SshKey, yes),
        Move::Says("consigne", Policy, yes),
        Move::Says("consigne", Executor, yes),
        Move::Says("bob", OsUser, "no"),
        Move::Says("dave", SshKey, "no"),
        Move::Late,
        Move::Cancel,
        Move::Pause,
        Move::Resume { attended: true },
        Move::Resume { attended: false },
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Shut,
    Asked,
}

/// The model: what the gate ought to be after each move.
#[derive(Debug, Clone)]
struct Expected {
    gate: Gate,
    yes: BTreeSet<&'static str>,
    escalated: bool,
    paused: bool,
    /// Its time-out passed in a pause: nobody is heard any more, and it counts when the run goes on.
    lapsed: bool,
}

struct Setting {
    plan: Plan,
    approve: bool,
    attended: bool,
}

impl Setting {
    fn entitled(&self, expected: &Expected, who: &str, how: How) -> bool {
        let graph = &self.plan.graph;
        let way = match how {
            How::OsUser => !self.approve || graph.identity == Identity::Any,
            How::SshKey => true,
            How::Played => graph.role_play && graph.mode != Mode::Live,
            How::Answers => !self.approve,
            How::Policy | How::Executor => false,
        };
        way && (matches!(who, "bob" | "carol") || (who == "erin" && expected.escalated))
    }

    fn expect(&self, expected: &mut Expected, what: Move) {
        let node = &self.plan.graph.steps[0];
        let gate = node.gate.as_ref().expect("it is a gate");
        match what {
            Move::Says(who, how, said) => {
                if expected.gate != Gate::Asked || expected.lapsed || !self.entitled(expected, who, how) {
                    return;
                }
                if expected.yes.contains(who) {
                    return; // The same again, or a change of mind: one decision per person.
                }
                if said == "no" {
                    expected.gate = Gate::Shut;
                } else {
                    expected.yes.insert(who);
                    if expected.yes.len() >= gate.quorum as usize {
                        expected.gate = Gate::Open;
                    }
                }
            }
            Move::Late => {
                expected.lapsed = true;
                self.lapse(expected, gate);
            }
            Move::Cancel => {
                expected.paused = false;
                if expected.gate == Gate::Asked {
                    expected.gate = Gate::Shut;
                }
            }
            Move::Pause => expected.paused = true,
            Move::Resume { attended } => {
                expected.paused = false;
                if expected.gate == Gate::Asked && !attended && node.unattended {
                    expected.gate = Gate::Open;
                }
                self.lapse(expected, gate);
            }
        }
    }

    fn lapse(&self, expected: &mut Expected, gate: &GateNode) {
        if expected.paused || expected.gate != Gate::Asked || !std::mem::take(&mut expected.lapsed) {
            return;
        }
        if gate.on_timeout == OnTimeout::Escalate && !expected.escalated {
            expected.escalated = true;
        } else {
            expected.gate = Gate::Shut;
        }
    }

    fn play(&self, state: &mut State, now: &mut Timestamp, what: Move) {
        *now = now.plus(1);
        let input = match what {
            Move::Says(who, how, said) => Input::Answer(Box::new(answer(1, json!(said), actor(who, how)))),
            Move::Late => {
                *now = now.plus(TIMEOUT);
                Input::Tick
            }
            Move::Cancel => Input::Cancel { actor: actor("alice", How::OsUser), reason: "no".into() },
            Move::Pause => {
                Input::Pause { actor: actor("alice", How::OsUser), reason: "later".into(), stop: false }
            }
            Move::Resume { attended } => {
                Input::Resume { actor: actor("alice", How::OsUser), attended, tool: "test".into(), end: None }
            }
        };
        let _refused_or_not = decide(&self.plan, state, *now, input);
    }

    fn explore(
        &self,
        state: &State,
        now: Timestamp,
        expected: &Expected,
        depth: usize,
        played: &mut Vec<Move>,
    ) -> u64 {
        self.compare(state, expected, played);
        if depth == 0 || expected.gate != Gate::Asked {
            return 1;
        }
        let yes = if self.approve { "approve" } else { "yes" };
        let mut runs = 0;
        for what in moves(yes) {
            let (mut state, mut now, mut expected) = (state.clone(), now, expected.clone());
            self.play(&mut state, &mut now, what);
            self.expect(&mut expected, what);
            played.push(what);
            // What was decided in a pause comes to pass when the run goes on.
            if expected.paused && expected.gate != Gate::Asked {
                self.play(&mut state, &mut now, Move::Resume { attended: true });
                expected.paused = false;
            }
            runs += self.explore(&state, now, &expected, depth - 1, played);
            played.pop();
        }
        runs
    }

    fn compare(&self, state: &State, expected: &Expected, played: &[Move]) {
        let (gate, write) = (state.step(0), state.step(1));
        let is = match gate.status {
            Status::Succeeded => Gate::Open,
            Status::Rejected | Status::Cancelled | Status::Skipped => Gate::Shut,
            _ => Gate::Asked,
        };
        let graph = &self.plan.graph;
        let setting =
            format!("{:?} {:?} attended {} after {played:?}", graph.mode, graph.identity, self.attended);
        assert_eq!(is, expected.gate, "{setting}: {:?}", gate.status);
        assert_eq!(write.attempts > 0, expected.gate == Gate::Open, "{setting}");
    }
}

fn settings(approve: bool) -> Vec<Setting> {
    let mut all = Vec::new();
    for bits in 0..64 {
        let on = |bit: u32| bits & (1 << bit) != 0;
        let kind = if approve { Kind::Approve } else { Kind::Confirm };
        let (mut node, mut values) = gate("go", kind, 1, &[]);
        node.timeout_ms = Some(TIMEOUT);
        let policy = node.gate.as_mut().expect("it is a gate");
        if approve {
            policy.quorum = if on(0) { 2 } else { 1 };
            policy.covers = vec!["write".into()];
            policy.on_timeout = if on(1) { OnTimeout::Escalate } else { OnTimeout::Refuse };
            policy.escalate_to = vec!["boss".into()];
        } else if on(0) {
            node.unattended = true;
            values.unattended = Some(json!("yes"));
        } else if on(1) {
            continue;
        }
        let mut plan = plan_of(vec![(node, values), act("write", Effect::Write)]);
        plan.graph.mode = if on(2) { Mode::Drill } else { Mode::Live };
        plan.graph.role_play = on(3);
        plan.graph.identity = if on(4) { Identity::SshKey } else { Identity::Any };
        // Carol is a boss too, but what she may do she may do as an approver.
        all.push(Setting { plan, approve, attended: on(5) });
    }
    all
}

fn explore(approve: bool, depth: usize) -> u64 {
    let mut runs = 0;
    for setting in settings(approve) {
        let shape = Arc::new(Shape::new(setting.plan.graph.clone()).expect("well formed"));
        let mut state = State::new(shape, "run");
        let now = Timestamp::from_millis(1_000);
        let input = Input::Begin(Begin { actor: actor("alice", How::OsUser), ..begun(setting.attended) });
        let _begun = decide(&setting.plan, &mut state, now, input).expect("it begins");
        let declared = setting.plan.graph.steps[0].unattended && !setting.attended;
        let gate = if declared { Gate::Open } else { Gate::Asked };
        let expected =
            Expected { gate, yes: BTreeSet::new(), escalated: false, paused: false, lapsed: false };
        runs += setting.explore(&state, now, &expected, depth, &mut Vec::new());
    }
    runs
}

fn begun(attended: bool) -> Begin {
    match begin(&mut Rng::new(1), attended) {
        Input::Begin(begin) => begin,
        _ => unreachable!("it begins with a beginning"),
    }
}

#[test]
fn an_approval_opens_by_enough_entitled_answers_and_by_nothing_else() {
    let runs = explore(true, 3);
    assert!(runs > 50_000, "{runs}");
}

#[test]
fn a_confirmation_opens_by_a_person_a_file_or_its_declared_answer() {
    let runs = explore(false, 3);
    assert!(runs > 20_000, "{runs}");
}

/// The covered request is another one when its turn comes: here by a plan whose input was changed under the run.
#[test]
fn an_approval_is_void_when_what_it_covers_changes() {
    let plan = plan_of(vec![
        gate("go", Kind::Approve, 1, &["one", "two"]),
        act("one", Effect::Write),
        act("two", Effect::Write),
    ]);
    let mut changed = plan.clone();
    changed.values.inputs.insert("color".into(), json!("blue"));
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
    let at = |ms| Timestamp::from_millis(ms);
    let _begun = decide(&plan, &mut state, at(1), Input::Begin(begun(true))).expect("it begins");
    let yes = |ask| Input::Answer(Box::new(answer(ask, json!("approve"), actor("bob", How::OsUser))));
    let _voided = decide(&changed, &mut state, at(2), yes(1)).expect("bob may");
    assert_eq!(state.ask(1).map(|ask| ask.end), Some(Some(AskEnd::Voided)));
    assert_eq!(
        (state.step(0).status, state.step(1).attempts),
        (Status::Waiting, 0),
        "asked again, nothing begun"
    );
    let _started =
        decide(&changed, &mut state, at(3), yes(2)).expect("one person decides about each question");
    assert_eq!(state.step(1).status, Status::Running);
    assert_eq!(state.scan(), *state.derived());
    // Once more, between the two steps: the first has begun, the second has to wait for the third decision.
    let key = AttemptKey { step: "one".into(), item: None, attempt: 1 };
    let done = Outcome::bare(AttemptResult::Succeeded, "ok", at(4));
    let _next =
        decide(&plan, &mut state, at(4), Input::Finished { key, outcome: Box::new(done) }).expect("it ends");
    assert_eq!((state.step(0).status, state.step(2).attempts), (Status::Waiting, 0));
    let _third = decide(&plan, &mut state, at(5), yes(3)).expect("bob may");
    assert_eq!(state.step(2).status, Status::Running);
    assert_eq!(state.scan(), *state.derived());
}

/// A value that was not known at the opening stood as a reference: filling it, even by hand, is no difference.
#[test]
fn a_value_decided_later_does_not_void_an_approval() {
    let (mut read, values) = act("read", Effect::Read);
    read.outputs.push(OutputNode { name: "v".into(), public: false, kind: InputKind::Any });
    let (mut open, open_values) = gate("go", Kind::Approve, 1, &["write"]);
    open.above = false;
    let (write, mut write_values) = act("write", Effect::Write);
    let argv = vec![Template::parse("{{ steps.read.v }}").expect("well formed")];
    let action = Action::Argv(ProgramCall { argv, env: vec![], cwd: None });
    write_values.act =
        Some(ProbeOf { action, accept: Accept::default(), timeout_ms: None, artifacts: Vec::new() });
    let plan = plan_of(vec![(read, values), (open, open_values), (write, write_values)]);
    let mut state = State::new(Arc::new(Shape::new(plan.graph.clone()).expect("well formed")), "run");
    let at = |ms| Timestamp::from_millis(ms);
    let mut take = |ms, input| decide(&plan, &mut state, at(ms), input).expect("it is admitted");
    let _begun = take(1, Input::Begin(begun(true)));
    let _open = take(2, Input::Answer(Box::new(answer(1, json!("approve"), actor("bob", How::OsUser)))));
    let failed = Outcome::bare(AttemptResult::Failed, "exit", at(3));
    let key = AttemptKey { step: "read".into(), item: None, attempt: 1 };
    let _failed = take(3, Input::Finished { key, outcome: Box::new(failed) });
    let value = json!({"choice": "set_output", "outputs": {"v": "by hand"}});
    let _set = take(4, Input::Answer(Box::new(answer(2, value, actor("bob", How::OsUser)))));
    assert_eq!(state.ask(1).map(|ask| ask.end), Some(Some(AskEnd::Answered)));
    let request =
        state.request(&AttemptKey { step: "write".into(), item: None, attempt: 1 }).expect("it has begun");
    assert!(format!("{:?}", request.probe.action).contains("by hand"));
}
