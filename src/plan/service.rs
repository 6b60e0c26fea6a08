//! The processes that a practice environment needs, ready to be started by an engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::translate::{Known, Translator, pairs};
use super::values::{Poll, ProbeOf};
use crate::diag::Diagnostic;
use crate::runbook::act::Act;
use crate::runbook::environment::{Environment, ReadyDecl, ServiceAt, ServiceDecl, ServiceScope, Services};
use crate::runbook::scalar::Entries;
use crate::runbook::template::{Rendered, Template};

/// What a service wants to be given before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNeeds {
    pub name: String,
    pub port: bool,
    pub state: bool,
}

/// A process that runs beside a run and ends with it. Serialisable, so that a resume can
/// start it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: String,
    /// The first element `consigne` stands for the running program.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub port: u16,
    /// A private folder, kept over restarts.
    pub state: String,
    /// Holds once the service may be used.
    pub ready: Option<ProbeOf<Rendered>>,
    /// It may be used once its port takes connections.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tcp: bool,
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
                problems.push(Diagnostic::error(
                    "environment",
                    at,
                    format!("service `{}`: {message}", name.value),
                ));
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
    let asks = decl.ready.as_ref().filter(|ready| ready.http.is_some());
    let ready = asks.map(|ready| probe(ready, given)).transpose()?;
    let tcp = decl.ready.as_ref().is_some_and(|ready| ready.tcp == Some(true));
    let at = given.get(name).cloned().unwrap_or(ServiceAt { port: None, state: String::new() });
    Ok(Service { name: name.to_owned(), argv, env, port: at.port.unwrap_or(0), state: at.state, ready, tcp })
}

/// Nothing is ready in the moment that it is started: how often it is asked, and for how long, unless declared.
const START: Poll = Poll { every_ms: 50, within_ms: 30_000, until: None, fail_if: None, steady_ms: None };

/// The probe of a service, with everything in it filled in.
fn probe(ready: &ReadyDecl, given: &Services) -> Result<ProbeOf<Rendered>, String> {
    let act = Act {
        http: ready.http.as_deref(),
        shell: None,
        argv: None,
        env: None,
        cwd: None,
        host: None,
        effect: None,
        expect: ready.expect.as_ref(),
        poll: ready.poll.as_ref(),
        timeout: None,
        keys: &ready.keys,
        span: ready.span,
    };
    let none = BTreeMap::new();
    let hosts = BTreeMap::new();
    let known = Known { inputs: &none, vars: &none, hosts: &hosts, values: None };
    let mut probe = Translator::new(None, known).probe(act).ok_or("its probe has no address")?;
    probe.accept.poll.get_or_insert_with(|| START.clone());
    probe.render(&ServiceScope(given)).map_err(|error| error.to_string())
}
