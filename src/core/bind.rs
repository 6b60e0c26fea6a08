//! Requests: how they are rendered, the form in which approvals bind them, and their idempotency keys.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::attempt::Role;
use super::limits::{self, Limit};
use super::scope::{ANY_ITEM, Names};
use super::state::{Binds, State};
use crate::clock::Timestamp;
use crate::plan::{Action, Plan, Probe, ProbeOf};
use crate::runbook::template::{RenderError, Rendered, Segment, Template};

/// A request ready to run: only secrets stand as references.
pub(super) fn request(
    plan: &Plan,
    state: &State,
    step: usize,
    probe: &Probe,
    started_at: Timestamp,
) -> Result<ProbeOf<Rendered>, RenderError> {
    let rendered = probe.render(&Names::started(plan, state, step, started_at))?;
    let paths = rendered.artifacts.iter().map(|artifact| &artifact.path);
    for segment in rendered.action.texts().into_iter().chain(paths).flat_map(Rendered::segments) {
        if let Segment::Later(expr) = segment {
            let message = "its value is not known yet".to_owned();
            return Err(RenderError { expr: expr.clone(), message });
        }
    }
    for name in rendered.action.secrets() {
        if let Some((of, output)) = crate::plan::values::born(name)
            && !state.find(of).is_some_and(|(_, step)| step.sealed.contains(output))
        {
            let message = "its step has not given this secret".to_owned();
            return Err(RenderError { expr: name.to_owned(), message });
        }
    }
    Ok(rendered)
}

/// Digest of a request in the form that approvals bind: secrets and `later` values stand as references.
pub(super) fn digest(
    plan: &Plan,
    state: &State,
    step: usize,
    later: &BTreeSet<String>,
) -> Result<Option<String>, RenderError> {
    let Some(act) = state.values(plan, step).and_then(|values| values.act.as_ref()) else { return Ok(None) };
    let action = act.action.render(&Names::as_of(plan, state, step, later))?;
    Ok(Some(digest_of(&action)))
}

/// Lower-case hex SHA-256 of the canonical JSON of an action.
pub(super) fn digest_of(action: &Action<Rendered>) -> String {
    hex(&Sha256::digest(canonical(&serde_json::json!(action))))
}

/// What an approval that opens now binds, and each request as people read it, by what it is called.
pub(super) fn bind(
    plan: &Plan,
    state: &State,
    gate: usize,
    covers: &[String],
) -> Result<(Binds, BTreeMap<String, Action<Rendered>>), RenderError> {
    let shape = state.shape();
    let frame = shape.frame(gate);
    let acts = || covers.iter().filter_map(|name| Some((name, plan.values.steps.get(name)?.act.as_ref()?)));
    let mut binds = Binds::default();
    for (name, act) in acts() {
        let open = |name: &str| shape.resolve(name, frame).is_none_or(|at| !state.step(at).settled);
        for path in act.action.texts().into_iter().flat_map(Template::refs) {
            let of = path.strip_prefix("steps.").and_then(|rest| rest.split('.').next());
            binds.later.extend(of.filter(|of| open(of)).map(str::to_owned));
        }
        let loops = shape.loops_with(name).into_iter().skip(shape.depth(shape.shared(name, frame)));
        binds.later.extend(loops.map(|of| format!("{ANY_ITEM}{of}")));
    }
    binds.limit = Limit::of(plan, state, gate);
    if let Some(node) = shape.node(gate).gate.as_ref().and_then(|gate| gate.limit.as_ref()) {
        let open = |name: &String| shape.resolve(name, frame).is_none_or(|at| !state.step(at).settled);
        binds.later.extend(limits::read_by_reversals(plan, node).into_iter().filter(open));
    }
    let unknown: BTreeSet<&String> = binds.later.iter().filter(|name| !name.starts_with(ANY_ITEM)).collect();
    let mut shown = BTreeMap::new();
    for (name, act) in acts() {
        for at in shape.all_of(name, frame) {
            // What was done of the same item by now is known.
            let done = |name: &&&String| {
                shape.resolve(name, shape.frame(at)).is_some_and(|at| state.step(at).settled)
            };
            let known: BTreeSet<String> = unknown.iter().filter(done).map(|name| (*name).clone()).collect();
            let later = unknown.iter().map(|name| (*name).clone()).filter(|name| !known.contains(name));
            let action = act.action.render(&Names::as_of(plan, state, at, &later.collect()))?;
            let item = shape.node(at).id.clone();
            binds.digests.insert(item.clone(), digest_of(&action));
            shown.insert(item.clone(), action);
            if !known.is_empty() {
                binds.known.insert(item, known);
            }
        }
        // Items and rounds still to come are bound by what they have in common.
        if shape.loops_with(name).len() > shape.depth(shape.shared(name, frame)) {
            let action = act.action.render(&Names::not_yet(plan, state, frame, &binds.later))?;
            binds.digests.insert(name.clone(), digest_of(&action));
            if to_come(state, name, frame) {
                shown.insert(name.clone(), action);
            }
        }
    }
    Ok((binds, shown))
}

/// Whether something of it may still be begun that is not known by now: items of a list that nobody could read, rounds.
fn to_come(state: &State, name: &str, frame: usize) -> bool {
    let shape = state.shape();
    let frame = shape.shared(name, frame);
    let laid_out = |whole: usize| {
        let compound = state.step(whole).compound.as_ref();
        shape.node(whole).each.is_some() && compound.is_some_and(|compound| compound.batches > 0)
    };
    shape.loops_with(name).into_iter().skip(shape.depth(frame)).any(|of| {
        let wholes = shape.wholes_of(&of, frame);
        wholes.is_empty() || !wholes.into_iter().all(laid_out)
    })
}

impl Binds {
    /// What of a step the approval binds: its own request as it was then, or what all items have in common.
    pub(super) fn of(&self, state: &State, step: usize) -> Option<&String> {
        let named = self.named(state, step).and_then(|named| self.digests.get(named));
        named.or_else(|| self.digests.get(&state.shape().written(step).id))
    }

    /// As what it is bound by itself.
    fn named<'s>(&self, state: &'s State, step: usize) -> Option<&'s String> {
        let shape = state.shape();
        let name = |at: usize| Some(&shape.node(at).id).filter(|name| self.digests.contains_key(*name));
        let own = name(step).filter(|_| !shape.is_whole(step));
        // An item that is done again is the same item.
        own.or_else(|| shape.same_item(step).into_iter().find_map(name))
    }

    /// What was not known about it then.
    pub(super) fn later_of(&self, state: &State, step: usize) -> BTreeSet<String> {
        let named = self.named(state, step);
        let known = named.and_then(|named| self.known.get(named));
        let is_later = |name: &&String| {
            !(named.is_some() && name.starts_with(ANY_ITEM))
                && known.is_none_or(|known| !known.contains(*name))
        };
        self.later.iter().filter(is_later).cloned().collect()
    }
}

/// The idempotency key of a step: the same for every attempt, in the form of UUID-free lower-case hex.
pub(super) fn key(run: &str, step: &str, item: Option<u32>, role: Role, digest: &str) -> String {
    let role = if role == Role::Undo || role == Role::PutBack { role.name() } else { Role::Do.name() };
    let parts = serde_json::json!([run, step, item, role, digest]);
    hex(&Sha256::digest(canonical(&parts))[..16])
}

/// RFC 8785 bytes. The values of consigne's own structures are strings, so this cannot fail.
fn canonical(value: &serde_json::Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
