//! Making the record: tree heads while the run lives, approval texts, and the ending.
//!
//! Owns when a head is signed and in which order a run is closed: last line, last head, report, envelope, list of
//! files, seal, and only then the log goes. Every part is a function of what stands before it and is left alone once
//! it is there, so whoever finds a record half made completes it. It decides nothing about the run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::Signer;

use super::approval::{Approval, shown_lines};
use super::dsse::Envelope;
use super::history::{History, NotAHistory};
use super::keys::ExecutorKey;
use super::layout;
use super::namespace;
use super::note::{SignedTreeHead, TreeHead, origin};
use super::place::Malformed;
use super::render::{self, RenderError};
use super::sshsig::{FileKeyError, SshSignature};
use super::summary::{self, Subjects};
use crate::clock::Timestamp;
use crate::core::event::Decision;
use crate::core::{Actor, Event, Fact, How, JournalInput, State};
use crate::journal::{
    Append, Commitment, Entry, Hash, Journal, JournalError, Recorded, Unwritable, file, files,
};
use crate::plan::Graph;

/// Longest time between two tree heads of a live run.
pub const HEAD_EVERY_MS: u64 = 60_000;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Signing(#[from] FileKeyError),
    #[error("the run's name {0:?} cannot stand in a tree head")]
    Name(String),
    #[error("no question {0} was asked in this run")]
    NoAsk(u32),
    #[error("what the question showed is not disclosed here")]
    NotDisclosed,
    #[error("the journal does not end in run.sealed")]
    NotSealed,
    #[error("{} is not a graph: {source}", path.display())]
    Graph { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    History(#[from] NotAHistory),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("the summary cannot be written: {0}")]
    Unwritable(#[from] Unwritable),
}

/// Keeps the record of one run. The caller holds the run's lock.
pub struct RecordKeeper {
    dir: PathBuf,
    run: String,
    key: Arc<ExecutorKey>,
    /// Size of the journal once each question was asked.
    asks: BTreeMap<u32, u64>,
    signed: BTreeSet<u64>,
    last_head: Option<Timestamp>,
    /// The history as the report told it, at so many lines: the envelope sums up the same.
    told: Option<(u64, History)>,
}

impl RecordKeeper {
    /// # Errors
    /// The tree heads that are there cannot be read, or one is not of this journal: its lines were changed after they
    /// were signed, and nothing may be done because of them. Or nobody has signed how it begins, although it went on:
    /// this executor signs line 1 before anything follows it, and would now sign what somebody else has written.
    pub fn new(journal: &Journal, key: Arc<ExecutorKey>) -> Result<Self, RecordError> {
        let (dir, run) = (journal.dir().to_owned(), journal.run().to_owned());
        let mut keeper = Self {
            dir,
            run,
            key,
            asks: BTreeMap::new(),
            signed: BTreeSet::new(),
            last_head: None,
            told: None,
        };
        for size in layout::head_sizes(&keeper.dir)? {
            keeper.check_head(journal, size)?;
            keeper.signed.insert(size);
        }
        if journal.size() > 1 && !keeper.signed.contains(&1) {
            let path = keeper.dir.join(layout::HEADS).join(layout::head_name(1));
            let what =
                format!("it is missing, and the journal has {} lines: nobody signed line 1", journal.size());
            return Err(JournalError::damaged(&path, Malformed::start(what)).into());
        }
        Ok(keeper)
    }

    fn check_head(&self, journal: &Journal, size: u64) -> Result<(), RecordError> {
        let path = self.dir.join(layout::HEADS).join(layout::head_name(size));
        let refuse = |malformed| RecordError::Journal(JournalError::damaged(&path, malformed));
        let signed =
            SignedTreeHead::parse(&files::read_if_there(&path)?.unwrap_or_default()).map_err(refuse)?;
        if size > journal.size() || *signed.head() != self.head(journal, size) {
            let what = format!("it is not the head of the first {size} lines of the journal of this run");
            return Err(refuse(Malformed::start(what)));
        }
        signed.verify(&self.key.public()).map(drop).map_err(|e| refuse(Malformed::start(e.to_string())))
    }

    pub fn key(&self) -> &ExecutorKey {
        &self.key
    }

    /// Takes note of entries that are on disk, in order and each once, and signs the tree heads that they call for:
    /// at the first line, when a gate opens, at each decision, at a pause, at the end, and every 60 s. To be called
    /// after each append, and with all entries after an opening.
    ///
    /// # Errors
    /// A head cannot be written.
    pub fn follow(&mut self, journal: &mut Journal, entries: &[Entry]) -> Result<(), RecordError> {
        let mut due = Vec::new();
        for entry in entries {
            for event in &entry.events {
                if let Fact::AskOpened { ask, .. } = event.fact {
                    self.asks.insert(ask, entry.seq + 1);
                }
            }
            let late = self.last_head.is_none_or(|last| entry.at.since(last) >= HEAD_EVERY_MS);
            if late || entry.events.iter().any(calls_for_head) {
                self.last_head = Some(entry.at);
                due.push(entry.seq + 1);
            }
        }
        due.retain(|size| !self.signed.contains(size));
        if !due.is_empty() {
            journal.sync_public()?;
        }
        due.into_iter().try_for_each(|size| self.write_head(journal, size).map(|_| ()))
    }

    /// The tree head over all lines so far, signed now if it was not before: for notifications and the screen.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sign_head(&mut self, journal: &mut Journal) -> Result<TreeHead, RecordError> {
        journal.sync_public()?;
        self.write_head(journal, journal.size())
    }

    fn head(&self, journal: &Journal, size: u64) -> TreeHead {
        let root = usize::try_from(size).ok().and_then(|size| journal.tree().root_of(size));
        let root = root.expect("heads are asked for sizes the journal has reached");
        TreeHead { origin: origin(self.key.org(), self.key.host(), &self.run), size, root }
    }

    fn write_head(&mut self, journal: &Journal, size: u64) -> Result<TreeHead, RecordError> {
        let head = self.head(journal, size);
        if !self.signed.contains(&size) {
            let note = head.sign(self.key.signing()).ok_or_else(|| RecordError::Name(self.run.clone()))?;
            let name = format!("{}/{}", layout::HEADS, layout::head_name(size));
            layout::put(&self.dir, &name, note.to_string().as_bytes())?;
            self.signed.insert(size);
        }
        Ok(head)
    }

    /// The text of a decision about a gate, as it is to be signed. The same for whoever asks, whenever.
    ///
    /// # Errors
    /// There is no such question, or what it showed is not to be had.
    pub fn approval(
        &self,
        journal: &Journal,
        state: &State,
        ask: u32,
        actor: &Actor,
        decided: (Decision, Option<&str>),
    ) -> Result<Approval, RecordError> {
        let size = *self.asks.get(&ask).ok_or(RecordError::NoAsk(ask))?;
        compose((&self.dir, &self.key), state, (ask, &self.head(journal, size)), actor, decided)
    }

    /// The signature that the giver of a decision has left for exactly this text, if there is one.
    ///
    /// # Errors
    /// What is there cannot be read.
    fn left(&self, file: &str, approval: &Approval) -> Result<Option<SshSignature>, RecordError> {
        let text = approval.text();
        if files::read_if_there(&self.dir.join(file))?.as_deref() != Some(text.as_bytes()) {
            return Ok(None);
        }
        let armor = files::read_if_there(&self.dir.join(format!("{file}.sig")))?.unwrap_or_default();
        let signature = SshSignature::parse(&armor).ok();
        Ok(signature.filter(|left| left.verify(&approval.namespace(true), text.as_bytes()).is_ok()))
    }

    /// Leaves the text and its giver's own signature on disk, before the decision is written down: whoever finds the
    /// decision finds them too.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn leave(&self, approval: &Approval, signature: &SshSignature) -> Result<String, RecordError> {
        let text = approval.text();
        let file = self.free_name(&approval.stem(), text.as_bytes())?;
        layout::put(&self.dir, &format!("{file}.sig"), signature.armor().as_bytes())?;
        layout::put(&self.dir, &file, text.as_bytes())?;
        Ok(file)
    }

    /// Files the text with the signature that its giver left, or with the executor's where there is none, and says what
    /// the journal has to say about it.
    ///
    /// # Errors
    /// The text cannot be signed or written.
    pub fn attest(&self, approval: &Approval) -> Result<JournalInput, RecordError> {
        let text = approval.text();
        let file = self.free_name(&approval.stem(), text.as_bytes())?;
        let personal = match approval.how {
            How::SshKey => self.left(&file, approval)?,
            _ => None,
        };
        let signature = match &personal {
            Some(signature) => signature.clone(),
            None => self.key.sign(&approval.namespace(false), text.as_bytes())?,
        };
        let file = self.leave(approval, &signature)?;
        Ok(JournalInput::Attested {
            ask: approval.ask,
            file,
            sha256: Hash::of(text.as_bytes()).to_string(),
            signer: signature.key().fingerprint(),
            personal: personal.is_some(),
        })
    }

    /// Two people may have names that look the same in a file name.
    fn free_name(&self, stem: &str, text: &[u8]) -> Result<String, JournalError> {
        let mut number = 1;
        loop {
            let tail = if number == 1 { String::new() } else { format!("-{number}") };
            let name = format!("{}/{stem}{tail}.txt", layout::APPROVALS);
            match files::read_if_there(&self.dir.join(&name))? {
                Some(found) if found != text => number += 1,
                _ => return Ok(name),
            }
        }
    }

    /// Closes the record of a run whose last line is `run.sealed`, or completes what is missing of that.
    ///
    /// # Errors
    /// The run is not sealed, or a part cannot be made; calling again goes on where it stopped.
    pub fn seal(&mut self, journal: &mut Journal) -> Result<TreeHead, RecordError> {
        // What is complete is never made again: a change in it is for the verifier to find.
        if !is_complete(&self.dir) {
            Part::ALL.into_iter().try_for_each(|part| self.make(part, journal))?;
        }
        Ok(self.head(journal, journal.size()))
    }

    /// Makes one part of the ending; those before it are there.
    ///
    /// # Errors
    /// As for [`RecordKeeper::seal`].
    pub fn make(&mut self, part: Part, journal: &mut Journal) -> Result<(), RecordError> {
        let dir = self.dir.clone();
        let names = (self.key.org(), self.key.host());
        match part {
            Part::Head => {
                let last = Journal::last(&dir)?;
                let sealed = last.and_then(|entry| entry.events.into_iter().next_back());
                if !sealed.is_some_and(|event| matches!(event.fact, Fact::RunSealed {})) {
                    return Err(RecordError::NotSealed);
                }
                self.sign_head(journal)?;
            }
            Part::Report => {
                let (history, commitments) = public_history(&dir)?;
                let head = self.head(journal, journal.size());
                let report = render::report(&history, &commitments, &head, names.1, false)?;
                layout::put(&dir, layout::REPORT, report.as_bytes())?;
                layout::put(&dir, layout::VERIFY, render::verify_page(&history, &head, names)?.as_bytes())?;
                self.told = Some((journal.size(), history));
            }
            Part::Envelope => {
                let told = self.told.take().filter(|(size, _)| *size == journal.size());
                let history = match told {
                    Some((_, history)) => history,
                    None => public_history(&dir)?.0,
                };
                let head = self.head(journal, journal.size());
                let statement = summary::statement(&history, &head, names, &subjects(&dir, head.size)?);
                let envelope = Envelope::sign(&statement, self.key.signing())?;
                layout::put(&dir, layout::ENVELOPE, &envelope.to_bytes())?;
            }
            Part::Sums => layout::put(&dir, layout::SUMS, layout::sums(&dir)?.to_string().as_bytes())?,
            Part::Seal => {
                let path = dir.join(layout::SUMS);
                let sums = files::read_at_most(&path, usize::MAX).map_err(JournalError::io("read", &path))?;
                let mode = graph(&dir)?.mode.name();
                let signature = self.key.sign(&namespace::seal(mode, names.0), &sums)?;
                layout::put(&dir, layout::SEAL, signature.armor().as_bytes())?;
            }
            Part::Log => journal.finish()?,
        }
        Ok(())
    }
}

/// The text of a decision about an open gate of a run that somebody else may be driving: reads only.
///
/// # Errors
/// There is no such question, or what it showed is not to be had.
pub fn approval(
    dir: &Path,
    key: &ExecutorKey,
    state: &State,
    ask: u32,
    actor: &Actor,
    decided: (Decision, Option<&str>),
) -> Result<Approval, RecordError> {
    let Recorded { chain, entries, .. } = Journal::read_all(dir)?;
    let opens = |entry: &&Entry| {
        entry.events.iter().any(|event| matches!(event.fact, Fact::AskOpened { ask: id, .. } if id == ask))
    };
    let size = entries.iter().find(opens).ok_or(RecordError::NoAsk(ask))?.seq + 1;
    let root = usize::try_from(size).ok().and_then(|size| chain.tree().root_of(size));
    let root = root.ok_or(RecordError::NoAsk(ask))?;
    let head = TreeHead { origin: origin(key.org(), key.host(), chain.run()), size, root };
    compose((dir, key), state, (ask, &head), actor, decided)
}

fn compose(
    (dir, key): (&Path, &ExecutorKey),
    state: &State,
    (ask, head): (u32, &TreeHead),
    actor: &Actor,
    (decision, comment): (Decision, Option<&str>),
) -> Result<Approval, RecordError> {
    let asked = state.ask(ask).ok_or(RecordError::NoAsk(ask))?;
    let graph = state.shape().graph();
    let path = dir.join(layout::PLAN).join(layout::GRAPH);
    let plan = files::read_at_most(&path, usize::MAX).map_err(JournalError::io("read", &path))?;
    Ok(Approval {
        run: state.run.id.clone(),
        runbook: graph.runbook.clone(),
        plan: Hash::of(&plan).to_string(),
        mode: graph.mode,
        org: key.org().to_owned(),
        step: state.shape().node(asked.step).id.clone(),
        ask,
        nonce: nonce(key, head, ask),
        head: (head.size, head.root_base64()),
        expires: asked.expires,
        shown: shown_lines(asked).ok_or(RecordError::NotDisclosed)?,
        decision,
        comment: comment.map(str::to_owned),
        who: actor.who.clone(),
        how: actor.how,
    })
}

/// 128 bits that only the holder of the executor's key can know, and need not remember: a signature, hashed.
fn nonce(key: &ExecutorKey, head: &TreeHead, ask: u32) -> String {
    let text = format!("consigne approval nonce\n{}{ask}\n", head.text());
    let hash = Hash::of(&key.signing().sign(text.as_bytes()).to_bytes());
    hash.to_string()[..32].to_owned()
}

/// The parts of the ending, in their order. The last line comes before them, from the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Head,
    Report,
    Envelope,
    Sums,
    Seal,
    Log,
}

impl Part {
    pub const ALL: [Self; 6] = [Self::Head, Self::Report, Self::Envelope, Self::Sums, Self::Seal, Self::Log];
}

/// Nothing is missing: the run is sealed and its log is gone.
pub fn is_complete(dir: &Path) -> bool {
    dir.join(layout::SEAL).exists() && !dir.join(file::WAL).exists()
}

fn calls_for_head(event: &Event) -> bool {
    match &event.fact {
        Fact::RunStarted { .. }
        | Fact::AskAnswered { .. }
        | Fact::ApprovalAttested { .. }
        | Fact::RunPaused { .. }
        | Fact::RunFinished { .. }
        | Fact::RunSealed {} => true,
        Fact::AskOpened { covers, kind, .. } => {
            !covers.is_empty()
                || matches!(kind, crate::core::AskKind::Approve | crate::core::AskKind::Confirm)
        }
        _ => false,
    }
}

pub(crate) fn graph(dir: &Path) -> Result<Graph, RecordError> {
    graph_with_digest(dir).map(|(graph, _)| graph)
}

/// The graph, and the SHA-256 of the bytes that it was read from.
pub(crate) fn graph_with_digest(dir: &Path) -> Result<(Graph, Hash), RecordError> {
    let path = dir.join(layout::PLAN).join(layout::GRAPH);
    let bytes = files::read_at_most(&path, usize::MAX).map_err(JournalError::io("read", &path))?;
    let graph = serde_json::from_slice(&bytes).map_err(|source| RecordError::Graph { path, source })?;
    Ok((graph, Hash::of(&bytes)))
}

/// The journal's public side: what the report and the summary are made of.
fn public_history(dir: &Path) -> Result<(History, Vec<Commitment>), RecordError> {
    let read = Journal::read_all(dir)?;
    Ok((History::fold(graph(dir)?, History::without_hidden(&read.entries))?, read.commitments))
}

pub(crate) fn subjects(dir: &Path, size: u64) -> Result<Subjects, JournalError> {
    let hash = |name: String| -> Result<Hash, JournalError> {
        let path = dir.join(name);
        let missing = || JournalError::io("read", &path)(std::io::ErrorKind::NotFound.into());
        Ok(Hash::of(&files::read_if_there(&path)?.ok_or_else(missing)?))
    };
    Ok(Subjects {
        events: hash(file::EVENTS.into())?,
        head: hash(format!("{}/{}", layout::HEADS, layout::head_name(size)))?,
        graph: hash(format!("{}/{}", layout::PLAN, layout::GRAPH))?,
        report: hash(layout::REPORT.into())?,
        verify: hash(layout::VERIFY.into())?,
    })
}

/// The report as it can be made now: with everything that is disclosed in `dir` when it is to be `open`, in the
/// language of the run unless another is asked for. Never part of a record.
///
/// # Errors
/// The journal is damaged, or is not one of a run of its graph.
pub fn report(
    dir: &Path,
    (org, host): (&str, &str),
    open: bool,
    lang: Option<&str>,
) -> Result<String, RecordError> {
    let Recorded { chain, entries, commitments } = Journal::read_all(dir)?;
    let head =
        TreeHead { origin: origin(org, host, chain.run()), size: chain.size(), root: chain.tree().root() };
    let entries = if open { entries } else { History::without_hidden(&entries) };
    let mut history = History::fold(graph(dir)?, entries)?;
    if let Some(lang) = lang {
        history.state.run.lang = lang.to_owned();
    }
    Ok(render::report(&history, &commitments, &head, host, open)?)
}
