//! Inputs that are missing, asked as a form where somebody is at the terminal. Starts nothing.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use serde_json::Value;

use super::args::{DriveArgs, Lang};
use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::operator::{self, Blank, Field, FormError};
use crate::plan::InputField;
use crate::runbook::inputs::{self, Given, GivenValue, Lacking};
use crate::runbook::load::Document;

/// Somebody is there to ask, and no script reads what is said.
pub(super) fn can_be_asked(common: &DriveArgs) -> bool {
    !common.unattended && is_attended(common.json)
}

/// The same of a verb that nobody can tell to go unattended.
pub(super) fn is_attended(json: bool) -> bool {
    !json && std::io::stdin().is_terminal()
}

/// Asks for every input that is missing or does not fit, and says how to give them on the command line. Where a name
/// is wrong nothing is asked: the diagnostics say it all.
///
/// # Errors
/// Whoever was asked has left the form.
pub(super) fn complete(document: &Document, given: &mut Given, lang: Lang) -> Result<(), CliError> {
    let lacking = inputs::lacking(document, given);
    if lacking.is_empty() || inputs::resolve(document, given).1.iter().any(is_of_no_input) {
        return Ok(());
    }
    let lang = lang.code();
    let blanks: Vec<Blank> = lacking.iter().map(|lacking| blank(lacking, lang)).collect();
    let fits = |name: &str, value: &Value| match lacking.iter().find(|lacking| lacking.name == name) {
        Some(lacking) => inputs::check_value(lacking.decl, value),
        None => Ok(()),
    };
    let values = match operator::fill(operator::Lang::of(lang), &blanks, &fits) {
        Ok(values) => values,
        Err(FormError::Terminal(_)) => return Ok(()),
        Err(error @ FormError::Left) => {
            return Err(CliError::new(Exit::Invalid, error.to_string()).hint("nothing was started"));
        }
    };
    let ui = Ui::new(false);
    let words = std::env::args().skip(1).collect();
    let again = operator::harmless(&command(words, &values));
    let same = if lang == "fr" { "la même chose en une ligne" } else { "the same in one line" };
    ui.say(&format!("\n{same}:\n  {again}\n"));
    for (name, value) in values {
        given.options.retain(|(option, _)| *option != name);
        given.values.insert(name, GivenValue { value, at: None });
    }
    Ok(())
}

fn is_of_no_input(problem: &crate::diag::Diagnostic) -> bool {
    problem.code == "unknown-input"
}

fn blank(lacking: &Lacking<'_>, lang: &str) -> Blank {
    let InputField { kind, title, default, min, max, pattern, one_of, .. } = InputField::of(lacking.decl);
    let title = title.in_lang(lang).cloned().unwrap_or_else(|| lacking.name.to_owned());
    let name = lacking.name.to_owned();
    Blank { field: Field { name, title, kind, default, min, max, pattern, one_of }, why: lacking.why.clone() }
}

/// The command line with these values in it, for a shell. What was given for them before is left out.
fn command(words: Vec<String>, values: &BTreeMap<String, Value>) -> String {
    let is_asked = |option: &str| option.split_once('=').is_some_and(|(name, _)| values.contains_key(name));
    let mut all: Vec<String> = Vec::new();
    let mut words = words.into_iter().peekable();
    let mut options = true;
    while let Some(word) = words.next() {
        options &= word != "--";
        if options && word == "--input" && words.peek().is_some_and(|next| is_asked(next)) {
            words.next();
        } else if !(options && word.strip_prefix("--input=").is_some_and(is_asked)) {
            all.push(word);
        }
    }
    let given = values.iter().flat_map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        ["--input".to_owned(), format!("{name}={text}")]
    });
    let end = all.iter().position(|word| word == "--").unwrap_or(all.len());
    all.splice(end..end, given);
    let quoted: Vec<_> = all.iter().map(|word| shell_words::quote(word)).collect();
    format!("consigne {}", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_line_gives_the_same_values_again() {
        let values =
            BTreeMap::from([("a".to_owned(), json!("it's $HOME")), ("b".to_owned(), json!([1, "x y"]))]);
        let command = |text: &str| command(text.split(' ').map(str::to_owned).collect(), &values);
        let shown = command("drill x.yaml --input a=1 --input=b=[] --input c=2");
        let read = shell_words::split(&shown).unwrap();
        let before = ["consigne", "drill", "x.yaml", "--input", "c=2"];
        assert_eq!(read, [&before[..], &["--input", "a=it's $HOME", "--input", "b=[1,\"x y\"]"]].concat());
        assert!(command("drill -- x.yaml").ends_with(" -- x.yaml"));
        assert!(command("drill -- --input=b=1").ends_with(" -- '--input=b=1'"), "behind it stands no option");
    }
}
