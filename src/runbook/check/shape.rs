//! One step at a time: kinds, identifiers, keys that belong to other kinds, references, policies, filters.

use regex::Regex;

use super::{Checker, asked, bounds, secrets};
use crate::clock::Timestamp;
use crate::diag::{Diagnostic, Span};
use crate::runbook::act::{ACTIONS, Act, HUMAN, KINDS, NOTIFY};
use crate::runbook::decode::Spanned;
use crate::runbook::environment::check_secret;
use crate::runbook::scalar::{Data, Entries};
use crate::runbook::schema::{EffectWord, Expect, Http, Output, Poll, ProbeDecl, Step};
use crate::runbook::{extract, position};

/// Output names that every step, or some kind of step, gives by itself.
pub(super) const RESERVED: [&str; 6] = ["outcome", "items", "answer", "by", "at", "comment"];

/// Keys that only steps done by a runner have.
const ACTION_KEYS: [&str; 9] =
    ["env", "cwd", "outputs", "expect", "verify", "retry", "idempotency_key", "undo", "put_back"];

pub(super) fn check(checker: &mut Checker<'_>) {
    declarations(checker);
    ids(checker);
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        kinds(checker, step);
        keys(checker, step);
        policies(checker, step);
        calls(checker, step);
    }
    if let Err(cycle) = checker.flow.order() {
        let names: Vec<&str> = cycle.iter().chain(cycle.first()).map(|at| checker.name(*at)).collect();
        let span = cycle.first().map_or_else(Span::default, |at| checker.id_span(*at));
        let message = format!("these steps wait for each other: {}", names.join(" → "));
        let problem = checker.error("cycle", span, message);
        let help = "a step without `needs` waits for everything above it in its list";
        checker.push(problem.help(help));
    }
}

fn declarations(checker: &mut Checker<'_>) {
    let runbook = checker.runbook;
    let id = &runbook.id;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.value.is_empty() || !id.value.bytes().all(allowed) {
        let message = format!("`{}` is not an id of a runbook: small letters, digits and `-`", id.value);
        checker.fail("bad-id", id.span, message);
    }
    bounds::name(checker, id);
    let names = runbook.inputs.iter().flat_map(Entries::iter).map(|(name, _)| name);
    let names = names.chain(runbook.vars.iter().flat_map(Entries::iter).map(|(name, _)| name));
    for name in names.chain(runbook.secrets.iter().flat_map(Entries::iter).map(|(name, _)| name)) {
        expression_name(checker, name);
    }
    for (name, decl) in runbook.inputs.iter().flat_map(Entries::iter) {
        asked::input(checker, &name.value, decl);
        secrets::input(checker, decl);
    }
    for (_, secret) in runbook.secrets.iter().flat_map(Entries::iter) {
        check_secret(secret, checker.source, &mut checker.problems);
    }
    for (name, var) in runbook.vars.iter().flat_map(Entries::iter) {
        let required = matches!(var, crate::runbook::schema::Var::Required);
        let given = checker.environment.and_then(|env| env.decl.vars.as_ref());
        if let Some(environment) = checker.environment.filter(|_| required)
            && given.is_none_or(|vars| vars.get(&name.value).is_none())
        {
            let message = format!("environment `{}` gives no variable `{}`", environment.name, name.value);
            let problem = checker.error("environment", name.span, message);
            let help = format!("add it under `vars` in {}", environment.source.name());
            checker.push(problem.help(help));
        }
    }
}

/// A name that expressions can read.
pub(super) fn expression_name(checker: &mut Checker<'_>, name: &Spanned<String>) {
    bounds::name(checker, name);
    let mut bytes = name.value.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !good {
        let message = format!("`{}` cannot be named in an expression: letters, digits and `_`", name.value);
        let problem = checker.error("bad-id", name.span, message);
        checker.push(problem.suggest_name(&name.value));
    }
}

fn ids(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        let Some(id) = &step.id else {
            if !step.keys.has("id") {
                checker.fail("missing-key", step.span, "a step has an `id`");
            }
            continue;
        };
        if checker.used_by(at).is_none() {
            self::id(checker, id, "a step");
        }
        if let Some(first) = checker.flow.find(&id.value).filter(|first| *first != at) {
            let message = format!("two steps have the id `{}`", id.value);
            let first = checker.id_span(first).at(checker.source);
            let problem = checker.error("duplicate-id", id.span, message).label("again here");
            checker.push(problem.also(first, "first here"));
        }
        items(checker, step);
    }
}

/// The form of a name that others are called by.
pub(super) fn id(checker: &mut Checker<'_>, id: &Spanned<String>, of: &str) {
    bounds::name(checker, id);
    let mut bytes = id.value.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !good {
        let message =
            format!("`{}` is not an id of {of}: a small letter, then letters, digits, `_`", id.value);
        let problem = checker.error("bad-id", id.span, message);
        checker.push(problem.suggest_name(&id.value));
    }
}

fn items(checker: &mut Checker<'_>, step: &Step) {
    let Some(list) = &step.checklist else { return };
    for (at, item) in list.items.value.iter().enumerate() {
        if let Some(first) = list.items.value[..at].iter().find(|other| other.id.value == item.id.value) {
            let message = format!("two items have the id `{}`", item.id.value);
            let first = first.id.span.at(checker.source);
            let problem = checker.error("duplicate-id", item.id.span, message).label("again here");
            checker.push(problem.also(first, "first here"));
        }
    }
}

fn kinds(checker: &mut Checker<'_>, step: &Step) {
    if step.kind().is_some() {
        return;
    }
    match step.kinds().collect::<Vec<_>>().as_slice() {
        [] if !step.keys.foreign => {
            let span = step.id.as_ref().map_or(step.span, |id| id.span);
            let problem = checker.error("no-kind", span, format!("step `{}` does nothing", step.name()));
            checker.push(problem.help(format!("give it one of: {}", KINDS.join(", "))));
        }
        [(first, at), rest @ ..] if !rest.is_empty() => {
            for (name, span) in rest {
                let message = format!("step `{}` is of two kinds, `{first}` and `{name}`", step.name());
                let problem = checker.error("too-many-kinds", *span, message).label("a second kind");
                let problem = problem.also(at.at(checker.source), "the first kind").help("make it two steps");
                checker.push(problem);
            }
        }
        _ => {}
    }
}

/// Keys that say nothing for the kind of their step.
fn keys(checker: &mut Checker<'_>, step: &Step) {
    let Some(kind) = step.kind() else { return };
    let runs = ACTIONS.contains(&kind);
    let sends = kind == NOTIFY;
    let program = matches!(kind, "shell" | "argv");
    let human = HUMAN.contains(&kind);
    let holds = matches!(kind, "group" | "runbook");
    for (name, span) in step.keys.iter() {
        let fits = match name {
            "env" | "cwd" | "artifacts" => program,
            "host" => program || kind == "checklist",
            "outputs" | "retry" | "idempotency_key" => runs || sends,
            _ if ACTION_KEYS.contains(&name) => runs,
            "poll" => runs,
            "deadline" => runs || sends,
            "effect" => runs || kind == "manual",
            "ungated" => runs || matches!(kind, "manual" | "revert"),
            "class" => runs || sends || kind == "input",
            "timeout" | "show" => runs || sends || human,
            "by" => human && kind != "approve",
            "unattended" => human,
            "on_failure" => {
                let others = matches!(kind, "assert" | "group" | "runbook" | "revert");
                runs || sends || human || others || step.for_each.is_some()
            }
            "for_each" => !matches!(kind, "end" | "revert"),
            "repeat" => holds,
            _ => true,
        };
        if !fits {
            let message = format!("`{name}` means nothing for a step of kind `{kind}`");
            let mut problem = checker.error("key-not-for-kind", span, message);
            if kind == "approve" && name == "by" {
                problem = problem.help("an approve names its `roles` and `exclude` itself");
            }
            if name == "repeat" {
                problem = problem.help("put the step into a `group`, and `repeat` beside it");
            }
            if holds && matches!(name, "effect" | "retry" | "timeout" | "undo" | "put_back" | "ungated") {
                problem = problem.help("say it of a step of the group");
            }
            if kind == "http" && name == "env" {
                problem = problem.help("use `headers`, `query` or `json`");
            }
            checker.push(problem);
        }
    }
}

fn policies(checker: &mut Checker<'_>, step: &Step) {
    if let Some(wait) = &step.wait
        && wait.keys.has("for") == wait.keys.has("until")
        && !wait.keys.foreign
    {
        checker.fail("missing-key", wait.span, "a wait has either `for` or `until`");
    }
    if let Some(until) = step.wait.as_ref().and_then(|wait| wait.until.as_ref())
        && until.value.exprs().is_empty()
        && until.value.source().parse::<Timestamp>().is_err()
    {
        let problem = checker.error("bad-value", until.span, "this is no instant that can be waited for");
        checker.push(problem.help("write a time with an offset, such as 2026-11-23T06:30:00+01:00"));
    }
    if step.manual.is_some() && step.message.is_none() && step.title.is_none() {
        let problem =
            checker.error("missing-key", step.span, "a manual step says what to do in its `message`");
        checker.push(problem.help("add `message: \"…\"`"));
    }
    for (name, output) in step.outputs.iter().flat_map(Entries::iter) {
        self::output(checker, name, output);
    }
    for (name, output) in step.verify.iter().flat_map(|v| v.outputs.iter()).flat_map(Entries::iter) {
        self::output(checker, name, output);
        secrets::proof(checker, step, name, output);
    }
    for (name, decl) in step.input.iter().flat_map(|form| form.fields.iter()) {
        expression_name(checker, name);
        reserved(checker, name);
        asked::input(checker, &name.value, decl);
        secrets::field(checker, step, decl);
    }
}

fn output(checker: &mut Checker<'_>, name: &Spanned<String>, output: &Output) {
    expression_name(checker, name);
    reserved(checker, name);
    filter(checker, &output.filter.value.0, output.filter.span);
    secrets::output(checker, output);
}

fn reserved(checker: &mut Checker<'_>, name: &Spanned<String>) {
    if RESERVED.contains(&name.value.as_str()) {
        let message = format!("`{}` is given by every step of its kind, choose another name", name.value);
        checker.fail("bad-id", name.span, message);
    }
}

/// The calls of a step, its proofs and reversals.
fn calls(checker: &mut Checker<'_>, step: &Step) {
    if step.runs() && step.notify.is_none() {
        let act = step.act();
        call(checker, act);
        if let Some(poll) = act.poll {
            self::poll(checker, poll);
            if step.effect_word() != EffectWord::Read {
                let span = step.keys.get("poll").unwrap_or(poll.span);
                let problem = checker.error(
                    "poll-policy",
                    span,
                    "only a read is polled: anything else would be done over and over",
                );
                checker.push(problem.help("poll in `verify`, or in a step of its own"));
            }
        }
    }
    if let Some(verify) = &step.verify {
        probe(checker, verify.act(), "verify");
        if let Some(absent) = &verify.absent {
            expect(checker, absent);
        }
    }
    if let Some(undo) = &step.undo {
        one_action(checker, undo.act(), "undo");
    }
    if let Some(back) = &step.put_back {
        one_action(checker, back.act(), "put_back");
        if let Some(only_if) = &back.only_if {
            proof(checker, only_if, "only_if", false);
        }
    }
    for item in step.checklist.iter().flat_map(|list| &list.items.value) {
        if let Some(decl) = &item.probe {
            proof(checker, decl, "probe", true);
        }
    }
}

fn proof(checker: &mut Checker<'_>, decl: &ProbeDecl, key: &str, may_name_step: bool) {
    match (&decl.step, decl.act().kinds().next()) {
        (Some(id), None) if !may_name_step => {
            checker.fail("key-not-for-kind", id.span, format!("`step` has no place in `{key}`"));
        }
        (Some(_), None) => {}
        (Some(id), Some(_)) => {
            checker.fail("too-many-kinds", id.span, format!("`{key}` names a step or asks itself, not both"));
        }
        (None, _) => probe(checker, decl.act(), key),
    }
}

/// An action that may only ask.
pub(super) fn probe(checker: &mut Checker<'_>, act: Act<'_>, key: &str) {
    one_action(checker, act, key);
    if act.probe_effect() != EffectWord::Read {
        let span = act.kinds().next().map_or(act.span, |(_, span)| span);
        let problem = checker.error(
            "probe-not-read",
            span,
            format!("`{key}` only asks, and this call may change something"),
        );
        checker.push(problem.help("if it changes nothing, say so: `effect: read`"));
    }
}

fn one_action(checker: &mut Checker<'_>, act: Act<'_>, key: &str) {
    match act.kinds().collect::<Vec<_>>().as_slice() {
        [] if !act.keys.foreign => {
            let problem = checker.error("no-kind", act.span, format!("`{key}` does nothing"));
            checker.push(problem.help(format!("give it one of: {}", ACTIONS.join(", "))));
        }
        [(first, _), (second, span), ..] => {
            let message = format!("`{key}` is of two kinds, `{first}` and `{second}`");
            checker.fail("too-many-kinds", *span, message);
        }
        _ => {}
    }
    call(checker, act);
    if let Some(poll) = act.poll {
        self::poll(checker, poll);
    }
}

fn call(checker: &mut Checker<'_>, act: Act<'_>) {
    if let Some(http) = act.http {
        self::http(checker, http);
    }
    if let Some(expected) = act.expect {
        expect(checker, expected);
        let wrong = if act.http.is_some() { "exit" } else { "status" };
        if let Some(span) = expected.keys.get(wrong)
            && let Some((kind, _)) = act.kinds().next()
        {
            checker.fail("key-not-for-kind", span, format!("`{wrong}` means nothing for `{kind}`"));
        }
    }
    for (name, _) in act.env.into_iter().flat_map(Entries::iter) {
        let mut bytes = name.value.bytes();
        let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            checker.fail(
                "bad-id",
                name.span,
                format!("`{}` is not a name of an environment variable", name.value),
            );
        }
    }
}

fn http(checker: &mut Checker<'_>, http: &Http) {
    const METHODS: [&str; 6] = ["get", "put", "post", "patch", "delete", "head"];
    let written: Vec<_> = http.keys.iter().filter(|(name, _)| METHODS.contains(name)).collect();
    match written.as_slice() {
        [] if !http.keys.foreign => {
            let problem = checker.error("missing-key", http.span, "a call names its method and address");
            checker.push(problem.help("one of: get, put, post, patch, delete, head"));
        }
        [_, (second, span), ..] => {
            checker.fail("too-many-kinds", *span, format!("a second method, `{second}`"))
        }
        _ => {}
    }
    let groups: [(&[&str], &str, &str); 2] = [
        (&["json", "form", "body", "file"], "too-many-kinds", "a second body"),
        (&["bearer", "basic", "header"], "credentials", "a second proof of who is calling"),
    ];
    for (group, code, what) in groups {
        let found: Vec<_> = http.keys.iter().filter(|(name, _)| group.contains(name)).collect();
        if let [_, (name, span), ..] = found.as_slice() {
            checker.fail(code, *span, format!("{what}, `{name}`"));
        }
    }
    let base = checker.runbook.defaults.as_ref().and_then(|d| d.http.as_ref()).and_then(|d| d.base.as_ref());
    for (_, url) in http.calls() {
        let text = url.value.source();
        if names_user(text) {
            let message = "a user or a password in an address is seen wherever the address is";
            let problem = checker.error("secret-use", url.span, message);
            checker.push(problem.help("write `basic: {user: NAME, secret: NAME_OF_SECRET}` beside it"));
        }
        let absolute = text.contains("://") || text.starts_with("{{");
        // A runbook that is used has a base of its own, or was refused.
        if text.starts_with('/') && base.is_none() && !checker.source.is_used(url.span) {
            let problem = checker.error("missing-key", url.span, "an address without a host needs a base");
            checker.push(problem.help("add `defaults: {http: {base: …}}`, or write the whole address"));
        } else if !absolute && !text.starts_with('/') {
            checker.fail("bad-value", url.span, "an address begins with `/`, `http://` or `https://`");
        }
    }
}

/// Whether something stands before an `@` where the host of an address stands.
fn names_user(address: &str) -> bool {
    let authority =
        address.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    authority.is_some_and(|authority| authority.contains('@'))
}

fn expect(checker: &mut Checker<'_>, expect: &Expect) {
    for that in expect.that.iter().flat_map(|many| &many.0) {
        filter(checker, &that.value.0, that.span);
    }
    for pattern in expect.matches.iter().flat_map(|many| &many.0) {
        regex(checker, pattern);
    }
    if let Some(schema) = &expect.schema
        && let Err(error) = extract::check_schema(&Data::literal(&schema.value))
    {
        checker.fail("bad-schema", schema.span, error.message);
    }
}

fn poll(checker: &mut Checker<'_>, poll: &Poll) {
    for found in poll.until.iter().chain(&poll.fail_if) {
        filter(checker, &found.value.0, found.span);
    }
    if poll.every.value.0 == 0 {
        checker.fail("poll-policy", poll.every.span, "`every` is longer than nothing");
    }
    if poll.within.value < poll.every.value {
        checker.fail(
            "poll-policy",
            poll.within.span,
            "`within` is shorter than `every`: there would be one probe",
        );
    }
    if let Some(steady) = poll.steady.as_ref().filter(|steady| steady.value >= poll.within.value) {
        checker.fail("poll-policy", steady.span, "`steady` does not fit into `within`");
    }
}

fn filter(checker: &mut Checker<'_>, text: &str, span: Span) {
    if is_path(text) {
        return;
    }
    if let Err(error) = extract::check_filter(text) {
        let length = text.get(error.offset..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        let at = position::inner(checker.source, span, text, error.offset, length);
        checker.fail("bad-filter", at, format!("this jq filter cannot be used: {}", error.message));
    }
}

/// `.body.status`: most filters are no more, and compiling one costs more than all other checks of a step.
fn is_path(text: &str) -> bool {
    let names = text.strip_prefix('.').map(|rest| rest.split('.'));
    names.is_some_and(|mut names| {
        names.all(|name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
    })
}

pub(super) fn regex(checker: &mut Checker<'_>, pattern: &Spanned<String>) {
    if let Err(error) = Regex::new(&pattern.value) {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or("").trim_start_matches("error: ");
        checker.fail(
            "bad-pattern",
            pattern.span,
            format!("this regular expression cannot be used: {reason}"),
        );
    }
}

impl Diagnostic {
    /// Shows a name that would do.
    fn suggest_name(self, written: &str) -> Self {
        let mut name: String =
            written.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, 'n');
        }
        if name.trim_matches('_').is_empty() { self } else { self.help(format!("for example `{name}`")) }
    }
}
