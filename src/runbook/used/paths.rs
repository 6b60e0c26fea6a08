//! Relative paths of a used runbook: in a run they begin at the folder of the runbook that is run.
//!
//! One that lies in another folder would have other files opened and other programs started than it has alone. So such
//! paths are refused where they are written out; nothing is rewritten here.

use std::path::{Path, PathBuf};

use super::{Alone, Putting};
use crate::diag::{Diagnostic, Source, Span};
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::lists;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::Step;
use crate::runbook::template::{Part, Template};

/// The folder that a file lies in.
pub(super) fn folder(source: &Source) -> PathBuf {
    let folder = Path::new(source.name()).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Whether two sources are one file, however it is named.
pub(super) fn is_same(one: &Source, other: &Source) -> bool {
    same(Path::new(one.name()), Path::new(other.name()))
}

fn same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    one == other || whole(one) == whole(other)
}

pub(super) fn check(putting: &mut Putting<'_>, alone: &Alone, name: &Spanned<String>) {
    let own = folder(&alone.source);
    if same(&own, &putting.folder) {
        return;
    }
    let steps = lists::steps(&alone.runbook).flat_map(of_step);
    let secrets = alone.runbook.secrets.iter().flat_map(Entries::iter);
    let secrets = secrets.filter_map(|(_, secret)| written(secret.file.as_ref()?));
    let secrets = secrets.filter(|(path, _)| is_relative(path));
    let found: Vec<(String, Span)> = secrets.chain(steps).collect();
    for (path, span) in found {
        let message =
            format!("`{}` lies in another folder and names `{path}`, which is looked for here", name.value);
        let problem = Diagnostic::error("used-runbook", name.span.at(&putting.source), message);
        let problem = problem.also(span.at(&alone.source), "begins at the folder of the runbook that is run");
        putting.problems.push(problem.help("write a path that begins with `/`, or make it an input"));
    }
}

fn of_step(step: &Step) -> Vec<(String, Span)> {
    let mut acts = vec![step.act()];
    acts.extend(step.verify.as_ref().map(|verify| verify.act()));
    acts.extend(step.undo.as_ref().map(|undo| undo.act()));
    acts.extend(step.put_back.as_ref().map(|back| back.act()));
    acts.extend(step.put_back.as_ref().and_then(|back| Some(back.only_if.as_ref()?.act())));
    let points = step.checklist.iter().flat_map(|list| &list.items.value);
    acts.extend(points.filter_map(|item| Some(item.probe.as_ref()?.act())));
    acts.into_iter().flat_map(of_act).collect()
}

fn of_act(act: Act<'_>) -> Vec<(String, Span)> {
    let mut out = Vec::new();
    if let Some(http) = act.http {
        out.extend(http.file.as_ref().and_then(written));
        out.extend(http.ca_file.as_ref().map(|file| (file.value.clone(), file.span)));
    }
    // On another host they begin at the home of whoever logs in there.
    if act.host.is_none() {
        out.extend(act.cwd.and_then(written));
        let program = act.argv.and_then(|argv| written(argv.value.first()?));
        out.extend(program.filter(|(program, _)| program.contains('/')));
    }
    out.retain(|(path, _)| is_relative(path));
    out
}

fn is_relative(path: &str) -> bool {
    !path.is_empty() && !path.starts_with(['/', '~'])
}

/// What a path begins with, where that is written out.
fn written(path: &Spanned<Template>) -> Option<(String, Span)> {
    match path.value.parts().next()? {
        Part::Text(_) => Some((path.value.source().to_owned(), path.span)),
        Part::Expr(_) => None,
    }
}
