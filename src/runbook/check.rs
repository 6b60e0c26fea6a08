//! Whether a runbook makes sense. Every rule is a function that adds diagnostics; none stops another.
//!
//! `shape` looks at one step at a time, `references` at the steps that it names, `asked` at what people are asked for,
//! `values` at values that mean nothing, `commands` at what its commands do, `scripts` at what it hands to shells,
//! `choices` at lists to choose from, `loops` at groups, lists, rounds and what is reverted, `names` at what its texts
//! read, `defaulted` at what stands in where it is missing, `secrets` at what nobody may see, `dominance` at gates in
//! front of what is destructive, `gates` at all other things about gates, `people` at who may answer, `hosts` at what
//! runs elsewhere and at files that steps leave, `notices` at what is sent to whom, `guards` at what is asked at
//! intervals, `retries` at what is done again.

mod asked;
mod bounds;
mod choices;
mod commands;
mod defaulted;
mod dominance;
mod early;
mod gates;
mod guards;
mod hosts;
mod limits;
mod loops;
mod names;
mod notices;
mod people;
mod references;
mod retries;
mod scripts;
mod secrets;
mod shape;
mod values;

use std::path::Path;
use std::sync::Arc;

use super::environment::Environment;
use super::flow::{self, Flow};
use super::letters::Letters;
use super::load::{self, Document};
use super::schema::{Runbook, Step};
use super::used::{Used, UsedRunbooks, parent_of};
use crate::diag::{self, Diagnostic, Source, Span};

/// What `consigne check` has to say about a file.
#[derive(Debug)]
pub struct CheckReport {
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The runbook, as far as it could be read.
    pub document: Option<Document>,
    pub environment: Option<Environment>,
    /// Steps, those of `finally` included.
    pub steps: usize,
}

impl CheckReport {
    pub fn has_errors(&self) -> bool {
        diag::has_errors(&self.diagnostics)
    }
}

/// Reads and checks a runbook file, against the environment of that name when one is given.
pub fn check_file(path: &Path, environment: Option<&str>) -> CheckReport {
    let mut report = CheckReport { diagnostics: Vec::new(), document: None, environment: None, steps: 0 };
    if let Some(name) = environment {
        match Environment::find(path, name) {
            Ok(path) => {
                let (found, problems) = Environment::load(&path);
                report.environment = found;
                report.diagnostics.extend(problems);
            }
            Err(problem) => report.diagnostics.push(problem),
        }
    }
    match load::source(path) {
        Ok(source) => {
            let (document, problems) = load::runbook(&source);
            report.diagnostics.extend(problems);
            report.document = document;
        }
        Err(problem) => report.diagnostics.push(problem),
    }
    if let Some(document) = &report.document {
        report.steps = flow::steps(&document.runbook).count();
        report.diagnostics.extend(check(document, report.environment.as_ref()));
    }
    diag::sort(&mut report.diagnostics);
    report
}

/// Checks what a runbook means; its shape was checked when it was read.
pub fn check(document: &Document, environment: Option<&Environment>) -> Vec<Diagnostic> {
    let runbook = &document.runbook;
    let mut checker = Checker {
        runbook,
        source: &document.source,
        steps: flow::steps(runbook).collect(),
        flow: Flow::new(runbook),
        environment,
        letters: &document.letters,
        used: &document.used,
        problems: Vec::new(),
        unless_upstream: Vec::new(),
    };
    shape::check(&mut checker);
    references::check(&mut checker);
    values::check(&mut checker);
    retries::check(&mut checker);
    choices::check(&mut checker);
    commands::check(&mut checker);
    loops::check(&mut checker);
    guards::check(&mut checker);
    names::check(&mut checker);
    dominance::check(&mut checker);
    gates::check(&mut checker);
    limits::check(&mut checker);
    people::check(&mut checker);
    hosts::check(&mut checker);
    notices::check(&mut checker);
    checker.settle();
    let mut problems = checker.problems;
    // What is only doubtful in a runbook that is used is told where that is checked itself.
    let own = |problem: &Diagnostic| {
        problem.is_error()
            || problem.at.as_ref().is_none_or(|at| !document.source.uses().any(|used| *used == at.source))
    };
    problems.retain(own);
    diag::sort(&mut problems);
    problems
}

/// What every rule looks at.
struct Checker<'a> {
    runbook: &'a Runbook,
    source: &'a Arc<Source>,
    steps: Vec<&'a Step>,
    flow: Flow,
    environment: Option<&'a Environment>,
    letters: &'a Letters,
    used: &'a UsedRunbooks,
    problems: Vec<Diagnostic>,
    /// Problems that stand unless the second step lies upstream of the first.
    unless_upstream: Vec<(usize, usize, Diagnostic)>,
}

impl<'a> Checker<'a> {
    fn error(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, span.at(self.source), message)
    }

    fn warning(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, span.at(self.source), message)
    }

    fn push(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Adds an error that needs no more than its message.
    fn fail(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        let problem = self.error(code, span, message);
        self.push(problem);
    }

    /// Adds a problem that stands unless `target` lies upstream of `step`.
    fn unless_upstream(&mut self, step: usize, target: usize, problem: impl FnOnce(&Self) -> Diagnostic) {
        if !self.flow.is_plainly_upstream(step, target) {
            let problem = problem(self);
            self.unless_upstream.push((step, target, problem));
        }
    }

    /// Answers in one go what was asked about the order of steps; on a cycle there is no order to speak of.
    fn settle(&mut self) {
        let asked = std::mem::take(&mut self.unless_upstream);
        if self.flow.order().is_err() {
            return;
        }
        let pairs: Vec<(usize, usize)> = asked.iter().map(|(step, target, _)| (*step, *target)).collect();
        let found = self.flow.are_upstream(&pairs);
        let wrong = asked.into_iter().zip(found).filter(|(_, upstream)| !upstream);
        self.problems.extend(wrong.map(|((_, _, problem), _)| problem));
    }

    fn same_list(&self, a: usize, b: usize) -> bool {
        self.flow.lists.of[a] == self.flow.lists.of[b]
    }

    /// The list that is gone through between a step and another one, so that it cannot know which item is meant.
    fn list_around(&self, from: usize, step: usize) -> Option<usize> {
        let lists = &self.flow.lists;
        let around = [step].into_iter().chain(lists.around(step));
        let outside = |list: &usize| *list != from && !lists.belongs(from, *list);
        around.take_while(outside).filter(|list| self.steps[*list].for_each.is_some()).last()
    }

    fn inside_list(&self, from: usize, step: usize, span: Span) -> Diagnostic {
        let (name, list) = (self.name(step), self.list_around(from, step).unwrap_or(step));
        let message =
            format!("`{name}` is done for each item of a list, and from here none of them is meant");
        let list_name = self.name(list);
        self.error("inside-list", span, message)
            .also(self.id_span(list).at(self.source), "here the list is gone through")
            .help(format!("`steps.{list_name}.items` has what became of each item"))
    }

    fn id_span(&self, step: usize) -> Span {
        let step = self.steps[step];
        step.id.as_ref().map_or(step.span, |id| id.span)
    }

    /// The runbook that a step was put here from.
    fn used_by(&self, step: usize) -> Option<&'a Used> {
        let used = self.used.get(parent_of(self.steps[step].name())?)?;
        used.steps.contains(self.steps[step].name()).then_some(used)
    }

    /// The step that uses the runbook whose endings a step belongs to.
    fn ended_by(&self, step: usize) -> Option<usize> {
        let groups = [step].into_iter().chain(self.flow.lists.around(step));
        let mut ids = groups.filter(|at| *at >= self.flow.main).map(|at| self.steps[at].name());
        ids.find_map(|id| {
            let parent = parent_of(id)?;
            let is_ending = self.used.get(parent)?.ending.as_deref() == Some(id);
            is_ending.then(|| self.flow.find(parent)).flatten()
        })
    }

    fn name(&self, step: usize) -> &str {
        self.steps[step].name()
    }

    fn is_protected(&self) -> bool {
        self.environment.is_some_and(Environment::is_protected)
    }
}

/// Whether a step carries the same condition as another.
fn same_when(a: &Step, b: &Step) -> bool {
    match (&a.when, &b.when) {
        (Some(a), Some(b)) => a.value.source() == b.value.source(),
        _ => false,
    }
}
