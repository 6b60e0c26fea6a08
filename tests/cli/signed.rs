//! Signed words for a run that a process drives: taken by that process, several at once, and kept when it is killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};

use crate::elsewhere::{Office, office};

/// A run whose program holds it, while its gate is open.
struct Driven<'a> {
    office: &'a Office,
    driver: Child,
}

impl<'a> Driven<'a> {
    fn start(office: &'a Office, gate: &str) -> Self {
        let book = format!(
            "consigne: v1\nid: own\ntitle: Own\nsteps:\n  - id: program\n    needs: []\n    shell: \"while [ ! -e \
             go_on ]; do sleep 0.02; done\"\n    effect: read\n  - id: go\n    needs: []\n    approve: {{roles: [lead], \
             exclude: [starter], {gate}}}\n    message: Do it?\n  - id: one\n    needs: [go]\n    shell: \"echo one >> \
             @/touched\"\n    effect: write\n"
        );
        office.env.write("own.yaml", &book);
        let driver = office.env.start(&["run", "own.yaml", "--env", "real", "--run-id", "r"]);
        let this = Self { office, driver };
        this.until("the question", || this.journal().contains("ask.opened"));
        this.until("the socket", || this.connect().is_some());
        this
    }

    fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        self.office.env.until(what, holds);
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.office.env.run("r").join("events.jsonl")).unwrap_or_default()
    }

    fn answers(&self) -> usize {
        self.journal().matches("\"ask.answered\"").count()
    }

    /// The address of a socket is short, the folder of a test may not be.
    fn connect(&self) -> Option<UnixStream> {
        let folder = File::open(self.office.env.run("r")).ok()?;
        let stream = UnixStream::connect(format!("/proc/self/fd/{}/socket", folder.as_raw_fd())).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Some(stream)
    }

    /// Says it and does not wait for what comes of it.
    fn hand_in(&self, value: &str, signed: &str) -> UnixStream {
        let word = json!({"step": "go", "value": value, "evidence": [], "signature": signed});
        let mut stream = self.connect().unwrap();
        stream.write_all(format!("{}\n", json!({"v": 1, "verb": {"answer": word}})).as_bytes()).unwrap();
        stream
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.driver.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    fn ends(mut self, code: i32) {
        self.office.env.write("go_on", "");
        let mut ended = None;
        self.office.env.until("the end of the driver", || {
            ended = self.driver.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended.unwrap().code(), Some(code), "{}", self.journal());
    }
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        let _gone = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

/// What comes back; nothing where the driver is gone.
fn reply(stream: UnixStream) -> Value {
    let mut lines = BufReader::new(stream).lines();
    let _greeting = lines.next();
    let line = lines.next().and_then(Result::ok).unwrap_or_default();
    serde_json::from_str(&line).map_or(Value::Null, |reply: Value| reply["said"].clone())
}

fn by(office: &Office, block: &str, who: &str) -> String {
    office.signed(block, &["--as", who, "--key", who])
}

#[test]
fn a_signed_word_is_taken_by_the_process_that_drives() {
    let Some(office) = office("exclude: [starter]") else { return };
    let run = Driven::start(&office, "quorum: 1");
    let signed = by(&office, &office.block("r", "go"), "bob");
    let other = signed.replace("run: r\n", "run: s\n");
    let refused = reply(run.hand_in("approve", &other));
    assert_eq!(refused["refused"]["code"], "bad-signature", "{refused}");
    assert_eq!(run.answers(), 0);
    std::fs::write(office.env.work("back"), &signed).unwrap();
    let said = office.env.consigne(&["answer", "r", "go", "approve", "--signature", "back"]).ends(0);
    assert!(said.stderr.contains("the run goes on where it is driven"), "{said}");
    run.until("what follows", || office.env.touched() == ["one"]);
    let again = reply(run.hand_in("approve", &signed));
    assert_eq!(again, json!({"taken": {"news": false}}));
    assert_eq!(run.answers(), 1);
    assert!(run.journal().contains(r#""actor":{"how":"ssh-key","who":"bob"}"#), "{}", run.journal());
    run.ends(0);
    office.verifies("r", 1);
}

#[test]
fn signed_words_that_come_at_once_are_each_taken_with_their_signature() {
    let Some(office) = office("exclude: [starter]") else { return };
    let run = Driven::start(&office, "quorum: 2");
    let block = office.block("r", "go");
    let (bobs, carols) = (by(&office, &block, "bob"), by(&office, &block, "carol"));
    // What is said while the driver stands still is there at once when it goes on.
    run.signal("-STOP");
    let words = [&bobs, &bobs, &carols, &carols].map(|signed| run.hand_in("approve", signed));
    run.signal("-CONT");
    let replies = words.map(reply);
    let news = replies.iter().filter(|said| said["taken"]["news"] == true).count();
    assert!(replies.iter().all(|said| said["taken"].is_object()) && news == 2, "{replies:?}");
    assert_eq!(run.answers(), 2, "one decision a person: {}", run.journal());
    run.ends(0);
    assert_eq!(office.env.touched(), ["one"]);
    office.verifies("r", 2);
}

#[test]
fn of_two_signed_words_that_contradict_each_other_the_first_counts() {
    let Some(office) = office("exclude: [starter]") else { return };
    let run = Driven::start(&office, "quorum: 1");
    let block = office.block("r", "go");
    let yes = by(&office, &block, "bob");
    let no = office.signed(&block, &["--as", "carol", "--key", "carol", "--reject"]);
    run.signal("-STOP");
    let words = [("approve", &yes), ("reject", &no)].map(|(value, signed)| run.hand_in(value, signed));
    run.signal("-CONT");
    let replies = words.map(reply);
    let taken = replies.iter().filter(|said| said["taken"]["news"] == true).count();
    let conflicts = replies.iter().filter(|said| said["refused"]["code"] == "conflict").count();
    assert_eq!((taken, conflicts), (1, 1), "{replies:?}");
    let approved = replies[0]["taken"]["news"] == true;
    run.ends(if approved { 0 } else { 1 });
    assert_eq!(office.env.touched().concat(), if approved { "one" } else { "" });
    office.verifies("r", 1);
}

#[test]
fn a_signed_word_that_was_confirmed_outlives_a_kill() {
    let Some(office) = office("exclude: [starter]") else { return };
    let mut run = Driven::start(&office, "quorum: 2");
    let block = office.block("r", "go");
    let first = reply(run.hand_in("approve", &by(&office, &block, "bob")));
    assert_eq!(first, json!({"taken": {"news": true}}));
    // And one that nobody waited for: either it is in the journal with its signature, or it can be said again.
    let late = run.hand_in("approve", &by(&office, &block, "carol"));
    run.driver.kill().unwrap();
    run.driver.wait().unwrap();
    drop(late);
    office.env.write("go_on", "");
    std::fs::write(office.env.work("back"), by(&office, &block, "carol")).unwrap();
    office.env.consigne(&["answer", "r", "go", "approve", "--signature", "back"]).ends(4).code.unwrap();
    office.env.consigne(&["resume", "r"]).ends(0).code.unwrap();
    assert_eq!(run.answers(), 2, "{}", run.journal());
    assert_eq!(office.env.touched(), ["one"]);
    office.verifies("r", 2);
}

#[test]
fn nothing_is_confirmed_that_could_not_be_kept() {
    let Some(office) = office("exclude: [starter]") else { return };
    let mut run = Driven::start(&office, "quorum: 1");
    let signed = by(&office, &office.block("r", "go"), "bob");
    // The driver cannot write the signature down, and so not the decision either.
    let folder = office.env.run("r").join("approvals");
    std::fs::write(&folder, "").unwrap();
    assert_eq!(reply(run.hand_in("approve", &signed)), Value::Null);
    assert_eq!(run.driver.wait().unwrap().code(), Some(74));
    assert_eq!(run.answers(), 0);
    std::fs::remove_file(folder).unwrap();
    office.env.write("go_on", "");
    std::fs::write(office.env.work("back"), &signed).unwrap();
    let said = office.env.consigne(&["answer", "r", "go", "approve", "--signature", "back"]).ends(4);
    assert!(said.stderr.contains("the answer is recorded"), "{said}");
    office.env.consigne(&["resume", "r"]).ends(0).code.unwrap();
    office.verifies("r", 1);
}
