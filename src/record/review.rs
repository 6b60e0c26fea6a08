//! The look that somebody takes at a gate which was opened alone: a signed text beside the record, `reviews/`.
//!
//! The record is closed by then, so a review is no part of it: it names the run and the root of its journal, and stands
//! for itself. Owns the text, who may give it, and which gates still wait for one. The text begins otherwise than that
//! of an approval, so that neither can pass for the other, and is signed in the same namespaces.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::allowed_signers::AllowedSigners;
use super::approval::{Reader, escape, plain, wire};
use super::keys::ExecutorKey;
use super::layout;
use super::namespace;
use super::place::{Malformed, lines};
use super::sshsig::SshSignature;
use crate::clock::Timestamp;
use crate::core::state::Ask;
use crate::core::{Actor, How, State};
use crate::journal::{JournalError, files};
use crate::plan::{GlassNode, Identity, Mode};

/// The version of the text.
const VERSION: &str = "v1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was right to open it.
    Accept,
    Object,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub run: String,
    pub runbook: String,
    /// SHA-256 of `plan/graph.json`.
    pub plan: String,
    pub mode: Mode,
    pub org: String,
    pub step: String,
    pub ask: u32,
    /// Size and root of the journal that was looked at.
    pub head: (u64, String),
    pub verdict: Verdict,
    pub comment: String,
    pub who: String,
    pub how: How,
    pub at: Timestamp,
}

/// A gate that somebody opened alone, and what has been said about it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub step: String,
    pub ask: u32,
    pub by: Actor,
    pub at: Timestamp,
    /// Those who may review it.
    pub reviewers: Vec<String>,
    pub due: Timestamp,
    pub reviews: Vec<Review>,
}

impl Review {
    /// The exact bytes that are signed.
    pub fn text(&self) -> String {
        let pairs = [
            ("consigne-review", VERSION.to_owned()),
            ("run", self.run.clone()),
            ("runbook", format!("{}@sha256:{}", self.runbook, self.plan)),
            ("mode", self.mode.name().to_owned()),
            ("org", self.org.clone()),
            ("step", self.step.clone()),
            ("ask", self.ask.to_string()),
            ("head", format!("{} {}", self.head.0, self.head.1)),
            ("verdict", wire(&self.verdict)),
            ("comment", self.comment.clone()),
            ("who", self.who.clone()),
            ("how", wire(&self.how)),
            ("at", self.at.to_string()),
        ];
        pairs.iter().map(|(key, value)| format!("{key}: {}\n", escape(value))).collect()
    }

    /// # Errors
    /// It is not exactly what [`Review::text`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let all = lines(bytes)?;
        let mut reader = Reader::of(&all);
        let version = reader.take("consigne-review")?;
        if version != VERSION {
            return Err(Malformed::start(format!("a review of version {version:?}, expected {VERSION:?}")));
        }
        let run = reader.take("run")?;
        let runbook = reader.take("runbook")?;
        let (runbook, plan) =
            runbook.split_once("@sha256:").ok_or_else(|| reader.malformed("not a runbook and its digest"))?;
        let (runbook, plan) = (runbook.to_owned(), plan.to_owned());
        let (mode, org, step) = (reader.take_wire("mode")?, reader.take("org")?, reader.take("step")?);
        let ask = reader.take_number("ask")?;
        let head = reader.take("head")?;
        let (size, root) = head.split_once(' ').ok_or_else(|| reader.malformed("not a size and a root"))?;
        let size = size.parse().map_err(|_| reader.malformed("not a size"))?;
        let head = (size, root.to_owned());
        let (verdict, comment) = (reader.take_wire("verdict")?, reader.take("comment")?);
        let (who, how) = (reader.take("who")?, reader.take_wire("how")?);
        let at = reader.take("at")?.parse().map_err(|_| reader.malformed("not an instant"))?;
        let review = Self { run, runbook, plan, mode, org, step, ask, head, verdict, comment, who, how, at };
        match review.text().lines().zip(&all).find(|(ours, line)| *ours != line.text) {
            Some((_, line)) => Err(line.malformed("not spelled as consigne writes it")),
            None if all.len() != review.text().lines().count() => {
                Err(Malformed::start("not the lines of a review".to_owned()))
            }
            None => Ok(review),
        }
    }

    /// By whose own key it is signed, or by the executor who vouches for him.
    pub fn namespace(&self) -> String {
        let of = if self.how == How::SshKey { namespace::approve } else { namespace::attest };
        of(self.mode.name(), &self.runbook, &self.step, &self.org)
    }

    /// Its file, below the directory of the run.
    pub fn file(&self) -> String {
        format!("{}/{:04}.{}.{}.txt", layout::REVIEWS, self.ask, plain(&self.step), plain(&self.who))
    }

    /// Whether it is about a gate of this run that was opened alone, by somebody who may say so.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, state: &State) -> Result<(), String> {
        let graph = state.shape().graph();
        let asked = state.ask(self.ask).and_then(|ask| Some((ask, ask.broke_glass()?, glass(state, ask)?)));
        let (ask, given, glass) =
            asked.ok_or_else(|| format!("nobody broke the glass of question {}", self.ask))?;
        let step = &state.shape().node(ask.step).id;
        if (&self.run, &self.runbook, &self.step, self.mode)
            != (&state.run.id, &graph.runbook, step, graph.mode)
        {
            return Err(format!("it is about step `{}` of run {}, another run or step", self.step, self.run));
        }
        let way = match self.how {
            How::SshKey => true,
            How::OsUser => graph.identity == Identity::Any,
            How::Played => graph.role_play && graph.mode != Mode::Live,
            How::Answers | How::Policy | How::Executor => false,
        };
        if !way {
            return Err("this environment takes it signed by an SSH key only".to_owned());
        }
        if self.who == given.actor.who {
            return Err(format!("{} broke the glass: it takes another person", self.who));
        }
        if !reviewers(state, glass).contains(&self.who) {
            let roles = glass.review_roles.join(", ");
            return Err(format!("{} holds none of the roles {roles}", self.who));
        }
        if self.comment.trim().is_empty() {
            return Err("a review says why".to_owned());
        }
        if self.at < given.at { Err("it is older than what it is about".to_owned()) } else { Ok(()) }
    }

    /// Whether the signature is over this text, by a key that `signers` allow.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        armor: &[u8],
        signers: &AllowedSigners,
        state: &State,
        executor: &str,
    ) -> Result<(), String> {
        let signature = SshSignature::parse(armor).map_err(|malformed| malformed.to_string())?;
        let namespace = self.namespace();
        signature.verify(&namespace, self.text().as_bytes()).map_err(|error| error.to_string())?;
        let signer =
            signers.authorise(signature.key(), &namespace, self.at).map_err(|refused| refused.to_string())?;
        let person = state.shape().graph().people.people.get(&self.who);
        let principal = match self.how {
            How::SshKey => person.and_then(|person| person.ssh.clone()),
            _ => Some(executor.to_owned()),
        };
        let principal = principal.ok_or_else(|| format!("the environment names no key for {}", self.who))?;
        if signer.is_principal(&principal) {
            return Ok(());
        }
        Err(format!("the key is {}'s, expected {principal}", signer.principals()))
    }

    /// Files it with its signature; the same again changes nothing.
    ///
    /// # Errors
    /// Somebody of that name has said something else, or it cannot be written.
    pub fn file_in(&self, dir: &Path, signature: &SshSignature) -> Result<(), FileError> {
        let file = self.file();
        if files::read_if_there(&dir.join(&file))?.is_some() {
            return Err(FileError::Said { who: self.who.clone(), step: self.step.clone() });
        }
        layout::put(dir, &format!("{file}.sig"), signature.armor().as_bytes())?;
        Ok(layout::put(dir, &file, self.text().as_bytes())?)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{who} has reviewed `{step}` already")]
    Said { who: String, step: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The names of the reviews in the directory of a run, without their signatures.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn files_in(dir: &Path) -> Result<Vec<String>, JournalError> {
    let mut names = layout::names_in(dir, layout::REVIEWS)?;
    names.retain(|name| !name.ends_with(".sig"));
    Ok(names.into_iter().map(|name| format!("{}/{name}", layout::REVIEWS)).collect())
}

/// The gates of a run that were opened alone, each with the reviews that count.
///
/// # Errors
/// A file cannot be read.
pub fn broken(
    dir: &Path,
    state: &State,
    signers: &AllowedSigners,
    executor: &ExecutorKey,
) -> Result<Vec<Broken>, JournalError> {
    let mut found = gates(state);
    if found.is_empty() {
        return Ok(found);
    }
    for file in files_in(dir)? {
        let text = files::read_if_there(&dir.join(&file))?.unwrap_or_default();
        let armor = files::read_if_there(&dir.join(format!("{file}.sig")))?.unwrap_or_default();
        let Ok(review) = Review::parse(&text) else { continue };
        let counts =
            review.fits(state).is_ok() && review.check(&armor, signers, state, &executor.principal()).is_ok();
        if let Some(gate) = found.iter_mut().find(|gate| counts && gate.ask == review.ask) {
            gate.reviews.push(review);
        }
    }
    found.iter_mut().for_each(|gate| gate.reviews.sort_by_key(|review| review.at));
    Ok(found)
}

/// The gates of a run that were opened alone; what was said about them since is not looked for.
pub(crate) fn gates(state: &State) -> Vec<Broken> {
    let of = |ask: &Ask| {
        let (given, glass) = (ask.broke_glass()?, glass(state, ask)?);
        Some(Broken {
            step: state.shape().node(ask.step).id.clone(),
            ask: ask.id,
            by: given.actor.clone(),
            at: given.at,
            reviewers: reviewers(state, glass).into_iter().filter(|who| *who != given.actor.who).collect(),
            due: given.at.plus(glass.review_within_ms),
            reviews: Vec::new(),
        })
    };
    state.asks().filter_map(of).collect()
}

fn glass<'a>(state: &'a State, ask: &Ask) -> Option<&'a GlassNode> {
    state.shape().node(ask.step).gate.as_ref()?.break_glass.as_ref()
}

fn reviewers(state: &State, glass: &GlassNode) -> Vec<String> {
    let people = &state.shape().graph().people;
    let holders = glass.review_roles.iter().filter_map(|role| people.roles.get(role)).flatten();
    let mut all: Vec<String> = holders.filter(|who| people.people.contains_key(*who)).cloned().collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review() -> Review {
        Review {
            run: "r1".into(),
            runbook: "leak".into(),
            plan: "ab".repeat(32),
            mode: Mode::Live,
            org: "consigne".into(),
            step: "go".into(),
            ask: 3,
            head: (12, "cm9vdA==".into()),
            verdict: Verdict::Object,
            comment: "bob\ncould be reached".into(),
            who: "carol".into(),
            how: How::OsUser,
            at: Timestamp::from_millis(1_800_000_000_000),
        }
    }

    #[test]
    fn a_text_is_read_as_it_was_written_and_in_no_other_way() {
        let text = review().text();
        assert!(text.contains("comment: bob\\u{a}could be reached\n"), "{text}");
        assert_eq!(Review::parse(text.as_bytes()), Ok(review()));
        for changed in [
            text.replace("verdict: object", "verdict: maybe"),
            text.replace("ask: 3", "ask: 03"),
            text.replace("consigne-review", "consigne-approval"),
            text.replace("who: carol\n", ""),
            format!("{text}more: 1\n"),
            text.replace("v1", "v2"),
            text.trim_end().to_owned(),
        ] {
            assert!(Review::parse(changed.as_bytes()).is_err(), "{changed}");
        }
        assert!(super::super::approval::Approval::parse(text.as_bytes()).is_err());
    }
}
