use std::fmt::Write as _;
use std::time::{Duration, Instant};

use consigne::runbook::{check, load};

/// A runbook with every kind of reference: gates, outputs, explicit needs.
fn large(steps: usize) -> String {
    let mut text =
        String::from("consigne: v1\nid: large\ndefaults:\n  http: {base: \"http://127.0.0.1:1\"}\nsteps:\n");
    for at in 0..steps {
        let _ = match at % 5 {
            0 => writeln!(
                text,
                "  - id: s{at}\n    http: {{get: \"/x/{at}\"}}\n    outputs: {{v: \".body.v{at}\"}}"
            ),
            1 => writeln!(
                text,
                "  - id: s{at}\n    confirm: {{}}\n    message: \"{{{{ steps.s{}.v }}}}\"",
                at - 1
            ),
            2 => writeln!(text, "  - id: s{at}\n    http: {{delete: \"/x/{{{{ steps.s{}.v }}}}\"}}", at - 2),
            3 => writeln!(
                text,
                "  - id: s{at}\n    needs: [s{}, s{}]\n    http: {{get: \"/y/{{{{ steps.s0.v }}}}\"}}",
                at - 1,
                at - 2
            ),
            _ => writeln!(
                text,
                "  - id: s{at}\n    argv: [\"true\", \"{{{{ steps.s{}.v }}}}\"]\n    effect: read",
                at - 4
            ),
        };
    }
    text
}

fn time(steps: usize) -> Duration {
    let source = load::from_bytes("large.yaml", large(steps).into_bytes()).unwrap();
    let start = Instant::now();
    let (document, problems) = load::runbook(&source);
    assert!(problems.is_empty(), "{problems:?}");
    let found = check::check(&document.unwrap(), None);
    assert!(found.is_empty(), "{found:?}");
    start.elapsed()
}

/// Twice the steps, twice the time, with much room for a busy machine; a quadratic check is far outside.
#[test]
fn checking_is_close_to_linear() {
    let small = time(2_000).max(Duration::from_millis(5));
    let large = time(16_000);
    assert!(large < small * 32, "2,000 steps took {small:?}, 16,000 took {large:?}");
}
