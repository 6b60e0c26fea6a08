//! Who may sign what is said in the SSHSIG namespace, so that `ssh-keygen` alone enforces it. Owns the names.
//!
//! `mode` is `live`, `drill` or `rehearsal`; runbook and step ids hold no dot, since `*` matches dots too.

/// The seal over `SHA256SUMS`, and the record's envelope.
pub fn seal(mode: &str, org: &str) -> String {
    format!("seal.{mode}@{org}")
}

/// A start authorisation.
pub fn start(mode: &str, runbook: &str, org: &str) -> String {
    format!("start.{mode}.{runbook}@{org}")
}

/// A person's own signature under an approval.
pub fn approve(mode: &str, runbook: &str, step: &str, org: &str) -> String {
    format!("approve.{mode}.{runbook}.{step}@{org}")
}

/// The executor vouching for an approval that nobody signed.
pub fn attest(mode: &str, runbook: &str, step: &str, org: &str) -> String {
    format!("attest.{mode}.{runbook}.{step}@{org}")
}

/// The certificate of a rehearsal: a person signs it, or the executor vouches for it. In the place of the mode stands a
/// word that is none, so that whoever may sign decisions about a runbook may certify it, and neither passes for the other.
pub fn certificate(personal: bool, runbook: &str, org: &str) -> String {
    let sign = if personal { approve } else { attest };
    sign("certificate", runbook, "rehearsal", org)
}

/// Tree heads carry no mode: line 0 says it, and they are over line 0. Only a name in `allowed_signers`.
pub fn tree_head(org: &str) -> String {
    format!("tree-head@{org}")
}

/// What the executor's key is enrolled for. Not `approve`: a machine cannot lend anybody its hand.
pub fn of_executor(org: &str) -> String {
    format!("seal.*@{org},start.*@{org},attest.*@{org},tree-head@{org}")
}

/// What the key of rehearsals, which everybody has, is good for: nothing that is said of a live run or a drill.
pub fn of_rehearsals(org: &str) -> String {
    format!("seal.rehearsal@{org},start.rehearsal.*@{org},attest.rehearsal.*@{org},tree-head@{org}")
}

/// What a person's key is enrolled for: approvals, of every runbook or of one. The modes are left open, and nothing else:
/// no id holds a dot.
pub fn of_person(runbook: Option<&str>, org: &str) -> String {
    match runbook {
        Some(runbook) => format!("approve.*.{runbook}.*@{org}"),
        None => format!("approve.*@{org}"),
    }
}

/// OpenSSH's `match_pattern`: `*` is any run of characters, `?` any one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            // Back to the last star, which takes one character more.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// OpenSSH's `match_pattern_list`: separated by commas, `!` excludes and wins.
pub fn matches_list(patterns: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, text, yes) in [
            ("seal.*@example", "seal.live@example", true),
            ("seal.*@example", "seal.live@example.org", false),
            ("seal.live@*", "seal.drill@example", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("*ab*c", "xababyc", true),
            ("a*b*", "acd", false),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern, text), yes, "{pattern:?} {text:?}");
        }
        assert!(matches_list("a,b*", "bc"));
        assert!(!matches_list("b*,!bc", "bc"));
        assert!(!matches_list("!x", "bc"), "only exclusions match nothing");
    }

    #[test]
    fn a_person_signs_decisions_and_nothing_else() {
        let leak = of_person(Some("leak"), "x.example");
        for mode in ["live", "drill", "rehearsal"] {
            assert!(matches(&leak, &approve(mode, "leak", "go", "x.example")));
            assert!(!matches(&leak, &approve(mode, "other", "leak", "x.example")), "{mode}");
            assert!(!matches(&leak, &approve(mode, "leak-2", "go", "x.example")));
            assert!(!matches(&leak, &approve(mode, "leak", "go", "y.example")));
            for not in [attest(mode, "leak", "go", "x.example"), seal(mode, "x.example")] {
                assert!(!matches(&of_person(None, "x.example"), &not), "{not}");
            }
        }
        assert!(matches(&of_person(None, "x"), &approve("live", "leak", "go", "x")));
    }

    #[test]
    fn a_rehearsal_certifies_nothing() {
        let by_executor = certificate(false, "leak", "x.example");
        let by_person = certificate(true, "leak", "x.example");
        assert!(matches_list(&of_executor("x.example"), &by_executor));
        assert!(matches_list(&of_person(Some("leak"), "x.example"), &by_person));
        for (patterns, name) in [
            (of_executor("x.example"), &by_person),
            (of_executor("y.example"), &by_executor),
            (of_person(None, "x.example"), &by_executor),
            (of_person(Some("other"), "x.example"), &by_person),
            (of_rehearsals("x.example"), &by_executor),
            (of_rehearsals("x.example"), &by_person),
        ] {
            assert!(!matches_list(&patterns, name), "{patterns} {name}");
        }
    }

    fn naive(p: &[u8], t: &[u8]) -> bool {
        match (p, t) {
            ([], _) => t.is_empty(),
            ([b'*', rest @ ..], _) => (0..=t.len()).any(|i| naive(rest, &t[i..])),
            ([b'?', p @ ..], [_, t @ ..]) => naive(p, t),
            ([a, p @ ..], [b, t @ ..]) => a == b && naive(p, t),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
