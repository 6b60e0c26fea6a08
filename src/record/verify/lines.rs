//! The journal: its chain, the tree heads over it, the disclosures that open it, and the history it tells.

use std::collections::{BTreeMap, BTreeSet};

use super::super::build::is_complete;
use super::super::disclosure::{self, Commitment, parse_disclosures};
use super::super::history::{History, NotAHistory};
use super::super::layout;
use super::super::note::{SignedTreeHead, TreeHead, origin};
use super::super::place::Malformed;
use super::{Aspect, Checker, Completeness};
use crate::clock::Timestamp;
use crate::journal::file::{DISCLOSURES, EVENTS, WAL, lines_of};
use crate::journal::{Chain, Disclosed, Entry, Hash, JournalError};

/// The journal as far as it could be read.
pub(super) struct Read {
    pub chain: Chain,
    pub entries: Vec<Entry>,
    pub commitments: Vec<Commitment>,
    /// Digests of the fields that are disclosed.
    pub opened: BTreeSet<String>,
    /// Every line is there and follows the one before.
    pub whole: bool,
}

/// The history twice: as everybody may see it, and with what is disclosed.
pub(super) struct Story {
    pub public: History,
    pub open: History,
}

pub(super) fn read(checker: &mut Checker<'_>) -> Result<Read, JournalError> {
    let missing = || JournalError::Missing { path: checker.dir.to_owned() };
    let events = checker.bytes(EVENTS)?.ok_or_else(missing)?;
    let live = checker.dir.join(WAL).exists();
    let disclosures = checker.bytes(DISCLOSURES)?.unwrap_or_default();
    // Half a line at the end is what a crash of a living run leaves; its log has the rest.
    let end = disclosures.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let given = match parse_disclosures(if live { &disclosures[..end] } else { &disclosures }) {
        Ok(given) => given,
        Err(malformed) => {
            checker.malformed(DISCLOSURES, malformed);
            Vec::new()
        }
    };
    let by_digest: Disclosed = given.iter().map(|d| (d.digest(), d.clone())).collect();
    let mut read = Read {
        chain: Chain::of_any_run(),
        entries: Vec::new(),
        commitments: Vec::new(),
        opened: BTreeSet::new(),
        whole: true,
    };
    for (number, (offset, line)) in lines_of(&events).enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            if live {
                checker.note(
                    Aspect::Completeness,
                    EVENTS,
                    format!("half a line at the end; {WAL} has the rest"),
                );
            } else {
                let what = "the last line has no line feed".to_owned();
                checker.malformed(EVENTS, Malformed { line: number + 1, offset: offset + line.len(), what });
                read.whole = false;
            }
            break;
        };
        match read.chain.read(line, &by_digest) {
            Ok(parsed) => {
                read.entries.push(parsed.entry);
                read.commitments.extend(parsed.commitments);
            }
            Err(e) => {
                checker.malformed(
                    EVENTS,
                    Malformed { line: number + 1, offset: offset + e.offset, what: e.what },
                );
                read.whole = false;
                break;
            }
        }
    }
    if read.entries.is_empty() && read.whole {
        checker.broken(EVENTS, "it is empty");
        read.whole = false;
    }
    // Those of lines that cannot be read would all be strangers; a living run writes them before their lines.
    let mut given = given;
    if live || !read.whole {
        let known: BTreeSet<&str> = read.commitments.iter().map(|c| c.digest.as_str()).collect();
        given.retain(|disclosure| known.contains(disclosure.digest().as_str()));
    }
    match disclosure::open(&read.commitments, &given) {
        Ok(opened) => read.opened = opened.keys().map(|commitment| commitment.digest.clone()).collect(),
        Err(e) => checker.broken(DISCLOSURES, e.to_string()),
    }
    Ok(read)
}

pub(super) fn fold(checker: &mut Checker<'_>, read: &Read) -> Result<Option<Story>, JournalError> {
    let name = format!("{}/{}", layout::PLAN, layout::GRAPH);
    let Some(bytes) = checker.bytes(&name)? else {
        checker.broken(&name, "it is missing: without it nobody can tell whether the history is legal");
        return Ok(None);
    };
    let graph: crate::plan::Graph = match serde_json::from_slice(&bytes) {
        Ok(graph) => graph,
        Err(e) => {
            let what = format!("not a graph: {e}");
            checker.malformed(&name, Malformed { line: e.line(), offset: 0, what });
            return Ok(None);
        }
    };
    if !read.whole {
        return Ok(None);
    }
    let public = History::fold(graph.clone(), History::without_hidden(&read.entries));
    match public.and_then(|public| Ok(Story { public, open: History::fold(graph, read.entries.clone())? })) {
        Ok(story) => Ok(Some(story)),
        Err(NotAHistory::Illegal { seq, illegal }) => {
            let line = usize::try_from(seq).map_or(0, |seq| seq + 1);
            checker.fail(Aspect::Integrity, EVENTS, Some(line), illegal.to_string());
            Ok(None)
        }
        Err(NotAHistory::Graph(what)) => {
            checker.broken(&name, what);
            Ok(None)
        }
        Err(e @ NotAHistory::Start(_)) => {
            checker.fail(Aspect::Integrity, EVENTS, Some(1), e.to_string());
            Ok(None)
        }
    }
}

/// The tree heads that hold, by size.
#[derive(Default)]
pub(super) struct Heads {
    pub by_size: BTreeMap<u64, TreeHead>,
    /// Organisation and host, as the first head claims them; whether they are trusted is checked for each.
    names: Option<(String, String)>,
}

impl Heads {
    pub fn names(&self) -> Option<(&str, &str)> {
        self.names.as_ref().map(|(org, host)| (org.as_str(), host.as_str()))
    }
}

pub(super) fn heads(checker: &mut Checker<'_>, read: &Read) -> Result<Heads, JournalError> {
    let mut heads = Heads::default();
    for name in layout::names_in(checker.dir, layout::HEADS)? {
        let file = format!("{}/{name}", layout::HEADS);
        let Some(size) = layout::head_size(&name) else {
            checker.broken(&file, "not the name of a tree head");
            continue;
        };
        let bytes = checker.bytes(&file)?.unwrap_or_default();
        let signed = match SignedTreeHead::parse(&bytes) {
            Ok(signed) => signed,
            Err(malformed) => {
                checker.malformed(&file, malformed);
                continue;
            }
        };
        let run = read.chain.run();
        if heads.names.is_none() {
            let claimed = signed.head().origin.strip_suffix(&format!("/run/{run}"));
            heads.names =
                claimed.and_then(|names| names.split_once('/')).map(|(o, h)| (o.to_owned(), h.to_owned()));
        }
        if check_head(checker, read, &heads, (&file, size), &signed) {
            heads.by_size.insert(size, signed.head().clone());
        }
    }
    Ok(heads)
}

fn check_head(
    checker: &mut Checker<'_>,
    read: &Read,
    heads: &Heads,
    (file, size): (&str, u64),
    signed: &SignedTreeHead,
) -> bool {
    let (head, lines) = (signed.head(), read.chain.size());
    let Some((org, host)) = heads.names() else {
        checker.broken(
            file,
            format!("a tree head of {:?}, which is not of run {:?}", head.origin, read.chain.run()),
        );
        return false;
    };
    if head.origin != origin(org, host, read.chain.run()) {
        checker.broken(file, format!("a tree head of {:?}, as the first one is not", head.origin));
        return false;
    }
    if head.size != size {
        checker.broken(file, format!("a tree head of size {} under the name of size {size}", head.size));
        return false;
    }
    let root = usize::try_from(size).ok().and_then(|size| read.chain.tree().root_of(size));
    match root {
        None if !read.whole => return false,
        None => {
            checker.broken(
                file,
                format!("it covers {size} lines, but {EVENTS} has {lines}: the end was cut off"),
            );
            return false;
        }
        Some(root) if root != head.root || size == 0 => {
            checker.broken(file, format!("its root is not that of the first {size} lines of {EVENTS}"));
            return false;
        }
        Some(_) => {}
    }
    let names = (org, host, read.chain.run());
    match checker.trust.tree_head_key(signed, names, at_size(read, size)) {
        Err(untrusted) => {
            checker.fail(Aspect::Authorisation, file, None, untrusted.to_string());
            false
        }
        Ok((_, key)) => match signed.verify(&key) {
            Ok(_) => true,
            Err(e) => {
                checker.broken(file, e.to_string());
                false
            }
        },
    }
}

/// Time of the last of the first `size` lines.
pub(super) fn at_size(read: &Read, size: u64) -> Timestamp {
    let index = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(1);
    read.entries.get(index).or(read.entries.last()).map(|entry| entry.at).unwrap_or_default()
}

pub(super) fn root_at(read: &Read, size: u64) -> Option<Hash> {
    usize::try_from(size).ok().and_then(|size| read.chain.tree().root_of(size))
}

pub(super) fn completeness(
    checker: &mut Checker<'_>,
    read: &Read,
    story: Option<&Story>,
    heads: &Heads,
) -> Result<Completeness, JournalError> {
    let (dir, lines) = (checker.dir, read.chain.size());
    let mut missing = Vec::new();
    if story.is_some_and(|story| !story.public.is_sealed()) || !read.whole {
        missing.push("its last line is not run.sealed".to_owned());
    }
    if !heads.by_size.contains_key(&lines) {
        let last = heads.by_size.keys().next_back().copied().unwrap_or(0);
        missing.push(format!("the last tree head that holds covers {last} of {lines} lines"));
    }
    for name in [layout::REPORT, layout::VERIFY, layout::ENVELOPE, layout::SUMS, layout::SEAL] {
        if !dir.join(name).exists() {
            missing.push(format!("{name} is missing"));
        }
    }
    if missing.is_empty() {
        if !is_complete(dir) {
            checker.note(Aspect::Completeness, WAL, "the log of a sealed run was not removed");
        }
        return Ok(Completeness::Complete);
    }
    for what in missing {
        checker.note(Aspect::Completeness, EVENTS, format!("{what}: it could have been cut short"));
    }
    Ok(Completeness::Unfinished)
}
