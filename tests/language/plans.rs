use std::collections::BTreeMap;
use std::path::Path;

use consigne::diag::Diagnostic;
use consigne::plan::{
    Action, Auth, BuildRequest, ErrorClass, HttpCall, Mode, Plan, RunOn, SecretSource, build, service,
};
use consigne::runbook::check_file;
use consigne::runbook::environment::{Environment, ServiceAt, Services};
use consigne::runbook::template::Template;

/// Plans a runbook whose steps are given, in an environment when one is given.
fn plan_in(head: &str, steps: &str, environment: Option<&str>, mode: Mode) -> Result<Plan, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    std::fs::write(&path, format!("consigne: v1\nid: r\n{head}steps:\n{steps}")).unwrap();
    if let Some(text) = environment {
        std::fs::create_dir(folder.path().join("environments")).unwrap();
        std::fs::write(folder.path().join("environments/e.yaml"), text).unwrap();
    }
    let report = check_file(&path, environment.map(|_| "e"));
    assert!(!report.has_errors(), "{:?}", report.diagnostics);
    let services = Services::from([("p".to_owned(), ServiceAt { port: Some(4321), state: "/s".to_owned() })]);
    let request = BuildRequest {
        mode,
        environment: report.environment.as_ref(),
        others: &[],
        inputs: &BTreeMap::new(),
        services: &services,
    };
    build(&report.document.unwrap(), &request)
}

fn plan(head: &str, steps: &str) -> Plan {
    plan_in(head, steps, None, Mode::Live).unwrap()
}

fn call<'p>(plan: &'p Plan, id: &str) -> &'p HttpCall<Template> {
    match &plan.values.steps[id].act.as_ref().unwrap().action {
        Action::Http(call) => call,
        other => panic!("{other:?}"),
    }
}

const DEFAULTS: &str = "secrets: {t: {env: T}}\ndefaults:\n  http: {base: \"https://API.example.com/v1/\", bearer: t, headers: {A: b}}\n";

#[test]
fn credentials_go_to_the_host_of_the_defaults_only() {
    let steps = "  - {id: a, http: {get: \"/x\"}}\n  - {id: b, http: {get: \"https://api.example.com:443/y\"}}\n  - {id: c, http: {get: \"https://evil.example.com/\"}}\n  - {id: d, http: {get: \"/x\", bearer: none}}\n  - {id: e, http: {get: \"https://api.example.com{{ steps.a.outcome }}/x\"}}\n";
    let plan = plan(DEFAULTS, steps);
    assert_eq!(call(&plan, "a").url.source(), "https://API.example.com/v1/x");
    assert_eq!(call(&plan, "a").auth, Auth::Bearer("t".to_owned()));
    assert_eq!(call(&plan, "b").auth, Auth::Bearer("t".to_owned()));
    assert_eq!((&call(&plan, "c").auth, call(&plan, "c").headers.len()), (&Auth::None, 0));
    assert_eq!(call(&plan, "d").auth, Auth::None);
    assert_eq!(call(&plan, "e").auth, Auth::None, "a value could still make another host of it");
}

#[test]
fn an_approval_covers_what_has_an_effect_up_to_the_next_gate() {
    let write = |id: &str| format!("  - {{id: {id}, http: {{put: \"https://example.com/{id}\"}}}}\n");
    let steps = format!(
        "  - {{id: one, approve: {{roles: [ops]}}}}\n{}  - {{id: look, argv: [date], effect: read}}\n{}  - {{id: maybe, when: \"true\", confirm: {{}}}}\n{}  - {{id: two, approve: {{roles: [ops]}}}}\n{}",
        write("a"),
        write("b"),
        write("c"),
        write("d")
    );
    let plan = plan("", &steps);
    let covers = |id: &str| {
        let node = plan.graph.steps.iter().find(|node| node.id == id).unwrap();
        node.gate.as_ref().unwrap().covers.clone()
    };
    assert_eq!(covers("one"), ["a", "b", "c"], "a gate that may be skipped ends nothing");
    assert_eq!(covers("two"), ["d"]);
}

#[test]
fn a_step_that_runs_after_failures_names_every_gate_upstream() {
    let steps = "  - {id: one, confirm: {}}\n  - {id: a, argv: [date], effect: write}\n  - {id: two, confirm: {}}\n  - {id: b, argv: [date], effect: write}\n  - {id: rescue, run_on: failure, argv: [date], effect: write}\n";
    let plan = plan("", steps);
    let node = plan.graph.steps.last().unwrap();
    assert_eq!((node.run_on, &node.gates[..]), (RunOn::Failure, &["one".to_owned(), "two".to_owned()][..]));
    assert!(node.above);
    assert!(plan.graph.steps[3].gates.is_empty());
}

#[test]
fn retries_default_to_reads_over_http() {
    let steps = "  - {id: a, http: {get: \"https://example.com/\"}}\n  - {id: b, http: {post: \"https://example.com/\"}}\n  - {id: c, http: {post: \"https://example.com/\"}, retry: {max_attempts: 4, backoff: 1.5}}\n";
    let plan = plan("", steps);
    let retry: Vec<_> =
        plan.graph.steps.iter().map(|node| (node.retry.max_attempts, node.retry.backoff)).collect();
    assert_eq!(retry, [(3, 2_000), (1, 2_000), (4, 1_500)]);
    assert_eq!(plan.graph.steps[2].retry.errors, [ErrorClass::Connect, ErrorClass::TooMany]);
}

#[test]
fn an_environment_replaces_variables_and_secrets() {
    let head = "vars: {api: required, region: \"west\"}\nsecrets: {t: {env: T}, u: {env: U}}\n";
    let environment = "vars: {api: \"http://127.0.0.1:{{ services.p.port }}\", region: \"east\", unused: 1}\nsecrets: {t: {file: \"{{ services.p.state }}/t\"}}\nservices: {p: {argv: [consigne, \"--port\", \"{{ services.p.port }}\"], port: auto, state: true, ready: {http: {get: \"http://127.0.0.1:{{ services.p.port }}/\"}}}}\nrole_play: true\n";
    let plan = plan_in(head, "  []\n", Some(environment), Mode::Drill).unwrap();
    assert_eq!(plan.values.vars["api"], "http://127.0.0.1:4321");
    assert_eq!((plan.values.vars.len(), &plan.values.vars["region"]), (2, &"east".into()));
    assert_eq!(plan.values.secrets["t"], SecretSource::File("/s/t".to_owned()));
    assert_eq!(plan.values.secrets["u"], SecretSource::Env("U".to_owned()));
    assert!(plan.graph.role_play);
    let live = plan_in(head, "  []\n", Some(environment), Mode::Live).unwrap();
    assert!(!live.graph.role_play, "a live run plays nobody");
}

#[test]
fn services_are_filled_in_with_what_was_chosen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/environments/practice.yaml");
    let (environment, problems) = Environment::load(&path);
    assert!(problems.is_empty());
    let environment = environment.unwrap();
    let needs = service::needs(&environment);
    assert_eq!((needs.len(), needs[0].port, needs[0].state), (2, true, true));
    let at = |port| ServiceAt { port: Some(port), state: "/s".to_owned() };
    let given = Services::from([("platform".to_owned(), at(4321)), ("mailbox".to_owned(), at(4322))]);
    let services = service::services(&environment, &given).unwrap();
    assert_eq!(services[0].argv, ["consigne", "practice", "--port", "4321", "--state", "/s"]);
    let ready = serde_json::to_string(&services[0].ready).unwrap();
    assert!(ready.contains("http://127.0.0.1:4321/practice/requests"), "{ready}");
    assert_eq!((services[0].tcp, services[1].tcp, &services[1].ready), (false, true, &None));
    let stored = serde_json::to_vec(&services).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<consigne::plan::Service>>(&stored).unwrap(), services);
    assert!(service::services(&environment, &Services::new()).is_err());
}

#[test]
fn a_required_variable_needs_an_environment() {
    let problems = plan_in("vars: {api: required}\n", "  []\n", None, Mode::Live).unwrap_err();
    assert_eq!(problems[0].code, "environment");
}
