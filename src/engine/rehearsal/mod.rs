//! Rehearsals: the same core, the same rules, real people, and nothing else that is real.
//!
//! Owns the order in which a rehearsal comes to life and how its time passes. The loop is that of the simulator
//! ([`crate::engine::sim`]); this module gives it a world ([`stage`]), where attempts end as [`sources`] say, and stands
//! still where a person is asked. It opens no socket, starts no program and writes nothing outside of the run's folder,
//! except for reads that were asked for. Whatever is random elsewhere comes from its seed, so that the same runbook,
//! inputs, sources, seed and answers give the same bytes.
//!
//! - `sources`: who may know what a call is answered; `past`: a real run as one; `placeholder` makes it up, with a
//!   `draft` of what the step would take.
//! - `exchanges`: the HTTP calls of a real run as a HAR file; `matching`: which of them a request is answered by;
//!   `drift`: what a fixture says that is not so any more.
//! - `faults`: what goes wrong because somebody wished for it; `mishap` carries out what the outside has no part in.
//! - `frozen`: what it takes to go on with one; `recalled`: what its sources have said already.
//! - `beyond`: what would leave the machine in a run, and is noted instead.
//! - `interrupts`: being asked to end.
//! - `sweep`: one rehearsal for each fault that a runbook can meet; `findings` says what must not be after any, `switched`
//!   what was left half way.
//! - `stage`: the world of the simulator, and the book.
//! - `unnoticed`: wrong answers that were taken for good ones.
//! - `trace`: what it did, read off its journal; `verdict` holds that against what a test expects.

pub mod beyond;
mod draft;
pub mod drift;
pub mod exchanges;
pub mod faults;
pub mod findings;
pub mod frozen;
mod interrupts;
mod matching;
mod mishap;
pub mod past;
pub mod placeholder;
mod recalled;
pub mod sources;
pub mod stage;
pub mod sweep;
pub mod switched;
pub mod trace;
pub mod unnoticed;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedReceiver;

use self::beyond::Messages;
use self::faults::{Fault, FaultKind};
pub use self::interrupts::Interrupts;
use self::stage::{Cast, Stage};
use super::board::Board;
use super::book::{Book, BookError};
use super::folder::{make_folder, write_private};
use super::launch::{Answering, HOST_FILE, Hosting, LaunchError, Rest};
use super::local::{DriveError, Stopped};
use super::narrate;
use super::sim::Sim;
use crate::clock::{Clock, Timestamp, VirtualClock};
use crate::core::state::Timer;
use crate::core::{Actor, Begin, Decided, Input, JournalInput, Phase, Refused};
use crate::journal::{Entry, Journal, Opened, RunLock, SeededSalt};
use crate::operator::Reply;
use crate::plan::{Plan, digest};
use crate::record::keys::ExecutorKey;
use crate::runbook::extract::Globals;
use crate::runner::{Inherited, PromptSecret, RunContext, Sealed, Secrets};

/// When a rehearsal begins that nobody gave a time: a Monday morning.
pub const START: Timestamp = Timestamp::from_millis(1_767_603_600_000);

/// A rehearsal that has not begun.
pub struct NewRehearsal {
    pub dir: PathBuf,
    /// Name of the run. The same for the same seed.
    pub id: String,
    pub plan: Plan,
    /// Further frozen files below `plan/`.
    pub frozen: BTreeMap<String, Vec<u8>>,
    pub lang: String,
    pub tool: String,
    pub seed: u64,
    /// Where it stands is when the rehearsal begins.
    pub clock: Arc<VirtualClock>,
    pub cast: Cast,
    pub actor: Actor,
    pub attended: bool,
    /// Nobody can be asked in this process.
    pub alone: bool,
    /// Questions that nobody answers, by answer id.
    pub absent: BTreeSet<String>,
    /// By which it is asked to end. Where somebody can be asked, he is told of waits, and goes on by Enter.
    pub interrupts: Option<Interrupts>,
    /// What reads that are done for real need of this machine.
    pub reading: Option<Reading>,
}

/// What reads that are done for real need.
pub struct Reading {
    /// Where relative paths begin.
    pub base_dir: PathBuf,
    pub prompt_secret: Option<Arc<dyn PromptSecret>>,
}

/// How a rehearsal came to rest.
pub struct Rehearsed {
    pub rest: Rest,
    /// What a scenario or a fixture had to say and nobody asked about.
    pub unused: Vec<String>,
    /// What was to go wrong, and whether it came to that.
    pub faults: Vec<(Fault, bool)>,
    /// Everything that was written down.
    pub entries: Vec<Decided>,
}

/// The seed of a rehearsal that nobody gave one: the same for the same plan.
///
/// # Errors
/// A number in the inputs that JSON cannot hold.
pub fn seed_of(plan: &Plan) -> Result<u64, serde_json::Error> {
    let digest = digest::of_files(&digest::digests(&digest::files(plan)?));
    Ok(first_of(&Sha256::digest(format!("consigne rehearsal {digest}"))))
}

/// What a rehearsal of that runbook and seed is called. It does not give the seed away.
pub fn id_of(runbook: &str, seed: u64) -> String {
    let digest = Sha256::digest(format!("consigne rehearsal of {runbook}, seed {seed}"));
    format!("rehearsal-{runbook}-{:08x}", first_of(&digest) >> 32)
}

fn first_of(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Rehearses until the run is over or nobody is there who could answer.
///
/// # Errors
/// Its folder cannot be written, or the core refuses the beginning.
pub fn rehearse(mut new: NewRehearsal, answering: Answering) -> Result<Rehearsed, LaunchError> {
    make_folder(&new.dir.join("plan"))?;
    let _lock = RunLock::acquire(&new.dir, new.clock.now())?;
    let files = freeze(&new.dir, &new.plan, std::mem::take(&mut new.frozen))?;
    let journal = Journal::create(&new.dir, &new.id)?;
    let journal = journal.relaxed().salted(Box::new(SeededSalt::new(new.seed)));
    let begin = new.begin(digest::digests(&files));
    perform(
        new,
        answering,
        Opening { journal, entries: Vec::new(), first: vec![Input::Begin(begin.clone())], begin },
    )
}

/// Goes on with a rehearsal that was parked, or whose process died. `end`: only to end it.
///
/// # Errors
/// Another process is at it, its journal is damaged or no history of its plan, or it cannot be written.
pub fn resume(
    new: NewRehearsal,
    answering: Answering,
    end: Option<String>,
) -> Result<Rehearsed, LaunchError> {
    let _lock = RunLock::acquire(&new.dir, new.clock.now())?;
    let Opened { journal, entries, recovered } = Journal::open(&new.dir)?;
    let begin = new.begin(frozen::digests(&entries));
    let salt = SeededSalt::new(new.seed.wrapping_add(entries.len() as u64));
    let journal = journal.relaxed().salted(Box::new(salt));
    let mut first: Vec<Input> = Vec::new();
    first.extend(recovered.map(|torn| {
        Input::Journal(JournalInput::Recovered { bytes: torn.bytes, sha256: torn.sha256.to_string() })
    }));
    let (actor, attended, tool) = (begin.actor.clone(), begin.attended, begin.tool.clone());
    first.push(Input::Resume { actor, attended, tool, end });
    perform(new, answering, Opening { journal, entries, first, begin })
}

/// What a process finds of a rehearsal, and says first.
struct Opening {
    journal: Journal,
    entries: Vec<Entry>,
    begin: Begin,
    first: Vec<Input>,
}

fn perform(new: NewRehearsal, answering: Answering, opening: Opening) -> Result<Rehearsed, LaunchError> {
    let Opening { journal, entries, begin, first } = opening;
    let NewRehearsal { dir, id, plan, lang, seed, clock, cast, actor, .. } = new;
    let start = clock.now();
    // Nobody signs a decision of a rehearsal with a key of his own, so there is no folder of such keys.
    let key = Arc::new(ExecutorKey::of_rehearsals());
    let book = Book::new(journal, &entries, key, &dir, clock.clone())?;
    let runtime = runtime(new.reading.is_some())?;
    let attempts = Arc::new(VirtualClock::at(start));
    let mut context = context(&id, &dir, &plan, new.reading.as_ref(), &attempts)?;
    context.lang = lang;
    let stage = Stage::new((book, answering.operator), cast, (context, attempts), clock, runtime);
    let plan = Arc::new(plan);
    let corrupt = |what: String| LaunchError::Corrupt { path: dir.join("plan"), what };
    stage.recall(&plan, &id, &entries).map_err(corrupt)?;
    let entries = entries.into_iter().map(|entry| Decided { at: entry.at, events: entry.events }).collect();
    let sim = Sim::resumed(&plan, &id, entries, start, stage).map_err(corrupt)?;
    let mut driver = Driver {
        messages: Messages::of(&plan, sim.entries.iter()),
        sim,
        begin,
        dir: &dir,
        seed,
        unrefusable: BTreeSet::new(),
        board: Board::default(),
        replies: answering.replies,
        actor,
        alone: new.alone,
        absent: new.absent,
        interrupts: new.interrupts,
        passed: None,
        plan: &plan,
    };
    let driven = driver.open(first).and_then(|()| driver.drive());
    driver.sim.world.operator.close();
    let stopped = driven?;
    let (unused, faults) = (driver.sim.world.unused(), driver.sim.world.faults());
    let Sim { state, world, entries, .. } = driver.sim;
    let mut book = world.book;
    let head = book.sign_head()?;
    let rest = Rest { stopped, plan: plan.clone(), state, dir: dir.clone(), head };
    Ok(Rehearsed { rest, unused, faults, entries })
}

impl NewRehearsal {
    fn begin(&self, plan: BTreeMap<String, String>) -> Begin {
        Begin {
            actor: self.actor.clone(),
            attended: self.attended,
            tool: self.tool.clone(),
            lang: self.lang.clone(),
            template: crate::record::render::TEMPLATE,
            plan,
            executor: ExecutorKey::of_rehearsals().signer_key().fingerprint(),
        }
    }
}

/// Writes the files of the plan. What this machine is like is none of them.
fn freeze(
    dir: &Path,
    plan: &Plan,
    frozen: BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, LaunchError> {
    let folder = dir.join("plan");
    let corrupt =
        |error: serde_json::Error| LaunchError::Corrupt { path: folder.clone(), what: error.to_string() };
    let mut files = digest::files(plan).map_err(corrupt)?;
    let hosting = Hosting { base_dir: PathBuf::from("."), services: Vec::new(), surroundings: None };
    files.insert(HOST_FILE.to_owned(), serde_json::to_vec_pretty(&hosting).map_err(corrupt)?);
    files.extend(frozen);
    for (name, bytes) in &files {
        write_private(&folder.join(name), bytes)?;
    }
    Ok(files)
}

/// One thread; without connections and signals where nothing is done for real.
fn runtime(reads: bool) -> Result<tokio::runtime::Runtime, LaunchError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let builder = if reads { builder.enable_all() } else { builder.enable_time() };
    builder.build().map_err(|error| DriveError::Signals(error).into())
}

fn context(
    id: &str,
    dir: &Path,
    plan: &Plan,
    reading: Option<&Reading>,
    clock: &Arc<VirtualClock>,
) -> Result<RunContext, LaunchError> {
    let secrets = match reading {
        // A secret of the house is needed for nothing else.
        None => Secrets::new(BTreeMap::new(), Path::new("."), Inherited::default(), None),
        Some(reading) => {
            let inherited = Inherited::snapshot(&plan.values.env_inherit);
            let sources = plan.values.secrets.clone();
            Secrets::new(sources, &reading.base_dir, inherited, reading.prompt_secret.clone())
        }
    };
    let secrets = secrets.sealed_in(Sealed::of(id, dir, dir))?;
    let globals = Globals::new(&plan.values.inputs, &plan.values.vars);
    Ok(RunContext::open(id, dir, secrets, globals, clock.clone())?)
}

struct Driver<'p> {
    sim: Sim<'p, Stage>,
    begin: Begin,
    dir: &'p Path,
    seed: u64,
    /// Questions that nobody may say no to.
    unrefusable: BTreeSet<u32>,
    board: Board,
    replies: UnboundedReceiver<Reply>,
    actor: Actor,
    alone: bool,
    absent: BTreeSet<String>,
    messages: Messages,
    interrupts: Option<Interrupts>,
    /// Until when the last wait was that somebody has seen.
    passed: Option<Timestamp>,
    plan: &'p Plan,
}

/// How long nobody looks whether a question is to be given up.
const LOOK: Duration = Duration::from_millis(100);

impl Driver<'_> {
    /// What is said first. A run that is over lacks nothing but its seal.
    fn open(&mut self, first: Vec<Input>) -> Result<(), LaunchError> {
        if self.sim.state.phase() == Phase::Finished {
            return Ok(());
        }
        if self.sim.state.phase() != Phase::New {
            for input in self.sim.world.book.unattested(&self.sim.state)? {
                self.input(input)?;
            }
        }
        let begins = self.sim.state.phase() == Phase::New;
        first.into_iter().try_for_each(|input| self.input(input))?;
        if begins { self.notes() } else { Ok(()) }
    }

    /// What there is to say about the sources stands in the record.
    fn notes(&mut self) -> Result<(), LaunchError> {
        for text in self.sim.world.notes() {
            self.input(Input::Note { actor: Actor::executor(), text })?;
        }
        Ok(())
    }

    fn drive(&mut self) -> Result<Stopped, LaunchError> {
        loop {
            if self.sim.state.phase() == Phase::Finished {
                self.seal()?;
                return Ok(Stopped::Finished);
            }
            if self.interrupts.as_ref().is_some_and(Interrupts::came) {
                self.take(Reply::Interrupt)?;
                continue;
            }
            if self.tell()? || self.refuse()? {
                continue;
            }
            let asks = self.show();
            if let Ok(reply) = self.replies.try_recv() {
                self.take(reply)?;
                continue;
            }
            match self.sim.next() {
                // Time stands still for whoever is asked; what was begun comes to its end beside that.
                Some((_, true)) | None if !asks.is_empty() => {
                    if self.alone {
                        return self.park();
                    }
                    let said = async { tokio::time::timeout(LOOK, self.replies.recv()).await };
                    if let Ok(reply) = self.sim.world.wait(said) {
                        self.take(reply.unwrap_or(Reply::Hangup))?;
                    }
                }
                Some(_) if self.sim.state.run.paused.is_none() || !self.sim.in_flight().is_empty() => {
                    if !self.pass() {
                        self.take(Reply::Interrupt)?;
                        continue;
                    }
                    self.sim.step();
                    self.unbroken()?;
                }
                _ => return self.park(),
            }
        }
    }

    /// Where the next thing is that a step has waited long enough, whoever is there says when to go on. False: he wants
    /// to stop.
    fn pass(&mut self) -> bool {
        let there = self.interrupts.as_ref().filter(|_| !self.alone);
        let (Some(there), Some((at, true))) = (there, self.sim.next()) else { return true };
        let state = &self.sim.state;
        let Some((due, Timer::Wait(step))) = state.derived().timers.first().copied() else { return true };
        if due > at || due <= self.sim.now() || self.passed == Some(due) {
            return true;
        }
        let line = narrate::skips(state, step, due.since(self.sim.now()));
        self.sim.world.operator.say(&line);
        let goes_on = there.enter();
        self.passed = goes_on.then_some(due);
        goes_on
    }

    /// Shows the questions that somebody is to answer, and says which.
    fn show(&mut self) -> BTreeSet<u32> {
        let Sim { state, world, .. } = &mut self.sim;
        let paused = state.run.paused.is_some();
        let open = state.derived().open_asks.iter().copied().filter(|_| !paused);
        let nobody = |ask: &u32| {
            let at = state.ask(*ask).map(|asked| asked.step);
            world.meets(state, *ask, FaultKind::Absent)
                || at.is_some_and(|at| {
                    self.absent.contains(&state.shape().label(at))
                        || self.absent.contains(&state.shape().node(at).id)
                })
        };
        let asks: BTreeSet<u32> = open.filter(|ask| !nobody(ask)).collect();
        self.board.show(&asks, (self.plan, state), &world.book, world.operator.as_mut());
        asks
    }

    fn take(&mut self, reply: Reply) -> Result<(), LaunchError> {
        match reply {
            Reply::Answer(answer) => {
                let ask = answer.ask;
                match self.sim.input(Input::Answer(answer)) {
                    Ok(()) => self.board.taken(ask),
                    Err(refused) => self.sim.world.operator.refused(ask, &refused),
                }
                self.unbroken()
            }
            Reply::Interrupt | Reply::Hangup if self.sim.state.run.paused.is_some() => Ok(()),
            Reply::Interrupt | Reply::Hangup => self.pause("interrupted"),
        }
    }

    fn pause(&mut self, reason: &str) -> Result<(), LaunchError> {
        self.input(Input::Pause { actor: self.actor.clone(), reason: reason.to_owned(), stop: true })
    }

    /// Nobody is there who could go on with it.
    fn park(&mut self) -> Result<Stopped, LaunchError> {
        if self.sim.state.run.paused.is_none() {
            self.pause("unattended")?;
        }
        Ok(Stopped::Parked)
    }

    fn input(&mut self, input: Input) -> Result<(), LaunchError> {
        let taken = self.sim.input(input);
        self.unbroken()?;
        taken.map_err(|refused: Refused| LaunchError::Book(BookError::Refused(refused)))
    }

    fn unbroken(&mut self) -> Result<(), LaunchError> {
        if let Some(error) = self.sim.world.broken.take() {
            return Err(error.into());
        }
        self.mishaps()
    }

    /// The ending sequence of the record, as of every run.
    fn seal(&mut self) -> Result<(), LaunchError> {
        let Sim { state, world, .. } = &mut self.sim;
        world.context().secrets.erase()?;
        world.book.seal(self.plan, state)?;
        Ok(())
    }
}
