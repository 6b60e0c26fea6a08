//! One house for each test: a home, a copy of the runbooks, the built program, and eyes on what it leaves behind.
//!
//! Nothing here knows the library: what is tested is the program, its exit codes and its files.

#![allow(dead_code, reason = "shared by two test binaries, which use different parts")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to see.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        std::thread::sleep(Duration::from_micros(100));
    }
}

pub struct House {
    pub root: TempDir,
    pub run: String,
}

/// What a call of the program came to.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Said {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl House {
    /// A house with the shipped practice environment and the named runbooks of `tests/`, for one run.
    pub fn new(run: &str, runbooks: &[&str]) -> Self {
        let house = Self { root: tempfile::tempdir().unwrap(), run: run.to_owned() };
        let books = house.books();
        fs::create_dir_all(books.join("environments")).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = repository.join("runbooks/environments/practice.yaml");
        fs::copy(shipped, books.join("environments/practice.yaml")).unwrap();
        for name in runbooks {
            let name = Path::new(name);
            fs::copy(repository.join(name), books.join(name.file_name().unwrap())).unwrap();
        }
        house
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Folder of the runbooks, where relative paths of their steps begin.
    pub fn books(&self) -> PathBuf {
        self.root.path().join("books")
    }

    pub fn dir(&self) -> PathBuf {
        self.home().join("runs").join(&self.run)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consigne"));
        command
            .args(args)
            .env("CONSIGNE_HOME", self.home())
            .env("LC_ALL", "C")
            .env_remove("RUST_BACKTRACE")
            .current_dir(self.books())
            .stdin(Stdio::null());
        command
    }

    pub fn say(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Starts the program and does not wait for it; what it says goes to a file.
    pub fn start(&self, args: &[&str]) -> Started {
        let log = self.root.path().join("log");
        let open = || fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        Started(self.command(args).stdout(open()).stderr(open()).spawn().unwrap())
    }

    /// What all started programs have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    pub fn begin<'a>(&'a self, file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["drill", file, "--run-id", &self.run], more].concat()
    }

    /// Whole lines of the journal, wherever it stands by now.
    pub fn lines(&self) -> usize {
        let read = |name: &str| fs::read(self.dir().join(name)).ok();
        let bytes = read("wal.jsonl").or_else(|| read("events.jsonl")).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Every event of the journal, as the public file has it.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir().join("events.jsonl")).unwrap();
        let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.flat_map(|entry| entry["events"].as_array().unwrap().clone()).collect()
    }

    pub fn has_event(&self, kind: &str) -> bool {
        fs::read_to_string(self.dir().join("events.jsonl"))
            .is_ok_and(|text| text.contains(&format!("\"type\":\"{kind}\"")))
    }

    pub fn show(&self) -> Value {
        self.say(&["show", &self.run, "--json"]).exits(0).json()
    }

    /// Kinds of open questions, with their steps.
    pub fn asks(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let shown = self.show();
        let asks = shown["asks"].as_array().unwrap();
        asks.iter().map(|ask| (text(&ask["kind"]), text(&ask["step"]))).collect()
    }

    pub fn status_of(&self, step: &str) -> String {
        let shown = self.show();
        let steps = shown["steps"].as_array().unwrap();
        let found =
            steps.iter().find(|found| found["id"] == step).unwrap_or_else(|| panic!("no step {step}"));
        found["status"].as_str().unwrap().to_owned()
    }

    pub fn answer(&self, step: &str, value: &str) {
        self.say(&["answer", &self.run, step, value, "--comment", "looked at the platform"]).exits(4);
    }

    /// The platform of this run, served from the state that the run left behind.
    pub fn platform(&self) -> Platform {
        Platform::of(&self.dir().join("services/platform"))
    }

    /// Port and process of the platform that the run itself started last.
    pub fn service(&self) -> (u16, u32) {
        let host: Value =
            serde_json::from_slice(&fs::read(self.dir().join("plan/host.json")).unwrap()).unwrap();
        let procs = fs::read_to_string(self.dir().join("procs.jsonl")).unwrap();
        let lines = procs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let pid = lines.rev().find(|line| line["kind"] == "service").unwrap()["pid"].as_u64().unwrap();
        (u16::try_from(host["services"][0]["port"].as_u64().unwrap()).unwrap(), u32::try_from(pid).unwrap())
    }

    /// Processes that carry the mark of this run.
    pub fn processes(&self) -> Vec<u32> {
        let dir = fs::canonicalize(self.home()).unwrap_or_else(|_| self.home()).join("runs").join(&self.run);
        let mark = format!("CONSIGNE_RUN_DIR={}", dir.display()).into_bytes();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark)
        })
        .collect()
    }

    pub fn locks(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home().join("locks")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// What the ledger says about the run, in order.
    pub fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home().join("ledger.jsonl")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = lines.filter(|line| line["run"] == *self.run);
        own.map(|line| line["moment"].as_str().unwrap().to_owned()).collect()
    }

    /// A run that is over has left nothing but its record, and the record holds.
    #[track_caller]
    pub fn is_over(&self) {
        let log = self.log();
        self.say(&["verify", &self.run]).exits(0);
        assert_eq!(self.processes(), [] as [u32; 0], "{log}");
        assert_eq!(self.locks(), [] as [String; 0], "{log}");
        assert_eq!(self.ledger(), ["start", "end"], "{log}");
        assert_eq!(self.show()["driven"], false, "{log}");
        assert!(!self.dir().join("wal.jsonl").exists(), "{log}");
    }
}

impl Drop for House {
    /// A test that failed half way leaves no process behind either.
    fn drop(&mut self) {
        for pid in self.processes() {
            signal(pid, Signal::KILL);
        }
    }
}

/// A program that runs; killed when it is dropped.
pub struct Started(pub Child);

impl Started {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL, and its death. False: it had ended before.
    pub fn kill(&mut self) -> bool {
        let _gone = self.0.kill();
        std::os::unix::process::ExitStatusExt::signal(&self.0.wait().unwrap()) == Some(9)
    }

    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Stops all its threads where they are, or finds that it has ended.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
        let pid = self.pid();
        let stopped = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
        };
        until("all threads to stop", || {
            let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.all(stopped).then_some(())
        });
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub fn code(&mut self) -> Option<i32> {
        until("the end of the program", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub fn signal(pid: u32, which: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    let _gone = kill_process(pid, which);
}

pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A practice platform of this test's own.
pub struct Platform {
    process: Started,
    port: u16,
    state: PathBuf,
}

impl Platform {
    pub fn of(state: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_consigne"))
            .args(["practice", "--port", "0", "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no address: {line:?}"));
        Self { process: Started(process), port, state: state.to_owned() }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn set_faults(&self, faults: &Value) {
        let (status, body) = call(self.port, "PUT", "/practice/faults", None, &faults.to_string());
        assert_eq!(status, 200, "{body}");
    }

    /// The request log without reads.
    pub fn writes(&self) -> Vec<Value> {
        let (status, body) = call(self.port, "GET", "/practice/requests", None, "");
        assert_eq!(status, 200, "{body}");
        let log: Value = serde_json::from_str(&body).unwrap();
        let requests = log["requests"].as_array().unwrap().iter();
        requests.filter(|entry| entry["method"] != "GET" && entry["path"] != "/login").cloned().collect()
    }

    pub fn get(&self, path: &str) -> Value {
        let token = fs::read_to_string(self.state.join("admin-token")).unwrap();
        let (status, body) = call(self.port, "GET", path, Some(token.trim()), "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn status(&self, tenant: &str) -> String {
        self.get(&format!("/admin/tenants/{tenant}"))["status"].as_str().unwrap().to_owned()
    }

    pub fn notices(&self, tenant: &str, kind: &str) -> usize {
        let answer = self.get(&format!("/admin/notifications?tenantId={tenant}"));
        answer["notifications"].as_array().unwrap().iter().filter(|notice| notice["type"] == kind).count()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.process.signal(Signal::TERM);
        let _reaped = self.process.0.wait();
    }
}

/// One HTTP call to a port of this machine: status and body.
pub fn call(port: u16, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head:?}")), body.to_owned())
}

/// Numbers that look random and are the same every time.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}
