use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use consigne::diag::{Diagnostic, Rendering, codes, render_all};
use consigne::plan::{BuildRequest, Mode, build};
use consigne::runbook::environment::{Environment, ServiceAt, Services};
use consigne::runbook::inputs::{self, Given};
use consigne::runbook::{check_file, load};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// Everything that is said about a file, with its own name instead of its path.
fn said_about(path: &Path) -> Vec<Diagnostic> {
    let text = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let directives: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("#! ")).collect();
    let value = |name: &str| directives.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut report = check_file(path, value("env"));
    let Some(mode) = value("build") else { return report.diagnostics };
    let document = report.document.take().expect("a file that is built can be read");
    let mut given = Given::default();
    for input in directives.iter().filter_map(|line| line.strip_prefix("input ")) {
        let (name, text) = input.split_once('=').expect("NAME=VALUE");
        given.options.push((name.to_owned(), text.to_owned()));
    }
    let (values, mut problems) = inputs::resolve(&document, &given);
    if problems.is_empty() {
        let (others, _) = Environment::all(path);
        let services =
            Services::from([("p".to_owned(), ServiceAt { port: Some(4321), state: "/s".to_owned() })]);
        let request = BuildRequest {
            mode: if mode == "drill" { Mode::Drill } else { Mode::Live },
            environment: report.environment.as_ref(),
            others: &others,
            inputs: &values,
            services: &services,
        };
        problems.extend(build(&document, &request).err().unwrap_or_default());
    }
    problems.extend(report.diagnostics);
    problems
}

fn files() -> Vec<PathBuf> {
    // Named from the root of the project, where tests run: long lines break alike wherever that lies.
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/diagnostics")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_shows_its_code_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("shown"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut silent = Vec::new();
    for path in files() {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let code = stem.split("--").next().unwrap();
        let found = said_about(&path);
        let shown: Vec<&str> = found.iter().map(|d| d.code).collect();
        if !shown.contains(&code) {
            silent.push(format!("{stem} shows {shown:?}"));
            continue;
        }
        let place = format!("{}/", folder().display());
        let text = render_all(&found, Rendering::default(), 100)
            .replace(&place, "")
            .replace("tests/diagnostics/", "");
        settings.bind(|| insta::assert_snapshot!(stem, text));
    }
    assert!(silent.is_empty(), "files that do not show what they are named after:\n{}", silent.join("\n"));
}

#[test]
fn every_finding_shows_a_hint() {
    for path in files() {
        for found in said_about(&path) {
            assert!(!found.hints().is_empty(), "{}: {found:?}", path.display());
        }
    }
}

#[test]
fn the_page_of_diagnostics_lists_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let page = std::fs::read_to_string(path).unwrap();
    let found: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = codes()
        .iter()
        .map(|code| {
            let cell = |text: &str| text.replace('|', "\\|");
            format!("| `{}` | {} | {} |", code.name, cell(code.meaning), cell(code.fix))
        })
        .collect();
    assert_eq!(found, wanted, "docs/diagnostics.md is to hold these lines:\n{}", wanted.join("\n"));
}

#[test]
fn every_code_has_a_file() {
    let shown: BTreeSet<String> = files()
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().split("--").next().unwrap().to_owned())
        .collect();
    // A missing file cannot stand in a folder of files.
    let elsewhere = ["not-readable"];
    let missing: Vec<&str> = codes()
        .iter()
        .map(|code| code.name)
        .filter(|name| !shown.contains(*name) && !elsewhere.contains(name))
        .collect();
    assert!(missing.is_empty(), "codes without a file: {missing:?}");
    let unknown: Vec<&String> =
        shown.iter().filter(|name| !codes().iter().any(|code| code.name == **name)).collect();
    assert!(unknown.is_empty(), "files for codes that do not exist: {unknown:?}");
}

#[test]
fn nothing_that_is_cut_off_or_torn_makes_the_reader_panic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/tenants/suspend.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
        survive(&text[..end]);
    }
    let shards = [
        "{", "}", "[", ":", ": ", "\"", "'", "\t", "é", "&a ", "*a", "!x ", " #", "|", "- ", "\n", "{{",
        "}}", "\0",
    ];
    for (at, shard) in (0..text.len()).step_by(11).zip(shards.iter().cycle()) {
        if text.is_char_boundary(at) {
            survive(&format!("{}{shard}{}", &text[..at], &text[at..]));
        }
    }
}

fn survive(text: &str) {
    let Ok(source) = load::from_bytes("torn.yaml", text.as_bytes().to_vec()) else { return };
    let (document, problems) = load::runbook(&source);
    let checked = document.map(|document| consigne::runbook::check::check(&document, None));
    let all: Vec<Diagnostic> = problems.into_iter().chain(checked.into_iter().flatten()).collect();
    render_all(&all, Rendering::default(), 100);
}
