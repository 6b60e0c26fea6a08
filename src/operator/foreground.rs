//! Who has the terminal.
//!
//! A program that a step started can make itself the foreground of the terminal. Whoever reads a terminal from behind
//! is stopped by the system, so a run would stand still until somebody noticed. What has been taken by a program below
//! this process, or by one that is gone, is taken back; what a shell has given to another job is left alone.

use std::fs::File;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::{Pid, getpgrp, getpid, test_kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// More parents than any process has.
const ANCESTORS: usize = 1_000;

pub(super) fn is_ours(tty: &File) -> bool {
    tcgetpgrp(tty).is_ok_and(|group| group == getpgrp())
}

/// Makes this process the foreground again, where a program below it took that. Says whether it did.
pub(super) fn retake(tty: &File) -> bool {
    let Ok(group) = tcgetpgrp(tty) else { return false };
    if group == getpgrp() || !(is_gone(group) || is_below_us(group)) {
        return false;
    }
    // Unless it is blocked, this signal stops whoever sets the foreground from behind.
    let signals = SigSet::from(Signal::SIGTTOU);
    let Ok(before) = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK) else { return false };
    // It fails when the terminal is gone, which reading it will tell.
    let retaken = tcsetpgrp(tty, getpgrp()).is_ok();
    before.thread_set_mask().is_ok() && retaken
}

fn is_gone(group: Pid) -> bool {
    test_kill_process_group(group) == Err(rustix::io::Errno::SRCH)
}

/// The leader of a group that a step started, at any depth: what is orphaned becomes a child of this process.
fn is_below_us(leader: Pid) -> bool {
    let mut pid = leader.as_raw_pid();
    for _ in 0..ANCESTORS {
        match parent(pid) {
            Some(parent) if parent == getpid().as_raw_pid() => return true,
            Some(parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of a program may hold anything, a closing bracket as well.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
