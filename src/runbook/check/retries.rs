//! Retries: that they can happen, and that none does something twice.

use super::Checker;
use crate::runbook::schema::{EffectWord, ErrorWord, Retry, Step};

/// Attempts of one step, at most.
const MAX_ATTEMPTS: u32 = 10_000;

pub(super) fn check(checker: &mut Checker<'_>) {
    for at in 0..checker.steps.len() {
        let step = checker.steps[at];
        if let Some(retry) = &step.retry {
            retries(checker, step, retry);
        }
    }
}

fn retries(checker: &mut Checker<'_>, step: &Step, retry: &Retry) {
    let attempts = &retry.max_attempts;
    if attempts.value == 0 || attempts.value > MAX_ATTEMPTS {
        let message = format!("`max_attempts` counts the first attempt too: from 1 to {MAX_ATTEMPTS}");
        checker.fail("retry-policy", attempts.span, message);
    }
    if let Some(backoff) = retry.backoff.as_ref().filter(|factor| !(1.0..=100.0).contains(&factor.value)) {
        checker.fail("retry-policy", backoff.span, "`backoff` is a factor from 1 to 100");
    }
    if let (Some(delay), Some(max)) = (&retry.delay, &retry.max_delay)
        && max.value < delay.value
    {
        checker.fail("retry-policy", max.span, "`max_delay` is shorter than `delay`");
    }
    // A message has a key of its own.
    let resolvable = step.verify.is_some() || step.idempotency_key.is_some() || step.notify.is_some();
    if step.effect_word() == EffectWord::Read || resolvable {
        return;
    }
    for word in retry.errors.iter().flatten() {
        if matches!(word.value, ErrorWord::Timeout | ErrorWord::Server | ErrorWord::Expect) {
            let message = format!(
                "after `{}` the effect may have happened: repeating could do it twice",
                word.value.name()
            );
            let problem = checker.error("retry-policy", word.span, message);
            checker.push(
                problem.help("add `idempotency_key: auto`, or a `verify` that tells whether it happened"),
            );
        }
    }
}
