//! A home and a folder for runbooks, and a look at the processes of a run.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct House(tempfile::TempDir);

impl House {
    pub fn new(runbook: &str) -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        std::fs::write(house.path("book.yaml"), runbook).unwrap();
        house
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn run(&self) -> PathBuf {
        self.path("home/runs/r")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consigne"));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.0.path());
        command.env("CONSIGNE_HOME", self.path("home")).env("TERM", "xterm").env("NO_COLOR", "1");
        command
    }

    /// Runs the runbook to its end, with nobody there. Gives the exit code and what was said.
    pub fn unattended(&self) -> (Option<i32>, String) {
        let mut command = self.command(&["run", "book.yaml", "--unattended", "--run-id", "r"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What the last attempt of a step came to.
    pub fn reason_of(&self, step: &str) -> String {
        let output = self.command(&["show", "r", "--json"]).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let steps = shown["steps"].as_array().unwrap();
        let found = steps.iter().find(|shown| shown["id"] == step).unwrap();
        found["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Command lines of living processes that were started below this folder, whatever they did to their marks.
    pub fn left(&self) -> Vec<String> {
        let here = std::fs::canonicalize(self.0.path()).unwrap();
        let mut left = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            if std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&here)) {
                let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
                left.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        left
    }
}

/// Polls until it holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
