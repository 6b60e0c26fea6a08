//! Runbooks that another one uses: found by their id, read once, put in place of the steps that name them.
//!
//! A used runbook has to stand by itself: it is read and checked alone, and everything wrong with it is said of its own
//! file. Then it is read once more for each step that names it, in the names of the runbook that uses it. What comes
//! out is a runbook like any other, of groups: nothing behind this file knows where its steps come from, but for the
//! defaults of their calls ([`Used`]). Nothing is read outside the folder of the file and the folder `runbooks` near it.

mod arguments;
mod patch;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::catalogue::Catalogue;
use super::check;
use super::decode::{Decode, Reader, Spanned};
use super::letters::Letters;
use super::lists;
use super::load::{self, Document, MAX_STEPS};
use super::scalar::{Data, Entries};
use super::schema::{GroupDecl, HttpDefaults, LockDecl, Locks, Runbook, SecretDecl, Step, UseDecl, Var};
use super::template::Renaming;
use super::yaml;
use crate::diag::{Diagnostic, Source, Span, has_errors};

/// Runbooks within runbooks.
const DEPTH: usize = 16;

/// What is left of a used runbook beside its steps, by the id of the step that uses it.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// The id of the runbook.
    pub runbook: String,
    /// Its file.
    pub source: Option<Arc<Source>>,
    /// What its calls have in common.
    pub defaults: Option<HttpDefaults>,
    /// Claims about its inputs that are decided by inputs and variables: before the run.
    pub claims: Vec<(super::scalar::Condition, String)>,
    /// The ids of what was put here.
    pub steps: BTreeSet<String>,
    /// The group of `finally` that holds its endings.
    pub ending: Option<String>,
}

/// By the id of the step that uses it.
pub type UsedRunbooks = BTreeMap<String, Used>;

/// The runbook around a step that was put there: the id of the step that uses it.
pub fn parent_of(step: &str) -> Option<&str> {
    step.rsplit_once('/').map(|(parent, _)| parent)
}

/// Runbooks that were read to be used, by the folder of whoever uses them and their id: what an id means depends on
/// where it is written. `None`: it cannot be used, and that was said.
#[derive(Default)]
pub(super) struct Library {
    found: BTreeMap<(PathBuf, String), Option<Rc<Alone>>>,
    /// Those that are being read: one that uses itself would never end.
    open: Vec<String>,
}

/// A runbook by itself.
struct Alone {
    source: Arc<Source>,
    runbook: Runbook,
    letters: Letters,
    steps: usize,
}

/// Puts used runbooks in place of the steps that name them.
pub(super) fn put_in_place(
    document: Document,
    library: &mut Library,
    problems: &mut Vec<Diagnostic>,
) -> Document {
    if !lists::steps(&document.runbook).any(|step| step.runbook.is_some()) {
        return document;
    }
    let Document { source, mut runbook, letters, mut used } = document;
    let steps = lists::steps(&runbook).count();
    library.open.push(runbook.id.value.clone());
    let folder = paths::folder(&source);
    let mut putting = Putting {
        library,
        beside: folder.clone(),
        folder,
        source,
        bases: BTreeMap::new(),
        letters,
        steps,
        used: UsedRunbooks::new(),
        vars: runbook.vars.take(),
        secrets: runbook.secrets.take(),
        locks: runbook.lock.take(),
        finally: Vec::new(),
        problems,
    };
    let mut trail = vec![runbook.id.value.clone()];
    putting.list(&mut runbook.steps, &Around::default(), &mut trail);
    let Putting { source, letters, used: found, vars, secrets, locks, finally, .. } = &mut putting;
    used.append(found);
    (runbook.vars, runbook.secrets, runbook.lock) = (vars.take(), secrets.take(), locks.take());
    let mut endings = std::mem::take(finally);
    let (source, letters) = (Arc::clone(source), std::mem::take(letters));
    for step in runbook.finally.iter().flatten().filter(|step| step.runbook.is_some()) {
        let message = "a runbook cannot be used in `finally`: it has endings of its own";
        let span = step.keys.get("runbook").unwrap_or(step.span);
        problems.push(Diagnostic::error("used-runbook", span.at(&source), message));
    }
    if !endings.is_empty() {
        endings.extend(runbook.finally.take().into_iter().flatten());
        runbook.finally = Some(endings);
    }
    library.open.pop();
    Document { source, runbook, letters, used }
}

/// What stands around a step.
#[derive(Debug, Clone, Default)]
struct Around {
    /// Names of items.
    items: Vec<String>,
    /// It is done more than once.
    again: bool,
}

struct Putting<'a> {
    library: &'a mut Library,
    /// The folder of the runbook that is run, where relative paths begin.
    folder: PathBuf,
    /// The folder of the file whose steps are looked at.
    beside: PathBuf,
    /// The file, and all those that it uses.
    source: Arc<Source>,
    /// Where the bytes of a used one begin, by id.
    bases: BTreeMap<String, (u32, Arc<Source>)>,
    letters: Letters,
    steps: usize,
    used: UsedRunbooks,
    vars: Option<Entries<Var>>,
    secrets: Option<Entries<SecretDecl>>,
    locks: Option<Locks>,
    finally: Vec<Step>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Putting<'_> {
    /// As deep as groups may be nested in a file, for each of the files.
    fn list(&mut self, steps: &mut [Step], around: &Around, trail: &mut Vec<String>) {
        for step in steps {
            let mut around = around.clone();
            if let Some(each) = &step.for_each {
                around.items.push(each.r#as.value.clone());
            }
            around.again |= step.for_each.is_some() || step.repeat.is_some();
            if step.runbook.is_some() && step.group.is_none() {
                self.put(step, &around, trail);
            } else if let Some(group) = &mut step.group {
                self.list(&mut group.steps, &around, trail);
                if let Some(handlers) = &mut group.on_failure {
                    self.list(handlers, &around, trail);
                }
            }
        }
    }

    fn refuse(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        let problem = Diagnostic::error(code, span.at(&self.source), message);
        self.problems.push(problem.help(help));
    }

    /// Puts the steps of the used runbook into the step that names it.
    fn put(&mut self, step: &mut Step, around: &Around, trail: &mut Vec<String>) {
        let (Some(decl), Some(id)) = (step.runbook.clone(), step.id.clone()) else { return };
        let name = &decl.r#use;
        if trail.contains(&name.value)
            || self.library.open[..self.library.open.len() - 1].contains(&name.value)
        {
            let way = trail.join("` uses `");
            let message = format!("a runbook cannot use itself: `{way}` uses `{}`", name.value);
            return self.refuse("used-runbook", name.span, message, "leave one of these steps out");
        }
        if trail.len() > DEPTH {
            let message = format!("runbooks within runbooks go more than {DEPTH} deep");
            return self.refuse("limit", name.span, message, "use it from the outer runbook");
        }
        let Some(alone) = self.find(name) else { return };
        self.steps = self.steps.saturating_add(alone.steps + 2);
        if self.steps > MAX_STEPS {
            let message = format!("with what it uses, the runbook has more than {MAX_STEPS} steps");
            return self.refuse("limit", name.span, message, "use it fewer times");
        }
        self.unfit(&alone, name, around);
        paths::check(self, &alone, name);
        let Some(arguments) = arguments::of(self, &decl, &alone.runbook) else { return };
        let items = patch::clashes(&alone.runbook, &id.value, &around.items);
        let names = Renaming { parent: id.value.clone(), inputs: arguments.inputs.clone(), items };
        let Some(mut child) = self.read(&alone, &names, name) else { return };
        let mut used = Used {
            runbook: name.value.clone(),
            source: Some(Arc::clone(&alone.source)),
            claims: arguments.before,
            ..Used::default()
        };
        patch::runbook(&mut child, &names, &alone.letters);
        let mut steps = std::mem::take(&mut child.steps);
        if !arguments.during.is_empty() {
            let check = free(&alone.runbook, "inputs");
            for first in steps.iter_mut().filter(|step| step.needs.as_ref().is_some_and(Vec::is_empty)) {
                first.needs = Some(vec![Spanned { value: names.id(&check), span: name.span }]);
            }
            steps.splice(0..0, self.claims(&names.id(&check), &arguments.during, name.span));
        }
        trail.push(name.value.clone());
        let beside = std::mem::replace(&mut self.beside, paths::folder(&alone.source));
        self.list(&mut steps, around, trail);
        self.beside = beside;
        patch::ids(&steps, &mut used.steps);
        if let Some(endings) = child.finally.take().filter(|steps| !steps.is_empty() && !around.again) {
            let ending = names.id(&free(&alone.runbook, "finally"));
            if let Some(mut group) = self.ending(&ending, &id.value, endings, name.span) {
                group.title.clone_from(&child.title);
                patch::ids(std::slice::from_ref(&group), &mut used.steps);
                self.finally.push(group);
                used.ending = Some(ending);
            }
        }
        trail.pop();
        step.title = step.title.take().or(child.title.take());
        used.defaults = child.defaults.take().and_then(|defaults| defaults.http);
        self.take_over(&child, &alone, &names, name);
        self.take_locks(&child, &alone, &decl);
        step.group = Some(Box::new(GroupDecl {
            span: decl.span,
            keys: super::decode::Keys::default(),
            steps,
            parallel: None,
            on_failure: None,
            then: None,
        }));
        self.used.insert(id.value, used);
    }

    /// The runbook of that id, by itself.
    fn find(&mut self, name: &Spanned<String>) -> Option<Rc<Alone>> {
        let asked = (self.beside.clone(), name.value.clone());
        if let Some(found) = self.library.found.get(&asked) {
            let found = found.clone();
            if found.is_none() {
                let message = format!("`{}` cannot be used", name.value);
                self.refuse(
                    "used-runbook",
                    name.span,
                    message,
                    "what is wrong with it is said where it is first used",
                );
            }
            return found;
        }
        let found = self.look_for(name).map(Rc::new);
        self.library.found.insert(asked, found.clone());
        found
    }

    fn look_for(&mut self, name: &Spanned<String>) -> Option<Alone> {
        let catalogue = Catalogue::near(&self.beside);
        let called = |id: &str| id == name.value;
        let found: Vec<&Path> = catalogue
            .found
            .iter()
            .filter(|found| found.id().is_some_and(called))
            .map(|found| &*found.path)
            .collect();
        let path = match found.as_slice() {
            [path] => *path,
            [] => {
                let message = format!("no runbook is called `{}`", name.value);
                let problem = Diagnostic::error("used-runbook", name.span.at(&self.source), message);
                let ids = catalogue.found.iter().filter_map(|found| found.id());
                let problem = problem.suggest(&name.value, ids);
                self.problems.push(
                    problem.help("it is looked for beside this file, and in the nearest folder `runbooks`"),
                );
                return None;
            }
            [first, second, ..] => {
                let message = format!(
                    "two files say they are `{}`: {} and {}",
                    name.value,
                    first.display(),
                    second.display()
                );
                self.refuse("used-runbook", name.span, message, "give one of them another `id`");
                return None;
            }
        };
        let read = load::source(path).map_err(|problem| self.problems.push(problem)).ok()?;
        let (document, mut problems) = load::with_used(&read, self.library);
        let letters = document.as_ref().map(|document| document.letters.clone()).unwrap_or_default();
        if let Some(document) = &document {
            problems.extend(check::check(document, None));
        }
        problems.retain(Diagnostic::is_error);
        let alone = load::record::<Runbook>(&read).0;
        if has_errors(&problems) || document.is_none() {
            let message = format!("`{}` has errors of its own", name.value);
            self.problems.extend(problems);
            let help = format!("run `consigne check {}`", path.display());
            self.refuse("used-runbook", name.span, message, &help);
            return None;
        }
        let runbook = alone?;
        let steps = lists::steps(&runbook).count();
        Some(Alone { source: read, runbook, letters, steps })
    }

    /// Reads a runbook in the names of the step that uses it.
    fn read(&mut self, alone: &Alone, names: &Renaming, name: &Spanned<String>) -> Option<Runbook> {
        let base = match self.bases.get(&name.value) {
            Some((_, other)) if !paths::is_same(other, &alone.source) => {
                let (one, two) = (other.name(), alone.source.name());
                let message = format!("two files say they are `{}`: {one} and {two}", name.value);
                self.refuse("used-runbook", name.span, message, "give one of them another `id`");
                return None;
            }
            Some((base, _)) => *base,
            None => {
                let Some((whole, base)) = self.source.using(&alone.source) else {
                    let message = "with what it uses, the runbook is too long".to_owned();
                    self.refuse("limit", name.span, message, "use fewer runbooks");
                    return None;
                };
                self.source = whole;
                self.bases.insert(name.value.clone(), (base, Arc::clone(&alone.source)));
                base
            }
        };
        let mut node = yaml::parse(&alone.source).0?;
        node.shift(base);
        let mut reader = Reader { names: Some(names), ..Reader::new(&self.source) };
        let found = reader.value(&node);
        self.problems.append(&mut reader.problems);
        found
    }

    /// What a runbook may say by itself and not as a part of another one.
    fn unfit(&mut self, alone: &Alone, name: &Spanned<String>, around: &Around) {
        let runbook = &alone.runbook;
        let keys = ["windows", "guards", "deadline"].into_iter().map(|key| (key, runbook.keys.get(key)));
        let again = runbook.keys.get("finally").filter(|_| around.again);
        self.unfit_ends(alone, name);
        let found =
            keys.filter_map(|(key, span)| Some((key, span?))).chain(again.map(|span| ("finally", span)));
        for (key, span) in found {
            let (message, help) = if key == "finally" {
                (
                    format!("`{}` has `finally`, and is used more than once here", name.value),
                    "endings belong to a run: let the runbook that goes through the list have them",
                )
            } else {
                (
                    format!("`{}` has `{key}`, which says something about a whole run", name.value),
                    "a runbook that others use cannot have it: write it in this one",
                )
            };
            let problem = Diagnostic::error("used-runbook", name.span.at(&self.source), message);
            self.problems.push(problem.also(span.at(&alone.source), "here").help(help));
        }
    }

    /// An `end` ends a used runbook at one place, not in one item of many.
    fn unfit_ends(&mut self, alone: &Alone, name: &Spanned<String>) {
        let (steps, places): (Vec<&Step>, Vec<_>) = lists::walk(&alone.runbook).unzip();
        for at in (0..steps.len()).filter(|at| steps[*at].end.is_some()) {
            let around = std::iter::successors(places[at].within, |group| places[*group].within);
            let mut often =
                around.filter(|group| steps[*group].for_each.is_some() || steps[*group].repeat.is_some());
            if often.next().is_some() {
                let message = format!("`{}` has an `end` in a list or in rounds", name.value);
                let problem = Diagnostic::error("used-runbook", name.span.at(&self.source), message);
                let problem = problem.also(steps[at].span.at(&alone.source), "here");
                self.problems.push(problem.help("a runbook that others use ends outside of them"));
            }
        }
    }

    /// Variables, secrets, locks and letters become those of the whole.
    fn take_over(&mut self, child: &Runbook, alone: &Alone, names: &Renaming, name: &Spanned<String>) {
        for (key, var) in child.vars.iter().flat_map(Entries::iter) {
            let all = self.vars.get_or_insert_with(|| Entries(Vec::new()));
            match all.0.iter_mut().find(|(known, _)| known.value == key.value) {
                None => all.0.push((key.clone(), var.clone())),
                Some((_, known)) => match (&*known, var) {
                    (_, Var::Required) => {}
                    (Var::Required, Var::Value(_)) => *known = var.clone(),
                    (Var::Value(one), Var::Value(other)) if one.value.literal() == other.value.literal() => {}
                    (Var::Value(_), Var::Value(_)) => {
                        let message =
                            format!("`{}` gives the variable `{}` another value", name.value, key.value);
                        self.refuse(
                            "used-runbook",
                            name.span,
                            message,
                            "write the same, or `required` in one of them",
                        );
                    }
                },
            }
        }
        for (key, secret) in child.secrets.iter().flat_map(Entries::iter) {
            let all = self.secrets.get_or_insert_with(|| Entries(Vec::new()));
            match all.get(&key.value) {
                None => all.0.push((key.clone(), secret.clone())),
                Some(known) if patch::same_source(known, secret) => {}
                Some(_) => {
                    let message = format!("`{}` takes the secret `{}` from elsewhere", name.value, key.value);
                    self.refuse(
                        "used-runbook",
                        name.span,
                        message,
                        "take it from the same place, or call one otherwise",
                    );
                }
            }
        }
        patch::letters(&mut self.letters, &alone.letters, &alone.runbook, names);
    }

    /// Its locks are taken with the others, before anything is done: what they name is known by then.
    fn take_locks(&mut self, child: &Runbook, alone: &Alone, decl: &UseDecl) {
        let Some(Locks(lock)) = &child.lock else { return };
        let is_later = |path: &str| path.starts_with("steps.");
        let asked = alone.runbook.lock.iter().flat_map(|Locks(lock)| &lock.names);
        let mut new = Vec::new();
        for (name, asked) in lock.names.iter().zip(asked) {
            if !name.value.refs().any(is_later) {
                new.push(name.clone());
                continue;
            }
            let reads = |input: &str| asked.value.refs().any(|path| path == format!("inputs.{input}"));
            for (input, data) in
                decl.inputs.iter().flat_map(Entries::iter).filter(|(key, _)| reads(&key.value))
            {
                let mut texts = Vec::new();
                data.value.templates(&mut texts);
                if texts.iter().any(|text| text.value.refs().any(is_later)) {
                    let runbook = &decl.r#use.value;
                    let message = format!(
                        "`{runbook}` locks `{}` before anything is done, and a step gives its input `{}`",
                        asked.value.source(),
                        input.value
                    );
                    self.refuse(
                        "used-runbook",
                        data.span,
                        message,
                        "give it an input or a variable of this runbook",
                    );
                }
            }
        }
        let own = self.locks.get_or_insert_with(|| {
            let (span, keys) = (lock.span, lock.keys.clone());
            Locks(LockDecl { span, keys, names: Vec::new(), on_busy: lock.on_busy })
        });
        new.retain(|name| own.0.names.iter().all(|known| known.value != name.value));
        own.0.names.extend(new);
    }

    /// A step that claims what the inputs have to be.
    fn claims(&mut self, id: &str, claims: &[arguments::Claim], span: Span) -> Option<Step> {
        let that: Vec<serde_json::Value> = claims.iter().map(arguments::Claim::written).collect();
        self.made(
            &serde_json::json!({
                "id": id,
                "title": {"fr": "Ce qui lui est donné", "en": "What it is given"},
                "assert": {"that": that},
            }),
            span,
        )
    }

    /// What a used runbook does at the end, if it had begun.
    fn ending(&mut self, id: &str, parent: &str, steps: Vec<Step>, span: Span) -> Option<Step> {
        let mut group = self.made(
            &serde_json::json!({
                "id": id,
                "when": format!("steps[\"{parent}\"].begun"),
                "group": {"steps": []},
            }),
            span,
        )?;
        group.group.as_mut()?.steps = steps;
        Some(group)
    }

    /// A step that no file holds, at the place of the one that uses the runbook.
    fn made(&mut self, step: &serde_json::Value, span: Span) -> Option<Step> {
        let text = Source::new("", step.to_string());
        let (node, problems) = yaml::parse(&text);
        debug_assert!(problems.is_empty(), "JSON is YAML: {problems:?}");
        let mut node = node?;
        node.put(span);
        let mut reader = Reader::new(&self.source);
        let found = Step::decode(&node, &mut reader);
        self.problems.append(&mut reader.problems);
        found
    }
}

/// A name that no step of a runbook has.
fn free(runbook: &Runbook, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while lists::steps(runbook).any(|step| step.name() == name) {
        name.push('_');
    }
    name
}

/// The value of an input as an expression of whoever gives it.
fn expression(data: &Data) -> String {
    match data {
        Data::Text(text) => text.value.as_expression(),
        Data::List(list) => format!("[{}]", list.iter().map(expression).collect::<Vec<_>>().join(", ")),
        Data::Map(map) => {
            let key = |key: &str| super::template::literal(&key.into());
            let map: Vec<String> =
                map.iter().map(|(name, data)| format!("{}: {}", key(name), expression(data))).collect();
            format!("{{{}}}", map.join(", "))
        }
        Data::Null | Data::Bool(_) | Data::Number(_) => super::template::literal(&data.literal()),
    }
}
