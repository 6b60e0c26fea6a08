//! Fixtures that were recorded: HTTP exchanges as HAR and back, without secrets; and what of them is not so any more.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::outside::{BORN, COOKIE, Outside};
use crate::world::{Rehearsals, files, said};

const CANARY: &str = "canary-of-the-house-7";

/// Secrets in every place of a request that one can be in, those that a server makes, and a call that nobody answers.
fn secretive(base: &str) -> String {
    format!(
        r#"consigne: v1
id: secretive
title: "Secretive"
secrets: {{key: {{env: HOUSE_KEY}}}}
steps:
  - id: ask
    http:
      post: "{base}/echo"
      bearer: key
      headers: {{X-Signed: "v1 {{{{ secrets.key }}}}", Cookie: "plain-cookie-in-the-runbook"}}
      query: {{access_token: plain-token, sig: plain-signature, page: "2"}}
      json: {{login: {{name: bob, password: plain-in-the-body}}, note: "it is {{{{ secrets.key }}}}"}}
    effect: write
    outputs: {{page: '.headers["x-page"]'}}
  - id: make
    http: {{post: "{base}/born"}}
    effect: write
    outputs: {{id: ".body.id", key: {{filter: ".body.key", class: secret}}}}
  - id: use
    http: {{get: "{base}/state", headers: {{X-Born: "{{{{ steps.make.key }}}}"}}}}
  - id: large
    http: {{get: "{base}/large"}}
    expect: {{that: ".body.items | length == 1000"}}
  - id: paged
    assert: {{that: [{{expr: "steps.ask.page == '2'", message: "No page"}}, {{expr: "steps.make.id == 7", message: "No id"}}]}}
  - id: dark
    http: {{get: "http://127.0.0.1:9/"}}
    retry: {{max_attempts: 2, delay: 10ms}}
    on_failure: continue
    allowed: true
"#
    )
}

impl Rehearsals {
    /// With runs of its own.
    fn at_home(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_consigne"));
        command.env("CONSIGNE_HOME", self.path("home")).env("HOUSE_KEY", CANARY).args(args).output().unwrap()
    }

    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.at_home(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}", said(&output));
        said(&output)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }
}

/// The exchange that was recorded for a step.
fn entry<'h>(har: &'h Value, step: &str) -> &'h Value {
    let entries = har["log"]["entries"].as_array().unwrap();
    entries.iter().find(|entry| entry["_consigne"]["step"] == step).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_run_becomes_a_har_file_without_secrets_and_a_rehearsal_with_its_answers() {
    let (world, outside) = (Rehearsals::new(), Outside::new());
    world.write("secretive.yaml", &secretive(&outside.base));
    let record =
        ["run", "secretive.yaml", "--unattended", "--run-id", "real", "--record", "r.har", "--held-back"];
    let text = world.ends(0, &record);
    assert!(text.contains("recorded: r.har (6 HTTP exchanges)"), "{text}");

    // Neither what was declared nor what has the name of a secret is anywhere, in the file or in the run.
    let written = files(&world.path("home"));
    let written =
        written.iter().map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned()));
    let har_text = std::fs::read_to_string(world.path("r.har")).unwrap();
    // What is held back is coded in the files.
    let opened = world.ends(0, &["report", "real", "--open"]);
    assert!(opened.contains("x-page: 2"), "{opened}");
    for (name, text) in written.chain([("r.har".to_owned(), har_text.clone()), ("opened".to_owned(), opened)])
    {
        for secret in [CANARY, COOKIE, BORN] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
    for plain in [
        "plain-cookie-in-the-runbook",
        "plain-signature",
        "plain-token",
        "plain-in-the-body",
        "plain-in-the-answer",
    ] {
        assert!(!har_text.contains(plain), "{plain}");
    }
    assert_eq!(mode(&world.path("r.har")), 0o600);

    // It is what the format asks for.
    let har = world.json("r.har");
    assert_eq!(har["log"]["version"], "1.2");
    let ask = entry(&har, "ask");
    assert_eq!(ask["request"]["method"], "POST");
    assert_eq!(ask["request"]["url"], format!("{}/echo?access_token=***&sig=***&page=2", outside.base));
    assert_eq!(ask["request"]["queryString"][0], json!({"name": "access_token", "value": "***"}));
    let headers = ask["request"]["headers"].as_array().unwrap();
    for header in [("X-Signed", "v1 ***"), ("Cookie", "***"), ("authorization", "Bearer ***")] {
        assert!(headers.contains(&json!({"name": header.0, "value": header.1})), "{header:?} {headers:?}");
    }
    let sent: Value = serde_json::from_str(ask["request"]["postData"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(sent, json!({"login": {"name": "bob", "password": "***"}, "note": "it is ***"}));
    let response = &ask["response"];
    let headers = response["headers"].as_array().unwrap();
    assert!(headers.contains(&json!({"name": "set-cookie", "value": "***"})), "{headers:?}");
    assert_eq!(
        (&response["status"], &response["content"]["mimeType"]),
        (&json!(200), &json!("application/json"))
    );
    let born: Value =
        serde_json::from_str(entry(&har, "make")["response"]["content"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(born, json!({"key": "***", "id": 7}));
    let large = entry(&har, "large")["response"]["content"]["text"].as_str().unwrap();
    assert!(
        large.len() > 60_000 && serde_json::from_str::<Value>(large).is_ok(),
        "all of it, from beside the journal"
    );
    assert_eq!(entry(&har, "dark")["response"]["_error"], "connect");
    for entry in har["log"]["entries"].as_array().unwrap() {
        for key in ["startedDateTime", "time", "request", "response", "cache", "timings"] {
            assert!(!entry[key].is_null(), "{key}");
        }
    }
    assert_eq!(world.ends(0, &["show", "real", "--har"]), har_text);

    // And a rehearsal takes the same course with it, beside the runbook.
    std::fs::copy(world.path("r.har"), world.path("secretive.fixture.har")).unwrap();
    let text = world.ends(0, &["rehearse", "secretive.yaml", "--no-past", "--out", "out"]);
    assert!(text.contains("by origin: 6 fixture\n") && !text.contains("made up"), "{text}");
    assert!(!text.contains("drifting") && !text.contains("never asked for"), "{text}");
    let course = |dir: &Path| {
        let ended = crate::world::events(dir).into_iter().filter(|event| event["type"] == "attempt.finished");
        ended
            .map(|event| ["result", "reason", "code", "class"].map(|key| event["data"][key].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(course(&world.path("home/runs/real")), course(&world.path("out")));
    for (name, bytes) in files(&world.path("out")) {
        assert!(!String::from_utf8_lossy(&bytes).contains(CANARY), "{name}");
    }
}

const THREE: &str = r#"consigne: v1
id: three
title: "Three"
steps:
  - id: one
    http: {get: "https://api.example/items?page=1&size=9"}
    outputs: {n: {filter: ".body.n", class: public}}
  - id: two
    http: {get: "https://api.example/items?size=9&page=1"}
    outputs: {n: {filter: ".body.n", class: public}}
  - id: three
    http: {get: "https://api.example/items", query: {size: "9", page: "1"}}
    outputs: {n: {filter: ".body.n", class: public}}
  - id: other
    http: {put: "https://api.example/items/4", json: {on: true}}
    outputs: {n: {filter: ".headers.location", class: public}}
"#;

/// Files of a browser know nothing of steps.
fn foreign(host: &str) -> Value {
    let entry = |method: &str, path: &str, response: Value| {
        json!({"startedDateTime": "2026-01-05T09:00:00Z", "time": 12.5, "_priority": "High", "cache": {},
               "request": {"method": method, "url": format!("{host}{path}"), "headers": []}, "response": response})
    };
    let json = |n: i64| json!({"status": 200, "headers": [], "content": {"mimeType": "application/json", "text": json!({"n": n}).to_string()}});
    let coded = json!({"status": 201, "headers": [{"name": "Location", "value": "/items/5"}],
                       "content": {"text": "e30=", "encoding": "base64"}});
    json!({"log": {"version": "1.2", "creator": {"name": "a browser", "version": "1"}, "pages": [], "entries": [
        entry("GET", "/items?page=1&size=9", json(1)), entry("GET", "/style.css", json(0)),
        entry("GET", "/items?page=1&size=9", json(2)), entry("PUT", "/items/4", coded)]}})
}

#[test]
fn exchanges_of_others_are_given_by_method_and_address_in_their_order() {
    let world = Rehearsals::new();
    let runbook = world.write("three.yaml", THREE);
    // The second host is one that the file does not know: then it does not count.
    for (out, host) in [("same", "https://api.example"), ("other", "http://127.0.0.1:8080")] {
        world.write("browser.har", &foreign(host).to_string());
        let made = world.rehearse(out, &runbook, &["--fixture", "browser.har"], 0);
        let n = |step: &str| made.of("attempt.finished", step)[0]["data"]["outputs"]["n"].clone();
        assert_eq!([n("one"), n("two"), n("three")], ["1", "2", "2"], "{}", made.said);
        assert_eq!(n("other"), "\"/items/5\"");
        made.says("by origin: 4 fixture");
        made.says("given and never asked for: GET /style.css");
    }
    let mut mixed = foreign("http://elsewhere.example");
    let entries = mixed["log"]["entries"].as_array_mut().unwrap();
    entries.push(foreign("https://api.example")["log"]["entries"][1].clone());
    world.write("browser.har", &mixed.to_string());
    let made = world.rehearse("mixed", &runbook, &["--fixture", "browser.har"], 0);
    made.says("by origin: 4 placeholder");
}

#[test]
fn a_har_file_that_is_none_is_refused_with_its_place() {
    let world = Rehearsals::new();
    world.write("three.yaml", THREE);
    let mut wrong = foreign("https://api.example");
    wrong["log"]["entries"][2]["response"]["status"] = json!("two hundred");
    for (text, says) in [
        ("{\"log\": [\n".to_owned(), "line 2, column 1"),
        (format!("{wrong:#}"), "expected a whole number"),
        ("\u{0}".repeat(10), "line 1, column 1"),
        (String::new(), "line 1, column 1"),
        (r#"{"log": {"entries": [{"request": {"method": "GET", "url": "u"}, "response": {"status": 7}}]}}"#.to_owned(), "no HTTP status"),
    ] {
        world.write("three.fixture.har", &text);
        let text = world.ends(3, &["rehearse", "three.yaml", "--out", "out"]);
        assert!(text.contains("three.fixture.har") && text.contains(says), "{says}: {text}");
        assert!(!text.contains("two hundred"), "{text}");
        assert!(!world.path("out").exists(), "nothing is begun");
    }
}

const STATE: &str = r#"consigne: v1
id: looks
title: "Looks"
vars: {base: "@"}
steps:
  - id: look
    http: {get: "{{ vars.base }}/state", headers: {X-A: "1"}}
    retry: {max_attempts: 1}
    on_failure: continue
    allowed: true
    outputs: {id: {filter: ".body.id", class: public}}
  - id: count
    argv: ["printf", "%s", "{\"n\": 1}"]
    effect: read
    outputs: {n: {filter: ".json.n", class: public}}
"#;

#[test]
fn what_is_not_so_any_more_is_said_everywhere_and_decides_where_that_is_asked_for() {
    let (world, outside) = (Rehearsals::new(), Outside::new());
    let state = STATE.replace('@', &outside.base);
    world.write("looks.yaml", &state);
    world.write(
        "looks.test.yaml",
        "cases: [{name: it looks, expect: {path: [look, count], ending: {status: succeeded}}}]\n",
    );
    let run = |id: &str| world.ends(0, &["run", "looks.yaml", "--unattended", "--run-id", id]);
    let _real = run("first");
    let record = ["--record", "looks.fixture.har", "--record", "looks.fixture.yaml", "--held-back"];
    let text = world.ends(0, &[&["rehearse", "looks.yaml", "--out", "o1"][..], &record].concat());
    assert!(text.contains("by origin: 2 fixture") && !text.contains("drifting"), "{text}");
    let fixture = std::fs::read_to_string(world.path("looks.fixture.yaml")).unwrap();
    assert!(!fixture.contains("\"look\""), "what one file has, the other has not: {fixture}");
    let listed = |code: i32| world.ends(code, &["check", ".", "--fixtures"]);
    assert!(listed(0).contains("2 fixtures, as they were"), "{}", listed(0));
    world.ends(0, &["test", "looks.yaml", "--strict-fixtures"]);

    // A newer run is answered in another shape, then otherwise. Other values are no difference.
    outside.says(200, r#"{"id": "y", "n": 2}"#);
    let _real = run("second");
    assert!(!listed(0).contains("drifting"));
    outside.says(200, r#"{"id": "y", "n": "2", "more": 1}"#);
    let _real = run("third");
    let shape = "looks.fixture.har: look: run third was answered in another shape: `.body.n` was number and is string, `.body.more` is new";
    assert!(listed(1).contains(shape), "{}", listed(1));
    outside.says(503, "{}");
    let _real = run("fourth");
    let ended = "drifting: looks.fixture.har: look: it gives status 200, run fourth was answered status 503";
    assert!(listed(1).contains(ended), "{}", listed(1));
    let text = world.ends(0, &["rehearse", "looks.yaml", "--out", "o2", "--lang", "en"]);
    assert!(text.contains(ended), "{text}");
    let note = "look: it gives status 200, run fourth was answered status 503";
    assert!(world.ends(0, &["report", "o2", "--open"]).contains(note), "it stands in the record");
    // Tests ask no run: the same files come out the same.
    world.ends(0, &["test", "looks.yaml", "--strict-fixtures"]);

    // The runbook asks for something else, and has one step less.
    let headers = state.replace("X-A: \"1\"", "X-A: \"2\"");
    world.write("looks.yaml", &headers);
    let text = world.ends(1, &["test", "looks.yaml", "--strict-fixtures"]);
    assert!(
        text.contains(
            "look: its request has changed since (not its address or program): GET {{ vars.base }}/state"
        ),
        "{text}"
    );
    world.write("looks.yaml", &state.replace("/state\"", "/status\"").replace("id: count", "id: sum"));
    let text = world.ends(0, &["rehearse", "looks.yaml", "--no-past", "--json", "--out", "o3"]);
    let told: Value = text.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let drifting: Vec<(&str, &str)> = told["rehearsal"]["drifting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str().unwrap(), one["because"].as_str().unwrap()))
        .collect();
    assert_eq!(
        drifting,
        [
            ("gone", "the runbook has no such step any more"),
            (
                "request",
                "it asked for GET {{ vars.base }}/state, and now asks for GET {{ vars.base }}/status"
            ),
        ]
    );
    let french = world.ends(0, &["rehearse", "looks.yaml", "--no-past", "--out", "o4", "--lang", "fr"]);
    assert!(
        french
            .contains("enregistrement à revoir: looks.fixture.yaml: count: le runbook n'a plus cette étape"),
        "{french}"
    );
    world.write("looks.test.yaml", "cases: [{name: it looks, expect: {path: [look, sum]}}]\n");
    let text = world.ends(0, &["test", "looks.yaml"]);
    assert!(text.contains("1 cases passed") && text.contains("drifting:"), "a warning: {text}");
    assert!(listed(1).contains("missing: sum"), "{}", listed(1));
}

#[test]
fn age_is_said_and_stands_in_no_record() {
    let world = Rehearsals::new();
    let runbook = world.write("three.yaml", THREE);
    let old = "recorded: {run: long-ago, at: 2020-01-01T00:00:00Z}\nsteps:\n  one: {outputs: {n: 1}}\n";
    let made = |name: &str, fixture: &str| {
        world.write("three.fixture.yaml", fixture);
        world.rehearse(name, &runbook, &[], 0)
    };
    let (aged, fresh) = (made("aged", old), made("fresh", &old.replace("2020", "2100")));
    aged.says("drifting: three.fixture.yaml: recorded ");
    assert!(!fresh.said.contains("drifting"), "{}", fresh.said);
    // What was frozen has another date in it; beside that, and the chain over it, they are the same on every day.
    let lines = |dir: &Path| -> Vec<Value> {
        let journal = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
        let mut lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &mut lines {
            line["prev"].take();
        }
        assert!(lines[0]["events"][0]["data"]["plan"].take().is_object());
        lines
    };
    assert_eq!(lines(&aged.dir), lines(&fresh.dir));
    world.write("three.fixture.yaml", old);
    assert!(world.ends(1, &["check", "three.yaml", "--fixtures"]).contains("recorded "));
    world.ends(0, &["check", "three.yaml", "--fixtures", "--max-age", "100000"]);
}

#[test]
fn what_cannot_be_recorded_is_refused_before_anything_is_done() {
    let (world, outside) = (Rehearsals::new(), Outside::new());
    world.write("looks.yaml", &STATE.replace('@', &outside.base));
    world.write("there.har", "mine");
    let run = ["run", "looks.yaml", "--unattended", "--record"];
    let text = world.ends(2, &[&run[..], &["there.har", "--held-back"]].concat());
    assert!(text.contains("there.har exists already"), "{text}");
    let text = world.ends(2, &[&run[..], &["new.har"]].concat());
    assert!(text.contains("--held-back"), "{text}");
    assert!(!world.path("home/runs").exists() && !world.path("new.har").exists(), "nothing was done");
    assert_eq!(std::fs::read_to_string(world.path("there.har")).unwrap(), "mine");
    let text = world.ends(2, &["rehearse", "looks.yaml", "--record", "new.har", "--held-back", "--out", "o"]);
    assert!(text.contains("no finished run"), "{text}");
    // A slip in a fixture that somebody wrote is no drift.
    world.write("looks.fixture.yaml", "steps: {lok: {status: 200}}\n");
    let text = world.ends(3, &["rehearse", "looks.yaml", "--out", "o"]);
    assert!(text.contains("did you mean `look`"), "{text}");
}

#[test]
fn editors_know_scenarios_fixtures_and_tests_and_the_shipped_ones_conform() {
    let world = Rehearsals::new();
    for (option, name, ending) in
        [("--scenarios", "scenario", "fixture.yaml"), ("--tests", "tests", "test.yaml")]
    {
        let path = crate::world::repository(&format!("docs/{name}.schema.json"));
        let printed: Value = serde_json::from_str(&world.ends(0, &["schema", option])).unwrap();
        if std::env::var_os("CONSIGNE_UPDATE").is_some() {
            std::fs::write(&path, format!("{printed:#}\n")).unwrap();
        }
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(kept, printed, "CONSIGNE_UPDATE=1 writes docs/{name}.schema.json anew");
        let validator = jsonschema::validator_for(&printed).unwrap();
        for runbook in crate::world::SHIPPED {
            let file = crate::world::shipped(runbook).with_extension(ending);
            let text = std::fs::read_to_string(&file).unwrap();
            let header = format!("# yaml-language-server: $schema=../../docs/{name}.schema.json\n");
            assert!(text.starts_with(&header), "{}", file.display());
            let value: Value = serde_saphyr::from_str(&text).unwrap();
            let found: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(found.is_empty(), "{}: {found:?}", file.display());
        }
        for wrong in [json!({"stepz": {}}), json!({"steps": {"a": {"stat": 1}}}), json!({"cases": [{}]})] {
            assert!(!validator.is_valid(&wrong), "{name}: {wrong}");
        }
    }
}
