//! What is kept: across a stop, across a kill; and one platform per folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use consigne::practice::{ADMIN_TOKEN_FILE, Options, PracticeError, serve};
use serde_json::{Value, json};

use crate::world::{ACME, World, client, scratch};

#[tokio::test]
async fn a_restart_on_the_same_folder_keeps_everything() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    world.set_faults(json!([{"kind": "too_many", "times": 3, "match": {"path": "/admin/audit"}}])).await;
    assert_eq!(world.get("/admin/audit").await.status, 429);
    assert_eq!(world.patch_keyed(ACME, "k", json!({"status": "suspended"})).await.status, 200);
    let (token, password, log) = (world.token.clone(), world.password.clone(), world.log("").await);
    world.stop().await;

    let world = World::start(folder.path()).await;
    assert_eq!((&world.token, &world.password), (&token, &password));
    assert_eq!(world.log("").await, log);
    assert_eq!(world.faults().await[0]["times"], 2);
    assert_eq!(world.status("acme-42").await, "suspended");
    let replayed = world.patch_keyed(ACME, "k", json!({"status": "suspended"})).await;
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(world.log("?effect=true").await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = scratch();
    let world = World::start(folder.path()).await;
    let second =
        serve(Options::new(folder.path()), std::future::pending(), |_| panic!("must not start")).await;
    assert!(matches!(second, Err(PracticeError::Busy { .. })), "{second:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let (one, two) = (scratch(), scratch());
    let world = World::start(one.path()).await;
    assert!(world.address.ip().is_loopback());
    let options = Options { bind: world.address, ..Options::new(two.path()) };
    let error = serve(options, std::future::pending(), |_| panic!("must not start")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", world.address));
    world.stop().await;
}

const CHILD_STATE: &str = "PRACTICE_TEST_STATE";

/// The test starts itself again as the process to be killed; that process serves until then.
#[test]
fn a_kill_amid_writes_loses_none_that_was_answered() {
    if let Some(state) = std::env::var_os(CHILD_STATE) {
        return serve_until_killed(Path::new(&state));
    }
    let folder = scratch();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::a_kill_amid_writes_loses_none_that_was_answered", "--nocapture"])
        .env(CHILD_STATE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let child = Served(child);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let answered = Arc::new(AtomicUsize::new(0));
        let writer = tokio::spawn(write_until_cut_off(folder.path().to_owned(), Arc::clone(&answered)));
        let deadline = Instant::now() + Duration::from_secs(30);
        while answered.load(Ordering::SeqCst) < 20 {
            assert!(Instant::now() < deadline && !writer.is_finished(), "the child does not serve");
            tokio::task::yield_now().await;
        }
        drop(child);
        writer.await.unwrap();
        check_after_kill(folder.path(), answered.load(Ordering::SeqCst)).await;
    });
}

/// The serving process; SIGKILL when dropped, so that a failed test leaves none behind.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn check_after_kill(state: &Path, answered: usize) {
    let world = World::start(state).await;
    let effects = world.log("?effect=true").await;
    assert!(effects.len() == answered || effects.len() == answered + 1, "{} of {answered}", effects.len());
    for (number, effect) in effects.iter().enumerate() {
        assert_eq!(effect["idempotencyKey"], format!("k{number}"), "each write is there, once");
        assert_eq!(effect["effectSeq"], number + 1);
    }
    let last = if effects.len().is_multiple_of(2) { "active" } else { "suspended" };
    assert_eq!(world.status("acme-42").await, last, "the log and the tenant agree");
    let audit = world.get("/admin/audit?tenantId=acme-42").await.json();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1 + effects.len(), "and so does the audit");
    world.stop().await;
}

fn serve_until_killed(state: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ready = |address: std::net::SocketAddr| {
        let (draft, path) = (state.join("address.new"), state.join("address"));
        std::fs::write(&draft, address.to_string()).unwrap();
        std::fs::rename(draft, path).unwrap();
    };
    runtime.block_on(serve(Options::new(state), std::future::pending(), ready)).unwrap();
}

/// Suspends and reactivates one tenant, each time under the next key, until nobody answers.
async fn write_until_cut_off(state: PathBuf, answered: Arc<AtomicUsize>) {
    let address = loop {
        match std::fs::read_to_string(state.join("address")) {
            Ok(address) => break address,
            Err(_not_yet) => tokio::task::yield_now().await,
        }
    };
    let token = std::fs::read_to_string(state.join(ADMIN_TOKEN_FILE)).unwrap();
    let client = client();
    for (number, status) in ["suspended", "active"].into_iter().cycle().enumerate() {
        let body: Value = json!({"status": status});
        let request = client.patch(format!("http://{address}{ACME}")).bearer_auth(&token).json(&body);
        match request.header("Idempotency-Key", format!("k{number}")).send().await {
            Ok(reply) => assert_eq!(reply.status().as_u16(), 200),
            Err(_killed) => return,
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
}
