//! One machine with a team: a home that a group owns, users with and without a place in it, the program for all.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde_json::Value;
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Drives; holds no role.
pub const ALICE: u32 = 4001;
/// Leads.
pub const BOB: u32 = 4002;
/// Leads too.
pub const CAROL: u32 = 4003;
/// In the group, and nothing more.
pub const DAVE: u32 = 4004;
/// Not in the group.
pub const EVE: u32 = 4009;
const TEAM: u32 = 4100;

/// The people of the runs. Numbers without an account have such names. Whoever runs the tests leads, too.
const ENVIRONMENT: &str = "people:
  alice: {os_user: uid-4001}
  bob: {os_user: uid-4002}
  carol: {os_user: uid-4003}
  dave: {os_user: uid-4004}
  eve: {os_user: uid-4009}
  root: {os_user: root}
roles:
  lead: [bob, carol, eve, root]
  boss: [carol]
";

/// Looks again and again until there is something to see.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn with(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {:?}", self.err);
        self
    }
}

pub struct Team {
    root: TempDir,
}

impl Team {
    /// `None`, said aloud, where these tests cannot become other users.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _seen = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("not run: becoming another user needs root\n"),
            );
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        open_to(root.path(), 0o755);
        let team = Self { root };
        for (name, mode) in [("bin", 0o755), ("books", 0o777), ("home", 0o2770), ("nobody", 0o777)] {
            fs::create_dir(team.path(name)).unwrap();
            open_to(&team.path(name), mode);
        }
        // Changing the group takes the setgid bit away.
        chown(team.path("home"), Some(ALICE), Some(TEAM)).unwrap();
        open_to(&team.path("home"), 0o2770);
        // The folder it was built in may be closed to others.
        fs::copy(env!("CARGO_BIN_EXE_consigne"), team.path("bin/consigne")).unwrap();
        open_to(&team.path("bin/consigne"), 0o755);
        fs::create_dir(team.path("books/environments")).unwrap();
        team.write("environments/team.yaml", ENVIRONMENT);
        Some(team)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("books").join(name), text).unwrap();
    }

    pub fn dir(&self, run: &str) -> PathBuf {
        self.path("home/runs").join(run)
    }

    /// A command of one of the users, whose umask lets nobody in.
    pub fn command(&self, uid: u32, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(self.path("bin/consigne")).args(args);
        self.furnish(&mut command);
        if uid != 0 {
            command.uid(uid).gid(if uid == EVE { EVE } else { TEAM });
        }
        command
    }

    pub fn furnish(&self, command: &mut Command) {
        command
            .current_dir(self.path("books"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("nobody"))
            .env("CONSIGNE_HOME", self.path("home"))
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("TERM", "xterm")
            .stdin(Stdio::null());
    }

    pub fn say(&self, uid: u32, args: &[&str]) -> Said {
        let output = self.command(uid, args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub fn answer(&self, uid: u32, run: &str, step: &str, value: &str) -> Said {
        self.say(uid, &["answer", run, step, value])
    }

    /// Alice drives a run whose program holds it until it is let go; what it asks stays open meanwhile.
    pub fn drive(&self, run: &str, gate: &str) -> Driver {
        self.write(&format!("{run}.yaml"), &beside_a_program(gate));
        let log = fs::File::create(self.path(&format!("{run}.log"))).unwrap();
        let file = format!("{run}.yaml");
        let child = self
            .command(ALICE, &["run", &file, "--env", "team", "--run-id", run])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let driver = Driver(child);
        until("the question", || self.has(run, "ask.opened").then_some(()));
        until("the socket", || self.dir(run).join("socket").exists().then_some(()));
        driver
    }

    pub fn let_go(&self) {
        fs::write(self.path("books/go_on"), "").unwrap();
    }

    pub fn log(&self, run: &str) -> String {
        fs::read_to_string(self.path(&format!("{run}.log"))).unwrap_or_default()
    }

    pub fn events(&self, run: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir(run).join("events.jsonl")).unwrap_or_default();
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.flat_map(|entry| entry["events"].as_array().unwrap().clone()).collect()
    }

    pub fn has(&self, run: &str, kind: &str) -> bool {
        self.events(run).iter().any(|event| event["type"] == kind)
    }

    /// Who said what to the questions of a run.
    pub fn said(&self, run: &str) -> Vec<String> {
        let answers = self.events(run).into_iter().filter(|event| event["type"] == "ask.answered");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        answers
            .map(|event| {
                let (actor, data) = (&event["actor"], &event["data"]);
                format!("{} {} {}", text(&actor["who"]), text(&actor["how"]), text(&data["decision"]))
            })
            .collect()
    }

    /// Everything of the home, with owner group and mode.
    pub fn belongings(&self) -> Vec<(PathBuf, u32, u32)> {
        let mut all = Vec::new();
        let mut folders = vec![self.path("home")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    folders.push(path.clone());
                }
                let short = path.strip_prefix(self.path("home")).unwrap().to_owned();
                all.push((short, meta.gid(), meta.mode() & 0o7777));
            }
        }
        all.sort();
        all
    }

    /// Says a line to the socket of a run as one of the users. `None`: he was not let in, or got no reply.
    pub fn tell(&self, uid: u32, run: &str, line: &str) -> Option<Value> {
        let dir = self.dir(run);
        self.as_user(uid, move || {
            let mut stream = connect(&dir).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut greeting = String::new();
            reader.read_line(&mut greeting).ok().filter(|read| *read > 0)?;
            assert_eq!(serde_json::from_str::<Value>(&greeting).unwrap()["v"], 1);
            // It may reply before it has read everything.
            let _refused = stream.write_all(line.as_bytes());
            let mut reply = String::new();
            reader.read_line(&mut reply).ok()?;
            serde_json::from_str(&reply).ok()
        })
    }

    /// Does something as another user: a thread has an identity of its own.
    pub fn as_user<T: Send>(&self, uid: u32, act: impl FnOnce() -> T + Send) -> T {
        let gid = Gid::from_raw(if uid == EVE { EVE } else { TEAM });
        let uid = Uid::from_raw(uid);
        std::thread::scope(|scope| {
            let acted = scope.spawn(move || {
                set_thread_groups(&[]).unwrap();
                set_thread_res_gid(gid, gid, gid).unwrap();
                set_thread_res_uid(uid, uid, uid).unwrap();
                act()
            });
            acted.join().unwrap()
        })
    }
}

/// The address of a socket is short, the folders of tests may not be.
pub fn connect(dir: &Path) -> std::io::Result<UnixStream> {
    use std::os::fd::AsRawFd;
    let folder = fs::File::open(dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()))
}

/// A gate beside a program that waits to be let go.
pub fn beside_a_program(gate: &str) -> String {
    format!(
        "consigne: v1
id: pair
title: Pair
steps:
  - id: program
    needs: []
    shell: \"while [ ! -e go_on ]; do sleep 0.02; done\"
    effect: read
  - id: go
    needs: []
{gate}
    message: Do it?
  - id: done
    needs: [go]
    shell: \"id -u >> book\"
    effect: write
"
    )
}

fn open_to(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A process that drives a run; killed when it is dropped.
pub struct Driver(pub Child);

impl Driver {
    #[track_caller]
    pub fn ends(mut self, code: i32, team: &Team, run: &str) {
        let ended = until("the end of the driver", || self.0.try_wait().unwrap());
        assert_eq!(ended.code(), Some(code), "{}", team.log(run));
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
