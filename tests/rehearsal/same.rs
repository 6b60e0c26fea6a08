//! The same runbook, inputs, sources, answers and seed give the same bytes; and the same events as the real thing.

use serde_json::Value;

use crate::world::{Rehearsals, SHIPPED, answers, events, files, said, shipped};

#[test]
fn a_rehearsal_is_the_same_wherever_it_is_made() {
    for name in SHIPPED {
        let here = Rehearsals::new();
        let first = here.rehearse("one", &shipped(name), &["--answers", &answers(name)], 0);
        let there = Rehearsals::new();
        std::fs::create_dir_all(there.path("elsewhere")).unwrap();
        let mut command = there.command(env!("CARGO_BIN_EXE_consigne"));
        command
            .arg("rehearse")
            .arg(shipped(name))
            .args(["--answers", &answers(name), "--out", "two"])
            .current_dir(there.path("elsewhere"))
            .env("HOME", there.path("nowhere"))
            .env("TZ", "Pacific/Kiritimati")
            .env("LC_ALL", "fr_FR.UTF-8");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        // Not the journal alone: heads, signatures and the report as well.
        let (one, two) = (files(&first.dir), files(&there.path("elsewhere/two")));
        assert!(one.iter().any(|(name, _)| name == "record.dsse.json"), "{name}: no record");
        for ((file, here), (also, there)) in one.iter().zip(&two) {
            assert_eq!((file, here == there), (also, true), "{name}: {file}");
        }
        assert_eq!(one.len(), two.len());
    }
}

#[test]
fn another_seed_gives_other_bytes_and_the_same_events() {
    let world = Rehearsals::new();
    let answers = answers("suspend");
    let seeded = |out: &str, seed: &str| {
        world.rehearse(out, &shipped("suspend"), &["--answers", &answers, "--seed", seed], 0)
    };
    let (one, other) = (seeded("one", "1"), seeded("other", "2"));
    let lines = |dir: &std::path::Path| std::fs::read(dir.join("events.jsonl")).unwrap();
    assert_ne!(lines(&one.dir), lines(&other.dir));
    assert_eq!(course(&one.events()), course(&other.events()));
}

/// What happened, in order, without times and names of runs.
fn course(events: &[Value]) -> Vec<String> {
    let told = |event: &Value| {
        let data = &event["data"];
        let fields = ["role", "part", "result", "reason", "code", "kind", "decision", "how", "status"];
        let fields = fields.map(|name| data[name].to_string());
        format!(
            "{} {} {} {} {}",
            event["type"],
            event["step"],
            event["item"],
            event["attempt"],
            fields.join(" ")
        )
    };
    events.iter().map(told).collect()
}

#[test]
fn a_drill_and_its_rehearsal_take_the_same_course() {
    for name in SHIPPED {
        let world = Rehearsals::new();
        let home = world.path("home");
        let mut drill = world.command(env!("CARGO_BIN_EXE_consigne"));
        drill.arg("drill").arg(shipped(name)).args(["--answers", &answers(name), "--run-id", "real"]);
        let exchanges =
            ["kept.fixture.yaml", "kept.fixture.har"].map(|file| world.path(file).display().to_string());
        let recorded = exchanges.iter().flat_map(|file| ["--record", file]).chain(["--held-back"]);
        drill.args(recorded);
        let output = drill.env("CONSIGNE_HOME", &home).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let real = course(&events(&home.join("runs/real")));

        let past = ["--answers", &answers(name), "--from", "real", "--no-fixture"];
        let record = world.path("learned.yaml").display().to_string();
        let learned = [&past[..4], &["--record", &record, "--held-back"]].concat();
        let given = exchanges.iter().flat_map(|file| ["--fixture", file]);
        let exchanged: Vec<&str> = past[..2].iter().copied().chain(["--no-past"]).chain(given).collect();
        for (out, args) in [("past", &past[..]), ("learned", &learned), ("exchanged", &exchanged)] {
            let mut command = world.command(env!("CARGO_BIN_EXE_consigne"));
            command.arg("rehearse").arg(shipped(name)).arg("--out").arg(world.path(out)).args(args);
            let output = command.env("CONSIGNE_HOME", &home).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            let rehearsed = course(&events(&world.path(out)));
            for (there, here) in real.iter().zip(&rehearsed) {
                assert_eq!(there, here, "{name}, {out}");
            }
            assert_eq!(real.len(), rehearsed.len());
            let origin = if out == "past" { "run real" } else { "fixture" };
            assert!(said(&output).contains(origin), "{}", said(&output));
            assert!(!said(&output).contains("made up"), "{}", said(&output));
        }
    }
}
