//! Where the messages of a drill go: to nobody whom a protected environment would tell.

use super::shared;
use crate::diag::{Diagnostic, Span};
use crate::plan::build::BuildRequest;
use crate::plan::notice;
use crate::plan::{Action, Channel, MailServer, Notice, Plan, SecretSource};
use crate::runbook::environment::{Environment, ServiceScope, Services};
use crate::runbook::schema::SecretDecl;
use crate::runbook::template::Template;

/// The variable that stands for the mail server in `shared`.
const SMTP: &str = "smtp";

pub(super) fn check(plan: &Plan, request: &BuildRequest<'_>, problems: &mut Vec<Diagnostic>) {
    let Some(environment) = request.environment else { return };
    let notices = notices(plan);
    if notices.is_empty() {
        return;
    }
    for other in request.others.iter().filter(|env| env.is_protected()) {
        server(plan_server(&notices), environment, other, request, problems);
        for channel in notices.iter().flat_map(|notice| &notice.to).flat_map(|to| &to.channels) {
            if let Some((what, at)) = named_by(other, plan, channel) {
                let message = format!(
                    "the drill would tell {}, which the protected environment `{}` names as {what}",
                    channel.shown(),
                    other.name
                );
                let problem = Diagnostic::error("shared-target", place(environment), message);
                let problem = problem.also(at.at(&other.source), "protected here");
                problems.push(problem.help("give the practice environment contacts of its own"));
            }
        }
    }
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let new = !seen.contains(&problem.message);
        seen.push(problem.message.clone());
        new
    });
}

fn notices(plan: &Plan) -> Vec<&Notice<Template>> {
    let probes = plan.values.steps.values().flat_map(crate::plan::StepValues::probes);
    let all = probes.filter_map(|probe| match &probe.action {
        Action::Notify(notice) => Some(notice.as_ref()),
        _ => None,
    });
    all.collect()
}

fn plan_server<'p>(notices: &[&'p Notice<Template>]) -> Option<&'p MailServer> {
    notices.iter().find_map(|notice| notice.mail.as_ref())
}

fn server(
    ours: Option<&MailServer>,
    environment: &Environment,
    other: &Environment,
    request: &BuildRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) {
    let theirs = notice::server(other, &Services::new());
    let (Some(ours), Some(theirs), Some(mail)) = (ours, theirs, &other.decl.mail) else { return };
    if (&ours.host, ours.port) != (&theirs.host, theirs.port) || shared(request, other, SMTP) {
        return;
    }
    let message = format!(
        "the drill would send mail by {}:{}, the server of the protected environment `{}`",
        ours.host, ours.port, other.name
    );
    let own = environment
        .decl
        .mail
        .as_ref()
        .map_or_else(|| place(environment), |mail| mail.server.span.at(&environment.source));
    let problem = Diagnostic::error("shared-target", own, message);
    let problem = problem.also(mail.server.span.at(&other.source), "protected here");
    problems.push(problem.help("point it elsewhere, or write `shared: [smtp]` in the practice environment"));
}

/// As what, and where, a protected environment names the other end of a channel.
fn named_by(other: &Environment, plan: &Plan, channel: &Channel) -> Option<(String, Span)> {
    let scope = Services::new();
    other.contacts().find_map(|contact| {
        let span = match channel {
            Channel::Mail(address) => {
                let theirs = contact.mail?;
                theirs.value.eq_ignore_ascii_case(address).then_some(theirs.span)
            }
            Channel::Slack(secret) => {
                let theirs = contact.slack?;
                let decl = other.decl.secrets.as_ref()?.get(&theirs.value)?;
                is_source(plan.values.secrets.get(secret)?, decl, &scope).then_some(theirs.span)
            }
            Channel::Command(argv) => {
                let theirs = contact.command?;
                let words: Option<Vec<String>> =
                    theirs.value.iter().map(|word| ServiceScope(&scope).plain(&word.value)).collect();
                (words.as_ref() == Some(argv)).then_some(theirs.span)
            }
        }?;
        Some((format!("`{}`", contact.name), span))
    })
}

/// Whether both come from the same place, and so are the same address.
fn is_source(ours: &SecretSource, theirs: &SecretDecl, services: &Services) -> bool {
    let scope = ServiceScope(services);
    match ours {
        SecretSource::Env(name) => theirs.env.as_ref().is_some_and(|env| env.value == *name),
        SecretSource::File(path) => {
            theirs.file.as_ref().and_then(|file| scope.plain(&file.value)).as_ref() == Some(path)
        }
        SecretSource::Command(argv) => {
            let words = theirs.command.as_ref().map(|command| &command.value);
            let words: Option<Option<Vec<String>>> =
                words.map(|words| words.iter().map(|word| scope.plain(&word.value)).collect());
            words.flatten().as_ref() == Some(argv)
        }
        SecretSource::Prompt => false,
    }
}

fn place(environment: &Environment) -> crate::diag::PlaceOf<'_> {
    let keys = &environment.decl.keys;
    let span = keys.get("contacts").or_else(|| keys.get("people")).unwrap_or_default();
    span.at(&environment.source)
}
