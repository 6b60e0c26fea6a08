//! Interleaved rounds of whole processes, and the median of what each round's pair comes to.
//!
//! Absolute times move with the hour; the ratio of two neighbours hardly does, and that of the processor time that both
//! use hardly at all, however busy the machine. Memory is taken in a run of its own, so that looking at it disturbs no
//! time.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a program is started: anew for every round.
pub type Make<'a> = dyn Fn() -> Command + 'a;

/// Times of two programs that were run in turns.
#[derive(Default)]
pub struct Pair {
    base: Vec<Duration>,
    subject: Vec<Duration>,
    /// Clock ticks of processor time, of all rounds together.
    base_ticks: u64,
    subject_ticks: u64,
}

impl Pair {
    /// Runs both `rounds` times after one round that does not count, changing who goes first.
    pub fn measure(rounds: usize, base: &Make<'_>, subject: &Make<'_>) -> Self {
        let mut pair = Self::default();
        time(base());
        time(subject());
        for round in 0..rounds {
            for second in [round % 2 == 1, round % 2 == 0] {
                let before = ticks();
                if second {
                    pair.subject.push(time(subject()));
                    pair.subject_ticks += ticks() - before;
                } else {
                    pair.base.push(time(base()));
                    pair.base_ticks += ticks() - before;
                }
            }
        }
        pair
    }

    pub fn ratios(&self) -> Vec<f64> {
        self.base
            .iter()
            .zip(&self.subject)
            .map(|(base, subject)| subject.as_secs_f64() / base.as_secs_f64())
            .collect()
    }

    /// `1.42 (1.38 to 1.51), processor 1.30   base 0.90 ms, subject 1.28 ms`, times divided by `per`.
    pub fn show(&self, per: usize) -> String {
        let ratios = self.ratios();
        let (least, most) = ends(&ratios);
        let busy = if self.spread() > 2.0 { "  (busy: repeat)" } else { "" };
        format!(
            "{:.2} ({least:.2} to {most:.2}), processor {:.2}   base {}, subject {}{busy}",
            median(&ratios),
            self.subject_ticks as f64 / self.base_ticks.max(1) as f64,
            each(&self.base, per),
            each(&self.subject, per)
        )
    }

    /// Slowest by fastest round of the base: above 2 the machine was doing something else.
    fn spread(&self) -> f64 {
        let (least, most) = ends(&self.base.iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
        most / least
    }
}

/// Median of several runs of one program, after one that does not count.
pub fn alone(rounds: usize, make: &Make<'_>) -> Duration {
    time(make());
    let times: Vec<f64> = (0..rounds).map(|_| time(make()).as_secs_f64()).collect();
    Duration::from_secs_f64(median(&times))
}

/// Runs it to its end and gives the time on the wall.
pub fn time(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the program starts");
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

/// Processor time of all children so far, and of theirs, in clock ticks.
fn ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Most memory that the program itself ever had resident, in KiB, looked at every 2 ms.
pub fn peak_kib(mut command: Command) -> u64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child can be awaited").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(high.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(least, most), value| (least.min(*value), most.max(*value)))
}

fn each(times: &[Duration], per: usize) -> String {
    let micros = median(&times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>()) * 1e6 / per as f64;
    if micros < 1_000.0 { format!("{micros:.1} us") } else { format!("{:.2} ms", micros / 1_000.0) }
}
