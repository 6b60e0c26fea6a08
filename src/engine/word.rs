//! Somebody's word on an open question, as it comes from outside the prompt: from a command, over the socket.
//!
//! Owns how a word finds its question and who speaks it. Whether it is taken is the core's.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::signed::BadSignature;
use crate::core::{Actor, Answer, Ask, EvidenceRef, How, State};
use crate::journal::{Blobs, JournalError};
use crate::plan::{Mode, Plan};

/// What was said, before anybody looked at the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// The step, or `list/item`.
    pub step: String,
    pub value: Value,
    pub comment: Option<String>,
    pub evidence: Vec<Attached>,
    /// Whom the speaker plays.
    pub plays: Option<String>,
    /// The decision as somebody signed it elsewhere, as it was handed in: his signature, with the text or without. Then
    /// it is his word, and the speaker only brings it.
    pub signature: Option<String>,
}

/// A file that goes with a word: its bytes, since whoever keeps them may not be allowed to read the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    pub name: String,
    #[serde(with = "as_base64")]
    pub bytes: Vec<u8>,
}

/// Why a word says nothing to this run. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    #[error("the run has no step `{step}`")]
    NoStep { step: String, asked: Vec<String> },
    #[error("nothing is asked about `{step}`")]
    NotAsked { step: String },
    #[error("answering as {name} needs `role_play` in a practice environment")]
    NotPlayed { name: String },
    #[error("{name:?} is nobody's name")]
    NoName { name: String },
    #[error("cannot keep the evidence: {0}")]
    Evidence(#[from] JournalError),
    #[error(transparent)]
    Signed(#[from] BadSignature),
}

impl Unheard {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoStep { step, asked } => {
                Some(match crate::diag::closest(step, asked.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if asked.is_empty() => "nothing is asked at present".to_owned(),
                    None => format!("asked at present: {}", asked.join(", ")),
                })
            }
            Self::NotAsked { .. } => Some("`consigne show` says what the run waits for".to_owned()),
            Self::NotPlayed { .. } | Self::NoName { .. } | Self::Evidence(_) => None,
            Self::Signed(bad) => bad.hint(),
        }
    }
}

impl Word {
    /// The word as an answer of `speaker` to the question it is about. Its evidence is kept in the run's directory.
    ///
    /// # Errors
    /// There is no such question, or `speaker` cannot say it the way he wants to.
    pub(super) fn answer(
        self,
        plan: &Plan,
        state: &State,
        dir: &Path,
        speaker: &Actor,
    ) -> Result<Answer, Unheard> {
        let (step, part) = self.place(state);
        let ask = question(state, step)?.id;
        let part = part.map(str::to_owned);
        let actor = self.speaker(plan, speaker)?;
        let evidence: Result<Vec<EvidenceRef>, Unheard> =
            self.evidence.iter().map(|file| Ok(file.keep(dir)?)).collect();
        Ok(Answer {
            ask,
            part,
            value: self.value,
            comment: self.comment,
            evidence: evidence?,
            actor,
            shown: None,
        })
    }

    /// Step and item. The steps of a used runbook have a `/` in their names as well.
    pub fn place(&self, state: &State) -> (&str, Option<&str>) {
        let whole = (self.step.as_str(), None);
        if state.find(&self.step).is_some() {
            return whole;
        }
        let item = self.step.rsplit_once('/').filter(|(list, _)| state.find(list).is_some());
        item.map_or(whole, |(list, item)| (list, Some(item)))
    }

    fn speaker(&self, plan: &Plan, speaker: &Actor) -> Result<Actor, Unheard> {
        match &self.plays {
            None => Ok(speaker.clone()),
            // It goes onto other people's screens, and into the record for good.
            Some(name) if name.is_empty() || name.contains(char::is_control) => {
                Err(Unheard::NoName { name: name.clone() })
            }
            Some(name) if plan.graph.role_play && plan.graph.mode != Mode::Live => {
                Ok(Actor { who: name.clone(), how: How::Played, played_by: Some(speaker.who.clone()) })
            }
            Some(name) => Err(Unheard::NotPlayed { name: name.clone() }),
        }
    }
}

impl Attached {
    fn keep(&self, dir: &Path) -> Result<EvidenceRef, JournalError> {
        let kept = Blobs::of(dir).put(&self.bytes)?;
        Ok(EvidenceRef { name: self.name.clone(), sha256: kept.sha256, bytes: kept.bytes })
    }
}

/// The open question of a step, or the last one, so that a second answer hears what the first one said.
///
/// # Errors
/// There is none.
pub fn question<'a>(state: &'a State, step: &str) -> Result<&'a Ask, Unheard> {
    let Some((_, found)) = state.find(step) else {
        let asked = state.open_asks().map(|ask| state.shape().label(ask.step)).collect();
        return Err(Unheard::NoStep { step: step.to_owned(), asked });
    };
    let ask = found.ask.or(found.last_ask).and_then(|id| state.ask(id));
    ask.ok_or_else(|| Unheard::NotAsked { step: step.to_owned() })
}

mod as_base64 {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
