//! What is kept: across a stop, across a kill; and one platform per folder.

use std::path::Path;
use std::process::{Command, Stdio};
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
fn a_kill_loses_no_answered_write() {
    if let Some(state) = std::env::var_os(CHILD_STATE) {
        return serve_until_killed(Path::new(&state));
    }
    let folder = scratch();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::a_kill_loses_no_answered_write", "--nocapture"])
        .env(CHILD_STATE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let written = runtime.block_on(write_until_killed(folder.path(), || child.kill().unwrap()));
    child.wait().unwrap();

    runtime.block_on(async {
        let world = World::start(folder.path()).await;
        let effects = world.log("?effect=true").await;
        let keys: Vec<_> = effects.iter().map(|e| e["idempotencyKey"].as_str().unwrap()).collect();
        let wanted: Vec<_> = (0..written).map(|number| format!("k{number}")).collect();
        assert_eq!(keys, wanted, "every answered write is there, once");
        let last = if written % 2 == 0 { "active" } else { "suspended" };
        assert_eq!(world.status("acme-42").await, last);
        world.stop().await;
    });
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

/// Twenty-five answered writes, then the kill with nothing on its way.
async fn write_until_killed(state: &Path, kill: impl FnOnce()) -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    let address = loop {
        if let Ok(address) = std::fs::read_to_string(state.join("address")) {
            break address;
        }
        assert!(Instant::now() < deadline, "the child does not start");
        tokio::task::yield_now().await;
    };
    let token = std::fs::read_to_string(state.join(ADMIN_TOKEN_FILE)).unwrap();
    let client = client();
    let mut written = 0;
    for status in ["suspended", "active"].into_iter().cycle().take(25) {
        let body: Value = json!({"status": status});
        let request = client.patch(format!("http://{address}{ACME}")).bearer_auth(&token).json(&body);
        let reply = request.header("Idempotency-Key", format!("k{written}")).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
        written += 1;
    }
    kill();
    written
}
