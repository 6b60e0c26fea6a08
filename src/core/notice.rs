//! What is sent about a question: rendered here, sent by whoever drives, and no part of the history until somebody
//! notes down what became of it.
//!
//! Pure. The key of a message is that of the question and the moment, so that whoever has it gets it once, whoever
//! drives the run by then.

use serde_json::json;

use super::attempt::{AttemptKey, AttemptRequest, Role};
use super::bind;
use super::scope::Names;
use super::state::{Ask, State};
use crate::plan::{Effect, Plan};
use crate::runbook::template::{Lookup, RenderError, Rendered, Scope, Segment};

/// The names that a letter about a question may read.
struct About<'a> {
    names: Names<'a>,
    ask: &'a Ask,
    step: &'a str,
}

impl Scope for About<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        if root != "ask" {
            return self.names.lookup(root, name);
        }
        let shown = |name: &str| {
            let text = self.ask.shown.get(name).and_then(|text| serde_json::from_str::<String>(text).ok());
            Lookup::Known(json!(text.unwrap_or_default()))
        };
        match name {
            "step" => Lookup::Known(json!(self.step)),
            "title" | "prompt" => shown(name),
            "expires" => Lookup::Known(self.ask.expires.map_or_else(|| json!("-"), |at| json!(at))),
            _ => Lookup::Missing,
        }
    }
}

/// The message about a question as it stands: that it is open, or that it was passed on. `None`: nothing is sent.
///
/// # Errors
/// The letter reads something that is not known.
pub fn notice(
    plan: &Plan,
    state: &State,
    ask: u32,
    escalated: bool,
) -> Option<Result<AttemptRequest, RenderError>> {
    let ask = state.ask(ask).filter(|ask| ask.end.is_none())?;
    let shape = state.shape();
    let told = &plan.values.steps.get(&shape.written(ask.step).id)?.told;
    let probe = if escalated { told.escalated.as_ref()? } else { told.opened.as_ref()? };
    let step = &shape.node(ask.step).id;
    let scope = About { names: Names::of(plan, state, Some(ask.step)), ask, step };
    let rendered = probe.render(&scope).and_then(|probe| {
        let mut segments = probe.action.texts().into_iter().flat_map(Rendered::segments);
        let later = segments.find_map(|segment| match segment {
            Segment::Later(expr) => Some(expr.clone()),
            _ => None,
        });
        match later {
            Some(expr) => Err(RenderError { expr, message: "its value is not known yet".to_owned() }),
            None => Ok(probe),
        }
    });
    Some(rendered.map(|probe| {
        let moment = if escalated { "escalated" } else { "opened" };
        let timeout_ms = probe.timeout_ms.unwrap_or(0);
        let (written, item) = (&shape.written(ask.step).id, shape.item(ask.step));
        AttemptRequest {
            key: AttemptKey { step: written.clone(), item, attempt: 0 },
            role: Role::Do,
            part: None,
            effect: Effect::Notify,
            idempotency_key: Some(bind::key(
                &state.run.id,
                written,
                item,
                Role::Do,
                &format!("{} {moment}", ask.id),
            )),
            probe,
            timeout_ms,
        }
    }))
}
