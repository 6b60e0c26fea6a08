//! The Firestore stand-in: documents, queries by equality, and what the platform keeps there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ACME, DOCUMENTS, Reply, World, scratch, send};

async fn call(world: &World, method: Method, path: &str, body: Value) -> Reply {
    send(world.firestore(method, path).json(&body)).await
}

fn status(reply: &Reply) -> (u16, Value) {
    (reply.status, reply.json()["error"]["status"].clone())
}

fn by_email(email: &str) -> Value {
    json!({"structuredQuery": {
        "from": [{"collectionId": "users"}],
        "where": {"fieldFilter": {
            "field": {"fieldPath": "email"}, "op": "EQUAL", "value": {"stringValue": email},
        }},
    }})
}

#[tokio::test]
async fn the_token_the_database_and_the_content_type_are_wanted() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let path = format!("{DOCUMENTS}/tenants/acme-42");
    for request in [world.request(Method::GET, &path), world.admin(Method::GET, &path)] {
        assert_eq!(status(&send(request).await), (401, json!("UNAUTHENTICATED")));
    }
    let other = "/firestore/v1/projects/other/databases/(default)/documents/tenants/acme-42";
    let other = world.request(Method::GET, other).bearer_auth(&world.firestore_token);
    assert_eq!(status(&send(other).await), (404, json!("NOT_FOUND")));
    let typeless = world.firestore(Method::POST, ":runQuery").body(by_email("x").to_string());
    assert_eq!(status(&send(typeless).await), (404, json!("NOT_FOUND")));
    let encoded = path.replace('(', "%28").replace(')', "%29");
    let encoded = world.request(Method::GET, &encoded).bearer_auth(&world.firestore_token);
    assert_eq!(send(encoded).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_document_is_created_once_read_changed_and_deleted() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let site = json!({"fields": {"name": {"stringValue": "Site"}, "seats": {"integerValue": "12"}}});
    let create = || call(&world, Method::POST, "/tenants/acme-42/sites?documentId=s1", site.clone());
    let made = create().await;
    assert_eq!((made.status, &made.json()["fields"]), (200, &site["fields"]));
    let name = "projects/attendance-x/databases/(default)/documents/tenants/acme-42/sites/s1";
    assert_eq!(made.json()["name"], name);
    assert_eq!(status(&create().await), (409, json!("ALREADY_EXISTS")));

    let own = "/tenants/acme-42/sites/s1";
    let read = async || send(world.firestore(Method::GET, own)).await;
    assert_eq!(read().await.json(), made.json());
    assert_eq!(
        status(&send(world.firestore(Method::GET, "/tenants/nobody-1")).await),
        (404, json!("NOT_FOUND"))
    );

    world.clock.advance(1_000);
    let masked = format!("{own}?updateMask.fieldPaths=seats&updateMask.fieldPaths=colour");
    let colour = json!({"fields": {"colour": {"stringValue": "blue"}, "name": {"stringValue": "ignored"}}});
    let changed = call(&world, Method::PATCH, &masked, colour.clone()).await.json();
    let wanted = json!({"name": {"stringValue": "Site"}, "colour": {"stringValue": "blue"}});
    assert_eq!(changed["fields"], wanted, "what is named and not given goes, what is not named stays");
    assert_ne!(changed["createTime"], changed["updateTime"]);
    let whole = call(&world, Method::PATCH, own, site.clone()).await.json();
    assert_eq!(whole["fields"], site["fields"], "without a mask everything is replaced");

    let exists = |path: &str, yes: bool| format!("{path}?currentDocument.exists={yes}");
    let absent = "/tenants/acme-42/sites/s2";
    assert_eq!(call(&world, Method::PATCH, &exists(own, false), site.clone()).await.status, 409);
    assert_eq!(call(&world, Method::PATCH, &exists(absent, true), site.clone()).await.status, 404);
    assert_eq!(send(world.firestore(Method::DELETE, absent)).await.status, 200);
    assert_eq!(send(world.firestore(Method::DELETE, &exists(absent, true))).await.status, 404);
    assert_eq!(send(world.firestore(Method::DELETE, own)).await.json(), json!({}));
    assert_eq!(read().await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn bad_documents_and_names_are_refused() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    for fields in [
        json!({"fields": {"a": "bare"}}),
        json!({"fields": {"a": {"stringValue": 5}}}),
        json!({"fields": {"a": {"integerValue": "x"}}}),
        json!({"fields": {"a": {"stringValue": "x", "booleanValue": true}}}),
        json!({"fields": {"a": {"mapValue": {"fields": {"b": 5}}}}}),
        json!({"colour": "blue"}),
    ] {
        let reply = call(&world, Method::POST, "/sites?documentId=s1", fields.clone()).await;
        assert_eq!(status(&reply), (400, json!("INVALID_ARGUMENT")), "{fields}");
    }
    let good = json!({"fields": {}});
    assert_eq!(call(&world, Method::POST, "/sites", good.clone()).await.status, 400);
    assert_eq!(call(&world, Method::POST, "/sites?documentId=a%2Fb", good.clone()).await.status, 400);
    assert_eq!(call(&world, Method::POST, "/sites/s1", good.clone()).await.status, 404);
    let nested = "/tenants/acme-42?updateMask.fieldPaths=settings.locale";
    assert_eq!(call(&world, Method::PATCH, nested, good.clone()).await.status, 400, "not played");
    assert_eq!(send(world.firestore(Method::GET, "/tenants/a%2Fb")).await.status, 400);
    assert!(world.log("?effect=true").await.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_query_without_a_match_is_no_empty_array() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let run = |body: Value| call(&world, Method::POST, ":runQuery", body);
    let found = run(by_email("admin@acme.example")).await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["document"]["fields"]["tenantId"]["stringValue"], "acme-42");
    let nobody = run(by_email("nobody@acme.example")).await.json();
    assert_eq!(nobody, json!([{"readTime": "2026-11-23T05:30:00.000Z"}]));

    let mut all = by_email("x");
    all["structuredQuery"].as_object_mut().unwrap().remove("where");
    all["structuredQuery"]["limit"] = json!(2);
    assert_eq!(run(all).await.json().as_array().unwrap().len(), 2);
    let mut bad = by_email("x");
    bad["structuredQuery"]["where"]["fieldFilter"]["op"] = json!("LESS_THAN");
    let refused = run(bad).await;
    assert_eq!((refused.status, &refused.json()[0]["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(run(json!({"structuredQuery": {"from": [], "orderBy": []}})).await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn a_collection_is_listed_by_the_page_and_an_empty_one_has_no_key() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let list = async |path: &str| send(world.firestore(Method::GET, path)).await.json();
    let first = list("/tenants?pageSize=3").await;
    assert_eq!(first["documents"].as_array().unwrap().len(), 3);
    let token = first["nextPageToken"].as_str().unwrap();
    let rest = list(&format!("/tenants?pageSize=3&pageToken={token}")).await;
    assert_eq!(rest["documents"].as_array().unwrap().len(), 2);
    assert_eq!(rest["nextPageToken"], Value::Null);
    assert_eq!(list("/tenants/acme-42/sites").await, json!({}));
    assert_eq!(send(world.firestore(Method::GET, "/tenants?pageSize=0")).await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn the_platform_keeps_its_tenants_here_and_leaves_what_others_wrote() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let fields =
        async || send(world.firestore(Method::GET, "/tenants/acme-42")).await.json()["fields"].clone();
    assert_eq!(fields().await["status"]["stringValue"], "active");
    let settings =
        json!({"fields": {"settings": {"mapValue": {"fields": {"locale": {"stringValue": "fr"}}}}}});
    call(&world, Method::PATCH, "/tenants/acme-42?updateMask.fieldPaths=settings", settings).await;
    world.patch(ACME, json!({"status": "suspended", "suspensionReason": "Payment overdue"})).await;
    let suspended = fields().await;
    assert_eq!(suspended["status"]["stringValue"], "suspended");
    assert_eq!(suspended["suspensionReason"]["stringValue"], "Payment overdue");
    world.patch(ACME, json!({"status": "active"})).await;
    let active = fields().await;
    assert_eq!(
        (&active["status"]["stringValue"], &active["suspensionReason"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(active["settings"]["mapValue"]["fields"]["locale"]["stringValue"], "fr");
    world.stop().await;
}
