//! Windows: when a live run begins, goes on, or does not.

use crate::environment::TestEnvironment;

/// A year before the next one, or nearly: 29 February.
const CLOSED: &str = "{cron: \"0 3 29 2 *\", zone: \"Europe/Paris\", for: 1m}";
const OPEN: &str = "{cron: \"0 0 * * *\", zone: \"UTC\", for: 24h}";

fn house(windows: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(
        "book.yaml",
        &format!(
            "consigne: v1\nid: book\nwindows:\n  - {windows}\nsteps:\n\
             \x20 - {{id: one, shell: \"echo one >> @/touched\", effect: read}}\n\
             \x20 - {{id: sure, confirm: {{}}, message: \"Go on?\"}}\n"
        ),
    );
    env
}

#[test]
fn outside_every_window_a_run_needs_a_reason_which_stands_in_its_record() {
    let mut env = house(CLOSED);
    env.set("TZ", "UTC");
    let refused = env.consigne(&["run", "book.yaml", "--run-id", "r1"]).ends(1);
    assert!(refused.stderr.contains("outside every window; nothing was started"), "{refused}");
    // 02:00 in UTC is 03:00 in Paris, in winter.
    assert!(refused.stderr.contains("02-29 03:00 Europe/Paris (20"), "{refused}");
    assert!(refused.stderr.contains("02-29 02:00 +00:00)"), "{refused}");
    assert!(refused.stderr.contains("--outside-window REASON"), "{refused}");
    env.assert_nothing_happened();
    let _blank = env.consigne(&["run", "book.yaml", "--outside-window", " "]).ends(2);
    let parked =
        env.consigne(&["run", "book.yaml", "--run-id", "r1", "--outside-window", "the disk is full"]).ends(4);
    let _refused = env.consigne(&["resume", "r1"]).ends(1);
    let _refused = env.consigne(&["answer", "r1", "sure", "yes", "--resume"]).ends(1);
    let ended =
        env.consigne(&["answer", "r1", "sure", "yes", "--resume", "--outside-window", "it still is"]).ends(0);
    let report = env.consigne(&["report", "r1", "--open"]).ends(0).stdout;
    assert!(report.contains("outside every window: the disk is full"), "{report}");
    assert!(report.contains("outside every window: it still is"), "{report}");
    assert_eq!(env.touched(), ["one"], "{parked}{ended}");
}

#[test]
fn an_environment_may_take_no_reason() {
    let env = house(CLOSED);
    env.write("environments/strict.yaml", "protected: true\nrequire: [window]\n");
    let refused =
        env.consigne(&["run", "book.yaml", "--env", "strict", "--outside-window", "because"]).ends(1);
    assert!(refused.stderr.contains("this environment takes no reason for that"), "{refused}");
    env.assert_nothing_happened();
    env.write("book.yaml", &std::fs::read_to_string(env.work("book.yaml")).unwrap().replace(CLOSED, OPEN));
    let _parked = env.consigne(&["run", "book.yaml", "--env", "strict"]).ends(4);
}

#[test]
fn drills_are_bound_to_no_window_and_what_is_put_back_neither() {
    let env = house(CLOSED);
    let _parked = env.consigne(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"]).ends(4);
    let needless = env.consigne(&["drill", "book.yaml", "--env", "plain", "--outside-window", "x"]).ends(2);
    assert!(needless.stderr.contains("a drill is bound to no window"), "{needless}");
    let _done = env.consigne(&["answer", "r1", "sure", "yes", "--as", "bob", "--resume"]).ends(0);
    let _parked = env.consigne(&["run", "book.yaml", "--run-id", "r2", "--outside-window", "x"]).ends(4);
    let _cancelled = env.consigne(&["cancel", "r2", "--comment", "enough"]).ends(1);
}

#[test]
fn the_next_window_is_said_before_anything_is_run() {
    let env = house(&format!("{OPEN}\n  - {CLOSED}"));
    let plan = env.consigne(&["plan", "book.yaml", "--mode", "live"]).ends(0).stdout;
    assert!(plan.contains("0 3 29 2 * Europe/Paris, 1 min"), "{plan}");
    assert!(plan.contains("Window: open until 20"), "{plan}");
    let listed = env.consigne(&["runbooks", "--dir", "."]).ends(0).stdout;
    assert!(listed.contains("window open until 20"), "{listed}");
    let drill = env.consigne(&["plan", "book.yaml", "--mode", "drill"]).ends(0).stdout;
    assert!(!drill.contains("Window:"), "{drill}");
    let env = house(CLOSED);
    let plan = env.consigne(&["plan", "book.yaml", "--mode", "live"]).ends(0).stdout;
    assert!(plan.contains("Window: closed, next at 2"), "{plan}");
}
