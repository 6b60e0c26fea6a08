//! What a step, a proof or a reversal asks a machine to do, whichever of them it is.

use super::decode::{Keys, Spanned};
use super::scalar::{Entries, Millis};
use super::schema::{EffectWord, Expect, GuardDecl, Http, Poll, ProbeDecl, PutBack, Step, Undo, Verify};
use super::shell::Script;
use super::template::Template;
use crate::diag::Span;

/// The parts that every action shares.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub http: Option<&'a Http>,
    pub shell: Option<&'a Spanned<Script>>,
    pub argv: Option<&'a Spanned<Vec<Spanned<Template>>>>,
    pub env: Option<&'a Entries<Spanned<Template>>>,
    pub cwd: Option<&'a Spanned<Template>>,
    /// Where a program runs that does not run here.
    pub host: Option<&'a Spanned<Template>>,
    pub effect: Option<&'a Spanned<EffectWord>>,
    pub expect: Option<&'a Expect>,
    pub poll: Option<&'a Poll>,
    pub timeout: Option<&'a Spanned<Millis>>,
    pub keys: &'a Keys,
    pub span: Span,
}

macro_rules! acts {
    ($($ty:ty),*) => {$(
        impl $ty {
            pub fn act(&self) -> Act<'_> {
                Act {
                    http: self.http.as_deref(),
                    shell: self.shell.as_ref(),
                    argv: self.argv.as_ref(),
                    env: self.env.as_ref(),
                    cwd: self.cwd.as_ref(),
                    host: self.host.as_ref(),
                    effect: self.effect.as_ref(),
                    expect: self.expect.as_deref(),
                    poll: self.poll.as_deref(),
                    timeout: self.timeout.as_ref(),
                    keys: &self.keys,
                    span: self.span,
                }
            }
        }
    )*};
}
acts!(Step, Verify, Undo, PutBack, ProbeDecl, GuardDecl);

/// Kinds of step that a runner does.
pub const ACTIONS: [&str; 3] = ["http", "shell", "argv"];

/// Headers that can only keep a call from acting.
pub const PRECONDITIONS: [&str; 4] =
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

impl<'a> Act<'a> {
    /// The same on the host of its step, unless it says its own. Calls are made from here.
    #[must_use]
    pub fn on(self, host: Option<&'a Spanned<Template>>) -> Self {
        let program = self.shell.is_some() || self.argv.is_some();
        Self { host: self.host.or(host.filter(|_| program)), ..self }
    }
}
/// A kind that a runner does as well, and that no proof and no reversal can be.
pub const NOTIFY: &str = "notify";

impl Act<'_> {
    /// The action keys it was written with, also where their values could not be read.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.keys.iter().filter(|(name, _)| ACTIONS.contains(name))
    }

    /// What it does to the world: as declared, else by its kind.
    pub fn effect(&self) -> EffectWord {
        match (self.effect, self.http) {
            (Some(declared), _) => declared.value,
            (None, Some(http)) => http.effect(),
            (None, None) => EffectWord::Write,
        }
    }

    /// As [`Act::effect`], for a place where only questions are asked: programs count as such.
    pub fn probe_effect(&self) -> EffectWord {
        match (self.effect, self.http) {
            (None, None) => EffectWord::Read,
            _ => self.effect(),
        }
    }
}

impl Http {
    /// The methods it was written with, and their addresses.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &Spanned<Template>)> {
        let all = [
            ("GET", &self.get),
            ("PUT", &self.put),
            ("POST", &self.post),
            ("PATCH", &self.patch),
            ("DELETE", &self.delete),
            ("HEAD", &self.head),
        ];
        all.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)))
    }

    /// By its method.
    pub fn effect(&self) -> EffectWord {
        match self.calls().next() {
            Some(("DELETE", _)) => EffectWord::Destructive,
            Some(("GET" | "HEAD", _)) | None => EffectWord::Read,
            Some(_) => EffectWord::Write,
        }
    }
}

impl Step {
    /// The kinds it was written with, also where their values could not be read.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.keys.iter().filter(|(name, _)| KINDS.contains(name))
    }

    /// The kind, when it has exactly one.
    pub fn kind(&self) -> Option<&'static str> {
        self.keys.kind()
    }

    /// Done by a runner.
    pub fn runs(&self) -> bool {
        self.kind().is_some_and(|kind| kind == NOTIFY || ACTIONS.contains(&kind))
    }

    pub fn is_gate(&self) -> bool {
        matches!(self.kind(), Some("confirm" | "approve"))
    }

    pub fn effect_word(&self) -> EffectWord {
        match self.kind() {
            Some(kind) if ACTIONS.contains(&kind) => self.act().effect(),
            Some(NOTIFY) => EffectWord::Notify,
            Some("manual") => self.effect.as_ref().map_or(EffectWord::Write, |effect| effect.value),
            _ => EffectWord::Read,
        }
    }

    /// The id, or how to speak of a step that has none.
    pub fn name(&self) -> &str {
        self.id.as_ref().map_or("(no id)", |id| &id.value)
    }
}

/// Every kind of step that this version can do.
pub const KINDS: [&str; 16] = [
    "http",
    "shell",
    "argv",
    "confirm",
    "approve",
    "input",
    "choice",
    "checklist",
    "manual",
    "wait",
    "assert",
    "end",
    NOTIFY,
    "group",
    "runbook",
    "revert",
];

/// Kinds of step that are questions to people.
pub const HUMAN: [&str; 6] = ["confirm", "approve", "input", "choice", "checklist", "manual"];
