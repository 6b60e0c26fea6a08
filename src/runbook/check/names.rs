//! What texts read: names that exist, outputs that are there by then, secrets where nobody sees them.

use super::defaulted::has_default;
use super::{Checker, early, same_when, secrets};
use crate::diag::Span;
use crate::runbook::act::HUMAN;
use crate::runbook::decode::Spanned;
use crate::runbook::letters;
use crate::runbook::scalar::{Entries, Text};
use crate::runbook::schema::{GuardDecl, Http, RunOnWord, Step};
use crate::runbook::template::{ROOTS, WORK};
use crate::runbook::texts::{self, ExprRef, TextRef, Use, Written};

const RUN_NAMES: [&str; 3] = ["id", "started_at", "work"];
/// What only people are told: no step does one thing in a drill and another for real.
const TOLD_NAMES: [&str; 3] = ["runbook", "mode", "starter"];
/// Decided when the steps are over.
const OUTCOME: &str = "outcome";
/// What a letter about a question may read of it.
const ASK_NAMES: [&str; 4] = ["step", "title", "prompt", "expires"];
const STEP_NAMES: [&str; 1] = ["started_at"];

/// Who reads: a step, or the runbook itself (titles, locks, defaults), which knows inputs and variables only.
#[derive(Clone, Copy)]
enum Reader {
    Step(usize),
    /// A letter about a question, which knows the run and the question.
    Ask,
    Runbook,
    /// Templates of the defaults are read by the steps that use them.
    Defaults,
    /// A guard is asked at any time of a run.
    Guard,
}

/// Where a name is read. An expression is searched for it only when something is said about it.
#[derive(Clone, Copy)]
enum Site<'a> {
    At(Span),
    In(ExprRef<'a>, &'a str),
}

impl Site<'_> {
    fn span(self, checker: &Checker<'_>) -> Span {
        match self {
            Self::At(span) => span,
            Self::In(expr, path) => expr.place(checker.source, path),
        }
    }
}

pub(super) fn check(checker: &mut Checker<'_>) {
    let runbook = checker.runbook;
    for text in runbook.title.iter().chain(&runbook.description).flat_map(Text::templates) {
        read(checker, Reader::Runbook, &plain(text, Use::Words));
    }
    for link in runbook.links.iter().flatten() {
        read(checker, Reader::Runbook, &plain(&link.url, Use::Words));
    }
    let titles = runbook.links.iter().flatten().filter_map(|link| link.title.as_ref());
    let changes = runbook.changelog.iter().flatten().map(|change| &change.text);
    let windows = runbook.windows.iter().flatten().filter_map(|window| window.title.as_ref());
    for text in titles.chain(changes).chain(windows).flat_map(Text::templates) {
        read(checker, Reader::Runbook, &plain(text, Use::Words));
    }
    for lock in runbook.locks() {
        read(checker, Reader::Runbook, &plain(lock, Use::Other));
    }
    for (_, decl) in runbook.inputs.iter().flat_map(Entries::iter) {
        for text in decl.title.iter().flat_map(Text::templates) {
            read(checker, Reader::Runbook, &plain(text, Use::Words));
        }
    }
    literals(checker);
    if let Some(http) = runbook.defaults.as_ref().and_then(|defaults| defaults.http.as_ref()) {
        for text in texts::of_defaults(http) {
            read(checker, Reader::Defaults, &text);
        }
        secret_name(checker, Reader::Defaults, http.bearer.as_ref(), false);
    }
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        for text in texts::of_step(step) {
            read(checker, Reader::Step(at), &text);
        }
        credentials(checker, at, step);
        letters(checker, at);
    }
}

/// What a step sends by template is read like its own texts, where it stands.
fn letters(checker: &mut Checker<'_>, at: usize) {
    let step = checker.steps[at];
    let named = step
        .notify
        .iter()
        .filter_map(|notify| Some((Reader::Step(at), &notify.template.as_ref()?.value[..])));
    let opens = step.approve.iter().filter(|approve| approve.notify == Some(true));
    let opens = opens.map(|_| (Reader::Ask, letters::WANTED));
    let escalates = step.approve.iter().filter(|approve| approve.escalates());
    let escalates = escalates.map(|_| (Reader::Ask, letters::ESCALATED));
    let (runbook, all) = (checker.source, checker.letters);
    for (reader, name) in named.chain(opens).chain(escalates) {
        for page in all.get(name).into_iter().flat_map(letters::Letter::pages) {
            checker.source = &page.source;
            read(checker, reader, &plain(&page.subject, Use::Letter));
            read(checker, reader, &plain(&page.text, Use::Letter));
        }
    }
    checker.source = runbook;
}

/// What a guard reads is known before the first step.
pub(super) fn of_guard(checker: &mut Checker<'_>, guard: &GuardDecl) {
    for text in guard.message.iter().flat_map(Text::templates) {
        read(checker, Reader::Guard, &plain(text, Use::Words));
    }
    for text in texts::of_act(guard.act()) {
        read(checker, Reader::Guard, &text);
    }
    if let Some(http) = guard.act().http {
        credentials_of(checker, Reader::Guard, http, false);
    }
}

fn plain<'a>(text: &'a Spanned<crate::runbook::template::Template>, place: Use) -> TextRef<'a> {
    TextRef { text: Written::Template(text), place, after: false }
}

/// Values that are taken as they are: variables, sources of secrets, defaults of inputs.
fn literals(checker: &mut Checker<'_>) {
    let runbook = checker.runbook;
    let mut found = Vec::new();
    for (_, var) in runbook.vars.iter().flat_map(Entries::iter) {
        if let crate::runbook::schema::Var::Value(data) = var {
            data.value.templates(&mut found);
        }
    }
    for (_, secret) in runbook.secrets.iter().flat_map(Entries::iter) {
        found.extend(&secret.file);
        found.extend(secret.command.iter().flat_map(|command| &command.value));
    }
    for (_, decl) in runbook.inputs.iter().flat_map(Entries::iter) {
        decl.default.iter().for_each(|default| default.value.templates(&mut found));
    }
    for text in found.into_iter().filter(|text| !text.value.exprs().is_empty()) {
        let message = "this value is taken as it is, an expression in it would never be read";
        let problem = checker.error("unknown-name", text.span, message);
        checker.push(
            problem.help("an environment may name the port and state of its services, a runbook may not"),
        );
    }
}

/// The names of items that a text may read, innermost first.
fn items<'a>(checker: &Checker<'a>, reader: Reader, place: Use) -> Vec<&'a str> {
    let Reader::Step(at) = reader else { return Vec::new() };
    let name = |at: usize| checker.steps[at].for_each.as_ref().map(|each| each.r#as.value.as_str());
    let around = checker.flow.lists.around(at).filter_map(name);
    match place {
        Use::List => around.collect(),
        Use::Key => name(at).into_iter().collect(),
        Use::Filter => (0..checker.steps.len()).filter_map(name).collect(),
        _ => name(at).into_iter().chain(around).collect(),
    }
}

fn read(checker: &mut Checker<'_>, reader: Reader, text: &TextRef<'_>) {
    let mut known: Option<Vec<&str>> = None;
    for expr in text.text.exprs() {
        for name in expr.expr.strangers() {
            let span = expr.place(checker.source, name);
            checker.fail("bad-expression", span, format!("no filter and no test is called `{name}`"));
        }
        for path in expr.expr.refs() {
            let site = Site::In(expr, path);
            let mut names = path.split('.');
            let root = names.next().unwrap_or("");
            if secrets::is_secret(checker, path) && !secrets::may_stand(checker, text, &expr, path) {
                continue;
            }
            match (root, names.next()) {
                ("secrets", _) => secret(checker, text, &expr, path),
                ("item", _) if text.place == Use::Entry => {}
                (texts::TARGET, _) if text.place == Use::Filter => {}
                ("steps" | "step", Some(_)) if text.place == Use::Filter => in_filter(checker, path, site),
                (name, _)
                    if !ROOTS.contains(&name)
                        && known
                            .get_or_insert_with(|| items(checker, reader, text.place))
                            .contains(&name) => {}
                (_, Some(_)) if text.place == Use::Key => {
                    let message = format!("`{path}` is not known where an item is named");
                    let problem = checker.error("item-key", site.span(checker), message);
                    checker.push(problem.help("`key` is an expression about one item alone"));
                }
                (_, None) => alone(checker, root, site.span(checker)),
                ("inputs", Some(name)) => {
                    let known = checker.runbook.inputs.iter().flat_map(Entries::iter).map(|(key, _)| key);
                    declared(checker, "input", name, site, known.map(|key| key.value.as_str()));
                }
                ("vars", Some(name)) => {
                    let known = checker.runbook.vars.iter().flat_map(Entries::iter).map(|(key, _)| key);
                    declared(checker, "variable", name, site, known.map(|key| key.value.as_str()));
                }
                ("run", Some("work")) if matches!(reader, Reader::Step(_)) => {
                    work(checker, text, &expr);
                }
                ("run", Some(name)) => of_run(checker, reader, text.place, name, site),
                ("ask", Some(name)) if matches!(reader, Reader::Ask) => {
                    declared(checker, "name of the question", name, site, ASK_NAMES.into_iter());
                }
                ("step", Some(name)) => of_own_step(checker, reader, text.place, name, site),
                ("steps", Some(id)) => of_step(checker, reader, text, &expr, (id, names.next()), site),
                _ => {
                    let problem = checker.error(
                        "unknown-name",
                        site.span(checker),
                        format!("nothing is called `{root}`"),
                    );
                    let names = known.get_or_insert_with(|| items(checker, reader, text.place));
                    checker.push(problem.suggest(root, ROOTS.into_iter().chain(names.iter().copied())));
                }
            }
        }
    }
}

/// A step in the filter of an approval.
fn in_filter(checker: &mut Checker<'_>, path: &str, site: Site<'_>) {
    let message = format!("`{path}` in a filter: what it compares with is itself decided by a step");
    let problem = checker.error("approval-limit", site.span(checker), message);
    checker.push(problem.help("a filter reads `target`, items, inputs and variables"));
}

/// `steps.id.field`, wherever it is read.
fn of_step(
    checker: &mut Checker<'_>,
    reader: Reader,
    text: &TextRef<'_>,
    expr: &ExprRef<'_>,
    (id, field): (&str, Option<&str>),
    site: Site<'_>,
) {
    match reader {
        Reader::Ask => {
            let message = "a letter about a question reads the question, not the steps";
            checker.fail("not-upstream", site.span(checker), message);
        }
        Reader::Step(at) => {
            let defaulted = expr.expr.path().is_none() && has_default(expr.expr.source(), id, field);
            let reading = Reading { at, place: text.place, after: text.after, defaulted };
            output(checker, reading, (id, field), site);
        }
        Reader::Runbook | Reader::Defaults | Reader::Guard => {
            before_any_step(checker, reader, site.span(checker));
        }
    }
}

/// A step is named where none has run.
fn before_any_step(checker: &mut Checker<'_>, reader: Reader, span: Span) {
    let Reader::Guard = reader else {
        return checker.fail("not-upstream", span, "no step has run when this is read");
    };
    let message = "a guard is asked at any time, before any step has run too";
    let problem = checker.error("not-upstream", span, message);
    checker.push(problem.help("inputs, variables, secrets and `run` are known there"));
}

/// `run.name`.
fn of_run(checker: &mut Checker<'_>, reader: Reader, place: Use, name: &str, site: Site<'_>) {
    if place == Use::Letter && TOLD_NAMES.contains(&name) {
        return;
    }
    if RUN_NAMES.contains(&name) && matches!(reader, Reader::Runbook) {
        let problem = checker.error("unknown-name", site.span(checker), "no run has begun when this is read");
        checker.push(problem.help("inputs and variables are known here"));
    } else if name == OUTCOME {
        let ends = matches!(reader, Reader::Step(at) if at >= checker.flow.main);
        if !ends {
            let message = "how the run ends is not known yet";
            let problem = checker.error("not-upstream", site.span(checker), message);
            checker.push(problem.help("read `run.outcome` in the steps of `finally`"));
        }
    } else {
        declared(checker, "name of the run", name, site, RUN_NAMES.into_iter());
    }
}

/// `step.name`.
fn of_own_step(checker: &mut Checker<'_>, reader: Reader, place: Use, name: &str, site: Site<'_>) {
    let runs = matches!(reader, Reader::Step(at) if checker.steps[at].runs());
    if !runs {
        let message = "`step` is known only inside a step that is run";
        checker.fail("unknown-name", site.span(checker), message);
    } else if declared(checker, "name of the step", name, site, STEP_NAMES.into_iter())
        && matches!(place, Use::Condition | Use::List)
    {
        let message = format!("`step.{name}` is not known before the step begins");
        let problem = checker.error("unknown-name", site.span(checker), message);
        checker.push(problem.help("`run.started_at` is known here"));
    }
}

/// The scratch folder: a path on this machine, which the runner alone fills in.
fn work(checker: &mut Checker<'_>, text: &TextRef<'_>, expr: &ExprRef<'_>) {
    let span = |checker: &Checker<'_>| expr.place(checker.source, WORK);
    if !text.place.takes_work() {
        let message =
            format!("the scratch folder cannot stand in {}: it is a path of this machine", text.place.name());
        let problem = checker.error("work-use", span(checker), message);
        checker.push(problem.help("it may stand in arguments, in `env`, in `cwd` and in the paths of files"));
    } else if expr.expr.source() != WORK {
        let message = "the scratch folder is used whole: no filters, nothing beside it in the braces";
        let problem = checker.error("work-use", span(checker), message);
        checker.push(problem.help("write text around the braces: \"{{ run.work }}/report.csv\""));
    }
}

/// A name without the place it belongs to.
fn alone(checker: &mut Checker<'_>, name: &str, span: Span) {
    let runbook = checker.runbook;
    let whole = if runbook.inputs.as_ref().is_some_and(|inputs| inputs.get(name).is_some()) {
        Some(format!("inputs.{name}"))
    } else if runbook.vars.as_ref().is_some_and(|vars| vars.get(name).is_some()) {
        Some(format!("vars.{name}"))
    } else {
        checker.flow.find(name).map(|_| format!("steps.{name}.…"))
    };
    let problem = checker.error("unknown-name", span, format!("`{name}` is not a value by itself"));
    checker.push(match whole {
        Some(whole) => problem.help(format!("did you mean `{whole}`?")),
        None => problem.help("name something of inputs, vars, steps, step, run or secrets"),
    });
}

/// Whether it is; else that is said.
fn declared<'n>(
    checker: &mut Checker<'_>,
    what: &str,
    name: &str,
    site: Site<'_>,
    known: impl Iterator<Item = &'n str> + Clone,
) -> bool {
    if known.clone().any(|known| known == name) {
        return true;
    }
    let known: Vec<&str> = known.collect();
    let mut problem =
        checker.error("unknown-name", site.span(checker), format!("no {what} is called `{name}`"));
    let before = problem.help.len();
    problem = problem.suggest(name, known.iter().copied());
    if problem.help.len() == before && !known.is_empty() && known.len() <= 12 {
        problem = problem.help(format!("there is: {}", known.join(", ")));
    }
    checker.push(problem);
    false
}

fn secret(checker: &mut Checker<'_>, text: &TextRef<'_>, expr: &ExprRef<'_>, path: &str) {
    if !secrets::may_stand(checker, text, expr, path) {
        return;
    }
    // A path that goes deeper is caught below: no secret has that name.
    let name = path.strip_prefix("secrets.").unwrap_or(path);
    let known = checker.runbook.secrets.iter().flat_map(Entries::iter).map(|(key, _)| key.value.as_str());
    declared(checker, "secret", name, Site::In(*expr, path), known);
}

/// Auth fields name secrets without braces.
fn credentials(checker: &mut Checker<'_>, at: usize, step: &Step) {
    let own = step.http.iter().map(|http| (http, false));
    let verify = step.verify.iter().filter_map(|verify| Some((verify.http.as_ref()?, true)));
    let undo = step.undo.iter().filter_map(|undo| Some((undo.http.as_ref()?, false)));
    let back = step.put_back.iter().filter_map(|back| Some((back.http.as_ref()?, false)));
    let only_if = step.put_back.iter().filter_map(|back| back.only_if.as_ref());
    let items = step.checklist.iter().flat_map(|list| &list.items.value);
    let probes = only_if.chain(items.filter_map(|item| item.probe.as_ref()));
    let probes = probes.filter_map(|probe| Some((probe.http.as_ref()?, false)));
    for (http, after) in own.chain(verify).chain(undo).chain(back).chain(probes) {
        credentials_of(checker, Reader::Step(at), http, after);
    }
}

fn credentials_of(checker: &mut Checker<'_>, reader: Reader, http: &Http, after: bool) {
    let bearer = http.bearer.as_ref().filter(|name| name.value != "none");
    let basic = http.basic.as_ref().map(|basic| &basic.secret);
    let header = http.header.as_ref().map(|header| &header.secret);
    for name in [bearer, basic, header] {
        secret_name(checker, reader, name, after);
    }
}

fn secret_name(checker: &mut Checker<'_>, reader: Reader, name: Option<&Spanned<String>>, after: bool) {
    let Some(name) = name else { return };
    if name.value.contains("{{") {
        let problem =
            checker.error("secret-use", name.span, "the name of a secret is wanted here, not its value");
        checker.push(problem.help("write the name alone, without braces"));
        return;
    }
    let mut parts = name.value.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("steps"), Some(id), Some(field), None) => match reader {
            Reader::Step(at) => {
                let reading = Reading { at, place: Use::Header, after, defaulted: false };
                if output(checker, reading, (id, Some(field)), Site::At(name.span)) {
                    secrets::need_secret(checker, name);
                }
            }
            Reader::Runbook | Reader::Defaults | Reader::Ask | Reader::Guard => {
                before_any_step(checker, reader, name.span);
            }
        },
        (Some("inputs"), Some(input), None, None) => {
            let known = checker.runbook.inputs.iter().flat_map(Entries::iter).map(|(key, _)| key);
            let known = known.map(|key| key.value.as_str());
            if declared(checker, "input", input, Site::At(name.span), known) {
                secrets::need_secret(checker, name);
            }
        }
        _ => {
            let known = checker.runbook.secrets.iter().flat_map(Entries::iter);
            let known = known.map(|(key, _)| key.value.as_str());
            declared(checker, "secret", &name.value, Site::At(name.span), known);
        }
    }
}

/// A step reads an output.
#[derive(Clone, Copy)]
struct Reading {
    at: usize,
    place: Use,
    /// It belongs to the proof of the step.
    after: bool,
    /// There is a value that takes its place.
    defaulted: bool,
}

/// `steps.id.field`. Whether there is such an output.
fn output(
    checker: &mut Checker<'_>,
    Reading { at, place, after, defaulted }: Reading,
    (id, field): (&str, Option<&str>),
    site: Site<'_>,
) -> bool {
    let Some(target) = checker.flow.find(id) else {
        let problem = checker.error("unknown-step", site.span(checker), format!("no step is called `{id}`"));
        let problem = problem.suggest(id, checker.flow.ids());
        checker.push(problem);
        return false;
    };
    let round = place == Use::Until && checker.flow.lists.belongs(target, at);
    let own = target == at || place != Use::Until && checker.flow.lists.belongs(at, target);
    if let Some(field) = field {
        let written = checker.steps[target];
        let whole = (written.for_each.is_some() || written.repeat.is_some()) && !own;
        let one = fields(written).any(|name| name == field);
        if whole && !OF_LIST.contains(&field) || !whole && !one {
            let span = site.span(checker);
            let names: Vec<&str> = if whole { OF_LIST.to_vec() } else { fields(written).collect() };
            checker.push(if whole && one {
                checker.inside_list(at, target, span)
            } else {
                let message = format!("step `{id}` has no output `{field}`");
                let problem = checker.error("unknown-name", span, message);
                let help = format!("it has: {}", names.join(", "));
                problem.suggest(field, names).help(help)
            });
            return false;
        }
    }
    if target == at {
        if !after {
            let problem =
                checker.error("not-upstream", site.span(checker), "a step cannot read what itself will give");
            let help = "an `undo` or `put_back` is written down before its step starts";
            let reverses = checker.steps[at].undo.is_some() || checker.steps[at].put_back.is_some();
            checker.push(if reverses { problem.help(help) } else { problem });
        }
        return true;
    }
    if checker.list_around(at, target).is_some_and(|list| list != target) {
        let problem = checker.inside_list(at, target, site.span(checker));
        checker.push(problem);
        return false;
    }
    let ends_with_main = at >= checker.flow.main && target < checker.flow.main;
    if !ends_with_main && !round {
        checker.unless_upstream(at, target, |checker| {
            let (name, span) = (checker.name(at), site.span(checker));
            let message = format!("step `{id}` does not come before `{name}`");
            checker.error("not-upstream", span, message).help(if own {
                format!("`{name}` belongs to the group `{id}`, which has not ended then")
            } else {
                format!("add it to `needs` of `{name}`, or move it up")
            })
        });
    }
    if defaulted || matches!(field, Some("outcome" | "begun")) {
        return true;
    }
    if let Some(reason) = may_be_absent(checker, at, target) {
        absent(checker, (id, field), site.span(checker), reason);
    }
    true
}

fn absent(checker: &mut Checker<'_>, (id, field): (&str, Option<&str>), span: Span, reason: &str) {
    let what = field.map_or_else(String::new, |field| format!(".{field}"));
    let problem =
        checker.error("may-be-skipped", span, format!("`steps.{id}{what}` may not be there: {reason}"));
    let secret = secrets::is_secret(checker, &format!("steps.{id}{what}"));
    checker.push(problem.help(if secret {
        "give this step the same `when`: nothing can stand in for a secret".to_owned()
    } else {
        format!("write steps.{id}{what} | default(…), or give this step the same `when`")
    }));
}

/// Why an output of `target` may not exist when `at` reads it.
pub(super) fn may_be_absent(checker: &Checker<'_>, at: usize, target: usize) -> Option<&'static str> {
    let run_on =
        |step: usize| checker.steps[step].run_on.as_ref().map_or(RunOnWord::Success, |word| word.value);
    let (flow, lists) = (&checker.flow, &checker.flow.lists);
    if let Some(used) = checker.ended_by(at).filter(|_| target < flow.main) {
        // It runs only where what it belongs to had begun, so what stood before that is there.
        return if lists.belongs(target, used) { None } else { may_be_absent(checker, used, target) };
    }
    if at >= flow.main && target < flow.main {
        return Some("`finally` runs at every ending, whatever was reached");
    }
    if checker.steps[target].notify.is_some() {
        return Some("a message that reached nobody does not stop the run");
    }
    // The step itself, then the groups around it that the reader does not stand in.
    let mut node = target;
    loop {
        if checker.steps[node].when.is_some() && !shares_when(checker, at, node) {
            return Some(if node == target { "that step has a `when`" } else { "its group has a `when`" });
        }
        if run_on(node) == RunOnWord::Failure {
            return Some("that step runs only after a failure");
        }
        let blind = node != target && checker.steps[node].when.is_none() && flow.is_blind(node);
        if blind && !early::is_there(checker, node, target) {
            let used = checker.steps[node].runbook.is_some();
            return Some(if used {
                "that runbook may end early"
            } else {
                "its group goes on after a failure"
            });
        }
        let Some(group) = lists.places[node].within.filter(|group| !lists.belongs(at, *group)) else { break };
        if lists.places[node].handles {
            return Some("it runs only when its group has failed");
        }
        if flow.is_spared(node) || group == at && flow.is_pushed_back(node) {
            return Some("a step before it may fail or be refused, and its group goes on");
        }
        if group == at {
            break;
        }
        node = group;
    }
    let handles = lists.side_by_side(at, target).is_some_and(|(at, target)| lists.of[at] != lists.of[target]);
    if handles {
        return Some("this step runs when a step of the group has failed");
    }
    if run_on(at) != RunOnWord::Success {
        return Some("this step also runs when others failed");
    }
    None
}

/// Whether a step, or a group around it, carries the same condition as another step.
fn shares_when(checker: &Checker<'_>, at: usize, source: usize) -> bool {
    let mut around = [at].into_iter().chain(checker.flow.lists.around(at));
    around.any(|at| same_when(checker.steps[at], checker.steps[source]))
}

/// What `steps.x` has for a step that is done for each item of a list, or in rounds.
const OF_LIST: [&str; 2] = ["items", "outcome"];

/// What `steps.x` has.
fn fields(step: &Step) -> impl Iterator<Item = &str> {
    let verified = step.verify.iter().flat_map(|verify| verify.outputs.iter());
    let outputs = step.outputs.iter().chain(verified).flat_map(Entries::iter).map(|(key, _)| &*key.value);
    let form = step.input.iter().flat_map(|form| form.fields.iter()).map(|(key, _)| &*key.value);
    let human = step.kind().is_some_and(|kind| HUMAN.contains(&kind));
    let answer: &[&str] = if human { &["answer", "by", "at", "comment"] } else { &[] };
    let items = step.checklist.is_some().then_some("items");
    let begun = step.group.is_some().then_some("begun");
    outputs.chain(form).chain(["outcome"]).chain(answer.iter().copied()).chain(items).chain(begun)
}
