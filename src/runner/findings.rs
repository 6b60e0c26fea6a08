//! Findings: everything that judging and extracting say about one answer, found away from the event loop.
//!
//! Filters end by themselves, but nothing bounds the work on one large value: they run on a blocking thread, and
//! after [`DEADLINE`] nobody waits for them any more. Such a thread is lost until its filter ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::RunContext;
use super::judge::{self, Answer, Breach};
use super::mask::Masker;
use crate::core::Json;
use crate::plan::Accept;
use crate::runbook::extract::Globals;

/// How long all filters of an answer may take together.
const DEADLINE: Duration = Duration::from_secs(10);

/// What one answer says.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) status: Option<u16>,
    pub(super) expect: Result<(), Breach>,
    /// The condition of the loop: `until`, else `expect`.
    pub(super) condition: Result<(), Breach>,
    /// It explicitly says "not done".
    pub(super) absent: bool,
    pub(super) fail_if: bool,
    /// Taken where the answer is what was wanted.
    pub(super) outputs: Result<BTreeMap<String, Json>, Breach>,
}

pub(super) async fn find(answer: Answer, accept: &Arc<Accept>, context: &RunContext) -> Findings {
    let masker = context.secrets.masker();
    if !judge::needs_text(accept) {
        return look(&answer, accept, &context.globals, &masker);
    }
    let status = answer.status();
    let (accept, globals) = (Arc::clone(accept), context.globals.clone());
    let looking = tokio::task::spawn_blocking(move || look(&answer, &accept, &globals, &masker));
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(Ok(findings)) => findings,
        // What it says about its end might quote the answer.
        Ok(Err(_)) => Findings::none(status, "a filter broke off"),
        Err(_) => Findings::none(status, &format!("the filters took longer than {} s", DEADLINE.as_secs())),
    }
}

impl Findings {
    fn none(status: Option<u16>, why: &str) -> Self {
        let breach = Breach { reason: "extract", message: why.to_owned() };
        Self {
            status,
            expect: Err(breach.clone()),
            condition: Err(breach.clone()),
            absent: false,
            fail_if: false,
            outputs: Err(breach),
        }
    }
}

fn look(answer: &Answer, accept: &Accept, globals: &Globals, masker: &Masker) -> Findings {
    let expect = judge::judge(answer, &accept.expect, globals);
    let poll = accept.poll.as_ref();
    let condition = match poll.and_then(|poll| poll.until.as_ref()) {
        Some(filter) => judge::holds(answer, filter, globals),
        None => expect.clone(),
    };
    let fail_if = poll.and_then(|poll| poll.fail_if.as_ref());
    let outputs = match &condition {
        Ok(()) => judge::outputs(answer, &accept.outputs, globals, masker),
        Err(breach) => Err(breach.clone()),
    };
    Findings {
        status: answer.status(),
        absent: accept.absent.as_ref().is_some_and(|absent| judge::judge(answer, absent, globals).is_ok()),
        fail_if: fail_if.is_some_and(|filter| judge::holds(answer, filter, globals).is_ok()),
        expect,
        condition,
        outputs,
    }
}
