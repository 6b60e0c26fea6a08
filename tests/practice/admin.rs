//! The administrator's API.

use consigne::practice::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ACME, TENANTS, World, scratch, send};

fn client_body() -> Value {
    json!({"name": "Wayne Events", "email": "admin@wayne.example", "plan": "basic", "billingCycle": "monthly"})
}

#[tokio::test]
async fn every_admin_call_wants_the_token() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    for (method, path) in [
        (Method::GET, TENANTS),
        (Method::POST, TENANTS),
        (Method::PATCH, ACME),
        (Method::GET, "/admin/audit"),
        (Method::POST, "/admin/notifications/send"),
        (Method::GET, "/admin/metrics/usage"),
        (Method::GET, "/admin/nowhere"),
    ] {
        let bare = send(world.request(method.clone(), path)).await;
        assert_eq!(bare.refusal(), (401, "no_token".into()), "{method} {path}");
        assert_eq!(bare.header("www-authenticate"), "Bearer");
        let wrong = send(world.request(method.clone(), path).bearer_auth("guessed")).await;
        assert_eq!(wrong.refusal(), (401, "wrong_token".into()), "{method} {path}");
        let basic = send(world.request(method.clone(), path).basic_auth("admin", Some(&world.token))).await;
        assert_eq!(basic.status, 401, "{method} {path}");
    }
    assert!(world.log("?effect=true").await.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn tenants_are_listed_filtered_and_read() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let all = world.get(TENANTS).await.json();
    let ids: Vec<_> = all["tenants"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["acme-42", "globex-7", "hooli-19", "initech-3", "vandelay-8"]);

    let by_email = world.get("/admin/tenants?email=ADMIN%40acme.example").await.json();
    assert_eq!(by_email["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(by_email["tenants"][0]["id"], "acme-42");
    let nobody = world.get("/admin/tenants?email=nobody@acme.example").await.json();
    assert_eq!(nobody, json!({"tenants": []}));
    let suspended = world.get("/admin/tenants?status=suspended").await.json();
    assert_eq!(suspended["tenants"][0]["id"], "initech-3");
    assert_eq!(suspended["tenants"][0]["suspensionReason"], "Payment overdue");
    assert_eq!(world.get("/admin/tenants?status=gone").await.status, 400);
    let unreadable = world.get("/admin/tenants?email=%FF").await.json();
    assert_eq!(unreadable, json!({"tenants": []}), "a filter that cannot be read is not no filter");

    let acme = world.get(ACME).await;
    assert_eq!(acme.status, 200);
    assert_eq!(acme.json()["name"], "Acme Logistics");
    assert_eq!(acme.json()["createdAt"], "2024-01-15T09:00:00.000Z");
    assert_eq!(world.get("/admin/tenants/nobody-1").await.refusal(), (404, "not_found".into()));
    assert_eq!(world.get("/admin/tenants/").await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_tenant_is_created_once_per_address() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let created = world.post(TENANTS, client_body()).await;
    assert_eq!(created.status, 201);
    let tenant = created.json();
    let id = tenant["id"].as_str().unwrap();
    assert!(id.starts_with("wayne-events-"), "{id}");
    assert_eq!((&tenant["status"], &tenant["plan"]), (&json!("active"), &json!("basic")));
    assert!(tenant["stripeCustomerId"].as_str().unwrap().starts_with("cus_"));
    assert_eq!(tenant["createdAt"], "2026-11-23T05:30:00.000Z");
    assert_eq!(world.get(&format!("{TENANTS}/{id}")).await.json(), tenant);
    assert_eq!(world.health(id).await, 200);
    let jobs = world.get(&format!("{TENANTS}/{id}/jobs")).await.json();
    assert_eq!(jobs[0]["state"], "running");

    let mut other_case = client_body();
    other_case["email"] = json!("Admin@Wayne.example");
    assert_eq!(world.post(TENANTS, other_case).await.refusal(), (409, "conflict".into()));
    assert_eq!(world.log("?effect=true").await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_bad_new_tenant_is_refused() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    for (key, value) in [
        ("name", json!("  ")),
        ("name", json!(5)),
        ("email", json!("admin")),
        ("plan", json!("golden")),
        ("billingCycle", json!("daily")),
        ("colour", json!("blue")),
    ] {
        let mut body = client_body();
        body[key] = value;
        let reply = world.post(TENANTS, body.clone()).await;
        assert_eq!(reply.refusal(), (400, "bad_request".into()), "{body}");
    }
    let mut short = client_body();
    short.as_object_mut().unwrap().remove("plan");
    assert_eq!(world.post(TENANTS, short).await.status, 400);

    let post = || world.admin(Method::POST, TENANTS);
    assert_eq!(send(post().body("{")).await.status, 415);
    assert_eq!(send(post().body("{").header("content-type", "application/json")).await.status, 400);
    assert_eq!(send(post()).await.status, 400, "an empty body is missing, not of a wrong type");
    assert_eq!(send(post().body(client_body().to_string())).await.status, 415);
    let form =
        post().body(client_body().to_string()).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(form).await.refusal(), (415, "wrong_content_type".into()));
    let charset =
        post().body(client_body().to_string()).header("content-type", "application/json; charset=utf-8");
    assert_eq!(send(charset).await.status, 201);
    let huge = post().body(vec![b' '; (1 << 20) + 1]).header("content-type", "application/json");
    assert_eq!(send(huge).await.status, 413);
    world.stop().await;
}

#[tokio::test]
async fn a_suspension_reaches_everything_and_is_audited() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let body = json!({
        "status": "suspended", "suspensionReason": "Payment overdue", "suspendedAt": "2026-11-23T06:30:00+01:00",
    });
    let reply = world.patch(ACME, body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["status"], "suspended");
    assert_eq!(reply.json()["suspendedAt"], "2026-11-23T05:30:00.000Z");
    assert_eq!(world.health("acme-42").await, 403);
    let jobs = world.get(&format!("{ACME}/jobs")).await.json();
    assert!(jobs.as_array().unwrap().iter().all(|job| job["state"] == "suspended"));
    assert_eq!(jobs.as_array().unwrap().len(), 3);

    let again = world.patch(ACME, json!({"status": "suspended", "suspensionReason": "another"})).await;
    assert_eq!((again.status, again.json()), (200, reply.json()), "nothing changes, the first reason stays");

    world.clock.advance(60_000);
    let back = json!({"status": "active", "reactivationReason": "Payment received"});
    let back = world.patch(ACME, back).await.json();
    assert_eq!(back["reactivatedAt"], "2026-11-23T05:31:00.000Z");
    assert_eq!(back["suspensionReason"], Value::Null);
    assert_eq!(world.health("acme-42").await, 200);

    let audit = world.get("/admin/audit?tenantId=acme-42").await.json();
    let entries = audit["entries"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["tenant.created", "tenant.suspended", "tenant.activated"]);
    assert_eq!(entries[1]["actor"], "admin-token");
    assert_eq!(entries[1]["time"], "2026-11-23T05:30:00.000Z");
    let details = json!({"from": "active", "to": "suspended", "reason": "Payment overdue"});
    assert_eq!(entries[1]["details"], details);
    assert!(world.get("/admin/audit").await.json()["entries"].as_array().unwrap().len() > entries.len());
    world.stop().await;
}

#[tokio::test]
async fn a_bad_or_forbidden_change_is_refused() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    for body in [
        json!({}),
        json!({"status": "gone"}),
        json!({"status": "active", "suspensionReason": "x"}),
        json!({"status": "suspended", "reactivationReason": "x"}),
        json!({"status": "maintenance", "suspendedAt": "2026-11-23T06:30:00Z"}),
        json!({"status": "suspended", "suspendedAt": "yesterday"}),
        json!({"status": "suspended", "colour": "blue"}),
        json!(["suspended"]),
    ] {
        assert_eq!(world.patch(ACME, body.clone()).await.refusal(), (400, "bad_request".into()), "{body}");
    }
    let unknown = world.patch("/admin/tenants/nobody-1", json!({"status": "active"})).await;
    assert_eq!(unknown.refusal(), (404, "not_found".into()));
    let typeless = world.admin(Method::PATCH, ACME).body(r#"{"status": "suspended"}"#);
    assert_eq!(send(typeless).await.refusal(), (415, "wrong_content_type".into()));

    assert_eq!(world.patch(ACME, json!({"status": "maintenance"})).await.status, 200);
    assert_eq!(world.patch(ACME, json!({"status": "suspended"})).await.refusal(), (409, "conflict".into()));
    let initech = "/admin/tenants/initech-3";
    assert_eq!(world.patch(initech, json!({"status": "maintenance"})).await.status, 409);
    assert_eq!(world.status("initech-3").await, "suspended");

    let put = send(world.admin(Method::PUT, ACME)).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, PATCH"));
    assert_eq!(send(world.admin(Method::DELETE, TENANTS)).await.header("allow"), "GET, POST");
    world.stop().await;
}

#[tokio::test]
async fn two_calls_go_without_a_content_type_unless_strict() {
    let folder = scratch();
    let state = folder.path().join("state");
    let notice = r#"{"tenantId": "acme-42", "type": "incident", "template": "incident_notice"}"#;
    for (strict, (change, sent)) in [(true, (415, 415)), (false, (200, 202))] {
        let world = World::start_with(Options { strict, ..Options::new(&state) }).await;
        let patch = world.admin(Method::PATCH, ACME).body(r#"{"status": "maintenance"}"#);
        assert_eq!(send(patch).await.status, change);
        let form = "application/x-www-form-urlencoded";
        let post = world.admin(Method::POST, "/admin/notifications/send").header("content-type", form);
        assert_eq!(send(post.body(notice)).await.status, sent);
        world.stop().await;
    }
}

#[tokio::test]
async fn notifications_land_in_the_outbox() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let send_to = "/admin/notifications/send";
    let notice =
        |id: &str| json!({"tenantId": id, "type": "suspension_notice", "template": "account_suspended"});
    let reply = world.post(send_to, notice("acme-42")).await;
    assert_eq!((reply.status, reply.json()), (202, json!({"id": "ntf-000001"})));
    assert_eq!(world.post(send_to, notice("globex-7")).await.status, 202);
    assert_eq!(world.post(send_to, notice("nobody-1")).await.status, 404);
    for (key, bad) in [("type", json!("")), ("template", json!("Not A Name")), ("to", json!("x"))] {
        let mut body = notice("acme-42");
        body[key] = bad;
        assert_eq!(world.post(send_to, body.clone()).await.status, 400, "{body}");
    }
    let outbox = world.get("/admin/notifications?tenantId=acme-42").await.json();
    assert_eq!(outbox["notifications"].as_array().unwrap().len(), 1);
    assert_eq!(outbox["notifications"][0]["template"], "account_suspended");
    let all = world.get("/admin/notifications").await.json();
    assert_eq!(all["notifications"].as_array().unwrap().len(), 2);
    let audit = world.get("/admin/audit?tenantId=acme-42").await.json();
    assert_eq!(audit["entries"][1]["action"], "notification.sent");
    world.stop().await;
}

#[tokio::test]
async fn a_key_makes_a_write_happen_once() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let post = |key: &str, body: &Value| {
        let body = body.clone();
        send(world.admin(Method::POST, TENANTS).header("Idempotency-Key", key).json(&body))
    };
    let first = post("run-1:create", &client_body()).await;
    let second = post("run-1:create", &client_body()).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.text, second.text);
    assert!(first.headers.get("idempotent-replayed").is_none());
    assert_eq!(second.header("idempotent-replayed"), "true");

    let mut other = client_body();
    other["plan"] = json!("premium");
    assert_eq!(post("run-1:create", &other).await.refusal(), (422, "idempotency_key_reused".into()));
    let elsewhere = world.patch_keyed(ACME, "run-1:create", json!({"status": "suspended"})).await;
    assert_eq!(elsewhere.status, 422, "a key is for one request on one path");
    assert_eq!(post("with space", &client_body()).await.status, 400);
    assert_eq!(post(&"k".repeat(256), &client_body()).await.status, 400);

    let suspend = || world.patch_keyed(ACME, "run-1:suspend", json!({"status": "suspended"}));
    assert_eq!(suspend().await.status, 200);
    assert_eq!(world.patch(ACME, json!({"status": "active"})).await.status, 200);
    assert_eq!(suspend().await.json()["status"], "suspended", "the answer of that time");
    assert_eq!(world.status("acme-42").await, "active", "and no second effect");

    let refused = post("run-1:again", &client_body()).await;
    assert_eq!(refused.status, 409);
    assert_eq!(post("run-1:again", &other_address()).await.status, 201, "a refusal does not hold the key");

    let effects = world.log("?effect=true").await;
    let keys: Vec<_> = effects.iter().map(|entry| entry["idempotencyKey"].as_str()).collect();
    assert_eq!(keys, [Some("run-1:create"), Some("run-1:suspend"), None, Some("run-1:again")]);
    world.stop().await;
}

fn other_address() -> Value {
    let mut body = client_body();
    body["email"] = json!("ops@wayne.example");
    body
}

#[tokio::test]
async fn the_log_tells_requests_effects_and_replays_in_order() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.get("/admin/tenants?status=active").await;
    world.patch_keyed(ACME, "k1", json!({"status": "suspended"})).await;
    world.patch_keyed(ACME, "k1", json!({"status": "suspended"})).await;
    world.patch(ACME, json!({"status": "suspended"})).await;
    world.patch(ACME, json!({"status": "active"})).await;

    let log = world.log("").await;
    let seen: Vec<_> = log
        .iter()
        .map(|e| json!([e["method"], e["idempotencyKey"], e["effectSeq"], e["replayed"]]))
        .collect();
    let wanted = json!([
        ["GET", null, null, false],
        ["PATCH", "k1", 1, false],
        ["PATCH", "k1", null, true],
        ["PATCH", null, null, false],
        ["PATCH", null, 2, false],
    ]);
    assert_eq!(json!(seen), wanted);
    assert_eq!((&log[0]["path"], &log[0]["query"]), (&json!(TENANTS), &json!("status=active")));
    assert_eq!(log[1]["bodySha256"], log[3]["bodySha256"]);
    assert_ne!(log[1]["bodySha256"], log[4]["bodySha256"]);
    assert_eq!(log[4]["status"], 200);
    assert_eq!(world.log("?effect=true&after=2").await.len(), 1);
    let bad = send(world.request(Method::GET, "/practice/requests?after=x")).await;
    assert_eq!(bad.status, 400);
    world.stop().await;
}
