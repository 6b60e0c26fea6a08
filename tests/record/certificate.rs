//! A run whose environment asks for a certificate of its rehearsal: what `verify` and the script say of it.

use std::process::Command;

use consigne::record::certificate::FILE;
use consigne::record::verify::{Authorisation, Integrity, Overall};

use crate::stock::{said, script, tools};
use crate::world::{Certified, DAY_MS, Kindness, Run, USUAL, copy_of};

const HONEST: Kindness = Kindness { certificate: Certified::By(|_, _| {}), ..USUAL };

fn failures(run: &Run) -> Vec<String> {
    let found = run.verify();
    assert_eq!(found.integrity, Integrity::Intact, "{found:?}");
    assert_eq!(found.authorisation, Authorisation::Failed, "{found:?}");
    found.failures().map(ToString::to_string).collect()
}

#[test]
fn a_run_that_relied_on_a_good_one_verifies() {
    let run = Run::sealed(HONEST);
    let found = run.verify();
    assert_eq!(found.overall(), Overall::Verified, "{found:?}");
    let relied = "the run relied upon rehearsal rehearsal, certified by executor@prod-1 until";
    assert!(found.findings.iter().any(|f| !f.failure && f.what.starts_with(relied)), "{found:?}");
    std::fs::remove_file(run.dir.join("plan").join(FILE)).unwrap();
    let found = run.verify();
    assert_eq!(found.overall(), Overall::Verified, "it may be withheld: {found:?}");
    assert!(found.findings.iter().any(|f| f.file.ends_with(FILE) && f.what == "withheld"), "{found:?}");
}

#[test]
fn a_run_that_began_without_one_that_counts_is_found_out() {
    let none = failures(&Run::sealed(Kindness { certificate: Certified::Not, ..USUAL }));
    assert!(none[0].contains("asks for a rehearsal certificate, and the run began without one"), "{none:?}");
    let with = |certificate| failures(&Run::sealed(Kindness { certificate, ..USUAL })).join("\n");
    let expired = with(Certified::By(|made, _| made.expires_on = made.issued_on.plus(1)));
    assert!(expired.contains("it does not count: it expired"), "{expired}");
    let later = with(Certified::By(|made, _| made.issued_on = made.issued_on.plus(2 * DAY_MS)));
    assert!(later.contains("still to come"), "{later}");
    let old = with(Certified::By(|made, _| {
        made.rehearsal.on =
            consigne::clock::Timestamp::from_millis(made.rehearsal.on.millis() - 2_592_000_000);
    }));
    assert!(old.contains("longer ago than 30 days"), "{old}");
    let little = with(Certified::By(|made, _| made.coverage.percent = 39));
    assert!(little.contains("39 % of the edges were walked, expected 40 %"), "{little}");
    let other = with(Certified::By(|made, files| {
        files.insert("uses-tell.yaml".to_owned(), "00".repeat(32));
        made.digest = consigne::record::certificate::digest_of(files);
    }));
    assert!(other.contains("another version of the runbook"), "{other}");
    let runbook = with(Certified::By(|made, _| made.runbook = "other".to_owned()));
    assert!(runbook.contains("for runbook `other`"), "{runbook}");
    let org = with(Certified::By(|made, _| made.issuer.org = "other.example".to_owned()));
    assert!(org.contains("not trusted"), "{org}");
}

#[test]
fn one_that_was_exchanged_afterwards_breaks_the_record() {
    let run = Run::sealed(HONEST);
    let path = run.dir.join("plan").join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let found = run.verify();
    assert_eq!(found.integrity, Integrity::Broken, "{found:?}");
}

#[test]
fn the_scripts_say_the_same() {
    if !tools() {
        return;
    }
    let run = Run::sealed(HONEST);
    let trust = run.home.path().join("trust");
    let output = script(&run.dir, &trust, None);
    assert!(output.status.success() && said(&output).contains("VERIFIED: run"), "{}", said(&output));
    for (certificate, reason) in [
        (Certified::Not, "began without"),
        (Certified::By(|made, _| made.expires_on = made.issued_on.plus(1)), "it expired"),
        (Certified::By(|made, _| made.runbook = "other".to_owned()), "for `other`"),
        (Certified::By(|made, _| made.coverage.percent = 39), "expected 40"),
    ] {
        let refused = Run::sealed(Kindness { certificate, ..USUAL });
        let output = script(&refused.dir, &refused.home.path().join("trust"), None);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(reason), "{reason}: {}", said(&output));
    }
    // By itself, for the files that lie beside it; and for others.
    let alone = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify-certificate.sh");
    let plan = copy_of(&run.dir.join("plan"));
    let verify = |at: &str| {
        let mut command = Command::new("bash");
        command.arg(&alone).arg(plan.path().join(FILE)).arg(&trust).arg(plan.path()).arg(at);
        command.output().unwrap()
    };
    let day = "2025-11-24T16:00:00Z";
    let output = verify(day);
    assert!(output.status.success() && said(&output).contains("VERIFIED: rehearsal"), "{}", said(&output));
    assert!(said(&verify("2026-01-01T00:00:00Z")).contains("it expired"));
    std::fs::write(plan.path().join("runbook.yaml"), "consigne: v2\n").unwrap();
    assert!(said(&verify(day)).contains("another version"));
    std::fs::write(plan.path().join("runbook.yaml"), "consigne: v1\nid: tenant-suspend\n").unwrap();
    let text = std::fs::read_to_string(trust.join("allowed_signers")).unwrap();
    std::fs::write(trust.join("allowed_signers"), text.replace("attest.*", "attest.live.*")).unwrap();
    assert!(said(&verify(day)).contains("may not sign"));
    let bytes = std::fs::read_to_string(plan.path().join(FILE)).unwrap();
    std::fs::write(plan.path().join(FILE), bytes.replacen("\"payload\":\"e", "\"payload\":\"f", 1)).unwrap();
    assert!(said(&verify(day)).contains("its signature does not match"));
}
