//! Thousands of seeds. `CONSIGNE_SIM_RUNS` and `CONSIGNE_SIM_SEED` ask for more of them, or for one again.

use crate::drive::{judged, revived, steady, swarm};
use crate::plans;
use crate::rng::Rng;

/// Seeds that failed once.
const SEEDS: &str = include_str!("seeds.txt");

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `count` seeds on all processors; the first failure is shown whole.
pub fn all(first: u64, count: u64, run: impl Fn(u64) -> Result<u64, String> + Sync) -> u64 {
    std::panic::set_hook(Box::new(|_| {}));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4) as u64;
    let results: Vec<Result<u64, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let run = &run;
                scope.spawn(move || (first + worker..first + count).step_by(threads as usize).map(run).sum())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err("a worker died".into()))).collect()
    });
    let _ = std::panic::take_hook();
    let mut total = 0;
    for result in results {
        match result {
            Ok(runs) => total += runs,
            Err(why) => panic!("{why}"),
        }
    }
    total
}

fn one_swarm(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 1);
    let most = rng.pick(&[3, 6, 6, 12, 12, 40]);
    let plan = plans::random(&mut rng, most);
    judged(seed, &plan, || swarm(&plan, seed)).map(|_| 1)
}

/// A steady run, and a new process after every entry of it, clean and torn.
fn one_with_crashes(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::stream(seed, 4);
    let most = rng.pick(&[2, 4, 8, 12]);
    let plan = plans::random(&mut rng, most);
    let whole = judged(seed, &plan, || steady(&plan, seed))?;
    let mut runs = 1;
    for kept in 0..=whole.entries.len() {
        for torn in [false, true] {
            if (torn || kept > 0) && (!torn || kept < whole.entries.len()) {
                judged(seed, &plan, || revived(&plan, &whole, kept, torn, seed))?;
                runs += 1;
            }
        }
    }
    Ok(runs)
}

fn kept_seeds(kind: &str) -> impl Iterator<Item = u64> {
    SEEDS.lines().filter_map(move |line| line.strip_prefix(kind)?.trim().parse().ok())
}

#[test]
fn random_runs_with_every_fault() {
    for seed in kept_seeds("swarm ") {
        one_swarm(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(3_000);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_swarm);
    assert_eq!(runs, count);
}

#[test]
fn a_crash_after_every_entry() {
    for seed in kept_seeds("crash ") {
        one_with_crashes(seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let count = setting("CONSIGNE_SIM_RUNS").unwrap_or(300);
    let first = setting("CONSIGNE_SIM_SEED").unwrap_or(1);
    let runs = all(first, count, one_with_crashes);
    assert!(runs > count, "{runs}");
}

#[test]
fn survey() {
    let mut seen: std::collections::BTreeMap<String, (u64, String)> = Default::default();
    std::panic::set_hook(Box::new(|_| {}));
    let mut runs = 0;
    for seed in 1..=setting("CONSIGNE_SIM_RUNS").unwrap_or(400) {
        for (kind, run) in [("swarm", one_swarm as fn(u64) -> Result<u64, String>), ("crash", one_with_crashes)] {
            let result = run(seed);
            runs += result.as_ref().copied().unwrap_or(0);
            if let Err(why) = result {
                let first = why.lines().next().unwrap_or_default();
                let key: String = first.chars().filter(|c| !c.is_ascii_digit()).take(110).collect();
                let entry = seen.entry(key).or_insert((0, why.clone()));
                entry.0 += 1;
                if why.len() < entry.1.len() {
                    entry.1 = format!("{kind} {why}");
                }
            }
        }
    }
    println!("{runs} runs");
    for (key, (count, why)) in &seen {
        println!("##### {count} x {key}\n{}", if why.len() > 6000 { &why[why.len() - 6000..] } else { why });
    }
    println!("SUMMARY");
    for (key, (count, why)) in &seen {
        println!("{count} x {key} [{}]", why.lines().find(|l| l.starts_with("seed")).unwrap_or_default());
    }
}
