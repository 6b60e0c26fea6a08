//! Another reader of YAML as oracle: where it reads a file, ours reads the same structure and the same texts.

use consigne::diag::Source;
use consigne::runbook::yaml::{self, Node, Value};
use serde_json::Value as Json;

use super::editing::yaml_files;

/// Where the two differ, if they do. Typed scalars are compared by what they mean.
fn difference(ours: &Node<'_>, theirs: &Json, at: &str) -> Option<String> {
    match (&ours.value, theirs) {
        (Value::Map { entries, .. }, Json::Object(map)) => {
            if entries.len() != map.len() {
                return Some(format!("{at}: {} keys, {} keys", entries.len(), map.len()));
            }
            entries.iter().find_map(|(key, node)| match map.get(&*key.text) {
                Some(value) => difference(node, value, &format!("{at}.{}", key.text)),
                None => Some(format!("{at}: no key {}", key.text)),
            })
        }
        (Value::List(list), Json::Array(items)) if list.len() == items.len() => list
            .iter()
            .zip(items)
            .enumerate()
            .find_map(|(n, (node, item))| difference(node, item, &format!("{at}[{n}]"))),
        (Value::Scalar { text, .. }, Json::String(other)) if text == other => None,
        (Value::Scalar { text, .. }, Json::Null) if ["", "~", "null"].contains(&&**text) => None,
        (Value::Scalar { text, .. }, Json::Bool(yes)) if *text == yes.to_string() => None,
        (Value::Scalar { text, .. }, Json::Number(number)) if text.parse::<f64>().ok() == number.as_f64() => {
            None
        }
        // Refused by `check` where it matters, so what it means is not ours to say.
        (Value::Scalar { text, .. }, Json::Number(_)) if text.starts_with("0x") => None,
        (ours, theirs) => Some(format!("{at}: {ours:?} is not {theirs}")),
    }
}

#[test]
fn another_reader_reads_the_same() {
    let mut compared = 0;
    for path in yaml_files("runbooks").into_iter().chain(yaml_files("tests/diagnostics")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let Ok(theirs) = serde_saphyr::from_str_with_options::<Json>(&text, options) else { continue };
        let source = Source::new("oracle.yaml", text);
        let (ours, problems) = yaml::parse(&source);
        if !problems.is_empty() {
            continue;
        }
        let Some(ours) = ours else {
            assert!(theirs.is_null(), "{} is read by the oracle alone", path.display());
            continue;
        };
        assert_eq!(difference(&ours, &theirs, "$"), None, "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} files were comparable");
}
