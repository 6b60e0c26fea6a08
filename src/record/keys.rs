//! The executor's key: made once per host, never overwritten, used to sign tree heads, the record, the seal.
//!
//! Owns the four files under `keys/` of the home directory and the enrolment under `trust/`. The private key
//! is an OpenSSH file that nobody else may read (in a home that a group owns: nobody outside it), the other three are its public half for stock tools: `.pub` for OpenSSH,
//! `.spki.pem` for openssl, `.vkey` (named `<org>/<host>`) for signed notes. This is one of the few places
//! that draw randomness.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::Digest;
use zeroize::Zeroizing;

use super::allowed_signers::AllowedSigners;
use super::namespace;
use super::note::VerifierKey;
use super::place::Malformed;
use super::sshsig::{FileKey, FileKeyError, SignerKey, SshSignature};
use crate::ownership;

/// A name that nobody can own: records made under it prove nothing to outsiders.
pub const DEFAULT_ORG: &str = "consigne.invalid";

/// The names that rehearsals are signed under.
pub const REHEARSAL_ORG: &str = "rehearsal.invalid";
pub const REHEARSAL_HOST: &str = "rehearsal";

/// The executor's key with the names it signs under.
pub struct ExecutorKey {
    signing: SigningKey,
    org: String,
    host: String,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("{} can be read by others: found mode {mode:04o}, expected 0600", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} is not of the same key as {}", path.display(), key.display())]
    OtherKey { path: PathBuf, key: PathBuf },
    #[error("{}, {malformed}", path.display())]
    Malformed { path: PathBuf, malformed: Malformed },
    #[error("{what} {name:?} cannot be used, expected letters, digits, '.', '_' and '-'")]
    Name { what: &'static str, name: String },
    #[error(transparent)]
    Key(#[from] FileKeyError),
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

impl KeyError {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => {
                Some("the key is never overwritten: move it away to make another one".into())
            }
            Self::Missing { .. } => Some("make one with: consigne keys init".into()),
            Self::Readable { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Key(e) => e.hint().map(Into::into),
            _ => None,
        }
    }
}

impl ExecutorKey {
    /// Makes the key, its public files and its enrolment. A complete key is never touched; an interrupted
    /// `init` is completed, with the names of the verifier key if that was already written.
    pub fn init(home: &Path, org: &str, host: &str) -> Result<Self, KeyError> {
        check_name("organisation", org)?;
        check_name("host name", host)?;
        let path = private_path(home);
        let keys = home.join("keys");
        ownership::make_folder(&keys).map_err(|source| KeyError::Io {
            verb: "create",
            path: keys,
            source,
        })?;
        let complete = |name: &str| home.join("keys").join(name).exists();
        if path.exists() && PUBLIC.iter().all(|name| complete(name)) {
            return Err(KeyError::Exists { path });
        }
        let signing = if path.exists() { read_private(&path)? } else { make_private(home, host)? };
        let vkey_path = home.join("keys/executor.vkey");
        let key = if vkey_path.exists() {
            named(signing, &path, &vkey_path)?
        } else {
            Self { signing, org: org.into(), host: host.into() }
        };
        let spki = key.spki_pem();
        let files = [
            ("executor.pub", format!("{} {}\n", key.signer_key(), key.principal())),
            ("executor.spki.pem", spki),
            ("executor.vkey", format!("{}\n", key.vkey())),
        ];
        for (name, text) in &files {
            write_once(&home.join("keys").join(name), text.as_bytes(), 0o644)?;
        }
        key.enrol(&home.join("trust"))?;
        Ok(key)
    }

    /// Reads the key; the public files beside it must be its own.
    pub fn load(home: &Path) -> Result<Self, KeyError> {
        let path = private_path(home);
        let key = named(read_private(&path)?, &path, &home.join("keys/executor.vkey"))?;
        let public = home.join("keys/executor.pub");
        let text = String::from_utf8(read(&public)?).unwrap_or_default();
        if SignerKey::parse_openssh(&text) != Some(key.signer_key()) {
            return Err(KeyError::OtherKey { path: public, key: path });
        }
        let spki = home.join("keys/executor.spki.pem");
        if read(&spki)? != key.spki_pem().as_bytes() {
            return Err(KeyError::OtherKey { path: spki, key: path });
        }
        Ok(key)
    }

    /// The key of rehearsals. It is no secret, so that a rehearsal gives the same bytes wherever it is done: what it
    /// signs belongs together, and says nothing about who made it.
    pub fn of_rehearsals() -> Self {
        let seed = sha2::Sha256::digest(b"consigne: the key of rehearsals, which everybody has");
        Self {
            signing: SigningKey::from_bytes(&seed.into()),
            org: REHEARSAL_ORG.into(),
            host: REHEARSAL_HOST.into(),
        }
    }

    /// For tree heads and the envelope.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub fn public(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    pub fn org(&self) -> &str {
        &self.org
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name it has in `allowed_signers`.
    pub fn principal(&self) -> String {
        format!("executor@{}", self.host)
    }

    pub fn signer_key(&self) -> SignerKey {
        SignerKey::from_ed25519(&self.public())
    }

    /// Named `<org>/<host>`; see [`VerifierKey::for_run`].
    pub fn vkey(&self) -> VerifierKey {
        VerifierKey::new(&format!("{}/{}", self.org, self.host), self.public())
            .expect("both names were checked: they hold neither space nor plus sign")
    }

    pub fn spki_pem(&self) -> String {
        spki_pem(&self.public())
    }

    /// Signs a text (the seal, an attestation) in a namespace.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<SshSignature, FileKeyError> {
        FileKey::from_ed25519(&self.signing).sign(namespace, message)
    }

    /// Its line in `allowed_signers`.
    pub(crate) fn allowed_line(&self, namespaces: &str) -> String {
        format!("{} namespaces=\"{namespaces}\" {}\n", self.principal(), self.signer_key())
    }

    /// Adds the key to a trust directory, unless it is there: one line of `allowed_signers`, and the public
    /// forms that stock tools want, named after the key id since a host may have had another key before.
    pub fn enrol(&self, trust: &Path) -> Result<(), KeyError> {
        self.enrol_for(trust, &namespace::of_executor(&self.org))
    }

    /// Adds the key of rehearsals to a trust directory, so that stock tools can check rehearsals, and nothing else.
    pub fn enrol_rehearsals(trust: &Path) -> Result<(), KeyError> {
        let key = Self::of_rehearsals();
        key.enrol_for(trust, &namespace::of_rehearsals(&key.org))
    }

    fn enrol_for(&self, trust: &Path, namespaces: &str) -> Result<(), KeyError> {
        make_readable(trust)?;
        let path = trust.join("allowed_signers");
        let present = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(KeyError::Io { verb: "read", path, source }),
        };
        let signers = AllowedSigners::parse(&present)
            .map_err(|malformed| KeyError::Malformed { path: path.clone(), malformed })?;
        if !signers
            .signers()
            .iter()
            .any(|s| *s.key() == self.signer_key() && s.is_principal(&self.principal()))
        {
            append(&path, self.allowed_line(namespaces).as_bytes())?;
        }
        let stem = format!("{}-{:08x}", self.principal(), u32::from_be_bytes(self.vkey().id()));
        write_once(&trust.join(format!("{stem}.vkey")), format!("{}\n", self.vkey()).as_bytes(), 0o644)?;
        write_once(&trust.join(format!("{stem}.spki.pem")), self.spki_pem().as_bytes(), 0o644)
    }
}

const PUBLIC: [&str; 3] = ["executor.pub", "executor.spki.pem", "executor.vkey"];

pub(crate) fn spki_pem(key: &VerifyingKey) -> String {
    key.to_public_key_pem(LineEnding::LF).expect("an Ed25519 key always has an SPKI form")
}

fn private_path(home: &Path) -> PathBuf {
    home.join("keys/executor")
}

fn check_name(what: &'static str, name: &str) -> Result<(), KeyError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=200).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits && name.chars().all(good) { Ok(()) } else { Err(KeyError::Name { what, name: name.into() }) }
}

fn make_private(home: &Path, host: &str) -> Result<SigningKey, KeyError> {
    let path = private_path(home);
    if let Some(name) = PUBLIC.iter().find(|name| home.join("keys").join(name).exists()) {
        return Err(KeyError::Exists { path: home.join("keys").join(name) });
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(KeyError::Random)?;
    let signing = SigningKey::from_bytes(&seed);
    let text = FileKey::from_ed25519(&signing).to_openssh(&format!("executor@{host}"));
    let text = text.ok_or_else(|| FileKeyError::NotAKey { path: path.clone() })?;
    // Whoever may drive the runs of a group seals them, too.
    write_once(&path, text.as_bytes(), ownership::file_mode(&home.join("keys")))?;
    Ok(signing)
}

fn read_private(path: &Path) -> Result<SigningKey, KeyError> {
    let text = Zeroizing::new(read(path)?);
    let meta =
        fs::metadata(path).map_err(|source| KeyError::Io { verb: "read", path: path.into(), source })?;
    let mode = meta.permissions().mode() & 0o7777;
    let allowed = path.parent().map_or(0o600, ownership::file_mode);
    if mode & 0o077 & !allowed != 0 {
        return Err(KeyError::Readable { path: path.into(), mode });
    }
    let unsupported =
        || FileKeyError::Unsupported { path: path.into(), found: "key that is not Ed25519".into() };
    Ok(FileKey::parse(&text, path)?.ed25519().ok_or_else(unsupported)?)
}

/// The private key with the names that its verifier key gives it.
fn named(signing: SigningKey, path: &Path, vkey_path: &Path) -> Result<ExecutorKey, KeyError> {
    let vkey = VerifierKey::parse(&read(vkey_path)?)
        .map_err(|malformed| KeyError::Malformed { path: vkey_path.into(), malformed })?;
    if *vkey.key() != signing.verifying_key() {
        return Err(KeyError::OtherKey { path: vkey_path.into(), key: path.into() });
    }
    let (org, host) = vkey.name().split_once('/').unwrap_or((vkey.name(), ""));
    check_name("organisation", org)?;
    check_name("host name", host)?;
    Ok(ExecutorKey { org: org.into(), host: host.into(), signing })
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { path: path.into() },
        _ => KeyError::Io { verb: "read", path: path.into(), source },
    })
}

/// A folder that others may read and only its maker may change: not even a group says who is trusted.
fn make_readable(path: &Path) -> Result<(), KeyError> {
    let fail = |source| KeyError::Io { verb: "create", path: path.into(), source };
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        ownership::make_folder(above).map_err(fail)?;
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(fail)?;
    let made = fs::File::open(path).map_err(fail)?;
    whatever_the_umask(&made, path, 0o2755).map_err(fail)
}

/// What a group shares does not depend on the umask of the one who made it. Such a group's folders are setgid.
fn whatever_the_umask(made: &fs::File, folder: &Path, mode: u32) -> io::Result<()> {
    let shared = fs::metadata(folder)?.permissions().mode() & 0o2000 != 0;
    if shared { made.set_permissions(fs::Permissions::from_mode(mode)) } else { Ok(()) }
}

/// Creates a file with all its bytes on disk, or leaves one that holds the same bytes alone.
fn write_once(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    let fail = |source| KeyError::Io { verb: "write", path: path.into(), source };
    let dir = path.parent().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
        .map_err(fail)?;
    whatever_the_umask(file.as_file(), dir, mode).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_dir(dir).map_err(fail),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => match fs::read(path) {
            Ok(found) if found == bytes => Ok(()),
            _ => Err(KeyError::Exists { path: path.into() }),
        },
        Err(e) => Err(fail(e.error)),
    }
}

pub(super) fn append(path: &Path, line: &[u8]) -> Result<(), KeyError> {
    let fail = |source| KeyError::Io { verb: "append to", path: path.into(), source };
    let new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o644).open(path).map_err(fail)?;
    if let Some(folder) = path.parent().filter(|_| new) {
        whatever_the_umask(&file, folder, 0o644).map_err(fail)?;
    }
    file.write_all(line).and_then(|()| file.sync_all()).map_err(fail)?;
    path.parent().map_or(Ok(()), sync_dir).map_err(fail)
}

/// So that the name of a new file survives a crash too.
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "a check that could not run must say so")]
mod tests {
    use super::*;
    use std::process::Command;

    fn init(home: &Path) -> Result<ExecutorKey, KeyError> {
        ExecutorKey::init(home, "consigne.example", "prod-1")
    }

    fn error(result: Result<ExecutorKey, KeyError>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn a_key_is_made_once_and_loaded() {
        let home = tempfile::tempdir().unwrap();
        let made = init(home.path()).unwrap();
        let loaded = ExecutorKey::load(home.path()).unwrap();
        assert_eq!(loaded.public(), made.public());
        assert_eq!((loaded.org(), loaded.host()), ("consigne.example", "prod-1"));
        assert_eq!(loaded.vkey().name(), "consigne.example/prod-1");
        let mode = |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode("keys/executor"), mode("keys"), mode("keys/executor.pub") & 0o600),
            (0o600, 0o700, 0o600)
        );
        assert_eq!(mode("trust/allowed_signers") & 0o022, 0, "nobody else says who is trusted");
        let before = fs::read(home.path().join("keys/executor")).unwrap();
        let again = init(home.path());
        assert!(again.as_ref().err().unwrap().hint().is_some());
        assert!(error(again).ends_with("keys/executor exists already"));
        assert_eq!(fs::read(home.path().join("keys/executor")).unwrap(), before);
    }

    #[test]
    fn an_interrupted_init_is_completed() {
        let home = tempfile::tempdir().unwrap();
        let made = init(home.path()).unwrap();
        fs::remove_file(home.path().join("keys/executor.spki.pem")).unwrap();
        fs::remove_dir_all(home.path().join("trust")).unwrap();
        let again = ExecutorKey::init(home.path(), "other.example", "other").unwrap();
        assert_eq!(again.vkey(), made.vkey(), "the names stay");
        assert!(ExecutorKey::load(home.path()).is_ok());
        assert!(home.path().join("trust/allowed_signers").exists());
    }

    #[test]
    fn enrolment_adds_one_line_to_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("trust")).unwrap();
        let path = home.path().join("trust/allowed_signers");
        fs::write(&path, "# people\n").unwrap();
        let key = init(home.path()).unwrap();
        key.enrol(&home.path().join("trust")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# people\nexecutor@prod-1 namespaces=\"seal.*@consigne.example,"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2);
        let signers = AllowedSigners::parse(text.as_bytes()).unwrap();
        assert_eq!(signers.lints(), []);
        let may =
            |namespace: &str| signers.authorise(&key.signer_key(), namespace, Default::default()).is_ok();
        let org = "consigne.example";
        for namespace in [
            namespace::seal("live", org),
            namespace::start("drill", "leak", org),
            namespace::attest("live", "leak", "isolate", org),
            namespace::tree_head(org),
        ] {
            assert!(may(&namespace), "{namespace}");
        }
        assert!(
            !may(&namespace::approve("live", "leak", "isolate", org)),
            "a machine cannot approve as a person"
        );
        assert!(!may(&namespace::seal("live", "other.example")));
        fs::write(&path, "garbage\n").unwrap();
        assert!(
            key.enrol(&home.path().join("trust"))
                .unwrap_err()
                .to_string()
                .contains("allowed_signers, line 1")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        assert!(error(ExecutorKey::load(home.path())).ends_with("keys/executor does not exist"));
        for bad in ["", "a b", "a/b", "a+b", "*", "a,b", "-a", "a\"b", "é"] {
            assert!(
                matches!(ExecutorKey::init(home.path(), bad, "h"), Err(KeyError::Name { .. })),
                "{bad:?}"
            );
            assert!(
                matches!(ExecutorKey::init(home.path(), "o", bad), Err(KeyError::Name { .. })),
                "{bad:?}"
            );
        }
        init(home.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        init(other.path()).unwrap();
        for name in PUBLIC {
            let path = home.path().join("keys").join(name);
            let own = fs::read(&path).unwrap();
            fs::copy(other.path().join("keys").join(name), &path).unwrap();
            assert!(error(ExecutorKey::load(home.path())).contains("is not of the same key"), "{name}");
            fs::write(&path, own).unwrap();
        }
        let path = home.path().join("keys/executor");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(error(ExecutorKey::load(home.path())).contains("found mode 0640, expected 0600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "garbage").unwrap();
        assert!(error(ExecutorKey::load(home.path())).contains("not an OpenSSH private key"));
        fs::remove_file(&path).unwrap();
        assert!(
            error(init(home.path())).ends_with("keys/executor.pub exists already"),
            "no private key to it"
        );
    }

    #[test]
    fn stock_tools_read_the_key() {
        let home = tempfile::tempdir().unwrap();
        let key = init(home.path()).unwrap();
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).current_dir(home.path()).output();
            output.inspect_err(|_| println!("not run: {program} is missing")).ok()
        };
        if let Some(derived) = run("ssh-keygen", &["-y", "-f", "keys/executor"]) {
            let text = String::from_utf8(derived.stdout).unwrap();
            assert_eq!(SignerKey::parse_openssh(&text), Some(key.signer_key()));
        }
        let Some(der) =
            run("openssl", &["pkey", "-pubin", "-in", "keys/executor.spki.pem", "-outform", "DER"])
        else {
            return;
        };
        assert_eq!(
            crate::journal::Hash::of(&der.stdout).to_string(),
            super::super::dsse::key_id(&key.public())
        );
    }
}
