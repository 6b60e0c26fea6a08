//! Secrets: fetched when first needed, once per process or again when they are old, and known to the masker from that
//! moment on.
//!
//! Owns the values of all secrets of a run, those that are born in it included ([`super::sealed`]). They leave only
//! through [`Secrets::get`], inside `runner`; no error and no debug output ever holds one. What was a secret once is
//! masked to the end of the process, also when a newer value has taken its place.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::Boxed;
use super::context::Inherited;
use super::mask::{Masker, Masks};
use super::process;
use super::sealed::{SealError, Sealed};
use crate::clock::{Clock, Timestamp};
use crate::plan::SecretSource;

/// Shorter secrets cannot be masked without masking half of all text.
pub const SHORTEST_SECRET: usize = 8;
/// What a secret may measure.
pub(super) const LONGEST_SECRET: usize = 64 * 1024;
/// How long a program that prints a secret may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks a person for a secret.
pub trait PromptSecret: Send + Sync {
    /// `None` when nobody can be asked, or the person declined.
    fn ask<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<SecretString>>;
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("secret `{name}` is not declared")]
    Undeclared { name: String },
    #[error("secret `{name}`: the environment variable `{variable}` is not set")]
    Unset { name: String, variable: String },
    #[error("secret `{name}`: cannot read {}: {source}", path.display())]
    Unreadable { name: String, path: PathBuf, source: io::Error },
    #[error("secret `{name}`: cannot run `{program}`: {source}")]
    Spawn { name: String, program: String, source: io::Error },
    #[error("secret `{name}`: `{program}` {how}")]
    Command { name: String, program: String, how: String },
    #[error("secret `{name}` was not given at the prompt")]
    NotGiven { name: String },
    #[error("secret `{name}` is not UTF-8 text")]
    NotText { name: String },
    #[error("secret `{name}` is shorter than {SHORTEST_SECRET} bytes and could not be masked")]
    TooShort { name: String },
    #[error("secret `{name}` is longer than {LONGEST_SECRET} bytes")]
    TooLong { name: String },
    #[error("secret `{name}` is not there: its step has not given it")]
    NotBorn { name: String },
    #[error("secret `{name}` cannot be used: {source}")]
    Unopened { name: String, source: Arc<SealError> },
    #[error("secret `{name}` cannot be kept: {source}")]
    Sealed { name: String, source: SealError },
}

/// The secrets of a run.
pub struct Secrets {
    sources: BTreeMap<String, SecretSource>,
    base_dir: PathBuf,
    inherited: Inherited,
    prompt: Option<Arc<dyn PromptSecret>>,
    /// Those that die, and after how many milliseconds they are fetched again.
    refresh: BTreeMap<String, u64>,
    clock: Option<Arc<dyn Clock>>,
    /// Where those that are born in the run are kept.
    sealed: Option<Arc<Sealed>>,
    known: Mutex<Known>,
    masks: Arc<Masks>,
    /// Held while one is fetched: nobody is prompted twice for the same, and what is old is fetched once.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    values: BTreeMap<String, Fetched>,
    /// Nothing that was a secret once is shown, whatever took its place.
    masked: BTreeMap<[u8; 32], SecretString>,
    /// What was sealed and does not open.
    unopened: BTreeMap<String, Arc<SealError>>,
}

struct Fetched {
    value: SecretString,
    /// By the calendar and by the machine: either may stand still while the other goes on.
    at: Option<(Timestamp, u64)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.sources.keys()).finish()
    }
}

impl Secrets {
    /// `base_dir` is where relative paths begin; programs that print secrets run there, with `inherited`.
    pub fn new(
        sources: BTreeMap<String, SecretSource>,
        base_dir: &Path,
        inherited: Inherited,
        prompt: Option<Arc<dyn PromptSecret>>,
    ) -> Self {
        Self {
            sources,
            base_dir: base_dir.to_owned(),
            inherited,
            prompt,
            refresh: BTreeMap::new(),
            clock: None,
            sealed: None,
            known: Mutex::default(),
            masks: Masks::of(Masker::none()),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// Fetches some of them again when they are older than that many milliseconds.
    #[must_use]
    pub fn refreshed(self, refresh: BTreeMap<String, u64>, clock: Arc<dyn Clock>) -> Self {
        Self { refresh, clock: Some(clock), ..self }
    }

    /// Keeps those that are born in the run, and knows those that were.
    ///
    /// # Errors
    /// What is kept cannot be looked at. A value that does not open is an error for whoever uses it.
    pub fn sealed_in(self, sealed: Sealed) -> Result<Self, SealError> {
        let opened = sealed.open()?;
        let mut known = self.known();
        for (name, value) in opened {
            match value {
                Ok(value) => {
                    known.mask(&value);
                    known.values.insert(name, Fetched { value, at: None });
                }
                Err(error) => drop(known.unopened.insert(name, Arc::new(error))),
            }
        }
        self.masks.know(known.masker());
        drop(known);
        Ok(Self { sealed: Some(Arc::new(sealed)), ..self })
    }

    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    pub const fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// Whether somebody is there to type a secret.
    pub fn can_ask(&self) -> bool {
        self.prompt.is_some()
    }

    /// Fetches all that can be had, so that they are masked from the start. Gives what could not be had; a file that a
    /// service is yet to write is among it and is tried again when needed. Where nobody can be asked, nobody is.
    pub async fn preflight(&self) -> Vec<SecretError> {
        let mut missing = Vec::new();
        for (name, source) in &self.sources {
            if (*source != SecretSource::Prompt || self.can_ask())
                && let Err(error) = self.get(name).await
            {
                missing.push(error);
            }
        }
        missing
    }

    /// Masks every secret known by now.
    pub fn masker(&self) -> Arc<Masker> {
        self.masks.now()
    }

    /// Masks every secret, also those that become known later.
    pub(super) fn masks(&self) -> Arc<Masks> {
        Arc::clone(&self.masks)
    }

    /// # Errors
    /// See [`SecretError`].
    pub(crate) async fn get(&self, name: &str) -> Result<SecretString, SecretError> {
        if let Some(known) = self.fresh(name) {
            return Ok(known);
        }
        let Some(source) = self.sources.get(name) else { return Err(self.unknown(name)) };
        let _turn = self.fetching.lock().await;
        if let Some(known) = self.fresh(name) {
            return Ok(known);
        }
        // Its age counts from before it was asked for.
        let at = self.now();
        let value = self.fetch(name, source).await?;
        let length = value.expose_secret().len();
        if length < SHORTEST_SECRET {
            return Err(SecretError::TooShort { name: name.to_owned() });
        }
        if length > LONGEST_SECRET {
            return Err(SecretError::TooLong { name: name.to_owned() });
        }
        let mut known = self.known();
        known.values.insert(name.to_owned(), Fetched { value: value.clone(), at });
        if known.mask(&value) {
            self.masks.know(known.masker());
        }
        Ok(value)
    }

    /// Masks what has just been born, before anything that holds it is kept.
    pub(super) fn born<'a>(&self, values: impl Iterator<Item = &'a SecretString>) {
        let mut known = self.known();
        let mut news = false;
        for value in values {
            news |= known.mask(value);
        }
        if news {
            self.masks.know(known.masker());
        }
    }

    /// Seals what a step gave: on disk when it returns, and usable by name.
    pub(super) async fn seal(
        &self,
        step: &str,
        born: BTreeMap<String, SecretString>,
    ) -> Result<(), SecretError> {
        if born.is_empty() {
            return Ok(());
        }
        self.born(born.values());
        let named: Vec<(String, SecretString)> =
            born.into_iter().map(|(name, value)| (format!("steps.{step}.{name}"), value)).collect();
        let Some(sealed) = self.sealed.clone() else {
            return Err(SecretError::Undeclared { name: named[0].0.clone() });
        };
        let writing = tokio::task::spawn_blocking(move || {
            for (name, value) in &named {
                sealed
                    .put(name, value)
                    .map_err(|source| SecretError::Sealed { name: name.clone(), source })?;
            }
            Ok(named)
        });
        let named = match writing.await {
            Ok(written) => written?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let mut known = self.known();
        for (name, value) in named {
            known.unopened.remove(&name);
            known.values.insert(name, Fetched { value, at: None });
        }
        Ok(())
    }

    /// Erases what was born in the run: nothing of it can be used any more.
    ///
    /// # Errors
    /// Something of it could not be removed; calling again goes on.
    pub fn erase(&self) -> Result<(), SealError> {
        self.sealed.as_ref().map_or(Ok(()), |sealed| sealed.erase())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Option<(Timestamp, u64)> {
        self.clock.as_ref().map(|clock| (clock.now(), clock.mono()))
    }

    /// What is known, unless it is too old.
    fn fresh(&self, name: &str) -> Option<SecretString> {
        let known = self.known();
        let fetched = known.values.get(name)?;
        if let (Some(limit), Some((now, mono)), Some((at, then))) =
            (self.refresh.get(name), self.now(), fetched.at)
            && now.since(at).max(mono.saturating_sub(then)) >= *limit
        {
            return None;
        }
        Some(fetched.value.clone())
    }

    fn unknown(&self, name: &str) -> SecretError {
        let name = name.to_owned();
        match self.known().unopened.get(&name) {
            Some(source) => SecretError::Unopened { name, source: Arc::clone(source) },
            None if crate::plan::values::born(&name).is_some() => SecretError::NotBorn { name },
            None => SecretError::Undeclared { name },
        }
    }

    async fn fetch(&self, name: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
        match source {
            SecretSource::Env(variable) => match std::env::var(variable) {
                Ok(value) => Ok(value.into()),
                Err(std::env::VarError::NotPresent) => {
                    Err(SecretError::Unset { name: name.to_owned(), variable: variable.clone() })
                }
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText { name: name.to_owned() }),
            },
            SecretSource::File(path) => {
                let path = self.base_dir.join(path);
                match beginning(&path).await {
                    Ok(mut bytes) => text(name, std::mem::take(&mut *bytes)),
                    Err(source) => Err(SecretError::Unreadable { name: name.to_owned(), path, source }),
                }
            }
            SecretSource::Command(argv) => self.printed(name, argv).await,
            SecretSource::Prompt => match &self.prompt {
                Some(prompt) => prompt.ask(name).await,
                None => None,
            }
            .ok_or_else(|| SecretError::NotGiven { name: name.to_owned() }),
        }
    }

    async fn printed(&self, name: &str, argv: &[String]) -> Result<SecretString, SecretError> {
        let program = argv.first().cloned().unwrap_or_default();
        let failed =
            |how: String| SecretError::Command { name: name.to_owned(), program: program.clone(), how };
        let spawn = |source| SecretError::Spawn { name: name.to_owned(), program: program.clone(), source };
        let mut command =
            process::command(argv, self.inherited.variables(), &self.base_dir).map_err(spawn)?;
        // What it says on stderr might quote what it knows.
        let mut owned = super::sweep::OwnedProcess::announce();
        let mut child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().map_err(spawn)?;
        child.id().into_iter().for_each(|pid| owned.is(pid));
        let pipe = child.stdout.take();
        let read = async {
            let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_SECRET + 2));
            if let Some(pipe) = pipe {
                pipe.take(LONGEST_SECRET as u64 + 2).read_to_end(&mut bytes).await?;
            }
            Ok::<_, io::Error>((bytes, child.wait().await?))
        };
        match tokio::time::timeout(COMMAND_TIMEOUT, read).await {
            Err(_) => Err(failed(format!("did not end within {} s", COMMAND_TIMEOUT.as_secs()))),
            Ok(Err(source)) => Err(spawn(source)),
            Ok(Ok((_, status))) if !status.success() => Err(failed(format!("ended with {status}"))),
            Ok(Ok((mut bytes, _))) => text(name, std::mem::take(&mut *bytes)),
        }
    }
}

impl Known {
    /// Whether it was not masked before.
    fn mask(&mut self, value: &SecretString) -> bool {
        let digest: [u8; 32] = Sha256::digest(value.expose_secret().as_bytes()).into();
        self.masked.insert(digest, value.clone()).is_none()
    }

    fn masker(&self) -> Masker {
        Masker::of(self.masked.values().map(ExposeSecret::expose_secret))
    }
}

/// As much of a file as shows whether it is too long: a device has no end.
async fn beginning(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_SECRET + 3));
    tokio::fs::File::open(path).await?.take(LONGEST_SECRET as u64 + 3).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// One trailing line break is cut.
fn text(name: &str, bytes: Vec<u8>) -> Result<SecretString, SecretError> {
    match String::from_utf8(bytes).map(Zeroizing::new) {
        Ok(text) => Ok(without_line_break(&text).into()),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(SecretError::NotText { name: name.to_owned() })
        }
    }
}

/// Programs and editors end a text with one.
pub(super) fn without_line_break(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-s3cret";

    fn secrets(dir: &Path, sources: &[(&str, SecretSource)]) -> Secrets {
        let sources = sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
        Secrets::new(sources, dir, Inherited::snapshot(&[]), None)
    }

    #[tokio::test]
    async fn files_are_read_when_needed_and_then_masked() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = secrets(dir.path(), &[("token", SecretSource::File("token".into()))]);
        let error = secrets.get("token").await.unwrap_err().to_string();
        assert!(error.contains("secret `token`: cannot read") && error.contains("/token"), "{error}");
        std::fs::write(dir.path().join("token"), format!("{CANARY}\r\n")).unwrap();
        assert_eq!(secrets.get("token").await.unwrap().expose_secret(), CANARY);
        std::fs::write(dir.path().join("token"), "another-value").unwrap();
        assert_eq!(secrets.get("token").await.unwrap().expose_secret(), CANARY, "once per process");
        assert_eq!(secrets.masker().text(&format!("a {CANARY} b")), "a *** b");
        assert!(!format!("{secrets:?}").contains(CANARY));
    }

    #[tokio::test]
    async fn a_file_without_end_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = secrets(dir.path(), &[("token", SecretSource::File("/dev/zero".into()))]);
        let error = secrets.get("token").await.unwrap_err();
        assert!(matches!(error, SecretError::TooLong { .. }), "{error}");
    }

    #[tokio::test]
    async fn programs_print_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let argv = |script: &str| SecretSource::Command(["sh", "-c", script].map(str::to_owned).to_vec());
        let secrets = secrets(
            dir.path(),
            &[
                ("good", argv("echo good-secret-1; echo noise >&2")),
                ("bad", argv("echo bad-secret-1; exit 3")),
            ],
        );
        assert_eq!(secrets.get("good").await.unwrap().expose_secret(), "good-secret-1");
        let error = secrets.get("bad").await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && !error.contains("bad-secret-1"), "{error}");
    }

    #[tokio::test]
    async fn short_unset_and_undeclared_secrets_are_refused_without_their_value() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("short"), "1234567\n").unwrap();
        std::fs::write(dir.path().join("binary"), [0xff; 20]).unwrap();
        let secrets = secrets(
            dir.path(),
            &[
                ("binary", SecretSource::File("binary".into())),
                ("short", SecretSource::File("short".into())),
                ("typed", SecretSource::Prompt),
                ("unset", SecretSource::Env("CONSIGNE_TEST_NOT_SET".into())),
            ],
        );
        let errors: Vec<String> = secrets.preflight().await.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "secret `binary` is not UTF-8 text",
                "secret `short` is shorter than 8 bytes and could not be masked",
                "secret `unset`: the environment variable `CONSIGNE_TEST_NOT_SET` is not set",
            ]
        );
        assert_eq!(
            secrets.get("typed").await.unwrap_err().to_string(),
            "secret `typed` was not given at the prompt"
        );
        assert_eq!(secrets.get("nope").await.unwrap_err().to_string(), "secret `nope` is not declared");
    }

    #[tokio::test]
    async fn rule_20_what_is_old_is_fetched_again_once_and_stays_masked() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo x >> asked; printf 'token-number-%s' \"$(wc -l < asked | tr -d ' ')\"";
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let sources = [
            ("dies", SecretSource::Command(command)),
            ("lives", SecretSource::File("lives".into())),
            ("gone", SecretSource::File("gone".into())),
        ];
        for name in ["lives", "gone"] {
            std::fs::write(dir.path().join(name), format!("{name}-value-1")).unwrap();
        }
        let clock = Arc::new(crate::clock::VirtualClock::at(Timestamp::from_millis(1_000)));
        let limits = ["dies", "gone"].map(|name| (name.to_owned(), 60_000));
        let secrets = secrets(dir.path(), &sources).refreshed(limits.into(), clock.clone());
        let value = async |name: &str| secrets.get(name).await.unwrap().expose_secret().to_owned();
        assert_eq!(
            (value("dies").await.as_str(), value("lives").await.as_str()),
            ("token-number-1", "lives-value-1")
        );
        assert_eq!(value("gone").await, "gone-value-1");
        clock.advance(59_999);
        std::fs::write(dir.path().join("lives"), "lives-value-2").unwrap();
        assert_eq!(value("dies").await, "token-number-1", "young enough");
        clock.advance(1);
        let (a, b, c) = tokio::join!(value("dies"), value("dies"), value("dies"));
        assert_eq!([&*a, &*b, &*c], ["token-number-2"; 3], "fetched once for all who wait");
        assert_eq!(value("lives").await, "lives-value-1", "without a limit once per process");
        assert_eq!(
            secrets.masker().text("token-number-1 token-number-2"),
            "*** ***",
            "what died is no less secret"
        );
        std::fs::remove_file(dir.path().join("gone")).unwrap();
        let error = secrets.get("gone").await.unwrap_err().to_string();
        assert!(
            error.contains("cannot read") && !error.contains("gone-value"),
            "an old one is not used: {error}"
        );
    }
}
