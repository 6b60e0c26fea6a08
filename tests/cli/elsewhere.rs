//! Two pairs of eyes without a server: the run has one home, whoever decides has another or none, and nothing but
//! files and pasted text goes between them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::environment::{Said, TestEnvironment, bytes_below};

/// Where the run is. Its user is `me`, who starts it; the others have keys and are somewhere else.
pub struct Office {
    pub env: TestEnvironment,
    /// The machine of everybody else: no home of consigne, only keys.
    pub away: TestEnvironment,
}

/// None, said on the screen, where OpenSSH is not installed.
pub fn office(gate: &str) -> Option<Office> {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        crate::environment::not_run("there is no ssh-keygen");
        return None;
    }
    let this = Office { env: TestEnvironment::new(), away: TestEnvironment::new() };
    for name in ["me", "bob", "carol", "dave"] {
        let made =
            this.away.command_of("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", name]).status();
        assert!(made.unwrap().success());
    }
    let user = String::from_utf8(this.env.command_of("id").arg("-un").output().unwrap().stdout).unwrap();
    let people = format!(
        "identity: ssh-key\npeople:\n  me: {{os_user: \"{}\", ssh: me@example.com}}\n  bob: {{ssh: bob@example.com}}\n  \
         carol: {{ssh: carol@example.com}}\n  erin: {{}}\nroles:\n  lead: [me, bob, carol, erin]\n",
        user.trim()
    );
    std::fs::write(this.env.work("environments/real.yaml"), people).unwrap();
    let book = format!(
        "consigne: v1\nid: own\ntitle: {{en: Own}}\nsteps:\n  - id: go\n    approve: {{roles: [lead], {gate}}}\n    \
         message: \"Really?\\n\\n> is it\"\n  - id: one\n    shell: |\n      echo one >> @/touched\n    effect: write\n  \
         - id: sure\n    confirm: {{}}\n    message: \"And now?\"\n"
    );
    this.env.write("own.yaml", &book);
    this.env.consigne(&["keys", "init", "--org", "acme.example"]).ends(0).code.unwrap();
    for name in ["me", "bob", "carol"] {
        let key = this.away.work(&format!("{name}.pub"));
        let args =
            ["keys", "enrol", &format!("{name}@example.com"), key.to_str().unwrap(), "--runbook", "own"];
        this.env.consigne(&args).ends(0).code.unwrap();
    }
    Some(this)
}

impl Office {
    fn start(&self, run: &str) -> Said {
        self.env.consigne(&["run", "own.yaml", "--env", "real", "--run-id", run]).ends(4)
    }

    /// Exactly what `show --block` prints.
    pub fn block(&self, run: &str, step: &str) -> String {
        let output = self.env.command(&["show", run, "--block", step]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `consigne sign` on the other machine, where nothing but the key and the pasted text is.
    fn sign(&self, pasted: &str, args: &[&str]) -> Output {
        let mut command = self.away.command(&[&["sign", "--yes"], args].concat());
        command.env_remove("CONSIGNE_HOME").env_remove("HOME");
        fed(&mut command, pasted)
    }

    pub fn signed(&self, pasted: &str, args: &[&str]) -> String {
        let output = self.sign(pasted, args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Plain `ssh-keygen -Y sign` of a file there; the signature lies beside it.
    fn keygen(&self, text: &str, namespace: &str, key: &str) -> PathBuf {
        let _none_yet = std::fs::remove_file(self.away.work("go.txt.sig"));
        std::fs::write(self.away.work("go.txt"), text).unwrap();
        let args = ["-q", "-Y", "sign", "-n", namespace, "-f", key, "go.txt"];
        assert!(self.away.command_of("ssh-keygen").args(args).status().unwrap().success());
        self.away.work("go.txt.sig")
    }

    /// Somebody at the office hands in what came back.
    fn hand_in(&self, place: [&str; 3], signed: &str) -> Said {
        std::fs::write(self.env.work("back"), signed).unwrap();
        self.answer(place, Path::new("back"))
    }

    fn answer(&self, [run, step, value]: [&str; 3], file: &Path) -> Said {
        self.env.consigne(&["answer", run, step, value, "--signature", file.to_str().unwrap()])
    }

    /// The last word is the starter's, under his own key.
    pub fn confirm(&self, run: &str) {
        let key = self.away.work("me");
        let args = ["answer", run, "sure", "yes", "--key", key.to_str().unwrap(), "--resume"];
        self.env.consigne(&args).ends(0).code.unwrap();
    }

    /// Both verifiers find that people signed themselves.
    pub fn verifies(&self, run: &str, approvals: usize) {
        let said = self.env.consigne(&["verify", run]).ends(0);
        assert!(said.stdout.contains("AUTHORISATION personal"), "{said}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.sh");
        if self.env.command_of("jq").arg("--version").output().is_err() {
            crate::environment::not_run("docs/verify.sh, there is no jq");
            return;
        }
        let mut bash = self.env.command_of("bash");
        let output =
            bash.arg(script).arg(self.env.run(run)).arg(self.env.path("consigne/trust")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains(&format!("{approvals} approvals checked, 0 withheld")), "{said}");
    }
}

fn fed(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who refuses before it has read everything closes the pipe.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}  \r\n")).collect()
}

pub const NAMESPACE: &str = "approve.live.own.go@acme.example";

#[test]
fn an_approval_that_went_through_a_chat() {
    let Some(office) = office("exclude: [starter]") else { return };
    let parked = office.start("r");
    assert!(
        parked.stderr.contains("-----BEGIN CONSIGNE APPROVAL-----\nconsigne-approval: v1\nrun: r\n"),
        "{parked}"
    );
    assert!(parked.stderr.contains(&format!("ssh-keygen -Y sign -n {NAMESPACE} -f KEY go.txt")), "{parked}");
    assert!(
        parked.stderr.contains("who: ? (bob, carol)\n"),
        "the starter is out, and erin has no key: {parked}"
    );
    let block = office.block("r", "go");
    assert!(block.lines().all(|line| !line.ends_with(' ')), "{block}");
    let chat = format!("[09:12] me: please?\r\n{}[09:13] bob: looking\r\n", quoted(&block));
    let signed = office.signed(&chat, &["--as", "bob", "--key", "bob", "--comment", "fine with me"]);
    let mut command = office.env.command(&["answer", "r", "go", "approve", "--signature", "-", "--resume"]);
    let output = fed(&mut command, &format!("bob wrote:\n{}", quoted(&signed)));
    assert_eq!(output.status.code(), Some(4), "the confirmation is open: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("go: bob approve") && said.contains("me: handed in the decision that bob signed"),
        "{said}"
    );
    office.confirm("r");
    assert_eq!(office.env.touched(), ["one"]);
    office.verifies("r", 2);
    let report = office.env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(report.stdout.contains("fine with me"), "{report}");
    let journal = std::fs::read_to_string(office.env.run("r").join("events.jsonl")).unwrap();
    let answered = journal.lines().find(|line| line.contains("ask.answered")).unwrap();
    assert!(answered.contains(r#""actor":{"how":"ssh-key","who":"bob"}"#), "{answered}");
}

#[test]
fn a_rejection_that_was_signed_elsewhere() {
    let Some(office) = office("exclude: [starter]") else { return };
    office.start("r").code.unwrap();
    let signed = office
        .signed(&office.block("r", "go"), &["--as", "bob", "--key", "bob", "--reject", "--comment", "no"]);
    let said = office.hand_in(["r", "go", "approve"], &signed).ends(2);
    assert!(said.stderr.contains("the text says `reject`, and the command `approve`"), "{said}");
    office.hand_in(["r", "go", "reject"], &signed).ends(4).code.unwrap();
    let said = office.hand_in(["r", "go", "reject"], &signed).ends(4);
    assert!(said.stderr.contains("that was said before"), "{said}");
    let late = office.signed(&office.block_of_bob("r", &signed), &["--as", "carol", "--key", "carol"]);
    let said = office.hand_in(["r", "go", "approve"], &late).ends(2);
    assert!(said.stderr.contains("bob said \"reject\""), "the first answer is named: {said}");
    office.env.consigne(&["resume", "r"]).ends(1).code.unwrap();
    assert_eq!(office.env.touched(), [""; 0]);
    office.verifies("r", 1);
}

impl Office {
    /// The block that bob had before he signed: the question is closed, and nobody prints it any more.
    fn block_of_bob(&self, run: &str, signed: &str) -> String {
        let closed = self.env.consigne(&["show", run, "--block", "go"]).ends(2);
        assert!(closed.stderr.contains("any more"), "{closed}");
        let text = signed.replace("decision: reject\ncomment: no\n", "decision: approve\n");
        text.split("-----BEGIN").next().unwrap().to_owned()
    }
}

#[test]
fn a_quorum_of_two_by_stock_tools_and_by_an_agent() {
    let Some(office) = office("exclude: [starter], quorum: 2") else { return };
    office.start("r").code.unwrap();
    let block = office.block("r", "go");
    let bobs = office.keygen(&block.replace("? (bob, carol)", "bob"), NAMESPACE, "bob");
    office.answer(["r", "go", "approve"], &bobs).ends(4).code.unwrap();
    let said = office.answer(["r", "go", "approve"], &bobs).ends(4);
    assert!(said.stderr.contains("that was said before"), "one decision per person: {said}");
    office.env.consigne(&["resume", "r"]).ends(4).code.unwrap();
    assert_eq!(office.env.touched(), [""; 0], "one of two");
    let rest = office.block("r", "go");
    assert!(rest.contains("who: carol\n"), "{rest}");

    let carols = match agent(&office, "carol") {
        Some((_agent, socket)) => {
            let mut command = office.away.command(&["sign", "--yes", "--key", "carol.pub", "-o", "out"]);
            let output = fed(command.env_remove("CONSIGNE_HOME").env("SSH_AUTH_SOCK", socket), &rest);
            assert!(output.status.success(), "{output:?}");
            std::fs::read_to_string(office.away.work("out")).unwrap()
        }
        None => office.signed(&rest, &["--key", "carol"]),
    };
    office.hand_in(["r", "go", "approve"], &carols).ends(4).code.unwrap();
    office.env.consigne(&["resume", "r"]).ends(4).code.unwrap();
    office.confirm("r");
    assert_eq!(office.env.touched(), ["one"]);
    office.verifies("r", 3);
}

/// An agent that alone holds a key, and its socket. None, said on the screen, where there is none.
fn agent(office: &Office, key: &str) -> Option<(Agent, PathBuf)> {
    let socket = office.away.path("agent");
    let started =
        office.away.command_of("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let Ok(agent) = started.map(Agent) else {
        crate::environment::not_run("there is no ssh-agent");
        return None;
    };
    office.away.until("the agent listens", || socket.exists());
    let mut add = office.away.command_of("ssh-add");
    let added = add.args(["-q", key]).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    assert!(added.success());
    std::fs::remove_file(office.away.work(key)).unwrap();
    Some((agent, socket))
}

struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn signatures_that_do_not_count_change_nothing() {
    let Some(office) = office("exclude: [starter]") else { return };
    office.start("r").code.unwrap();
    office.start("other").code.unwrap();
    let block = office.block("r", "go");
    let before = bytes_below(&office.env.run("r"));
    let refused = |signed: &str, why: &str, hint: &str| {
        let said = office.hand_in(["r", "go", "approve"], signed).ends(2);
        assert!(
            said.stderr.contains(why) && said.stderr.contains(hint),
            "expected {why:?}, {hint:?}: {said}"
        );
        assert_eq!(bytes_below(&office.env.run("r")), before, "{why}");
    };
    let by_bob = |text: &str| office.signed(text, &["--as", "bob", "--key", "bob"]);
    let good = by_bob(&block);

    refused(&by_bob(&office.block("other", "go")), "line 2 of the text is `run: other`", "another run");
    refused(&by_bob(&block.replace("mode: live", "mode: drill")), "`mode: drill`", "never counts for a live");
    refused(&by_bob(&block.replace("org: acme", "org: acne")), "org: acne", "another organisation");
    refused(&by_bob(&block.replace("step: go", "step: sure")), "step: sure", "another step");
    refused(&by_bob(&block.replace("ask: 1", "ask: 2")), "ask: 2", "asked anew");
    refused(&by_bob(&block.replace("head: 1", "head: 2")), "head: 2", "asked anew");
    refused(&by_bob(&block.replace("echo one", "echo 1")), "echo 1 >>", "the text was edited");
    refused(&good.replace("echo one", "echo 1"), "echo 1 >>", "the text was edited");
    refused(&good.replace("who: bob", "who: carol"), "does not match the text", "exactly the text");
    refused(
        &office.signed(&block, &["--as", "bob", "--key", "carol"]),
        "carol@example.com's, expected bob@",
        "own key",
    );
    refused(
        &office.signed(&block, &["--as", "bob", "--key", "dave"]),
        "not in allowed_signers",
        "keys enrol bob@",
    );
    refused(
        &office.signed(&block, &["--as", "erin", "--key", "dave"]),
        "with which SSH key erin signs",
        "ssh: erin@",
    );
    refused(&office.signed(&block, &["--as", "me", "--key", "me"]), "me started the run", "");
    refused(&good.replace("-----END SSH", "-----"), "has no end", "");
    refused(good.split("-----BEGIN").next().unwrap(), "no signature under it", "ssh-keygen -Y sign");
    refused("good morning", "neither the text", "");

    let files = |path: PathBuf, why: &str, hint: &str| {
        let said = office.answer(["r", "go", "approve"], &path).ends(2);
        assert!(
            said.stderr.contains(why) && said.stderr.contains(hint),
            "expected {why:?}, {hint:?}: {said}"
        );
    };
    let bobs = block.replace("? (bob, carol)", "bob");
    files(office.keygen(&block, NAMESPACE, "bob"), "the text names nobody", "--as NAME");
    files(office.keygen(bobs.trim_end(), NAMESPACE, "bob"), "does not match the text", "last line feed");
    files(office.keygen(&bobs, "file", "bob"), "signed in namespace", &format!("-n {NAMESPACE}"));
    let said = office.hand_in(["r", "one", "approve"], &good).ends(2);
    assert!(said.stderr.contains("nothing is asked about `one`"), "{said}");
    assert_eq!(bytes_below(&office.env.run("r")), before);
    office.hand_in(["r", "go", "approve"], &good).ends(4).code.unwrap();
    office.env.consigne(&["resume", "r"]).ends(4).code.unwrap();
    let said = office.hand_in(["r", "sure", "yes"], &good).ends(2);
    assert!(said.stderr.contains("step: go") && said.stderr.contains("another step"), "replayed: {said}");
}

#[test]
fn a_signature_without_its_text_stands_for_what_the_command_says() {
    let Some(office) = office("exclude: [starter]") else { return };
    office.start("r").code.unwrap();
    let block = office.block("r", "go");
    let signed = office.signed(&block, &["--as", "bob", "--key", "bob", "--comment", "go on"]);
    let armor = &signed[signed.find("-----BEGIN").unwrap()..];
    let said = office.hand_in(["r", "go", "approve"], armor).ends(2);
    assert!(said.stderr.contains("does not match the text"), "its comment is not the signed one: {said}");
    let args = ["answer", "r", "go", "approve", "--comment", "go on", "--signature", "back"];
    office.env.consigne(&args).ends(4).code.unwrap();
    let strange = office.signed(&block, &["--as", "carol", "--key", "dave"]);
    let said =
        office.hand_in(["r", "go", "approve"], &strange[strange.find("-----BEGIN").unwrap()..]).ends(2);
    assert!(said.stderr.contains("nobody in this run signs with the key"), "{said}");
}

#[test]
fn what_has_expired_is_neither_signed_nor_taken() {
    let Some(office) = office("exclude: [starter], timeout: 1s") else { return };
    office.start("r").code.unwrap();
    let block = office.block("r", "go");
    let mut last = String::new();
    office.env.until("it expires", || {
        let output = office.sign(&block, &["--as", "bob", "--key", "bob"]);
        last = String::from_utf8(output.stderr).unwrap();
        !output.status.success()
    });
    assert!(last.contains("this expired at"), "{last}");
    let late = office.keygen(&block.replace("? (bob, carol)", "bob"), NAMESPACE, "bob");
    let said = office.answer(["r", "go", "approve"], &late).ends(2);
    assert!(said.stderr.contains("the text expired at"), "{said}");
    office.env.consigne(&["resume", "r"]).ends(1).code.unwrap();
    assert_eq!(office.env.touched(), [""; 0]);
}

#[test]
fn a_crash_after_the_decision_loses_no_signature() {
    let Some(office) = office("exclude: [starter]") else { return };
    office.start("r").code.unwrap();
    let run = office.env.run("r");
    let signed = office.signed(&office.block("r", "go"), &["--as", "bob", "--key", "bob"]);
    // Where the signature cannot be kept, there is no decision either.
    std::fs::write(run.join("approvals"), "").unwrap();
    office.hand_in(["r", "go", "approve"], &signed).ends(74).code.unwrap();
    let log = || std::fs::read_to_string(run.join("wal.jsonl")).unwrap();
    assert!(!log().contains("ask.answered"));
    std::fs::remove_file(run.join("approvals")).unwrap();
    office.hand_in(["r", "go", "approve"], &signed).ends(4).code.unwrap();
    // As if the process had died right after the decision was on disk.
    let kept: Vec<String> = log().lines().map(str::to_owned).collect();
    let lines = kept.iter().position(|line| line.contains("ask.answered")).unwrap() + 1;
    assert!(lines < kept.len(), "the signature is filed after the decision");
    std::fs::write(run.join("wal.jsonl"), kept[..lines].join("\n") + "\n").unwrap();
    for public in ["events.jsonl", "disclosures.jsonl"] {
        std::fs::remove_file(run.join(public)).unwrap();
    }
    for entry in std::fs::read_dir(run.join("heads")).unwrap() {
        let path = entry.unwrap().path();
        let size: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        if size > lines {
            std::fs::remove_file(path).unwrap();
        }
    }
    office.env.consigne(&["resume", "r"]).ends(4).code.unwrap();
    office.confirm("r");
    office.verifies("r", 2);
}

#[test]
fn a_key_signs_at_the_prompt_where_only_keys_count() {
    let Some(office) = office("exclude: []") else { return };
    for (key, run) in [("bob", "wrong"), ("me", "r")] {
        let key = office.away.work(key);
        let args = ["run", "own.yaml", "--env", "real", "--run-id", run, "--key", key.to_str().unwrap()];
        let mut command = office.env.command(&args);
        // The terminal is this one's, not the null device.
        command.stdin(Stdio::inherit());
        let mut terminal = rexpect::session::spawn_command(command, Some(60_000)).unwrap();
        terminal.exp_string("?? shows what somebody can sign elsewhere").unwrap();
        terminal.exp_string("go (approve/reject) > ").unwrap();
        if run == "wrong" {
            terminal.send_line("??").unwrap();
            terminal.exp_string("-----END CONSIGNE APPROVAL-----").unwrap();
            terminal.send_line("approve").unwrap();
            terminal.exp_string("comment").unwrap();
            terminal.send_line("").unwrap();
            terminal.exp_string("the key is bob@example.com's, expected me@example.com").unwrap();
            terminal.send_control('c').unwrap();
        } else {
            terminal.send_line("approve").unwrap();
            terminal.exp_string("comment").unwrap();
            terminal.send_line("by key").unwrap();
            terminal.exp_string("sure (yes/no) > ").unwrap();
            terminal.send_line("yes").unwrap();
            terminal.exp_string("comment").unwrap();
            terminal.send_line("").unwrap();
        }
        terminal.exp_eof().unwrap();
    }
    office.verifies("r", 2);
    let said = office.env.consigne(&["answer", "wrong", "go", "approve"]).ends(2);
    assert!(said.stderr.contains("signed by an SSH key only"), "{said}");
    let key = office.away.work("me");
    let args = ["answer", "wrong", "go", "approve", "--key", key.to_str().unwrap(), "--resume"];
    office.env.consigne(&args).ends(4).code.unwrap();
    assert_eq!(office.env.touched(), ["one", "one"]);
}

#[test]
fn keys_that_are_enrolled_and_keys_that_are_not() {
    let Some(office) = office("exclude: []") else { return };
    let key = |name: &str| office.away.work(name).display().to_string();
    let refused = |name: &str, file: &str, why: &str| {
        let said = office.env.consigne(&["keys", "enrol", name, &key(file)]).ends(2);
        assert!(said.stderr.contains(why), "expected {why:?}: {said}");
    };
    refused("bob@example.com", "bob", "is a private key");
    refused("dave@example.com", "bob.pub", "the key is bob@example.com's");
    refused("*@example.com", "dave.pub", "is no principal");
    refused("dave@example.com", "gone.pub", "cannot read");
    let said = office
        .env
        .consigne(&["keys", "enrol", "bob@example.com", &key("bob.pub"), "--runbook", "own"])
        .ends(2);
    assert!(said.stderr.contains("already, in line"), "{said}");
    let said = office.env.consigne(&["keys", "enrol", "dave@example.com", &key("dave.pub")]).ends(0);
    assert!(said.stderr.contains("dave@example.com may sign approve.*@acme.example"), "{said}");
    let said = office.env.consigne(&["keys", "list"]).ends(0);
    for line in ["executor@", "approve.*.own.*@acme.example", "approve.*@acme.example"] {
        assert!(said.stdout.contains(line) && !said.stderr.contains("warning"), "{said}");
    }
    let listed = office.env.consigne(&["keys", "list", "--json"]).ends(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 5);
    assert_eq!(listed[4]["principals"], "dave@example.com");
}
