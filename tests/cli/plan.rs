//! What would be done, shown and not done: plans and pictures.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{TestEnvironment, shows};

/// A step of every kind, and every way that leads round or through one.
const ALL: &str = r#"consigne: v1
id: all
title: {fr: "Tout", en: "Everything"}
inputs:
  name: {type: string}
  night: {type: boolean, default: false}
vars: {api: "https://api.example.com/v1"}
secrets:
  token: {env: ALL_TOKEN}
  other: {command: ["pass", "show", "other"]}
defaults:
  http: {base: "{{ vars.api }}", bearer: token}
lock: ["thing/{{ inputs.name }}"]
deadline: 4h
steps:
  - id: before
    title: {fr: "Relever", en: "Read"}
    http: {get: "/things/{{ inputs.name }}"}
    outputs: {state: ".body.state", size: {filter: ".body.size", class: public}}
    poll: {every: 2s, within: 1m, until: ".body.ready"}
  - {id: already, when: "steps.before.state == 'off'", end: succeeded, message: "Off already: {{ inputs.name }}"}
  - {id: nights, when: inputs.night, argv: ["wake", "--all now", "{{ steps.before.state }}"], effect: read}
  - {id: sure, assert: {that: [{expr: "inputs.name != 'x'"}, {expr: "steps.before.size > 0"}]}}
  - {id: form, input: {fields: {count: {type: integer}, who: {type: list, of: string}}}, by: {roles: [ops], exclude: [starter]}}
  - {id: which, choice: {options: [{id: red, text: {fr: "Rouge", en: "Red"}}, {id: blue, text: "For {{ inputs.name }}"}]}, message: "Which one?", unattended: red}
  - {id: several, choice: {from: "[steps.before.state, 'off']", id: item, many: {max: 2}}, by: {roles: [ops]}, message: "Which of them?"}
  - {id: sleep, wait: {for: 10m}}
  - {id: until, wait: {until: "{{ run.started_at }}"}}
  - {id: hands, manual: {evidence: required}, effect: write, message: "Pull the plug", unattended: done}
  - {id: typed, confirm: {typed: "{{ inputs.name }}", on_reject: continue}, message: "Type it"}
  - id: go
    approve: {roles: [ops], quorum: 2, exclude: [starter, steps.form], timeout: 20m, on_timeout: escalate, escalate_to: [boss]}
    message: {fr: "Vraiment ?", en: "Really {{ steps.before.state }}?"}
  - id: switch
    http:
      put: "/things/{{ inputs.name }}"
      headers: {X-Other: "{{ secrets.other }}", X-Name: "<secret token> {{ inputs.name }}"}
      json: {state: "off", at: "{{ step.started_at }}", was: "{{ steps.before.state }}"}
    idempotency_key: "{{ inputs.name }}-off"
    retry: {max_attempts: 3, delay: 1s, backoff: 2, max_delay: 10s, errors: [connect]}
    deadline: 5m
    verify: {http: {get: "/things/{{ inputs.name }}"}, expect: {that: ['.body.state == "off"']}, absent: {status: [200]}, first: true, poll: {every: 1s, within: 20s}}
    undo: {http: {put: "/things/{{ inputs.name }}", json: {state: "on"}}}
  - id: toggle
    shell: |
      echo "switching $NAME"
      exit 0
    env: {NAME: "{{ inputs.name }}"}
    cwd: "/tmp"
    effect: write
    on_failure: undo
    put_back:
      shell: "echo back"
      only_if: {http: {get: "/health"}, expect: {status: [200, 204]}}
      otherwise: ask
  - {id: rescue, needs: [toggle], run_on: failure, shell: "echo rescue", effect: notify}
  - id: points
    checklist:
      items:
        - {id: seen, text: "Seen", evidence: optional}
        - {id: is_off, text: "Is off", probe: {step: switch}}
        - {id: quiet, text: "Quiet", probe: {http: {get: "/quiet"}, expect: {contains: ["calm"]}}}
finally:
  - {id: tell, http: {post: "/told", form: {a: "{{ inputs.name }}"}}, effect: notify, run_on: finished}
"#;

const TEAM: &str = "protected: true\nidentity: ssh-key\nenv_inherit: [FLAVOUR]\n\
people: {alice: {}, bob: {}, carol: {}}\nroles: {ops: [alice, bob], boss: [carol]}\n";

fn world() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/team.yaml", TEAM);
    env.write("all.yaml", ALL);
    env
}

const PLAN: [&str; 6] = ["plan", "all.yaml", "--env", "team", "--input", "name=<secret x>\u{1b}[2J"];

#[test]
fn every_kind_of_step_is_foreseen() {
    let env = world();
    let with = |more: &[&str]| env.consigne(&[&PLAN[..], more].concat()).ends(0);
    let said = [with(&[]), with(&["--lang", "fr"])];
    for line in said.iter().flat_map(|said| said.stdout.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'));
    }
    shows!(said);
    env.assert_nothing_happened();
}

#[test]
fn scripts_read_a_plan_that_says_its_version() {
    let env = world();
    let said = env.consigne(&["plan", "all.yaml", "--env", "team", "--input", "name=x", "--json"]).ends(0);
    let plan = said.json();
    assert_eq!(plan["format"], "consigne.plan/v1");
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
    });
}

/// What was planned is what starts: its public half has the digest that entry 0 names.
#[test]
fn a_plan_names_the_files_that_a_run_freezes() {
    let env = TestEnvironment::new();
    let raw = |args: &[&str]| env.command(args).output().unwrap().stdout;
    let plan = raw(&["plan", "small.yaml", "--env", "plain", "--mode", "drill", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    let journal = std::fs::read_to_string(env.run("r").join("events.jsonl")).unwrap();
    for name in ["graph.json", "values.json"] {
        let digest = plan["files"][name].as_str().unwrap();
        assert!(journal.lines().next().unwrap().contains(digest), "{name}");
    }
}

#[test]
fn the_same_plan_wherever_and_whoever_asks() {
    let mut env = TestEnvironment::new();
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/tenants/suspend.yaml");
    let runbook = runbook.to_str().unwrap();
    let take = |env: &TestEnvironment| {
        [&["--json"][..], &["--lang", "en"]].map(|more| {
            let output =
                env.command(&[&["plan", runbook, "--env", "practice"], more].concat()).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        })
    };
    let first = take(&env);
    assert!(String::from_utf8_lossy(&first[1]).contains("GET http://127.0.0.1:<chosen at start>/admin/"));
    for (name, value) in [
        ("TZ", "Pacific/Auckland"),
        ("LANG", "fr_FR.UTF-8"),
        ("HOME", "/nowhere"),
        ("CONSIGNE_HOME", "/nowhere"),
    ] {
        env.set(name, value);
        assert_eq!(take(&env), first, "{name}");
    }
}

const BRANCHES: &str = r#"consigne: v1
id: branches
title: "100% \"<b>odd</b>\" ; %%{init: {}}%% #1"
steps:
  - {id: a, shell: "true", effect: read}
  - {id: b, needs: [a], shell: "true", effect: read}
  - {id: c, needs: [a], shell: "true", effect: write, when: "steps.a.outcome == 'succeeded'", title: "end`]\"); x --> y"}
  - {id: d, needs: [a], shell: "false", effect: read, on_failure: continue}
  - {id: e, needs: [b, c], shell: "true", effect: read}
  - {id: rescue, needs: [d], run_on: failure, shell: "true", effect: read}
  - {id: go, confirm: {}, message: "Go on?"}
  - {id: end_it, end: failed, when: "steps.e.outcome == 'failed'"}
finally:
  - {id: end, shell: "true", effect: read}
"#;

#[test]
fn a_picture_for_the_terminal_and_one_for_the_wiki() {
    let env = TestEnvironment::new();
    env.write("branches.yaml", BRANCHES);
    let all = [
        env.consigne(&["graph", "branches.yaml"]).ends(0),
        env.consigne(&["graph", "branches.yaml", "--lang", "fr"]).ends(0),
        env.consigne(&["graph", "branches.yaml", "--mermaid"]).ends(0),
    ];
    for line in all[..2].iter().flat_map(|said| said.stdout.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    shows!(all);
}

#[test]
fn arrows_that_leave_no_room_for_words_are_told_in_words() {
    let env = TestEnvironment::new();
    let step = |at: usize| format!("  - {{id: s{at}, needs: [], shell: \"true\", effect: read}}\n");
    let steps: String = (0..40).map(step).collect();
    let all: Vec<String> = (0..40).map(|at| format!("s{at}")).collect();
    let last = format!("  - {{id: last, needs: [{}], shell: \"true\", effect: read}}\n", all.join(", "));
    env.write("wide.yaml", &format!("consigne: v1\nid: wide\ntitle: \"Wide\"\nsteps:\n{steps}{last}"));
    let said = env.consigne(&["graph", "wide.yaml"]).ends(0);
    assert!(said.stdout.contains("● last [shell, read]\n    after s0, s1,"), "{said}");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{said}");
}

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/tenants");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".yaml") && name.matches('.').count() == 1
        })
        .collect();
    all.sort();
    all
}

/// What a command did, as the kernel saw it: connections, processes, and files opened or changed for writing.
fn deeds(trace: &str) -> Vec<&str> {
    let starts = trace.lines().filter(|line| line.contains("execve(")).skip(1);
    let forks = trace.lines().filter(|line| {
        (line.contains("clone") || line.contains("fork("))
            && !line.contains("CLONE_THREAD")
            && !line.contains("resumed")
    });
    let words = [
        "socket(", "connect(", "bind(", "sendto(", "mkdir", "rename", "unlink", "O_WRONLY", "O_RDWR",
        "O_CREAT",
    ];
    let others = trace.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    starts.chain(forks).chain(others).filter(|line| !line.contains("\"/dev/null\"")).collect()
}

#[test]
fn nothing_is_connected_to_started_or_written() {
    let env = TestEnvironment::new();
    let trace = env.path("trace");
    let traced = |program: &str, args: &[&str]| {
        let mut command: Command = env.command_of("strace");
        command.args(["-f", "-e", "trace=%network,%process,%file", "-o"]).arg(&trace).arg(program).args(args);
        let output = command.output().ok()?;
        let text = std::fs::read_to_string(&trace).ok()?;
        (text.contains("execve(") && output.status.code() != Some(1)).then_some((output, text))
    };
    if traced("true", &[]).is_none() {
        crate::environment::not_run("strace is not there, or may not trace");
        return;
    }
    let started = "strace sees a process that another one starts";
    assert!(!deeds(&traced("sh", &["-c", "true > x; ls"]).expect(started).1).is_empty(), "{started}");
    for runbook in shipped() {
        let runbook = runbook.to_str().unwrap();
        for args in [
            &["check", runbook, "--env", "practice"][..],
            &["plan", runbook, "--env", "practice"],
            &["plan", runbook, "--env", "practice", "--json"],
            &["graph", runbook],
            &["graph", runbook, "--mermaid"],
            &["graph", runbook, "--svg"],
            &["graph", runbook, "--json"],
        ] {
            let (output, text) = traced(env!("CARGO_BIN_EXE_consigne"), args).unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(deeds(&text), [""; 0], "{args:?}");
        }
    }
}
