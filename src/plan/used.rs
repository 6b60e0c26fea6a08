//! Used runbooks in a plan: what they are, and whether they are given what they ask for.

use super::digest::sha256;
use super::graph::UsedNode;
use super::translate::Known;
use crate::diag::Diagnostic;
use crate::runbook::load::Document;
use crate::runbook::used::Used;

/// The runbook whose steps a group holds.
pub(super) fn node(used: &Used) -> UsedNode {
    let text = used.source.as_ref().map_or("", |source| source.text());
    UsedNode { runbook: used.runbook.clone(), digest: sha256(text.as_bytes()) }
}

/// What is given to a runbook that is used, and is not what that asks for.
pub(super) fn unfit(document: &Document, known: &Known<'_>) -> Vec<Diagnostic> {
    let claims = document.used.values().flat_map(|used| &used.claims);
    let broken = claims.filter(|(claim, _)| claim.value.holds(known) != Ok(true));
    broken.map(|(claim, why)| Diagnostic::error("ill-typed", claim.span.at(&document.source), why)).collect()
}
