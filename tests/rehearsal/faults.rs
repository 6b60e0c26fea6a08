//! What goes wrong because somebody wished for it: each kind has its effect, and a sweep finds what must not be.

use std::path::PathBuf;

use serde_json::Value;

use crate::world::{Made, Rehearsals, SHIPPED, answers, repository, said, shipped};

const SWITCHING: &str = r#"consigne: v1
id: switching
title: {fr: "Commuter", en: "Switching"}
steps:
  - id: look
    http: {get: "http://127.0.0.1:9/state"}
    outputs: {size: ".body.size"}
  - id: go
    approve: {roles: [ops], on_timeout: TIMEOUT}
    timeout: 2h
    message: "Go on?"
  - id: maintenance_on
    http: {post: "http://127.0.0.1:9/maintenance/enable"}
    effect: write
    verify: {http: {get: "http://127.0.0.1:9/maintenance"}, expect: {status: [200]}, absent: {status: [404]}}PUT_BACK
  - id: migrate
    http: {post: "http://127.0.0.1:9/migrate", json: {size: "{{ steps.look.size }}"}}
    on_failure: stop
  - id: maintenance_off
    http: {post: "http://127.0.0.1:9/maintenance/disable"}
    effect: write
finally:
  - id: tell
    http: {post: "http://127.0.0.1:9/tell"}
"#;

const PUT_BACK: &str = "\n    put_back: {http: {post: \"http://127.0.0.1:9/maintenance/disable\"}}";

/// A runbook that switches something on and off; put_back, if wanted, is what brings it back in between.
fn switching(put_back: &str, timeout: &str) -> (Rehearsals, PathBuf) {
    let world = Rehearsals::new();
    let people = "people: {alice: {}, bob: {}, carol: {}}\nroles: {ops: [bob], leads: [carol]}\n";
    world.write("environments/practice.yaml", people);
    let text = SWITCHING.replace("PUT_BACK", put_back).replace("TIMEOUT", timeout);
    let runbook = world.write("switching.yaml", &text);
    world.write("answers.yaml", "go: {answer: approve, as: bob}\n");
    (world, runbook)
}

impl Made {
    fn count(&self, kind: &str, step: &str) -> usize {
        self.of(kind, step).len()
    }

    fn status(&self, step: &str) -> String {
        let settled = self.of("step.settled", step);
        settled.last().map_or_else(String::new, |event| event["data"]["status"].as_str().unwrap().to_owned())
    }
}

/// One rehearsal of the runbook with faults. The folder lives as long as what is given back.
fn with(faults: &[&str], code: i32) -> (Rehearsals, Made) {
    let (world, runbook) = switching(PUT_BACK, "refuse");
    let answers = world.path("answers.yaml").display().to_string();
    let mut args = vec!["--answers", &answers];
    faults.iter().for_each(|fault| args.extend(["--fault", fault]));
    let made = world.rehearse("out", &runbook, &args, code);
    (world, made)
}

#[test]
fn a_failure_is_told_with_what_was_done_about_it() {
    let (world, runbook) = switching(PUT_BACK, "refuse");
    let text = "go: {answer: approve, as: bob}\nmaintenance_on: put_back\n";
    let answers = world.write("answers.yaml", text).display().to_string();
    let made = world.rehearse("out", &runbook, &["--answers", &answers, "--fault", "migrate=failure"], 1);
    assert_eq!(made.status("migrate"), "failed");
    assert_eq!(made.of("attempt.finished", "migrate")[0]["data"]["worker"], "fault failure");
    assert_eq!(made.count("attempt.started", "maintenance_off"), 0);
    made.says("migrate: status 500 <- fault failure");
    made.says("fault migrate=failure: came to pass");
    made.says("what was done: 0 undone, 1 put back, 0 left open or failed, 1 steps of finally, 0 escalated");
}

#[test]
fn after_a_dropped_connection_the_proof_decides() {
    let (_world, made) = with(&["maintenance_on=dropped"], 0);
    assert_eq!(made.count("step.unknown", "maintenance_on"), 1);
    // It was done, and its proof says so: it is not done again.
    let began = made.of("attempt.started", "maintenance_on");
    let roles: Vec<&str> = began.iter().map(|event| event["data"]["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["do", "verify", "put_back"]);
}

#[test]
fn after_a_time_out_the_proof_says_that_nothing_was_done() {
    let (_world, made) = with(&["maintenance_on=timeout"], 4);
    let finished = made.of("attempt.finished", "maintenance_on");
    let reasons: Vec<&str> = finished.iter().map(|event| event["data"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["timeout", "absent"]);
    // A read that is not answered in time has failed.
    let (_world, made) = with(&["look=timeout"], 4);
    assert_eq!(made.of("attempt.finished", "look")[0]["data"]["reason"], "timeout");
}

#[test]
fn a_wrong_answer_is_refuted_by_the_proof() {
    let (_world, made) = with(&["maintenance_on=wrong"], 4);
    let finished = made.of("attempt.finished", "maintenance_on");
    assert_eq!(finished[0]["data"]["result"], "succeeded", "it sounds well");
    assert_eq!(finished[1]["data"]["result"], "failed");
    let (_world, made) = with(&["look=wrong"], 0);
    assert_eq!(made.of("attempt.finished", "look")[0]["data"]["worker"], "fault wrong");
}

#[test]
fn a_refusal_shuts_the_gate_whatever_the_answers_say() {
    let (_world, made) = with(&["go=refusal"], 1);
    assert_eq!(made.status("go"), "rejected");
    assert_eq!(made.count("attempt.started", "maintenance_on"), 0);
    assert_eq!(made.count("attempt.started", "tell"), 1, "`finally` has its turn");
    made.says("go: bob reject");
}

#[test]
fn an_absent_approver_lets_the_time_pass_and_whom_it_is_passed_on_to_answers() {
    let (_world, made) = with(&["go=absent"], 1);
    assert_eq!(made.of("ask.closed", "go")[0]["data"]["how"], "timed_out");
    let (world, runbook) = switching(PUT_BACK, "escalate, escalate_to: [leads]");
    let text = "go: {answer: approve, as: carol}\n";
    let answers = world.write("answers.yaml", text).display().to_string();
    let made = world.rehearse("out", &runbook, &["--answers", &answers, "--fault", "go=absent"], 0);
    assert_eq!(made.count("ask.escalated", "go"), 1);
    made.says("1 escalated");
}

#[test]
fn a_crash_is_resumed_to_the_same_end() {
    let (_world, calm) = with(&[], 0);
    for step in ["look", "go", "migrate", "maintenance_off", "tell"] {
        for kind in ["crash-before", "crash-after"] {
            // What is in flight when the process dies is unknown, unless it is a read; so is what a lost line began.
            let go = "go: {answer: approve, as: bob}\n";
            let done = ["migrate", "maintenance_on", "maintenance_off", "tell"];
            let done: String =
                done.iter().map(|step| format!("{step}: {{answer: done, comment: seen}}\n")).collect();
            let (world, runbook) = switching(PUT_BACK, "refuse");
            let answers = world.write("answers.yaml", &format!("{go}{done}")).display().to_string();
            let fault = format!("{step}={kind}");
            let made = world.rehearse("out", &runbook, &["--answers", &answers, "--fault", &fault], 0);
            // The very first line has no run before it: it begins anew.
            let resumed = made.events().iter().filter(|event| event["type"] == "run.resumed").count();
            assert_eq!(resumed, usize::from(fault != "look=crash-before"), "{fault}");
            for settled in ["look", "go", "maintenance_on", "migrate", "maintenance_off", "tell"] {
                let ended = |made: &Made| {
                    let overridden = made.count("step.overridden", settled) > 0;
                    if overridden { "succeeded".to_owned() } else { made.status(settled) }
                };
                assert_eq!(ended(&made), ended(&calm), "{fault}: {settled}");
            }
            made.says("intact");
        }
    }
}

#[test]
fn a_clock_that_is_set_back_stands_in_the_record_and_one_that_is_set_forward_shuts_the_gate() {
    let (_world, made) = with(&["migrate=clock-back"], 0);
    let stepped = made.events().into_iter().find(|event| event["type"] == "clock.stepped").unwrap();
    assert!(stepped["data"]["back_ms"].as_u64().unwrap() > 3_500_000, "{stepped}");
    // Two hours are longer than one.
    let (_world, made) = with(&["go=clock-forward"], 0);
    let opened = &made.of("ask.opened", "go")[0];
    let answered = made.of("ask.answered", "go");
    assert_eq!((opened["type"].as_str(), answered.len()), (Some("ask.opened"), 1));
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<consigne::clock::Timestamp>().unwrap();
    let text = std::fs::read_to_string(made.dir.join("events.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = at(lines.last().unwrap()).since(at(&lines[0]));
    assert!(total >= 3_600_000, "an hour was left out: {total}");
}

#[test]
fn a_scenario_wishes_for_faults_and_what_does_not_fit_is_refused() {
    let (world, runbook) = switching(PUT_BACK, "refuse");
    let answers = world.path("answers.yaml").display().to_string();
    let scenario =
        world.write("s.yaml", "faults: {go: refusal, tell: [crash-after]}\n").display().to_string();
    let args = ["--answers", &answers, "--scenario", &scenario];
    let made = world.rehearse("out", &runbook, &args, 4);
    made.says("fault go=refusal: came to pass");
    made.says("fault tell=crash-after: came to pass");
    let wrong = world.write("w.yaml", "faults: {tell: refusal}\n").display().to_string();
    world.rehearse("no", &runbook, &["--scenario", &wrong], 3).says("`tell` cannot meet `refusal`");
    world.rehearse("no", &runbook, &["--fault", "tell=refusal"], 2).says("it can meet: failure, timeout");
    world.rehearse("no", &runbook, &["--fault", "tell=oops"], 2).says("expected STEP=KIND or STEP.PART=KIND");
    world.rehearse("no", &runbook, &["--fault", "nowhere=failure"], 2).says("no step `nowhere`");
}

#[test]
fn the_same_seed_draws_the_same_faults_and_makes_the_same_bytes() {
    let drawn = |seed: &str, out: &str, world: &Rehearsals| {
        let answers = answers("suspend");
        let dir = world.path(out).display().to_string();
        let args = [
            "rehearse",
            shipped("suspend").to_str().unwrap(),
            "--answers",
            &answers,
            "--out",
            &dir,
            "--faults",
            seed,
        ]
        .map(ToOwned::to_owned);
        let output = world.consigne(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let events = std::fs::read_to_string(world.path(out).join("events.jsonl")).unwrap();
        let said = said(&output);
        let faults: Vec<String> =
            said.lines().filter(|line| line.starts_with("fault: ")).map(ToOwned::to_owned).collect();
        assert!(!faults.is_empty(), "{said}");
        (faults, events)
    };
    let world = Rehearsals::new();
    let seeds = ["1", "2", "3", "4"];
    let all: Vec<_> = seeds.iter().map(|seed| drawn(seed, &format!("one{seed}"), &world)).collect();
    for (seed, first) in seeds.iter().zip(&all) {
        assert_eq!(&drawn(seed, &format!("two{seed}"), &world), first, "seed {seed}");
    }
    let different: std::collections::BTreeSet<_> = all.iter().map(|(faults, _)| faults).collect();
    assert!(different.len() > 1, "{different:?}");
}

#[test]
fn a_toggle_without_put_back_is_found_by_a_sweep() {
    let sweep = |put_back: &str, code: i32, fixture: &str| {
        let (world, runbook) = switching(put_back, "refuse");
        world.write("switching.answers.yaml", "go: {answer: approve, as: bob}\n");
        world.write("switching.fixture.yaml", fixture);
        let output = world.consigne(&["rehearse", runbook.to_str().unwrap(), "--every-fault"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    let broken = sweep("", 1, "");
    assert!(
        broken.contains("! left-switched maintenance_on: after maintenance_on, tell the run ended"),
        "{broken}"
    );
    assert!(broken.contains("`maintenance_off`, which would have switched it again, did not"), "{broken}");
    assert!(broken.contains("migrate=failure -> failed"), "{broken}");
    let sound = sweep(PUT_BACK, 0, "");
    assert!(!sound.contains('!'), "{sound}");
    // Whoever means it says so.
    sweep("", 0, "may_stay: [maintenance_on]\n");
}

#[test]
fn a_run_that_nobody_can_bring_to_its_end_is_found_by_a_sweep() {
    let world = Rehearsals::new();
    let asking = "consigne: v1\nid: asking\ntitle: {fr: \"Demander\", en: \"Asking\"}\nsteps:\n  - id: ticket\n    input:\n      fields:\n        number: {type: string, pattern: '^T-[0-9]{5}$', title: {fr: \"Billet\", en: \"Ticket\"}}\n";
    let runbook = world.write("asking.yaml", asking);
    let sweep = |code: i32| {
        let output = world.consigne(&["rehearse", runbook.to_str().unwrap(), "--every-fault"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    };
    let stuck = sweep(1);
    assert!(stuck.contains("! stuck ticket: no answer to its question was taken"), "{stuck}");
    world.write("asking.answers.yaml", "ticket: {answer: {number: T-12345}}\n");
    sweep(0);
}

#[test]
fn every_fault_at_every_step_of_every_shipped_runbook_leaves_nothing_behind() {
    let world = Rehearsals::new();
    let folder = repository("runbooks").display().to_string();
    let output = world.consigne(&["rehearse", &folder, "--every-fault", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runbooks = told["runbooks"].as_array().unwrap();
    assert!(runbooks.len() >= SHIPPED.len());
    for runbook in runbooks {
        let name = &runbook["runbook"];
        let rehearsals = runbook["rehearsals"].as_array().unwrap();
        assert_eq!(rehearsals[0]["status"], "succeeded", "{name} without a fault: {}", rehearsals[0]);
        let kinds: std::collections::BTreeSet<&str> = rehearsals
            .iter()
            .filter(|one| one["met"] == true)
            .filter_map(|one| one["fault"].as_str()?.rsplit_once('=').map(|(_, kind)| kind))
            .collect();
        assert_eq!(kinds.len(), 10, "{name}: {kinds:?}");
        let part = |one: &&Value| one["fault"].as_str().is_some_and(|fault| fault.contains('.'));
        let parts: Vec<&Value> = rehearsals.iter().filter(part).collect();
        assert!(parts.len() > 7 && parts.iter().all(|one| one["met"] == true), "{name}: {parts:?}");
        for one in rehearsals {
            assert_eq!(one["findings"].as_array().unwrap().len(), 0, "{name}: {one}");
            // One of them that is struck itself does nothing.
            let struck = ["fault", "after"]
                .iter()
                .any(|name| one[name].as_str().is_some_and(|at| at.starts_with("tell=")));
            let walked =
                one["did"]["finally"].as_u64() > Some(0) || struck || one["reason"] == "ending_failed";
            assert!(walked, "{name}: `finally` has its turn: {one}");
        }
    }
}
