//! A rehearsal that stood still, or whose process died, goes on where it was, with what it began with.

use serde_json::Value;

use crate::world::{Made, Rehearsals, events, files, said};

/// Somebody is asked again and again: what the outside says goes on where it was.
const ROUNDS: &str = r#"consigne: v1
id: rounds
title: {fr: "Tours", en: "Rounds"}
steps:
  - id: look
    http: {get: "http://127.0.0.1:9/state"}
    outputs: {size: ".body.size"}
  - id: test
    argv: ["test-it", "{{ steps.look.size }}"]
    effect: read
  - id: sure
    approve: {roles: [ops]}
    message: "Go on?"
  - id: act
    http: {post: "http://127.0.0.1:9/act"}
    effect: write
"#;

const SCENARIO: &str = "steps:\n  look: {status: 200, body: {size: 7}}\n  test: [{exit: 1}, {exit: 2}, {exit: 0}]\nfaults: {look: clock-forward, act: crash-before}\n";

const YES: &str = "test: retry\nsure: {answer: approve, as: bob}\n";

fn world() -> Rehearsals {
    let world = Rehearsals::new();
    world.write("environments/practice.yaml", "people: {bob: {}}\nroles: {ops: [bob]}\n");
    world.write("rounds.yaml", ROUNDS);
    world.write("s.yaml", SCENARIO);
    world.write("yes.yaml", YES);
    world
}

/// Parked where the test has failed for the first time.
fn parked(world: &Rehearsals, out: &str) -> Made {
    let scenario = world.path("s.yaml").display().to_string();
    let made = world.rehearse(out, &world.path("rounds.yaml"), &["--scenario", &scenario], 4);
    made.says("consigne resume");
    made
}

fn resume(world: &Rehearsals, made: &Made, args: &[&str], code: i32) -> String {
    let output = world.consigne(&[&["resume", made.dir.to_str().unwrap()], args].concat());
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    said(&output)
}

/// What happened, but for the standing still itself.
fn course(events: &[Value]) -> Vec<String> {
    let still = ["run.paused", "run.resumed", "run.started", "approval.attested"];
    let counted = events.iter().filter(|event| !still.contains(&event["type"].as_str().unwrap()));
    let line = |event: &Value| {
        let data = ["worker", "status", "result", "role", "how"].map(|name| event["data"][name].to_string());
        format!("{} {} {} {}", event["type"], event["step"], event["item"], data.join(" "))
    };
    counted.map(line).collect()
}

#[test]
fn it_takes_the_course_that_it_would_have_taken() {
    let world = world();
    let (yes, scenario) = (world.path("yes.yaml").display().to_string(), world.path("s.yaml"));
    let args = ["--scenario", scenario.to_str().unwrap(), "--answers", &yes];
    let whole = world.rehearse("whole", &world.path("rounds.yaml"), &args, 0);
    let made = parked(&world, "made");
    // Nothing of what it was made with is needed any more.
    for gone in ["s.yaml", "rounds.yaml", "environments/practice.yaml"] {
        std::fs::remove_file(world.path(gone)).unwrap();
    }
    let said = resume(&world, &made, &["--answers", &yes], 0);
    assert!(said.contains("record verified"), "{said}");
    assert!(said.contains("fault look=clock-forward: came to pass"), "before it stood still: {said}");
    assert!(said.contains("fault act=crash-before: came to pass"), "after it: {said}");
    assert_eq!(course(&events(&made.dir)), course(&events(&whole.dir)));
    let codes: Vec<Value> =
        made.of("attempt.finished", "test").iter().map(|event| event["data"]["code"].clone()).collect();
    assert_eq!(codes, [1, 2, 0]);
    // Time has gone on from where it was.
    let text = std::fs::read_to_string(made.dir.join("events.jsonl")).unwrap();
    let times: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["at"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn it_is_resumed_as_often_as_it_stands_still() {
    let world = world();
    let made = parked(&world, "made");
    resume(&world, &made, &[], 4);
    resume(&world, &made, &["--json"], 4);
    let yes = world.path("yes.yaml").display().to_string();
    resume(&world, &made, &["--answers", &yes], 0);
    assert_eq!(
        made.events().iter().filter(|event| event["type"] == "run.resumed").count(),
        4,
        "one is the fault"
    );
    let over = resume(&world, &made, &[], 2);
    assert!(over.contains("is over"), "{over}");
}

#[test]
fn the_next_look_shows_it_and_it_can_be_ended() {
    let world = world();
    let scenario = world.path("s.yaml").display().to_string();
    let output = world.consigne(&["rehearse", "rounds.yaml", "--scenario", &scenario]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let dir = world.path("user/.local/state/consigne/runs");
    let name = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let hint = format!("consigne resume {name}");
    assert!(said(&output).contains(&hint), "{}", said(&output));
    for look in [&[][..], &["list"]] {
        let seen = said(&world.consigne(look));
        assert!(seen.contains(&hint) && seen.contains("ehearsal"), "{look:?}: {seen}");
        assert!(!seen.contains("WAITS FOR"), "nothing of it is real: {seen}");
    }
    let ended = world.consigne(&["cancel", &name, "--comment", "enough"]);
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("cancelled") && said(&ended).contains("record verified"),
        "{}",
        said(&ended)
    );
    assert!(!said(&world.consigne(&[])).contains(&hint));
    let fresh = said(&world.consigne(&["runbooks", "--dir", "."]));
    assert!(fresh.contains("rehearsal 20") && fresh.contains(" cancelled (today)"), "{fresh}");
    let plan = world.consigne(&["plan", "rounds.yaml", "--mode", "rehearsal"]);
    assert!(said(&plan).contains("REHEARSAL practice"), "{}", said(&plan));
}

#[test]
fn it_goes_on_with_what_it_began_with_and_with_nothing_else() {
    let world = world();
    let made = parked(&world, "made");
    let frozen = made.dir.join("plan/scenario.yaml");
    let text = std::fs::read_to_string(&frozen).unwrap();
    std::fs::write(&frozen, text.replace("exit: 2", "exit: 0")).unwrap();
    let before = files(&made.dir);
    let refused = resume(&world, &made, &[], 5);
    assert!(refused.contains("not the file that the journal names"), "{refused}");
    assert_eq!(files(&made.dir), before);
    std::fs::write(&frozen, text).unwrap();
    let refused = resume(&world, &made, &["--key", "somebody"], 2);
    assert!(refused.contains("with a key of his own"), "{refused}");
    let unknown = world.write("x.yaml", "nowhere: yes\n").display().to_string();
    assert!(resume(&world, &made, &["--answers", &unknown], 3).contains("nowhere"));
}

/// What a process that dies leaves: the journal up to some line, perhaps torn.
#[test]
fn wherever_its_process_dies_it_comes_to_the_same_end() {
    let world = world();
    let (yes, scenario) =
        (world.path("yes.yaml").display().to_string(), world.path("s.yaml").display().to_string());
    let parked = parked(&world, "parked");
    let yes_all = ["--answers", yes.as_str()];
    let log = std::fs::read_to_string(parked.dir.join("wal.jsonl")).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    assert!(lines.len() > 4, "{log}");
    for kept in 1..lines.len() {
        for torn in ["", "{\"line\":\"to"] {
            let out = format!("died-{kept}-{}", torn.len());
            let made = world.rehearse(&out, &world.path("rounds.yaml"), &["--scenario", &scenario], 4);
            std::fs::write(made.dir.join("wal.jsonl"), format!("{}{torn}", lines[..kept].concat())).unwrap();
            // Made anew from the log.
            for name in ["events.jsonl", "disclosures.jsonl"] {
                std::fs::write(made.dir.join(name), "").unwrap();
            }
            // The first is signed before anything follows line 1; later ones may be of lines that are gone.
            for head in std::fs::read_dir(made.dir.join("heads")).unwrap().flatten() {
                if head.file_name() != "000001.note" {
                    std::fs::remove_file(head.path()).unwrap();
                }
            }
            let said = resume(&world, &made, &yes_all, 0);
            assert!(said.contains("record verified"), "{kept} {torn}: {said}");
            assert_eq!(made.of("attempt.finished", "act").len(), 1, "{kept} {torn}");
        }
    }
}
