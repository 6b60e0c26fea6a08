//! Whom somebody plays who answers in a practice environment, where one person plays all roles.
//!
//! Whoever types his answer before he has said who gives it is asked for the name, and has not to say it again.

use super::super::parse::{Chosen, choose};
use super::super::question::{self, Point};
use super::super::wording::Text;
use super::{Break, Dialog, Offer, line};
use crate::core::{Actor, AskKind, How};

impl Dialog<'_> {
    /// Who answers: the user, or with role play whom he names.
    pub(super) fn actor(&mut self) -> Result<Actor, Break> {
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
        let mut early = None;
        loop {
            let typed = line(&mut *self.talker, &prompt, &Offer::Words(people.clone()))?;
            if choose(&typed, &offered) == Chosen::None && self.answers(&typed) {
                let names = people.join(", ");
                self.explain(Text::FirstWho, &[("word", &typed), ("names", &names)]);
                early = Some(typed);
                continue;
            }
            if let Some(at) = self.found(&typed, &offered) {
                let who = &people[at];
                let plays = (who != self.me).then_some(who.as_str());
                self.early = early;
                return Ok(question::actor(self.me, plays, How::OsUser));
            }
        }
    }

    /// Whether this is already an answer to the question, and not to who gives it.
    fn answers(&self, typed: &str) -> bool {
        let (first, rest) = typed.split_once(' ').unwrap_or((typed, ""));
        match self.q.kind {
            AskKind::Checklist if !self.q.in_order => {
                let known = |item: &Point| item.state.is_open() && item.id == first;
                let numbered = first.trim_end_matches('.').parse::<usize>().is_ok();
                let all = [self.text(Text::WordAll), "all"].contains(&first.to_lowercase().as_str());
                numbered || all && rest.is_empty() || self.q.items.iter().any(known)
            }
            AskKind::Checklist => {
                let next = self.q.open_items().next().map(|item| self.q.item_choices(item));
                next.is_some_and(|next| matches!(choose(typed, &self.ways(&next)), Chosen::One(_)))
            }
            AskKind::Input => false,
            AskKind::Confirm if self.q.typed.is_some() => false,
            _ => matches!(choose(typed, &self.ways(&self.q.choices)), Chosen::One(_)),
        }
    }
}
