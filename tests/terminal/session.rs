//! A person's terminal, with a folder and a home of its own.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use rexpect::process::Signal;
use rexpect::session::{PtySession, spawn_command};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Folder and home of one test.
pub struct Desk(tempfile::TempDir);

const CONSIGNE: &str = env!("CARGO_BIN_EXE_consigne");

impl Desk {
    pub fn new(runbook: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(desk.path("environments")).unwrap();
        let me = Command::new("id").arg("-un").output().unwrap().stdout;
        let plain = PLAIN.replace("USER", String::from_utf8(me).unwrap().trim());
        std::fs::write(desk.path("environments/plain.yaml"), plain).unwrap();
        std::fs::write(desk.path("proof.txt"), "proof").unwrap();
        std::fs::write(desk.path("book.yaml"), runbook).unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("CONSIGNE_HOME", self.path("home"))
            .env("LANG", "en_US.UTF-8")
            .env("TERM", "xterm");
        command
    }

    /// The program in a terminal of its own.
    pub fn sits(&self, args: &[&str], set: &[(&str, &str)]) -> Session {
        let mut command = self.command(CONSIGNE, args);
        command.envs(set.iter().copied());
        Session::of(command)
    }

    /// A drill of the runbook, in a terminal.
    pub fn drills(&self) -> Session {
        self.sits(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"], &[])
    }

    pub fn resumes(&self) -> Session {
        self.sits(&["resume", "r1"], &[])
    }

    /// Without a terminal: exit code, stdout and stderr.
    pub fn runs(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(CONSIGNE, args).stdin(std::process::Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// A line of shell, in which `consigne` is the program under test.
    pub fn script(&self, line: &str) -> String {
        line.replace("consigne", CONSIGNE)
    }

    /// The log of the run, while it lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("home/runs/r1/wal.jsonl")).unwrap_or_default()
    }
}

/// Whoever runs the tests is `me`.
const PLAIN: &str = "people:\n  me: {os_user: \"USER\"}\nroles:\n  ops: [me]\n";

/// A program at work in a terminal.
pub struct Session(PtySession);

impl Session {
    pub fn of(command: Command) -> Self {
        Self(spawn_command(command, Some(30_000)).unwrap())
    }

    /// Waits for a text, and gives what came before it. The library that reads takes each byte for a character.
    pub fn sees(&mut self, text: &str) -> String {
        let bytes: String = text.bytes().map(char::from).collect();
        self.0.exp_string(&bytes).unwrap_or_else(|error| panic!("{text:?} does not appear: {error}"))
    }

    pub fn types(&mut self, line: &str) {
        self.0.send_line(line).unwrap();
    }

    pub fn keys(&mut self, keys: &str) {
        self.0.send(keys).unwrap();
        self.0.flush().unwrap();
    }

    /// Waits for the prompt that ends so, and answers.
    pub fn answers(&mut self, prompt: &str, line: &str) {
        self.sees(prompt);
        self.types(line);
    }

    /// Reads on to the end: what else was said, and the exit code.
    pub fn ends(&mut self) -> (String, Option<i32>) {
        let rest = self.0.exp_eof().unwrap();
        let status = self.0.process().wait().unwrap();
        let code = match status {
            rexpect::process::WaitStatus::Exited(_, code) => Some(code),
            _ => None,
        };
        (rest.bytes_as_text(), code)
    }

    pub fn is_raw(&self) -> bool {
        let terminal = self.0.process().get_file_handle().unwrap();
        !tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let terminal = self.0.process().get_file_handle().unwrap();
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(terminal.as_fd(), size).unwrap();
    }

    pub fn signal(&mut self, signal: Signal) {
        self.0.process_mut().signal(signal).unwrap();
    }

    /// The terminal goes away.
    pub fn hangs_up(self) {
        drop(self);
    }
}

/// The library that reads takes each byte for a character.
trait AsText {
    fn bytes_as_text(&self) -> String;
}

impl AsText for str {
    fn bytes_as_text(&self) -> String {
        let bytes: Vec<u8> = self.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
