//! A folder with one runbook, the program that it drives, and what that program was told.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PRACTICE: &str = "role_play: true\npeople:\n  bob: {}\nroles:\n  lead: [bob]\n";

pub struct World {
    folder: TempDir,
    name: String,
    /// Whether it drives the program beside it, and not the practice platform.
    has_program: bool,
}

/// A drill that has ended.
pub struct Drill {
    pub code: Option<i32>,
    pub said: String,
    /// What its rehearsal said.
    pub rehearsed: String,
    /// What the program was told, a line each.
    pub log: Vec<String>,
    events: Vec<Value>,
}

impl World {
    /// The runbook `name`, which `check` finds nothing wrong with.
    pub fn of(name: &str) -> Self {
        Self::new(name, PRACTICE, true)
    }

    /// The same for a runbook against the practice platform.
    pub fn with_platform(name: &str) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/environments/practice.yaml");
        let practice = std::fs::read_to_string(shipped).expect("the practice environment");
        let program = format!("argv: [\"{}\", \"practice\"", env!("CARGO_BIN_EXE_consigne"));
        Self::new(name, &practice.replace("argv: [\"consigne\", \"practice\"", &program), false)
    }

    fn new(name: &str, practice: &str, has_program: bool) -> Self {
        let world =
            Self { folder: tempfile::tempdir().expect("a folder"), name: name.to_owned(), has_program };
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes");
        std::fs::copy(own.join(format!("{name}.yaml")), world.path(&format!("{name}.yaml"))).expect("a copy");
        std::fs::copy(own.join("do"), world.path("do")).expect("a copy");
        std::fs::create_dir_all(world.path("environments")).expect("a folder");
        std::fs::create_dir_all(world.path("user")).expect("a folder");
        std::fs::write(world.path("environments/practice.yaml"), practice).expect("a file");
        let checked = world.run(&["check", &format!("{name}.yaml"), "--env", "practice"]);
        let said = talk(&checked);
        assert!(checked.status.success() && !said.contains("warning"), "{said}");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file that the program looks for.
    pub fn mark(&self, name: &str) {
        std::fs::write(self.path(name), "").expect("a file");
    }

    pub fn unmark(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("it was there");
    }

    /// What it says, where it has nothing to complain about.
    pub fn say(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", talk(&output));
        talk(&output)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_consigne"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a PATH"))
            .env("HOME", self.path("user"))
            .env("CONSIGNE_HOME", self.path("home"))
            .env("LANG", "en_US.UTF-8")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("the program under test")
    }

    /// Goes through it with these answers and inputs to its end.
    pub fn drill(&self, answers: &str, inputs: &[&str]) -> Drill {
        std::fs::write(self.path("answers.yaml"), answers).expect("a file");
        let (file, program) = (format!("{}.yaml", self.name), format!("do={}", self.path("do").display()));
        let mut args = vec!["drill", &file, "--answers", "answers.yaml", "--run-id", "r"];
        if self.has_program {
            args.extend(["--input", &program]);
        }
        for input in inputs {
            args.extend(["--input", *input]);
        }
        let output = self.run(&args);
        let verified = self.run(&["verify", "r"]);
        assert_eq!(verified.status.code(), Some(0), "{}\n{}", talk(&output), talk(&verified));
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let rehearsed = self.rehearse(&args[1..], &output);
        let journal = std::fs::read_to_string(self.path("home/runs/r/events.jsonl")).expect("a journal");
        let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let events = events.flat_map(|line| line["events"].as_array().cloned().unwrap_or_default()).collect();
        Drill {
            code: output.status.code(),
            said: talk(&output),
            rehearsed,
            log: log.lines().map(str::to_owned).collect(),
            events,
        }
    }
}

impl World {
    /// A rehearsal with what the drill was answered ends like it, and does nothing.
    fn rehearse(&self, args: &[&str], drilled: &Output) -> String {
        let before = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let args: Vec<&str> = args.iter().copied().filter(|arg| !["--run-id", "r"].contains(arg)).collect();
        let rehearsed = self.run(&[&["rehearse", "--from", "r", "--out", "rehearsed"], &args[..]].concat());
        assert_eq!(rehearsed.status.code(), drilled.status.code(), "{}\n{}", talk(drilled), talk(&rehearsed));
        assert!(talk(&rehearsed).contains("record verified"), "{}", talk(&rehearsed));
        assert_eq!(std::fs::read_to_string(self.path("log")).unwrap_or_default(), before);
        talk(&rehearsed)
    }
}

impl Drill {
    /// How many events of this type the journal has.
    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event["type"] == kind).count()
    }

    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    /// It did exactly this, in this order.
    #[track_caller]
    pub fn did(&self, wanted: &[&str]) {
        assert_eq!(self.log, wanted, "{}", self.said);
    }
}

fn talk(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
