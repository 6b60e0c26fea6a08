//! A rehearsal opens no socket, starts no program, and writes into its folder alone.

use std::path::Path;

use crate::world::{Rehearsals, SHIPPED, answers, shipped};

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
    let inside = format!("\"{}", out.display());
    let others = trace.lines().filter(|line| {
        net.iter().any(|word| line.contains(word))
            || writes.iter().any(|word| line.contains(word)) && !line.contains(&inside)
    });
    // A folder that is there is made again without effect.
    let known = |line: &&str| line.contains("\"/dev/null\"") || line.contains("= -1 EEXIST");
    starts.chain(forks).chain(others).filter(|line| !known(line)).collect()
}

#[test]
fn nothing_is_connected_to_started_or_written_elsewhere() {
    let world = Rehearsals::new();
    let trace = world.path("trace");
    let traced = |args: &[&str]| {
        let mut command = world.command("strace");
        command.args(["-f", "-s", "300", "-e", "trace=%network,%process,%file", "-o"]).arg(&trace).args(args);
        let output = command.output().ok()?;
        let text = std::fs::read_to_string(&trace).ok()?;
        (text.contains("execve(") && output.status.code() != Some(1)).then_some((output, text))
    };
    if traced(&["true"]).is_none() {
        eprintln!("not run: strace is not there, or may not trace");
        return;
    }
    let seen = traced(&["sh", "-c", "true > x; ls"]).expect("strace sees a process that another one starts");
    assert!(deeds(&seen.1, &world.path("out")).len() > 1);
    for name in SHIPPED {
        let out = world.path(name);
        let runbook = shipped(name);
        let args = [
            env!("CARGO_BIN_EXE_consigne"),
            "rehearse",
            runbook.to_str().unwrap(),
            "--answers",
            &answers(name),
            "--out",
            out.to_str().unwrap(),
        ];
        let (output, text) = traced(&args).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("events.jsonl"), "{name}: nothing was written at all");
        assert_eq!(deeds(&text, &out), [""; 0], "{name}");
    }
}
