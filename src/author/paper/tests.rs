use super::*;
use crate::diag::Source;
use crate::runbook::{check, check_file, load};

fn paper(
    document: &Document,
    environment: Option<&Environment>,
    given: &[(&str, Value)],
    french: bool,
) -> String {
    let inputs = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Paper { document, environment, inputs: &inputs, french }.markdown()
}

fn suspend(environment: Option<&str>) -> crate::runbook::CheckReport {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/tenants/suspend.yaml");
    check_file(&path, environment)
}

fn document(text: &str) -> Document {
    let (document, problems) = load::runbook(&Source::new("t.yaml", text));
    let document = document.unwrap();
    let findings: Vec<_> = problems.into_iter().chain(check::check(&document, None)).collect();
    assert!(!crate::diag::has_errors(&findings), "{findings:?}");
    document
}

macro_rules! shows {
    ($name:literal, $text:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!($name, $text) })
    };
}

#[test]
fn a_suspension_on_paper() {
    let report = suspend(None);
    let document = report.document.unwrap();
    shows!("suspend_fr", paper(&document, None, &[], true));
    shows!("suspend_en", paper(&document, None, &[], false));
}

/// What the suspension does not use.
const REST: &str = r##"consigne: v1
id: rest
title: "The | rest"
inputs:
  host: {type: string, title: "Host"}
  count: {type: integer, default: 3}
  pin: {type: string, class: confidential}
vars: {api: "https://a.example/v1", region: required}
secrets:
  key: {command: ["pass", "show", "key"]}
  token: {prompt: true}
defaults: {http: {base: "{{ vars.api }}", headers: {X-Team: ops}}}
steps:
  - id: drain
    shell: |
      drain "$HOST" | tee '/tmp/it'\''s'
    env: {HOST: "{{ inputs.host }}", KEY: "{{ secrets.key }}"}
    cwd: "/srv/{{ inputs.host }}"
    effect: write
    idempotency_key: auto
    expect: {exit: [0, 3], contains: "do`ne"}
    outputs: {before: '.stdout'}
    put_back:
      argv: [undrain, "{{ inputs.host }}"]
      only_if:
        http: {get: "/hosts", query: {name: "{{ inputs.host }}", n: "{{ inputs.count }}"}, bearer: token}
        expect: {that: '.body.ok'}
  - id: elsewhere
    needs: []
    http: {put: "https://b.example/x y?z=1", basic: {user: bob, secret: key}, form: {a: "b & c"}}
    on_failure: continue
  - id: both
    approve: {roles: [lead, cto], quorum: 2, on_timeout: escalate, escalate_to: [cto], timeout: 15m}
  - id: sure
    confirm: {typed: "{{ inputs.host }}", on_reject: continue}
  - id: kill
    when: steps.drain.before != "inputs.host" and inputs.count > 2
    argv: ["kill", "it's", "{{ steps.drain.before }}"]
    effect: destructive
    retry: {max_attempts: 3}
    undo: {shell: "revive"}
  - id: form
    input: {fields: {ticket: {type: string, title: "Ticket"}}}
    by: {roles: [lead], exclude: [starter, steps.both]}
  - id: hand
    manual: {evidence: required}
    message: "Pull the plug of {{ inputs.host }}, ticket {{ steps.form.ticket }}"
    effect: write
  - id: rest
    wait: {for: 10m}
  - id: settled
    http: {get: "/jobs"}
    poll: {every: 5s, within: 10m, until: '.body.done', fail_if: '.body.failed', steady: 1m}
    run_on: finished
finally:
  - id: say
    manual: {}
    message: "Tell {{ run.started_at }}"
    effect: notify
"##;

#[test]
fn the_rest_of_the_language_on_paper() {
    let document = document(REST);
    let text = paper(&document, None, &[("host", "web|`01`".into()), ("pin", "1234".into())], false);
    shows!("rest_en", text);
}

#[test]
fn a_step_says_on_which_host_it_and_what_belongs_to_it_is_done() {
    let document = document(
        "consigne: v1\nid: t\ninputs: {h: {type: string}}\nsteps:\n  - id: a\n    shell: \"drain\"\n    \
         host: \"{{ inputs.h }}\"\n    effect: write\n    verify: {argv: [drained], host: db}\n    \
         undo: {argv: [undrain], effect: write}\n",
    );
    let text = paper(&document, None, &[("h", "web-01\nx".into())], false);
    assert_eq!(text.matches("# on web-01 x\n").count(), 2, "{text}");
    assert!(text.contains("# on db\n  drained"), "{text}");
}

#[test]
fn an_environment_gives_values_and_people() {
    let report = suspend(Some("practice"));
    let document = report.document.unwrap();
    let text = paper(&document, report.environment.as_ref(), &[("tenant_id", "acme-42".into())], false);
    assert!(text.contains("- `ops-lead`: alice, bob"), "{text}");
    assert!(text.contains("'<api>/admin/tenants/acme-42'"), "{text}");
    assert!(text.contains("| `api` | `http://127.0.0.1:<services.platform.port>` |"), "{text}");
}

/// Every step has its box, whatever it is.
#[test]
fn no_step_is_forgotten() {
    let mut text = "consigne: v1\nid: many\nsteps:\n".to_owned();
    for at in 0..500 {
        text.push_str(&format!("  - {{id: s{at}, manual: {{}}, message: x, effect: write}}\n"));
    }
    let printed = paper(&document(&text), None, &[], true);
    for at in 0..500 {
        assert!(printed.contains(&format!("- [ ] **{}. s{at}** · `s{at}`", at + 1)));
    }
}

#[test]
fn what_goes_through_unseen_and_what_is_read_back_stand_on_paper() {
    let document = document(
        "consigne: v1\nid: t\nsteps:\n  - {id: go, message: \"Go?\", approve: {roles: [ops], filter: \"target != \\\"prod\\\"\", \
         max_targets: 3}}\n  - {id: find, argv: [list], effect: read, outputs: {x: .json}}\n  - {id: drop, argv: [drop, \
         --, \"{{ steps.find.x }}\"], effect: destructive}\n  - {id: points, checklist: {items: [{id: a, text: \"It says so\", \
         read_back: \"{{ steps.find.x }}\"}]}}\n",
    );
    let english = paper(&document, None, &[], false);
    for line in [
        "What is only decided later has to satisfy:",
        "The leave is good for 3 target(s). For more, ask again.",
        "Read back:",
    ] {
        assert!(english.contains(line), "{line}: {english}");
    }
    let french = paper(&document, None, &[], true);
    assert!(french.contains("L'accord vaut pour 3 cible(s) au plus."), "{french}");
    assert!(french.contains("Relire à haute voix :"), "{french}");
}
