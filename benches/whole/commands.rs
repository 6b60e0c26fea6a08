//! The commands around a run: starting at all, checking and planning, verifying and resuming, large outputs.

use std::path::Path;
use std::process::Command;

use super::programs::{Place, program};
use super::rounds::{Pair, peak_kib, time};
use super::runbooks::{self, Shape, Work};

const MANY: usize = 10_000;

/// What a person waits for who asks for help, or checks something small.
pub fn start(place: &Place, rounds: usize) {
    let runbook = place.runbook(Shape::Chain, Work::Shell, 10);
    let nothing = || program(&["/bin/true"]);
    // These are short: many rounds cost nothing.
    let rounds = rounds * 10;
    let pair = Pair::measure(rounds, &nothing, &|| place.consigne(&["--help"]));
    println!("  --help / true                        {}", pair.show(1));
    let pair = Pair::measure(rounds, &nothing, &|| check(place, &runbook));
    println!("  check of 10 steps / true             {}", pair.show(1));
}

fn check(place: &Place, runbook: &Path) -> Command {
    let mut command = place.consigne(&["check"]);
    command.arg(runbook);
    command
}

/// Loading, checking and planning of 10,000 steps, alone.
pub fn plan(place: &Place, rounds: usize) {
    for shape in [Shape::Chain, Shape::Layers] {
        let [few, many] = [MANY / 10, MANY].map(|steps| place.runbook(shape, Work::Shell, steps));
        let pair = Pair::measure(rounds, &|| check(place, &few), &|| check(place, &many));
        let bytes = std::fs::metadata(&many).map_or(0, |file| file.len());
        let peak = peak_kib(check(place, &many));
        println!(
            "  check of {MANY} / of {}, {:6}         {}   {} KiB of YAML, RSS {} MiB",
            MANY / 10,
            shape.name(),
            pair.show(1),
            bytes >> 10,
            peak >> 10
        );
    }
}

/// Verifying a record, and taking up a run of as many entries, against hashing the journal once.
pub fn record(place: &Place, rounds: usize) {
    let runbook = place.runbook(Shape::Chain, Work::Assert, MANY);
    let sealed = place.fresh_id();
    time(place.run_as(&runbook, &sealed));
    let many_entries = place.runbook(Shape::Chain, Work::True, MANY);
    let shells = place.fresh_id();
    time(place.run_as(&many_entries, &shells));
    for (what, id) in [("1 entry", &sealed), ("10,001 entries", &shells)] {
        let events = place.run_dir(id).join("events.jsonl").display().to_string();
        let hash = || program(&["sha256sum", &events]);
        let pair = Pair::measure(rounds, &hash, &|| place.consigne(&["verify", id]));
        let bytes = std::fs::metadata(&events).map_or(0, |file| file.len());
        let peak = peak_kib(place.consigne(&["verify", id]));
        println!(
            "  verify, {MANY} steps in {what:14} / sha256sum   {}   {} KiB, RSS {} MiB",
            pair.show(1),
            bytes >> 10,
            peak >> 10
        );
    }
    resume(place, rounds);
}

/// A run of 10,000 steps that stands before its last one, and is parked again at once.
fn resume(place: &Place, rounds: usize) {
    let mut text = runbooks::text(Shape::Chain, Work::True, MANY);
    text.push_str(&format!(
        "  - id: last\n    confirm: {{}}\n    message: go on\n    needs: [s{:06}]\n",
        MANY - 1
    ));
    let runbook = place.path().join("parked.yaml");
    std::fs::write(&runbook, text).expect("the folder of the bench is writable");
    let id = place.fresh_id();
    let mut begin = place.run_as(&runbook, &id);
    let parked = begin.output().expect("consigne starts");
    assert_eq!(parked.status.code(), Some(4), "{}", String::from_utf8_lossy(&parked.stderr));
    let log = place.run_dir(&id).join("wal.jsonl").display().to_string();
    let hash = || {
        let mut command = program(&["sh", "-c", "sha256sum \"$1\"; exit 0", "sh"]);
        command.arg(&log);
        command
    };
    let again = || {
        let mut command = program(&["sh", "-c", "\"$@\"; test $? = 4", "sh"]);
        let resumed = place.consigne(&["resume", "--unattended", &id]);
        command.arg(resumed.get_program()).args(resumed.get_args());
        for (name, value) in resumed.get_envs() {
            value.map(|value| command.env(name, value));
        }
        command
    };
    let pair = Pair::measure(rounds, &hash, &again);
    let bytes = std::fs::metadata(&log).map_or(0, |file| file.len());
    println!(
        "  resume after {MANY} steps / sha256sum of the log       {}   {} KiB",
        pair.show(1),
        bytes >> 10
    );
}

/// A step that prints 100 MB, kept and hashed, against a shell that writes it to a file and syncs it.
pub fn output(place: &Place, rounds: usize) {
    const MEGABYTES: u64 = 100;
    let print = |megabytes: u64| {
        let runbook = place.path().join(format!("print-{megabytes}.yaml"));
        std::fs::write(&runbook, printing(megabytes * 1_000_000))
            .expect("the folder of the bench is writable");
        runbook
    };
    let runbook = print(MEGABYTES);
    let file = place.path().join("output").display().to_string();
    let to_file = || {
        let script = format!("{{ {}; }} > \"$1\"; sync \"$1\"", print_script(MEGABYTES * 1_000_000));
        let mut command = program(&["sh", "-c", &script, "sh"]);
        command.arg(&file);
        command
    };
    let pair = Pair::measure(rounds, &to_file, &|| place.run(&runbook));
    println!("  {MEGABYTES} MB printed / sh > file; sync             {}", pair.show(1));
    let small = peak_kib(place.run(&print(1)));
    let large = peak_kib(place.run(&runbook));
    println!(
        "  RSS at 1 MB {:.1} MiB, at {MEGABYTES} MB {:.1} MiB",
        small as f64 / 1024.0,
        large as f64 / 1024.0
    );
}

/// A runbook whose one step prints so many bytes.
fn printing(bytes: u64) -> String {
    format!(
        "consigne: v1\nid: output\nsteps:\n  - id: print\n    argv: [sh, -c, \"{}\"]\n    effect: read\n",
        print_script(bytes)
    )
}

fn print_script(bytes: u64) -> String {
    format!("yes consigne-bench-output | head -c {bytes}")
}
