//! A run's folder, its context, and requests as the core would make them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use consigne::clock::SystemClock;
use consigne::core::{AttemptKey, AttemptRequest, Outcome, Role};
use consigne::plan::{
    Accept, Action, Auth, Body, Effect, HttpCall, ProbeOf, ProgramCall, SecretSource, ShellCall,
};
use consigne::runbook::extract::Globals;
use consigne::runbook::template::{Rendered, Segment};
use consigne::runner::{CancelToken, Inherited, RunContext, Runners, Secrets, TailSink, become_subreaper};
use indexmap::IndexMap;

pub const CANARY: &str = "c4nary/s3cret+é=\"x\"~end";

pub struct World {
    pub dir: tempfile::TempDir,
    pub context: RunContext,
    pub runners: Runners,
}

impl World {
    /// Each world is a run of its own, so that tests do not sweep each other's processes.
    pub fn new(run: &str) -> Self {
        become_subreaper().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), CANARY).unwrap();
        let sources = BTreeMap::from([("token".to_owned(), SecretSource::File("token".into()))]);
        let secrets = Secrets::new(sources, dir.path(), Inherited::snapshot(&[]), None);
        let clock = Arc::new(SystemClock::new());
        let mut context = RunContext::open(run, dir.path(), secrets, Globals::default(), clock).unwrap();
        context.grace = Duration::from_millis(300);
        Self { dir, context, runners: Runners::new() }
    }

    pub async fn run(&self, request: AttemptRequest) -> Outcome {
        self.runners.run(request, &self.context, CancelToken::never(), TailSink::none()).await
    }

    pub async fn shell(&self, effect: Effect, script: &str) -> Outcome {
        self.run(request(shell(script), effect, 20_000)).await
    }

    /// Every byte that the run kept.
    pub fn kept(&self) -> Vec<u8> {
        let mut out = std::fs::read(self.dir.path().join("procs.jsonl")).unwrap();
        if let Ok(blobs) = std::fs::read_dir(self.dir.path().join("blobs")) {
            blobs.for_each(|blob| out.extend(std::fs::read(blob.unwrap().path()).unwrap()));
        }
        out
    }
}

pub fn request(action: Action<Rendered>, effect: Effect, timeout_ms: u64) -> AttemptRequest {
    AttemptRequest {
        key: AttemptKey { step: "suspend".into(), item: None, attempt: 1 },
        role: Role::Do,
        part: None,
        effect,
        probe: ProbeOf { action, accept: Accept::default(), timeout_ms: None, artifacts: Vec::new() },
        timeout_ms,
        idempotency_key: None,
    }
}

pub fn with_outputs(mut request: AttemptRequest, outputs: &[(&str, &str)]) -> AttemptRequest {
    let outputs: IndexMap<String, String> =
        outputs.iter().map(|(name, filter)| ((*name).to_owned(), (*filter).to_owned())).collect();
    request.probe.accept.outputs = outputs;
    request
}

pub fn text(text: &str) -> Rendered {
    Rendered::literal(text)
}

pub fn secret() -> Rendered {
    serde_json::from_value(serde_json::to_value([Segment::Secret("token".into())]).unwrap()).unwrap()
}

pub fn shell(script: &str) -> Action<Rendered> {
    let env = vec![("TOKEN".to_owned(), secret()), ("PLAIN".to_owned(), text("a b"))];
    Action::Shell(ShellCall { script: script.to_owned(), env, cwd: None })
}

pub fn argv(argv: &[&str]) -> Action<Rendered> {
    let argv = argv.iter().map(|argument| text(argument)).collect();
    Action::Argv(ProgramCall { argv, env: Vec::new(), cwd: None })
}

pub fn http(method: &str, url: &str) -> HttpCall<Rendered> {
    HttpCall {
        method: method.to_owned(),
        url: text(url),
        headers: Vec::new(),
        query: Vec::new(),
        body: Body::None,
        auth: Auth::None,
        ca_file: None,
    }
}

/// Living processes whose environment holds `mark`.
pub fn alive(mark: &str) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        if contains(&environment, mark.as_bytes()) && !stat.contains(") Z ") {
            out.push(stat);
        }
    }
    out
}

/// Whether the process with the number in this file is alive.
pub fn alive_in(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).unwrap();
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Waits for a condition, within a bound.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not come true: {what}");
}
