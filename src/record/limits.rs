//! How the limit of an approval stands in the text that is signed: its filter, what that reads, and how many targets.

use crate::core::state::Ask;

pub(super) fn shown(ask: &Ask) -> Vec<String> {
    let Some(limit) = ask.binds.as_ref().and_then(|binds| binds.limit.as_ref()) else { return Vec::new() };
    let mut out = Vec::new();
    if let Some(filter) = &limit.filter {
        out.push(format!("filter {}", filter.source()));
        // Never to be taken for a request, whose lines do not begin so.
        out.extend(limit.reads.iter().map(|(name, value)| format!("  > {name} = {value}")));
    }
    out.push(format!("max_targets {}", limit.max_targets));
    out
}
