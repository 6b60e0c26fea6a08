//! What all attempts of one run share: its folder, its secrets, its environment, its clock.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::blobs::Blobs;
use super::leftovers::ProcJournal;
use super::secrets::Secrets;
use super::work::WorkFolder;
use crate::clock::Clock;
use crate::runbook::extract::Globals;

pub use super::leftovers::LeftoverError as ContextError;

/// Variables that every program inherits, where they are set.
const ALWAYS: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "SSH_AUTH_SOCK"];
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// The part of consigne's own environment that programs see, frozen at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited(BTreeMap<String, OsString>);

impl Inherited {
    /// From this process's environment: the fixed few and `names`.
    pub fn snapshot(names: &[String]) -> Self {
        let names = ALWAYS.into_iter().chain(names.iter().map(String::as_str));
        Self(names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect())
    }

    /// Variables as they were frozen.
    pub const fn of(variables: BTreeMap<String, OsString>) -> Self {
        Self(variables)
    }

    pub const fn variables(&self) -> &BTreeMap<String, OsString> {
        &self.0
    }
}

/// What all attempts of one run share.
pub struct RunContext {
    /// Id of the run.
    pub run: String,
    /// Directory of the run.
    pub dir: PathBuf,
    /// Where relative paths begin: the runbook's folder.
    pub base_dir: PathBuf,
    pub inherited: Inherited,
    pub secrets: Secrets,
    /// What filters see as `$inputs` and `$vars`.
    pub globals: Globals,
    pub clock: Arc<dyn Clock>,
    /// Language of messages to those who say nothing else: that of the run.
    pub lang: String,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// The scratch folder of the run.
    pub work: WorkFolder,
    pub(super) blobs: Arc<Blobs>,
    pub(super) procs: ProcJournal,
}

impl RunContext {
    /// # Errors
    /// The side file of processes cannot be opened in `run_dir`.
    pub fn open(
        run: &str,
        run_dir: &std::path::Path,
        secrets: Secrets,
        globals: Globals,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ContextError> {
        Ok(Self {
            run: run.to_owned(),
            dir: super::leftovers::absolute(run_dir),
            base_dir: secrets.base_dir().to_owned(),
            inherited: secrets.inherited().clone(),
            secrets,
            globals,
            clock,
            lang: "en".to_owned(),
            grace: GRACE,
            work: WorkFolder::of(run_dir),
            blobs: Arc::new(Blobs::below(run_dir.join("blobs"))),
            procs: ProcJournal::open(run_dir)?,
        })
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Notes a process that outlives steps, such as a practice service, for the sweep after a crash.
    ///
    /// # Errors
    /// The process is gone, or the note cannot be written.
    pub fn note_service(&self, pid: u32, name: &str) -> Result<(), ContextError> {
        self.procs.note(pid, super::leftovers::ProcKind::Service, Some(name))
    }
}
