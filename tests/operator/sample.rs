//! A small world for the tests of operators: plans built by hand, decided upon by the real core.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::consigne::clock::Timestamp;
use super::consigne::core::{
    Actor, AttemptResult, Begin, Decided, How, Input, Json, Outcome, Refused, Shape, State, decide,
};
use super::consigne::operator::Question;
use super::consigne::plan::{
    Action, Auth, Body, Choosing, Effect, Evidence, GateNode, Graph, HttpCall, Identity, InputField,
    InputKind, Item, ItemNode, Kind, Listed, Localized, ManyNode, Mode, OnTimeout, OtherwisePutBack,
    OutputNode, Person, Plan, Populace, Probe, PutBackNode, SEMANTICS, StepNode, StepValues, Values, Who,
};
use super::consigne::runbook::template::{Template, Tree};

pub type Step = (StepNode, StepValues);

pub struct World {
    pub plan: Plan,
    pub state: State,
    pub now: Timestamp,
}

pub fn both(text: &str) -> Localized<Template> {
    Localized::both(Template::parse(text).unwrap())
}

/// A step that people do.
pub fn human(id: &str, kind: Kind, message: &str) -> Step {
    let values = StepValues { message: both(message), ..StepValues::default() };
    (StepNode::new(id, kind, Effect::Read), values)
}

pub fn gate(id: &str, kind: Kind, covers: &[&str]) -> Step {
    let (mut node, mut values) = human(id, kind, "Suspend {{ inputs.tenant }}?");
    let roles = if kind == Kind::Approve { vec!["lead".to_owned()] } else { Vec::new() };
    node.gate = Some(GateNode {
        quorum: 1,
        who: Who { roles, ..Who::default() },
        escalate_to: Vec::new(),
        on_timeout: OnTimeout::Refuse,
        on_reject_continue: false,
        covers: covers.iter().map(|name| (*name).to_owned()).collect(),
        typed: false,
        break_glass: None,
        limit: None,
    });
    values.title = both("Go ahead");
    (node, values)
}

/// A confirmation by the word of the tenant.
pub fn typed(id: &str) -> Step {
    let (mut node, mut values) = gate(id, Kind::Confirm, &[]);
    node.gate.as_mut().unwrap().typed = true;
    values.typed = Some(Template::parse("{{ inputs.tenant }}").unwrap());
    (node, values)
}

pub fn form(id: &str) -> Step {
    let (node, mut values) = human(id, Kind::Input, "How many?");
    let field = |kind, title: &str| InputField {
        kind,
        title: Localized::both(title.to_owned()),
        default: None,
        min: None,
        max: None,
        pattern: None,
        one_of: None,
        public: false,
    };
    let count = InputField { min: Some(1.0), max: Some(9.0), ..field(InputKind::Integer, "Number of users") };
    values.fields.insert("count".into(), count);
    let colour = InputField {
        one_of: Some(vec![json!("red"), json!("blue")]),
        default: Some(json!("blue")),
        ..field(InputKind::String, "Colour")
    };
    values.fields.insert("colour".into(), colour);
    values.fields.insert("sure".into(), field(InputKind::Boolean, "Sure"));
    (node, values)
}

pub fn checklist(id: &str, items: &[(&str, bool, Evidence)]) -> Step {
    let (mut node, mut values) = human(id, Kind::Checklist, "Look at each");
    for (id, probe, evidence) in items {
        node.items.push(ItemNode {
            id: (*id).to_owned(),
            probe: *probe,
            evidence: *evidence,
            read_back: false,
        });
        let probe = probe.then(|| request("GET", "https://api.test/health"));
        values.items.insert(
            (*id).to_owned(),
            Item { text: both(&format!("Is {id} so?")), probe, step: None, read_back: None },
        );
    }
    (node, values)
}

/// A choice of a list: ids and what people read.
pub fn choice(id: &str, options: &[(&str, &str)], many: Option<ManyNode>) -> Step {
    let (mut node, mut values) = human(id, Kind::Choice, "Which?");
    node.many = many;
    let listed = options.iter().map(|(id, text)| Listed { id: (*id).to_owned(), text: both(text) });
    values.choice = Some(Choosing::Listed(listed.collect()));
    (node, values)
}

pub fn manual(id: &str, evidence: Evidence) -> Step {
    let (mut node, values) = human(id, Kind::Manual, "Pull the plug");
    node.evidence = Some(evidence);
    (node, values)
}

pub fn request(method: &str, url: &str) -> Probe {
    let text = |text: &str| Template::parse(text).unwrap();
    let action = Action::Http(Box::new(HttpCall {
        method: method.into(),
        url: text(url),
        headers: vec![("X-Reason".into(), text("{{ inputs.reason }}"))],
        query: Vec::new(),
        body: Body::Json(Tree::Map(vec![
            ("status".into(), Tree::Text(text("suspended"))),
            ("at".into(), Tree::Text(text("{{ step.started_at }}"))),
        ])),
        auth: Auth::Bearer("admin_token".into()),
        ca_file: None,
    }));
    Probe { action, accept: Default::default(), timeout_ms: None, artifacts: Vec::new() }
}

/// A call that writes; `output` is read by a step named `reader` below.
pub fn call(id: &str) -> Step {
    let mut node = StepNode::new(id, Kind::Http, Effect::Write);
    node.outputs.push(OutputNode { name: "ticket".into(), public: false, kind: InputKind::String });
    let act = Some(request("PATCH", "https://api.test/tenants/{{ inputs.tenant }}"));
    (node, StepValues { act, ..StepValues::default() })
}

/// A call whose effect has to be switched back.
pub fn toggle(id: &str) -> Step {
    let (mut node, mut values) = call(id);
    node.put_back = Some(PutBackNode { only_if: false, otherwise: OtherwisePutBack::Ask });
    values.put_back = Some(request("PUT", "https://api.test/tenants/{{ inputs.tenant }}/mode"));
    (node, values)
}

/// A confirmation that reads an output of `of`.
pub fn reader(id: &str, of: &str) -> Step {
    let (mut node, mut values) = gate(id, Kind::Confirm, &[]);
    node.needs = vec![of.to_owned()];
    values.message = both(&format!("Ticket {{{{ steps.{of}.ticket }}}}, close it?"));
    (node, values)
}

impl World {
    /// A run that has just begun. Steps without needs follow the one above.
    pub fn new(mode: Mode, role_play: bool, lang: &str, steps: Vec<Step>) -> Self {
        Self::of_tenant("acme", mode, role_play, lang, steps)
    }

    pub fn of_tenant(tenant: &str, mode: Mode, role_play: bool, lang: &str, steps: Vec<Step>) -> Self {
        let mut nodes: Vec<StepNode> = Vec::new();
        let mut values = Values::default();
        for (mut node, step) in steps {
            if let Some(above) = nodes.last().filter(|_| node.needs.is_empty()) {
                node.needs = vec![above.id.clone()];
            }
            node.above = true;
            values.steps.insert(node.id.clone(), step);
            nodes.push(node);
        }
        values.inputs =
            BTreeMap::from([("tenant".into(), json!(tenant)), ("reason".into(), json!("overdue"))]);
        let person = |name: &str| (name.to_owned(), Person { os_user: Some(name.to_owned()), ssh: None });
        let graph = Graph {
            semantics: SEMANTICS,
            runbook: "tenant-suspend".into(),
            mode,
            environment: Some("practice".into()),
            protected: false,
            role_play,
            identity: Identity::Any,
            people: Populace {
                people: BTreeMap::from([person("alice"), person("bob"), person("carol")]),
                roles: BTreeMap::from([("lead".into(), vec!["bob".into(), "carol".into()])]),
            },
            max_in_flight: 4,
            deadline_ms: None,
            secrets: vec!["admin_token".into()],
            steps: nodes,
            guards: vec![],
            rerun: None,
            certificate: None,
        };
        let shape = Arc::new(Shape::new(graph.clone()).unwrap());
        let state = State::new(shape, "20261123-1-suspend");
        let now = Timestamp::from_millis(1_795_000_000_000);
        let mut world = Self { plan: Plan { graph, values }, state, now };
        let _ = world.decide(Input::Begin(begin(lang))).unwrap();
        world
    }

    pub fn decide(&mut self, input: Input) -> Result<Decided, Refused> {
        self.now = self.now.plus(1_000);
        decide(&self.plan, &mut self.state, self.now, input)
    }

    /// Ends whatever attempt is running.
    pub fn finish(&mut self, result: AttemptResult, reason: &str) {
        let running = self.state.derived().in_flight.iter().next().copied().unwrap();
        let key = self.state.running_key(running).unwrap();
        let mut outcome = Outcome::bare(result, reason, self.now);
        if result == AttemptResult::Succeeded {
            outcome.outputs.insert("ticket".into(), Json::of(&json!("T-1")));
        } else {
            outcome.code = Some(500);
            let body: Vec<String> = (1..=30).map(|line| format!("line {line} of the answer")).collect();
            outcome.excerpts.insert("body".into(), body.join("\n"));
            outcome.excerpts.insert("error".into(), "the server said \u{1b}[31mno".into());
        }
        let _ = self.decide(Input::Finished { key, outcome: Box::new(outcome) }).unwrap();
    }

    /// Ends attempts until none runs.
    pub fn run(&mut self, result: AttemptResult, reason: &str) {
        while !self.state.derived().in_flight.is_empty() {
            self.finish(result, reason);
        }
    }

    pub fn questions(&self) -> Vec<Question> {
        self.state.open_asks().filter_map(|ask| Question::of(&self.plan, &self.state, ask.id)).collect()
    }
}

fn begin(lang: &str) -> Begin {
    Begin {
        actor: Actor { who: "alice".into(), how: How::OsUser, played_by: None },
        attended: true,
        tool: "test".into(),
        lang: lang.into(),
        template: 1,
        plan: BTreeMap::new(),
        executor: "none".into(),
    }
}
