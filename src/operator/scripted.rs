//! Answers from a file, given in the name of the user of this process.
//!
//! Whatever the file does not name, or names with something that does not fit, is passed on to another operator: a
//! terminal, or nobody. An answer that was refused is not given again to the same question. To a gate each answer of the
//! file is given once: a gate that is asked again, since what it was about has changed, takes another answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::evidence::EvidenceStore;
use super::parse::shown;
use super::question::{Point, Question, actor};
use super::wording::{Lang, Text, refusal};
use super::{Operator, Reply};
use crate::core::{Answer, AskKind, How, Refused, picked};

/// Uses of one entry for what people are asked by the runbook, over the whole run: enough for a question that is
/// asked again, an end to one that is asked for ever.
const USES: u32 = 20;
/// Uses of one entry for what went wrong: a step that fails every time is not retried every time.
const USES_IN_TROUBLE: u32 = 3;
/// Uses of an entry for one item of one question, where `retry` asks the item again.
const USES_OF_ITEM: u32 = 3;

/// One entry of an answers file. Its id is `step` or `list/item`, and of one item of a loop `step:key` or `list:key/item`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScriptedAnswer {
    /// A word (`approve`, `yes` or true), the fields of a form, or an object with `choice`.
    pub value: Value,
    pub comment: Option<String>,
    pub evidence: Vec<PathBuf>,
    /// Whom to play; needs `role_play`.
    pub plays: Option<String>,
    /// What is said after it, each once.
    pub then: Vec<ScriptedAnswer>,
}

impl ScriptedAnswer {
    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.then)
    }

    /// The next answer to a gate: the first that has not been given. The journal knows what was, so it is the same after
    /// a crash; it knows it by who said it.
    fn unspent(&self, question: &Question, me: &str) -> Option<&Self> {
        let before = question.earlier.iter().filter(|earlier| earlier.same).flat_map(|earlier| &earlier.said);
        let before = before.map(|said| said.who.as_str());
        let mut given: Vec<&str> =
            before.chain(question.given.iter().map(|given| given.actor.who.as_str())).collect();
        self.all().find(|answer| {
            let who = answer.plays.as_deref().unwrap_or(me);
            let spent = given.iter().position(|said| *said == who);
            spent.map(|at| given.swap_remove(at)).is_none()
        })
    }

    /// The answer that is said for the nth time, counted from 0. A single one is said again.
    fn nth(&self, nth: usize) -> Option<&Self> {
        if self.then.is_empty() { Some(self) } else { self.all().nth(nth) }
    }
}

/// An operator that answers from a file first.
pub struct Scripted {
    answers: BTreeMap<String, ScriptedAnswer>,
    me: String,
    evidence: Box<dyn EvidenceStore>,
    replies: UnboundedSender<Reply>,
    inner: Box<dyn Operator>,
    /// Answered from the file and not decided yet: question to entry.
    pending: BTreeMap<u32, (String, Question)>,
    /// Entries that were tried for a question: never again (an item: up to its limit).
    tried: BTreeMap<(u32, String), u32>,
    uses: BTreeMap<(String, bool), u32>,
    passed: BTreeSet<u32>,
}

impl Scripted {
    pub fn new(
        answers: BTreeMap<String, ScriptedAnswer>,
        me: &str,
        evidence: Box<dyn EvidenceStore>,
        replies: UnboundedSender<Reply>,
        inner: Box<dyn Operator>,
    ) -> Self {
        Self {
            answers,
            me: me.to_owned(),
            evidence,
            replies,
            inner,
            pending: BTreeMap::new(),
            tried: BTreeMap::new(),
            uses: BTreeMap::new(),
            passed: BTreeSet::new(),
        }
    }

    /// The next answer to a question, with its id and the item it is for. Counts it as used.
    fn entry(&mut self, question: &Question) -> Option<(String, Option<String>, ScriptedAnswer)> {
        let mut candidates: Vec<(String, Option<Point>)> = Vec::new();
        // What is said for one item of a loop goes before what is said for all of them.
        let all = question.step.split(':').next().unwrap_or_default();
        for step in [question.step.as_str(), all] {
            if question.kind == AskKind::Checklist {
                let item = |item: &Point| (format!("{step}/{}", item.id), Some(item.clone()));
                let most = if question.in_order { 1 } else { usize::MAX };
                candidates.extend(question.open_items().take(most).map(item));
            }
            candidates.push((step.to_owned(), None));
            if all == question.step {
                break;
            }
        }
        for (id, item) in candidates {
            let Some(entry) = self.answers.get(&id) else { continue };
            let trouble = question.kind.is_trouble();
            let tried = self.tried.get(&(question.ask, id.clone())).copied().unwrap_or(0);
            let used = self.uses.get(&(format!("{} {id}", question.step), trouble)).copied().unwrap_or(0);
            let gate = matches!(question.kind, AskKind::Approve | AskKind::Confirm);
            let often = if item.is_some() {
                USES_OF_ITEM
            } else if gate {
                u32::try_from(entry.all().count()).unwrap_or(u32::MAX)
            } else {
                1
            };
            if tried >= often || used >= if trouble { USES_IN_TROUBLE } else { USES } {
                continue;
            }
            let next = if gate { entry.unspent(question, &self.me) } else { entry.nth(used as usize) };
            let Some(entry) = next.cloned() else {
                self.note(question.lang, Text::ScriptedSpent, &[("id", &id)]);
                continue;
            };
            if !fits(question, item.as_ref(), &entry.value) {
                // A form or a step that failed is asked under the same id as the step itself: not a mistake.
                if !trouble {
                    self.note(question.lang, Text::ScriptedMisfit, &[("id", &id)]);
                }
                continue;
            }
            if entry.plays.is_some() && !question.role_play {
                self.note(question.lang, Text::ScriptedNoPlay, &[("id", &id)]);
                continue;
            }
            *self.tried.entry((question.ask, id.clone())).or_default() += 1;
            *self.uses.entry((format!("{} {id}", question.step), trouble)).or_default() += 1;
            return Some((id, item.map(|item| item.id), entry));
        }
        None
    }

    fn note(&mut self, lang: Lang, text: Text, values: &[(&str, &str)]) {
        let line = lang.fill(text, values);
        self.inner.say(&line);
    }

    /// Answers from the file, or passes the question on.
    fn answer(&mut self, question: Question) {
        let Some((id, part, entry)) = self.entry(&question) else {
            self.passed.insert(question.ask);
            return self.inner.ask(question);
        };
        let mut evidence = Vec::new();
        for path in &entry.evidence {
            match self.evidence.keep(path) {
                Ok(kept) => evidence.push(kept),
                Err(error) => {
                    self.inner.say(&format!("{id}: {error}"));
                    self.passed.insert(question.ask);
                    return self.inner.ask(question);
                }
            }
        }
        let value = normalised(&question, part.as_deref(), &entry.value);
        let role = entry.plays.as_ref().map(|who| question.lang.fill(Text::ScriptedAs, &[("who", who)]));
        let text = [("id", id.as_str()), ("value", &shown(&value)), ("as", role.as_deref().unwrap_or(""))];
        self.note(question.lang, Text::Scripted, &text);
        let answer = Answer {
            ask: question.ask,
            part,
            value,
            comment: entry.comment,
            evidence,
            actor: actor(&self.me, entry.plays.as_deref(), How::Answers),
            shown: None,
        };
        self.pending.insert(question.ask, (id, question));
        // A driver that does not listen any more is about to close.
        let _ = self.replies.send(Reply::Answer(Box::new(answer)));
    }
}

impl Operator for Scripted {
    fn ask(&mut self, question: Question) {
        self.pending.remove(&question.ask);
        if self.passed.contains(&question.ask) {
            self.inner.ask(question);
        } else {
            self.answer(question);
        }
    }

    fn withdraw(&mut self, ask: u32, note: &str) {
        self.pending.remove(&ask);
        if self.passed.remove(&ask) {
            self.inner.withdraw(ask, note);
        }
    }

    fn refused(&mut self, ask: u32, why: &Refused) {
        match self.pending.remove(&ask) {
            Some((id, question)) => {
                self.note(
                    question.lang,
                    Text::Refused,
                    &[("message", &format!("{id}: {}", refusal(question.lang, why)))],
                );
                // What was refused once is not said again.
                self.tried.insert((ask, id), u32::MAX);
                self.answer(question);
            }
            None => self.inner.refused(ask, why),
        }
    }

    fn say(&mut self, line: &str) {
        self.inner.say(line);
    }

    fn remind(&mut self, line: &str) {
        self.inner.remind(line);
    }

    fn redraw(&mut self) {
        self.inner.redraw();
    }

    fn forget(&mut self) {
        self.pending.clear();
        self.tried.clear();
        self.passed.clear();
        self.inner.forget();
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Whether an entry can be meant for this question at all.
fn fits(question: &Question, item: Option<&Point>, value: &Value) -> bool {
    if question.kind == AskKind::Input {
        return value.is_object();
    }
    if question.kind == AskKind::Choice {
        return picked(&question.options, question.many, value).is_ok();
    }
    let choice = value.get("choice").unwrap_or(value);
    let word = match choice {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => shown(other),
    };
    let (choices, known): (_, &[&str]) = match item {
        // Whether it is the right one is judged where it is said, and what is wrong is refused.
        Some(item) if item.read_back.is_some() => return !word.trim().is_empty(),
        Some(item) => (question.item_choices(item), &["done"]),
        None => (question.choices.clone(), &["yes", "no", "done"]),
    };
    let people = !matches!(question.kind, AskKind::Failure | AskKind::Unknown | AskKind::PutBack);
    question.typed.as_deref() == Some(word.as_str())
        || choices.iter().any(|choice| choice.word == word)
        || (word == "break_glass" && question.glass.is_some())
        || (people && known.contains(&word.as_str()))
}

/// A number that is the word to type, or to be read back, is that word.
fn normalised(question: &Question, part: Option<&str>, value: &Value) -> Value {
    let back = part
        .is_some_and(|part| question.items.iter().any(|item| item.id == part && item.read_back.is_some()));
    match value {
        Value::Number(number) if back || question.typed.is_some() => Value::from(number.to_string()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::super::evidence::{EvidenceError, measure};
    use super::super::sample::*;
    use super::*;
    use crate::core::{AttemptResult, EvidenceRef, Input};
    use crate::plan::{Evidence, Kind, Mode};

    struct Measured;

    impl EvidenceStore for Measured {
        fn keep(&self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
            measure(path)
        }
    }

    /// Notes what reaches it.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Operator for Seen {
        fn ask(&mut self, question: Question) {
            self.0.lock().unwrap().push(format!("ask {}", question.step));
        }

        fn withdraw(&mut self, ask: u32, note: &str) {
            self.0.lock().unwrap().push(format!("withdraw {ask} {note}"));
        }

        fn refused(&mut self, _: u32, why: &Refused) {
            self.0.lock().unwrap().push(format!("refused {}", why.code));
        }

        fn say(&mut self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }

        fn redraw(&mut self) {}

        fn close(&mut self) {}
    }

    fn scripted(answers: &[(&str, ScriptedAnswer)]) -> (Scripted, Seen, UnboundedReceiver<Reply>) {
        let (replies, received) = unbounded_channel();
        let seen = Seen::default();
        let answers = answers.iter().map(|(id, answer)| ((*id).to_owned(), answer.clone())).collect();
        let operator = Scripted::new(answers, "os:root", Box::new(Measured), replies, Box::new(seen.clone()));
        (operator, seen, received)
    }

    fn says(value: Value) -> ScriptedAnswer {
        ScriptedAnswer { value, ..ScriptedAnswer::default() }
    }

    /// Plays the driver until the file has nothing more to say. Returns the refusals.
    fn drive(
        world: &mut World,
        operator: &mut Scripted,
        replies: &mut UnboundedReceiver<Reply>,
    ) -> Vec<&'static str> {
        let mut refusals = Vec::new();
        let mut asked = BTreeSet::new();
        for _ in 0..100 {
            let open: Vec<u32> = world.state.open_asks().map(|ask| ask.id).collect();
            for ask in open.into_iter().filter(|ask| asked.insert(*ask)) {
                operator.ask(Question::of(&world.plan, &world.state, ask).unwrap());
            }
            let Ok(Reply::Answer(answer)) = replies.try_recv() else { return refusals };
            let ask = answer.ask;
            match world.decide(Input::Answer(answer)) {
                Err(why) => {
                    refusals.push(why.code);
                    operator.refused(ask, &why);
                }
                Ok(_) => match Question::of(&world.plan, &world.state, ask) {
                    Some(question) => operator.ask(question),
                    None => operator.withdraw(ask, ""),
                },
            }
            world.run(AttemptResult::Failed, "expect");
        }
        panic!("the file answers for ever");
    }

    #[test]
    fn a_file_answers_every_kind_it_names() {
        let items = [("one", false, Evidence::None), ("two", false, Evidence::None)];
        let steps = vec![typed("sure"), form("f"), checklist("l", &items), manual("m", Evidence::None)];
        let mut world = World::new(Mode::Live, false, "en", steps);
        let (mut operator, seen, mut replies) = scripted(&[
            ("sure", says(json!("acme"))),
            ("f", says(json!({"count": 3, "sure": true}))),
            ("l/one", says(json!(true))),
            ("l", says(json!("yes"))),
            ("m", says(json!("done"))),
        ]);
        assert!(drive(&mut world, &mut operator, &mut replies).is_empty());
        assert_eq!(world.state.open_asks().count(), 0, "{:?}", seen.0.lock().unwrap());
        let (_, step) = world.state.find("m").unwrap();
        assert_eq!(step.human.as_ref().map(|human| human.by.how), Some(How::Answers));
    }

    #[test]
    fn what_the_file_does_not_name_goes_on() {
        let mut world = World::new(Mode::Live, false, "en", vec![gate("go", Kind::Confirm, &[])]);
        let (mut operator, seen, mut replies) = scripted(&[]);
        drive(&mut world, &mut operator, &mut replies);
        operator.withdraw(1, "answered by bob");
        assert_eq!(*seen.0.lock().unwrap(), ["ask go", "withdraw 1 answered by bob"]);
    }

    #[test]
    fn rule_05_a_file_opens_an_approval_only_by_role_play() {
        let steps = || vec![gate("go", Kind::Approve, &["s"]), call("s")];
        let mut world = World::new(Mode::Live, false, "en", steps());
        let (mut operator, seen, mut replies) = scripted(&[("go", says(json!("approve")))]);
        assert_eq!(drive(&mut world, &mut operator, &mut replies), ["not-entitled"]);
        assert!(
            seen.0.lock().unwrap().contains(&"ask go".to_owned()),
            "refused once, then a person is asked"
        );

        let played = ScriptedAnswer { plays: Some("bob".into()), ..says(json!("approve")) };
        let mut world = World::new(Mode::Live, false, "en", steps());
        let (mut operator, seen, mut replies) = scripted(&[("go", played.clone())]);
        assert!(drive(&mut world, &mut operator, &mut replies).is_empty());
        assert!(seen.0.lock().unwrap()[0].contains("role_play"));

        let mut world = World::new(Mode::Drill, true, "en", steps());
        let (mut operator, _, mut replies) = scripted(&[("go", played)]);
        drive(&mut world, &mut operator, &mut replies);
        let (_, step) = world.state.find("go").unwrap();
        assert_eq!(step.human.as_ref().map(|human| human.by.who.as_str()), Some("bob"));
    }

    #[test]
    fn a_step_that_fails_every_time_is_not_retried_for_ever() {
        let mut world = World::new(Mode::Live, false, "en", vec![call("s")]);
        world.run(AttemptResult::Failed, "status");
        let (mut operator, seen, mut replies) = scripted(&[("s", says(json!("retry")))]);
        drive(&mut world, &mut operator, &mut replies);
        let asked = seen.0.lock().unwrap().iter().filter(|line| line.contains("retry")).count();
        assert_eq!(asked, 3);
        assert_eq!(seen.0.lock().unwrap().last().map(String::as_str), Some("ask s"));
    }

    #[test]
    fn an_item_whose_probe_keeps_saying_no_is_left_to_a_person() {
        let mut world =
            World::new(Mode::Live, false, "en", vec![checklist("l", &[("one", true, Evidence::None)])]);
        world.run(AttemptResult::Failed, "expect");
        let (mut operator, seen, mut replies) = scripted(&[("l/one", says(json!("retry")))]);
        drive(&mut world, &mut operator, &mut replies);
        assert_eq!(seen.0.lock().unwrap().last().map(String::as_str), Some("ask l"));
    }
}
