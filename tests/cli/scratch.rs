//! The scratch folder of a run, and the files that steps leave.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::environment::{Said, TestEnvironment, bytes_below};

/// Something that only the scratch folder holds.
const CANARY: &str = "scratch-canary-42";

const RUNBOOK: &str = r#"consigne: v1
id: scratch
title: "Scratch"
steps:
  - id: make
    shell: "printf scratch-canary-%s 42 > \"$WORK/data\"; stat -c %a \"$WORK\"; test ! -e @/stop || exec sleep 300"
    env: {WORK: "{{ run.work }}"}
    effect: write
    outputs: {mode: ".stdout"}
  - id: go
    approve: {roles: [ops]}
    message: "Go on? {{ steps.make.mode }}"
  - id: use
    argv: ["sh", "-c", "wc -c < data >> @/touched", "x", "{{ run.work }}/data"]
    cwd: "{{ run.work }}"
    effect: write
  - id: maybe
    argv: ["test", "!", "-e", "@/fail"]
    effect: read
finally:
  - id: last
    argv: ["sh", "-c", "test -s \"$1\" && echo last >> @/touched", "x", "{{ run.work }}/data"]
    effect: write
"#;

fn drill(env: &TestEnvironment, file: &str, more: &[&str]) -> Said {
    let mut args = vec!["drill", file, "--env", "plain", "--run-id", "r1", "--unattended"];
    args.extend(more);
    env.consigne(&args)
}

fn world() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("scratch.yaml", RUNBOOK);
    env.write("answers.yaml", "go: {answer: approve, as: bob}\n");
    env
}

/// What the record of a run must not know.
fn record_knows_nothing(env: &TestEnvironment) {
    let run = env.run("r1");
    assert!(!run.join("work").exists(), "it is wiped");
    let path = run.join("work").display().to_string();
    for (file, bytes) in bytes_below(&run) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(CANARY), "{}", file.display());
        assert!(!text.contains(&path), "{}: a path of this machine", file.display());
    }
    let _verified = env.consigne(&["verify", "r1"]).ends(0);
}

#[test]
fn rule_19_the_scratch_folder_is_private_lasts_as_long_as_the_run_and_is_in_no_record() {
    let env = world();
    let parked = drill(&env, "scratch.yaml", &[]).ends(4);
    let work = env.run("r1").join("work");
    assert_eq!(work.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_to_string(work.join("data")).unwrap(), CANARY);
    let _done = env.consigne(&["answer", "r1", "go", "approve", "--as", "bob", "--resume"]).ends(0);
    assert!(env.approved("r1").contains("<run.work>/data"), "{parked}");
    assert_eq!(env.touched(), ["17", "last"]);
    record_knows_nothing(&env);
}

#[test]
fn rule_19_the_scratch_folder_is_wiped_at_every_ending() {
    let env = world();
    env.write("fail", "");
    let _failed = drill(&env, "scratch.yaml", &["--answers", "answers.yaml"]).ends(1);
    assert_eq!(env.touched(), ["17", "last"], "`finally` still has it");
    record_knows_nothing(&env);

    let env = world();
    let _parked = drill(&env, "scratch.yaml", &[]).ends(4);
    let _cancelled = env.consigne(&["cancel", "r1"]).ends(1);
    assert_eq!(env.touched(), ["last"]);
    record_knows_nothing(&env);
}

#[test]
fn rule_19_the_scratch_folder_outlives_a_killed_process_and_is_wiped_by_the_next() {
    let env = world();
    env.write("stop", "");
    let mut killed =
        env.command(&["drill", "scratch.yaml", "--env", "plain", "--run-id", "r1", "--unattended"]);
    let mut killed =
        killed.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let data = env.run("r1").join("work/data");
    env.until("the step runs", || std::fs::read_to_string(&data).is_ok_and(|text| text == CANARY));
    killed.kill().unwrap();
    killed.wait().unwrap();
    std::fs::remove_file(env.work("stop")).unwrap();
    let _asked = env.consigne(&["resume", "r1", "--unattended"]).ends(4);
    assert!(data.exists(), "what became of the step is not known yet");
    let _told = env.consigne(&["answer", "r1", "make", "done"]);
    let _cancelled = env.consigne(&["cancel", "r1"]).ends(1);
    record_knows_nothing(&env);
}

const LEAVES: &str = r#"consigne: v1
id: leaves
title: "Leaves"
secrets: {token: {file: "@/token"}}
steps:
  - id: report
    shell: "printf 'a,b\n' > \"$OUT/report.csv\"; head -c 3000000 /dev/zero > here.bin; cp @/extra \"$OUT/\" || true"
    env: {OUT: "{{ run.work }}", TOKEN: "{{ secrets.token }}"}
    cwd: "@"
    effect: write
    artifacts:
      report: {path: "{{ run.work }}/report.csv", class: public}
      dump: here.bin
      extra: {path: "{{ run.work }}/extra", optional: true}
"#;

fn leaving() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("leaves.yaml", LEAVES);
    env.write("token", "hush-hush-token-1");
    env
}

#[test]
fn artifacts_are_kept_beside_the_record_and_told_by_size_and_hash() {
    let env = leaving();
    let _done = drill(&env, "leaves.yaml", &[]).ends(0);
    let blobs: Vec<_> =
        std::fs::read_dir(env.run("r1").join("blobs")).unwrap().map(|blob| blob.unwrap()).collect();
    let sizes: Vec<u64> = blobs.iter().map(|blob| blob.metadata().unwrap().len()).collect();
    assert!(sizes.contains(&4) && sizes.contains(&3_000_000) && blobs.len() == 2, "{sizes:?}");
    let report = env.consigne(&["report", "r1"]).ends(0);
    assert!(report.stdout.contains("report: 4 bytes, sha256"), "{report}");
    assert!(!report.stdout.contains("3000000"), "what is confidential is not in the report: {report}");
    let open = env.consigne(&["report", "r1", "--open"]).ends(0);
    assert!(open.stdout.contains("blob.artifact.dump") && open.stdout.contains("3000000"), "{open}");
    let verified = env.consigne(&["verify", "r1"]).ends(0);
    assert!(!verified.stdout.contains("nothing that is disclosed"), "{verified}");
    for blob in blobs {
        std::fs::set_permissions(blob.path(), PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(blob.path(), "other").unwrap();
    }
    let _broken = env.consigne(&["verify", "r1"]).ends(5);
}

#[test]
fn a_missing_linked_or_secret_file_fails_the_step() {
    for (script, reason) in [
        ("true", "artifact_missing"),
        ("ln -s @/token \\\"$OUT/report.csv\\\"; touch here.bin", "artifact_refused"),
        ("mkdir \\\"$OUT/report.csv\\\"; touch here.bin", "artifact_refused"),
        ("echo \\\"$TOKEN\\\" > \\\"$OUT/report.csv\\\"; touch here.bin", "artifact_secret"),
    ] {
        let env = leaving();
        let (before, rest) = LEAVES.split_once("    shell: \"").unwrap();
        let (_, after) = rest.split_once("|| true\"").unwrap();
        env.write("leaves.yaml", &format!("{before}    shell: \"{script}\"{after}"));
        let failed = drill(&env, "leaves.yaml", &[]).ends(1);
        assert!(failed.stdout.contains(reason) || failed.stderr.contains(reason), "{reason}: {failed}");
        assert!(!leaks(&env.run("r1"), "hush-hush-token-1"), "{reason}");
    }
}

fn leaks(run: &Path, secret: &str) -> bool {
    bytes_below(run)
        .iter()
        .any(|(_, bytes)| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}
