//! Inputs that are missing, asked at a terminal: each until it fits, and then the same in one line.

use std::process::Stdio;

use rexpect::session::{PtySession, spawn_command};

use crate::environment::TestEnvironment;

const ASKING: &str = r#"consigne: v1
id: asking
title: "Asking"
inputs:
  tenant_id: {type: string, pattern: "^[a-z]+$", title: {fr: "Le tenant", en: "The tenant"}}
  count: {type: integer, min: 1, max: 9}
  reason: {type: string, enum: [late, requested]}
  tags: {type: list, of: string}
  kept: {type: string, default: "as it is"}
steps:
  - id: do
    argv: ["sh", "-c", "echo \"$*\" >> @/touched", "-", "{{ inputs.tenant_id }}", "{{ inputs.count }}",
      "{{ inputs.reason }}", "{{ inputs.kept }}"]
    effect: write
"#;

/// A command at a terminal of its own.
struct Session(PtySession);

impl Session {
    fn of(env: &TestEnvironment, args: &[&str]) -> Self {
        let mut command = env.command_of("sh");
        command.args(["-c", "\"$0\" \"$@\"; echo exit: $?", env!("CARGO_BIN_EXE_consigne")]).args(args);
        command.env("TERM", "xterm").stdin(Stdio::inherit());
        Self(spawn_command(command, Some(60_000)).unwrap())
    }

    /// Waits for a text. The library that reads takes each byte for a character.
    fn sees(&mut self, text: &str) -> String {
        let bytes: String = text.bytes().map(char::from).collect();
        self.0.exp_string(&bytes).unwrap_or_else(|error| panic!("{text:?} does not appear: {error}"))
    }

    fn answers(&mut self, prompt: &str, line: &str) {
        self.sees(prompt);
        self.0.send_line(line).unwrap();
    }

    fn keys(&mut self, prompt: &str, keys: &str) {
        self.sees(prompt);
        self.0.send(keys).unwrap();
        self.0.flush().unwrap();
    }

    /// What it says up to its end, and its exit code.
    fn ends(mut self) -> (String, i32) {
        let rest = self.0.exp_eof().unwrap();
        let code = rest.rsplit_once("exit: ").and_then(|(_, code)| code.trim().parse().ok());
        let code = code.unwrap_or_else(|| panic!("no exit code: {rest}"));
        (rest, code)
    }
}

fn asking() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("asking.yaml", ASKING);
    env
}

#[test]
fn each_input_is_asked_until_it_fits_and_the_run_begins() {
    let env = asking();
    let args = ["drill", "asking", "--env", "plain", "--input", "count=many"];
    let mut s = Session::of(&env, &args);
    s.sees("runbook: asking.yaml");
    s.sees("The tenant: a text, matching ^[a-z]+$");
    s.answers("tenant_id > ", "ACME");
    s.sees("does not match");
    s.answers("tenant_id > ", "acme");
    s.sees("what was given cannot be taken: expected a whole number");
    s.answers("count > ", "12");
    s.sees("at most 9");
    s.answers("count > ", "3");
    s.sees("one of: late, requested");
    s.answers("reason > ", "");
    s.sees("a value is required");
    s.keys("reason > ", "req\t\r");
    s.answers("tags > ", "a b, c");
    s.sees("the same in one line:");
    let line = s.sees("journal head").replace(char::is_control, "\n");
    let line =
        line.lines().find(|line| line.contains("consigne drill")).unwrap_or_default().trim().to_owned();
    assert!(line.starts_with("consigne drill asking --env plain --input "), "{line}");
    assert!(!line.contains("many") && !line.contains("kept"), "{line}");
    let (rest, code) = s.ends();
    assert_eq!(code, 0, "{rest}");
    assert_eq!(env.touched(), ["acme 3 requested as it is"]);

    // The line does the same again, and asks nothing.
    let said = env.shell(&line).ends(0);
    assert!(!said.stderr.contains("the same in one line"), "{said}");
    assert_eq!(env.touched().len(), 2);
}

#[test]
fn whoever_leaves_the_form_has_started_nothing() {
    for (key, lang) in [("\u{3}", "en"), ("\u{4}", "fr")] {
        let env = asking();
        let mut s = Session::of(&env, &["drill", "asking.yaml", "--env", "plain", "--lang", lang]);
        s.sees(if lang == "fr" { "Il faut encore savoir" } else { "This has to be known first" });
        s.answers("tenant_id > ", "acme");
        s.keys("count > ", key);
        let (rest, code) = s.ends();
        assert_eq!(code, 3, "{rest}");
        assert!(rest.contains("nothing was started"), "{rest}");
        env.assert_nothing_happened();
    }
}

#[test]
fn nothing_is_asked_where_a_script_reads_or_a_name_is_wrong() {
    let env = asking();
    let drill = ["drill", "asking.yaml", "--env", "plain"];
    for more in [&["--json"][..], &["--unattended"], &["--input", "tennant_id=acme"]] {
        let (said, code) = Session::of(&env, &[&drill, more].concat()).ends();
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("input `tenant_id` is missing") && !said.contains(" > "), "{said}");
    }
    env.consigne(&drill).ends(3).code.unwrap();
    env.assert_nothing_happened();
}

/// A plan asks as a run does, and nothing is begun; for a script it asks nothing.
#[test]
fn a_plan_asks_for_what_is_missing_too() {
    let env = asking();
    let words = ["plan", "asking.yaml", "--lang", "en", "--input", "count=3", "--input", "reason=late"];
    let mut s = Session::of(&env, &words);
    s.answers("tenant_id > ", "acme");
    s.answers("tags > ", "[]");
    s.sees("the same in one line");
    s.sees("PLAN of asking");
    s.sees("tenant_id = \"acme\"");
    let (_, code) = s.ends();
    assert_eq!(code, 0);
    let said = env.consigne(&words).ends(3);
    assert!(said.stdout.is_empty() && said.stderr.contains("tenant_id"), "{said}");
    env.assert_nothing_happened();
}
