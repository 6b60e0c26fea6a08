//! HTTP calls.
//!
//! Owns the clients and what an error of the network means: before anything was sent nothing happened, afterwards
//! something may have. Nothing is hidden: no retries, no redirects followed, no proxy. Only reads use connections
//! again; a call that acts gets a fresh one, so that it is never lost to a server that is just closing an idle one.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Request, Response, Url};

use super::capture::{Capture, Captured};
use super::fill::{Filled, Plain, auth_header, body_bytes, fill};
use super::judge::{self, Answer, Parts};
use super::newborn;
use super::program::{lost, nothing, reason_of};
use super::sensitive;
use super::{Boxed, Call, CancelLevel, End, Observation, Runner, Trouble};
use crate::clock::Timestamp;
use crate::plan::{Action, Body, ErrorClass, HttpCall};

/// A host that does not answer within this time has not been reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What clients differ in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    ca_file: Option<String>,
    /// Whether connections are used again.
    keeps: bool,
    /// Well before the time-out of the call: what times out as a whole was connected, and may have acted.
    connect_timeout: Duration,
}

/// Makes HTTP calls.
pub(super) struct Http {
    clients: Mutex<BTreeMap<Kind, Client>>,
}

impl Runner for Http {
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation> {
        Box::pin(self.call(call))
    }
}

impl Http {
    pub(super) fn new() -> Self {
        // Somebody else may have installed it before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { clients: Mutex::new(BTreeMap::new()) }
    }

    async fn call(&self, call: Call<'_>) -> Observation {
        let begun = call.context.clock.mono();
        let filled = match fill(&call.request.probe.action, call.context).await {
            Ok(filled) => filled,
            Err(error) => return nothing(reason_of(&error), &error.to_string()),
        };
        let Action::Http(http) = &filled.action else {
            return nothing("request", "a program is not an http call");
        };
        let client = match self.client(&call, http.ca_file.as_deref()) {
            Ok(client) => client,
            Err(message) => return nothing("request", &message),
        };
        let request = match request(&call, &filled, http).await {
            Ok(request) => request,
            Err(message) => return nothing("request", &message),
        };
        let mut observation = Observation::default();
        let end = tokio::select! {
            end = exchange(&call, client, request, begun, &mut observation) => end,
            () = tokio::time::sleep(call.timeout) => {
                let limit = call.timeout.as_millis();
                lost("timeout", ErrorClass::Timeout, format!("no complete answer within {limit} ms"))
            }
            () = call.cancel.reached(CancelLevel::Stop) => {
                lost("cancelled", ErrorClass::Other, "it was told to stop".to_owned())
            }
        };
        observation.end = end;
        observation
    }

    fn client(&self, call: &Call<'_>, ca_file: Option<&str>) -> Result<Client, String> {
        let key = Kind {
            ca_file: ca_file.map(str::to_owned),
            keeps: call.is_read(),
            connect_timeout: CONNECT_TIMEOUT.min(call.timeout / 2),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(key.connect_timeout)
            .user_agent(concat!("consigne/", env!("CARGO_PKG_VERSION")));
        if !key.keeps {
            builder = builder.pool_max_idle_per_host(0);
        }
        if let Some(file) = ca_file {
            let path = call.context.base_dir.join(file);
            let pem =
                std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| format!("{} is not a file of PEM certificates", path.display()))?;
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|error| format!("cannot set up HTTP: {}", chain(&error)))?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// The request, as it goes out. No error quotes a value, which may hold a secret.
async fn request(call: &Call<'_>, filled: &Filled, http: &HttpCall<Plain>) -> Result<Request, String> {
    let method = Method::from_bytes(http.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| format!("`{}` is not an HTTP method", http.method))?;
    as_written(&http.url)?;
    let mut url = Url::parse(&http.url).map_err(|error| format!("not an absolute URL: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err("not an absolute http or https URL".to_owned());
    }
    if !http.query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in &http.query {
            pairs.append_pair(name, value);
        }
    }
    let mut request = Request::new(method, url);
    let headers = request.headers_mut();
    for (name, value) in &http.headers {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    if let Some((name, value)) = auth_header(filled, &http.auth) {
        let mut secret = header_value(&name, &value)?;
        secret.set_sensitive(true);
        headers.insert(header_name(&name)?, secret);
    }
    if let Some(key) = &call.request.idempotency_key {
        headers.insert(HeaderName::from_static("idempotency-key"), header_value("idempotency-key", key)?);
    }
    if let Body::File(path) = &http.body {
        let path = call.context.base_dir.join(path.as_str());
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let file = tokio::fs::File::open(&path).await.map_err(failed)?;
        let about = file.metadata().await.map_err(failed)?;
        if !about.is_file() {
            // A folder opens like a file and fails in the middle of the request.
            return Err(format!("cannot send {}: it is not a file", path.display()));
        }
        headers.insert(CONTENT_LENGTH, about.len().into());
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        *request.body_mut() = Some(file.into());
    } else if let Some((bytes, kind)) = body_bytes(&http.body) {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        *request.body_mut() = Some(bytes.as_bytes().to_vec().into());
    }
    Ok(request)
}

/// What was shown and approved is what is sent: an address that parsing would turn into another one is refused. Its
/// text is not quoted, like every value here.
fn as_written(url: &str) -> Result<(), String> {
    if url.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("the URL holds white space, a control character or a backslash".to_owned());
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('%') {
        return Err("the host of the URL is not a plain name or address".to_owned());
    }
    let is_dots = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(segment.as_str(), "." | "..")
    };
    if path.split('/').any(is_dots) {
        return Err("a segment of the URL's path is `.` or `..`, which would lead elsewhere".to_owned());
    }
    Ok(())
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
        .map_err(|_| format!("the value of header `{name}` holds a line break or another control character"))
}

/// Sends, and reads the answer to its end. What is known is noted in `observation` on the way.
async fn exchange(
    call: &Call<'_>,
    client: Client,
    request: Request,
    begun: u64,
    observation: &mut Observation,
) -> End {
    let response = match client.execute(request).await {
        Ok(response) => response,
        Err(error) => return not_sent_or_lost(error),
    };
    observation.code = Some(i64::from(response.status().as_u16()));
    observation.retry_after_ms = retry_after(response.headers(), call.context.clock.now());
    let masker = call.context.secrets.masker();
    let status = response.status().as_u16();
    let is_json = is_json(response.headers());
    let headers = header_map(response.headers());
    let captured = match body(call, response).await {
        Ok(captured) => captured,
        Err(end) => return end,
    };
    if call.bears_secrets() {
        let parts = newborn::of_http(call, (status, headers, is_json), &captured.raw, observation).await;
        let elapsed = call.context.clock.mono().saturating_sub(begun);
        if let (Ok(Parts::Http { headers, .. }), Ok(_)) = (&parts, &observation.born) {
            observation.excerpts.insert("headers".to_owned(), sensitive::kept(headers));
        }
        return match parts {
            Ok(parts) => End::Answered(Answer::new(parts, elapsed)),
            Err(error) => lost("capture", ErrorClass::Other, error.to_string()),
        };
    }
    let headers = headers.into_iter().map(|(name, value)| (name, masker.text(&value))).collect();
    observation.excerpts.insert("headers".to_owned(), sensitive::kept(&headers));
    observation.excerpts.insert("body".to_owned(), captured.excerpt.clone());
    observation.blobs.extend(captured.blob.clone().map(|blob| ("body".to_owned(), blob)));
    let whole = if judge::needs_text(&call.request.probe.accept) {
        captured.whole(&call.context.blobs)
    } else {
        Ok(None)
    };
    match whole {
        Ok(bytes) => {
            let body = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let elapsed = call.context.clock.mono().saturating_sub(begun);
            End::Answered(Answer::new(Parts::Http { status, headers, body, is_json }, elapsed))
        }
        Err(error) => lost("capture", ErrorClass::Other, format!("cannot read back the body: {error}")),
    }
}

async fn body(call: &Call<'_>, mut response: Response) -> Result<Captured, End> {
    let blobs = Arc::clone(&call.context.blobs);
    let mut capture = if call.bears_secrets() {
        Capture::raw(call.context)
    } else {
        Capture::new(blobs, call.context.secrets.masks(), None)
    };
    let kept = |error: super::BlobError| lost("capture", ErrorClass::Other, error.to_string());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => capture.push(&chunk).map_err(kept)?,
            Ok(None) => return capture.finish().await.map_err(kept),
            Err(error) => {
                let message = format!("the answer broke off: {}", chain(&error.without_url()));
                return Err(lost("truncated", ErrorClass::Server, message));
            }
        }
    }
}

fn not_sent_or_lost(error: reqwest::Error) -> End {
    let error = error.without_url();
    if error.is_connect() {
        let message = format!("no connection: {}", chain(&error));
        return End::Nothing(Trouble { reason: "connect", class: ErrorClass::Connect, message });
    }
    if error.is_builder() {
        let message = format!("not a request: {}", chain(&error));
        return End::Nothing(Trouble { reason: "request", class: ErrorClass::Other, message });
    }
    lost("reset", ErrorClass::Server, format!("the connection broke: {}", chain(&error)))
}

/// What went wrong and why, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        out.push_str(": ");
        out.push_str(&source.to_string());
        next = source.source();
    }
    out
}

/// Names in lower case; several values of one name are joined by commas.
fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        out.entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    out
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(at.as_millis()).ok()?).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T05:30:00Z".parse().unwrap();
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&headers, now)
        };
        assert_eq!(of("3"), Some(3_000));
        assert_eq!(of("Mon, 23 Nov 2026 05:30:30 GMT"), Some(30_000));
        assert_eq!(of("Mon, 23 Nov 2026 05:29:30 GMT"), Some(0));
        assert_eq!(of("soon"), None);
        assert_eq!(of("99999999999999999999"), None);
    }

    #[test]
    fn an_address_that_would_be_sent_as_another_is_refused() {
        for good in ["http://h/a/..b/c.?x=/../#..", "https://[::1]:8443/", "http://h"] {
            assert_eq!(as_written(good), Ok(()), "{good}");
        }
        for bad in [
            "http://h/a/../b",
            "http://h/a/.",
            "http://h/a/%2E%2e",
            "http://h/a/.%2e/b",
            "http://h/a b",
            "http://h/a\r\nb",
            "http://pro\td.example/",
            "http://evil.example\\@good.example/",
            "http://prod%2eexample/",
            " http://h/",
        ] {
            assert!(as_written(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_is_told_by_the_content_type() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/Problem+JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_json(&headers), json, "{kind}");
        }
    }
}
