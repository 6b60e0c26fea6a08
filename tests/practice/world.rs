//! A platform in a scratch folder, a client, and a clock that moves when told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use consigne::clock::{Clock, Timestamp, VirtualClock};
use consigne::practice::{
    ADMIN_TOKEN_FILE, FIRESTORE_TOKEN_FILE, LOGIN_PASSWORD_FILE, Options, PracticeError, STRIPE_KEY_FILE,
    serve,
};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const TENANTS: &str = "/admin/tenants";
pub const DOCUMENTS: &str = "/firestore/v1/projects/attendance-x/databases/(default)/documents";
pub const ACME: &str = "/admin/tenants/acme-42";

pub struct World {
    pub address: SocketAddr,
    pub token: String,
    pub password: String,
    pub stripe_key: String,
    pub firestore_token: String,
    pub clock: Arc<VirtualClock>,
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), PracticeError>>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The status and the code of an error.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap().to_owned())
    }
}

pub fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn client() -> Client {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(20)).build().unwrap()
}

impl World {
    pub async fn start(state: &Path) -> Self {
        Self::start_with(Options::new(state)).await
    }

    pub async fn start_with(options: Options) -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(1_795_411_800_000)));
        let state = options.state.clone();
        let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..options };
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = oneshot::channel();
        let served = tokio::spawn(serve(
            options,
            async {
                let _dropped_counts_too = stopped.await;
            },
            move |address| ready.send(address).unwrap(),
        ));
        let address = address.await.expect("the platform starts");
        let read = |name: &str| std::fs::read_to_string(state.join(name)).unwrap();
        let (token, password) = (read(ADMIN_TOKEN_FILE), read(LOGIN_PASSWORD_FILE));
        let (stripe_key, firestore_token) = (read(STRIPE_KEY_FILE), read(FIRESTORE_TOKEN_FILE));
        Self { address, token, password, stripe_key, firestore_token, clock, client: client(), stop, served }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Reply {
        send(self.admin(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        send(self.admin(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        send(self.admin(Method::PATCH, path).json(&body)).await
    }

    pub async fn patch_keyed(&self, path: &str, key: &str, body: Value) -> Reply {
        send(self.admin(Method::PATCH, path).header("Idempotency-Key", key).json(&body)).await
    }

    pub fn stripe(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/stripe/v1/{path}")).bearer_auth(&self.stripe_key)
    }

    /// A path below the documents of the database.
    pub fn firestore(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("{DOCUMENTS}{path}")).bearer_auth(&self.firestore_token)
    }

    pub async fn health(&self, tenant: &str) -> u16 {
        send(self.request(Method::GET, "/health").header("X-Tenant-ID", tenant)).await.status
    }

    pub async fn set_faults(&self, faults: Value) {
        let reply = send(self.request(Method::PUT, "/practice/faults").json(&faults)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    pub async fn faults(&self) -> Value {
        send(self.request(Method::GET, "/practice/faults")).await.json()
    }

    /// The request log, oldest first.
    pub async fn log(&self, query: &str) -> Vec<Value> {
        let reply = send(self.request(Method::GET, &format!("/practice/requests{query}"))).await;
        reply.json()["requests"].as_array().unwrap().clone()
    }

    pub async fn status(&self, tenant: &str) -> String {
        self.get(&format!("{TENANTS}/{tenant}")).await.json()["status"].as_str().unwrap().to_owned()
    }

    /// Asks the log until its last entry is as wanted.
    pub async fn until_last(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(last) = self.log("").await.pop().filter(|last| wanted(last)) {
                return last;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for: {what}");
            tokio::task::yield_now().await;
        }
    }
}

pub async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}
