//! A question as any view shows it: everything that is needed to ask it, taken from plan and state once.
//!
//! Pure. The terminal, the web page and `show` ask the same question; what may be answered is decided by the core.

mod earlier;
mod entitled;
mod requests;

use std::collections::BTreeSet;

use serde_json::Value;

use super::offer;
use super::quoted::quoted;
use super::wording::{Lang, Text};
use crate::clock::Timestamp;
use crate::core::attempt::Role;
use crate::core::state::{Ask, Given, ItemState, Last, Step};
use crate::core::{
    Actor, AskKind, Choosable, Decision, Exhibit, Limit, Shown, State, exhibited, expected, listed,
};
use crate::plan::{
    Action, Effect, Evidence, Identity, InputField, InputKind, Link, ManyNode, Mode, Plan, StepNode,
};
use crate::runbook::template::Rendered;

pub use earlier::Earlier;
pub use entitled::{Entitled, Glass};

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
    /// Texts and values that are put before whoever answers.
    pub show: Vec<Exhibit>,
    /// Pages to look at.
    pub links: Vec<Link<String>>,
    /// How long the step usually takes.
    pub estimate_ms: Option<u64>,
    /// Of the first items of a list: the others, which follow if the answer is yes.
    pub to_come: Vec<String>,
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
    /// Those of them that are done only if something has failed.
    pub rescues: BTreeSet<String>,
    /// Identifies what is shown: goes back with the answer, so that a stale view is refused.
    pub view: Option<String>,
    /// What else an approval lets through.
    pub limit: Option<Limit>,
    /// What may be said, in the order of offering. Empty for a form.
    pub choices: Vec<Choice>,
    pub fields: Vec<Field>,
    /// The list of a choice.
    pub options: Vec<Choosable>,
    /// Several of it may be chosen.
    pub many: Option<ManyNode>,
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
    /// When the same gate was asked before.
    pub earlier: Vec<Earlier>,
    pub opened: Timestamp,
    pub expires: Option<Timestamp>,
    /// Who may open it alone, and from when on.
    pub glass: Option<Glass>,
    /// Until when people should have answered. Nothing ends by it.
    pub timebox: Option<Timestamp>,
    /// For a gate whose entitled people have keys. The driver knows it, not plan and state.
    pub to_sign: Option<ToSign>,
}

/// What somebody elsewhere can sign to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    /// The exact bytes.
    pub text: String,
    /// Between the lines that mark it in a chat.
    pub framed: String,
    pub namespace: String,
    /// Whoever signs fills in his name first.
    pub unnamed: bool,
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub id: String,
    pub text: String,
    pub state: ItemState,
    pub evidence: Evidence,
    pub probe: bool,
    /// What is to be typed back for it to be ticked. Never shown beside it.
    pub read_back: Option<String>,
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
    /// Of that attempt: a probe reads, whatever the step does.
    pub effect: Effect,
    /// What it asked for, where that is disclosed.
    pub action: Option<Action<Rendered>>,
    /// In the order of importance: `error`, `stderr`, `body`, `stdout`, others.
    pub excerpts: Vec<(String, String)>,
}

impl Question {
    /// The question of that number, if it is open.
    pub fn of(plan: &Plan, state: &State, ask: u32) -> Option<Self> {
        let ask = state.ask(ask).filter(|ask| ask.end.is_none())?;
        let (node, step) = (state.shape().node(ask.step), state.step(ask.step));
        let lang = Lang::of(&state.run.lang);
        let trouble = ask.kind.is_trouble();
        let protected = plan.graph.protected && node.effect == Effect::Destructive;
        let outputs = if matches!(ask.kind, AskKind::Failure | AskKind::Unknown) {
            offer::outputs(plan, state, ask)
        } else {
            Vec::new()
        };
        Some(Self {
            ask: ask.id,
            run: state.run.id.clone(),
            step: state.shape().label(ask.step),
            kind: ask.kind,
            effect: node.effect,
            mode: plan.graph.mode,
            environment: plan.graph.environment.clone(),
            lang,
            title: text(ask, "title"),
            prompt: text(ask, "prompt").or_else(|| lang.begun(state, ask)),
            show: exhibited(ask),
            links: ask.shown.get("links").and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default(),
            estimate_ms: state.values(plan, ask.step).and_then(|values| values.estimate_ms),
            to_come: to_come(state, ask),
            reason: ask.reason.clone(),
            why: text(ask, "why"),
            typed: text(ask, "typed").filter(|_| node.gate.as_ref().is_some_and(|gate| gate.typed)),
            items: if ask.kind == AskKind::Checklist { points(ask, node, step) } else { Vec::new() },
            in_order: node.in_order,
            covers: ask.covers.clone(),
            rescues: requests::rescues(state, ask),
            requests: requests::requests(plan, state, ask),
            limit: ask.binds.as_ref().and_then(|binds| binds.limit.clone()),
            view: ask.binds.as_ref().and_then(|binds| serde_json::to_string(binds).ok()),
            choices: offer::offered(plan, state, ask, &outputs),
            fields: if ask.kind == AskKind::Input { fields(plan, state, ask.step, lang) } else { Vec::new() },
            options: listed(ask),
            many: node.many,
            evidence: evidence(ask.kind, node),
            outputs,
            tried: step.last.as_ref().filter(|_| trouble).map(|last| tried(node, last)),
            who: entitled::who(plan, state, ask, node),
            role_play: plan.graph.role_play && plan.graph.mode != Mode::Live,
            signed: ask.kind == AskKind::Approve && plan.graph.identity == Identity::SshKey,
            second_person: protected && matches!(ask.kind, AskKind::Failure | AskKind::Unknown),
            given: ask.answers.clone(),
            earlier: earlier::earlier(state, ask),
            opened: ask.opened,
            expires: ask.expires,
            glass: entitled::glass(plan, ask, node),
            timebox: node.timebox_ms.map(|timebox| ask.opened.plus(timebox)),
            to_sign: None,
        })
    }

    /// Whether `me`, at a keyboard here, can be asked at all. `signs`: he has a key here that signs what he decides.
    pub fn is_for(&self, me: &str, signs: bool) -> bool {
        if self.role_play {
            return true;
        }
        let gate = matches!(self.kind, AskKind::Approve | AskKind::Confirm);
        let said = gate && self.given.iter().any(|given| given.actor.who == me);
        self.who.may(me) && (signs || !self.signed) && !said
    }

    /// What such a question is called in its language.
    pub fn called(&self) -> &'static str {
        self.lang.text(super::wording::kind(self.kind))
    }

    /// What may be said to one item of a checklist.
    pub fn item_choices(&self, item: &Point) -> Vec<Choice> {
        let says = |word, decision| Choice { word, decision };
        let (yes, no) = (says("yes", Decision::Done), says("no", Decision::No));
        let (retry, by_hand) = (says("retry", Decision::Retry), says("by_hand", Decision::ByHand));
        match item.state {
            _ if item.read_back.is_some() => vec![no],
            ItemState::Refuted => vec![retry, by_hand, no],
            _ if item.probe => vec![yes, no, retry],
            _ => vec![yes, no],
        }
    }

    /// Its options have numbers of their own: no id could be taken for one.
    pub fn is_numbered(&self) -> bool {
        !self.options.iter().any(|option| option.id.parse::<usize>().is_ok())
    }

    /// How many of the list may be chosen, in words; `None`: one.
    pub fn how_many(&self) -> Option<String> {
        let many = self.many?;
        let most = many.max.map_or(self.options.len(), |max| max as usize).to_string();
        let least = many.min.to_string();
        let text = if least == most { Text::Exactly } else { Text::FromTo };
        Some(self.lang.fill(text, &[("least", &least), ("most", &most)]))
    }

    /// The step, or the item of it, and what may be said to it, as a command line has them. Where there is a choice, it is
    /// one word of a shell: pasted as it stands it is no pipe, but an answer that is refused.
    pub fn on_a_command_line(&self) -> (String, String) {
        let (place, words) = self.may_be_said();
        let form = self.kind == AskKind::Input;
        let words = words.join("|");
        (place, if form { format!("'{words}'") } else { quoted(&words) })
    }

    /// The step, or the item of it, and what may be said to it.
    pub fn may_be_said(&self) -> (String, Vec<String>) {
        let words = |choices: &[Choice]| choices.iter().map(|choice| choice.word.to_owned()).collect();
        if let Some(item) = self.open_items().next() {
            let mut all: Vec<String> = words(&self.item_choices(item));
            if item.read_back.is_some() {
                all.insert(0, self.lang.text(Text::ReadBackValue).to_owned());
            }
            return (format!("{}/{}", self.step, item.id), all);
        }
        let all = if self.kind == AskKind::Input {
            let fields: Vec<String> =
                self.fields.iter().map(|field| format!("\"{}\": …", field.name)).collect();
            vec![format!("{{{}}}", fields.join(", "))]
        } else if self.kind == AskKind::Choice {
            self.ids()
        } else if let Some(typed) = &self.typed {
            vec![typed.clone(), "no".to_owned()]
        } else {
            words(&self.choices)
        };
        (self.step.clone(), all)
    }

    /// The ids of a choice; of long lists the first few.
    fn ids(&self) -> Vec<String> {
        const FEW: usize = 6;
        let mut out: Vec<String> = self.options.iter().take(FEW).map(|option| option.id.clone()).collect();
        if self.options.len() > FEW {
            out.push("…".to_owned());
        }
        if let Some(last) = out.last_mut().filter(|_| self.many.is_some()) {
            last.push_str("[,…]");
        }
        out
    }

    /// The open items, in order.
    pub fn open_items(&self) -> impl Iterator<Item = &Point> {
        self.items.iter().filter(|item| item.state.is_open())
    }
}

/// What a list has not begun, in the order of its turns.
fn to_come(state: &State, ask: &Ask) -> Vec<String> {
    let compound = state.step(ask.step).compound.as_deref().filter(|_| ask.kind == AskKind::Canary);
    let left = compound.map(|compound| compound.order.iter().skip(compound.begun));
    left.into_iter().flatten().map(|at| state.shape().label(*at)).collect()
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
            read_back: expected(ask, &item.id).filter(|_| item.read_back),
        })
        .collect()
}

impl Lang {
    /// Before the others of a list follow: what became of the first, and who they are.
    fn begun(self, state: &State, ask: &Ask) -> Option<String> {
        const FEW: usize = 12;
        let shape = state.shape();
        let list = shape.members(ask.step).filter(|_| ask.kind == AskKind::Canary)?;
        let (done, rest): (Vec<usize>, Vec<usize>) =
            shape.lists()[list].members.iter().copied().partition(|at| state.step(*at).settled);
        let named = |places: &[usize], outcome: bool| {
            let name = |at: &usize| {
                let how =
                    if outcome { format!(" ({})", state.step(*at).status.name()) } else { String::new() };
                format!("{}{how}", shape.label(*at))
            };
            let mut names: Vec<String> = places.iter().take(FEW).map(name).collect();
            if places.len() > FEW {
                names.push(format!("… ({})", places.len()));
            }
            names.join(", ")
        };
        let (done, rest) = (named(&done, true), named(&rest, false));
        Some(self.fill(Text::Begun, &[("done", &done), ("rest", &rest)]))
    }
}

fn fields(plan: &Plan, state: &State, step: usize, lang: Lang) -> Vec<Field> {
    let code = if lang == Lang::Fr { "fr" } else { "en" };
    let fields = state.values(plan, step).into_iter().flat_map(|values| &values.fields);
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

/// What was tried: the request as it was sent, not the plan rendered again with what has become known since.
fn tried(node: &StepNode, last: &Last) -> Tried {
    // Headers say little to whoever decides, and take the room of what does.
    let excerpts = last.excerpts.iter().filter(|(name, _)| *name != "headers");
    let mut excerpts: Vec<(String, String)> =
        excerpts.map(|(name, text)| (name.clone(), text.clone())).collect();
    let rank = |name: &str| {
        ["error", "stderr", "body", "stdout"].iter().position(|known| *known == name).unwrap_or(9)
    };
    excerpts.sort_by_key(|(name, _)| rank(name));
    Tried {
        role: last.role,
        attempt: last.attempt,
        reason: last.reason.clone(),
        code: last.code,
        effect: last.request.as_ref().map_or(node.effect, |request| request.effect),
        action: last.request.as_ref().map(|request| request.probe.action.clone()),
        excerpts,
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

#[cfg(test)]
mod tests {
    use super::super::sample::*;
    use super::*;
    use crate::core::{AttemptResult, How, Input};
    use crate::plan::Kind;

    fn words(question: &Question) -> Vec<&str> {
        question.choices.iter().map(|choice| choice.word).collect()
    }

    #[test]
    fn an_approval_shows_what_it_binds_and_who_may_give_it() {
        let mut approve = gate("go", Kind::Approve, &["suspend"]);
        approve.0.gate.as_mut().unwrap().who.not_starter = true;
        approve.0.timeout_ms = Some(60_000);
        let world = World::new(Mode::Live, false, "fr", vec![approve, call("suspend")]);
        let q = world.questions().remove(0);
        assert_eq!(q.prompt.as_deref(), Some("Suspend acme?"));
        assert_eq!((q.lang, q.kind, words(&q)), (Lang::Fr, AskKind::Approve, vec!["approve", "reject"]));
        assert_eq!(q.requests.len(), 1);
        assert_eq!((q.requests[0].step.as_str(), q.requests[0].effect), ("suspend", Effect::Write));
        assert!(q.view.as_ref().is_some_and(|view| view.contains(&q.requests[0].digest)));
        assert_eq!(
            (q.who.people.as_slice(), q.who.not.as_slice()),
            (&["bob".into(), "carol".into()][..], &["alice".into()][..])
        );
        assert!(q.is_for("bob", false) && !q.is_for("alice", false) && !q.is_for("os:root", false));
        assert_eq!(q.expires, Some(q.opened.plus(60_000)));
    }

    #[test]
    fn an_approval_shows_its_requests_in_the_order_in_which_they_run() {
        let covers = ["zeta", "alpha", "mid"];
        let steps = [gate("go", Kind::Approve, &covers)].into_iter().chain(covers.map(call)).collect();
        let q = World::new(Mode::Live, false, "en", steps).questions().remove(0);
        let shown: Vec<&str> = q.requests.iter().map(|shown| shown.step.as_str()).collect();
        assert_eq!(shown, covers);
    }

    #[test]
    fn a_failure_shows_what_was_tried_and_offers_only_what_leads_somewhere() {
        let mut world =
            World::new(Mode::Live, false, "en", vec![call("suspend"), reader("close", "suspend")]);
        world.run(AttemptResult::Failed, "status");
        let q = world.questions().remove(0);
        assert_eq!(words(&q), ["retry", "by_hand", "skip", "set_output", "end"], "there is nothing to undo");
        let tried = q.tried.as_ref().unwrap();
        assert_eq!((tried.reason.as_str(), tried.code, tried.attempt), ("status", Some(500), 1));
        assert_eq!(tried.excerpts[0].0, "error", "the explanation comes first");
        assert_eq!(tried.effect, Effect::Write);
        assert_eq!(q.outputs, [Output { name: "ticket".into(), kind: InputKind::String, needed: true }]);
        assert!(q.is_for("os:root", false), "anybody may answer it");
    }

    #[test]
    fn what_was_tried_is_the_very_request_that_was_sent() {
        let mut step = call("suspend");
        step.0.verify = Some(crate::plan::VerifyNode { first: false, absent: false });
        step.1.verify = Some(request("GET", "https://api.test/tenants/acme"));
        let mut world = World::new(Mode::Live, false, "en", vec![step]);
        let sent = |world: &World| world.state.request(&world.state.running_key(0).unwrap()).unwrap();
        let acting = sent(&world);
        assert_eq!(acting.role, Role::Do);
        world.finish(AttemptResult::Succeeded, "ok");
        let probing = sent(&world);
        world.finish(AttemptResult::Failed, "expect");
        let tried = world.questions().remove(0).tried.unwrap();
        assert_eq!((tried.role, tried.effect), (Role::Verify, Effect::Read));
        assert_eq!(tried.action.as_ref(), Some(&probing.probe.action));
        assert_ne!(tried.action.as_ref(), Some(&acting.probe.action));
    }

    #[test]
    fn an_attempt_that_was_cut_off_is_shown_too() {
        let mut world = World::new(Mode::Live, false, "en", vec![call("suspend")]);
        let sent = world.state.request(&world.state.running_key(0).unwrap()).unwrap();
        let again = Input::Resume {
            actor: actor("alice", None, How::OsUser),
            attended: true,
            tool: "test".into(),
            end: None,
        };
        let _ = world.decide(again).unwrap();
        let q = world.questions().remove(0);
        let tried = q.tried.unwrap();
        assert_eq!((q.kind, tried.reason.as_str()), (AskKind::Unknown, "interrupted"));
        assert_eq!(tried.action.as_ref(), Some(&sent.probe.action));
    }

    #[test]
    fn a_step_without_outputs_offers_none_to_set_and_one_with_undo_offers_to_undo() {
        let mut step = call("suspend");
        step.0.outputs.clear();
        step.0.undo = true;
        step.1.undo = Some(request("PATCH", "https://api.test/undo"));
        let mut world = World::new(Mode::Live, false, "en", vec![step]);
        world.run(AttemptResult::Failed, "status");
        assert_eq!(words(&world.questions().remove(0)), ["retry", "by_hand", "skip", "undo_end", "end"]);
    }

    #[test]
    fn a_closed_question_is_none() {
        let mut world = World::new(
            Mode::Live,
            false,
            "en",
            vec![gate("go", Kind::Confirm, &[]), manual("m", Evidence::None)],
        );
        let q = world.questions().remove(0);
        let answer = crate::core::Answer {
            ask: q.ask,
            part: None,
            value: serde_json::json!("yes"),
            comment: None,
            evidence: Vec::new(),
            actor: actor("alice", None, How::OsUser),
            shown: None,
        };
        let _ = world.decide(Input::Answer(Box::new(answer))).unwrap();
        assert_eq!(Question::of(&world.plan, &world.state, q.ask), None);
        assert_eq!(world.questions().remove(0).kind, AskKind::Manual);
    }

    #[test]
    fn a_toggle_shows_what_would_put_it_back() {
        let mut world =
            World::new(Mode::Live, false, "en", vec![toggle("mode"), gate("go", Kind::Confirm, &[])]);
        world.run(AttemptResult::Succeeded, "ok");
        let end = Input::Cancel { actor: actor("alice", None, How::OsUser), reason: "enough".into() };
        let _ = world.decide(end).unwrap();
        let q = world.questions().remove(0);
        assert_eq!((q.kind, words(&q)), (AskKind::PutBack, vec!["put_back", "done", "leave_open"]));
        assert_eq!(q.requests.len(), 1, "{q:?}");
    }
}
