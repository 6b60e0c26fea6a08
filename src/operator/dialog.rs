//! The conversation about one question: prompts in, one answer out.
//!
//! Straight-line code over a [`Talker`], so that every kind of question can be tested without a terminal. It asks
//! for what the core will demand (a reason, evidence, values that a later step reads) before it answers; whether
//! the answer is taken is still the core's to say.

mod checklist;
mod choice;
mod role;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::evidence::EvidenceError;
use super::layout::words;
use super::parse::{self, Chosen, choose};
use super::question::{Choice, Field, Question};
use super::screen::one_line;
use super::wording::{Lang, Text};
use crate::clock::Timestamp;
use crate::core::{Answer, AskKind, Decision, EvidenceRef};
use crate::plan::Evidence;

/// Why a conversation stops without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The question is not open any more.
    Withdrawn,
    /// The question is another one now.
    Changed,
    /// The end of input.
    Hangup,
    Closed,
}

/// What can be completed in a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    Nothing,
    Words(Vec<String>),
    /// Words with white space between them.
    Several(Vec<String>),
    Files,
}

/// Somebody who reads and types.
pub(super) trait Reader {
    /// One line. Where a question is up, `?` is handled here: it shows the question again.
    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break>;
    fn print(&mut self, text: &str);
}

/// Somebody who answers questions of a run.
pub(super) trait Talker: Reader {
    fn keep(&mut self, path: &Path) -> Result<EvidenceRef, EvidenceError>;
    fn now(&self) -> Timestamp;
}

/// Asks until there is an answer.
pub(super) fn converse(talker: &mut dyn Talker, question: &Question, me: &str) -> Result<Answer, Break> {
    let mut dialog = Dialog { talker, q: question, me, early: None };
    let actor = dialog.actor()?;
    let said = dialog.said()?;
    Ok(Answer {
        ask: question.ask,
        part: said.part,
        value: said.value,
        comment: said.comment,
        evidence: said.evidence,
        actor,
        shown: question.view.clone(),
    })
}

fn line(reader: &mut dyn Reader, prompt: &str, offer: &Offer) -> Result<String, Break> {
    let prompt = one_line(prompt);
    reader.line(&format!("{prompt} > "), offer).map(|line| line.trim().to_owned())
}

/// One field of a form, asked until what is typed fits.
pub(super) fn field(
    reader: &mut dyn Reader,
    lang: Lang,
    field: &Field,
    called: &str,
) -> Result<Value, Break> {
    let default =
        field.default.as_ref().map(|value| format!(" [{}]", parse::shown(value))).unwrap_or_default();
    let prompt = format!("{called}{default}");
    let offer = match &field.one_of {
        Some(values) => Offer::Words(values.iter().map(parse::shown).collect()),
        None if field.kind == crate::plan::InputKind::File => Offer::Files,
        None => Offer::Nothing,
    };
    loop {
        let typed = line(reader, &prompt, &offer)?;
        let parsed = match (&field.default, typed.is_empty()) {
            (Some(default), true) => Ok(default.clone()),
            (None, true) => Err(lang.text(Text::ValueNeeded).to_owned()),
            (_, false) => parse::field(lang, field, &typed),
        };
        match parsed {
            Ok(value) => return Ok(value),
            Err(why) => reader.print(&format!("  {}\n", one_line(&why))),
        }
    }
}

/// An answer without its actor.
#[derive(Default)]
struct Said {
    part: Option<String>,
    value: Value,
    comment: Option<String>,
    evidence: Vec<EvidenceRef>,
}

struct Dialog<'a> {
    talker: &'a mut dyn Talker,
    q: &'a Question,
    me: &'a str,
    /// An answer that was typed before it was said who answers.
    early: Option<String>,
}

impl Dialog<'_> {
    fn text(&self, text: Text) -> &'static str {
        self.q.lang.text(text)
    }

    fn explain(&mut self, text: Text, values: &[(&str, &str)]) {
        let line = self.q.lang.fill(text, values);
        self.talker.print(&format!("  {}\n", one_line(&line)));
    }

    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        match self.early.take() {
            Some(typed) => Ok(typed),
            None => line(&mut *self.talker, prompt, offer),
        }
    }

    /// Finds what was typed among what is offered, or explains.
    fn found(&mut self, typed: &str, offered: &[Vec<&str>]) -> Option<usize> {
        let names = |at: &[usize]| at.iter().map(|at| offered[*at][0]).collect::<Vec<_>>().join(", ");
        let all: Vec<usize> = (0..offered.len()).collect();
        match choose(typed, offered) {
            Chosen::One(at) => return Some(at),
            Chosen::None if typed.is_empty() => self.explain(Text::PleaseAnswer, &[("words", &names(&all))]),
            Chosen::None => self.explain(Text::NoSuchWord, &[("word", typed), ("words", &names(&all))]),
            Chosen::Several(some) => {
                self.explain(Text::Ambiguous, &[("word", typed), ("words", &names(&some))])
            }
        }
        None
    }

    fn said(&mut self) -> Result<Said, Break> {
        match self.q.kind {
            AskKind::Input => self.form(),
            AskKind::Choice => choice::said(self),
            AskKind::Checklist => self.checklist(),
            AskKind::Confirm if self.q.typed.is_some() => self.typed(),
            AskKind::Approve | AskKind::Confirm | AskKind::Canary => {
                let choice = self.choice(&self.q.choices, &self.q.step)?;
                let comment = self.reason(false)?;
                Ok(Said { value: json!(choice.word), comment, ..Said::default() })
            }
            AskKind::Manual => {
                let choice = self.choice(&self.q.choices, &self.q.step)?;
                let evidence = if choice.decision == Decision::Done {
                    self.evidence(self.q.evidence)?
                } else {
                    Vec::new()
                };
                let comment = self.reason(false)?;
                Ok(Said { value: json!(choice.word), comment, evidence, ..Said::default() })
            }
            AskKind::Failure | AskKind::Unknown => self.trouble(),
            AskKind::Guard => {
                let choice = self.choice(&self.q.choices, &self.q.step)?;
                let comment = self.reason(choice.decision == Decision::GoOn)?;
                Ok(Said { value: json!(choice.word), comment, ..Said::default() })
            }
            AskKind::PutBack => self.put_back(),
        }
    }

    /// The ways to say each of the choices; what it is called comes first. "yes" and "done" mean the same.
    fn ways(&self, choices: &[Choice]) -> Vec<Vec<&'static str>> {
        let lang = self.q.lang;
        let ways = |choice: &Choice| {
            let mut ways = words(lang, [choice.decision]);
            if choice.word != ways[0] {
                ways.push(choice.word);
            }
            if choice.decision == Decision::Done && choice.word == "yes" {
                ways.push(lang.text(Text::WordYes));
            }
            ways
        };
        choices.iter().map(ways).collect()
    }

    /// One of the choices, by its word in either language.
    fn choice(&mut self, choices: &[Choice], about: &str) -> Result<Choice, Break> {
        let lang = self.q.lang;
        let names = words(lang, choices.iter().map(|choice| choice.decision));
        let offered = self.ways(choices);
        let prompt = format!("{about} ({})", names.join("/"));
        let offer = Offer::Words(names.iter().map(|name| (*name).to_owned()).collect());
        loop {
            let typed = self.line(&prompt, &offer)?;
            if let Some(at) = self.found(&typed, &offered) {
                return Ok(choices[at].clone());
            }
        }
    }

    fn reason(&mut self, required: bool) -> Result<Option<String>, Break> {
        loop {
            let text = self.text(if required { Text::ReasonNeeded } else { Text::ReasonOptional });
            let typed = self.line(text, &Offer::Nothing)?;
            match (typed.is_empty(), required) {
                (false, _) => return Ok(Some(typed)),
                (true, false) => return Ok(None),
                (true, true) => self.explain(Text::ReasonMissing, &[]),
            }
        }
    }

    fn evidence(&mut self, wanted: Evidence) -> Result<Vec<EvidenceRef>, Break> {
        let mut kept: Vec<EvidenceRef> = Vec::new();
        if wanted == Evidence::None {
            return Ok(kept);
        }
        loop {
            let text = match (wanted, kept.is_empty()) {
                (_, false) => Text::AnotherFile,
                (Evidence::Required, _) => Text::EvidenceNeeded,
                _ => Text::EvidenceOptional,
            };
            let typed = self.line(self.text(text), &Offer::Files)?;
            if typed.is_empty() {
                if wanted == Evidence::Required && kept.is_empty() {
                    self.explain(Text::EvidenceMissing, &[]);
                    continue;
                }
                return Ok(kept);
            }
            match self.talker.keep(&parse::path(&typed)) {
                Ok(file) => {
                    let (bytes, sha) =
                        (file.bytes.to_string(), file.sha256.get(..12).unwrap_or_default().to_owned());
                    self.explain(
                        Text::EvidenceKept,
                        &[("name", &file.name), ("bytes", &bytes), ("sha", &sha)],
                    );
                    kept.push(file);
                }
                Err(error) => self.talker.print(&format!("  {}\n", one_line(&error.to_string()))),
            }
        }
    }

    fn typed(&mut self) -> Result<Said, Break> {
        let typed = self.q.typed.clone().unwrap_or_default();
        let no = self.text(Text::WordNo);
        loop {
            self.explain(Text::TypeToConfirm, &[("typed", &typed), ("no", no)]);
            let line = self.line(&self.q.step, &Offer::Nothing)?;
            if line == typed.trim() {
                return Ok(Said { value: json!(typed), comment: self.reason(false)?, ..Said::default() });
            }
            if [no, "no"].contains(&line.to_lowercase().as_str()) {
                return Ok(Said { value: json!("no"), comment: self.reason(false)?, ..Said::default() });
            }
            self.explain(Text::NotTheWord, &[("typed", &typed)]);
        }
    }

    fn form(&mut self) -> Result<Said, Break> {
        let mut value = Map::new();
        for field in &self.q.fields {
            let given = self::field(&mut *self.talker, self.q.lang, field, &field.title)?;
            value.insert(field.name.clone(), given);
        }
        Ok(Said { value: Value::Object(value), ..Said::default() })
    }

    /// A step that failed, or whose outcome is not known.
    fn trouble(&mut self) -> Result<Said, Break> {
        let choice = self.choice(&self.q.choices, &self.q.step)?;
        let replaces = match choice.decision {
            Decision::ByHand | Decision::Skip | Decision::SetOutput => true,
            Decision::Done => self.q.kind == AskKind::Unknown,
            _ => false,
        };
        let comment = self.reason(replaces)?;
        let attested = matches!(choice.decision, Decision::ByHand | Decision::Done);
        let evidence = if attested { self.evidence(self.q.evidence)? } else { Vec::new() };
        let mut value = json!({"choice": choice.word});
        if replaces {
            let outputs = self.outputs(choice.decision == Decision::SetOutput)?;
            if !outputs.is_empty() {
                value["outputs"] = Value::Object(outputs);
            }
        }
        Ok(Said { value, comment, evidence, ..Said::default() })
    }

    /// Values for what a later step reads; with `any`, for every declared output that somebody wants to give.
    fn outputs(&mut self, any: bool) -> Result<Map<String, Value>, Break> {
        loop {
            let mut values = Map::new();
            for output in self.q.outputs.iter().filter(|output| any || output.needed) {
                let kind = self.text(parse::kind_name(&output.kind));
                let text = if output.needed { Text::OutputNeeded } else { Text::OutputOptional };
                let prompt = self.q.lang.fill(text, &[("name", &output.name), ("kind", kind)]);
                loop {
                    let typed = self.line(&prompt, &Offer::Nothing)?;
                    if typed.is_empty() && !output.needed {
                        break;
                    }
                    let parsed = if typed.is_empty() {
                        Err(self.text(Text::ValueNeeded).to_owned())
                    } else {
                        parse::value(self.q.lang, &output.kind, &typed)
                    };
                    match parsed {
                        Ok(value) => {
                            values.insert(output.name.clone(), value);
                            break;
                        }
                        Err(why) => self.talker.print(&format!("  {}\n", one_line(&why))),
                    }
                }
            }
            if !any || !values.is_empty() {
                return Ok(values);
            }
            self.explain(Text::NothingGiven, &[]);
        }
    }

    fn put_back(&mut self) -> Result<Said, Break> {
        let choice = self.choice(&self.q.choices, &self.q.step)?;
        if choice.decision == Decision::PutBack {
            return Ok(Said { value: json!(choice.word), comment: self.reason(false)?, ..Said::default() });
        }
        let comment = self.reason(true)?;
        if choice.decision != Decision::LeaveOpen {
            return Ok(Said { value: json!(choice.word), comment, ..Said::default() });
        }
        let owner = loop {
            let typed = self.line(self.text(Text::OwnerAsk), &Offer::Nothing)?;
            if !typed.is_empty() {
                break typed;
            }
            self.explain(Text::ValueNeeded, &[]);
        };
        let review = loop {
            let typed = self.line(self.text(Text::ReviewAsk), &Offer::Nothing)?;
            match parse::moment(self.talker.now(), &typed) {
                Some(at) => break at,
                None => self.explain(Text::NotAReview, &[]),
            }
        };
        let value = json!({"choice": choice.word, "owner": owner, "review_at": review.to_string()});
        Ok(Said { value, comment, ..Said::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::evidence::measure;
    use super::super::sample::*;
    use super::*;
    use crate::core::{Actor, AttemptResult, How, Input};
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
        let answer = converse(&mut typist, &world.questions().remove(0), me)
            .unwrap_or_else(|_| panic!("{}", typist.read));
        assert!(typist.lines.is_empty(), "{}", typist.read);
        (answer, typist.read)
    }

    pub(super) fn taken(world: &mut World, answer: Answer) {
        let _ = world.decide(Input::Answer(Box::new(answer))).unwrap();
    }

    #[test]
    fn an_approval_is_a_word_and_carries_what_was_shown() {
        let mut world =
            World::new(Mode::Live, false, "fr", vec![gate("go", Kind::Approve, &["s"]), call("s")]);
        let (answer, read) = typed(&world, "bob", &["", "oui", "app", "lu"]);
        assert_eq!(answer.value, json!("approve"));
        assert!(answer.shown.is_some());
        assert!(read.contains("« oui » n'est pas une réponse"), "{read}");
        assert_eq!(answer.comment.as_deref(), Some("lu"));
        taken(&mut world, answer);
    }

    #[test]
    fn role_play_asks_for_whom_and_records_by_whom() {
        let mut world =
            World::new(Mode::Drill, true, "en", vec![gate("go", Kind::Approve, &["s"]), call("s")]);
        let (answer, read) = typed(&world, "os:root", &["root", "b", "approve", ""]);
        assert!(read.contains("answer as (bob/carol)"), "{read}");
        assert_eq!(
            answer.actor,
            Actor { who: "bob".into(), how: How::Played, played_by: Some("os:root".into()) }
        );
        taken(&mut world, answer);
    }

    #[test]
    fn an_answer_typed_before_its_name_is_kept_until_the_name_is_said() {
        let world = World::new(Mode::Drill, true, "en", vec![gate("go", Kind::Approve, &["s"]), call("s")]);
        let (answer, read) = typed(&world, "os:root", &["approve", "bob", "seen"]);
        assert!(read.contains("first, who says \"approve\"?"), "{read}");
        assert_eq!((answer.value, answer.actor.who), (json!("approve"), "bob".to_owned()));
        let mut list = checklist("l", &[("one", false, Evidence::None), ("two", false, Evidence::None)]);
        list.0.in_order = true;
        let world = World::new(Mode::Drill, true, "fr", vec![list]);
        let (answer, read) = typed(&world, "os:root", &["oui", "bob"]);
        assert!(read.contains("d'abord, qui dit « oui » ?"), "{read}");
        assert_eq!((answer.part.as_deref(), answer.value), (Some("one"), json!("yes")));
    }

    #[test]
    fn an_item_is_confirmed_in_french_by_oui_as_by_fait() {
        for lines in [&["1 oui"][..], &["1 fait"], &["1 yes"], &["1", "OUI"]] {
            let list = checklist("l", &[("one", false, Evidence::None)]);
            let world = World::new(Mode::Live, false, "fr", vec![list]);
            let (answer, _) = typed(&world, "alice", lines);
            assert_eq!((answer.part.as_deref(), answer.value), (Some("one"), json!("yes")));
        }
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
        super::super::sample::typed("sure")
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
        let mut world =
            World::new(Mode::Live, false, "en", vec![toggle("mode"), gate("go", Kind::Confirm, &[])]);
        world.run(AttemptResult::Succeeded, "ok");
        let (no, _) = typed(&world, "alice", &["no", ""]);
        taken(&mut world, no);
        let lines = ["leave", "", "still sick", "", "carol", "soon", "4h"];
        let (answer, read) = typed(&world, "alice", &lines);
        assert_eq!(answer.value["owner"], json!("carol"));
        assert!(read.contains("neither a duration nor"), "{read}");
        taken(&mut world, answer);
    }
}
