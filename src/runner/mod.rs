//! Runners do things: they turn the request of an attempt into an outcome.
//!
//! Owns everything that touches the outside world: programs, HTTP, secrets, the capture of what comes back. A runner
//! never decides what happens next (no retries, no asking), never writes to the journal, and lets nothing out that
//! has not been masked. A new kind of action is one implementation of [`Runner`] and one line in [`Runners::new`].
//!
//! An attempt goes: fill in the secrets ([`fill`]) · call the outside ([`Runner::observe`]) · judge the answer and
//! take the outputs ([`judge`]) · again, where the step polls ([`attempt`]).

mod artifacts;
mod attempt;
mod blobs;
mod cancel;
mod capture;
mod context;
mod fill;
mod findings;
mod forms;
mod http;
mod judge;
mod leftovers;
mod mask;
mod newborn;
mod notify;
mod process;
mod program;
mod remote;
mod sealed;
mod secrets;
mod sensitive;
mod service;
mod simulated;
mod sweep;
mod tail;
mod work;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use blobs::{BlobError, Blobs};
pub use cancel::{CancelHandle, CancelLevel, CancelToken, cancellation};
pub use capture::{INLINE_LIMIT, MEMORY_LIMIT};
pub use context::{ContextError, Inherited, RunContext};
pub use judge::{Answer, Breach, OUTPUT_LIMIT, judge, outputs};
pub use leftovers::{Leftover, LeftoverError, ProcKind, sweep_leftovers};
pub use mask::{MASK, Masker};
pub use newborn::NOT_KEPT;
pub use notify::SENT_BEFORE;
pub use remote::answers;
pub use sealed::{SealError, Sealed};
pub use secrets::{PromptSecret, SHORTEST_SECRET, SecretError, Secrets};
pub use sensitive::{is_sensitive, struck_within};
pub use service::{LivingService, living_services};
pub use simulated::{Failing, Reply, Teller, invented_text, simulate, succeed};
pub use sweep::{OwnedProcess, become_subreaper};
pub use tail::{TailLine, TailSink};
pub use work::{WorkError, WorkFolder};

use crate::core::{AttemptRequest, Outcome};
use crate::plan::{Action, ErrorClass};

/// A future that an object-safe trait can give.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One kind of action.
pub trait Runner: Send + Sync {
    /// Calls the outside world once. Everything it gives back is masked.
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation>;
}

/// One call of a runner.
pub struct Call<'a> {
    pub request: &'a AttemptRequest,
    pub context: &'a RunContext,
    pub cancel: &'a CancelToken,
    pub tail: &'a TailSink,
    pub timeout: Duration,
}

impl Call<'_> {
    /// Whether it may be repeated without harm.
    pub fn is_read(&self) -> bool {
        attempt::is_read(self.request)
    }
}

/// What one call brought back.
#[derive(Debug)]
pub struct Observation {
    pub end: End,
    /// Exit code or HTTP status, also where the call did not end well.
    pub code: Option<i64>,
    pub retry_after_ms: Option<u64>,
    pub excerpts: std::collections::BTreeMap<String, String>,
    pub blobs: std::collections::BTreeMap<String, crate::core::BlobRef>,
    /// The secrets that it brought, or why they could not be taken.
    pub(crate) born: Result<std::collections::BTreeMap<String, secrecy::SecretString>, Breach>,
}

impl Default for Observation {
    fn default() -> Self {
        Self {
            end: End::default(),
            code: None,
            retry_after_ms: None,
            excerpts: std::collections::BTreeMap::new(),
            blobs: std::collections::BTreeMap::new(),
            born: Ok(std::collections::BTreeMap::new()),
        }
    }
}

/// How a call ended.
#[derive(Debug, Default)]
pub enum End {
    /// There is an answer to be judged.
    Answered(Answer),
    /// Nothing happened.
    Nothing(Trouble),
    /// Something may have happened.
    Lost(Trouble),
    /// Told to stop before anything happened.
    #[default]
    Cancelled,
}

/// Why there is no answer. The reason is a public code; the message is shown to operators, masked.
#[derive(Debug)]
pub struct Trouble {
    pub reason: &'static str,
    pub class: ErrorClass,
    pub message: String,
}

/// All runners, by kind of action.
pub struct Runners {
    http: Box<dyn Runner>,
    shell: Box<dyn Runner>,
    argv: Box<dyn Runner>,
    remote: Box<dyn Runner>,
    notify: Box<dyn Runner>,
}

impl Default for Runners {
    fn default() -> Self {
        Self::new()
    }
}

impl Runners {
    pub fn new() -> Self {
        Self {
            http: Box::new(http::Http::new()),
            shell: Box::new(program::Program),
            argv: Box::new(program::Program),
            remote: Box::new(remote::Remote),
            notify: Box::new(notify::Notify::new()),
        }
    }

    /// Makes one attempt, to its end. Dropping the future kills what it started, without grace.
    pub async fn run(
        &self,
        request: AttemptRequest,
        context: &RunContext,
        cancel: CancelToken,
        tail: TailSink,
    ) -> Outcome {
        let runner = match &request.probe.action {
            Action::Http(_) => &self.http,
            Action::Shell(_) => &self.shell,
            Action::Argv(_) => &self.argv,
            Action::Remote(_) => &self.remote,
            Action::Notify(_) => &self.notify,
        };
        attempt::run(runner.as_ref(), &request, context, &cancel, &tail).await
    }
}
