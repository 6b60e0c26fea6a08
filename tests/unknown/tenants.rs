//! The shipped runbooks that create and reactivate a tenant: to a verified record, twice, and with answers that are
//! lost or refused half way, down to nothing left.

use std::fs;

use serde_json::{Value, json};

use crate::world::{House, Platform, Said, call};

/// A house with one shipped runbook and a platform that outlives its drills.
struct Office {
    house: House,
    platform: Platform,
    runbook: &'static str,
}

impl Office {
    fn new(run: &str, runbook: &'static str, faults: &Value) -> Self {
        let files =
            ["yaml", "inputs.yaml", "answers.yaml"].map(|kind| format!("runbooks/tenants/{runbook}.{kind}"));
        let house = House::new(run, &files.each_ref().map(String::as_str));
        let state = house.root.path().join("platform");
        let platform = Platform::of(&state);
        platform.set_faults(faults);
        let practice = house.books().join("environments/practice.yaml");
        let text = fs::read_to_string(&practice).unwrap();
        let (head, rest) = text.split_once("services:").unwrap();
        let (_, vars) = rest.split_once("\nvars:").unwrap();
        let here = format!("{head}\nvars:{vars}")
            .replace("http://127.0.0.1:{{ services.platform.port }}", &platform.address())
            .replace("{{ services.platform.state }}", &state.display().to_string())
            // Nothing is mailed by these runbooks.
            .replace("{{ services.mailbox.port }}", "9");
        fs::write(practice, here).unwrap();
        Self { house, platform, runbook }
    }

    fn drill(&self, more: &[&str]) -> Said {
        let answers = format!("{}.answers.yaml", self.runbook);
        let file = format!("{}.yaml", self.runbook);
        let drill = ["drill", &file, "--run-id", &self.house.run, "--answers", &answers];
        self.house.say(&[&drill, more].concat())
    }

    fn resume(&self) -> Said {
        self.house.say(&["resume", &self.house.run, "--answers", &format!("{}.answers.yaml", self.runbook)])
    }

    /// A second run in the same house.
    fn again(&mut self, run: &str) {
        run.clone_into(&mut self.house.run);
    }

    fn ask(&self, secret: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let secret = self.house.root.path().join("platform").join(secret);
        let secret = fs::read_to_string(secret).unwrap();
        let port = self.platform.address().rsplit_once(':').unwrap().1.parse().unwrap();
        let (status, body) = call(port, method, path, Some(secret.trim()), &body.to_string());
        (status, serde_json::from_str(&body).unwrap())
    }

    fn stripe(&self, path: &str) -> Value {
        self.ask("stripe-key", "GET", &format!("/stripe/v1/{path}"), &json!({})).1
    }

    /// Tenants, Stripe customers and users with the new client's address.
    fn traces(&self) -> [usize; 3] {
        let tenants = self.platform.get("/admin/tenants?email=admin@wayne.example");
        let customers = self.stripe("customers?email=admin%40wayne.example");
        let field = json!({
            "field": {"fieldPath": "email"}, "op": "EQUAL", "value": {"stringValue": "admin@wayne.example"},
        });
        let query = json!({"structuredQuery": {"from": [{"collectionId": "users"}], "where": {"fieldFilter": field}}});
        let base = "/firestore/v1/projects/attendance-x/databases/(default)/documents:runQuery";
        let users = self.ask("firestore-token", "POST", base, &query).1;
        let users = users.as_array().unwrap().iter().filter(|found| found["document"].is_object()).count();
        [tenants["tenants"].as_array().unwrap().len(), customers["data"].as_array().unwrap().len(), users]
    }

    fn effects(&self) -> Vec<Value> {
        self.platform.writes().into_iter().filter(|write| write["effect"] == true).collect()
    }

    fn asks(&self, kind: &str, step: &str) {
        assert_eq!(self.house.asks(), [(kind.to_owned(), step.to_owned())]);
    }
}

fn fault(kind: &str, method: &str, path: &str, times: u32) -> Value {
    json!([{"kind": kind, "match": {"method": method, "path": path}, "times": times}])
}

#[test]
fn the_shipped_drills_end_in_a_verified_record() {
    for name in ["create", "reactivate"] {
        let files =
            ["yaml", "inputs.yaml", "answers.yaml"].map(|kind| format!("runbooks/tenants/{name}.{kind}"));
        let house = House::new(&format!("shipped-{name}"), &files.each_ref().map(String::as_str));
        let (file, answers) = (format!("{name}.yaml"), format!("{name}.answers.yaml"));
        let said = house.say(&house.begin(&file, &["--answers", &answers, "--lang", "fr"])).exits(0);
        assert!(said.err.contains("dossier vérifié"), "{}", said.err);
        house.is_over();
        let report = house.say(&["report", &house.run, "--lang", "fr", "--open"]).exits(0).out;
        assert!(report.contains("Accord pour"), "{report}");
    }
}

#[test]
fn a_tenant_is_created_whole_and_a_second_time_not_at_all() {
    let mut office = Office::new("first", "create", &json!([]));
    office.drill(&[]).exits(0);
    office.house.is_over();
    assert_eq!(office.traces(), [1, 1, 1]);
    let customer = office.stripe("customers?email=admin%40wayne.example")["data"][0].clone();
    let id = customer["metadata"]["tenantId"].as_str().unwrap().to_owned();
    assert_eq!(customer["preferred_locales"], json!(["fr"]));
    assert_eq!((office.platform.status(&id), office.platform.notices(&id, "welcome")), ("active".into(), 1));
    let effects = office.effects().len();

    office.again("second");
    office.drill(&[]).exits(0);
    assert_eq!(office.house.status_of("create"), "skipped");
    assert_eq!((office.effects().len(), office.traces()), (effects, [1, 1, 1]));

    office.again("third");
    let said = office.drill(&["--input", "plan=premium"]).exits(1);
    assert!(said.err.contains(&format!("belongs to tenant {id}")), "{}", said.err);
    assert_eq!(office.effects().len(), effects, "another plan is no reason to create it again");
}

#[test]
fn without_demonstration_data_none_is_made() {
    let office = Office::new("bare", "create", &json!([]));
    office.drill(&["--input", "demo_data=false"]).exits(0);
    assert_eq!(office.house.status_of("demo_employee"), "skipped");
    let made = office.effects();
    assert!(made.iter().all(|write| !write["path"].as_str().unwrap().ends_with("/employees")), "{made:#?}");
}

#[test]
fn a_creation_that_stripe_cut_off_is_finished_or_undone_as_a_person_decides() {
    let cut = fault("server_error", "POST", "/stripe/v1/customers", 1);
    let office = Office::new("finish", "create", &cut);
    office.drill(&[]).exits(4);
    office.asks("unknown", "create");
    assert_eq!(office.traces(), [1, 0, 0], "half a tenant, and the run waits for a decision");
    office.house.answer("create", "retry");
    office.resume().exits(0);
    assert_eq!(office.traces(), [1, 1, 1]);
    office.house.is_over();

    let office = Office::new("undo", "create", &cut);
    office.drill(&[]).exits(4);
    office.house.answer("create", "undo_end");
    office.resume().exits(1);
    assert_eq!(office.traces(), [0, 0, 0]);
    assert_eq!(office.house.status_of("nothing_left"), "succeeded");
    office.house.is_over();
}

#[test]
fn an_end_without_undo_leaves_a_half_made_tenant_in_nobodys_blind_spot() {
    let mut office = Office::new("end", "create", &fault("server_error", "POST", "/stripe/v1/customers", 1));
    office.drill(&[]).exits(4);
    office.house.answer("create", "end");
    office.resume().exits(1);
    assert_eq!(office.traces(), [1, 0, 0]);
    assert_eq!(
        office.house.status_of("whole_or_nothing"),
        "failed",
        "the record says that half a tenant is left"
    );

    office.again("later");
    let said = office.drill(&[]).exits(1);
    assert!(said.err.contains("incomplete"), "{}", said.err);
    assert_eq!(office.traces(), [1, 0, 0], "nothing is built on it");
}

#[test]
fn stripe_failing_later_is_repeated_and_in_the_end_undoes_all_of_it() {
    let path = "/stripe/v1/customers/";
    let office = Office::new("passing", "create", &fault("server_error", "POST", path, 1));
    office.drill(&[]).exits(0);
    assert_eq!(office.traces(), [1, 1, 1]);

    let office = Office::new("lasting", "create", &fault("server_error", "POST", path, 100));
    office.drill(&[]).exits(4);
    office.asks("failure", "customer_settings");
    assert_eq!(office.traces(), [1, 1, 0]);
    office.house.answer("customer_settings", "undo_end");
    office.resume().exits(1);
    assert_eq!(office.traces(), [0, 0, 0]);
    office.house.is_over();
}

#[test]
fn an_answer_that_is_lost_after_the_effect_is_no_second_effect() {
    for (run, runbook, method, path) in [
        ("create", "create", "POST", "/admin/tenants"),
        ("access", "create", "POST", "/admin/tenants/"),
        (
            "demo",
            "create",
            "POST",
            "/firestore/v1/projects/attendance-x/databases/(default)/documents/tenants",
        ),
        ("welcome", "create", "POST", "/admin/notifications"),
        ("reactivate", "reactivate", "PATCH", "/admin/tenants/initech-3"),
    ] {
        let office = Office::new(run, runbook, &fault("drop_after_effect", method, path, 1));
        office.drill(&[]).exits(0);
        let struck = |write: &Value| write["faults"] == json!(["drop_after_effect"]);
        let effects = office.effects();
        let lost =
            effects.iter().find(|write| struck(write)).unwrap_or_else(|| panic!("{run}: {effects:#?}"));
        let same = effects.iter().filter(|write| write["bodySha256"] == lost["bodySha256"]);
        assert_eq!(same.count(), 1, "{run}: {effects:#?}");
        office.house.is_over();
    }
}

#[test]
fn who_owes_is_refused_and_who_has_paid_is_not() {
    let owing = ["--input", "tenant_id=vandelay-8", "--input", "login_email=admin@vandelay.example"];
    let mut office = Office::new("owes", "reactivate", &json!([]));
    let paid = office.stripe("invoices?customer=cus_P8vandelayImp8&status=paid");
    assert_eq!(paid["data"].as_array().unwrap().len(), 1, "something was paid, and it proves nothing");
    let said = office.drill(&owing).exits(1);
    assert!(said.err.contains("7900 cents still owed"), "{}", said.err);
    assert_eq!(office.house.status_of("nothing_owed"), "failed");
    assert_eq!(office.house.status_of("reactivate"), "skipped");
    assert_eq!((office.effects().len(), office.platform.status("vandelay-8")), (0, "suspended".into()));
    office.house.is_over();

    office.again("pretext");
    let pretext = [&owing[..], &["--input", "reason=requested"]].concat();
    office.drill(&pretext).exits(1);
    assert_eq!(office.house.status_of("nothing_owed"), "failed", "the debt is why it was suspended");

    let (status, _) =
        office.ask("stripe-key", "POST", "/stripe/v1/invoices/in_P8vandelayImp82/pay", &json!({}));
    assert_eq!(status, 200);
    office.again("paid");
    office.drill(&owing).exits(0);
    assert_eq!(office.platform.status("vandelay-8"), "active");
}

#[test]
fn a_reactivation_that_is_taken_back_restores_the_suspension_as_it_was() {
    let office = Office::new("back", "reactivate", &fault("unauthorized", "GET", "/admin/audit", 100));
    let before = office.platform.get("/admin/tenants/initech-3");
    office.drill(&[]).exits(4);
    assert_eq!(office.platform.status("initech-3"), "active");
    office.asks("checklist", "control_points");
    office.house.answer("control_points/audit", "no");
    office.resume().exits(4);
    office.asks("failure", "control_points");
    office.house.answer("control_points", "undo_end");
    office.resume().exits(1);
    let after = office.platform.get("/admin/tenants/initech-3");
    for key in ["status", "suspensionReason", "suspendedAt"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    office.house.is_over();
}

#[test]
fn reactivating_an_active_tenant_changes_nothing() {
    let office = Office::new("active", "reactivate", &json!([]));
    office.drill(&["--input", "tenant_id=acme-42"]).exits(0);
    assert_eq!(office.effects().len(), 0);
}
