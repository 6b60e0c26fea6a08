//! From a plan to a driven run, and from a directory back to one.
//!
//! Owns the order in which a run comes to life: locks, directory, frozen files, services, secrets, key, journal,
//! entry 0. Whatever fails before entry 0 leaves nothing behind. Resuming takes the same parts from the directory
//! and never reads YAML.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::book::{Book, BookError};
use super::certified::{self, NotCertified};
use super::folder::write_private;
use super::local::{DriveError, Local, Stopped};
use super::services::{Running, ServiceError};
use super::signals::Signals;
use super::surroundings::Surroundings;
use super::{identity, narrate, preflight, queue, unbegun};
use crate::clock::Clock;
use crate::core::{Actor, Begin, Event, Fact, Input, JournalInput, Phase, Shape, State};
use crate::journal::{Entry, Hash, Journal, JournalError, LockError, Opened, RunLock, TargetLocks};
use crate::operator::{Operator, Reply};
use crate::ownership;
use crate::plan::digest;
use crate::plan::service::Service;
use crate::plan::{Mode, Plan};
use crate::record::keys::{ExecutorKey, KeyError};
use crate::record::ledger::{About, Ledger, Moment};
use crate::record::note::TreeHead;
use crate::record::sshsig::FileKey;
use crate::runbook::extract::Globals;
use crate::runner::{
    Inherited, Leftover, LeftoverError, PromptSecret, RunContext, Runners, SealError, Sealed, Secrets,
    WorkFolder, sweep_leftovers,
};

/// File below `plan/` that says how this host serves the run. Held back.
pub const HOST_FILE: &str = "host.json";

/// What a run needs of this host: where relative paths begin, and its services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosting {
    /// Folder of the runbook.
    pub base_dir: PathBuf,
    pub services: Vec<Service>,
    /// What children found around them when the run started. Runs of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
}

/// Where this process works, and for whom.
#[derive(Clone)]
pub struct Host {
    /// Keys, trust, ledger, locks.
    pub home: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// Name and version of this program.
    pub tool: String,
    pub attended: bool,
    /// Nobody can be asked in this process.
    pub alone: bool,
    pub no_wait: bool,
    pub prompt_secret: Option<Arc<dyn PromptSecret>>,
    /// Signs the decisions of the person at this process.
    pub key: Option<Arc<FileKey>>,
}

/// Who answers in this process.
pub struct Answering {
    pub operator: Box<dyn Operator>,
    pub replies: mpsc::UnboundedReceiver<Reply>,
}

/// A run that has not begun.
pub struct NewRun {
    pub id: String,
    pub dir: PathBuf,
    pub plan: Plan,
    pub hosting: Hosting,
    /// Further frozen files below `plan/`, such as the runbook as it was read.
    pub frozen: BTreeMap<String, Vec<u8>>,
    pub lang: String,
    /// What is written down directly after the start.
    pub first: Vec<Input>,
    /// Where another run has one of its targets, it waits for its turn.
    pub waits: bool,
}

/// How a driven run came to rest.
pub struct Rest {
    pub stopped: Stopped,
    pub plan: Arc<Plan>,
    pub state: State,
    pub dir: PathBuf,
    /// The journal's last signed head.
    pub head: TreeHead,
}

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error(transparent)]
    Leftovers(#[from] LeftoverError),
    #[error(transparent)]
    NotCertified(#[from] NotCertified),
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// Programs or secrets that are not there, one message each.
    #[error("{}", .0.join("\n"))]
    Missing(Vec<String>),
    #[error("{}: {what}", path.display())]
    Corrupt { path: PathBuf, what: String },
    #[error("the run in {} never began: its process died before the first step", dir.display())]
    NeverBegan { dir: PathBuf },
    /// Real effects would follow simulated ones.
    #[error("run {0} is a rehearsal, and nothing real can follow it")]
    Rehearsal(String),
    #[error("interrupted before anything was started")]
    Interrupted,
    #[error("the run is over")]
    Over,
    /// Names of variables and contexts.
    #[error("what steps find around them is not what it was when the run started: {} differ{}", .0.join(", "), if .0.len() == 1 { "s" } else { "" })]
    Surroundings(Vec<String>),
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Begins a run and drives it until it is over or parked.
///
/// # Errors
/// See [`LaunchError`]; before entry 0 nothing is left behind.
pub async fn begin(mut new: NewRun, host: &Host, answering: Answering) -> Result<Rest, LaunchError> {
    if new.plan.graph.mode == Mode::Rehearsal {
        return Err(LaunchError::Rehearsal(new.id));
    }
    let missing = preflight::programs(&new.plan);
    if !missing.is_empty() {
        return Err(LaunchError::Missing(missing));
    }
    certified::check(&new, &host.home, host.clock.now())?;
    let (id, dir) = (new.id.clone(), new.dir.clone());
    let (mut answering, claimed) = (answering, Cell::new(false));
    let prepared = unless_interrupted(async {
        let lock = queue::claim(&new, host, answering.operator.as_mut(), &claimed).await?;
        // Its turn may have come hours later.
        certified::rely(&mut new, &host.home, host.clock.now())?;
        prepare(new, host, lock).await
    });
    match prepared.await {
        Ok(prepared) => prepared.go(host, answering).await,
        Err(error) if !claimed.get() => Err(error),
        Err(error) => {
            super::services::end_living(&dir, &id).await?;
            TargetLocks::of(&host.home).release_all(&id)?;
            let error = keep_log(error, &host.home, &id);
            if unbegun::is_unbegun(&dir) {
                let _best_effort = std::fs::remove_dir_all(&dir);
            }
            Err(error)
        }
    }
}

/// What a service said before it failed outlives the directory of the run that never began.
fn keep_log(error: LaunchError, home: &Path, id: &str) -> LaunchError {
    let LaunchError::Service(ServiceError::NotReady { name, reason, log }) = error else { return error };
    let kept = home.join("failed").join(format!("{id}.{name}.log"));
    let moved = ownership::make_folder(&home.join("failed")).and_then(|()| std::fs::rename(&log, &kept));
    let log = if moved.is_ok() { kept } else { log };
    LaunchError::Service(ServiceError::NotReady { name, reason, log })
}

/// A signal while nothing has been started yet ends the preparations.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T, LaunchError>>) -> Result<T, LaunchError> {
    let mut signals = Signals::watch().map_err(DriveError::Signals)?;
    tokio::select! {
        biased;
        done = work => done,
        () = signals.end() => Err(LaunchError::Interrupted),
    }
}

struct Prepared {
    dir: PathBuf,
    plan: Arc<Plan>,
    context: Arc<RunContext>,
    runners: Arc<Runners>,
    services: Running,
    book: Book,
    state: State,
    /// Lines that the operator has not been told yet.
    said: Vec<String>,
    first: Vec<Input>,
    actor: Actor,
    _lock: RunLock,
}

async fn prepare(new: NewRun, host: &Host, lock: RunLock) -> Result<Prepared, LaunchError> {
    let NewRun { id, dir, plan, mut hosting, frozen, lang, first, waits: _ } = new;
    hosting.surroundings = Some(Surroundings::freeze(&plan, &hosting.base_dir).map_err(LaunchError::Random)?);
    let folder = dir.join("plan");
    let key = ExecutorKey::load(&host.home)?;
    let mut files = digest::files(&plan).map_err(|error| corrupt(&folder, &error))?;
    let host_file = serde_json::to_vec_pretty(&hosting).map_err(|error| corrupt(&folder, &error))?;
    files.insert(HOST_FILE.to_owned(), host_file);
    files.extend(frozen);
    for (name, bytes) in &files {
        write_private(&folder.join(name), bytes)?;
    }
    let context = Arc::new(context(&id, &dir, (&plan, &lang), &hosting, host)?);
    let runners = Arc::new(Runners::new());
    let mut services = served(&plan, &hosting, &dir, &context, &runners).await?;
    let actor = identity::actor(&plan.graph.people, &identity::os_user());
    let begin = Begin {
        actor: actor.clone(),
        attended: host.attended,
        tool: host.tool.clone(),
        lang,
        template: crate::record::render::TEMPLATE,
        plan: digest::digests(&files),
        executor: key.signer_key().fingerprint(),
    };
    let (book, state, said) = match first_entry(&dir, &id, &plan, key, begin, host) {
        Ok(opened) => opened,
        Err(error) => {
            services.down().await;
            return Err(error);
        }
    };
    let plan = Arc::new(plan);
    Ok(Prepared { dir, plan, context, runners, services, book, state, said, first, actor, _lock: lock })
}

/// Writes entry 0: from here on there is a run.
fn first_entry(
    dir: &Path,
    id: &str,
    plan: &Plan,
    key: ExecutorKey,
    begin: Begin,
    host: &Host,
) -> Result<(Book, State, Vec<String>), LaunchError> {
    let shape = Arc::new(Shape::new(plan.graph.clone()).map_err(|what| corrupt(&dir.join("plan"), &what))?);
    let journal = Journal::create(dir, id)?;
    let mut state = State::new(shape, id);
    let mut book = Book::new(journal, &[], Arc::new(key), &host.home, host.clock.clone())?;
    let mut said = Vec::new();
    book.take_in(plan, &mut state, vec![Input::Begin(begin)], &mut |state, event| {
        said.extend(narrate::line(plan, state, event));
    })?;
    ledger(dir, plan, &state, &book.sign_head()?, Moment::Start, host)?;
    Ok((book, state, said))
}

/// The services of a run, up, with every secret at hand; else nothing of it is left running.
async fn served(
    plan: &Plan,
    hosting: &Hosting,
    dir: &Path,
    context: &RunContext,
    runners: &Runners,
) -> Result<Running, LaunchError> {
    let missing = preflight::secrets(plan, dir, &context.secrets).await;
    if !missing.is_empty() {
        return Err(LaunchError::Missing(missing));
    }
    let mut services = Running::up(&hosting.services, dir, context, runners).await?;
    let missing: Vec<String> = context.secrets.preflight().await.iter().map(ToString::to_string).collect();
    if !missing.is_empty() {
        services.down().await;
        return Err(LaunchError::Missing(missing));
    }
    Ok(services)
}

/// A run taken from its directory, with the lock held.
pub struct Reopened {
    pub id: String,
    pub dir: PathBuf,
    pub plan: Arc<Plan>,
    pub state: State,
    pub hosting: Hosting,
    pub book: Book,
    /// What the last process could not write down.
    before: Vec<Input>,
    /// Why it is to end.
    end: Option<String>,
    /// Somebody's word that it may go on in other surroundings.
    accepted: Option<Input>,
    lock: RunLock,
}

/// Takes a run from its directory: locks it, checks the journal and folds it.
///
/// # Errors
/// It is driven by another process, it is damaged, or its plan is not the one that it began with.
pub fn reopen(dir: &Path, home: &Path, clock: &Arc<dyn Clock>) -> Result<Reopened, LaunchError> {
    if !dir.join("plan").is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(LaunchError::File { verb: "find a run in", path: dir.to_owned(), source });
    }
    let lock = RunLock::acquire(dir, clock.now())?;
    if unbegun::is_unbegun(dir) {
        return Err(LaunchError::NeverBegan { dir: dir.to_owned() });
    }
    let Opened { journal, entries, recovered } = Journal::open(dir)?;
    let (plan, hosting, state) = fold(dir, &entries)?;
    if plan.graph.mode == Mode::Rehearsal {
        return Err(LaunchError::Rehearsal(state.run.id));
    }
    let key = Arc::new(ExecutorKey::load(home)?);
    let book = Book::new(journal, &entries, key, home, clock.clone())?;
    let mut before: Vec<Input> = Vec::new();
    if !state.run.sealed {
        before.extend(recovered.map(|torn| {
            Input::Journal(JournalInput::Recovered { bytes: torn.bytes, sha256: torn.sha256.to_string() })
        }));
        before.extend(book.unattested(&state)?);
    }
    let id = state.run.id.clone();
    let plan = Arc::new(plan);
    Ok(Reopened {
        id,
        dir: dir.to_owned(),
        plan,
        state,
        hosting,
        book,
        before,
        end: None,
        accepted: None,
        lock,
    })
}

/// The plan of a run, what it needs of the host, and where it stands. Reads only.
///
/// # Errors
/// The plan is not the one of entry 0, or the entries are no legal history of it.
pub fn fold(dir: &Path, entries: &[Entry]) -> Result<(Plan, Hosting, State), LaunchError> {
    let folder = dir.join("plan");
    let journal = dir.join("events.jsonl");
    let Some(first) = entries.first() else {
        return Err(LaunchError::Corrupt { path: journal, what: "the run has no first entry".to_owned() });
    };
    let digests = started(&first.events).ok_or_else(|| LaunchError::Corrupt {
        path: journal.clone(),
        what: "line 1 starts no run".to_owned(),
    })?;
    let plan = digest::load(&folder, digests).map_err(|error| corrupt(&folder, &error))?;
    let path = folder.join(HOST_FILE);
    let bytes = std::fs::read(&path).map_err(|source| LaunchError::File {
        verb: "read",
        path: path.clone(),
        source,
    })?;
    let found = Hash::of(&bytes).to_string();
    // It says which programs are started here.
    if digests.get(HOST_FILE).is_none_or(|expected| *expected != found) {
        let what = format!("not the file that the journal names: its SHA-256 is {found}");
        return Err(LaunchError::Corrupt { path, what });
    }
    let hosting: Hosting = serde_json::from_slice(&bytes).map_err(|error| corrupt(&path, &error))?;
    let shape = Shape::new(plan.graph.clone()).map_err(|what| corrupt(&folder, &what))?;
    let mut state = State::new(Arc::new(shape), &first.run);
    for entry in entries {
        for event in &entry.events {
            state.apply(entry.at, event).map_err(|illegal| LaunchError::Corrupt {
                path: journal.clone(),
                what: format!("line {}: {illegal}", entry.seq + 1),
            })?;
        }
    }
    Ok((plan, hosting, state))
}

fn started(events: &[Event]) -> Option<&BTreeMap<String, String>> {
    events.iter().find_map(|event| match &event.fact {
        Fact::RunStarted { plan, .. } => Some(plan),
        _ => None,
    })
}

impl Reopened {
    /// Names of the variables and contexts that steps would find changed since the run started. Nothing for a run
    /// that is over, which starts nothing any more.
    pub fn changed_surroundings(&self) -> Vec<String> {
        let over = self.state.phase() == Phase::Finished;
        let frozen = self.hosting.surroundings.as_ref().filter(|_| !over);
        frozen.map(|then| then.differing(&self.plan, &self.hosting.base_dir)).unwrap_or_default()
    }

    /// Takes it on somebody's word that the run may go on in other surroundings. His word goes into the record.
    pub fn accept_surroundings(&mut self, actor: Actor, text: String) {
        self.accepted = Some(Input::Note { actor, text });
    }

    /// Goes on until the run is over or parked. `then` follows the resuming itself.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub async fn resume(
        self,
        then: Vec<Input>,
        host: &Host,
        answering: Answering,
    ) -> Result<(Rest, Vec<Leftover>), LaunchError> {
        let mut this = self;
        let changed = this.changed_surroundings();
        if !changed.is_empty() && this.accepted.is_none() {
            return Err(LaunchError::Surroundings(changed));
        }
        let swept = sweep_leftovers(&this.dir, &this.id).await?;
        // A crash may have come between the first entry and the ledger.
        ledger(&this.dir, &this.plan, &this.state, &this.book.sign_head()?, Moment::Start, host)?;
        if this.state.phase() == Phase::Finished {
            super::services::end_living(&this.dir, &this.id).await?;
            return Ok((this.complete(host)?, swept));
        }
        let (dir, id) = (this.dir.clone(), this.id.clone());
        match unless_interrupted(this.prepare(then, host)).await {
            Ok(prepared) => Ok((prepared.go(host, answering).await?, swept)),
            Err(error) => {
                super::services::end_living(&dir, &id).await?;
                Err(error)
            }
        }
    }

    async fn prepare(self, then: Vec<Input>, host: &Host) -> Result<Prepared, LaunchError> {
        let missing = preflight::programs(&self.plan);
        if !missing.is_empty() {
            return Err(LaunchError::Missing(missing));
        }
        // A target may have been taken away, and another run may have it now.
        let locks = TargetLocks::of(&host.home);
        let own = (self.id.as_str(), self.dir.as_path());
        unbegun::acquire(&locks, &self.plan.values.locks, own, &host.clock, None).await?;
        let actor = identity::actor(&self.plan.graph.people, &identity::os_user());
        let context =
            Arc::new(context(&self.id, &self.dir, (&self.plan, &self.state.run.lang), &self.hosting, host)?);
        let runners = Arc::new(Runners::new());
        let services = served(&self.plan, &self.hosting, &self.dir, &context, &runners).await?;
        let mut first = self.before;
        first.push(Input::Resume {
            actor: actor.clone(),
            attended: host.attended,
            tool: host.tool.clone(),
            end: self.end,
        });
        first.extend(self.accepted);
        first.extend(then);
        Ok(Prepared {
            dir: self.dir,
            plan: self.plan,
            context,
            runners,
            services,
            book: self.book,
            state: self.state,
            said: Vec::new(),
            first,
            actor,
            _lock: self.lock,
        })
    }

    /// It goes on only to be ended.
    pub fn to_end(&mut self, reason: String) {
        self.end = Some(reason);
    }

    /// Takes in one input and leaves the run parked. Whether it said anything new.
    ///
    /// # Errors
    /// The input is refused, or the journal cannot be written.
    pub fn note_down(&mut self, input: Input, host_user: Actor) -> Result<bool, LaunchError> {
        let mut before = std::mem::take(&mut self.before);
        if self.state.run.paused.is_none() && self.state.run.finished.is_none() {
            // Its process died. What the input sets free must not be written down as started: nobody here starts it.
            before.push(Input::Pause { actor: host_user, reason: "died".to_owned(), stop: false });
        }
        self.book.take_in(&self.plan, &mut self.state, before, &mut |_, _| {})?;
        let mut news = false;
        self.book.take_in(&self.plan, &mut self.state, vec![input], &mut |_, _| news = true)?;
        self.book.sign_head()?;
        Ok(news)
    }

    /// Finishes what is missing of the record of a run that is over.
    fn complete(mut self, host: &Host) -> Result<Rest, LaunchError> {
        if let Err(error) = WorkFolder::of(&self.dir).wipe() {
            tracing::warn!(%error, "something of the run stays behind");
        }
        self.book.take_in(&self.plan, &mut self.state, self.before, &mut |_, _| {})?;
        Sealed::of(&self.id, &self.dir, &host.home).erase()?;
        let head = self.book.seal(&self.plan, &mut self.state)?;
        finish(&self.dir, &self.plan, &self.state, &head, host)?;
        Ok(Rest { stopped: Stopped::Finished, plan: self.plan, state: self.state, dir: self.dir, head })
    }
}

impl Prepared {
    async fn go(self, host: &Host, answering: Answering) -> Result<Rest, LaunchError> {
        let Self { dir, plan, context, runners, mut services, mut book, state, said, first, actor, _lock } =
            self;
        if let Some(key) = &host.key {
            book.sign_with(&actor.who, key.clone());
        }
        let mut operator = answering.operator;
        said.iter().for_each(|line| operator.say(line));
        let local = Local {
            plan: plan.clone(),
            state,
            book,
            context,
            runners,
            operator,
            replies: answering.replies,
            clock: host.clock.clone(),
            actor,
            alone: host.alone,
            no_wait: host.no_wait,
        };
        let driven = local.drive(first).await;
        services.down().await;
        let (stopped, state, mut book) = driven?;
        let head = book.sign_head()?;
        if stopped == Stopped::Finished {
            finish(&dir, &plan, &state, &head, host)?;
        }
        Ok(Rest { stopped, plan, state, dir, head })
    }
}

/// Frees the targets and closes the run in the ledger. Safe to repeat.
fn finish(dir: &Path, plan: &Plan, state: &State, head: &TreeHead, host: &Host) -> Result<(), LaunchError> {
    TargetLocks::of(&host.home).release(&plan.values.locks, &state.run.id)?;
    ledger(dir, plan, state, head, Moment::End, host)
}

/// Says in the ledger that a run has started, or how it ended; the same is said once.
fn ledger(
    dir: &Path,
    plan: &Plan,
    state: &State,
    head: &TreeHead,
    moment: Moment,
    host: &Host,
) -> Result<(), LaunchError> {
    let finished = state.run.finished.as_ref().filter(|_| moment == Moment::End);
    let status = finished.map(|finished| finished.status.name());
    let about =
        About { moment, runbook: &plan.graph.runbook, mode: plan.graph.mode, dir, status, note: None };
    Ok(Ledger::of(&host.home).append(host.clock.now(), &state.run.id, head, about)?)
}

fn context(
    id: &str,
    dir: &Path,
    (plan, lang): (&Plan, &str),
    hosting: &Hosting,
    host: &Host,
) -> Result<RunContext, LaunchError> {
    let inherited = Inherited::snapshot(&plan.values.env_inherit);
    let sources = plan.values.secrets.clone();
    let secrets = Secrets::new(sources, &hosting.base_dir, inherited, host.prompt_secret.clone())
        .refreshed(plan.values.refresh.clone(), host.clock.clone())
        .sealed_in(Sealed::of(id, dir, &host.home))?;
    let globals = Globals::new(&plan.values.inputs, &plan.values.vars);
    let mut context = RunContext::open(id, dir, secrets, globals, host.clock.clone())?;
    lang.clone_into(&mut context.lang);
    Ok(context)
}

fn corrupt(path: &Path, what: &dyn std::fmt::Display) -> LaunchError {
    LaunchError::Corrupt { path: path.to_owned(), what: what.to_string() }
}
