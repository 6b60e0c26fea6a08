//! A rehearsal opens no socket, starts no program, and writes into its folder alone.

use std::path::Path;
use std::process::Output;

use crate::world::{Rehearsals, SHIPPED, answers, repository, shipped};

/// Connections, processes, and whatever is opened or changed for writing outside of `out`.
fn deeds<'t>(trace: &'t str, out: &Path) -> Vec<&'t str> {
    let starts = trace.lines().filter(|line| line.contains("execve(")).skip(1);
    let forks = trace.lines().filter(|line| {
        (line.contains("clone") || line.contains("fork("))
            && !line.contains("CLONE_THREAD")
            && !line.contains("resumed")
    });
    let net = ["socket(", "socketpair(", "connect(", "bind(", "listen(", "sendto(", "sendmsg("];
    let writes = [
        "mkdir",
        "rename",
        "unlink",
        "rmdir",
        "symlink",
        "chmod",
        "truncate(",
        "O_WRONLY",
        "O_RDWR",
        "O_CREAT",
    ];
    let inside = [format!("\"{}", out.display()), format!("<{}", out.display())];
    let others = trace.lines().filter(|line| {
        net.iter().any(|word| line.contains(word))
            || writes.iter().any(|word| line.contains(word))
                && !inside.iter().any(|inside| line.contains(inside))
    });
    // A folder that is there is made again without effect. What was asked for stands in the line that is not finished.
    let known = |line: &&str| {
        line.contains("\"/dev/null\"") || line.contains("= -1 EEXIST") || line.contains(" resumed>")
    };
    starts.chain(forks).chain(others).filter(|line| !known(line)).take(9).collect()
}

/// Runs a program under strace. None where that cannot be done here.
fn traced(world: &Rehearsals, args: &[&str]) -> Option<(Output, String)> {
    let trace = world.path("trace");
    let scratch = world.path("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let mut command = world.command("strace");
    command
        .args(["-f", "-y", "-s", "300", "-e", "trace=%network,%process,%file", "-o"])
        .arg(&trace)
        .args(args);
    let output = command.env("TMPDIR", &scratch).output().ok()?;
    let text = std::fs::read_to_string(&trace).ok()?;
    (text.contains("execve(") && output.status.code() != Some(1)).then_some((output, text))
}

/// Whether strace works here, and sees what must not be.
fn can_trace(world: &Rehearsals) -> bool {
    if traced(world, &["true"]).is_none() {
        eprintln!("not run: strace is not there, or may not trace");
        return false;
    }
    let script = "true > x; ls";
    let seen = traced(world, &["sh", "-c", script]).expect("strace sees a process that another one starts");
    assert!(deeds(&seen.1, &world.path("out")).len() > 1);
    true
}

/// The program under strace: it ends well, and does nothing outside of `out`.
fn is_quiet(world: &Rehearsals, args: &[&str], out: &Path) -> String {
    let (output, text) = traced(world, &[&[env!("CARGO_BIN_EXE_consigne")], args].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(deeds(&text, out), [""; 0], "{args:?}");
    text
}

#[test]
fn nothing_is_connected_to_started_or_written_elsewhere() {
    let world = Rehearsals::new();
    if !can_trace(&world) {
        return;
    }
    for name in SHIPPED {
        let (out, runbook) = (world.path(name), shipped(name));
        let (runbook, out_arg) = (runbook.to_str().unwrap(), out.to_str().unwrap().to_owned());
        let text =
            is_quiet(&world, &["rehearse", runbook, "--answers", &answers(name), "--out", &out_arg], &out);
        assert!(text.contains("events.jsonl"), "{name}: nothing was written at all");
        // A plan has no folder: nothing is written anywhere.
        for mode in ["drill", "rehearsal"] {
            is_quiet(&world, &["plan", runbook, "--mode", mode, "--json"], &world.path("nowhere"));
        }
    }
}

#[test]
fn nor_by_every_fault_at_every_step_nor_by_tests() {
    let world = Rehearsals::new();
    if !can_trace(&world) {
        return;
    }
    let (runbooks, scratch) = (repository("runbooks").display().to_string(), world.path("scratch"));
    for args in [&["rehearse", &runbooks, "--every-fault"][..], &["test", &runbooks]] {
        let text = is_quiet(&world, args, &scratch);
        assert!(text.contains("events.jsonl"), "{args:?}: nothing was rehearsed at all");
        let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().collect();
        assert!(left.is_empty(), "{args:?}: {left:?} is left behind");
    }
}
