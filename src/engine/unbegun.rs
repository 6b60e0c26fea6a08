//! Runs whose process died before their first entry: nothing was done, and what is left of them stands in the way.
//!
//! Owns telling them apart and removing them: the processes, the target locks, the directory. Never touches a run
//! that has an entry, or that some process is just beginning.

use std::path::Path;
use std::sync::Arc;

use super::launch::LaunchError;
use super::services;
use crate::clock::Clock;
use crate::journal::{LockError, Queue, RunLock, TargetHolder, TargetLocks, file};

/// Whether no entry of the run was ever written whole.
pub fn is_unbegun(dir: &Path) -> bool {
    // The log comes first; the public file is made from it, and outlives it.
    [file::WAL, file::EVENTS].iter().all(|name| match std::fs::read(dir.join(name)) {
        Ok(bytes) => !bytes.contains(&b'\n'),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    })
}

/// Removes what is left of a run that never began.
///
/// # Errors
/// It has begun, some process is beginning it now, or something cannot be removed.
pub async fn remove(dir: &Path, home: &Path, clock: &Arc<dyn Clock>) -> Result<(), LaunchError> {
    let id = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let locks = TargetLocks::of(home);
    if dir.exists() {
        let _lock = RunLock::acquire(dir, clock.now())?;
        if !is_unbegun(dir) {
            let source = std::io::Error::other("the run has begun");
            return Err(LaunchError::File { verb: "remove", path: dir.to_owned(), source });
        }
        services::end_living(dir, &id).await?;
        locks.release_all(&id)?;
        std::fs::remove_dir_all(dir).map_err(|source| LaunchError::File {
            verb: "remove",
            path: dir.to_owned(),
            source,
        })?;
    } else {
        locks.release_all(&id)?;
    }
    Ok(())
}

/// Takes the target locks of a run, from runs that never began too. `place` is the run's own in the queue.
///
/// # Errors
/// Another run holds one of them, or has waited for it longer.
pub(super) async fn acquire(
    locks: &TargetLocks,
    names: &[String],
    (id, dir): (&str, &Path),
    clock: &Arc<dyn Clock>,
    place: Option<u64>,
) -> Result<(), LaunchError> {
    // What a run holds already nobody can be ahead of it for.
    let mut wanted = Vec::new();
    for name in names {
        if locks.holder(name)?.is_none_or(|holder| holder.run != id) {
            wanted.push(name.clone());
        }
    }
    if let Some(first) = Queue::of(locks.home()).ahead(&wanted, place.unwrap_or(u64::MAX))?.into_iter().next()
        && let Some(name) = first.shares(&wanted).cloned()
    {
        // Somebody who holds a target is named rather than those who wait for it as well.
        if let Some((name, TargetHolder { run, dir, since })) = locks.first_held(&wanted, id)? {
            return Err(LockError::TargetHeld { name, run, dir, since }.into());
        }
        return Err(LockError::TargetAwaited { name, run: first.run, since: first.since }.into());
    }
    loop {
        match locks.acquire(names, id, dir, clock.now()) {
            Err(LockError::TargetHeld { name, run, dir: other, since }) => {
                let held = LockError::TargetHeld { name, run, dir: other.clone(), since };
                // A directory is made before the locks are taken, and removed after they are released.
                if other.exists() && !is_unbegun(&other) {
                    return Err(held.into());
                }
                match remove(&other, locks.home(), clock).await {
                    Err(LaunchError::Lock(LockError::Held { .. })) => return Err(held.into()),
                    removed => removed?,
                }
            }
            taken => return Ok(taken?),
        }
    }
}
