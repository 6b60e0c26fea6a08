//! What people are sent in a drill: a webhook that answers as Slack's does, and a mailbox that takes mail by SMTP.

use std::path::Path;

use consigne::practice::{MailboxOptions, SLACK_WEBHOOK_FILE, serve_mailbox};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::world::{World, client, scratch, send};

#[tokio::test]
async fn a_webhook_takes_a_text_and_refuses_in_words() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let hook = std::fs::read_to_string(folder.path().join(SLACK_WEBHOOK_FILE)).unwrap();
    let post = |url: String, body: String| async move {
        let answer = client().post(url).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let said = post(hook.clone(), json!({"text": "*Hello*\nthere"}).to_string()).await;
    assert_eq!(said, (200, "ok".to_owned()));
    for (url, body, status, word) in [
        (hook.clone(), "{}", 400, "invalid_payload"),
        (hook.clone(), "text", 400, "invalid_payload"),
        (hook.clone(), r#"{"text": ""}"#, 400, "no_text"),
        (format!("{hook}x"), r#"{"text": "x"}"#, 403, "invalid_token"),
        (hook.replace("services", "elsewhere"), r#"{"text": "x"}"#, 404, "no_service"),
    ] {
        assert_eq!(post(url, body.to_owned()).await, (status, word.to_owned()));
    }
    let kept = send(world.request(Method::GET, "/slack/messages")).await.json();
    assert_eq!(kept.as_array().unwrap().len(), 1);
    assert_eq!(kept[0]["text"], "*Hello*\nthere");
    world.stop().await;
}

/// Says each line, and gives the code of each answer.
async fn codes(address: std::net::SocketAddr, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut codes = Vec::new();
    for said in std::iter::once(&"").chain(lines) {
        stream.get_mut().write_all(said.as_bytes()).await.unwrap();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return codes;
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                codes.push(line[..3].to_owned());
                break;
            }
        }
    }
    codes
}

fn kept(folder: &Path) -> Vec<String> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("new")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test]
async fn a_mailbox_keeps_each_mail_and_nothing_else() {
    let folder = scratch();
    let options = MailboxOptions { bind: ([127, 0, 0, 1], 0).into(), state: folder.path().to_owned() };
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = oneshot::channel();
    let served = tokio::spawn(serve_mailbox(options, async { drop(stopped.await) }, move |at| {
        ready.send(at).unwrap();
    }));
    let address = address.await.unwrap();
    let polite = [
        "EHLO here\r\n",
        "MAIL FROM:<a@example.com>\r\n",
        "RCPT TO:<b@example.com>\r\n",
        "RCPT TO:<c@example.com>\r\n",
        "DATA\r\n",
        "Subject: x\r\n\r\n..dot\r\n..\r\nend\r\n.\r\n",
        "QUIT\r\n",
    ];
    assert_eq!(codes(address, &polite).await, ["220", "250", "250", "250", "250", "354", "250", "221"]);
    let wanted =
        "X-RcptTo: b@example.com\r\nX-RcptTo: c@example.com\r\nSubject: x\r\n\r\n.dot\r\n.\r\nend\r\n";
    assert_eq!(kept(folder.path()), [wanted]);
    let rude = ["DATA\r\n", "RCPT TO:<b@example.com>\r\n", "MAIL FROM: a\r\n", "VRFY a\r\n", "RSET\r\n"];
    assert_eq!(codes(address, &rude).await, ["220", "503", "503", "501", "502", "250"]);
    // Cut off before its end: it never came.
    let begun = ["MAIL FROM:<a@example.com>\r\n", "RCPT TO:<b@example.com>\r\n", "DATA\r\n"];
    codes(address, &begun).await;
    assert_eq!(codes(address, &polite[..6]).await.len(), 7);
    assert_eq!(kept(folder.path()).len(), 2);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
