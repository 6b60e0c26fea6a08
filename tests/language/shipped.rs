use std::path::{Path, PathBuf};

use consigne::diag::{Rendering, render_all};
use consigne::plan::{BuildRequest, Effect, Kind, Mode, Plan, build, digest};
use consigne::runbook::environment::{Environment, ServiceAt, Services};
use consigne::runbook::extract::{self, Document, Globals};
use consigne::runbook::inputs::{self, Given};
use consigne::runbook::{answers, check_file};

fn runbooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks")
}

/// Every shipped runbook: a YAML file that is neither an environment nor inputs or answers.
fn shipped() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in std::fs::read_dir(runbooks()).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() && !folder.ends_with("environments") {
            out.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let runbook = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".yaml") && name.matches('.').count() == 1
    };
    out.retain(runbook);
    out.sort();
    out
}

fn drill(path: &Path) -> Plan {
    let report = check_file(path, Some("practice"));
    let text = render_all(&report.diagnostics, Rendering::default(), 50);
    assert!(report.diagnostics.is_empty(), "{text}");
    let document = report.document.unwrap();
    let mut given = Given::default();
    assert!(given.read_file(&path.with_extension("inputs.yaml")).is_empty());
    let (values, problems) = inputs::resolve(&document, &given);
    assert!(problems.is_empty(), "{}", render_all(&problems, Rendering::default(), 50));
    let at = |port| ServiceAt { port: Some(port), state: "/state".to_owned() };
    let services = Services::from([("platform".to_owned(), at(4321)), ("mailbox".to_owned(), at(4322))]);
    let (others, _) = Environment::all(path);
    let request = BuildRequest {
        mode: Mode::Drill,
        environment: report.environment.as_ref(),
        others: &others,
        inputs: &values,
        services: &services,
    };
    build(&document, &request).unwrap_or_else(|e| panic!("{}", render_all(&e, Rendering::default(), 50)))
}

#[test]
fn every_shipped_runbook_is_clean_and_can_be_planned() {
    assert!(!shipped().is_empty());
    for path in shipped() {
        let plan = drill(&path);
        let files = digest::files(&plan).unwrap();
        let digests = digest::digests(&files);
        assert_eq!(digest::from_files(&files, &digests).unwrap(), plan, "{}", path.display());
        assert_eq!(digest::files(&drill(&path)).unwrap(), files, "the same plan twice gives the same bytes");
        let (answers, problems) = answers::read(&path.with_extension("answers.yaml"));
        assert!(problems.is_empty());
        for id in answers.keys() {
            let step = id.split(['/', ':']).next().unwrap();
            assert!(plan.graph.steps.iter().any(|node| node.id == step), "no step for the answer `{id}`");
        }
    }
}

#[test]
fn a_suspension_is_planned_with_every_policy_explicit() {
    let plan = drill(&runbooks().join("tenants/suspend.yaml"));
    let ids: Vec<&str> = plan.graph.steps.iter().map(|step| step.id.as_str()).collect();
    let main =
        ["before", "already", "is_active", "open_before", "go", "suspend", "tell_client", "control_points"];
    let wanted = [&main[..], &["tell"]].concat();
    assert_eq!(ids, wanted);
    let step = |id: &str| plan.graph.steps.iter().find(|step| step.id == id).unwrap();
    let gate = step("go").gate.as_ref().unwrap();
    assert_eq!(gate.covers, ["suspend", "tell_client"]);
    assert!(gate.who.not_starter);
    assert_eq!(step("go").timeout_ms, Some(1_800_000));
    assert_eq!((step("suspend").effect, step("suspend").kind), (Effect::Write, Kind::Http));
    assert_eq!(step("before").retry.max_attempts, 3, "reads over HTTP are tried three times");
    assert_eq!(step("suspend").needs, ["go"]);
    assert!(
        step("suspend").keyed && step("suspend").undo && step("suspend").verify.is_some_and(|v| v.absent)
    );
    let values = serde_json::to_string_pretty(&plan.values.steps["suspend"]).unwrap();
    insta::assert_snapshot!("suspend_values", values);
}

#[test]
fn a_creation_is_undone_as_a_whole_and_only_behind_its_gate() {
    let plan = drill(&runbooks().join("tenants/create.yaml"));
    let step = |id: &str| plan.graph.steps.iter().find(|step| step.id == id).unwrap();
    let covers = &step("go").gate.as_ref().unwrap().covers;
    let writes: Vec<&str> =
        plan.graph.steps.iter().filter(|s| s.effect != Effect::Read).map(|step| step.id.as_str()).collect();
    assert_eq!(covers, &writes, "one approval binds everything that is written");
    let undone: Vec<&str> = plan.graph.steps.iter().filter(|s| s.undo).map(|s| s.id.as_str()).collect();
    assert_eq!(undone, ["create"], "what comes later goes with it");
    // A mail cannot be looked for by the step that sends it: its key makes repeating safe.
    for id in writes.iter().filter(|id| **id != "welcome") {
        assert!(step(id).verify.is_some_and(|verify| verify.absent), "{id}: a lost answer can be settled");
    }
    let items = &step("control_points").items;
    assert!(!items.is_empty() && items.iter().all(|item| item.probe), "every control point proves itself");
}

#[test]
fn a_changed_byte_of_a_plan_is_refused() {
    let plan = drill(&runbooks().join("tenants/suspend.yaml"));
    let mut files = digest::files(&plan).unwrap();
    let digests = digest::digests(&files);
    files.get_mut("graph.json").unwrap()[10] ^= 1;
    assert!(matches!(digest::from_files(&files, &digests), Err(digest::PlanError::Digest { .. })));
}

/// Control points of a runbook, each with an answer that says "not done" and one that says "done".
type Points = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const SUSPENDED: Points = (
    "suspend",
    &[
        (
            "status",
            r#"{"body": {"status": "active", "suspensionReason": null}}"#,
            r#"{"body": {"status": "suspended", "suspensionReason": "payment-overdue"}}"#,
        ),
        ("jobs", r#"{"body": []}"#, r#"{"body": [{"name": "a", "state": "suspended"}]}"#),
        (
            "told",
            r#"{"body": {"notifications": []}}"#,
            r#"{"body": {"notifications": [{"type": "welcome"}, {"type": "suspension_notice"}]}}"#,
        ),
        (
            "audit",
            r#"{"body": {"entries": [{"action": "tenant.created"}]}}"#,
            r#"{"body": {"entries": [{"action": "tenant.suspended"}, {"action": "notification.sent"}]}}"#,
        ),
    ],
);

const REACTIVATED: Points = (
    "reactivate",
    &[
        (
            "status",
            r#"{"body": {"status": "active", "reactivationReason": "requested"}}"#,
            r#"{"body": {"status": "active", "reactivationReason": "payment-received"}}"#,
        ),
        ("jobs", r#"{"body": []}"#, r#"{"body": [{"name": "a", "state": "running"}]}"#),
        (
            "jobs",
            r#"{"body": [{"state": "running"}, {"state": "suspended"}]}"#,
            r#"{"body": [{"state": "running"}]}"#,
        ),
        (
            "told",
            r#"{"body": [{"headers": {"x-tenant-id": "acme-42", "x-template": "account_reactivated"}}]}"#,
            r#"{"body": [{"headers": {"x-tenant-id": "initech-3", "x-template": "account_reactivated"}}]}"#,
        ),
        ("owed", r#"{"body": {"data": [{"id": "in_1"}]}}"#, r#"{"body": {"data": []}}"#),
        (
            "audit",
            r#"{"body": {"entries": [{"action": "tenant.suspended"}, {"action": "notification.sent"}]}}"#,
            r#"{"body": {"entries": [{"action": "tenant.activated"}, {"action": "notification.sent"}]}}"#,
        ),
    ],
);

const CREATED: Points = (
    "create",
    &[
        (
            "welcomed",
            r#"{"body": [{"headers": {"x-template": "account_created"}, "to": [{"address": "admin@acme.example"}]}]}"#,
            r#"{"body": [{"headers": {"x-template": "account_created"}, "to": [{"address": "admin@wayne.example"}]}]}"#,
        ),
        (
            "demo",
            r#"{"body": {}}"#,
            r#"{"body": {"documents": [{"fields": {"demo": {"booleanValue": true}}}]}}"#,
        ),
        (
            "own_data",
            r#"{"body": {"users": []}}"#,
            r#"{"body": {"users": [{"email": "admin@wayne.example"}]}}"#,
        ),
        (
            "audit",
            r#"{"body": {"entries": [{"action": "tenant.created"}, {"action": "notification.sent"}]}}"#,
            r#"{"body": {"entries": [
                {"action": "tenant.created"}, {"action": "user.added"}, {"action": "notification.sent"}]}}"#,
        ),
    ],
);

#[test]
fn control_points_tell_done_from_not_done() {
    for (runbook, points) in [SUSPENDED, REACTIVATED, CREATED] {
        let plan = drill(&runbooks().join(format!("tenants/{runbook}.yaml")));
        let globals = Globals::new(&plan.values.inputs, &plan.values.vars);
        for (item, before, after) in points {
            let probe = plan.values.steps["control_points"].items[*item].probe.as_ref().unwrap();
            let holds = |text: &str| {
                let document = Document::parse(text).unwrap();
                probe
                    .accept
                    .expect
                    .that
                    .iter()
                    .all(|filter| extract::holds(filter, &document, &globals) == Ok(true))
            };
            assert!(!holds(before), "{runbook}: {item} before");
            assert!(holds(after), "{runbook}: {item} after");
        }
    }
}
