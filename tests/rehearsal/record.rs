//! The record of a rehearsal is one of a rehearsal, whatever is done to it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{Made, Rehearsals, SHIPPED, answers, files, repository, said, shipped};

/// What is done to every text and every name of a file.
type Edit = fn(&str) -> String;

fn made(world: &Rehearsals) -> Made {
    world.rehearse("made", &shipped("suspend"), &["--answers", &answers("suspend")], 0)
}

fn script(bundle: &Path, trust: &Path, mode: &str) -> (bool, String) {
    let mut command = Command::new("bash");
    let output = command.arg(repository("docs/verify.sh")).arg(bundle).arg(trust).arg(mode).output().unwrap();
    (output.status.success(), said(&output))
}

/// A copy in which every text of the files was changed.
fn changed(
    world: &Rehearsals,
    made: &Made,
    name: &str,
    change: impl Fn(&str) -> String,
) -> std::path::PathBuf {
    for (file, bytes) in files(&made.dir) {
        let text = String::from_utf8(bytes).unwrap();
        world.write(&format!("{name}/{}", change(&file)), &change(&text));
    }
    world.path(name)
}

#[test]
fn it_verifies_as_a_rehearsal_and_as_nothing_else() {
    let world = Rehearsals::new();
    let made = made(&world);
    let verify = |args: &[&str]| {
        let output = world.consigne(&[&["verify", made.dir.to_str().unwrap()], args].concat());
        (output.status.code(), said(&output))
    };
    let (code, text) = verify(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("REHEARSAL record") && text.contains("not who made them"), "{text}");
    assert_eq!(verify(&["--as", "rehearsal"]).0, Some(0));
    for mode in ["live", "drill"] {
        assert_eq!(verify(&["--as", mode]).0, Some(5), "{mode}");
    }
    // A house has no key that would sign it.
    assert!(world.consigne(&["keys", "init"]).status.success());
    let trust = world.path("user/.local/state/consigne/trust");
    assert_eq!(verify(&["--trust", trust.to_str().unwrap()]).0, Some(5));
}

#[test]
fn stock_tools_take_it_for_a_rehearsal_and_for_nothing_else() {
    let world = Rehearsals::new();
    let made = made(&world);
    let trust = world.path("trust");
    assert!(world.consigne(&["keys", "rehearsals", trust.to_str().unwrap()]).status.success());
    let (verified, text) = script(&made.dir, &trust, "rehearsal");
    if !verified && text.contains("command not found") {
        eprintln!("not run: {text}");
        return;
    }
    assert!(verified && text.contains("VERIFIED"), "{text}");
    for mode in ["live", "drill"] {
        let (verified, text) = script(&made.dir, &trust, mode);
        assert!(!verified && !text.contains("VERIFIED"), "{mode}: {text}");
    }
}

#[test]
fn renamed_and_edited_it_is_no_live_run() {
    let world = Rehearsals::new();
    let made = made(&world);
    let trust = world.path("trust");
    assert!(world.consigne(&["keys", "rehearsals", trust.to_str().unwrap()]).status.success());
    let edits: [(&str, Edit); 3] = [
        ("mode", |text| text.replace(r#""mode": "rehearsal""#, r#""mode": "live""#)),
        ("everywhere", |text| text.replace("rehearsal", "live").replace("REHEARSAL", "LIVE")),
        ("kind", |text| text.replace("\"mode\":\"rehearsal\"", "\"mode\":\"live\"")),
    ];
    for (name, edit) in edits {
        let copy = changed(&world, &made, name, edit);
        for args in [&["--as", "live"][..], &[]] {
            let dir = copy.to_str().unwrap();
            for trusted in [&[][..], &["--trust", trust.to_str().unwrap()]] {
                let output = world.consigne(&[&["verify", dir], args, trusted].concat());
                assert_eq!(output.status.code(), Some(5), "{name} {args:?}: {}", said(&output));
            }
        }
        for mode in ["live", "rehearsal"] {
            let (verified, text) = script(&copy, &trust, mode);
            assert!(!verified && !text.contains("VERIFIED"), "{name} as {mode}: {text}");
        }
    }
}

#[test]
fn nothing_real_follows_it() {
    let world = Rehearsals::new();
    let made = made(&world);
    let parked = world.rehearse("parked", &shipped("suspend"), &[], 4);
    parked.says("the answer go (approve|reject) is missing");
    let answer = ["go", "approve", "--as", "bob", "--resume"];
    for (dir, verbs) in
        [(&made.dir, &["resume", "cancel", "answer", "rerun"][..]), (&parked.dir, &["answer", "rerun"])]
    {
        let run = dir.to_str().unwrap();
        let before = files(dir);
        for verb in verbs {
            let more: &[&str] = match *verb {
                "cancel" => &["--comment", "x"],
                "answer" => &answer,
                "rerun" => &["--from", "suspend"],
                _ => &[],
            };
            let output = world.consigne(&[&[*verb, run], more].concat());
            assert_eq!(output.status.code(), Some(2), "{verb}: {}", said(&output));
            assert!(said(&output).contains("rehearsal"), "{verb}: {}", said(&output));
        }
        assert_eq!(files(dir), before);
    }
}

#[test]
fn those_of_shipped_runbooks_can_be_certified() {
    let world = Rehearsals::new();
    for name in SHIPPED {
        let made = world.rehearse(name, &shipped(name), &["--answers", &answers(name)], 0);
        let args =
            ["certify", made.dir.to_str().unwrap(), "--runbook", shipped(name).to_str().unwrap(), "--json"]
                .map(str::to_owned);
        let output = world.consigne(&args.each_ref().map(String::as_str));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (proof, coverage) = (&told["certificate"]["proof"], &told["certificate"]["coverage"]);
        assert_eq!(
            (&proof["ending"], &proof["faults"], &proof["madeUp"]),
            (&json!("succeeded"), &json!([]), &json!([]))
        );
        assert!(proof["answers"]["fixture"].as_u64() > Some(10), "{told}");
        assert_eq!(coverage["walked"], coverage["byRehearsal"], "{told}");
    }
}

#[test]
fn what_went_wrong_on_purpose_stands_in_its_certificate() {
    let world = Rehearsals::new();
    let faults = ["--fault", "suspend=clock-forward", "--fault", "suspend=dropped", "--no-fixture"];
    let suspend = shipped("suspend");
    let made =
        world.rehearse("out", &suspend, &[&["--answers", &answers("suspend")], &faults[..]].concat(), 0);
    let output = world.consigne(&[
        "certify",
        made.dir.to_str().unwrap(),
        "--runbook",
        suspend.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let proof = &told["certificate"]["proof"];
    assert_eq!(proof["faults"], json!(["suspend=clock-forward", "suspend=dropped"]), "{told}");
    assert!(
        proof["answers"]["fault"].as_u64() > Some(0)
            && proof["madeUp"].as_array().is_some_and(|all| !all.is_empty()),
        "{told}"
    );
}
