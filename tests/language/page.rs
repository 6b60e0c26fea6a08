//! `docs/language.md` against the schema: every key is told once, as the schema tells it, and every example is run.
//!
//! An example is a fenced block behind a comment: `example NAME: VERB, ENDING`, then lines `input: NAME=VALUE`, then,
//! behind `answers:`, the answers. `check, clean` is checked and has nothing against it; `drill` is drilled as well, in
//! the environment `practice` of the page itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use consigne::runbook::check_file;
use consigne::runbook::environment::{
    CertificateDecl, ContactDecl, Environment, EnvironmentDecl, HostDecl, MailDecl, PersonDecl, ReadyDecl,
    ServiceDecl,
};
use consigne::runbook::{environment, schema};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::editing::{as_json, root};

/// A record of the schema and the keys that it knows besides.
macro_rules! later {
    ($($record:ty),* $(,)?) => { [$((stringify!($record).rsplit(' ').next().unwrap(), <$record>::LATER)),*] };
}

struct Example {
    name: String,
    verb: String,
    ending: String,
    inputs: Vec<String>,
    answers: String,
    text: String,
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/language.md")).unwrap()
}

fn examples(page: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for part in page.split("<!-- example ").skip(1) {
        let (about, rest) = part.split_once("-->\n```yaml\n").expect("a comment stands before its example");
        let (text, _) = rest.split_once("\n```").expect("an example ends");
        let (head, more) = about.split_once('\n').unwrap_or((about, ""));
        let (name, run) = head.trim().split_once(": ").expect("NAME: VERB, ENDING");
        let (verb, ending) = run.split_once(", ").unwrap_or((run, ""));
        let (inputs, answers) = more.split_once("answers:\n").unwrap_or((more, ""));
        let inputs = inputs.lines().filter_map(|line| line.strip_prefix("input: ")).map(str::to_owned);
        found.push(Example {
            name: name.to_owned(),
            verb: verb.trim().to_owned(),
            ending: ending.trim().to_owned(),
            inputs: inputs.collect(),
            answers: answers.to_owned(),
            text: format!("{text}\n"),
        });
    }
    assert_eq!(page.matches("```yaml").count(), found.len(), "every block is an example");
    found
}

/// The examples as files, environments where they are looked for.
fn written(examples: &[Example]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("environments")).unwrap();
    for example in examples {
        std::fs::write(folder.path().join(example.file()), &example.text).unwrap();
        if !example.answers.is_empty() {
            std::fs::write(folder.path().join(format!("{}.answers", example.name)), &example.answers)
                .unwrap();
        }
    }
    folder
}

impl Example {
    fn file(&self) -> String {
        let folder = if self.verb == "environment" { "environments/" } else { "" };
        format!("{folder}{}.yaml", self.name)
    }
}

/// Every record of both schemas, by name.
fn records() -> BTreeMap<String, Value> {
    let roots = [("Runbook", schema::json_schema()), ("EnvironmentDecl", environment::json_schema())];
    let mut found = BTreeMap::new();
    for (name, whole) in roots {
        for (name, record) in whole["definitions"].as_object().unwrap() {
            if record.get("properties").is_some() {
                found.insert(name.clone(), record.clone());
            }
        }
        found.insert(name.to_owned(), whole);
    }
    found
}

/// Which keys of which records a text uses, by its schema.
struct Used<'a> {
    definitions: &'a Map<String, Value>,
    keys: BTreeSet<(String, String)>,
}

impl Used<'_> {
    fn walk(&mut self, schema: &Value, record: Option<&str>, value: &Value) {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let definition = self.definitions[name].clone();
            return self.walk(&definition, Some(name), value);
        }
        for one in schema["allOf"].as_array().into_iter().flatten() {
            self.walk(one, None, value);
        }
        for one in schema["anyOf"].as_array().into_iter().flatten() {
            let is_map = one["$ref"].as_str().is_some_and(|path| path.ends_with("Decl"));
            if value.is_object() == is_map && value.is_array() == (one["type"] == "array") {
                self.walk(one, None, value);
            }
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            if let Some(property) = schema["properties"].get(key) {
                self.keys.extend(record.map(|record| (record.to_owned(), key.clone())));
                self.walk(property, None, value);
            } else {
                self.walk(&schema["additionalProperties"], None, value);
            }
        }
        for value in value.as_array().into_iter().flatten() {
            self.walk(&schema["items"], None, value);
        }
    }
}

fn used(example: &Example, path: &Path) -> BTreeSet<(String, String)> {
    let (root, schema) = match example.verb.as_str() {
        "environment" => ("EnvironmentDecl", environment::json_schema()),
        _ => ("Runbook", schema::json_schema()),
    };
    let definitions = schema["definitions"].as_object().unwrap();
    let mut used = Used { definitions, keys: BTreeSet::new() };
    used.walk(&schema, Some(root), &as_json(path).unwrap());
    used.keys
}

/// The rows below the heading of a record: the cells of each.
fn rows(page: &str, record: &str) -> Vec<Vec<String>> {
    let heading = format!("<a id=\"keys-{}\"></a>**`{record}`**", record.to_lowercase());
    let Some((_, below)) = page.split_once(&heading) else { return Vec::new() };
    let table = below.lines().skip(2).take_while(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.replace("\\|", "\u{1}");
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('\u{1}', "|")).collect()
    };
    table.map(cells).collect()
}

#[test]
fn every_key_is_told_as_the_schema_tells_it() {
    let page = page();
    let examples = examples(&page);
    let folder = written(&examples);
    let uses: BTreeMap<&str, _> =
        examples.iter().map(|e| (e.name.as_str(), used(e, &folder.path().join(e.file())))).collect();
    let mut wrong = Vec::new();
    for (record, schema) in records().into_iter().filter(|(name, _)| name != "Text") {
        let rows = rows(&page, &record);
        let keys: BTreeSet<String> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
        let wanted: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        if keys != wanted || keys.len() != rows.len() {
            wrong.push(format!("{record}: {:?}", keys.symmetric_difference(&wanted).collect::<Vec<_>>()));
            continue;
        }
        for row in &rows {
            let key = row[0].trim_matches('`');
            let property = &schema["properties"][key];
            let meaning = property["description"].as_str().unwrap().replace('\n', " ");
            let must =
                schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == key));
            let words = property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let example = row[4].split_once("](#example-").map_or("", |(_, rest)| rest.trim_end_matches(')'));
            let shown =
                uses.get(example).is_some_and(|keys| keys.contains(&(record.clone(), key.to_owned())));
            for (holds, what) in [
                (row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "a cell is empty".to_owned()),
                (row[3] == meaning, format!("means: {meaning}")),
                ((row[2] == "**must**") == must, format!("required: {must}")),
                (
                    words.clone().all(|word| row[1].contains(&format!("`{word}`"))),
                    format!("words: {words:?}"),
                ),
                (shown, format!("is not in the example `{example}`")),
            ] {
                if !holds {
                    wrong.push(format!("{record}.{key}: {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "docs/language.md is to be corrected:\n{}", wrong.join("\n"));
    let told = page.matches("<a id=\"keys-").count();
    assert_eq!(told, records().len() - usize::from(records().contains_key("Text")), "tables of no record");
}

#[test]
fn what_is_not_built_yet_is_listed() {
    use schema::*;
    let all = later![
        Runbook,
        InputDecl,
        SecretDecl,
        Defaults,
        HttpDefaults,
        Step,
        Wait,
        Assert,
        Claim,
        Confirm,
        Approve,
        NotifyDecl,
        Form,
        ChoiceDecl,
        OptionDecl,
        ManyDecl,
        Checklist,
        ItemDecl,
        Manual,
        By,
        Http,
        Basic,
        HeaderAuth,
        OutputDecl,
        ArtifactDecl,
        Expect,
        Verify,
        Undo,
        PutBack,
        ProbeDecl,
        Retry,
        Poll,
        LinkDecl,
        LockDecl,
        WindowDecl,
        GlassDecl,
        ReviewDecl,
        ChangeDecl,
        EnvironmentDecl,
        PersonDecl,
        ContactDecl,
        CertificateDecl,
        HostDecl,
        MailDecl,
        ServiceDecl,
        ReadyDecl,
        GroupDecl,
        EachDecl,
        CanaryDecl,
        RepeatDecl,
        GuardDecl,
        UseDecl,
    ];
    assert_eq!(
        all.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(),
        records().into_keys().filter(|name| name != "Text").collect(),
        "every record is asked what it cannot do"
    );
    let page = page();
    let (_, below) = page.split_once("## Known, not built yet").unwrap();
    let listed: Vec<&str> = below.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = all
        .iter()
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(name, keys)| {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            format!("| `{name}` | {} |", keys.join(", "))
        })
        .collect();
    assert_eq!(
        listed.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>(),
        wanted.iter().cloned().collect::<BTreeSet<_>>(),
        "these lines are wanted:\n{}",
        wanted.join("\n")
    );
}

#[test]
fn every_example_passes_check() {
    let examples = examples(&page());
    let folder = written(&examples);
    for example in &examples {
        let path = folder.path().join(example.file());
        let problems = match example.verb.as_str() {
            "environment" => Environment::load(&path).1,
            "check" => check_file(&path, None).diagnostics,
            "drill" => check_file(&path, Some("practice")).diagnostics,
            other => panic!("{}: no verb is called {other}", example.name),
        };
        assert!(problems.is_empty(), "{}: {problems:?}", example.name);
    }
}

#[test]
fn every_example_that_can_be_drilled_ends_as_it_says() {
    let examples = examples(&page());
    let folder = written(&examples);
    let drills: Vec<&Example> = examples.iter().filter(|example| example.verb == "drill").collect();
    assert!(!drills.is_empty());
    for example in drills {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consigne"));
        command.arg("drill").arg(example.file());
        if example.answers.is_empty() {
            command.arg("--unattended");
        } else {
            command.arg("--answers").arg(format!("{}.answers", example.name));
        }
        for input in &example.inputs {
            command.args(["--input", input]);
        }
        let home = folder.path().join(format!("home-{}", example.name));
        let said = command
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &home)
            .env("CONSIGNE_HOME", &home)
            .env("LANG", "en_US.UTF-8")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        let code = match example.ending.as_str() {
            "succeeded" => 0,
            "failed" | "refused" => 1,
            "paused" => 4,
            other => panic!("{}: no ending is called {other}", example.name),
        };
        assert_eq!(said.status.code(), Some(code), "{}: {text}", example.name);
        assert!(text.contains(&format!(": {}", example.ending)), "{}: {text}", example.name);
    }
}
