//! How cases came out, for people and for scripts: a line for each, and where one failed, what was expected and found.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Outcome, Suite};
use crate::cli::args::Lang;
use crate::cli::ui::Ui;
use crate::diag::to_json;
use crate::engine::rehearsal::verdict::{About, Miss};

pub(super) fn tell(suites: &[Suite], outcomes: &[Outcome], took: Duration, lang: Lang, ui: Ui) {
    for outcome in outcomes {
        if ui.json {
            ui.json(&json(suites, outcome));
            continue;
        }
        let mark =
            if outcome.passed() { lang.pick("ok    ", "ok    ") } else { lang.pick("ÉCHEC ", "FAILED") };
        ui.line(&format!("{mark}  {}", name(suites, outcome)));
        lines(suites, outcome, lang).iter().for_each(|line| ui.line(&format!("        {line}")));
        if let Err(error) = &outcome.verdict {
            ui.diagnostics(&error.diagnostics);
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let passed = outcomes.len() - failed;
    let seconds = took.as_secs_f64();
    let line = match lang {
        Lang::Fr => format!("{passed} cas réussis, {failed} en échec, en {seconds:.1} s"),
        Lang::En => format!("{passed} cases passed, {failed} failed, in {seconds:.1} s"),
    };
    ui.say(&line);
}

/// The file and the name of a case.
fn name(suites: &[Suite], outcome: &Outcome) -> String {
    let suite = &suites[outcome.suite];
    format!("{}: {}", suite.path.display(), suite.tests.decl.cases[outcome.case].name.value)
}

/// What is not as expected; nothing where all is.
pub(super) fn lines(suites: &[Suite], outcome: &Outcome, lang: Lang) -> Vec<String> {
    let suite = &suites[outcome.suite];
    let mut out = Vec::new();
    match &outcome.verdict {
        Ok(misses) => misses.iter().for_each(|miss| out.extend(of_miss(suite, miss, lang))),
        Err(error) => {
            out.push(format!("{} {}", lang.pick("pas répété :", "not rehearsed:"), error.message));
            out.extend(error.hints.iter().map(|hint| format!("{} {hint}", lang.pick("conseil :", "hint:"))));
        }
    }
    out
}

fn of_miss(suite: &Suite, miss: &Miss, lang: Lang) -> Vec<String> {
    let (line, column) = suite.tests.source.position(miss.at.start);
    let mut out = vec![
        format!("{}:{line}:{column}: {}", suite.path.display(), about(miss.about, lang)),
        format!("  {} {}", lang.pick("attendu :", "expected:"), miss.expected),
    ];
    let found = lang.pick("trouvé :", "found:");
    match miss.found.as_slice() {
        [] => out.push(format!("  {found} {}", lang.pick("rien", "nothing"))),
        [only] => out.push(format!("  {found} {only}")),
        several => {
            out.push(format!("  {found}"));
            out.extend(several.iter().map(|one| format!("    {one}")));
        }
    }
    out
}

const fn about(about: About, lang: Lang) -> &'static str {
    match about {
        About::Path => lang.pick("le chemin n'est pas celui-là", "the path is another one"),
        About::Step => lang.pick("une étape a fini autrement", "a step ended otherwise"),
        About::Question => lang.pick("on n'a pas posé cette question", "that was not what was asked"),
        About::Request => lang.pick("ce n'est pas ce qui a été envoyé", "that was not what was sent"),
        About::Ending => lang.pick("l'exécution a fini autrement", "the run ended otherwise"),
    }
}

fn json(suites: &[Suite], outcome: &Outcome) -> Value {
    let suite = &suites[outcome.suite];
    let case = &suite.tests.decl.cases[outcome.case];
    let miss = |miss: &Miss| {
        let (line, column) = suite.tests.source.position(miss.at.start);
        json!({
            "about": about(miss.about, Lang::En),
            "line": line,
            "column": column,
            "expected": miss.expected,
            "found": miss.found,
        })
    };
    let mut out = json!({
        "file": suite.path.display().to_string(),
        "case": case.name.value,
        "passed": outcome.passed(),
    });
    match &outcome.verdict {
        Ok(misses) if misses.is_empty() => {}
        Ok(misses) => out["misses"] = misses.iter().map(miss).collect(),
        Err(error) => {
            out["error"] = error.message.as_str().into();
            out["findings"] = error.diagnostics.iter().map(to_json).collect();
        }
    }
    out
}
