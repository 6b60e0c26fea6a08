//! What can become of a guard, and of a step that waits for one.

use consigne::core::*;
use consigne::plan::*;

use super::{answered, closed, finish, fold, nth, opened, plan, start, started};

/// `s` is the guard, and there is a step that waits for it.
fn guard() -> Graph {
    let mut graph = plan(Kind::Argv);
    graph.steps[0].id = "w".into();
    graph.guards = vec![GuardNode { id: "s".into(), kind: Kind::Argv, every_ms: 60_000 }];
    graph
}

/// `s` waits for the guard `g`.
fn guarded() -> Graph {
    let mut graph = plan(Kind::Argv);
    graph.guards = vec![GuardNode { id: "g".into(), kind: Kind::Argv, every_ms: 60_000 }];
    graph
}

fn probe(attempt: u32, of: Option<&str>) -> Event {
    let part = of.map(str::to_owned);
    let fact = Fact::AttemptStarted { role: Role::Guard, part, timeout_ms: 1, keyed: false };
    nth(attempt, Event::of_step("g", fact))
}

fn probed(attempt: u32, result: AttemptResult) -> Event {
    Event { step: Some("g".into()), ..finish(attempt, result, "r") }
}

pub(super) fn states() -> Vec<(&'static str, State)> {
    use AttemptResult::{Failed, Succeeded};
    let under_way = start(1, Role::Guard);
    let doubt = [under_way.clone(), finish(1, Failed, "r")];
    let ask = opened(1, AskKind::Guard);
    let go_on = [ask.clone(), answered(1, Decision::GoOn), closed(1, AskEnd::Answered)];
    let retry = [ask.clone(), answered(1, Decision::Retry), closed(1, AskEnd::Answered)];
    let of = |events: &[Event]| fold(guard(), &[&[started()], events].concat());
    let step = |events: &[Event]| fold(guarded(), &[&[started()], events].concat());
    vec![
        ("guard", of(&[])),
        ("guard, its probe is under way", of(&[under_way])),
        ("guard in question", of(&doubt)),
        ("guard in question, somebody is asked", of(&[&doubt[..], &[ask]].concat())),
        ("guard in question, overruled", of(&[&doubt[..], &go_on].concat())),
        ("guard in question, to be asked again", of(&[&doubt[..], &retry].concat())),
        ("guarded step ready", step(&[])),
        ("guarded step ready, its guard is asked for it", step(&[probe(1, Some("s"))])),
        (
            "guarded step ready, its guard has held, for nothing",
            step(&[probe(1, None), probed(1, Succeeded)]),
        ),
        ("guarded step ready, its guard has held for it", step(&[probe(1, Some("s")), probed(1, Succeeded)])),
        ("guarded step ready, its guard is in question", step(&[probe(1, Some("s")), probed(1, Failed)])),
    ]
}
