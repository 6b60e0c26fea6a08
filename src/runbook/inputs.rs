//! Inputs: what a person gave, against what the runbook asks for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::decode::{Reader, Spanned};
use super::load::{self, Document};
use super::scalar::{Data, Entries};
use super::schema::{Class, InputDecl, TypeWord};
use super::yaml::{self, Node};
use crate::clock::Timestamp;
use crate::diag::{Diagnostic, Place, Source};

/// What was given for a run: options first, then the file; an option wins over the file.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--input NAME=TEXT`, in order.
    pub options: Vec<(String, String)>,
    /// Values from a file or from a form.
    pub values: BTreeMap<String, GivenValue>,
}

/// A value and where it stands, when it stands in a file.
#[derive(Debug, Clone)]
pub struct GivenValue {
    pub value: Value,
    pub at: Option<Place>,
}

impl Given {
    /// Reads an inputs file (YAML or JSON): a mapping of names to values.
    pub fn read_file(&mut self, path: &Path) -> Vec<Diagnostic> {
        match load::source(path) {
            Ok(source) => self.take_source(&source),
            Err(problem) => vec![problem],
        }
    }

    /// As [`Given::read_file`], from a source.
    pub fn take_source(&mut self, source: &Arc<Source>) -> Vec<Diagnostic> {
        let (node, mut problems) = yaml::parse(source);
        let Some(node) = node.filter(|node| !node.is_null()) else { return problems };
        let mut reader = Reader::new(source);
        if let Some((entries, _)) = reader.mapping(&node) {
            for (key, value) in entries {
                let at = Some(value.span.at(source).into());
                if let Some(value) = literal(value, &mut reader) {
                    self.values.insert(key.text.to_string(), GivenValue { value, at });
                }
            }
        }
        problems.append(&mut reader.problems);
        problems
    }
}

/// A value as written, without templates.
fn literal(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Value> {
    match &node.value {
        yaml::Value::Scalar { text, style } if *style != yaml::Style::Plain => Some((**text).into()),
        yaml::Value::List(list) => list.iter().map(|node| literal(node, reader)).collect(),
        _ => reader.value::<Data>(node).map(|data| data.literal()),
    }
}

/// The inputs of a run, every default filled in; whatever is missing, unknown or ill-typed is reported.
pub fn resolve(document: &Document, given: &Given) -> (BTreeMap<String, Value>, Vec<Diagnostic>) {
    let mut out = BTreeMap::new();
    let mut problems = Vec::new();
    let declared: Vec<(&Spanned<String>, &InputDecl)> =
        document.runbook.inputs.iter().flat_map(Entries::iter).map(|(name, decl)| (name, decl)).collect();
    unknown(document, given, &declared, &mut problems);
    for (name, decl) in &declared {
        if decl.class == Some(Class::Secret) {
            problems.extend(told(document, given, name));
            continue;
        }
        let found = found_for(&name.value, decl, given);
        let declaration = name.span.at(&document.source);
        match found {
            Ok(Some(value)) => {
                out.insert(name.value.clone(), value);
            }
            Ok(None) => {
                let message = format!("input `{}` is missing ({})", name.value, wanted(decl));
                let help = format!("give it with --input {}=…, or in an inputs file", name.value);
                let problem = Diagnostic::error("missing-input", declaration, message).label("declared here");
                problems.push(problem.help(help));
            }
            Err((message, Some(place))) => {
                let message = format!("input `{}`: {message}", name.value);
                let problem =
                    Diagnostic::error("ill-typed", place, message).also(declaration, "declared here");
                problems.push(problem);
            }
            Err((message, None)) => {
                let message = format!("input `{}`: {message}", name.value);
                problems.push(Diagnostic::error("ill-typed", declaration, message).label("declared here"));
            }
        }
    }
    (out, problems)
}

/// A secret that was given where others may read it: in a file, or among the arguments of a process.
fn told(document: &Document, given: &Given, name: &Spanned<String>) -> Option<Diagnostic> {
    let file = given.values.get(&name.value).map(|given| given.at.clone());
    let option = given.options.iter().any(|(key, _)| *key == name.value);
    if file.is_none() && !option {
        return None;
    }
    let declaration = name.span.at(&document.source);
    let message =
        format!("input `{}` is a secret: it is typed when the run starts, and never given", name.value);
    let problem = match file.flatten() {
        Some(place) => Diagnostic::error("secret-use", place, message).also(declaration, "declared here"),
        None => Diagnostic::error("secret-use", declaration, message).label("declared here"),
    };
    Some(problem.help("for a value from a file or a program, declare it under `secrets`"))
}

/// The value of one input, its default included; or why what was given does not fit, and where that stands.
fn found_for(name: &str, decl: &InputDecl, given: &Given) -> Result<Option<Value>, (String, Option<Place>)> {
    let option = given.options.iter().rev().find(|(key, _)| key == name);
    match (option, given.values.get(name)) {
        (Some((_, text)), _) => from_text(decl, text).map_err(|message| (message, None)).map(Some),
        (None, Some(given)) => check_value(decl, &given.value)
            .map_err(|message| (message, given.at.clone()))
            .map(|()| Some(given.value.clone())),
        (None, None) => Ok(decl.default.as_ref().map(|default| default.value.literal())),
    }
}

/// An input that has no value yet, or none that fits.
#[derive(Debug, Clone)]
pub struct Lacking<'d> {
    pub name: &'d str,
    pub decl: &'d InputDecl,
    /// Why what was given does not fit.
    pub why: Option<String>,
}

/// The inputs that somebody still has to give, in the order of their declaration.
pub fn lacking<'d>(document: &'d Document, given: &Given) -> Vec<Lacking<'d>> {
    let declared = document.runbook.inputs.iter().flat_map(Entries::iter);
    declared
        .filter(|(_, decl)| decl.class != Some(Class::Secret))
        .filter_map(|(name, decl)| {
            let why = match found_for(&name.value, decl, given) {
                Ok(Some(_)) => return None,
                Ok(None) => None,
                Err((message, _)) => Some(message),
            };
            Some(Lacking { name: &name.value, decl, why })
        })
        .collect()
}

fn unknown(
    document: &Document,
    given: &Given,
    declared: &[(&Spanned<String>, &InputDecl)],
    problems: &mut Vec<Diagnostic>,
) {
    let known = |name: &str| declared.iter().any(|(key, _)| key.value == name);
    let names = || declared.iter().map(|(key, _)| key.value.as_str());
    let at = |place: Option<&Place>| {
        place.cloned().unwrap_or_else(|| {
            let runbook = &document.runbook;
            runbook.keys.get("inputs").unwrap_or(runbook.id.span).at(&document.source).into()
        })
    };
    let options = given.options.iter().map(|(name, _)| (name, None));
    let values = given.values.iter().map(|(name, value)| (name, value.at.as_ref()));
    for (name, place) in options.chain(values).filter(|(name, _)| !known(name)) {
        let message = format!("the runbook declares no input `{name}`");
        problems.push(Diagnostic::error("unknown-input", at(place), message).suggest(name, names()));
    }
}

/// What an input wants, in words.
pub fn wanted(decl: &InputDecl) -> String {
    let mut out = match (decl.r#type.value, &decl.of) {
        (TypeWord::List, Some(of)) => format!("list of {}", of.value.name()),
        (kind, _) => kind.name().to_owned(),
    };
    if let Some(words) = &decl.r#enum {
        let words: Vec<String> = words.value.iter().map(|word| shown(&word.literal())).collect();
        out.push_str(&format!(", one of {}", words.join(", ")));
    }
    if let Some(pattern) = &decl.pattern {
        out.push_str(&format!(", matching {}", pattern.value));
    }
    out
}

/// Reads a text as the declared type and checks it.
///
/// # Errors
/// Why it does not fit, without the text where the input is secret.
pub fn from_text(decl: &InputDecl, text: &str) -> Result<Value, String> {
    let value = match decl.r#type.value {
        TypeWord::List if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(|_| "expected a JSON list".to_owned())?
        }
        TypeWord::List => {
            let kind = decl.of.as_ref().map_or(TypeWord::String, |of| of.value);
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| scalar(kind, part)).collect::<Result<Value, String>>()?
        }
        kind => scalar(kind, text)?,
    };
    check_value(decl, &value)?;
    Ok(value)
}

fn scalar(kind: TypeWord, text: &str) -> Result<Value, String> {
    let wrong = || format!("expected {}", article(kind));
    match kind {
        TypeWord::Integer => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
        TypeWord::Number => {
            let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).ok_or_else(wrong)?;
            Ok(text.parse::<i64>().map_or(Value::Number(number), Value::from))
        }
        TypeWord::Boolean => match text {
            "true" | "yes" => Ok(true.into()),
            "false" | "no" => Ok(false.into()),
            _ => Err(wrong()),
        },
        TypeWord::String | TypeWord::Datetime | TypeWord::File | TypeWord::List => Ok(text.into()),
    }
}

/// Whether a value is of the declared type and within its bounds.
///
/// # Errors
/// Why it is not.
pub fn check_value(decl: &InputDecl, value: &Value) -> Result<(), String> {
    let kind = decl.r#type.value;
    if kind == TypeWord::List {
        let Value::Array(list) = value else {
            return Err(format!("expected a list, found {}", found(value)));
        };
        let of = decl.of.as_ref().map_or(TypeWord::String, |of| of.value);
        for (at, member) in list.iter().enumerate() {
            check_scalar(decl, of, member).map_err(|message| format!("member {}: {message}", at + 1))?;
        }
        return Ok(());
    }
    check_scalar(decl, kind, value)
}

fn check_scalar(decl: &InputDecl, kind: TypeWord, value: &Value) -> Result<(), String> {
    let fits = match (kind, value) {
        (TypeWord::String | TypeWord::File, Value::String(_)) | (TypeWord::Boolean, Value::Bool(_)) => true,
        (TypeWord::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
        (TypeWord::Number, Value::Number(_)) => true,
        (TypeWord::Datetime, Value::String(text)) => {
            text.parse::<Timestamp>()
                .map_err(|_| "expected a time such as 2026-11-23T06:30:00+01:00".to_owned())?;
            true
        }
        _ => false,
    };
    if !fits {
        return Err(format!("expected {}, found {}", article(kind), found(value)));
    }
    if let Some(number) = value.as_f64() {
        if let Some(min) = decl.min.as_ref().filter(|min| number < min.value) {
            return Err(format!("{number} is less than {}", min.value));
        }
        if let Some(max) = decl.max.as_ref().filter(|max| number > max.value) {
            return Err(format!("{number} is more than {}", max.value));
        }
    }
    if let (Some(pattern), Some(text)) = (&decl.pattern, value.as_str())
        && Regex::new(&pattern.value).is_ok_and(|regex| !regex.is_match(text))
    {
        return Err(format!("the text does not match {}", pattern.value));
    }
    if let Some(words) = &decl.r#enum {
        let words: Vec<Value> = words.value.iter().map(Data::literal).collect();
        if !words.contains(value) {
            let words: Vec<String> = words.iter().map(shown).collect();
            return Err(format!("expected one of {}", words.join(", ")));
        }
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const fn article(kind: TypeWord) -> &'static str {
    match kind {
        TypeWord::String => "a text",
        TypeWord::Integer => "a whole number",
        TypeWord::Number => "a number",
        TypeWord::Boolean => "true or false",
        TypeWord::Datetime => "a time with an offset",
        TypeWord::File => "the path of a file",
        TypeWord::List => "a list",
    }
}

const fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNBOOK: &str = "consigne: v1\nid: t\ninputs:\n  tenant_id: {type: string, pattern: '^[a-z]+$'}\n  count: {type: integer, min: 1, max: 9, default: 3}\n  plan: {type: string, enum: [basic, pro], default: basic}\n  tags: {type: list, of: string, default: []}\nsteps: []\n";

    fn resolve_with(options: &[(&str, &str)], file: &str) -> (BTreeMap<String, Value>, Vec<Diagnostic>) {
        let (document, problems) = load::runbook(&Source::new("r.yaml", RUNBOOK));
        assert!(problems.is_empty(), "{problems:?}");
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut given = Given { options, ..Given::default() };
        let mut problems = given.take_source(&Source::new("i.yaml", file));
        let (values, more) = resolve(&document.unwrap(), &given);
        problems.extend(more);
        (values, problems)
    }

    #[test]
    fn texts_become_what_is_declared() {
        let (values, problems) = resolve_with(&[("tenant_id", "acme"), ("count", "4"), ("tags", "a, b")], "");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            serde_json::to_string(&values).unwrap(),
            r#"{"count":4,"plan":"basic","tags":["a","b"],"tenant_id":"acme"}"#
        );
    }

    #[test]
    fn every_problem_points_somewhere() {
        let (_, problems) = resolve_with(&[("count", "many")], "tenant: acme\nplan: gold\n");
        let found: Vec<_> = problems.iter().map(|p| (p.code, p.file.as_str())).collect();
        let wanted = [
            ("unknown-input", "i.yaml"),
            ("missing-input", "r.yaml"),
            ("ill-typed", "r.yaml"),
            ("ill-typed", "i.yaml"),
        ];
        assert_eq!(found, wanted);
        assert_eq!(problems[3].labels.len(), 1, "the declaration is shown too");
    }

    #[test]
    fn options_win_over_the_file() {
        let (values, problems) = resolve_with(&[("count", "9")], "tenant_id: acme\ncount: 2\n");
        assert!(problems.is_empty());
        assert_eq!(values["count"], 9);
        assert_eq!(
            resolve_with(&[("tenant_id", "ACME")], "").1[0].message,
            "input `tenant_id`: the text does not match ^[a-z]+$"
        );
        assert_eq!(
            resolve_with(&[], "tenant_id: acme\ncount: 10\n").1[0].message,
            "input `count`: 10 is more than 9"
        );
    }
}
