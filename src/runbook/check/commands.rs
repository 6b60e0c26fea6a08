//! What is handed to shells and programs: values pasted into scripts, second shells, commands that look destructive.

use std::sync::LazyLock;

use regex::RegexSet;

use super::Checker;
use crate::diag::Span;
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::position;
use crate::runbook::schema::{EffectWord, Step};
use crate::runbook::template::{Part, Template};

/// Commands that remove things. Meant to catch the forgotten declaration, not the determined author.
static DESTRUCTIVE: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"\brm\s+(-\S+\s+)*(-[a-zA-Z]*[rR]|--recursive)",
        r"\b(kubectl|oc)\b[^|;&\n]*\sdelete\b",
        r"\b(helm|flux)\b[^|;&\n]*\s(uninstall|delete)\b",
        r"\b(gcloud|gsutil|aws|az|doctl)\b[^|;&\n]*\s(delete|rm|rb|destroy|purge|terminate-instances)\b",
        r"\b(terraform|tofu|pulumi|vagrant)\b[^|;&\n]*\sdestroy\b",
        r"\bdocker\b[^|;&\n]*\s(rm|rmi|prune)\b",
        r"(?i)\bDROP\s+(TABLE|DATABASE|SCHEMA|INDEX|VIEW|USER|ROLE|COLLECTION)\b",
        r"(?i)\b(TRUNCATE\s+(TABLE\s+)?\w|DELETE\s+FROM\b)",
        r"\bfirestore:delete\b",
        r"\bauth:delete\b",
        r"\b(mkfs(\.\w+)?|wipefs|shred)\s",
        r"\bdd\s[^|;&\n]*\bof=",
        r"\b(FLUSHALL|FLUSHDB|dropDatabase)\b",
        r"\bfind\b[^|;&\n]*\s-delete\b",
    ])
    .ok()
});

const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        declared_effect(checker, step);
        let mut acts: Vec<(Act<'_>, bool)> = Vec::new();
        acts.extend(step.runs().then(|| (step.act(), false)));
        acts.extend(step.verify.iter().map(|verify| (verify.act(), true)));
        acts.extend(step.undo.iter().map(|undo| (undo.act(), false)));
        acts.extend(step.put_back.iter().map(|back| (back.act(), false)));
        acts.extend(step.put_back.iter().filter_map(|back| Some((back.only_if.as_ref()?.act(), true))));
        let items = step.checklist.iter().flat_map(|list| &list.items.value);
        acts.extend(items.filter_map(|item| Some((item.probe.as_ref()?.act(), true))));
        for (act, probe) in acts {
            of_act(checker, act, probe);
        }
    }
}

pub(super) fn of_act(checker: &mut Checker<'_>, act: Act<'_>, probe: bool) {
    pasted(checker, act);
    joined_lines(checker, act);
    broken_continuation(checker, act);
    second_shell(checker, act);
    contradiction(checker, act, probe);
}

/// Programs and people do anything: what it is should be said.
fn declared_effect(checker: &mut Checker<'_>, step: &Step) {
    let Some(kind @ ("shell" | "argv" | "manual")) = step.kind() else { return };
    if step.keys.has("effect") || step.keys.foreign {
        return;
    }
    let span = step.keys.get(kind).unwrap_or(step.span);
    let message = format!("step `{}` does not say what it does to the world; taken as `write`", step.name());
    let problem = checker.warning("effect-undeclared", span, message);
    let likely =
        if looks_destructive(step.act()) { "destructive" } else { "read, write, destructive or notify" };
    checker.push(problem.help(format!("add `effect:` {likely}")));
}

fn contradiction(checker: &mut Checker<'_>, act: Act<'_>, probe: bool) {
    let declared = act.effect.map(|effect| effect.value);
    let span = act
        .effect
        .map(|effect| effect.span)
        .or(act.kinds().first().map(|(_, span)| *span))
        .unwrap_or(act.span);
    if let Some(http) = act.http {
        if http.effect() == EffectWord::Destructive
            && declared.is_some_and(|word| word != EffectWord::Destructive)
        {
            let message = format!("a DELETE that is declared `{}`", declared.map_or("", EffectWord::name));
            let problem = if declared == Some(EffectWord::Read) {
                checker.error("effect-contradiction", span, message)
            } else {
                checker.warning("effect-contradiction", span, message)
            };
            checker.push(problem.help("leave `effect` out, a DELETE is destructive by itself"));
        }
        return;
    }
    if !looks_destructive(act) {
        return;
    }
    let reads = probe || declared == Some(EffectWord::Read);
    let problem = match declared {
        _ if reads => checker.error(
            "effect-contradiction",
            span,
            "this command looks destructive, and it is taken as a read",
        ),
        Some(EffectWord::Destructive) => return,
        Some(_) => checker.warning(
            "effect-contradiction",
            span,
            "this command looks destructive, and it is declared otherwise",
        ),
        None => checker.warning("effect-contradiction", span, "this command looks destructive"),
    };
    checker.push(problem.help("declare `effect: destructive`, and put a gate in front of it"));
}

pub(super) fn looks_destructive(act: Act<'_>) -> bool {
    let Some(set) = DESTRUCTIVE.as_ref() else { return false };
    if let Some(script) = act.shell {
        return set.is_match(&script.value);
    }
    let Some(argv) = act.argv else { return false };
    let line: Vec<&str> = argv.value.iter().map(|arg| arg.value.source()).collect();
    set.is_match(&line.join(" "))
}

/// No value is ever pasted into a script.
fn pasted(checker: &mut Checker<'_>, act: Act<'_>) {
    let Some(script) = act.shell else { return };
    let Some(at) = script.value.find("{{") else { return };
    let end = script.value[at..].find("}}").map_or(2, |length| length + 2);
    let span = position::inner(checker.source, script.span, &script.value, at, end);
    let problem = checker
        .error(
            "shell-template",
            span,
            "a value is never pasted into a script: the shell would read it as code",
        )
        .help("give it a name under `env:` and write \"$NAME\" here")
        .help("a literal `{{` goes the same way, as `env: {FORMAT: \"{{ '{{' }}…\"}`");
    checker.push(problem);
}

/// Lines that YAML joins: the shell reads them as one command.
fn joined_lines(checker: &mut Checker<'_>, act: Act<'_>) {
    let Some(script) = act.shell else { return };
    let lines = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
    let written = checker.source.slice(script.span);
    let written = written.trim_start_matches(['>', '|', '-', '+']);
    let (found, read) = (lines(written), lines(&script.value));
    if found > read && read > 0 {
        let message = format!("these {found} lines reach the shell as {read}: YAML joins them");
        let problem = checker.warning("folded", script.span, message);
        checker.push(problem.help("write `shell: |` and the lines below it, indented").help(
            "one command over several lines: `shell: |`, and a `\\` at the end of each line but the last",
        ));
    }
}

/// A `\` that continues a line, but for the white space behind it.
fn broken_continuation(checker: &mut Checker<'_>, act: Act<'_>) {
    let Some(script) = act.shell else { return };
    let mut from = 0;
    for line in script.value.split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        let bare = text.trim_end();
        if bare.len() < text.len() && bare.ends_with('\\') && !bare.ends_with("\\\\") {
            let at = from + bare.len() - 1;
            let span =
                position::inner(checker.source, script.span, &script.value, at, text.len() - bare.len() + 1);
            let message = "white space behind the `\\`, so the command ends here";
            let problem = checker.error("trailing-space", span, message);
            checker.push(problem.help("take out what stands behind the `\\`"));
        }
        from += line.len();
    }
}

/// An argument that another shell or client reads as code is a script as well.
fn second_shell(checker: &mut Checker<'_>, act: Act<'_>) {
    let Some(argv) = act.argv else { return };
    let args: Vec<&Spanned<Template>> = argv.value.iter().collect();
    for (at, reader) in parsed_again(&args) {
        let Some((offset, whole)) = first_expression(&args[at].value) else { continue };
        let span: Span =
            position::inner(checker.source, args[at].span, args[at].value.source(), offset, whole);
        let message = format!("`{reader}` reads this argument as code, so no value may be pasted into it");
        let problem = checker.error("second-shell", span, message);
        checker.push(problem.help("hand the value over as an argument of its own, or through `env:`"));
    }
}

/// The arguments that are parsed a second time, and by whom.
fn parsed_again<'a>(args: &[&'a Spanned<Template>]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in 0..args.len() {
        let name = args[at].value.source();
        let program = name.rsplit('/').next().unwrap_or(name);
        match program {
            _ if SHELLS.contains(&program) => {
                found.extend(script_of_shell(args, at).map(|at| (at, program)));
            }
            "ssh" => found.extend(remote(args, at).map(|at| (at, "ssh"))),
            "psql" => found.extend(after(args, at, &["-c", "--command"]).map(|at| (at, "psql"))),
            "mysql" | "mariadb" => {
                found.extend(after(args, at, &["-e", "--execute"]).map(|at| (at, program)))
            }
            "mongosh" | "mongo" => found.extend(after(args, at, &["--eval"]).map(|at| (at, program))),
            "python" | "python3" => found.extend(after(args, at, &["-c"]).map(|at| (at, program))),
            "perl" | "ruby" | "node" => {
                found.extend(after(args, at, &["-e", "--eval"]).map(|at| (at, program)))
            }
            "su" => found.extend(after(args, at, &["-c", "--command"]).map(|at| (at, "su"))),
            "eval" => found.extend((at + 1..args.len()).map(|at| (at, "eval"))),
            _ => {}
        }
    }
    found.retain(|(at, _)| *at < args.len());
    found
}

/// The argument that a shell takes as its script: the first that is no option, once `-c` is among the options.
fn script_of_shell(args: &[&Spanned<Template>], from: usize) -> Option<usize> {
    const WITH_VALUE: [&str; 6] = ["-o", "+o", "-O", "+O", "--rcfile", "--init-file"];
    let (mut at, mut script) = (from + 1, false);
    while let Some(text) = args.get(at).map(|arg| arg.value.source()) {
        if text == "--" || !text.starts_with(['-', '+']) {
            return script.then_some(if text == "--" { at + 1 } else { at });
        }
        script |= text.starts_with('-') && !text.starts_with("--") && text.contains('c');
        let value = WITH_VALUE.contains(&text) || (!text.starts_with("--") && text.ends_with('o'));
        at += if value { 2 } else { 1 };
    }
    None
}

/// The arguments right after one of `flags`, or joined to it: by `=`, or a short one as it stands.
fn after<'a>(
    args: &'a [&Spanned<Template>],
    from: usize,
    flags: &'a [&str],
) -> impl Iterator<Item = usize> + 'a {
    (from + 1..args.len()).filter_map(move |at| {
        let text = args[at].value.source();
        let joined = flags.iter().any(|flag| {
            let short = !flag.starts_with("--");
            text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=') || (short && !rest.is_empty()))
        });
        if joined { Some(at) } else { flags.contains(&text).then_some(at + 1) }
    })
}

/// What follows the host of an ssh call: the far shell joins and reads it.
fn remote(args: &[&Spanned<Template>], from: usize) -> impl Iterator<Item = usize> {
    const WITH_VALUE: [&str; 12] = ["-o", "-i", "-p", "-l", "-F", "-J", "-L", "-R", "-D", "-W", "-b", "-c"];
    let mut at = from + 1;
    while at < args.len() && args[at].value.source().starts_with('-') {
        at += if WITH_VALUE.contains(&args[at].value.source()) { 2 } else { 1 };
    }
    at + 1..args.len()
}

fn first_expression(template: &Template) -> Option<(usize, usize)> {
    template.parts().iter().find_map(|part| match part {
        Part::Text(_) => None,
        Part::Expr { offset, .. } => {
            let rest = &template.source()[*offset..];
            Some((*offset, rest.find("}}").map_or(2, |length| length + 2)))
        }
    })
}
