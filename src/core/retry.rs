//! How long to wait before an attempt is repeated. Total for any policy and any number of attempts.

use sha2::{Digest, Sha256};

use crate::plan::RetryPolicy;

/// Attempts of one step, over all roles, before it is given up.
pub const MAX_ATTEMPTS: u32 = 10_000;

/// Interruptions in a row before a read is no longer repeated by itself.
pub const MAX_INTERRUPTIONS: u32 = 10;

/// Milliseconds before the attempt after `tries` finished ones: exponential, capped, up to a fifth shorter by a
/// jitter that depends on `seed` alone, never shorter than what the server asked for.
pub fn delay(policy: &RetryPolicy, tries: u32, retry_after_ms: Option<u64>, seed: &str) -> u64 {
    let delay = policy.longest_delay(tries);
    let draw = u64::from(Sha256::digest(format!("{seed}/{tries}"))[0]);
    let jittered = delay - delay / 5 * draw / 255;
    jittered.max(retry_after_ms.unwrap_or(0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_capped_for_every_number_of_tries() {
        let policy =
            RetryPolicy { delay_ms: 100, backoff: 2_000, max_delay_ms: 30_000, ..RetryPolicy::default() };
        for tries in 0..=MAX_ATTEMPTS {
            let delay = delay(&policy, tries, None, "r/s");
            assert!((1..=30_000).contains(&delay), "{tries}: {delay}");
        }
        let wild = RetryPolicy { delay_ms: u64::MAX, backoff: u32::MAX, max_delay_ms: u64::MAX, ..policy };
        assert!(delay(&wild, 9_999, None, "r/s") > 0);
    }

    #[test]
    fn the_server_is_waited_for() {
        assert_eq!(delay(&RetryPolicy::default(), 1, Some(90_000), "r/s"), 90_000);
    }

    #[test]
    fn jitter_depends_on_the_seed_only() {
        let policy = RetryPolicy { delay_ms: 10_000, ..RetryPolicy::default() };
        assert_eq!(delay(&policy, 1, None, "a"), delay(&policy, 1, None, "a"));
        let some: std::collections::BTreeSet<u64> =
            (0..20).map(|n| delay(&policy, 1, None, &n.to_string())).collect();
        assert!(some.len() > 5 && some.iter().all(|d| (8_000..=10_000).contains(d)), "{some:?}");
    }
}
