//! Gates: whether those who opened them were entitled to, and whether the texts of their decisions are theirs.
//!
//! Looks at the graph alone, with rules of its own and not those by which the core decided: two readings of the same
//! promise.

use std::collections::BTreeSet;

use super::super::approval::{Approval, shown_lines};
use super::super::encoding::base64;
use super::super::history::{Attested, GateAnswer};
use super::super::layout;
use super::super::review::{self, Review};
use super::super::sshsig::SshSignature;
use super::limits;
use super::lines::{Heads, Read, Story, root_at};
use super::{Aspect, Authorisation, Checker};
use crate::core::event::{AskEnd, Decision, Event, Fact};
use crate::core::state::Ask;
use crate::core::{AskKind, How};
use crate::journal::file::EVENTS;
use crate::journal::{Hash, JournalError};
use crate::plan::{Identity, Mode, Who};

pub(super) fn check(
    checker: &mut Checker<'_>,
    read: &Read,
    story: &Story,
    heads: &Heads,
) -> Result<Authorisation, JournalError> {
    let mut verdict = Authorisation::NotNeeded;
    let attested = story.open.attested();
    for answer in story.open.gate_answers() {
        entitled(checker, story, &answer);
    }
    limits::check(checker, read, story);
    reviews(checker, read, story, heads)?;
    for ask in story.open.state.asks() {
        quorum(checker, story, ask);
        let texts: Vec<&Attested> = attested.iter().filter(|text| text.ask == ask.id).collect();
        // A confirmation may do without a text; where it has one, it holds.
        if !texts.is_empty() || (ask.kind == AskKind::Approve && !ask.answers.is_empty()) {
            verdict = verdict.max(texts_of(checker, (read, story, heads), ask, &texts)?);
        }
    }
    Ok(verdict)
}

fn refuse(checker: &mut Checker<'_>, seq: Option<u64>, what: String) {
    let line = seq.and_then(|seq| usize::try_from(seq).ok()).map(|seq| seq + 1);
    checker.fail(Aspect::Authorisation, EVENTS, line, what);
}

/// Every review counts, and what was opened alone and nobody has reviewed is worth knowing.
fn reviews(checker: &mut Checker<'_>, read: &Read, story: &Story, heads: &Heads) -> Result<(), JournalError> {
    let state = &story.open.state;
    let mut reviewed = BTreeSet::new();
    let plan = story.public.plan().remove(layout::GRAPH).unwrap_or_default();
    for file in review::files_in(checker.dir)? {
        let (bytes, armor) = (checker.bytes(&file)?, checker.bytes(&format!("{file}.sig"))?);
        let (Some(bytes), armor) = (bytes, armor.unwrap_or_default()) else { continue };
        let review = match Review::parse(&bytes) {
            Ok(review) => review,
            Err(malformed) => {
                checker.malformed(&file, malformed);
                continue;
            }
        };
        let executor = heads.names().map(|(_, host)| format!("executor@{host}")).unwrap_or_default();
        let root = root_at(read, review.head.0).map(|root| base64(root.as_bytes()));
        let wrong = if review.plan != plan || root.as_ref() != Some(&review.head.1) {
            Err("it is about another plan or another journal".to_owned())
        } else {
            review.fits(state).and_then(|()| review.check(&armor, checker.trust.signers(), state, &executor))
        };
        match wrong {
            Ok(()) => drop(reviewed.insert(review.ask)),
            Err(what) => checker.fail(Aspect::Authorisation, &file, None, what),
        }
    }
    for gate in review::gates(state).into_iter().filter(|gate| !reviewed.contains(&gate.ask)) {
        let what = format!(
            "{} opened `{}` by breaking the glass, and nobody has reviewed it, due {}",
            gate.by.who, gate.step, gate.due
        );
        checker.note(Aspect::Authorisation, EVENTS, what);
    }
    Ok(())
}

/// The line that holds an answer.
fn line_of(story: &Story, answer: &GateAnswer<'_>) -> Option<u64> {
    let is = |event: &Event| {
        matches!(event.fact, Fact::AskAnswered { ask, .. } if ask == answer.ask)
            && event.actor.as_ref() == Some(&answer.given.actor)
    };
    story.open.entries.iter().find(|entry| entry.events.iter().any(is)).map(|entry| entry.seq)
}

fn entitled(checker: &mut Checker<'_>, story: &Story, answer: &GateAnswer<'_>) {
    let (state, graph, actor) = (&story.open.state, story.open.graph(), &answer.given.actor);
    let line = line_of(story, answer);
    let (gate, step) = (answer.step.gate.as_ref(), &answer.step.id);
    let Some(gate) = gate else { return refuse(checker, line, format!("`{step}` is no gate")) };
    let mut refuse = |what: String| refuse(checker, line, what);
    if actor.how == How::Executor {
        refuse(format!("the executor itself answered `{step}`"));
    }
    if actor.how == How::Played && (!graph.role_play || graph.mode == Mode::Live) {
        refuse(format!("{} was played at `{step}`, which this environment does not allow", actor.who));
    }
    let ask = state.ask(answer.ask);
    let late = ask.and_then(|ask| ask.expires).is_some_and(|expires| answer.given.at > expires);
    if late {
        refuse(format!("{} answered `{step}` after it had expired", actor.who));
    }
    let glass = answer.given.decision == Decision::BreakGlass;
    let mut roles = gate.who.roles.clone();
    if glass {
        let Some(glass) = &gate.break_glass else {
            return refuse(format!("{} broke the glass of `{step}`, which has none", actor.who));
        };
        roles.clone_from(&glass.roles);
        let from = ask.map(|ask| ask.opened.plus(glass.after_ms));
        if from.is_none_or(|from| answer.given.at < from) {
            refuse(format!("{} broke the glass of `{step}` before it was time", actor.who));
        }
        if answer.given.comment.as_ref().is_some_and(|comment| comment.trim().is_empty()) {
            refuse(format!("{} broke the glass of `{step}` without a reason", actor.who));
        }
    }
    if answer.kind == AskKind::Approve {
        if matches!(actor.how, How::Policy | How::Answers) {
            refuse(format!("no policy and no file may answer `{step}`"));
        }
        if !glass && was_escalated(story, answer.ask, line) {
            roles.extend(gate.escalate_to.iter().cloned());
        }
        if roles.is_empty() {
            refuse(format!("`{step}` names no role, so nobody is entitled to it"));
        }
    } else if actor.how == How::Policy {
        return;
    }
    let holds =
        |role: &String| graph.people.roles.get(role).is_some_and(|people| people.contains(&actor.who));
    let known = graph.people.people.contains_key(&actor.who);
    if !roles.is_empty() && (!known || !roles.iter().any(holds)) {
        refuse(format!("{} holds none of the roles {} of `{step}`", actor.who, roles.join(", ")));
    }
    if let Some(why) = excluded(story, &gate.who, answer).filter(|_| !glass) {
        refuse(format!("{} answered `{step}`, but {why}", actor.who));
    }
}

/// Whether others were entitled too by the time of that line.
fn was_escalated(story: &Story, ask: u32, line: Option<u64>) -> bool {
    let is = |event: &Event| matches!(event.fact, Fact::AskEscalated { ask: id, .. } if id == ask);
    let escalated = story.open.entries.iter().find(|entry| entry.events.iter().any(is));
    escalated.is_some_and(|entry| line.is_some_and(|line| entry.seq <= line))
}

/// Everybody who answered a step counts, not only whoever was the last.
fn excluded(story: &Story, who: &Who, answer: &GateAnswer<'_>) -> Option<String> {
    let (state, name) = (&story.open.state, &answer.given.actor.who);
    if who.not_starter && state.run.starter.as_ref().is_some_and(|starter| starter.who == *name) {
        return Some("also started the run".to_owned());
    }
    let answered = |step: &&String| {
        let gate = state.ask(answer.ask).map_or(0, |ask| ask.step);
        let of_steps = state.shape().meant_from(step, gate);
        let about = [AskKind::Failure, AskKind::Unknown, AskKind::PutBack, AskKind::Canary, AskKind::Guard];
        let own = |ask: &&Ask| of_steps.contains(&ask.step) && !about.contains(&ask.kind);
        let mut earlier = state.asks().filter(own).flat_map(|ask| &ask.answers);
        earlier.any(|given| given.actor.who == *name && given.at <= answer.given.at)
    };
    who.not_steps.iter().find(answered).map(|step| format!("also answered `{step}`"))
}

/// Enough different people said yes to what was opened.
fn quorum(checker: &mut Checker<'_>, story: &Story, ask: &Ask) {
    let step = story.open.state.shape().node(ask.step);
    let Some(gate) = step.gate.as_ref().filter(|_| matches!(ask.kind, AskKind::Approve | AskKind::Confirm))
    else {
        return;
    };
    let yes = ask.answers.iter().filter(|a| matches!(a.decision, Decision::Approve | Decision::Yes));
    let people: BTreeSet<&str> = yes.map(|given| given.actor.who.as_str()).collect();
    let no = ask.answers.iter().any(|a| matches!(a.decision, Decision::Reject | Decision::No));
    let alone = ask.broke_glass().is_some();
    if ask.end == Some(AskEnd::Answered) && !no && !alone && people.len() < gate.quorum.max(1) as usize {
        let what = format!("`{}` was opened by {} of {} people", step.id, people.len(), gate.quorum);
        refuse(checker, None, what);
    }
}

/// Each answer to an approval has its text, and each text its answer.
fn texts_of(
    checker: &mut Checker<'_>,
    (read, story, heads): (&Read, &Story, &Heads),
    ask: &Ask,
    texts: &[&Attested],
) -> Result<Authorisation, JournalError> {
    let (mut verdict, mut withheld) = (Authorisation::Personal, 0);
    let mut told = BTreeSet::new();
    for text in texts {
        let (bytes, armor) = (checker.bytes(&text.file)?, checker.bytes(&format!("{}.sig", text.file))?);
        let (Some(bytes), Some(armor)) = (bytes, armor) else {
            checker.note(Aspect::Authorisation, &text.file, "withheld");
            withheld += 1;
            verdict = verdict.max(Authorisation::Withheld);
            continue;
        };
        if Hash::of(&bytes).to_string() != text.sha256 {
            let what = format!("its SHA-256 is not the one in line {} of {EVENTS}", text.seq + 1);
            checker.broken(&text.file, what);
            continue;
        }
        match Approval::parse(&bytes) {
            Ok(approval) => {
                says_what_happened(checker, (read, story, heads), ask, (&text.file, &approval));
                check_signature(checker, story, heads, (text, &approval), &armor);
                told.insert(approval.who);
            }
            Err(malformed) => checker.malformed(&text.file, malformed),
        }
        if !text.personal {
            verdict = verdict.max(Authorisation::AttestedByExecutor);
        }
    }
    let silent: Vec<&str> =
        ask.answers.iter().map(|a| a.actor.who.as_str()).filter(|who| !told.contains(*who)).collect();
    if ask.kind == AskKind::Approve && silent.len() > withheld {
        let step = &story.open.state.shape().node(ask.step).id;
        let what = format!("no signed text for the answer of {} to `{step}`", silent.join(", "));
        if story.open.is_sealed() {
            refuse(checker, None, what);
        } else {
            checker.note(Aspect::Authorisation, EVENTS, what);
        }
    }
    Ok(verdict)
}

/// The text agrees with the journal in everything it says.
fn says_what_happened(
    checker: &mut Checker<'_>,
    (read, story, heads): (&Read, &Story, &Heads),
    ask: &Ask,
    (file, approval): (&str, &Approval),
) {
    let (graph, step) = (story.open.graph(), story.open.state.shape().node(ask.step));
    let mut wrong = |what: String| checker.fail(Aspect::Authorisation, file, None, what);
    let plan = story.public.plan().remove(layout::GRAPH).unwrap_or_default();
    let quoted = (&approval.run, &approval.runbook, &approval.step, approval.ask, &approval.plan);
    if quoted != (&read.chain.run().to_owned(), &graph.runbook, &step.id, ask.id, &plan) {
        wrong(format!(
            "it is about step `{}` of run {}, another run, step or plan",
            approval.step, approval.run
        ));
    }
    if approval.mode != graph.mode {
        wrong(format!("given in mode {}, but the run is {}", approval.mode.name(), graph.mode.name()));
    }
    let size = story.open.size_at_ask(ask.id).unwrap_or(0);
    let root = root_at(read, size).map(|root| base64(root.as_bytes()));
    if approval.head.0 != size || Some(&approval.head.1) != root.as_ref() {
        wrong(format!(
            "it quotes a head of size {}, expected that of the question, size {size}",
            approval.head.0
        ));
    } else if !heads.by_size.contains_key(&size) {
        wrong(format!("it quotes the head of size {size}, which nobody has signed"));
    }
    let answer = ask.answers.iter().find(|given| given.actor.who == approval.who);
    match answer {
        None => wrong(format!("{} gave no answer in the journal", approval.who)),
        Some(given) => {
            if (given.decision, given.actor.how) != (approval.decision, approval.how) {
                wrong(format!("{} decided otherwise in the journal", approval.who));
            }
            if approval.expires.is_some_and(|expires| given.at > expires) {
                wrong(format!("given at {}, after it had expired", given.at));
            }
            if given.comment.is_some() && given.comment != approval.comment {
                wrong("the comment is another one than the journal's".to_owned());
            }
        }
    }
    let asked = story.open.asked_in(ask.id);
    let mut fields = read.commitments.iter().filter(|c| Some((c.seq, c.event)) == asked);
    let disclosed = fields.all(|c| read.opened.contains(&c.digest));
    if disclosed && shown_lines(ask).is_none_or(|shown| shown != approval.shown) {
        wrong("what it shows is not what the question showed".to_owned());
    }
}

fn check_signature(
    checker: &mut Checker<'_>,
    story: &Story,
    heads: &Heads,
    (text, approval): (&Attested, &Approval),
    armor: &[u8],
) {
    let file = format!("{}.sig", text.file);
    let signature = match SshSignature::parse(armor) {
        Ok(signature) => signature,
        Err(malformed) => return checker.malformed(&file, malformed),
    };
    let trust = checker.trust;
    let mut wrong = |what: String| checker.fail(Aspect::Authorisation, &file, None, what);
    if signature.key().fingerprint() != text.signer {
        wrong(format!("signed by {}, but the journal says {}", signature.key().fingerprint(), text.signer));
    }
    let Some((org, host)) = heads.names() else { return };
    if approval.org != org {
        wrong(format!("asked by {}, but the tree heads are of {org}", approval.org));
    }
    if text.personal != (approval.how == How::SshKey) {
        wrong("the text and the journal differ on whether it is signed by a personal key".to_owned());
    }
    let graph = story.open.graph();
    let principal = if text.personal {
        graph.people.people.get(&approval.who).and_then(|person| person.ssh.clone())
    } else {
        let is_approval = story.open.state.ask(approval.ask).is_some_and(|ask| ask.kind == AskKind::Approve);
        if is_approval && graph.identity == Identity::SshKey {
            wrong("this environment takes approvals by personal key only".to_owned());
        }
        Some(format!("executor@{host}"))
    };
    let Some(principal) = principal else {
        return wrong(format!("the environment names no key for {}", approval.who));
    };
    let asked = story.open.state.ask(approval.ask);
    let given = asked.and_then(|ask| ask.answers.iter().find(|a| a.actor.who == approval.who));
    let at = given.map_or(story.open.last_at(), |given| given.at);
    if let Err(e) = approval.check(&signature, trust.signers(), (&principal, text.personal), at) {
        wrong(e.to_string());
    }
}
