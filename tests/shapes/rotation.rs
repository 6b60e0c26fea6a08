//! A key rotation whose new key is born in the run, against the practice platform: nobody ever sees the key, neither in
//! the drill nor in its rehearsal.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::world::World;

/// The key that the platform makes under that id: it says so once, and keeps none.
fn key(id: &str, token: &str) -> String {
    let digest = Sha256::digest(format!("api key {id} {token}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{id}_{}", &hex[..40])
}

fn each_file(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            each_file(&path, look);
        } else if let Ok(bytes) = fs::read(&path) {
            look(&path, &bytes);
        }
    }
}

fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut found = None;
    each_file(folder, &mut |path, _| {
        if path.file_name().is_some_and(|file| file == name) {
            found = Some(path.to_owned());
        }
    });
    found.unwrap()
}

#[test]
fn rule_20_a_key_is_rotated_that_nobody_ever_sees() {
    let world = World::with_platform("key-rotation");
    let drill = world.drill("go: {answer: approve, as: bob}\n", &[]).ends(0);
    let run = world.path("home/runs/r");
    let token = fs::read_to_string(find(&run, "admin-token")).unwrap();
    let new = key("key_2", token.trim());
    assert!(!drill.said.contains(&new) && !drill.rehearsed.contains(&new));
    let (mut files, mut of_rehearsal) = (0, 0);
    each_file(&world.path(""), &mut |path, bytes| {
        files += 1;
        of_rehearsal += usize::from(path.starts_with(world.path("rehearsed")));
        let found = bytes.windows(new.len()).any(|part| part == new.as_bytes());
        assert!(!found, "the new key stands in {}", path.display());
    });
    assert!(files > 30 && of_rehearsal > 5, "{of_rehearsal} of {files}");
    assert!(find(&run, "report.md").exists());
    let open = world.say(&["report", "r", "--open"]);
    assert!(open.contains("key_2") && open.contains("revokedAt"), "{open}");
    for journal in ["home/runs/r/events.jsonl", "rehearsed/events.jsonl"] {
        let journal = fs::read_to_string(world.path(journal)).unwrap();
        assert!(journal.contains(r#""sealed":["key"]"#), "{journal}");
    }
    for folder in [run, world.path("rehearsed")] {
        assert!(!folder.join("sealed").exists(), "{}", folder.display());
    }
    assert_eq!(fs::read_dir(world.path("home/sealing")).unwrap().count(), 0);
}
