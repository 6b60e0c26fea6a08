use consigne::journal::Journal;
use consigne::record::build::{Part, RecordKeeper, is_complete};
use consigne::record::verify::{Completeness, Integrity, Overall};

use crate::world::{Run, USUAL, failures};

/// The process dies after each part of the ending; the next one completes the record, and makes the same bytes.
#[test]
fn a_crash_after_each_part_is_completed() {
    let sums = |run: &Run| std::fs::read_to_string(run.dir.join("SHA256SUMS")).unwrap();
    for done in 0..=Part::ALL.len() {
        let mut run = Run::new(USUAL);
        run.reach_gate();
        run.approve(USUAL);
        run.reach_end();
        for part in &Part::ALL[..done] {
            run.keeper.make(*part, &mut run.journal).unwrap();
        }
        if done < Part::ALL.len() - 1 {
            let found = run.verify();
            assert_eq!(
                (found.overall(), found.integrity, found.completeness),
                (Overall::Unfinished, Integrity::Intact, Completeness::Unfinished),
                "after {done} parts: {:?}",
                failures(&found)
            );
        }
        let opened = Journal::open(&run.dir).unwrap();
        run.keeper = RecordKeeper::new(&opened.journal, run.key()).unwrap();
        run.journal = opened.journal;
        run.keeper.seal(&mut run.journal).unwrap();
        let first = sums(&run);
        run.keeper.seal(&mut run.journal).unwrap();
        assert_eq!(sums(&run), first);
        assert!(is_complete(&run.dir));
        assert_eq!(
            run.verify().overall(),
            Overall::Verified,
            "after {done} parts: {:?}",
            failures(&run.verify())
        );
    }
}

#[test]
fn only_a_sealed_run_gets_a_record() {
    let mut run = Run::new(USUAL);
    run.reach_gate();
    let refused = run.keeper.seal(&mut run.journal).unwrap_err().to_string();
    assert_eq!(refused, "the journal does not end in run.sealed");
}

#[test]
fn a_change_in_a_complete_record_is_never_put_right() {
    let mut run = Run::sealed(USUAL);
    let path = run.dir.join("report.md");
    std::fs::write(&path, "all is well\n").unwrap();
    run.keeper.seal(&mut run.journal).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "all is well\n");
    assert_eq!(run.verify().overall(), Overall::Failed);
}
