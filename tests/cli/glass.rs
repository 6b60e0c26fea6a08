//! Rule 4: a gate that somebody opens alone, the record of it, and the look that somebody else takes at it.

use crate::environment::TestEnvironment;

const BOOK: &str = r#"consigne: v1
id: book
steps:
  - id: go
    message: "Switch it off?"
    timebox: 1ms
    approve:
      roles: [ops]
      quorum: 2
      break_glass: {roles: [night], after: AFTER, review: {roles: [chief], within: WITHIN}}
  - id: one
    shell: "echo one >> @/touched"
    effect: write
"#;

const PEOPLE: &str = "role_play: true\npeople:\n  bob: {}\n  carol: {}\n  dave: {}\n  erin: {}\nroles:\n  ops: [bob, carol]\n  \
    night: [dave]\n  chief: [erin, dave]\n";

fn house(after: &str, within: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("environments/plain.yaml", PEOPLE);
    env.write("book.yaml", &BOOK.replace("AFTER", after).replace("WITHIN", within));
    env
}

fn parked(env: &TestEnvironment) {
    let _parked = env.consigne(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"]).ends(4);
}

const BREAK: [&str; 7] = ["answer", "r1", "go", "break_glass", "--as", "dave", "--resume"];

#[test]
fn rule_4_glass_is_broken_with_a_reason_and_stays_in_the_list_until_it_is_reviewed() {
    let env = house("0s", "24h");
    parked(&env);
    let no_reason = env.consigne(&BREAK).ends(2);
    assert!(no_reason.stderr.contains("breaking the glass needs a reason"), "{no_reason}");
    let stranger =
        env.consigne(&["answer", "r1", "go", "break_glass", "--as", "bob", "--comment", "now"]).ends(2);
    assert!(stranger.stderr.contains("bob holds none of the roles night"), "{stranger}");
    let opened = env.consigne(&[&BREAK[..], &["--comment", "nobody answers the phone"]].concat()).ends(0);
    assert_eq!(env.touched(), ["one"], "{opened}");

    let listed = env.consigne(&["list"]).ends(0);
    assert!(listed.stdout.contains("opened by breaking the glass: go, by dave, [TIME]"), "{listed}");
    assert!(listed.stdout.contains("to be reviewed by [TIME] (erin)"), "{listed}");
    let sealed = std::fs::read_to_string(env.run("r1").join("report.md")).unwrap();
    assert!(sealed.contains("Opened by breaking the glass: `go`, by dave (played, os:"), "{sealed}");
    assert!(sealed.contains("the reason is held back"), "{sealed}");
    assert!(sealed.contains("- `go`: took ") && sealed.contains("timebox 0:00:00.001"), "{sealed}");
    let shown = env.consigne(&["report", "r1", "--open"]).ends(0);
    assert!(shown.stdout.contains("because: nobody answers the phone"), "{shown}");
    let unreviewed = env.consigne(&["verify", "r1"]).ends(0);
    assert!(unreviewed.stdout.contains("nobody has reviewed it"), "{unreviewed}");

    let review = |who: &str, verdict: &str| {
        env.consigne(&["review", "r1", "go", verdict, "--as", who, "--comment", "it was right"])
    };
    let own = review("dave", "accept").ends(2);
    assert!(own.stderr.contains("dave broke the glass: it takes another person"), "{own}");
    let stranger = review("bob", "accept").ends(2);
    assert!(stranger.stderr.contains("bob holds none of the roles chief"), "{stranger}");
    let unplayed = env.consigne(&["review", "r1", "go", "accept", "--comment", "x"]).ends(2);
    assert!(unplayed.stderr.contains("holds none of the roles"), "{unplayed}");
    let _none = env.consigne(&["review", "r1", "one", "accept", "--as", "erin", "--comment", "x"]).ends(2);
    let _reviewed = review("erin", "object").ends(0);
    let again = review("erin", "accept").ends(2);
    assert!(again.stderr.contains("erin has reviewed `go` already"), "{again}");

    let listed = env.consigne(&["list"]).ends(0);
    assert!(!listed.stdout.contains("r1"), "{listed}");
    let shown = env.consigne(&["show", "r1"]).ends(0);
    assert!(shown.stdout.contains("reviewed, OBJECTED by erin, [TIME]: it was right"), "{shown}");
    assert!(shown.stdout.contains("over its timebox: go took"), "{shown}");
    let report = env.consigne(&["report", "r1"]).ends(0);
    assert!(report.stdout.contains("## Reviews"), "{report}");
    let verified = env.consigne(&["verify", "r1"]).ends(0);
    assert!(!verified.stdout.contains("nobody has reviewed it"), "{verified}");
    let ledger = std::fs::read_to_string(env.path("consigne/ledger.jsonl")).unwrap();
    assert!(ledger.contains("go: object by erin: it was right"), "{ledger}");
}

#[test]
fn rule_4_glass_is_not_broken_before_it_is_time() {
    let env = house("50m", "24h");
    parked(&env);
    let early = env.consigne(&[&BREAK[..], &["--comment", "nobody"]].concat()).ends(2);
    assert!(early.stderr.contains("the glass of this gate may be broken from [TIME] on"), "{early}");
    assert!(env.touched().is_empty());
}

#[test]
fn rule_4_an_overdue_review_is_said_and_a_forged_one_counts_for_nothing() {
    let env = house("0s", "1ms");
    parked(&env);
    let _opened = env.consigne(&[&BREAK[..], &["--comment", "nobody"]].concat()).ends(0);
    let listed = env.consigne(&["list"]).ends(0);
    assert!(listed.stdout.contains("REVIEW OVERDUE since [TIME] (erin)"), "{listed}");
    let overdue = &env.consigne(&["show", "r1", "--json"]).ends(0).json()["broken_glass"][0];
    assert_eq!((&overdue["overdue"], &overdue["by"]), (&true.into(), &"dave".into()));
    let _reviewed =
        env.consigne(&["review", "r1", "go", "object", "--as", "erin", "--comment", "bob was there"]).ends(0);
    // Somebody turns the objection into its opposite.
    let file = env.run("r1").join("reviews/0001.go.erin.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("verdict: object", "verdict: accept")).unwrap();
    let listed = env.consigne(&["list"]).ends(0);
    assert!(listed.stdout.contains("REVIEW OVERDUE"), "{listed}");
    let verified = env.consigne(&["verify", "r1"]).ends(5);
    assert!(verified.stdout.contains("reviews/0001.go.erin.txt"), "{verified}");
}
