//! The floor: what the machine asks for the same work, and nothing else. It is run as a process of its own.
//!
//! `chain`: each program spawned (`posix_spawn`, two pipes read to their end), awaited, and 600 bytes appended to a
//! file that is synced; then the next one. `fan`: the same programs from so many threads, nothing written down.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::runbooks::script;

/// Bytes of one entry of a chain of shell steps, as the journal has it.
const ENTRY: usize = 600;

/// Set in the environment of the process that is the floor.
pub const VARIABLE: &str = "CONSIGNE_BENCH_FLOOR";

/// Runs the floor, if that is what this process was started for.
pub fn run_if_asked() -> bool {
    let Ok(what) = std::env::var(VARIABLE) else { return false };
    let words: Vec<&str> = what.split(' ').collect();
    let number = |at: usize| -> usize { words[at].parse().expect("the bench itself wrote that number") };
    match words[0] {
        "chain" => chain(number(1), Path::new(words[2])),
        "fan" => fan(number(1), number(2)),
        other => panic!("no floor {other}"),
    }
    true
}

fn step(at: usize) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", &script(at)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("sh starts");
    let mut read = Vec::new();
    for pipe in [
        child.stdout.take().map(|p| Box::new(p) as Box<dyn Read>),
        child.stderr.take().map(|p| Box::new(p) as _),
    ] {
        pipe.expect("it was piped").read_to_end(&mut read).expect("a pipe can be read");
    }
    assert!(child.wait().expect("a child can be awaited").success());
}

fn chain(steps: usize, file: &Path) {
    let mut journal = OpenOptions::new().append(true).create_new(true).open(file).expect("the file is new");
    for at in 0..steps {
        step(at);
        journal.write_all(&[b'x'; ENTRY]).and_then(|()| journal.sync_data()).expect("the disk takes it");
    }
}

fn fan(steps: usize, threads: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= steps {
                        return;
                    }
                    step(at);
                }
            });
        }
    });
}
