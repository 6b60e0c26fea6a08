//! What a tenant's users and the monitoring see.

use reqwest::Method;
use serde_json::json;

use crate::world::{ACME, Reply, World, scratch, send};

async fn login(world: &World, tenant: &str, email: &str, password: &str) -> Reply {
    let body = json!({"tenantId": tenant, "email": email, "password": password});
    send(world.request(Method::POST, "/login").json(&body)).await
}

#[tokio::test]
async fn health_follows_the_status() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(send(world.request(Method::GET, "/health")).await.refusal(), (400, "bad_request".into()));
    assert_eq!(world.health("acme-42").await, 200);
    assert_eq!(world.health("initech-3").await, 403);
    assert_eq!(world.health("nobody-1").await, 404);
    world.patch(ACME, json!({"status": "maintenance"})).await;
    assert_eq!(world.health("acme-42").await, 503);
    assert_eq!(send(world.request(Method::POST, "/health")).await.status, 405);
    assert_eq!(send(world.request(Method::GET, "/nowhere")).await.refusal(), (404, "not_found".into()));
    world.stop().await;
}

#[tokio::test]
async fn a_login_needs_a_password_and_an_active_tenant() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let (user, password) = ("manager@acme.example", world.password.clone());
    let welcome = login(&world, "acme-42", user, &password).await;
    assert_eq!(welcome.status, 200);
    assert_eq!(welcome.json(), json!({"tenantId": "acme-42", "email": user, "role": "manager"}));
    assert_eq!(login(&world, "acme-42", user, "guessed").await.refusal(), (401, "wrong_login".into()));
    assert_eq!(login(&world, "globex-7", user, &password).await.status, 401);
    assert_eq!(login(&world, "nobody-1", user, &password).await.status, 401);

    let suspended = login(&world, "initech-3", "admin@initech.example", &password).await;
    assert_eq!(suspended.refusal(), (403, "tenant_suspended".into()));
    let guessed = login(&world, "initech-3", "admin@initech.example", "guessed").await;
    assert_eq!(guessed.status, 401, "the status is told to insiders only");
    world.patch(ACME, json!({"status": "maintenance"})).await;
    let maintenance = login(&world, "acme-42", user, &password).await;
    assert_eq!(maintenance.refusal(), (403, "tenant_in_maintenance".into()));

    assert_eq!(send(world.request(Method::POST, "/login").body("{}")).await.status, 415);
    assert_eq!(send(world.request(Method::POST, "/login").json(&json!({}))).await.status, 400);
    let logins = send(world.request(Method::GET, "/practice/logins")).await.json();
    assert!(logins["logins"].as_array().unwrap().iter().any(|l| l["email"] == user));
    world.stop().await;
}

#[tokio::test]
async fn usage_counts_the_calls_of_users() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let calls = async || {
        let usage = world.get("/admin/metrics/usage").await.json();
        let tenants = usage["tenants"].as_array().unwrap().clone();
        tenants.iter().find(|t| t["id"] == "acme-42").unwrap()["apiCalls"].as_i64().unwrap()
    };
    let before = calls().await;
    assert!(before > 10_000);
    world.health("acme-42").await;
    world.get(ACME).await;
    assert_eq!(calls().await, before + 1);
    world.stop().await;
}

#[tokio::test]
async fn prometheus_values_are_strings() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let query = async |path: &str| send(world.request(Method::GET, path)).await;
    let up = query("/api/v1/query?query=up").await.json();
    let wanted = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"__name__": "up", "job": "attendance-api"}, "value": [1_795_411_800.0, "1"]},
    ]}});
    assert_eq!(up, wanted);
    let tenants = query("/api/v1/query?query=attendance_tenants").await.json();
    assert_eq!(tenants["data"]["result"][1]["metric"]["status"], "suspended");
    assert_eq!(tenants["data"]["result"][1]["value"][1], "2");
    let unknown = query("/api/v1/query?query=unknown").await;
    assert_eq!((unknown.status, &unknown.json()["data"]["result"]), (200, &json!([])));
    for bad in ["/api/v1/query", "/api/v1/query?query=", "/api/v1/query?query=up%20%3D%3D%200"] {
        let reply = query(bad).await;
        assert_eq!((reply.status, &reply.json()["errorType"]), (400, &json!("bad_data")), "{bad}");
    }

    let text = query("/metrics").await;
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "# TYPE up gauge",
        "up{job=\"attendance-api\"} 1",
        "attendance_tenants{status=\"active\"} 3",
        "# TYPE attendance_api_calls_total counter",
        "attendance_api_calls_total{tenant=\"acme-42\"} 18240",
    ] {
        assert!(text.text.lines().any(|found| found == line), "{line}\n{}", text.text);
    }
    world.stop().await;
}
