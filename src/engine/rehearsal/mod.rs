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
//! - `faults`: what goes wrong because somebody wished for it; `mishap` carries out what the outside has no part in.
//! - `sweep`: one rehearsal for each fault that a runbook can meet; `findings` says what must not be after any, `switched`
//!   what was left half way.
//! - `stage`: the world of the simulator, and the book.
//! - `unnoticed`: wrong answers that were taken for good ones.
//! - `trace`: what it did, read off its journal; `verdict` holds that against what a test expects.

mod draft;
pub mod faults;
pub mod findings;
mod mishap;
pub mod past;
pub mod placeholder;
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

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedReceiver;

use self::faults::{Fault, FaultKind};
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
use crate::core::{Actor, Begin, Decided, Input, Phase, Refused};
use crate::journal::{Journal, RunLock, SeededSalt};
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
    /// Returns when whoever is there wants to go on after a wait; without it nobody is told of waits.
    pub passing: Option<Passing>,
    /// What reads that are done for real need of this machine.
    pub reading: Option<Reading>,
}

/// Lets somebody see that a step waits.
pub type Passing = Box<dyn FnMut()>;

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
pub fn rehearse(new: NewRehearsal, answering: Answering) -> Result<Rehearsed, LaunchError> {
    let NewRehearsal { dir, id, plan, frozen, lang, tool, seed, clock, cast, actor, .. } = new;
    let start = clock.now();
    make_folder(&dir.join("plan"))?;
    let _lock = RunLock::acquire(&dir, start)?;
    let files = freeze(&dir, &plan, frozen)?;
    let journal = Journal::create(&dir, &id)?.relaxed().salted(Box::new(SeededSalt::new(seed)));
    let key = ExecutorKey::of_rehearsals();
    let executor = key.signer_key().fingerprint();
    // Nobody signs a decision of a rehearsal with a key of his own, so there is no folder of such keys.
    let book = Book::new(journal, &[], Arc::new(key), &dir, clock.clone())?;
    let runtime = runtime(new.reading.is_some())?;
    let attempts = Arc::new(VirtualClock::at(start));
    let mut context = context(&id, &dir, &plan, new.reading.as_ref(), &attempts)?;
    lang.clone_into(&mut context.lang);
    let stage = Stage::new((book, answering.operator), cast, (context, attempts), clock, runtime);
    let plan = Arc::new(plan);
    let template = crate::record::render::TEMPLATE;
    let begin = Begin {
        actor: actor.clone(),
        attended: new.attended,
        tool,
        lang,
        template,
        plan: digest::digests(&files),
        executor,
    };
    let corrupt = |what: String| LaunchError::Corrupt { path: dir.join("plan"), what };
    let sim = Sim::new(&plan, &id, start, stage).map_err(corrupt)?;
    let mut driver = Driver {
        sim,
        begin: begin.clone(),
        dir: &dir,
        seed,
        unrefusable: BTreeSet::new(),
        board: Board::default(),
        replies: answering.replies,
        actor,
        alone: new.alone,
        absent: new.absent,
        passing: new.passing,
        passed: None,
        plan: &plan,
    };
    let driven = driver.input(Input::Begin(begin)).and_then(|()| driver.drive());
    driver.sim.world.operator.close();
    let stopped = driven?;
    let (unused, faults) = (driver.sim.world.unused(), driver.sim.world.faults());
    let Sim { state, world, entries, .. } = driver.sim;
    let mut book = world.book;
    let head = book.sign_head()?;
    let rest = Rest { stopped, plan: plan.clone(), state, dir: dir.clone(), head };
    Ok(Rehearsed { rest, unused, faults, entries })
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
    passing: Option<Passing>,
    /// Until when the last wait was that somebody has seen.
    passed: Option<Timestamp>,
    plan: &'p Plan,
}

impl Driver<'_> {
    fn drive(&mut self) -> Result<Stopped, LaunchError> {
        loop {
            if self.sim.state.phase() == Phase::Finished {
                self.seal()?;
                return Ok(Stopped::Finished);
            }
            if self.refuse()? {
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
                    let reply = self.sim.world.wait(self.replies.recv());
                    self.take(reply.unwrap_or(Reply::Hangup))?;
                }
                Some(_) if self.sim.state.run.paused.is_none() || !self.sim.in_flight().is_empty() => {
                    self.pass();
                    self.sim.step();
                    self.unbroken()?;
                }
                _ => return self.park(),
            }
        }
    }

    /// Where the next thing is that a step has waited long enough, whoever is there says when to go on.
    fn pass(&mut self) {
        let (Some(passing), Some((at, true))) = (&mut self.passing, self.sim.next()) else { return };
        let state = &self.sim.state;
        let Some((due, Timer::Wait(step))) = state.derived().timers.first().copied() else { return };
        if due > at || due <= self.sim.now() || self.passed == Some(due) {
            return;
        }
        self.passed = Some(due);
        let line = narrate::skips(state, step, due.since(self.sim.now()));
        self.sim.world.operator.say(&line);
        passing();
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
