//! The conversation about one question: prompts in, one answer out.
//!
//! Straight-line code over a [`Talker`], so that every kind of question can be tested without a terminal. It asks
//! for what the core will demand (a reason, evidence, values that a later step reads) before it answers; whether
//! the answer is taken is still the core's to say.

mod choice;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::evidence::EvidenceError;
use super::layout::words;
use super::parse::{self, Chosen, choose};
use super::question::{self, Choice, Field, Point, Question};
use super::screen::harmless;
use super::wording::{Lang, Text, consequence, word};
use crate::clock::Timestamp;
use crate::core::state::ItemState;
use crate::core::{Actor, Answer, AskKind, Decision, EvidenceRef, How};
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
    let mut dialog = Dialog { talker, q: question, me };
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
    let prompt = harmless(prompt).replace('\n', " ");
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
            Err(why) => reader.print(&format!("  {}\n", harmless(&why))),
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
}

impl Dialog<'_> {
    fn text(&self, text: Text) -> &'static str {
        self.q.lang.text(text)
    }

    fn explain(&mut self, text: Text, values: &[(&str, &str)]) {
        let line = self.q.lang.fill(text, values);
        self.talker.print(&format!("  {}\n", harmless(&line)));
    }

    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        line(&mut *self.talker, prompt, offer)
    }

    /// Who answers: the user, or with role play whom he names.
    fn actor(&mut self) -> Result<Actor, Break> {
        if !self.q.role_play {
            return Ok(question::actor(self.me, None, How::OsUser));
        }
        let mut people = self.q.who.people.clone();
        if self.q.who.may(self.me) && !people.iter().any(|person| person == self.me) {
            people.push(self.me.to_owned());
        }
        if people.is_empty() {
            return Ok(question::actor(self.me, None, How::OsUser));
        }
        let offered: Vec<Vec<&str>> = people.iter().map(|person| vec![person.as_str()]).collect();
        let prompt = format!("{} ({})", self.text(Text::AnswerAs), people.join("/"));
        loop {
            let typed = self.line(&prompt, &Offer::Words(people.clone()))?;
            if let Some(at) = self.found(&typed, &offered) {
                let who = &people[at];
                let plays = (who != self.me).then_some(who.as_str());
                return Ok(question::actor(self.me, plays, How::OsUser));
            }
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
            AskKind::Approve | AskKind::Confirm => {
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
            AskKind::PutBack => self.put_back(),
        }
    }

    /// One of the choices, by its word in either language.
    fn choice(&mut self, choices: &[Choice], about: &str) -> Result<Choice, Break> {
        let lang = self.q.lang;
        let names = words(lang, choices.iter().map(|choice| choice.decision));
        let offered: Vec<Vec<&str>> = if choices.iter().zip(&names).all(|(choice, name)| choice.word == *name)
        {
            names.iter().map(|name| vec![*name]).collect()
        } else {
            choices.iter().zip(&names).map(|(choice, name)| vec![*name, choice.word]).collect()
        };
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
                Err(error) => self.talker.print(&format!("  {}\n", harmless(&error.to_string()))),
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

    /// One item, or all that need nothing but a yes.
    fn checklist(&mut self) -> Result<Said, Break> {
        let all = self.text(Text::WordAll);
        let open: Vec<&Point> = self.q.open_items().collect();
        if self.q.in_order
            && let Some(first) = open.first()
        {
            return self.item(first, "");
        }
        let prompt = self.q.lang.fill(Text::WhichItem, &[("all", all)]);
        loop {
            let ids = open.iter().map(|item| item.id.clone()).chain([all.to_owned()]).collect();
            let typed = self.line(&prompt, &Offer::Words(ids))?;
            let (which, answer) = typed.split_once(' ').unwrap_or((&typed, ""));
            if [all, "all"].contains(&which.to_lowercase().as_str()) {
                let plain =
                    |item: &&&Point| item.state == ItemState::Open && item.evidence != Evidence::Required;
                if open.iter().any(|item| plain(&item)) {
                    return Ok(Said { value: json!("yes"), ..Said::default() });
                }
                self.explain(Text::WordUnanswerable, &[]);
                continue;
            }
            let number = which.trim_end_matches('.').parse::<usize>().ok();
            let numbered = number.and_then(|number| self.q.items.get(number.checked_sub(1)?));
            let named = || self.q.items.iter().find(|item| item.id == which);
            match numbered.or_else(named).filter(|item| item.state.is_open()) {
                Some(item) => return self.item(item, answer),
                None => self.explain(Text::NoSuchItem, &[("word", which)]),
            }
        }
    }

    /// One item. `answer` is what was typed behind its number.
    fn item(&mut self, item: &Point, answer: &str) -> Result<Said, Break> {
        let choices = self.q.item_choices(item);
        let names = words(self.q.lang, choices.iter().map(|choice| choice.decision));
        let offered: Vec<Vec<&str>> =
            choices.iter().zip(&names).map(|(choice, name)| vec![*name, choice.word]).collect();
        let choice = match choose(answer, &offered) {
            Chosen::One(at) => choices[at].clone(),
            _ => {
                for choice in &choices {
                    let name = self.text(word(choice.decision));
                    let line =
                        format!("  {name:10} {}\n", self.text(consequence(self.q.kind, choice.decision)));
                    self.talker.print(&line);
                }
                self.choice(&choices, &item.text)?
            }
        };
        let evidence = match choice.decision {
            Decision::Done | Decision::ByHand => self.evidence(item.evidence)?,
            _ => Vec::new(),
        };
        let comment = match choice.decision {
            Decision::ByHand => self.reason(true)?,
            Decision::No => self.reason(false)?,
            _ => None,
        };
        Ok(Said { part: Some(item.id.clone()), value: json!(choice.word), comment, evidence })
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
                        Err(why) => self.talker.print(&format!("  {}\n", harmless(&why))),
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
mod tests;
