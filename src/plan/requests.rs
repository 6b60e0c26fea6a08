//! What the steps of a plan ask of the outside, before anything is rendered: the same whatever the environment and the
//! inputs, and another one as soon as somebody changes the request in the runbook. Recorded fixtures keep it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Action, Plan, Probe, Program, ProgramCall};
use crate::runbook::scenario::{Part, Wanted};
use crate::runbook::template::Template;

/// Bytes of the SHA-256 that are kept: enough to see a change, which is all it is for.
const KEPT: usize = 8;

/// By the id of the step, `list/item` or guard, and by the part of it. Messages are none: whom they go to is for the
/// environment to say.
pub fn requests(plan: &Plan) -> BTreeMap<(String, Part), Wanted> {
    let mut out = BTreeMap::new();
    for (id, values) in plan.values.all() {
        let parts = [
            (Part::Own, &values.act),
            (Part::First, &values.verify),
            (Part::Verify, &values.verify),
            (Part::Undo, &values.undo),
            (Part::PutBack, &values.put_back),
            (Part::OnlyIf, &values.only_if),
        ];
        for (part, probe) in parts {
            put(&mut out, id.clone(), part, probe.as_ref());
        }
        for (item, probed) in &values.items {
            let proof = probed.step.as_ref().and_then(|step| plan.values.steps.get(step)?.verify.as_ref());
            put(&mut out, format!("{id}/{item}"), Part::Own, probed.probe.as_ref().or(proof));
        }
    }
    out
}

fn put(
    out: &mut BTreeMap<(String, Part), Wanted>,
    id: String,
    part: Part,
    probe: Option<&Probe>,
) -> Option<Wanted> {
    let wanted = wanted(&probe?.action)?;
    out.insert((id, part), wanted)
}

fn wanted(action: &Action<Template>) -> Option<Wanted> {
    let (made, says): (Value, String) = match action {
        // Field by field: one that is new in this program changes no request.
        Action::Http(call) => (
            json!([call.method, call.url, call.query, call.headers, call.body, call.auth]),
            format!("{} {}", call.method, call.url.source()),
        ),
        Action::Shell(call) => (json!(["shell", call.script, call.env, call.cwd]), "a script".to_owned()),
        Action::Argv(call) => (json!(["argv", call.argv, call.env, call.cwd]), program(call)),
        Action::Remote(call) => {
            let says = match &call.program {
                Program::Shell(_) => "a script".to_owned(),
                Program::Argv(call) => program(call),
            };
            (json!([call.host, call.program]), format!("{says} on {}", call.host.source()))
        }
        Action::Notify(_) => return None,
    };
    let digest = Sha256::digest(made.to_string());
    let digest = digest.iter().take(KEPT).map(|byte| format!("{byte:02x}")).collect();
    Some(Wanted { digest, says: says.split_whitespace().collect::<Vec<_>>().join(" ") })
}

fn program(call: &ProgramCall<Template>) -> String {
    call.argv.first().map_or_else(|| "a program".to_owned(), |program| program.source().to_owned())
}
