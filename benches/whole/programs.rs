//! The programs that are measured, and the folders they work in.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::floor;
use super::runbooks::{self, Shape, Work};

/// A folder of its own on one file system, gone at the end.
pub struct Place {
    folder: tempfile::TempDir,
    next: Cell<usize>,
}

impl Place {
    pub fn new(on: &Path) -> Self {
        let folder = tempfile::tempdir_in(on).expect("a folder for the bench can be made");
        let place = Self { folder, next: Cell::new(0) };
        // The key is made once, not in the first round.
        let made = place.consigne(&["keys", "init"]).output().expect("consigne starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        place
    }

    /// The same on a file system in memory, where there is one.
    pub fn in_memory() -> Option<Self> {
        let folder = Path::new("/dev/shm");
        folder.is_dir().then(|| Self::new(folder))
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path that was never used before.
    pub fn fresh(&self, name: &str) -> PathBuf {
        self.next.set(self.next.get() + 1);
        self.path().join(format!("{name}-{}", self.next.get()))
    }

    /// The program that is measured: the one built with this bench, or another build of it.
    pub fn consigne(&self, arguments: &[&str]) -> Command {
        let other = std::env::var_os("CONSIGNE_BENCH_PROGRAM");
        let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_consigne").into()));
        command.args(arguments).env("CONSIGNE_HOME", self.path().join("home")).env_remove("CONSIGNE_LOG");
        command
    }

    /// A generated runbook, written here.
    pub fn runbook(&self, shape: Shape, work: Work, steps: usize) -> PathBuf {
        let path = self.path().join(format!("{}-{}-{steps}.yaml", shape.name(), work.name()));
        std::fs::write(&path, runbooks::text(shape, work, steps))
            .expect("the folder of the bench is writable");
        path
    }

    /// Runs a runbook as a new run.
    pub fn run(&self, runbook: &Path) -> Command {
        self.run_as(runbook, &self.fresh_id())
    }

    pub fn run_as(&self, runbook: &Path, id: &str) -> Command {
        let mut command = self.consigne(&["run", "--unattended", "--run-id", id]);
        command.arg(runbook);
        command
    }

    /// Rehearses a runbook into a new folder.
    pub fn rehearse(&self, runbook: &Path) -> Command {
        let mut command = self.consigne(&["rehearse", "--unattended", "--no-past", "--out"]);
        command.arg(self.fresh("rehearsal")).arg(runbook);
        command
    }

    pub fn fresh_id(&self) -> String {
        self.next.set(self.next.get() + 1);
        format!("run-{}", self.next.get())
    }

    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.path().join("home/runs").join(id)
    }

    pub fn floor_chain(&self, steps: usize) -> Command {
        floor_of(&format!("chain {steps} {}", self.fresh("floor").display()))
    }
}

/// The programs of `steps` steps from so many threads at once.
pub fn floor_fan(steps: usize, at_once: usize) -> Command {
    floor_of(&format!("fan {steps} {at_once}"))
}

fn floor_of(what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.env(floor::VARIABLE, what);
    command
}

/// Any other program.
pub fn program(argv: &[&str]) -> Command {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]);
    command
}
