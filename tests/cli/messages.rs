//! Messages as a team meets them: what reaches whom, what is bound, what is frozen, and what a failure means.

use std::process::Command;

use crate::environment::{TestEnvironment, not_run};

/// A practice environment whose contacts are lines of a file.
const ENVIRONMENT: &str = r#"role_play: true
people:
  bob: {command: ["bash", "-c", "echo \"bob: $CONSIGNE_SUBJECT\" >> @/told"]}
  carol: {lang: fr, command: ["bash", "-c", "echo \"carol: $CONSIGNE_SUBJECT\" >> @/told; cat >> @/told"]}
roles:
  ops: [bob]
  duty: [carol, bob]
contacts:
  deaf: {command: ["false"]}
  wall: {command: ["bash", "-c", "echo \"wall: $CONSIGNE_SUBJECT\" >> @/told; cat >> @/told"]}
"#;

fn told(env: &TestEnvironment) -> String {
    std::fs::read_to_string(env.work("told")).unwrap_or_default()
}

fn world(runbook: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/plain.yaml", ENVIRONMENT);
    env.write("r.yaml", runbook);
    env
}

const DRILL: [&str; 6] = ["drill", "r.yaml", "--env", "plain", "--run-id", "r"];

#[test]
fn rule_08_a_message_that_reaches_nobody_stops_nothing_and_stands_in_the_report() {
    let runbook = r#"consigne: v1
id: careful
steps:
  - {id: tell, notify: {to: [deaf], subject: "Begun", text: "Now."}}
  - {id: one, shell: "echo one >> @/touched", effect: write}
  - {id: rescue, run_on: failure, shell: "echo rescue >> @/touched", effect: write}
  - {id: after, when: steps.tell.outcome == "failed", shell: "echo after >> @/touched", effect: write}
"#;
    let env = world(runbook);
    let said = env.consigne(&DRILL).ends(0);
    assert!(said.stderr.contains("tell: failed (unreached)"), "{said}");
    assert_eq!(env.touched(), ["one", "after"]);
    let report = env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(report.stdout.contains("deaf: program false: it ended with 1"), "{report}");
    env.consigne(&["verify", "r"]).ends(0).code.unwrap();
    for stricter in ["on_failure: stop", "allowed: false"] {
        let strict = runbook.replace("text: \"Now.\"}}", &format!("text: \"Now.\"}}, {stricter}}}"));
        let env = world(&strict);
        env.consigne(&DRILL).ends(1).code.unwrap();
    }
}

#[test]
fn rule_04_whoever_a_question_is_passed_on_to_is_told_once() {
    let env = world(
        r#"consigne: v1
id: patient
steps:
  - id: go
    title: "The gate"
    approve: {roles: [ops], timeout: 2s, on_timeout: escalate, escalate_to: [duty], notify: true}
    message: "Really, {{ run.id }}?"
  - {id: one, shell: "echo one >> @/touched", effect: write}
"#,
    );
    env.consigne(&DRILL).ends(4).code.unwrap();
    assert_eq!(told(&env), "bob: [drill] Approval wanted: patient, go\n");
    env.until("it is passed on", || {
        env.consigne(&["resume", "r"]).code.unwrap();
        told(&env).contains("carol")
    });
    env.consigne(&["resume", "r"]).code.unwrap();
    let told = told(&env);
    assert_eq!(told.matches("bob: [drill] Approval wanted").count(), 1, "{told}");
    assert_eq!(told.matches("carol: [exercice] Restée sans réponse : patient, go\n").count(), 1, "{told}");
    assert_eq!(told.matches("bob: [drill] Nobody answered: patient, go\n").count(), 1, "{told}");
    assert!(told.contains("The gate\nReally, r?\n"), "{told}");
    let report = env.consigne(&["report", "r", "--open"]).ends(0);
    assert!(report.stdout.contains("told those to whom it was passed on about 'go'"), "{report}");
    assert_eq!(env.touched(), [""; 0]);
}

#[test]
fn rule_24_contacts_and_templates_are_those_of_the_start() {
    let env = world(
        r#"consigne: v1
id: frozen
steps:
  - {id: go, confirm: {}, message: "Go on?"}
  - {id: tell, notify: {to: [wall], template: news}}
"#,
    );
    std::fs::create_dir(env.work("templates")).unwrap();
    env.write("templates/news.en.txt", "Subject: Old of {{ run.runbook }}\n\nOld text\n");
    env.consigne(&DRILL).ends(4).code.unwrap();
    env.write("templates/news.en.txt", "Subject: New\n\nNew text\n");
    env.write("environments/plain.yaml", &ENVIRONMENT.replace("wall:", "mural:"));
    env.consigne(&["answer", "r", "go", "yes", "--resume"]).ends(0).code.unwrap();
    assert_eq!(told(&env), "wall: [drill] Old of frozen\nOld text");
}

#[test]
fn rule_03_recipients_and_text_are_part_of_what_is_approved() {
    let env = world(
        r#"consigne: v1
id: bound
inputs: {name: {type: string, default: "acme"}}
steps:
  - {id: look, shell: "echo '{\"n\": 3}'", effect: read, outputs: {n: ".json.n"}}
  - {id: go, approve: {roles: [ops]}, message: "Go on?"}
  - {id: count, shell: "echo '{\"n\": 4}'", effect: read, outputs: {n: ".json.n"}}
  - id: tell
    notify:
      to: [wall, duty]
      subject: "About {{ inputs.name }}: {{ steps.look.n }}"
      text: "It was {{ steps.count.n }}."
"#,
    );
    env.consigne(&DRILL).ends(4).code.unwrap();
    env.consigne(&["answer", "r", "go", "approve", "--as", "bob", "--resume"]).ends(0).code.unwrap();
    let mut texts =
        std::fs::read_dir(env.run("r").join("approvals")).unwrap().map(|entry| entry.unwrap().path());
    let text = texts.find(|path| path.extension().is_some_and(|ending| ending == "txt")).unwrap();
    let signed = std::fs::read_to_string(text).unwrap();
    for line in [
        "tell (notify) sha256:",
        "to \"wall\": program bash",
        "to \"carol\": program bash",
        "subject en \"[drill] About acme: 3\"",
        "| It was <decided later by steps.count.n>.",
    ] {
        assert!(signed.contains(line), "{line}: {signed}");
    }
    assert!(told(&env).contains("wall: [drill] About acme: 3\nIt was 4."), "{}", told(&env));
}

#[test]
fn a_drill_of_a_shipped_runbook_really_sends() {
    let env = TestEnvironment::new();
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/tenants/suspend.yaml");
    let answers = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/tenants/suspend.answers.yaml");
    let said = env.consigne(&["drill", runbook, "--answers", answers, "--run-id", "r"]).ends(0);
    assert!(said.stderr.contains("tell"), "{said}");
    let folder = env.run("r").join("services/mailbox/new");
    let mails: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    let mail = std::fs::read_to_string(mail).unwrap();
    assert!(mail.starts_with("X-RcptTo: ops@practice.example\r\n"), "{mail}");
    assert!(mail.contains("Subject: [drill] tenant-suspend: succeeded\r\n"), "{mail}");
    assert!(!env.run("r").join("notified.jsonl").metadata().unwrap().len().eq(&0));
    env.consigne(&["verify", "r"]).ends(0).code.unwrap();
}

/// A server that the team did not write.
#[test]
fn a_mail_arrives_at_a_server_of_another_make() {
    let Some(python) = aiosmtpd() else { return not_run("aiosmtpd (it cannot be installed here)") };
    let env = TestEnvironment::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new(python)
        .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
        .args(["-c", "aiosmtpd.handlers.Mailbox"])
        .arg(env.work("maildir"))
        .spawn()
        .unwrap();
    env.until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let people = "people: {bob: {mail: bob@example.com}}\n";
    let mail = format!("mail: {{server: \"127.0.0.1:{port}\", from: run@example.com, tls: none}}\n");
    let path = env.work("environments/plain.yaml");
    std::fs::write(path, format!("role_play: true\n{people}{mail}")).unwrap();
    env.write(
        "r.yaml",
        r#"consigne: v1
id: abroad
steps:
  - id: tell
    notify: {to: [bob], subject: "Terminé ✓ à l'heure", text: "Un\n.\n..deux\nété"}
"#,
    );
    let said = env.consigne(&DRILL);
    let folder = env.work("maildir").join("new");
    let mails: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    let mail = mails.first().map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
    server.kill().unwrap();
    server.wait().unwrap();
    let _ = said.ends(0);
    assert!(mail.contains("X-RcptTo: bob@example.com"), "{mail}");
    std::fs::write(env.work("mail"), &mail).unwrap();
    let script = "import email, email.policy, sys\n\
        m = email.message_from_file(open(sys.argv[1]), policy=email.policy.default)\n\
        print(m['subject'], m.get_content(), sep='|', end='')";
    let read = env.command_of(python).args(["-c", script]).arg(env.work("mail")).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap().replace("\r\n", "\n");
    assert_eq!(read.trim_end(), "[drill] Terminé ✓ à l'heure|Un\n.\n..deux\nété");
}

/// A Python that has it, made once below the target folder.
fn aiosmtpd() -> Option<&'static String> {
    static PYTHON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd");
            let python = folder.join("bin/python").display().to_string();
            let has = || {
                let asked = Command::new(&python).args(["-c", "import aiosmtpd"]).output();
                asked.is_ok_and(|asked| asked.status.success())
            };
            if !has() {
                let run = |program: &str, args: &[&str]| {
                    Command::new(program).args(args).output().is_ok_and(|done| done.status.success())
                };
                let place = folder.display().to_string();
                let made = run("python3", &["-m", "venv", &place])
                    && run(&python, &["-m", "pip", "install", "-q", "aiosmtpd==1.4.6"]);
                if !made {
                    return None;
                }
            }
            has().then_some(python)
        })
        .as_ref()
}
