//! What people said when the same gate was asked before: in an earlier round, or until its approval was voided.
//!
//! Whoever is asked again reads why the last answer was no; an answers file sees here which of its answers are spent.

use crate::core::state::{Ask, State};
use crate::core::{AskEnd, AskKind, Decision};
use crate::operator::wording::{Lang, Text};

/// Earlier ones that are told: what is longer ago stands in the report.
const TOLD: usize = 3;

/// The same gate, asked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its round, or how often it had been asked then.
    pub round: u32,
    /// It was about the same step and item, and not about an earlier round of it.
    pub same: bool,
    pub end: Option<AskEnd>,
    pub said: Vec<Said>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub who: String,
    pub decision: Decision,
    pub comment: Option<String>,
}

/// When a gate was asked before, the oldest first.
pub(super) fn earlier(state: &State, ask: &Ask) -> Vec<Earlier> {
    if !matches!(ask.kind, AskKind::Approve | AskKind::Confirm) {
        return Vec::new();
    }
    let shape = state.shape();
    let (label, id) = (shape.label(ask.step), &shape.written(ask.step).id);
    let home = |step: usize| {
        let frame = shape.frame_of(shape.frame(step));
        // Items of a list are others, rounds are the same once more.
        let rounds = frame.of.filter(|of| shape.graph().steps[*of].repeat.is_some());
        rounds.map(|of| (of, frame.parent))
    };
    let mut found: Vec<Earlier> = Vec::new();
    for before in state.asks().filter(|before| before.id < ask.id && before.kind == ask.kind) {
        let same = shape.label(before.step) == label;
        let round = home(before.step).filter(|round| Some(round) == home(ask.step).as_ref());
        if shape.written(before.step).id != *id || !(same || round.is_some()) {
            continue;
        }
        let said = before.answers.iter().map(|given| Said {
            who: given.actor.who.clone(),
            decision: given.decision,
            comment: given.comment.clone(),
        });
        let round = match round {
            Some(_) => shape.frame_of(shape.frame(before.step)).nth,
            None => found.len(),
        };
        let round = u32::try_from(round).unwrap_or(u32::MAX).saturating_add(1);
        found.push(Earlier { round, same, end: before.end, said: said.collect() });
    }
    found
}

impl Lang {
    /// What whoever is asked again should know, a line each.
    pub fn asked_before(self, earlier: &[Earlier]) -> Vec<String> {
        let told = &earlier[earlier.len().saturating_sub(TOLD)..];
        told.iter().filter_map(|before| self.told(before)).collect()
    }

    fn told(self, before: &Earlier) -> Option<String> {
        let round = before.round.to_string();
        let no = before.said.iter().find(|said| matches!(said.decision, Decision::Reject | Decision::No));
        match (no, before.end) {
            (Some(no), _) => Some(match &no.comment {
                Some(why) => self.fill(Text::NoBecause, &[("who", &no.who), ("round", &round), ("why", why)]),
                None => self.fill(Text::NoBefore, &[("who", &no.who), ("round", &round)]),
            }),
            (None, Some(AskEnd::Voided)) => Some(self.fill(Text::VoidBefore, &[])),
            (None, Some(AskEnd::TimedOut)) => Some(self.fill(Text::ExpiredBefore, &[("round", &round)])),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::layout::Layout;
    use crate::operator::sample::*;
    use crate::plan::{Kind, Mode};

    #[test]
    fn what_is_done_on_failure_and_why_it_is_asked_again_is_said() {
        let world = |lang: &str| {
            World::new(Mode::Live, false, lang, vec![gate("go", Kind::Approve, &["s"]), call("s")])
        };
        let said = |comment: Option<&str>| Said {
            who: "bob".into(),
            decision: Decision::Reject,
            comment: comment.map(str::to_owned),
        };
        let earlier = |round: u32, comment: Option<&str>| Earlier {
            round,
            same: false,
            end: Some(AskEnd::Answered),
            said: vec![said(comment)],
        };
        for (lang, lines) in [
            (
                "en",
                [
                    "1. s [write] (on failure)",
                    "Round 1: bob said no: too␊long",
                    "Round 2: bob said no, for no",
                ],
            ),
            (
                "fr",
                [
                    "1. s [écriture] (en cas d'échec)",
                    "Tour 1 : bob a dit non : too␊long",
                    "Tour 2 : bob a dit non, sans",
                ],
            ),
        ] {
            let mut question = world(lang).questions().remove(0);
            question.rescues.insert("s".into());
            question.earlier = vec![earlier(1, Some("too\nlong")), earlier(2, None)];
            let view = Layout::new(&question, question.opened, 80).render();
            let view = anstream::adapter::strip_str(&view).to_string();
            for line in lines {
                assert!(view.contains(line), "{line}: {view}");
            }
        }
    }
}
