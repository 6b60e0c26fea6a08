//! A house with planted secrets: a folder for runbooks, a home, and a nose for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::canary::{BORN, COMMAND, ENV, FILE, MINTED, Nose, written};
use super::echo;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct House {
    root: tempfile::TempDir,
    pub port: u16,
    pub nose: Nose,
}

impl House {
    pub fn new() -> Self {
        let house = Self { root: tempfile::tempdir().unwrap(), port: echo::serve(), nose: Nose::new() };
        fs::create_dir_all(house.books()).unwrap();
        fs::create_dir_all(house.root.path().join("user")).unwrap();
        house.write("file-secret", &format!("{FILE}\n"));
        house.write("print-secret", &format!("#!/bin/sh\necho '{COMMAND}'\necho '{COMMAND}' >&2\n"));
        let forms = [ENV, FILE, COMMAND].into_iter().flat_map(written);
        house.write("forms", &forms.map(|(what, text)| format!("{what}: {text} end\n")).collect::<String>());
        house.write("born", BORN);
        house.write("minted", MINTED);
        let forms = || written(MINTED).into_iter().map(|(what, text)| format!("{what}: {text} end\n"));
        house.write("minted-forms", &forms().collect::<String>());
        let json = serde_json::json!({"token": MINTED, "forms": forms().collect::<Vec<_>>()});
        house.write("minted.json", &json.to_string());
        house
    }

    /// Where the runbooks are, with the sources of the secrets: the only place that may hold them.
    pub fn books(&self) -> PathBuf {
        self.root.path().join("books")
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub fn run(&self, id: &str) -> PathBuf {
        self.home().join("runs").join(id)
    }

    /// `PORT` in a text is the port of the server.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.books().join(name), text.replace("PORT", &self.port.to_string())).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consigne"));
        command
            .args(args)
            .current_dir(self.books())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.root.path().join("user"))
            .env("CONSIGNE_HOME", self.home())
            .env("CONSIGNE_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .env("PLANTED", ENV)
            .env("TERM", "xterm");
        command
    }

    /// Runs a command to its end, with all that it says smelt at.
    #[track_caller]
    pub fn say(&self, args: &[&str], code: i32) -> String {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", tail(&said));
        self.clean(&format!("what {args:?} said"), &said);
        String::from_utf8_lossy(&said).into_owned()
    }

    #[track_caller]
    pub fn clean(&self, what: &str, bytes: &[u8]) {
        if let Some(found) = self.nose.smells(bytes) {
            panic!("in {what}: {found}");
        }
    }

    /// Smells at every file below the home and at every name of one. Gives how many files there were.
    #[track_caller]
    pub fn smell(&self, when: &str) -> usize {
        let (mut folders, mut files) = (vec![self.home(), self.root.path().join("user")], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                self.clean(&format!("a name, {when}"), path.as_os_str().as_encoded_bytes());
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && let Ok(bytes) = fs::read(&path)
                {
                    files += 1;
                    self.clean(&format!("{}, {when}", path.display()), &bytes);
                }
            }
        }
        files
    }

    /// Smells at the command lines of all processes, which anybody on the machine may read.
    #[track_caller]
    pub fn smell_command_lines(&self) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            self.clean("a command line", &line);
        }
    }
}

/// The last of what was said.
pub fn tail(said: &[u8]) -> String {
    String::from_utf8_lossy(&said[said.len().saturating_sub(4_000)..]).into_owned()
}

/// Polls until it holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How often a kind of event stands in the journal of a run.
pub fn events(run: &Path, kind: &str) -> usize {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.matches(&format!("\"type\":\"{kind}\"")).count()
}
