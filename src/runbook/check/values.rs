//! Values that can be read and mean nothing: times of no length, programs, forms and lists that hold nothing, codes
//! that never come, words for what decides without them.

use super::Checker;
use crate::diag::Span;
use crate::runbook::act::Act;
use crate::runbook::decode::{Keys, Spanned};
use crate::runbook::scalar::{Entries, Millis};
use crate::runbook::schema::{EvidenceWord, Expect, ItemDecl, LinkDecl, Step};
use crate::runbook::template::{Part, Template};
use crate::runbook::window::{BadWindow, Window, zones};

pub(super) fn check(checker: &mut Checker<'_>) {
    whole(checker);
    links(checker, checker.runbook.links.as_deref());
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        times(checker, step);
        links(checker, step.links.as_deref());
        questions(checker, step);
        lists(checker, step);
        for (act, absent) in acts(step) {
            of_act(checker, act, absent);
        }
    }
}

/// `absent`: how "not done" looks.
pub(super) fn of_act(checker: &mut Checker<'_>, act: Act<'_>, absent: Option<&Expect>) {
    self::act(checker, act);
    expected(checker, act.expect, act.keys, "expect");
    expected(checker, absent, act.keys, "absent");
}

/// Everything a step does or asks, with how "not done" looks.
fn acts(step: &Step) -> impl Iterator<Item = (Act<'_>, Option<&Expect>)> {
    let verify = step.verify.iter().map(|verify| (verify.act(), verify.absent.as_ref()));
    let undo = step.undo.iter().map(|undo| (undo.act(), None));
    let back = step.put_back.iter().map(|back| (back.act(), None));
    let only_if = step.put_back.iter().filter_map(|back| Some((back.only_if.as_ref()?.act(), None)));
    let items = step.checklist.iter().flat_map(|list| &list.items.value);
    let probes = items.filter_map(|item| Some((item.probe.as_ref()?.act(), None)));
    [(step.act(), None)].into_iter().chain(verify).chain(undo).chain(back).chain(only_if).chain(probes)
}

/// Windows that open some day, in a zone that there is.
fn windows(checker: &mut Checker<'_>) {
    for decl in checker.runbook.windows.iter().flatten() {
        no_time(checker, "for", Some(decl.r#for.value), Some(decl.r#for.span));
        let Err(bad) = Window::new(&decl.cron.value, &decl.zone.value, decl.r#for.value.0) else { continue };
        let span = if matches!(bad, BadWindow::Zone(_)) { decl.zone.span } else { decl.cron.span };
        let problem = checker.error("bad-window", span, bad.to_string());
        checker.push(match &bad {
            BadWindow::Zone(zone) => {
                problem.suggest(zone, zones()).help("a name such as `Europe/Paris`, or `UTC`")
            }
            BadWindow::Cron { .. } => {
                problem.help("minute, hour, day of the month, month, day of the week: \"0 22 * * 1-5\"")
            }
            BadWindow::Never(_) => problem,
        });
    }
}

/// What belongs to no step.
fn whole(checker: &mut Checker<'_>) {
    windows(checker);
    let runbook = checker.runbook;
    no_time(checker, "deadline", runbook.deadline, runbook.keys.get("deadline"));
    if let Some(http) = runbook.defaults.as_ref().and_then(|defaults| defaults.http.as_ref()) {
        no_time(checker, "timeout", http.timeout, http.keys.get("timeout"));
    }
    let steps = runbook.keys.get("steps").filter(|_| runbook.steps.is_empty() && !runbook.keys.foreign);
    if let Some(span) = steps.filter(|span| holds_nothing(checker, *span)) {
        let problem = checker.warning("empty", span, "a runbook without a step does nothing");
        checker.push(problem.help("add a step: `- id: look`, and below it one kind, such as `manual: {}`"));
    }
    for name in runbook.alerts.iter().flatten().filter(|name| name.value.trim().is_empty()) {
        let problem = checker.error("empty", name.span, "an alert without a name");
        checker.push(problem.help("write the name as the alerting system spells it"));
    }
    super::bounds::locks(checker);
    for name in runbook.locks().filter(|name| name.value.source().trim().is_empty()) {
        let problem = checker.error("empty", name.span, "a lock without a name");
        checker.push(
            problem.help("name what no two runs may change at once, such as \"tenant/{{ inputs.id }}\""),
        );
    }
    for (_, decl) in runbook.inputs.iter().flat_map(Entries::iter) {
        if let Some(words) = decl.r#enum.as_ref().filter(|words| words.value.is_empty())
            && holds_nothing(checker, words.span)
        {
            let problem =
                checker.error("empty", words.span, "nothing could be given: `enum` allows no value");
            checker.push(problem.help("list the values that are allowed, or leave `enum` out"));
        }
    }
}

/// A page is looked at in a browser.
fn links(checker: &mut Checker<'_>, links: Option<&[LinkDecl]>) {
    for link in links.into_iter().flatten() {
        let text = link.url.value.source();
        let begins = ["https://", "http://", "{{"].iter().any(|start| text.starts_with(start));
        if !begins || text.chars().any(|c| c.is_control()) {
            let problem = checker.error("bad-value", link.url.span, "this is no address of a page");
            checker.push(problem.help("write the whole address, such as \"https://wiki.example.com/page\""));
        }
    }
}

fn times(checker: &mut Checker<'_>, step: &Step) {
    for (name, time) in [("timeout", &step.timeout), ("deadline", &step.deadline)] {
        no_time(checker, name, time.as_ref().map(|time| time.value), time.as_ref().map(|time| time.span));
    }
    if let Some(time) = step.timebox.as_ref().filter(|time| time.value.0 == 0) {
        let problem = checker.error("bad-duration", time.span, "a timebox of nothing is always over");
        checker.push(problem.help("write how long people should take, such as 15m, or leave `timebox` out"));
    }
    if let Some(time) = step.estimate.as_ref().filter(|time| time.value.0 == 0) {
        let problem = checker.error("bad-duration", time.span, "an estimate of nothing says nothing");
        checker.push(problem.help("write how long it usually takes, such as 5m, or leave `estimate` out"));
    }
    let asked = step.approve.as_ref().and_then(|approve| approve.timeout.as_ref());
    no_time(checker, "timeout", asked.map(|time| time.value), asked.map(|time| time.span));
    let waits = step.wait.as_ref().and_then(|wait| wait.r#for.as_ref());
    if let Some(time) = waits.filter(|time| time.value.0 == 0) {
        let problem = checker.error("bad-duration", time.span, "a wait of nothing waits for nothing");
        checker.push(problem.help("write how long, such as 10m, or leave the step out"));
    }
    for (act, _) in acts(step).skip(1) {
        no_time(checker, "timeout", act.timeout.map(|time| time.value), act.timeout.map(|time| time.span));
    }
}

/// A time-out of no length.
pub(super) fn no_time(checker: &mut Checker<'_>, name: &str, time: Option<Millis>, span: Option<Span>) {
    let (Some(Millis(0)), Some(span)) = (time, span) else { return };
    let message = format!("a `{name}` of nothing is over before anything could happen");
    let problem = checker.error("bad-duration", span, message);
    checker.push(problem.help(format!("write how long it may take, such as 30s, or leave `{name}` out")));
}

/// What people are asked.
fn questions(checker: &mut Checker<'_>, step: &Step) {
    if step.is_gate() && step.message.is_none() && step.title.is_none() && !step.keys.foreign {
        let span = step.kinds().next().map_or(step.span, |(_, span)| span);
        let message = format!("the gate `{}` does not say what it asks", step.name());
        let problem = checker.warning("no-message", span, message);
        checker.push(
            problem.help(
                "add `message: \"… {{ inputs.… }} …?\"`: what happens if somebody says yes, and to whom",
            ),
        );
    }
    let typed = step.confirm.as_ref().and_then(|confirm| confirm.typed.as_ref());
    if let Some(word) = typed.filter(|word| word.value.source().trim().is_empty()) {
        let problem = checker.error("empty", word.span, "nothing would have to be typed");
        checker
            .push(problem.help("name what is at stake: `typed: \"{{ inputs.… }}\"`, or leave `typed` out"));
    }
    if let Some(form) = step.input.as_ref().filter(|form| form.fields.iter().next().is_none())
        && let Some(span) = form.keys.get("fields").filter(|span| holds_nothing(checker, *span))
    {
        let problem = checker.error("empty", span, "a form without a field asks nothing");
        checker.push(
            problem.help("add a field, such as `amount: {type: integer}`, or use `confirm` for a yes or no"),
        );
    }
}

fn lists(checker: &mut Checker<'_>, step: &Step) {
    for claims in step.assert.iter().filter(|assert| assert.that.is_empty() && !assert.keys.foreign) {
        if let Some(span) = claims.keys.get("that").filter(|span| holds_nothing(checker, *span)) {
            let problem = checker.error("empty", span, "an assertion without a claim always holds");
            checker.push(problem.help("add a claim: `- {expr: …, message: …}`"));
        }
    }
    let Some(list) = &step.checklist else { return };
    if list.items.value.is_empty() && holds_nothing(checker, list.items.span) {
        let problem = checker.error("empty", list.items.span, "a checklist has items");
        checker.push(problem.help("add an item: `- {id: …, text: \"…\"}`"));
    }
    for item in &list.items.value {
        proven_twice(checker, item);
        read_back(checker, step, item);
    }
}

/// Only a person reads something back, and something that is there.
fn read_back(checker: &mut Checker<'_>, step: &Step, item: &ItemDecl) {
    let Some(template) = &item.read_back else { return };
    if item.probe.is_some() {
        let message = "`read_back` beside a `probe`: which of them ticks it?";
        let problem = checker.error("key-not-for-kind", template.span, message);
        checker.push(problem.help("make two items of it, or leave one of them out"));
    }
    if template.value.source().trim().is_empty() {
        let problem = checker.error("empty", template.span, "there is nothing to read back");
        checker.push(problem.help("write the value, such as \"{{ steps.create.ip }}\""));
    }
    if let Some(answer) = &step.unattended {
        let message = format!("item `{}` is read back, which only a person can do", item.id.value);
        let problem = checker.error("unattended", answer.span, message);
        let problem = problem.also(template.span.at(checker.source), "this is to be read back");
        checker.push(problem.help("leave `unattended` out: an unattended run waits here"));
    }
}

/// A probe is the evidence; only overruling it can need more.
fn proven_twice(checker: &mut Checker<'_>, item: &ItemDecl) {
    let (Some(_), Some(word)) = (&item.probe, item.evidence) else { return };
    if word == EvidenceWord::Required {
        return;
    }
    let span = item.keys.get("evidence").unwrap_or(item.span);
    let message =
        format!("`evidence: {}` means nothing beside a `probe`, which is the evidence", word.name());
    let problem = checker.error("key-not-for-kind", span, message);
    checker.push(
        problem.help("leave it out; with `evidence: required`, overruling the probe by hand needs a file"),
    );
}

fn act(checker: &mut Checker<'_>, act: Act<'_>) {
    let http = act.http.into_iter();
    let urls = http.clone().flat_map(|http| http.calls()).map(|(_, url)| (url, "an address"));
    let headers = http.flat_map(|http| http.headers.iter()).flat_map(Entries::iter);
    let texts = urls.chain(headers.map(|(_, value)| (value, "a header")));
    for (text, what) in texts.chain(act.cwd.map(|folder| (folder, "the path of a folder"))) {
        let breaks = |part: Part<'_>| matches!(part, Part::Text(text) if text.contains(['\n', '\r']));
        if text.value.parts().any(breaks) {
            let problem = checker.error("bad-value", text.span, format!("a line break in {what}"));
            checker.push(
                problem.help("write it on one line; a block that begins with `|` ends with a line break"),
            );
        }
    }
    if let Some(script) = act.shell.filter(|script| is_no_script(script.value.source())) {
        let problem = checker.error("empty", script.span, "a script without a command does nothing");
        checker.push(problem.help("write the script as a block, `shell: |`, with its lines indented below"));
    }
    let Some(argv) = act.argv else { return };
    let program: Option<&Spanned<Template>> = argv.value.first();
    let span = match program {
        Some(program) if program.value.source().trim().is_empty() => program.span,
        None if holds_nothing(checker, argv.span) => argv.span,
        _ => return,
    };
    let problem = checker.error("empty", span, "`argv` names a program");
    checker
        .push(problem.help("write the program and its arguments: `argv: [\"kubectl\", \"get\", \"pods\"]`"));
}

/// Blank, or comments alone.
fn is_no_script(script: &str) -> bool {
    script.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

fn expected(checker: &mut Checker<'_>, expect: Option<&Expect>, keys: &Keys, name: &str) {
    let Some(expect) = expect else { return };
    if expect.keys.iter().next().is_none() && !expect.keys.foreign {
        let message = format!("`{name}` says nothing about the result");
        let problem = checker.error("empty", keys.get(name).unwrap_or(expect.span), message);
        checker.push(problem.help("add one of: exit, status, contains, matches, that, schema"));
    }
    for exit in expect.exit.iter().flat_map(|many| &many.0).filter(|exit| !(0..=255).contains(&exit.value)) {
        let problem = checker.error("bad-value", exit.span, format!("{} is not an exit code", exit.value));
        checker.push(problem.help("an exit code is 0 to 255; death by signal is not an exit code"));
    }
    let statuses = expect.status.iter().flat_map(|many| &many.0);
    for status in statuses.filter(|status| !(100..=599).contains(&status.value)) {
        let problem =
            checker.error("bad-value", status.span, format!("{} is not an HTTP status", status.value));
        checker.push(problem.help("a status is 100 to 599"));
    }
    for text in expect.contains.iter().flat_map(|many| &many.0).filter(|text| text.value.is_empty()) {
        let problem = checker.error("empty", text.span, "every text contains the empty one");
        checker.push(problem.help("write what has to be there"));
    }
}

/// A list or mapping that is written empty, not one whose members could not be read; `at` is its key or itself.
pub(super) fn holds_nothing(checker: &Checker<'_>, at: Span) -> bool {
    let from = checker.source.slice(at);
    let behind = checker.source.behind(at);
    let behind = behind.trim_start_matches(|c: char| c.is_whitespace() || c == ':');
    let value = if from.starts_with(['[', '{']) { from } else { behind };
    let inside = value.strip_prefix(['[', '{']).map(str::trim_start);
    inside.is_some_and(|inside| inside.starts_with([']', '}']))
}
