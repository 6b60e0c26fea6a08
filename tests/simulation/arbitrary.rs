//! Arbitrary inputs, most of them nonsense: deciding never panics (an illegal event would be a panic), a refusal
//! leaves the state as it was, and what is decided can be folded again.

use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::*;
use consigne::plan::*;
use serde_json::json;

use crate::checkers::at_live;
use crate::drive::{Driven, begin, judged};
use crate::people::{actor, answer, evidence};
use crate::plans;
use crate::rng::Rng;
use crate::runs::all;

const WORDS: [&str; 18] = [
    "yes",
    "no",
    "approve",
    "reject",
    "done",
    "not_done",
    "retry",
    "by_hand",
    "skip",
    "set_output",
    "undo_end",
    "end",
    "put_back",
    "leave_open",
    "go-red",
    "go-green",
    "go-blue",
    "nonsense",
];

fn word(rng: &mut Rng) -> serde_json::Value {
    let word = rng.pick(&WORDS);
    match rng.upto(6) {
        0 => json!({"choice": word, "outputs": {"v": rng.below(3), "w": null}}),
        1 => json!({"choice": word, "owner": 1, "review_at": "2030-01-01T00:00:00Z"}),
        2 => {
            rng.pick(&[json!(null), json!(3), json!([]), json!({"v": "red"}), json!({"v": {}}), json!(true)])
        }
        _ => json!(word),
    }
}

fn somebody(rng: &mut Rng) -> Actor {
    let ways = [How::OsUser, How::OsUser, How::SshKey, How::Played, How::Answers, How::Policy, How::Executor];
    actor(rng.pick(&["alice", "bob", "carol", "dave", "erin", "os:root", ""]), rng.pick(&ways))
}

fn outcome(rng: &mut Rng, now: Timestamp) -> Outcome {
    let results = [
        AttemptResult::Succeeded,
        AttemptResult::Succeeded,
        AttemptResult::Failed,
        AttemptResult::TimedOut,
        AttemptResult::Cancelled,
        AttemptResult::Unknown,
    ];
    let mut outcome =
        Outcome::bare(rng.pick(&results), rng.pick(&["ok", "absent", "exit", "", "interrupted"]), now);
    outcome.class = rng.percent(50).then(|| {
        rng.pick(&[
            ErrorClass::Connect,
            ErrorClass::Timeout,
            ErrorClass::Server,
            ErrorClass::Expect,
            ErrorClass::Other,
        ])
    });
    outcome.retry_after_ms = rng.percent(10).then(|| rng.pick(&[0, 5, 1_000_000]));
    for name in ["v", "w", "undeclared", "outcome"] {
        if rng.percent(30) {
            outcome.outputs.insert(name.into(), Json::of(&json!({"deep": [rng.below(4)]})));
        }
    }
    outcome
}

fn arbitrary(rng: &mut Rng, plan: &Plan, state: &State, now: Timestamp) -> Input {
    let step = rng.pick(&plan.graph.steps).id.clone();
    match rng.upto(20) {
        0..=6 => {
            let running: Vec<AttemptKey> =
                state.derived().in_flight.iter().filter_map(|step| state.running_key(*step)).collect();
            let wild = AttemptKey {
                step,
                item: rng.percent(5).then_some(0),
                attempt: u32::try_from(rng.below(4)).unwrap_or(0),
            };
            let key = if running.is_empty() || rng.percent(15) { wild } else { rng.pick(&running) };
            Input::Finished { key, outcome: Box::new(outcome(rng, now)) }
        }
        7..=13 => {
            let open: Vec<u32> = state.open_asks().map(|ask| ask.id).collect();
            let wild = u32::try_from(rng.below(5)).unwrap_or(0);
            let ask = if open.is_empty() || rng.percent(15) { wild } else { rng.pick(&open) };
            let mut answer = answer(ask, word(rng), somebody(rng));
            answer.part = rng.percent(30).then(|| rng.pick(&["i0", "i1", "i2", "other"]).to_owned());
            answer.evidence = if rng.percent(50) { evidence() } else { vec![] };
            answer.comment = answer.comment.filter(|_| rng.percent(80));
            answer.shown = rng.percent(5).then(|| "{}".to_owned());
            Input::Answer(Box::new(answer))
        }
        14 => Input::Pause { actor: somebody(rng), reason: String::new(), stop: rng.percent(50) },
        15 | 16 => Input::Resume {
            actor: somebody(rng),
            attended: rng.percent(50),
            tool: String::new(),
            end: rng.percent(10).then(String::new),
        },
        17 if rng.percent(20) => Input::Cancel { actor: somebody(rng), reason: String::new() },
        17 => Input::Note { actor: somebody(rng), text: "x".into() },
        18 => rng.pick(&[
            Input::Journal(JournalInput::Sealed),
            Input::Journal(JournalInput::Recovered { bytes: 1, sha256: String::new() }),
            Input::Journal(JournalInput::Exported { size: 1, head: String::new() }),
            Input::Journal(JournalInput::Attested {
                ask: 1,
                file: String::new(),
                sha256: String::new(),
                signer: String::new(),
                personal: true,
            }),
        ]),
        _ => Input::Tick,
    }
}

fn one(seed: u64, plan: &Plan) -> Driven {
    let mut rng = Rng::stream(seed, 8);
    let shape = Arc::new(Shape::new(plan.graph.clone()).expect("well formed"));
    let (mut state, mut shadow) = (State::new(shape.clone(), "run"), State::new(shape, "run"));
    let mut driven = Driven { entries: Vec::new(), objections: Vec::new(), snapshots: Vec::new() };
    let mut now = Timestamp::from_millis(50_000);
    for turn in 0..150 {
        now = if rng.percent(5) { Timestamp::from_millis(40_000) } else { now.plus(rng.below(900)) };
        let begins = turn == 0 || rng.percent(2);
        let attended = rng.percent(60);
        let input = if begins { begin(&mut rng, attended) } else { arbitrary(&mut rng, plan, &state, now) };
        let before = state.clone();
        match decide(plan, &mut state, now, input) {
            Err(_) if state != before => {
                driven.objections.push(("refusal", "a refusal changed the state".into()))
            }
            Err(_) => {}
            Ok(entry) => {
                crate::drive::note(&entry);
                for event in &entry.events {
                    if let Err(illegal) = shadow.apply(entry.at, event) {
                        driven.objections.push(("L2", illegal.to_string()));
                    }
                }
                driven.objections.extend(at_live(&state, &shadow));
                driven.entries.push(entry);
            }
        }
    }
    driven
}

#[test]
fn deciding_never_panics_and_is_always_legal() {
    let runs = all(1, 2_500, |seed| {
        let plan = plans::random(&mut Rng::stream(seed, 9), 10);
        judged(seed, &plan, || one(seed, &plan)).map(|_| 1)
    });
    assert_eq!(runs, 2_500);
}
