//! What a plan says beside its steps: what is touched, where it can go, how long it may take; as a document for scripts.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::environment::{Said, TestEnvironment};

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The runbooks that are shipped, each in its practice environment.
fn shipped() -> Vec<PathBuf> {
    let all = std::fs::read_dir(repo("runbooks/tenants")).unwrap().map(|entry| entry.unwrap().path());
    let runbook = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".yaml") && name.matches('.').count() == 1
    };
    let mut all: Vec<PathBuf> = all.filter(runbook).collect();
    all.sort();
    assert!(all.len() >= 3);
    all
}

/// The runbook that has every key of the language, where it can be planned.
fn everything(env: &TestEnvironment) -> Vec<String> {
    for name in ["everything.yaml", "small-one.yaml", "environments/everything.yaml"] {
        let text = std::fs::read(repo("tests/language/valid").join(name)).unwrap();
        std::fs::write(env.work(name), text).unwrap();
    }
    let words = ["plan", "everything.yaml", "--env", "everything", "--input", "tenant_id=acme-42"];
    words.into_iter().map(str::to_owned).collect()
}

fn said(env: &TestEnvironment, words: &[String], more: &[&str]) -> Said {
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    env.consigne(&words).ends(0)
}

fn narrow(said: &Said) {
    for line in said.stdout.lines().filter(|line| !line.trim_start().starts_with(['$', '|'])) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn everything_that_can_be_written_is_foreseen() {
    let env = TestEnvironment::new();
    let words = everything(&env);
    let all = [said(&env, &words, &["--lang", "en"]), said(&env, &words, &["--lang", "fr"])];
    all.iter().for_each(narrow);
    crate::environment::shows!(all);
    env.assert_nothing_happened();
}

#[test]
fn what_is_shipped_is_foreseen() {
    let env = TestEnvironment::new();
    for path in shipped() {
        let words = ["plan", path.to_str().unwrap(), "--env", "practice", "--lang", "en"];
        let said = env.consigne(&words).ends(0);
        narrow(&said);
        let name = format!("shipped_{}", path.file_stem().unwrap().to_str().unwrap());
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(name, said.to_string());
        });
    }
}

fn plan(env: &TestEnvironment, words: &[&str]) -> Value {
    let output = env.command(&[words, &["--json"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_document_is_as_its_schema_says_and_its_digest_is_over_it() {
    let env = TestEnvironment::new();
    let words = everything(&env);
    let mut all = vec![plan(&env, &words.iter().map(String::as_str).collect::<Vec<_>>())];
    all.extend(
        shipped().iter().map(|path| plan(&env, &["plan", path.to_str().unwrap(), "--env", "practice"])),
    );
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(repo("docs/plan.schema.json")).unwrap()).unwrap();
    let checks = jsonschema::validator_for(&schema).unwrap();
    let page = std::fs::read_to_string(repo("docs/plan.md")).unwrap();
    for mut document in all {
        let problems: Vec<String> = checks
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{problems:#?}");
        let object = document.as_object_mut().unwrap();
        for field in object.keys() {
            assert!(schema["properties"].get(field).is_some(), "the schema has no `{field}`");
            assert!(page.contains(&format!("`{field}`")), "docs/plan.md says nothing of `{field}`");
        }
        let digest = object.remove("plan_digest").unwrap();
        let canonical = serde_json_canonicalizer::to_vec(&document).unwrap();
        let found: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, found);
        document["mode"] = json!("neither");
        assert!(!checks.is_valid(&document), "the schema takes anything");
    }
}

#[test]
fn the_same_document_from_another_folder_and_in_another_world() {
    let mut env = TestEnvironment::new();
    let words = everything(&env);
    let take = |env: &TestEnvironment, folder: &Path, file: &Path| {
        let mut command: Command = env.command(&[]);
        let file = file.to_str().unwrap();
        let words = words.iter().map(|word| if word == "everything.yaml" { file } else { word });
        let output = command.args(words).arg("--json").current_dir(folder).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let (here, file) = (env.path("work"), env.work("everything.yaml"));
    let first = take(&env, &here, Path::new("everything.yaml"));
    assert_eq!(take(&env, &here, &file), first);
    assert_eq!(take(&env, Path::new("/"), &file), first);
    for (name, value) in [("TZ", "Asia/Kolkata"), ("LC_ALL", "fr_FR.UTF-8"), ("HOME", "/nowhere")] {
        env.set(name, value);
    }
    assert_eq!(take(&env, Path::new("/"), &file), first);
}

const PLACES: &str = r#"consigne: v1
id: places
title: "Places"
inputs:
  ctx: {type: string, default: prod}
  hosts: {type: list, of: string, default: [web-1, web-2, web-3]}
steps:
  - {id: look, argv: ["sudo", "kubectl", "--context={{ inputs.ctx }}", "get", "pods"], effect: read, timeout: 10s, outputs: {many: ".json"}}
  - {id: which, choice: {options: [{id: red, text: "Red"}, {id: blue, text: "Blue"}]}, message: "Which?", timeout: 5m}
  - {id: go, approve: {roles: [ops], timeout: 20m, on_timeout: escalate, escalate_to: [boss]}, message: "Go?"}
  - id: paint
    when: steps.which.answer == "red"
    shell: |
      cd /tmp
      helm --kube-context "$CTX" upgrade x | tee log
      kubectl get pods
    env: {CTX: "{{ steps.look.many }}"}
    effect: write
    timeout: 1m
    undo: {argv: ["unpaint"], effect: write, timeout: 30s}
  - {id: other, when: steps.which.answer == "blue", argv: ["/opt/bin/other"], effect: destructive, timeout: 1m}
  - id: each
    for_each: {items: inputs.hosts, as: host, max_targets: 6, max_parallel: 2}
    group:
      steps:
        - id: rounds
          repeat: {until: "steps.ping.outcome == 'succeeded'", max: 3, every: 10s, on_max: fail}
          group:
            steps:
              - {id: ping, argv: ["ping", "{{ host }}"], effect: write, timeout: 5s, put_back: {argv: ["pong"], effect: write, timeout: 1s}}
  - {id: outside, manual: {}, effect: write, message: "Ring the bell"}
"#;

fn places() -> (TestEnvironment, Value) {
    let env = TestEnvironment::new();
    env.write("places.yaml", PLACES);
    env.write("environments/team.yaml", "people: {ann: {}, bob: {}}\nroles: {ops: [ann], boss: [bob]}\n");
    let plan = plan(&env, &["plan", "places.yaml", "--env", "team"]);
    (env, plan)
}

#[test]
fn what_is_touched_is_told_by_its_effect() {
    let (_env, plan) = places();
    let told = |touched: &Value| {
        let text = |name: &str| touched[name].as_str().unwrap_or_default().to_owned();
        let back = if touched["reversal"] == true { "back " } else { "" };
        let steps = touched["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap());
        let steps: Vec<&str> = steps.collect();
        format!("{back}{} {} {}: {}", text("effect"), text("kind"), text("what"), steps.join(" "))
    };
    let all: Vec<String> = plan["touched"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(
        all,
        [
            "read program kubectl: look",
            "read kube_context prod: look",
            "write program helm: paint",
            "write program kubectl: paint",
            "write program ping: ping",
            "write program tee: paint",
            "write kube_context <current>: paint",
            "write kube_context <decided later>: paint",
            "write by_hand : outside",
            "back write program pong: ping",
            "back write program unpaint: paint",
            "destructive program other: other",
        ]
    );
    let list = json!({"step": "each", "effect": "write", "items": "inputs.hosts", "at_most": 6,
        "known": ["web-1", "web-2", "web-3"]});
    assert_eq!(plan["lists"], json!([list]));
}

/// Machines: 10 s, 1 m + 1 m, and three turns of two hosts, each three rounds of 5 s with 10 s between them. Back:
/// 30 s, and 1 s for each of six hosts in each of three rounds. People: 5 m, twice 20 m, and as long as it takes.
#[test]
fn loops_are_multiplied_and_people_are_counted_apart() {
    let (_env, plan) = places();
    let machines = 10 + 60 + 60 + 3 * (3 * 5 + 2 * 10);
    assert_eq!(plan["machine_time"]["at_most_ms"], json!(machines * 1_000));
    assert_eq!(plan["machine_time"]["reversals_ms"], json!((30 + 6 * 3) * 1_000));
    assert_eq!(plan["people_time"]["at_most_ms"], json!((5 + 2 * 20) * 60_000));
    assert_eq!(plan["people_time"]["open_ended"], json!(["outside"]));
}

#[test]
fn both_ways_of_every_branch_are_told_with_what_decides_it() {
    let (env, plan) = places();
    let fork = |step: &str, kind: &str| {
        let all = plan["forks"].as_array().unwrap();
        all.iter().find(|fork| fork["step"] == step && fork["kind"] == kind).cloned().unwrap_or_default()
    };
    let option = |option: &str, takes: &str, skips: &str| json!({"on": "option", "then": "goes_on", "option": option, "names": [takes], "skips": [skips]});
    let ways = fork("which", "choice")["ways"].clone();
    assert_eq!(ways[0], option("red", "paint", "other"));
    assert_eq!(ways[1], option("blue", "other", "paint"));
    assert_eq!(fork("paint", "when")["decided_by"], json!(["which"]));
    assert_eq!(fork("paint", "when")["ways"].as_array().unwrap().len(), 2);
    assert_eq!(fork("rounds", "rounds")["decided_by"], json!(["ping"]));
    assert_eq!(fork("each", "list")["decided_by"], json!([]));
    let words = env.consigne(&["plan", "places.yaml", "--env", "team", "--lang", "en"]).ends(0);
    narrow(&words);
    assert!(words.stdout.contains("├─ red → what follows goes on: paint; without other"), "{words}");
    assert!(words.stdout.contains("<decided later by which>"), "{words}");
}

/// Whatever is wrong with a runbook is said, and nothing breaks over it.
#[test]
fn what_cannot_be_planned_or_drawn_is_refused_in_words() {
    let env = TestEnvironment::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(repo("tests/diagnostics"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 100);
    for file in files {
        let file = file.to_str().unwrap();
        for words in [&["plan", file, "--json"][..], &["graph", file, "--svg"]] {
            let said = env.consigne(words);
            assert!(matches!(said.code, Some(0 | 2 | 3)), "{said}");
            assert!(said.code == Some(0) || said.stdout.is_empty(), "{said}");
            assert!(!said.stderr.contains("panicked"), "{said}");
        }
    }
    env.assert_nothing_happened();
}

const REVERSED: &str = r#"consigne: v1
id: reversed
title: "Reversed"
steps:
  - {id: go, approve: {roles: [ops]}, message: "Go?"}
  - id: change
    argv: ["sh", "-c", "echo change >> @/touched"]
    effect: write
    undo: {argv: ["touch", "undone-{{ run.id }}"], effect: write}
    put_back: {argv: ["touch", "back"], effect: write}
"#;

/// On the screen and in the text that is signed elsewhere.
#[test]
fn an_approval_shows_what_would_reverse_it() {
    let env = TestEnvironment::new();
    env.write("reversed.yaml", REVERSED);
    env.write("environments/team.yaml", "people: {ann: {ssh: ann@x}}\nroles: {ops: [ann]}\n");
    env.consigne(&["run", "reversed.yaml", "--env", "team", "--run-id", "r", "--lang", "en"])
        .ends(4)
        .code
        .unwrap();
    let shown = env.consigne(&["show", "r", "--block", "go"]).ends(0);
    for reversal in ["undone-r", "back"] {
        assert!(shown.stdout.contains(reversal), "{shown}");
    }
}
