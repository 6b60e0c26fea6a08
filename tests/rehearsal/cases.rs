//! Runbook tests: the shipped ones pass, and find what is broken in a runbook; a case that expects something else fails,
//! and says where.

use std::path::Path;

use serde_json::Value;

use super::world::{Rehearsals, SHIPPED, repository, said};

const TOGGLED: &str = r#"consigne: v1
id: toggled
steps:
  - id: pause
    argv: [jobs, pause]
    effect: write
    put_back:
      argv: [jobs, resume]
      only_if: {argv: [jobs, paused]}
  - {id: work, argv: [work, hard], effect: write}
"#;

const TOGGLED_TESTS: &str = r#"cases:
  - name: put back by itself
    expect:
      whole_path: [pause, work, {pause.put_back: done}]
      steps: {pause.only_if: holds}
      requests: [{step: pause, part: put_back, argv: [jobs, resume], times: 1}]
      ending: {status: succeeded, open: []}
  - name: somebody resumed them before
    scenario: {steps: {pause: {only_if: {exit: 1}}}}
    expect:
      steps: {pause.only_if: fails}
      requests: [{step: pause, part: put_back, absent: true}]
  - name: put back after a failure
    scenario: {steps: {work: {exit: 1, stderr: "no"}}}
    answers: {work: end, pause: put_back}
    expect:
      asked: [{step: pause, kind: put_back}]
      path: [{work: failed}, {pause.put_back: done}]
      ending: {status: failed, open: []}
  - name: put back by somebody
    scenario: {steps: {pause: {put_back: [{exit: 1}, {exit: 0}]}}}
    answers: {pause: {answer: put_back, comment: again}}
    expect:
      asked: [{step: pause, kind: put_back}]
      path: [{pause.put_back: done}]
  - name: left open by somebody
    scenario: {steps: {pause: {put_back: {exit: 1}}}}
    answers:
      pause: {answer: {choice: leave_open, owner: me, review_at: "2026-02-01T09:00:00Z"}, comment: later}
    expect:
      path: [{pause.put_back: left_open}]
      ending: {open: ["put_back of pause"]}
"#;

impl Rehearsals {
    /// Tests with these arguments, and expects this exit code.
    fn tests(&self, args: &[&str], code: i32) -> String {
        let mut all = vec!["test"];
        all.extend(args);
        let output = self.consigne(&all);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    /// A copy of the shipped runbooks, where one text of one file is another.
    fn broken(&self, file: &str, sound: &str, broken: &str) {
        copy(&repository("runbooks"), &self.path("runbooks"));
        let path = self.path("runbooks").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(sound), "{file} does not say: {sound}");
        std::fs::write(path, text.replacen(sound, broken, 1)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What opens and closes in an XML text, checked for balance.
fn elements(xml: &str) -> Vec<String> {
    let (mut open, mut all): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for tag in xml.split('<').skip(1) {
        let (tag, rest) = tag.split_once('>').expect("a tag that ends");
        assert!(!rest.contains('>'), "{rest}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_owned();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.starts_with('?') {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            all.push(name.clone());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    all
}

#[test]
fn every_shipped_runbook_has_tests_and_all_of_them_pass() {
    for name in SHIPPED {
        assert!(repository(&format!("runbooks/tenants/{name}.test.yaml")).is_file(), "{name}");
    }
    let house = Rehearsals::new();
    let (runbooks, junit) = (repository("runbooks"), house.path("junit.xml"));
    let kept = house.path("kept");
    let (junit_file, kept) = (junit.to_str().unwrap(), kept.to_str().unwrap());
    let said = house.tests(&[runbooks.to_str().unwrap(), "--junit", junit_file, "--keep", kept], 0);
    let passed = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed > 80 && !said.contains("FAILED"), "{said}");
    let all = elements(&std::fs::read_to_string(junit).unwrap());
    assert_eq!(all.iter().filter(|name| *name == "testcase").count(), passed);
    assert_eq!(all.iter().filter(|name| *name == "testsuite").count(), SHIPPED.len());
    for name in SHIPPED {
        let runbook = repository(&format!("runbooks/tenants/{name}.yaml"));
        let args = ["check", runbook.to_str().unwrap(), "--coverage", "--min", "95", "--runs", kept];
        let walked = house.consigne(&args);
        assert_eq!(walked.status.code(), Some(0), "{}", super::world::said(&walked));
    }
}

#[test]
fn the_same_cases_come_out_the_same() {
    let house = Rehearsals::new();
    let runbook = repository("runbooks/tenants/suspend.yaml");
    let run = |jobs: &str| {
        let output = house.consigne(&[
            "test",
            runbook.to_str().unwrap(),
            "--filter",
            "undo",
            "--json",
            "--jobs",
            jobs,
        ]);
        String::from_utf8(output.stdout).unwrap()
    };
    let first = run("1");
    assert!(first.lines().count() > 3 && first.contains(r#""passed":true"#), "{first}");
    assert_eq!(first, run("4"));
}

/// A runbook that is broken, and a case that sees it.
fn is_found(file: &str, sound: &str, broken: &str, seen_by: &str) {
    let house = Rehearsals::new();
    house.broken(file, sound, broken);
    let said = house.tests(&["runbooks"], 1);
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(failed.iter().any(|line| line.contains(seen_by)), "{said}");
}

#[test]
fn broken_runbooks_are_found_by_the_shipped_cases() {
    // The gate asks others.
    is_found("tenants/reactivate.yaml", "roles: [ops-lead]", "roles: [support]", "no is no");
    // A debt can be argued away.
    is_found(
        "tenants/reactivate.yaml",
        "        - expr: steps.written_off.owed == 0",
        "        - expr: steps.written_off.owed >= 0",
        "written off",
    );
    // What undoes it does something else.
    is_found("tenants/suspend.yaml", "          status: active\n", "          status: suspended\n", "undone");
    // What was there already is made again.
    is_found("tenants/create.yaml", "steps.known_tenants.same == 1 and", "false and", "exists just so");
}

#[test]
fn toggles_are_put_back_by_themselves_by_people_or_left_and_a_missing_put_back_is_found() {
    let house = Rehearsals::new();
    house.write("toggled.yaml", TOGGLED);
    house.write("toggled.test.yaml", TOGGLED_TESTS);
    house.tests(&["toggled.test.yaml"], 0);
    let start = TOGGLED.find("    put_back:").unwrap();
    let end = TOGGLED.find("  - {id: work").unwrap();
    house.write("toggled.yaml", &format!("{}{}", &TOGGLED[..start], &TOGGLED[end..]));
    let said = house.tests(&["toggled.yaml"], 1);
    assert_eq!(said.lines().filter(|line| line.starts_with("FAILED")).count(), 5, "{said}");
}

#[test]
fn a_wrong_expectation_fails_with_its_place_in_both_languages() {
    let house = Rehearsals::new();
    house.write("toggled.yaml", TOGGLED);
    let tests = "cases:\n  - name: wrong <all> over\n    expect:\n      path: [work, pause]\n      \
                 steps: {work: failed}\n      asked: [{step: work}]\n      requests:\n        \
                 - {step: work, argv: [work, softly]}\n        - {step: pause, part: do, absent: true}\n      \
                 ending: {status: failed, open: [x]}\n";
    house.write("toggled.test.yaml", tests);
    let said = house.tests(&["toggled.yaml", "--junit", "junit.xml"], 1);
    for wanted in [
        "FAILED  toggled.test.yaml: wrong <all> over",
        "toggled.test.yaml:4:20: the path is another one",
        "  expected: pause\n",
        "toggled.test.yaml:5:15: a step ended otherwise",
        "  expected: work: failed\n          found: work: succeeded ok",
        "toggled.test.yaml:6:15: that was not what was asked",
        "toggled.test.yaml:8:11: that was not what was sent",
        r#"expected: work ["work", "softly"]"#,
        r#""argv":["work","hard"]"#,
        "expected: 0 × pause (do)",
        "toggled.test.yaml:10:16: the run ended otherwise",
        "expected: status: failed\n          found: status: succeeded",
        "expected: open: [x]\n          found: open: []",
        "0 cases passed, 1 failed",
    ] {
        assert!(said.contains(wanted), "`{wanted}` is not in:\n{said}");
    }
    let xml = std::fs::read_to_string(house.path("junit.xml")).unwrap();
    assert_eq!(elements(&xml), ["testsuites", "testsuite", "testcase", "failure"]);
    assert!(xml.contains("name=\"wrong &lt;all&gt; over\""), "{xml}");
    let french = house.tests(&["toggled.yaml", "--lang", "fr"], 1);
    assert!(
        french.contains("ÉCHEC") && french.contains("attendu : pause") && french.contains("trouvé :"),
        "{french}"
    );
    let json = house.consigne(&["test", "toggled.yaml", "--json"]);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&value["passed"], &value["misses"][0]["line"]), (&false.into(), &4.into()));
}

#[test]
fn what_does_not_fit_the_runbook_is_said_with_its_place() {
    let house = Rehearsals::new();
    house.write("toggled.yaml", TOGGLED);
    let test = |text: &str, code: i32| {
        house.write("toggled.test.yaml", text);
        house.tests(&["toggled.yaml"], code)
    };
    let said = test("cases: [{name: x, expect: {path: [wrok]}}]\n", 1);
    assert!(
        said.contains("the runbook has no step `wrok`") && said.contains("did you mean `work`?"),
        "{said}"
    );
    assert!(said.contains("toggled.test.yaml:1:35"), "{said}");
    let said = test("cases: [{name: x, starter: bob, expect: {path: [work]}}]\n", 1);
    assert!(said.contains("knows nobody of the name `bob`"), "{said}");
    let said = test("cases: [{name: x, expct: {path: [work]}}]\n", 3);
    assert!(said.contains("unknown key `expct`") && said.contains("nothing was rehearsed"), "{said}");
    let said = test("scenario: not-there.yaml\ncases: [{name: x, expect: {path: [work]}}]\n", 3);
    assert!(said.contains("not-there.yaml"), "{said}");
    let said = test("cases: [{name: x, inputs: {n: 1}, expect: {path: [work]}}]\n", 1);
    assert!(said.contains("unknown-input"), "{said}");
    house.tests(&["toggled.yaml", "--filter", "y"], 2);
    house.write("alone.yaml", TOGGLED);
    assert!(house.tests(&["alone.yaml"], 2).contains("there is no alone.test.yaml"));
}

#[test]
fn what_could_not_be_otherwise_is_no_expectation() {
    let house = Rehearsals::new();
    let runbook = house
        .write("toggled.yaml", &format!("{TOGGLED}  - {{id: go, confirm: {{}}, message: \"Go on?\"}}\n"));
    let expecting = |expect: &str| {
        let text = format!("cases: [{{name: x, answers: {{go: yes}}, expect: {{{expect}}}}}]\n");
        house.write("toggled.test.yaml", &text);
        let output = house.consigne(&["test", runbook.to_str().unwrap()]);
        (output.status.code(), said(&output))
    };
    for (expect, why) in [
        ("steps: {work.undo: false}", "`work` has no `undo`"),
        ("steps: {pause.verify: false}", "`pause` has no `verify`"),
        ("path: [{work.put_back: done}]", "`work` has no `put_back`"),
        ("steps: {work.only_if: holds}", "`work` has no `only_if`"),
        ("requests: [{step: go, absent: true}]", "`go` makes no requests"),
        ("requests: [{step: work, part: undo, absent: true}]", "`work` makes no request for `undo`"),
        ("requests: [{step: pause, part: verify, times: 0}]", "`pause` makes no request for `verify`"),
        ("asked: [{step: go, kind: approve, absent: true}]", "`go` never asks for `approve`"),
        ("asked: [{step: work, kind: put_back, absent: true}]", "`work` never asks for `put_back`"),
        ("asked: [{step: go, by: [nobody]}]", "knows nobody of the name `nobody`"),
    ] {
        let (code, said) = expecting(expect);
        assert!(code != Some(0) && said.contains(why), "{expect}: {said}");
    }
    let (code, said) = expecting(
        "steps: {work: succeeded, pause.only_if: holds}, requests: [{step: pause, part: only_if}], asked: [{step: pause, kind: put_back, absent: true}, {step: go, kind: confirm, by: []}]",
    );
    assert_eq!(code, Some(0), "{said}");
}
