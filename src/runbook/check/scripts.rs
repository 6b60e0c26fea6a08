//! What stands in the text of scripts and in the arguments of programs: values where they would be more than values,
//! lines that YAML changed, names that would remove too much if they were empty.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Checker;
use crate::diag::Span;
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::position;
use crate::runbook::scalar::{Data, Entries};
use crate::runbook::schema::TypeWord;
use crate::runbook::shell::{
    self, Hazard, Lowered, Lowering, PREFIX, Reading, Refusal, Refused, SCRIPT_BYTES, Script, Word,
};
use crate::runbook::template::{Braced, Part, Template};

/// A script of the runbook, read once for all rules.
pub(super) struct Code<'a> {
    written: &'a Spanned<Script>,
    pub(super) lowered: &'a Lowered,
    refused: &'a [Refusal],
    pub(super) reading: Reading<'a>,
}

impl<'a> Code<'a> {
    pub(super) fn new(written: &'a Spanned<Script>, lowering: &'a Lowering) -> Self {
        let Lowering { lowered, refused, .. } = lowering;
        Self { written, lowered, refused, reading: lowering.reading() }
    }

    /// Where bytes of the script that bash gets stand in the file.
    pub(super) fn span(&self, checker: &Checker<'_>, range: &Range<usize>) -> Span {
        self.span_of(checker, self.lowered.in_source(range))
    }

    /// Where bytes of the script as written stand in the file.
    fn span_of(&self, checker: &Checker<'_>, range: Range<usize>) -> Span {
        let source = self.written.value.source();
        position::inner(checker.source, self.written.span, source, range.start, range.len())
    }
}

/// `words`: those of its `argv`.
pub(super) fn check(checker: &mut Checker<'_>, act: Act<'_>, words: &[Word], code: Option<&Code<'_>>) {
    reserved(checker, act);
    steered(checker, act);
    if let Some(code) = code {
        placed(checker, code);
        carried(checker, act, code);
        joined_lines(checker, code);
        broken_continuation(checker, code);
        options(checker, code);
        wiped(checker, act, code);
    }
    arguments(checker, act, words);
    carried_on(checker, act, words);
}

/// Variables of this name carry the values of scripts.
fn reserved(checker: &mut Checker<'_>, act: Act<'_>) {
    for (name, _) in
        act.env.into_iter().flat_map(Entries::iter).filter(|(name, _)| name.value.starts_with(PREFIX))
    {
        let message = format!("variables that begin with `{PREFIX}` carry the values of scripts");
        let problem = checker.error("shell-template", name.span, message);
        checker.push(problem.help("give the variable another name"));
    }
}

/// Variables by which bash and others choose what they run: `BASH_ENV` is even expanded.
fn steered(checker: &mut Checker<'_>, act: Act<'_>) {
    let env = act.env.into_iter().flat_map(Entries::iter);
    for (name, value) in env.filter(|(name, value)| shell::steers(&name.value) && is_foreign(&value.value)) {
        let message = format!("`{}` says what is run, so no value may stand in it", name.value);
        let problem = checker.error("shell-template", value.span, message);
        checker.push(problem.help("write it out, or take it from `vars`"));
    }
}

/// Values in a script, where they can stay values.
fn placed(checker: &mut Checker<'_>, code: &Code<'_>) {
    let script = code.written;
    if script.value.source().len() > SCRIPT_BYTES {
        let message = format!(
            "this script has {} bytes, the system hands at most {SCRIPT_BYTES} to bash",
            script.value.source().len()
        );
        let problem = checker.error("limit", script.span, message);
        checker.push(problem.help("keep it in a file, and call it with `argv`"));
        return;
    }
    for refusal in code.refused {
        let span = code.span_of(checker, refusal.at.clone());
        let code = match refusal.why {
            Refused::Code(_) => "second-shell",
            Refused::Option(_) => "option-like",
            _ => "shell-template",
        };
        let problem = checker.error(code, span, refusal.why.to_string());
        checker.push(refusal.why.help().into_iter().fold(problem, |problem, help| problem.help(help)));
    }
}

/// Values that go on in a variable of the script to where they are read once more.
fn carried(checker: &mut Checker<'_>, act: Act<'_>, code: &Code<'_>) {
    let values = code.lowered.values.iter().map(|(name, value)| (name.clone(), value));
    let env = act.env.into_iter().flat_map(Entries::iter);
    let all: Vec<(String, &Template)> =
        values.chain(env.map(|(name, value)| (name.value.clone(), &value.value))).collect();
    let origins: Vec<String> =
        all.iter().filter(|(_, value)| is_foreign(value)).map(|(name, _)| name.clone()).collect();
    for carried in shell::carried(&code.reading, &origins, PREFIX) {
        let origin = all.iter().find(|(name, _)| *name == carried.origin).map(|(_, value)| *value);
        let calculated = matches!(carried.why, Refused::Calculated(_));
        if calculated && origin.is_some_and(|value| is_number(checker, value)) {
            continue;
        }
        let span = code.span(checker, &carried.at);
        let code = if carried.why.is_second_reader() { "second-shell" } else { "shell-template" };
        let from = origin.map_or("a value", Template::source);
        let sign = if carried.name.starts_with(|c: char| c.is_alphabetic() || c == '_') { "" } else { "$" };
        let message = format!("`{sign}{}` holds {from}: {}", carried.name, carried.why);
        let problem = checker.error(code, span, message);
        let problem = match carried.why {
            Refused::Calculated(_) => problem
                .help(format!("compare with [ \"${}\" -eq 3 ], which takes numbers alone", carried.name))
                .help("or calculate in the braces: {{ inputs.count + 1 }}"),
            why => why.help().into_iter().fold(problem, |problem, help| problem.help(help)),
        };
        checker.push(problem);
    }
}

/// Values that a second shell of an `argv` gets as arguments or variables, and takes as code.
fn carried_on(checker: &mut Checker<'_>, act: Act<'_>, words: &[Word]) {
    let Some(argv) = act.argv else { return };
    let env = act.env.into_iter().flat_map(Entries::iter);
    let env: Vec<(String, &Template)> = env.map(|(name, value)| (name.value.clone(), &value.value)).collect();
    let named: Vec<String> =
        env.iter().filter(|(_, value)| is_foreign(value)).map(|(name, _)| name.clone()).collect();
    let foreign = argv.value.iter().enumerate().filter(|(_, arg)| is_foreign(&arg.value));
    let values: BTreeMap<usize, String> = foreign.map(|(at, _)| (at, at.to_string())).collect();
    if named.is_empty() && values.is_empty() {
        return;
    }
    for carried in shell::carried_by(words, &values, &named) {
        let variable = env.iter().find(|(name, _)| *name == carried.origin).map(|(_, value)| *value);
        let numbered = || carried.origin.parse::<usize>().ok().and_then(|at| argv.value.get(at));
        let origin = variable.or_else(|| Some(&numbered()?.value));
        let calculated = matches!(carried.why, Refused::Calculated(_));
        if calculated && origin.is_some_and(|value| is_number(checker, value)) {
            continue;
        }
        let span = argv.value.get(carried.at.start).map_or(argv.span, |arg| arg.span);
        let from = origin.map_or("a value", Template::source);
        let message = format!("`${}` holds {from} here: {}", carried.name, carried.why);
        let problem = checker.error("second-shell", span, message);
        checker.push(carried.why.help().into_iter().fold(problem, |problem, help| problem.help(help)));
    }
}

/// Whether something may be in it that neither the runbook nor its environment says.
fn is_foreign(value: &Template) -> bool {
    const OWN: [&str; 4] = ["vars.", "services.", "run.", "step."];
    value.refs().any(|path| !OWN.iter().any(|own| path.starts_with(own)))
}

/// Whether it is nothing but an input that is a number.
fn is_number(checker: &Checker<'_>, value: &Template) -> bool {
    let Some(expr) = value.whole() else { return false };
    let input = expr.source().strip_prefix("inputs.").zip(checker.runbook.inputs.as_ref());
    input.and_then(|(name, inputs)| inputs.get(name)).is_some_and(|decl| {
        matches!(decl.r#type.value, TypeWord::Integer | TypeWord::Number | TypeWord::Boolean)
    })
}

/// Lines that YAML joins: the shell reads them as one command.
fn joined_lines(checker: &mut Checker<'_>, code: &Code<'_>) {
    let script = code.written;
    let lines = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
    let written = checker.source.slice(script.span);
    let written = written.trim_start_matches(['>', '|', '-', '+']);
    let (found, read) = (lines(written), lines(script.value.source()));
    if found > read && read > 0 {
        let message = format!("these {found} lines reach the shell as {read}: YAML joins them");
        let problem = checker.warning("folded", script.span, message);
        checker.push(problem.help("write `shell: |` and the lines below it, indented").help(
            "one command over several lines: `shell: |`, and a `\\` at the end of each line but the last",
        ));
    }
}

/// A `\` that continues a line, but for the white space behind it.
fn broken_continuation(checker: &mut Checker<'_>, code: &Code<'_>) {
    let mut from = 0;
    for line in code.written.value.source().split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        let bare = text.trim_end();
        if bare.len() < text.len() && bare.ends_with('\\') && !bare.ends_with("\\\\") {
            let at = from + bare.len() - 1;
            let span = code.span_of(checker, at..from + text.len());
            let message = "white space behind the `\\`, so the command ends here";
            let problem = checker.error("trailing-space", span, message);
            checker.push(problem.help("take out what stands behind the `\\`"));
        }
        from += line.len();
    }
}

/// Values that could pass for an option of a program that removes things.
fn options(checker: &mut Checker<'_>, code: &Code<'_>) {
    for (program, range) in code.lowered.mishaps(&code.reading) {
        let span = code.span_of(checker, range);
        option_like(checker, span, &program, false);
    }
}

fn option_like(checker: &mut Checker<'_>, span: Span, program: &str, grave: bool) {
    let why = Refused::Option(program.to_owned());
    let problem = if grave {
        checker.error("option-like", span, why.to_string())
    } else {
        checker.warning("option-like", span, why.to_string())
    };
    checker.push(why.help().into_iter().fold(problem, |problem, help| problem.help(help)));
}

/// `rm -r` behind something that may be empty.
fn wiped(checker: &mut Checker<'_>, act: Act<'_>, code: &Code<'_>) {
    let env =
        act.env.into_iter().flat_map(Entries::iter).map(|(name, value)| (name.value.as_str(), &value.value));
    let values = code.lowered.values.iter().map(|(name, value)| (name.as_str(), value));
    let filled: BTreeSet<String> = env
        .chain(values)
        .filter(|(_, value)| is_filled(checker, value))
        .map(|(name, _)| name.to_owned())
        .collect();
    for wipe in shell::wipes(&code.reading, &filled) {
        let span = code.span(checker, &wipe.range);
        let value = wipe.name.as_ref().is_some_and(|name| name.starts_with(PREFIX));
        let what = match &wipe.name {
            Some(_) if value => "the value".to_owned(),
            Some(name) => format!("`{name}`"),
            None => "what is filled in".to_owned(),
        };
        let message = format!("if {what} is empty, this removes `{}`", wipe.left);
        let problem = if wipe.first {
            checker.error("empty-variable", span, message)
        } else {
            checker.warning("empty-variable", span, message)
        };
        checker.push(match wipe.name {
            Some(name) if !value => {
                problem.help(format!("write \"${{{name}:?}}\": an empty one then ends the script"))
            }
            _ => problem
                .help(
                    "give it a name under `env:` and write \"${NAME:?}\": an empty one then ends the script",
                )
                .help("or read an input with a `pattern` that the empty text does not match"),
        });
    }
}

/// Whether a text is sure to hold something.
fn is_filled(checker: &Checker<'_>, text: &Template) -> bool {
    text.parts().any(|part| match part {
        Part::Text(text) => !text.trim().is_empty(),
        Part::Expr(expr) => {
            let input = expr.source().strip_prefix("inputs.");
            let inputs = checker.runbook.inputs.as_ref();
            input.zip(inputs).and_then(|(name, inputs)| inputs.get(name)).is_some_and(|decl| {
                let typed = !matches!(decl.r#type.value, TypeWord::String | TypeWord::List);
                let pattern =
                    decl.pattern.as_ref().and_then(|pattern| regex::Regex::new(&pattern.value).ok());
                let listed = decl.r#enum.as_ref().is_some_and(|all| {
                    all.value.iter().map(Data::literal).all(|value| value.as_str() != Some(""))
                });
                typed || listed || pattern.is_some_and(|pattern| !pattern.is_match(""))
            })
        }
    })
}

/// An argument that another shell or client reads as code is a script as well.
fn arguments(checker: &mut Checker<'_>, act: Act<'_>, words: &[Word]) {
    let Some(argv) = act.argv else { return };
    let args = &argv.value;
    let mut said = BTreeSet::new();
    for (at, hazard) in shell::hazards(words) {
        let template = &args[at].value;
        let Some(Braced { at: first, .. }) = template.exprs().first() else { continue };
        let span =
            position::inner(checker.source, args[at].span, template.source(), first.start, first.len());
        match hazard {
            Hazard::Code(reader) if said.insert(at) => {
                let message =
                    format!("`{reader}` reads this argument as code, so no value may be pasted into it");
                let problem = checker.error("second-shell", span, message);
                checker
                    .push(problem.help("hand the value over as an argument of its own, or through `env:`"));
            }
            Hazard::Option { program, grave } if first.start == 0 && said.insert(at) => {
                option_like(checker, span, &program, grave);
            }
            // Which program is run an environment may say, and an `argv` has no names of variables.
            _ => {}
        }
    }
}
