//! At a terminal: a secret that is typed, and the menu of a failure.

use rexpect::session::{PtySession, spawn_command};

use super::canary::{ENV, TYPED};
use super::house::House;

const RUNBOOK: &str = r#"consigne: v1
id: typed
title: "Typed"
secrets:
  typed: {prompt: true}
  env: {env: PLANTED}
steps:
  - id: uses
    shell: |
      echo "out $T"; echo "err $T $A" >&2; printf '%s' "$T" | base64; sleep 0.2; exit 5
    env: {T: "{{ secrets.typed }}", A: "{{ secrets.env }}"}
    effect: read
"#;

/// A terminal, and everything that stood on it so far.
pub struct Screen {
    pty: PtySession,
    seen: String,
}

impl Screen {
    pub fn open(house: &House, args: &[&str]) -> Self {
        let mut command = house.command(args);
        command.env_remove("CONSIGNE_LOG").env("NO_COLOR", "1");
        Self { pty: spawn_command(command, Some(60_000)).unwrap(), seen: String::new() }
    }

    pub fn sees(&mut self, text: &str) {
        let before = self.pty.exp_string(text);
        self.seen +=
            &before.unwrap_or_else(|error| panic!("{text:?} does not appear: {error}\n{}", self.seen));
        self.seen += text;
    }

    /// The end of the input pauses the run.
    pub fn leave(&mut self) {
        self.pty.send("\u{4}").unwrap();
        self.pty.flush().unwrap();
    }

    pub fn ends(mut self) -> Vec<u8> {
        self.seen += &self.pty.exp_eof().unwrap();
        // The library takes each byte for a character.
        self.seen.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
    }
}

#[test]
fn a_typed_secret_is_not_echoed_and_reaches_nothing() {
    let house = House::new();
    house.write("typed.yaml", RUNBOOK);
    let mut screen = Screen::open(&house, &["run", "typed.yaml", "--run-id", "r"]);
    screen.sees("typed: ");
    screen.pty.send_line(TYPED).unwrap();
    screen.sees("out ***");
    screen.sees("uses (retry/by_hand/skip/end) > ");
    house.smell("while the menu is open");
    house.smell_command_lines();
    screen.leave();
    let seen = screen.ends();
    house.clean("the screen", &seen);
    let shown = String::from_utf8_lossy(&seen).into_owned();
    assert!(shown.contains("err *** ***"), "the menu shows what was printed: {shown}");

    let mut screen = Screen::open(&house, &["resume", "r"]);
    screen.sees("typed: ");
    screen.pty.send_line(TYPED).unwrap();
    screen.sees("uses (retry/by_hand/skip/end) > ");
    screen.leave();
    house.clean("the screen", &screen.ends());
    house.smell("after the run was paused twice");
    for args in [&["show", "r"][..], &["report", "r", "--open"], &["list"]] {
        house.say(args, 0);
    }
}

#[test]
fn a_short_typed_secret_is_refused_before_anything_happens() {
    let house = House::new();
    house.write(
        "typed.yaml",
        &RUNBOOK.replace("sleep 0.2", "echo > acted").replace("effect: read", "effect: write"),
    );
    let mut screen = Screen::open(&house, &["run", "typed.yaml", "--run-id", "r"]);
    screen.sees("typed: ");
    screen.pty.send_line("aBc1234").unwrap();
    let seen = String::from_utf8(screen.ends()).unwrap();
    assert!(seen.contains("shorter than 8 bytes") && !seen.contains("aBc1234"), "{seen}");
    assert!(!house.books().join("acted").exists() && !seen.contains(ENV));
}

#[test]
fn rule_20_an_input_of_class_secret_is_typed_and_reaches_nothing() {
    let house = House::new();
    house.write(
        "asked.yaml",
        r#"consigne: v1
id: asked
inputs:
  pass: {type: string, class: secret, title: "The pass"}
  name: {type: string}
defaults: {http: {base: "http://127.0.0.1:PORT", bearer: inputs.pass}}
steps:
  - id: sent
    http: {post: /json, json: {pass: "{{ inputs.pass }}", name: "{{ inputs.name }}"}}
    effect: read
    on_failure: continue
    allowed: true
    outputs: {head: ".body.head", heard: ".body.heard"}
  - id: given
    shell: 'printf "%s" "$PASS" | cmp - typed; echo "$PASS"'
    env: {PASS: "{{ inputs.pass }}"}
    effect: read
secrets: {env: {env: PLANTED}, command: {command: [sh, ./print-secret]}, file: {file: file-secret}}
"#,
    );
    house.write("typed", TYPED);
    house.say(&["check", "asked.yaml"], 0);
    for given in [&["--input", "pass=x"][..], &["--inputs", "given.yaml"]] {
        house.write("given.yaml", "pass: x\n");
        let args = [&["run", "asked.yaml", "--input", "name=n"], given].concat();
        let said = house.say(&args, 3);
        assert!(said.contains("input `pass` is a secret: it is typed when the run starts"), "{said}");
    }
    let said = house.say(&["run", "asked.yaml", "--input", "name=n", "--unattended"], 3);
    assert!(said.contains("is typed, and nobody is at a terminal"), "{said}");
    let mut screen = Screen::open(&house, &["run", "asked.yaml", "--input", "name=n", "--run-id", "r"]);
    screen.sees("pass: ");
    screen.pty.send_line(TYPED).unwrap();
    screen.sees("r: succeeded");
    house.clean("the screen", &screen.ends());
    house.smell("after the end");
    let values = std::fs::read_to_string(house.run("r/plan/values.json")).unwrap();
    assert!(values.contains("inputs.pass") && values.contains("\"n\""), "{values}");
    house.say(&["verify", "r"], 0);
}
