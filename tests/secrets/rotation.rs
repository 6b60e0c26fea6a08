//! A key rotation whose new key is born in the run, drilled against the practice platform.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::house::House;

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

#[test]
fn rule_20_a_key_is_rotated_that_nobody_ever_sees() {
    let house = House::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["key-rotation.yaml", "key-rotation.answers.yaml"] {
        house.write(name, &fs::read_to_string(root.join("tests/shapes").join(name)).unwrap());
    }
    fs::create_dir(house.books().join("environments")).unwrap();
    let practice = fs::read_to_string(root.join("runbooks/environments/practice.yaml")).unwrap();
    let program = format!("argv: [\"{}\", \"practice\"", env!("CARGO_BIN_EXE_consigne"));
    house.write(
        "environments/practice.yaml",
        &practice.replace("argv: [\"consigne\", \"practice\"", &program),
    );
    house.say(&["check", "key-rotation.yaml"], 0);
    let args = ["drill", "key-rotation.yaml", "--answers", "key-rotation.answers.yaml", "--run-id", "r"];
    let said = house.say(&args, 0);
    let run = house.run("r");
    let token = fs::read_to_string(find(&run, "admin-token")).unwrap();
    let new = key("key_2", token.trim());
    assert!(!said.contains(&new));
    let mut files = 0;
    each_file(&house.home(), &mut |path, bytes| {
        files += 1;
        let found = bytes.windows(new.len()).any(|part| part == new.as_bytes());
        assert!(!found, "the new key stands in {}", path.display());
    });
    assert!(files > 20);
    let journal = fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(journal.contains(r#""sealed":["key"]"#));
    let open = house.say(&["report", "r", "--open"], 0);
    assert!(open.contains("key_2") && open.contains("revokedAt"), "{open}");
    assert!(!run.join("sealed").exists() && fs::read_dir(house.home().join("sealing")).unwrap().count() == 0);
    house.say(&["verify", "r"], 0);
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
