//! Between the last step and the last file: whatever part of the ending is missing, resume makes it.

use crate::world::{House, until};

/// Files of a record in the order of their making, each of which a kill may follow.
const PARTS: [&str; 6] =
    ["run.finished", "run.sealed", "report.md", "record.dsse.json", "SHA256SUMS", "SHA256SUMS.sig"];

#[test]
fn a_run_killed_while_its_record_is_made_is_completed() {
    let mut incomplete = 0;
    for (number, part) in PARTS.iter().enumerate() {
        let house = House::new(&format!("ending-{number}"), &["tests/kill/short.yaml"]);
        let mut drill = house.start(&house.begin("short.yaml", &[]));
        let there = || {
            part.strip_prefix("run.")
                .map_or_else(|| house.dir().join(part).exists(), |_| house.has_event(part))
        };
        until(part, || (there() || !drill.is_running()).then_some(()));
        drill.kill();
        let open = house.dir().join("wal.jsonl").exists();
        incomplete += usize::from(open);
        if open {
            let listed = house.say(&["list"]).exits(0).out;
            assert!(listed.contains(&format!("consigne resume {}", house.run)), "{listed}");
            assert_eq!(house.locks(), ["ending"], "it is kept until the run is closed");
        }
        house.say(&["resume", &house.run]).exits(0);
        house.is_over();
        assert!(!house.say(&["list"]).exits(0).out.contains(&house.run));
        house.say(&["resume", &house.run]).exits(0);
        house.is_over();
    }
    assert!(incomplete >= 3, "only {incomplete} of {} were killed before they were complete", PARTS.len());
}
