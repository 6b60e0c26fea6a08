//! The run that the tests seal and change: events by hand, each taken in by `State::apply`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consigne::clock::Timestamp;
use consigne::core::event::{AskEnd, Decision, Ended, Override};
use consigne::core::{
    Actor, AskKind, AttemptResult, Event, Fact, Hidden, How, JournalInput, Role, RunStatus, Shape, State,
    Status,
};
use consigne::journal::{Append, Blobs, Hash, Journal, Pending, SeededSalt};
use consigne::plan::{
    ActOf, CertificateRule, Effect, GateNode, Graph, Identity, Kind, LimitNode, Mode, OnTimeout, Person,
    Populace, StepNode, Who,
};
use consigne::record::build::RecordKeeper;
use consigne::record::certificate::{self, Certificate, Issuer, Proof, Rehearsal, Walked};
use consigne::record::verify::{Options, Verification, verify};
use consigne::record::{ExecutorKey, FileKey, Trust};
use ed25519_dalek::SigningKey;

pub const ORG: &str = "consigne.example";
pub const HOST: &str = "prod-1";
pub const DAY_MS: u64 = 86_400_000;
const BEGINS: i64 = 1_764_000_000_000;

/// What a run is like.
#[derive(Clone, Copy)]
pub struct Kindness {
    pub mode: Mode,
    pub personal: bool,
    pub approver: &'static str,
    pub lang: &'static str,
    pub quorum: u32,
    pub identity: Identity,
    /// What is isolated is decided later: what the filter was asked about.
    pub judged: Option<&'static str>,
    pub certificate: Certified,
    /// Who did the attempts.
    pub worker: &'static str,
    /// The key that line 1 names, where it is not that of the executor.
    pub executor: Option<&'static str>,
}

/// Whether the environment asks for a certificate of a rehearsal, and what the run relied upon.
#[derive(Clone, Copy)]
pub enum Certified {
    NotAsked,
    /// It began without one all the same.
    Not,
    /// A good one, until this has changed it and the files that it is about.
    By(fn(&mut Certificate, &mut BTreeMap<String, String>)),
}

pub const USUAL: Kindness = Kindness {
    mode: Mode::Live,
    personal: true,
    approver: "bob",
    lang: "en",
    quorum: 1,
    identity: Identity::Any,
    judged: None,
    certificate: Certified::NotAsked,
    worker: "local",
    executor: None,
};

pub struct Run {
    pub home: tempfile::TempDir,
    pub dir: PathBuf,
    pub journal: Journal,
    pub keeper: RecordKeeper,
    pub state: State,
    pub clock: i64,
    judged: Option<&'static str>,
    worker: &'static str,
}

pub fn bob() -> FileKey {
    FileKey::from_ed25519(&SigningKey::from_bytes(&[5; 32]))
}

pub fn graph(kind: Kindness) -> Graph {
    let before = StepNode::new("before", Kind::Http, Effect::Read);
    let mut go = StepNode::new("go", Kind::Approve, Effect::Read);
    go.needs = vec!["before".into()];
    go.timeout_ms = Some(3_600_000);
    let who = Who { roles: vec!["lead".into()], not_starter: true, not_steps: Vec::new() };
    go.gate = Some(GateNode {
        quorum: kind.quorum,
        who,
        escalate_to: vec!["boss".into()],
        on_timeout: OnTimeout::Refuse,
        on_reject_continue: false,
        covers: vec!["isolate".into()],
        typed: false,
        break_glass: None,
        limit: kind.judged.map(|_| LimitNode {
            max_targets: 2,
            of: [("isolate".to_owned(), vec![ActOf::Do])].into(),
            filtered: true,
        }),
    });
    let mut isolate = StepNode::new("isolate", Kind::Http, Effect::Write);
    isolate.needs = vec!["go".into()];
    let person = |name: &str| Person { os_user: Some(name.into()), ssh: Some(format!("{name}@example.com")) };
    let people = ["alice", "bob", "carol"].map(|name| (name.to_owned(), person(name))).into();
    let roles = [("lead", vec!["alice", "bob"]), ("boss", vec!["carol"])];
    let roles =
        roles.map(|(role, people)| (role.to_owned(), people.into_iter().map(str::to_owned).collect()));
    let roles = roles.into();
    Graph {
        semantics: 1,
        runbook: "tenant-suspend".into(),
        mode: kind.mode,
        environment: Some("prod".into()),
        protected: false,
        role_play: false,
        identity: kind.identity,
        people: Populace { people, roles },
        max_in_flight: 4,
        deadline_ms: None,
        secrets: Vec::new(),
        steps: vec![before, go, isolate],
        guards: vec![],
        rerun: None,
        certificate: match kind.certificate {
            Certified::NotAsked => None,
            Certified::Not | Certified::By(_) => {
                Some(CertificateRule { max_age_ms: Some(30 * DAY_MS), min_coverage: Some(40) })
            }
        },
    }
}

/// Issued a day before the run, of a rehearsal two days before it.
fn certificate(
    key: &ExecutorKey,
    kind: Kindness,
    begins: i64,
    plan: &BTreeMap<String, String>,
) -> Option<Vec<u8>> {
    let Certified::By(change) = kind.certificate else { return None };
    let before = |days: i64| Timestamp::from_millis(begins - days * i64::try_from(DAY_MS).unwrap());
    let mut files = certificate::files_of(plan);
    let mut made = Certificate {
        runbook: "tenant-suspend".into(),
        digest: certificate::digest_of(&files),
        issuer: Issuer { org: ORG.into(), principal: key.principal(), personal: false, user: "alice".into() },
        issued_on: before(1),
        expires_on: before(-1),
        rehearsal: Rehearsal {
            run: "rehearsal".into(),
            lines: 9,
            root: "cm9vdA==".into(),
            environment: None,
            on: before(2),
        },
        proof: Proof {
            ending: "succeeded".into(),
            answers: BTreeMap::new(),
            made_up: Vec::new(),
            faults: Vec::new(),
            not_done: BTreeMap::new(),
        },
        answered: Vec::new(),
        coverage: Walked {
            edges: 10,
            walked: 4,
            percent: 40,
            by_rehearsal: 4,
            never: Vec::new(),
            runs: Vec::new(),
        },
    };
    change(&mut made, &mut files);
    Some(made.sign(&files, key.signing()).unwrap())
}

pub fn person(who: &str) -> Actor {
    Actor { who: who.into(), how: How::OsUser, played_by: None }
}

fn hidden(fields: &[(&str, &str)]) -> Hidden {
    Hidden(fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

pub fn of_run(fact: Fact) -> Event {
    Event { step: None, item: None, attempt: None, actor: None, fact, hidden: Hidden::default() }
}

pub fn of_step(step: &str, attempt: Option<u32>, fact: Fact, fields: &[(&str, &str)]) -> Event {
    Event { step: Some(step.into()), attempt, hidden: hidden(fields), ..of_run(fact) }
}

fn by(who: &str, event: Event) -> Event {
    Event { actor: Some(person(who)), ..event }
}

fn settled(step: &str, status: Status, reason: &str) -> Event {
    of_step(step, None, Fact::StepSettled { status, reason: reason.into() }, &[])
}

fn started(step: &str) -> Event {
    let fact = Fact::AttemptStarted { role: Role::Do, part: None, timeout_ms: 30_000, keyed: false };
    of_step(step, Some(1), fact, &[("request", "{\"url\":\"https://api/tenants/acme-42\"}")])
}

/// What is sent where the question showed that it is decided later, and what the filter was asked about.
fn started_with(sent: &str, judged: &str) -> Event {
    let request = serde_json::json!({
        "key": {"step": "isolate", "item": null, "attempt": 1},
        "role": "do",
        "part": null,
        "effect": "write",
        "probe": {
            "action": {"http": {"method": "PATCH", "url": [{"text": format!("https://api/tenants/{sent}")}],
                "headers": [], "query": [], "body": "none", "auth": {"bearer": "admin"}, "ca_file": null}},
            "accept": {},
            "timeout_ms": null
        },
        "timeout_ms": 30_000,
        "idempotency_key": null
    });
    let _: consigne::core::AttemptRequest = serde_json::from_value(request.clone()).expect("a request");
    let mut event = started("isolate");
    event.hidden.put("request", &request);
    event.hidden.put("targets", &serde_json::json!({"1": [{"target": judged}]}));
    event
}

impl Run {
    pub fn new(kind: Kindness) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = Arc::new(ExecutorKey::init(home.path(), ORG, HOST).unwrap());
        let line = format!("bob@example.com namespaces=\"approve.*@{ORG}\" {}\n", bob().public());
        let list = home.path().join("trust/allowed_signers");
        std::fs::write(&list, std::fs::read_to_string(&list).unwrap() + &line).unwrap();
        Self::begun(home, key, kind)
    }

    /// Sealed with the key of rehearsals, whatever it says that it is.
    pub fn sealed_for_rehearsals(kind: Kindness) -> Self {
        let home = tempfile::tempdir().unwrap();
        ExecutorKey::enrol_rehearsals(&home.path().join("trust")).unwrap();
        Self::begun(home, Arc::new(ExecutorKey::of_rehearsals()), kind).sealed_at_its_end(kind)
    }

    fn begun(home: tempfile::TempDir, key: Arc<ExecutorKey>, kind: Kindness) -> Self {
        let dir = home.path().join("runs/r1");
        let journal = Journal::create(&dir, "r1").unwrap().salted(Box::new(SeededSalt::new(7)));
        let graph = graph(kind);
        let mut plan = BTreeMap::new();
        std::fs::create_dir(dir.join("plan")).unwrap();
        let mut freeze = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.join("plan").join(name), bytes).unwrap();
            plan.insert(name.to_owned(), Hash::of(bytes).to_string());
            plan.clone()
        };
        freeze("graph.json", &serde_json::to_vec(&graph).unwrap());
        let mut plan_files = freeze("values.json", b"{\"inputs\":{}}\n");
        if graph.certificate.is_some() {
            plan_files = freeze("runbook.yaml", b"consigne: v1\nid: tenant-suspend\n");
        }
        if let Some(bytes) = certificate(&key, kind, BEGINS, &plan_files) {
            freeze(certificate::FILE, &bytes);
        }
        let keeper = RecordKeeper::new(&journal, key.clone()).unwrap();
        let state = State::new(Shape::new(graph).unwrap().into(), "r1");
        let mut run = Self {
            home,
            dir,
            journal,
            keeper,
            state,
            clock: BEGINS,
            judged: kind.judged,
            worker: kind.worker,
        };
        let fact = Fact::RunStarted {
            semantics: 1,
            mode: kind.mode,
            runbook: "tenant-suspend".into(),
            environment: Some("prod".into()),
            plan,
            tool: "consigne 0.1.0".into(),
            lang: kind.lang.into(),
            template: consigne::record::render::TEMPLATE,
            attended: true,
            executor: kind.executor.map_or_else(|| key.signer_key().fingerprint(), str::to_owned),
        };
        let begin = Event { hidden: hidden(&[("inputs", "{\"tenant_id\":\"acme-42\"}")]), ..of_run(fact) };
        run.entry(vec![by("alice", begin), started("before")]);
        run
    }

    pub fn entry(&mut self, events: Vec<Event>) {
        self.clock += 1_500;
        let at = Timestamp::from_millis(self.clock);
        for event in &events {
            self.state.apply(at, event).unwrap();
        }
        let mono = u64::try_from(self.clock).unwrap();
        let entries = self.journal.append(vec![Pending { at, mono, events }]).unwrap();
        self.keeper.follow(&mut self.journal, &entries).unwrap();
    }

    fn finish_attempt(&mut self, step: &str, result: AttemptResult, then: Event) {
        let at = Timestamp::from_millis(self.clock);
        let blob = Blobs::of(&self.dir).put(b"a long answer of the platform").unwrap();
        let fact = Fact::AttemptFinished {
            result,
            reason: "status".into(),
            class: None,
            code: Some(200),
            retry_after_ms: None,
            started: at,
            finished: at.plus(40),
            worker: self.worker.into(),
            outputs: [("state".to_owned(), "\"active\"".to_owned())].into(),
            sealed: Vec::new(),
            artifacts: std::collections::BTreeMap::new(),
        };
        let blob = serde_json::to_string(&blob).unwrap();
        let fields = [("output.name", "\"Acme é\u{a0}1.50\""), ("blob.body", blob.as_str())];
        self.entry(vec![of_step(step, Some(1), fact, &fields), then]);
    }

    /// Up to the open gate.
    pub fn reach_gate(&mut self) {
        self.finish_attempt("before", AttemptResult::Succeeded, settled("before", Status::Succeeded, "ok"));
        let fact = Fact::AskOpened {
            ask: 1,
            kind: AskKind::Approve,
            expires: Some(Timestamp::from_millis(self.clock + 3_600_000)),
            covers: vec!["isolate".into()],
            parts: Vec::new(),
            reason: None,
        };
        let shown = r#"[{"step":"isolate","effect":"write","digest":"d1","action":{"http":{"method":"PATCH","url":[{"text":"https://api/tenants/acme-42"}],"headers":[],"query":[],"body":"none","auth":{"bearer":"admin"},"ca_file":null}}}]"#;
        let later = shown.replace(
            r#"{"text":"https://api/tenants/acme-42"}"#,
            r#"{"text":"https://api/tenants/"},{"later":"steps.before.name"}"#,
        );
        let limit = r#"{"filter":"target is startingwith(\"acme\")","max_targets":2}"#;
        let bound = format!("{{\"later\":[\"before\"],\"digests\":{{}},\"limit\":{limit}}}");
        let (shown, binds) = match self.judged {
            Some(_) => (later.as_str(), bound.as_str()),
            None => (shown, "{\"later\":[],\"digests\":{}}"),
        };
        let fields = [("prompt", "\"Suspend Acme?\\nReally?\""), ("shown", shown), ("binds", binds)];
        self.entry(vec![of_step("go", None, fact, &fields)]);
    }

    pub fn approve(&mut self, kind: Kindness) {
        let actor =
            Actor { how: if kind.personal { How::SshKey } else { How::OsUser }, ..person(kind.approver) };
        let fact = Fact::AskAnswered { ask: 1, part: None, decision: Decision::Approve };
        let fields = [("value", "\"approve\""), ("comment", "\"leak | confirmed\"")];
        let answered = Event { actor: Some(actor.clone()), ..of_step("go", None, fact, &fields) };
        self.entry(vec![
            answered,
            of_step("go", None, Fact::AskClosed { ask: 1, how: AskEnd::Answered }, &[]),
            settled("go", Status::Succeeded, "approved"),
        ]);
        let decided = (Decision::Approve, Some("leak | confirmed"));
        let approval = self.keeper.approval(&self.journal, &self.state, 1, &actor, decided).unwrap();
        if kind.personal {
            let signature = bob().sign(&approval.namespace(true), approval.text().as_bytes()).unwrap();
            self.keeper.leave(&approval, &signature).unwrap();
        }
        let JournalInput::Attested { ask, file, sha256, signer, personal } =
            self.keeper.attest(&approval).unwrap()
        else {
            panic!()
        };
        self.entry(vec![
            of_run(Fact::ApprovalAttested { ask, file, sha256, signer, personal }),
            self.judged.map_or_else(|| started("isolate"), |judged| started_with("acme%2042", judged)),
        ]);
    }

    /// The step fails, alice does it by hand, the run ends.
    pub fn reach_end(&mut self) {
        let asked = Fact::AskOpened {
            ask: 2,
            kind: AskKind::Failure,
            expires: None,
            covers: Vec::new(),
            parts: Vec::new(),
            reason: Some("status".into()),
        };
        self.finish_attempt(
            "isolate",
            AttemptResult::Failed,
            of_step("isolate", None, asked, &[("why", "\"409\"")]),
        );
        let answered = Fact::AskAnswered { ask: 2, part: None, decision: Decision::ByHand };
        let fields = [("comment", "\"done in the console\"")];
        self.entry(vec![
            by("alice", of_step("isolate", None, answered, &fields)),
            of_step("isolate", None, Fact::AskClosed { ask: 2, how: AskEnd::Answered }, &[]),
            by("alice", of_step("isolate", None, Fact::StepOverridden { how: Override::ByHand }, &[])),
            of_run(Fact::RunEnding {
                outcome: Ended::Succeeded,
                reason: "done".into(),
                undo: false,
                stop: false,
            }),
        ]);
        let (status, reason) = (RunStatus::Succeeded, "done".to_owned());
        self.entry(vec![of_run(Fact::RunFinished { status, reason, still_open: Vec::new() })]);
        self.entry(vec![of_run(Fact::RunSealed {})]);
    }

    pub fn sealed(kind: Kindness) -> Self {
        Self::new(kind).sealed_at_its_end(kind)
    }

    fn sealed_at_its_end(mut self, kind: Kindness) -> Self {
        self.reach_gate();
        self.approve(kind);
        self.reach_end();
        self.keeper.seal(&mut self.journal).unwrap();
        self
    }

    pub fn trust(&self) -> Trust {
        Trust::load(&self.home.path().join("trust")).unwrap()
    }

    pub fn verify(&self) -> Verification {
        verify_in(&self.dir, &self.trust())
    }

    pub fn key(&self) -> Arc<ExecutorKey> {
        ExecutorKey::load(self.home.path()).unwrap().into()
    }
}

pub fn verify_in(dir: &Path, trust: &Trust) -> Verification {
    verify(dir, trust, Options::default()).unwrap()
}

pub fn failures(found: &Verification) -> Vec<String> {
    found.failures().map(ToString::to_string).collect()
}

/// A copy of a run's directory that can be changed.
pub fn copy_of(dir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(dir, to.path());
    to
}
