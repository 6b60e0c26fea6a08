//! Every kind of question, answered by lines that are typed.

use std::collections::VecDeque;

use super::*;
use crate::core::{AttemptResult, Input};
use crate::operator::evidence::measure;
use crate::operator::sample::*;
use crate::plan::{Kind, Mode};

/// Types lines, remembers what it read.
struct Typist {
    lines: VecDeque<&'static str>,
    read: String,
}

impl Reader for Typist {
    fn line(&mut self, prompt: &str, _: &Offer) -> Result<String, Break> {
        self.read.push_str(prompt);
        let line = self.lines.pop_front().ok_or(Break::Hangup)?;
        self.read.push_str(&format!("{line}\n"));
        Ok(line.to_owned())
    }

    fn print(&mut self, text: &str) {
        self.read.push_str(text);
    }
}

impl Talker for Typist {
    fn keep(&mut self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
        measure(path)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000)
    }
}

/// The answer to the open question by these lines, all of which must be used, and what was read.
pub(super) fn typed(world: &World, me: &str, lines: &[&'static str]) -> (Answer, String) {
    let mut typist = Typist { lines: lines.iter().copied().collect(), read: String::new() };
    let answer =
        converse(&mut typist, &world.questions().remove(0), me).unwrap_or_else(|_| panic!("{}", typist.read));
    assert!(typist.lines.is_empty(), "{}", typist.read);
    (answer, typist.read)
}

pub(super) fn taken(world: &mut World, answer: Answer) {
    let _ = world.decide(Input::Answer(Box::new(answer))).unwrap();
}

#[test]
fn an_approval_is_a_word_and_carries_what_was_shown() {
    let mut world = World::new(Mode::Live, false, "fr", vec![gate("go", Kind::Approve, &["s"]), call("s")]);
    let (answer, read) = typed(&world, "bob", &["", "oui", "app", "lu"]);
    assert_eq!(answer.value, json!("approve"));
    assert!(answer.shown.is_some());
    assert!(read.contains("« oui » n'est pas une réponse"), "{read}");
    assert_eq!(answer.comment.as_deref(), Some("lu"));
    taken(&mut world, answer);
}

#[test]
fn role_play_asks_for_whom_and_records_by_whom() {
    let mut world = World::new(Mode::Drill, true, "en", vec![gate("go", Kind::Approve, &["s"]), call("s")]);
    let (answer, read) = typed(&world, "os:root", &["root", "b", "approve", ""]);
    assert!(read.contains("answer as (bob/carol)"), "{read}");
    assert_eq!(
        answer.actor,
        Actor { who: "bob".into(), how: How::Played, played_by: Some("os:root".into()) }
    );
    taken(&mut world, answer);
}

#[test]
fn a_typed_confirmation_takes_the_word_and_nothing_else() {
    let mut world = World::new(Mode::Live, false, "en", vec![typed_gate(), manual("m", Evidence::None)]);
    let (answer, read) = typed(&world, "alice", &["yes", "acm", "acme", ""]);
    assert_eq!(read.matches("nothing is confirmed").count(), 2, "{read}");
    taken(&mut world, answer);
    assert_eq!(world.questions().remove(0).step, "m");
}

fn typed_gate() -> Step {
    crate::operator::sample::typed("sure")
}

#[test]
fn a_form_is_asked_field_by_field_until_each_fits() {
    let mut world = World::new(Mode::Live, false, "en", vec![form("f"), manual("m", Evidence::None)]);
    let (answer, read) = typed(&world, "alice", &["many", "12", "", "7", "green", "", "maybe", "no"]);
    assert_eq!(answer.value, json!({"count": 7, "colour": "blue", "sure": false}));
    for why in ["a whole number", "at most 9", "a value is required", "one of: red, blue", "yes or no"] {
        assert!(read.contains(why), "{why} in {read}");
    }
    taken(&mut world, answer);
}

#[test]
fn a_checklist_is_answered_item_by_item_or_all_at_once() {
    let list = checklist(
        "l",
        &[
            ("one", true, Evidence::None),
            ("two", false, Evidence::Required),
            ("three", false, Evidence::None),
        ],
    );
    let mut world = World::new(Mode::Live, false, "en", vec![list]);
    world.run(AttemptResult::Failed, "expect");
    let (answer, read) = typed(&world, "alice", &["9", "1", "yes", "by", "", "it lies"]);
    assert_eq!((answer.part.as_deref(), answer.value.as_str()), (Some("one"), Some("by_hand")));
    assert!(read.contains("no open item \"9\"") && read.contains("a reason is required"), "{read}");
    taken(&mut world, answer);
    let (answer, _) = typed(&world, "alice", &["all"]);
    assert_eq!(answer.part, None);
    taken(&mut world, answer);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proof");
    std::fs::write(&path, "x").unwrap();
    let path: &'static str = Box::leak(path.display().to_string().into_boxed_str());
    let (answer, read) = typed(&world, "alice", &["all", "two yes", "", "/nowhere", path, ""]);
    assert!(read.contains("item by item") && read.contains("evidence is required"), "{read}");
    assert!(read.contains("cannot open `/nowhere`"), "{read}");
    assert_eq!(answer.evidence[0].bytes, 1);
    taken(&mut world, answer);
    assert_eq!(world.state.open_asks().count(), 0);
}

#[test]
fn an_override_asks_for_reason_and_for_the_values_that_are_read_later() {
    let mut world = World::new(Mode::Live, false, "en", vec![call("s"), reader("close", "s")]);
    world.run(AttemptResult::Failed, "status");
    let (answer, read) = typed(&world, "alice", &["s", "skip", "", "not today", "", "T-9"]);
    assert!(read.contains("\"s\" could be skip, set_output"), "{read}");
    assert_eq!(answer.value, json!({"choice": "skip", "outputs": {"ticket": "T-9"}}));
    taken(&mut world, answer);
    assert_eq!(world.questions().remove(0).prompt.as_deref(), Some("Ticket T-9, close it?"));
}

#[test]
fn an_unknown_outcome_is_declared_with_a_reason() {
    let mut world = World::new(Mode::Live, false, "en", vec![call("s")]);
    world.run(AttemptResult::Unknown, "reset");
    let (answer, _) = typed(&world, "alice", &["done", "seen in the console", ""]);
    assert_eq!(answer.value, json!({"choice": "done"}));
    taken(&mut world, answer);
}

#[test]
fn a_toggle_is_left_open_with_owner_and_review() {
    let mut world = World::new(Mode::Live, false, "en", vec![toggle("mode"), gate("go", Kind::Confirm, &[])]);
    world.run(AttemptResult::Succeeded, "ok");
    let (no, _) = typed(&world, "alice", &["no", ""]);
    taken(&mut world, no);
    let lines = ["leave", "", "still sick", "", "carol", "soon", "4h"];
    let (answer, read) = typed(&world, "alice", &lines);
    assert_eq!(answer.value["owner"], json!("carol"));
    assert!(read.contains("neither a duration nor"), "{read}");
    taken(&mut world, answer);
}
