//! Services that run beside a run: found again after a crash, and ended with their whole process group.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::timeout;

use super::leftovers::{self, LeftoverError};
use super::sweep::{Marks, Stat, all, ended, open, reap};

/// A service that was alive when it was looked at.
#[derive(Debug)]
pub struct LivingService {
    pub name: String,
    pid: u32,
    start: u64,
}

/// The services of a run that an earlier consigne started and that are still alive: those it took note of, and those
/// whose marks say so, since it may have died between the start and the note.
///
/// # Errors
/// The side file exists and cannot be read.
pub fn living_services(run_dir: &Path, run: &str) -> Result<Vec<LivingService>, LeftoverError> {
    let mut living: Vec<LivingService> = leftovers::services(run_dir)?
        .into_iter()
        .filter_map(|(pid, start, name)| {
            Stat::of(pid).filter(|stat| stat.start == start && stat.state != 'Z')?;
            Some(LivingService { name, pid, start })
        })
        .collect();
    let dir = leftovers::absolute(run_dir);
    for pid in all() {
        let Some(marks) = Marks::of(pid).filter(|marks| marks.are_of(run, &dir)) else { continue };
        let (None, Some(name)) = (marks.attempt, marks.service) else { continue };
        // What a service starts for itself carries its marks, and goes with its group.
        let leads = |stat: &Stat| stat.group == pid && stat.state != 'Z';
        if let Some(stat) = Stat::of(pid).filter(leads)
            && living.iter().all(|known| known.pid != pid)
        {
            living.push(LivingService { name, pid, start: stat.start });
        }
    }
    Ok(living)
}

impl LivingService {
    /// A child that was just started. `None`: it is gone already.
    pub fn of(pid: u32, name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), pid, start: Stat::of(pid)?.start })
    }

    pub fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != 'Z')
    }

    /// TERM to its group, some grace, KILL. False: it is still there.
    pub async fn end(self, grace: Duration) -> bool {
        for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, grace)] {
            let (true, Some(handle)) = (self.is_alive(), open(self.pid)) else { break };
            if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
                // It leads its own group: started so, and its number is still its own.
                let _gone = kill_process_group(group, signal);
            }
            if timeout(patience, ended(handle)).await.is_ok() {
                break;
            }
        }
        reap(self.pid);
        !self.is_alive()
    }
}
