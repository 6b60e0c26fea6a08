//! The socket itself: garbage, floods, silence and false claims leave the run as it was.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{ALICE, BOB, CAROL, DAVE, Driver, EVE, PATIENCE, Team, beside_a_program, connect, until};

const ONE: &str = "    approve: {roles: [lead], exclude: [starter]}";

fn request(verb: &Value) -> String {
    format!("{}\n", json!({"v": 1, "verb": verb}))
}

fn refused(reply: Option<Value>) -> String {
    let reply = reply.expect("a reply");
    reply["said"]["refused"]["code"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
}

#[test]
fn what_a_peer_claims_of_itself_does_not_count() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    let word = json!({"step": "go", "value": "approve", "comment": null, "evidence": [], "plays": null});
    let mut claims = word.clone();
    claims["actor"] = json!({"who": "bob", "how": "os_user"});
    assert_eq!(refused(team.tell(DAVE, "r", &request(&json!({"answer": claims})))), "not-understood");
    let mut played = word.clone();
    played["plays"] = json!("bob");
    assert_eq!(refused(team.tell(DAVE, "r", &request(&json!({"answer": played})))), "unheard");
    assert_eq!(refused(team.tell(DAVE, "r", &request(&json!({"answer": word})))), "not-entitled");
    assert_eq!(refused(team.tell(ALICE, "r", &request(&json!({"answer": word})))), "not-entitled");
    let taken = team.tell(BOB, "r", &request(&json!({"answer": word}))).unwrap();
    assert_eq!(taken, json!({"v": 1, "said": {"taken": {"news": true}}}));
    let again = team.tell(BOB, "r", &request(&json!({"answer": word}))).unwrap();
    assert_eq!(again["said"]["taken"]["news"], false);
    assert_eq!(team.said("r"), ["bob os-user approve"]);
    drop(driver);
}

#[test]
fn a_run_of_one_user_hears_nobody_else_however_open_its_folder_is() {
    let Some(team) = Team::new() else { return };
    let own = team.path("nobody/own");
    team.as_user(BOB, || std::fs::create_dir(&own).unwrap());
    team.write("own.yaml", &beside_a_program(ONE));
    let mut run = team.command(BOB, &["run", "own.yaml", "--env", "team", "--run-id", "r"]);
    let driver = run.env("CONSIGNE_HOME", &own).stderr(Stdio::null()).spawn().unwrap();
    let driver = Driver(driver);
    let dir = own.join("runs/r");
    until("the socket", || dir.join("socket").exists().then_some(()));
    let open = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    [&own, &own.join("runs"), &dir, &dir.join("socket")].into_iter().for_each(|path| open(path));
    let greeted = |uid: u32| {
        let dir = dir.clone();
        team.as_user(uid, move || {
            let mut stream = connect(&dir).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read(&mut [0; 64]).is_ok_and(|read| read > 0)
        })
    };
    assert_eq!((greeted(BOB), greeted(CAROL), greeted(EVE)), (true, false, false));
    drop(driver);
}

#[test]
fn garbage_is_refused_and_harms_nothing() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    let before = team.events("r");
    let deep = "[".repeat(100_000);
    let evidence = |name: &str| json!({"answer": {"step": "go", "value": "approve", "evidence": [{"name": name, "bytes": "cHJvb2Y="}]}});
    let text = "x".repeat(70_000);
    let files: Vec<Value> = (0..17).map(|_| json!({"name": "a", "bytes": ""})).collect();
    let lines = [
        "\n".to_owned(),
        "{}\n".to_owned(),
        "approve\n".to_owned(),
        format!("{deep}\n"),
        "{\"v\":2,\"verb\":{\"cancel\":{\"reason\":\"\"}}}\n".to_owned(),
        "{\"v\":1,\"verb\":{\"cancel\":{\"reason\":\"\",\"more\":1}}}\n".to_owned(),
        "{\"v\":1,\"verb\":{\"shutdown\":{}}}\n".to_owned(),
        "{\"v\":1,\"v\":1,\"verb\":{\"cancel\":{\"reason\":\"\"}}}\n".to_owned(),
        request(&json!({"cancel": {"reason": text}})),
        request(&evidence("../../plan/graph.json")),
        request(&evidence("")),
        request(&json!({"answer": {"step": "go", "value": "approve", "evidence": files}})),
    ];
    for line in &lines {
        let shown: String = line.chars().take(80).collect();
        assert_eq!(refused(team.tell(BOB, "r", line)), "not-understood", "{shown}");
    }
    // Bytes of every kind, from a fixed seed.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        let mut bytes = Vec::new();
        for _ in 0..round * 7 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push((seed >> 56) as u8);
        }
        let mut stream = connect(&team.dir("r")).unwrap();
        let _it_may_have_heard_enough = stream.write_all(&bytes);
        drop(stream);
    }
    assert_eq!(team.events("r"), before);
    team.answer(BOB, "r", "go", "approve").exits(0);
    team.let_go();
    driver.ends(0, &team, "r");
}

#[test]
fn a_flood_and_silence_cost_the_run_nothing() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    // More than are listened to at a time, each silent or in the middle of a line.
    let silent: Vec<_> = (0..20)
        .map(|number| {
            let mut stream = connect(&team.dir("r")).unwrap();
            if number % 2 == 0 {
                let _half = stream.write_all(b"{\"v\":1,");
            }
            stream
        })
        .collect();
    team.answer(BOB, "r", "go", "approve").exits(0);
    drop(silent);
    let mut flood = connect(&team.dir("r")).unwrap();
    flood.set_write_timeout(Some(PATIENCE)).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let mut written = 0;
    while written < 60 && flood.write_all(&chunk).is_ok() {
        written += 1;
    }
    assert!(written < 60, "it stops listening after some 44 MiB");
    let mut said = String::new();
    flood.set_read_timeout(Some(PATIENCE)).unwrap();
    let _reset = flood.read_to_string(&mut said);
    assert!(said.contains("not-understood"), "{said}");
    team.let_go();
    driver.ends(0, &team, "r");
}

#[test]
fn evidence_comes_along_up_to_its_limit() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", "    manual: {evidence: required}");
    let file =
        |name: &str, bytes: usize| std::fs::write(team.path("books").join(name), vec![7; bytes]).unwrap();
    file("most", 16 << 20);
    file("more", (16 << 20) + 1);
    let done = |files: &[&str]| {
        let evidence = files.iter().flat_map(|file| ["--evidence", file]);
        let args: Vec<&str> = ["answer", "r", "go", "done"].into_iter().chain(evidence).collect();
        team.say(BOB, &args)
    };
    done(&[]).exits(2).with("this needs evidence");
    done(&["more"]).exits(2).with("the limit is");
    done(&["most", "most", "most"]).exits(2).with("the limit is");
    done(&["most"]).exits(0);
    team.let_go();
    driver.ends(0, &team, "r");
    team.say(BOB, &["verify", "r"]).exits(0);
}
