//! One attempt: calls, judges, and calls again where the step polls, until there is an outcome.
//!
//! Owns what an observation means (language, semantics 11 to 16): for a step that is not a read, *failed* where
//! nothing happened and *unknown* where something may have. An output that cannot be taken after a successful
//! write is *unknown* too: the effect took place, and *failed* would invite a retry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::artifacts;
use super::findings::{self, Findings};
use super::judge::Breach;
use super::{Call, CancelLevel, CancelToken, End, Observation, RunContext, Runner, TailSink, Trouble};
use crate::clock::{Clock, Timestamp};
use crate::core::{AttemptRequest, AttemptResult, Outcome};
use crate::plan::{Accept, Effect, ErrorClass, Poll};

pub(super) fn is_read(request: &AttemptRequest) -> bool {
    request.effect == Effect::Read || request.role.is_probe()
}

pub(super) async fn run(
    runner: &dyn Runner,
    request: &AttemptRequest,
    context: &RunContext,
    cancel: &CancelToken,
    tail: &TailSink,
) -> Outcome {
    let started = context.clock.now();
    let timeout = Duration::from_millis(request.probe.timeout_ms.unwrap_or(request.timeout_ms));
    let accept = Arc::new(request.probe.accept.clone());
    let attempt = Attempt { runner, request, accept, context, cancel, tail, timeout };
    let (mut seen, mut verdict) = if cancel.level() > CancelLevel::Go {
        (Seen::default(), Verdict::cancelled())
    } else {
        match &request.probe.accept.poll {
            Some(poll) => attempt.poll(poll).await,
            None => {
                let seen = attempt.observe().await;
                let verdict = attempt.once(&seen);
                (seen, verdict)
            }
        }
    };
    if verdict.result == AttemptResult::Succeeded {
        match artifacts::collect(request, context, cancel).await {
            Ok(files) => seen.observation.blobs.extend(files),
            Err(breach) => verdict = attempt.without_files(&breach),
        }
    }
    attempt.outcome(started, seen, verdict).await
}

struct Attempt<'a> {
    runner: &'a dyn Runner,
    request: &'a AttemptRequest,
    accept: Arc<Accept>,
    context: &'a RunContext,
    cancel: &'a CancelToken,
    tail: &'a TailSink,
    timeout: Duration,
}

/// So often a poll calls at its intervals while nobody waits for the time to pass; then it looks only when something would
/// be decided. In a rehearsal a poll of weeks would otherwise be asked millions of times, and seem to hang.
const VIRTUAL_CALLS: u32 = 10_000;

/// How long an attempt has been polling: by the machine, or by a virtual clock, for which waiting means moving it.
struct Watch<'a> {
    clock: &'a dyn Clock,
    begun: Instant,
}

impl<'a> Watch<'a> {
    fn of(clock: &'a dyn Clock) -> Self {
        Self { clock, begun: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        let moved = self.clock.as_virtual().map(|clock| Duration::from_millis(clock.mono()));
        moved.unwrap_or_else(|| self.begun.elapsed())
    }

    /// Waiting means moving the clock.
    fn is_moved(&self) -> bool {
        self.clock.as_virtual().is_some()
    }

    async fn until(&self, at: Duration) {
        match self.clock.as_virtual() {
            Some(clock) => {
                let left = at.saturating_sub(self.elapsed());
                clock.advance(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            }
            None => tokio::time::sleep_until(self.begun + at).await,
        }
    }
}

/// One observation; its answer, where there was one, has become findings.
#[derive(Default)]
struct Seen {
    observation: Observation,
    findings: Option<Findings>,
}

/// What an observation means.
#[derive(Debug)]
struct Verdict {
    result: AttemptResult,
    reason: &'static str,
    class: Option<ErrorClass>,
    message: Option<String>,
}

impl Verdict {
    const fn plain(result: AttemptResult, reason: &'static str, class: Option<ErrorClass>) -> Self {
        Self { result, reason, class, message: None }
    }

    const fn ok() -> Self {
        Self::plain(AttemptResult::Succeeded, "ok", None)
    }

    const fn cancelled() -> Self {
        Self::plain(AttemptResult::Cancelled, "cancelled", None)
    }

    fn because(self, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..self }
    }
}

impl Attempt<'_> {
    async fn observe(&self) -> Seen {
        let Self { request, context, cancel, tail, timeout, .. } = *self;
        let mut observation = self.runner.observe(Call { request, context, cancel, tail, timeout }).await;
        let findings = match std::mem::take(&mut observation.end) {
            End::Answered(answer) => Some(findings::find(answer, &self.accept, context).await),
            end => {
                observation.end = end;
                None
            }
        };
        Seen { observation, findings }
    }

    /// The verdict on a single call.
    fn once(&self, seen: &Seen) -> Verdict {
        let probe = self.request.role.is_probe();
        if let Some(findings) = &seen.findings {
            return match &findings.expect {
                Ok(()) => Verdict::ok(),
                Err(breach) if probe => no(findings, breach),
                Err(breach) => self.refused(findings.status, breach),
            };
        }
        match &seen.observation.end {
            End::Nothing(trouble) | End::Lost(trouble) if probe => unreachable(trouble),
            End::Nothing(trouble) => {
                Verdict::plain(AttemptResult::Failed, trouble.reason, Some(trouble.class))
                    .because(&trouble.message)
            }
            End::Lost(trouble) => {
                let result = match trouble.class {
                    _ if !is_read(self.request) => AttemptResult::Unknown,
                    _ if trouble.reason == "cancelled" => AttemptResult::Cancelled,
                    ErrorClass::Timeout => AttemptResult::TimedOut,
                    _ => AttemptResult::Failed,
                };
                Verdict::plain(result, trouble.reason, Some(trouble.class)).because(&trouble.message)
            }
            End::Answered(_) | End::Cancelled => Verdict::cancelled(),
        }
    }

    /// An answer that is not what was expected, of something that is not a probe.
    fn refused(&self, status: Option<u16>, breach: &Breach) -> Verdict {
        let (result, class) = match (breach.reason, status) {
            ("status", Some(429)) => (AttemptResult::Failed, ErrorClass::TooMany),
            // The server gave up on the way: whether it acted is anybody's guess.
            ("status", Some(500..)) => (self.at_best_unknown(), ErrorClass::Server),
            ("status", Some(300..)) => (AttemptResult::Failed, ErrorClass::Other),
            // It acted, and how cannot be told.
            ("too_large" | "extract", _) => (self.at_best_unknown(), ErrorClass::Other),
            _ => (AttemptResult::Failed, ErrorClass::Expect),
        };
        Verdict::plain(result, breach.reason, Some(class)).because(&breach.message)
    }

    /// It succeeded, and what it should have left is not there to be kept.
    fn without_files(&self, breach: &Breach) -> Verdict {
        let result =
            if breach.reason == artifacts::UNKEPT { self.at_best_unknown() } else { AttemptResult::Failed };
        Verdict::plain(result, breach.reason, Some(ErrorClass::Other)).because(&breach.message)
    }

    fn at_best_unknown(&self) -> AttemptResult {
        if is_read(self.request) { AttemptResult::Failed } else { AttemptResult::Unknown }
    }

    /// Calls at intervals. The condition is `until`, else `expect`; it ends the loop as soon as it has held for
    /// `steady`. `absent` is judged on the last document only, when the time is over.
    async fn poll(&self, poll: &Poll) -> (Seen, Verdict) {
        let watch = Watch::of(self.context.clock.as_ref());
        let end = watch.elapsed() + Duration::from_millis(poll.within_ms);
        let every = Duration::from_millis(poll.every_ms.max(1));
        let steady = Duration::from_millis(poll.steady_ms.unwrap_or(0));
        let mut held_since = None;
        let mut calls = 0_u32;
        loop {
            let begun = watch.elapsed();
            let seen = self.observe().await;
            if let Some(findings) = &seen.findings
                && findings.fail_if
            {
                let verdict = Verdict::plain(AttemptResult::Failed, "fail_if", Some(ErrorClass::Expect));
                let filter = poll.fail_if.as_deref().unwrap_or_default();
                return (seen, verdict.because(&format!("`{filter}` is true")));
            }
            if seen.findings.as_ref().is_some_and(|findings| findings.condition.is_ok()) {
                let since = *held_since.get_or_insert(begun);
                if watch.elapsed() - since >= steady {
                    return (seen, Verdict::ok());
                }
            } else {
                held_since = None;
            }
            // What cannot be sent now never can. The last call is made when the time is over, and decides.
            let hopeless =
                matches!(&seen.observation.end, End::Nothing(trouble) if trouble.reason == "request");
            if begun >= end || hopeless {
                let verdict = self.over(&seen);
                return (seen, verdict);
            }
            calls = calls.saturating_add(1);
            let next = match held_since {
                _ if !watch.is_moved() || calls < VIRTUAL_CALLS => begun + every,
                Some(since) => (since + steady).max(begun + every),
                None => end,
            };
            tokio::select! {
                () = watch.until(next.min(end)) => {}
                () = self.cancel.reached(CancelLevel::Stop) => return (seen, Verdict::cancelled()),
            }
        }
    }

    /// The time is over and the condition was never true for long enough.
    fn over(&self, seen: &Seen) -> Verdict {
        let Some(findings) = &seen.findings else { return self.once(seen) };
        let short = Breach { reason: "expect", message: "it did not hold long enough".to_owned() };
        let breach = findings.condition.as_ref().err().unwrap_or(&short);
        if self.request.role.is_probe() {
            return no(findings, breach);
        }
        Verdict::plain(AttemptResult::TimedOut, "within", Some(ErrorClass::Timeout)).because(&breach.message)
    }

    async fn outcome(&self, started: Timestamp, seen: Seen, mut verdict: Verdict) -> Outcome {
        let Seen { observation, findings } = seen;
        let mut outputs = BTreeMap::new();
        if verdict.result == AttemptResult::Succeeded
            && let Some(findings) = findings
        {
            match findings.outputs {
                Ok(taken) => outputs = taken,
                Err(breach) => verdict = self.not_taken(&breach),
            }
        }
        let mut sealed = BTreeSet::new();
        if verdict.result == AttemptResult::Succeeded {
            match self.seal(observation.born).await {
                Ok(names) => sealed = names,
                Err(breach) => {
                    // Of a body whose secrets nobody knows nothing may be kept, whatever a filter made of it.
                    outputs.clear();
                    verdict = self.not_taken(&breach);
                }
            }
        }
        let masker = self.context.secrets.masker();
        let mut excerpts = observation.excerpts;
        excerpts.extend(verdict.message.map(|message| ("error".to_owned(), message)));
        // Secrets that became known while this ran are masked as well.
        excerpts.values_mut().for_each(|text| *text = masker.text(text));
        excerpts.retain(|_, text| !text.is_empty());
        Outcome {
            result: verdict.result,
            reason: verdict.reason.to_owned(),
            class: verdict.class,
            code: observation.code,
            retry_after_ms: observation.retry_after_ms,
            outputs,
            sealed,
            excerpts,
            blobs: observation.blobs,
            started,
            finished: self.context.clock.now().max(started),
            worker: "local".to_owned(),
        }
    }

    /// It did what it was to do, and what it gave cannot be used.
    fn not_taken(&self, breach: &Breach) -> Verdict {
        Verdict::plain(self.at_best_unknown(), breach.reason, Some(ErrorClass::Other))
            .because(&breach.message)
    }

    async fn seal(
        &self,
        born: Result<BTreeMap<String, SecretString>, Breach>,
    ) -> Result<BTreeSet<String>, Breach> {
        seal(self.request, self.context, born?).await
    }
}

/// Puts the secrets that were born where later steps find them: on disk before anybody hears that they are there.
pub(super) async fn seal(
    request: &AttemptRequest,
    context: &RunContext,
    born: BTreeMap<String, SecretString>,
) -> Result<BTreeSet<String>, Breach> {
    let names = born.keys().cloned().collect();
    let key = &request.key;
    let step = key.item.map_or_else(|| key.step.clone(), |item| format!("{}[{item}]", key.step));
    match context.secrets.seal(&step, born).await {
        Ok(()) => Ok(names),
        Err(error) => Err(Breach { reason: "seal", message: error.to_string() }),
    }
}

/// A probe whose condition does not hold: does it say "not done"?
fn no(findings: &Findings, breach: &Breach) -> Verdict {
    if ["too_large", "extract"].contains(&breach.reason) {
        let verdict = Verdict::plain(AttemptResult::Unknown, "unreachable", Some(ErrorClass::Other));
        return verdict.because(&breach.message);
    }
    let reason = if findings.absent { crate::core::attempt::ABSENT } else { "not_true" };
    Verdict::plain(AttemptResult::Failed, reason, Some(ErrorClass::Expect)).because(&breach.message)
}

/// A probe that could not ask.
fn unreachable(trouble: &Trouble) -> Verdict {
    if trouble.reason == "cancelled" {
        return Verdict::cancelled();
    }
    Verdict::plain(AttemptResult::Unknown, "unreachable", Some(trouble.class)).because(&trouble.message)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use indexmap::IndexMap;

    use super::super::judge::{Answer, Parts};
    use super::super::{Boxed, Inherited, Secrets, cancellation};
    use super::*;
    use crate::clock::SystemClock;
    use crate::core::{AttemptKey, Role};
    use crate::plan::{Action, Expect, ProbeOf, ProgramCall};
    use crate::runbook::extract::Globals;
    use crate::runbook::template::Rendered;

    /// Gives prepared ends; the last one again and again.
    struct Script(Mutex<VecDeque<End>>, Mutex<usize>);

    fn copy(end: &End) -> End {
        let same = |t: &Trouble| Trouble { reason: t.reason, class: t.class, message: t.message.clone() };
        match end {
            End::Answered(answer) => match answer.parts {
                Parts::Http { status: code, .. } => status(code),
                Parts::Program { exit: code, .. } => exit(code),
                Parts::Notice { .. } => unreachable!("no script sends a message"),
            },
            End::Nothing(trouble) => End::Nothing(same(trouble)),
            End::Lost(trouble) => End::Lost(same(trouble)),
            End::Cancelled => End::Cancelled,
        }
    }

    impl Runner for Script {
        fn observe<'a>(&'a self, _: Call<'a>) -> Boxed<'a, Observation> {
            Box::pin(async move {
                *self.1.lock().unwrap() += 1;
                let mut ends = self.0.lock().unwrap();
                let end = if ends.len() > 1 { ends.pop_front().unwrap() } else { copy(&ends[0]) };
                Observation { end, ..Observation::default() }
            })
        }
    }

    fn status(status: u16) -> End {
        let body = Some(format!("{{\"code\":{status}}}"));
        End::Answered(Answer::new(Parts::Http { status, headers: BTreeMap::new(), body, is_json: true }, 1))
    }

    fn exit(exit: i32) -> End {
        End::Answered(Answer::new(
            Parts::Program { exit, stdout: Some("x".into()), stderr: Some(String::new()) },
            1,
        ))
    }

    fn lost(reason: &'static str, class: ErrorClass) -> End {
        End::Lost(Trouble { reason, class, message: "it broke".into() })
    }

    fn nothing() -> End {
        End::Nothing(Trouble { reason: "connect", class: ErrorClass::Connect, message: "no".into() })
    }

    fn request(role: Role, effect: Effect, accept: Accept) -> AttemptRequest {
        let action = Action::Argv(ProgramCall { argv: Vec::<Rendered>::new(), env: Vec::new(), cwd: None });
        AttemptRequest {
            key: AttemptKey { step: "s".into(), item: None, attempt: 1 },
            role,
            part: None,
            effect,
            probe: ProbeOf { action, accept, timeout_ms: None, artifacts: Vec::new() },
            timeout_ms: 1_000,
            idempotency_key: None,
        }
    }

    async fn outcome(ends: Vec<End>, request: AttemptRequest, cancel: CancelToken) -> (Outcome, usize) {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(BTreeMap::new(), dir.path(), Inherited::default(), None);
        let clock = Arc::new(SystemClock::new());
        let context = RunContext::open("r1", dir.path(), secrets, Globals::default(), clock).unwrap();
        let runner = Script(Mutex::new(ends.into()), Mutex::new(0));
        let outcome = run(&runner, &request, &context, &cancel, &TailSink::none()).await;
        let calls = *runner.1.lock().unwrap();
        (outcome, calls)
    }

    async fn told(end: End, role: Role, effect: Effect) -> (AttemptResult, String, Option<ErrorClass>) {
        let (outcome, _) =
            outcome(vec![end], request(role, effect, Accept::default()), CancelToken::never()).await;
        (outcome.result, outcome.reason, outcome.class)
    }

    #[tokio::test]
    async fn what_an_end_means_depends_on_the_effect() {
        use AttemptResult::{Failed, Succeeded, TimedOut, Unknown};
        use ErrorClass::{Connect, Expect, Other, Server, Timeout, TooMany};
        type Make = fn() -> End;
        let table: [(Make, AttemptResult, AttemptResult, &str, Option<ErrorClass>); 11] = [
            (|| status(200), Succeeded, Succeeded, "ok", None),
            (|| exit(1), Failed, Failed, "exit", Some(Expect)),
            (nothing, Failed, Failed, "connect", Some(Connect)),
            (|| lost("timeout", Timeout), TimedOut, Unknown, "timeout", Some(Timeout)),
            (|| lost("reset", Server), Failed, Unknown, "reset", Some(Server)),
            (|| lost("signal", Other), Failed, Unknown, "signal", Some(Other)),
            (|| lost("cancelled", Other), AttemptResult::Cancelled, Unknown, "cancelled", Some(Other)),
            (|| status(429), Failed, Failed, "status", Some(TooMany)),
            (|| status(503), Failed, Unknown, "status", Some(Server)),
            (|| status(404), Failed, Failed, "status", Some(Other)),
            (|| status(302), Failed, Failed, "status", Some(Other)),
        ];
        for (end, read, write, reason, class) in table {
            let got = told(end(), Role::Do, Effect::Read).await;
            assert_eq!(got, (read, reason.to_owned(), class), "read: {:?}", end());
            for effect in [Effect::Write, Effect::Destructive, Effect::Notify] {
                let got = told(end(), Role::Do, effect).await;
                assert_eq!(got, (write, reason.to_owned(), class), "{effect:?}: {:?}", end());
            }
        }
    }

    #[tokio::test]
    async fn a_probe_says_true_absent_not_true_or_unreachable() {
        for (code, expected) in [(403, "ok"), (200, "absent"), (500, "not_true")] {
            let accept = Accept {
                expect: Expect { status: vec![403], ..Expect::default() },
                absent: Some(Expect { status: vec![200], ..Expect::default() }),
                ..Accept::default()
            };
            let request = request(Role::Verify, Effect::Read, accept);
            let (outcome, _) = outcome(vec![status(code)], request, CancelToken::never()).await;
            assert_eq!(outcome.reason, expected);
        }
        for end in [nothing(), lost("timeout", ErrorClass::Timeout)] {
            let got = told(end, Role::First, Effect::Read).await;
            assert_eq!((got.0, got.1.as_str()), (AttemptResult::Unknown, "unreachable"));
        }
    }

    #[tokio::test]
    async fn an_output_that_cannot_be_taken_is_unknown_for_a_write() {
        for (effect, result) in
            [(Effect::Read, AttemptResult::Failed), (Effect::Write, AttemptResult::Unknown)]
        {
            let outputs = IndexMap::from([("x".to_owned(), ".body.code[0]".to_owned())]);
            let request = request(Role::Do, effect, Accept { outputs, ..Accept::default() });
            let (outcome, _) = outcome(vec![status(200)], request, CancelToken::never()).await;
            assert_eq!((outcome.result, outcome.reason.as_str()), (result, "extract"));
            assert!(outcome.excerpts["error"].contains("output `x`"));
        }
    }

    fn polling(absent: Option<u16>, poll: Poll) -> AttemptRequest {
        let accept = Accept {
            absent: absent.map(|code| Expect { status: vec![code], ..Expect::default() }),
            poll: Some(poll),
            ..Accept::default()
        };
        request(Role::Verify, Effect::Read, accept)
    }

    const POLL: Poll =
        Poll { every_ms: 2_000, within_ms: 10_000, until: None, fail_if: None, steady_ms: None };

    #[tokio::test(start_paused = true)]
    async fn a_probe_polls_until_it_is_true_and_judges_absence_last() {
        let ends = vec![nothing(), status(404), status(200)];
        let (outcome_, calls) = outcome(ends, polling(Some(404), POLL), CancelToken::never()).await;
        assert_eq!((outcome_.reason.as_str(), calls), ("ok", 3));

        let begun = Instant::now();
        let (outcome_, calls) =
            outcome(vec![status(404)], polling(Some(404), POLL), CancelToken::never()).await;
        assert_eq!((outcome_.reason.as_str(), calls, begun.elapsed().as_secs()), ("absent", 6, 10));

        let ends = vec![status(404), status(500)];
        let (outcome_, _) = outcome(ends, polling(Some(404), POLL), CancelToken::never()).await;
        assert_eq!(outcome_.reason, "not_true", "the last document counts");

        let ends = vec![status(404), nothing()];
        let (outcome_, _) = outcome(ends, polling(Some(404), POLL), CancelToken::never()).await;
        assert_eq!((outcome_.result, outcome_.reason.as_str()), (AttemptResult::Unknown, "unreachable"));
    }

    #[tokio::test(start_paused = true)]
    async fn rule_16_a_read_polls_with_until_fail_if_and_steady() {
        let read = |poll: Poll| {
            let accept = Accept { poll: Some(poll), ..Accept::default() };
            request(Role::Do, Effect::Read, accept)
        };
        let until = Poll { until: Some(".body.code == 503".into()), ..POLL };
        let ends = || vec![status(200), status(503)];
        let (outcome_, calls) = outcome(ends(), read(until.clone()), CancelToken::never()).await;
        assert_eq!((outcome_.reason.as_str(), calls), ("ok", 2), "until replaces the rule of success");

        let fail_if = Poll { fail_if: Some(".status == 503".into()), ..POLL };
        let fail_if = Poll { until: Some(".status == 204".into()), ..fail_if };
        let (outcome_, calls) = outcome(ends(), read(fail_if), CancelToken::never()).await;
        assert_eq!((outcome_.result, outcome_.reason.as_str(), calls), (AttemptResult::Failed, "fail_if", 2));

        let never = Poll { until: Some(".status == 204".into()), ..POLL };
        let (outcome_, _) = outcome(ends(), read(never), CancelToken::never()).await;
        assert_eq!((outcome_.result, outcome_.reason.as_str()), (AttemptResult::TimedOut, "within"));

        let steady = Poll { steady_ms: Some(5_000), ..until };
        let broken = vec![status(503), status(200), status(503)];
        let begun = Instant::now();
        let (outcome_, calls) = outcome(broken, read(steady), CancelToken::never()).await;
        assert_eq!((outcome_.reason.as_str(), calls, begun.elapsed().as_secs()), ("ok", 6, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_cannot_be_sent_is_not_repeated() {
        let refused = End::Nothing(Trouble {
            reason: "request",
            class: ErrorClass::Other,
            message: "it holds a zero byte".into(),
        });
        let (outcome_, calls) = outcome(vec![refused], polling(None, POLL), CancelToken::never()).await;
        assert_eq!((outcome_.result, calls), (AttemptResult::Unknown, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_ends_when_told() {
        let (handle, token) = cancellation();
        let poll = Poll { within_ms: 3_600_000, ..POLL };
        let polled = outcome(vec![nothing()], polling(None, poll), token.clone());
        let (polled, ()) = tokio::join!(polled, async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            handle.stop();
        });
        assert_eq!((polled.0.result, polled.1), (AttemptResult::Cancelled, 4));
        let (late, calls) = outcome(vec![status(200)], polling(None, POLL), token).await;
        assert_eq!((late.result, calls), (AttemptResult::Cancelled, 0), "nothing is called any more");
    }
}
