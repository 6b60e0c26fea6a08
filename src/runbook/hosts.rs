//! Hosts as an environment declares them: where programs run that do not run here.

use std::sync::Arc;

use super::decode::{Spanned, record};
use super::scalar::{Data, Entries};
use super::template::{Part, Template};
use crate::diag::{Diagnostic, Source, Span};

record! {
    /// A machine or a container that programs run on: by ssh, or behind a program of your own.
    pub struct HostDecl {
        /// Where ssh connects to: `user@host`, or a name of its configuration.
        may ssh: Spanned<Template>,
        /// Port of its ssh server.
        may port: Spanned<Data>,
        /// File of the private key, beside the runbook unless it begins with `/` or `~`.
        may identity_file: Spanned<Template>,
        /// File with the keys of hosts: with it, a host whose key is not in it is refused.
        may known_hosts: Spanned<Template>,
        /// Further settings, as in `ssh_config`.
        may options: Entries<Spanned<Template>>,
        /// A program and its arguments that run what stands behind them, with its standard input.
        may via: Spanned<Vec<Spanned<Template>>>,
    }
}

/// Keys that say something to ssh alone.
const OF_SSH: [&str; 4] = ["port", "identity_file", "known_hosts", "options"];
/// Settings that every session has in one way only.
const SETTLED: [&str; 14] = [
    "batchmode",
    "clearallforwardings",
    "controlmaster",
    "controlpersist",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "localcommand",
    "permitlocalcommand",
    "remotecommand",
    "requesttty",
    "sessiontype",
    "stdinnull",
    "tunnel",
];

impl HostDecl {
    /// Every text of it.
    pub fn templates(&self) -> Vec<&Spanned<Template>> {
        let own = [&self.ssh, &self.identity_file, &self.known_hosts];
        let mut out: Vec<&Spanned<Template>> = own.into_iter().flatten().collect();
        if let Some(port) = &self.port {
            port.value.templates(&mut out);
        }
        out.extend(self.options.iter().flat_map(Entries::iter).map(|(_, value)| value));
        out.extend(self.via.iter().flat_map(|via| &via.value));
        out
    }

    /// What cannot be meant.
    pub fn check(&self, name: &Spanned<String>, source: &Arc<Source>, problems: &mut Vec<Diagnostic>) {
        let mut fail = |code: &'static str, span: Span, message: String, help: &str| {
            problems.push(Diagnostic::error(code, span.at(source), message).help(help));
        };
        if self.keys.has("ssh") == self.keys.has("via") && !self.keys.foreign {
            let message = format!("host `{}` is reached in exactly one way", name.value);
            let span = self.keys.get("via").unwrap_or(self.span);
            fail("bad-value", span, message, "write `ssh: user@host`, or `via: [program, …]`");
        }
        for (key, span) in self.keys.iter().filter(|(key, _)| OF_SSH.contains(key) && self.keys.has("via")) {
            let message = format!("`{key}` says something to ssh, which `via` does not use");
            fail("bad-value", span, message, "leave it out");
        }
        if let Some(ssh) = self.ssh.as_ref().filter(|ssh| !is_address(ssh.value.source())) {
            let message = "this is nothing that ssh connects to".to_owned();
            fail("bad-value", ssh.span, message, "write `user@host` or `host`; a port stands under `port`");
        }
        if let Some(via) = self
            .via
            .as_ref()
            .filter(|via| via.value.first().is_none_or(|program| program.value.source().trim().is_empty()))
        {
            let message = "it goes through no program".to_owned();
            fail("empty", via.span, message, "such as `via: [kubectl, exec, -i, db-0, --]`");
        }
        for (option, value) in self.options.iter().flat_map(Entries::iter) {
            let plain = option.value.bytes().all(|b| b.is_ascii_alphanumeric()) && !option.value.is_empty();
            if !plain || SETTLED.contains(&option.value.to_ascii_lowercase().as_str()) {
                let message = format!("`{}` cannot be set here", option.value);
                let help = "sessions ask nobody, forward nothing, and run the program of the step alone";
                fail("bad-value", option.span, message, help);
            } else if value.value.source().contains(['\n', '\r', '\0']) {
                let message = format!("`{}` is one line", option.value);
                fail("bad-value", value.span, message, "take the line break out");
            }
        }
        if let Some(port) = self.port.as_ref().filter(|port| !is_port(&port.value)) {
            let message = "a port is a number from 1 to 65535".to_owned();
            fail("bad-value", port.span, message, "such as `port: 2222`, or `\"{{ services.NAME.port }}\"`");
        }
    }
}

/// Nothing that ssh could take for an option or for an address of another form.
fn is_address(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains("://")
        && !text.contains("@-")
        && !without_expressions(text).contains(|c: char| c.is_whitespace() || c.is_control())
}

fn without_expressions(text: &str) -> String {
    let Ok(template) = Template::parse(text) else { return text.to_owned() };
    let texts = template.parts().map(|part| match part {
        Part::Text(text) => text,
        Part::Expr(_) => "",
    });
    texts.collect()
}

fn is_port(port: &Data) -> bool {
    let mut templates = Vec::new();
    port.templates(&mut templates);
    let later = templates.iter().any(|text| text.value.refs().next().is_some());
    later || port.literal().as_u64().is_some_and(|port| (1..=65_535).contains(&port))
}
