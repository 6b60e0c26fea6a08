//! A world of its own for each test: folders, variables and programs that the machine cannot colour.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use tempfile::TempDir;

/// How long something may take that is to happen soon.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct TestEnvironment {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command said and how it ended, with all that changes from run to run replaced.
#[must_use]
#[derive(Clone)]
pub struct Said {
    pub command: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The one JSON value on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "ended by a signal".to_owned(), |code| code.to_string());
        writeln!(f, "$ {}\nexit: {code}", self.command)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}

/// One snapshot of several commands: exit code, data and talk of each.
macro_rules! shows {
    ($all:expr) => {
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!($crate::environment::told(&$all))
        })
    };
}
pub(crate) use shows;

/// Several commands as one text.
pub fn told(all: &[Said]) -> String {
    all.iter().map(Said::to_string).collect::<Vec<_>>().join("\n")
}

impl TestEnvironment {
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() };
        std::fs::create_dir_all(this.work("environments")).unwrap();
        std::fs::create_dir_all(this.path("user")).unwrap();
        this.write("environments/practice.yaml", PRACTICE);
        this.write("environments/plain.yaml", PLAIN);
        this.write("small.yaml", SMALL);
        this
    }

    /// A variable for the commands that follow.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where commands run.
    pub fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    pub fn run(&self, id: &str) -> PathBuf {
        self.path("consigne/runs").join(id)
    }

    /// Writes a file of the working folder; `@` stands for that folder.
    pub fn write(&self, name: &str, text: &str) {
        let work = self.path("work").display().to_string();
        std::fs::write(self.work(name), text.replace('@', &work)).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consigne"));
        command.args(args);
        self.furnish(&mut command);
        command
    }

    /// Another program, in the same surroundings.
    pub fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.furnish(&mut command);
        command
    }

    /// Folder, variables and an empty input.
    pub fn furnish(&self, command: &mut Command) {
        command
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("user"))
            .env("CONSIGNE_HOME", self.path("consigne"))
            .env("LANG", "en_US.UTF-8")
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
    }

    pub fn consigne(&self, args: &[&str]) -> Said {
        self.finish(self.command(args), &format!("consigne {}", args.join(" ")))
    }

    /// A command line for `sh`, in which `consigne` is the program under test.
    pub fn shell(&self, script: &str) -> Said {
        let mut command = Command::new("sh");
        command.args(["-c", &script.replace("consigne", env!("CARGO_BIN_EXE_consigne"))]);
        self.furnish(&mut command);
        self.finish(command, script)
    }

    fn finish(&self, mut command: Command, shown: &str) -> Said {
        let output = command.output().unwrap();
        Said {
            command: self.plain(shown),
            code: output.status.code(),
            stdout: self.plain(&String::from_utf8(output.stdout).unwrap()),
            stderr: self.plain(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// A command that goes on beside the test.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Nothing was executed and nothing is left of it.
    pub fn assert_nothing_happened(&self) {
        for left in ["consigne/runs", "consigne/locks"] {
            assert_eq!(names(&self.path(left)), [""; 0], "in {left}");
        }
        for made in ["touched", "started"] {
            assert!(!self.work(made).exists(), "{made}: {:?}", std::fs::read_to_string(self.work(made)));
        }
    }

    /// What the steps of the runbooks left behind, a word each.
    pub fn touched(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.work("touched")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The texts of all decisions of a run.
    pub fn approved(&self, run: &str) -> String {
        let files = bytes_below(&self.run(run).join("approvals"));
        files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Polls until it holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A text without what changes from run to run.
    fn plain(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let mut text = text.replace(&folder, "[DIR]").replace(env!("CARGO_MANIFEST_DIR"), "[REPO]");
        for (pattern, name) in FILTERS {
            text = Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned();
        }
        text
    }
}

/// What could not be exercised for real is said where the harness swallows nothing, and counts for nothing.
pub fn not_run(why: &str) {
    let _closed = writeln!(std::io::stderr(), "not run: {why}");
}

/// The files below a folder and their bytes, but for the lock, which says who looked last.
pub fn bytes_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                all.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A server that only listens: whoever connects to it is noticed.
pub struct Ear(TcpListener);

impl Ear {
    pub fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn assert_silence(&self) {
        let heard = self.0.accept();
        assert!(
            matches!(&heard, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
            "somebody connected: {heard:?}"
        );
    }
}

const FILTERS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[TIME]"),
    (r"\d{8}t\d{6}-([a-z-]+)-[0-9a-f]{6}", "[$1-ID]"),
    (r"\d:\d\d:\d\d\.\d{3}", "[DURATION]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[KEY]"),
    (r"[A-Za-z0-9+/]{43}=", "[ROOT]"),
    (r"\b[0-9a-f]{64}\b", "[SHA256]"),
    (r"process \d+", "process [PID]"),
    (r"executor@[A-Za-z0-9.-]+", "executor@[HOST]"),
    (r"os:[a-z_][a-z0-9_-]*", "os:[ME]"),
    (r"byte \d+", "byte [AT]"),
    (r"elapsed_ms.:\d+", "elapsed_ms:[MS]"),
];

/// A practice environment whose one service leaves a word when it is started.
const PRACTICE: &str = r#"role_play: true
services:
  bell:
    argv: ["sh", "-c", "echo up >> @/started; exec sleep 600"]
people:
  bob: {}
  carol: {}
roles:
  ops: [bob]
"#;

/// A practice environment without services.
const PLAIN: &str = "role_play: true\npeople:\n  bob: {}\n  carol: {}\nroles:\n  ops: [bob]\n";

/// A question, an approval, an effect and a checklist.
const SMALL: &str = r#"consigne: v1
id: small
title: {fr: "Une petite", en: "A small one"}
inputs:
  name: {type: string, pattern: "^[a-z]+$", default: "x"}
  count: {type: integer, default: 1}
lock: ["thing/{{ inputs.name }}"]
steps:
  - id: ask
    confirm: {}
    message: {fr: "On y va ?", en: "Go on?"}
  - id: go
    approve: {roles: [ops]}
    message: {fr: "Vraiment ?", en: "Really?"}
  - id: one
    shell: "echo one >> @/touched"
    effect: write
  - id: tick
    title: {fr: "Points de contrôle", en: "Control points"}
    checklist:
      items:
        - {id: first, text: "First"}
        - {id: second, text: "Second"}
"#;
