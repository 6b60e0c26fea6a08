//! The mailbox: what was accepted has arrived, unless it got lost.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, scratch, send};

async fn mails(world: &World) -> Value {
    send(world.request(Method::GET, "/mail/api/email")).await.json()
}

#[tokio::test]
async fn a_notification_becomes_a_mail_to_the_tenant() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    assert_eq!(mails(&world).await, json!([]));
    let notice = json!({
        "tenantId": "acme-42", "type": "welcome", "template": "account_created", "message": "Hello",
    });
    let accepted = world.post("/admin/notifications/send", notice).await.json();
    let all = mails(&world).await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    let mail = &all[0];
    assert_eq!(mail["to"], json!([{"address": "admin@acme.example", "name": "Acme Logistics"}]));
    assert_eq!((&mail["subject"], &mail["text"]), (&json!("account created"), &json!("Hello")));
    assert_eq!(mail["headers"]["x-notification-id"], accepted["id"]);
    assert_eq!(mail["headers"]["x-tenant-id"], "acme-42");
    let one = format!("/mail/api/email/{}", mail["id"].as_str().unwrap());
    assert_eq!(send(world.request(Method::GET, &one)).await.json(), *mail);
    for bad in ["/mail/api/email/mail-9", "/mail/api/email/x", "/mail/api/email/", "/mail/nowhere", "/mail"] {
        assert_eq!(send(world.request(Method::GET, bad)).await.status, 404, "{bad}");
    }
    assert_eq!(send(world.request(Method::DELETE, "/mail/api/email")).await.status, 405);
    world.stop().await;
}

#[tokio::test]
async fn an_accepted_mail_can_get_lost() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([{"kind": "lose_mail"}])).await;
    let notice = json!({"tenantId": "acme-42", "type": "welcome", "template": "account_created"});
    assert_eq!(world.post("/admin/notifications/send", notice.clone()).await.status, 202);
    assert_eq!(mails(&world).await, json!([]));
    assert_eq!(world.post("/admin/notifications/send", notice).await.status, 202);
    assert_eq!(mails(&world).await.as_array().unwrap().len(), 1, "once is once");
    let outbox = world.get("/admin/notifications?tenantId=acme-42").await.json();
    assert_eq!(outbox["notifications"].as_array().unwrap().len(), 2, "the platform believes in both");
    world.stop().await;
}
