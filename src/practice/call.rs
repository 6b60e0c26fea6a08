//! One request as the platform sees it: read to the end, with nothing of the connection left in it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use crate::clock::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Timestamp,
    /// Whether the caller sits on this machine: `/practice/` is for those only.
    pub from_loopback: bool,
}

impl Call {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The query with every repetition in it, in order.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        pairs(self.query.as_deref().unwrap_or(""))
    }

    /// The body as forms have it.
    pub(crate) fn form_pairs(&self) -> Vec<(String, String)> {
        pairs(&String::from_utf8_lossy(&self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What goes into the log: an unreadable key is kept as it can be shown, and refused later.
    pub(crate) fn idempotency_key(&self) -> Option<String> {
        self.headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned())
    }

    pub(crate) fn body_digest(&self) -> Option<String> {
        (!self.body.is_empty()).then(|| hex(&Sha256::digest(&self.body)))
    }

    pub(crate) fn says_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
    }

    /// The body as JSON, whatever the content type says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return Err(Refusal::bad_request("the body is empty, expected a JSON object"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("the body is not as expected: {error}")))
    }

    pub(crate) fn strict_json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if !self.body.is_empty() && !self.says_json() {
            return Err(Refusal::wrong_content_type());
        }
        self.json()
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = Url::parse("http://form.invalid/") else { return Vec::new() };
    url.set_query(Some(text));
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
