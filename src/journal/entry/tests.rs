use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};

use super::*;
use crate::core::event::{
    AskEnd, AskKind, Decision, Ended, Override, Reversal, ReversalEnd, RunStatus, SkipReason, Status,
};
use crate::core::{AttemptResult, How, Role, VoidReason};
use crate::journal::salt::SeededSalt;
use crate::plan::{ErrorClass, Mode};

pub(crate) fn note(n: u64) -> Event {
    let hidden = [("text".to_owned(), format!("\"note {n}\""))].into();
    Event {
        step: None,
        item: None,
        attempt: None,
        actor: Some(Actor::executor()),
        fact: Fact::NoteRecorded {},
        hidden: Hidden(hidden),
    }
}

pub(crate) fn pending(n: u64) -> Pending {
    Pending { at: Timestamp::from_millis(n.cast_signed() * 1000), mono: n, events: vec![note(n)] }
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(items: &[T]) -> BoxedStrategy<T> {
    prop::sample::select(items.to_vec()).boxed()
}

/// Anything but U+007F, which a line cannot hold.
fn text() -> BoxedStrategy<String> {
    any::<String>().prop_map(|s| s.replace('\u{7f}', "")).boxed()
}

fn time() -> BoxedStrategy<Timestamp> {
    (0..253_402_300_799_999_i64).prop_map(Timestamp::from_millis).boxed()
}

fn integer() -> BoxedStrategy<u64> {
    prop_oneof![0..1000u64, Just(MAX_INTEGER)].boxed()
}

fn ascii() -> BoxedStrategy<String> {
    "[a-z][a-z0-9_.]{0,12}".prop_map(|s| s).boxed()
}

fn json_text() -> BoxedStrategy<String> {
    crate::journal::canonical::tests::values()
        .prop_map(|v| v.to_string().replace('\u{7f}', "\\u007f"))
        .boxed()
}

fn texts(
    keys: BoxedStrategy<String>,
    values: BoxedStrategy<String>,
) -> BoxedStrategy<BTreeMap<String, String>> {
    prop::collection::btree_map(keys, values, 0..4).boxed()
}

pub(crate) fn facts() -> impl Strategy<Value = Fact> {
    Union::new([run_facts(), step_facts(), attempt_facts(), ask_facts(), other_facts()].into_iter().flatten())
}

fn option(s: BoxedStrategy<String>) -> BoxedStrategy<Option<String>> {
    prop::option::of(s).boxed()
}

fn list() -> BoxedStrategy<Vec<String>> {
    prop::collection::vec(text(), 0..3).boxed()
}

fn run_facts() -> Vec<BoxedStrategy<Fact>> {
    vec![
        (
            text(),
            texts(ascii(), text()),
            any::<(u32, bool)>(),
            option(text()),
            one_of(&[Mode::Live, Mode::Drill]),
        )
            .prop_map(|(text, plan, (number, attended), environment, mode)| Fact::RunStarted {
                semantics: number,
                mode,
                runbook: text.clone(),
                environment,
                plan,
                tool: text.clone(),
                lang: text.clone(),
                template: number,
                attended,
                executor: text,
            })
            .boxed(),
        (any::<bool>(), text()).prop_map(|(attended, tool)| Fact::RunResumed { attended, tool }).boxed(),
        (any::<bool>(), text()).prop_map(|(stop, reason)| Fact::RunPaused { reason, stop }).boxed(),
        (one_of(&[Ended::Succeeded, Ended::Cancelled]), text(), any::<(bool, bool)>())
            .prop_map(|(outcome, reason, (undo, stop))| Fact::RunEnding { outcome, reason, undo, stop })
            .boxed(),
        (one_of(&[RunStatus::Succeeded, RunStatus::Refused]), text(), list())
            .prop_map(|(status, reason, still_open)| Fact::RunFinished { status, reason, still_open })
            .boxed(),
        Just(Fact::RunSealed {}).boxed(),
    ]
}

fn step_facts() -> Vec<BoxedStrategy<Fact>> {
    let statuses =
        one_of(&[Status::Pending, Status::Succeeded, Status::TimedOut, Status::Unknown, Status::Overridden]);
    vec![
        (one_of(&[SkipReason::When, SkipReason::NotNeeded]), option(text()))
            .prop_map(|(reason, cause)| Fact::StepSkipped { reason, cause })
            .boxed(),
        (statuses, text()).prop_map(|(status, reason)| Fact::StepSettled { status, reason }).boxed(),
        text().prop_map(|reason| Fact::StepUnknown { reason }).boxed(),
        one_of(&[Override::ByHand, Override::NotDone]).prop_map(|how| Fact::StepOverridden { how }).boxed(),
        any::<u32>().prop_map(|items| Fact::StepExpanded { items }).boxed(),
        any::<u32>().prop_map(|items| Fact::StepReleased { items }).boxed(),
        Just(Fact::StepEntered {}).boxed(),
        Just(Fact::StepHandling {}).boxed(),
        texts(ascii(), json_text()).prop_map(|outputs| Fact::StepImported { outputs }).boxed(),
    ]
}

fn attempt_facts() -> Vec<BoxedStrategy<Fact>> {
    vec![
        (one_of(&[Role::Do, Role::OnlyIf]), option(text()), integer(), any::<bool>())
            .prop_map(|(role, part, timeout_ms, keyed)| Fact::AttemptStarted {
                role,
                part,
                timeout_ms,
                keyed,
            })
            .boxed(),
        (
            one_of(&[AttemptResult::Succeeded, AttemptResult::TimedOut]),
            (text(), text()),
            prop::option::of(one_of(&[ErrorClass::TooMany, ErrorClass::Server])),
            prop::option::of((-1000..1000i64, integer())),
            (time(), time()),
            (texts(ascii(), json_text()), prop::collection::vec(ascii(), 0..3)),
        )
            .prop_map(|(result, (reason, worker), class, code, (started, finished), (outputs, sealed))| {
                let retry_after_ms = code.map(|c| c.1);
                let code = code.map(|c| c.0);
                Fact::AttemptFinished {
                    result,
                    reason,
                    class,
                    code,
                    retry_after_ms,
                    started,
                    finished,
                    worker,
                    outputs,
                    sealed,
                    artifacts: BTreeMap::new(),
                }
            })
            .boxed(),
        Just(Fact::AttemptInterrupted {}).boxed(),
        time().prop_map(|due| Fact::RetryScheduled { due }).boxed(),
        time().prop_map(|due| Fact::WaitStarted { due }).boxed(),
    ]
}

fn ask_facts() -> Vec<BoxedStrategy<Fact>> {
    vec![
        (
            any::<u32>(),
            one_of(&[AskKind::Approve, AskKind::PutBack]),
            prop::option::of(time()),
            list(),
            list(),
            option(text()),
        )
            .prop_map(|(ask, kind, expires, covers, parts, reason)| Fact::AskOpened {
                ask,
                kind,
                expires,
                covers,
                parts,
                reason,
            })
            .boxed(),
        (any::<u32>(), option(text()), one_of(&[Decision::Approve, Decision::LeaveOpen]))
            .prop_map(|(ask, part, decision)| Fact::AskAnswered { ask, part, decision })
            .boxed(),
        (any::<u32>(), prop::option::of(time()))
            .prop_map(|(ask, expires)| Fact::AskEscalated { ask, expires })
            .boxed(),
        (any::<u32>(), one_of(&[AskEnd::Answered, AskEnd::TimedOut]))
            .prop_map(|(ask, how)| Fact::AskClosed { ask, how })
            .boxed(),
        (any::<u32>(), text(), one_of(&[VoidReason::Changed, VoidReason::Filter]))
            .prop_map(|(ask, because, reason)| Fact::ApprovalVoided { ask, because, reason })
            .boxed(),
        (any::<u32>(), text(), text(), text(), any::<bool>())
            .prop_map(|(ask, file, sha256, signer, personal)| Fact::ApprovalAttested {
                ask,
                file,
                sha256,
                signer,
                personal,
            })
            .boxed(),
    ]
}

fn other_facts() -> Vec<BoxedStrategy<Fact>> {
    vec![
        (
            one_of(&[Reversal::Undo, Reversal::PutBack]),
            one_of(&[ReversalEnd::Done, ReversalEnd::LeftOpen]),
            prop::option::of(time()),
        )
            .prop_map(|(kind, how, review_at)| Fact::ReversalClosed { kind, how, review_at })
            .boxed(),
        integer().prop_map(|back_ms| Fact::ClockStepped { back_ms }).boxed(),
        (integer(), text()).prop_map(|(bytes, sha256)| Fact::JournalRecovered { bytes, sha256 }).boxed(),
        (integer(), text()).prop_map(|(size, head)| Fact::JournalExported { size, head }).boxed(),
        Just(Fact::NoteRecorded {}).boxed(),
    ]
}

/// One more than the last arm: a new variant makes this fail to compile, and then `facts` must learn it.
fn variants(fact: &Fact) -> usize {
    match fact {
        Fact::RunStarted { .. }
        | Fact::RunResumed { .. }
        | Fact::RunPaused { .. }
        | Fact::RunEnding { .. } => 31,
        Fact::RunFinished { .. }
        | Fact::RunSealed {}
        | Fact::StepSkipped { .. }
        | Fact::StepSettled { .. } => 31,
        Fact::StepUnknown { .. } | Fact::StepOverridden { .. } => 31,
        Fact::StepImported { .. } | Fact::StepExpanded { .. } => 31,
        Fact::StepEntered {} | Fact::StepReleased { .. } | Fact::StepHandling {} => 31,
        Fact::AttemptStarted { .. } | Fact::AttemptFinished { .. } | Fact::AttemptInterrupted {} => 31,
        Fact::RetryScheduled { .. } | Fact::WaitStarted { .. } | Fact::AskOpened { .. } => 31,
        Fact::AskAnswered { .. } | Fact::AskEscalated { .. } | Fact::AskClosed { .. } => 31,
        Fact::ApprovalVoided { .. } | Fact::ApprovalAttested { .. } | Fact::ReversalClosed { .. } => 31,
        Fact::ClockStepped { .. } | Fact::JournalRecovered { .. } | Fact::JournalExported { .. } => 31,
        Fact::NoteRecorded {} => 31,
    }
}

fn events() -> impl Strategy<Value = Event> {
    let actor = (text(), one_of(&[How::OsUser, How::SshKey, How::Played]), prop::option::of(text()))
        .prop_map(|(who, how, played_by)| Actor { who, how, played_by });
    let about =
        (prop::option::of(text()), any::<Option<u32>>(), any::<Option<u32>>(), prop::option::of(actor));
    (about, facts(), texts(ascii(), json_text())).prop_map(|((step, item, attempt, actor), fact, hidden)| {
        Event { step, item, attempt, actor, fact, hidden: Hidden(hidden) }
    })
}

fn entry(events: Vec<Event>) -> Entry {
    Entry {
        seq: 7,
        at: Timestamp::from_millis(1_764_000_000_123),
        mono: 12,
        run: "01JD3Q8Z6M".into(),
        prev: Hash::of(b"x"),
        nonce: [9; 16],
        next_key: None,
        events,
    }
}

fn disclosed(encoded: &Encoded) -> Disclosed {
    encoded.open.iter().map(|d| (d.digest(), d.clone())).collect()
}

#[test]
fn the_line_looks_like_this() {
    let fact = Fact::StepSettled { status: Status::TimedOut, reason: "timeout".into() };
    let event = Event { step: Some("isolate".into()), fact, hidden: Hidden::default(), ..note(1) };
    let encoded = entry(vec![event, note(1)]).encode(&mut SeededSalt::new(1)).unwrap();
    let expected = concat!(
        r#"{"at":"2025-11-24T16:00:00.123Z","events":[{"actor":{"how":"executor","who":"consigne"},"#,
        r#""data":{"reason":"timeout","status":"timed_out"},"step":"isolate","type":"step.settled"},"#,
        r#"{"actor":{"how":"executor","who":"consigne"},"#,
        r#""data":{"_sd":["8UU26sqPLNNGTze5rxP81iyGJ08-B2CK1Y6ycmbngLs"],"sd_names":["text"]},"type":"note.recorded"}],"#,
        r#""mono":12,"nonce":"09090909090909090909090909090909","#,
        r#""prev":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","run":"01JD3Q8Z6M","seq":7,"v":1}"#
    );
    assert_eq!(encoded.line, expected);
}

#[test]
fn every_kind_of_fact_is_tried() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (strategy, mut seen, mut all) = (facts(), BTreeSet::new(), 0);
    for _ in 0..2000 {
        let fact = strategy.new_tree(&mut runner).unwrap().current();
        all = variants(&fact);
        seen.insert(fact.name());
    }
    assert_eq!(seen.len(), all, "{seen:?}");
}

#[test]
fn what_no_line_can_hold_is_made_fit() {
    let fact = Fact::AttemptFinished {
        result: AttemptResult::Failed,
        reason: "a\u{7f}b".into(),
        class: None,
        code: Some(i64::MIN),
        retry_after_ms: Some(u64::MAX),
        started: Timestamp::from_millis(i64::MAX),
        finished: Timestamp::from_millis(i64::MIN),
        worker: String::new(),
        outputs: [("n".to_owned(), " [1.50,\"\u{7f}\"]".to_owned())].into(),
        sealed: Vec::new(),
        artifacts: BTreeMap::new(),
    };
    let encoded = entry(vec![Event { fact, ..note(1) }]).encode(&mut SeededSalt::new(1)).unwrap();
    let back = Entry::parse(encoded.line.as_bytes(), &Disclosed::new()).unwrap().entry;
    let Fact::AttemptFinished { reason, code, retry_after_ms, outputs, .. } = &back.events[0].fact else {
        panic!()
    };
    assert_eq!(reason, "a\u{fffd}b");
    assert_eq!((*code, *retry_after_ms), (Some(-9_007_199_254_740_991), Some(MAX_INTEGER)));
    assert_eq!(outputs["n"], r#"[1.50,"\u007f"]"#);
    let broken = Event { hidden: Hidden([("x".to_owned(), "not json".to_owned())].into()), ..note(1) };
    let refused = entry(vec![broken]).encode(&mut SeededSalt::new(1)).unwrap_err().to_string();
    assert!(refused.contains("events[0].data.x"), "{refused}");
}

#[test]
fn what_is_not_an_entry_is_refused() {
    let encoded = entry(vec![note(1)]).encode(&mut SeededSalt::new(1)).unwrap();
    let refused = |from: &str, to: &str| {
        let line = encoded.line.replacen(from, to, 1);
        assert_ne!(line, encoded.line, "{from}");
        Entry::parse(line.as_bytes(), &disclosed(&encoded)).unwrap_err().what
    };
    assert_eq!(refused("\"v\":1", "\"v\":2"), "an entry of version 2, expected 1");
    assert_eq!(refused(",\"v\":1", ""), "an entry of version none, expected 1");
    assert!(refused("\"v\":1", "\"v\":1,\"w\":1").contains("unknown field `w`"));
    assert!(refused(".123Z", "Z").contains("`at`"));
    assert!(refused("09090909", "0909090a0").contains("`nonce`"));
    assert!(refused("note.recorded", "note.removed").contains("event 0: not an event"));
    assert!(refused("\"_sd\":[\"", "\"_sd\":[\"x\",\"").contains("same length"));
    assert!(refused("\"_sd\":", "\"_se\":").contains("stand together"));
    assert!(
        refused("\"sd_names\":[\"text\"]", "\"sd_names\":[\"test\"]").contains("the disclosure of `test`")
    );
    assert!(refused("\"data\":{", "\"data\":{\"A\":1,").contains("not an event"));
    assert!(Entry::parse(&encoded.line.as_bytes()[1..], &Disclosed::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_entry_comes_back(events in prop::collection::vec(events(), 0..4), seed in any::<u64>(), keep in any::<u64>()) {
        let entry = entry(events);
        let encoded = entry.encode(&mut SeededSalt::new(seed)).unwrap();
        let open = disclosed(&encoded);
        let parsed = Entry::parse(encoded.line.as_bytes(), &open).unwrap();
        prop_assert_eq!(&parsed.entry, &entry);
        prop_assert_eq!(parsed.leaf, encoded.leaf);
        prop_assert_eq!(parsed.commitments.len(), encoded.open.len());

        let some: Disclosed = open.iter().enumerate().filter(|(i, _)| keep >> i & 1 == 1).map(|(_, (k, v))| (k.clone(), v.clone())).collect();
        let partly = Entry::parse(encoded.line.as_bytes(), &some).unwrap();
        let shown: usize = partly.entry.events.iter().map(|e| e.hidden.0.len()).sum();
        prop_assert_eq!((shown, &partly.commitments), (some.len(), &parsed.commitments));
    }

    #[test]
    fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), events in prop::collection::vec(events(), 1..2)) {
        let encoded = entry(events).encode(&mut SeededSalt::new(1)).unwrap();
        let mut line = encoded.line.into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = Entry::parse(&line, &Disclosed::new());
    }
}
