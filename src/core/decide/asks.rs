//! Questions to people: opening them, and deciding what a closed one means for its step.

use serde::Serialize;

use super::super::bind;
use super::super::event::{AskEnd, AskKind, Decision, Ended, Event, Fact, Hidden, Status};
use super::super::scope::Names;
use super::super::state::{Ask, ItemState};
use super::{Draft, answer, choose, exhibit, read_back};
use crate::plan::{Action, Effect, Kind, Link, Localized};
use crate::runbook::template::{Rendered, Template};

/// A request that an approval binds, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    pub step: String,
    pub effect: Effect,
    pub digest: String,
    pub action: Action<Rendered>,
}

impl Draft<'_> {
    /// Opens the question that a gate, a form or a manual step is.
    pub(super) fn open_human(&mut self, step: usize) {
        let node = self.state.shape().node(step);
        let kind = match node.kind {
            Kind::Approve => AskKind::Approve,
            Kind::Confirm => AskKind::Confirm,
            Kind::Input => AskKind::Input,
            Kind::Choice => AskKind::Choice,
            _ => AskKind::Manual,
        };
        let covers = node.gate.as_ref().map(|gate| gate.covers.clone()).unwrap_or_default();
        let mut covers = covers;
        let mut hidden = self.prompt(step);
        if kind == AskKind::Approve {
            self.expand_ahead(step);
            let (binds, actions) = match bind::bind(self.plan, self.state, step, &covers) {
                Ok(bound) => bound,
                Err(error) => return self.fail(step, Status::Failed, "render", Some(&error.to_string())),
            };
            covers = self.covered(step, &covers);
            let mut shown: Vec<Shown> = actions
                .into_iter()
                .map(|(name, action)| Shown {
                    effect: self.effect_of(&name),
                    digest: binds.digests.get(&name).cloned().unwrap_or_default(),
                    step: name,
                    action,
                })
                .collect();
            // They are read in the order in which they will run, what takes one back behind it.
            let shape = self.state.shape();
            let cut = |name: &str| name.find(' ').unwrap_or(name.len());
            shown.sort_by_cached_key(|shown| shape.reading_order(&shown.step[..cut(&shown.step)]));
            for shown in &mut shown {
                let (id, part) = shown.step.split_at(cut(&shown.step));
                shown.step = shape.find(id).map_or(shown.step.clone(), |at| shape.label(at) + part);
            }
            hidden.put("binds", &binds);
            hidden.put("shown", &shown);
        }
        if kind == AskKind::Confirm {
            // Said, not left out: what is missing from a disclosed record is withheld.
            hidden.put("shown", &Vec::<Shown>::new());
        }
        if kind == AskKind::Choice {
            match choose::options(self.plan, self.state, step) {
                Ok(options) => hidden.put("options", &options),
                Err(why) => return self.fail(step, Status::Failed, "options", Some(&why)),
            }
        }
        let expires = self.state.shape().node(step).timeout_ms.map(|timeout| self.at.plus(timeout));
        let ask = self.open(step, kind, expires, covers, Vec::new(), None, hidden);
        self.answer_by_policy(step, ask);
    }

    /// What an approval covers, item by item where the items are known, in the order in which it will run.
    fn covered(&self, gate: usize, names: &[String]) -> Vec<String> {
        let shape = self.state.shape();
        let frame = shape.frame(gate);
        let each = |name: &String| {
            let places = shape.all_of(name, frame);
            if places.is_empty() {
                return vec![name.clone()];
            }
            places.into_iter().map(|at| shape.node(at).id.clone()).collect()
        };
        names.iter().flat_map(each).collect()
    }

    fn effect_of(&self, name: &str) -> Effect {
        let shape = self.state.shape();
        if let Some((name, part)) = name.split_once(" (") {
            let written = shape.find(name).map_or(name, |at| &shape.written(at).id);
            let values = self.plan.values.steps.get(written);
            let back = values.and_then(|values| values.reversals().find(|(role, ..)| part.starts_with(role)));
            return back.map_or(Effect::Write, |(.., effect)| effect);
        }
        let graph = || shape.graph().steps.iter().find(|step| step.id == name).map(|step| step.effect);
        shape.find(name).map(|at| shape.node(at).effect).or_else(graph).unwrap_or(Effect::Write)
    }

    /// Opens the checklist for the items that no probe has proved, if there are any.
    pub(super) fn open_checklist(&mut self, step: usize) {
        let node = self.state.shape().node(step);
        let items = &self.state.step(step).items;
        let open: Vec<String> = node
            .items
            .iter()
            .zip(items)
            .filter(|(_, state)| state.is_open())
            .map(|(item, _)| item.id.clone())
            .collect();
        if open.is_empty() {
            return self.settle_checklist(step);
        }
        if self.state.run.ending.is_some() && self.state.shape().is_main(step) {
            return self.settle(step, Status::Cancelled, "ended");
        }
        let expires = node.timeout_ms.map(|timeout| self.at.plus(timeout));
        let mut hidden = self.prompt(step);
        if let Err(why) = read_back::expect(self.plan, self.state, step, &mut hidden) {
            return self.fail(step, Status::Failed, "read_back", Some(&why));
        }
        let ask = self.open(step, AskKind::Checklist, expires, Vec::new(), open, None, hidden);
        self.answer_by_policy(step, ask);
    }

    /// Opens a question about what went wrong; `why` is confidential detail.
    pub(super) fn open_ask(&mut self, step: usize, kind: AskKind, reason: Option<String>, why: Option<&str>) {
        let mut hidden = self.prompt(step);
        if let Some(why) = why {
            hidden.put_text("why", why);
        }
        self.open(step, kind, None, Vec::new(), Vec::new(), reason, hidden);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn open(
        &mut self,
        step: usize,
        kind: AskKind,
        expires: Option<crate::clock::Timestamp>,
        covers: Vec<String>,
        parts: Vec<String>,
        reason: Option<String>,
        hidden: Hidden,
    ) -> u32 {
        let ask = u32::try_from(self.state.asks().count() + 1).unwrap_or(u32::MAX);
        let event = self.about(step, Fact::AskOpened { ask, kind, expires, covers, parts, reason });
        self.emit(Event { hidden, ..event });
        ask
    }

    /// Title and message of a step in the language of the run.
    fn prompt(&self, step: usize) -> Hidden {
        let mut hidden = Hidden::default();
        let Some(values) = self.values(step) else { return hidden };
        let names = Names::of(self.plan, self.state, Some(step));
        let lang = &self.state.run.lang;
        for (name, text) in [("title", &values.title), ("prompt", &values.message)] {
            if let Some(template) = text.in_lang(lang) {
                match template.render(&names) {
                    Ok(text) => hidden.put_text(name, &text.to_string()),
                    Err(_) => hidden.put_text(name, template.source()),
                }
            }
        }
        if let Some(typed) = values.typed.as_ref().and_then(|typed| typed.render(&names).ok()) {
            hidden.put_text("typed", &typed.to_string());
        }
        let shows = exhibit::exhibits(&values.show, &names);
        if !shows.is_empty() {
            hidden.put("show", &shows);
        }
        let links: Vec<Link<String>> = values.links.iter().map(|link| shown(link, &names)).collect();
        if !links.is_empty() {
            hidden.put("links", &links);
        }
        for (id, item) in &values.items {
            if let Some(text) = item.text.in_lang(lang) {
                let text =
                    text.render(&names).map_or_else(|_| text.source().to_owned(), |text| text.to_string());
                hidden.put_text(&format!("item.{id}"), &text);
            }
        }
        hidden
    }

    /// Gives the declared answer of an unattended run.
    pub(super) fn answer_by_policy(&mut self, step: usize, ask: u32) {
        if self.state.run.attended || !self.state.shape().node(step).unattended {
            return;
        }
        let Some(value) = self.values(step).and_then(|values| values.unattended.clone()) else {
            return;
        };
        if let Some(admitted) = answer::by_policy(self.plan, self.state, ask, value) {
            self.answer(admitted);
        }
    }

    /// Decides about a human step whose question is closed, or a checklist between two probes.
    pub(super) fn settle_human(&mut self, step: usize) {
        let (node, state) = (self.state.shape().node(step), self.state.step(step));
        if node.kind == Kind::Checklist && state.last_ask.is_none_or(|id| !self.asked_otherwise(id)) {
            if state.items.contains(&ItemState::Unprobed) && !self.timed_out(step) {
                if self.state.run.ending.is_some() && self.state.shape().is_main(step) {
                    if state.ask.is_none() {
                        self.settle(step, Status::Cancelled, "ended");
                    }
                } else if self.state.has_slot() {
                    self.probe_next_item(step);
                }
                return;
            }
            if state.ask.is_none() && state.last_ask.is_none() {
                return self.open_checklist(step);
            }
        }
        let Some(ask) = state.last_ask.and_then(|id| self.state.ask(id)).cloned() else { return };
        match (ask.kind, ask.end) {
            (_, None) => {}
            (AskKind::Failure, _) => {
                let status = state.last.as_ref().map_or(Status::Failed, |last| match last.result {
                    super::super::AttemptResult::TimedOut => Status::TimedOut,
                    _ => Status::Failed,
                });
                self.settle(step, status, ask.reason.as_deref().unwrap_or("failed"));
            }
            (_, Some(AskEnd::Withdrawn | AskEnd::Voided)) => self.settle(step, Status::Cancelled, "ended"),
            (AskKind::Approve | AskKind::Confirm, Some(AskEnd::TimedOut)) => self.reject(step, "timed_out"),
            (_, Some(AskEnd::TimedOut)) => self.fail(step, Status::TimedOut, "timed_out", None),
            (AskKind::Approve | AskKind::Confirm, Some(AskEnd::Answered)) => self.settle_gate(step, &ask),
            (AskKind::Checklist, Some(AskEnd::Answered)) => self.settle_checklist(step),
            (_, Some(AskEnd::Answered)) => {
                let no = ask
                    .answers
                    .last()
                    .is_some_and(|a| matches!(a.decision, Decision::NotDone | Decision::No));
                if no {
                    self.fail(step, Status::Failed, "not_done", None);
                } else {
                    self.settle(step, Status::Succeeded, "answered");
                }
            }
        }
    }

    fn asked_otherwise(&self, id: u32) -> bool {
        self.state.ask(id).is_some_and(|ask| ask.kind != AskKind::Checklist)
    }

    fn timed_out(&self, step: usize) -> bool {
        let ask = self.state.step(step).last_ask.and_then(|id| self.state.ask(id));
        ask.is_some_and(|ask| matches!(ask.end, Some(AskEnd::TimedOut | AskEnd::Withdrawn)))
    }

    fn settle_gate(&mut self, step: usize, ask: &Ask) {
        if ask.answers.iter().any(|a| matches!(a.decision, Decision::Reject | Decision::No)) {
            self.reject(step, "rejected");
        } else {
            let reason = match ask.kind {
                AskKind::Approve if ask.broke_glass().is_some() => "break_glass",
                AskKind::Approve => "approved",
                _ => "confirmed",
            };
            self.settle(step, Status::Succeeded, reason);
        }
    }

    fn reject(&mut self, step: usize, reason: &str) {
        let node = self.state.shape().node(step);
        let goes_on = node.gate.as_ref().is_some_and(|gate| gate.on_reject_continue);
        self.settle(step, Status::Rejected, reason);
        if !goes_on && self.state.run.ending.is_none() {
            let name = self.name(step);
            self.end_run(Ended::Refused, &format!("{reason}:{name}"), false, false, None);
        }
    }

    fn settle_checklist(&mut self, step: usize) {
        if self.state.step(step).items.contains(&ItemState::Refused) {
            self.fail(step, Status::Failed, "item_refused", None);
        } else {
            self.settle(step, Status::Succeeded, "complete");
        }
    }

    /// A checklist whose last open item was proved by asking its probe again needs nobody any more.
    pub(super) fn close_proved_checklist(&mut self, step: usize) {
        let state = self.state.step(step);
        let Some(ask) = state.ask.and_then(|id| self.state.ask(id)) else { return };
        let open = state.items.iter().any(|item| item.is_open() || *item == ItemState::Unprobed);
        if ask.kind == AskKind::Checklist && !open && !ask.answers.is_empty() {
            let id = ask.id;
            self.emit_step(step, Fact::AskClosed { ask: id, how: AskEnd::Answered });
        }
    }
}

/// A link as it stands in the question; what cannot be rendered stands as it is written.
fn shown(link: &Link<Template>, names: &Names<'_>) -> Link<String> {
    let title = |text: &Option<Template>| {
        let text = text.as_ref()?;
        Some(text.render(names).map_or_else(|_| text.source().to_owned(), |text| text.to_string()))
    };
    let url = link.url.render_address(names);
    Link {
        url: url.map_or_else(|_| link.url.source().to_owned(), |url| url.to_string()),
        title: Localized { fr: title(&link.title.fr), en: title(&link.title.en) },
    }
}
