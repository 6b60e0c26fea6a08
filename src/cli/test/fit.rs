//! Whether a case fits the runbook: whatever it names is there, and whatever it expects could be otherwise.

use super::Suite;
use crate::cli::drive;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::fixture;
use crate::diag::{Diagnostic, Place, Span};
use crate::plan::{Plan, StepNode, StepValues};
use crate::runbook::cases::{AskWord, AskedDecl, CaseDecl, PartWord, RequestDecl, Said, step_of};
use crate::runbook::scalar::Entries;
use crate::runbook::scenario::Scenario;

/// # Errors
/// It names a step, a part of one or a person whom there is not, or uses a fixture of another runbook.
pub(super) fn fits(suite: &Suite, case: &CaseDecl, scenario: &Scenario, plan: &Plan) -> Result<(), CliError> {
    let decl = &suite.tests.decl;
    let at = |span: Span| -> Place { span.at(&suite.tests.source).into() };
    let named: Vec<(String, Place)> = case.steps().into_iter().map(|(name, span)| (name, at(span))).collect();
    let ids = suite.scenario.ids().chain(scenario.ids());
    let said = [&decl.answers, &case.answers].into_iter().flatten();
    let said = said.flat_map(|Said(answers)| answers.iter().map(|(id, answer)| (id, &answer.at)));
    let expected = named.iter().map(|(name, at)| (name, at));
    let mut problems = drive::unknown_steps(ids.chain(said).chain(expected), plan);
    problems.extend(suite.fixtures.iter().flat_map(|(_, said)| fixture::misfits(said, plan)));
    let people = &plan.graph.people.people;
    let starter = case.starter.iter().map(|starter| (&starter.value, starter.span));
    let asked = case.expect.asked.iter().flatten();
    let by = asked.flat_map(|asked| {
        let span = asked.keys.get("by").unwrap_or(asked.span);
        asked.by.iter().flatten().map(move |person| (person, span))
    });
    for (person, span) in starter.chain(by).filter(|(person, _)| !people.contains_key(*person)) {
        let message = format!("the environment knows nobody of the name `{person}`");
        let problem = Diagnostic::error("unknown-name", at(span), message);
        problems.push(problem.suggest(person, people.keys().map(String::as_str)));
    }
    for (span, message) in idle(case, plan) {
        let problem = Diagnostic::error("bad-value", at(span), message);
        problems.push(problem.help("expect what can come about, and can fail to"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(CliError::new(Exit::Invalid, "the case does not fit the runbook").with(problems))
}

/// Expectations about what a step has not: they hold, or fail, whatever happens.
fn idle(case: &CaseDecl, plan: &Plan) -> Vec<(Span, String)> {
    let expect = &case.expect;
    let points = expect.path.iter().chain(&expect.whole_path).flatten().map(|point| &point.name);
    let points = points.chain(expect.steps.iter().flat_map(Entries::iter).map(|(name, _)| name));
    let lacking = points.filter_map(|name| {
        let (step, part) = (step_of(&name.value), name.value.rsplit('.').next()?);
        let part = parts().find(|word| step != name.value && word.name() == part)?;
        let (node, values) = found(plan, step)?;
        (!has(node, values, part)).then(|| (name.span, format!("`{}` has no `{}`", node.id, part.name())))
    });
    let requests = expect.requests.iter().flatten().filter_map(|wanted| never_made(wanted, plan));
    let asked = expect.asked.iter().flatten().filter_map(|wanted| never_asked(wanted, plan));
    lacking.chain(requests).chain(asked).collect()
}

fn parts() -> impl Iterator<Item = PartWord> {
    [PartWord::First, PartWord::Verify, PartWord::Undo, PartWord::PutBack, PartWord::OnlyIf].into_iter()
}

/// A step, also by the name of one of its items; none for an item of a checklist, or a guard.
fn found<'p>(plan: &'p Plan, name: &str) -> Option<(&'p StepNode, &'p StepValues)> {
    let id = name.split(':').next().unwrap_or(name);
    let node = plan.graph.steps.iter().find(|node| node.id == id)?;
    Some((node, plan.values.steps.get(id)?))
}

fn has(node: &StepNode, values: &StepValues, part: PartWord) -> bool {
    match part {
        PartWord::Do => values.act.is_some(),
        PartWord::First | PartWord::Verify => node.verify.is_some(),
        PartWord::Undo => node.undo,
        PartWord::PutBack => node.put_back.is_some(),
        PartWord::OnlyIf => values.only_if.is_some(),
        // Those have names of their own.
        PartWord::Probe | PartWord::Guard => false,
    }
}

fn never_made(wanted: &RequestDecl, plan: &Plan) -> Option<(Span, String)> {
    let step = wanted.step.as_ref()?;
    let (node, values) = found(plan, &step.value)?;
    match wanted.part {
        Some(part) if !has(node, values, part) => {
            Some((step.span, format!("`{}` makes no request for `{}`", node.id, part.name())))
        }
        None if values.probes().next().is_none() => {
            Some((step.span, format!("`{}` makes no requests", node.id)))
        }
        _ => None,
    }
}

fn never_asked(wanted: &AskedDecl, plan: &Plan) -> Option<(Span, String)> {
    let (node, _) = found(plan, &wanted.step.value)?;
    let kind = wanted.kind?;
    let asks = match kind {
        AskWord::Approve | AskWord::Confirm | AskWord::Input | AskWord::Choice | AskWord::Checklist => {
            node.kind.name() == kind.name()
        }
        // Where taking something back failed.
        AskWord::PutBack => node.put_back.is_some() || node.undo,
        AskWord::Manual | AskWord::Failure | AskWord::Unknown | AskWord::Canary | AskWord::Guard => true,
    };
    (!asks).then(|| (wanted.step.span, format!("`{}` never asks for `{}`", node.id, kind.name())))
}
