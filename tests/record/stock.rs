//! The same record before tools that we did not write.
use std::path::Path;
use std::process::{Command, Output};

use consigne::plan::Mode;

use crate::world::{Kindness, Run, USUAL, copy_of};

const TOOLS: [&str; 5] = ["bash", "jq", "openssl", "ssh-keygen", "xxd"];

/// Said on the screen where a tool is missing: then the test has not run.
pub fn tools() -> bool {
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|tool| {
            Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output()
                .is_ok_and(|o| !o.status.success())
        })
        .collect();
    if !missing.is_empty() {
        let _seen = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("not run: {} missing\n", missing.join(", ")),
        );
    }
    missing.is_empty()
}

pub fn script(bundle: &Path, trust: &Path, mode: Option<&str>) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.sh");
    Command::new("bash").arg(script).arg(bundle).arg(trust).args(mode).output().unwrap()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_script_accepts_what_is_honest() {
    if !tools() {
        return;
    }
    for kind in [USUAL, Kindness { personal: false, ..USUAL }] {
        let run = Run::sealed(kind);
        let trust = run.home.path().join("trust");
        let output = script(&run.dir, &trust, None);
        assert!(output.status.success() && said(&output).contains("VERIFIED"), "{}", said(&output));
        let copy = copy_of(&run.dir);
        std::fs::remove_file(copy.path().join("disclosures.jsonl")).unwrap();
        std::fs::remove_dir_all(copy.path().join("approvals")).unwrap();
        let output = script(copy.path(), &trust, None);
        assert!(output.status.success() && said(&output).contains("withheld"), "{}", said(&output));
    }
}

#[test]
fn the_script_refuses_a_drill_as_live() {
    if !tools() {
        return;
    }
    let run = Run::sealed(Kindness { mode: Mode::Drill, ..USUAL });
    let trust = run.home.path().join("trust");
    assert!(script(&run.dir, &trust, Some("drill")).status.success());
    let output = script(&run.dir, &trust, None);
    assert!(!output.status.success() && said(&output).contains("drill"), "{}", said(&output));
}

#[test]
fn the_script_refuses_what_was_simulated_and_another_key_in_line_1() {
    if !tools() {
        return;
    }
    for (kind, reason) in [
        (Kindness { worker: "placeholder", ..USUAL }, "was simulated"),
        (Kindness { worker: "scenario; name=placeholder", ..USUAL }, "was simulated"),
        (Kindness { executor: Some("SHA256:other"), ..USUAL }, "names another key"),
    ] {
        let run = Run::sealed(kind);
        let output = script(&run.dir, &run.home.path().join("trust"), None);
        assert!(!output.status.success() && said(&output).contains(reason), "{reason}: {}", said(&output));
    }
}

#[test]
fn the_script_takes_the_key_of_rehearsals_for_rehearsals_alone() {
    if !tools() {
        return;
    }
    for (mode, name) in [(Mode::Live, "live"), (Mode::Drill, "drill"), (Mode::Rehearsal, "rehearsal")] {
        let run = Run::sealed_for_rehearsals(Kindness { mode, personal: false, ..USUAL });
        let output = script(&run.dir, &run.home.path().join("trust"), Some(name));
        assert_eq!(output.status.success(), mode == Mode::Rehearsal, "{name}: {}", said(&output));
    }
}

#[test]
fn the_script_refuses_what_was_changed() {
    if !tools() {
        return;
    }
    let run = Run::sealed(USUAL);
    let trust = run.home.path().join("trust");
    for name in [
        "events.jsonl",
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "record.dsse.json",
        "heads/000001.note",
        "disclosures.jsonl",
        "approvals/0001.go.bob.txt",
        "approvals/0001.go.bob.txt.sig",
        "plan/graph.json",
        "report.md",
    ] {
        let copy = copy_of(&run.dir);
        let path = copy.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() * 2 / 3;
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let output = script(copy.path(), &trust, None);
        assert!(!output.status.success() && !said(&output).contains("VERIFIED"), "{name}: {}", said(&output));
    }
    let other = Run::sealed(USUAL);
    let output = script(&run.dir, &other.home.path().join("trust"), None);
    assert!(!output.status.success(), "another executor's trust: {}", said(&output));
}

/// Lists made right again by somebody without the key: what is signed inside still says no.
#[test]
fn the_script_looks_behind_the_list() {
    if !tools() {
        return;
    }
    let run = Run::sealed(USUAL);
    let trust = run.home.path().join("trust");
    let events = std::fs::read_to_string(run.dir.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = events.lines().collect();
    let cut: String = lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect();
    let copy = copy_of(&run.dir);
    std::fs::write(copy.path().join("events.jsonl"), cut).unwrap();
    let sums = consigne::record::Sums::parse(&std::fs::read(run.dir.join("SHA256SUMS")).unwrap()).unwrap();
    let mut made = consigne::record::Sums::new();
    for (name, _) in sums.iter() {
        made.add(name, &std::fs::read(copy.path().join(name)).unwrap()).unwrap();
    }
    let key = run.key();
    let seal = key.sign("seal.live@consigne.example", made.to_string().as_bytes()).unwrap();
    std::fs::write(copy.path().join("SHA256SUMS"), made.to_string()).unwrap();
    std::fs::write(copy.path().join("SHA256SUMS.sig"), seal.armor()).unwrap();
    let output = script(copy.path(), &trust, None);
    assert!(
        !output.status.success(),
        "even the sealing key cannot cut what a head covers: {}",
        said(&output)
    );
}

#[test]
fn the_two_commands_of_the_page_hold() {
    if !tools() {
        return;
    }
    let run = Run::sealed(USUAL);
    let page = std::fs::read_to_string(run.dir.join("VERIFY.md")).unwrap();
    let commands: String = page.split("```").nth(1).unwrap().trim_start_matches("sh\n").to_owned();
    let list = run.home.path().join("trust/allowed_signers");
    let commands = commands.replace("-f allowed_signers", &format!("-f {}", list.display()));
    let ask = |dir: &Path| Command::new("bash").args(["-euc", &commands]).current_dir(dir).output().unwrap();
    let output = ask(&run.dir);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::write(run.dir.join("report.md"), "all is well\n").unwrap();
    assert!(!ask(&run.dir).status.success());
}
