//! Slack-compatible incoming webhooks. The address is a secret: no error tells it.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::{Sent, Words};
use crate::plan::ErrorClass;
use crate::runner::Call;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Webhooks {
    client: Result<Client, String>,
}

impl Webhooks {
    pub(super) fn new() -> Self {
        // Somebody else may have installed it before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("consigne/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("cannot set up HTTP: {}", error.without_url()));
        Self { client }
    }

    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        address: &str,
        words: &Words<'_>,
        acting: &(dyn Fn() + Sync),
    ) -> Sent {
        let no = |why: &str| Sent::No(ErrorClass::Other, why.to_owned());
        let client = match &self.client {
            Ok(client) => client,
            Err(why) => return no(why),
        };
        let Ok(url) = reqwest::Url::parse(address.trim()) else { return no("its address is not a URL") };
        if !["http", "https"].contains(&url.scheme()) {
            return no("its address is not an http or https URL");
        }
        let text = format!("*{}*\n{}", escaped(words.subject), escaped(words.text));
        let mut request = client.post(url).body(serde_json::json!({ "text": text }).to_string());
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &call.request.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        acting();
        match request.send().await {
            Ok(response) => match response.status().as_u16() {
                200..=299 => Sent::Yes,
                429 => Sent::No(ErrorClass::TooMany, "it takes no more just now (429)".to_owned()),
                // It gave up on the way: whether it acted is anybody's guess.
                status @ 500.. => Sent::Perhaps(ErrorClass::Server, format!("it failed ({status})")),
                status => no(&format!("it refused ({status})")),
            },
            Err(error) if error.is_connect() => {
                Sent::No(ErrorClass::Connect, "no connection to the webhook".to_owned())
            }
            Err(error) if error.is_builder() => no("not a request"),
            Err(_) => Sent::Perhaps(ErrorClass::Server, "the connection broke".to_owned()),
        }
    }
}

/// The three characters that would be read as marks.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
