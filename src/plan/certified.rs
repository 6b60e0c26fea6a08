//! Whether a run may only begin with a rehearsal certificate: what the environment says, for the plans it is said of.

use serde::{Deserialize, Serialize};

use super::build::BuildRequest;
use super::graph::{Effect, Mode, StepNode};

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

/// The rule for a live run with a destructive step where the environment has one. Drills and rehearsals are how one comes
/// by a certificate: they need none.
pub(super) fn rule(steps: &[StepNode], request: &BuildRequest<'_>) -> Option<CertificateRule> {
    let decl = request.environment?.decl.rehearsal_certificate.as_ref()?;
    let destroys = steps.iter().any(|step| step.effect == Effect::Destructive);
    (request.mode == Mode::Live && destroys).then(|| CertificateRule {
        max_age_ms: decl.max_age.as_ref().map(|age| age.value.0),
        min_coverage: decl.min_coverage.as_ref().map(|least| least.value),
    })
}
