//! What a step costs: chains and fans against the floor, syncs, and how it all grows.

use std::process::{Command, Stdio};

use super::programs::{Place, floor_fan, program};
use super::rounds::{Pair, alone, peak_kib, time};
use super::runbooks::{Shape, Work};

const STEPS: usize = 1_000;

/// A durable chain against spawn, two pipes and one sync a step.
pub fn chain(place: &Place, rounds: usize) {
    let runbook = place.runbook(Shape::Chain, Work::Shell, STEPS);
    let pair = Pair::measure(rounds, &|| place.floor_chain(STEPS), &|| place.run(&runbook));
    println!("  {STEPS} shell steps / floor, on this disk     {}", pair.show(STEPS));
    if let Some(memory) = Place::in_memory() {
        let pair = Pair::measure(rounds, &|| memory.floor_chain(STEPS), &|| memory.run(&runbook));
        println!("  {STEPS} shell steps / floor, in memory        {}", pair.show(STEPS));
    }
}

/// Independent steps against the same programs from threads, nothing written down.
pub fn fan(place: &Place, rounds: usize) {
    let runbook = place.runbook(Shape::Fan, Work::Shell, STEPS);
    for at_once in [8, 64] {
        let pair = Pair::measure(rounds, &|| floor_fan(STEPS, at_once), &|| place.run(&runbook));
        println!("  {STEPS} shell steps / floor of {at_once:2} at once     {}", pair.show(STEPS));
    }
}

/// Counted by `strace`, start and sealing apart: the difference of two lengths.
pub fn syncs(place: &Place, _rounds: usize) {
    if program(&["strace", "-V"]).stdout(Stdio::null()).status().is_err() {
        println!("  not counted: there is no strace here");
        return;
    }
    for shape in [Shape::Chain, Shape::Fan] {
        let [few, many] = [100, STEPS].map(|steps| {
            let runbook = place.runbook(shape, Work::Shell, steps);
            traced(place, place.run(&runbook))
        });
        let each = (many as f64 - few as f64) / (STEPS - 100) as f64;
        println!("  {}: {each:.3} a step ({few} in a run of 100, {many} in one of {STEPS})", shape.name());
    }
}

/// `fsync`, `fdatasync` and the like that a program makes.
fn traced(place: &Place, of: Command) -> usize {
    let file = place.fresh("strace");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=fsync,fdatasync,sync_file_range,syncfs",
        "-e",
        "signal=none",
        "-o",
    ]);
    command.arg(&file).arg(of.get_program()).args(of.get_args());
    for (name, value) in of.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    time(command);
    let text = std::fs::read_to_string(&file).expect("strace wrote what it saw");
    // One that another thread interrupts takes two lines.
    text.lines().filter(|line| line.contains("sync") && !line.contains("resumed")).count()
}

/// Time and memory of each further step, at three sizes.
pub fn growth(place: &Place, rounds: usize) {
    let rounds = rounds.min(3);
    let sizes = [100, 1_000, 10_000];
    for (shape, work) in [
        (Shape::Fan, Work::Assert),
        (Shape::Chain, Work::Assert),
        (Shape::Layers, Work::Assert),
        (Shape::Fan, Work::True),
        (Shape::Chain, Work::True),
        (Shape::Layers, Work::True),
    ] {
        let runbooks = sizes.map(|steps| place.runbook(shape, work, steps));
        let times = runbooks.each_ref().map(|runbook| alone(rounds, &|| place.run(runbook)).as_secs_f64());
        let memory = runbooks.each_ref().map(|runbook| peak_kib(place.run(runbook)));
        let further = |from: usize, to: usize| (times[to] - times[from]) / (sizes[to] - sizes[from]) as f64;
        let (early, late) = (further(0, 1), further(1, 2));
        println!(
            "  {:6} {:6}  each further step {:7.1} us to 1,000, {:7.1} us to 10,000: {:.2}x   RSS {} / {} / {} MiB, {:.1} KiB a step",
            shape.name(),
            work.name(),
            early * 1e6,
            late * 1e6,
            late / early,
            memory[0] >> 10,
            memory[1] >> 10,
            memory[2] >> 10,
            (memory[2] as f64 - memory[1] as f64) / (sizes[2] - sizes[1]) as f64,
        );
    }
}

/// A rehearsal from start to end, checking and sealing included: nothing is started, and nothing waits for the disk.
pub fn rehearse(place: &Place, rounds: usize) {
    let sizes = [1_000, 10_000, 100_000];
    for shape in [Shape::Chain, Shape::Fan] {
        let times = sizes.map(|steps| {
            let runbook = place.runbook(shape, Work::True, steps);
            let rounds = if steps > 1_000 { 1 } else { rounds };
            alone(rounds, &|| place.rehearse(&runbook)).as_secs_f64()
        });
        let each = [0, 1, 2].map(|at| times[at] / sizes[at] as f64 * 1e6);
        println!(
            "  {:6} {:.2} s / {:.2} s / {:.2} s for 1,000, 10,000 and 100,000 steps: {:.0} / {:.0} / {:.0} us a step",
            shape.name(),
            times[0],
            times[1],
            times[2],
            each[0],
            each[1],
            each[2],
        );
    }
}
