//! The inputs that fuzzing kept, each once through its target: what was found once is never found again.
//!
//! The targets are those of the fuzzers themselves (`fuzz/targets.rs`); how to search further stands in
//! `fuzz/README.md`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

/// Far more than any input needs, on any machine: one that takes longer has hit something that grows too fast.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is stored is to stay small.
const STORED_BYTES: u64 = 2 * 1024 * 1024;

#[test]
fn every_stored_input_keeps_every_promise() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let (mut bytes, mut targets) = (0, Vec::new());
    for (name, target) in targets::TARGETS {
        let mut inputs: Vec<_> =
            std::fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            bytes += input.len() as u64;
            // Shown when it fails.
            println!("{}", path.display());
            let begun = Instant::now();
            target(&input);
            assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
        }
        targets.push(name.to_owned());
    }
    let mut stored: Vec<String> = std::fs::read_dir(&corpora)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    stored.sort();
    assert_eq!(stored, targets, "a corpus without a target, or the other way round");
    assert!(bytes < STORED_BYTES, "{bytes} bytes of inputs: minimise them (fuzz/README.md)");
}

#[test]
fn every_target_is_built_for_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        let text = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("targets::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
