//! A run passes from one user to another: everything of it belongs to the group, and outlives its driver.

use std::os::unix::fs::FileTypeExt;

use crate::world::{BOB, CAROL, Team, until};

const ONE: &str = "    approve: {roles: [lead], exclude: [starter]}";

#[test]
fn everything_of_a_run_belongs_to_the_group_whatever_the_umask() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    let evidence = team.path("books/proof.txt");
    std::fs::write(&evidence, "proof").unwrap();
    let args = ["answer", "r", "go", "approve", "--evidence", "proof.txt"];
    team.say(BOB, &args).exits(0);
    let check = |moment: &str| {
        for (path, gid, mode) in team.belongings() {
            let name = path.display().to_string();
            let open = name.starts_with("trust") || name.starts_with("keys/executor.");
            let allowed: &[u32] = if open { &[0o2755, 0o644] } else { &[0o2770, 0o660] };
            assert!(allowed.contains(&mode), "{moment}: {name} has mode {mode:o}");
            assert_eq!(gid, 4100, "{moment}: {name}");
        }
    };
    check("live");
    team.let_go();
    driver.ends(0, &team, "r");
    check("sealed");
    let names: Vec<String> =
        team.belongings().into_iter().map(|(path, ..)| path.display().to_string()).collect();
    for name in ["ledger.jsonl", "runs/r/lock", "runs/r/blobs", "runs/r/procs.jsonl", "runs/r/approvals"] {
        assert!(names.iter().any(|known| known.starts_with(name)), "{name} is not there: {names:?}");
    }
}

#[test]
fn a_run_whose_driver_was_killed_is_answered_and_resumed_by_others() {
    let Some(team) = Team::new() else { return };
    let mut driver = team.drive("r", ONE);
    driver.kill();
    let socket = team.dir("r").join("socket");
    let is_socket = || std::fs::symlink_metadata(&socket).is_ok_and(|it| it.file_type().is_socket());
    assert!(is_socket(), "nobody was there to remove it");
    team.answer(BOB, "r", "go", "approve").exits(4).with("consigne resume r");
    team.let_go();
    team.say(CAROL, &["resume", "r"]).exits(0);
    assert!(!is_socket());
    assert_eq!(team.said("r"), ["bob os-user approve"]);
    let book = std::fs::read_to_string(team.path("books/book")).unwrap();
    assert_eq!(book, format!("{CAROL}\n"));
    team.say(BOB, &["verify", "r"]).exits(0);
}

#[test]
fn the_socket_that_a_killed_driver_left_is_replaced() {
    let Some(team) = Team::new() else { return };
    let mut driver = team.drive("r", ONE);
    driver.kill();
    let log = std::fs::File::create(team.path("r.log")).unwrap();
    let resume = team.command(CAROL, &["resume", "r"]).stderr(log).spawn().unwrap();
    let driver = crate::world::Driver(resume);
    until("the new driver", || team.log("r").contains("resumed").then_some(()));
    // He who drives it now hears it, or his lock is free again.
    team.answer(BOB, "r", "go", "approve").exits(0);
    team.let_go();
    driver.ends(0, &team, "r");
}

#[test]
fn a_run_of_one_user_stays_his_own() {
    let Some(team) = Team::new() else { return };
    let own = team.path("nobody/own");
    team.as_user(BOB, || std::fs::create_dir(&own).unwrap());
    team.write("own.yaml", "consigne: v1\nid: own\ntitle: Own\nsteps:\n  - {id: go, confirm: {}}\n");
    let mut run = team.command(BOB, &["run", "own.yaml", "--env", "team", "--run-id", "r"]);
    assert_eq!(run.env("CONSIGNE_HOME", &own).status().unwrap().code(), Some(4));
    let dir = own.join("runs/r");
    let read = |uid: u32| team.as_user(uid, || std::fs::read(dir.join("events.jsonl")).is_ok());
    assert_eq!((read(BOB), read(CAROL)), (true, false));
}
