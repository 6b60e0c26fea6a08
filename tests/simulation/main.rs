#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]
//! smoke
use consigne::clock::Timestamp;
use consigne::core::{self, *};
use consigne::engine::sim::{Sim, World};
use consigne::plan::*;
use consigne::runbook::template::Template;

struct Calm;
impl World for Calm {
    fn start(&mut self, _r: &AttemptRequest, now: Timestamp) -> Option<(u64, Outcome)> {
        Some((10, Outcome::bare(AttemptResult::Succeeded, "ok", now)))
    }
    fn stop(&mut self, _k: &AttemptKey, now: Timestamp) -> (u64, Outcome) {
        (1, Outcome::bare(AttemptResult::Cancelled, "cancelled", now))
    }
    fn asked(&mut self, _p: &Plan, s: &State, ask: u32, _n: Timestamp) -> Vec<(u64, Answer)> {
        let a = s.ask(ask).unwrap();
        let (w, _) = core::choices(a, false)[0].clone();
        vec![(5, Answer { ask, part: None, value: w[0].into(), comment: None, evidence: vec![], actor: Actor { who: "bob".into(), how: How::Played, played_by: None }, shown: None })]
    }
}
fn act() -> Probe {
    ProbeOf { action: Action::Argv(ProgramCall { argv: vec![Template::literal("true"), Template::parse("{{ step.started_at }}").unwrap()], env: vec![], cwd: None }), accept: Accept::default(), timeout_ms: None }
}
#[test]
fn smoke() {
    let mut graph = Graph { semantics: 1, runbook: "t".into(), mode: Mode::Drill, environment: None, protected: false, role_play: true, identity: Identity::Any, people: Populace::default(), max_in_flight: 4, deadline_ms: None, secrets: vec![], steps: vec![] };
    graph.people.people.insert("bob".into(), Person::default());
    graph.people.roles.insert("lead".into(), vec!["bob".into()]);
    let mut values = Values::default();
    let mut prev: Vec<String> = vec![];
    for (i, kind) in [Kind::Argv, Kind::Approve, Kind::Argv, Kind::Confirm, Kind::Argv].into_iter().enumerate() {
        let id = format!("s{i}");
        let mut n = StepNode::new(&id, kind, if kind == Kind::Argv { Effect::Write } else { Effect::Read });
        n.needs = prev.clone(); n.above = true;
        let mut v = StepValues::default();
        if kind == Kind::Argv { v.act = Some(act()); v.undo = Some(act()); n.undo = true; n.keyed = true; }
        if kind.is_gate() { n.gate = Some(GateNode { quorum: 1, who: Who { roles: vec!["lead".into()], not_starter: true, not_steps: vec![] }, escalate_to: vec![], on_timeout: OnTimeout::Refuse, on_reject_continue: false, covers: if i == 1 { vec!["s2".into()] } else { vec![] }, typed: false }); }
        prev = vec![id.clone()];
        values.steps.insert(id, v);
        graph.steps.push(n);
    }
    let plan = Plan { graph, values };
    let mut sim = Sim::new(&plan, "r1", Timestamp::from_millis(1000), Calm).unwrap();
    sim.input(Input::Begin(Begin { actor: Actor { who: "os:root".into(), how: How::OsUser, played_by: None }, attended: true, tool: "t".into(), lang: "en".into(), template: 1, plan: Default::default(), executor: "x".into() })).unwrap();
    assert_eq!(sim.run(1000), Phase::Finished);
    for e in sim.events() { println!("{:?} {} {:?}", e.step, e.fact.name(), e.fact); }
    assert_eq!(sim.state.status(), RunStatus::Succeeded);
}
