//! Attempts that reach nothing: what the outside would have answered is told by somebody, and judged as every answer is.
//!
//! Owns the way from a [`Reply`] to an outcome: the same masking, judging, polling and taking of outputs as for a real
//! attempt, in the time of a virtual clock. No program, no connection, no secret of the house is involved.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::judge::{Answer, Parts};
use super::newborn::{self, Raw};
use super::{Boxed, Call, CancelToken, End, Observation, RunContext, Runner, TailSink, Trouble};
use super::{attempt, capture, sensitive};
use crate::core::{AttemptRequest, AttemptResult, Json, Outcome};
use crate::plan::ErrorClass;

/// What the outside would have answered to one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Http {
        status: u16,
        headers: BTreeMap<String, String>,
        body: String,
    },
    Program {
        exit: i32,
        stdout: String,
        stderr: String,
    },
    /// Whom a message reached, and whom it did not.
    Notice {
        sent: Vec<String>,
        failed: Vec<String>,
    },
    Trouble(Failing),
}

/// The ways in which a call can fail without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    Connect,
    Spawn,
    Timeout,
    Reset,
    Signal,
    /// Nobody knows what became of it.
    Unknown,
}

impl Failing {
    fn end(self) -> End {
        let trouble = |reason, class| Trouble { reason, class, message: "simulated".to_owned() };
        match self {
            Self::Connect => End::Nothing(trouble("connect", ErrorClass::Connect)),
            Self::Spawn => End::Nothing(trouble("spawn", ErrorClass::Other)),
            Self::Timeout => End::Lost(trouble("timeout", ErrorClass::Timeout)),
            Self::Reset => End::Lost(trouble("reset", ErrorClass::Server)),
            Self::Signal => End::Lost(trouble("signal", ErrorClass::Other)),
            Self::Unknown => End::Lost(trouble("lost", ErrorClass::Other)),
        }
    }
}

/// Says what each call of an attempt is answered, and how many milliseconds that takes.
pub trait Teller: Send + Sync {
    fn tell(&self, request: &AttemptRequest) -> (Reply, u64);
}

/// Makes one attempt, to its end, in the time of the clock in `context`, which has to be a virtual one.
pub async fn simulate(teller: &dyn Teller, request: &AttemptRequest, context: &RunContext) -> Outcome {
    // Nothing was done, so nothing was left.
    let mut request = request.clone();
    request.probe.artifacts.clear();
    attempt::run(&Told(teller), &request, context, &CancelToken::never(), &TailSink::none()).await
}

/// A success with these outputs, whatever the answer would have looked like.
///
/// # Errors
/// A secret output cannot be kept.
pub async fn succeed(
    request: &AttemptRequest,
    context: &RunContext,
    outputs: BTreeMap<String, Value>,
    takes_ms: u64,
) -> Result<Outcome, String> {
    let started = context.clock.now();
    pass(context, takes_ms);
    let mut outcome = Outcome::bare(AttemptResult::Succeeded, "ok", started);
    outcome.finished = context.clock.now();
    let names: Vec<&String> = request.probe.accept.secrets.keys().collect();
    let born: BTreeMap<String, SecretString> =
        names.into_iter().map(|name| (name.clone(), invented(&request.key.step, name))).collect();
    context.secrets.born(born.values());
    if !born.is_empty() {
        let sealed = attempt::seal(request, context, born).await;
        outcome.sealed = sealed.map_err(|breach| breach.message)?;
    }
    let kept = outputs.into_iter().filter(|(name, _)| request.probe.accept.outputs.contains_key(name));
    outcome.outputs = kept.map(|(name, value)| (name, Json::of(&value))).collect();
    Ok(outcome)
}

/// A secret that nobody has: long enough to be masked, and recognisable where it would leak.
pub fn invented(step: &str, name: &str) -> SecretString {
    SecretString::from(format!("rehearsal-secret-{step}-{name}"))
}

/// As [`invented`], for an answer that is to hold it.
pub fn invented_text(step: &str, name: &str) -> String {
    invented(step, name).expose_secret().to_owned()
}

fn pass(context: &RunContext, millis: u64) {
    if let Some(clock) = context.clock.as_virtual() {
        clock.advance(millis);
    }
}

struct Told<'a>(&'a dyn Teller);

impl Runner for Told<'_> {
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation> {
        Box::pin(async move {
            let (reply, takes_ms) = self.0.tell(call.request);
            pass(call.context, takes_ms);
            match reply {
                Reply::Http { status, headers, body } => http(&call, status, headers, &body, takes_ms).await,
                Reply::Program { exit, stdout, stderr } => {
                    program(&call, exit, (&stdout, &stderr), takes_ms).await
                }
                Reply::Notice { sent, failed } => answered(Parts::Notice { sent, failed }, takes_ms),
                Reply::Trouble(failing) => Observation { end: failing.end(), ..Observation::default() },
            }
        })
    }
}

fn answered(parts: Parts, takes_ms: u64) -> Observation {
    let answer = Answer::new(parts, takes_ms);
    Observation { code: Some(answer.code()), end: End::Answered(answer), ..Observation::default() }
}

fn raw(text: &str) -> Raw {
    Raw { bytes: text.as_bytes().to_vec().into(), whole: true }
}

async fn http(
    call: &Call<'_>,
    status: u16,
    headers: BTreeMap<String, String>,
    body: &str,
    takes_ms: u64,
) -> Observation {
    let mut observation = Observation::default();
    let parts = if call.bears_secrets() {
        newborn::of_http(call, (status, headers, true), &raw(body), &mut observation).await.ok()
    } else {
        keep(call, "body", body, &mut observation).await;
        let masker = call.context.secrets.masker();
        Some(Parts::Http { status, headers, body: Some(masker.text(body)), is_json: true })
    };
    if let (Some(Parts::Http { headers, .. }), Ok(_)) = (&parts, &observation.born) {
        observation.excerpts.insert("headers".to_owned(), sensitive::kept(headers));
    }
    taken(parts, observation, takes_ms)
}

async fn program(call: &Call<'_>, exit: i32, (stdout, stderr): (&str, &str), takes_ms: u64) -> Observation {
    let mut observation = Observation::default();
    let parts = if call.bears_secrets() {
        newborn::of_program(call, exit, (&raw(stdout), &raw(stderr)), &mut observation).await.ok()
    } else {
        keep(call, "stdout", stdout, &mut observation).await;
        keep(call, "stderr", stderr, &mut observation).await;
        let masker = call.context.secrets.masker();
        let masked = |text: &str| Some(masker.text(text));
        Some(Parts::Program { exit, stdout: masked(stdout), stderr: masked(stderr) })
    };
    taken(parts, observation, takes_ms)
}

fn taken(parts: Option<Parts>, observation: Observation, takes_ms: u64) -> Observation {
    let Some(parts) = parts else {
        let message = "what was answered cannot be kept".to_owned();
        let trouble = Trouble { reason: "blob", class: ErrorClass::Other, message };
        return Observation { end: End::Lost(trouble), ..observation };
    };
    let Observation { code, end, .. } = answered(parts, takes_ms);
    Observation { code, end, ..observation }
}

/// As much as of every answer: its beginning, and all of it beside the journal where it is long.
async fn keep(call: &Call<'_>, name: &str, text: &str, observation: &mut Observation) {
    match capture::masked(call.context, text.as_bytes()).await {
        Ok(captured) => {
            observation.excerpts.insert(name.to_owned(), captured.excerpt);
            observation.blobs.extend(captured.blob.map(|blob| (name.to_owned(), blob)));
        }
        Err(error) => drop(observation.excerpts.insert(name.to_owned(), error.to_string())),
    }
}
