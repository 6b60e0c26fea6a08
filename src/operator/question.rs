//! A question as any view shows it: everything that is needed to ask it, taken from plan and state once.
//!
//! Pure. The terminal, the web page and `show` ask the same question; what may be answered is decided by the core.

use std::collections::BTreeSet;

use serde_json::Value;

use super::wording::Lang;
use crate::clock::Timestamp;
use crate::core::attempt::Role;
use crate::core::state::{Ask, Given, ItemState, Last, Step};
use crate::core::{Actor, AskKind, Decision, Reversal, Shown, State, choices, needed_outputs};
use crate::plan::{
    Action, Effect, Evidence, Identity, InputField, InputKind, Mode, OutputNode, Plan, StepNode, Who,
};
use crate::runbook::template::Rendered;

/// One open question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub ask: u32,
    pub run: String,
    pub step: String,
    pub kind: AskKind,
    pub effect: Effect,
    pub mode: Mode,
    pub environment: Option<String>,
    pub lang: Lang,
    pub title: Option<String>,
    pub prompt: Option<String>,
    /// Code of what went wrong, for a failure, an unknown outcome or a toggle.
    pub reason: Option<String>,
    /// Its explanation.
    pub why: Option<String>,
    /// The word that confirms.
    pub typed: Option<String>,
    pub items: Vec<Point>,
    /// Items are answered in their order.
    pub in_order: bool,
    /// The steps an approval or confirmation lets go on.
    pub covers: Vec<String>,
    /// What an approval binds; for a toggle, what would put it back.
    pub requests: Vec<Shown>,
    /// Identifies what is shown: goes back with the answer, so that a stale view is refused.
    pub view: Option<String>,
    /// What may be said, in the order of offering. Empty for a form.
    pub choices: Vec<Choice>,
    pub fields: Vec<Field>,
    /// Evidence that goes with a "done".
    pub evidence: Evidence,
    /// Declared outputs that an override may give.
    pub outputs: Vec<Output>,
    /// What the last attempt tried and what came of it.
    pub tried: Option<Tried>,
    pub who: Entitled,
    /// Whoever answers says whom he plays.
    pub role_play: bool,
    /// Answers must be signed with an SSH key.
    pub signed: bool,
    /// An override takes another person than the starter.
    pub second_person: bool,
    /// What has been said so far.
    pub given: Vec<Given>,
    pub opened: Timestamp,
    pub expires: Option<Timestamp>,
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub id: String,
    pub text: String,
    pub state: ItemState,
    pub evidence: Evidence,
    pub probe: bool,
}

/// Something that may be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The word of the language of answers, `by_hand`.
    pub word: &'static str,
    pub decision: Decision,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub title: String,
    pub kind: InputKind,
    pub default: Option<Value>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    pub one_of: Option<Vec<Value>>,
}

/// An output of a step that somebody overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub kind: InputKind,
    /// Something still to come reads it, and there is no value yet.
    pub needed: bool,
}

/// The last attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    pub role: Role,
    pub attempt: u32,
    pub reason: String,
    pub code: Option<i64>,
    /// What it asked for, where that is still known.
    pub action: Option<Action<Rendered>>,
    /// In the order of importance: `error`, `stderr`, `body`, `stdout`, others.
    pub excerpts: Vec<(String, String)>,
}

/// Who may answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entitled {
    /// Anybody but `not`; else exactly `people`.
    pub anybody: bool,
    /// Those named by roles; for anybody, those whom the environment knows.
    pub people: Vec<String>,
    pub not: Vec<String>,
    /// Different people that must say yes.
    pub quorum: u32,
}

impl Entitled {
    pub fn may(&self, who: &str) -> bool {
        let named = self.people.iter().any(|person| person == who);
        (self.anybody || named) && !self.not.iter().any(|person| person == who)
    }
}

impl Question {
    /// The question of that number, if it is open.
    pub fn of(plan: &Plan, state: &State, ask: u32) -> Option<Self> {
        let ask = state.ask(ask).filter(|ask| ask.end.is_none())?;
        let (node, step) = (state.shape().node(ask.step), state.step(ask.step));
        let lang = Lang::of(&state.run.lang);
        let trouble = matches!(ask.kind, AskKind::Failure | AskKind::Unknown | AskKind::PutBack);
        let protected = plan.graph.protected && node.effect == Effect::Destructive;
        let outputs = if matches!(ask.kind, AskKind::Failure | AskKind::Unknown) {
            outputs(plan, state, ask)
        } else {
            Vec::new()
        };
        Some(Self {
            ask: ask.id,
            run: state.run.id.clone(),
            step: node.id.clone(),
            kind: ask.kind,
            effect: node.effect,
            mode: plan.graph.mode,
            environment: plan.graph.environment.clone(),
            lang,
            title: text(ask, "title"),
            prompt: text(ask, "prompt"),
            reason: ask.reason.clone(),
            why: text(ask, "why"),
            typed: text(ask, "typed").filter(|_| node.gate.as_ref().is_some_and(|gate| gate.typed)),
            items: if ask.kind == AskKind::Checklist { points(ask, node, step) } else { Vec::new() },
            in_order: node.in_order,
            covers: ask.covers.clone(),
            requests: requests(state, ask, node),
            view: ask.binds.as_ref().and_then(|binds| serde_json::to_string(binds).ok()),
            choices: offered(state, ask, &outputs),
            fields: if ask.kind == AskKind::Input { fields(plan, ask.step, lang) } else { Vec::new() },
            evidence: evidence(ask.kind, node),
            outputs,
            tried: step.last.as_ref().filter(|_| trouble).map(|last| tried(plan, ask.step, last)),
            who: who(plan, state, ask, node),
            role_play: plan.graph.role_play && plan.graph.mode != Mode::Live,
            signed: ask.kind == AskKind::Approve && plan.graph.identity == Identity::SshKey,
            second_person: protected && matches!(ask.kind, AskKind::Failure | AskKind::Unknown),
            given: ask.answers.clone(),
            opened: ask.opened,
            expires: ask.expires,
        })
    }

    /// Whether `me`, at a keyboard here, can be asked at all.
    pub fn is_for(&self, me: &str) -> bool {
        if self.role_play {
            return true;
        }
        let gate = matches!(self.kind, AskKind::Approve | AskKind::Confirm);
        let said = gate && self.given.iter().any(|given| given.actor.who == me);
        self.who.may(me) && !self.signed && !said
    }

    /// What may be said to one item of a checklist.
    pub fn item_choices(&self, item: &Point) -> Vec<Choice> {
        let says = |word, decision| Choice { word, decision };
        let (yes, no) = (says("yes", Decision::Done), says("no", Decision::No));
        let (retry, by_hand) = (says("retry", Decision::Retry), says("by_hand", Decision::ByHand));
        match item.state {
            ItemState::Refuted => vec![retry, by_hand, no],
            _ if item.probe => vec![yes, no, retry],
            _ => vec![yes, no],
        }
    }

    /// The open items, in order.
    pub fn open_items(&self) -> impl Iterator<Item = &Point> {
        self.items.iter().filter(|item| item.state.is_open())
    }
}

/// A text that was rendered for the question; stored as JSON.
fn text(ask: &Ask, name: &str) -> Option<String> {
    serde_json::from_str(ask.shown.get(name)?).ok()
}

fn points(ask: &Ask, node: &StepNode, step: &Step) -> Vec<Point> {
    let states = node.items.iter().zip(&step.items);
    states
        .map(|(item, state)| Point {
            text: text(ask, &format!("item.{}", item.id)).unwrap_or_else(|| item.id.clone()),
            id: item.id.clone(),
            state: *state,
            evidence: item.evidence,
            probe: item.probe,
        })
        .collect()
}

fn requests(state: &State, ask: &Ask, node: &StepNode) -> Vec<Shown> {
    if let Some(shown) = ask.shown.get("shown") {
        return serde_json::from_str(shown).unwrap_or_default();
    }
    if ask.kind != AskKind::PutBack {
        return Vec::new();
    }
    let open = state.reversals().iter().rfind(|r| r.step == ask.step && r.end.is_none());
    let Some(reversal) = open else { return Vec::new() };
    let name = if reversal.kind == Reversal::Undo { "undo" } else { "put_back" };
    let request = reversal
        .requests
        .get(name)
        .and_then(|text| serde_json::from_str::<crate::plan::ProbeOf<Rendered>>(text).ok());
    let shown = request.map(|probe| Shown {
        step: format!("{} ({name})", node.id),
        effect: node.effect,
        digest: String::new(),
        action: probe.action,
    });
    shown.into_iter().collect()
}

/// What the core takes, without what would lead nowhere here.
fn offered(state: &State, ask: &Ask, outputs: &[Output]) -> Vec<Choice> {
    let undoable = state.reversals().iter().any(|r| r.kind == Reversal::Undo && r.end.is_none());
    let words = choices(ask, false).into_iter().map(|(words, decision)| Choice { word: words[0], decision });
    words
        .filter(|choice| match choice.decision {
            Decision::UndoEnd => undoable,
            Decision::SetOutput => !outputs.is_empty(),
            _ => true,
        })
        .collect()
}

fn fields(plan: &Plan, step: usize, lang: Lang) -> Vec<Field> {
    let code = if lang == Lang::Fr { "fr" } else { "en" };
    let fields = plan.step_values(step).into_iter().flat_map(|values| &values.fields);
    let field = |(name, field): (&String, &InputField)| Field {
        name: name.clone(),
        title: field.title.in_lang(code).cloned().unwrap_or_else(|| name.clone()),
        kind: field.kind.clone(),
        default: field.default.clone(),
        min: field.min,
        max: field.max,
        pattern: field.pattern.clone(),
        one_of: field.one_of.clone(),
    };
    fields.map(field).collect()
}

fn evidence(kind: AskKind, node: &StepNode) -> Evidence {
    match kind {
        AskKind::Manual => node.evidence.unwrap_or_default(),
        AskKind::Failure | AskKind::Unknown => Evidence::Optional,
        _ => Evidence::None,
    }
}

fn outputs(plan: &Plan, state: &State, ask: &Ask) -> Vec<Output> {
    let needed = needed_outputs(plan, state, ask.step);
    let known = &state.step(ask.step).outputs;
    let output = |node: &OutputNode| Output {
        name: node.name.clone(),
        kind: node.kind.clone(),
        needed: needed.contains(&node.name) && !known.contains_key(&node.name),
    };
    state.shape().node(ask.step).outputs.iter().map(output).collect()
}

/// What was tried. The rendered request is gone once its attempt has ended, so the action is shown as far as it can
/// be read off the plan: a shell script, or an action without expressions.
fn tried(plan: &Plan, step: usize, last: &Last) -> Tried {
    let mut excerpts: Vec<(String, String)> =
        last.excerpts.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
    let rank = |name: &str| {
        ["error", "stderr", "body", "stdout"].iter().position(|known| *known == name).unwrap_or(9)
    };
    excerpts.sort_by_key(|(name, _)| rank(name));
    let values = plan.step_values(step);
    let probe = values.and_then(|values| match last.role {
        Role::Do => values.act.as_ref(),
        Role::First | Role::Verify => values.verify.as_ref(),
        Role::Undo => values.undo.as_ref(),
        Role::PutBack => values.put_back.as_ref(),
        Role::OnlyIf => values.only_if.as_ref(),
        Role::Item => None,
    });
    Tried {
        role: last.role,
        attempt: last.attempt,
        reason: last.reason.clone(),
        code: last.code,
        action: probe.map(|probe| as_written(&probe.action)),
        excerpts,
    }
}

/// An action of the plan with each expression as it is written: `{{ inputs.tenant_id }}`.
fn as_written(action: &Action<crate::runbook::template::Template>) -> Action<Rendered> {
    struct Written;
    impl crate::plan::Fill<crate::runbook::template::Template, Rendered> for Written {
        type Error = std::convert::Infallible;

        fn text(&mut self, text: &crate::runbook::template::Template) -> Result<Rendered, Self::Error> {
            Ok(Rendered::literal(text.source()))
        }
    }
    match action.fill(&mut Written) {
        Ok(action) => action,
        Err(never) => match never {},
    }
}

/// The same rules by which the core admits an answer, turned into names.
fn who(plan: &Plan, state: &State, ask: &Ask, node: &StepNode) -> Entitled {
    let nobody = Who::default();
    let gate = node.gate.as_ref();
    let (who, closed) = match ask.kind {
        AskKind::Approve => (gate.map_or(&nobody, |gate| &gate.who), true),
        AskKind::Confirm => (gate.map_or(&nobody, |gate| &gate.who), false),
        AskKind::Input | AskKind::Checklist | AskKind::Manual => (node.by.as_ref().unwrap_or(&nobody), false),
        AskKind::Failure | AskKind::Unknown | AskKind::PutBack => (&nobody, false),
    };
    let mut roles: Vec<&String> = who.roles.iter().collect();
    if ask.kind == AskKind::Approve && ask.escalated {
        roles.extend(gate.into_iter().flat_map(|gate| &gate.escalate_to));
    }
    let mut not: BTreeSet<String> = BTreeSet::new();
    not.extend(state.run.starter.iter().filter(|_| who.not_starter).map(|actor| actor.who.clone()));
    let by = |name: &String| {
        state.find(name).and_then(|(_, step)| step.human.as_ref()).map(|human| human.by.who.clone())
    };
    not.extend(who.not_steps.iter().filter_map(by));
    let populace = &plan.graph.people;
    let anybody = roles.is_empty() && !closed;
    let named: BTreeSet<&String> = if anybody {
        populace.people.keys().collect()
    } else {
        let holders = roles.iter().filter_map(|role| populace.roles.get(*role)).flatten();
        holders.filter(|person| populace.people.contains_key(*person)).collect()
    };
    Entitled {
        anybody,
        people: named.into_iter().filter(|person| !not.contains(*person)).cloned().collect(),
        not: not.into_iter().collect(),
        quorum: gate.map_or(1, |gate| gate.quorum.max(1)),
    }
}

/// The actor for a user of this process, or for whom he plays.
pub(super) fn actor(me: &str, plays: Option<&str>, own: crate::core::How) -> Actor {
    match plays {
        Some(who) => {
            Actor { who: who.to_owned(), how: crate::core::How::Played, played_by: Some(me.to_owned()) }
        }
        None => Actor { who: me.to_owned(), how: own, played_by: None },
    }
}
