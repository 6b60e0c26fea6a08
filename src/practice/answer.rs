//! What the platform says back: answers, and refusals as typed reasons with their status.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self::json_bytes(status, serde_json::to_vec(value)?))
    }

    pub(crate) fn ok(value: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, value)
    }

    pub(crate) fn json_bytes(status: StatusCode, body: Vec<u8>) -> Self {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers: vec![kind], body }
    }

    pub(crate) fn text(kind: &'static str, body: String) -> Self {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { status: StatusCode::OK, headers: vec![kind], body: body.into_bytes() }
    }

    pub(crate) fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body = json!({"error": {"code": code, "message": message}});
        Self::json_bytes(status, body.to_string().into_bytes())
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

/// An answer on its way to the caller, or a connection to be closed without a byte.
#[derive(Debug)]
#[must_use]
pub(crate) enum Delivery {
    Send(Answer),
    Drop,
}

/// A request the platform understood and says no to.
#[derive(Debug)]
pub(crate) struct Refusal(pub Answer);

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl AsRef<str>) -> Self {
        Self(Answer::error(status, code, message.as_ref()))
    }

    pub(crate) fn bad_request(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn unauthorized(code: &str, message: &str) -> Self {
        let challenge = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        let Self(answer) = Self::new(StatusCode::UNAUTHORIZED, code, message);
        Self(answer.with(challenge.0, challenge.1))
    }

    pub(crate) fn not_found(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn unknown_tenant(id: &str) -> Self {
        Self::not_found(format!("no tenant {id:?}"))
    }

    pub(crate) fn conflict(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(crate) fn wrong_content_type() -> Self {
        let message = "the content type is not as expected: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", message)
    }

    pub(crate) fn wrong_method(allowed: &'static str) -> Self {
        let message = format!("the method is not allowed here, expected one of: {allowed}");
        let Self(answer) = Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message);
        Self(answer.with(header::ALLOW, HeaderValue::from_static(allowed)))
    }
}

/// Why a handler gave no answer of its own.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("the request is refused")]
    Refused(Refusal),
    #[error("the practice state failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("stored data is not as expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no randomness from the operating system: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Problem {
    /// The platform's own failure, told as such: it must not look like a rehearsed one.
    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Refused(Refusal(answer)) => answer,
            failure => {
                Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "platform_failure", &failure.to_string())
            }
        }
    }
}
