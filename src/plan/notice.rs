//! Messages to people: whom, over what, and what is said.
//!
//! Owns the way from names in a runbook to channels of an environment. Everything is settled when a plan is built, so
//! that neither a changed environment nor a changed template changes a run that has begun. Secrets are named only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::action::{Action, Fill};
use super::build::{self, BuildRequest};
use super::graph::Mode;
use super::secret;
use super::translate;
use super::values::{Accept, Localized, Probe, SecretSource, Told};
use crate::diag::Diagnostic;
use crate::runbook::contacts::Contact;
use crate::runbook::decode::Spanned;
use crate::runbook::environment::{Environment, ServiceScope, Services, TlsWord};
use crate::runbook::flow;
use crate::runbook::letters::{self, Letter, Page};
use crate::runbook::load::Document;
use crate::runbook::schema::{Approve, NotifyDecl, Step};
use crate::runbook::template::Template;

/// What one attempt to send everything may take.
pub(super) const TIMEOUT: u64 = 60_000;

/// One message to some people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice<S> {
    /// In the order in which they are tried.
    pub to: Vec<Recipient>,
    /// Only the first of them who can be reached.
    pub first: bool,
    /// Where somebody is reached by mail.
    pub mail: Option<MailServer>,
    pub subject: Localized<S>,
    pub text: Localized<S>,
}

/// Somebody, and every way to reach him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    pub name: String,
    /// `None`: that of the run.
    pub lang: Option<String>,
    pub channels: Vec<Channel>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// An address.
    Mail(String),
    /// Name of the secret that is the address of the webhook.
    Slack(String),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// The server that takes our mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub from: String,
    /// Encrypted or not at all.
    pub tls: bool,
    pub ca_file: Option<String>,
    pub user: Option<String>,
    /// Name of a secret.
    pub password: Option<String>,
}

impl Channel {
    /// How a channel is read; nothing that is secret can be in it.
    pub fn shown(&self) -> String {
        match self {
            Self::Mail(address) => format!("mail {address}"),
            Self::Slack(secret) => format!("webhook <secret {secret}>"),
            Self::Command(argv) => format!("program {}", shell_words::join(argv)),
        }
    }
}

impl<S> Notice<S> {
    pub(super) fn fill<T, F: Fill<S, T>>(&self, fill: &mut F) -> Result<Notice<T>, F::Error> {
        let mut both = |texts: &Localized<S>| -> Result<Localized<T>, F::Error> {
            Ok(Localized {
                fr: texts.fr.as_ref().map(|text| fill.text(text)).transpose()?,
                en: texts.en.as_ref().map(|text| fill.text(text)).transpose()?,
            })
        };
        Ok(Notice {
            to: self.to.clone(),
            first: self.first,
            mail: self.mail.clone(),
            subject: both(&self.subject)?,
            text: both(&self.text)?,
        })
    }

    pub(super) fn texts<'a>(&'a self, out: &mut Vec<&'a S>) {
        for texts in [&self.subject, &self.text] {
            out.extend(texts.fr.iter().chain(&texts.en));
        }
    }

    /// The names of the secrets it takes to send it.
    pub fn secrets(&self) -> Vec<&str> {
        let channels = self.to.iter().flat_map(|recipient| &recipient.channels);
        let mut names: Vec<&str> = channels
            .filter_map(|channel| match channel {
                Channel::Slack(name) => Some(name.as_str()),
                Channel::Mail(_) | Channel::Command(_) => None,
            })
            .collect();
        names.extend(self.mail.iter().filter_map(|mail| mail.password.as_deref()));
        names
    }

    /// Who is told what, in one line.
    pub fn summary(&self, lang: &str) -> String
    where
        S: std::fmt::Display + Clone,
    {
        let names: Vec<&str> = self.to.iter().map(|recipient| recipient.name.as_str()).collect();
        let subject = self.subject.in_lang(lang).map(ToString::to_string).unwrap_or_default();
        format!("{}: {subject}", names.join(", "))
    }

    /// Each language in which it is written.
    pub fn pages(&self) -> Vec<(&'static str, &S, &S)> {
        let [fr, en] = [(&self.subject.fr, &self.text.fr, "fr"), (&self.subject.en, &self.text.en, "en")]
            .map(|(subject, text, lang)| Some((lang, subject.as_ref()?, text.as_ref()?)));
        fr.into_iter().chain(en).collect()
    }
}

/// What messages of a run are made of.
struct Post<'a> {
    document: &'a Document,
    environment: &'a Environment,
    services: &'a Services,
    mode: Mode,
}

impl Post<'_> {
    /// What a `notify` step sends; `None` for what `check` refuses.
    fn notice(&self, notify: &NotifyDecl) -> Option<Notice<Template>> {
        let own = Letter::default();
        let (subject, text) = match &notify.template {
            Some(name) => self.letter(self.document.letters.get(&name.value).unwrap_or(&own)),
            None => (translate::text(notify.subject.as_ref()), translate::text(notify.text.as_ref())),
        };
        let owners = self.document.runbook.owners.as_deref().unwrap_or_default();
        let names = notify.to.value.iter().flat_map(|name| match name.value.as_str() {
            "owners" => owners,
            _ => std::slice::from_ref(name),
        });
        self.to(names, notify.first == Some(true), subject, text)
    }

    /// What is told about a question; `None` where nobody can be reached.
    fn told(&self, names: &[Spanned<String>], letter: &str) -> Option<Notice<Template>> {
        let (subject, text) = self.letter(self.document.letters.get(letter)?);
        self.to(names.iter(), false, subject, text).filter(|notice| !notice.to.is_empty())
    }

    fn letter(&self, letter: &Letter) -> (Localized<Template>, Localized<Template>) {
        let of = |part: fn(&Page) -> &Spanned<Template>| {
            let text = |page: &Option<Page>| page.as_ref().map(|page| part(page).value.clone());
            Localized { fr: text(&letter.fr), en: text(&letter.en) }
        };
        (of(|page| &page.subject), of(|page| &page.text))
    }

    fn to<'n>(
        &self,
        names: impl Iterator<Item = &'n Spanned<String>>,
        first: bool,
        subject: Localized<Template>,
        text: Localized<Template>,
    ) -> Option<Notice<Template>> {
        let mut to: Vec<Recipient> = Vec::new();
        for contact in names.flat_map(|name| self.environment.meant(&name.value).unwrap_or_default()) {
            if contact.is_reachable() && !to.iter().any(|other| other.name == contact.name) {
                to.push(self.recipient(&contact)?);
            }
        }
        let by_mail =
            to.iter().flat_map(|to| &to.channels).any(|channel| matches!(channel, Channel::Mail(_)));
        let mail = if by_mail { Some(self.server()?) } else { None };
        Some(Notice { to, first, mail, subject: self.marked(subject), text })
    }

    fn recipient(&self, contact: &Contact<'_>) -> Option<Recipient> {
        let scope = ServiceScope(self.services);
        let mut channels = Vec::new();
        channels.extend(contact.mail.map(|address| Channel::Mail(address.value.clone())));
        channels.extend(contact.slack.map(|secret| Channel::Slack(secret.value.clone())));
        if let Some(command) = contact.command {
            let argv: Option<_> = command.value.iter().map(|word| scope.plain(&word.value)).collect();
            channels.push(Channel::Command(argv?));
        }
        let lang = contact.lang.map(|lang| lang.name().to_owned());
        Some(Recipient { name: contact.name.to_owned(), lang, channels })
    }

    fn server(&self) -> Option<MailServer> {
        server(self.environment, self.services)
    }

    /// A message that comes from no live run says so, whoever wrote it.
    fn marked(&self, subject: Localized<Template>) -> Localized<Template> {
        let [fr, en] = match self.mode {
            Mode::Live => return subject,
            Mode::Drill => ["[exercice]", "[drill]"],
            Mode::Rehearsal => ["[répétition]", "[rehearsal]"],
        };
        let with = |mark: &str, text: Option<Template>| {
            let text = text?;
            Some(Template::parse(&format!("{mark} {}", text.source())).unwrap_or(text))
        };
        Localized { fr: with(fr, subject.fr), en: with(en, subject.en) }
    }
}

/// The mail server of an environment, as far as its address is known.
pub(super) fn server(environment: &Environment, services: &Services) -> Option<MailServer> {
    let mail = environment.decl.mail.as_ref()?;
    let address = ServiceScope(services).plain(&mail.server.value)?;
    let (host, port) = address.rsplit_once(':')?;
    let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    Some(MailServer {
        host: host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase(),
        // A port that is only chosen at the start is none yet.
        port: port.parse().unwrap_or(0),
        from: mail.from.value.clone(),
        tls: mail.tls.as_ref().is_none_or(|tls| tls.value == TlsWord::Required),
        ca_file: text(&mail.ca_file),
        user: text(&mail.user),
        password: text(&mail.password),
    })
}

/// What a step sends, and what is sent about its question.
pub(super) fn of_step(document: &Document, step: &Step, request: &BuildRequest<'_>) -> (Option<Probe>, Told) {
    let Some(environment) = request.environment else { return (None, Told::default()) };
    let post = Post { document, environment, services: request.services, mode: request.mode };
    let probe = |notice, timeout_ms| {
        let mut accept = Accept::default();
        translate::take(&mut accept, step.outputs.as_ref(), step.class);
        Probe {
            action: Action::Notify(Box::new(notice)),
            accept,
            timeout_ms: Some(timeout_ms),
            artifacts: Vec::new(),
        }
    };
    let timeout = step.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.value.0);
    let own =
        step.notify.as_ref().and_then(|notify| post.notice(notify)).map(|notice| probe(notice, timeout));
    let about = |roles: Option<&[Spanned<String>]>, letter| {
        roles.and_then(|roles| post.told(roles, letter)).map(|notice| probe(notice, TIMEOUT))
    };
    let approve = step.approve.as_ref();
    let opens = approve.filter(|approve| approve.notify == Some(true));
    let passed_on = approve.filter(|approve| approve.escalates());
    let told = Told {
        opened: about(opens.map(|approve| approve.roles.value.as_slice()), letters::WANTED),
        escalated: about(passed_on.and_then(|it| it.escalate_to.as_deref()), letters::ESCALATED),
    };
    (own, told)
}

/// The secrets that messages take, which are the environment's own; and that there is an environment.
pub(super) fn secrets(
    document: &Document,
    request: &BuildRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, SecretSource> {
    let mut out = BTreeMap::new();
    let Some(environment) = request.environment else {
        for step in flow::steps(&document.runbook).filter(|step| step.notify.is_some()) {
            let message =
                format!("whom `{}` tells is the environment's to say, and there is none", step.name());
            let problem = Diagnostic::error("environment", step.span.at(&document.source), message);
            problems.push(problem.help("name one with --env NAME"));
        }
        return out;
    };
    let told = |approve: &Approve| approve.notify == Some(true) || approve.escalates();
    let sends = |step: &Step| step.notify.is_some() || step.approve.as_deref().is_some_and(told);
    if !flow::steps(&document.runbook).any(sends) {
        return out;
    }
    let contacts = environment.contacts().filter_map(|contact| contact.slack);
    let password = environment.decl.mail.as_ref().and_then(|mail| mail.password.as_ref());
    for name in contacts.chain(password) {
        let decl = environment.decl.secrets.as_ref().and_then(|secrets| secrets.get(&name.value));
        match decl.and_then(|decl| secret::source(decl, request.services)) {
            Some(source) => {
                out.insert(name.value.clone(), source);
            }
            None => problems.push(build::unresolved(document, request, &name.value, name.span)),
        }
    }
    out
}
