//! `SHA256SUMS`: the files of a record, checked by `sha256sum --strict -c`.
//!
//! Owns the list and its one spelling: sorted by name, one `<hash>  <name>` a line. Names are plain relative
//! paths, so that no tool has to escape one and none leads out of the record.

use std::collections::BTreeMap;
use std::fmt;

use super::place::{Malformed, lines};
use crate::journal::Hash;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(BTreeMap<String, Hash>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SumsError {
    #[error("{0:?} cannot be listed: expected a relative path without '.', '..', '\\' or control characters")]
    Name(String),
    #[error("{0} is listed already")]
    Twice(String),
}

impl Sums {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists a file with its exact bytes.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), SumsError> {
        self.add_hash(name, Hash::of(bytes))
    }

    pub fn add_hash(&mut self, name: &str, hash: Hash) -> Result<(), SumsError> {
        if !is_name(name) {
            return Err(SumsError::Name(name.into()));
        }
        match self.0.insert(name.into(), hash) {
            Some(_) => Err(SumsError::Twice(name.into())),
            None => Ok(()),
        }
    }

    /// Sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Hash)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), *hash))
    }

    pub fn get(&self, name: &str) -> Option<Hash> {
        self.0.get(name).copied()
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut sums = Self::new();
        for line in lines(bytes)? {
            let (hash, name) = line
                .text
                .split_once("  ")
                .ok_or_else(|| line.malformed("found no two spaces, expected a hash and a file name"))?;
            let hash = hash.parse().map_err(|e| line.malformed(format!("{e}")))?;
            if sums.0.last_key_value().is_some_and(|(last, _)| last.as_str() > name) {
                return Err(
                    line.malformed_at(66, format!("{name:?} stands after a name that sorts behind it"))
                );
            }
            sums.add_hash(name, hash).map_err(|e| line.malformed_at(66, e.to_string()))?;
        }
        Ok(sums)
    }
}

/// The bytes of the file.
impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, hash)| writeln!(f, "{hash}  {name}"))
    }
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    name.split('/').all(part)
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && !name.starts_with([' ', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums() -> Sums {
        let mut sums = Sums::new();
        sums.add("events.jsonl", b"x").unwrap();
        sums.add("checkpoints/000001.note", b"y").unwrap();
        sums
    }

    #[test]
    fn a_list_comes_back() {
        let text = sums().to_string();
        assert!(text.ends_with("  events.jsonl\n"), "{text}");
        assert_eq!(Sums::parse(text.as_bytes()).unwrap(), sums());
    }

    #[test]
    fn bad_lists_are_refused_with_their_place() {
        let hash = Hash::of(b"x");
        let refused = |text: String| Sums::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(
            refused(format!("{hash}  b\n{hash}  a\n")).starts_with("line 2, byte 134: \"a\" stands after")
        );
        assert!(refused(format!("{hash}  b\n{hash}  b\n")).contains("b is listed already"));
        assert!(refused(format!("{hash} *b\n")).contains("two spaces"));
        assert!(refused(format!("{hash}  b")).contains("no line feed"));
        assert!(refused(format!("{}  b\n", hash.to_string().to_uppercase())).contains("64 lower-case"));
        for name in ["", "/etc/passwd", "../x", "a/../x", "a//b", "./a", "a\\b", "a\rb", " a"] {
            assert!(refused(format!("{hash}  {name}\n")).contains("cannot be listed"), "{name:?}");
        }
    }

    proptest! {
        /// A changed list either does not parse or says something else; the seal is over its bytes.
        #[test]
        fn a_changed_list_is_another_list(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = sums().to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(parsed) = Sums::parse(&bytes) {
                prop_assert_eq!(parsed.to_string().into_bytes(), bytes);
            }
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[0a/. \\n]{0,80}") {
            let _ = (Sums::parse(&bytes), Sums::parse(text.as_bytes()));
        }
    }
}
