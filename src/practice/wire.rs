//! Which system an address belongs to, and how that system says no. The platform's own API, Stripe and Firestore
//! each refuse in a form of their own, and a fault is told in the form of the system that it strikes.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::call::Call;
use super::{firestore, slack, stripe};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The platform itself, and what its tenants and the monitoring see.
    Platform,
    Stripe,
    Firestore,
    Mail,
    Slack,
}

impl Wire {
    /// The system, and the path as that system knows it.
    pub(crate) fn of(path: &str) -> (Self, &str) {
        for (wire, root) in [
            (Self::Stripe, "/stripe"),
            (Self::Firestore, "/firestore"),
            (Self::Mail, "/mail"),
            (Self::Slack, "/slack"),
        ] {
            if let Some(rest) = path.strip_prefix(root)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return (wire, rest);
            }
        }
        (Self::Platform, path)
    }

    pub(crate) fn of_call(call: &Call) -> Self {
        Self::of(&call.path).0
    }

    /// An error that is not about the content of a request.
    pub(crate) fn error(self, status: StatusCode, code: &str, message: &str) -> Answer {
        match self {
            Self::Platform => Answer::error(status, code, message),
            Self::Stripe => stripe::error(status, code, message),
            Self::Firestore => firestore::error(status, message),
            Self::Slack => slack::refusal(status, code),
            Self::Mail => {
                let body = json!({"error": message}).to_string();
                Answer::json_bytes(status, body.into_bytes())
            }
        }
    }

    pub(crate) fn unauthorized(self, code: &str, message: &str) -> Refusal {
        let challenge = match self {
            Self::Stripe => "Basic realm=\"Stripe\"",
            _ => "Bearer",
        };
        let answer = self.error(StatusCode::UNAUTHORIZED, code, message);
        Refusal(answer.with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
    }

    /// A key that was used for another request.
    pub(crate) fn key_reused(self) -> Refusal {
        let message = "the idempotency key was used for another request";
        Refusal(match self {
            Self::Stripe => self.error(StatusCode::BAD_REQUEST, "idempotency_error", message),
            _ => self.error(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message),
        })
    }

    /// Keys of one system mean nothing to another.
    pub(crate) fn key_space(self) -> &'static str {
        match self {
            Self::Platform => "",
            Self::Stripe => "stripe ",
            Self::Firestore => "firestore ",
            Self::Mail => "mail ",
            Self::Slack => "slack ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_system() {
        for (path, wire, rest) in [
            ("/stripe/v1/customers", Wire::Stripe, "/v1/customers"),
            ("/stripe", Wire::Stripe, ""),
            ("/firestore/v1/projects", Wire::Firestore, "/v1/projects"),
            ("/mail/api/email", Wire::Mail, "/api/email"),
            ("/stripes", Wire::Platform, "/stripes"),
            ("/admin/tenants", Wire::Platform, "/admin/tenants"),
        ] {
            assert_eq!(Wire::of(path), (wire, rest), "{path}");
        }
    }
}
