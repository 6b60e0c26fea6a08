//! What commands do to the world, against what is declared.

use super::scripts::{self, Code};
use super::{Checker, bounds};
use crate::diag::Place;
use crate::runbook::act::Act;
use crate::runbook::scalar::Entries;
use crate::runbook::schema::{EffectWord, Step};
use crate::runbook::shell::{self, Danger, Level, Lowered, Lowering, Reading, Scratch, Word};

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        declared_effect(checker, step);
        let own = step.runs().then(|| (step.act(), false));
        let verify = step.verify.iter().map(|verify| (verify.act(), true));
        let undo = step.undo.iter().map(|undo| (undo.act(), false));
        let back = step.put_back.iter().map(|back| (back.act(), false));
        let only_if = step.put_back.iter().filter_map(|back| Some((back.only_if.as_ref()?.act(), true)));
        let items = step.checklist.iter().flat_map(|list| &list.items.value);
        let probes = items.filter_map(|item| Some((item.probe.as_ref()?.act(), true)));
        for (act, probe) in own.into_iter().chain(verify).chain(undo).chain(back).chain(only_if).chain(probes)
        {
            of_act(checker, act, probe);
        }
    }
}

pub(super) fn of_act(checker: &mut Checker<'_>, act: Act<'_>, probe: bool) {
    let words = words(act);
    bounds::handed(checker, act);
    bounds::fields(checker, act);
    let lowering = act.shell.map(|script| Lowering::of(&script.value));
    let code = act.shell.zip(lowering.as_ref()).map(|(script, lowering)| Code::new(script, lowering));
    scripts::check(checker, act, &words, code.as_ref());
    contradiction(checker, act, probe, &words, code.as_ref());
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
    let act = step.act();
    let lowering = act.shell.map(|script| Lowering::of(&script.value));
    let reading = lowering.as_ref().map(|lowering| (&lowering.lowered, lowering.reading()));
    let script = reading.as_ref().map(|(lowered, reading)| (*lowered, reading));
    let likely = match worst(&dangers(act, &words(act), script)) {
        Some((Level::Removes, _)) => "destructive",
        Some((Level::Changes, _)) => "write, or destructive",
        None => "read, write, destructive or notify",
    };
    checker.push(problem.help(format!("add `effect:` {likely}")));
}

fn contradiction(
    checker: &mut Checker<'_>,
    act: Act<'_>,
    probe: bool,
    words: &[Word],
    code: Option<&Code<'_>>,
) {
    let declared = act.effect.map(|effect| effect.value);
    let kind = || act.kinds().next().map_or(act.span, |(_, span)| span);
    let span = act.effect.map_or_else(kind, |effect| effect.span);
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
    let dangers = dangers(act, words, code.map(|code| (code.lowered, &code.reading)));
    let Some((level, danger)) = worst(&dangers) else { return };
    let reads = probe || declared == Some(EffectWord::Read);
    let looks = match level {
        Level::Removes => "looks destructive",
        Level::Changes => "changes something",
    };
    let problem = match declared {
        _ if reads => {
            let message = format!("this command {looks}, and it is taken as a read");
            checker.error("effect-contradiction", span, message)
        }
        _ if level == Level::Changes => return,
        Some(EffectWord::Destructive) => return,
        Some(_) => checker.warning(
            "effect-contradiction",
            span,
            "this command looks destructive, and it is declared otherwise",
        ),
        None => checker.warning("effect-contradiction", span, "this command looks destructive"),
    };
    let problem = match code.map(|code| code.span(checker, &danger.range)) {
        Some(span) => problem.also(Place::from(span.at(checker.source)), danger.what.clone()),
        None => problem.label(danger.what.clone()),
    };
    checker.push(match level {
        Level::Removes => problem.help("declare `effect: destructive`, and put a gate in front of it"),
        Level::Changes => problem
            .help("declare `effect: write`, or ask with a command that changes nothing")
            .help("a read keeps files of its own in `{{ run.work }}`, or in what `mktemp` makes"),
    });
}

/// The words of an `argv`.
fn words(act: Act<'_>) -> Vec<Word> {
    act.argv.iter().flat_map(|argv| &argv.value).map(|arg| Word::argument(&arg.value)).collect()
}

/// What an action visibly does; `words`: those of its `argv`.
fn dangers(act: Act<'_>, words: &[Word], script: Option<(&Lowered, &Reading<'_>)>) -> Vec<Danger> {
    let env = act.env.into_iter().flat_map(Entries::iter);
    let env = env.map(|(name, value)| (name.value.as_str(), &value.value));
    let cwd = act.cwd.map(|cwd| &cwd.value);
    match script {
        Some((lowered, script)) => {
            let values = lowered.values.iter().map(|(name, value)| (name.as_str(), value));
            shell::in_script(script, &Scratch::new(env.chain(values), cwd))
        }
        None if act.argv.is_some() => shell::in_argv(words, &Scratch::new(env, cwd)),
        None => Vec::new(),
    }
}

fn worst(dangers: &[Danger]) -> Option<(Level, &Danger)> {
    let level = dangers.iter().map(|danger| danger.level).max()?;
    dangers.iter().find(|danger| danger.level == level).map(|danger| (level, danger))
}
