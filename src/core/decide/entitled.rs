//! Who may answer what. The model behind it: language rules 3 to 6.

use super::super::event::{Actor, AskKind, How};
use super::super::state::{Ask, State};
use super::Refused;
use crate::clock::Timestamp;
use crate::plan::{Identity, Mode, Plan, Who};

/// Whether `actor` may answer `ask`.
///
/// # Errors
/// The reason why not, for him to read.
pub(super) fn entitled(plan: &Plan, state: &State, ask: &Ask, actor: &Actor) -> Result<(), Refused> {
    let node = state.shape().node(ask.step);
    known_way(plan, actor)?;
    match ask.kind {
        AskKind::Approve => {
            personal(plan, actor)?;
            let Some(gate) = &node.gate else { return Err(refused("not a gate", None)) };
            let mut roles = gate.who.roles.clone();
            if ask.escalated {
                roles.extend(gate.escalate_to.iter().cloned());
            }
            if roles.is_empty() {
                return Err(refused("nobody is entitled: the approval names no role", None));
            }
            holds_one(plan, actor, &roles)?;
            not_excluded(state, ask.step, actor, &gate.who)
        }
        AskKind::Confirm => match &node.gate {
            Some(gate) => allowed_by(plan, state, ask.step, actor, &gate.who),
            None => Ok(()),
        },
        AskKind::Input | AskKind::Choice | AskKind::Checklist | AskKind::Manual => match &node.by {
            Some(who) => allowed_by(plan, state, ask.step, actor, who),
            None => Ok(()),
        },
        AskKind::Failure | AskKind::Unknown | AskKind::PutBack | AskKind::Canary => Ok(()),
    }
}

/// Whether `actor` may open the approval alone, by now.
///
/// # Errors
/// The reason why not, for him to read.
pub(super) fn may_break_glass(
    plan: &Plan,
    state: &State,
    ask: &Ask,
    actor: &Actor,
    at: Timestamp,
) -> Result<(), Refused> {
    known_way(plan, actor)?;
    personal(plan, actor)?;
    let glass = state.shape().node(ask.step).gate.as_ref().and_then(|gate| gate.break_glass.as_ref());
    let (Some(glass), Some(from)) = (glass, ask.glass) else {
        return Err(refused("this gate has no glass to break", None));
    };
    holds_one(plan, actor, &glass.roles)?;
    if at < from {
        return Err(Refused::new(
            "too-early",
            format!("the glass of this gate may be broken from {from} on"),
        )
        .hint("those who may approve have until then"));
    }
    Ok(())
}

fn allowed_by(plan: &Plan, state: &State, at: usize, actor: &Actor, who: &Who) -> Result<(), Refused> {
    if actor.how == How::Policy {
        return Ok(());
    }
    if !who.roles.is_empty() {
        holds_one(plan, actor, &who.roles)?;
    }
    not_excluded(state, at, actor, who)
}

/// Playing somebody else is for practice.
fn known_way(plan: &Plan, actor: &Actor) -> Result<(), Refused> {
    let may_play = plan.graph.role_play && plan.graph.mode != Mode::Live;
    match actor.how {
        How::Played if !may_play => {
            Err(refused("answering as somebody else needs `role_play` in a practice environment", None))
        }
        How::Executor => Err(refused("the executor itself answers nothing", None)),
        _ => Ok(()),
    }
}

/// An approval is given in person: never by a policy or by a file.
fn personal(plan: &Plan, actor: &Actor) -> Result<(), Refused> {
    match actor.how {
        How::OsUser if plan.graph.identity == Identity::SshKey => Err(refused(
            "this environment takes approvals signed by an SSH key only",
            Some(
                "sign the block that the prompt shows, and hand it in with `consigne answer … --signature FILE`",
            ),
        )),
        How::OsUser | How::SshKey | How::Played => Ok(()),
        How::Answers => Err(refused("an answers file never opens an approval", None)),
        How::Policy | How::Executor => Err(refused("no policy ever opens an approval", None)),
    }
}

fn holds_one(plan: &Plan, actor: &Actor, roles: &[String]) -> Result<(), Refused> {
    let people = &plan.graph.people;
    let holders = |role: &String| people.roles.get(role).cloned().unwrap_or_default();
    if people.people.contains_key(&actor.who) && roles.iter().any(|role| holders(role).contains(&actor.who)) {
        return Ok(());
    }
    let who: Vec<String> = roles.iter().flat_map(holders).collect();
    let hint = format!("entitled: {}", if who.is_empty() { "nobody".to_owned() } else { who.join(", ") });
    Err(refused(&format!("{} holds none of the roles {}", actor.who, roles.join(", ")), Some(&hint)))
}

fn not_excluded(state: &State, at: usize, actor: &Actor, who: &Who) -> Result<(), Refused> {
    let starter = state.run.starter.as_ref();
    if who.not_starter && starter.is_some_and(|starter| same(starter, actor)) {
        return Err(refused(&format!("{} started the run: it takes another person", actor.who), None));
    }
    for name in &who.not_steps {
        // Everybody who answered it: a quorum is several people, and a checklist may be.
        let of_steps = state.shape().meant_from(name, at);
        let own = state.asks().filter(|ask| of_steps.contains(&ask.step) && is_own(ask.kind));
        if own.into_iter().flat_map(|ask| &ask.answers).any(|given| same(&given.actor, actor)) {
            return Err(refused(&format!("{} answered `{name}`: it takes another person", actor.who), None));
        }
    }
    Ok(())
}

/// The question is the step itself, not what became of it.
pub(super) const fn is_own(kind: AskKind) -> bool {
    !matches!(kind, AskKind::Failure | AskKind::Unknown | AskKind::PutBack | AskKind::Canary)
}

/// The same person; for played answers, the same played identity.
pub(super) fn same(one: &Actor, other: &Actor) -> bool {
    one.who == other.who
}

fn refused(message: &str, hint: Option<&str>) -> Refused {
    Refused { code: "not-entitled", message: message.to_owned(), hint: hint.map(str::to_owned) }
}
