//! A disk without room: exit 74, nothing is lost, and the run goes on once there is room.

use std::path::Path;
use std::process::Command;

use crate::environment::{Said, TestEnvironment, shows};

fn parked(env: &TestEnvironment) {
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]).ends(4).code.unwrap();
}

/// Goes on with the run to its end, and verifies it.
fn goes_on(env: &TestEnvironment) -> Vec<Said> {
    let all = [
        (&["answer", "r", "ask", "yes", "--resume"][..], 4),
        (&["answer", "r", "go", "approve", "--as", "bob", "--resume"], 4),
        (&["answer", "r", "tick", "yes", "--resume"], 0),
        (&["verify", "r"], 0),
    ];
    let said = all.iter().map(|(args, code)| env.consigne(args).ends(*code)).collect();
    assert_eq!(env.touched(), ["one"]);
    said
}

/// Otherwise the first record of a machine would verify nowhere.
#[test]
fn a_key_whose_making_was_cut_off_is_completed() {
    let env = TestEnvironment::new();
    parked(&env);
    env.consigne(&["cancel", "r"]).ends(1).code.unwrap();
    let home = env.run("r").parent().unwrap().parent().unwrap().to_owned();
    std::fs::write(home.join("trust/allowed_signers"), "").unwrap();
    std::fs::remove_file(home.join("keys/executor.vkey")).unwrap();
    env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "again"]).ends(4).code.unwrap();
    assert_ne!(std::fs::read(home.join("trust/allowed_signers")).unwrap(), b"");
    env.consigne(&["cancel", "again"]).ends(1).code.unwrap();
    env.consigne(&["verify", "again"]).ends(0).code.unwrap();
}

/// A limit on the size of files stops the log at a point of our choosing, also in the middle of a line.
#[test]
fn a_log_that_cannot_grow() {
    let env = TestEnvironment::new();
    parked(&env);
    let size = std::fs::metadata(env.run("r").join("wal.jsonl")).unwrap().len();
    let blocks = size.div_ceil(512);
    let full =
        env.shell(&format!("trap '' XFSZ; ulimit -f {blocks}; exec consigne answer r ask yes")).ends(74);
    assert!(full.stderr.contains("wal.jsonl"), "{full}");
    assert!(full.stderr.contains("hint: "), "{full}");
    assert_eq!(env.touched(), [""; 0]);
    let open = env.consigne(&["show", "r"]).ends(0);
    assert!(open.stdout.contains("waits for a person: ask"), "{open}");
    shows!(goes_on(&env));
}

/// A file system of its own, unmounted at the end.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let option = format!("size={size},mode=0700");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "none"]).arg(at).output();
        output.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk() {
    let env = TestEnvironment::new();
    let home = env.path("consigne");
    let Some(_disk) = Disk::mount(&home, "1m") else {
        crate::environment::not_run("a full disk (no right to mount a file system)");
        return;
    };
    let filler = home.join("filler");
    let fill = || {
        let _full = std::fs::write(&filler, vec![0_u8; 4 << 20]);
    };
    fill();
    let start = env.consigne(&["drill", "small.yaml", "--env", "plain", "--run-id", "r"]);
    assert!(matches!(start.code, Some(3 | 74)), "{start}");
    assert!(!env.run("r").exists());
    std::fs::remove_file(&filler).unwrap();
    parked(&env);
    fill();
    let full = env.consigne(&["answer", "r", "ask", "yes", "--resume"]).ends(74);
    assert!(full.stderr.contains("No space left on device"), "{full}");
    std::fs::remove_file(&filler).unwrap();
    let all = goes_on(&env);
    assert!(all[3].stdout.contains("VERIFIED as a drill record"), "{}", all[3]);
}
