//! Environments: where a runbook runs, with which people, variables and sources of secrets.
//!
//! An environment is a file `environments/NAME.yaml` beside the runbook or in a folder above it. Its variables and
//! secrets replace those of the same name in the runbook.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::{Spanned, record, words};
pub use super::hosts::HostDecl;
use super::load;
use super::scalar::{Data, Entries, Millis};
use super::schema::{Expect, Http, Poll, SecretDecl, schema_of};
use super::template::{Lookup, Scope, Template};
use super::texts::Written;
use crate::diag::{Diagnostic, Source, Span, closest};

record! {
    /// Where a runbook runs.
    pub struct EnvironmentDecl {
        /// Values for the variables of runbooks.
        may vars: Entries<Spanned<Data>>,
        /// Sources that replace those of runbooks.
        may secrets: Entries<SecretDecl>,
        /// Who there is.
        may people: Entries<PersonDecl>,
        /// Role to the people who hold it.
        may roles: Entries<Vec<Spanned<String>>>,
        /// Whom messages can be sent to, besides people: a team, a channel, somebody on duty.
        may contacts: Entries<ContactDecl>,
        /// The server that takes our mail.
        may mail: MailDecl,
        /// Variables that child processes inherit besides the fixed few.
        may env_inherit: Vec<Spanned<String>>,
        /// Destructive steps need a gate here, drills are refused.
        may protected: bool,
        /// Practice only: every answer says who it is played by.
        may role_play: bool,
        /// How people prove who they are.
        may identity: IdentityWord,
        /// Processes that a practice environment needs.
        may services: Entries<ServiceDecl>,
        /// Variables and hosts that may lead where a protected environment leads as well (practice only).
        may shared: Vec<Spanned<String>>,
        /// Machines and containers that steps run on, by the names that `host` uses.
        may hosts: Entries<HostDecl>,
        /// What no reason gets round here.
        may require: Vec<RequireWord>,
        /// A live run that may destroy something needs a certificate: that exactly this runbook was rehearsed.
        may rehearsal_certificate: CertificateDecl,
    }
}

record! {
    /// What a rehearsal certificate has to say, besides that it is signed, of this runbook and not expired.
    pub struct CertificateDecl {
        /// How long ago the rehearsal may have been, whatever the certificate says.
        may max_age: Spanned<Millis>,
        /// How many of the edges of the runbook must have been walked, in percent.
        may min_coverage: Spanned<u16>,
    }
}

record! {
    /// Somebody who answers.
    pub struct PersonDecl {
        /// Account on this machine.
        may os_user: Spanned<String>,
        /// Principal of an SSH signature.
        may ssh: Spanned<String>,
        /// Address for messages.
        may mail: Spanned<String>,
        /// Name of the secret that is the URL of a Slack-compatible incoming webhook.
        may slack: Spanned<String>,
        /// A program that is given the message: its text as input, `CONSIGNE_SUBJECT` and `CONSIGNE_TEXT` beside.
        may command: Spanned<Vec<Spanned<Template>>>,
        /// Language of messages; that of the run unless it says so.
        may lang: LangWord,
    }
}

record! {
    /// Whom messages can be sent to, over every channel that is given.
    pub struct ContactDecl {
        /// Address for messages.
        may mail: Spanned<String>,
        /// Name of the secret that is the URL of a Slack-compatible incoming webhook.
        may slack: Spanned<String>,
        /// A program that is given the message: its text as input, `CONSIGNE_SUBJECT` and `CONSIGNE_TEXT` beside.
        may command: Spanned<Vec<Spanned<Template>>>,
        /// Language of messages; that of the run unless it says so.
        may lang: LangWord,
        /// A number for people to call. Nothing is sent there.
        may phone: Spanned<String>,
        /// A note for people: opening hours, who else.
        may note: Spanned<String>,
    }
}

words! {
    /// A language that people read.
    pub enum LangWord { Fr = "fr", En = "en", }
}

record! {
    /// The server that takes our mail.
    pub struct MailDecl {
        /// Host and port, such as `smtp.example.com:587`.
        must server: Spanned<Template>,
        /// Address that messages come from.
        must from: Spanned<String>,
        /// Whether the connection is encrypted; 465 begins so, any other port by STARTTLS.
        may tls: Spanned<TlsWord>,
        /// PEM file of additional trusted roots.
        may ca_file: Spanned<String>,
        /// User, where the server wants to know.
        may user: Spanned<String>,
        /// Name of the secret that is the password.
        may password: Spanned<String>,
    }
}

words! {
    /// Whether a connection is encrypted.
    pub enum TlsWord { Required = "required", None = "none", }
}

words! {
    /// What no reason gets round. `window`: a runbook with windows is run in one of them.
    pub enum RequireWord { Window = "window", }
}

words! {
    /// How people prove who they are.
    pub enum IdentityWord { Any = "any", SshKey = "ssh-key", }
}

words! {
    /// How a port is chosen.
    pub enum PortWord { Auto = "auto", }
}

record! {
    /// A process that a practice environment needs.
    pub struct ServiceDecl {
        /// Program and arguments; `consigne` means the running executable.
        must argv: Vec<Spanned<Template>>,
        /// Environment variables of the process.
        may env: Entries<Spanned<Template>>,
        /// When it may be used.
        may ready: ReadyDecl,
        /// `auto`: a free port, as `{{ services.NAME.port }}`.
        may port: PortWord,
        /// A folder of its own, as `{{ services.NAME.state }}`.
        may state: bool,
    }
}

record! {
    /// When a service may be used: a call, or `tcp`.
    pub struct ReadyDecl {
        /// The call that must succeed.
        may http: Box<Http>,
        /// As soon as its port takes connections.
        may tcp: bool,
        /// What counts as success.
        may expect: Expect,
        /// How often it is asked, and for how long.
        may poll: Poll,
    }
}

/// An environment, read.
#[derive(Debug, Clone)]
pub struct Environment {
    pub name: String,
    pub path: PathBuf,
    pub source: Arc<Source>,
    pub decl: EnvironmentDecl,
}

/// Where a service of a practice environment listens, and the folder it keeps its state in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAt {
    /// `None`: chosen when the run starts, see [`ServiceAt::at_start`].
    pub port: Option<u16>,
    pub state: String,
}

/// What stands in a plan for the port and the folder of a service that nobody has started.
pub const AT_START: &str = "<chosen at start>";

impl ServiceAt {
    /// A service of a run that is only foreseen.
    pub fn at_start() -> Self {
        Self { port: None, state: AT_START.to_owned() }
    }
}

/// The services of a run, by name.
pub type Services = BTreeMap<String, ServiceAt>;

/// The names that templates of an environment may use.
#[derive(Debug, Clone, Copy)]
pub struct ServiceScope<'a>(pub &'a Services);

impl ServiceScope<'_> {
    /// A text of an environment as it is then; `None` where it names what is not there.
    pub fn plain(&self, text: &Template) -> Option<String> {
        text.render(self).ok()?.as_plain().map(str::to_owned)
    }
}

impl Scope for ServiceScope<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        match (root, self.0.get(name)) {
            ("services", Some(at)) => {
                let port = at.port.map_or_else(|| AT_START.into(), serde_json::Value::from);
                Lookup::Known(serde_json::json!({"port": port, "state": at.state}))
            }
            _ => Lookup::Missing,
        }
    }
}

impl Environment {
    /// No reason gets round the windows of a runbook here.
    pub fn requires_window(&self) -> bool {
        self.decl.require.iter().flatten().any(|word| *word == RequireWord::Window)
    }

    /// Reads an environment file. What could be read comes back even where some of it is wrong.
    pub fn load(path: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        let source = match load::source(path) {
            Ok(source) => source,
            Err(problem) => return (None, vec![problem]),
        };
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (decl, mut problems) = load::record::<EnvironmentDecl>(&source);
        let environment = decl.map(|decl| Self { name, path: path.to_owned(), source, decl });
        if let Some(environment) = &environment {
            environment.check(&mut problems);
        }
        (environment, problems)
    }

    /// Finds the environment of that name for a runbook: `environments/NAME.yaml` beside it or in a folder above.
    ///
    /// # Errors
    /// There is none: names what there is.
    #[allow(clippy::result_large_err, reason = "once for each run")]
    pub fn find(runbook: &Path, name: &str) -> Result<PathBuf, Diagnostic> {
        let mut known = Vec::new();
        for folder in folders(runbook) {
            let path = folder.join(format!("{name}.yaml"));
            if plain_name(name) && path.is_file() {
                return Ok(path);
            }
            known.extend(listed(&folder));
        }
        let message = format!("no environment `{name}` beside {} or above it", runbook.display());
        let mut problem = Diagnostic::about("environment", runbook.display().to_string(), message);
        known.sort();
        known.dedup();
        let names: Vec<String> =
            known.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
        if let Some(near) = closest(name, names.iter().map(String::as_str)) {
            problem = problem.help(format!("did you mean `{near}`?"));
        } else if !names.is_empty() {
            problem = problem.help(format!("there is: {}", names.join(", ")));
        }
        Err(problem)
    }

    /// Every environment that a runbook could run in, with what is wrong with each.
    pub fn all(runbook: &Path) -> (Vec<Self>, Vec<Diagnostic>) {
        let mut out = Vec::new();
        let mut problems = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for path in folders(runbook).iter().flat_map(|folder| listed(folder)) {
            let (environment, found) = Self::load(&path);
            problems.extend(found);
            if let Some(environment) = environment.filter(|env| !seen.contains(&env.name)) {
                seen.push(environment.name.clone());
                out.push(environment);
            }
        }
        (out, problems)
    }

    /// Names of the environments that a runbook could run in; none of them is read.
    pub fn names(runbook: &Path) -> Vec<String> {
        let files = folders(runbook).into_iter().flat_map(|folder| listed(&folder));
        let mut names: Vec<String> =
            files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names.dedup();
        names
    }

    pub fn is_protected(&self) -> bool {
        self.decl.protected == Some(true)
    }

    /// Whether it starts processes of its own, as practice environments do.
    pub fn has_services(&self) -> bool {
        self.decl.services.as_ref().is_some_and(|services| services.iter().next().is_some())
    }

    /// The people of a role; `None` when the role is not known.
    pub fn role(&self, name: &str) -> Option<&[Spanned<String>]> {
        self.decl.roles.as_ref()?.get(name).map(Vec::as_slice)
    }

    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.decl.roles.iter().flat_map(|roles| roles.iter().map(|(name, _)| name.value.as_str()))
    }

    fn check(&self, problems: &mut Vec<Diagnostic>) {
        let decl = &self.decl;
        let known = |name: &str| decl.people.as_ref().is_some_and(|people| people.get(name).is_some());
        for (role, people) in decl.roles.iter().flat_map(Entries::iter) {
            for person in people.iter().filter(|person| !known(&person.value)) {
                let message = format!("`{}` in role `{}` is not among `people`", person.value, role.value);
                let names = decl.people.iter().flat_map(Entries::iter).map(|(name, _)| name.value.as_str());
                let problem = Diagnostic::error("unknown-name", person.span.at(&self.source), message);
                problems.push(problem.suggest(&person.value, names));
            }
        }
        for (_, secret) in decl.secrets.iter().flat_map(Entries::iter) {
            check_secret(secret, &self.source, problems);
        }
        if self.is_protected() && decl.role_play == Some(true) {
            let at = decl.keys.get("role_play").unwrap_or_default().at(&self.source);
            let message = "a protected environment cannot play roles: its answers are real";
            problems.push(Diagnostic::error("protected", at, message));
        }
        for (name, service) in decl.services.iter().flat_map(Entries::iter) {
            if service.argv.first().is_none_or(|program| program.value.source().trim().is_empty()) {
                let at = service.keys.get("argv").unwrap_or(service.span).at(&self.source);
                let message = format!("`argv` of the service `{}` names a program", name.value);
                let help = "write the program and its arguments: `argv: [consigne, practice]`";
                problems.push(Diagnostic::error("empty", at, message).help(help));
            }
        }
        for (name, host) in decl.hosts.iter().flat_map(Entries::iter) {
            host.check(name, &self.source, problems);
        }
        super::contacts::check(self, problems);
        self.check_certificate(problems);
        self.check_templates(problems);
    }

    /// A certificate that can be had.
    fn check_certificate(&self, problems: &mut Vec<Diagnostic>) {
        let Some(decl) = &self.decl.rehearsal_certificate else { return };
        if !self.is_protected() {
            let at = self.decl.keys.get("rehearsal_certificate").unwrap_or(self.decl.span).at(&self.source);
            let message =
                "a certificate is asked for, and the environment is not protected: a drill needs none";
            problems.push(Diagnostic::error("missing-key", at, message).help("add `protected: true`"));
        }
        if let Some(age) = decl.max_age.as_ref().filter(|age| age.value.0 == 0) {
            let message = "no rehearsal is that young: every run would be refused";
            let problem = Diagnostic::error("bad-duration", age.span.at(&self.source), message);
            problems.push(problem.help("write how long ago it may have been, such as 90d"));
        }
        if let Some(least) = decl.min_coverage.as_ref().filter(|least| least.value > 100) {
            let message = format!("{} of 100 edges cannot be walked", least.value);
            let problem = Diagnostic::error("bad-value", least.span.at(&self.source), message);
            problems.push(problem.help("a whole number from 0 to 100, in percent"));
        }
    }

    /// Only services of this environment may be named in it.
    fn check_templates(&self, problems: &mut Vec<Diagnostic>) {
        let decl = &self.decl;
        let mut texts = Vec::new();
        decl.vars.iter().flat_map(Entries::iter).for_each(|(_, data)| data.value.templates(&mut texts));
        for (_, secret) in decl.secrets.iter().flat_map(Entries::iter) {
            texts.extend(&secret.file);
            texts.extend(secret.command.iter().flat_map(|command| &command.value));
        }
        texts.extend(decl.mail.iter().map(|mail| &mail.server));
        texts.extend(self.contacts().flat_map(|contact| contact.command).flat_map(|argv| &argv.value));
        for (_, service) in decl.services.iter().flat_map(Entries::iter) {
            texts.extend(&service.argv);
            texts.extend(service.env.iter().flat_map(Entries::iter).map(|(_, text)| text));
        }
        texts.extend(decl.hosts.iter().flat_map(Entries::iter).flat_map(|(_, host)| host.templates()));
        let services: Vec<&str> =
            decl.services.iter().flat_map(Entries::iter).map(|(name, _)| name.value.as_str()).collect();
        let expressions = texts.into_iter().flat_map(|text| Written::Template(text).exprs());
        for (expr, name) in expressions.flat_map(|expr| expr.expr.refs().iter().map(move |name| (expr, name)))
        {
            let mut parts = name.split('.');
            let known = parts.next() == Some("services")
                && parts.next().is_some_and(|service| services.contains(&service))
                && matches!(parts.next(), Some("port" | "state"));
            if !known {
                let at = expr.place(&self.source, name).at(&self.source);
                let message = format!("`{name}` is not known in an environment");
                let help = "an environment may name `services.NAME.port` and `services.NAME.state`";
                problems.push(Diagnostic::error("unknown-name", at, message).help(help));
            }
        }
    }
}

/// The JSON Schema (draft 7) of an environment file, for editors.
pub fn json_schema() -> serde_json::Value {
    schema_of::<EnvironmentDecl>("consigne environment")
}

/// A secret has exactly one source.
pub fn check_secret(secret: &SecretDecl, source: &Arc<Source>, problems: &mut Vec<Diagnostic>) {
    let sources: Vec<(&str, Span)> = secret.keys.iter().filter(|(name, _)| *name != "refresh").collect();
    if sources.len() != 1 && !secret.keys.foreign {
        let message = format!("a secret has exactly one source, found {}", sources.len());
        let at = sources.get(1).map_or(secret.span, |(_, span)| *span);
        problems.push(Diagnostic::error("secret-source", at.at(source), message).help(SOURCES));
    }
    if let Some(refresh) = &secret.refresh {
        let problem = if refresh.value.0 < SHORTEST_REFRESH {
            let message = "a secret that is fetched again all the time is no better known";
            Some(
                Diagnostic::error("bad-duration", refresh.span.at(source), message)
                    .help("write how long it lives, such as 30m; at least 1s"),
            )
        } else if secret.prompt == Some(true) {
            let message = "nobody can be asked for a secret again in the middle of a run";
            let at = secret.keys.get("refresh").unwrap_or(refresh.span).at(source);
            Some(
                Diagnostic::error("secret-source", at, message)
                    .help("`refresh` is for `command` and `file`; leave it out"),
            )
        } else {
            None
        };
        problems.extend(problem);
    }
    let blank = |text: &str| text.trim().is_empty();
    let env = secret.env.as_ref().filter(|env| blank(&env.value)).map(|env| env.span);
    let file = secret.file.as_ref().filter(|file| blank(file.value.source())).map(|file| file.span);
    let command = secret.command.as_ref().filter(|command| match command.value.first() {
        Some(program) => blank(program.value.source()),
        None => source.slice(command.span) == "[]",
    });
    if let Some(span) = env.or(file).or(command.map(|command| command.span)) {
        let message = "a secret that comes from nowhere";
        problems.push(Diagnostic::error("empty", span.at(source), message).help(SOURCES));
    }
}

/// In milliseconds.
const SHORTEST_REFRESH: u64 = 1_000;

const SOURCES: &str = "one of: env: NAME, file: PATH, command: [program, …], prompt: true";

/// A name, not a path.
fn plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The folders that may hold environments for a runbook, nearest first.
fn folders(runbook: &Path) -> Vec<PathBuf> {
    let folder = runbook.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Resolved: `../x.yaml` does not lie below the folder that it is named from.
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().map(|folder| folder.join("environments")).filter(|folder| folder.is_dir()).collect()
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.yaml");
        std::fs::write(&path, text).unwrap();
        Environment::load(&path).1.iter().map(|p| p.code).collect()
    }

    #[test]
    fn an_environment_names_only_what_it_has() {
        assert_eq!(codes("people: {alice: {}}\nroles: {ops: [alise]}\n"), ["unknown-name"]);
        assert_eq!(codes("vars: {a: \"{{ services.x.port }}\"}\n"), ["unknown-name"]);
        assert_eq!(codes("secrets: {a: {env: A, file: b}}\n"), ["secret-source"]);
        assert_eq!(codes("protected: true\nrole_play: true\n"), ["protected"]);
        assert!(codes("require: [window]\n").is_empty());
        assert_eq!(codes("require: {}\n"), ["wrong-type"]);
        let certified = |rule: &str| codes(&format!("protected: true\nrehearsal_certificate: {rule}\n"));
        assert!(certified("{}").is_empty());
        assert!(certified("{max_age: 90d, min_coverage: 100}").is_empty());
        assert_eq!(certified("{max_age: 0d}"), ["bad-duration"]);
        assert_eq!(certified("{min_coverage: 101}"), ["bad-value"]);
        for open in ["", "protected: false\n", "role_play: true\n"] {
            assert_eq!(codes(&format!("{open}rehearsal_certificate: {{}}\n")), ["missing-key"], "{open}");
        }
        assert!(codes("hosts: {a: {ssh: deploy@web-01, port: 22}, b: {via: [env]}}\n").is_empty());
        assert_eq!(codes("hosts: {a: {ssh: b, via: [env]}, b: {}}\n"), ["bad-value", "bad-value"]);
        assert_eq!(codes("hosts: {a: {ssh: '-oProxyCommand=x'}}\n"), ["bad-value"]);
        assert_eq!(codes("hosts: {a: {ssh: 'ssh://b:1'}, b: {ssh: 'b c'}}\n"), ["bad-value", "bad-value"]);
        assert_eq!(codes("hosts: {a: {ssh: b, options: {ForwardAgent: 'yes'}}}\n"), ["bad-value"]);
        assert_eq!(codes("hosts: {a: {ssh: b, port: 70000}, b: {via: []}}\n"), ["bad-value", "empty"]);
        assert_eq!(codes("hosts: {a: {ssh: b, port: '{{ services.x.port }}'}}\n"), ["unknown-name"]);
        let full = "services: {x: {argv: [p, \"{{ services.x.port }}\"], port: auto}}\nvars: {a: \"{{ services.x.port }}\"}\n";
        assert_eq!(codes(full), [""; 0]);
    }

    #[test]
    fn an_environment_is_found_above_the_runbook() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("environments")).unwrap();
        std::fs::create_dir_all(folder.path().join("deep/er")).unwrap();
        std::fs::write(folder.path().join("environments/practice.yaml"), "role_play: true\n").unwrap();
        let runbook = folder.path().join("deep/er/x.yaml");
        assert!(Environment::find(&runbook, "practice").is_ok());
        let problem = Environment::find(&runbook, "practise").unwrap_err();
        assert_eq!(problem.help, ["did you mean `practice`?"]);
        assert!(Environment::find(&runbook, "../environments/practice").is_err());
        assert_eq!(Environment::all(&runbook).0.len(), 1);
    }
}
