//! What somebody is asked whose run wants what another one has.

use crate::session::Desk;

const WANTS: &str = "consigne: v1\nid: wants\nlock: [\"thing/one\"]\nsteps:\n\
    \x20 - {id: sure, confirm: {}, message: \"Go on?\"}\n";

#[test]
fn rule_23_who_holds_a_target_is_said_and_one_waits_or_gives_up() {
    let desk = Desk::new(WANTS);
    let (code, said) = desk.runs(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"]);
    assert_eq!(code, Some(4), "{said}");
    let second = || desk.sits(&["drill", "book.yaml", "--env", "plain", "--run-id", "r2"], &[]);
    let mut gives_up = second();
    let said = gives_up.sees("give up? [w/G] ");
    assert!(said.contains("`thing/one` is held by r1 (wants, started by me) since"), "{said}");
    gives_up.types("");
    let (said, code) = gives_up.ends();
    assert_eq!(code, Some(6), "{said}");
    let mut waits = second();
    waits.answers("give up? [w/G] ", "w");
    waits.sees("place 1: held by run r1");
    assert!(desk.runs(&["list"]).1.contains("r2  wants  queued"), "others see it");
    let (code, said) = desk.runs(&["cancel", "r1", "--comment", "enough"]);
    assert_eq!(code, Some(1), "{said}");
    waits.answers("(yes/no) > ", "yes");
    waits.answers("comment", "");
    let (said, code) = waits.ends();
    assert_eq!(code, Some(0), "{said}");
}
