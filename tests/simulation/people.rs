//! The people of the simulated world: right, late, double, contradicting, not entitled, absent, talking nonsense.

use consigne::core::state::ItemState;
use consigne::core::*;
use consigne::plan::*;
use serde_json::{Value, json};

use crate::checkers::may_answer;
use crate::places::id_of;
use crate::plans::WORDS;
use crate::world::{Fate, Town};

const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "os:root"];
const WAYS: [How; 6] = [How::OsUser, How::SshKey, How::Played, How::Answers, How::Policy, How::Executor];

pub fn actor(who: &str, how: How) -> Actor {
    Actor { who: who.into(), how, played_by: (how == How::Played).then(|| "os:root".into()) }
}

pub fn answer(ask: u32, value: Value, actor: Actor) -> Answer {
    Answer {
        ask,
        part: None,
        value,
        comment: Some("because".into()),
        evidence: Vec::new(),
        actor,
        shown: None,
    }
}

pub fn evidence() -> Vec<EvidenceRef> {
    vec![EvidenceRef { name: "proof".into(), sha256: "00".repeat(32), bytes: 3 }]
}

impl Town<'_> {
    /// What is said to a question that has just been shown, and when.
    pub fn people(&mut self, plan: &Plan, state: &State, ask: u32) -> Vec<(u64, Answer)> {
        let Some(seen) = self.historian.model.asks.get(&ask).cloned() else { return Vec::new() };
        let mut said = Vec::new();
        if !self.calm && self.rng.percent(self.rates.noise) {
            for _ in 0..=self.rng.upto(3) {
                let noise = self.noise(ask);
                said.push((self.rng.below(1_500), noise));
            }
        }
        if !self.calm && self.rng.percent(self.rates.absent) {
            return said;
        }
        if !self.calm && seen.kind == AskKind::Approve {
            said.extend(self.breaks_glass(state, ask));
        }
        let scripted = self.script.get(&seen.step).or_else(|| self.script.get(id_of(&seen.step))).copied();
        if let Some((fate, after)) =
            scripted.filter(|_| matches!(seen.kind, AskKind::Approve | AskKind::Confirm))
        {
            let mut votes = self.votes(state, ask);
            if fate != Fate::Good {
                votes.iter_mut().for_each(|vote| vote.value = json!("no"));
            }
            return votes.into_iter().map(|vote| (after, vote)).collect();
        }
        let most = if self.rng.percent(20) { 8_000 } else { 300 };
        let mut after = 1 + self.rng.below(most);
        let right = match seen.kind {
            AskKind::Approve | AskKind::Confirm => self.votes(state, ask),
            AskKind::Input => {
                let word = self.rng.pick(&WORDS);
                self.one(ask, json!({"v": word}))
            }
            AskKind::Choice => {
                let value = self.picks(state, ask);
                self.one(ask, value)
            }
            AskKind::Manual => {
                let no = !self.calm && self.rng.percent(self.rates.reject);
                self.one(ask, json!(if no { "not_done" } else { "done" }))
            }
            AskKind::Checklist => self.items(state, ask),
            AskKind::Failure => self.after_failure(plan, state, ask),
            AskKind::Unknown => self.after_doubt(plan, state, ask),
            AskKind::PutBack => self.about_toggle(ask),
            AskKind::Guard => self.about_guard(ask),
            AskKind::Canary => {
                let no = !self.calm && self.rng.percent(self.rates.reject);
                self.one(ask, json!(if no { "no" } else { "yes" }))
            }
        };
        for answer in right {
            if !self.calm && self.rng.percent(self.rates.noise / 3) {
                said.push((after + self.rng.below(900), answer.clone()));
                let other = Answer { value: json!("no"), ..answer.clone() };
                said.push((after + self.rng.below(900), other));
            }
            said.push((after, answer));
            after += 1 + self.rng.below(200);
        }
        said
    }

    fn noise(&mut self, ask: u32) -> Answer {
        let value = self.rng.pick(&[
            json!("yes"),
            json!("approve"),
            json!("no"),
            json!("retry"),
            json!("done"),
            json!(true),
            json!(7),
            json!(null),
            json!({"choice": "skip"}),
            json!({"v": 3}),
            json!({"choice": "set_output", "outputs": {"nonsense": 1}}),
            json!("leave_open"),
            json!("red"),
            json!(["red", "red"]),
            json!([]),
            json!("break_glass"),
            crate::leavings::in_its_place(),
        ]);
        // Anybody at all, but nobody who may decide what happened: unknown outcomes are answered truthfully.
        let step = &self.historian.model.asks[&ask];
        let person = matches!(step.kind, AskKind::Unknown);
        let how = self.rng.pick(&WAYS);
        let who = self.rng.pick(&NAMES);
        let actor = if person { actor("consigne", How::Executor) } else { actor(who, how) };
        let mut answer = answer(ask, value, actor);
        answer.part = self.rng.percent(30).then(|| self.rng.pick(&["i0", "i1", "nowhere"]).to_owned());
        answer
    }

    /// Everybody who may answer, by the model of the tests.
    pub fn entitled(&self, ask: u32) -> Vec<Actor> {
        let Some(seen) = self.historian.model.asks.get(&ask) else { return Vec::new() };
        let ways = [How::OsUser, How::SshKey, How::Played];
        NAMES
            .iter()
            .filter_map(|name| {
                let all = ways.iter().map(|how| actor(name, *how));
                all.into_iter().find(|actor| may_answer(&self.historian.model, seen, actor))
            })
            .collect()
    }

    pub fn one(&mut self, ask: u32, value: Value) -> Vec<Answer> {
        let all = self.entitled(ask);
        if all.is_empty() {
            return Vec::new();
        }
        let who = self.rng.pick(&all);
        vec![Answer { evidence: evidence(), ..answer(ask, value, who) }]
    }

    fn votes(&mut self, state: &State, ask: u32) -> Vec<Answer> {
        let mut all = self.entitled(ask);
        let Some(open) = state.ask(ask) else { return Vec::new() };
        let quorum =
            state.shape().node(open.step).gate.as_ref().map_or(1, |gate| gate.quorum.max(1)) as usize;
        let typed = open.shown.get("typed").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let yes = match open.kind {
            AskKind::Confirm => typed.unwrap_or_else(|| json!("yes")),
            _ => json!("approve"),
        };
        let already: Vec<String> = open.answers.iter().map(|given| given.actor.who.clone()).collect();
        all.retain(|actor| !already.contains(&actor.who));
        let mut votes = Vec::new();
        while votes.len() + already.len() < quorum && !all.is_empty() {
            let who = all.remove(self.rng.upto(all.len()));
            let no = !self.calm && self.rng.percent(self.rates.reject);
            votes.push(answer(ask, if no { json!("no") } else { yes.clone() }, who));
        }
        votes
    }

    /// An answer to a choice: of many now and then too few or too many, in any order, as a list or as one text.
    fn picks(&mut self, state: &State, ask: u32) -> Value {
        let Some(open) = state.ask(ask) else { return Value::Null };
        let mut ids: Vec<String> = listed(open).into_iter().map(|option| option.id).collect();
        let Some(many) = state.shape().node(open.step).many else { return json!(self.rng.pick(&ids)) };
        let most = many.max.map_or(ids.len(), |max| max as usize).min(ids.len());
        let count = if self.calm || self.rng.percent(80) {
            (many.min as usize).max(self.rng.upto(most + 1))
        } else {
            self.rng.upto(ids.len() + 1)
        };
        let mut picked = Vec::new();
        while picked.len() < count && !ids.is_empty() {
            picked.push(ids.remove(self.rng.upto(ids.len())));
        }
        if self.rng.percent(30) { json!(picked.join(",")) } else { json!(picked) }
    }

    fn items(&mut self, state: &State, ask: u32) -> Vec<Answer> {
        let all = self.entitled(ask);
        let Some(open) = state.ask(ask).filter(|_| !all.is_empty()) else { return Vec::new() };
        let node = state.shape().node(open.step);
        let who = self.rng.pick(&all);
        let mut said = Vec::new();
        for (item, now) in node.items.iter().zip(&state.step(open.step).items) {
            let back = expected(open, &item.id).filter(|_| item.read_back);
            let back = back.map(|back| if self.calm || self.rng.percent(80) { back } else { "amiss".into() });
            let word = match now {
                ItemState::Open if !self.calm && self.rng.percent(self.rates.reject) => "no",
                ItemState::Open => back.as_deref().unwrap_or("yes"),
                ItemState::Refuted if !self.calm && self.rng.percent(40) => "retry",
                ItemState::Refuted | ItemState::Unprobed => "by_hand",
                _ => continue,
            };
            let answer = answer(ask, json!(word), who.clone());
            said.push(Answer { part: Some(item.id.clone()), evidence: evidence(), ..answer });
        }
        said
    }

    /// The outputs that an override has to bring.
    fn outputs(&mut self, plan: &Plan, state: &State, ask: u32) -> Value {
        let Some(open) = state.ask(ask) else { return json!({}) };
        let needed = needed_outputs(plan, state, open.step);
        needed
            .into_iter()
            .map(|name| (name, json!(self.rng.pick(&WORDS))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Somebody who may also override a destructive step of a protected environment.
    fn helper(&mut self) -> Actor {
        let starter = self.historian.model.starter.clone();
        let who = NAMES.iter().find(|name| starter.as_deref() != Some(**name)).copied().unwrap_or("bob");
        if self.calm { actor(who, How::OsUser) } else { actor(self.rng.pick(&NAMES), How::OsUser) }
    }

    fn after_failure(&mut self, plan: &Plan, state: &State, ask: u32) -> Vec<Answer> {
        let words = ["retry", "retry", "skip", "by_hand", "set_output", "undo_end", "end"];
        let whole = state.ask(ask).is_some_and(|ask| state.shape().is_whole(ask.step));
        let shut = state.ask(ask).is_some_and(|ask| state.shape().has_gate_inside(ask.step));
        let lacks = state.ask(ask).is_some_and(|ask| !needed_secrets(plan, state, ask.step).is_empty());
        let word = match self.calm {
            // Nobody but its people opens what is inside.
            true if shut || lacks => "end",
            true if whole && self.rng.percent(40) => "retry",
            true => "skip",
            false => self.rng.pick(if whole { &words[..4] } else { &words }),
        };
        let outputs = self.outputs(plan, state, ask);
        let helper = self.helper();
        let mut said = vec![answer(ask, json!({"choice": word, "outputs": outputs}), helper.clone())];
        if !self.calm && self.rng.percent(self.rates.noise / 4) {
            said.insert(0, answer(ask, crate::leavings::in_its_place(), helper));
        }
        said
    }

    fn after_doubt(&mut self, plan: &Plan, state: &State, ask: u32) -> Vec<Answer> {
        let Some(open) = state.ask(ask) else { return Vec::new() };
        let step = &state.shape().node(open.step).id;
        let did = self.truth.effects.get(step).is_some_and(|all| !all.is_empty());
        let true_word = if did { "done" } else { "not_done" };
        let others = [true_word, true_word, true_word, "retry", "end", "undo_end"];
        let lacks = did && !needed_secrets(plan, state, open.step).is_empty();
        let word = match self.calm {
            // A secret is lost with the answer that held it.
            true if lacks => "end",
            true => true_word,
            false => self.rng.pick(&others),
        };
        let outputs = self.outputs(plan, state, ask);
        let helper = self.helper();
        vec![answer(ask, json!({"choice": word, "outputs": outputs}), helper)]
    }

    fn about_toggle(&mut self, ask: u32) -> Vec<Answer> {
        let word = self.rng.pick(&["put_back", "done", "leave_open"]);
        let value = json!({"choice": word, "owner": "ops", "review_at": "2030-01-01T00:00:00Z"});
        let helper = self.helper();
        vec![answer(ask, value, helper)]
    }
}
