//! The processes that a practice environment needs, ready to be started by an engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::translate::{Known, Translator, pairs};
use super::values::{Poll, Probe};
use crate::diag::Diagnostic;
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::environment::{Environment, ReadyDecl, ServiceDecl, ServiceScope, Services};
use crate::runbook::scalar::Entries;
use crate::runbook::template::Template;

const READY_EVERY: u64 = 100;
const READY_WITHIN: u64 = 30_000;

/// What a service wants to be given before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNeeds {
    pub name: String,
    pub port: bool,
    pub state: bool,
}

/// File name of the services below `plan/`. Held back: it holds paths of the host.
pub const SERVICES_FILE: &str = "services.json";

/// A process to start. Stored with the plan, so that a resume can start it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: String,
    /// The first is `consigne` where the running executable is meant.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Holds once the service may be used; carries its own poll.
    pub ready: Option<Probe>,
}

/// What the services of an environment want to be given.
pub fn needs(environment: &Environment) -> Vec<ServiceNeeds> {
    let services = environment.decl.services.iter().flat_map(Entries::iter);
    services
        .map(|(name, decl)| ServiceNeeds {
            name: name.value.clone(),
            port: decl.port.is_some(),
            state: decl.state == Some(true),
        })
        .collect()
}

/// The services of an environment, with the ports and folders that were chosen for them.
///
/// # Errors
/// A text names a service that was given nothing.
pub fn services(environment: &Environment, given: &Services) -> Result<Vec<Service>, Vec<Diagnostic>> {
    let mut out = Vec::new();
    let mut problems = Vec::new();
    for (name, decl) in environment.decl.services.iter().flat_map(Entries::iter) {
        match service(&name.value, decl, given) {
            Ok(service) => out.push(service),
            Err(message) => {
                let at = name.span.at(&environment.source);
                problems.push(Diagnostic::error("environment", at, format!("service `{}`: {message}", name.value)));
            }
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn service(name: &str, decl: &ServiceDecl, given: &Services) -> Result<Service, String> {
    let plain = |text: &Template| {
        let rendered = text.render(&ServiceScope(given)).map_err(|error| error.to_string())?;
        rendered.as_plain().map(str::to_owned).ok_or_else(|| "a secret cannot be used here".to_owned())
    };
    let argv = decl.argv.iter().map(|arg| plain(&arg.value)).collect::<Result<_, String>>()?;
    let env = pairs(decl.env.as_ref())
        .into_iter()
        .map(|(name, value)| Ok((name, plain(&value)?)))
        .collect::<Result<_, String>>()?;
    let ready = decl.ready.as_ref().map(|ready| probe(ready, &plain)).transpose()?;
    Ok(Service { name: name.to_owned(), argv, env, ready })
}

/// The probe of a service, with its address filled in.
fn probe(ready: &ReadyDecl, plain: &dyn Fn(&Template) -> Result<String, String>) -> Result<Probe, String> {
    let mut http = (*ready.http).clone();
    let fill = |slot: &mut Option<Spanned<Template>>| -> Result<(), String> {
        if let Some(text) = slot {
            text.value = Template::literal(&plain(&text.value)?);
        }
        Ok(())
    };
    fill(&mut http.get)?;
    fill(&mut http.head)?;
    let none = BTreeMap::new();
    let known = Known { inputs: &none, vars: &none };
    let act = Act {
        http: Some(&http),
        shell: None,
        argv: None,
        env: None,
        cwd: None,
        effect: None,
        expect: ready.expect.as_ref(),
        poll: ready.poll.as_ref(),
        timeout: None,
        keys: &ready.keys,
        span: ready.span,
    };
    let mut probe = Translator::new(None, known).probe(act).ok_or("its probe has no address")?;
    probe.accept.poll.get_or_insert(Poll {
        every_ms: READY_EVERY,
        within_ms: READY_WITHIN,
        until: None,
        fail_if: None,
        steady_ms: None,
    });
    Ok(probe)
}
