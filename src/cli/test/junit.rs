//! The outcome as JUnit XML, which build servers read. A case that could not be rehearsed is an error, one that came
//! out otherwise a failure.

use std::fmt::Write;
use std::time::Duration;

use super::told::lines;
use super::{Outcome, Suite};
use crate::cli::args::Lang;

pub(super) fn xml(suites: &[Suite], outcomes: &[Outcome], took: Duration, lang: Lang) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let head = |name: &str, all: &[&Outcome], took: Duration| {
        let errors = all.iter().filter(|outcome| outcome.verdict.is_err()).count();
        let failed = all.iter().filter(|outcome| !outcome.passed()).count() - errors;
        format!(
            "name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" time=\"{:.3}\"",
            escaped(name),
            all.len(),
            took.as_secs_f64()
        )
    };
    let all: Vec<&Outcome> = outcomes.iter().collect();
    // Writing to a text cannot fail.
    let _ = writeln!(out, "<testsuites {}>", head("consigne", &all, took));
    for (at, suite) in suites.iter().enumerate() {
        let of: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.suite == at).collect();
        if of.is_empty() {
            continue;
        }
        let file = suite.path.display().to_string();
        let _ = writeln!(out, "  <testsuite {}>", head(&file, &of, of.iter().map(|one| one.took).sum()));
        for outcome in of {
            let name = &suite.tests.decl.cases[outcome.case].name.value;
            let (class, seconds) = (escaped(&file), outcome.took.as_secs_f64());
            let _ = write!(
                out,
                "    <testcase classname=\"{class}\" name=\"{}\" time=\"{seconds:.3}\"",
                escaped(name)
            );
            if outcome.passed() {
                out.push_str("/>\n");
                continue;
            }
            let element = if outcome.verdict.is_err() { "error" } else { "failure" };
            let said = lines(suites, outcome, lang);
            let mut text = said.join("\n");
            for problem in outcome.verdict.as_ref().err().into_iter().flat_map(|error| &error.diagnostics) {
                let _ = write!(text, "\n{}", problem.message);
            }
            let message = escaped(said.first().map(String::as_str).unwrap_or_default());
            let _ = writeln!(out, ">\n      <{element} message=\"{message}\">{}</{element}>", escaped(&text));
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// A text in XML, in content or in quotes. Characters that XML cannot hold at all become a mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' => out.push(char),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_it_stays_text() {
        assert_eq!(escaped("a<b> & \"c\" 'd'\n"), "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;\n");
        assert_eq!(escaped("]]>\u{1b}[2J\u{0}\u{ffff}"), "]]&gt;\u{fffd}[2J\u{fffd}\u{fffd}");
    }
}
