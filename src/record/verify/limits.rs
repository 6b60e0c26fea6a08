//! What went through an approval unseen: whether what was judged is what was done.
//!
//! The fold counts, and judges again what the journal says was judged. Here it is compared with the requests: what
//! stands in one where the question showed that it is decided later must have been judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::lines::{Read, Story};
use super::{Aspect, Checker};
use crate::core::state::Ask;
use crate::core::{AskKind, AttemptRequest, Event, Fact, Role, Shown};
use crate::journal::file::EVENTS;
use crate::plan::Action;
use crate::runbook::template::{Expr, Rendered, Segment};
use crate::runbook::texts::TARGET;

/// Hidden field of `attempt.started`.
const JUDGED: &str = "targets";

pub(super) fn check(checker: &mut Checker<'_>, read: &Read, story: &Story) {
    let (state, mut asked) = (&story.open.state, BTreeMap::new());
    let shape = state.shape();
    for entry in &story.open.entries {
        for (nth, event) in entry.events.iter().enumerate() {
            let Some(at) = event.step.as_ref().and_then(|step| shape.find_item(step, event.item)) else {
                continue;
            };
            if let Fact::AskOpened { ask, kind: AskKind::Approve, .. } = event.fact {
                asked.insert(at, ask);
            }
            if !matches!(event.fact, Fact::AttemptStarted { role: Role::Do, .. }) {
                continue;
            }
            for gate in shape.covered_by(at) {
                let limit = shape.node(gate).gate.as_ref().and_then(|gate| gate.limit.as_ref());
                let name = &shape.written(at).id;
                let ask = asked.get(&gate).and_then(|ask| state.ask(*ask));
                let (Some(limit), Some(ask)) = (limit.filter(|limit| limit.of.contains_key(name)), ask)
                else {
                    continue;
                };
                let mut of_event = read.commitments.iter().filter(|c| (c.seq, c.event) == (entry.seq, nth));
                let disclosed = of_event.all(|c| read.opened.contains(&c.digest));
                let label = shape.label(at);
                let wrong = if bound_otherwise(ask, limit.max_targets, limit.filtered) {
                    Some(format!(
                        "what `{}` lets through is not what its question bound",
                        shape.node(gate).id
                    ))
                } else {
                    let gate = &shape.written(gate).id;
                    unjudged(ask, event, (&label, name), gate, disclosed)
                        .map(|value| format!("`{label}` was begun with {value:?}, which nobody judged"))
                };
                if let Some(what) = wrong {
                    let line = usize::try_from(entry.seq).ok().map(|seq| seq + 1);
                    checker.fail(Aspect::Authorisation, EVENTS, line, what);
                }
            }
        }
    }
}

/// The question bound another limit than the plan has.
fn bound_otherwise(ask: &Ask, max_targets: u32, filtered: bool) -> bool {
    let Some(binds) = &ask.binds else { return false };
    let limit = binds.limit.as_ref().map(|limit| (limit.max_targets, limit.filter.is_some()));
    limit != Some((max_targets, filtered))
}

/// Something that stands in the request where the question showed a reference, and that its filter was not asked about.
fn unjudged(
    ask: &Ask,
    event: &Event,
    (label, name): (&str, &str),
    gate: &str,
    disclosed: bool,
) -> Option<String> {
    let filter = ask.binds.as_ref()?.limit.as_ref()?.filter.as_ref()?;
    let of_items = !filter.refs().iter().any(|path| path.split('.').next() == Some(TARGET));
    let shown: Vec<Shown> = serde_json::from_str(ask.shown.get("shown")?).ok()?;
    let of = |name: &str| shown.iter().find(|shown| shown.step == name);
    let shown = of(label).or_else(|| of(name))?;
    let request: AttemptRequest = serde_json::from_str(event.hidden.0.get("request")?).ok()?;
    let filled = filled(&shown.action, &request.probe.action, gate);
    let judged: Option<BTreeMap<u32, Vec<BTreeMap<String, Value>>>> =
        event.hidden.0.get(JUDGED).and_then(|text| serde_json::from_str(text).ok());
    let Some(judged) = judged else { return filled.into_iter().next().filter(|_| disclosed) };
    let judged = judged.get(&ask.id).map(Vec::as_slice).unwrap_or_default();
    if of_items {
        return filled.into_iter().next().filter(|_| judged.is_empty());
    }
    let judged: BTreeSet<String> = judged.iter().filter_map(|of| of.get(TARGET)).map(as_text).collect();
    filled.into_iter().find(|text| !judged.contains(text) && !judged.contains(&decoded(text)))
}

/// What stands in a request where the question showed that it is decided later, where a text holds one such place.
fn filled(shown: &Action<Rendered>, sent: &Action<Rendered>, gate: &str) -> Vec<String> {
    let (shown, sent) = (shown.targets(), sent.targets());
    if shown.len() != sent.len() {
        return Vec::new();
    }
    shown.into_iter().zip(sent).filter_map(|(shown, sent)| hole(shown, sent, gate)).collect()
}

fn hole(shown: &Rendered, sent: &Rendered, gate: &str) -> Option<String> {
    let later = |segment: &Segment| matches!(segment, Segment::Later(expr) if is_decided(expr, gate));
    let at = shown.segments().iter().position(later)?;
    let (before, rest) = shown.segments().split_at(at);
    let text = |segments: &[Segment]| {
        let plain = segments.iter().map(|segment| match segment {
            Segment::Text(text) => Some(text.as_str()),
            _ => None,
        });
        plain.collect::<Option<String>>()
    };
    let (before, after, sent) = (text(before)?, text(&rest[1..])?, text(sent.segments())?);
    let value = sent.strip_prefix(&before)?.strip_suffix(&after)?;
    Some(value.to_owned())
}

/// By a step, and not by whoever approved.
fn is_decided(expr: &str, gate: &str) -> bool {
    let Ok(expr) = Expr::parse(expr) else { return true };
    expr.refs().iter().any(|path| {
        let mut names = path.split('.');
        let (root, name) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        !matches!(root, "step" | "run") && (root, name) != ("steps", gate)
    })
}

/// As a value stands in a text.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Without the percent-encoding of addresses.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
