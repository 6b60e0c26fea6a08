//! Requests: how they are rendered, the form in which approvals bind them, and their idempotency keys.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::attempt::Role;
use super::limits::Limit;
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
    // With its own request go those that would take it back: whoever starts it arms them.
    let acts = || {
        let values = covers.iter().filter_map(|name| Some((name, plan.values.steps.get(name)?)));
        values.filter_map(|(name, values)| Some((name, values, values.act.as_ref()?))).flat_map(
            |(name, values, act)| {
                let back = values.reversals().map(|(role, probe, _)| (part(role), probe));
                std::iter::once((String::new(), act)).chain(back).map(move |(part, act)| (name, part, act))
            },
        )
    };
    let mut binds = Binds::default();
    for (name, _, act) in acts() {
        let open = |name: &str| shape.resolve(name, frame).is_none_or(|at| !state.step(at).settled);
        for path in act.action.texts().into_iter().flat_map(Template::refs) {
            let of = path.strip_prefix("steps.").and_then(|rest| rest.split('.').next());
            binds.later.extend(of.filter(|of| open(of)).map(str::to_owned));
        }
        let loops = shape.loops_with(name).into_iter().skip(shape.depth(shape.shared(name, frame)));
        binds.later.extend(loops.map(|of| format!("{ANY_ITEM}{of}")));
    }
    binds.limit = Limit::of(plan, state, gate);
    let unknown: BTreeSet<&String> = binds.later.iter().filter(|name| !name.starts_with(ANY_ITEM)).collect();
    let mut shown = BTreeMap::new();
    for (name, part, act) in acts() {
        for at in shape.all_of(name, frame) {
            // What was done of the same item by now is known.
            let done = |name: &&&String| {
                shape.resolve(name, shape.frame(at)).is_some_and(|at| state.step(at).settled)
            };
            let known: BTreeSet<String> = unknown.iter().filter(done).map(|name| (*name).clone()).collect();
            let later = unknown.iter().map(|name| (*name).clone()).filter(|name| !known.contains(name));
            let action = act.action.render(&Names::as_of(plan, state, at, &later.collect()))?;
            let item = shape.node(at).id.clone();
            let called = format!("{item}{part}");
            binds.digests.insert(called.clone(), digest_of(&action));
            shown.insert(called, action);
            if !known.is_empty() {
                binds.known.insert(item, known);
            }
        }
        // Items and rounds still to come are bound by what they have in common.
        if shape.loops_with(name).len() > shape.depth(shape.shared(name, frame)) {
            let action = act.action.render(&Names::not_yet(plan, state, frame, &binds.later))?;
            let called = format!("{name}{part}");
            binds.digests.insert(called.clone(), digest_of(&action));
            if to_come(state, name, frame) {
                shown.insert(called, action);
            }
        }
    }
    Ok((binds, shown))
}

/// What stands behind the name of a step for one of its reversals. No name of a step has a space.
fn part(role: &str) -> String {
    format!(" ({role})")
}

/// Whether what would take a step back is no longer what an approval bound. Those of earlier versions bound none.
pub(super) fn reversed_otherwise(plan: &Plan, state: &State, step: usize, binds: &Binds) -> bool {
    let later = binds.later_of(state, step);
    let values = state.values(plan, step).into_iter();
    values.flat_map(crate::plan::StepValues::reversals).any(|(role, probe, _)| {
        let now = || probe.action.render(&Names::as_of(plan, state, step, &later));
        let bound = binds.of(state, step, &part(role));
        bound.is_some_and(|bound| now().map_or(true, |action| digest_of(&action) != *bound))
    })
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
    fn of_part(&self, id: &str, part: &str) -> Option<&String> {
        self.digests.get(&format!("{id}{part}"))
    }

    /// What of a step the approval binds: its own request as it was then, or what all items have in common. `part`
    /// is nothing, or one of its reversals.
    pub(super) fn of(&self, state: &State, step: usize, part: &str) -> Option<&String> {
        let named = self.named(state, step).and_then(|named| self.of_part(named, part));
        named.or_else(|| self.of_part(&state.shape().written(step).id, part))
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
