//! Journals and plans that somebody or something changed: named with file, line and offset, and left as they are.

use std::path::Path;

use crate::environment::{TestEnvironment, bytes_below, shows};

fn parked() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
    env
}

/// Changes one byte within the first line: the language of the run.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let lang = bytes.windows(4).position(|bytes| bytes == b"lang").unwrap();
    let at = lang + bytes[lang..].windows(2).position(|bytes| bytes == b"en").unwrap();
    assert!(at < bytes.iter().position(|byte| *byte == b'\n').unwrap());
    bytes[at] = b'f';
    std::fs::write(path, bytes).unwrap();
}

/// Every verb that reads what was changed says so, and none changes a byte. `unread` read something else.
fn assert_left_alone(env: &TestEnvironment, unread: &[&str]) -> Vec<crate::environment::Said> {
    let before = bytes_below(&env.run("r"));
    let all = [
        &["resume", "r"][..],
        &["answer", "r", "ask", "yes"],
        &["cancel", "r"],
        &["show", "r"],
        &["list"],
        &["report", "r"],
        &["verify", "r"],
    ];
    let read = all.into_iter().filter(|args| !unread.contains(&args[0]));
    let all = read.map(|args| env.consigne(args).ends(5)).collect();
    assert_eq!(bytes_below(&env.run("r")), before);
    assert_eq!(env.touched(), [""; 0]);
    all
}

#[test]
fn a_changed_byte_in_the_log() {
    let env = parked();
    flip(&env.run("r").join("wal.jsonl"));
    // The record is made of the journal alone.
    shows!(assert_left_alone(&env, &["verify"]));
}

#[test]
fn a_changed_byte_in_the_journal() {
    let env = parked();
    flip(&env.run("r").join("events.jsonl"));
    // Where a run stands is read from the log, as long as there is one.
    shows!(assert_left_alone(&env, &["show", "list", "report"]));
}

#[test]
fn a_changed_byte_in_a_finished_journal() {
    let env = parked();
    env.consigne(&["cancel", "r"]).ends(1).code.unwrap();
    flip(&env.run("r").join("events.jsonl"));
    shows!([env.consigne(&["verify", "r"]).ends(5), env.consigne(&["resume", "r"]).ends(5)]);
}

#[test]
fn a_plan_that_changed_after_the_start() {
    let env = parked();
    let path = env.run("r").join("plan/graph.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"small\"", "\"other\"")).unwrap();
    shows!(assert_left_alone(&env, &[]));
}

/// It names the programs that are started as services.
#[test]
fn a_host_file_that_changed_after_the_start() {
    let env = parked();
    let path = env.run("r").join("plan/host.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen('{', "{ ", 1)).unwrap();
    for args in [&["resume", "r"][..], &["answer", "r", "ask", "yes"], &["cancel", "r"]] {
        let said = env.consigne(args).ends(5);
        assert!(said.stderr.contains("host.json: not the file that the journal names"), "{}", said.stderr);
    }
    assert_eq!(env.touched(), [""; 0]);
}

/// A chain of hashes can be written anew by anybody; what the executor signed cannot.
#[test]
fn a_journal_that_was_cut_back_behind_its_signed_head() {
    let env = parked();
    for name in ["wal.jsonl", "events.jsonl"] {
        let path = env.run("r").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let end = text.trim_end().rfind('\n').unwrap();
        std::fs::write(&path, &text[..=end]).unwrap();
    }
    let before = bytes_below(&env.run("r"));
    for args in [&["resume", "r"][..], &["answer", "r", "ask", "yes"], &["cancel", "r"]] {
        let said = env.consigne(args).ends(5);
        assert!(said.stderr.contains("it is not the head of the first"), "{}", said.stderr);
    }
    assert_eq!(bytes_below(&env.run("r")), before);
    assert_eq!(env.touched(), [""; 0]);
}

#[test]
fn a_runbook_that_changes_under_way_changes_nothing() {
    let env = parked();
    env.write("small.yaml", "consigne: v1\nsteps: [\n");
    env.consigne(&["answer", "r", "ask", "yes", "--resume"]).ends(4).code.unwrap();
}

#[test]
fn a_torn_end_is_set_aside_and_said() {
    use std::io::Write;
    let env = parked();
    let path = env.run("r").join("wal.jsonl");
    let whole = std::fs::read(&path).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&whole[..whole.len() / 2 - 1].rsplit(|b| *b == b'\n').next().unwrap()[..40]).unwrap();
    drop(file);
    shows!([
        env.consigne(&["show", "r"]).ends(0),
        env.consigne(&["resume", "r"]).ends(4),
        env.consigne(&["cancel", "r"]).ends(1),
        env.consigne(&["verify", "r"]).ends(0),
    ]);
}

#[test]
fn a_record_that_does_not_verify_at_its_end_is_no_success() {
    let env = TestEnvironment::new();
    env.write(
        "one.yaml",
        "consigne: v1\nid: one\ntitle: \"One\"\nsteps:\n  - {id: one, shell: \"true\", effect: read}\n",
    );
    let _trusted = env.consigne(&["drill", "one.yaml", "--env", "plain"]).ends(0);
    let list = env.path("consigne/trust/allowed_signers");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace("executor@", "somebody@")).unwrap();
    let said = env.consigne(&["drill", "one.yaml", "--env", "plain"]).ends(5);
    assert!(said.stderr.contains("RECORD NOT VERIFIED"), "{said}");
}
