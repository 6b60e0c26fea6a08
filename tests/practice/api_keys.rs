//! Keys that programs call the platform with.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Reply, World, scratch, send};

const KEYS: &str = "/admin/api-keys";
const EXPORT: &str = "/admin/consumers/billing-export";

async fn issue(world: &World, label: &str, once: &str) -> Reply {
    let request = world.admin(Method::POST, KEYS).header("Idempotency-Key", once);
    send(request.json(&json!({"label": label}))).await
}

async fn with(world: &World, method: Method, path: &str, key: &str) -> Reply {
    send(world.request(method, path).bearer_auth(key)).await
}

#[tokio::test]
async fn a_key_is_said_once_reads_and_is_revoked() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let made = issue(&world, "export", "k").await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(issue(&world, "export", "k").await.json(), made, "the same request, answered again");
    assert_eq!(issue(&world, "other", "k").await.status, 409);
    assert_eq!(issue(&world, " ", "l").await.status, 400);
    let all = world.get(KEYS).await.json();
    assert_eq!(all["keys"].as_array().unwrap().len(), 2, "one was there: {all}");
    assert!(!all.to_string().contains(key));

    assert_eq!(with(&world, Method::GET, "/admin/metrics/usage", key).await.status, 200);
    assert_eq!(
        with(&world, Method::POST, KEYS, key).await.refusal(),
        (401, "wrong_token".into()),
        "it only reads"
    );
    assert_eq!(with(&world, Method::GET, KEYS, &format!("{key}0")).await.status, 401);
    let path = format!("{KEYS}/{id}");
    assert_eq!(world.get(&path).await.json()["used"], 1);

    assert_eq!(send(world.admin(Method::DELETE, &path)).await.status, 200);
    assert_eq!(send(world.admin(Method::DELETE, &path)).await.status, 200, "already so");
    assert_ne!(world.get(&path).await.json()["revokedAt"], Value::Null);
    assert_eq!(with(&world, Method::GET, KEYS, key).await.status, 401);
    assert_eq!(world.get("/admin/api-keys/key_9").await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_key_in_use_is_not_revoked() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(world.get(EXPORT).await.json()["keyId"], "key_1");
    assert_eq!(send(world.admin(Method::DELETE, "/admin/api-keys/key_1")).await.status, 409);
    let put = async |key: &str| send(world.admin(Method::PUT, EXPORT).json(&json!({"apiKey": key}))).await;
    assert_eq!(put("key_1_guessed").await.status, 400);
    let made = issue(&world, "export", "k").await.json();
    assert_eq!(
        put(made["key"].as_str().unwrap()).await.json(),
        json!({"name": "billing-export", "keyId": "key_2"})
    );
    assert_eq!(send(world.admin(Method::DELETE, "/admin/api-keys/key_1")).await.status, 200);
    assert_eq!(send(world.admin(Method::DELETE, "/admin/api-keys/key_2")).await.status, 409);
    assert_eq!(world.get("/admin/consumers/nobody").await.status, 404);
    let audit = world.get("/admin/audit?tenantId=platform").await.json();
    let actions: Vec<&str> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["api-key.issued", "consumer.equipped", "api-key.revoked"]);
    assert!(!audit.to_string().contains(made["key"].as_str().unwrap()));
    world.stop().await;
}
