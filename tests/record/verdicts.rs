use consigne::clock::Timestamp;
use consigne::core::event::{AskEnd, Decision};
use consigne::core::{Event, Fact};
use consigne::plan::{Identity, Mode};
use consigne::record::verify::{
    Authorisation, Completeness, Integrity, Options, Overall, ReportCheck, verify,
};
use consigne::record::{Trust, build};

use crate::world::{HOST, Kindness, ORG, Run, USUAL, copy_of, failures, of_run, of_step, person, verify_in};

#[test]
fn an_honest_record_verifies() {
    let run = Run::sealed(USUAL);
    let found = run.verify();
    assert_eq!(failures(&found), [""; 0]);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.overall(), Overall::Verified);
    assert_eq!(
        (found.integrity, found.completeness, found.authorisation, found.report),
        (Integrity::Intact, Completeness::Complete, Authorisation::Personal, ReportCheck::Same)
    );
    assert_eq!((found.run.as_str(), found.mode), ("r1", Some(Mode::Live)));
    assert_eq!((found.hidden, found.disclosed), (14, 14));
    assert!(build::is_complete(&run.dir) && !run.dir.join("wal.jsonl").exists());
    let heads = std::fs::read_dir(run.dir.join("heads")).unwrap().count();
    assert!(heads >= 5, "{heads} tree heads");
}

#[test]
fn the_report_says_what_happened_and_nothing_hidden() {
    let run = Run::sealed(USUAL);
    let report = std::fs::read_to_string(run.dir.join("report.md")).unwrap();
    for part in
        ["# Record of run `r1`", "## Overrides", "by_hand", "| **`isolate`** |", "approve", "`output.name`"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(
        !report.contains("DRILL") && !report.contains("acme-42") && !report.contains("console"),
        "{report}"
    );
    assert!(report.find("`isolate`").unwrap() < report.find("`before`").unwrap(), "deviations come first");
    let open = build::report(&run.dir, (ORG, HOST), true, None).unwrap();
    assert!(open.contains("done in the console") && open.contains("leak \\| confirmed"), "{open}");
    let french = Run::sealed(Kindness { lang: "fr", mode: Mode::Drill, ..USUAL });
    let report = std::fs::read_to_string(french.dir.join("report.md")).unwrap();
    assert!(report.contains("CECI ÉTAIT UN EXERCICE") && report.contains("## Dérogations"), "{report}");
    assert_eq!(failures(&french.verify()), [""; 0]);
    let page = std::fs::read_to_string(run.dir.join("VERIFY.md")).unwrap();
    assert!(page.contains("-n seal.live@consigne.example -Overify-time=2025112416"), "{page}");
}

#[test]
fn withheld_is_said_and_breaks_nothing() {
    let run = Run::sealed(USUAL);
    let copy = copy_of(&run.dir);
    let path = |name: &str| copy.path().join(name);
    let all = std::fs::read_to_string(path("disclosures.jsonl")).unwrap();
    let some: String = all.lines().skip(2).map(|line| format!("{line}\n")).collect();
    std::fs::write(path("disclosures.jsonl"), some).unwrap();
    let found = verify_in(copy.path(), &run.trust());
    assert_eq!((found.overall(), found.disclosed, found.hidden), (Overall::Verified, 12, 14));
    assert_eq!(found.withheld.values().sum::<usize>(), 2);
    assert!(found.withheld.contains_key("inputs"), "{:?}", found.withheld);

    std::fs::remove_file(path("disclosures.jsonl")).unwrap();
    std::fs::remove_dir_all(path("approvals")).unwrap();
    std::fs::remove_dir_all(path("blobs")).unwrap();
    std::fs::remove_file(path("plan/values.json")).unwrap();
    let found = verify_in(copy.path(), &run.trust());
    assert_eq!((found.overall(), found.disclosed), (Overall::Verified, 0), "{:?}", found.findings);
    assert_eq!(found.authorisation, Authorisation::Withheld);
    let said: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["approvals/0001.go.bob.txt: withheld", "plan/values.json: withheld"]);
}

#[test]
fn the_executor_may_vouch_unless_the_environment_wants_keys() {
    let run = Run::sealed(Kindness { personal: false, ..USUAL });
    let found = run.verify();
    assert_eq!(found.overall(), Overall::Verified, "{:?}", failures(&found));
    assert_eq!(found.authorisation, Authorisation::AttestedByExecutor);
}

#[test]
fn whoever_was_not_entitled_is_named() {
    for (approver, why) in [
        ("alice", "alice answered `go`, but also started the run"),
        ("carol", "carol holds none of the roles lead of `go`"),
        ("os:eve", "os:eve holds none of the roles lead of `go`"),
    ] {
        let run = Run::sealed(Kindness { approver, personal: false, ..USUAL });
        let found = run.verify();
        assert_eq!((found.integrity, found.authorisation), (Integrity::Intact, Authorisation::Failed));
        assert!(
            failures(&found).iter().any(|f| f.contains(why) && f.contains("events.jsonl, line 4")),
            "{found:?}"
        );
    }
}

#[test]
fn whoever_is_entitled_after_an_escalation_was_not_before() {
    let holds_none = |escalated_first: bool| {
        let mut run = Run::new(USUAL);
        run.reach_gate();
        let answered = Fact::AskAnswered { ask: 1, part: None, decision: Decision::Approve };
        let answered = Event { actor: Some(person("carol")), ..of_step("go", None, answered, &[]) };
        let escalated = of_step("go", None, Fact::AskEscalated { ask: 1, expires: None }, &[]);
        let both = if escalated_first { [escalated, answered] } else { [answered, escalated] };
        both.into_iter().for_each(|event| run.entry(vec![event]));
        failures(&run.verify()).iter().any(|said| said.contains("carol holds none of the roles lead"))
    };
    assert_eq!((holds_none(true), holds_none(false)), (false, true));
}

#[test]
fn a_gate_closed_by_too_few_is_refused() {
    let mut run = Run::new(Kindness { quorum: 2, ..USUAL });
    run.reach_gate();
    let answered = Fact::AskAnswered { ask: 1, part: None, decision: Decision::Approve };
    let answered = Event { actor: Some(person("bob")), ..of_step("go", None, answered, &[]) };
    let closed = of_step("go", None, Fact::AskClosed { ask: 1, how: AskEnd::Answered }, &[]);
    run.entry(vec![answered.clone(), answered, closed]);
    assert_eq!(failures(&run.verify()), ["events.jsonl: `go` was opened by 1 of 2 people"]);
}

#[test]
fn where_keys_are_wanted_the_executor_cannot_vouch() {
    let strict = Kindness { identity: Identity::SshKey, ..USUAL };
    assert_eq!(Run::sealed(strict).verify().overall(), Overall::Verified);
    let said = failures(&Run::sealed(Kindness { personal: false, ..strict }).verify());
    assert_eq!(
        said,
        ["approvals/0001.go.bob.txt.sig: this environment takes approvals by personal key only"]
    );
}

#[test]
fn an_answer_after_the_hour_is_refused() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    run.clock += 3_700_000;
    run.approve(USUAL);
    let said = failures(&run.verify());
    assert!(said[0].contains("bob answered `go` after it had expired"), "{said:?}");
}

#[test]
fn a_personal_signature_must_be_the_persons() {
    let run = Run::sealed(Kindness { approver: "alice", ..USUAL });
    let found = failures(&run.verify());
    assert!(
        found.iter().any(|f| f.contains("the key is bob@example.com's, expected alice@example.com")),
        "{found:?}"
    );
}

#[test]
fn an_unfinished_run_is_intact_and_unfinished() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    for _ in 0..2 {
        run.journal.sync_public().unwrap();
        let found = run.verify();
        assert_eq!(
            (found.overall(), found.integrity, found.completeness),
            (Overall::Unfinished, Integrity::Intact, Completeness::Unfinished),
            "{:?}",
            failures(&found)
        );
        assert!(found.findings.iter().any(|f| f.what.contains("could have been cut short")));
        if run.state.ask(1).is_some_and(|ask| ask.answers.is_empty()) {
            run.approve(USUAL);
        }
    }
}

#[test]
fn a_drill_is_never_live() {
    for mode in [Mode::Drill, Mode::Rehearsal] {
        let run = Run::sealed(Kindness { mode, ..USUAL });
        let ask = |expected| verify(&run.dir, &run.trust(), Options { expected }).unwrap();
        assert_eq!(ask(Some(mode)).overall(), Overall::Verified);
        let found = ask(Some(Mode::Live));
        assert_eq!((found.overall(), found.authorisation), (Overall::Failed, Authorisation::Failed));
        assert!(failures(&found)[0].contains("expected a live one"));
    }
}

#[test]
fn the_key_that_everybody_has_seals_rehearsals_alone() {
    for mode in [Mode::Live, Mode::Drill, Mode::Rehearsal] {
        let run = Run::sealed_for_rehearsals(Kindness { mode, personal: false, ..USUAL });
        // In a folder of keys, and built in: the same.
        for trust in [run.trust(), Trust::of_rehearsals()] {
            let found = verify_in(&run.dir, &trust);
            let expected = if mode == Mode::Rehearsal { Overall::Verified } else { Overall::Failed };
            assert_eq!(found.overall(), expected, "{mode:?}: {:?}", failures(&found));
            assert_eq!(found.authorisation == Authorisation::Failed, mode != Mode::Rehearsal);
        }
    }
}

#[test]
fn what_was_simulated_is_no_record_of_a_run() {
    for mode in [Mode::Live, Mode::Drill] {
        for worker in ["placeholder", "fixture; name=run r0", "run r0", "fault dropped"] {
            let said = failures(&Run::sealed(Kindness { mode, worker, ..USUAL }).verify()).join("\n");
            assert!(
                said.contains("`before` was simulated") && said.contains(mode.name()),
                "{worker}: {said}"
            );
        }
    }
}

#[test]
fn line_1_names_the_key_that_sealed() {
    let said = failures(&Run::sealed(Kindness { executor: Some("SHA256:other"), ..USUAL }).verify());
    assert!(said.iter().any(|what| what.contains("names the executor's key SHA256:other")), "{said:?}");
}

/// Else the executor would sign what somebody else has written, such as a rehearsal that calls itself live.
#[test]
fn a_journal_whose_beginning_nobody_signed_is_not_gone_on_with() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    assert!(build::RecordKeeper::new(&run.journal, run.key()).is_ok());
    std::fs::remove_dir_all(run.dir.join("heads")).unwrap();
    let refused = build::RecordKeeper::new(&run.journal, run.key()).err().expect("a refusal").to_string();
    assert!(refused.contains("000001.note") && refused.contains("nobody signed line 1"), "{refused}");
    let begun = Run::new(USUAL);
    std::fs::remove_dir_all(begun.dir.join("heads")).unwrap();
    assert!(
        build::RecordKeeper::new(&begun.journal, begun.key()).is_ok(),
        "a crash behind line 1 leaves this"
    );
}

#[test]
fn an_unknown_signer_fails_authorisation_alone() {
    let (run, other) = (Run::sealed(USUAL), Run::sealed(USUAL));
    let found = verify_in(&run.dir, &other.trust());
    assert_eq!((found.integrity, found.authorisation), (Integrity::Intact, Authorisation::Failed));
    assert!(failures(&found).iter().any(|f| f.starts_with("SHA256SUMS.sig: ")), "{:?}", failures(&found));
}

#[test]
fn a_file_that_nothing_covers_is_reported() {
    let run = Run::sealed(USUAL);
    for name in ["extra.txt", "plan/extra.json", "approvals/0009.go.eve.txt"] {
        std::fs::write(run.dir.join(name), "x").unwrap();
    }
    let found = run.verify();
    let said: Vec<&str> = found
        .findings
        .iter()
        .filter(|f| f.what.contains("nothing covers"))
        .map(|f| f.file.as_str())
        .collect();
    assert_eq!(said, ["extra.txt", "plan/extra.json", "approvals/0009.go.eve.txt"]);
}

#[test]
fn what_is_no_plain_file_is_refused_and_not_followed() {
    let run = Run::sealed(USUAL);
    for name in ["report.md", "plan/graph.json", "disclosures.jsonl"] {
        for what in ["link", "folder", "pipe"] {
            let copy = copy_of(&run.dir);
            let path = copy.path().join(name);
            std::fs::remove_file(&path).unwrap();
            match what {
                "link" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                "folder" => std::fs::create_dir(&path).unwrap(),
                _ => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
                    .unwrap(),
            }
            let found = failures(&verify_in(copy.path(), &run.trust()));
            let said = format!("{name}: neither a file nor missing, expected a plain file");
            assert!(found.contains(&said), "{name} as a {what}: {found:?}");
        }
    }
}

#[test]
fn heads_are_signed_as_time_passes() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    let heads = || std::fs::read_dir(run.dir.join("heads")).unwrap().count();
    assert_eq!(heads(), 2, "the first line and the gate");
    run.clock += 61_000;
    let note = Event { actor: Some(person("alice")), ..of_run(Fact::NoteRecorded {}) };
    run.entry(vec![note]);
    assert_eq!(std::fs::read_dir(run.dir.join("heads")).unwrap().count(), 3);
}

#[test]
fn the_text_of_a_decision_is_the_same_whenever_it_is_asked_for() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    let bob = person("bob");
    let text = |keeper: &build::RecordKeeper, run: &Run| {
        keeper.approval(&run.journal, &run.state, 1, &bob, (Decision::Approve, None)).unwrap().text()
    };
    let first = text(&run.keeper, &run);
    let entries = consigne::journal::Journal::read(&run.dir).unwrap();
    let mut later = build::RecordKeeper::new(&run.journal, run.key()).unwrap();
    later.follow(&mut run.journal, &entries).unwrap();
    assert_eq!(text(&later, &run), first);
    assert!(
        first.contains("\nshown: Suspend Acme?\nshown: Really?\nshown: isolate (write) sha256:d1\n"),
        "{first}"
    );
    assert!(
        first.contains(&format!("expires: {}", Timestamp::from_millis(run.clock - 1_500 + 3_600_000))),
        "{first}"
    );
}

#[test]
fn what_was_judged_is_what_was_done() {
    let honest = Run::sealed(Kindness { judged: Some("acme 42"), ..USUAL }).verify();
    assert_eq!(failures(&honest), Vec::<String>::new());
    let said = failures(&Run::sealed(Kindness { judged: Some("acme-1"), ..USUAL }).verify());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("`isolate` was begun with \"acme%2042\", which nobody judged"), "{said:?}");
    assert!(said[0].contains("events.jsonl, line"), "{said:?}");
}
