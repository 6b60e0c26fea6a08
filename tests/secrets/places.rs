//! Runs that do everything careless that a run can do with a secret.

use std::process::Stdio;

use super::canary::{COMMAND, ENV, FILE};
use super::house::{House, events, until};

const HEAD: &str = r#"consigne: v1
id: careless
title: "Careless with secrets"
secrets:
  env: {env: PLANTED}
  file: {file: file-secret}
  command: {command: [sh, ./print-secret]}
defaults:
  http: {base: "http://127.0.0.1:PORT"}
steps:
"#;

/// Every way to hand a secret to a server, and every way of the server to hand it back.
const CALLS: &str = r#"
  - id: json
    needs: []
    http:
      post: /json
      bearer: env
      headers: {X-Token: "a {{ secrets.env }} b"}
      json: {whole: "{{ secrets.file }}", part: "p {{ secrets.command }} s", both: ["{{ secrets.env }}"]}
    effect: read
    on_failure: continue
    outputs:
      body: ".body.body"
      forms: ".body.forms"
      again: '.body.heard.whole | @base64 | ., @uri, @json, explode'
      text: ".body | tostring | .[0:4000]"
      joined: '[.body.forms[0] | explode[]] | map([.] | implode) | join("")'
      heard: ".headers"
  - id: basic
    needs: []
    http: {get: /json, basic: {user: "us", secret: command}}
    effect: read
    on_failure: continue
    outputs: {head: ".body.head"}
  - id: header
    needs: []
    http: {get: /error, header: {name: X-Key, secret: env}}
    effect: read
    on_failure: continue
  - id: text
    needs: []
    http: {get: /text, bearer: command}
    effect: read
    on_failure: continue
  - id: away
    needs: []
    http: {get: /away, bearer: env}
    effect: read
    on_failure: continue
  - id: cut
    needs: []
    http: {get: /cut, bearer: env}
    effect: read
    on_failure: continue
  - id: garbage
    needs: []
    http: {get: /garbage, bearer: env}
    effect: read
    on_failure: continue
  - id: hang
    needs: []
    http: {get: /hang, bearer: env}
    timeout: 700ms
    effect: read
    on_failure: continue
  - id: long
    needs: []
    http: {get: /long, bearer: env}
    effect: read
    on_failure: continue
  - id: tls
    needs: []
    http: {get: "https://127.0.0.1:PORT/json", bearer: env}
    effect: read
    on_failure: continue
  - id: nobody
    needs: []
    http: {get: "http://127.0.0.1:1/json", bearer: env, json: {a: "{{ secrets.file }}"}}
    effect: read
    on_failure: continue
  - id: nowhere
    needs: []
    http: {get: "http://no.such.host.invalid/json", header: {name: X-Key, secret: env}}
    effect: read
    on_failure: continue
  - id: line_break
    needs: []
    http: {get: /json, header: {name: X-Key, secret: file}}
    effect: read
    on_failure: continue
  - id: schema
    needs: []
    http: {get: /json, bearer: env}
    effect: read
    on_failure: continue
    expect: {schema: {properties: {message: {const: "x"}, forms: {maxItems: 1}}}, that: '.body.forms | error'}
"#;

/// What scripts do with what they know.
const SCRIPTS: &str = r#"
  - id: plain
    needs: []
    shell: |
      echo "$A"; echo "$B" >&2; printf '%s' "$C" "$A"; cat forms; cat forms >&2; env; cat /proc/self/environ
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}", C: "{{ secrets.command }}"}
    effect: read
    on_failure: continue
    outputs: {out: ".stdout | .[0:9000]", err: ".stderr | .[0:9000]", pieces: '.stdout | .[0:6000] | split(" ") | map(@base64)'}
  - id: coded
    needs: []
    shell: |
      for s in "$A" "$B" "$C"; do
        for f in '' - -- ---; do
          printf '%s%s' "$f" "$s" | base64; printf '%s%s' "$f" "$s" | base64 -w0; echo
          printf '%s%s' "$f" "$s" | base64 -w0 | tr '+/' '-_'; echo
        done
        printf '%s' "$s" | od -An -v -tx1; printf '%s' "$s" | od -An -v -tx1 | tr -d ' \n'; echo
      done
      exit 3
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}", C: "{{ secrets.command }}"}
    effect: read
    on_failure: continue
  - id: bytes
    needs: []
    shell: |
      LC_ALL=C
      for s in "$A" "$B" "$C"; do
        for ((i = 0; i < ${#s}; i++)); do printf '%s' "${s:i:1}"; printf '%s' "${s:i:1}" >&2; done
        echo; echo >&2
      done
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}", C: "{{ secrets.command }}"}
    effect: read
    on_failure: continue
  - id: traced
    needs: []
    shell: |
      set -x
      : "$A" "$B" "$C"
      X=$A; declare -p X A B C; printf '%q\n' "$A" "$B" "$C"; echo "${A@Q} ${B@Q} ${C@Q}"
      LC_ALL=C; : "$A" "$B"; printf '%q\n' "$A" "$B"
      exit 4
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}", C: "{{ secrets.command }}"}
    effect: read
    on_failure: continue
  - id: ended
    needs: []
    shell: |
      echo "$A"; echo "$A" >&2; printf '%s' "$B"; sleep 60
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}"}
    effect: read
    on_failure: continue
    timeout: 700ms
  - id: half
    needs: []
    shell: |
      printf '%s' "${A:0:26}"; printf '%s' "${B:0:40}" >&2; kill -KILL $$
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}"}
    effect: read
    on_failure: continue
  - id: flood
    needs: []
    shell: |
      for i in $(seq 60); do echo "$A$B"; cat forms; cat forms >&2; done
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}"}
    effect: read
    on_failure: continue
    outputs: {some: ".stdout | .[0:3000]", all: ".stdout | length"}
  - id: missing
    needs: []
    argv: ["./no-such-program"]
    env: {A: "{{ secrets.env }}"}
    effect: read
    on_failure: continue
"#;

/// What keeps the run waiting, and something that happens in another process.
const LATER: &str = r#"
  - id: go
    needs: [json]
    confirm: {}
    message: "Go on after {{ steps.json.text }}?"
  - id: later
    needs: [go]
    shell: |
      echo "$A"; cat forms; printf '%s' "$B" | base64; exit 6
    env: {A: "{{ secrets.env }}", B: "{{ secrets.file }}"}
    effect: read
    on_failure: continue
"#;

#[test]
fn a_careless_run_leaves_no_trace() {
    let house = House::new();
    house.write("careless.yaml", &format!("{HEAD}{CALLS}{SCRIPTS}{LATER}"));
    house.say(&["check", "careless.yaml"], 0);
    house.say(&["run", "careless.yaml", "--unattended", "--run-id", "r"], 4);
    let files = house.smell("while the run is parked");
    assert!(files > 10 && house.run("r/wal.jsonl").exists() && house.run("r/blobs").exists());
    let journal = std::fs::read_to_string(house.run("r/disclosures.jsonl")).unwrap();
    assert!(journal.lines().count() > 60, "the run kept what it saw");
    for args in [
        &["show", "r"][..],
        &["show", "r", "--json"],
        &["list"],
        &["list", "--json"],
        &["report", "r"],
        &["report", "r", "--open"],
    ] {
        house.say(args, 0);
    }
    house.say(&["verify", "r"], 4);
    // Nothing may depend on the process that first saw it.
    house.say(&["answer", "r", "go", "yes", "--comment", "looked at it"], 4);
    house.say(&["resume", "r", "--unattended"], 1);
    house.smell("after a resume");
    house.say(&["report", "r", "--open", "--verified"], 0);
    assert!(house.smell("after the end") > 10);
    house.say(&["verify", "r"], 0);
}

#[test]
fn a_run_that_is_killed_leaves_no_trace() {
    let house = House::new();
    let last = "  - id: last\n    needs: [plain, bytes]\n    shell: |\n      echo \"$A\"; sleep 60\n    env: {A: \"{{ secrets.env }}\"}\n    effect: read\n";
    house.write("careless.yaml", &format!("{HEAD}{SCRIPTS}{last}"));
    let log = std::fs::File::create(house.books().join("log")).unwrap();
    let mut command = house.command(&["run", "careless.yaml", "--unattended", "--run-id", "r"]);
    command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
    let mut killed = command.spawn().unwrap();
    let run = house.run("r");
    until("the last step has begun", || {
        std::fs::read_to_string(run.join("events.jsonl")).is_ok_and(|text| text.contains("\"last\""))
    });
    house.smell_command_lines();
    killed.kill().unwrap();
    killed.wait().unwrap();
    house.smell("after kill -9");
    house.clean("what it had said", &std::fs::read(house.books().join("log")).unwrap());
    let finished = events(&run, "attempt.finished");
    assert!(finished >= 2, "{finished}");
    house.say(&["show", "r"], 0);
    house.say(&["cancel", "r", "--comment", "enough"], 1);
    house.smell("after the end");
}

#[test]
fn a_secret_that_cannot_be_masked_is_refused_before_anything_happens() {
    let house = House::new();
    let acts = "  - id: acts\n    shell: \"echo > acted; echo $T\"\n    env: {T: \"{{ secrets.t }}\"}\n    effect: write\n";
    let sources =
        [("env", "{env: SHORT}"), ("file", "{file: short}"), ("command", "{command: [echo, aBc1234]}")];
    house.write("short", "aBc1234\n");
    for (name, source) in sources {
        let text = format!("consigne: v1\nid: short\nsecrets:\n  t: {source}\nsteps:\n{acts}");
        house.write("short.yaml", &text);
        let args = ["run", "short.yaml", "--unattended", "--run-id", name];
        let output = house.command(&args).env("SHORT", "aBc1234").stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("secret `t` is shorter than 8 bytes"), "{said}");
        assert!(!said.contains("aBc1234"), "{said}");
        assert!(!house.books().join("acted").exists());
        assert_eq!(std::fs::read_dir(house.home().join("runs")).into_iter().flatten().count(), 0);
    }
}

#[test]
fn a_program_that_prints_a_secret_and_fails_leaves_no_trace() {
    let house = House::new();
    for (name, script) in [
        ("fails", format!("echo '{COMMAND}'; echo '{COMMAND}' >&2; exit 3")),
        ("dies", format!("echo '{ENV}'; kill -9 $$")),
        ("binary", format!("echo '{FILE}'; printf '\\377'")),
        ("large", format!("for i in $(seq 9000); do echo '{COMMAND}'; done")),
    ] {
        house.write("script", &script);
        let text = "consigne: v1\nid: bad\nsecrets:\n  t: {command: [sh, ./script]}\nsteps:\n  - id: acts\n    shell: \"echo $T\"\n    env: {T: \"{{ secrets.t }}\"}\n    effect: write\n";
        house.write("bad.yaml", text);
        let said = house.say(&["run", "bad.yaml", "--unattended", "--run-id", name], 3);
        assert!(said.contains("secret `t`"), "{said}");
        house.smell(name);
    }
}
