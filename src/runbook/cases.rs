//! Tests of a runbook: `NAME.test.yaml` beside it. Named cases, each with what goes in and what is expected to come out.
//!
//! Owns the form of the file and its diagnostics. How a case is rehearsed and judged is not known here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::answers::{self, Answers};
use super::decode::{Decode, Reader, Spanned, record, words};
use super::extract;
use super::load;
use super::scalar::{Data, Entries, Filter, Many};
use super::scenario::{self, Scenario};
use super::schema::schema_of;
use super::yaml::{self, Node};
use crate::diag::{Diagnostic, Source, Span};

/// How the name of a file of tests ends, behind the name of the runbook.
pub const ENDING: &str = "test.yaml";

record! {
    /// Tests of the runbook of the same name.
    pub struct TestsDecl {
        /// Inputs of all cases; what they leave out is taken from NAME.inputs.yaml.
        may inputs: Entries<Data>,
        /// Environment of all cases; else `practice`, where there is one.
        may environment: Spanned<String>,
        /// Whether NAME.fixture.yaml answers what no scenario does; it does unless told.
        may fixture: bool,
        /// What the outside and people say in all cases: a scenario, or the path of a file with one.
        may scenario: Script,
        /// What people answer in all cases.
        may answers: Said,
        /// The cases.
        must cases: Vec<CaseDecl>,
    }
}

record! {
    /// One case.
    pub struct CaseDecl {
        /// What it shows.
        must name: Spanned<String>,
        /// Inputs; they go before those of the file.
        may inputs: Entries<Data>,
        /// Environment, instead of that of the file.
        may environment: Spanned<String>,
        /// Who starts the run; else nobody whom the environment knows.
        may starter: Spanned<String>,
        /// What the outside and people say; it goes before that of the file.
        may scenario: Script,
        /// What people answer; it goes before the scenario.
        may answers: Said,
        /// What is to come of it.
        must expect: ExpectDecl,
    }
}

record! {
    /// What is to come of a case. What is not named may be anything.
    pub struct ExpectDecl {
        /// Steps, items and reversals, in this order; others may come between.
        may path: Vec<PointDecl>,
        /// The same, and nothing else comes between but what was skipped, asked or proved.
        may whole_path: Vec<PointDecl>,
        /// How steps, items and reversals ended, whatever their order; false: they never did.
        may steps: Entries<Fate>,
        /// Questions that people were asked.
        may asked: Vec<AskedDecl>,
        /// Requests that were made.
        may requests: Vec<RequestDecl>,
        /// How the run ended.
        may ending: EndingDecl,
    }
}

record! {
    /// A question that was asked, or not.
    pub struct AskedDecl {
        /// Id of the step; `step:key` for one item of a loop.
        must step: Spanned<String>,
        /// `approve`, `confirm`, `input`, `choice`, `checklist`, `manual`, `failure`, `unknown`, `put_back`, `canary`
        /// or `guard`.
        may kind: AskWord,
        /// Exactly these people may answer, of those whom the environment knows.
        may by: Vec<String>,
        /// For a failure or an unknown outcome: its reason code.
        may reason: String,
        /// The prompt contains this.
        may says: String,
        /// So many times; else at least once.
        may times: u32,
        /// It was never asked.
        may absent: bool,
    }
}

record! {
    /// A request that was made, or not.
    pub struct RequestDecl {
        /// Id of the step that made it; `step:key` for one item of a loop, `list/item` for the probe of an item.
        may step: Spanned<String>,
        /// What it was for: `do`, `first`, `verify`, `undo`, `put_back`, `only_if`, `probe` or `guard`.
        may part: PartWord,
        /// Of an HTTP call.
        may method: String,
        /// The whole address without its query; where it begins with `/`, what the address ends in.
        may url: String,
        /// These parameters, among others.
        may query: Entries<String>,
        /// These headers, among others.
        may headers: Entries<String>,
        /// The whole body.
        may body: Data,
        /// The whole command.
        may argv: Vec<String>,
        /// The script contains this.
        may shell: String,
        /// Name of the host that it was done on.
        may host: String,
        /// jq conditions about the request.
        may that: Many<Spanned<Filter>>,
        /// So many were made; else at least one.
        may times: u32,
        /// None was made.
        may absent: bool,
    }
}

record! {
    /// How the run ended.
    pub struct EndingDecl {
        /// `paused`: somebody would have had to answer.
        may status: EndWord,
        may reason: String,
        /// Exactly these toggles and undos are still open.
        may open: Vec<String>,
    }
}

words! {
    /// What a request is for.
    pub enum PartWord {
        Do = "do",
        First = "first",
        Verify = "verify",
        Undo = "undo",
        PutBack = "put_back",
        OnlyIf = "only_if",
        Probe = "probe",
        Guard = "guard",
    }
}

words! {
    /// A kind of question.
    pub enum AskWord {
        Approve = "approve",
        Confirm = "confirm",
        Input = "input",
        Choice = "choice",
        Checklist = "checklist",
        Manual = "manual",
        Failure = "failure",
        Unknown = "unknown",
        PutBack = "put_back",
        Canary = "canary",
        Guard = "guard",
    }
}

words! {
    /// How a run ends.
    pub enum EndWord {
        Succeeded = "succeeded",
        Failed = "failed",
        Refused = "refused",
        Cancelled = "cancelled",
        Paused = "paused",
    }
}

/// How a step, an item, a proof or a reversal can end.
const FATES: [&str; 19] = [
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
    "rejected",
    "overridden",
    "holds",
    "absent",
    "fails",
    "unknown",
    "done",
    "left_open",
    "not_chosen",
    "not_done",
    "yes",
    "no",
    "retry",
    "by_hand",
];

/// How something ended: a word, and perhaps the reason behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Word(&'static str, Option<String>),
    Never,
}

/// One point of a path.
#[derive(Debug, Clone, PartialEq)]
pub struct PointDecl {
    pub name: Spanned<String>,
    pub fate: Option<Fate>,
}

/// A scenario, or the path of a file with one.
#[derive(Debug, Clone, PartialEq)]
pub enum Script {
    Inline(Scenario),
    File(Spanned<String>),
}

/// Answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Said(pub Answers);

/// A file of tests.
#[derive(Debug, Clone)]
pub struct Tests {
    pub source: Arc<Source>,
    pub decl: TestsDecl,
}

/// Reads a file of tests; none where it has no cases that can be read.
pub fn read(path: &Path) -> (Option<Tests>, Vec<Diagnostic>) {
    match load::source(path) {
        Ok(source) => from_source(&source),
        Err(problem) => (None, vec![problem]),
    }
}

/// As [`read`], from a source.
pub fn from_source(source: &Arc<Source>) -> (Option<Tests>, Vec<Diagnostic>) {
    let (node, mut problems) = yaml::parse(source);
    let mut reader = Reader::new(source);
    let decl = node.and_then(|node| TestsDecl::decode(&node, &mut reader));
    problems.append(&mut reader.problems);
    let Some(decl) = decl else { return (None, problems) };
    if decl.cases.is_empty() && problems.is_empty() {
        let span = decl.keys.get("cases").unwrap_or(decl.span);
        problems.push(Diagnostic::error("empty", span.at(source), "there are no cases"));
    }
    let mut names = BTreeSet::new();
    for case in &decl.cases {
        if !names.insert(&case.name.value) {
            let message = format!("two cases have the name `{}`", case.name.value);
            problems.push(Diagnostic::error("duplicate-id", case.name.span.at(source), message));
        }
        let filters = case.expect.requests.iter().flatten().filter_map(|request| request.that.as_ref());
        for filter in filters.flat_map(|many| &many.0) {
            if let Err(error) = extract::check_filter(&filter.value.0) {
                problems.push(Diagnostic::error("bad-filter", filter.span.at(source), error.to_string()));
            }
        }
        if case.expect.keys.iter().next().is_none() {
            let message = "nothing is expected of the case";
            let help = "expect a path, steps, questions, requests or an ending";
            problems.push(Diagnostic::error("empty", case.expect.span.at(source), message).help(help));
        }
        problems.extend(case.odd(source));
        for key in case.expect.empty() {
            let span = case.expect.keys.get(key).unwrap_or(case.expect.span);
            let message =
                format!("`{key}` is empty: nothing is expected by it, and it holds whatever happens");
            problems.push(Diagnostic::error("empty", span.at(source), message).help("leave the key out"));
        }
    }
    (Some(Tests { source: Arc::clone(source), decl }), problems)
}

/// The JSON Schema (draft 7) of a file of tests, for editors.
pub fn json_schema() -> Value {
    schema_of::<TestsDecl>("tests of a consigne runbook")
}

impl CaseDecl {
    /// What holds, or does not, whatever the runbook is.
    fn odd(&self, source: &Arc<Source>) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        if self.name.value.trim().is_empty() {
            out.push(Diagnostic::error("empty", self.name.span.at(source), "the case has no name"));
        }
        let expect = &self.expect;
        let asked = expect.asked.iter().flatten().map(|asked| (asked.span, asked.times, asked.absent));
        let made = expect.requests.iter().flatten().map(|made| (made.span, made.times, made.absent));
        for (span, ..) in
            asked.chain(made).filter(|(_, times, absent)| times.is_some() && *absent == Some(true))
        {
            let message = "`absent` says that there is none, and `times` how many there are";
            let problem = Diagnostic::error("bad-value", span.at(source), message);
            out.push(problem.help("keep one of the two"));
        }
        let points = expect.path.iter().chain(&expect.whole_path).flatten();
        for point in points.filter(|point| point.fate == Some(Fate::Never)) {
            let message = format!("`{}` cannot be a point of a path and never come", point.name.value);
            let problem = Diagnostic::error("bad-value", point.name.span.at(source), message);
            out.push(problem.help(format!("write it under `steps`: {{{}: false}}", point.name.value)));
        }
        out
    }

    /// Every step that its expectations name, and where: the id of a step, an item or a guard.
    pub fn steps(&self) -> Vec<(String, Span)> {
        let expect = &self.expect;
        let points = expect.path.iter().chain(&expect.whole_path).flatten().map(|point| &point.name);
        let steps = expect.steps.iter().flat_map(Entries::iter).map(|(name, _)| name);
        let asked = expect.asked.iter().flatten().map(|asked| &asked.step);
        let requests = expect.requests.iter().flatten().filter_map(|request| request.step.as_ref());
        let named = points.chain(steps).chain(asked).chain(requests);
        named.map(|name| (step_of(&name.value).to_owned(), name.span)).collect()
    }
}

impl ExpectDecl {
    /// The keys that are there and say nothing. An empty `whole_path` says that nothing is walked.
    fn empty(&self) -> Vec<&'static str> {
        let all = [
            ("path", self.path.as_ref().is_some_and(Vec::is_empty)),
            ("steps", self.steps.as_ref().is_some_and(|steps| steps.iter().next().is_none())),
            ("asked", self.asked.as_ref().is_some_and(Vec::is_empty)),
            ("requests", self.requests.as_ref().is_some_and(Vec::is_empty)),
            ("ending", self.ending.as_ref().is_some_and(|ending| ending.keys.iter().next().is_none())),
        ];
        all.into_iter().filter_map(|(key, empty)| empty.then_some(key)).collect()
    }
}

/// The step that a point of a path is about: `suspend.verify` is about `suspend`.
pub fn step_of(point: &str) -> &str {
    const PARTS: [&str; 5] = [".undo", ".put_back", ".verify", ".first", ".only_if"];
    PARTS.iter().find_map(|part| point.strip_suffix(part)).unwrap_or(point)
}

impl Decode for Fate {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.raw(node, "how it ended")?;
        if text == "false" {
            return Some(Self::Never);
        }
        let (word, reason) = match text.split_once(' ') {
            Some((word, reason)) => (word, Some(reason.trim().to_owned())),
            None => (text, None),
        };
        if let Some(known) = FATES.iter().find(|known| **known == word) {
            return Some(Self::Word(known, reason));
        }
        let message = format!("nothing ends as `{word}`");
        let problem = Diagnostic::error("bad-value", node.span.at(reader.source), message);
        reader.problems.push(
            problem
                .suggest(word, FATES)
                .help("a word such as `succeeded` or `skipped`, and perhaps a reason: `skipped when`"),
        );
        None
    }
}

impl Decode for PointDecl {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let yaml::Value::Map { entries, .. } = &node.value else {
            return Some(Self { name: reader.value(node)?, fate: None });
        };
        let [(key, value)] = &entries[..] else {
            return reader.refuse("bad-value", node.span, "a point of a path is one step and how it ended");
        };
        let fate = reader.value(value)?;
        Some(Self { name: Spanned { value: key.text.to_string(), span: key.span }, fate: Some(fate) })
    }
}

impl Decode for Script {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            yaml::Value::Map { .. } => Some(Self::Inline(scenario::of_node(node, reader))),
            _ => reader.value(node).map(Self::File),
        }
    }
}

impl Decode for Said {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self(answers::of_node(node, reader)))
    }
}

impl JsonSchema for Fate {
    fn schema_name() -> Cow<'static, str> {
        "Fate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("^({})( .+)?$", FATES.join("|"));
        json_schema!({
            "description": "How it ended, and perhaps why: `skipped when`.",
            "anyOf": [{"type": "string", "pattern": pattern}, {"enum": [false, true]}]
        })
    }
}

impl JsonSchema for PointDecl {
    fn schema_name() -> Cow<'static, str> {
        "Point".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fate = generator.subschema_for::<Fate>();
        json_schema!({
            "description": "A step, or a step and how it ended.",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": fate, "minProperties": 1, "maxProperties": 1}
            ]
        })
    }
}

impl JsonSchema for Script {
    fn schema_name() -> Cow<'static, str> {
        "Script".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let scenario = generator.subschema_for::<Scenario>();
        json_schema!({
            "description": "A scenario, or the path of a file with one.",
            "anyOf": [{"type": "string"}, scenario]
        })
    }
}

impl JsonSchema for Said {
    fn schema_name() -> Cow<'static, str> {
        "Answers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "What people answer, by step.", "type": "object"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Tests>, Vec<(&'static str, String)>) {
        let (tests, problems) = from_source(&Source::new("x.test.yaml", text));
        (tests, problems.into_iter().map(|problem| (problem.code, problem.message)).collect())
    }

    #[test]
    fn a_file_of_tests_is_read() {
        let text = "scenario: all.yaml\ncases:\n  - name: it works\n    inputs: {n: 1}\n    scenario: {steps: {a: {status: 200}}, answers: {go: approve}}\n    answers: {go: {answer: approve, as: bob}}\n    expect:\n      path: [a, {b: skipped when}, {a.undo: done}]\n      steps: {c: false, list/x: holds}\n      asked: [{step: go, by: [bob]}]\n      requests: [{step: a, part: do, body: {n: 1}, that: .n == 1}]\n      ending: {status: succeeded, open: []}\n";
        let (tests, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let tests = tests.unwrap();
        assert!(matches!(&tests.decl.scenario, Some(Script::File(path)) if path.value == "all.yaml"));
        let case = &tests.decl.cases[0];
        let path = case.expect.path.as_ref().unwrap();
        assert_eq!((path[0].fate.as_ref(), path[1].name.value.as_str()), (None, "b"));
        assert_eq!(path[1].fate, Some(Fate::Word("skipped", Some("when".to_owned()))));
        let steps: Vec<String> = case.steps().into_iter().map(|(name, _)| name).collect();
        assert_eq!(steps, ["a", "b", "a", "c", "list/x", "go", "a"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let case = |expect: &str| read(&format!("cases: [{{name: x, expect: {expect}}}]\n")).1;
        assert_eq!(case("{paht: []}")[0].0, "unknown-key");
        assert_eq!(case("{steps: {a: succeded}}")[0], ("bad-value", "nothing ends as `succeded`".to_owned()));
        assert_eq!(case("{path: [{a: failed, b: failed}]}")[0].0, "bad-value");
        assert_eq!(case("{requests: [{that: '.a =='}]}")[0].0, "bad-filter");
        assert_eq!(case("{ending: {status: won}}")[0].0, "bad-value");
        assert_eq!(case("{}")[0].0, "empty");
        for nothing in ["path: []", "steps: {}", "asked: []", "requests: []", "ending: {}"] {
            let found = case(&format!("{{whole_path: [a], {nothing}}}"));
            assert_eq!((found.len(), found[0].0), (1, "empty"), "{nothing}: {found:?}");
        }
        assert_eq!(case("{whole_path: []}"), []);
        for odd in [
            "path: [{a: false}]",
            "whole_path: [{a: false}]",
            "asked: [{step: a, times: 2, absent: true}]",
            "requests: [{step: a, times: 2, absent: true}]",
        ] {
            let found = case(&format!("{{{odd}}}"));
            assert_eq!((found.len(), found[0].0), (1, "bad-value"), "{odd}: {found:?}");
        }
        assert_eq!(case("{steps: {a: false}, asked: [{step: a, times: 2, absent: false}]}"), []);
        assert_eq!(
            read("cases: [{name: ' ', expect: {path: [a]}}]\n").1[0],
            ("empty", "the case has no name".to_owned())
        );
        assert_eq!(read("cases: []\n").1[0].0, "empty");
        assert_eq!(read("inputs: {}\n").1[0].0, "missing-key");
        let twice = "cases: [{name: x, expect: {path: [a]}}, {name: x, expect: {path: [a]}}]\n";
        assert_eq!(read(twice).1[0].0, "duplicate-id");
    }

    #[test]
    fn editors_know_every_key() {
        let schema = json_schema();
        let case = &schema["definitions"]["CaseDecl"]["properties"];
        let known: Vec<&str> = case.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, CaseDecl::NAMES);
        assert!(jsonschema::validator_for(&schema).is_ok());
    }
}
