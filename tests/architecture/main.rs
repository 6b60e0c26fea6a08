//! The architecture as tests: who may import whom, how large a file may be, that no test is forgotten, and that every
//! law of ARCHITECTURE.md names a test that exists.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the repository, sorted.
fn rust_files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

/// The modules at the top of the crate, each with those it may name.
fn may_import() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("diag", &[] as &[_]),
        ("clock", &[]),
        ("runbook", &["diag", "clock"]),
        ("author", &["diag", "clock", "runbook"]),
        ("plan", &["diag", "clock", "runbook"]),
        ("core", &["diag", "clock", "runbook", "plan"]),
        ("journal", &["diag", "clock", "runbook", "plan", "core"]),
        ("record", &["diag", "clock", "runbook", "plan", "core", "journal"]),
        ("runner", &["diag", "clock", "runbook", "plan", "core"]),
        ("operator", &["diag", "clock", "runbook", "plan", "core"]),
        ("engine", &["diag", "clock", "runbook", "plan", "core", "journal", "record", "runner", "operator"]),
        ("practice", &["diag", "clock"]),
    ])
}

/// `crate::name` in the text, outside comments.
fn crate_names(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    code.match_indices("crate::")
        .map(|(at, found)| {
            code[at + found.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let rules = may_import();
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let name = name_of(&path);
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned();
        let Some(allowed) = rules.get(module.as_str()) else { continue };
        for imported in crate_names(&std::fs::read_to_string(&path).unwrap()) {
            let known = rules.contains_key(imported.as_str()) || imported == "cli";
            if known && imported != module && !allowed.contains(&imported.as_str()) {
                wrong.push(format!("{name} names crate::{imported}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_import_reader_sees_imports() {
    let text = "use crate::core::State;\n// crate::cli\nfn f() { crate::runner::run() }";
    assert_eq!(crate_names(text), BTreeSet::from(["core".to_owned(), "runner".to_owned()]));
}

/// Files that were too long when the rule came, with the length they may not exceed. Shrinks, never grows.
const LONG_FILES: &[(&str, usize)] = &[];
const FILE_LINES: usize = 600;

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for path in rust_files("src") {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let name = name_of(&path);
        let limit = LONG_FILES.iter().find(|(file, _)| *file == name).map_or(FILE_LINES, |(_, limit)| *limit);
        if lines > limit {
            long.push(format!("{name}: {lines} lines, {limit} allowed"));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Functions that are one table, or one match over a closed set: `file fn`.
const LONG_FUNCTIONS: &[&str] = &["src/core/apply.rs apply_fact"];
const FUNCTION_LINES: usize = 70;

/// Name and length of each function, as rustfmt lays them out.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.trim_start().split([' ', '(', '<']).collect();
        let Some(at) = words.iter().position(|word| *word == "fn") else { continue };
        let modifiers = [
            "pub",
            "pub(crate)",
            "pub(super)",
            "const",
            "async",
            "unsafe",
            "(crate)",
            "(super)",
            "crate)",
            "super)",
        ];
        if !words[..at].iter().all(|word| modifiers.contains(word)) || line.trim_end().ends_with(['}', ';']) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|line| *line == close).map_or(1, |end| end + 1);
        found.push((words[at + 1].to_owned(), length));
    }
    found
}

#[test]
fn functions_stay_short() {
    let mut long = Vec::new();
    for path in rust_files("src") {
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (function, lines) in functions(product) {
            let name = format!("{} {function}", name_of(&path));
            if lines > FUNCTION_LINES && !LONG_FUNCTIONS.contains(&name.as_str()) {
                long.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn only_the_clock_module_reads_the_clock() {
    let readers = ["SystemTime::now(", "Utc::now(", "Local::now("];
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        if name_of(&path) != "src/clock.rs" && readers.iter().any(|reader| product.contains(reader)) {
            wrong.push(name_of(&path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_test_file_is_forgotten() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for entry in std::fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let main = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        if main.extension().is_some_and(|ext| ext == "rs") && main.exists() {
            let name = name_of(&main);
            assert!(
                manifest.contains(&format!("path = \"{name}\"")),
                "{name} is not in Cargo.toml: it never runs"
            );
        }
        if path.is_dir() && main.exists() {
            let text = std::fs::read_to_string(&main).unwrap();
            for other in std::fs::read_dir(&path).unwrap() {
                let other = other.unwrap().path();
                let stem = other.file_stem().unwrap().to_string_lossy().into_owned();
                if other.extension().is_some_and(|ext| ext == "rs") && stem != "main" {
                    assert!(text.contains(&format!("mod {stem};")), "{} is in no module", name_of(&other));
                }
            }
        }
    }
}

#[test]
fn every_law_names_its_test() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let tests: String = rust_files("tests")
        .iter()
        .chain(&rust_files("src"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let laws: Vec<&str> = text.lines().filter(|line| line.starts_with("- **L")).collect();
    assert_eq!(laws.len(), 8, "{laws:#?}");
    for law in laws {
        let named: Vec<&str> =
            law.split('`').skip(1).step_by(2).filter(|name| tests.contains(&format!("fn {name}("))).collect();
        assert!(!named.is_empty(), "no test of that name: {law}");
    }
}
