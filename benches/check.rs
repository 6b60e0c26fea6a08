//! What `check` costs beside reading the YAML: a runbook of every construct, in one process.
//!
//! `cargo bench --profile ci --bench check`. The base is the parser's events alone: nobody can check a file without
//! them. The goal is a ratio below 3.5.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "benches are not the core")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use consigne::runbook::{check, load};
use granit_parser::Parser;

const STEPS: usize = 10_000;
const ROUNDS: usize = 21;
/// Steps of one block.
const BLOCK: usize = 21;

fn main() {
    let text = text(STEPS / BLOCK);
    let steps = STEPS / BLOCK * BLOCK;
    let (mut events, mut whole, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let base = timed(|| Parser::new_from_str(&text).filter(Result::is_ok).count());
        let own = timed(|| checked(&text));
        // The first round only warms up.
        if round > 0 {
            events.push(base);
            whole.push(own);
            ratios.push(own.as_secs_f64() / base.as_secs_f64());
        }
    }
    ratios.sort_by(f64::total_cmp);
    events.sort();
    whole.sort();
    println!(
        "check of {steps} steps, {} KiB / the parser's events: {:.2} ({:.2} to {:.2}), {ROUNDS} rounds; {:?}; {:?}",
        text.len() / 1024,
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1],
        events[ROUNDS / 2],
        whole[ROUNDS / 2],
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn checked(text: &str) -> usize {
    let source = load::from_bytes("bench.yaml", text.as_bytes().to_vec()).expect("the text is UTF-8");
    let (document, problems) = load::runbook(&source);
    assert!(problems.is_empty(), "{problems:?}");
    let found = check::check(&document.expect("the text is a runbook"), None);
    assert!(found.is_empty(), "{:?}", found.first());
    found.len()
}

/// Groups, lists, rounds, gates, conditions, outputs, reversals, scripts, choices, checklists, waits: the same block again and again.
fn text(blocks: usize) -> String {
    let mut out = String::from(
        "consigne: v1\nid: large\ninputs:\n  deep: {type: boolean}\ndefaults:\n  http: {base: \"http://127.0.0.1:1\"}\nsteps:\n",
    );
    for n in 0..blocks {
        let _ = write!(
            out,
            r#"  - id: look_{n}
    http: {{get: "/hosts/{n}"}}
    outputs: {{hosts: ".body.hosts", state: ".body.state"}}
  - id: deep_{n}
    when: inputs.deep and steps.look_{n}.state == "on"
    argv: ["inspect", "{{{{ steps.look_{n}.state }}}}"]
    effect: read
    outputs: {{size: ".json.size"}}
  - id: go_{n}
    approve: {{roles: [ops], timeout: 30m}}
    message: "Drain {{{{ steps.look_{n}.state }}}}?"
  - id: drain_{n}
    for_each: {{items: steps.look_{n}.hosts, as: host, key: host.name, max_parallel: 4, canary: {{count: 1}}, max_targets: 50, max_failures: 10%}}
    group:
      steps:
        - id: cut_{n}
          http: {{delete: "/hosts/{{{{ host.name }}}}"}}
          undo:
            http: {{put: "/hosts/{{{{ host.name }}}}", json: {{state: "on"}}}}
        - id: proved_{n}
          http: {{get: "/hosts/{{{{ host.name }}}}"}}
          outputs: {{state: ".body.state"}}
          poll: {{every: 2s, within: 1m, until: ".status == 404"}}
        - id: sure_{n}
          when: steps.proved_{n}.state == "half"
          assert: {{that: [{{expr: host.size > 0}}]}}
      on_failure:
        - {{id: back_{n}, revert: [cut_{n}]}}
      then: continue
  - id: settle_{n}
    repeat: {{until: steps.fine_{n}.answer == "yes", max: 3, every: 10s}}
    group:
      parallel: true
      steps:
        - {{id: text_{n}, input: {{fields: {{text: {{type: string}}}}}}, message: "What is said?"}}
        - id: fine_{n}
          needs: [text_{n}]
          confirm: {{on_reject: continue}}
          message: "Say {{{{ steps.text_{n}.text }}}}?"
  - id: tell_{n}
    needs: [settle_{n}, drain_{n}]
    argv: ["tell", "{{{{ steps.text_{n}.text }}}}", "{{{{ steps.drain_{n}.items | length }}}}"]
    effect: notify
  - id: wipe_{n}
    argv: ["wipe", "{{{{ steps.deep_{n}.size | default(0) }}}}"]
    effect: destructive
    verify: {{argv: ["wiped"], effect: read}}
  - id: note_{n}
    shell: 'printf "%s\n" "{{{{ steps.text_{n}.text }}}}" >> notes'
    effect: write
    retry: {{max_attempts: 3, delay: 1s, errors: [expect]}}
    idempotency_key: auto
  - id: hold_{n}
    http: {{put: "/hold/{n}", json: {{held: true}}}}
    put_back: {{http: {{put: "/hold/{n}", json: {{held: false}}}}, otherwise: ask}}
  - id: way_{n}
    choice: {{options: [{{id: north, text: "North"}}, {{id: south, text: "South"}}]}}
    message: "Which way?"
  - id: points_{n}
    checklist:
      items:
        - {{id: seen, text: "Seen"}}
        - {{id: gone, text: "Gone", probe: {{step: wipe_{n}}}}}
  - {{id: hands_{n}, manual: {{}}, effect: write, message: "Turn the key"}}
  - {{id: pause_{n}, wait: {{for: 10m}}}}
  - {{id: stop_{n}, when: steps.way_{n}.answer == "nowhere", end: succeeded}}
"#
        );
    }
    out
}
