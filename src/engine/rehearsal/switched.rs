//! What was left half way: a step has switched something that a later step of the runbook would have switched again, that
//! step never did, and nothing switched it back.
//!
//! What belongs together is read off the walk without faults, by requests alone: two writes switch the same thing if
//!
//! - they are PUTs or PATCHes of the same URL that set the same fields to other values,
//! - one makes and the other deletes the same URL (PUT, DELETE), or
//! - they are the same but for one word, and the two words are opposites (`enable` and `disable`, `on` and `off`).

use std::collections::{BTreeMap, BTreeSet};

use super::Rehearsed;
use super::findings::{Finding, What};
use super::stage::requested;
use crate::core::event::ReversalEnd;
use crate::core::state::Belief;
use crate::core::{AttemptRequest, AttemptResult, Fact, Role, State};
use crate::operator::request::{lines, plain};
use crate::plan::{Action, Body, Effect};
use crate::runbook::template::{Rendered, Tree};

/// Words that undo each other.
const OPPOSITES: [(&str, &str); 37] = [
    ("activate", "deactivate"),
    ("active", "inactive"),
    ("active", "suspended"),
    ("allow", "deny"),
    ("attach", "detach"),
    ("block", "unblock"),
    ("close", "open"),
    ("closed", "open"),
    ("connect", "disconnect"),
    ("cordon", "uncordon"),
    ("disable", "enable"),
    ("disabled", "enabled"),
    ("down", "up"),
    ("drain", "undrain"),
    ("false", "true"),
    ("freeze", "thaw"),
    ("freeze", "unfreeze"),
    ("grant", "revoke"),
    ("hold", "release"),
    ("hold", "unhold"),
    ("install", "uninstall"),
    ("isolate", "unisolate"),
    ("load", "unload"),
    ("lock", "unlock"),
    ("locked", "unlocked"),
    ("mask", "unmask"),
    ("mount", "umount"),
    ("mount", "unmount"),
    ("mute", "unmute"),
    ("no", "yes"),
    ("off", "on"),
    ("pause", "resume"),
    ("pause", "unpause"),
    ("register", "deregister"),
    ("silence", "unsilence"),
    ("start", "stop"),
    ("suspend", "resume"),
];

/// What an effect switches, and to what.
type Touch = (String, String);

/// What a runbook switches to and fro: by target, who switches it last, and who switched it elsewhere before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches(BTreeMap<String, Pair>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    first: BTreeSet<String>,
    last: String,
}

/// A write that took effect, or may have.
struct Did {
    at: usize,
    place: String,
    touches: Vec<Touch>,
    sure: bool,
}

impl Switches {
    /// Of the walk without faults.
    pub fn of(rehearsed: &Rehearsed) -> Self {
        let mut by_target: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for did in writes(rehearsed).into_iter().filter(|did| did.sure) {
            for (target, value) in did.touches {
                by_target.entry(target).or_default().push((did.place.clone(), value));
            }
        }
        let pairs = by_target.into_iter().filter_map(|(target, all)| {
            let (last, to) = all.last()?.clone();
            let first = all.into_iter().filter(|(place, value)| *value != to && *place != last);
            let first: BTreeSet<String> = first.map(|(place, _)| place).collect();
            (!first.is_empty()).then_some((target, Pair { first, last }))
        });
        Self(pairs.collect())
    }

    /// What stayed half way at the end of a rehearsal, but for what may stay.
    pub(super) fn left(&self, rehearsed: &Rehearsed, may_stay: &BTreeSet<String>) -> Vec<Finding> {
        let state = &rehearsed.rest.state;
        let did = writes(rehearsed);
        let mut found = BTreeSet::new();
        for (target, Pair { first, last }) in &self.0 {
            let touching = did.iter().filter(|did| did.touches.iter().any(|(touched, _)| touched == target));
            let in_effect = touching.rev().find(|did| !is_reversed(state, did.at));
            let Some(left) = in_effect.filter(|did| first.contains(&did.place)) else { continue };
            let id = left.place.split(':').next().unwrap_or_default();
            if may_stay.contains(&left.place) || may_stay.contains(id) {
                continue;
            }
            let walked: Vec<&str> = did.iter().map(|did| did.place.as_str()).collect();
            let why = format!(
                "after {} the run ended, and `{last}`, which would have switched it again, did not: give `{id}` a put_back",
                walked.join(", ")
            );
            found.insert(Finding { what: What::LeftSwitched, place: left.place.clone(), why });
        }
        found.into_iter().collect()
    }
}

/// Whether the effect is gone, or somebody has decided that it stays.
fn is_reversed(state: &State, at: usize) -> bool {
    let decided = |how| matches!(how, ReversalEnd::Done | ReversalEnd::LeftOpen | ReversalEnd::Failed);
    let by_hand = state.run.ending.as_ref().is_some_and(|ending| ending.reason.starts_with("ended_at:"));
    state.step(at).belief == Belief::NotDone
        || state.reversals().iter().filter(|reversal| reversal.step == at).any(|reversal| {
            reversal.end.is_some_and(|how| decided(how) || (how == ReversalEnd::NotChosen && by_hand))
        })
}

/// Every write of a rehearsal that took effect or may have, in the order of their ends.
fn writes(rehearsed: &Rehearsed) -> Vec<Did> {
    let state = &rehearsed.rest.state;
    let mut asked: BTreeMap<(String, Option<u32>, Option<u32>), AttemptRequest> = BTreeMap::new();
    let mut out = Vec::new();
    for event in rehearsed.entries.iter().flat_map(|entry| &entry.events) {
        let Some(step) = &event.step else { continue };
        let key = (step.clone(), event.item, event.attempt);
        let sure = match &event.fact {
            Fact::AttemptStarted { role: Role::Do, .. } => {
                asked.extend(requested(event).map(|request| (key, request)));
                continue;
            }
            Fact::AttemptFinished { result: AttemptResult::Succeeded, .. } => true,
            Fact::AttemptFinished { result: AttemptResult::Unknown, .. } | Fact::AttemptInterrupted {} => {
                false
            }
            _ => continue,
        };
        let Some(request) = asked.remove(&key) else { continue };
        if !matches!(request.effect, Effect::Write | Effect::Destructive) {
            continue;
        }
        let Some((at, _)) = state.find_item(step, event.item) else { continue };
        let (place, touches) = (state.shape().label(at), touches(&request.probe.action));
        out.push(Did { at, place, touches, sure });
    }
    out
}

fn touches(action: &Action<Rendered>) -> Vec<Touch> {
    let mut out = Vec::new();
    if let Action::Http(call) = action {
        let url = plain(&call.url);
        let (names, values): (Vec<String>, Vec<String>) = fields(&call.body).into_iter().unzip();
        match call.method.as_str() {
            "PUT" | "PATCH" if !names.is_empty() => {
                out.push((format!("{} of {url}", names.join(", ")), values.join("\n")));
            }
            _ => {}
        }
        match call.method.as_str() {
            "PUT" => out.push((url, "made".to_owned())),
            "DELETE" => out.push((url, "deleted".to_owned())),
            _ => {}
        }
    }
    out.extend(switched(action));
    out
}

/// The words of a request, where exactly one of them has an opposite.
fn switched(action: &Action<Rendered>) -> Vec<Touch> {
    let text = lines(action, "", usize::MAX).join("\n");
    let is_part = |c: char| c.is_alphanumeric() || c == '.' || c == '%';
    // `no-reply` is one word, `service/enable` are two.
    let words: Vec<&str> = text.split(|c: char| !is_part(c) && c != '-' && c != '_').collect();
    let found: Vec<usize> = (0..words.len()).filter(|at| !others(words[*at]).is_empty()).collect();
    let [at] = found.as_slice() else { return Vec::new() };
    let named = |pair: String| {
        let all = words.iter().enumerate().map(|(nth, word)| if nth == *at { pair.as_str() } else { word });
        all.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let pairs = others(words[*at]).into_iter();
    pairs.map(|pair| (named(pair), words[*at].to_lowercase())).collect()
}

/// The pairs of opposites that a word belongs to.
fn others(word: &str) -> Vec<String> {
    let word = word.trim_start_matches('-').to_lowercase();
    let pairs = OPPOSITES.iter().filter(|(one, other)| *one == word || *other == word);
    pairs.map(|(one, other)| format!("{one}|{other}")).collect()
}

fn fields(body: &Body<Rendered>) -> Vec<(String, String)> {
    match body {
        Body::Json(tree) => {
            let mut out = Vec::new();
            leaves(tree, "", &mut out);
            out
        }
        Body::Form(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Body::None | Body::Text(_) | Body::File(_) => Vec::new(),
    }
}

fn leaves(tree: &Tree<Rendered>, path: &str, out: &mut Vec<(String, String)>) {
    let mut leaf = |value: String| out.push((path.to_owned(), value));
    match tree {
        Tree::Null => leaf("null".to_owned()),
        Tree::Bool(yes) => leaf(yes.to_string()),
        Tree::Number(number) => leaf(number.clone()),
        Tree::Text(text) => leaf(plain(text)),
        Tree::List(list) => {
            list.iter().enumerate().for_each(|(at, tree)| leaves(tree, &format!("{path}[{at}]"), out));
        }
        Tree::Map(map) => {
            map.iter().for_each(|(name, tree)| leaves(tree, &format!("{path}.{name}"), out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Auth, HttpCall, ProgramCall};

    fn http(method: &str, url: &str, body: Body<Rendered>) -> Action<Rendered> {
        Action::Http(Box::new(HttpCall {
            method: method.to_owned(),
            url: url.to_owned().into(),
            headers: Vec::new(),
            query: Vec::new(),
            body,
            auth: Auth::None,
            ca_file: None,
        }))
    }

    fn argv(words: &[&str]) -> Action<Rendered> {
        let argv = words.iter().map(|word| (*word).to_owned().into()).collect();
        Action::Argv(ProgramCall { argv, env: Vec::new(), cwd: None })
    }

    /// Whether two requests switch the same thing to and fro.
    fn opposed(one: &Action<Rendered>, other: &Action<Rendered>) -> bool {
        let others = touches(other);
        touches(one).iter().any(|(target, to)| others.iter().any(|(same, back)| same == target && back != to))
    }

    #[test]
    fn opposites_are_recognised_and_nothing_else() {
        let state = |state: &str| {
            Body::Json(Tree::Map(vec![("state".to_owned(), Tree::Text(state.to_owned().into()))]))
        };
        assert!(opposed(&http("PATCH", "u", state("x")), &http("PATCH", "u", state("y"))));
        assert!(!opposed(&http("PATCH", "u", state("x")), &http("PATCH", "v", state("y"))));
        assert!(!opposed(&http("POST", "u", state("x")), &http("POST", "u", state("y"))), "two are made");
        assert!(opposed(&http("PUT", "u", Body::None), &http("DELETE", "u", Body::None)));
        assert!(opposed(&http("POST", "a/enable", Body::None), &http("POST", "a/disable", Body::None)));
        assert!(!opposed(&http("POST", "a/enable", Body::None), &http("POST", "b/disable", Body::None)));
        assert!(opposed(&argv(&["fw", "stop", "db"]), &argv(&["fw", "start", "db"])));
        assert!(!opposed(&argv(&["fw", "allow", "22"]), &argv(&["fw", "allow", "80"])));
    }
}
