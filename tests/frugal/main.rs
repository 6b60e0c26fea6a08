//! What a step may cost the disk: one entry, and so one sync at most, and no signature of its own.
//!
//! How long anything takes is for `benches/`; how often something is done can be counted, and is counted here.
#![allow(clippy::disallowed_methods, reason = "tests are not the core")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// What a run leaves: entries in its journal, signed tree heads.
fn left_by(home: &Path, steps: usize, chained: bool) -> (usize, usize) {
    let mut text = String::from("consigne: v1\nid: frugal\nsteps:\n");
    for at in 0..steps {
        let _ = writeln!(text, "  - id: s{at}\n    argv: [\"true\"]\n    effect: read");
        // Left out, it means everything above.
        if !chained {
            let _ = writeln!(text, "    needs: []");
        }
    }
    let id = format!("{}-{steps}", if chained { "chain" } else { "fan" });
    let runbook = home.join(format!("{id}.yaml"));
    std::fs::write(&runbook, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_consigne"))
        .args(["run", "--unattended", "--run-id", &id])
        .arg(&runbook)
        .env("CONSIGNE_HOME", home)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let dir = home.join("runs").join(&id);
    let entries = std::fs::read_to_string(dir.join("events.jsonl")).unwrap().lines().count();
    (entries, std::fs::read_dir(dir.join("heads")).unwrap().count())
}

#[test]
fn a_step_of_a_chain_is_one_entry_and_no_tree_head() {
    let home = tempfile::tempdir().unwrap();
    let (few, heads) = left_by(home.path(), 3, true);
    let (many, as_many_heads) = left_by(home.path(), 13, true);
    assert_eq!(many - few, 10, "the end of a step and the start of the next share an entry");
    assert_eq!(as_many_heads, heads, "tree heads are signed at the beginning and the end, not at steps");
}

#[test]
fn an_independent_step_is_one_entry_and_no_tree_head() {
    let home = tempfile::tempdir().unwrap();
    let (few, heads) = left_by(home.path(), 3, false);
    let (many, as_many_heads) = left_by(home.path(), 13, false);
    assert_eq!(many - few, 10, "all starts are in the first entry, each end is one");
    assert_eq!(as_many_heads, heads);
}
