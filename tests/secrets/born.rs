//! Secrets that are born in a run: in the answer of a server, in what a program prints.
//!
//! Nothing of the run may hold them, from the answer that they came in to the end; they survive the death of the process
//! that saw them, and nothing of them is left when the run is over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::canary::{BORN, MINTED};
use super::house::{House, events, until};

const HEAD: &str = r#"consigne: v1
id: births
title: "Secrets that are born in the run"
secrets:
  env: {env: PLANTED}
  file: {file: file-secret}
  command: {command: [sh, ./print-secret]}
defaults:
  http: {base: "http://127.0.0.1:PORT"}
steps:
"#;

/// Two births, and a witness that began before them and prints what they gave.
const BIRTHS: &str = r#"
  - id: witness
    needs: []
    shell: |
      until [ -e used ]; do read -rt 0.05 <> <(:) || true; done
      for i in $(seq 30); do cat minted-forms; done; cat minted-forms >&2; cat born; exit 5
    effect: read
    on_failure: continue
    allowed: true
    outputs: {out: ".stdout"}
  - id: create
    needs: []
    http: {post: /born, bearer: env, json: {for: "x"}}
    outputs:
      key: {secret: .body.key}
      header: {secret: '.headers["x-api-key"]'}
      id: ".body.id"
      all: ".body | tostring | .[0:4000]"
      forms: ".body.forms"
      coded: ".body.key | @base64"
      headers: ".headers"
  - id: mint
    needs: []
    shell: |
      cat minted.json; for i in $(seq 30); do cat minted-forms >&2; done
      set -x; : "$(cat minted)"
    effect: write
    outputs:
      token: {secret: .json.token}
      line: {filter: .json.token, class: secret}
      rest: ".stdout | .[0:9000]"
      err: ".stderr | .[0:9000]"
"#;

const USES: &str = r#"
  - id: sent
    needs: [create, mint]
    http:
      post: /json
      bearer: steps.create.key
      headers: {X-Token: "a {{ steps.create.key }} b"}
      json: {key: "{{ steps.create.key }}", in: ["t {{ steps.mint.token }}"], id: "{{ steps.create.id }}"}
    effect: read
    on_failure: continue
    outputs: {heard: ".body.heard", head: ".body.head", id: ".body.heard.id"}
  - id: given
    needs: [create, mint]
    shell: |
      test "$K" = "$(cat born)"; test "$T" = "$(cat minted)"; test "$T" = "$L"; test "$K" = "$H"
      echo "$K $T"; cat minted-forms; printf '%s' "u:$K" | base64; printf '%s' "$T" | od -An -v -tx1 | tr -d ' \n'
    env:
      K: "{{ steps.create.key }}"
      H: "{{ steps.create.header }}"
      T: "{{ steps.mint.token }}"
      L: "{{ steps.mint.line }}"
    effect: read
    outputs: {out: ".stdout | .[0:9000]"}
  - id: told
    needs: [sent, given]
    shell: ": > used"
    effect: write
"#;

/// What keeps the run waiting, and a use in another process.
const LATER: &str = r#"
  - id: go
    needs: [told]
    confirm: {}
    message: "Go on with {{ steps.create.id }}?"
  - id: later
    needs: [go]
    shell: |
      test "$K" = "$(cat born)"; test "$T" = "$(cat minted)"; echo "$K"; cat minted-forms; : > later
    env: {K: "{{ steps.create.key }}", T: "{{ steps.mint.token }}"}
    effect: write
"#;

/// The files of sealed values and of their key.
fn sealed(house: &House, run: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
    (files(&house.run(run).join("sealed")), files(&house.home().join("sealing")))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[track_caller]
fn nothing_is_left(house: &House, run: &str) {
    assert_eq!(sealed(house, run), (Vec::new(), Vec::new()));
    assert!(!house.run(run).join("sealed").exists());
}

#[test]
fn rule_20_a_secret_that_is_born_stands_nowhere_and_is_used_by_name() {
    let house = House::new();
    house.write("births.yaml", &format!("{HEAD}{BIRTHS}{USES}{LATER}"));
    house.say(&["check", "births.yaml"], 0);
    let shown = house.say(&["plan", "births.yaml"], 0);
    assert!(shown.contains("<secret steps.create.key>") && shown.contains("sealed"), "{shown}");
    house.say(&["run", "births.yaml", "--unattended", "--run-id", "r"], 4);
    assert!(house.smell("while the run is parked") > 10);

    let (values, keys) = sealed(&house, "r");
    assert_eq!((values.len(), keys.len()), (5, 1), "four values and the name of their key: {values:?}");
    for path in values.iter().chain(&keys) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let journal = fs::read_to_string(house.run("r/events.jsonl")).unwrap();
    assert!(
        journal.contains(r#""sealed":["header","key"]"#) && journal.contains(r#""sealed":["line","token"]"#)
    );
    let open = house.say(&["report", "r", "--open"], 0);
    assert!(open.contains("key_7"), "what is no secret of the same answer is kept: {open}");
    for args in [&["show", "r"][..], &["show", "r", "--json"], &["list", "--json"], &["report", "r"]] {
        house.say(args, 0);
    }
    house.say(&["answer", "r", "go", "yes"], 4);
    house.say(&["resume", "r", "--unattended"], 0);
    assert!(house.books().join("later").exists(), "used by another process");
    house.smell("after the end");
    nothing_is_left(&house, "r");
    house.say(&["verify", "r"], 0);

    // What was given is of no use to another run: it is made again.
    fs::remove_file(house.books().join("used")).unwrap();
    house.say(&["rerun", "r", "--from", "given", "--unattended", "--run-id", "again"], 4);
    let journal = fs::read_to_string(house.run("again/events.jsonl")).unwrap();
    assert!(
        journal.contains(r#""sealed":["header","key"]"#) && !journal.contains("step.imported"),
        "{journal}"
    );
    house.say(&["cancel", "again", "--comment", "enough"], 1);
    nothing_is_left(&house, "again");
    house.smell("after a rerun was cancelled");
}

#[test]
fn rule_20_a_secret_that_is_born_survives_the_death_of_its_process() {
    let house = House::new();
    let last = "  - id: hold\n    needs: [create, mint]\n    argv: [bash, hold.sh]\n    effect: read\n";
    let later = LATER.replace("needs: [told]", "needs: [hold]");
    let births = BIRTHS.replace("until [ -e used ]", "until [ -e holding ]");
    house.write("births.yaml", &format!("{HEAD}{births}{last}{later}"));
    house.write("hold.sh", ": > holding; while [ ! -e go-on ]; do sleep 0.05; done");
    let log = fs::File::create(house.books().join("log")).unwrap();
    let mut command = house.command(&["run", "births.yaml", "--unattended", "--run-id", "r"]);
    command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
    let mut killed = command.spawn().unwrap();
    until("both secrets are born", || house.books().join("holding").exists());
    until("the witness has spoken", || events(&house.run("r"), "attempt.finished") >= 3);
    house.smell_command_lines();
    killed.kill().unwrap();
    killed.wait().unwrap();
    house.smell("after kill -9");
    house.clean("what it had said", &fs::read(house.books().join("log")).unwrap());
    let (values, keys) = sealed(&house, "r");
    assert_eq!((values.len(), keys.len()), (5, 1));

    house.write("go-on", "");
    house.say(&["resume", "r", "--unattended"], 4);
    house.say(&["answer", "r", "go", "yes"], 4);
    // As a process leaves it that dies after the last entry and before it has erased.
    let kept: Vec<(PathBuf, Vec<u8>)> =
        values.iter().chain(&keys).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    house.say(&["resume", "r", "--unattended"], 0);
    nothing_is_left(&house, "r");
    fs::create_dir(house.run("r/sealed")).unwrap();
    kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    house.say(&["resume", "r", "--unattended"], 0);
    nothing_is_left(&house, "r");
    house.smell("after the end");
    house.say(&["verify", "r"], 0);
}

#[test]
fn rule_20_a_birth_that_is_not_understood_leaves_nothing_of_the_answer() {
    let house = House::new();
    let short = "aBc1234";
    let steps = r#"
  - id: error
    needs: []
    http: {post: /born-error, bearer: env}
    effect: read
    outputs: {key: {secret: .body.key}}
    on_failure: continue
  - id: text
    needs: []
    http: {get: /born-text, bearer: env}
    outputs: {key: {secret: .body.key}, all: ".body"}
    on_failure: continue
  - id: refused
    needs: []
    http: {post: /refused, bearer: env}
    outputs: {key: {secret: .body.key}}
    on_failure: continue
  - id: empty
    needs: []
    http: {get: /json, bearer: env}
    outputs: {key: {secret: .body.nothing}}
    on_failure: continue
  - id: prose
    needs: []
    shell: "echo token: $(cat minted); cat minted-forms >&2"
    effect: read
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: fails
    needs: []
    shell: "cat minted-forms; cat minted >&2; exit 3"
    effect: read
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: slow
    needs: []
    shell: "cat minted; cat minted-forms >&2; sleep 60"
    effect: read
    timeout: 700ms
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: dies
    needs: []
    shell: "cat minted; cat minted-forms >&2; kill -KILL $$"
    effect: read
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: large
    needs: []
    shell: "for i in $(seq 8000); do cat minted-forms; done"
    effect: read
    outputs: {token: {secret: .stdout}}
    on_failure: continue
  - id: binary
    needs: []
    shell: "printf '{\"token\":\"%s\\377\"}' \"$(cat minted)\""
    effect: read
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: short
    needs: []
    shell: "echo '{\"token\": \"SHORT\"}'; echo SHORT >&2"
    effect: read
    outputs: {token: {secret: .json.token}}
    on_failure: continue
  - id: two
    needs: []
    shell: "cat minted.json; cat minted-forms >&2"
    effect: read
    outputs: {token: {secret: .json.token}, other: {secret: .json.other}}
    on_failure: continue
"#;
    house.write("births.yaml", &format!("{HEAD}{steps}").replace("SHORT", short));
    house.say(&["check", "births.yaml"], 0);
    let said = house.say(&["run", "births.yaml", "--unattended", "--run-id", "r"], 1);
    house.smell("after the end");
    nothing_is_left(&house, "r");
    let open = house.say(&["report", "r", "--open"], 0);
    let runbook = fs::read_to_string(house.run("r/plan/runbook.yaml")).unwrap();
    assert!(runbook.contains(short), "it stands in the script of this test, and nowhere else");
    for text in [&said, &open] {
        assert!(!text.contains(&format!("{short}\n")), "{text}");
    }
    let told = fs::read_to_string(house.run("r/disclosures.jsonl")).unwrap();
    let told = opened(&told);
    assert!(
        told.contains("secret output `token`: it is shorter than 8 bytes and could not be masked"),
        "{told}"
    );
    assert!(told.contains("secret output `key`: the filter gives null"), "{told}");
    assert!(told.contains("(not kept: it may hold a secret that could not be taken from it)"));
    assert!(told.contains("the name is taken"), "a refusal made nothing, and is kept: {told}");
    house.say(&["verify", "r"], 0);
}

/// The values of all disclosures.
fn opened(text: &str) -> String {
    use base64::Engine;
    let decode = |line: &str| {
        let line = line.trim_matches('"');
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(line).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    text.lines().map(decode).collect::<Vec<_>>().join("\n")
}

#[test]
fn rule_20_nobody_gives_a_secret_in_place_of_its_step() {
    let house = House::new();
    let steps = r#"
  - id: mint
    shell: "cat minted-forms; exit 3"
    effect: write
    outputs: {token: {secret: .json.token}}
  - id: use
    shell: "test \"$T\" = \"$(cat minted)\"; : > used"
    env: {T: "{{ steps.mint.token }}"}
    effect: write
"#;
    house.write("births.yaml", &format!("{HEAD}{steps}"));
    let mut screen = super::typed::Screen::open(&house, &["run", "births.yaml", "--run-id", "r"]);
    // What leads nowhere is not offered.
    screen.sees("mint (retry/end) > ");
    screen.leave();
    house.clean("the screen", &screen.ends());
    for word in ["by_hand", "skip", "set_output"] {
        let value = format!(r#"{{"choice": "{word}", "outputs": {{"token": "{word}-token"}}}}"#);
        let said = house.say(&["answer", "r", "mint", &value, "--comment", "made by hand"], 2);
        assert!(said.contains("only this step itself can give"), "{said}");
    }
    assert!(!fs::read_to_string(house.run("r/disclosures.jsonl")).unwrap().contains("token-"));
    // A script that is mended gives it after all.
    house.write("minted-forms", &fs::read_to_string(house.books().join("minted.json")).unwrap());
    house.say(&["cancel", "r", "--comment", "enough"], 1);
    house.smell("after the end");
    nothing_is_left(&house, "r");
}

#[test]
fn rule_20_what_is_lost_with_its_key_is_said_and_never_guessed() {
    let house = House::new();
    house.write("births.yaml", &format!("{HEAD}{BIRTHS}{USES}{LATER}"));
    house.say(&["run", "births.yaml", "--unattended", "--run-id", "r"], 4);
    let (_, keys) = sealed(&house, "r");
    fs::remove_file(&keys[0]).unwrap();
    house.say(&["answer", "r", "go", "yes"], 4);
    house.say(&["resume", "r", "--unattended"], 1);
    assert!(!house.books().join("later").exists());
    let told = opened(&fs::read_to_string(house.run("r/disclosures.jsonl")).unwrap());
    let why =
        "secret `steps.create.key` cannot be used: the key of the sealed secrets of this run is not there";
    assert!(told.contains(why), "{told}");
    house.smell("after the end");
    nothing_is_left(&house, "r");
}

#[test]
fn the_canaries_are_what_the_files_hold() {
    let house = House::new();
    for (name, canary) in [("born", BORN), ("minted", MINTED)] {
        assert_eq!(fs::read_to_string(house.books().join(name)).unwrap(), canary);
    }
}

#[test]
fn rule_20_each_item_of_a_list_has_a_secret_of_its_own() {
    let house = House::new();
    let steps = r#"
  - id: each
    for_each: {items: '["born", "minted"]', as: file, key: file, max_targets: 2}
    group:
      steps:
        - id: mint
          shell: 'cat "$FILE"; base64 < "$FILE" >&2'
          env: {FILE: "{{ file }}"}
          effect: write
          outputs: {token: {secret: .stdout}}
        - id: use
          shell: 'printf "%s" "$TOKEN" | cmp - "$FILE"; echo "$TOKEN"'
          env: {FILE: "{{ file }}", TOKEN: "{{ steps.mint.token }}"}
          effect: read
  - id: go
    confirm: {}
    message: "Go on?"
"#;
    house.write("births.yaml", &format!("{HEAD}{steps}"));
    house.say(&["check", "births.yaml"], 0);
    house.say(&["run", "births.yaml", "--unattended", "--run-id", "r"], 4);
    house.smell("while the run is parked");
    assert_eq!(sealed(&house, "r").0.len(), 3, "two values and the name of their key");
    house.say(&["cancel", "r", "--comment", "enough"], 1);
    nothing_is_left(&house, "r");
}
