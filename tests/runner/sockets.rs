//! Servers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use consigne::core::{AttemptRequest, AttemptResult, Outcome};
use consigne::plan::{Action, Auth, Body, Effect, ErrorClass, HttpCall};
use consigne::runbook::template::{Rendered, Tree};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::world::{CANARY, World, contains, http, request, secret, text, with_outputs};

/// A server that answers every request with the same bytes, then does as told.
struct Server {
    url: String,
    requests: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    KeepOpen,
    Close,
    Reset,
}

impl Server {
    async fn start(answer: &str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (answer.to_owned(), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answer.clone(), then, sender.clone()));
            }
        });
        Self { url, requests, connections }
    }

    async fn json(status: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Two: a\r\nX-Two: b\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Self::start(&answer, Then::KeepOpen).await
    }
}

async fn serve(mut stream: TcpStream, answer: String, then: Then, requests: mpsc::UnboundedSender<String>) {
    let mut held = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(count) = stream.read(&mut buffer).await
        && count > 0
    {
        held.extend_from_slice(&buffer[..count]);
        let Some(head) = held.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&held).into_owned();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        if held.len() < head + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()) {
            continue;
        }
        held.clear();
        let _ = requests.send(text);
        if then == Then::Reset {
            stream.set_zero_linger().unwrap();
            return;
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        if then == Then::Close {
            return;
        }
    }
}

fn call(call: HttpCall<Rendered>, effect: Effect) -> AttemptRequest {
    request(Action::Http(Box::new(call)), effect, 10_000)
}

async fn both(world: &World, method: &str, url: &str, timeout_ms: u64) -> [Outcome; 2] {
    let mut out = Vec::new();
    for effect in [Effect::Read, Effect::Write] {
        let mut attempt = call(http(method, url), effect);
        attempt.timeout_ms = timeout_ms;
        out.push(world.run(attempt).await);
    }
    out.try_into().unwrap()
}

fn told(outcome: &Outcome) -> (AttemptResult, &str, Option<ErrorClass>) {
    (outcome.result, outcome.reason.as_str(), outcome.class)
}

#[tokio::test]
async fn a_call_says_what_it_was_told_to_say() {
    let world = World::new("call-run");
    let mut server = Server::json("200 OK", r#"{"n":12345678901234567890,"s":"x"}"#).await;
    let mut patch = http("patch", &format!("{}/a?x=1", server.url));
    patch.query = vec![("q".into(), text("a b&c"))];
    patch.headers = vec![("X-Tenant-ID".into(), text("acme"))];
    patch.auth = Auth::Bearer("token".into());
    patch.body = Body::Json(Tree::Map(vec![
        ("n".into(), Tree::Number("1.10".into())),
        ("quoted".into(), Tree::Text(text("a \"b\""))),
        ("list".into(), Tree::List(vec![Tree::Null, Tree::Bool(true), Tree::Text(secret())])),
    ]));
    let mut attempt = call(patch, Effect::Write);
    attempt.idempotency_key = Some("key-1".into());
    let filters = [("n", ".body.n"), ("two", ".headers[\"x-two\"]"), ("status", ".status")];
    let outcome = world.run(with_outputs(attempt, &filters)).await;
    assert_eq!(told(&outcome), (AttemptResult::Succeeded, "ok", None), "{outcome:?}");
    assert_eq!((outcome.code, outcome.outputs["n"].text()), (Some(200), "12345678901234567890"));
    assert_eq!((outcome.outputs["two"].text(), outcome.outputs["status"].text()), ("\"a, b\"", "200"));
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("PATCH /a?x=1&q=a+b%26c HTTP/1.1\r\n"), "{request}");
    for line in [
        "x-tenant-id: acme",
        "idempotency-key: key-1",
        "content-type: application/json",
        "authorization: Bearer c4nary",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    let body = format!(
        r#"{{"n":1.10,"quoted":"a \"b\"","list":[null,true,{}]}}"#,
        serde_json::to_string(CANARY).unwrap()
    );
    assert!(request.ends_with(&body), "{request}");
}

#[tokio::test]
async fn forms_files_and_basic_authentication() {
    let world = World::new("body-run");
    std::fs::write(world.dir.path().join("upload"), "file content").unwrap();
    let mut server = Server::json("200 OK", "{}").await;
    let mut post = http("POST", &server.url);
    post.auth = Auth::Basic(text("me"), "token".into());
    post.body = Body::Form(vec![("a".into(), text("b c")), ("d".into(), text("é&"))]);
    world.run(call(post, Effect::Write)).await;
    let sent = server.requests.recv().await.unwrap();
    assert!(sent.ends_with("\r\n\r\na=b+c&d=%C3%A9%26") && sent.contains("authorization: Basic "), "{sent}");
    let mut put = http("PUT", &server.url);
    put.body = Body::File(text("upload"));
    world.run(call(put, Effect::Write)).await;
    let sent = server.requests.recv().await.unwrap();
    assert!(sent.ends_with("\r\n\r\nfile content") && sent.contains("content-length: 12"), "{sent}");
}

#[tokio::test]
async fn nothing_happened_where_there_was_no_connection() {
    let world = World::new("connect-run");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let tls = Server::start("this is not TLS\r\n\r\n", Then::Close).await;
    let not_tls = tls.url.replace("http:", "https:");
    for url in [&format!("http://127.0.0.1:{port}/"), "http://no-such-host.invalid/", &not_tls] {
        for outcome in both(&world, "POST", url, 1_000).await {
            let expected = (AttemptResult::Failed, "connect", Some(ErrorClass::Connect));
            assert_eq!(told(&outcome), expected, "{url}: {outcome:?}");
        }
    }
    for outcome in both(&world, "POST", "ftp://host/", 10_000).await {
        assert_eq!(told(&outcome), (AttemptResult::Failed, "request", Some(ErrorClass::Other)));
    }
}

#[tokio::test]
async fn a_stall_is_a_time_out_that_may_have_acted() {
    let world = World::new("stall-run");
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"] {
        let server = Server::start(answer, Then::KeepOpen).await;
        let [read, write] = both(&world, "POST", &server.url, 300).await;
        assert_eq!(told(&read), (AttemptResult::TimedOut, "timeout", Some(ErrorClass::Timeout)));
        assert_eq!(told(&write), (AttemptResult::Unknown, "timeout", Some(ErrorClass::Timeout)));
    }
}

#[tokio::test]
async fn a_broken_answer_may_have_acted() {
    let world = World::new("broken-run");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (answer, then, reason) in [
        (String::new(), Then::Reset, "reset"),
        (String::new(), Then::Close, "reset"),
        (format!("{head}Content-Length: 100\r\n\r\n{{}}"), Then::Close, "truncated"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n"), Then::Close, "truncated"),
        ("garbage\r\n\r\n".to_owned(), Then::Close, "reset"),
    ] {
        let mut server = Server::start(&answer, then).await;
        let [read, write] = both(&world, "GET", &server.url, 10_000).await;
        assert_eq!(told(&read), (AttemptResult::Failed, reason, Some(ErrorClass::Server)), "{answer}");
        assert_eq!(told(&write), (AttemptResult::Unknown, reason, Some(ErrorClass::Server)), "{answer}");
        for _ in 0..2 {
            server.requests.recv().await.unwrap();
        }
        assert!(server.requests.try_recv().is_err(), "nothing is repeated behind the back of the record");
    }
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let world = World::new("status-run");
    let server =
        Server::start("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", Then::KeepOpen)
            .await;
    for outcome in both(&world, "POST", &server.url, 10_000).await {
        assert_eq!(told(&outcome), (AttemptResult::Failed, "status", Some(ErrorClass::TooMany)));
        assert_eq!((outcome.code, outcome.retry_after_ms), (Some(429), Some(3_000)));
    }
    let server = Server::json("503 Away", "{}").await;
    let [read, write] = both(&world, "POST", &server.url, 10_000).await;
    assert_eq!(told(&read), (AttemptResult::Failed, "status", Some(ErrorClass::Server)));
    assert_eq!(told(&write), (AttemptResult::Unknown, "status", Some(ErrorClass::Server)));

    let elsewhere = Server::json("200 OK", "{}").await;
    let redirect =
        format!("HTTP/1.1 307 There\r\nLocation: {}/x\r\nContent-Length: 0\r\n\r\n", elsewhere.url);
    let server = Server::start(&redirect, Then::KeepOpen).await;
    for outcome in both(&world, "POST", &server.url, 10_000).await {
        assert_eq!((told(&outcome).0, outcome.code), (AttemptResult::Failed, Some(307)));
    }
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0, "no redirect is followed");
}

#[tokio::test]
async fn only_reads_use_a_connection_again() {
    let world = World::new("pool-run");
    let server = Server::json("200 OK", "{}").await;
    for _ in 0..3 {
        world.run(call(http("GET", &server.url), Effect::Read)).await;
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        world.run(call(http("POST", &server.url), Effect::Write)).await;
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_large_body_goes_to_a_blob_and_is_not_extracted_from() {
    let world = World::new("large-run");
    let body = format!("\"{}\"", "x".repeat(17 * 1024 * 1024));
    let server = Server::json("200 OK", &body).await;
    let attempt = call(http("GET", &server.url), Effect::Read);
    let outcome = world.run(with_outputs(attempt, &[("length", ".body | length")])).await;
    assert_eq!(told(&outcome).1, "output_too_large", "{outcome:?}");
    assert!(outcome.excerpts["error"].contains("larger than 16777216 bytes"));
    assert_eq!(outcome.blobs["body"].bytes, body.len() as u64);
}

#[tokio::test]
async fn a_secret_that_is_echoed_is_masked() {
    let world = World::new("echo-run");
    let body =
        serde_json::json!({"token": CANARY, "headers": {"auth": format!("Bearer {CANARY}")}}).to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 500 No\r\nContent-Type: application/json\r\nX-Echo: s3cret\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let server = Server::start(&answer, Then::KeepOpen).await;
    let mut get = http("GET", &server.url);
    get.auth = Auth::Header("X-Key".into(), "token".into());
    let mut attempt = call(get, Effect::Read);
    attempt.probe.accept.expect.status = vec![500];
    let outcome = world.run(with_outputs(attempt, &[("all", "."), ("token", ".body.token")])).await;
    assert_eq!(outcome.outputs["token"].text(), "\"***\"", "{outcome:?}");
    let all = serde_json::to_vec(&outcome).unwrap();
    assert!(!contains(&all, b"c4nary") && !contains(&all, b"s3cret+"), "{outcome:?}");
}

#[tokio::test]
async fn a_call_ends_when_told() {
    let world = World::new("stop-run");
    let mut server = Server::start("", Then::KeepOpen).await;
    for (effect, result) in
        [(Effect::Read, AttemptResult::Cancelled), (Effect::Write, AttemptResult::Unknown)]
    {
        let (handle, token) = consigne::runner::cancellation();
        let attempt = call(http("POST", &server.url), effect);
        let running = world.runners.run(attempt, &world.context, token, consigne::runner::TailSink::none());
        let told = async {
            server.requests.recv().await.unwrap();
            handle.stop();
        };
        let (outcome, ()) =
            tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(running, told) })
                .await
                .expect("it ends long before its time-out");
        assert_eq!((outcome.result, outcome.reason.as_str()), (result, "cancelled"));
    }
}
