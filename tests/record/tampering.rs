use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use consigne::record::verify::{Integrity, Overall};
use consigne::record::{Sums, Trust};

use crate::world::{Kindness, Run, USUAL, copy_of, failures, verify_in};
use consigne::plan::Mode;

/// Every file that is under the seal, the seal itself, and everything that is held back.
fn files(dir: &Path) -> Vec<String> {
    let sums = Sums::parse(&std::fs::read(dir.join("SHA256SUMS")).unwrap()).unwrap();
    let mut names: Vec<String> = sums.iter().map(|(name, _)| name.to_owned()).collect();
    names
        .extend(["SHA256SUMS", "SHA256SUMS.sig", "disclosures.jsonl", "plan/values.json"].map(str::to_owned));
    for below in ["blobs", "approvals"] {
        for entry in std::fs::read_dir(dir.join(below)).unwrap() {
            names.push(format!("{below}/{}", entry.unwrap().file_name().to_string_lossy()));
        }
    }
    names
}

#[test]
fn every_flipped_byte_is_found_and_its_file_named() {
    let run = Run::sealed(USUAL);
    let names = files(&run.dir);
    let places: Vec<(&str, usize)> = names
        .iter()
        .flat_map(|name| {
            let length = std::fs::metadata(run.dir.join(name)).unwrap().len();
            (0..usize::try_from(length).unwrap()).map(move |at| (name.as_str(), at))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (dir, trust) = (run.dir.as_path(), &run.trust());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let copy = copy_of(dir);
                while let Some((name, at)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    flip(copy.path(), name, *at, trust);
                }
            });
        }
    });
    assert!(places.len() > 10_000, "only {} bytes: is the run as large as a real one?", places.len());
}

/// Flips one bit, sees that it is found, and puts it back.
fn flip(dir: &Path, name: &str, at: usize, trust: &Trust) {
    let path = dir.join(name);
    let good = std::fs::read(&path).unwrap();
    let mut bytes = good.clone();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let found = verify_in(dir, trust);
    assert_eq!(found.overall(), Overall::Failed, "{name}, byte {at}");
    let accused = |f: &String| f.starts_with(&format!("{name}: ")) || f.starts_with(&format!("{name}, "));
    // A changed list accuses the file it no longer describes.
    let named = failures(&found).iter().any(accused) || name == "SHA256SUMS";
    assert!(named, "{name}, byte {at}: {:?}", failures(&found));
    std::fs::write(&path, good).unwrap();
}

#[test]
fn changed_lines_are_found_with_their_place() {
    let run = Run::sealed(USUAL);
    let events = std::fs::read_to_string(run.dir.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = events.lines().collect();
    let n = lines.len();
    let all: Vec<usize> = (0..n).collect();
    let without = |at: usize| all.iter().copied().filter(|i| *i != at).collect::<Vec<_>>();
    let mut swapped = all.clone();
    swapped.swap(2, 3);
    let mut moved = without(1);
    moved.push(1);
    let mut doubled = all.clone();
    doubled.insert(4, 3);
    for (name, order, place) in [
        ("dropped", without(3), "line 4, byte"),
        ("swapped", swapped, "line 3, byte"),
        ("moved", moved, "line 2, byte"),
        ("doubled", doubled, "line 5, byte"),
        ("first dropped", without(0), "line 1, byte 0: found entry 1"),
    ] {
        let copy = copy_of(&run.dir);
        let text: String = order.iter().map(|i| format!("{}\n", lines[*i])).collect();
        std::fs::write(copy.path().join("events.jsonl"), text).unwrap();
        let found = verify_in(copy.path(), &run.trust());
        assert_eq!(found.integrity, Integrity::Broken, "{name}");
        let said = failures(&found);
        assert!(
            said.iter().any(|f| f.starts_with("events.jsonl, ") && f.contains(place)),
            "{name}: {said:?}"
        );
    }
}

/// Cut from the end, with and without everything that would betray it.
#[test]
fn a_cut_end_is_found_or_reads_as_unfinished() {
    let run = Run::sealed(USUAL);
    let events = std::fs::read_to_string(run.dir.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = events.lines().collect();
    for keep in 1..lines.len() {
        let copy = copy_of(&run.dir);
        let path = |name: &str| copy.path().join(name);
        let text: String = lines[..keep].iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(path("events.jsonl"), text).unwrap();
        std::fs::remove_file(path("disclosures.jsonl")).unwrap();
        let found = verify_in(copy.path(), &run.trust());
        assert_eq!(found.overall(), Overall::Failed, "{keep}");
        assert!(failures(&found).iter().any(|f| f.starts_with("events.jsonl: ")), "{:?}", failures(&found));
        for name in ["SHA256SUMS", "SHA256SUMS.sig", "record.dsse.json", "report.md", "VERIFY.md"] {
            std::fs::remove_file(path(name)).unwrap();
        }
        let found = verify_in(copy.path(), &run.trust());
        assert!(failures(&found).iter().any(|f| f.contains("the end was cut off")), "{:?}", failures(&found));
        for entry in std::fs::read_dir(path("heads")).unwrap() {
            let head = entry.unwrap();
            let size: usize = head.file_name().to_string_lossy()[..6].parse().unwrap();
            if size > keep {
                std::fs::remove_file(head.path()).unwrap();
            }
        }
        let found = verify_in(copy.path(), &run.trust());
        assert_eq!(found.overall(), Overall::Unfinished, "{keep}: {:?}", failures(&found));
    }
}

/// With a chain made right again, the signed roots still say no.
#[test]
fn a_rewritten_history_is_found() {
    let run = Run::sealed(USUAL);
    let mut forged = Run::new(Kindness { approver: "alice", ..USUAL });
    forged.reach_gate();
    forged.approve(Kindness { approver: "alice", personal: false, ..USUAL });
    forged.reach_end();
    let copy = copy_of(&run.dir);
    for name in ["events.jsonl", "disclosures.jsonl"] {
        std::fs::copy(forged.dir.join(name), copy.path().join(name)).unwrap();
    }
    let said = failures(&verify_in(copy.path(), &run.trust()));
    assert!(said.iter().any(|f| f.starts_with("heads/") && f.contains("its root is not that")), "{said:?}");
}

/// The executor's own key under a story that cannot have happened.
#[test]
fn an_illegal_history_fails_under_valid_signatures() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    let fact = consigne::core::Fact::AttemptStarted {
        role: consigne::core::Role::Do,
        part: None,
        timeout_ms: 1,
        keyed: false,
    };
    let event = consigne::core::Event {
        step: Some("isolate".into()),
        attempt: Some(1),
        ..crate::world::of_run(fact)
    };
    let pending = consigne::journal::Pending {
        at: consigne::clock::Timestamp::from_millis(run.clock),
        mono: 1,
        events: vec![event],
    };
    consigne::journal::Append::append(&mut run.journal, vec![pending]).unwrap();
    run.keeper.sign_head(&mut run.journal).unwrap();
    let found = run.verify();
    assert_eq!(
        failures(&found),
        [
            "events.jsonl, line 4: illegal `attempt.started` of step `isolate`: a gate in front of it is not open"
        ]
    );
}

#[test]
fn a_renamed_mode_is_refused() {
    let run = Run::sealed(Kindness { mode: Mode::Drill, ..USUAL });
    for (name, from, to) in [
        ("plan/graph.json", "\"mode\":\"drill\"", "\"mode\":\"live\""),
        ("events.jsonl", "\"mode\":\"drill\"", "\"mode\":\"live\""),
    ] {
        let copy = copy_of(&run.dir);
        let path = copy.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        assert_eq!(verify_in(copy.path(), &run.trust()).overall(), Overall::Failed, "{name}");
    }
}

#[test]
fn an_approval_of_another_run_is_refused() {
    let (run, other) = (Run::sealed(USUAL), Run::sealed(Kindness { mode: Mode::Drill, ..USUAL }));
    for tail in [".txt", ".txt.sig"] {
        let name = format!("approvals/0001.go.bob{tail}");
        std::fs::copy(other.dir.join(&name), run.dir.join(&name)).unwrap();
    }
    let said = failures(&run.verify());
    assert!(said.iter().any(|f| f.starts_with("approvals/0001.go.bob.txt: its SHA-256")), "{said:?}");
}
