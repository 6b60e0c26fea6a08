//! A creation that ends half way, taking one back, and the access of the people of a tenant.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Reply, TENANTS, World, scratch, send};

fn wayne() -> Value {
    json!({"name": "Wayne Events", "email": "admin@wayne.example", "plan": "basic", "billingCycle": "monthly"})
}

async fn create(world: &World, key: &str) -> Reply {
    send(world.admin(Method::POST, TENANTS).header("Idempotency-Key", key).json(&wayne())).await
}

async fn customers(world: &World) -> Value {
    send(world.stripe(Method::GET, "customers?email=admin%40wayne.example")).await.json()["data"].clone()
}

async fn creation(world: &World, method: Method, key: &str) -> Reply {
    send(world.admin(method, &format!("/admin/creations/{key}"))).await
}

#[tokio::test]
async fn a_creation_reaches_firestore_and_stripe() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(creation(&world, Method::GET, "k").await.status, 404);
    let made = create(&world, "k").await.json();
    let id = made["id"].as_str().unwrap();
    let fields = send(world.firestore(Method::GET, &format!("/tenants/{id}"))).await.json()["fields"].clone();
    assert_eq!(fields["email"]["stringValue"], "admin@wayne.example");
    assert_eq!(fields["stripeCustomerId"]["stringValue"], made["stripeCustomerId"]);
    assert_eq!(customers(&world).await[0]["id"], made["stripeCustomerId"]);
    let seen = creation(&world, Method::GET, "k").await.json();
    assert_eq!((&seen["state"], &seen["tenantId"]), (&json!("complete"), &json!(id)));
    assert_eq!(send(world.request(Method::GET, "/admin/creations/k")).await.status, 401);
    world.stop().await;
}

#[tokio::test]
async fn a_creation_that_stripe_cuts_off_goes_on_under_its_key() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let rule = json!({"match": {"method": "POST", "path": "/stripe/v1/customers"}, "kind": "server_error", "times": 2});
    world.set_faults(json!([rule])).await;
    for _ in 0..2 {
        assert_eq!(create(&world, "k").await.refusal(), (502, "half_made".into()));
        let seen = creation(&world, Method::GET, "k").await.json();
        assert_eq!((&seen["state"], &seen["stripeCustomerId"]), (&json!("half_made"), &Value::Null));
        assert_eq!(customers(&world).await, json!([]));
    }
    assert_eq!(create(&world, "another").await.refusal(), (409, "conflict".into()));
    let made = create(&world, "k").await;
    assert_eq!(made.status, 201);
    assert_eq!(customers(&world).await[0]["id"], made.json()["stripeCustomerId"]);
    let again = create(&world, "k").await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &made.text));
    assert_eq!(customers(&world).await.as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_creation_is_taken_back_whole_or_half_and_leaves_nothing() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let rule = json!({"match": {"path": "/stripe/v1/customers"}, "kind": "server_error"});
    for faults in [json!([]), json!([rule])] {
        world.set_faults(faults).await;
        create(&world, "k").await;
        let id = creation(&world, Method::GET, "k").await.json()["tenantId"].as_str().unwrap().to_owned();
        let user = json!({"email": "admin@wayne.example", "role": "admin", "password": "long enough"});
        assert_eq!(world.post(&format!("{TENANTS}/{id}/users"), user).await.status, 201);
        let site = json!({"fields": {"name": {"stringValue": "Site"}}});
        let path = format!("/tenants/{id}/sites?documentId=s1");
        send(world.firestore(Method::POST, &path).json(&site)).await;

        let gone = creation(&world, Method::DELETE, "k").await;
        assert_eq!((gone.status, &gone.json()["removed"]["documents"]), (200, &json!(3)));
        assert_eq!(customers(&world).await, json!([]));
        for left in [format!("/tenants/{id}"), format!("/tenants/{id}/sites/s1")] {
            assert_eq!(send(world.firestore(Method::GET, &left)).await.status, 404, "{left}");
        }
        assert_eq!(world.get(&format!("{TENANTS}/{id}")).await.status, 404);
        assert_eq!(
            world.get("/admin/tenants?email=admin@wayne.example").await.json(),
            json!({"tenants": []})
        );
        assert_eq!(creation(&world, Method::DELETE, "k").await.status, 404);
        let audit = world.get(&format!("/admin/audit?tenantId={id}")).await.json();
        assert_eq!(audit["entries"].as_array().unwrap().last().unwrap()["action"], "tenant.removed");
    }
    assert_eq!(create(&world, "k").await.status, 201, "the key is free again");
    world.stop().await;
}

#[tokio::test]
async fn a_tenant_of_yesterday_is_not_taken_back() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let id = create(&world, "k").await.json()["id"].as_str().unwrap().to_owned();
    world.clock.advance(24 * 3_600_000 + 1);
    assert_eq!(creation(&world, Method::DELETE, "k").await.refusal(), (409, "conflict".into()));
    assert_eq!(world.status(&id).await, "active");
    world.stop().await;
}

#[tokio::test]
async fn access_is_given_proved_and_ends_at_the_tenant() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let id = create(&world, "k").await.json()["id"].as_str().unwrap().to_owned();
    let login = async |tenant: &str, password: &str| {
        let body = json!({"tenantId": tenant, "email": "admin@wayne.example", "password": password});
        send(world.request(Method::POST, "/login").json(&body)).await
    };
    assert_eq!(login(&id, &world.password).await.status, 401, "a new tenant has nobody yet");
    let path = format!("{TENANTS}/{id}/users");
    let user =
        |password: &str| json!({"email": "admin@wayne.example", "role": "admin", "password": password});
    assert_eq!(world.post(&path, user("short")).await.status, 400);
    assert_eq!(world.post("/admin/tenants/nobody-1/users", user("first-password")).await.status, 404);
    assert_eq!(world.post(&path, user("first-password")).await.status, 201);
    assert_eq!(world.post(&path, user("other-password")).await.refusal(), (409, "conflict".into()));
    assert_eq!(login(&id, "first-password").await.json()["role"], "admin");
    assert_eq!(login(&id, &world.password).await.status, 401, "his own password, not the prepared one");
    assert_eq!(login("acme-42", "first-password").await.status, 401);

    let users = async |tenant: &str, password: &str| {
        let request = world.request(Method::GET, "/users").header("X-Tenant-ID", tenant);
        send(request.basic_auth("admin@wayne.example", Some(password))).await
    };
    let own = users(&id, "first-password").await;
    assert_eq!(own.json()["users"], json!([{"email": "admin@wayne.example", "role": "admin"}]));
    assert_eq!(users("acme-42", "first-password").await.refusal(), (403, "not_a_member".into()));
    assert_eq!(users("acme-42", "guessed-it").await.refusal(), (401, "wrong_login".into()));
    assert_eq!(send(world.request(Method::GET, "/users")).await.status, 400);
    let bare = world.request(Method::GET, "/users").header("X-Tenant-ID", &id);
    assert_eq!(send(bare).await.refusal(), (401, "no_login".into()));
    world.patch(&format!("{TENANTS}/{id}"), json!({"status": "suspended"})).await;
    assert_eq!(users(&id, "first-password").await.refusal(), (403, "tenant_suspended".into()));
    world.stop().await;
}
