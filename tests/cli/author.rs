//! The author's tools from outside: a first runbook that is drilled at once, Markdown, paper, the manual.

use std::path::Path;

use crate::environment::{Ear, TestEnvironment, bytes_below, shows};

/// A folder without any environment.
fn bare() -> TestEnvironment {
    let env = TestEnvironment::new();
    std::fs::remove_dir_all(env.work("environments")).unwrap();
    env
}

fn first(lang: &str) {
    let env = bare();
    let new = env.consigne(&["new", "my-first", "--lang", lang]).ends(0);
    let check = env.consigne(&["check", "my-first.yaml", "--env", "practice"]).ends(0);
    assert!(check.stderr.ends_with(": ok, 4 steps\n"), "{check}");
    let drill =
        ["drill", "my-first.yaml", "--answers", "my-first.answers.yaml", "--run-id", "r", "--lang", lang];
    let drill = env.consigne(&drill).ends(0);
    let verified = if lang == "fr" { "dossier vérifié" } else { "record verified" };
    assert!(drill.stderr.contains(verified), "{drill}");
    let verify = env.consigne(&["verify", "r", "--as", "drill"]).ends(0);
    let notice = std::fs::read_to_string(env.work("my-first.notice.txt")).unwrap();
    assert!(notice.starts_with("Maintenance"), "{notice}");
    assert!(verify.stdout.contains("VERIFIED") || verify.stderr.contains("VERIFIED"), "{verify}");
    if lang == "en" {
        let again = env.consigne(&["new", "my-first"]).ends(2);
        let bad = env.consigne(&["new", "Ma Première"]).ends(2);
        shows!([new, again, bad]);
    }
}

#[test]
fn a_first_runbook_is_drilled_at_once() {
    first("en");
}

#[test]
fn the_same_in_french() {
    first("fr");
}

#[test]
fn no_file_is_overwritten_and_none_is_half_written() {
    let env = bare();
    env.write("mine.answers.yaml", "go: no\n");
    let before = bytes_below(&env.work(""));
    let refused = env.consigne(&["new", "mine"]).ends(2);
    assert!(refused.stderr.contains("mine.answers.yaml is there already"), "{refused}");
    assert_eq!(bytes_below(&env.work("")), before);
}

#[test]
fn a_practice_environment_that_is_there_is_used() {
    let env = TestEnvironment::new();
    std::fs::create_dir(env.work("runbooks")).unwrap();
    let new = env.consigne(&["new", "other", "--title", "A: \"b\" {{ c }}"]).ends(0);
    assert!(new.stderr.contains("drills use the environment [DIR]/work/environments/practice.yaml"), "{new}");
    assert!(!env.work("runbooks/environments").exists());
    env.consigne(&["check", "runbooks/other.yaml"]).ends(0).code.unwrap();
}

#[test]
fn a_procedure_in_markdown_becomes_a_runbook_and_is_not_executed() {
    let env = bare();
    env.write("restart.md", include_str!("restart.md"));
    env.write("do.md", "1. Touch\n   ```bash\n   echo x >> @/touched\n   ```\n   `touch @/touched`\n");
    let all = [
        env.consigne(&["new", "--from", "restart.md"]).ends(0),
        env.consigne(&["check", "restart.yaml"]).ends(0),
        env.consigne(&["new", "--from", "restart.md", "--section", "redémarrage", "--dir", "part"]).ends(0),
        env.consigne(&["new", "--from", "restart.md", "--section", "nowhere", "x"]).ends(2),
        env.consigne(&["new", "--from", "restart.md"]).ends(2),
        env.consigne(&["new", "--from", "missing.md"]).ends(2),
        env.consigne(&["new", "--from", "do.md"]).ends(0),
    ];
    env.write("yes.answers.yaml", "touch: yes\n");
    env.consigne(&["drill", "do.yaml", "--answers", "yes.answers.yaml"]).ends(0).code.unwrap();
    assert_eq!(env.touched(), [""; 0], "a command of the Markdown was executed");
    shows!(all);
}

#[test]
fn paper_starts_nothing_and_writes_one_file() {
    let env = TestEnvironment::new();
    let ear = Ear::open();
    let address = ear.address();
    env.write(
        "web.yaml",
        &format!("consigne: v1\nid: web\nvars: {{api: \"http://{address}\"}}\ndefaults: {{http: {{base: \"{{{{ vars.api }}}}\"}}}}\nsecrets: {{s: {{command: [\"sh\", \"-c\", \"echo secret >> @/touched\"]}}}}\ninputs: {{name: {{type: string, pattern: \"^[a-z]+$\"}}}}\nsteps:\n  - {{id: look, http: {{get: \"/x/{{{{ inputs.name }}}}\", bearer: s}}}}\n  - {{id: act, shell: \"echo act >> @/touched\", effect: write}}\n"),
    );
    let shown = env.consigne(&["print", "web.yaml", "--env", "practice", "--input", "name=abc"]).ends(0);
    assert!(shown.stdout.contains("/x/abc") && shown.stdout.contains("<secret s>"), "{shown}");
    let before = bytes_below(&env.path(""));
    let to_file = ["print", "web.yaml", "--env", "practice", "--input", "name=abc", "-o", "web.md"];
    env.consigne(&to_file).ends(0).code.unwrap();
    let raw = std::fs::read_to_string(env.work("web.md")).unwrap();
    assert_eq!(
        raw.replace(&address.to_string(), "127.0.0.1:[PORT]")
            .replace(&env.path("").display().to_string(), "[DIR]/"),
        shown.stdout
    );
    std::fs::remove_file(env.work("web.md")).unwrap();
    assert_eq!(bytes_below(&env.path("")), before, "one file was written");
    ear.assert_silence();
    env.assert_nothing_happened();
    assert!(!env.path("consigne").exists());
}

#[test]
fn paper_of_nonsense_is_refused() {
    let env = TestEnvironment::new();
    env.write("bad.yaml", "consigne: v1\nid: bad\nsteps:\n  - {id: a, shel: \"true\"}\n");
    let all = [
        env.consigne(&["print", "bad.yaml"]).ends(3),
        env.consigne(&["print", "missing.yaml"]).ends(3),
        env.consigne(&["print", "small.yaml", "--env", "nowhere"]).ends(3),
        env.consigne(&["print", "small.yaml", "--input", "name=UPPER"]).ends(3),
        env.consigne(&["print", "small.yaml", "--input", "nam=x"]).ends(2),
        env.consigne(&["print", "small.yaml", "-o", "no/such/folder.md"]).ends(2),
    ];
    shows!(all);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let env = TestEnvironment::new();
    let main = env.consigne(&["man"]).ends(0);
    assert!(main.stdout.contains(".TH consigne 1") && main.stdout.contains("Exit codes"), "{main}");
    env.consigne(&["man", "--dir", "pages"]).ends(0).code.unwrap();
    let help = env.consigne(&["--help"]).ends(0).stdout;
    let verbs =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 10, "{help}");
    for verb in verbs {
        let page = env.work(&format!("pages/consigne-{verb}.1"));
        assert!(page.is_file(), "no page for {verb}");
    }
    render(&env.work("pages/consigne.1"));
}

/// The page as roff reads it.
fn render(page: &Path) {
    match std::process::Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(page).output() {
        Ok(output) => {
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && complaints.is_empty(), "{complaints}");
        }
        Err(_) => {
            crate::environment::not_run("groff is not installed");
        }
    }
}

#[test]
fn no_text_of_a_runbook_drives_the_terminal() {
    let env = TestEnvironment::new();
    let text = r#"{consigne: v1, id: evil, title: "a\e[2Jb\a", description: "c\e]0;d", steps: [{id: m, effect: read,
        title: "e\u202ef", manual: {}, message: "g\e[31m"}]}"#;
    std::fs::create_dir(env.work("runbooks")).unwrap();
    env.write("runbooks/evil.yaml", text);
    for args in [
        &["print", "evil"][..],
        &["plan", "evil"],
        &["graph", "evil"],
        &["graph", "evil", "--mermaid"],
        &["runbooks", "evil"],
        &["run", "evil", "--run-id", "r", "--unattended"],
        &["list"],
        &["show", "r"],
        &["report", "r"],
        &[],
        &["answer", "r", "m\u{1b}[2J", "done\u{7}"],
    ] {
        let output = env.command(args).output().unwrap();
        let all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let drives = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!all.is_empty() && !all.contains(drives), "{args:?}: {all:?}");
    }
}
