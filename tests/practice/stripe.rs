//! The Stripe stand-in: what the procedures ask of it, in Stripe's own form.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, scratch, send};

async fn get(world: &World, path: &str) -> (u16, Value) {
    let reply = send(world.stripe(Method::GET, path)).await;
    (reply.status, reply.json())
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_key_goes_as_bearer_or_as_a_user() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let bare = send(world.request(Method::GET, "/stripe/v1/customers")).await;
    assert_eq!((bare.status, &bare.json()["error"]["type"]), (401, &json!("invalid_request_error")));
    assert_eq!(bare.header("www-authenticate"), "Basic realm=\"Stripe\"");
    let wrong = send(world.request(Method::GET, "/stripe/v1/customers").bearer_auth(&world.token)).await;
    assert_eq!(wrong.status, 401, "the platform's token is not Stripe's key");
    let user = world.request(Method::GET, "/stripe/v1/customers").basic_auth(&world.stripe_key, Some(""));
    assert_eq!(send(user).await.status, 200);
    let nowhere = get(&world, "charges").await;
    assert_eq!((nowhere.0, &nowhere.1["error"]["type"]), (404, &json!("invalid_request_error")));
    world.stop().await;
}

#[tokio::test]
async fn customers_are_found_by_their_exact_address() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let (_, found) = get(&world, "customers?email=admin%40initech.example").await;
    assert_eq!((ids(&found), &found["object"]), (vec!["cus_P8initechCons3"], &json!("list")));
    assert_eq!(found["data"][0]["metadata"]["tenantId"], "initech-3");
    let (_, other_case) = get(&world, "customers?email=Admin%40initech.example").await;
    assert_eq!(other_case["data"], json!([]));
    assert_eq!(get(&world, "customers/cus_P8initechCons3").await.1["email"], "admin@initech.example");
    let (status, missing) = get(&world, "customers/cus_none").await;
    let wanted = json!({"error": {
        "code": "resource_missing", "message": "No such customer: 'cus_none'", "param": "id",
        "type": "invalid_request_error",
    }});
    assert_eq!((status, missing), (404, wanted));
    world.stop().await;
}

#[tokio::test]
async fn lists_come_by_the_page() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let (_, first) = get(&world, "customers?limit=2").await;
    assert_eq!((ids(&first).len(), &first["has_more"]), (2, &json!(true)));
    let (_, rest) = get(&world, &format!("customers?limit=3&starting_after={}", ids(&first)[1])).await;
    assert_eq!((ids(&rest).len(), &rest["has_more"]), (3, &json!(false)));
    assert!(ids(&first).iter().all(|id| !ids(&rest).contains(id)));
    for (bad, code) in [
        ("customers?limit=0", None),
        ("customers?limit=101", None),
        ("customers?colour=blue", Some("parameter_unknown")),
        ("invoices?customer=", Some("parameter_invalid_empty")),
        ("invoices?customer=cus_none", Some("resource_missing")),
        ("invoices?status=overdue", None),
        ("customers?starting_after=cus_none", Some("resource_missing")),
    ] {
        let (status, body) = get(&world, bad).await;
        assert_eq!((status, body["error"]["code"].as_str()), (400, code), "{bad}");
    }
    world.stop().await;
}

#[tokio::test]
async fn who_owes_has_an_open_invoice_beside_a_paid_one() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let of = |status: &str| format!("invoices?customer=cus_P8vandelayImp8&status={status}");
    let (_, open) = get(&world, &of("open")).await;
    assert_eq!(
        (ids(&open), &open["data"][0]["amount_remaining"]),
        (vec!["in_P8vandelayImp82"], &json!(7_900))
    );
    assert_eq!(ids(&get(&world, &of("paid")).await.1), ["in_P8vandelayImp81"]);
    assert_eq!(get(&world, "invoices?customer=cus_P8initechCons3&status=open").await.1["data"], json!([]));
    let subscriptions = "subscriptions?customer=cus_P8vandelayImp8";
    assert_eq!(get(&world, subscriptions).await.1["data"][0]["status"], "past_due");

    let pay = || send(world.stripe(Method::POST, "invoices/in_P8vandelayImp82/pay"));
    let paid = pay().await;
    assert_eq!((paid.status, &paid.json()["amount_remaining"]), (200, &json!(0)));
    assert_eq!(get(&world, &of("open")).await.1["data"], json!([]));
    assert_eq!(get(&world, subscriptions).await.1["data"][0]["status"], "active");
    assert_eq!(get(&world, "customers/cus_P8vandelayImp8").await.1["delinquent"], false);
    assert_eq!(pay().await.status, 400, "paid is paid");
    assert_eq!(send(world.stripe(Method::POST, "invoices/in_none/pay")).await.status, 404);
    assert_eq!(get(&world, "invoices/in_P8vandelayImp82").await.1["status"], "paid");
    world.stop().await;
}

#[tokio::test]
async fn a_customer_is_made_changed_and_deleted() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let post = |path: &str, form: &[(&str, &str)]| send(world.stripe(Method::POST, path).form(form));
    let made =
        post("customers", &[("email", "a@wayne.example"), ("metadata[tenantId]", "wayne-1")]).await.json();
    let path = format!("customers/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (&made["email"], &made["metadata"]["tenantId"]),
        (&json!("a@wayne.example"), &json!("wayne-1"))
    );
    let locales =
        [("preferred_locales[0]", "fr"), ("preferred_locales[1]", "en"), ("metadata[tenantId]", "")];
    let changed = post(&path, &locales).await.json();
    assert_eq!((&changed["preferred_locales"], &changed["metadata"]), (&json!(["fr", "en"]), &json!({})));
    assert_eq!(post(&path, &[("colour", "blue")]).await.json()["error"]["code"], "parameter_unknown");
    assert_eq!(post("customers/cus_none", &[("name", "x")]).await.status, 404);

    let gone = send(world.stripe(Method::DELETE, &path)).await.json();
    assert_eq!((&gone["deleted"], &gone["id"]), (&json!(true), &made["id"]));
    assert_eq!(get(&world, "customers?email=a%40wayne.example").await.1["data"], json!([]));
    assert_eq!(get(&world, &path).await.1["deleted"], true, "it can still be looked at");
    assert_eq!(post(&path, &[("name", "x")]).await.status, 404);
    assert_eq!(send(world.stripe(Method::DELETE, &path)).await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_key_makes_one_customer_and_is_nobody_elses() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let post = |email: &'static str| {
        let request = world.stripe(Method::POST, "customers").header("Idempotency-Key", "k1");
        send(request.form(&[("email", email)]))
    };
    let first = post("a@wayne.example").await;
    let second = post("a@wayne.example").await;
    assert_eq!(first.text, second.text);
    assert_eq!(second.header("idempotent-replayed"), "true");
    let other = post("b@wayne.example").await;
    assert_eq!((other.status, &other.json()["error"]["type"]), (400, &json!("idempotency_error")));
    let elsewhere = world.patch_keyed(crate::world::ACME, "k1", json!({"status": "suspended"})).await;
    assert_eq!(elsewhere.status, 200, "the platform has keys of its own");
    assert_eq!(get(&world, "customers?email=a%40wayne.example").await.1["data"].as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn faults_are_told_in_stripes_own_form() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let rule = |kind: &str| json!({"match": {"path": "/stripe/v1/customers"}, "kind": kind});
    world.set_faults(json!([rule("server_error"), rule("too_many"), rule("unauthorized")])).await;
    assert_eq!(world.get(crate::world::TENANTS).await.status, 200, "another system is not struck");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (status, body) = get(&world, "customers").await;
        seen.push(json!([status, body["error"]["type"], body["error"]["code"]]));
    }
    let wanted = json!([
        [500, "api_error", null],
        [429, "invalid_request_error", "rate_limit"],
        [401, "invalid_request_error", null],
    ]);
    assert_eq!(json!(seen), wanted);

    world.set_faults(json!([rule("error_after_effect")])).await;
    let post = || {
        let request = world.stripe(Method::POST, "customers").header("Idempotency-Key", "k2");
        send(request.form(&[("email", "a@wayne.example")]))
    };
    let lost = post().await;
    assert_eq!((lost.status, &lost.json()["error"]["type"]), (500, &json!("api_error")));
    assert_eq!(post().await.header("idempotent-replayed"), "true");
    assert_eq!(world.log("?effect=true").await.len(), 1);
    world.stop().await;
}
