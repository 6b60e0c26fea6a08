//! Who has a message already: a side file of the run, one line for each channel that took one.
//!
//! Appended without a sync: what a crash takes away is sent once more, under the same id.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::ownership;

const FILE: &str = "notified.jsonl";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Of the message: another text has another one.
    key: String,
    to: String,
    channel: usize,
}

/// Those who have the message of one key.
pub(super) struct Told {
    key: Option<String>,
    known: BTreeSet<(String, usize)>,
    file: Option<Mutex<File>>,
}

impl Told {
    /// A message without a key is sent anew each time.
    pub(super) fn open(run: &Path, key: Option<&str>) -> io::Result<Self> {
        let Some(key) = key else { return Ok(Self { key: None, known: BTreeSet::new(), file: None }) };
        let path = run.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // The last line may be cut off.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let known = lines.filter(|line| line.key == key).map(|line| (line.to, line.channel)).collect();
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        let mut file = ownership::open(&mut options, &path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { key: Some(key.to_owned()), known, file: Some(Mutex::new(file)) })
    }

    pub(super) fn has(&self, to: &str, channel: usize) -> bool {
        self.known.contains(&(to.to_owned(), channel))
    }

    pub(super) fn note(&self, to: &str, channel: usize) -> io::Result<()> {
        let (Some(key), Some(file)) = (&self.key, &self.file) else { return Ok(()) };
        let line = serde_json::to_string(&Line { key: key.clone(), to: to.to_owned(), channel })?;
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_known_to_the_next_and_to_no_other_message() {
        let dir = tempfile::tempdir().unwrap();
        let told = Told::open(dir.path(), Some("k")).unwrap();
        assert!(!told.has("bob", 0));
        told.note("bob", 0).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join(FILE))
            .and_then(|mut file| file.write_all(b"{\"key\":\"k\",\"to\""))
            .unwrap();
        let told = Told::open(dir.path(), Some("k")).unwrap();
        assert!(told.has("bob", 0) && !told.has("bob", 1) && !told.has("eve", 0));
        told.note("eve", 0).unwrap();
        assert!(Told::open(dir.path(), Some("k")).unwrap().has("eve", 0), "behind a line that was cut off");
        assert!(!Told::open(dir.path(), Some("other")).unwrap().has("bob", 0));
        assert!(!Told::open(dir.path(), None).unwrap().has("bob", 0));
    }
}
