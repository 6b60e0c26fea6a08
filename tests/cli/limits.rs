//! Rules 3 and 17: targets that are decided after their approval, and what it says about them. And points of a checklist
//! that are read back.

use crate::environment::TestEnvironment;

const BOOK: &str = r#"consigne: v1
id: book
inputs:
  prefix: {type: string, default: "test-"}
steps:
  - id: go
    message: {fr: "Supprimer ?", en: "Delete them?"}
    approve:
      roles: [ops]
      filter: tenant.id is startingwith(inputs.prefix) and not tenant.kept
      max_targets: 2
  - id: find
    shell: "cat @/found.json"
    effect: read
    outputs: {all: ".json"}
  - id: delete
    for_each: {items: steps.find.all, as: tenant, key: tenant.id, max_targets: 9}
    shell: "echo {{ tenant.id }} >> @/touched"
    effect: destructive
"#;

fn house(found: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("book.yaml", BOOK);
    env.write("found.json", found);
    env
}

fn tenants(ids: &[&str]) -> String {
    let all: Vec<_> =
        ids.iter().map(|id| serde_json::json!({"id": id, "kept": id.ends_with("kept")})).collect();
    serde_json::json!(all).to_string()
}

const DRILL: [&str; 6] = ["drill", "book.yaml", "--env", "plain", "--run-id", "r1"];

fn approve(env: &TestEnvironment, code: i32) -> String {
    let said = env.consigne(&["answer", "r1", "go", "approve", "--as", "bob", "--resume"]).ends(code);
    format!("{said}")
}

/// The text that was signed about the question of that number.
fn signed(env: &TestEnvironment, ask: &str) -> String {
    let texts = std::fs::read_dir(env.run("r1").join("approvals")).unwrap();
    let mut texts = texts.map(|entry| entry.unwrap().path());
    let is = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(ask) && name.ends_with(".txt")
    };
    std::fs::read_to_string(texts.find(is).unwrap()).unwrap()
}

#[test]
fn rule_17_a_list_decided_later_goes_through_by_the_filter_of_its_approval() {
    let env = house(&tenants(&["test-1", "test-2"]));
    let _asked = env.consigne(&DRILL).ends(4);
    let _done = approve(&env, 0);
    assert_eq!(env.touched(), ["test-1", "test-2"]);
    let text = signed(&env, "0001");
    for line in [
        "shown: filter tenant.id is startingwith(inputs.prefix) and not tenant.kept\n",
        "shown:   > inputs.prefix = \"test-\"\n",
        "shown: max_targets 2\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    env.consigne(&["verify", "r1"]).ends(0).code.unwrap();
}

#[test]
fn rule_03_what_the_filter_does_not_let_through_is_asked_for_again() {
    let env = house(&tenants(&["test-1", "test-2-kept", "prod-1", "test-3"]));
    let _asked = env.consigne(&[&DRILL[..], &["--lang", "fr"]].concat()).ends(4);
    let void = approve(&env, 4);
    assert!(void.contains("approbation annulée, cible hors du filtre"), "{void}");
    assert_eq!(env.touched(), ["test-1"], "nothing of the others was begun");
    let void = approve(&env, 4);
    assert!(void.contains("autant de cibles que permis ont commencé"), "{void}");
    assert_eq!(env.touched(), ["test-1", "test-2-kept", "prod-1"], "they were shown and approved");
    let _done = approve(&env, 0);
    assert_eq!(env.touched().len(), 4);
    assert!(signed(&env, "0002").contains("prod-1"), "{}", signed(&env, "0002"));
    let report = env.consigne(&["report", "r1"]).ends(0).to_string();
    assert!(report.contains("2]: filter") && report.contains("4]: max_targets"), "{report}");
    env.consigne(&["verify", "r1"]).ends(0).code.unwrap();
}

#[test]
fn rule_05_an_answers_file_does_not_approve_again_what_was_approved_once() {
    let found = tenants(&["test-1", "prod-1", "test-2"]);
    let drill = |answers: &str, code: i32| {
        let env = house(&found);
        env.write("answers.yaml", answers);
        let said =
            env.consigne(&[&DRILL[..], &["--answers", "answers.yaml"]].concat()).ends(code).to_string();
        (env, said)
    };
    let (env, said) = drill("go: {answer: approve, as: bob}\n", 4);
    assert!(said.contains("approval void") && said.contains("have been given already"), "{said}");
    assert_eq!(env.touched(), ["test-1"], "nothing that the filter does not let through");
    // Nor when the run is taken up by another process with the same file.
    let again = ["resume", "r1", "--answers", "answers.yaml"];
    let said = env.consigne(&again).ends(4).to_string();
    assert!(said.contains("have been given already"), "{said}");
    assert_eq!(env.touched(), ["test-1"]);

    // Somebody else does not lend his name: what is written for the second time is said the second time.
    let twice = "go:\n  - {answer: approve, as: bob}\n  - {answer: reject, as: bob, comment: \"not prod\"}\n";
    let (env, said) = drill(twice, 1);
    assert_eq!(env.touched(), ["test-1"], "{said}");
    let twice = "go:\n  - {answer: approve, as: bob}\n  - {answer: approve, as: bob}\n";
    let (env, said) = drill(twice, 0);
    assert_eq!(env.touched().len(), 3, "{said}");
    env.consigne(&["verify", "r1"]).ends(0).code.unwrap();
}

#[test]
fn an_answers_file_plays_a_quorum_one_person_after_the_other() {
    let env = TestEnvironment::new();
    let book = "consigne: v1\nid: book\nsteps:\n  - {id: go, message: \"Go?\", approve: {roles: [ops], quorum: 2}}\n  - {id: act, shell: \"echo x >> @/touched\", effect: write}\n";
    env.write("book.yaml", book);
    let people = "role_play: true\npeople:\n  bob: {}\n  carol: {}\nroles:\n  ops: [bob, carol]\n";
    env.write("environments/plain.yaml", people);
    env.write("answers.yaml", "go:\n  - {answer: approve, as: bob}\n  - {answer: approve, as: carol}\n");
    let said = env.consigne(&[&DRILL[..], &["--answers", "answers.yaml"]].concat()).to_string();
    assert_eq!(env.touched(), ["x"], "{said}");
}

#[test]
fn a_plan_says_what_its_approvals_let_through() {
    let env = house("[]");
    let plan =
        |lang: &str| env.consigne(&["plan", "book.yaml", "--env", "plain", "--lang", lang]).ends(0).stdout;
    let (english, french) = (plan("en"), plan("fr"));
    assert!(english.contains("targets decided later: tenant.id is startingwith(inputs.prefix)"), "{english}");
    assert!(english.contains("destructive targets, at most: 2"), "{english}");
    assert!(french.contains("cibles décidées plus tard : tenant.id"), "{french}");
}

const POINTS: &str = r#"consigne: v1
id: book
steps:
  - {id: server, shell: "echo 10.0.0.7", effect: read, outputs: {ip: ".stdout | rtrimstr(\"\n\")"}}
  - id: points
    checklist:
      items:
        - {id: address, text: "The console says {{ steps.server.ip }}", read_back: "{{ steps.server.ip }}"}
        - {id: quiet, text: "Nobody is logged in"}
"#;

#[test]
fn a_point_is_ticked_by_what_it_shows() {
    let env = TestEnvironment::new();
    env.write("book.yaml", POINTS);
    let asked = env.consigne(&DRILL).ends(4).to_string();
    assert!(asked.contains("points/address 'VALUE|no'"), "{asked}");
    for wrong in ["yes", "10.0.0.8"] {
        let refused = env.consigne(&["answer", "r1", "points/address", wrong]).ends(2).to_string();
        assert!(refused.contains("not what item `address` shows"), "{refused}");
    }
    let others = env.consigne(&["answer", "r1", "points", "yes"]).ends(4);
    let done = env.consigne(&["answer", "r1", "points/address", " 10.0.0.7 ", "--resume"]).ends(0);
    let public = std::fs::read_to_string(env.run("r1").join("events.jsonl")).unwrap();
    assert!(public.contains("read_back") && !public.contains("10.0.0.7"), "{others}{done}");
    let report = env.consigne(&["report", "r1"]).ends(0).to_string();
    assert!(report.contains("address: read_back"), "{report}");
    env.consigne(&["verify", "r1"]).ends(0).code.unwrap();
}

#[test]
fn a_script_reads_back_and_what_is_wrong_stays_open() {
    let env = TestEnvironment::new();
    env.write("book.yaml", POINTS);
    env.write("wrong.yaml", "points/address: {answer: 10.0.0.8}\npoints/quiet: yes\n");
    env.write("right.yaml", "points/address: {answer: 10.0.0.7, comment: seen}\npoints/quiet: yes\n");
    let run = |id: &str, answers: &str, code: i32| {
        let args = ["drill", "book.yaml", "--env", "plain", "--run-id", id, "--answers", answers];
        env.consigne(&args).ends(code).to_string()
    };
    let wrong = run("r1", "wrong.yaml", 4);
    assert!(wrong.contains("not what item `address` shows"), "{wrong}");
    run("r2", "right.yaml", 0);
}
