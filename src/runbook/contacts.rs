//! Whom an environment can reach, and over what: contacts, people, and the people of a role.
//!
//! Owns what a name in `to` stands for: a contact, else a role (its people, in the order they are listed), else a
//! person. Never sends anything, and never sees a secret: webhooks and passwords are names of secrets here.

use super::decode::Spanned;
use super::environment::{ContactDecl, Environment, LangWord, PersonDecl, TlsWord};
use super::scalar::Entries;
use super::template::Template;
use crate::diag::Diagnostic;

/// Somebody, or something, that messages can be sent to.
#[derive(Debug, Clone, Copy)]
pub struct Contact<'a> {
    pub name: &'a str,
    pub mail: Option<&'a Spanned<String>>,
    /// Name of the secret that is the address of the webhook.
    pub slack: Option<&'a Spanned<String>>,
    pub command: Option<&'a Spanned<Vec<Spanned<Template>>>>,
    pub lang: Option<LangWord>,
}

impl<'a> Contact<'a> {
    fn of_contact(name: &'a str, decl: &'a ContactDecl) -> Self {
        let (mail, slack, command) = (decl.mail.as_ref(), decl.slack.as_ref(), decl.command.as_ref());
        Self { name, mail, slack, command, lang: decl.lang }
    }

    fn of_person(name: &'a str, decl: &'a PersonDecl) -> Self {
        let (mail, slack, command) = (decl.mail.as_ref(), decl.slack.as_ref(), decl.command.as_ref());
        Self { name, mail, slack, command, lang: decl.lang }
    }

    /// Whether there is any way to send something there.
    pub const fn is_reachable(&self) -> bool {
        self.mail.is_some() || self.slack.is_some() || self.command.is_some()
    }
}

impl Environment {
    /// Everybody who could be sent something: contacts, then people.
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'_>> {
        let contacts = self.decl.contacts.iter().flat_map(Entries::iter);
        let people = self.decl.people.iter().flat_map(Entries::iter);
        contacts
            .map(|(name, decl)| Contact::of_contact(&name.value, decl))
            .chain(people.map(|(name, decl)| Contact::of_person(&name.value, decl)))
    }

    /// Who a name stands for, in order; `None` where it is nobody's.
    pub fn meant(&self, name: &str) -> Option<Vec<Contact<'_>>> {
        let person = |name: &str| {
            let (key, decl) = self.decl.people.as_ref()?.iter().find(|(key, _)| key.value == name)?;
            Some(Contact::of_person(&key.value, decl))
        };
        let contacts = self.decl.contacts.iter().flat_map(Entries::iter);
        if let Some((key, decl)) = contacts.into_iter().find(|(key, _)| key.value == name) {
            return Some(vec![Contact::of_contact(&key.value, decl)]);
        }
        if let Some(holders) = self.role(name) {
            return Some(holders.iter().filter_map(|holder| person(&holder.value)).collect());
        }
        person(name).map(|person| vec![person])
    }

    /// Every name that a message can be sent to.
    pub fn recipients(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.contacts().map(|contact| contact.name).chain(self.roles()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Contacts and the mail server of an environment, as far as they can be judged by themselves.
pub(super) fn check(environment: &Environment, problems: &mut Vec<Diagnostic>) {
    let source = &environment.source;
    let mut fail = |code, span: crate::diag::Span, message: String, help: &str| {
        let problem = Diagnostic::error(code, span.at(source), message);
        problems.push(if help.is_empty() { problem } else { problem.help(help) });
    };
    let secrets = environment.decl.secrets.as_ref();
    let known = |name: &str| secrets.is_some_and(|secrets| secrets.get(name).is_some());
    let addresses = environment.contacts().filter_map(|contact| contact.mail);
    for address in addresses.chain(environment.decl.mail.iter().map(|mail| &mail.from)) {
        if address.value.parse::<lettre::Address>().is_err() {
            let message = format!("`{}` is not an address of mail", address.value.escape_debug());
            fail("bad-value", address.span, message, "write the address alone, such as ops@example.com");
        }
    }
    for contact in environment.contacts() {
        if let Some(address) = contact.mail.filter(|_| !environment.decl.keys.has("mail")) {
            let message = format!("`{}` is reached by mail, and no server takes our mail", contact.name);
            fail("missing-key", address.span, message, "add `mail: {server: \"HOST:PORT\", from: ADDRESS}`");
        }
        if let Some(command) = contact.command
            && command.value.first().is_none_or(|program| program.value.source().trim().is_empty())
        {
            let message = format!("the `command` of `{}` names a program", contact.name);
            fail("empty", command.span, message, "write the program and its arguments");
        }
    }
    let mail = environment.decl.mail.as_ref();
    let named = environment.contacts().filter_map(|contact| contact.slack);
    for name in named.chain(mail.iter().filter_map(|mail| mail.password.as_ref())) {
        if !known(&name.value) {
            let message = format!("this environment has no secret `{}`", name.value);
            fail(
                "unknown-name",
                name.span,
                message,
                "name one of its `secrets`, which say where they come from",
            );
        }
    }
    let Some(mail) = mail else { return };
    if let (Some(user), None) | (None, Some(user)) = (&mail.user, &mail.password) {
        fail("missing-key", user.span, "`user` and `password` go together".to_owned(), "");
    }
    if let (Some(tls), Some(_)) = (mail.tls.as_ref().filter(|tls| tls.value == TlsWord::None), &mail.password)
    {
        let message = "a password is not sent over a connection that is not encrypted".to_owned();
        fail("credentials", tls.span, message, "leave `tls` out");
    }
}
