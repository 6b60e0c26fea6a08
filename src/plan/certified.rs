//! Whether a run may only begin with a rehearsal certificate: what the environment says, for the plans it is said of.

use serde::{Deserialize, Serialize};

use super::build::BuildRequest;
use super::graph::{Effect, Mode};
use super::{Plan, StepValues};
use crate::runbook::environment::Environment;

/// What a certificate has to say, besides that it is signed, of this runbook and not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// How long ago the rehearsal may have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
    /// How much of the runbook must have been walked, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_coverage: Option<u16>,
}

/// The rule for a live run that can destroy something, where the environment has one. Drills and rehearsals are how one
/// comes by a certificate: they need none.
pub(super) fn rule(plan: &Plan, request: &BuildRequest<'_>) -> Option<CertificateRule> {
    request.environment.and_then(|environment| rule_of(plan, environment))
}

/// What an environment asks of a plan.
pub fn rule_of(plan: &Plan, environment: &Environment) -> Option<CertificateRule> {
    let decl = environment.decl.rehearsal_certificate.as_ref()?;
    (plan.graph.mode == Mode::Live && destroys(plan)).then(|| CertificateRule {
        max_age_ms: decl.max_age.as_ref().map(|age| age.value.0),
        min_coverage: decl.min_coverage.as_ref().map(|least| least.value),
    })
}

/// A step of it does, or what takes a step back.
fn destroys(plan: &Plan) -> bool {
    let back = |values: &StepValues| [values.undo_effect, values.put_back_effect];
    plan.graph.steps.iter().any(|step| step.effect == Effect::Destructive)
        || plan.values.steps.values().flat_map(back).any(|effect| effect == Some(Effect::Destructive))
}
