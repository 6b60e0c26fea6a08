//! The conversation about a checklist: one item, or all that are left.

use serde_json::json;

use super::super::parse::{Chosen, choose};
use super::super::question::Point;
use super::super::wording::{Text, consequence, word};
use super::{Break, Dialog, Offer, Said};
use crate::core::Decision;
use crate::core::state::ItemState;
use crate::plan::Evidence;

impl Dialog<'_> {
    /// One item, or all that need nothing but a yes.
    pub(super) fn checklist(&mut self) -> Result<Said, Break> {
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
                let more = |item: &Point| item.evidence == Evidence::Required || item.read_back.is_some();
                let plain = |item: &&&Point| item.state == ItemState::Open && !more(item);
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
        if let Some(expected) = &item.read_back {
            return self.read_back(item, expected, answer);
        }
        let choices = self.q.item_choices(item);
        let choice = match choose(answer, &self.ways(&choices)) {
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

    /// An item that is ticked by what it shows, asked until that is typed, or until it is said not to hold.
    fn read_back(&mut self, item: &Point, expected: &str, answer: &str) -> Result<Said, Break> {
        let no = self.text(Text::WordNo);
        let mut typed = answer.trim().to_owned();
        loop {
            let part = Some(item.id.clone());
            if typed == expected {
                let evidence = self.evidence(item.evidence)?;
                return Ok(Said { part, value: json!(typed), comment: None, evidence });
            }
            if [no, "no"].contains(&typed.to_lowercase().as_str()) {
                let comment = self.reason(false)?;
                return Ok(Said { part, value: json!("no"), comment, evidence: Vec::new() });
            }
            if !typed.is_empty() {
                self.explain(Text::ReadBackWrong, &[]);
            }
            self.explain(Text::ReadBackAsk, &[("no", no)]);
            typed = self.line(&item.text, &Offer::Nothing)?.trim().to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::*;
    use super::super::tests::{taken, typed};
    use super::*;
    use crate::plan::Mode;

    fn world(lang: &str) -> World {
        let none = Evidence::None;
        let (mut node, mut values) = checklist("l", &[("said", false, none), ("plain", false, none)]);
        node.items[0].read_back = true;
        let text = crate::runbook::template::Template::literal("10.0.0.7");
        values.items.get_mut("said").unwrap().read_back = Some(text);
        World::new(Mode::Live, false, lang, vec![(node, values)])
    }

    #[test]
    fn an_item_is_read_back_until_it_is_right() {
        let (answer, read) = typed(&world("en"), "alice", &["1", "yes", "10.0.0.8", " 10.0.0.7 "]);
        assert_eq!((answer.part.as_deref(), answer.value.as_str()), (Some("said"), Some("10.0.0.7")));
        assert_eq!(read.matches("not what this item shows").count(), 2, "{read}");
        let asked = read.split("10.0.0.8").next().unwrap();
        assert!(asked.contains("Read back: type exactly") && !asked.contains("10.0.0.7"), "{read}");
        taken(&mut world("en"), answer);
        let (answer, _) = typed(&world("en"), "alice", &["said 10.0.0.7"]);
        assert_eq!(answer.value, json!("10.0.0.7"));
        let (answer, read) = typed(&world("fr"), "alice", &["1", "oui", "non", "autre adresse"]);
        assert_eq!((&answer.value, answer.comment.as_deref()), (&json!("no"), Some("autre adresse")));
        assert!(read.contains("il n'est pas coché"), "{read}");
    }

    #[test]
    fn all_at_once_leaves_out_what_is_read_back() {
        let mut world = world("en");
        let (answer, _) = typed(&world, "alice", &["all"]);
        taken(&mut world, answer);
        let (_, read) = typed(&world, "alice", &["all", "1 10.0.0.7"]);
        assert!(read.contains("item by item"), "{read}");
    }
}
