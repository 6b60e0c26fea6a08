//! States of what has steps of its own, and the way to each: a group, a list, rounds, a revert.

use consigne::core::event::Override;
use consigne::core::*;
use consigne::plan::*;

use super::{answered, closed, finish, fold, later, of, opened, plan, settled, start, started};

/// The same about another step than the one under test, or about an item.
fn at(step: &str, item: Option<u32>, event: Event) -> Event {
    Event { step: Some(step.into()), item, ..event }
}

/// What a step that runs does from its beginning to its end.
fn ends(step: &str, item: Option<u32>, status: Status) -> Vec<Event> {
    let result = if status == Status::Succeeded { AttemptResult::Succeeded } else { AttemptResult::Failed };
    let all = [start(1, Role::Do), finish(1, result, "r"), settled(status)];
    all.into_iter().map(|event| at(step, item, event)).collect()
}

fn member(id: &str, handles: bool) -> StepNode {
    let node = StepNode::new(id, Kind::Argv, Effect::Write);
    StepNode { within: Some("s".into()), handles, ..node }
}

/// A group `s` with a step that switches something, and what it does on failure.
fn group() -> Graph {
    let mut graph = plan(Kind::Group);
    graph.steps[0].effect = Effect::Read;
    graph.steps[0].group = Some(GroupNode { handlers: true, then_continue: true });
    let mut switches = member("m", false);
    switches.put_back = Some(PutBackNode { only_if: false, otherwise: OtherwisePutBack::Ask });
    graph.steps.extend([switches, member("h", true)]);
    graph
}

/// A step `s` for each of a list, the first before the others.
fn list() -> Graph {
    let mut graph = plan(Kind::Argv);
    graph.steps[0] = StepNode { conditional: true, ..StepNode::new("s", Kind::Argv, Effect::Write) };
    graph.steps[0].each = Some(EachNode {
        max_parallel: 1,
        canary: Some(CanaryNode { count: 1, ask: true, soak_ms: Some(1_000) }),
        max_targets: Some(2),
        max_failures: None,
        empty_ok: true,
        when_each: false,
    });
    graph
}

/// A group `s` in rounds, two at most.
fn rounds() -> Graph {
    let mut graph = plan(Kind::Group);
    graph.steps[0].repeat = Some(RepeatNode { max: 2, every_ms: Some(1_000) });
    graph.steps.push(member("m", false));
    graph
}

/// A step with an undo, and `s` that reverts it.
fn revert() -> Graph {
    let mut graph = plan(Kind::Revert);
    let mut done = StepNode::new("t", Kind::Argv, Effect::Write);
    done.undo = true;
    graph.steps.insert(0, done);
    graph.steps[1].needs = vec!["t".into()];
    graph.steps[1].reverts = vec!["t".into()];
    graph
}

pub fn states() -> Vec<(&'static str, State)> {
    let mut all = Vec::new();
    let mut add = |name, graph: Graph, parts: &[&[Event]]| {
        all.push((name, fold(graph, &[&[started()][..], &parts.concat()].concat())));
    };
    let entered = [of(Fact::StepEntered {})];
    let (good, bad) = (ends("m", None, Status::Succeeded), ends("m", None, Status::Failed));
    let back = [
        at("m", None, start(2, Role::PutBack)),
        at("m", None, finish(2, AttemptResult::Succeeded, "r")),
        at(
            "m",
            None,
            of(Fact::ReversalClosed { kind: Reversal::PutBack, how: ReversalEnd::Done, review_at: None }),
        ),
    ];
    let handling = [of(Fact::StepHandling {})];
    let handled = ends("h", None, Status::Succeeded);
    add("group ready", group(), &[]);
    add("group, a step of it is under way", group(), &[&entered, &good[..1]]);
    add("group, all of it is done, and something is switched", group(), &[&entered, &good]);
    add("group, all of it is done", group(), &[&entered, &good, &back]);
    add("group, a step of it has failed", group(), &[&entered, &bad]);
    add("group, it deals with a failure", group(), &[&entered, &bad, &handling]);
    add("group, it has dealt with a failure", group(), &[&entered, &bad, &handling, &handled, &back]);
    let over = [settled(Status::Succeeded)];
    add("group succeeded", group(), &[&entered, &good, &back, &over]);

    let two = [of(Fact::StepExpanded { items: 2 })];
    let first = [&two[..], &entered, &[of(Fact::StepReleased { items: 1 })]].concat();
    let one = ends("s", Some(1), Status::Succeeded);
    let asked = [opened(1, AskKind::Canary)];
    let yes = [answered(1, Decision::Yes), closed(1, AskEnd::Answered)];
    let all_of_it = [of(Fact::StepReleased { items: 2 })];
    let passed = [&first[..], &one, &asked, &yes, &all_of_it].concat();
    let (other, broken) = (ends("s", Some(2), Status::Succeeded), ends("s", Some(2), Status::Failed));
    let retry = [
        opened(2, AskKind::Failure),
        answered(2, Decision::Retry),
        closed(2, AskEnd::Answered),
        of(Fact::StepOverridden { how: Override::Retry }),
    ];
    let again = [of(Fact::StepExpanded { items: 1 })];
    add("list ready", list(), &[]);
    add("list ready, laid out ahead", list(), &[&two]);
    add("list, entered", list(), &[&two, &entered]);
    add("list, the first item is under way", list(), &[&first, &one[..1]]);
    add("list, the first item is done", list(), &[&first, &one]);
    add(
        "list, it waits before the others",
        list(),
        &[&first, &one, &[of(Fact::WaitStarted { due: later() })]],
    );
    add("list, somebody is asked about the others", list(), &[&first, &one, &asked]);
    add("list, the others may follow", list(), &[&first, &one, &asked, &yes]);
    add("list, the others have begun", list(), &[&passed]);
    add("list, all is done", list(), &[&passed, &other]);
    add("list, an item has failed", list(), &[&passed, &broken]);
    add("list, what failed is to be done again", list(), &[&passed, &broken, &retry]);
    add("list, what failed is done again", list(), &[&passed, &broken, &retry, &again]);

    let round = [of(Fact::StepExpanded { items: 1 })];
    let inside = |n| {
        let step = at("s", Some(n), of(Fact::StepEntered {}));
        let done = ends("m", Some(n), Status::Succeeded);
        [&[step][..], &done, &[at("s", Some(n), settled(Status::Succeeded))]].concat()
    };
    let waits = [of(Fact::WaitStarted { due: later() })];
    add("rounds ready", rounds(), &[]);
    add("rounds, entered", rounds(), &[&entered]);
    add("rounds, one is under way", rounds(), &[&entered, &round, &inside(1)[..1]]);
    add("rounds, one is over", rounds(), &[&entered, &round, &inside(1)]);
    add("rounds, waiting for the next", rounds(), &[&entered, &round, &inside(1), &waits]);
    add("rounds, the last is over", rounds(), &[&entered, &round, &inside(1), &round, &inside(2)]);
    let out = [opened(1, AskKind::Failure)];
    add("rounds, somebody is asked", rounds(), &[&entered, &round, &inside(1), &round, &inside(2), &out]);

    let did = ends("t", None, Status::Succeeded);
    let undone = [
        at("t", None, start(2, Role::Undo)),
        at("t", None, finish(2, AttemptResult::Succeeded, "r")),
        at(
            "t",
            None,
            of(Fact::ReversalClosed { kind: Reversal::Undo, how: ReversalEnd::Done, review_at: None }),
        ),
    ];
    add("revert ready", revert(), &[&did]);
    add("revert, something is to be reversed", revert(), &[&did, &entered]);
    add("revert, it is being reversed", revert(), &[&did, &entered, &undone[..1]]);
    add("revert, all is reversed", revert(), &[&did, &entered, &undone]);
    all
}
