//! One drives, others answer: who is heard, who is not, and what is said about it.

use crate::world::{ALICE, BOB, CAROL, DAVE, EVE, Team, until};

const ONE: &str = "    approve: {roles: [lead], exclude: [starter]}";
const TWO: &str = "    approve: {roles: [lead], quorum: 2, exclude: [starter]}";

#[test]
fn an_approval_from_another_user_lets_the_run_go_on_where_it_is_driven() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    team.answer(BOB, "r", "go", "approve").exits(0).with("the answer is recorded");
    until("what follows", || team.path("books/book").exists().then_some(()));
    team.answer(BOB, "r", "go", "approve").exits(0).with("said before");
    team.let_go();
    driver.ends(0, &team, "r");
    assert_eq!(team.said("r"), ["bob os-user approve"]);
    let book = std::fs::read_to_string(team.path("books/book")).unwrap();
    assert_eq!(book, format!("{ALICE}\n"), "the driver does it, not the one who answers");
    assert!(!team.dir("r").join("socket").exists());
    team.say(BOB, &["verify", "r"]).exits(0);
    team.say(CAROL, &["show", "r"]).exits(0);
    team.answer(CAROL, "r", "go", "approve").exits(2).with("is over");
}

#[test]
fn a_rejection_from_another_user_refuses_the_run() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    let reject = ["answer", "r", "go", "reject", "--comment", "not tonight"];
    team.say(CAROL, &reject).exits(0).with("in flight: program");
    team.answer(BOB, "r", "go", "approve").exits(2).with("carol said \"reject\" at");
    team.let_go();
    driver.ends(1, &team, "r");
    assert!(!team.path("books/book").exists());
    team.say(DAVE, &["verify", "r"]).exits(0);
}

#[test]
fn two_approvals_are_of_two_people() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", TWO);
    team.answer(BOB, "r", "go", "approve").exits(0).with("waits for a person: go");
    team.answer(BOB, "r", "go", "approve").exits(0).with("said before");
    team.answer(BOB, "r", "go", "reject").exits(2).with("bob said \"approve\" at");
    assert!(!team.has("r", "ask.closed"));
    team.answer(CAROL, "r", "go", "approve").exits(0);
    team.let_go();
    driver.ends(0, &team, "r");
    assert_eq!(team.said("r"), ["bob os-user approve", "carol os-user approve"]);
    team.say(ALICE, &["verify", "r"]).exits(0);
}

#[test]
fn whoever_may_not_answer_is_refused() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    team.answer(ALICE, "r", "go", "approve").exits(2).with("alice holds none of the roles lead");
    team.answer(DAVE, "r", "go", "approve").exits(2).with("entitled: bob, carol");
    // The one who started it, although he leads.
    team.write(
        "own.yaml",
        "consigne: v1\nid: own\ntitle: Own\nsteps:\n  - id: go\n    approve: {roles: [lead]}\n",
    );
    team.say(BOB, &["run", "own.yaml", "--env", "team", "--run-id", "own"]).exits(4);
    team.answer(BOB, "own", "go", "approve").exits(2).with("bob started the run");
    team.answer(CAROL, "own", "go", "approve").exits(4);
    // Whom somebody plays counts nowhere but in practice.
    team.say(DAVE, &["answer", "r", "go", "approve", "--as", "bob"]).exits(2).with("role_play");
    team.answer(BOB, "r", "nope", "approve").exits(2).with("no step `nope`");
    team.answer(BOB, "r", "go", "perhaps").exits(2).with("one of: approve, reject");
    team.answer(BOB, "other", "go", "approve").exits(2).with("no run `other`");
    team.say(BOB, &["resume", "r"]).exits(6).with("driven by process");
    assert_eq!(team.said("r"), [""; 0]);
    drop(driver);
}

#[test]
fn a_stranger_neither_reads_nor_connects() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    team.say(EVE, &["show", "r"]).exits(2);
    let dir = team.dir("r").display().to_string();
    // By name he leads; the machine knows better who he is.
    team.answer(EVE, &dir, "go", "approve").exits(2);
    let line = r#"{"v":1,"verb":{"answer":{"step":"go","value":"approve","evidence":[]}}}"#;
    assert_eq!(team.tell(EVE, "r", &format!("{line}\n")), None);
    let read = |name: &str| {
        let path = team.dir("r").join(name);
        (std::fs::read(&path).is_ok(), team.as_user(EVE, || std::fs::read(&path).is_ok()))
    };
    assert_eq!((read("events.jsonl"), read("plan/values.json")), ((true, false), (true, false)));
    assert_eq!(team.said("r"), [""; 0]);
    assert!(team.tell(BOB, "r", &format!("{line}\n")).unwrap()["said"]["taken"]["news"] == true);
    drop(driver);
}

#[test]
fn a_question_whose_time_is_over_takes_no_answer() {
    let Some(team) = Team::new() else { return };
    let driver =
        team.drive("r", "    approve: {roles: [lead], exclude: [starter], timeout: 1s, on_timeout: refuse}");
    until("its end", || team.has("r", "ask.closed").then_some(()));
    team.answer(BOB, "r", "go", "approve").exits(2).with("its time is over");
    team.let_go();
    driver.ends(1, &team, "r");
    assert!(!team.path("books/book").exists());
}

#[test]
fn after_an_escalation_others_may_answer_and_are_named() {
    let Some(team) = Team::new() else { return };
    let gate = "    approve: {roles: [ops], exclude: [starter], timeout: 1s, on_timeout: escalate, escalate_to: [boss]}";
    let environment = std::fs::read_to_string(team.path("books/environments/team.yaml")).unwrap();
    team.write("environments/team.yaml", &format!("{environment}  ops: [bob]\n"));
    // The second time-out is as long as the first: time enough only for a machine that is not busy.
    let driver = team.drive("r", &gate.replace("1s", "20s"));
    team.answer(CAROL, "r", "go", "approve").exits(2).with("entitled: bob");
    until("the escalation", || team.has("r", "ask.escalated").then_some(()));
    until("the line", || team.log("r").contains("may answer now: bob, carol").then_some(()));
    team.answer(CAROL, "r", "go", "approve").exits(0);
    team.let_go();
    driver.ends(0, &team, "r");
}

#[test]
fn a_cancel_from_another_user_ends_the_run_where_it_is_driven() {
    let Some(team) = Team::new() else { return };
    let driver = team.drive("r", ONE);
    team.say(BOB, &["cancel", "r", "--comment", "enough"]).exits(0).with("goes on with that");
    driver.ends(1, &team, "r");
    let ending = team.events("r").into_iter().find(|event| event["type"] == "run.ending").unwrap();
    assert_eq!((&ending["actor"]["who"], &ending["data"]["reason"]), (&"bob".into(), &"cancelled".into()));
    team.say(BOB, &["cancel", "r"]).exits(2).with("is over");
    team.say(BOB, &["verify", "r"]).exits(0);
}
