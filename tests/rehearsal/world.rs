//! A folder for each test, and the program in surroundings that the machine cannot colour.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub struct Rehearsals {
    folder: tempfile::TempDir,
}

/// The runbooks that are shipped, with the answers of their drills.
pub const SHIPPED: [&str; 3] = ["create", "reactivate", "suspend"];

impl Rehearsals {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("user"))
            .env("LANG", "en_US.UTF-8")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn consigne(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_consigne")).args(args).output().unwrap()
    }

    /// Rehearses into the folder `out`, and expects this exit code.
    pub fn rehearse(&self, out: &str, runbook: &Path, args: &[&str], code: i32) -> Made {
        let dir = self.path(out);
        let mut all = vec!["rehearse", runbook.to_str().unwrap(), "--out", dir.to_str().unwrap()];
        all.extend(args);
        let output = self.consigne(&all);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        Made { dir, said }
    }
}

/// A rehearsal that was made.
pub struct Made {
    pub dir: PathBuf,
    pub said: String,
}

impl Made {
    pub fn events(&self) -> Vec<Value> {
        events(&self.dir)
    }

    /// Those of one type, of one step.
    pub fn of(&self, kind: &str, step: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["type"] == kind && event["step"] == step).collect()
    }

    pub fn says(&self, what: &str) {
        assert!(self.said.contains(what), "`{what}` is not in:\n{}", self.said);
    }
}

pub fn events(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.flat_map(|line| line["events"].as_array().unwrap().clone()).collect()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn shipped(name: &str) -> PathBuf {
    repository(&format!("runbooks/tenants/{name}.yaml"))
}

pub fn answers(name: &str) -> String {
    repository(&format!("runbooks/tenants/{name}.answers.yaml")).display().to_string()
}

pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every file below a folder with its bytes, but for the lock.
pub fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                all.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}
