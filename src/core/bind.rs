//! Requests: how they are rendered, the form in which approvals bind them, and their idempotency keys.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::attempt::Role;
use super::scope::Names;
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
    Ok(rendered)
}

/// Digest of a request in the form that approvals bind: secrets and `later` values stand as references.
pub(super) fn digest(
    plan: &Plan,
    state: &State,
    step: usize,
    later: &BTreeSet<String>,
) -> Result<Option<String>, RenderError> {
    let Some(act) = plan.step_values(step).and_then(|values| values.act.as_ref()) else { return Ok(None) };
    let action = act.action.render(&Names::as_of(plan, state, step, later))?;
    Ok(Some(digest_of(&action)))
}

/// Lower-case hex SHA-256 of the canonical JSON of an action.
pub(super) fn digest_of(action: &Action<Rendered>) -> String {
    hex(&Sha256::digest(canonical(&serde_json::json!(action))))
}

/// What an approval that opens now binds, and each request as people read it.
pub(super) fn bind(
    plan: &Plan,
    state: &State,
    covers: &[String],
) -> Result<(Binds, BTreeMap<String, Action<Rendered>>), RenderError> {
    let mut binds = Binds::default();
    let mut shown = BTreeMap::new();
    for name in covers {
        let Some((step, _)) = state.find(name) else { continue };
        let Some(act) = plan.step_values(step).and_then(|values| values.act.as_ref()) else { continue };
        for path in act.action.texts().into_iter().flat_map(Template::refs) {
            let of = path.strip_prefix("steps.").and_then(|rest| rest.split('.').next());
            if let Some(of) = of
                && state.find(of).is_some_and(|(_, s)| !s.settled)
            {
                binds.later.insert(of.to_owned());
            }
        }
    }
    for name in covers {
        let Some((step, _)) = state.find(name) else { continue };
        let Some(act) = plan.step_values(step).and_then(|values| values.act.as_ref()) else { continue };
        let action = act.action.render(&Names::as_of(plan, state, step, &binds.later))?;
        binds.digests.insert(name.clone(), digest_of(&action));
        shown.insert(name.clone(), action);
    }
    Ok((binds, shown))
}

/// The idempotency key of a step: the same for every attempt, in the form of UUID-free lower-case hex.
pub(super) fn key(run: &str, step: &str, role: Role, digest: &str) -> String {
    let role = if role == Role::Undo || role == Role::PutBack { role.name() } else { Role::Do.name() };
    let parts = serde_json::json!([run, step, null, role, digest]);
    hex(&Sha256::digest(canonical(&parts))[..16])
}

/// RFC 8785 bytes. The values of consigne's own structures are strings, so this cannot fail.
fn canonical(value: &serde_json::Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
