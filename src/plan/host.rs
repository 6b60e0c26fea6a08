//! Hosts: where programs run that do not run here, and how they are reached.
//!
//! A host is declared by the environment and frozen with the plan. A request carries the way to its host as it was
//! declared, so an approval binds it, and a runner needs nothing else to get there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::translate::{Known, plain};
use super::values::{StepValues, Values};
use super::{Plan, build::BuildRequest};
use crate::diag::{Diagnostic, Source, Span};
use crate::runbook::environment::{AT_START, HostDecl, ServiceScope, Services};
use crate::runbook::load::Document;
use crate::runbook::scalar::Entries;
use crate::runbook::template::Template;

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    Ssh(SshHost),
    /// A program and its arguments, which runs what stands behind them: `kubectl exec -i db-0 --`.
    Via(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshHost {
    /// `user@host`, or a name of ssh's own configuration.
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<String>,
    /// With it, a host whose key is not in it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// As in `ssh_config`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
}

impl Reach {
    /// As people read it: `ssh deploy@web-01`, `via kubectl exec -i db-0 --`.
    pub fn shown(&self) -> String {
        match self {
            Self::Ssh(SshHost { address, port: Some(port), .. }) => format!("ssh {address} port {port}"),
            Self::Ssh(SshHost { address, .. }) => format!("ssh {address}"),
            Self::Via(prefix) => {
                let words: Vec<_> = prefix.iter().map(|word| shell_words::quote(word)).collect();
                format!("via {}", words.join(" "))
            }
        }
    }

    /// Whether it is a service's, which begins with the run.
    pub fn begins_with_the_run(&self) -> bool {
        let later = |text: &String| text.contains(AT_START);
        match self {
            Self::Ssh(host) => {
                later(&host.address) || host.options.iter().any(|(name, value)| later(name) || later(value))
            }
            Self::Via(prefix) => prefix.iter().any(later),
        }
    }

    /// What two hosts have in common that are the same machine, whoever goes there.
    pub fn target(&self) -> String {
        match self {
            Self::Ssh(host) => {
                let name = host.address.rsplit_once('@').map_or(host.address.as_str(), |(_, name)| name);
                format!("ssh://{}:{}", name.to_ascii_lowercase(), host.port.unwrap_or(22))
            }
            Self::Via(_) => self.shown(),
        }
    }
}

/// A host that steps of a plan run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedHost {
    /// `None`: decided later.
    pub name: Option<String>,
    pub steps: Vec<String>,
}

/// The hosts that the steps of a plan run on, in their order, as far as they are known before the run.
pub fn used(plan: &Plan) -> Vec<UsedHost> {
    let values = &plan.values;
    let known = Known::of(values);
    let mut out: Vec<UsedHost> = Vec::new();
    let steps = plan.graph.steps.iter().map(|node| (&node.id, values.steps.get(&node.id)));
    let guards = plan.graph.guards.iter().map(|node| (&node.id, values.guards.get(&node.id)));
    for (id, own) in steps.chain(guards) {
        for name in own.into_iter().flat_map(named) {
            let name = name.render(&known).ok().and_then(|name| name.as_plain().map(str::to_owned));
            match out.iter_mut().find(|used| used.name == name) {
                Some(used) if used.steps.contains(id) => {}
                Some(used) => used.steps.push(id.clone()),
                None => out.push(UsedHost { name, steps: vec![id.clone()] }),
            }
        }
    }
    out
}

fn named(values: &StepValues) -> impl Iterator<Item = &Template> {
    values.probes().filter_map(|probe| match &probe.action {
        Action::Remote(call) => Some(&call.host),
        Action::Http(_) | Action::Notify(_) | Action::Shell(_) | Action::Argv(_) => None,
    })
}

/// The hosts of an environment that a plan may need: those that it names, or all where a name is decided later.
pub(super) fn of(
    document: &Document,
    request: &BuildRequest<'_>,
    values: &Values,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Reach> {
    let known = Known::of(values);
    let names: BTreeSet<Option<String>> = values
        .all()
        .flat_map(|(_, own)| named(own))
        .map(|name| name.render(&known).ok().and_then(|name| name.as_plain().map(str::to_owned)))
        .collect();
    let mut out = BTreeMap::new();
    let Some(environment) = request.environment else {
        if !names.is_empty() {
            let at = document.runbook.id.span.at(&document.source);
            let problem = Diagnostic::error("environment", at, "its hosts must come from an environment");
            problems.push(problem.help("name one with --env NAME"));
        }
        return out;
    };
    for name in names.iter().flatten().filter(|name| declared(request, name).is_none()) {
        let at = document.runbook.id.span.at(&document.source);
        let message = format!("environment `{}` has no host `{name}`", environment.name);
        let all = environment.decl.hosts.iter().flat_map(Entries::iter).map(|(name, _)| name.value.as_str());
        problems.push(Diagnostic::error("unknown-host", at, message).suggest(name, all));
    }
    for (name, decl) in environment.decl.hosts.iter().flat_map(Entries::iter) {
        if !names.contains(&None) && !names.contains(&Some(name.value.clone())) {
            continue;
        }
        match reach(decl, request.services) {
            Ok(reach) => {
                out.insert(name.value.clone(), reach);
            }
            Err(message) => {
                let message = format!("host `{}`: {message}", name.value);
                problems.push(bad(message, decl.span, &environment.source));
            }
        }
    }
    out
}

fn declared<'a>(request: &BuildRequest<'a>, name: &str) -> Option<&'a HostDecl> {
    request.environment.and_then(|environment| environment.decl.hosts.as_ref()?.get(name))
}

fn bad(message: String, span: Span, source: &std::sync::Arc<Source>) -> Diagnostic {
    Diagnostic::error("environment", span.at(source), message)
}

/// A declared host with everything in it filled in.
pub(super) fn reach(decl: &HostDecl, services: &Services) -> Result<Reach, String> {
    let text = |template: &Template| {
        let rendered = template.render(&ServiceScope(services)).map_err(|error| error.to_string())?;
        rendered.as_plain().map(str::to_owned).ok_or_else(|| "a secret cannot be used here".to_owned())
    };
    if let Some(prefix) = &decl.via {
        return Ok(Reach::Via(prefix.value.iter().map(|word| text(&word.value)).collect::<Result<_, _>>()?));
    }
    let address = decl.ssh.as_ref().ok_or("it says neither `ssh` nor `via`")?;
    let may = |template: Option<&crate::runbook::decode::Spanned<Template>>| {
        template.map(|template| text(&template.value)).transpose()
    };
    let options = decl.options.iter().flat_map(Entries::iter);
    let port = decl.port.as_ref().map(|port| number(&port.value, services)).transpose()?;
    // Of a service that nobody has started, the port is chosen at the start.
    let unknown = (port == Some(None)).then(|| ("Port".to_owned(), AT_START.to_owned()));
    Ok(Reach::Ssh(SshHost {
        address: text(&address.value)?,
        port: port.flatten(),
        identity_file: may(decl.identity_file.as_ref())?,
        known_hosts: may(decl.known_hosts.as_ref())?,
        options: options
            .map(|(name, value)| Ok((name.value.clone(), text(&value.value)?)))
            .chain(unknown.map(Ok))
            .collect::<Result<_, String>>()?,
    }))
}

fn number(port: &crate::runbook::scalar::Data, services: &Services) -> Result<Option<u16>, String> {
    let rendered = port.tree().render(&ServiceScope(services)).map_err(|error| error.to_string())?;
    let value = plain(&rendered).ok_or("a secret cannot be used here")?;
    if value.as_str() == Some(AT_START) {
        return Ok(None);
    }
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    port.map(Some).ok_or_else(|| "its port is a number from 1 to 65535".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(address: &str, port: Option<u16>) -> Reach {
        let (identity_file, known_hosts) = (None, None);
        Reach::Ssh(SshHost { address: address.into(), port, identity_file, known_hosts, options: vec![] })
    }

    #[test]
    fn one_machine_is_one_target_whoever_goes_there() {
        assert_eq!(ssh("deploy@Web-01", None).target(), ssh("root@web-01", Some(22)).target());
        assert_ne!(ssh("web-01", None).target(), ssh("web-01", Some(2222)).target());
        let via = |words: &[&str]| Reach::Via(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(via(&["kubectl", "exec", "a b"]).shown(), "via kubectl exec 'a b'");
        assert_ne!(via(&["a", "b"]).target(), via(&["a b"]).target());
    }
}
