//! What a run needs here: found, missing, or not checked.

use std::os::unix::fs::PermissionsExt;

use regex::Regex;

use crate::environment::{Ear, Said, TestEnvironment, shows};

const NEEDS: &str = r#"consigne: v1
id: needs
title: "Needs"
inputs: {which: {type: string}}
vars: {api: required}
secrets:
  token: {env: NEEDS_TOKEN}
  short: {file: "@/short"}
  printed: {command: ["prints", "--now"]}
  typed: {prompt: true}
defaults:
  http: {base: "{{ vars.api }}", bearer: token}
steps:
  - {id: read, http: {get: "/x/{{ inputs.which }}"}}
  - {id: later, http: {get: "http://{{ inputs.which }}/", bearer: none}}
  - {id: dead, http: {get: "http://127.0.0.1:1/", headers: {X-S: "{{ secrets.short }}"}}}
  - {id: pods, shell: "kubectl get pods", effect: read}
  - {id: tool, argv: ["frobnicate-42"], effect: read, env: {P: "{{ secrets.printed }}", T: "{{ secrets.typed }}"}}
  - {id: own, argv: ["frobnicate-43"], effect: read, env: {PATH: "/opt/own"}}
  - id: go
    approve: {roles: [ops], quorum: 2, escalate_to: [boss], on_timeout: escalate}
  - {id: say, shell: "sudo aws s3 ls", effect: write}
"#;

const LIVE: &str = "identity: ssh-key\nvars: {api: \"http://ADDRESS\"}\nenv_inherit: [NEEDS_FLAVOUR, NEEDS_GONE]\n\
people:\n  alice: {ssh: alice@example.com}\n  bob: {ssh: bob@example.com}\n  carol: {}\n\
roles: {ops: [alice], boss: [bob, carol]}\n";

/// A world with a path of its own, so that what is found is known.
fn world() -> TestEnvironment {
    let mut env = TestEnvironment::new();
    std::fs::create_dir_all(env.path("bin")).unwrap();
    for (name, text) in [("bash", "#!/bin/sh\nexit 1\n"), ("prints", "#!/bin/sh\necho printed-canary\n")] {
        std::fs::write(env.path("bin").join(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(env.path("bin").join(name), mode).unwrap();
    }
    env.set("PATH", env.path("bin").to_str().unwrap());
    env
}

/// Room, file system and clock are the machine's.
fn settled(said: Said) -> Said {
    let mut said = said;
    for (pattern, to) in [
        (r"\d+ (MiB free|Mio libres), .*", "[ROOM]"),
        (r"(?m)^(ok         |not checked|non vérifié) (clock|horloge) .*$", "[CLOCK]"),
        (r"(?m)^\d+ ok, (\d+) (\w+), \d+ n", "[N] ok, $1 $2, [N] n"),
    ] {
        said.stdout = Regex::new(pattern).unwrap().replace_all(&said.stdout, to).into_owned();
    }
    said
}

#[test]
fn everything_that_a_run_needs() {
    let (mut env, ear) = (world(), Ear::open());
    // Not `write`: there are addresses in it.
    let live = LIVE.replace("ADDRESS", &ear.address().to_string());
    std::fs::write(env.work("environments/live.yaml"), live).unwrap();
    env.write("needs.yaml", NEEDS);
    env.write("short", "1234567\n");
    env.set("NEEDS_TOKEN", "canary-token");
    env.set("NEEDS_FLAVOUR", "canary-flavour");
    std::fs::create_dir_all(env.path("user/.kube")).unwrap();
    let kube = "current-context: prod\ncontexts:\n- {name: prod, context: {cluster: c, namespace: ops}}\n\
                clusters:\n- {name: c, cluster: {server: \"https://10.0.0.1\"}}\n";
    std::fs::write(env.path("user/.kube/config"), kube).unwrap();
    std::fs::create_dir_all(env.path("user/.aws")).unwrap();
    std::fs::write(env.path("user/.aws/config"), "[default]\nregion = eu-west-3\n").unwrap();
    std::fs::create_dir_all(env.path("consigne/trust")).unwrap();
    let key = "alice@example.com ssh-ed25519 \
               AAAAC3NzaC1lZDI1NTE5AAAAIJ0Ip0Jx5vHPAb2Ir0o7rT0qTz4W7w3Mj1yq0l3a6JwT\n";
    std::fs::write(env.path("consigne/trust/allowed_signers"), key).unwrap();
    let args = ["preflight", "needs.yaml", "--env", "live"];
    let english = env.consigne(&args).ends(3);
    let french = env.consigne(&[&args[..], &["--lang", "fr"]].concat()).ends(3);
    let json = env.consigne(&[&args[..], &["--json"]].concat()).ends(3);
    assert_eq!(json.json()["format"], "consigne.preflight/v1");
    assert_eq!(json.json()["ok"], false);
    for said in [&english, &french, &json] {
        assert!(!said.to_string().contains("canary"), "{said}");
    }
    shows!([settled(english), settled(french)]);
    assert!(!env.path("consigne/runs").exists(), "it makes nothing");
}

#[test]
fn what_it_calls_missing_is_what_a_run_refuses_to_start_without() {
    let mut env = world();
    env.write(
        "one.yaml",
        "consigne: v1\nid: one\ntitle: \"One\"\nsecrets: {token: {env: NEEDS_TOKEN}}\nsteps:\n\
         \x20 - {id: a, argv: [\"frobnicate-42\"], effect: read, env: {T: \"{{ secrets.token }}\"}}\n",
    );
    let look = |env: &TestEnvironment| {
        let said = env.consigne(&["preflight", "one.yaml", "--json"]);
        let findings = said.json()["findings"].clone();
        let missing: Vec<String> = findings
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["verdict"] == "missing")
            .map(|finding| finding["name"].as_str().unwrap().to_owned())
            .collect();
        (said.code, missing)
    };
    let run = |env: &TestEnvironment| env.consigne(&["run", "one.yaml", "--unattended", "--run-id", "r"]);
    assert_eq!(look(&env), (Some(3), vec!["frobnicate-42".to_owned(), "token".to_owned()]));
    assert!(run(&env).ends(3).stderr.contains("frobnicate-42"));
    std::fs::copy(env.path("bin/prints"), env.path("bin/frobnicate-42")).unwrap();
    assert_eq!(look(&env), (Some(3), vec!["token".to_owned()]));
    assert!(run(&env).ends(3).stderr.contains("NEEDS_TOKEN"));
    env.set("NEEDS_TOKEN", "long enough");
    assert_eq!(look(&env), (Some(0), Vec::new()));
    run(&env).ends(0).code.unwrap();
}

#[test]
fn a_program_along_a_path_of_the_step_is_its_own_matter() {
    let env = world();
    env.write(
        "own.yaml",
        "consigne: v1\nid: own\ntitle: \"Own\"\nsteps:\n\
         \x20 - {id: a, argv: [\"frobnicate-42\"], effect: read, env: {PATH: \"@/own\"}}\n",
    );
    std::fs::create_dir_all(env.work("own")).unwrap();
    std::fs::copy(env.path("bin/prints"), env.work("own/frobnicate-42")).unwrap();
    env.consigne(&["run", "own.yaml", "--unattended"]).ends(0).code.unwrap();
}

#[test]
fn a_practice_environment_is_looked_at_without_starting_it() {
    let env = world();
    let said = env.consigne(&["preflight", "small.yaml", "--env", "practice"]).ends(3);
    assert!(said.stdout.contains("MISSING     program    sh: not found (service bell)"), "{said}");
    env.assert_nothing_happened();
}
