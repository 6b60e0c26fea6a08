use super::*;
use crate::core::How;
use crate::record::keys::ExecutorKey;
use crate::record::place::tests::every_changed_byte_is_refused;
use crate::record::sshsig::FileKey;
use std::path::Path;

const DAY: u64 = 86_400_000;

fn at(days: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus(days * DAY)
}

fn home() -> (tempfile::TempDir, ExecutorKey) {
    let home = tempfile::tempdir().unwrap();
    let key = ExecutorKey::init(home.path(), "consigne.example", "prod-1").unwrap();
    (home, key)
}

fn trust(home: &Path) -> Trust {
    Trust::load(&home.join("trust")).unwrap()
}

fn files(text: &str) -> BTreeMap<String, String> {
    let mut plan = BTreeMap::from([("graph.json".to_owned(), Hash::of(b"graph").to_string())]);
    plan.insert(RUNBOOK.to_owned(), Hash::of(text.as_bytes()).to_string());
    plan.insert("uses-tell.yaml".to_owned(), Hash::of(b"tell").to_string());
    files_of(&plan)
}

/// Issued on day 10 for 30 days, of a rehearsal of day 9.
fn certificate(files: &BTreeMap<String, String>) -> Certificate {
    Certificate {
        runbook: "wipe".into(),
        digest: digest_of(files),
        issuer: Issuer {
            org: "consigne.example".into(),
            principal: "executor@prod-1".into(),
            personal: false,
            user: "alice".into(),
        },
        issued_on: at(10),
        expires_on: at(40),
        rehearsal: Rehearsal {
            run: "rehearsal-wipe-1".into(),
            lines: 12,
            root: "cm9vdA==".into(),
            environment: None,
            on: at(9),
        },
        proof: Proof {
            ending: "succeeded".into(),
            answers: BTreeMap::from([("placeholder".into(), 2)]),
            made_up: vec!["wipe".into()],
            faults: Vec::new(),
            not_done: BTreeMap::new(),
        },
        answered: vec![Answered {
            who: "bob".into(),
            how: How::Played,
            played_by: Some("alice".into()),
            answers: 1,
        }],
        coverage: Walked {
            edges: 10,
            walked: 4,
            percent: 40,
            by_rehearsal: 4,
            never: vec!["wipe: failed".into()],
            runs: Vec::new(),
        },
    }
}

fn wanted(files: &BTreeMap<String, String>, days: u64) -> Wanted<'_> {
    Wanted {
        runbook: "wipe",
        files,
        rule: CertificateRule::default(),
        org: Some("consigne.example"),
        at: at(days),
    }
}

#[test]
fn one_comes_back_and_serves_until_it_expires() {
    let (home, key) = home();
    let files = files("a");
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [RUNBOOK, "uses-tell.yaml"],
        "no other file of a plan counts"
    );
    let made = certificate(&files);
    let bytes = made.sign(&files, key.signing()).unwrap();
    let read = Certificate::read(&bytes, &trust(home.path()), at(11)).unwrap();
    assert_eq!((&read.certificate, &read.files), (&made, &files));
    for (days, expected) in [
        (9, Err(Refusal::NotYet(at(10)))),
        (10, Ok(())),
        (39, Ok(())),
        (40, Err(Refusal::Expired(at(40)))),
        (400, Err(Refusal::Expired(at(40)))),
    ] {
        assert_eq!(read.serves(&wanted(&files, days)), expected, "day {days}");
    }
}

#[test]
fn it_serves_exactly_what_it_is_for() {
    let (home, key) = home();
    let files = files("a");
    let bytes = certificate(&files).sign(&files, key.signing()).unwrap();
    let read = Certificate::read(&bytes, &trust(home.path()), at(11)).unwrap();
    let good = wanted(&files, 11);
    let other = self::files("b");
    let mut used = files.clone();
    used.insert("uses-tell.yaml".into(), Hash::of(b"told").to_string());
    let mut fewer = files.clone();
    fewer.remove("uses-tell.yaml");
    for changed in [&other, &used, &fewer, &BTreeMap::new()] {
        let refused = read.serves(&Wanted { files: changed, ..good }).unwrap_err();
        assert!(matches!(refused, Refusal::OtherVersion { .. }), "{refused}");
    }
    let refused = read.serves(&Wanted { runbook: "wide", ..good }).unwrap_err();
    assert!(matches!(refused, Refusal::OtherRunbook { .. }), "{refused}");
    let refused = read.serves(&Wanted { org: Some("other.example"), ..good }).unwrap_err();
    assert!(matches!(refused, Refusal::OtherOrg { .. }), "{refused}");
    let rule =
        |max_age_ms, min_coverage| Wanted { rule: CertificateRule { max_age_ms, min_coverage }, ..good };
    assert_eq!(read.serves(&rule(Some(2 * DAY), Some(40))), Ok(()));
    let refused = read.serves(&rule(Some(2 * DAY - 1), None)).unwrap_err();
    assert!(matches!(refused, Refusal::TooOld { .. }), "{refused}");
    assert_eq!(read.serves(&rule(None, Some(41))), Err(Refusal::TooLittle { percent: 40, least: 41 }));
}

#[test]
fn no_byte_can_be_changed() {
    let (home, key) = home();
    let files = files("a");
    let bytes = certificate(&files).sign(&files, key.signing()).unwrap();
    let trust = trust(home.path());
    every_changed_byte_is_refused(&bytes, |bytes| Certificate::read(bytes, &trust, at(11)).is_ok());
}

#[test]
fn what_is_too_long_is_refused_unread() {
    let (home, _) = home();
    let trust = trust(home.path());
    assert_eq!(Certificate::read(&vec![b' '; MOST + 1], &trust, at(11)), Err(Refusal::TooLong));
    let shorter = Certificate::read(&vec![b' '; MOST], &trust, at(11));
    assert!(matches!(shorter, Err(Refusal::Malformed(_))));
    let folder = home.path().join(kept::FOLDER);
    std::fs::create_dir(&folder).unwrap();
    let long = folder.join("wipe.long.dsse.json");
    // Nothing but a hole: more than any memory holds.
    std::fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    let files = files("a");
    let standing = || kept::standing(home.path(), &trust, &wanted(&files, 11)).unwrap();
    assert_eq!(standing(), Standing::Refused(long.clone(), Refusal::TooLong));
    assert_eq!(Certificate::bytes_of(&long).map(|bytes| bytes.len()).unwrap(), MOST + 1);
    std::fs::remove_file(&long).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &long, fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(standing(), Standing::Refused(_, Refusal::Unreadable(what)) if what == "not a file"));
}

#[test]
fn whoever_may_not_sign_one_signs_none() {
    let (home, key) = home();
    let (_other_home, stranger) = self::home();
    let files = files("a");
    let read = |made: &Certificate, key: &ExecutorKey| {
        let bytes = made.sign(&files, key.signing()).unwrap();
        Certificate::read(&bytes, &trust(home.path()), at(11)).unwrap_err()
    };
    let good = certificate(&files);
    assert!(matches!(read(&good, &stranger), Refusal::UnknownKeyId(_)));
    // Even where it is trusted for what it is there for.
    ExecutorKey::enrol_rehearsals(&home.path().join("trust")).unwrap();
    let mut rehearsal = good.clone();
    rehearsal.issuer.org = "rehearsal.invalid".into();
    rehearsal.issuer.principal = "executor@rehearsal".into();
    let everybodys = ExecutorKey::of_rehearsals();
    assert!(matches!(read(&rehearsal, &everybodys), Refusal::NotAllowed(_)));
    let changed = |change: fn(&mut Certificate)| {
        let mut made = good.clone();
        change(&mut made);
        read(&made, &key)
    };
    assert!(matches!(changed(|c| c.issuer.org = "other.example".into()), Refusal::NotAllowed(_)));
    assert!(matches!(changed(|c| c.issuer.personal = true), Refusal::NotAllowed(_)));
    assert!(matches!(
        changed(|c| c.issuer.principal = "executor@prod-2".into()),
        Refusal::OtherPrincipal { .. }
    ));
    assert_eq!(changed(|c| c.digest = "00".repeat(32)), Refusal::OtherFiles);
}

#[test]
fn a_person_signs_for_the_runbooks_that_he_is_enrolled_for() {
    let (home, _) = home();
    let files = files("a");
    let own = SigningKey::from_bytes(&[5; 32]);
    let public = home.path().join("bob.pub");
    std::fs::write(&public, format!("{} bob\n", FileKey::from_ed25519(&own).public())).unwrap();
    let folder = home.path().join("trust");
    crate::record::enrol::enrol(&folder, "consigne.example", "bob@example.com", &public, Some("wipe"))
        .unwrap();
    let mut made = certificate(&files);
    made.issuer.principal = "bob@example.com".into();
    made.issuer.personal = true;
    let read = |made: &Certificate| {
        Certificate::read(&made.sign(&files, &own).unwrap(), &trust(home.path()), at(11)).map(|_| ())
    };
    assert_eq!(read(&made), Ok(()));
    made.issuer.personal = false;
    assert!(matches!(read(&made), Err(Refusal::NotAllowed(_))), "he is no executor");
    made.issuer.personal = true;
    made.runbook = "wide".into();
    assert!(matches!(read(&made), Err(Refusal::NotAllowed(_))), "not enrolled for it");
}

#[test]
fn a_key_that_was_taken_back_takes_its_certificates_with_it() {
    let (home, key) = home();
    let files = files("a");
    let bytes = certificate(&files).sign(&files, key.signing()).unwrap();
    let path = home.path().join("trust/allowed_signers");
    let text = std::fs::read_to_string(&path).unwrap();
    let end = at(20).to_string()[..10].replace('-', "");
    std::fs::write(&path, text.replace("namespaces=", &format!("valid-before=\"{end}Z\",namespaces=")))
        .unwrap();
    let read = |days| Certificate::read(&bytes, &trust(home.path()), at(days)).map(|_| ());
    assert_eq!(read(11), Ok(()));
    assert!(matches!(read(21), Err(Refusal::NotAllowed(_))));
}

#[test]
fn another_statement_is_no_certificate() {
    let (home, key) = home();
    let read = |statement: &Statement| {
        let bytes = Envelope::sign(statement, key.signing()).unwrap().to_bytes();
        Certificate::read(&bytes, &trust(home.path()), at(11)).unwrap_err()
    };
    let files = files("a");
    let predicate = serde_json::to_value(certificate(&files)).unwrap();
    let subjects =
        || files.iter().map(|(name, hash)| Subject::new(name, hash.parse().unwrap())).collect::<Vec<_>>();
    let other = "https://consigne.example/attestation/runbook-run/v1";
    assert!(matches!(read(&Statement::new(subjects(), other, predicate.clone())), Refusal::OtherType { .. }));
    let kind = predicate_type("consigne.example");
    assert!(matches!(
        read(&Statement::new(subjects(), &kind, serde_json::json!({"runbook": "wipe"}))),
        Refusal::Malformed(_)
    ));
    let twice = [subjects(), subjects()].concat();
    assert_eq!(read(&Statement::new(twice, &kind, predicate)), Refusal::OtherFiles);
}

#[test]
fn the_one_that_counts_longest_is_found_and_else_the_closest() {
    let (home, key) = home();
    let (old, new) = (files("a"), files("b"));
    let keep = |files: &BTreeMap<String, String>, expires| {
        let mut made = certificate(files);
        made.expires_on = at(expires);
        // Names tell them apart by when they were issued.
        made.issued_on = at(10).plus(expires);
        kept::keep(home.path(), &made, &made.sign(files, key.signing()).unwrap()).unwrap()
    };
    let standing =
        |files, days| kept::standing(home.path(), &trust(home.path()), &wanted(files, days)).unwrap();
    assert_eq!(standing(&new, 11), Standing::Missing);
    let older = keep(&old, 30);
    assert!(
        matches!(standing(&new, 11), Standing::Refused(path, Refusal::OtherVersion { .. }) if path == older)
    );
    let short = keep(&new, 20);
    let long = keep(&new, 25);
    std::fs::write(home.path().join("certificates/wipe.torn.dsse.json"), "{").unwrap();
    std::fs::write(home.path().join("certificates/wider.dsse.json"), "{").unwrap();
    assert!(matches!(standing(&new, 11), Standing::Valid(kept) if kept.path == long));
    assert!(matches!(standing(&new, 26), Standing::Refused(_, Refusal::Expired(_))));
    std::fs::remove_file(&long).unwrap();
    assert!(matches!(standing(&new, 11), Standing::Valid(kept) if kept.path == short));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&short).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
