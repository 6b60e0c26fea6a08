//! Every fault, and what the platform holds afterwards.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{ACME, TENANTS, World, client, scratch, send};

fn suspended() -> Value {
    json!({"status": "suspended"})
}

fn on_patch(kind: &str, more: Value) -> Value {
    let mut rule = json!({"match": {"method": "PATCH", "path": "/admin/tenants/acme"}, "kind": kind});
    for (key, value) in more.as_object().unwrap() {
        rule[key] = value.clone();
    }
    rule
}

/// All bytes that come back for one PATCH on a connection of its own, until the far side closes it.
async fn raw_patch(world: &World, body: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = format!(
        "PATCH {ACME} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        world.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn switches_are_set_read_and_cleared() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(world.faults().await, json!([]));
    let rules = json!([on_patch("error_after_effect", json!({})), {"kind": "too_many", "times": 2}]);
    world.set_faults(rules).await;
    let stored = world.faults().await;
    assert_eq!((&stored[0]["times"], &stored[1]["times"]), (&json!(1), &json!(2)));

    for bad in [json!([{"kind": "stall"}]), json!({"kind": "too_many"}), json!([{"kind": "explode"}])] {
        let reply = send(world.request(Method::PUT, "/practice/faults").json(&bad)).await;
        assert_eq!(reply.status, 400, "{bad}");
    }
    assert_eq!(world.faults().await, stored, "a bad list leaves the old one in force");
    assert_eq!(send(world.request(Method::DELETE, "/practice/faults")).await.status, 204);
    assert_eq!(world.faults().await, json!([]));
    assert_eq!(world.get(TENANTS).await.status, 200);
    assert_eq!(send(world.request(Method::POST, "/practice/faults")).await.status, 405);
    assert_eq!(send(world.request(Method::GET, "/practice/nowhere")).await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_rule_strikes_what_it_matches_as_often_as_it_says() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world
        .set_faults(json!([
            {"match": {"method": "get", "path": "/admin/tenants/acme"}, "kind": "too_many", "times": 2, "retry_after_s": 7},
            {"match": {"path": "/admin/audit"}, "kind": "unauthorized"},
        ]))
        .await;
    assert_eq!(world.get("/admin/tenants/globex-7").await.status, 200);
    assert_eq!(world.patch(ACME, suspended()).await.status, 200);
    for _ in 0..2 {
        let reply = world.get(ACME).await;
        assert_eq!(reply.refusal(), (429, "too_many_requests".into()));
        assert_eq!(reply.header("retry-after"), "7");
    }
    assert_eq!(world.get(ACME).await.status, 200);
    assert_eq!(world.get("/admin/audit").await.refusal(), (401, "token_expired".into()));
    assert_eq!(world.get("/admin/audit").await.status, 200);
    assert_eq!(world.faults().await, json!([]));
    let struck: Vec<_> = world.log("").await.into_iter().filter(|e| e["faults"] != json!([])).collect();
    assert_eq!(struck.len(), 3);
    assert_eq!(struck[0]["faults"], json!(["too_many"]));
    world.stop().await;
}

#[tokio::test]
async fn an_error_after_the_effect_waits_for_an_effect() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([on_patch("error_after_effect", json!({"times": 2}))])).await;
    assert_eq!(world.patch(ACME, json!({"status": "gone"})).await.status, 400);
    assert_eq!(world.patch(ACME, json!({"status": "active"})).await.status, 200, "no effect, no fault");

    let keyed = || world.patch_keyed(ACME, "k", suspended());
    assert_eq!(keyed().await.refusal(), (500, "error_after_effect".into()));
    assert_eq!(world.status("acme-42").await, "suspended");
    assert_eq!(keyed().await.status, 500, "the repetition meets the second firing");
    let third = keyed().await;
    assert_eq!((third.status, third.header("idempotent-replayed")), (200, "true"));
    let effects = world.log("?effect=true").await;
    assert_eq!(effects.len(), 1);
    assert_eq!((&effects[0]["status"], &effects[0]["faults"]), (&json!(500), &json!(["error_after_effect"])));
    world.stop().await;
}

#[tokio::test]
async fn a_dropped_connection_carries_no_byte() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let body = suspended().to_string();
    world.set_faults(json!([on_patch("drop_before_effect", json!({}))])).await;
    assert_eq!(raw_patch(&world, &body).await, b"");
    assert_eq!(world.status("acme-42").await, "active");

    world.set_faults(json!([on_patch("drop_after_effect", json!({}))])).await;
    assert_eq!(raw_patch(&world, &body).await, b"");
    assert_eq!(world.status("acme-42").await, "suspended");
    let answer = raw_patch(&world, &body).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));

    let log = world.log("").await;
    let patches: Vec<_> = log.iter().filter(|entry| entry["method"] == "PATCH").collect();
    assert_eq!((&patches[0]["effect"], &patches[0]["status"]), (&json!(false), &Value::Null));
    assert_eq!((&patches[1]["effect"], &patches[1]["status"]), (&json!(true), &Value::Null));
    assert_eq!(patches[1]["faults"], json!(["drop_after_effect"]));
    world.stop().await;
}

#[tokio::test]
async fn a_drop_is_an_error_to_an_http_client_and_is_not_repeated_by_it() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(world.get(ACME).await.status, 200, "the connection is in the pool");
    world.set_faults(json!([on_patch("drop_after_effect", json!({}))])).await;
    let error = world.admin(Method::PATCH, ACME).json(&suspended()).send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    let patches = world.log("").await.into_iter().filter(|entry| entry["method"] == "PATCH").count();
    assert_eq!(patches, 1);
    world.stop().await;
}

#[tokio::test]
async fn a_stall_delays_its_own_request_only() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([on_patch("stall", json!({"delay_ms": 3_600_000}))])).await;
    let request = world.admin(Method::PATCH, ACME).json(&suspended());
    let stalled = tokio::spawn(request.send());
    world.until_last("the stalled request", |last| last["faults"] == json!(["stall"])).await;
    assert_eq!(world.status("acme-42").await, "active", "others are answered, the write has not happened");
    assert!(!stalled.is_finished());
    world.stop().await;
    assert!(stalled.await.unwrap().is_err(), "a stop ends the stall without an answer");

    let world = World::start(folder.path()).await;
    assert_eq!(world.status("acme-42").await, "active", "and without the write");
    world.stop().await;
}

#[tokio::test]
async fn a_short_stall_ends_in_the_answer() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    for (rule, effects) in [(json!({}), 1), (json!({"after_effect": true}), 2)] {
        let mut rule = on_patch("stall", rule);
        rule["delay_ms"] = json!(150);
        world.set_faults(json!([rule])).await;
        let body = if effects == 1 { suspended() } else { json!({"status": "active"}) };
        let start = Instant::now();
        assert_eq!(world.patch(ACME, body).await.status, 200);
        assert!(start.elapsed() >= Duration::from_millis(150), "{rule}");
        assert_eq!(world.log("?effect=true").await.len(), effects);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_write_happens_although_its_caller_has_left() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([on_patch("stall", json!({"delay_ms": 400}))])).await;
    let impatient = client()
        .patch(format!("http://{}{ACME}", world.address))
        .bearer_auth(&world.token)
        .timeout(Duration::from_millis(100))
        .json(&suspended());
    assert!(impatient.send().await.unwrap_err().is_timeout());
    world.until_last("the effect", |last| last["effect"] == json!(true)).await;
    assert_eq!(world.status("acme-42").await, "suspended");
    world.stop().await;
}

#[tokio::test]
async fn a_stall_after_the_effect_shows_the_effect_meanwhile() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([on_patch("stall", json!({"delay_ms": 3_600_000, "after_effect": true}))])).await;
    let stalled = tokio::spawn(world.admin(Method::PATCH, ACME).json(&suspended()).send());
    world.until_last("the effect", |last| last["effect"] == json!(true)).await;
    assert_eq!(world.status("acme-42").await, "suspended");
    assert!(!stalled.is_finished());
    world.stop().await;
    assert!(stalled.await.unwrap().is_err());
}

#[tokio::test]
async fn propagation_can_be_slow() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let login = async || {
        let body = json!({"tenantId": "acme-42", "email": "admin@acme.example", "password": world.password});
        send(world.request(Method::POST, "/login").json(&body)).await.status
    };
    world.set_faults(json!([on_patch("slow_propagation", json!({"for_ms": 5_000}))])).await;
    assert_eq!(world.patch(ACME, suspended()).await.json()["status"], "suspended");
    assert_eq!(world.status("acme-42").await, "suspended");
    assert_eq!((world.health("acme-42").await, login().await), (200, 200));
    world.clock.advance(4_999);
    assert_eq!((world.health("acme-42").await, login().await), (200, 200));
    world.clock.advance(1);
    assert_eq!((world.health("acme-42").await, login().await), (403, 403));

    world.patch(ACME, json!({"status": "active"})).await;
    assert_eq!(world.health("acme-42").await, 200, "once is once");
    world.stop().await;
}

#[tokio::test]
async fn a_read_can_be_stale() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let stale = json!([{"kind": "stale_read"}]);
    world.set_faults(stale.clone()).await;
    assert_eq!(world.status("acme-42").await, "active", "nothing was written yet");
    world.patch(ACME, suspended()).await;
    world.set_faults(stale.clone()).await;
    assert_eq!(
        world.get(TENANTS).await.json()["tenants"][0]["status"],
        "suspended",
        "the list is not struck"
    );
    assert_eq!(world.status("acme-42").await, "active");
    assert_eq!(world.status("acme-42").await, "suspended");

    let body = json!({"name": "New", "email": "a@new.example", "plan": "basic", "billingCycle": "yearly"});
    let id = world.post(TENANTS, body).await.json()["id"].as_str().unwrap().to_owned();
    world.set_faults(stale).await;
    assert_eq!(world.get(&format!("{TENANTS}/{id}")).await.status, 404, "before the write it was not there");
    assert_eq!(world.get(&format!("{TENANTS}/{id}")).await.status, 200);
    world.stop().await;
}
