//! The JSON Schema as a judge of files: it takes what `check` takes, and refuses what is wrong in shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use consigne::diag::{Rendering, has_errors, render_all};
use consigne::runbook::environment::{self, Environment};
use consigne::runbook::yaml::{self, Node, Plain, Style, Value};
use consigne::runbook::{check_file, load, schema};
use serde_json::{Map, Value as Json};

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every YAML file below a folder.
pub(super) fn yaml_files(below: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(below)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What kind of file it is, when `check` has nothing against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    Runbook,
    Environment,
}

pub(super) fn sound(path: &Path) -> Option<Sound> {
    if path.parent()?.ends_with("environments") {
        let (found, problems) = Environment::load(path);
        return (found.is_some() && !has_errors(&problems)).then_some(Sound::Environment);
    }
    let report = check_file(path, None);
    (report.document.is_some() && !report.has_errors()).then_some(Sound::Runbook)
}

/// Files that `check` takes: those of the tests, and all that are shipped.
pub(super) fn sound_files() -> Vec<(PathBuf, Sound)> {
    let all = yaml_files("tests").into_iter().chain(yaml_files("runbooks"));
    all.filter_map(|path| sound(&path).map(|kind| (path, kind))).collect()
}

/// The file as an editor sees it: YAML 1.2 made JSON.
pub(super) fn as_json(path: &Path) -> Option<Json> {
    let source = load::source(path).ok()?;
    yaml::parse(&source).0.map(|node| json(&node))
}

fn json(node: &Node<'_>) -> Json {
    match &node.value {
        Value::Scalar { text, style: Style::Plain } => match yaml::resolve(text) {
            Plain::Null => Json::Null,
            Plain::Bool(yes) => yes.into(),
            Plain::Integer(number) => number.into(),
            Plain::Float(number) => number.into(),
            Plain::Text => (**text).into(),
        },
        Value::Scalar { text, .. } => (**text).into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map { entries, .. } => {
            entries.iter().map(|(key, node)| (key.text.to_string(), json(node))).collect::<Map<_, _>>().into()
        }
    }
}

fn breaches(schema: &Json, instance: &Json) -> Vec<String> {
    let validator = jsonschema::draft7::new(schema).unwrap();
    validator.iter_errors(instance).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn what_check_takes_the_schema_takes() {
    let (runbooks, environments) = (schema::json_schema(), environment::json_schema());
    let mut seen = [0, 0];
    for (path, kind) in sound_files() {
        let schema = if kind == Sound::Runbook { &runbooks } else { &environments };
        seen[usize::from(kind == Sound::Environment)] += 1;
        let found = breaches(schema, &as_json(&path).unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
    assert!(seen[0] >= 15 && seen[1] >= 5, "only {seen:?} files were compared");
}

fn keys(value: &Json, out: &mut BTreeSet<String>) {
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| {
            out.insert(key.clone());
            keys(value, out);
        }),
        Json::Array(list) => list.iter().for_each(|value| keys(value, out)),
        _ => {}
    }
}

/// The files above would say little if they used few words.
#[test]
fn a_sound_runbook_uses_every_key_that_there_is() {
    let folder = root().join("tests/language/valid");
    let mut used = BTreeSet::new();
    // What only a protected environment may say stands in one of its own.
    let environments = ["environments/everything.yaml", "environments/protected.yaml"];
    for (files, schema) in
        [(&["everything.yaml"][..], schema::json_schema()), (&environments[..], environment::json_schema())]
    {
        for file in files {
            let path = folder.join(file);
            let problems = if file.contains('/') {
                Environment::load(&path).1
            } else {
                check_file(&path, Some("everything")).diagnostics
            };
            assert!(!has_errors(&problems), "{}", render_all(&problems, Rendering::default(), 50));
            keys(&as_json(&path).unwrap(), &mut used);
        }
        let definitions = schema["definitions"].as_object().unwrap().values();
        for definition in definitions.chain([&schema]) {
            let known = definition["properties"].as_object().into_iter().flat_map(Map::keys);
            let unused: Vec<&String> = known.filter(|key| !used.contains(*key)).collect();
            assert!(unused.is_empty(), "{files:?} leave out {unused:?}");
        }
    }
}

/// Wrong in shape: an editor shows it while it is typed.
const WRONG: [&str; 24] = [
    "bad-duration",
    "bad-value",
    "flow-accident--colon-in-list",
    "empty--text",
    "missing-key--item",
    "not-built-yet",
    "unknown-key",
    "unknown-key--case",
    "unknown-key--missing-indent",
    "unknown-key--out-dented",
    "unknown-key--wrong-parent",
    "unknown-key--not-a-text",
    "unknown-key--byte-order-mark",
    "unknown-key--carriage-returns",
    "unquoted--exponent",
    "unquoted--null",
    "unquoted--version",
    "unquoted--boolean",
    "wrong-type",
    "wrong-type--a-text",
    "wrong-type--list",
    "wrong-type--not-a-mapping",
    "wrong-type--nothing",
    "wrong-type--only-a-marker",
];

#[test]
fn what_is_wrong_in_shape_the_schema_refuses() {
    let schema = schema::json_schema();
    for stem in WRONG {
        let path = root().join(format!("tests/diagnostics/{stem}.yaml"));
        let json = as_json(&path).unwrap_or_else(|| panic!("{stem} can be read as YAML"));
        assert!(!breaches(&schema, &json).is_empty(), "the schema takes {stem}");
    }
    let misspelt = root().join("tests/diagnostics/environments/misspelt.yaml");
    assert!(!breaches(&environment::json_schema(), &as_json(&misspelt).unwrap()).is_empty());
}
