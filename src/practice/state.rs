//! The state folder: the SQLite file and the secrets beside it. Owns the layout and who may hold it open.
//!
//! Writes are not synced to the device: a killed process loses nothing, since the kernel has the pages, and a
//! practice platform need not outlive a power cut. The file is held exclusively, so that two platforms on one
//! folder are an error at the start instead of a riddle later.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::call::hex;
use super::error::PracticeError;
use super::seed;
use crate::ownership;

/// The bearer token of `/admin/`, mode 0600, written once per state folder.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
/// The password of every prepared login, mode 0600, written once per state folder.
pub const LOGIN_PASSWORD_FILE: &str = "login-password";
/// The key of the Stripe account, likewise.
pub const STRIPE_KEY_FILE: &str = "stripe-key";
/// The token of the Firestore database, likewise.
pub const FIRESTORE_TOKEN_FILE: &str = "firestore-token";

/// The token in the address of the webhook, likewise.
const SLACK_TOKEN_FILE: &str = "slack-token";
/// The address of the webhook, mode 0600, written at every start: it holds the port.
pub const SLACK_WEBHOOK_FILE: &str = "slack-webhook";

const DATABASE_FILE: &str = "practice.sqlite";
const LAYOUT: i64 = 4;
/// Long enough for a killed predecessor to be gone, short enough to tell somebody who started two.
const PATIENCE: Duration = Duration::from_secs(3);

const TABLES: &str = "
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    doc TEXT NOT NULL,
    before TEXT,
    shown_status TEXT,
    shown_until INTEGER,
    api_calls INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE users (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL COLLATE NOCASE,
    role TEXT NOT NULL,
    -- none: the password of the prepared logins
    password_sha256 TEXT,
    PRIMARY KEY (tenant_id, email)
) STRICT;
CREATE TABLE jobs (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    type TEXT NOT NULL,
    template TEXT NOT NULL,
    message TEXT
) STRICT;
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT,
    idempotency_key TEXT,
    body_sha256 TEXT,
    effect_seq INTEGER UNIQUE,
    replayed INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    faults TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE stored_answers (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE creations (
    idempotency_key TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL UNIQUE REFERENCES tenants (id),
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE documents (
    name TEXT PRIMARY KEY,
    parent TEXT NOT NULL,
    fields TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT;
CREATE TABLE stripe_objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE TABLE mails (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    doc TEXT NOT NULL
) STRICT;
CREATE TABLE chats (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE api_keys (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    created INTEGER NOT NULL,
    revoked INTEGER,
    used INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES api_keys (id)
) STRICT;
CREATE TABLE faults (
    position INTEGER PRIMARY KEY,
    rule TEXT NOT NULL
) STRICT;
";

/// What a running platform holds of its folder.
pub(crate) struct State {
    pub database: Connection,
    pub secrets: Secrets,
}

/// What callers have to know, by system.
pub(crate) struct Secrets {
    pub admin_token: String,
    pub login_password: String,
    pub stripe_key: String,
    pub firestore_token: String,
    pub slack_token: String,
}

impl State {
    pub(crate) fn open(folder: &Path) -> Result<Self, PracticeError> {
        make_private_folder(folder)?;
        let secrets = Secrets {
            admin_token: secret(&folder.join(ADMIN_TOKEN_FILE))?,
            login_password: secret(&folder.join(LOGIN_PASSWORD_FILE))?,
            stripe_key: secret(&folder.join(STRIPE_KEY_FILE))?,
            firestore_token: secret(&folder.join(FIRESTORE_TOKEN_FILE))?,
            slack_token: secret(&folder.join(SLACK_TOKEN_FILE))?,
        };
        let database = open_database(&folder.join(DATABASE_FILE))?;
        Ok(Self { database, secrets })
    }
}

/// Writes down where the webhook is now.
pub(crate) fn publish_webhook(folder: &Path, address: &str) -> Result<(), PracticeError> {
    write_whole(&folder.join(SLACK_WEBHOOK_FILE), address)
}

/// A folder that is already there keeps its mode: it may be one the caller shares with other things.
pub(super) fn make_private_folder(folder: &Path) -> Result<(), PracticeError> {
    ownership::make_folder(folder).map_err(|source| file_error("create", folder, source))
}

fn secret(path: &Path) -> Result<String, PracticeError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let kept = text.trim();
            if kept.is_empty() {
                return Err(PracticeError::EmptySecret { path: path.to_owned() });
            }
            restrict(path).map_err(|source| file_error("restrict", path, source))?;
            Ok(kept.to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => new_secret(path),
        Err(source) => Err(file_error("read", path, source)),
    }
}

/// Closed to everybody whom its folder does not name.
fn restrict(path: &Path) -> io::Result<()> {
    let allowed = ownership::file_mode(path.parent().unwrap_or(Path::new(".")));
    // Only its maker may do that, and need not where nobody else is let in.
    match fs::metadata(path)?.permissions().mode() & 0o777 {
        found if found & !allowed == 0 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(allowed)),
    }
}

fn new_secret(path: &Path) -> Result<String, PracticeError> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| PracticeError::Randomness(io::Error::other(error)))?;
    let text = hex(&bytes);
    write_whole(path, &text)?;
    Ok(text)
}

/// Written beside and renamed, so that a kill never leaves half of it behind.
fn write_whole(path: &Path, text: &str) -> Result<(), PracticeError> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file =
        ownership::open(&mut options, &draft).map_err(|source| file_error("create", &draft, source))?;
    file.write_all(text.as_bytes()).map_err(|source| file_error("write", &draft, source))?;
    fs::rename(&draft, path).map_err(|source| file_error("rename to", path, source))
}

/// The database holds what the platform was told, and is nobody else's either: the library would ask for 0644.
fn private(path: &Path) -> Result<(), PracticeError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    ownership::open(&mut options, path).map(drop).map_err(|source| file_error("create", path, source))
}

fn open_database(path: &Path) -> Result<Connection, PracticeError> {
    let fail = |verb: &'static str| {
        move |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                PracticeError::Busy { path: path.to_owned() }
            }
            _ => PracticeError::Database { verb, path: path.to_owned(), source },
        }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    private(path)?;
    let mut database = Connection::open_with_flags(path, flags).map_err(fail("open"))?;
    database.busy_timeout(PATIENCE).map_err(fail("open"))?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(fail("lock"))?;
    database.pragma_update(None, "synchronous", "OFF").map_err(fail("set up"))?;
    database.pragma_update(None, "foreign_keys", "ON").map_err(fail("set up"))?;

    let tx = database.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(fail("lock"))?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail("read"))?;
    match found {
        LAYOUT => {}
        0 => {
            tx.execute_batch(TABLES).map_err(fail("create"))?;
            seed::plant(&tx).map_err(fail("seed"))?;
            tx.pragma_update(None, "user_version", LAYOUT).map_err(fail("create"))?;
        }
        found => return Err(PracticeError::Layout { path: path.to_owned(), found, expected: LAYOUT }),
    }
    tx.commit().map_err(fail("write"))?;
    Ok(database)
}

pub(super) fn file_error(verb: &'static str, path: &Path, source: io::Error) -> PracticeError {
    PracticeError::File { verb, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_and_its_secrets_are_private_and_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("state");
        let first = State::open(&folder).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(ADMIN_TOKEN_FILE)), 0o600);
        assert_eq!(mode(&folder.join(LOGIN_PASSWORD_FILE)), 0o600);
        assert_eq!(mode(&folder.join(STRIPE_KEY_FILE)), 0o600);
        assert_eq!(mode(&folder.join(FIRESTORE_TOKEN_FILE)), 0o600);
        assert_eq!(mode(&folder.join(DATABASE_FILE)), 0o600);
        assert_eq!(first.secrets.admin_token.len(), 48);
        assert_ne!(first.secrets.admin_token, first.secrets.login_password);

        let token = first.secrets.admin_token.clone();
        drop(first);
        assert_eq!(State::open(&folder).unwrap().secrets.admin_token, token);
    }

    #[test]
    fn a_token_that_others_could_read_is_closed_to_them() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(ADMIN_TOKEN_FILE);
        fs::write(&path, "chosen-by-the-team\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(State::open(scratch.path()).unwrap().secrets.admin_token, "chosen-by-the-team");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_serves_one_platform_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let _held = State::open(scratch.path()).unwrap();
        assert!(matches!(State::open(scratch.path()), Err(PracticeError::Busy { .. })));
    }

    #[test]
    fn state_of_another_layout_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(scratch.path()).unwrap();
        state.database.pragma_update(None, "user_version", 9).unwrap();
        drop(state);
        let error = State::open(scratch.path()).err().unwrap();
        assert!(matches!(error, PracticeError::Layout { found: 9, .. }), "{error:?}");
    }

    #[test]
    fn an_empty_secret_is_an_error_that_names_the_file() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(ADMIN_TOKEN_FILE), "\n").unwrap();
        let error = State::open(scratch.path()).err().unwrap().to_string();
        assert!(error.contains(ADMIN_TOKEN_FILE) && error.contains("is empty"), "{error}");
    }
}
