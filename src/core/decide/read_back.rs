//! Items of a checklist that are read back: ticked by what they show, typed, and by nothing else.
//!
//! What is expected is rendered once, when the question opens, and stands beside it as a hidden field; answers are
//! judged by that, also after a crash.

use serde_json::Value;

use super::super::event::{Decision, Hidden};
use super::super::scope::Names;
use super::super::state::{Ask, State};
use super::Refused;
use crate::plan::Plan;

/// Before the name of an item: what is to be typed back.
const READ_BACK: &str = "read_back.";

/// Puts down what each item of a checklist wants to hear.
///
/// # Errors
/// Why there is nothing that could be read back.
pub(super) fn expect(plan: &Plan, state: &State, step: usize, hidden: &mut Hidden) -> Result<(), String> {
    let names = Names::of(plan, state, Some(step));
    for (id, item) in state.values(plan, step).into_iter().flat_map(|values| &values.items) {
        let Some(template) = &item.read_back else { continue };
        let text = template.render(&names).map_err(|error| error.to_string())?;
        let text = text.as_plain().map(str::trim).filter(|text| !text.is_empty());
        let text =
            text.ok_or_else(|| format!("`{}` gives nothing that could be read back", template.source()))?;
        hidden.put_text(&format!("{READ_BACK}{id}"), text);
    }
    Ok(())
}

/// What is to be typed back for an item; `None` where it is not disclosed, or nothing is.
pub fn expected(ask: &Ask, item: &str) -> Option<String> {
    serde_json::from_str(ask.shown.get(&format!("{READ_BACK}{item}"))?).ok()
}

/// Whether it is what the item wants to hear.
pub(super) fn is_right(ask: &Ask, item: Option<&str>, said: &Value) -> bool {
    let expected = item.and_then(|item| expected(ask, item));
    expected.is_some() && said.as_str().map(str::trim) == expected.as_deref()
}

/// A word to an item that is none of what may be said to it.
pub(super) fn wrong(item: &str) -> Refused {
    Refused::new("not-read-back", format!("that is not what item `{item}` shows"))
        .hint("type the value that it shows, or `no` if it does not hold")
}

/// A tick without the value.
pub(super) fn bare(item: &str, decision: Decision) -> Option<Refused> {
    matches!(decision, Decision::Done | Decision::ByHand).then(|| wrong(item))
}
