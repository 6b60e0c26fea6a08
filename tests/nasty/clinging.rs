//! Children that do not want to end: each way by itself, then all of them at once. At the time-out they are gone.

use super::house::{House, until};

/// A way to cling to life, as a script that goes on by itself when it is left alone.
const WAYS: [(&str, &str); 9] = [
    ("ignores_term", "trap '' TERM INT HUP; while :; do sleep 0.2; done"),
    ("stops_itself", "kill -STOP $$; sleep 600"),
    (
        "double_forks",
        "(setsid bash -c 'trap \"\" TERM HUP; sleep 601 & sleep 602' >/dev/null 2>&1 &); sleep 603",
    ),
    ("leaves_the_session", "trap '' TERM; setsid sleep 604 & setsid setsid sleep 605 & sleep 606"),
    (
        "holds_the_pipe",
        "setsid bash -c 'trap \"\" TERM; while :; do echo still; sleep 0.1; done' & disown; sleep 607",
    ),
    ("forks_on_and_on", "f() { sleep 0.05; f & }; trap '' TERM; f & sleep 608"),
    (
        "hides_its_marks",
        "env -i PATH=\"$PATH\" setsid bash -c 'trap \"\" TERM; sleep 609 & sleep 610' & sleep 611",
    ),
    ("closes_its_pipes", "exec >/dev/null 2>&1; trap '' TERM; while :; do sleep 0.3; done"),
    ("answers_term_with_more", "trap 'setsid sleep 612 & sleep 613' TERM; while :; do sleep 0.1; done"),
];

fn book(ways: &[(&str, &str)]) -> String {
    let mut text = "consigne: v1\nid: clinging\nsteps:\n".to_owned();
    for (name, script) in ways {
        text += &format!(
            "  - id: {name}\n    needs: []\n    shell: |\n      {script}\n    effect: read\n    timeout: 400ms\n    on_failure: continue\n"
        );
    }
    text
}

fn all_gone(ways: &[(&str, &str)]) {
    let house = House::new(&book(ways));
    let (code, said) = house.unattended();
    assert!(matches!(code, Some(0 | 1)), "{code:?} {said}");
    for (name, _) in ways {
        assert_eq!(house.reason_of(name), "timeout", "{name}: {said}");
    }
    // The program has ended: what it killed last may still be on its way out.
    until(&format!("nothing is left: {:?}", house.left()), || house.left().is_empty());
}

macro_rules! each_alone {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let way = WAYS.iter().find(|(name, _)| *name == stringify!($name)).unwrap();
                all_gone(&[*way]);
            }
        )*
        #[test]
        fn each_way_has_its_test() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(tested.to_vec(), WAYS.map(|(name, _)| name).to_vec());
        }
    };
}

each_alone! {
    ignores_term stops_itself double_forks leaves_the_session holds_the_pipe forks_on_and_on hides_its_marks
    closes_its_pipes answers_term_with_more
}

#[test]
fn all_at_once() {
    all_gone(&WAYS);
}
