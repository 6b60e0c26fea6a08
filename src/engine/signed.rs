//! Decisions that their givers sign themselves: here with `--key`, or elsewhere, brought in by anybody.
//!
//! Owns whether a signature is one under exactly the text that this run asks about, by the key of the person who is
//! named in it. Whether that person may decide is the core's, as with every other answer.

use std::path::Path;

use crate::clock::Timestamp;
use crate::core::{Actor, Ask, AskKind, Decision, How, Refused, choices, decision};
use crate::operator::{Question, ToSign};
use crate::plan::Plan;
use crate::record::allowed_signers::NotAllowed;
use crate::record::approval::{Approval, BadApproval, Difference};
use crate::record::block::{BEGIN, END, Found, Unfit};
use crate::record::build::RecordError;
use crate::record::place::Malformed;
use crate::record::sshsig::{FileKeyError, SignerKey, SshSigError, SshSignature};
use crate::record::trust::{Trust, TrustError};

use super::word::Word;

/// Why a signature is not taken as somebody's decision. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum BadSignature {
    #[error("`{step}` is not a gate: only approvals and confirmations are signed")]
    NotAGate { step: String },
    #[error("a signed decision is its signer's own: {what} cannot go with it")]
    NotCovered { what: &'static str },
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("there is a text, but no signature under it")]
    NotSigned,
    #[error("the signed text, {0}")]
    Text(Malformed),
    #[error("the signature, {0}")]
    Armor(Malformed),
    #[error("the text names nobody: found `who: {who}`")]
    Unnamed { who: String },
    #[error("the text says `{text}`, and the command `{word}`")]
    OtherDecision { text: String, word: String },
    #[error("line {line} of the text is `{found}`, expected `{expected}`")]
    OtherText { line: usize, found: String, expected: String },
    #[error("the text expired at {expires}, and it is {now}")]
    Expired { expires: Timestamp, now: Timestamp },
    #[error("the environment does not say with which SSH key {who} signs")]
    NoPrincipal { who: String },
    #[error("{0}")]
    NotTheirs(BadApproval, Box<Enrol>),
    #[error("nobody in this run signs with the key {fingerprint}")]
    Nobodys { fingerprint: String },
    #[error(transparent)]
    Key(#[from] FileKeyError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// How the key would have to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrol {
    pub principal: String,
    pub runbook: String,
}

impl BadSignature {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAGate { .. } | Self::OtherDecision { .. } | Self::Record(_) => return None,
            Self::NotCovered { .. } => "what is to be said with a decision goes into its comment, which is signed".into(),
            Self::Unfit(_) => "it goes from `consigne-approval:` to `-----END SSH SIGNATURE-----`; \
                without the text the signature alone will do"
                .into(),
            Self::NotSigned => "`consigne sign` makes one, or `ssh-keygen -Y sign`".into(),
            Self::Text(_) | Self::Armor(_) => "send it as a code block or as a file: chat changes what it takes for text".into(),
            Self::Unnamed { .. } => "whoever signs puts his name there: `consigne sign --as NAME`".into(),
            Self::OtherText { found, expected, .. } => other_text(found, expected).into(),
            Self::Expired { .. } => "`consigne resume` goes on with what follows from that".into(),
            Self::NoPrincipal { who } => format!("in `people`: `{who}: {{ssh: {who}@example.com}}`"),
            Self::NotTheirs(bad, enrol) => return not_theirs(bad, enrol),
            Self::Nobodys { .. } => {
                "if it is to be trusted: `consigne keys enrol PRINCIPAL FILE.pub`, with the `ssh` of that person in the \
                 environment as PRINCIPAL"
                    .into()
            }
            Self::Key(error) => return error.hint().map(str::to_owned),
            Self::Trust(_) => "`consigne keys list` shows who is trusted".into(),
        })
    }
}

/// As the prompt hears it.
impl From<BadSignature> for Refused {
    fn from(bad: BadSignature) -> Self {
        Self { code: "bad-signature", message: bad.to_string(), hint: bad.hint() }
    }
}

/// What it means that a line is not the one that is asked about.
fn other_text(found: &str, expected: &str) -> &'static str {
    let key = |line: &str| line.split_once(':').map_or_else(String::new, |(key, _)| key.to_owned());
    match key(expected).as_str() {
        "run" => "it was signed for another run",
        "runbook" => "it was signed for another runbook, or for another version of it",
        "mode" => "what is signed for a drill never counts for a live run",
        "org" => "it was signed for the executor of another organisation",
        "step" => "it was signed for another step",
        "ask" | "head" | "nonce" => {
            "it was signed when this was asked before; it is asked anew, and the block has to be signed anew"
        }
        "expires" => "the question has another time limit by now: the block has to be signed anew",
        "comment" => "the comment on the command line is not the one that was signed: leave it out",
        "shown" => {
            "what was signed is not what would be done here: the text was edited, or it is of another question"
        }
        _ if key(found) == "shown" => "what was signed is not what would be done here",
        _ => "the text was edited: `consigne show RUN --block STEP` prints it as it is",
    }
}

fn not_theirs(bad: &BadApproval, enrol: &Enrol) -> Option<String> {
    let Enrol { principal, runbook } = enrol;
    let command = format!("`consigne keys enrol {principal} FILE.pub --runbook {runbook}`");
    Some(match bad {
        BadApproval::Signature(SshSigError::BadSignature) => {
            "what was signed is not exactly the text, to its last line feed: `consigne sign` signs it as it is".into()
        }
        BadApproval::Signature(SshSigError::OtherNamespace { expected, .. }) => {
            format!("sign it with `-n {expected}`")
        }
        BadApproval::NotAllowed(NotAllowed::UnknownKey { .. }) => {
            format!("if it is {principal}'s and to be trusted: {command}")
        }
        BadApproval::NotAllowed(NotAllowed::Namespace { .. } | NotAllowed::TooWide { .. }) => {
            format!("if the key is to be trusted with this: {command}")
        }
        BadApproval::NotAllowed(_) => "`consigne keys list` shows who is trusted, and from when to when".into(),
        BadApproval::OtherPrincipal { .. } => "a decision is signed with its giver's own key".into(),
    })
}

/// The text that somebody elsewhere can sign to answer an open gate; none if nobody who may has a key in the
/// environment. `text` makes it.
pub fn to_sign(
    plan: &Plan,
    question: &Question,
    text: impl FnOnce(&Actor, Decision) -> Result<Approval, RecordError>,
) -> Option<ToSign> {
    let decision = match question.kind {
        AskKind::Approve => Decision::Approve,
        AskKind::Confirm => Decision::Yes,
        _ => return None,
    };
    let people = signers(plan, question);
    let who = match people.as_slice() {
        [] => return None,
        [only] => only.clone(),
        several => Approval::unnamed(several),
    };
    let approval = text(&Actor { who, how: How::SshKey, played_by: None }, decision).ok()?;
    Some(ToSign {
        namespace: approval.namespace(true),
        framed: format!("{BEGIN}\n{}{END}\n", approval.text()),
        text: approval.text(),
        unnamed: approval.is_unnamed(),
    })
}

/// Those who may decide, have not, and have a key in the environment.
pub fn signers(plan: &Plan, question: &Question) -> Vec<String> {
    if !matches!(question.kind, AskKind::Approve | AskKind::Confirm) {
        return Vec::new();
    }
    let people = &plan.graph.people.people;
    let signs = |name: &&String| people.get(*name).is_some_and(|person| person.ssh.is_some());
    let said = |name: &&String| question.given.iter().any(|given| given.actor.who == **name);
    question.who.people.iter().filter(signs).filter(|name| !said(name)).cloned().collect()
}

/// A decision with the signature of whoever gave it.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) approval: Approval,
    pub(super) signature: SshSignature,
}

/// What a decision is about, and by which keys it may be signed.
pub(super) struct Desk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) trust: &'a Path,
    pub(super) now: Timestamp,
    /// Makes the text of a decision.
    #[allow(clippy::type_complexity, reason = "named where it is made")]
    pub(super) text: &'a dyn Fn(&Actor, (Decision, Option<&str>)) -> Result<Approval, RecordError>,
}

impl Desk<'_> {
    /// The decision that was signed elsewhere, as it was handed in. `part`: it is said to be about one item.
    pub(super) fn handed_in(
        &self,
        (ask, part): (&Ask, bool),
        word: &Word,
        pasted: &str,
    ) -> Result<Signed, BadSignature> {
        if !matches!(ask.kind, AskKind::Approve | AskKind::Confirm) || part {
            return Err(BadSignature::NotAGate { step: word.step.clone() });
        }
        if word.plays.is_some() || !word.evidence.is_empty() {
            let what = if word.plays.is_some() { "another name" } else { "evidence" };
            return Err(BadSignature::NotCovered { what });
        }
        let found = Found::in_paste(pasted)?;
        let armor = found.armor.ok_or(BadSignature::NotSigned)?;
        let signature = SshSignature::parse(armor.as_bytes()).map_err(BadSignature::Armor)?;
        let given = found.text.map(|text| Approval::parse(text.as_bytes())).transpose();
        let given = given.map_err(BadSignature::Text)?;
        if let Some(text) = given.as_ref().filter(|text| text.is_unnamed()) {
            return Err(BadSignature::Unnamed { who: text.who.clone() });
        }
        let who = match &given {
            Some(text) => text.who.clone(),
            None => self.owner(signature.key())?,
        };
        let comment = word.comment.as_deref().or(given.as_ref().and_then(|text| text.comment.as_deref()));
        // What is no answer at all is for the core to refuse.
        let said = decision(ask, &word.value).ok();
        let signed = given.as_ref().map(|text| text.decision).or(said);
        let Some(decision) = signed else {
            return Err(BadSignature::OtherDecision { text: offered(ask), word: word.value.to_string() });
        };
        let actor = Actor { who, how: How::SshKey, played_by: None };
        let approval = (self.text)(&actor, (decision, comment))?;
        if let Some(Difference { line, expected, found }) =
            given.as_ref().and_then(|text| approval.first_difference(text))
        {
            return Err(BadSignature::OtherText { line, found, expected });
        }
        if Some(decision) != said {
            let word = word.value.as_str().map_or_else(|| word.value.to_string(), str::to_owned);
            return Err(BadSignature::OtherDecision { text: crate::record::approval::wire(&decision), word });
        }
        self.check(Signed { approval, signature })
    }

    /// The signature counts: now, for exactly this, by the person's own key.
    pub(super) fn check(&self, signed: Signed) -> Result<Signed, BadSignature> {
        let Signed { approval, signature } = &signed;
        let who = &approval.who;
        let person = self.plan.graph.people.people.get(who);
        let principal = person.and_then(|person| person.ssh.clone());
        let principal = principal.ok_or_else(|| BadSignature::NoPrincipal { who: who.clone() })?;
        if let Some(expires) = approval.expires.filter(|expires| self.now > *expires) {
            return Err(BadSignature::Expired { expires, now: self.now });
        }
        let trust = Trust::load(self.trust)?;
        let checked = approval.check(signature, trust.signers(), (&principal, true), self.now);
        checked.map_err(|bad| {
            let runbook = approval.runbook.clone();
            BadSignature::NotTheirs(bad, Box::new(Enrol { principal, runbook }))
        })?;
        Ok(signed)
    }

    /// Whose key it is, by the list of keys and by the environment.
    fn owner(&self, key: &SignerKey) -> Result<String, BadSignature> {
        let trust = Trust::load(self.trust)?;
        let lines: Vec<_> = trust.signers().signers().iter().filter(|signer| signer.key() == key).collect();
        let owns = |name: &String| lines.iter().any(|signer| signer.is_principal(name));
        let people = &self.plan.graph.people.people;
        let owner = people.iter().find(|(_, person)| person.ssh.as_ref().is_some_and(owns));
        owner
            .map(|(name, _)| name.clone())
            .ok_or_else(|| BadSignature::Nobodys { fingerprint: key.fingerprint() })
    }
}

fn offered(ask: &Ask) -> String {
    choices(ask, false).iter().map(|(words, _)| words[0]).collect::<Vec<_>>().join("|")
}
