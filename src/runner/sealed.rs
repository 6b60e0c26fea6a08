//! Secrets that were born in a run, sealed at rest until it ends.
//!
//! Each value is a file below `sealed/` in the run's folder, encrypted (ChaCha20-Poly1305) under a key of that run alone,
//! which lies below `sealing/` in the home. What that gives: a copy, a backup or an archive of a run's folder holds no
//! secret, nor does its record; once the key is erased, neither does any older copy of the folder. What it does not
//! give: whoever may read the home, or the memory of the process, has the secret, as he has every other of the run.
//! Key and file are bound to each other by the name of the secret and the id of the run, so that a sealed value that is
//! moved to another run or another name does not open.
//!
//! Both are as open as their folders say: their maker's alone, or a group's, so that a colleague goes on with the run.
//! A value is on disk when [`Sealed::put`] returns, before the entry that makes it usable. Erasing overwrites first; file
//! systems that write elsewhere keep the old bytes for a while, and of those the sealed ones are worth nothing without
//! the key.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ownership;

/// Below the run's folder.
const FOLDER: &str = "sealed";
/// Names the key of the run.
const KEY_NAME: &str = "key";
/// First line of a sealed value.
const FORMAT: &str = "consigne sealed v1";
const KEY_LEN: usize = 32;

/// A value that cannot be sealed, opened or erased. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("the key of the sealed secrets of this run is not there: {}", path.display())]
    NoKey { path: PathBuf },
    #[error("{} is not a sealed secret of this run, or was changed", path.display())]
    Broken { path: PathBuf },
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Two steps may give birth at once, and both would make the key: the name of one would be lost, and what it sealed. No
/// other process makes one, since only one drives a run.
static MAKING: Mutex<()> = Mutex::new(());

/// The sealed secrets of one run.
#[derive(Debug)]
pub struct Sealed {
    run: String,
    folder: PathBuf,
    keys: PathBuf,
}

/// What was sealed: every value by its name, or why it does not open.
pub(crate) type Opened = BTreeMap<String, Result<SecretString, SealError>>;

impl Sealed {
    /// Of the run with that id, in `dir`; its key is kept below `home`.
    pub fn of(run: &str, dir: &Path, home: &Path) -> Self {
        Self { run: run.to_owned(), folder: dir.join(FOLDER), keys: home.join("sealing") }
    }

    /// Seals a value; one of that name is replaced. On disk when it returns.
    pub(crate) fn put(&self, name: &str, value: &SecretString) -> Result<(), SealError> {
        let key = self.key_for_sealing()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let header = format!("{FORMAT}\n{name}\n");
        let path = self.folder.join(file_name(name));
        let mut sealed = Zeroizing::new(value.expose_secret().as_bytes().to_vec());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.bound(&header), &mut *sealed)
            .map_err(|_| SealError::Broken { path: path.clone() })?;
        let bytes = [header.as_bytes(), &nonce, &sealed].concat();
        let written = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
            ownership::hand_over(file.as_file(), &self.folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(failed("write", &path))
    }

    /// Everything that is sealed.
    pub(crate) fn open(&self) -> Result<Opened, SealError> {
        let mut out = Opened::new();
        for path in files_in(&self.folder)? {
            if path
                .file_name()
                .is_some_and(|name| name == KEY_NAME || name.to_string_lossy().starts_with('.'))
            {
                continue;
            }
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            let name = name_in(&bytes).ok_or_else(|| SealError::Broken { path: path.clone() })?;
            let value = self.opened(&path, name, &bytes);
            out.insert(name.to_owned(), value);
        }
        Ok(out)
    }

    /// Nothing of it is left: neither key nor values. Safe to repeat.
    pub fn erase(&self) -> Result<(), SealError> {
        if let Some(id) = self.key_id()? {
            wipe(&self.keys.join(id))?;
        }
        // The name of the key last: until then it can be found again.
        let (key, values): (Vec<_>, Vec<_>) = files_in(&self.folder)?
            .into_iter()
            .partition(|path| path.file_name().is_some_and(|name| name == KEY_NAME));
        for path in values.into_iter().chain(key) {
            wipe(&path)?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &self.folder)(error))
            }
            _ => Ok(()),
        }
    }

    fn opened(&self, path: &Path, name: &str, bytes: &[u8]) -> Result<SecretString, SealError> {
        let broken = || SealError::Broken { path: path.to_owned() };
        let id = self.key_id()?.ok_or_else(broken)?;
        let key = self.key(&id)?.ok_or_else(|| SealError::NoKey { path: self.keys.join(&id) })?;
        let header = format!("{FORMAT}\n{name}\n");
        let rest = bytes.get(header.len()..).unwrap_or_default();
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let plain = key.open_in_place(nonce, self.bound(&header), &mut sealed).map_err(|_| broken())?;
        std::str::from_utf8(plain).map(SecretString::from).map_err(|_| broken())
    }

    /// What a sealed value is bound to, besides its key.
    fn bound(&self, header: &str) -> Aad<Vec<u8>> {
        Aad::from(format!("{header}{}", self.run).into_bytes())
    }

    fn key_id(&self) -> Result<Option<String>, SealError> {
        let path = self.folder.join(KEY_NAME);
        match fs::read_to_string(&path) {
            // It becomes a file name.
            Ok(id) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Some(id)),
            Ok(_) => Err(SealError::Broken { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// `None`: there is none, or its writing was cut off, and then nothing was sealed with it.
    fn key(&self, id: &str) -> Result<Option<LessSafeKey>, SealError> {
        let path = self.keys.join(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        Ok(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok().map(LessSafeKey::new))
    }

    /// The key of the run, made where there is none. Its name is on disk before it is, so that it is always found again.
    fn key_for_sealing(&self) -> Result<LessSafeKey, SealError> {
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        ownership::make_folder(&self.folder).map_err(failed("make", &self.folder))?;
        ownership::make_folder(&self.keys).map_err(failed("make", &self.keys))?;
        let id = match self.key_id()? {
            Some(id) => id,
            None => {
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(SealError::Random)?;
                let id = hex(&random);
                self.write_new(&self.folder, KEY_NAME, id.as_bytes())?;
                id
            }
        };
        if let Some(key) = self.key(&id)? {
            return Ok(key);
        }
        let mut random = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(&mut *random).map_err(SealError::Random)?;
        self.write_new(&self.keys, &id, &*random)?;
        self.key(&id)?.ok_or_else(|| SealError::NoKey { path: self.keys.join(&id) })
    }

    fn write_new(&self, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), SealError> {
        let path = folder.join(name);
        let written = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = ownership::open(options.write(true).create(true).truncate(true), &path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            File::open(folder)?.sync_all()
        };
        written().map_err(failed("write", &path))
    }
}

/// Overwrites a file, and removes it.
fn wipe(path: &Path) -> Result<(), SealError> {
    let wiped = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        file.rewind()?;
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
        fs::remove_file(path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    match wiped() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("erase", path)(error)),
        _ => Ok(()),
    }
}

/// Sorted; none where there is no such folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, SealError> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", folder)(error)),
    };
    let paths: io::Result<Vec<PathBuf>> = listing.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed("read", folder))?;
    paths.sort();
    Ok(paths)
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::File { verb, path, source }
}

/// The name that stands in the clear at the beginning of a sealed value.
fn name_in(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(FORMAT.as_bytes())?.strip_prefix(b"\n")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Names of steps may hold what no file name can.
fn file_name(name: &str) -> String {
    hex(&Sha256::digest(name.as_bytes())[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    const CANARY: &str = "canary-born-1";
    const NAME: &str = "steps.rotate.key";

    fn world() -> (tempfile::TempDir, Sealed) {
        let world = tempfile::tempdir().unwrap();
        let sealed = Sealed::of("r1", &world.path().join("r1"), world.path());
        fs::create_dir(world.path().join("r1")).unwrap();
        (world, sealed)
    }

    fn all_files(folder: &Path) -> Vec<PathBuf> {
        let mut out = Vec::new();
        for path in files_in(folder).unwrap() {
            if path.is_dir() { out.extend(all_files(&path)) } else { out.push(path) }
        }
        out
    }

    fn value(sealed: &Sealed) -> String {
        sealed.open().unwrap().remove(NAME).unwrap().unwrap().expose_secret().to_owned()
    }

    #[test]
    fn births_at_once_are_sealed_with_one_key() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let sealed = Sealed::of("r", &folder.path().join("run"), folder.path());
            fs::create_dir(folder.path().join("run")).unwrap();
            let barrier = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for number in 0..8 {
                    let (sealed, barrier) = (&sealed, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        sealed.put(&format!("steps.s{number}.v"), &SecretString::from("born")).unwrap();
                    });
                }
            });
            let opened = sealed.open().unwrap();
            assert_eq!(opened.len(), 8);
            assert!(opened.values().all(Result::is_ok), "{opened:?}");
            assert_eq!(fs::read_dir(&sealed.keys).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_sealed_opens_again_and_stands_nowhere() {
        let (world, sealed) = world();
        assert!(sealed.open().unwrap().is_empty());
        sealed.put(NAME, &CANARY.into()).unwrap();
        assert_eq!(value(&sealed), CANARY);
        sealed.put(NAME, &"canary-born-2".into()).unwrap();
        assert_eq!(value(&sealed), "canary-born-2", "replaced");
        let files = all_files(world.path());
        assert_eq!(files.len(), 3, "{files:?}");
        for path in files {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|part| part == b"canary"), "{}", path.display());
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_groups_home_shares_them() {
        let (world, _) = world();
        let home = world.path().join("team");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o2770)).unwrap();
        let dir = home.join("r1");
        ownership::make_folder(&dir).unwrap();
        Sealed::of("r1", &dir, &home).put(NAME, &CANARY.into()).unwrap();
        for path in all_files(&home) {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660, "{}", path.display());
        }
    }

    #[test]
    fn what_was_moved_changed_or_lost_its_key_does_not_open() {
        let (world, sealed) = world();
        sealed.put(NAME, &CANARY.into()).unwrap();
        let path = sealed.folder.join(file_name(NAME));
        let bytes = fs::read(&path).unwrap();

        let other = Sealed { run: "r2".into(), folder: sealed.folder.clone(), keys: sealed.keys.clone() };
        assert!(matches!(other.open().unwrap()[NAME], Err(SealError::Broken { .. })), "another run");

        let renamed = String::from_utf8_lossy(&bytes[..FORMAT.len() + 18]).replace("rotate", "revoke");
        fs::write(&path, [renamed.as_bytes(), &bytes[FORMAT.len() + 18..]].concat()).unwrap();
        assert!(
            matches!(sealed.open().unwrap()["steps.revoke.key"], Err(SealError::Broken { .. })),
            "a name"
        );

        for at in [FORMAT.len() + 18, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(matches!(sealed.open().unwrap()[NAME], Err(SealError::Broken { .. })), "byte {at}");
        }
        fs::write(&path, &bytes).unwrap();
        assert_eq!(value(&sealed), CANARY);
        fs::remove_dir_all(world.path().join("sealing")).unwrap();
        let error = sealed.open().unwrap().remove(NAME).unwrap().unwrap_err().to_string();
        assert!(error.starts_with("the key of the sealed secrets of this run is not there"), "{error}");
    }

    #[test]
    fn nothing_is_left_after_erasing() {
        let (world, sealed) = world();
        sealed.erase().unwrap();
        sealed.put(NAME, &CANARY.into()).unwrap();
        sealed.put("steps.other.key", &CANARY.into()).unwrap();
        fs::write(sealed.folder.join(".new-torn"), "half").unwrap();
        // Another run of the same home keeps its own.
        let other = Sealed::of("r2", &world.path().join("r2"), world.path());
        other.put(NAME, &CANARY.into()).unwrap();
        sealed.erase().unwrap();
        assert!(!sealed.folder.exists() && sealed.open().unwrap().is_empty());
        assert_eq!(files_in(&world.path().join("sealing")).unwrap().len(), 1);
        assert_eq!(value(&other), CANARY);
        sealed.erase().unwrap();
    }

    #[test]
    fn a_key_whose_writing_was_cut_off_is_made_again_and_found_again() {
        let (world, sealed) = world();
        sealed.put(NAME, &CANARY.into()).unwrap();
        let key = sealed.keys.join(sealed.key_id().unwrap().unwrap());
        fs::remove_file(sealed.folder.join(file_name(NAME))).unwrap();
        fs::write(&key, "torn").unwrap();
        sealed.put(NAME, &CANARY.into()).unwrap();
        assert_eq!(value(&sealed), CANARY);
        sealed.erase().unwrap();
        assert!(all_files(world.path()).is_empty());
    }
}
