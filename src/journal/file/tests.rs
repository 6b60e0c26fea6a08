use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::Append;
use super::super::entry::tests::pending;
use super::super::salt::SeededSalt;
use super::*;

fn written(entries: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal =
        Journal::create(&dir.path().join("r1"), "r1").unwrap().salted(Box::new(SeededSalt::new(1)));
    for n in (0..entries).step_by(2) {
        journal.append(vec![pending(n), pending(n + 1)]).unwrap();
    }
    dir
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join("r1").join(name)).unwrap()
}

fn refused(dir: &Path) -> String {
    Journal::open(&dir.join("r1")).err().unwrap().to_string()
}

#[test]
fn a_journal_comes_back_and_goes_on() {
    let dir = written(4);
    let path = dir.path().join("r1");
    let Opened { mut journal, entries, recovered } = Journal::open(&path).unwrap();
    assert_eq!((entries.len(), recovered, journal.run(), journal.size()), (4, None, "r1", 4));
    let root = journal.tree().root();
    let more = journal.append(vec![pending(9)]).unwrap();
    assert_eq!((more[0].seq, more[0].prev), (4, journal.tree().leaf(3).unwrap()));
    assert_ne!(journal.tree().root(), root);
    assert_eq!(journal.tree().root_of(4), Some(root));
    assert_eq!(Journal::read(&path).unwrap().len(), 5);
    for name in [WAL, EVENTS, DISCLOSURES] {
        assert_eq!(path.join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(Journal::create(&path, "r1"), Err(JournalError::Exists { .. })));
    assert!(matches!(Journal::open(dir.path()), Err(JournalError::Missing { .. })));
}

#[test]
fn the_log_goes_once_the_run_is_sealed() {
    let dir = written(2);
    let path = dir.path().join("r1");
    let Opened { mut journal, entries, .. } = Journal::open(&path).unwrap();
    let root = journal.tree().root();
    journal.finish().unwrap();
    journal.finish().unwrap();
    assert!(matches!(journal.append(vec![pending(3)]), Err(JournalError::Sealed)));
    assert!(!path.join(WAL).exists());
    let again = Journal::open(&path).unwrap();
    assert_eq!((again.entries, again.journal.tree().root()), (entries.clone(), root));
    assert!(again.journal.is_sealed());
    fs::remove_file(path.join(DISCLOSURES)).unwrap();
    let withheld = Journal::read(&path).unwrap();
    assert!(withheld.len() == 2 && withheld[0].events[0].hidden.0.is_empty());
    assert!(!entries[0].events[0].hidden.0.is_empty());
}

/// However many bytes of the last write are missing: the whole entries before are there, the rest is set aside.
#[test]
fn a_torn_end_is_set_aside_wherever_it_is_torn() {
    let whole = read(written(4).path(), WAL);
    let ends: Vec<usize> = lines_of(&whole).map(|(offset, line)| offset + line.len()).collect();
    let cuts = (ends[1]..whole.len()).step_by(9).chain([
        ends[1] + 1,
        ends[2] - 1,
        ends[2],
        ends[2] + 1,
        whole.len() - 1,
    ]);
    for length in cuts {
        let dir = written(2);
        let path = dir.path().join("r1");
        fs::write(path.join(WAL), &whole[..length]).unwrap();
        let Opened { mut journal, entries, recovered } = Journal::open(&path).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(entries.len(), kept, "{length}");
        let torn = &whole[ends[kept - 1]..length];
        match recovered {
            None => assert!(torn.is_empty()),
            Some(found) => {
                assert_eq!((found.bytes, found.sha256), (torn.len() as u64, Hash::of(torn).to_string()));
                let kept = fs::read_dir(path.join(QUARANTINE)).unwrap().next().unwrap().unwrap().path();
                assert_eq!(fs::read(kept).unwrap(), torn);
            }
        }
        journal.append(vec![pending(9)]).unwrap();
        let again = Journal::open(&path).unwrap();
        assert_eq!((again.entries.len(), again.recovered), (kept + 1, None));
    }
}

#[test]
fn an_unreadable_last_record_is_torn_too() {
    let dir = written(2);
    let path = dir.path().join("r1").join(WAL);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"\0\0\0{\n");
    fs::write(&path, &bytes).unwrap();
    let opened = Journal::open(&dir.path().join("r1")).unwrap();
    assert_eq!((opened.entries.len(), opened.recovered.unwrap().bytes), (2, 5));
}

#[test]
fn a_changed_byte_is_refused_with_its_place() {
    let good = read(written(4).path(), WAL);
    let starts: Vec<usize> = lines_of(&good).map(|(offset, _)| offset).collect();
    for at in (0..good.len()).step_by(23) {
        let dir = written(4);
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(dir.path().join("r1").join(WAL), &bytes).unwrap();
        let error = refused(dir.path());
        assert!(error.contains(".jsonl is damaged: line "), "byte {at}: {error}");
        let line = starts.iter().filter(|start| **start <= at).count();
        let named = error.contains(&format!("line {line}, "));
        assert!(
            named || error.contains(&format!("line {}, ", line + 1)),
            "byte {at} of line {line}: {error}"
        );
    }
}

#[test]
fn dropped_and_swapped_lines_are_refused() {
    let good = read(written(4).path(), WAL);
    let lines: Vec<&[u8]> = lines_of(&good).map(|(_, line)| line).collect();
    for (change, expected) in [
        (vec![0, 2, 3], "line 2, byte"),
        (vec![1, 2, 3], "line 1, byte 0: found entry 1, expected entry 0"),
        (vec![0, 2, 1, 3], "line 2, byte"),
        (vec![0, 1, 2, 2], "found entry 2, expected entry 3"),
        (vec![0, 1, 2], "not so in wal.jsonl"),
    ] {
        let dir = written(4);
        let bytes: Vec<u8> = change.iter().flat_map(|i| lines[*i].to_vec()).collect();
        fs::write(dir.path().join("r1").join(WAL), bytes).unwrap();
        let error = refused(dir.path());
        assert!(error.contains(expected), "{change:?}: {error}");
    }
}

#[test]
fn public_files_are_made_again_from_the_log() {
    let dir = written(4);
    let path = dir.path().join("r1");
    let good = (read(dir.path(), EVENTS), read(dir.path(), DISCLOSURES));
    for (name, bytes) in [
        (EVENTS, &good.0[..good.0.len() - 9]),
        (EVENTS, b"nonsense"),
        (DISCLOSURES, &good.1[..3]),
        (DISCLOSURES, b""),
    ] {
        fs::write(path.join(name), bytes).unwrap();
        Journal::open(&path).unwrap();
        assert_eq!((read(dir.path(), EVENTS), read(dir.path(), DISCLOSURES)), good);
    }
    fs::remove_file(path.join(EVENTS)).unwrap();
    Journal::open(&path).unwrap();
    assert_eq!(read(dir.path(), EVENTS), good.0);
}

/// The failing disk is a full one: `/dev/full` takes nothing.
#[test]
fn a_failed_append_leaves_nothing_half_visible() {
    let dir = written(2);
    let path = dir.path().join("r1");
    let mut journal = Journal::open(&path).unwrap().journal;
    journal.wal = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
    let error = journal.append(vec![pending(5)]).unwrap_err();
    assert!(
        matches!(&error, JournalError::Io { verb: "write", source, .. } if source.raw_os_error() == Some(28))
    );
    assert!(error.to_string().contains("wal.jsonl") && error.hint().is_some());
    assert!(matches!(journal.append(vec![pending(6)]), Err(JournalError::Broken)));
    let opened = Journal::open(&path).unwrap();
    assert_eq!((opened.entries.len(), opened.recovered), (2, None));
}

/// What is safe in the log stays appended even when readers cannot be told; the next sync tells them.
#[test]
fn lagging_public_files_are_made_good() {
    let dir = written(2);
    let path = dir.path().join("r1");
    let mut journal = Journal::open(&path).unwrap().journal;
    journal.events = OpenOptions::new().append(true).open("/dev/full").unwrap();
    journal.append(vec![pending(5)]).unwrap();
    journal.append(vec![pending(6)]).unwrap();
    assert_eq!(lines_of(&read(dir.path(), EVENTS)).count(), 2);
    journal.sync_public().unwrap();
    assert_eq!(lines_of(&read(dir.path(), EVENTS)).count(), 4);
}

#[test]
fn a_bug_stops_the_journal_before_the_disk() {
    let dir = written(2);
    let mut journal = Journal::open(&dir.path().join("r1")).unwrap().journal;
    let mut bad = pending(3);
    bad.events[0].hidden.0.insert("x".into(), "{".into());
    assert!(matches!(journal.append(vec![pending(2), bad]), Err(JournalError::Unwritable(_))));
    assert_eq!(Journal::open(&dir.path().join("r1")).unwrap().entries.len(), 2);
}
